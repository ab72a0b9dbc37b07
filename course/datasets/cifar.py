"""CIFAR-10's binary archive, read in memory: nothing of it is ever unpacked on disk.

Each of its batches is a row of records: one byte for the label, then 1,024 bytes each for the red,
green and blue of an image, row by row (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from course.datasets import archives
from course.datasets.archives import Unwanted
from course.datasets.files import Arrays

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
    for place, content in archives.read(path, partial(_is_batch, sizes=sizes)):
        images, labels = places.pop(place.name)
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
        labels[:] = records[:, 0]
        images[:] = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        if labels.max() >= num_classes:
            classes = f"the classes are 0 to {num_classes - 1}"
            raise archives.refusal(path, f"{place.name} has label {labels.max()}, and {classes}")
    if places:
        raise archives.refusal(path, f"{', '.join(places)} is not in it")
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def _room_for(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((count, SIDE, SIDE, 3), np.uint8), np.empty(count, np.uint8)


def _is_batch(place: PurePosixPath, size: int, sizes: Mapping[str, int]) -> bool:
    """Whether a file of the archive is a batch, which must have the size that belongs to it."""
    if str(place.parent) != FOLDER or place.name not in sizes:
        if size > OTHER_BYTES:
            raise Unwanted("is too long")
        return False
    wanted = sizes[place.name]
    if size != wanted:
        records = f"{wanted // RECORD_BYTES:,} records of {RECORD_BYTES:,}"
        raise Unwanted(f"has {size:,} bytes instead of {wanted:,}, which are {records}")
    return True
