"""gan_tensorflow.build_discriminator: a sigmoid too many."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.checking.values import type_name
from course.exercises.gan_tensorflow.shared import random
from course.models import gan_tensorflow as gan


def _discriminator_cases(rng: np.random.Generator) -> Iterator[Case]:
    for width, batch in ((1, 2), (3, 4)):
        images = np.clip(random(rng, batch, 28, 28, 1), -1, 1)
        weights = _weights_of_discriminator(rng, width)
        # Half of the logits above 0, half below.
        logits = _logits(images, weights, _leaky)
        weights[-2] = weights[-2] * np.float32(1 / np.ptp(logits))
        weights[-1] = -np.median(_logits(images, weights, _leaky), keepdims=True)[0]
        yield Case(
            (width,),
            judge=partial(_like_discriminator, images=images, weights=weights, width=width),
        )


def _weights_of_discriminator(rng: np.random.Generator, width: int) -> list[np.ndarray]:
    """Filters and bias, filters, scale, bias, mean and variance of the norm, matrix and bias."""
    return [
        random(rng, 4, 4, 1, width) / 3,
        random(rng, width),
        random(rng, 4, 4, width, 2 * width) / (4 * width**0.5),
        1 + 0.3 * random(rng, 2 * width),
        random(rng, 2 * width),
        0.3 * random(rng, 2 * width),
        np.abs(1 + 0.3 * random(rng, 2 * width)),
        2 * random(rng, 7 * 7 * 2 * width, 1) / (98 * width) ** 0.5,
        np.zeros(1, "float32"),
    ]


def _logits(images: np.ndarray, weights: list[np.ndarray], activation: Callable) -> np.ndarray:
    """What the discriminator computes in evaluation, without Keras's layers."""
    filters, bias, more_filters, scale, shift, mean, variance, matrix, last_bias = weights
    x = activation(tf.nn.conv2d(images, filters, 2, "SAME") + bias)
    x = tf.nn.conv2d(x, more_filters, 2, "SAME")
    x = activation((x - mean) / np.sqrt(variance + 1e-5) * scale + shift)
    return (tf.reshape(x, (len(images), -1)) @ matrix + last_bias).numpy()


def _leaky(x: tf.Tensor) -> tf.Tensor:
    return tf.maximum(x, 0.2 * x)


def _like_discriminator(
    got: Any, images: np.ndarray, weights: list[np.ndarray], width: int
) -> str | None:
    if not isinstance(got, keras.Model):
        return f"it returned {type_name(got)}; return the model."
    if not got.built:
        return "the model does not know its input yet: begin it with `keras.Input((28, 28, 1))`."
    if tuple(got.input_shape) != (None, 28, 28, 1):
        return f"its input has shape {got.input_shape}; it should be (None, 28, 28, 1)."
    if tuple(got.output_shape) != (None, 1):
        return f"its output has shape {got.output_shape}; it should be (None, 1): one logit each."
    if not got.trainable_weights:
        return "its weights are frozen, so it can learn nothing: leave `trainable` as it is."
    shapes, wanted = ([tuple(one.shape) for one in ones] for ones in (got.weights, weights))
    if shapes != wanted:
        return (
            f"for width {width} its weights have the shapes {shapes}; they should be {wanted}. "
            "Only the end of the model needs a change."
        )
    if len(got.trainable_weights) != len(weights) - 2:
        return "some of its layers are frozen: all but batch norm's two averages should learn."
    got.set_weights(weights)
    output, truth = got(images, training=False).numpy(), _logits(images, weights, _leaky)
    return _wrong_end(output, truth, images, weights)


def _wrong_end(
    output: np.ndarray, truth: np.ndarray, images: np.ndarray, weights: list[np.ndarray]
) -> str | None:
    problem = difference(output, truth)
    if problem is None:
        return None
    known = (
        (1 / (1 + np.exp(-truth)), "the outputs are still squeezed between 0 and 1 by a sigmoid."),
        (np.tanh(truth), "tanh squeezes them between -1 and 1; a logit may be any number."),
        (np.maximum(truth, 0), "ReLU cuts off all logits below 0, and with them the word “fake”."),
        (
            np.maximum(truth, 0.2 * truth),
            "the last activation bends what is below 0; a logit is left as it is.",
        ),
        (np.ones_like(truth), "softmax over a single number is always 1: no activation there."),
        (np.logaddexp(truth, 0), "softplus lets no logit be below 0; no activation there."),
        (
            _logits(images, weights, tf.nn.relu),
            "the activations inside have changed: LeakyReLU with slope 0.2.",
        ),
    )
    for other, sentence in known:
        if difference(output, other.astype("float32")) is None:
            return f"{sentence} The loss expects logits."
    return f"with given weights and images the logits are not right: {problem}"


BUILD_DISCRIMINATOR = Exercise(
    name="gan_tensorflow.build_discriminator",
    title="Bug hunt: two sigmoids",
    minutes=5,
    difficulty=1,
    reference=gan.build_discriminator,
    cases=_discriminator_cases,
    uses_randomness=True,
    hints=(
        "What does the loss want to be given, and what does the last layer give?",
        "`from_logits=True` says that the loss applies the sigmoid itself.",
        "`keras.layers.Dense(1)` without an activation is the last layer.",
    ),
)
