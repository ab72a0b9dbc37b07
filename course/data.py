"""Data sets: the embedded sample, the verified download, the offline bundle.

One function per data set.  The arrays are the same whatever source they came from; what the
sources are is in course.sources.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from course import hardware
from course.datasets import bundles, sources
from course.datasets.bundles import Arrays
from course.datasets.downloads import DataError
from course.datasets.recipes import CIFAR10, FASHION_MNIST, MNIST, Recipe

SOURCES = {
    "bundle": "the offline bundle",
    "cache": "the cache of earlier downloads",
    "download": "a verified download",
    "sample": "the sample that comes with the course",
}


@dataclass(frozen=True, eq=False)
class Images:
    """A labelled set of images, the same shape whatever it was loaded from.

    Attributes:
        name: The data set, such as "mnist".
        source: Where it was read from: "sample", "bundle", "cache" or "download".
        variant: What it holds, the key under which expected bands are kept: "sample", "full", or
            "validation", where a tenth of the training images stands in for the test images.
        x_train, x_test: Images, uint8: grey [n, 28, 28], 0 (background) to 255, or in colour
            [n, 32, 32, 3], the last axis red, green and blue.
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
    """Handwritten digits: grey images of 28 x 28 pixels in ten classes.

    Profile "smoke" always takes the embedded sample.  Others take the bundle in `COURSE_DATA`,
    else what was downloaded before, else (profile "gpu" only) a download, else the sample.

    Args:
        quiet: Leave out the line that says what was loaded; faults are told all the same.
    """
    return load(MNIST, quiet)


def fashion_mnist(quiet: bool = False) -> Images:
    """Articles of clothing: grey images of 28 x 28 pixels in ten classes.

    Sources and `quiet` as for `mnist`.
    """
    return load(FASHION_MNIST, quiet)


def cifar10(quiet: bool = False) -> Images:
    """Photographs of animals and vehicles: 32 x 32 pixels in colour in ten classes.

    Sources and `quiet` as for `mnist`, but no sample of CIFAR-10 comes with the course.  In its
    place stands the sample of Fashion-MNIST in the same form (two pixels of background added on
    every side, grey repeated as red, green and blue), with its own `name` and `classes`.
    """
    return load(CIFAR10, quiet)


def load(recipe: Recipe, quiet: bool = False) -> Images:
    """The data set of a recipe from the best source that this profile may use.

    Raises:
        DataError: Even the embedded sample is missing or damaged.
    """
    smoke = hardware.profile() == "smoke"
    source, arrays, faults = ("sample", None, []) if smoke else _best_source(recipe)
    if arrays is None:
        arrays = sources.from_sample(recipe)
    for fault in faults:
        print(f"{recipe.title}: {fault}. Used instead: {SOURCES[source]}.")
    images = _as_images(recipe, source, arrays)
    if not quiet:
        print(_summary(recipe, images, smoke))
    _record(images)
    return images


def _best_source(recipe: Recipe) -> tuple[str, Arrays | None, list[str]]:
    """The source to use, its arrays (None: the sample), and what was wrong with better ones."""
    faults = []
    try:
        arrays = sources.from_bundle(recipe)
        if arrays is not None:
            return "bundle", arrays, faults
    except DataError as error:
        faults.append(f"the bundle in COURSE_DATA cannot be used: {error}")
    try:
        arrays = sources.from_cache(recipe)
        if arrays is not None:
            return "cache", arrays, faults
    except DataError as error:
        faults.append(str(error))
    if hardware.profile() == "gpu":
        print(f"{recipe.title}: downloading {recipe.megabytes:.1f} MB, this once")
        try:
            return "download", sources.from_download(recipe), faults
        except DataError as error:
            faults.append(str(error))
    return "sample", None, faults


def _as_images(recipe: Recipe, source: str, arrays: Arrays) -> Images:
    held = recipe
    if source == "sample":
        variant, held = "sample", recipe.stand_in or recipe
    elif source != "bundle" or sources.bundle_is_official(recipe, arrays):
        variant = "full"
    else:
        variant = "validation"
    if "x_test" not in arrays:
        cut = len(arrays["y_train"]) - len(arrays["y_train"]) // 10
        arrays = {
            "x_train": arrays["x_train"][:cut],
            "y_train": arrays["y_train"][:cut],
            "x_test": arrays["x_train"][cut:],
            "y_test": arrays["y_train"][cut:],
        }
    parts = {key: arrays[key] for key in bundles.ARRAYS}
    return Images(held.name, source, variant, **parts, classes=held.classes)


def _summary(recipe: Recipe, images: Images, smoke: bool) -> str:
    title, rest = recipe.title, f"all {sum(recipe.examples):,}"
    if images.name != recipe.name:
        rest = f"{title} itself"
        title = (
            f"{recipe.stand_in.title} stands in for {title}, padded to 32 x 32 pixels, its grey in"
            " all three colours"
        )
    line = (
        f"{title}: {len(images.y_train):,} training and {len(images.y_test):,} test images"
        f" from {SOURCES[images.source]}"
    )
    if images.variant == "validation":
        return f"{line} (validation: part of the training images stands in for the test images)"
    if images.source == "sample" and not smoke:
        return f"{line}; {rest}: course data fetch {recipe.name}"
    return line


def _record(images: Images) -> None:
    """Append what was loaded to the file named by `COURSE_RECORD`, where there is one."""
    if path := os.environ.get("COURSE_RECORD"):
        entry = {
            "kind": "data",
            "name": images.name,
            "source": images.source,
            "variant": images.variant,
        }
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
