"""CIFAR-10's binary archive, read in memory: nothing of it is ever unpacked on disk.

Each of its batches is a row of records: one byte for the label, then 1,024 bytes each for the red,
green and blue of an image, row by row (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import gzip
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from course.datasets.bundles import UNREADABLE, Arrays
from course.datasets.downloads import DataError

FOLDER = "cifar-10-batches-bin"
TRAIN_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCH = "test_batch.bin"
OTHER_BYTES = 10_000
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE


def read_archive(path: Path, examples: tuple[int, int], num_classes: int) -> Arrays:
    """The images, uint8 [n, 32, 32, 3], and labels, uint8 [n], of both splits.

    Args:
        path: The archive, a .tar.gz file.
        examples: Number of images of the training split, over five batches, and the test split.
        num_classes: Labels are below it.

    Raises:
        DataError: The archive is damaged, incomplete, or holds anything that CIFAR-10's does not.
    """
    (x_train, y_train), (x_test, y_test) = map(_room_for, examples)
    parts = (np.split(array, len(TRAIN_BATCHES)) for array in (x_train, y_train))
    places = dict(zip(TRAIN_BATCHES, zip(*parts, strict=True), strict=True))
    places[TEST_BATCH] = x_test, y_test
    sizes = {name: len(y) * RECORD_BYTES for name, (_, y) in places.items()}
    for name, content in _batches(path, sizes):
        images, labels = places.pop(name)
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
        labels[:] = records[:, 0]
        images[:] = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        if labels.max() >= num_classes:
            classes = f"the classes are 0 to {num_classes - 1}"
            raise _refusal(path, f"{name} has label {labels.max()}, and {classes}")
    if places:
        raise _refusal(path, f"{', '.join(places)} is not in it")
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _room_for(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((count, SIDE, SIDE, 3), np.uint8), np.empty(count, np.uint8)


def _batches(path: Path, sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each batch, one at a time; anything suspicious is refused unread."""
    seen = set()
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                is_batch = str(place.parent) == FOLDER and place.name in sizes
                if fault := _fault(member, place, sizes[place.name] if is_batch else None):
                    raise _refusal(path, f"{member.name!r} {fault}")
                if place in seen:
                    raise _refusal(path, f"{member.name!r} is in it twice")
                seen.add(place)
                if is_batch:
                    yield place.name, archive.extractfile(member).read()
            while unpacked.read(OTHER_BYTES):
                pass  # the check sum stands at the very end
    except (*UNREADABLE, tarfile.TarError) as error:
        raise _refusal(path, "it breaks off or is not a .tar.gz archive") from error


def _fault(member: tarfile.TarInfo, place: PurePosixPath, batch_bytes: int | None) -> str | None:
    """What is wrong with a member, where something is; only a batch must have a certain size."""
    if place.is_absolute() or ".." in place.parts or set("\\:") & set(member.name):
        return "reaches out of the archive's folder"
    if not (member.isreg() or member.isdir()):
        return "is no ordinary file"
    if batch_bytes is None:
        return "is too long" if member.size > OTHER_BYTES else None
    if member.size != batch_bytes:
        records = f"{batch_bytes // RECORD_BYTES:,} records of {RECORD_BYTES:,}"
        return f"has {member.size:,} bytes instead of {batch_bytes:,}, which are {records}"
    return None


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"{path.name} was refused because {reason}; update the course")
