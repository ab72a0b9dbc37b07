"""gan_tensorflow.image_batches: from one huge step to many small ones."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.checking.values import type_name
from course.models import gan_tensorflow as gan

COUNT = 23  # images of the data sets that are looked at


def _batches_cases(rng: np.random.Generator) -> Iterator[Case]:
    for batch_size in (5, 4):
        images = np.zeros((COUNT, 28, 28), "uint8")
        images[:, 3, 5] = np.arange(COUNT)  # by which an image is known again
        images[:, 20:, :9] = 255
        yield Case(
            (images, batch_size),
            judge=partial(_like_batches, images=images, batch_size=batch_size),
            call=_three_epochs_of,
        )


def _three_epochs_of(make: Callable, images: np.ndarray, batch_size: int) -> Any:
    """The batches of three epochs as arrays, or a sentence."""
    dataset = make(images, batch_size)
    if not isinstance(dataset, tf.data.Dataset):
        return (
            f"it returned {type_name(dataset)}; return the dataset. Each method gives a new one: "
            "`dataset = dataset.…`."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        return "the dataset never ends: leave `repeat` away, `fit` begins it anew in every epoch."
    if isinstance(dataset.element_spec, tuple):
        return "each element is a tuple; the game has no labels, so a batch is a tensor of images."
    return [list(dataset.as_numpy_iterator()) for _ in range(3)]


def _like_batches(got: Any, images: np.ndarray, batch_size: int) -> str | None:
    if isinstance(got, str):
        return got
    shapes = [batch.shape for batch in got[0]]
    if not shapes:
        return (
            "an epoch has no batch at all: the whole data set is one element, and `batch` waits "
            "for more of them. `from_tensor_slices` cuts it into images."
        )
    if len(shapes) == 1 and COUNT in shapes[0]:
        return (
            "the whole data set is one element, and an epoch would be a single step: "
            "`from_tensor_slices` cuts it into images, and `batch` puts some of them together."
        )
    if shapes[0][:1] != (batch_size,):
        return (
            f"the first element has shape {shapes[0]}; `batch_size` is {batch_size}, so it should "
            f"be ({batch_size}, 28, 28, 1): use `batch` once."
        )
    if shapes[0] != (batch_size, 28, 28, 1):
        return (
            f"a batch has shape {shapes[0]}; convolutions need an axis of channels at the end: "
            f"({batch_size}, 28, 28, 1), as `images[..., None]` gives it."
        )
    if shapes[-1] != shapes[0]:
        return (
            f"the last batch has {shapes[-1][0]} images only: `batch(…, drop_remainder=True)` "
            "leaves it out."
        )
    if got[0][0].dtype != np.float32:
        return f"the images have dtype {got[0][0].dtype}; they should be float32."
    return _wrong_scale(got[0][0]) or _wrong_images(got, images)


def _wrong_scale(batch: np.ndarray) -> str | None:
    lowest, highest = float(batch.min()), float(batch.max())
    if (lowest, highest) == (0, 255):
        return "the pixels still go from 0 to 255; they should go from -1 to 1."
    if (lowest, highest) == (0, 1):
        return (
            "the pixels go from 0 to 1. The generator ends with tanh and draws from -1 to 1, so "
            "real images should be on that scale too: `images / 127.5 - 1`."
        )
    if not np.isclose([lowest, highest], [-1, 1]).all():
        return f"the pixels go from {lowest:.4g} to {highest:.4g}; they should go from -1 to 1."
    return None


def _wrong_images(epochs: list[list[np.ndarray]], images: np.ndarray) -> str | None:
    orders = []
    for epoch in epochs:
        shown = np.concatenate(epoch)[..., 0]
        numbers = np.rint((shown[:, 3, 5] + 1) * 127.5).astype(int)
        if numbers.min() < 0 or numbers.max() >= COUNT:
            return "some batch holds what is no image of the set: pixels are only to be scaled."
        if difference(shown, images[numbers].astype("float32") / 127.5 - 1):
            return "the images are changed in more than their scale."
        if len(set(numbers)) < len(numbers):
            return "an epoch shows some image twice; shuffle before you batch, without `repeat`."
        orders.append(tuple(numbers))
    size = len(epochs[0][0])
    if all(order == tuple(range(len(order))) for order in orders):
        return "the images come in their own order: `shuffle` is missing."
    if all(np.ptp(group) == size - 1 for group in np.reshape(orders, (-1, size))):
        return (
            "the same images always come together: `shuffle` shuffles whatever its elements are, "
            "and after `batch` these are whole batches."
        )
    if len(set(orders)) < len(orders):
        return "every epoch has the same order: nothing after `shuffle` may be cached or fixed."
    if all(max(order[:size]) < COUNT // 2 for order in orders):
        return "the first batch holds early images only: give `shuffle` room for all of them."
    return None


BATCHES = Exercise(
    name="gan_tensorflow.image_batches",
    title="Bug hunt: one step on the whole data set",
    minutes=7,
    difficulty=1,
    reference=gan.image_batches,
    cases=_batches_cases,
    uses_randomness=True,
    hints=(
        "How many elements does the colleague's dataset have? An epoch has one step for each.",
        "`from_tensor_slices`, then `shuffle(len(images))`, then `batch(batch_size, …)`. And look "
        "at scale and shape: tanh gives -1 to 1, a convolution wants [B, 28, 28, 1].",
        '`scaled = images[..., None].astype("float32") / 127.5 - 1`, then '
        "`tf.data.Dataset.from_tensor_slices(scaled).shuffle(len(images))`, then "
        "`.batch(batch_size, drop_remainder=True)`.",
    ),
)
