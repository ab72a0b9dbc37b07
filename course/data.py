"""Data sets: the embedded sample, the verified download, the offline bundle.

One function per data set.  What it returns is the same whatever source it came from; what the
sources are is in course.datasets.sources.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from course import hardware
from course.datasets import bundles, files, phrases, sources
from course.datasets.downloads import DataError
from course.datasets.files import ARRAYS, Arrays
from course.datasets.overlap import shared_texts as shared_texts
from course.datasets.recipes import (
    CHINESE_PROSE,
    CHINESE_REVIEWS,
    CIFAR10,
    EDITORIALS,
    FASHION_MNIST,
    IMDB,
    MNIST,
    MOVIE_SENTENCES,
    Recipe,
)

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


@dataclass(frozen=True, eq=False)
class Texts:
    """A labelled set of texts, the same whatever it was loaded from.

    Texts are in no order that means anything, so that any part of the training texts can be held
    out for validation.  No text occurs twice in training, and none in training and in the test set,
    compared by letters and digits.

    Attributes:
        name, source, variant, classes: As in `Images`.
        x_train, x_test: Texts.
        y_train, y_test: Labels, uint8 [n], places in `classes`.
    """

    name: str
    source: str
    variant: str
    x_train: list[str] = field(repr=False)
    y_train: np.ndarray = field(repr=False)
    x_test: list[str] = field(repr=False)
    y_test: np.ndarray = field(repr=False)
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Documents:
    """Running text without labels: documents, each a list of its sentences in order.

    Attributes:
        name, source, variant: As in `Images`.
        x_train, x_test: Documents, each side in the order of its source.  No sentence stands on
            both sides, compared by letters and digits.
    """

    name: str
    source: str
    variant: str
    x_train: list[list[str]] = field(repr=False)
    x_test: list[list[str]] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Texts with their translations.

    Pairs are in no order that means anything, so that any part of the training pairs can be held
    out for validation.  No text of the test set stands in training, compared by letters and digits.

    Attributes:
        name, source, variant: As in `Images`; what is made on the spot counts as a sample.
        x_train, x_test: Texts in English.
        y_train, y_test: Their translations into Chinese, in the same order.
    """

    name: str
    source: str
    variant: str
    x_train: list[str] = field(repr=False)
    y_train: list[str] = field(repr=False)
    x_test: list[str] = field(repr=False)
    y_test: list[str] = field(repr=False)


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


def movie_sentences(quiet: bool = False) -> Texts:
    """English sentences from film reviews, with the feeling that people read in them.

    All of them come with the course, in every profile.  `quiet` as for `mnist`.
    """
    return load(MOVIE_SENTENCES, quiet)


def imdb(quiet: bool = False) -> Texts:
    """English film reviews, negative (1 to 4 stars of 10) or positive (7 to 10).

    Sources and `quiet` as for `mnist`, but no sample of IMDB comes with the course.  In its place
    stand the `movie_sentences`, with their own `name`.  Of the official 25,000 training reviews
    those are left out that occur twice or in the test set as well.  Line breaks stand as "<br />".
    """
    return load(IMDB, quiet)


def editorials(quiet: bool = False) -> Documents:
    """English newspaper editorials, each a list of sentences.

    All of them come with the course, in every profile.  `quiet` as for `mnist`.
    """
    return load(EDITORIALS, quiet)


def chinese_reviews(quiet: bool = False) -> Texts:
    """Chinese reviews of books, hotels and goods, negative or positive.

    All of them come with the course, in every profile.  `quiet` as for `mnist`.
    """
    return load(CHINESE_REVIEWS, quiet)


def chinese_prose(quiet: bool = False) -> Documents:
    """Paragraphs of a Chinese newspaper, each a list of sentences.

    All of them come with the course, in every profile.  `quiet` as for `mnist`.
    """
    return load(CHINESE_PROSE, quiet)


def english_chinese_phrases(num_train: int, num_test: int, quiet: bool = False) -> Pairs:
    """Dates, numbers and amounts of money in English and Chinese, made on the spot with Babel.

    The same ones each time; with more for training, the test pairs stay as they are.  No day,
    number or amount of the test set stands in training in any form.

    Args:
        num_train, num_test: How many pairs.
        quiet: As for `mnist`.
    """
    made = phrases.pairs(num_test + num_train)
    x, y = ([pair[side] for pair in made] for side in (0, 1))
    loaded = Pairs(
        "english_chinese_phrases",
        "sample",
        "sample",
        x_train=x[num_test:],
        y_train=y[num_test:],
        x_test=x[:num_test],
        y_test=y[:num_test],
    )
    if not quiet:
        print(
            f"Phrases: {num_train:,} training and {num_test:,} test pairs, written by Babel as "
            "Unicode's CLDR has it"
        )
    _record(loaded)
    return loaded


def phrases_in_unseen_forms(count: int) -> dict[str, tuple[list[str], list[str]]]:
    """Phrases in forms that `english_chinese_phrases` never has, under what is new about them.

    Returns:
        For each form, `count` texts in English and their translations into Chinese.
    """
    return {
        name: ([source for source, _ in made], [target for _, target in made])
        for name, made in phrases.unseen_forms(count).items()
    }


def tatoeba(quiet: bool = False) -> Pairs | None:
    """English sentences with Chinese translations, out of the bundle in `COURSE_DATA`.

    None where there is no such bundle, where it has none of them, and in profile "smoke".  They
    neither come with the course nor are they downloaded, for no copy is known that stays the same,
    so that it could be verified.  A bundle keeps them under the name "tatoeba", as pairs.

    Args:
        quiet: As for `mnist`.
    """
    folder = os.environ.get("COURSE_DATA")
    if hardware.profile() == "smoke" or not folder:
        return None
    try:
        arrays = bundles.read(Path(folder), "tatoeba", files.read_pairs)
    except DataError as error:
        print(f"Tatoeba: the bundle in COURSE_DATA cannot be used: {error}.")
        return None
    if arrays is None or "x_train" not in arrays:
        return None
    variant = "full" if "x_test" in arrays else "validation"
    if variant == "validation":
        cut = len(arrays["x_train"]) - len(arrays["x_train"]) // 10
        arrays = {
            f"{axis}_{split}": arrays[f"{axis}_train"][part]
            for axis in "xy"
            for split, part in (("train", slice(cut)), ("test", slice(cut, None)))
        }
    known = set(shared_texts(arrays["x_test"], arrays["x_train"]))
    kept = [place for place, text in enumerate(arrays["x_train"]) if text not in known]
    for axis in "xy":
        arrays[f"{axis}_train"] = [arrays[f"{axis}_train"][place] for place in kept]
    loaded = Pairs("tatoeba", "bundle", variant, **{key: arrays[key] for key in ARRAYS})
    if not quiet:
        print(
            f"Tatoeba: {len(loaded.x_train):,} training and {len(loaded.x_test):,} test sentences "
            f"from {SOURCES['bundle']}"
        )
    _record(loaded)
    return loaded


def load(recipe: Recipe, quiet: bool = False) -> Images | Texts | Documents:
    """The data set of a recipe from the best source that this profile may use.

    Raises:
        DataError: Even the embedded sample is missing or damaged.
    """
    smoke = hardware.profile() == "smoke"
    no_choice = smoke or not recipe.alternatives
    source, arrays, faults = ("sample", None, []) if no_choice else _best_source(recipe)
    if arrays is None:
        arrays = sources.from_sample(recipe)
    for fault in faults:
        print(f"{recipe.title}: {fault}. Used instead: {SOURCES[source]}.")
    loaded = _as_set(recipe, source, arrays)
    if not quiet:
        print(_summary(recipe, loaded, no_choice))
    _record(loaded)
    return loaded


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


def _as_set(recipe: Recipe, source: str, arrays: Arrays) -> Images | Texts | Documents:
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
    if not held.classes:
        return Documents(held.name, source, variant, arrays["x_train"], arrays["x_test"])
    parts = {key: arrays[key] for key in ARRAYS}
    form = Texts if held.image_shape is None else Images
    return form(held.name, source, variant, **parts, classes=held.classes)


def _summary(recipe: Recipe, loaded: Images | Texts | Documents, no_choice: bool) -> str:
    title, rest, items = recipe.title, f"all {sum(recipe.examples):,}", recipe.items
    if loaded.name != recipe.name:
        rest, items = f"{title} itself", recipe.stand_in.items
        title = f"{recipe.stand_in.title} {recipe.stand_in_words}"
    line = (
        f"{title}: {len(loaded.x_train):,} training and {len(loaded.x_test):,} test {items}"
        f" from {SOURCES[loaded.source]}"
    )
    if loaded.variant == "validation":
        return f"{line} (validation: part of the training {items} stands in for the test {items})"
    if loaded.source == "sample" and not no_choice:
        return f"{line}; {rest}: course data fetch {recipe.name}"
    return line


def _record(loaded: Images | Texts | Documents | Pairs) -> None:
    """Append what was loaded to the file named by `COURSE_RECORD`, where there is one."""
    if path := os.environ.get("COURSE_RECORD"):
        entry = {
            "kind": "data",
            "name": loaded.name,
            "source": loaded.source,
            "variant": loaded.variant,
        }
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
