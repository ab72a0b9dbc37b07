"""Where each data set comes from, and how every copy of it is known to be genuine."""

import gzip
import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.datasets import bundles
from course.datasets.bundles import ARRAYS
from course.datasets.downloads import DataError, RemoteFile, fetch_any, is_complete, sha256_of

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """A data set of grey images: what it holds and where it can be had.

    Attributes:
        name: Name in commands, bundles and results.
        title: Name for people.
        classes: The name of each class.
        image_shape: Height and width in pixels.
        examples: Number of images of the official training and test split.
        licence: The licence as stated; the card beside the sample says more.
        sample: The embedded sample, an .npz file, and the SHA-256 of its content.
        official: `fingerprint` of each array of the official splits.
        alternatives: Sets of files that each hold the whole: one .npz, or four .gz in IDX form
            in the order of `ARRAYS`.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    examples: tuple[int, int]
    licence: str
    sample: Path
    sample_sha256: str
    official: dict[str, str]
    alternatives: tuple[tuple[RemoteFile, ...], ...]

    @property
    def megabytes(self) -> float:
        """Length of the download that is tried first, in MB (10⁶ bytes)."""
        return sum(file.size for file in self.alternatives[0]) / 1e6

    @property
    def cache(self) -> Path:
        """Folder of downloaded files: in `COURSE_CACHE`, or the system's place for caches."""
        import platformdirs

        root = os.environ.get("COURSE_CACHE")
        return Path(root or platformdirs.user_cache_dir("foundation-models-hands-on")) / self.name


def from_sample(recipe: Recipe) -> Arrays:
    """The embedded sample, the one source that is always there."""
    if not recipe.sample.is_file() or sha256_of(recipe.sample) != recipe.sample_sha256:
        raise DataError(f"{recipe.sample} is missing or damaged; install the course again")
    return bundles.read_npz(recipe.sample)


def from_bundle(recipe: Recipe) -> Arrays | None:
    """What the bundle in `COURSE_DATA` holds, or None where there is none of it."""
    folder = os.environ.get("COURSE_DATA")
    arrays = bundles.read(Path(folder), recipe.name) if folder else None
    return None if arrays is None else _checked(recipe, arrays)


def from_cache(recipe: Recipe) -> Arrays | None:
    """What was downloaded earlier, or None where that is nothing or not all of it."""
    for files in recipe.alternatives:
        if is_complete(files, recipe.cache):
            return _decoded(recipe, files)
    present = [file for files in recipe.alternatives for file in files]
    for file in present:
        path = recipe.cache / file.name
        if os.path.exists(path) and not is_complete([file], recipe.cache):
            raise DataError(f"{path} is damaged; mend it with: course data fetch {recipe.name}")
    return None


def from_download(recipe: Recipe) -> Arrays:
    """The official files, downloaded into the cache and verified."""
    return _decoded(recipe, fetch_any(recipe.alternatives, recipe.cache))


def is_official(recipe: Recipe, arrays: Arrays) -> bool:
    """Whether these are the official training and test splits, in the official order."""
    return all(key in arrays and fingerprint(arrays[key]) == recipe.official[key] for key in ARRAYS)


def fingerprint(array: np.ndarray) -> str:
    """SHA-256 of a uint8 array written as an IDX file: of its shape and its content."""
    digest = hashlib.sha256(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape))
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _decoded(recipe: Recipe, files: Sequence[RemoteFile]) -> Arrays:
    """The official arrays in files of the cache, whose own hashes are known to be right."""
    paths = [recipe.cache / file.name for file in files]
    if len(paths) == 1:
        arrays = bundles.read_npz(paths[0])
    else:
        arrays = {key: _read_idx(path) for key, path in zip(ARRAYS, paths, strict=True)}
    arrays = _checked(recipe, arrays)
    if not is_official(recipe, arrays):
        raise DataError(f"{paths[0]} does not hold the official images; update the course")
    return arrays


def _read_idx(path: Path) -> np.ndarray:
    """A gzipped IDX file of bytes: 0, 0, type 8, number of axes, lengths, then the content."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise DataError(f"{path.name} is not an IDX file of bytes")
    num_axes = content[3]
    shape = struct.unpack_from(f">{num_axes}I", content, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * num_axes).reshape(shape).copy()


def _checked(recipe: Recipe, arrays: Arrays) -> Arrays:
    """The arrays of both splits, or of training alone, once they are what lessons rely on."""
    splits = ("train", "test") if arrays.get("x_test") is not None else ("train",)
    for split in splits:
        x, y = arrays.get(f"x_{split}"), arrays.get(f"y_{split}")
        if not all(isinstance(array, np.ndarray) and array.dtype == np.uint8 for array in (x, y)):
            raise DataError(f"its x_{split} and y_{split} are not uint8 arrays; make it again")
        if x.shape != (len(x), *recipe.image_shape) or y.shape != (len(x),):
            raise DataError(
                f"its x_{split} {x.shape} and y_{split} {y.shape} do not fit {recipe.title}"
            )
        if not len(y) or y.max() >= len(recipe.classes):
            raise DataError(
                f"its y_{split} is empty or has labels beyond {len(recipe.classes) - 1}"
            )
    return {f"{axis}_{split}": arrays[f"{axis}_{split}"] for split in splits for axis in "xy"}


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
    sample=Path(__file__).parents[1] / "samples" / "mnist.npz",
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
