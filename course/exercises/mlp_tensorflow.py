"""The exercises of lesson 01 in TensorFlow: slopes by tape, then a network in Keras's own style."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.checking.values import type_name
from course.models import mlp_tensorflow as mlp

LESSON = "01_mlp_tensorflow"


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype("float32")


@dataclass(frozen=True)
class _Function:
    """A function of a tensor that a verdict can show in words."""

    words: str
    compute: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.compute(x)

    def __repr__(self) -> str:
        return self.words


def _slope_cases(rng: np.random.Generator) -> Iterator[Case]:
    def case(function: _Function, x: np.ndarray, truth: np.ndarray, dtype: str = "float32") -> Case:
        right = tf.constant(truth, dtype)
        return Case((function, tf.constant(x, dtype)), right, judge=_like_slope(right))

    squares = _Function("the sum of x²", lambda x: tf.reduce_sum(x * x))
    yield case(squares, np.array([1.0, -3.0]), np.array([2.0, -6.0]))
    product = _Function("the first element of x times the last", lambda x: x[0] * x[-1])
    ends = _random(rng, 4)
    yield case(product, ends, np.array([ends[3], 0, 0, ends[0]]))
    x = _random(rng, 2, 3)
    yield case(_Function("the sum of sin x", lambda x: tf.reduce_sum(tf.sin(x))), x, np.cos(x))
    cubes = _Function("the mean of x³", lambda x: tf.reduce_mean(x**3))
    yield case(cubes, x, 3 * x**2 / x.size)
    yield case(squares, np.array(1.5), np.array(3.0))
    x = rng.normal(size=3)
    yield case(squares, x, 2 * x, dtype="float64")


def _like_slope(truth: tf.Tensor) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if got is None:
            return (
                "it returned None. Either `return` is missing, or the tape saw no way from x to "
                "the result: it records what is computed inside `with`, and of a constant only "
                "after `tape.watch(x)`. Or have the two arguments of `tape.gradient(result, x)` "
                "changed places?"
            )
        if isinstance(got, tuple | list) and len(got) == 1:
            return (
                "it returned a list with one tensor: `tape.gradient(result, x)`, without brackets "
                "around x, gives the tensor itself."
            )
        return difference(got, truth)

    return judge


SLOPE = Exercise(
    name="mlp_tensorflow.slope",
    title="A slope from the tape",
    minutes=5,
    difficulty=1,
    reference=mlp.slope,
    cases=_slope_cases,
    mistakes=(
        Mistake(
            lambda function, x: function(x),
            "That is the value of the function; the slope is what `tape.gradient(result, x)` says.",
        ),
        Mistake(
            lambda function, x: -mlp.slope(function, x),
            "The sign is turned round: return the slope itself. A minus belongs to the step that "
            "*uses* it.",
        ),
        Mistake(
            lambda function, x: tf.reduce_sum(mlp.slope(function, x)),
            "Your slopes are added up, as where all of x is nudged at once; each element of x has "
            "its own.",
        ),
        Mistake(
            lambda function, x: mlp.slope(lambda x: function(x) ** 2, x),
            "You took the slope of the square of the result; take that of the result.",
        ),
    ),
    hints=(
        "Three things happen inside `with tf.GradientTape() as tape:` or just after it: watch x, "
        "compute `function(x)`, ask for the slope.",
        "`tape.watch(x)` comes first inside `with`: x is a constant, and the tape records "
        "variables only, unless it is told otherwise.",
        "After `with` has ended: `return tape.gradient(result, x)`.",
    ),
)


def _network(rng: np.random.Generator, sizes: list[int]) -> list[np.ndarray]:
    """Weights and biases of all layers, one after the other, as Keras lists them."""
    return [
        array
        for inputs, outputs in pairwise(sizes)
        for array in (_random(rng, inputs, outputs), _random(rng, outputs))
    ]


def _logits(x: np.ndarray, weights: list[np.ndarray], hidden: Callable) -> np.ndarray:
    """What the network gives, in NumPy: the truth for what Keras computes."""
    for number in range(0, len(weights), 2):
        x = np.einsum("bd,dh->bh", x, weights[number]) + weights[number + 1]
        x = hidden(x) if number + 2 < len(weights) else x
    return x


def _positive(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0)


def _build_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Weights are filled in by position, so any names and any kind of model are fine."""
    for sizes, batch in (([2, 3, 1], 1), ([3, 2], 2), ([5, 5, 5, 5], 2), ([4, 7, 6, 3], 5)):
        weights, x = _network(rng, sizes), 30 * _random(rng, batch, sizes[0])
        truth = tf.constant(_logits(x, weights, _positive), tf.float32)
        linear = tf.constant(_logits(x, weights, lambda z: z), tf.float32)
        cut = tf.constant(_logits(_positive(x), weights, _positive), tf.float32)
        yield Case(
            (sizes, x, weights),
            truth,
            judge=_like_logits(truth, linear, cut),
            call=_build_and_run,
            names=("sizes", "x", "weights and biases"),
        )


def _build_and_run(build: Callable, sizes: list[int], x: np.ndarray, weights: list) -> Any:
    """The logits for known weights, or a sentence where the weights do not fit the model."""
    model = build(sizes)
    if not isinstance(model, keras.Model):
        return f"it returned {type_name(model)}; return the model, a `keras.Sequential(…)`."
    if problem := _fill_weights(model, weights):
        return problem
    asked = getattr(model, "inputs", None)
    if asked and len(asked[0].shape) != x.ndim:
        return (
            f"the model asks for inputs of shape {tuple(asked[0].shape)}: `keras.Input((n,))` says "
            "the shape of one example, without the batch axis, which Keras adds."
        )
    return model(tf.constant(x), training=True)


def _fill_weights(model: keras.Model, weights: list[np.ndarray]) -> str | None:
    """Give the model known weights; a sentence where its own do not fit the task."""
    found_shapes = [tuple(weight.shape) for weight in model.weights]
    wanted_shapes = [array.shape for array in weights]
    if not found_shapes:
        return (
            "the model has no weights yet, since it does not know how many inputs there are: "
            "begin with `keras.Input((sizes[0],))`."
        )
    if found_shapes != wanted_shapes:
        return (
            f"the weights have the shapes {found_shapes}; for these sizes they should be "
            f"{wanted_shapes}: `sizes[0]` is the number of inputs, every further size is one "
            "`Dense` layer."
        )
    if any(float(np.std(matrix)) == 0 for matrix in model.get_weights()[::2] if matrix.size > 1):
        return (
            "all weights start with the same value, and such neurons stay copies of each other: "
            "leave the random start of `Dense` as it is."
        )
    model.set_weights(weights)
    return None


def _like_logits(
    truth: tf.Tensor, linear: tf.Tensor, cut: tf.Tensor
) -> Callable[[Any], str | None]:
    """Compare logits; linear: without any ReLU, cut: with one on the input as well."""
    known = (
        (tf.nn.relu(truth), "ReLU was applied to the last layer too; logits may be negative."),
        (
            tf.nn.softmax(truth),
            "it returns probabilities: the last layer has no activation, the loss applies softmax.",
        ),
        (linear, "the activation is missing: without ReLU, all layers together are one layer."),
        (cut, "ReLU was applied to the input as well; it comes after each hidden layer."),
    )

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        problem = difference(got, truth)
        if problem is None:
            return None
        for other, sentence in known:
            if difference(got, other) is None:
                return sentence
        return f"{problem} Is there a ReLU after every layer but the last, and nothing else?"

    return judge


BUILD = Exercise(
    name="mlp_tensorflow.build_mlp",
    title="The network as a Keras model",
    minutes=7,
    difficulty=1,
    reference=mlp.build_mlp,
    cases=_build_cases,
    uses_randomness=True,
    hints=(
        "`model = keras.Sequential([keras.Input((sizes[0],))])` makes a model that knows its "
        "number of inputs and has no layers yet; `model.add(layer)` puts a layer at the end.",
        "`sizes[1:-1]` are the hidden layers, `sizes[-1]` is the last one.",
        "In a loop over the hidden sizes: "
        '`model.add(keras.layers.Dense(units, activation="relu"))`. The last layer has no '
        "activation. Do not forget `return model`.",
    ),
    advice=(
        (
            r"'NoneType' object has no attribute 'add'",
            "`add` returns nothing, it changes the model: `model.add(layer)` without `model =`.",
        ),
    ),
)


def _compile_cases(rng: np.random.Generator) -> Iterator[Case]:
    for batch, inputs, classes, rate in ((2, 2, 2, 0.5), (5, 3, 4, 0.01), (3, 4, 3, 0.002)):
        weights, x = 2 * _random(rng, inputs, classes), _random(rng, batch, inputs)
        logits = np.einsum("bd,dk->bk", x, weights)
        y = rng.integers(classes, size=batch)
        y[0] = logits[0].argmin()  # an answer that is wrong, on which the losses differ most
        surprise = -special.log_softmax(logits, axis=1)[np.arange(batch), y]
        truth = {
            "loss": float(surprise.mean()),
            "accuracy": float((logits.argmax(axis=1) == y).mean()),
            "learning rate": rate,
            "a training step moves the weights": True,
        }
        yield Case(
            (weights, x, y, rate),
            truth,
            judge=_like_compiled(truth, logits, y),
            call=_compile_and_measure,
            names=("weights of a linear model", "x", "y", "learning_rate"),
        )


def _compile_and_measure(
    compile_model: Callable, weights: np.ndarray, x: np.ndarray, y: np.ndarray, rate: float
) -> Any:
    """Loss and accuracy of one batch as the compiled model computes them, or a sentence."""
    dense = keras.layers.Dense(weights.shape[1], use_bias=False)
    model = keras.Sequential([keras.Input((len(weights),)), dense])
    model.set_weights([weights])
    compiled = compile_model(model, rate)
    if not isinstance(compiled, keras.Model):
        return (
            f"it returned {type_name(compiled)}; `model.compile(…)` gives nothing back, so "
            "`return model` itself."
        )
    if not compiled.compiled:
        return "the model is not compiled: call `model.compile(…)` on the model that you return."
    logits = compiled(tf.constant(x))
    if difference(logits, tf.nn.softmax(x @ weights)) is None:
        return (
            "the model gives probabilities now. That can work too, but the task is to leave the "
            "model as it is: tell the loss that it gets logits."
        )
    if type(compiled.optimizer) is not keras.optimizers.Adam:
        return "the optimizer should be `keras.optimizers.Adam(learning_rate)`, as before."
    if problem := _wrong_loss(compiled.loss):
        return problem
    loss = compiled.compute_loss(y=tf.constant(y), y_pred=logits)
    measured = compiled.compute_metrics(None, tf.constant(y), logits)
    found = {name: value for name, value in measured.items() if name != "loss"}
    if not found:
        return 'no accuracy is measured: keep `metrics=["accuracy"]`.'
    compiled.train_step((tf.constant(x), tf.constant(y)))
    return {
        "loss": float(loss),
        "accuracy": float(next(iter(found.values()))),
        "learning rate": float(compiled.optimizer.learning_rate),
        "a training step moves the weights": not np.array_equal(dense.get_weights()[0], weights),
    }


def _wrong_loss(loss: Any) -> str | None:
    """A sentence where the loss of Keras that was named is not the one for these labels."""
    if isinstance(loss, keras.metrics.Metric):
        return (
            "that is a metric, which only measures: the loss of the same name is in `keras.losses`."
        )
    if not getattr(loss, "__module__", "keras").startswith("keras"):
        return None  # the student's own
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    name = name.replace("_", "").lower()
    if "mse" in name or "meansquared" in name:
        return "keep the cross-entropy, the loss for classes; only one setting of it is missing."
    if "crossentropy" in name and not name.startswith("sparse"):
        return (
            "the labels are numbers here, one for each example: take the loss with *Sparse* in its "
            "name."
        )
    return None


def _like_compiled(
    truth: dict[str, float], logits: np.ndarray, y: np.ndarray
) -> Callable[[Any], str | None]:
    unaware = float(np.mean(keras.losses.sparse_categorical_crossentropy(y, logits)))

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        if difference(got["loss"], unaware) is None and difference(unaware, truth["loss"]):
            return (
                "the loss still takes the logits for probabilities. A name in quotes cannot say "
                "otherwise; an object can, and the object needs `from_logits=True`: "
                "`keras.losses.…(from_logits=True)`."
            )
        if difference(got["loss"], truth["loss"] * len(y)) is None:
            return "the loss is the sum over the batch; leave its `reduction` as it is, a mean."
        return difference(got, truth)

    return judge


COMPILE = Exercise(
    name="mlp_tensorflow.compile_for_digits",
    title="Bug hunt: a loss that misreads the model",
    minutes=6,
    difficulty=2,
    reference=mlp.compile_for_digits,
    cases=_compile_cases,
    uses_randomness=True,
    hints=(
        "Our model has no softmax at its end. What does the loss expect to be given?",
        "The loss has to be an object here, made from a class in `keras.losses`: its arguments "
        "say what it is given. `help(keras.losses.SparseCategoricalCrossentropy)` lists them.",
        "`loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)`",
    ),
    advice=(
        (
            r"No gradients provided",
            "A training step cannot move the weights: the loss has to follow from the logits, by "
            "functions whose slope TensorFlow knows.",
        ),
    ),
)


def _cycle_cases(rng: np.random.Generator) -> Iterator[Case]:
    for peak, num_steps in ((2.0, 10), (0.5, 7), (0.003, 57), (0.2, 1000)):
        places = [0, 0.3 * num_steps, num_steps]
        inside = rng.integers(num_steps // 5, num_steps, size=3)
        # The last step before the highest point shows whether that was rounded: at 2.1 of 7 steps.
        inside = sorted({*map(int, inside), int(0.3 * num_steps)})
        steps = [0, 1, *inside, num_steps - 1]
        truth = np.interp(steps, places, [0, peak, 0]).astype("float32")
        yield Case(
            (peak, num_steps, steps),
            truth,
            judge=_like_cycle(peak, num_steps, steps, truth),
            call=_rates,
            names=("peak", "num_steps", "steps"),
        )


def _rates(schedule: type, peak: float, num_steps: int, steps: list[int]) -> Any:
    """The learning rate of each step, asked for as the lesson and as `fit` does, or a sentence."""
    if schedule.get_config is keras.optimizers.schedules.LearningRateSchedule.get_config:
        return "`get_config` is missing: keep it as it was given, to save a model takes it."
    cycle = schedule(peak, num_steps)
    rates = [cycle(tf.constant(number)) for number in steps]
    if any(rate is None for rate in rates):
        return "`__call__` returned None: return the learning rate of this step."
    step = keras.Variable(steps[-1], dtype="int64", trainable=False)
    try:
        compiled = tf.function(lambda: cycle(step), autograph=False)()
    except (TypeError, AttributeError, NotImplementedError) as error:
        if not re.search("ymbolic|eager execution", str(error)):
            raise
        return (
            "it works step by step but not inside `fit`, which runs the training step as a graph: "
            "there `step` is a tensor whose value is not known yet, so `if`, `min`, `float` and "
            "NumPy cannot use it. `tf.minimum` and `tf.where` can."
        )
    if difference(np.float32(compiled), np.float32(rates[-1])):
        return (
            "inside `fit`, which runs the training step as a graph, it gives another rate for the "
            "same step: compute it from `step` alone."
        )
    return np.array([float(rate) for rate in rates], "float32")


def _two_lines(done: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rising and the falling line at each share of the training that is done."""
    return done / 0.3, (1 - done) / 0.7


def _like_cycle(
    peak: float, num_steps: int, steps: list[int], truth: np.ndarray
) -> Callable[[Any], str | None]:
    steps_done = np.array(steps)
    done = steps_done / num_steps
    up, down = _two_lines(done)
    top = int(0.3 * num_steps)
    rounded = (
        "30% of num_steps need not be a whole number: do not round it, and compare or divide with "
        "the fraction."
    )
    known = (
        (
            peak * np.minimum(steps_done / top, (num_steps - steps_done) / (num_steps - top)),
            rounded,
        ),
        (peak * np.where(steps_done < top, up, down), rounded),
        (
            peak * np.minimum(*_two_lines(done + 1 / num_steps)),
            "step 0 has to give 0: take `step` as it is, without adding 1.",
        ),
        (
            peak * np.minimum(*_two_lines(steps_done / (num_steps - 1))),
            "step num_steps would give 0, which is one after the last: divide by num_steps itself.",
        ),
        (
            peak * np.minimum(up, (1 - done) / 0.3),
            "the second line falls too steeply: it has 70% of the steps to come down from `peak`.",
        ),
        (
            peak * np.minimum(up, 1 - done / 0.7),
            "of the second line only `done` is divided: put `1 - done` in brackets.",
        ),
        (truth / peak, "its highest point is 1: multiply with `peak`."),
        (
            peak * np.maximum(up, down),
            "it is high at both ends and low in between: of the two lines, the *lower* one counts.",
        ),
        (peak * up, "it only rises; after 30% of the steps it should fall."),
        (peak * down, "it only falls; during the first 30% it should rise."),
        (
            peak * np.minimum(up, 1 - done),
            "it does not fall from `peak`: the second line reaches `peak` at 30%, and has 70% of "
            "the steps left to come down to 0.",
        ),
        (peak * np.minimum(up, 1), "it rises and then stays at `peak`; it should fall to 0."),
        (
            peak * np.minimum(done / 0.7, (1 - done) / 0.3),
            "it rises for 70% of the steps; it should rise for 30% and fall for 70%.",
        ),
    )

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        problem = difference(got, truth)
        if problem is None:
            return None
        for other, sentence in known:
            if difference(got, np.float32(other)) is None:
                return sentence
        return f"{problem} (These are the rates of the steps listed.)"

    return judge


CYCLE = Exercise(
    name="mlp_tensorflow.OneCycle",
    title="A learning rate that rises and falls",
    minutes=9,
    difficulty=2,
    reference=mlp.OneCycle,
    cases=_cycle_cases,
    hints=(
        "Work with the share of the training that is done, `step / self.num_steps`, from 0 to 1. "
        "In which point do the two straight lines meet?",
        "Divided by the peak, the first line is `done / 0.3`, the second `(1 - done) / 0.7`. Both "
        "are 1 at `done = 0.3`. Before it the first one is lower, after it the second.",
        "`done = tf.cast(step, tf.float32) / self.num_steps`; the lower of two tensors is "
        "`tf.minimum(a, b)`.",
    ),
    advice=(
        (
            r"Cannot convert \S+ to EagerTensor of dtype|expected to be a \w+ tensor",
            "`step` is a whole number, which TensorFlow does not mix with fractions: "
            "`tf.cast(step, tf.float32)` first, and then use only what it gives.",
        ),
    ),
)


def _dense_cases(rng: np.random.Generator) -> Iterator[Case]:
    for batch, inputs, units in ((1, 2, 1), (3, 4, 4), (2, 5, 3), (6, 1, 2)):
        x, kernel = _random(rng, batch, inputs), _random(rng, inputs, units)
        bias = _random(rng, units)
        truth = tf.constant(np.einsum("bd,dh->bh", x, kernel) + bias)
        yield Case(
            (units, x, kernel, bias),
            truth,
            judge=_like_dense(truth, bias),
            call=_make_and_call,
            names=("units", "inputs", "weights", "bias"),
        )


def _make_and_call(
    make: type, units: int, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray
) -> Any:
    """What the layer gives with known weights, or a sentence where its own do not fit."""
    layer = make(units, name="mine")
    if getattr(layer, "name", "") != "mine":
        return (
            "the settings that all layers have, such as a name, do not reach Keras: leave the line "
            "`super().__init__(**kwargs)` as it was."
        )
    inputs = tf.constant(x)
    layer(inputs)  # Keras calls `build` before the first `call`
    if any(isinstance(value, keras.layers.Layer) for value in vars(layer).values()):
        return (
            "there is another layer inside, which does the work: make weights and bias yourself, "
            "in `build` with `self.add_weight(…)`."
        )
    shapes = [tuple(weight.shape) for weight in layer.trainable_weights]
    wanted = [kernel.shape, bias.shape]
    if not shapes:
        return (
            "the layer has no weights that Keras can train: make them in `build` with "
            "`self.add_weight(…)` and store them in `self`. An array or a `tf.Variable` stays "
            "hidden from Keras."
        )
    if sorted(shapes) != sorted(wanted):
        return (
            f"for {_count(x.shape[1], 'input')} and {_count(units, 'unit')} the weights have the "
            f"shapes {shapes}; they should have {wanted}: one column for each unit, and one bias "
            "for each unit."
        )
    values = layer.get_weights()
    matrix = values[shapes.index(kernel.shape)]
    if matrix.size > 1 and float(np.std(matrix)) == 0:
        return (
            "all weights start with the same value, and such neurons stay copies of each other: "
            'take a random start, as `initializer="glorot_uniform"` gives.'
        )
    if np.any(values[shapes.index(bias.shape)]):
        return (
            "the bias starts at random, as everything does that `add_weight` is told nothing "
            'about; it should start at 0: `initializer="zeros"`.'
        )
    layer.set_weights([kernel, bias] if shapes == wanted else [bias, kernel])
    with tf.GradientTape() as tape:
        result = layer(inputs)
        total = tf.reduce_sum(result) if tf.is_tensor(result) else result
    if not tf.is_tensor(result):
        return result if result is not None else "`call` returned None: return the weighted sums."
    slopes = tape.gradient(total, layer.trainable_weights)
    for shape, found in zip(shapes, slopes, strict=True):
        if found is None:
            name = "bias" if shape == bias.shape else "weights"
            return (
                f"no slope reaches the {name}, which could never learn: does `call` compute with "
                "both weights and bias, and without `.numpy()`?"
            )
    return result


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _like_dense(truth: tf.Tensor, bias: np.ndarray) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        problem = difference(got, truth)
        if problem is None:
            return None
        if difference(got, tf.nn.relu(truth)) is None:
            return "a ReLU was applied as well; this layer has no activation."
        if difference(got, truth - 2 * bias) is None:
            return "the bias is added, not subtracted."
        return problem

    return judge


DENSE = Exercise(
    name="mlp_tensorflow.DenseLayer",
    title="A layer of your own",
    minutes=9,
    difficulty=2,
    reference=mlp.DenseLayer,
    cases=_dense_cases,
    uses_randomness=True,
    hints=(
        "`__init__` stores `units`, `build` makes weights and bias once the number of inputs is "
        "known, `call` computes: `inputs @ self.kernel + self.bias`. (Keras has its own use for "
        "the name `self.weights`.)",
        "`input_shape` is (B, D), so the weights have the shape `(input_shape[-1], self.units)` "
        "and the bias `(self.units,)`.",
        'In `build`: `self.kernel = self.add_weight(shape=…, initializer="glorot_uniform")`, and '
        'likewise `self.bias` with `initializer="zeros"`.',
    ),
    advice=(
        (
            r"property '(trainable_)?weights' of",
            "Keras uses the name `weights` itself, for the list of all of them: call yours "
            "`kernel`.",
        ),
        (
            r"name '(kernel|bias|weights?|w|b)' is not defined",
            "If `build` makes it, store it there as `self.kernel`, and use it here under that name "
            "(the bias likewise).",
        ),
        (
            r"Matrix size-incompatible",
            "The inputs are [B, D], so the weights are [D, units], and D is `input_shape[-1]`.",
        ),
    ),
)


class Louder(keras.layers.Layer):
    """Gives twice its input in training only: it shows whether the step says that it trains.

    It has a weight that is to be frozen, which a step must not move. No underscore begins its
    name, from which Keras makes one for TensorFlow that allows none.
    """

    def build(self, input_shape: tuple) -> None:
        self.loudness = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return (2 if training else 1) * self.loudness * inputs


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Two steps on a linear model, whose slope is known in closed form.

    First with rows of numbers as labels and plain descent, then with numbers as labels and
    momentum, so that a step fits neither only one loss nor only one optimizer.
    """
    for inputs, classes, batch, smoothing, momentum in ((2, 3, 2, 0.2, 0.0), (3, 4, 5, 0.0, 0.5)):
        weights, x = _random(rng, inputs, classes), _random(rng, batch, inputs)
        y = rng.integers(classes, size=batch)
        one_hot = np.eye(classes, dtype="float32")[y]
        given = (weights, x, one_hot if smoothing else y, smoothing, momentum)
        descend = functools.partial(_descent, weights, x, one_hot, smoothing)
        truth = descend(momentum, factor=2)
        known = descend(momentum, factor=1), descend(0.0, factor=2)
        yield Case(
            given,
            truth,
            judge=_like_steps(truth, *known, weights),
            call=_take_steps,
            names=("weights of a linear model", "x", "y", "label smoothing", "momentum"),
        )


def _descent(
    weights: np.ndarray,
    x: np.ndarray,
    one_hot: np.ndarray,
    smoothing: float,
    momentum: float,
    factor: int,
) -> dict[str, Any]:
    """Two steps of descent with learning rate 1 on a model whose logits are factor · x · W."""
    wanted = (1 - smoothing) * one_hot + smoothing / one_hot.shape[1]
    truth: dict[str, Any] = {}
    move = np.zeros_like(weights)
    for number in (1, 2):
        logits = factor * x @ weights
        if number == 1:
            truth["loss"] = float(-(wanted * special.log_softmax(logits, axis=1)).sum(1).mean())
            right = logits.argmax(axis=1) == one_hot.argmax(axis=1)
            truth["accuracy"] = float(right.mean())
        error = special.softmax(logits, axis=1) - wanted
        move = momentum * move - factor * x.T @ error / len(x)
        weights = weights + move
    truth["weights after two steps"] = weights.astype("float32")
    truth["a frozen weight"] = 1.0
    return truth


def _take_steps(
    make: type,
    weights: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    smoothing: float,
    momentum: float,
) -> Any:
    """What the first step returns and where the weights end, or a sentence."""
    if _is_keras_own(make):
        return (
            "that is Keras's own step; the task is to write it out: logits and loss inside a tape, "
            "slopes, `apply_gradients`."
        )
    louder, dense = Louder(), keras.layers.Dense(weights.shape[1], use_bias=False)
    inputs = keras.Input((len(weights),))
    model = make(inputs, dense(louder(inputs)))
    louder.trainable = False
    loss = (
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
        if y.ndim == 2
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    optimizer = keras.optimizers.SGD(1.0, momentum=momentum)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    dense.set_weights([weights])
    data = tf.constant(x), tf.constant(y)
    if momentum:  # once as in `fit`; to write the graph down tells enough, to run it takes longer
        tf.function(model.train_step, autograph=False).get_concrete_function(data)
    logs = model.train_step(data)
    if isinstance(logs, dict):  # what is seen of the metrics, before the second step
        logs = {name: np.asarray(value) for name, value in logs.items()}
    model.train_step(data)
    if logs is None:
        return (
            "the step returns nothing: return what `update_metrics` gives, and `fit` can show it."
        )
    if not isinstance(logs, dict):
        return "return the dictionary that `update_metrics` gives: `fit` shows what is in it."
    if not {"loss", "accuracy"} <= set(logs):
        return (
            f"the step returns {sorted(logs)}; `fit` should also see the metrics that were named "
            "in `compile`: return what `update_metrics` gives."
        )
    return {
        "loss": float(logs["loss"]),
        "accuracy": float(logs["accuracy"]),
        "weights after two steps": np.asarray(dense.get_weights()[0]),
        "a frozen weight": float(louder.get_weights()[0]),
    }


def _is_keras_own(make: type) -> bool:
    """Whether the step is Keras's, or hands its work to Keras's."""
    names = getattr(getattr(make.train_step, "__code__", None), "co_names", ())
    return make.train_step is keras.Model.train_step or "train_step" in names


def _like_steps(
    truth: dict[str, Any], untold: dict[str, Any], by_hand: dict[str, Any], start: np.ndarray
) -> Callable[[Any], str | None]:
    """untold: what happens where the step does not say that it trains; by_hand: where it does not
    leave the move to the optimizer.
    """

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        if got["a frozen weight"] != 1:
            return (
                "a layer that was frozen (`layer.trainable = False`) was trained as well: take "
                "`self.trainable_variables`, which leaves it out."
            )
        after, wanted = got["weights after two steps"], truth["weights after two steps"]
        if difference(after, start) is None and difference(wanted, start):
            return (
                "the weights did not move: the optimizer has to apply the slopes, "
                "`self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))`."
            )
        if difference(got, untold) is None and difference(untold, truth):
            return (
                "the model is not told that it is training. Our layers do the same in both cases, "
                "others do not: `self(x, training=True)`."
            )
        if difference(got, by_hand) is None and difference(by_hand, truth):
            return (
                "the weights move by learning rate times slope; this optimizer has momentum and "
                "does more. Leave the move to it: `self.optimizer.apply_gradients(…)`."
            )
        if got["loss"] == 0 and difference(after, wanted) is None:
            return "the loss was not passed on: return what `update_metrics` gives."
        if difference(got["loss"], truth["loss"]):
            return (
                f"{difference(got, truth)} Is it `self.compute_loss(y=y, y_pred=logits)`, with the "
                "logits as the model gives them?"
            )
        return difference(got, truth)

    return judge


STEP = Exercise(
    name="mlp_tensorflow.TapedModel",
    title="Your own training step inside fit",
    minutes=12,
    difficulty=3,
    reference=mlp.TapedModel,
    cases=_step_cases,
    uses_randomness=True,
    hints=(
        "The five actions of lesson 01 are four here: logits and loss (both inside the tape), "
        "slopes, step. There is nothing to forget: every tape starts empty.",
        "`x, y = data`. Inside `with tf.GradientTape() as tape:` stand `logits = self(x, "
        "training=True)` and `loss = self.compute_loss(y=y, y_pred=logits)`.",
        "After `with`: `gradients = tape.gradient(loss, self.trainable_variables)`, then "
        "`self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))`, then "
        "`return update_metrics(self, loss, y, logits)`.",
    ),
    advice=(
        (
            r"apply_gradients\(\) takes",
            "It takes pairs: `zip(gradients, self.trainable_variables)` makes them.",
        ),
        (
            r"'_unique_id'|values to unpack",
            "`apply_gradients` takes pairs (slope, weight), in this order: "
            "`zip(gradients, self.trainable_variables)`.",
        ),
        (
            r"'NoneType' object is not iterable",
            "Where `tape.gradient(loss, variables)` gives None, look at its arguments: the loss "
            "first, then the variables.",
        ),
        (
            r"convert a value \(None\)",
            "Name the arguments of the loss: `self.compute_loss(y=y, y_pred=logits)`.",
        ),
        (
            r"Cannot squeeze",
            "In `update_metrics(self, loss, y, logits)` the labels come first, then the logits.",
        ),
        (
            r"rank \(ndim\)",
            "Use the loss named in `compile`, which fits the labels: "
            "`self.compute_loss(y=y, y_pred=logits)`.",
        ),
        (
            r"received 2 input tensors",
            "`data` is a pair: begin with `x, y = data`.",
        ),
    ),
)

EXERCISES = (SLOPE, BUILD, COMPILE, CYCLE, DENSE, STEP)
