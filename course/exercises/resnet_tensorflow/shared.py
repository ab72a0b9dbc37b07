"""What several checks share: known weights for a plan, and what its layers should compute."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from course.checking.values import type_name

# What beginners need to hear beside the errors that layers and plans raise.
ADVICE = (
    (
        r"KerasTensor cannot be used as input to a TensorFlow|KerasTensor is symbolic",
        "A plan holds no numbers yet, so the functions of TensorFlow and NumPy cannot work on it: "
        "use layers, `keras.layers.…`, or `keras.ops.…`.",
    ),
    (
        r"Only input tensors may be passed",
        "A layer is made first and then called: `keras.layers.ZeroPadding2D(1)(x)`.",
    ),
    (
        r"KerasTensor cannot be used as a boolean",
        "A layer is made first and then called: `keras.layers.ReLU()(x)`.",
    ),
)


def drawn(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random numbers of this shape, float32."""
    return rng.normal(size=shape).astype("float32")


def scale_and_bias(rng: np.random.Generator, channels: int) -> list[np.ndarray]:
    """Scale and bias of a batch norm, [channels] each."""
    return [1 + 0.5 * drawn(rng, channels), 0.5 * drawn(rng, channels)]


def convolved(x: np.ndarray, kernel: np.ndarray, stride: int, padding: Any = 1) -> np.ndarray:
    """The convolution by TensorFlow itself; padding: 1 for a zero on every side, or a name."""
    if padding == 1:
        padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
    return tf.nn.conv2d(x, kernel, stride, padding).numpy()


def normalised(
    z: np.ndarray, scale: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5
) -> np.ndarray:
    """The batch [B, H, W, C] after batch norm in training, in NumPy."""
    mean, variance = z.mean(axis=(0, 1, 2)), z.var(axis=(0, 1, 2))
    return scale * (z - mean) / np.sqrt(variance + epsilon) + bias


def model_of(make: Callable, x: np.ndarray, channels: int, stride: int) -> Any:
    """The candidate's plan as a model, or a sentence."""
    plan = keras.Input(x.shape[1:])
    result = make(plan, channels, stride)
    if result is None:
        return "it returned None: is a `return` missing, or a return without a value?"
    if not isinstance(result, keras.KerasTensor):
        return (
            f"it returned {type_name(result)}; call each layer on the plan, `layer(x)`, and return "
            "the last plan."
        )
    return keras.Model(plan, result)


def fill(model: keras.Model, weights: list[np.ndarray]) -> str | None:
    """Give the trained weights known values; a sentence where their shapes are not as asked."""
    found = [tuple(weight.shape) for weight in model.trainable_weights]
    wanted = [array.shape for array in weights]
    if found != wanted:
        advice = ""
        if len(found) > len(wanted):
            advice = " A convolution before batch norm needs no bias, and the shortcut no weights."
        elif len(found) < len(wanted):
            advice = " A layer whose result leads nowhere is not in the plan."
        return (
            f"the weights have the shapes {found}; they should be {wanted}: for each convolution "
            f"its filters, then scale and bias of batch norm.{advice}"
        )
    if any(float(np.std(weight)) == 0 for weight in model.trainable_weights if weight.ndim == 4):
        return (
            "all filters start with the same value, and such filters stay copies of each other: "
            'take a random start, such as `kernel_initializer="he_normal"`.'
        )
    for weight, array in zip(model.trainable_weights, weights, strict=True):
        weight.assign(array)
    return None
