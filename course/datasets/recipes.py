"""The data sets: what each holds and where it can be had."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course.datasets.downloads import RemoteFile

SAMPLES = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True)
class Recipe:
    """A data set of images or of texts: what it holds and where it can be had.

    Attributes:
        name: Name in commands, bundles and results.
        title: Name for people.
        classes: The name of each class; none where it holds documents without labels.
        image_shape: Height and width in pixels, and 3 where images have colours; None for texts.
        examples: Number of images or texts of the official training and test split.
        licence: The licence as stated; the card beside the sample says more.
        alternatives: Sets of files that each hold the whole: one .npz, four .gz in IDX form in
            the order x_train, y_train, x_test, y_test, or one .tar.gz in CIFAR-10's form or, for
            texts, in IMDB's.  None where the sample is all there is.
        official: `sources.fingerprint` of each array of the official splits; None where only the
            files that hold them are known.
        sample: The embedded sample, an .npz or .jsonl.xz file, and the SHA-256 of its content.
        stand_in: Where there is no sample, the data set whose sample is used in the same form.
        stand_in_words: What that sample does, after its title in the line that says so.
        items: What its examples are called.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...] | None
    examples: tuple[int, int]
    licence: str
    alternatives: tuple[tuple[RemoteFile, ...], ...]
    official: dict[str, str] | None = None
    sample: Path | None = None
    sample_sha256: str | None = None
    stand_in: "Recipe | None" = None
    stand_in_words: str = ""
    items: str = "images"

    @property
    def megabytes(self) -> float:
        """Length of the download that is tried first, in MB (10⁶ bytes); 0 where there is none."""
        return sum(file.size for files in self.alternatives[:1] for file in files) / 1e6

    @property
    def cache(self) -> Path:
        """Folder of downloaded files."""
        return cache_folder() / self.name


def cache_folder() -> Path:
    """`COURSE_CACHE`, or the system's place for what can be had again."""
    import platformdirs

    root = os.environ.get("COURSE_CACHE")
    return Path(root or platformdirs.user_cache_dir("foundation-models-hands-on"))


def _mnist_idx_file(name: str, size: int, sha256: str) -> RemoteFile:
    hosts = ("ossci-datasets.s3.amazonaws.com/mnist", "storage.googleapis.com/cvdf-datasets/mnist")
    return RemoteFile(name, size, sha256, tuple(f"https://{host}/{name}" for host in hosts))


MNIST = Recipe(
    name="mnist",
    title="MNIST",
    classes=tuple("0123456789"),
    image_shape=(28, 28),
    examples=(60_000, 10_000),
    licence="CC BY-SA 3.0 as Keras states it; the sample's package: MIT",
    sample=SAMPLES / "mnist.npz",
    sample_sha256="6c778e5fe8c6b99db57866fae263a3ca8e53d2154f05a8abd12706f377144af7",
    official={
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    alternatives=(
        (
            RemoteFile(
                "mnist.npz",
                11_490_434,
                "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                ("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",),
            ),
        ),
        (
            _mnist_idx_file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            _mnist_idx_file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            _mnist_idx_file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            _mnist_idx_file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    ),
)


def _fashion_idx_file(name: str, size: int, sha256: str) -> RemoteFile:
    addresses = (
        f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{name}",
        f"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{name}",
    )
    return RemoteFile(name, size, sha256, addresses)


FASHION_MNIST = Recipe(
    name="fashion_mnist",
    title="Fashion-MNIST",
    classes=(
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
    ),
    image_shape=(28, 28),
    examples=(60_000, 10_000),
    licence="MIT",
    sample=SAMPLES / "fashion_mnist.npz",
    sample_sha256="3b2dffbdc43c7f6c3f2fb9267c3fc73954422cc7e582e3b679440bdc331a6b8f",
    official={
        "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    alternatives=(
        (
            _fashion_idx_file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            _fashion_idx_file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            _fashion_idx_file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            _fashion_idx_file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
)

CIFAR10 = Recipe(
    name="cifar10",
    title="CIFAR-10",
    classes=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    image_shape=(32, 32, 3),
    examples=(50_000, 10_000),
    licence="none stated; cite Krizhevsky 2009",
    alternatives=(
        (
            RemoteFile(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            ),
        ),
    ),
    stand_in=FASHION_MNIST,
    stand_in_words=(
        "stands in for CIFAR-10, padded to 32 x 32 pixels, its grey in all three colours"
    ),
)

SENTIMENTS = ("negative", "positive")


def _texts(name: str, title: str, items: str, examples: tuple[int, int], sha256: str, **others):
    """The recipe of texts of which the course has all that there is: the sample."""
    return Recipe(
        name=name,
        title=title,
        image_shape=None,
        examples=examples,
        alternatives=(),
        sample=SAMPLES / f"{name}.jsonl.xz",
        sample_sha256=sha256,
        items=items,
        **others,
    )


MOVIE_SENTENCES = _texts(
    "movie_sentences",
    "Movie sentences",
    "sentences",
    (8056, 2014),
    "d671fb184b37bf35c7b8070b196643182b7a5dc1481c8de6aad237b2d076add6",
    classes=SENTIMENTS,
    licence="the package: MIT; the sentences: see the card",
)

EDITORIALS = _texts(
    "editorials",
    "Editorials",
    "articles",
    (399, 99),
    "087507fb2ede09d6837ab66df0a9fb358f407e6fe1feb9b9b9936afd3f29521d",
    classes=(),
    licence="the package: MIT; the articles: see the card",
)

CHINESE_REVIEWS = _texts(
    "chinese_reviews",
    "Chinese reviews",
    "reviews",
    (13_856, 3464),
    "f2a11d938ae74549ed38b947c56af81a01b35071a2211b9e674415e7d17fe3de",
    classes=SENTIMENTS,
    licence="the package: MIT; the reviews: see the card",
)

CHINESE_PROSE = _texts(
    "chinese_prose",
    "Chinese prose",
    "paragraphs",
    (6872, 1711),
    "ea8b1e6a546d557a994d33c598a08816100d8addd23348d75b072da37c679f1e",
    classes=(),
    licence="the package: MIT; the newspaper: see the card",
)

IMDB = Recipe(
    name="imdb",
    title="IMDB",
    classes=SENTIMENTS,
    image_shape=None,
    examples=(25_000, 25_000),
    licence="none stated; cite Maas et al. 2011",
    alternatives=(
        (
            RemoteFile(
                "aclImdb_v1.tar.gz",
                84_125_825,
                "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
                ("https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",),
            ),
        ),
    ),
    stand_in=MOVIE_SENTENCES,
    stand_in_words="stand in for IMDB, single sentences in place of whole reviews",
    items="reviews",
)

SETS: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        MNIST,
        FASHION_MNIST,
        CIFAR10,
        MOVIE_SENTENCES,
        IMDB,
        EDITORIALS,
        CHINESE_REVIEWS,
        CHINESE_PROSE,
    )
}
