"""gan_tensorflow.discriminator_loss and .generator_loss: what each player pays."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.gan_tensorflow.shared import cross_entropy_of, random
from course.models import gan_tensorflow as gan


def _logits_cases(rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Logits of real and of fake images; the last ones so sure that probabilities round."""
    yield np.float32([[0.0]]), np.float32([[0.0]])
    yield np.float32([[2.0], [-1.0]]), np.float32([[1.0]])
    yield 2 * random(rng, 4, 1), 2 * random(rng, 3, 1)
    yield np.float32([[100.0], [-80.0]]), np.float32([[-90.0], [60.0], [3.0]])


def _surprise(logits: Any, label: int) -> Any:
    """The mean cross-entropy of logits with one label: the mean of log(1 + exp(∓ logit))."""
    return tf.reduce_mean(tf.math.softplus(-logits if label else logits))


def _discriminator_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    for real, fake in _logits_cases(rng):
        truth = tf.constant(cross_entropy_of(real, 1) + cross_entropy_of(fake, 0), tf.float32)
        yield Case((tf.constant(real), tf.constant(fake)), truth)


def _all_in_one(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    costs = tf.concat([tf.math.softplus(-real), tf.math.softplus(fake)], axis=0)
    return tf.reduce_mean(costs)


def _cross_entropy(label: int, logits: tf.Tensor) -> tf.Tensor:
    """Keras's loss for probabilities, given logits: the option is forgotten."""
    return keras.losses.BinaryCrossentropy()(tf.fill(tf.shape(logits), float(label)), logits)


def _swapped(label: int, logits: tf.Tensor) -> tf.Tensor:
    """The loss with its two arguments in the wrong places."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return loss(logits, tf.fill(tf.shape(logits), float(label)))


PROBABILITIES = (
    "The loss was told nothing of logits, so it takes them for probabilities: "
    "`keras.losses.BinaryCrossentropy(from_logits=True)`."
)
FOR_LOGITS = (
    "Logits go through a sigmoid before a loss that has a sigmoid of its own: give it the logits "
    "as they are."
)
ORDER = "Keras's losses take the labels first and the logits second; yours are the other way round."

DISCRIMINATOR_LOSS = Exercise(
    name="gan_tensorflow.discriminator_loss",
    title="What the discriminator pays",
    minutes=6,
    difficulty=1,
    reference=gan.discriminator_loss,
    cases=_discriminator_loss_cases,
    mistakes=(
        Mistake(
            lambda real, fake: _cross_entropy(1, real) + _cross_entropy(0, fake), PROBABILITIES
        ),
        Mistake(lambda real, fake: _swapped(1, real) + _swapped(0, fake), ORDER),
        Mistake(
            lambda real, fake: _surprise(tf.sigmoid(real), 1) + _surprise(tf.sigmoid(fake), 0),
            FOR_LOGITS,
        ),
        Mistake(
            lambda real, fake: _surprise(real, 0) + _surprise(fake, 1),
            "The labels have changed places: 1 is for real images, 0 for fakes.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1) + _surprise(fake, 1),
            "The label of the fakes is 0: the discriminator wants to find them out.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1) - _surprise(fake, 0),
            "You subtracted the fakes' part; both mistakes cost something, so add them.",
        ),
        Mistake(
            lambda real, fake: (_surprise(real, 1) + _surprise(fake, 0)) / 2,
            "That is half of it: the two means are added, not averaged.",
        ),
        Mistake(
            _all_in_one,
            "In one mean over all images, the larger batch counts for more: take a mean over the "
            "real ones, another over the fakes, and add the two.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1),
            "The fakes have no part in it: a discriminator that calls everything real would pay "
            "nothing.",
        ),
        Mistake(
            lambda real, fake: _surprise(fake, 0),
            "The real images have no part in it: a discriminator that calls everything fake would "
            "pay nothing.",
        ),
    ),
    hints=(
        "It is a classifier with two classes: real is 1, fake is 0. Which labels does the batch of "
        "real images get, which the fakes?",
        "`tf.ones_like(real_logits)` makes labels of the right shape. The loss is called as "
        "`cross_entropy(labels, logits)`, and is told at its making that it gets logits.",
        "`cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)`, then "
        "`cross_entropy(tf.ones_like(real_logits), real_logits)` plus the same for the fakes with "
        "`tf.zeros_like`.",
    ),
)


def _generator_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    for _, fake in _logits_cases(rng):
        yield Case((tf.constant(fake),), tf.constant(cross_entropy_of(fake, 1), tf.float32))


GENERATOR_LOSS = Exercise(
    name="gan_tensorflow.generator_loss",
    title="Bug hunt: a generator that helps its opponent",
    minutes=5,
    difficulty=1,
    reference=gan.generator_loss,
    cases=_generator_loss_cases,
    mistakes=(
        Mistake(
            lambda fake: _surprise(fake, 0),
            "It still pays least where its images are called fake: it helps the discriminator.",
        ),
        Mistake(
            lambda fake: -_surprise(fake, 0),
            "That is the minimax loss. It points the right way, but where the discriminator is "
            "sure it has almost no slope. Take the cross-entropy with label 1.",
        ),
        Mistake(
            lambda fake: -_surprise(fake, 1),
            "The sign is wrong: with the minus, it pays least where its images are called fake.",
        ),
        Mistake(lambda fake: _surprise(tf.sigmoid(fake), 1), FOR_LOGITS),
        Mistake(lambda fake: _cross_entropy(1, fake), PROBABILITIES),
        Mistake(lambda fake: _swapped(1, fake), ORDER),
        Mistake(
            lambda fake: -tf.reduce_mean(fake),
            "That pushes the logits up without an end; take the cross-entropy with label 1.",
        ),
        Mistake(
            lambda fake: _surprise(fake, 1) + _surprise(fake, 0),
            "The part with label 0 is the discriminator's; the generator has one wish only.",
        ),
    ),
    hints=(
        "Which label does the generator *want* its images to get?",
        "It wants them to be called real: label 1, though they are not.",
        "`tf.ones_like(fake_logits)` in place of `tf.zeros_like(fake_logits)`",
    ),
)
