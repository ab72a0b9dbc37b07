"""resnet_tensorflow.ClippedModel: a training step that clips."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.exercises.resnet_tensorflow.shared import drawn
from course.models import resnet_tensorflow as resnet


class _Louder(keras.layers.Layer):
    """Gives twice its input in training only: it shows whether the step says that it trains."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return 2 * inputs if training else inputs


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """One step on a linear model, whose slopes are known in closed form."""
    for inputs, classes, batch, share, as_graph in ((2, 3, 2, 0.4, False), (3, 4, 5, 1.5, True)):
        kernel, bias = drawn(rng, inputs, classes), drawn(rng, classes)
        x, y = 2 * drawn(rng, batch, inputs), rng.integers(classes, size=batch)
        slopes, truth = _slopes(kernel, bias, 2 * x, y)
        norm = float(np.sqrt(sum((slope**2).sum() for slope in slopes)))
        longest = share * norm  # shorter than the slopes in the first case, longer in the second
        truth["slope_norm"] = norm
        yield Case(
            (kernel, bias, x, y, longest, as_graph),
            truth,
            judge=partial(_like_step, truth=truth, slopes=slopes, longest=longest),
            call=_take_step,
            names=("weights of a linear model", "bias", "x", "y", "longest", "inside tf.function"),
        )


def _slopes(
    kernel: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Slopes of the mean cross-entropy for weights and bias; that loss, and the accuracy."""
    logits = x @ kernel + bias
    error = (special.softmax(logits, axis=1) - np.eye(len(bias))[y]) / len(y)
    measured = {
        "loss": float(-special.log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()),
        "accuracy": float((logits.argmax(axis=1) == y).mean()),
    }
    return [(x.T @ error).astype("float32"), error.sum(axis=0).astype("float32")], measured


def _take_step(
    make: type,
    kernel: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    longest: float,
    as_graph: bool,
) -> Any:
    """What the step returns and by how much it moved the weights, or a sentence."""
    inputs = keras.Input((len(kernel),))
    model = make(inputs, keras.layers.Dense(len(bias))(_Louder()(inputs)))
    model.longest = longest
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.set_weights([kernel, bias])
    model.optimizer.build(model.trainable_variables)  # as `fit` does before the first step
    data = tf.constant(x), tf.constant(y)
    if as_graph:  # as in `fit`; to write the graph down tells enough, to run it takes longer
        tf.function(model.train_step, autograph=False).get_concrete_function(data)
    logs = model.train_step(data)
    if logs is None:
        return "the step returns nothing: return what `update_metrics` gives."
    if not isinstance(logs, dict) or not {"loss", "accuracy", "slope_norm"} <= set(logs):
        return (
            "return the dictionary that `update_metrics` gives, with loss, accuracy and "
            "slope_norm: `fit` shows what is in it."
        )
    after = model.get_weights()
    return {
        "loss": float(logs["loss"]),
        "accuracy": float(logs["accuracy"]),
        "slope_norm": float(logs["slope_norm"]),
        "moves": [before - now for before, now in zip((kernel, bias), after, strict=True)],
    }


def _like_step(
    got: Any, truth: dict[str, float], slopes: list[np.ndarray], longest: float
) -> str | None:
    if isinstance(got, str):
        return got
    if not difference([got["loss"], got["slope_norm"]], [truth["slope_norm"], truth["loss"]]):
        return (
            "loss and length have changed places: `update_metrics(self, loss, slope_norm, y, "
            "logits)`."
        )
    if difference(got["loss"], truth["loss"]):
        return (
            f"the loss is {got['loss']:.4g}; it should be {truth['loss']:.4g}. Is it "
            "`self.compute_loss(y=y, y_pred=logits)`, with `logits = self(x, training=True)`?"
        )
    moves, norm = got["moves"], truth["slope_norm"]
    lengths = [float(np.sqrt((slope**2).sum())) for slope in slopes]
    absolute = sum(float(np.abs(slope).sum()) for slope in slopes)
    right = [slope * min(1, longest / norm) for slope in slopes]
    known = (
        ([0 * slope for slope in slopes], "the weights did not move: apply the slopes."),
        (slopes, "the slopes are applied as they are, also where they are longer than the limit."),
        (
            [-slope for slope in right],
            "the step goes uphill: apply the clipped slopes as they are.",
        ),
        (
            [slope * min(1, longest / one) for slope, one in zip(slopes, lengths, strict=True)],
            "each tensor is clipped for itself, which turns the direction. One length counts, that "
            "of all slopes together: `tf.linalg.global_norm(gradients)`.",
        ),
        (
            [np.clip(slope, -longest, longest) for slope in slopes],
            "each single number is clipped, which turns the direction; multiply all slopes by one "
            "factor.",
        ),
        (
            [slope * longest / norm for slope in slopes],
            "slopes that are short already were made longer: the factor is at most 1, "
            "`tf.minimum(1.0, …)`.",
        ),
        (
            [slope * min(1, longest / sum(lengths)) for slope in slopes],
            "the lengths of the tensors are added up; the length of all together is the root of "
            "the sum of all squares.",
        ),
        (
            [slope * min(1, longest / norm**2) for slope in slopes],
            "the length is the *root* of the sum of the squares.",
        ),
        (
            [slope * min(1, longest / absolute) for slope in slopes],
            "the length is the root of the sum of the *squares*, not the sum of the sizes.",
        ),
        (
            [slope * min(1, longest / max(lengths)) for slope in slopes],
            "the length is that of the longest tensor; all of them together are one long vector.",
        ),
        (
            [slope * min(1, 1 / norm) for slope in slopes],
            "the slopes are clipped to the length 1; the limit is `self.longest`.",
        ),
    )
    for other, sentence in known:
        if difference(other, right) and difference(moves, other) is None:
            return sentence
    if problem := difference(moves, right):
        return f"the moves of weights and bias are not right: {problem}"
    if difference(got["slope_norm"], norm):
        return (
            f"slope_norm is {got['slope_norm']:.4g}; the length of the slopes before clipping was "
            f"{norm:.4g}."
        )
    if difference(got["accuracy"], truth["accuracy"]):
        return "the accuracy is not that of this batch: give `update_metrics` y and logits."
    return None


STEP = Exercise(
    name="resnet_tensorflow.ClippedModel",
    title="A training step that clips",
    minutes=12,
    difficulty=3,
    reference=resnet.ClippedModel,
    cases=_step_cases,
    uses_randomness=True,
    hints=(
        "Take the step of lesson 01: logits and loss inside the tape, slopes, "
        "`self.optimizer.apply_gradients(zip(…))`. The clipping comes before the optimizer.",
        "`tf.linalg.global_norm(gradients)` is the length of all slopes together. The factor is "
        "`tf.minimum(1.0, self.longest / slope_norm)`.",
        "`gradients = [factor * gradient for gradient in gradients]`, apply, then `return "
        "update_metrics(self, loss, slope_norm, y, logits)`.",
    ),
    advice=(
        (
            r"Shapes of all inputs must match|unsupported operand type.*'list'",
            "The slopes are a *list* of tensors with different shapes: work on each of them, `for "
            "gradient in gradients`, or use a function that takes the list.",
        ),
        (
            r"'_unique_id'|values to unpack|apply_gradients\(\) takes",
            "`apply_gradients` takes pairs (slope, weight): `zip(gradients, "
            "self.trainable_variables)`.",
        ),
        (
            r"convert a value \(None\)",
            "Name the arguments of the loss: `self.compute_loss(y=y, y_pred=logits)`.",
        ),
        (
            r"Cannot squeeze",
            "In `update_metrics(self, loss, slope_norm, y, logits)` the labels come before the "
            "logits.",
        ),
        (
            r"metric has not yet been built",
            "The metrics know nothing of this batch yet: return what `update_metrics(…)` gives.",
        ),
        (
            r"Python `bool`",
            "In `fit` the values are not known yet when Python reads these lines, so `if`, `min` "
            "and `max` cannot decide: `tf.minimum(a, b)` can.",
        ),
    ),
)
