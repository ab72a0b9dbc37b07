"""resnet_tensorflow.BestWeights: a callback that keeps the best weights."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from course.checking.engine import Case, Exercise
from course.models import resnet_tensorflow as resnet


def _best_cases(rng: np.random.Generator) -> Iterator[Case]:
    # First, last, worst and best epoch, and the one with the lowest loss, are five different ones.
    yield _best_case([0.6, 0.8, 0.5, 0.65, 0.7], [0.9, 0.8, 0.7, 0.5, 0.6])
    yield _best_case([0.0], [2.3])
    for _ in range(3):
        accuracies = rng.permutation([0.3, 0.4, 0.6, 0.7, 0.8])
        yield _best_case(accuracies.tolist(), rng.permutation(accuracies).tolist())


def _best_case(accuracies: list[float], losses: list[float]) -> Case:
    best = float(np.argmax(accuracies) + 1)
    return Case(
        (accuracies, losses),
        best,
        judge=partial(_like_best, best=best, accuracies=accuracies, losses=losses),
        call=_weights_after,
        names=("val_accuracy of the epochs", "val_loss of the epochs"),
    )


def _weights_after(make: type, accuracies: list[float], losses: list[float]) -> Any:
    """All weights after `fit`; in epoch n each of them was n. Or a sentence."""
    callback = make()
    if not isinstance(callback, keras.callbacks.Callback):
        return "it is no callback any more: leave `keras.callbacks.Callback` as it was."
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    callback.set_model(model)
    callback.on_train_begin()
    for number, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True), start=1):
        for weight in model.weights:
            weight.assign(tf.fill(weight.shape, float(number)))
        callback.on_epoch_begin(number - 1)
        logs = {"accuracy": 1 - loss, "loss": loss, "val_accuracy": accuracy, "val_loss": loss}
        callback.on_epoch_end(number - 1, logs)
        if {float(value) for weight in model.weights for value in np.ravel(weight)} != {number}:
            return (
                "the weights changed at the end of an epoch: training should go on from where it "
                "is; bring the best ones back in `on_train_end`."
            )
    callback.on_train_end()
    return [float(np.mean(weight)) for weight in model.weights]


def _like_best(got: Any, best: float, accuracies: list[float], losses: list[float]) -> str | None:
    if isinstance(got, str):
        return got
    found, last = set(got), float(len(accuracies))
    if found == {best}:
        return None
    if found == {last}:
        return (
            "the model still has the weights of the last epoch. Is the best accuracy noted in "
            "`self.best` whenever it is beaten? Are the weights stored as "
            "`self.model.get_weights()`, which copies, and put back by `set_weights`? "
            "(`model.weights` are the variables themselves, which go on changing.)"
        )
    if len(found) > 1:
        return (
            "some weights came back and others did not. Batch norm's running averages belong to "
            "the epoch too: `self.model.get_weights()` has all of them."
        )
    if found == {float(np.argmin(losses) + 1)}:
        return (
            "that is the best epoch by the loss or the training accuracy; it is "
            '`logs["val_accuracy"]` that counts.'
        )
    if found == {float(np.argmin(accuracies) + 1)}:
        return (
            "that is the worst epoch: keep the weights where the accuracy is *higher* than before."
        )
    if found == {1.0}:
        return "the first epoch came back: note the best accuracy so far whenever it is beaten."
    return (
        f"the weights are those of epoch {got[0]:.0f}; the best validation accuracy was that of "
        f"epoch {best:.0f}."
    )


BEST = Exercise(
    name="resnet_tensorflow.BestWeights",
    title="A callback that keeps the best weights",
    minutes=9,
    difficulty=2,
    reference=resnet.BestWeights,
    cases=_best_cases,
    uses_randomness=True,
    hints=(
        "Two things are kept in `self`: the best accuracy so far, and the weights that had it. "
        "Where do they start, in `on_train_begin`?",
        'In `on_epoch_end`: if `logs["val_accuracy"]` is higher than `self.best`, store it, and '
        "store `self.model.get_weights()`.",
        "`self.best` starts below every accuracy, at -1.0. `on_train_end` calls "
        "`self.model.set_weights(self.weights)`.",
    ),
    advice=(
        (
            r"object of type 'NoneType' has no len",
            "No weights were stored. An accuracy can be 0, so `self.best` has to start below it.",
        ),
        (
            r"object of type 'method' has no len",
            "The brackets are missing: `self.model.get_weights()`.",
        ),
        (
            r"get_weights\(\) takes 1 positional|property '(weights|model)' of .* has no setter",
            "To put weights into the model, call `self.model.set_weights(self.weights)`.",
        ),
        (
            r"KeyError|'dict' object has no attribute",
            'The validation accuracy is `logs["val_accuracy"]`.',
        ),
        (
            r"object has no attribute '(best|weights)'|cannot access local variable",
            "What one method leaves for another one is stored in `self`, from `on_train_begin` on: "
            "`self.best`.",
        ),
    ),
)
