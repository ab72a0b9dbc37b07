"""resnet_tensorflow.training_batches: the order of the steps of a pipeline."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.checking.values import type_name
from course.models import resnet_tensorflow as resnet

BATCH, COUNT, EPOCHS = 6, 40, 4  # of the pipelines that are looked at


def _batches_cases(rng: np.random.Generator) -> Iterator[Case]:
    images = np.broadcast_to(np.arange(1.0, COUNT + 1)[:, None, None, None], (COUNT, 2, 2, 1))
    labels = rng.permutation(COUNT)
    yield Case(
        (images.astype("float32"), labels, BATCH, _brighten),
        judge=partial(_like_pipeline, labels=labels),
        call=_epochs_of,
        names=("images", "labels", "batch_size", "augment"),
    )


def _brighten(image: tf.Tensor) -> tf.Tensor:
    """Adds one random number to all pixels, so that a pixel tells image and change.

    It keeps away from 0 and 1: beside a pixel of 40, `float32` would round 0.999999 up to 1.
    """
    return image + tf.random.uniform((), 0.1, 0.9)


def _epochs_of(make: Callable, *arguments: Any) -> Any:
    """All batches of some epochs as arrays, or a sentence.

    With a fixed seed, as in the lesson: then what `map` draws begins anew in every epoch.
    """
    tf.random.set_seed(0)  # the engine puts back what was there
    dataset = make(*arguments)
    if not isinstance(dataset, tf.data.Dataset):
        return (
            f"it returned {type_name(dataset)}; return the dataset. Each method gives a new one: "
            "`dataset = dataset.…`."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        return "the dataset never ends: leave `repeat` away, `fit` begins it anew in every epoch."
    epochs = [list(dataset.as_numpy_iterator()) for _ in range(EPOCHS)]
    pair = all(isinstance(batch, tuple) and len(batch) == 2 for batch in epochs[0])
    if not pair:
        return "its elements should be pairs (images, labels)."
    if np.ndim(epochs[0][0][0]) == 1 and np.ndim(epochs[0][0][1]) == 4:
        return "its pairs are (labels, images); they should be (images, labels)."
    if np.ndim(epochs[0][0][0]) != 4 or np.ndim(epochs[0][0][1]) != 1:
        return (
            f"the first element holds images of shape {np.shape(epochs[0][0][0])} and labels of "
            f"shape {np.shape(epochs[0][0][1])}; they should be [B, H, W, C] and [B]: use `batch` "
            "once."
        )
    return epochs


def _like_pipeline(got: Any, labels: np.ndarray) -> str | None:
    if isinstance(got, str):
        return got
    seen = []  # of each epoch: number and change of every image, batch by batch
    for epoch in got:
        pixels = [images[:, 0, 0, 0] for images, _ in epoch]
        numbers = [np.floor(values).astype(int) - 1 for values in pixels]
        for number, (_, given) in zip(numbers, epoch, strict=True):
            if difference(given, labels[number]):
                return "images and labels no longer belong together: shuffle them as pairs."
        changes = [values - np.floor(values) for values in pixels]
        seen.append((numbers, changes))
    return _wrong_batches([numbers for numbers, _ in seen]) or _wrong_changes(seen)


def _wrong_batches(epochs: list[list[np.ndarray]]) -> str | None:
    """epochs: the numbers of the images in every batch."""
    sizes = [len(numbers) for numbers in epochs[0]]
    if sum(sizes) < COUNT:
        return (
            f"an epoch has {sum(sizes)} of the {COUNT} images; keep the last batch too, though it "
            "is smaller."
        )
    if any(sorted(np.concatenate(numbers)) != list(range(COUNT)) for numbers in epochs):
        return "an epoch should show every image exactly once."
    if max(sizes) != BATCH or sum(size < BATCH for size in sizes) > 1:
        return f"the batches have the sizes {sizes}; `batch_size` is {BATCH}."
    groups = [{tuple(sorted(numbers)) for numbers in epoch} for epoch in epochs]
    orders = [tuple(np.concatenate(epoch)) for epoch in epochs]
    if tuple(range(COUNT)) in orders:
        return "the images come in their own order: `shuffle` is missing."
    if groups[0] == groups[1]:
        return (
            "the same images always come together: `shuffle` shuffles whatever its elements are, "
            "and after `batch` these are whole batches."
            if orders[0] != orders[1]
            else "every epoch has the same order, which was drawn only once. Let the dataset "
            "draw it: `shuffle`, with its option `reshuffle_each_iteration` left on and no `cache` "
            "after it."
        )
    if max(max(epoch[0]) for epoch in epochs) < COUNT // 2:
        return (
            "the first batch holds early images only: the buffer of `shuffle` is too small; "
            "`len(images)` fits all."
        )
    return None


def _wrong_changes(seen: list[tuple[list[np.ndarray], list[np.ndarray]]]) -> str | None:
    # Beside a number of up to 40, `float32` leaves a change about five digits.
    if all(np.ptp(part) < 1e-4 for _, changes in seen for part in changes):
        if not any(part.any() for _, changes in seen for part in changes):
            return "`augment` is never called."
        return (
            "all images of a batch get the same change: `map` works on whatever the elements are, "
            "and after `batch` these are whole batches."
        )
    by_image = []
    for numbers, changes in seen:
        order = np.argsort(np.concatenate(numbers))
        by_image.append(np.concatenate(changes)[order])
    if np.allclose(by_image[0], by_image[1], atol=1e-4):
        return (
            "every image looks the same in all epochs: its first change was kept, or drawn "
            "again. `augment` belongs into `map`, behind `shuffle`, since with a fixed seed `map` "
            "draws the same numbers in every epoch; and `cache`, which keeps what comes in, may "
            "only stand before what is random."
        )
    return None


BATCHES = Exercise(
    name="resnet_tensorflow.training_batches",
    title="Bug hunt: the order of a pipeline",
    minutes=7,
    difficulty=2,
    reference=resnet.training_batches,
    cases=_batches_cases,
    uses_randomness=True,
    hints=(
        "What are the elements of the dataset at each line: images or batches? `shuffle` and "
        "`map` work on elements.",
        "`cache` keeps what came in at the first time. What must be new in each epoch comes after "
        "it; or leave it out, since the images are in memory anyway.",
        "The order is: from_tensor_slices, shuffle, map, batch, prefetch.",
    ),
    advice=(
        (
            r"takes \d positional arguments? but \d were given",
            "The elements are pairs, and `map` hands over both: `lambda image, label: "
            "(augment(image), label)`.",
        ),
    ),
)
