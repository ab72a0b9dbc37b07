"""resnet_tensorflow.residual_block: the residual block as a plan."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.exercises.resnet_tensorflow.shared import (
    ADVICE,
    convolved,
    drawn,
    fill,
    model_of,
    normalised,
    scale_and_bias,
)
from course.models import resnet_tensorflow as resnet


def _block_cases(rng: np.random.Generator) -> Iterator[Case]:
    for in_channels, channels, stride in ((2, 2, 1), (2, 4, 2), (1, 3, 1)):
        x = drawn(rng, 2, 6, 6, in_channels)
        weights = []
        for inputs in (in_channels, channels):
            weights += [drawn(rng, 3, 3, inputs, channels), *scale_and_bias(rng, channels)]
        change = _change(x, weights, stride)
        way_around = np.pad(
            x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, channels - in_channels))
        )
        truth = np.maximum(change + way_around, 0)
        yield Case(
            (x, channels, stride),
            truth,
            judge=partial(_like_block, truth=truth, change=change, way_around=way_around),
            call=partial(_output_of_block, weights=weights),
            names=("x", "channels", "stride"),
        )


def _change(x: np.ndarray, weights: list[np.ndarray], stride: int) -> np.ndarray:
    """What the two convolutions with batch norm make of x, without Keras's layers."""
    x = np.maximum(normalised(convolved(x, weights[0], stride), *weights[1:3]), 0)
    return normalised(convolved(x, weights[3], 1), *weights[4:])


def _output_of_block(
    make: Callable, x: np.ndarray, channels: int, stride: int, weights: list[np.ndarray]
) -> Any:
    try:
        model = model_of(make, x, channels, stride)
    except ValueError as error:
        if any(words in str(error) for words in ("same shape", "roadcast", "incompatible shapes")):
            return (
                "the two ways end in different shapes and cannot be added. Where a block changes "
                "the shape, `shortcut(x, channels, stride)` brings x to the new one; the "
                "stride belongs to the first convolution only."
            )
        raise
    if isinstance(model, str):
        return model
    return fill(model, weights) or model(x, training=True).numpy()


def _like_block(
    got: Any, truth: np.ndarray, change: np.ndarray, way_around: np.ndarray
) -> str | None:
    if isinstance(got, str):
        return got
    positive = np.maximum(change, 0)
    known = (
        (positive, "the input takes no way around: add `shortcut(x, channels, stride)`."),
        (change + way_around, "the last ReLU is missing: it comes after the sum."),
        (
            positive + way_around,
            "you added after ReLU. Add first: the change must be able to be negative too.",
        ),
        (np.maximum(way_around - change, 0), "one way is subtracted from the other; add them."),
        (np.maximum(change - way_around, 0), "one way is subtracted from the other; add them."),
        (np.maximum(change * way_around, 0), "the two ways are multiplied; add them."),
        (truth / 2, "that is the mean of the two ways; add them, so that x passes whole."),
        (2 * positive, "the body's result is added to itself; the shortcut starts from x."),
        (
            positive + np.maximum(way_around, 0),
            "ReLU was applied to each way; add first, then apply it once to the sum.",
        ),
        (
            np.maximum(change + np.maximum(way_around, 0), 0),
            "ReLU was applied to x on its way around; x passes as it is.",
        ),
    )
    if got.shape == (*truth.shape[:-1], 2 * truth.shape[-1]):
        return "the two ways stand side by side as channels; add them."
    problem = difference(got, truth)
    if problem is None:
        return None
    for other, sentence in known:
        if difference(got, other.astype("float32")) is None:
            return sentence
    return f"{problem} Is the body conv_norm, ReLU, conv_norm, with the stride in the first?"


BLOCK = Exercise(
    name="resnet_tensorflow.residual_block",
    title="The residual block as a plan",
    minutes=8,
    difficulty=2,
    reference=resnet.residual_block,
    cases=_block_cases,
    uses_randomness=True,
    hints=(
        "The colleague's block has all parts. Which line is missing, and what should the last "
        "ReLU be called on?",
        "Two ways lead from x to the end: `change`, and `shortcut(x, channels, stride)`. "
        "They are added, and ReLU comes after the sum.",
        "`total = keras.layers.Add()([change, shortcut(x, channels, stride)])`, then "
        "`return keras.layers.ReLU()(total)`.",
    ),
    advice=(
        (
            r"too many positional arguments|Merge\.__init__\(\) takes",
            "The layer is made by `keras.layers.Add()` and then called on one list: "
            "`keras.layers.Add()([a, b])`.",
        ),
        *ADVICE,
    ),
)
