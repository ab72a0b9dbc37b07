"""gan_tensorflow.follow: an average of the weights."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.exercises.gan_tensorflow.shared import random
from course.models import gan_tensorflow as gan


def _follow_cases(rng: np.random.Generator) -> Iterator[Case]:
    for share in (0.25, 0.0, 1.0, 0.02):
        slow, fast = ([random(rng, 3, 2), *np.abs(random(rng, 4, 2))] for _ in range(2))
        yield Case(
            (slow, fast, share),
            judge=partial(_like_following, slow=slow, fast=fast, share=share),
            call=_followed,
            names=("weights of average", "weights of model", "share"),
        )


def _small_model(weights: list[np.ndarray]) -> keras.Model:
    """A dense layer without bias and a batch norm, which also has two running averages."""
    layers = [keras.layers.Dense(2, use_bias=False), keras.layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.set_weights(weights)
    return model


def _followed(follow: Callable, slow: list, fast: list, share: float) -> Any:
    """The weights of both models afterwards: in a graph, with a tensor as share, as in training."""
    average, model = _small_model(slow), _small_model(fast)
    in_graph = tf.function(lambda share: follow(average, model, share), autograph=False)
    in_graph(tf.constant(share))
    return average.get_weights(), model.get_weights()


def _like_following(got: Any, slow: list, fast: list, share: float) -> str | None:
    average, model = got
    if difference(model, fast):
        return "the model itself changed; only `average` is to move."
    truth = [(1 - share) * one + share * other for one, other in zip(slow, fast, strict=True)]
    if difference(average, truth) is None:
        return None
    known = (
        (slow, "the weights of `average` did not move: `slow.assign(…)` puts a value into them."),
        (
            [share * one + (1 - share) * other for one, other in zip(slow, fast, strict=True)],
            "the shares have changed places: `share` is the part of the model, the rest stays.",
        ),
        (
            [*truth[:3], *slow[3:]],
            "the running averages of batch norm stood still. `weights` has all of them, "
            "`trainable_weights` only what an optimizer moves.",
        ),
        (fast, "that is a copy of the model; move only `share` of the way."),
        (
            [share * other for other in fast],
            "what `average` was before is lost: keep 1 - `share` of it.",
        ),
        (
            [one + share * other for one, other in zip(slow, fast, strict=True)],
            "`average` only grows: move towards the model by `share · (fast - slow)`.",
        ),
        (
            [one - share * (other - one) for one, other in zip(slow, fast, strict=True)],
            "`average` moves away from the model; the difference is fast - slow.",
        ),
        (
            [(one + other) / 2 for one, other in zip(slow, fast, strict=True)],
            "that is the middle between the two, whatever `share` says.",
        ),
    )
    for other, sentence in known:
        if difference(other, truth) and difference(average, other) is None:
            return sentence
    return f"the weights of `average` are not right: {difference(average, truth)}"


FOLLOW = Exercise(
    name="gan_tensorflow.follow",
    title="An average that follows",
    minutes=6,
    difficulty=2,
    reference=gan.follow,
    cases=_follow_cases,
    uses_randomness=True,
    advice=(
        (
            r"numpy\(\)|convert a symbolic",
            "This runs inside the compiled step, where values are not known yet: use the weights "
            "themselves and `slow.assign(…)`, not `get_weights` and `set_weights`.",
        ),
    ),
    hints=(
        "Go through the weights of both models in pairs: `zip(average.weights, model.weights)`.",
        "`slow.assign(value)` puts a value into a weight. The new value keeps 1 - share of the old "
        "one.",
        "`slow.assign_add(share * (fast - slow))` for each pair.",
    ),
)
