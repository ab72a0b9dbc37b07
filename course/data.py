"""Data sets: the embedded sample, the verified download, the offline bundle."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True, eq=False)
class Images:
    """A labelled set of images, the same shape whatever it was loaded from.

    Attributes:
        name: The data set, such as "mnist".
        source: Where it was read from: "sample", "bundle", "cache" or "download".
        variant: What it holds, the key under which expected bands are kept: "sample", "full", or
            "validation", where the last tenth of the training images stands in for the test images.
        x_train, x_test: Images, uint8 [n, 28, 28], 0 (background) to 255.
        y_train, y_test: Labels, uint8 [n], places in `classes`.
        classes: The name of each class.
    """

    name: str
    source: str
    variant: str
    x_train: np.ndarray = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_test: np.ndarray = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    classes: tuple[str, ...]


def mnist(quiet: bool = False) -> Images:
    """Handwritten digits: grey images of 28 x 28 pixels in ten classes."""
    with np.load(SAMPLES / "mnist.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
        classes = tuple(str(name) for name in file["classes"])
    images = Images("mnist", "sample", "sample", **arrays, classes=classes)
    if not quiet:
        print(
            f"MNIST: {len(images.x_train):,} training and {len(images.x_test):,} test images"
            " from the sample that comes with the course; all 70,000: course data fetch mnist"
        )
    _record({"kind": "data", "name": "mnist", "source": "sample", "variant": "sample"})
    return images


def _record(entry: dict[str, str]) -> None:
    """Append an entry to the file named by `COURSE_RECORD`, where there is one."""
    path = os.environ.get("COURSE_RECORD")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
