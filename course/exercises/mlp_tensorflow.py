"""The exercises of lesson 01 in TensorFlow: slopes by tape, then a network in Keras's own style."""

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
    def case(function: _Function, x: np.ndarray, truth: np.ndarray) -> Case:
        right = tf.constant(truth, tf.float32)
        return Case((function, tf.constant(x, tf.float32)), right, judge=_like_slope(right))

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


def _like_slope(truth: tf.Tensor) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if got is None:
            return (
                "it returned None. Either `return` is missing, or the tape saw no way from x to "
                "the result: it records what is computed inside `with`, and of a constant only "
                "after `tape.watch(x)`."
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
            "the model gives probabilities now. That can work too, but it loses digits where a "
            "probability is close to 0 or 1: keep the logits, and tell the loss about them."
        )
    if not isinstance(compiled.optimizer, keras.optimizers.Adam):
        return "the optimizer should be `keras.optimizers.Adam(learning_rate)`."
    loss = compiled.compute_loss(y=tf.constant(y), y_pred=logits)
    measured = compiled.compute_metrics(None, tf.constant(y), logits)
    found = {name: value for name, value in measured.items() if name != "loss"}
    if not found:
        return 'no accuracy is measured: keep `metrics=["accuracy"]`.'
    return {
        "loss": float(loss),
        "accuracy": float(next(iter(found.values()))),
        "learning rate": float(compiled.optimizer.learning_rate),
    }


def _like_compiled(
    truth: dict[str, float], logits: np.ndarray, y: np.ndarray
) -> Callable[[Any], str | None]:
    unaware = float(np.mean(keras.losses.sparse_categorical_crossentropy(y, logits)))

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        if difference(got["loss"], unaware) is None and difference(unaware, truth["loss"]):
            return (
                "the loss still takes the logits for probabilities. The function that you name in "
                "quotes cannot be told otherwise; `keras.losses.…(from_logits=True)` can."
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
)


def _cycle_cases(rng: np.random.Generator) -> Iterator[Case]:
    for peak, num_steps in ((2.0, 10), (0.003, 57), (0.2, 1000)):
        places = [0, 0.3 * num_steps, num_steps]
        inside = rng.integers(num_steps // 5, num_steps, size=3)
        steps = [0, 1, *sorted(int(step) for step in inside), num_steps - 1]
        truth = np.interp(steps, places, [0, peak, 0]).astype("float32")
        yield Case(
            (peak, num_steps, steps),
            truth,
            judge=_like_cycle(peak, num_steps, steps, truth),
            call=_rates,
            names=("peak", "num_steps", "steps"),
        )


def _rates(schedule: type, peak: float, num_steps: int, steps: list[int]) -> Any:
    """The learning rate of each step, asked for as `fit` does, or a sentence."""
    if schedule.get_config is keras.optimizers.schedules.LearningRateSchedule.get_config:
        return "`get_config` is missing: keep it as it was given, to save a model takes it."
    cycle = schedule(peak, num_steps)
    step = keras.Variable(0, dtype="int64", trainable=False)
    rates = []
    for number in steps:
        step.assign(number)
        rates.append(cycle(step))
        if rates[-1] is None:
            return "`__call__` returned None: return the learning rate of this step."
    try:
        compiled = tf.function(lambda: cycle(step), autograph=False)()
    except (TypeError, AttributeError, NotImplementedError) as error:
        if "ymbolic" not in str(error):
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


def _like_cycle(
    peak: float, num_steps: int, steps: list[int], truth: np.ndarray
) -> Callable[[Any], str | None]:
    done = np.array(steps) / num_steps
    up, down = done / 0.3, (1 - done) / 0.7
    known = (
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
            f"for {x.shape[1]} inputs and {units} units the weights have the shapes {shapes}; they "
            f"should have {wanted}: one column for each unit, and one bias for each unit."
        )
    values = layer.get_weights()
    matrix = values[shapes.index(kernel.shape)]
    if matrix.size > 1 and float(np.std(matrix)) == 0:
        return (
            "all weights start with the same value, and such neurons stay copies of each other: "
            'take a random start, as `initializer="glorot_uniform"` gives.'
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
        "known, `call` computes: `inputs @ weights + bias`.",
        "`input_shape` is (B, D), so the weights have the shape `(input_shape[-1], self.units)` "
        "and the bias `(self.units,)`.",
        'In `build`: `self.kernel = self.add_weight(shape=…, initializer="glorot_uniform")`, and '
        'likewise `self.bias` with `initializer="zeros"`.',
    ),
)


class _Louder(keras.layers.Layer):
    """Gives twice its input in training only: it shows whether the step says that it trains."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return 2 * inputs if training else inputs


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Two steps on a linear model, whose slope is known in closed form."""
    for inputs, classes, batch, smoothing, as_graph in (
        (2, 3, 2, 0.2, False),
        (3, 4, 5, 0.1, True),
    ):
        weights, x = _random(rng, inputs, classes), _random(rng, batch, inputs)
        y = np.eye(classes, dtype="float32")[rng.integers(classes, size=batch)]
        one, two = (_descent(weights, x, y, smoothing, factor) for factor in (1, 2))
        yield Case(
            (weights, x, y, smoothing, as_graph),
            two,
            judge=_like_steps(two, one, weights),
            call=_take_steps,
            names=("weights of a linear model", "x", "y", "label smoothing", "inside tf.function"),
        )


def _descent(
    weights: np.ndarray, x: np.ndarray, y: np.ndarray, smoothing: float, factor: int
) -> dict[str, Any]:
    """Two steps of descent with learning rate 1 on a model whose logits are factor · x · W."""
    wanted = (1 - smoothing) * y + smoothing / y.shape[1]
    truth: dict[str, Any] = {}
    for number in (1, 2):
        logits = factor * x @ weights
        if number == 1:
            truth["loss"] = float(-(wanted * special.log_softmax(logits, axis=1)).sum(1).mean())
            right = logits.argmax(axis=1) == y.argmax(axis=1)
            truth["accuracy"] = float(right.mean())
        error = special.softmax(logits, axis=1) - wanted
        weights = weights - factor * x.T @ error / len(x)
    truth["weights after two steps"] = weights.astype("float32")
    return truth


def _take_steps(
    make: type, weights: np.ndarray, x: np.ndarray, y: np.ndarray, smoothing: float, as_graph: bool
) -> Any:
    """What the first step returns and where the weights end, or a sentence."""
    inputs = keras.Input((len(weights),))
    outputs = keras.layers.Dense(weights.shape[1], use_bias=False)(_Louder()(inputs))
    model = make(inputs, outputs)
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing),
        metrics=["accuracy"],
    )
    model.set_weights([weights])
    data = tf.constant(x), tf.constant(y)
    if as_graph:  # as in `fit`; to write the graph down tells enough, to run it takes longer
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
        "weights after two steps": np.asarray(model.get_weights()[0]),
    }


def _like_steps(
    truth: dict[str, Any], untold: dict[str, Any], start: np.ndarray
) -> Callable[[Any], str | None]:
    """untold: what happens where the step does not say that it trains."""

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
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
)

EXERCISES = (SLOPE, BUILD, COMPILE, CYCLE, DENSE, STEP)
