"""The exercises of lesson 00: from pixels to a first classifier, the nearest average image.

The truth of every case is worked out in plain Python, number by number, without NumPy's axes.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course.checking.compare import difference, dtype_name
from course.checking.engine import Case, Exercise, Mistake
from course.models import nearest_mean as model

LESSON = "00_start_here"

# What to say instead of Python's and NumPy's own words, which name a rule and not what to do: the
# kind of error, a part of those words, and ours.
IN_PLAIN_WORDS = (
    (
        TypeError,
        r"Cannot cast ufunc",
        "`/=` cannot store fractions in an array of whole numbers; make a new array with `/`",
    ),
    (
        ValueError,
        r"cannot reshape .*\b784\b",
        "the images of this check are not 28 × 28; take the number of images from `len(images)` "
        "and let -1 work out the rest",
    ),
    (
        NameError,
        r"name '[BDHKW]' is not defined",
        "B, H, W, D and K are names for the text only; take sizes from the array, as in "
        "`len(images)` or `images.shape[1]`",
    ),
    (
        IndexError,
        r"boolean index did not match",
        "the mask and the array differ in length; make the mask from the argument, not from an "
        "array of an earlier cell",
    ),
    (
        AttributeError,
        r"'function' object has no attribute",
        "this is a function and not its result; call it first, as in `distances(x, means)`",
    ),
)


def _problem(got: Any, truth: np.ndarray) -> str | None:
    """What is wrong with the result; for an array of the lesson, also why."""
    found = difference(got, truth)
    shape = tuple(getattr(got, "shape", ()))
    if found and any(size in (28, 28 * 28) or size >= 1_000 for size in shape):
        return (
            f"the result has shape {shape}, a size that only arrays of the lesson have. Compute "
            "with the function's arguments, not with arrays of earlier cells."
        )
    return found


def _case(
    arguments: tuple[Any, ...],
    truth: np.ndarray,
    problem: Callable[[Any, np.ndarray], str | None] = _problem,
) -> Case:
    """A case that speaks to beginners, both about a result and about an error."""
    return Case(arguments, truth, judge=lambda got: problem(got, truth), call=_call)


def _call(answer: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the answer and says in plain words why it failed, where these are known."""
    try:
        return answer(*arguments)
    except (AttributeError, IndexError, NameError, TypeError, ValueError) as error:
        for kind, pattern, words in IN_PLAIN_WORDS:
            if isinstance(error, kind) and re.search(pattern, str(error)):
                # With the trace of the error, from which the message takes the line.
                raise kind(words).with_traceback(error.__traceback__) from None
        raise


def _pixel_cases(rng: np.random.Generator) -> Iterator[Case]:
    examples = [np.array([0, 51, 102], np.uint8), np.zeros((2, 1), np.uint8)]
    for shape in ((4,), (2, 3), (3, 1, 5)):
        examples.append(rng.integers(0, 256, shape).astype(np.uint8))
    for pixels in examples:
        fractions = [value / 255 for value in pixels.ravel().tolist()]
        truth = np.array(fractions, np.float32).reshape(pixels.shape)
        yield _case((pixels,), truth, _like_float32)


def _like_float32(got: Any, truth: np.ndarray) -> str | None:
    """Judges values and dtype: float64 would pass as equal, and cost twice the memory later."""
    fractions = isinstance(got, np.ndarray) and got.dtype.kind == "f"
    if fractions and got.dtype != np.float32 and not difference(got, truth.astype(got.dtype)):
        return (
            f"the values are right, the dtype is {dtype_name(got)}. Make it float32: call "
            "`.astype(np.float32)`, best before you divide."
        )
    problem = _problem(got, truth)
    if problem and not difference(got, truth * np.float32(255 / 256)):
        return "full ink, 255, should become exactly 1: divide by 255, not by 256."
    return problem


TO_UNIT_RANGE = Exercise(
    name="start.to_unit_range",
    title="Pixels from 0…255 to 0…1",
    minutes=5,
    difficulty=1,
    reference=model.to_unit_range,
    cases=_pixel_cases,
    mistakes=(
        Mistake(
            lambda pixels: pixels,
            "You gave the pixels back as they came, 0 to 255; divide them by 255.",
        ),
        Mistake(
            lambda pixels: pixels.astype(np.float32),
            "The dtype is right, but the values still go up to 255; divide them by 255.",
        ),
        Mistake(
            lambda pixels: pixels // 255,
            "All fractions are lost: `//`, or a conversion back to whole numbers, drops what "
            "comes after the point. Use `/` and end with float32.",
        ),
        Mistake(
            lambda pixels: (pixels // 255).astype(np.float32),
            "All fractions are lost: `//` drops what comes after the point. Use `/`.",
        ),
        Mistake(
            lambda pixels: np.float32(pixels / pixels.max()),
            "You divided by the largest pixel of this image, so every image would get a scale "
            "of its own; divide all of them by the same 255.",
        ),
        Mistake(
            lambda pixels: np.float32((pixels - pixels.min()) / (pixels.max() - pixels.min())),
            "You stretched this image to its own darkest and lightest pixel; divide all images "
            "by the same 255.",
        ),
        Mistake(
            lambda pixels: np.float32(1 - pixels / 255),
            "Light and dark are swapped: 0 should stay 0.",
        ),
        Mistake(
            lambda pixels: np.float32(pixels / 127.5 - 1),
            "Those values lie between -1 and 1; 0 to 1 is asked for.",
        ),
    ),
    hints=(
        "The largest value that uint8 can hold should become 1. By what do you divide?",
        "Change the dtype first, then divide the copy. (`pixels /= 255` fails: it would have to "
        "store fractions in an array of whole numbers.)",
        "`return pixels.astype(np.float32) / 255`",
    ),
)


def _image_cases(rng: np.random.Generator) -> Iterator[Case]:
    examples = [np.arange(8).reshape(2, 2, 2)]
    for shape in ((3, 2, 5), (1, 4, 3), (5, 1, 2), (4, 3, 1), (6, 3, 3)):
        examples.append(rng.random(shape, dtype=np.float32))
    for images in examples:
        rows = [[value for row in image for value in row] for image in images]
        yield _case((images,), np.array(rows))


FLATTEN = Exercise(
    name="start.flatten",
    title="Each image as one row of numbers",
    minutes=4,
    difficulty=1,
    reference=model.flatten,
    cases=_image_cases,
    mistakes=(
        Mistake(
            lambda images: images.reshape(-1),
            "All images ended up in one long row. Keep the first axis: one row for each image.",
        ),
        Mistake(
            lambda images: images.reshape(1, -1),
            "All images ended up in one long row. Keep the first axis: one row for each image.",
        ),
        Mistake(
            lambda images: images.reshape(-1, len(images)),
            "The two sizes are swapped: the number of images comes first, then the number of "
            "pixels.",
        ),
        Mistake(
            lambda images: images.reshape(len(images), -1).T,
            "Each image became a column; turn it round, one row for each image.",
        ),
        Mistake(
            lambda images: images.reshape(-1, images.shape[2]),
            "The rows of all images now stand below each other. Join the rows of each image into "
            "one row: the first size is the number of images.",
        ),
        Mistake(
            lambda images: images.reshape(len(images), -1, order="F"),
            "You read each image column by column; go row by row, as `reshape` does by itself.",
        ),
        Mistake(
            lambda images: images[0].reshape(-1),
            "That is the first image only; all images of the batch are asked for.",
        ),
        Mistake(
            lambda images: images,
            "You gave the images back as they came; their last two axes should become one.",
        ),
        Mistake(
            lambda images: images.mean(axis=2),
            "You averaged; every pixel should still be there, only in another shape.",
        ),
        Mistake(
            lambda images: images.mean(axis=(1, 2)),
            "You averaged; every pixel should still be there, only in another shape.",
        ),
    ),
    hints=(
        "`array.reshape(a, b)` arranges the same numbers in a rows of b, without changing their "
        "order.",
        "How many rows? As many as there are images: `len(images)`. The images of a check are not "
        "28 × 28, so do not write 784.",
        "A size of -1 tells NumPy to work that size out.",
        "`return images.reshape(len(images), -1)`",
    ),
)


def _class_cases(rng: np.random.Generator) -> Iterator[Case]:
    x = np.array([[0.0, 2.0], [4.0, 4.0], [10.0, 20.0]])
    yield _class_case(x, np.array([0, 1, 0]), 2)
    for batch, pixels, classes in ((7, 3, 3), (9, 4, 2), (12, 1, 5), (8, 6, 4)):
        # Every class once, the first one again, the rest by chance: so counts differ.
        labels = [*range(classes), 0, *rng.integers(classes, size=batch - classes - 1)]
        x = rng.random((batch, pixels), dtype=np.float32)
        yield _class_case(x, rng.permutation(labels).astype(np.uint8), classes)


def _class_case(x: np.ndarray, y: np.ndarray, num_classes: int) -> Case:
    truth = []
    for label in range(num_classes):
        rows = [row for row, other in zip(x.tolist(), y.tolist(), strict=True) if other == label]
        truth.append([sum(column) / len(rows) for column in zip(*rows, strict=True)])
    return _case((x, y, num_classes), np.array(truth, x.dtype))


def _each_class(rule: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """An answer that stacks `rule(x, y, label)` for one label after the other."""

    def answer(x: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
        return np.stack([rule(x, y, label) for label in range(num_classes)])

    return answer


def _counted_from_one(x: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels 1 to num_classes; no image has the last one, and the mean of nothing is NaN."""
    means = model.class_means(x, y, num_classes)
    return np.concatenate([means[1:], np.full_like(means[:1], np.nan)])


def _first_row_only(x: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    means = np.zeros((num_classes, x.shape[1]), x.dtype)
    means[0] = x[y == 0].mean(axis=0)
    return means


RETURN_IN_LOOP = (
    "Only label 0 came back: a `return` inside the loop ends the function in the first round. Move "
    "it behind the loop, with less indentation."
)

CLASS_MEANS = Exercise(
    name="start.class_means",
    title="The average image of each digit",
    minutes=8,
    difficulty=2,
    reference=model.class_means,
    cases=_class_cases,
    mistakes=(
        Mistake(
            _each_class(lambda x, y, label: x[y == label].sum(axis=0)),
            "Those are sums. An average is the sum divided by the number of images with this "
            "label, or `.mean(axis=0)`.",
        ),
        Mistake(
            _each_class(lambda x, y, label: x[y == label].sum(axis=0) / len(x)),
            "You divided by the number of all images; divide by the number of images with this "
            "label.",
        ),
        Mistake(
            _each_class(lambda x, y, label: x[y == label].sum(axis=0) / len(np.unique(y))),
            "You divided by the number of classes; divide by the number of images with this label.",
        ),
        Mistake(
            _each_class(lambda x, y, label: x.mean(axis=0)),
            "Every row is the average of all images; first pick those with label k, `x[y == k]`.",
        ),
        Mistake(
            lambda x, y, num_classes: x.mean(axis=0),
            "That is one average, of all images; one for each label is asked for.",
        ),
        Mistake(
            _each_class(lambda x, y, label: x[y == label].mean()),
            "You averaged over the pixels too, so only one number is left of each label; "
            "`.mean(axis=0)` averages over the images only.",
        ),
        Mistake(
            _each_class(lambda x, y, label: x[label]),
            "`x[k]` is the image at the position k; the images with label k are `x[y == k]`.",
        ),
        Mistake(
            _each_class(lambda x, y, label: x[y == label][0]),
            "That is the first image of each label, not the average of all of them.",
        ),
        Mistake(
            _each_class(lambda x, y, label: np.median(x[y == label], axis=0)),
            "That is the median; the average (mean) is asked for.",
        ),
        Mistake(
            _counted_from_one,
            "You counted the labels from 1; they start at 0, so use `range(num_classes)`.",
        ),
        Mistake(
            lambda x, y, num_classes: model.class_means(x, y, num_classes - 1),
            "The last label is missing: `range(num_classes)` ends before num_classes by itself.",
        ),
        Mistake(lambda x, y, num_classes: model.class_means(x, y, 1)[0], RETURN_IN_LOOP),
        Mistake(lambda x, y, num_classes: model.class_means(x, y, 1), RETURN_IN_LOOP),
        Mistake(lambda x, y, num_classes: list(model.class_means(x, y, 1)), RETURN_IN_LOOP),
        Mistake(_first_row_only, RETURN_IN_LOOP),
        Mistake(
            lambda x, y, num_classes: list(model.class_means(x, y, num_classes)),
            "The averages are right, but they are in a Python list; `np.stack(a_list)` makes one "
            "array of them.",
        ),
        Mistake(
            lambda x, y, num_classes: model.class_means(x, y, num_classes).T,
            "Rows and columns are swapped: one row for each label.",
        ),
    ),
    hints=(
        "Begin with one label k. `y == k` is True where an image has it, and `x[y == k]` keeps "
        "just those images: [count, D].",
        "`.mean(axis=0)` averages over the first axis, the images: [count, D] → [D].",
        "Do this for each k of `range(num_classes)` and collect the results in a list. "
        "`np.stack(a_list)` makes one array of it: [num_classes, D].",
        "`return np.stack([x[y == k].mean(axis=0) for k in range(num_classes)])`",
    ),
)


def _distance_table(x: np.ndarray, means: np.ndarray) -> list[list[float]]:
    """Squared distances in plain Python: one row for each image, one column for each mean."""
    return [
        [sum((a - b) ** 2 for a, b in zip(image, mean, strict=True)) for mean in means.tolist()]
        for image in x.tolist()
    ]


def _points(rng: np.random.Generator, sizes: tuple[tuple[int, int, int], ...]) -> Iterator[Any]:
    """Random images [B, D] and means [K, D] for each (B, K, D)."""
    for batch, classes, pixels in sizes:
        yield rng.normal(size=(batch, pixels)), rng.normal(size=(classes, pixels))


def _distance_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])), np.array([[25.0]]))
    # Equal sizes in the middle: there a wrong axis leaves the shape right.
    for x, means in _points(rng, ((2, 3, 4), (4, 4, 4), (3, 3, 2), (1, 4, 6))):
        yield _case((x, means), np.array(_distance_table(x, means)))


def _from_differences(rule: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    return lambda x, means: rule(x[:, None] - means)


DISTANCES = Exercise(
    name="start.distances",
    title="Bug hunt: the distances",
    minutes=6,
    difficulty=2,
    reference=model.distances,
    cases=_distance_cases,
    mistakes=(
        Mistake(
            _from_differences(lambda d: (d**2).sum(axis=1)),
            "The sum still runs over axis 1. In [B, K, D] that is K, the means; add up over the "
            "pixels.",
        ),
        Mistake(
            _from_differences(lambda d: (d**2).sum(axis=0)),
            "The sum runs over axis 0. In [B, K, D] that is B, the images; add up over the pixels.",
        ),
        Mistake(
            _from_differences(lambda d: (d**2).sum()),
            "You added up everything, so one number is left; add up over the pixels only.",
        ),
        Mistake(
            _from_differences(lambda d: (d**2).sum(axis=2, keepdims=True)),
            "The pixels are added up, but an axis of size 1 is left; drop `keepdims=True`.",
        ),
        Mistake(
            _from_differences(lambda d: (d**2).mean(axis=2)),
            "That is the average over the pixels; the sum is asked for.",
        ),
        Mistake(
            _from_differences(lambda d: d.sum(axis=2)),
            "The square is missing, so positive and negative differences cancel.",
        ),
        Mistake(
            _from_differences(lambda d: (d * 2).sum(axis=2)),
            "You doubled the differences; `difference**2`, with two stars, squares them.",
        ),
        Mistake(
            _from_differences(lambda d: d.sum(axis=2) ** 2),
            "Square first, then add up; otherwise positive and negative differences cancel.",
        ),
        Mistake(
            _from_differences(lambda d: np.abs(d).sum(axis=2)),
            "You added up absolute differences; squared ones are asked for.",
        ),
        Mistake(
            _from_differences(lambda d: np.sqrt((d**2).sum(axis=2))),
            "You took the square root; the squared distance is asked for, and it gives the same "
            "order.",
        ),
        Mistake(
            _from_differences(lambda d: (d**2).sum(axis=2).T),
            "Rows and columns are swapped: one row for each image, one column for each mean.",
        ),
        Mistake(
            lambda x, means: ((x - means) ** 2).sum(axis=1),
            "Without the extra axis of `x[:, None]`, image i meets only mean i; every image "
            "should meet every mean.",
        ),
        Mistake(
            lambda x, means: x @ means.T,
            "`@` measures how much two images overlap, which is not a distance; take differences.",
        ),
    ),
    hints=(
        "Name the axes of `difference`: [B, K, D]. Which of the three should be gone in the "
        "result [B, K]?",
        "The axis that you name in `sum(axis=…)` is the one that disappears. Axes are counted "
        "from 0.",
        "The pixels D are axis 2: `.sum(axis=2)`.",
    ),
)


def _nearest_cases(rng: np.random.Generator) -> Iterator[Case]:
    first = np.array([[1.0, 0.0]]), np.array([[0.0, 9.0], [1.0, 1.0], [5.0, 5.0]])
    for x, means in (first, *_points(rng, ((5, 3, 2), (3, 5, 6), (4, 4, 4), (1, 6, 3)))):
        table = _distance_table(x, means)
        truth = np.array([row.index(min(row)) for row in table])
        yield _case((x, means), truth, _label_problem)


def _label_problem(got: Any, truth: np.ndarray) -> str | None:
    """As `_problem`; numbers with a fraction cannot be labels."""
    if isinstance(got, np.ndarray) and got.shape == truth.shape and got.dtype.kind == "f":
        return (
            f"the result has dtype {dtype_name(got)}; labels are whole numbers, the positions that "
            "`argmin` gives."
        )
    return _problem(got, truth)


NEAREST_MEAN = Exercise(
    name="start.nearest_mean",
    title="The nearest average wins",
    minutes=3,
    difficulty=1,
    reference=model.nearest_mean,
    cases=_nearest_cases,
    mistakes=(
        Mistake(
            lambda x, means: model.distances(x, means).argmax(axis=1),
            "You chose the farthest mean: `argmax` finds the largest distance.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).argmin(axis=0),
            "You looked for the nearest image of each mean. In [B, K] the means are axis 1.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).argmin(),
            "Without an axis, `argmin` searches the whole table and gives one position; one for "
            "each image is asked for.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).min(axis=1),
            "That is the smallest distance; the label is its position, which `argmin` gives.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).mean(axis=1),
            "That is the average distance from all means; labels are whole numbers, the positions "
            "that `argmin` gives.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means),
            "Those are the distances themselves; say which one is the smallest for each image.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).argsort(axis=1),
            "That orders all means for each image; only the nearest one is asked for.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).argmin(axis=1) + 1,
            "Labels start at 0, as positions do: nothing needs to be added.",
        ),
        Mistake(
            lambda x, means: means[model.distances(x, means).argmin(axis=1)],
            "Those are the nearest average images; their labels are asked for.",
        ),
        Mistake(
            lambda x, means: model.distances(x, means).argmin(axis=1, keepdims=True),
            "The labels are right, but they stand in a column; drop `keepdims=True`.",
        ),
        Mistake(
            lambda x, means: (x @ means.T).argmax(axis=1),
            "You chose the mean with the largest overlap, which favours means with much ink; "
            "use `distances`.",
        ),
    ),
    hints=(
        "`distances(x, means)` has one row for each image and one column for each label: [B, K].",
        "`table.argmin(axis=…)` gives the position of the smallest number along that axis. Which "
        "axis should disappear, so that one label for each image, [B], is left?",
        "`return distances(x, means).argmin(axis=1)`",
    ),
)

EXERCISES = (TO_UNIT_RANGE, FLATTEN, CLASS_MEANS, DISTANCES, NEAREST_MEAN)
