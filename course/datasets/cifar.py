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
TEST_BATCHES = ("test_batch.bin",)
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
    arrays, places = {}, {}
    for split, batches, count in zip(
        ("train", "test"), (TRAIN_BATCHES, TEST_BATCHES), examples, strict=True
    ):
        arrays[f"x_{split}"] = np.empty((count, SIDE, SIDE, 3), np.uint8)
        arrays[f"y_{split}"] = np.empty(count, np.uint8)
        each = count // len(batches)
        for number, batch in enumerate(batches):
            places[batch] = split, slice(number * each, (number + 1) * each)
    sizes = {name: (part.stop - part.start) * RECORD_BYTES for name, (_, part) in places.items()}
    missing = set(places)
    for name, content in _members(path, sizes):
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
        labels = records[:, 0]
        if labels.max() >= num_classes:
            raise _refusal(
                path, f"{name} has label {labels.max()}, and there are {num_classes} classes"
            )
        split, part = places[name]
        arrays[f"y_{split}"][part] = labels
        colours_first = records[:, 1:].reshape(-1, 3, SIDE, SIDE)
        arrays[f"x_{split}"][part] = colours_first.transpose(0, 2, 3, 1)
        missing.discard(name)
    if missing:
        raise _refusal(path, f"{', '.join(sorted(missing))} is not in it")
    return arrays


def _members(path: Path, sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each batch, one at a time; anything suspicious is refused unread."""
    seen = set()
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                if place.is_absolute() or ".." in place.parts or set("\\:") & set(member.name):
                    raise _refusal(path, f"{member.name!r} reaches out of the archive's folder")
                if not (member.isreg() or member.isdir()):
                    raise _refusal(path, f"{member.name!r} is no ordinary file")
                if place in seen:
                    raise _refusal(path, f"{member.name!r} is in it twice")
                seen.add(place)
                if str(place.parent) == FOLDER and place.name in sizes:
                    wanted = sizes[place.name]
                    if member.size != wanted:
                        raise _refusal(
                            path,
                            f"{place.name} has {member.size:,} bytes instead of {wanted:,}, which"
                            f" are {wanted // RECORD_BYTES:,} records of {RECORD_BYTES:,}",
                        )
                    yield place.name, archive.extractfile(member).read()
                elif member.size > OTHER_BYTES:
                    raise _refusal(path, f"{member.name!r} is too long")
            while unpacked.read(OTHER_BYTES):
                pass  # the check sum stands at the very end
    except (*UNREADABLE, tarfile.TarError) as error:
        raise _refusal(path, "it breaks off or is not a .tar.gz archive") from error


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(f"{path.name} was refused because {reason}; update the course")
