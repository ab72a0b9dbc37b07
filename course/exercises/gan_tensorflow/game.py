"""gan_tensorflow.Game: the step in which both players learn."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.exercises.gan_tensorflow.shared import cross_entropy_of, random
from course.models import gan_tensorflow as gan


class _Louder(keras.layers.Layer):
    """Gives twice its input in training only: it shows whether the step says that it trains."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return 2 * inputs if training else inputs


class _SameNoise(keras.layers.Layer):
    """Notes the noise that comes in and gives a known one, so that what follows can be computed."""

    def __init__(self, noise: np.ndarray) -> None:
        super().__init__()
        self.noise, self.seen = tf.constant(noise), []

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if isinstance(inputs, tf.Tensor) and hasattr(inputs, "numpy"):
            self.seen.append(inputs.numpy())
        return self.noise + 0 * inputs


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """One step of two linear players, whose slopes are known in closed form."""
    for num_inputs, size, batch, as_graph in ((3, 2, 12, False), (4, 3, 10, True)):
        given = {
            "generator's weights": random(rng, num_inputs, size),
            "discriminator's weights": random(rng, size, 1),
            "real images": random(rng, batch, size),
            "noise": random(rng, batch, num_inputs),
        }
        rates = 0.5, 0.25  # of generator and discriminator: each has an optimizer of its own
        truth = _moves(*given.values(), *rates)
        yield Case(
            (*given.values(), *rates, as_graph),
            judge=partial(_like_step, truth=truth, given=given, rates=rates),
            call=_take_step,
            names=(*given, "generator's rate", "discriminator's rate", "inside tf.function"),
        )


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _moves(
    made: np.ndarray,
    judged: np.ndarray,
    real: np.ndarray,
    noise: np.ndarray,
    generator_rate: float,
    discriminator_rate: float,
    moved_first: bool = False,
) -> dict[str, Any]:
    """Losses before, and weights after one step; the layers are louder by 2 in training.

    moved_first: the generator already plays against the discriminator after its move.
    """
    fake = 2 * noise @ made
    real_logits, fake_logits = 2 * real @ judged, 2 * fake @ judged
    blame = _sigmoid(-real_logits), _sigmoid(fake_logits)
    slope = 2 * (fake.T @ blame[1] - real.T @ blame[0]) / len(real)
    after = judged - discriminator_rate * slope
    against = after if moved_first else judged
    logits = 2 * fake @ against
    own = -_sigmoid(-logits) @ against.T * 2 / len(real)
    return {
        "generator_loss": cross_entropy_of(logits, 1),
        "discriminator_loss": cross_entropy_of(real_logits, 1) + cross_entropy_of(fake_logits, 0),
        "generator": made - generator_rate * 2 * noise.T @ own,
        "discriminator": after,
    }


def _take_step(
    make: type,
    made: np.ndarray,
    judged: np.ndarray,
    real: np.ndarray,
    noise: np.ndarray,
    generator_rate: float,
    discriminator_rate: float,
    as_graph: bool,
) -> Any:
    """What the step returns, both players after it and the noise that it drew; or a sentence."""
    same_noise = _SameNoise(noise)
    players = []
    for name, weights in (("generator", made), ("discriminator", judged)):
        layers = [keras.Input((len(weights),)), _Louder()]
        if name == "generator":
            layers = [keras.Input((len(weights),)), same_noise, _Louder()]
        players.append(
            keras.Sequential([*layers, keras.layers.Dense(weights.shape[1], use_bias=False)])
        )
        players[-1].set_weights([weights])
    game = make(*players, noise.shape[1])
    game.compile(
        keras.optimizers.SGD(generator_rate),
        keras.optimizers.SGD(discriminator_rate),
        gan.generator_loss,
        gan.discriminator_loss,
    )
    batch = tf.constant(real)
    same_noise.seen.clear()
    if as_graph:  # as in `fit`; to write the graph down tells enough, to run it takes longer
        tf.function(game.train_step, autograph=False).get_concrete_function(batch)
    logs = game.train_step(batch)
    if logs is None:
        return "the step returns nothing: return both losses in a dictionary."
    if not isinstance(logs, dict) or set(logs) != {"generator_loss", "discriminator_loss"}:
        return 'return {"generator_loss": …, "discriminator_loss": …}: `fit` shows what is in it.'
    return {
        "logs": {name: float(value) for name, value in logs.items()},
        "generator": players[0].get_weights()[0],
        "discriminator": players[1].get_weights()[0],
        "noise": same_noise.seen,
    }


def _like_step(
    got: Any, truth: dict[str, Any], given: dict[str, np.ndarray], rates: tuple[float, float]
) -> str | None:
    if isinstance(got, str):
        return got
    return (
        _wrong_noise(got["noise"], given["noise"].shape)
        or _wrong_losses(got["logs"], truth, given, rates)
        or _wrong_moves(got, truth, given, rates)
    )


def _wrong_noise(seen: list[np.ndarray], shape: tuple[int, int]) -> str | None:
    if not seen:
        return "the generator was never called: `self.generator(noise, training=True)`."
    if seen[0].shape != shape:
        return (
            f"the noise has shape {seen[0].shape}; as many rows as there are real images, and "
            f"`self.num_inputs` numbers in each, are {shape}."
        )
    if np.std(seen[0]) == 0:
        return "all numbers of the noise are equal: draw them with `tf.random.normal`."
    if seen[0].min() >= 0:
        return "the noise has no number below 0: draw it with `tf.random.normal`."
    if len(seen) > 1:
        return (
            "the generator is called more than once in a step: both losses can use the same fakes, "
            "as each tape keeps what it needs."
        )
    return None


def _wrong_losses(
    logs: dict[str, float],
    truth: dict[str, Any],
    given: dict[str, np.ndarray],
    rates: tuple[float, float],
) -> str | None:
    wrong = [name for name, value in logs.items() if difference(value, truth[name])]
    if not wrong:
        return None
    if len(wrong) == 2 and not difference(logs["generator_loss"], truth["discriminator_loss"]):
        return "the two losses have changed places in the dictionary."
    later = _moves(*given.values(), *rates, moved_first=True)
    if wrong == ["generator_loss"] and not difference(
        logs["generator_loss"], later["generator_loss"]
    ):
        return (
            "the generator's loss was computed after the discriminator had moved: compute both "
            "losses first, and move both players afterwards."
        )
    name = wrong[0]
    return (
        f"{name} is {logs[name]:.4g}; it should be {truth[name]:.4g}. Are both players called with "
        "`training=True`, and do the losses get the right logits, the real ones first?"
    )


def _wrong_moves(
    got: dict[str, Any],
    truth: dict[str, Any],
    given: dict[str, np.ndarray],
    rates: tuple[float, float],
) -> str | None:
    before = {name: given[f"{name}'s weights"] for name in ("generator", "discriminator")}
    own = {name: truth[name] - before[name] for name in before}
    moved = {name: got[name] - before[name] for name in before}
    stood = [name for name in before if not moved[name].any()]
    if stood:
        return f"the {stood[0]} did not move: give its slopes to its optimizer."
    quicker = rates[1] / rates[0], rates[0] / rates[1]
    if all(
        difference(moved[name], (own[name] * factor).astype("float32")) is None
        for name, factor in zip(before, quicker, strict=True)
    ):
        return "the two optimizers have changed places."
    for name in before:
        if difference(moved[name], (-own[name]).astype("float32")) is None:
            return f"the {name} goes uphill: give its slopes to the optimizer as they are."
        if difference(got[name], truth[name].astype("float32")):
            return (
                f"the {name} did not move as it should. Its slopes are those of its *own* loss for "
                f"its own weights: `tape.gradient({name}_loss, self.{name}.trainable_variables)`."
            )
    return None


GAME = Exercise(
    name="gan_tensorflow.Game",
    title="The step in which both players learn",
    minutes=15,
    difficulty=3,
    reference=gan.Game,
    cases=_step_cases,
    uses_randomness=True,
    advice=(
        (
            r"Unknown variable",
            "One optimizer was given the weights of both players. It keeps notes on each weight "
            "that it began with, so each player needs its own.",
        ),
        (
            r"persistent|non-persistent",
            "A tape answers once. Take two tapes, `with tf.GradientTape() as generator_tape, "
            "tf.GradientTape() as discriminator_tape:`, one for each player.",
        ),
        (
            r"No gradients provided|NoneType|not enough values",
            "The tape saw no way from this loss to these weights: is everything between them "
            "computed inside `with`, and are the weights those of the same player?",
        ),
    ),
    hints=(
        "The order: noise; inside two tapes fakes, both kinds of logits and both losses; after "
        "them each player's slopes to its own optimizer.",
        "`noise = tf.random.normal((tf.shape(real)[0], self.num_inputs))`. Inside the tapes: "
        "`fake = self.generator(noise, training=True)`, and the discriminator once on `real` and "
        "once on `fake`, also with `training=True`.",
        "`slopes = generator_tape.gradient(generator_loss, self.generator.trainable_variables)`, "
        "then `self.generator_optimizer.apply_gradients(zip(slopes, …))`; the same for the other.",
    ),
)
