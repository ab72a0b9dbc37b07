"""resnet_tensorflow.conv_norm: a layer, translated from PyTorch."""

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


def _conv_cases(rng: np.random.Generator) -> Iterator[Case]:
    for batch, size, in_channels, channels, stride in (
        (1, 4, 1, 2, 2),
        (2, 5, 2, 3, 1),
        (3, 6, 3, 2, 2),
    ):
        # Small numbers, so that epsilon counts.
        x = 0.01 * drawn(rng, batch, size, size, in_channels)
        weights = [drawn(rng, 3, 3, in_channels, channels), *scale_and_bias(rng, channels)]
        truth = _truth_of_norm(x, weights, stride)
        yield Case(
            (x, channels, stride),
            truth,
            judge=partial(_like_norm, truth=truth, x=x, weights=weights, stride=stride),
            call=partial(_seen_of_norm, weights=weights),
            names=("x", "channels", "stride"),
        )


def _truth_of_norm(x: np.ndarray, weights: list[np.ndarray], stride: int) -> dict[str, Any]:
    z = convolved(x, weights[0], stride)
    return {
        "output in training": normalised(z, *weights[1:]),
        "running mean": 0.1 * z.mean(axis=(0, 1, 2)),
        "running variance": 0.9 + 0.1 * z.var(axis=(0, 1, 2)),
    }


def _seen_of_norm(
    make: Callable, x: np.ndarray, channels: int, stride: int, weights: list[np.ndarray]
) -> Any:
    """What the layers compute in one batch of training, or a sentence."""
    model = model_of(make, x, channels, stride)
    if isinstance(model, str):
        return model
    if problem := fill(model, weights):
        return problem
    output = model(x, training=True).numpy()
    averages = model.non_trainable_weights
    if len(averages) != 2:
        return "it should have one batch norm, with its running mean and variance."
    return {
        "output in training": output,
        "running mean": averages[0].numpy(),
        "running variance": averages[1].numpy(),
    }


def _like_norm(
    got: Any, truth: dict[str, Any], x: np.ndarray, weights: list[np.ndarray], stride: int
) -> str | None:
    if isinstance(got, str):
        return got
    output, right = got["output in training"], truth["output in training"]
    kernel, scale, bias = weights
    known = (
        (
            normalised(convolved(x, kernel, stride, "SAME"), scale, bias),
            'the filter stands one pixel further than in PyTorch: with stride 2, `padding="same"` '
            "adds its zeros on the right and below only. `keras.layers.ZeroPadding2D(1)` adds them "
            "on every side.",
        ),
        (
            normalised(convolved(x, kernel, stride), scale, bias, 1e-3),
            "epsilon is Keras's 1e-3; PyTorch has 1e-5.",
        ),
        (
            normalised(np.maximum(convolved(x, kernel, stride), 0), scale, bias),
            "there is a ReLU between convolution and batch norm; leave `activation` away.",
        ),
        (
            np.maximum(right, 0),
            "a ReLU was applied as well; the block will do that itself where it is needed.",
        ),
    )
    if output.shape != right.shape:
        return (
            f"the output has the shape {output.shape}; it should be {right.shape}: one zero on "
            "every side, no further padding, and the stride."
        )
    if difference(output, right):
        for other, sentence in known:
            if difference(output, other.astype("float32")) is None:
                return sentence
        return difference(got, truth)
    mean = got["running mean"]
    if difference(mean, truth["running mean"] * 9) is None:
        return (
            "the running averages keep only a tenth of what they were. In Keras, momentum is the "
            "share of the *old* value: PyTorch's 0.1 is 0.9 here."
        )
    if difference(mean, truth["running mean"] / 10) is None:
        return "momentum is Keras's 0.99; PyTorch's 0.1 is 0.9 here."
    return difference(got, truth)


CONV_NORM = Exercise(
    name="resnet_tensorflow.conv_norm",
    title="Bug hunt: a translation word by word",
    minutes=8,
    difficulty=2,
    reference=resnet.conv_norm,
    cases=_conv_cases,
    uses_randomness=True,
    hints=(
        "Two things are wrong; the two runs above show one each.",
        "`keras.layers.ZeroPadding2D(1)(x)` comes first. Then the convolution needs no padding of "
        "its own: leave the argument out.",
        "PyTorch's momentum of 0.1 is `momentum=0.9` in Keras. Epsilon is right already.",
    ),
    advice=(
        (
            r"'int' object has no attribute 'lower'",
            'In Keras `padding` is a word, `"valid"` or `"same"`: to add one zero on every '
            "side, call `keras.layers.ZeroPadding2D(1)` first.",
        ),
        *ADVICE,
    ),
)
