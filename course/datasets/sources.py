"""Reading a data set from each of its sources; every copy is checked before it is used."""

import gzip
import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from course.datasets import bundles, cifar, files, imdb, overlap
from course.datasets.downloads import DataError, RemoteFile, fetch_any, is_complete, sha256_of
from course.datasets.files import ARRAYS, SPLITS, UNREADABLE, Arrays
from course.datasets.recipes import Recipe


def from_sample(recipe: Recipe) -> Arrays:
    """The embedded sample, or the one that stands in: the source that is always there."""
    if recipe.stand_in is not None:
        arrays = from_sample(recipe.stand_in)
        if recipe.image_shape is None:
            return arrays
        return arrays | {key: _in_colour(arrays[key], recipe) for key in ("x_train", "x_test")}
    if not recipe.sample.is_file() or sha256_of(recipe.sample) != recipe.sample_sha256:
        raise DataError(f"{recipe.sample} is missing or damaged; install the course again")
    return files.read(recipe.sample)


def from_bundle(recipe: Recipe) -> Arrays | None:
    """What the bundle in `COURSE_DATA` holds, or None where there is none of it."""
    folder = os.environ.get("COURSE_DATA")
    arrays = bundles.read(Path(folder), recipe.name) if folder else None
    return None if arrays is None else _checked(recipe, arrays)


def from_cache(recipe: Recipe) -> Arrays | None:
    """What was downloaded earlier, or None where that is nothing or not all of it."""
    for remote_files in recipe.alternatives:
        if is_complete(remote_files, recipe.cache):
            return _decoded(recipe, remote_files)
    present = [file for remote_files in recipe.alternatives for file in remote_files]
    for file in present:
        path = recipe.cache / file.name
        if os.path.exists(path) and not is_complete([file], recipe.cache):
            raise DataError(f"{path} is damaged; mend it with: course data fetch {recipe.name}")
    return None


def from_download(recipe: Recipe) -> Arrays:
    """The official files, downloaded into the cache and verified."""
    remote_files = fetch_any(recipe.alternatives, recipe.cache)
    try:
        return _decoded(recipe, remote_files)
    except DataError:
        for file in remote_files:
            (recipe.cache / file.name).unlink(missing_ok=True)
        raise


def is_official(recipe: Recipe, arrays: Arrays) -> bool:
    """Whether these are the official training and test splits, in the official order."""
    return all(key in arrays and fingerprint(arrays[key]) == recipe.official[key] for key in ARRAYS)


def bundle_is_official(recipe: Recipe, arrays: Arrays) -> bool:
    """Whether these arrays of the bundle in `COURSE_DATA` are the official splits.

    Where the fingerprints of those are not known, the bundle's word for its origin counts.
    """
    if recipe.official is not None:
        return is_official(recipe, arrays)
    entry = bundles.read_manifest(Path(os.environ["COURSE_DATA"]))[recipe.name]
    return entry.get("source_sha256") == [file.sha256 for file in recipe.alternatives[0]]


def fingerprint(array: np.ndarray) -> str:
    """SHA-256 of a uint8 array written as an IDX file: of its shape and its content."""
    digest = hashlib.sha256(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape))
    digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _in_colour(images: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Grey images [n, h, w] → the recipe's [n, H, W, 3]: black around them, grey thrice."""
    height, width, channels = recipe.image_shape
    around = [
        (total - own) // 2 for total, own in zip((height, width), images.shape[1:], strict=True)
    ]
    padded = np.pad(images, [(0, 0), *((margin, margin) for margin in around)])
    return np.repeat(padded[..., np.newaxis], channels, axis=-1)


def _decoded(recipe: Recipe, remote_files: Sequence[RemoteFile]) -> Arrays:
    """The official arrays in files of the cache, whose own hashes are known to be right."""
    paths = [recipe.cache / file.name for file in remote_files]
    if len(paths) == len(ARRAYS):
        arrays = {key: _read_idx(path) for key, path in zip(ARRAYS, paths, strict=True)}
    elif recipe.image_shape is None:
        arrays = imdb.read_archive(paths[0], recipe.examples)
    elif paths[0].name.endswith(".tar.gz"):
        arrays = cifar.read_archive(paths[0], recipe.examples, len(recipe.classes))
    else:
        arrays = files.read_npz(paths[0])
    arrays = _checked(recipe, arrays)
    if recipe.official is not None and not is_official(recipe, arrays):
        raise DataError(f"{paths[0]} does not hold the official images; update the course")
    return arrays


def _read_idx(path: Path) -> np.ndarray:
    """A gzipped IDX file of bytes: 0, 0, type 8, number of axes, lengths, then the content."""
    try:
        content = gzip.decompress(path.read_bytes())
        if content[:3] != b"\0\0\x08":
            raise ValueError("The first bytes of an IDX file of bytes are missing.")
        num_axes = content[3]
        shape = struct.unpack_from(f">{num_axes}I", content, 4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * num_axes).reshape(shape).copy()
    except (*UNREADABLE, IndexError, struct.error) as error:
        raise DataError(f"{path.name} is not a readable IDX file of bytes") from error


def _checked(recipe: Recipe, arrays: Arrays) -> Arrays:
    """The arrays of both splits, or of training alone, once they are what lessons rely on."""
    if "classes" in arrays and tuple(map(str, arrays["classes"])) != recipe.classes:
        raise DataError(f"its classes are not those of {recipe.title}; make it again")
    splits = SPLITS if arrays.get("x_test") is not None else ("train",)
    check = _check_texts if recipe.image_shape is None else _check_images
    for split in splits:
        check(recipe, split, arrays.get(f"x_{split}"), arrays.get(f"y_{split}"))
    arrays = {f"{axis}_{split}": arrays[f"{axis}_{split}"] for split in splits for axis in "xy"}
    if recipe.image_shape is None:
        arrays = overlap.without_repeats(arrays)
    for split in splits:
        y = arrays[f"y_{split}"]
        if not len(y) or y.max() >= len(recipe.classes):
            raise DataError(
                f"its y_{split} is empty or has labels beyond {len(recipe.classes) - 1}"
            )
    return arrays


def _check_images(recipe: Recipe, split: str, x: object, y: object) -> None:
    if not all(isinstance(array, np.ndarray) and array.dtype == np.uint8 for array in (x, y)):
        raise DataError(f"its x_{split} and y_{split} are not uint8 arrays; make it again")
    if x.shape != (len(x), *recipe.image_shape) or y.shape != (len(x),):
        raise DataError(
            f"its x_{split} {x.shape} and y_{split} {y.shape} do not fit {recipe.title}"
        )


def _check_texts(recipe: Recipe, split: str, x: object, y: object) -> None:
    """Reading a file of texts has made sure of their types, and an .npz file has none."""
    if not isinstance(x, list) or y is None or len(x) != len(y):
        raise DataError(f"not every text for {split} has one label; make it again")
