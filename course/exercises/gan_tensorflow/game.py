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
        yield Case(
            (*given.values(), *rates, as_graph),
            judge=partial(_like_step, given=given, rates=rates),
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
    answers_moved: bool = True,
) -> dict[str, Any]:
    """Both losses, and the weights after one step; the layers are louder by 2 in training.

    answers_moved: the generator plays against the discriminator as it is after its move.
    """
    fake = 2 * noise @ made
    real_logits, fake_logits = 2 * real @ judged, 2 * fake @ judged
    blame = _sigmoid(-real_logits), _sigmoid(fake_logits)
    slope = 2 * (fake.T @ blame[1] - real.T @ blame[0]) / len(real)
    after = judged - discriminator_rate * slope
    against = after if answers_moved else judged
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
        **{name: float(value) for name, value in logs.items()},
        "generator": players[0].get_weights()[0],
        "discriminator": players[1].get_weights()[0],
        "noise": same_noise.seen,
    }


def _like_step(got: Any, given: dict[str, np.ndarray], rates: tuple[float, float]) -> str | None:
    if isinstance(got, str):
        return got
    return (
        _wrong_noise(got.pop("noise"), given["noise"].shape)
        or _stood_still(got, given)
        or _wrong_step(got, given, rates)
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
            "the generator is called more than once in a step: make the fakes once, while the "
            "generator's tape is open, and use them for both losses."
        )
    return None


def _stood_still(got: dict[str, Any], given: dict[str, np.ndarray]) -> str | None:
    for name in ("generator", "discriminator"):
        if np.array_equal(got[name], given[f"{name}'s weights"]):
            return f"the {name} did not move: give its slopes to its optimizer."
    return None


def _wrong_step(
    got: dict[str, Any], given: dict[str, np.ndarray], rates: tuple[float, float]
) -> str | None:
    def moves(*rates: float, **options: bool) -> dict[str, Any]:
        return _moves(*given.values(), *rates, **options)

    truth = moves(*rates)
    if difference(got, truth) is None:
        return None
    known = (
        (
            truth
            | {
                "generator_loss": truth["discriminator_loss"],
                "discriminator_loss": truth["generator_loss"],
            },
            "the two losses have changed places in the dictionary.",
        ),
        (
            moves(*rates, answers_moved=False),
            "the generator's loss was computed before the discriminator had moved. Let the "
            "discriminator move first, then ask it again about the same fakes.",
        ),
        (moves(*reversed(rates)), "the two optimizers have changed places."),
        (
            moves(-rates[0], -rates[1]),
            "both players go uphill: give the slopes to the optimizers as they are.",
        ),
    )
    for other, sentence in known:
        if difference(got, other) is None:
            return sentence
    return _what_differs(got, truth)


def _what_differs(got: dict[str, Any], truth: dict[str, Any]) -> str:
    """A sentence on the first thing that went wrong, in the order of the step."""
    wrong = {name for name in truth if difference(got[name], truth[name])}
    if "discriminator_loss" in wrong:
        return (
            f"the discriminator's loss is {got['discriminator_loss']:.4g}; it should be "
            f"{truth['discriminator_loss']:.4g}. Are both players called with `training=True`, and "
            "does the loss get the logits of the real images first?"
        )
    if "discriminator" in wrong:
        return _not_as_it_should("discriminator")
    if "generator_loss" in wrong:
        return (
            f"the generator's loss is {got['generator_loss']:.4g}; it should be "
            f"{truth['generator_loss']:.4g}, for what the discriminator says about the same fakes "
            "after its move, called with `training=True`."
        )
    return _not_as_it_should("generator")


def _not_as_it_should(name: str) -> str:
    return (
        f"the {name} did not move as it should. Its slopes are those of its *own* loss for its own "
        f"weights: `{name}_tape.gradient({name}_loss, self.{name}.trainable_variables)`."
    )


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
            "The tape saw no way from this loss to these weights. The generator's tape has to be "
            "open when the fakes are made and when its loss is computed, and the weights are those "
            "of the same player.",
        ),
    ),
    hints=(
        "The order: noise; fakes; the discriminator's loss and its move; what it says about the "
        "same fakes now; the generator's loss and its move. A tape may be opened inside another.",
        "`noise = tf.random.normal((tf.shape(real)[0], self.num_inputs))`. Then "
        "`with tf.GradientTape() as generator_tape:`, and inside it "
        "`fake = self.generator(noise, training=True)`. Still inside: a second tape for the "
        "discriminator's loss, its move, and the generator's loss.",
        "`slopes = discriminator_tape.gradient(discriminator_loss, "
        "self.discriminator.trainable_variables)`, then "
        "`self.discriminator_optimizer.apply_gradients(zip(slopes, …))`. The generator's slopes "
        "come after its tape is closed.",
    ),
)
