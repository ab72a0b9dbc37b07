"""Lesson 01 in TensorFlow: every exercise rejects plausible mistakes and takes right answers."""

import math
import re

import numpy as np
import pytest
from exercise_answers import AnswersOfALesson

from course import exercises, hardware
from course.exercises import check

pytest.importorskip("tensorflow")
with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

    from course.exercises.mlp_tensorflow import EXERCISES
    from course.models.mlp_tensorflow import update_metrics as measured

# Each wrong answer stands beside a word that its message must contain.


def slope_of_a_constant(function, x):
    with tf.GradientTape() as tape:
        result = function(x)
    return tape.gradient(result, x)


def slope_outside_the_tape(function, x):
    result = function(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
    return tape.gradient(result, x)


def slope_watched_too_late(function, x):
    with tf.GradientTape() as tape:
        result = function(x)
        tape.watch(x)
    return tape.gradient(result, x)


def slope_by(last, sources=lambda x: x):
    def slope(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
        return last(tape.gradient(result, sources(x)))

    return slope


def slope_of_a_variable(function, x):
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        result = function(x)
    return tape.gradient(result, x)


def slope_through_numpy(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = tf.constant(function(x).numpy())
    return tape.gradient(result, x)


def slope_twice(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = function(x)
    tape.gradient(result, x)
    return tape.gradient(result, x)


def slope_of_a_copy(function, x):
    return slope_by(lambda slopes: slopes)(function, tf.cast(x, tf.float32))


def slope_without_with(function, x):
    tape = tf.GradientTape()
    tape.watch(x)
    return tape.gradient(function(x), x)


def slope_watched_before(function, x):
    tape = tf.GradientTape()
    tape.watch(x)
    with tape:
        result = function(x)
    return tape.gradient(result, x)


def slope_asked(of):
    """of: from function, x and the result, what `tape.gradient` is asked about."""

    def slope(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = function(x)
        return tape.gradient(*of(function, x, result))

    return slope


def slope_measured_together(function, x):
    return (function(x + 1e-3) - function(x - 1e-3)) / 2e-3


def slope_measured_one_by_one(function, x):
    flat, slopes = np.asarray(x).ravel(), []
    for place in range(flat.size):
        nudge = np.zeros(flat.size, "float32")
        nudge[place] = 1e-4
        above, below = (tf.reshape(flat + sign * nudge, x.shape) for sign in (1, -1))
        slopes.append((function(above) - function(below)) / 2e-4)
    return tf.reshape(tf.stack(slopes), x.shape)


SLOPE = {
    "wrong": [
        (slope_of_a_constant, "tape.watch(x)"),
        (slope_outside_the_tape, "inside `with`"),
        (slope_watched_too_late, "tape.watch(x)"),
        (slope_through_numpy, "no way from x"),
        (slope_by(lambda slopes: None), "`return` is missing"),
        (slope_by(lambda slopes: slopes, sources=lambda x: [x]), "brackets"),
        (slope_by(lambda slopes: -slopes), "sign"),
        (slope_by(lambda slopes: slopes.numpy()), "NumPy"),
        (slope_by(tf.reduce_sum), "added"),
        (slope_twice, "one call"),
        (lambda function, x: function(x), "value of the function"),
        (slope_measured_together, "nudged at once"),
        (slope_measured_one_by_one, "element"),
        (slope_of_a_copy, "dtype float64"),
        (slope_without_with, "`with tf.GradientTape() as tape:`"),
        (slope_watched_before, "below `with`"),
        (slope_asked(lambda function, x, result: (result.numpy(), x)), "cannot follow NumPy"),
        (slope_asked(lambda function, x, result: (function, x)), "`result = function(x)` first"),
        (slope_asked(lambda function, x, result: (x, result)), "changed places"),
    ],
    "right": [
        slope_by(lambda slopes: slopes),
        slope_by(lambda slopes: slopes[0], sources=lambda x: [x]),
        slope_of_a_variable,
    ],
}


def mlp_by(hidden="relu", last=None, start=True, sizes_of=lambda sizes: sizes, **more):
    def build_mlp(sizes):
        sizes = sizes_of(sizes)
        model = keras.Sequential([keras.Input((sizes[0],))] if start else [])
        for units in sizes[1:-1]:
            model.add(keras.layers.Dense(units, activation=hidden, **more))
        model.add(keras.layers.Dense(sizes[-1], activation=last, **more))
        return model

    return build_mlp


def mlp_with(*extra):
    def build_mlp(sizes):
        model = mlp_by()(sizes)
        for layer in extra:
            model.add(layer())
        return model

    return build_mlp


def mlp_of_all_sizes(sizes):
    layers = [keras.layers.Dense(units, activation="relu") for units in sizes[:-1]]
    return keras.Sequential([keras.Input((sizes[0],)), *layers, keras.layers.Dense(sizes[-1])])


def mlp_returns_nothing(sizes):
    mlp_by()(sizes)


def mlp_as_a_list(sizes):
    return mlp_by()(sizes).layers


def mlp_cuts_the_input(sizes):
    layers = [keras.Input((sizes[0],)), keras.layers.ReLU(), *mlp_by()(sizes).layers]
    return keras.Sequential(layers)


def mlp_with_a_batch_axis(sizes):
    return keras.Sequential([keras.Input((None, sizes[0])), *mlp_by()(sizes).layers])


def mlp_without_a_comma(sizes):
    return keras.Sequential([keras.Input(sizes[0]), *mlp_by()(sizes).layers])


def mlp_keeps_what_add_returns(sizes):
    model = keras.Sequential([keras.Input((sizes[0],))])
    for units in sizes[1:-1]:
        model = model.add(keras.layers.Dense(units, activation="relu"))
    model = model.add(keras.layers.Dense(sizes[-1]))
    return model


def mlp_functional(sizes):
    inputs = x = keras.Input((sizes[0],))
    for units in sizes[1:-1]:
        x = keras.layers.ReLU()(keras.layers.Dense(units)(x))
    return keras.Model(inputs, keras.layers.Dense(sizes[-1])(x))


def mlp_by_list(sizes):
    hidden = [keras.layers.Dense(units, activation=tf.nn.relu) for units in sizes[1:-1]]
    start, end = keras.layers.InputLayer(shape=(sizes[0],)), keras.layers.Dense(sizes[-1])
    return keras.Sequential([start, *hidden, end])


BUILD = {
    "wrong": [
        (mlp_by(last="relu"), "last layer too"),
        (mlp_by(last="softmax"), ("probabilities", "element")),
        (mlp_by(hidden=None), "activation is missing"),
        (mlp_by(hidden="sigmoid"), "ReLU after every layer"),
        (mlp_by(start=False), "keras.Input"),
        (mlp_by(sizes_of=lambda sizes: sizes[::-1]), "shapes"),
        (mlp_by(use_bias=False), "shapes"),
        (mlp_by(kernel_initializer="ones"), "same value"),
        (mlp_with(lambda: keras.layers.Dropout(0.5)), ("nothing else", "last layer")),
        (mlp_of_all_sizes, "number of inputs"),
        (mlp_cuts_the_input, "input as well"),
        (mlp_returns_nothing, "return the model"),
        (mlp_as_a_list, "list"),
        (mlp_with_a_batch_axis, "without the batch axis"),
        (mlp_without_a_comma, "comma"),
        (mlp_keeps_what_add_returns, "`add` returns nothing"),
    ],
    "right": [mlp_by(), mlp_functional, mlp_by_list],
}

SPARSE = keras.losses.SparseCategoricalCrossentropy


def compiled_by(loss, optimizer=keras.optimizers.Adam, metrics=("accuracy",), result=None):
    def compile_for_digits(model, learning_rate):
        model.compile(optimizer(learning_rate), loss=loss(), metrics=list(metrics))
        return result(model) if result else model

    return compile_for_digits


def compiled_with_softmax(model, learning_rate):
    model = keras.Sequential([model, keras.layers.Softmax()])
    model.compile(keras.optimizers.Adam(learning_rate), SPARSE(), metrics=["accuracy"])
    return model


def compiled_with_tensorflow_s_function(model, learning_rate):
    def cross_entropy(y, logits):
        y = tf.cast(tf.reshape(y, [-1]), tf.int32)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)

    metric = keras.metrics.SparseCategoricalAccuracy()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate), loss=cross_entropy, metrics=[metric]
    )
    return model


def constant_loss(y, logits):
    return tf.stop_gradient(SPARSE(from_logits=True)(y, logits))


COMPILE = {
    "wrong": [
        (compiled_by(lambda: "sparse_categorical_crossentropy"), "name in quotes"),
        (compiled_by(SPARSE), "object needs `from_logits=True`"),
        (
            compiled_by(lambda: keras.losses.CategoricalCrossentropy(from_logits=True)),
            "labels are numbers",
        ),
        (compiled_by(lambda: "categorical_crossentropy"), "labels are numbers"),
        (
            compiled_by(lambda: keras.losses.BinaryCrossentropy(from_logits=True)),
            "labels are numbers",
        ),
        (compiled_by(lambda: "mse"), "Keep the cross-entropy"),
        (compiled_by(keras.losses.MeanSquaredError), "Keep the cross-entropy"),
        (
            compiled_by(lambda: keras.metrics.SparseCategoricalCrossentropy(from_logits=True)),
            "metric",
        ),
        (compiled_by(lambda: constant_loss), "No gradients"),
        (compiled_by(lambda: SPARSE(from_logits=True), keras.optimizers.AdamW), "Adam("),
        (compiled_by(lambda: SPARSE(from_logits=True, reduction="sum")), "sum over the batch"),
        (compiled_by(lambda: SPARSE(from_logits=True), keras.optimizers.SGD), "Adam"),
        (compiled_by(lambda: SPARSE(from_logits=True), metrics=()), "accuracy"),
        (
            compiled_by(lambda: SPARSE(from_logits=True), lambda rate: keras.optimizers.Adam()),
            "Learning rate",
        ),
        (
            compiled_by(lambda: SPARSE(from_logits=True), result=lambda model: None),
            "`return model`",
        ),
        (lambda model, learning_rate: model, "not compiled"),
        (compiled_with_softmax, "leave the model as it is"),
    ],
    "right": [
        compiled_by(lambda: SPARSE(from_logits=True)),
        compiled_with_tensorflow_s_function,
    ],
}


def cycle_by(rule, store=lambda peak, num_steps: (peak, num_steps)):
    class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, peak, num_steps):
            self.peak, self.num_steps = store(peak, num_steps)

        def get_config(self):
            return {"peak": self.peak, "num_steps": self.num_steps}

        def __call__(self, step):
            return rule(step, self.peak, self.num_steps)

    return OneCycle


def share(step, num_steps):
    return tf.cast(step, tf.float32) / num_steps


def cycle_with_if(step, peak, num_steps):
    done = share(step, num_steps)
    if done < 0.3:
        return peak * done / 0.3
    return peak * (1 - done) / 0.7


def cycle_with_where(step, peak, num_steps):
    done = step / num_steps
    return tf.where(done < 0.3, peak * done / 0.3, peak * (1 - done) / 0.7)


def cycle_by_minimum(step, peak, num_steps):
    warm = 0.3 * num_steps
    step = tf.cast(step, tf.float32)
    return peak * keras.ops.minimum(step / warm, (num_steps - step) / (num_steps - warm))


def cycle_by_cosine(step, peak, num_steps):
    return peak * (1 - tf.cos(2 * math.pi * share(step, num_steps))) / 2


def whole_steps_of(num_steps):
    return int(0.3 * num_steps)


def cycle_rounded(step, peak, num_steps):
    step, top = tf.cast(step, tf.float32), whole_steps_of(num_steps)
    return peak * tf.minimum(step / top, (num_steps - step) / (num_steps - top))


def cycle_turned_at_a_rounded_step(step, peak, num_steps):
    done, top = share(step, num_steps), whole_steps_of(num_steps)
    return peak * tf.where(step < top, done / 0.3, (1 - done) / 0.7)


def cycle_cast_once(step, peak, num_steps):
    done = share(step, num_steps)
    return tf.minimum(peak * done / 0.3, peak * (1 - step / num_steps) / 0.7)


def cycle_with_numpy(step, peak, num_steps):
    done = step.numpy() / num_steps
    return peak * tf.minimum(done / 0.3, (1 - done) / 0.7)


def cycle_of(up, down):
    """up, down: the two lines, from the step as float32 and the number of steps."""

    def rule(step, peak, num_steps):
        step = tf.cast(step, tf.float32)
        return peak * tf.minimum(up(step, num_steps), down(step, num_steps))

    return rule


class CountsItself(keras.optimizers.schedules.LearningRateSchedule):
    """Counts its calls instead of looking at the step, which the graph calls only once."""

    def __init__(self, peak, num_steps):
        self.peak, self.num_steps = peak, num_steps
        self.count = 0

    def get_config(self):
        return {}

    def __call__(self, step):
        self.count += 1
        return tf.constant(self.peak) * (self.count - 1) / self.num_steps


class WithoutConfig(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak, num_steps):
        self.peak, self.num_steps = peak, num_steps

    def __call__(self, step):
        return cycle_by_minimum(step, self.peak, self.num_steps)


CYCLE = {
    "wrong": [
        (cycle_by(cycle_with_if), "graph"),
        (cycle_by(lambda s, p, n: p * min(share(s, n) / 0.3, (1 - share(s, n)) / 0.7)), "graph"),
        (cycle_by(lambda s, p, n: p * np.interp(float(s), [0, 0.3 * n, n], [0, 1, 0])), "graph"),
        (cycle_by(lambda s, p, n: cycle_with_where(s, 1.0, n)), "multiply with `peak`"),
        (
            cycle_by(lambda s, p, n: p * tf.maximum(share(s, n) / 0.3, (1 - share(s, n)) / 0.7)),
            "lower",
        ),
        (cycle_by(lambda s, p, n: p * share(s, n) / 0.3), "only rises"),
        (cycle_by(lambda s, p, n: p * (1 - share(s, n)) / 0.7), "only falls"),
        (cycle_by(lambda s, p, n: p * tf.minimum(share(s, n) / 0.3, 1 - share(s, n))), "70%"),
        (cycle_by(lambda s, p, n: p * tf.minimum(share(s, n) / 0.3, 1.0)), "stays"),
        (
            cycle_by(lambda s, p, n: p * tf.minimum(share(s, n) / 0.7, (1 - share(s, n)) / 0.3)),
            "30%",
        ),
        (cycle_by(cycle_by_cosine), "rates of the steps"),
        (cycle_by(lambda s, p, n: None), "returned None"),
        (cycle_by(cycle_rounded), "do not round"),
        (cycle_by(cycle_turned_at_a_rounded_step), "do not round"),
        (cycle_by(cycle_cast_once), "`tf.cast(step, tf.float32)` first"),
        (cycle_by(lambda s, p, n: p * s / (0.3 * n)), "`tf.cast(step, tf.float32)` first"),
        (
            cycle_by(lambda s, p, n: tf.minimum(p * s / 0.3 / n, p * (n - s) / 0.7 / n)),
            "`tf.cast(step, tf.float32)` first",
        ),
        (cycle_by(cycle_with_numpy), "not inside `fit`"),
        (
            cycle_by(
                cycle_of(lambda s, n: (s + 1) / n / 0.3, lambda s, n: (1 - (s + 1) / n) / 0.7)
            ),
            "Step 0 has to give 0",
        ),
        (
            cycle_by(
                cycle_of(lambda s, n: s / (n - 1) / 0.3, lambda s, n: (1 - s / (n - 1)) / 0.7)
            ),
            "Step num_steps would give 0",
        ),
        (cycle_by(cycle_of(lambda s, n: s / n / 0.3, lambda s, n: (1 - s / n) / 0.3)), "70%"),
        (
            cycle_by(cycle_of(lambda s, n: s / n / 0.3, lambda s, n: 1 - s / n / 0.7)),
            "`1 - done` in brackets",
        ),
        (cycle_by(cycle_by_minimum, store=lambda peak, num_steps: (num_steps, peak)), "element"),
        (WithoutConfig, "keep it as it was given"),
        (CountsItself, ("another rate", "rates of the steps")),
    ],
    "right": [
        cycle_by(cycle_with_where),
        cycle_by(cycle_by_minimum),
        cycle_by(lambda s, p, n: p * tf.minimum(share(s, n) / 0.3, (1 - share(s, n)) / 0.7)),
    ],
}


def layer_by(build=None, call=None, init=None):
    """A layer of which one method is replaced."""

    class DenseLayer(keras.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            if init:
                init(self)

        def build(self, input_shape):
            (build or built)(self, input_shape)

        def call(self, inputs):
            return (call or called)(self, inputs)

    return DenseLayer


def built(self, input_shape):
    self.kernel = self.add_weight(shape=(input_shape[-1], self.units))
    self.bias = self.add_weight(shape=(self.units,), initializer="zeros")


def called(self, inputs):
    return tf.matmul(inputs, self.kernel) + self.bias


def built_as(*makers):
    def build(self, input_shape):
        self.kernel, self.bias = (make(self, input_shape) for make in makers)

    return build


def built_of_variables(self, input_shape):
    self.kernel = tf.Variable(tf.random.normal((input_shape[-1], self.units)))
    self.bias = tf.Variable(tf.zeros(self.units))


def built_of_arrays(self, input_shape):
    self.kernel = np.random.normal(size=(input_shape[-1], self.units)).astype("float32")
    self.bias = np.zeros(self.units, "float32")


def built_with_ones(self, input_shape):
    self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones")
    self.bias = self.add_weight(shape=(self.units,), initializer="zeros")


def built_turned(self, input_shape):
    self.kernel = self.add_weight(shape=(self.units, input_shape[-1]))
    self.bias = self.add_weight(shape=(self.units,))


def built_bias_first(self, input_shape):
    self.b = self.add_weight(shape=(self.units,), initializer="zeros")
    self.w = self.add_weight(shape=(int(input_shape[1]), self.units), initializer="he_normal")


def built_in_call(self, inputs):
    kernel = self.add_weight(shape=(inputs.shape[-1], self.units))
    return inputs @ kernel


class WithoutSuper(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        self.units = units


class WithoutSettings(keras.layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__()
        self.units = units

    build, call = built, called


class DenseInside(keras.layers.Layer):
    """Leaves the work to the library."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(units)

    def call(self, inputs):
        return self.inner(inputs)


def built_of_shapes(kernel_shape, bias_shape):
    """Each shape from the number of inputs and units."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=kernel_shape(input_shape, self.units))
        self.bias = self.add_weight(shape=bias_shape(self.units), initializer="zeros")

    return build


def built_with_random_bias(self, input_shape):
    self.kernel = self.add_weight(shape=(input_shape[-1], self.units))
    self.bias = self.add_weight(shape=(self.units,))


def built_as_weights(self, input_shape):
    self.weights = self.add_weight(shape=(input_shape[-1], self.units))
    self.bias = self.add_weight(shape=(self.units,), initializer="zeros")


def built_in_init(self):
    self.kernel = self.add_weight(shape=(self.units, self.units))
    self.bias = self.add_weight(shape=(self.units,), initializer="zeros")


def called_without_self(self, inputs):
    return inputs @ kernel + self.bias  # noqa: F821


def built_by_name(self, input_shape):
    add = self.add_weight
    self.matrix = add((input_shape[-1], self.units), "glorot_normal", name="matrix")
    self.offset = add((self.units,), "zeros", name="offset")


DENSE = {
    "wrong": [
        (layer_by(build=built_of_variables), "hidden from Keras"),
        (layer_by(build=built_of_arrays), "hidden from Keras"),
        (layer_by(build=built_with_ones), "same value"),
        (layer_by(build=built_turned, call=lambda s, x: x @ tf.transpose(s.kernel)), "column"),
        (layer_by(build=lambda self, shape: None, call=built_in_call), "add new elements of state"),
        (WithoutSuper, "leave the line"),
        (WithoutSettings, "(**kwargs)"),
        (layer_by(call=lambda self, x: x @ self.kernel), "reaches the bias"),
        (layer_by(call=lambda self, x: x @ self.kernel - self.bias), "not subtracted"),
        (layer_by(call=lambda self, x: tf.nn.relu(called(self, x))), "no activation"),
        (layer_by(call=lambda self, x: called(self, x).numpy()), ("NumPy", "stopped")),
        (layer_by(call=lambda self, x: x @ self.kernel + self.bias.numpy()), "`.numpy()`"),
        (layer_by(call=lambda self, x: None), "returned None"),
        (layer_by(call=lambda self, x: x * self.kernel + self.bias), ("shape", "stopped")),
        (DenseInside, "add_weight"),
        (layer_by(build=built_with_random_bias), 'initializer="zeros"'),
        (layer_by(build=built_as_weights), "call yours `kernel`"),
        (layer_by(call=called_without_self), "self.kernel"),
        (
            layer_by(
                build=built_of_shapes(lambda shape, units: (shape[-1], units), lambda units: units)
            ),
            "comma",
        ),
        (
            layer_by(
                build=built_of_shapes(lambda shape, units: (units, shape[-1]), lambda n: (n,))
            ),
            "[D, units]",
        ),
        (
            layer_by(build=built_of_shapes(lambda shape, units: (shape[0], units), lambda n: (n,))),
            "[D, units]",
        ),
        (
            layer_by(init=built_in_init, build=lambda self, shape: None),
            "[D, units]",
        ),
        (
            layer_by(build=built_turned, call=lambda s, x: x @ tf.transpose(s.kernel)),
            "1 unit the",
        ),
    ],
    "right": [
        layer_by(),
        layer_by(build=built_bias_first, call=lambda self, x: keras.ops.matmul(x, self.w) + self.b),
        layer_by(
            build=built_by_name, call=lambda s, x: tf.einsum("bd,du->bu", x, s.matrix) + s.offset
        ),
    ],
}


def step_by(
    training=True,
    loss_of=lambda self, y, logits: self.compute_loss(y=y, y_pred=logits),
    apply=lambda self, gradients: self.optimizer.apply_gradients(
        zip(gradients, self.trainable_variables, strict=True)
    ),
    result=lambda self, loss, y, logits: measured(self, loss, y, logits),
):
    class TapedModel(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                logits = self(x, training=training)
                loss = loss_of(self, y, logits)
            apply(self, tape.gradient(loss, self.trainable_variables))
            return result(self, loss, y, logits)

    return TapedModel


class OutsideTheTape(keras.Model):
    def train_step(self, data):
        x, y = data
        logits = self(x, training=True)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=logits)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return measured(self, loss, y, logits)


class MeasuresAfterwards(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        logits = self(x, training=True)
        return measured(self, self.compute_loss(y=y, y_pred=logits), y, logits)


class ByHand(keras.Model):
    """Without the optimizer's help beyond its learning rate."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = self.compute_loss(x, y, logits)
        weights = self.trainable_weights
        for weight, slopes in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(self.optimizer.learning_rate * slopes)
        return {
            "loss": loss,
            **{k: v for k, v in self.compute_metrics(x, y, logits).items() if k != "loss"},
        }


def step_as(work):
    """work: the whole step, from the model and the batch."""

    class TapedModel(keras.Model):
        def train_step(self, data):
            return work(self, data)

    return TapedModel


class KerassOwn(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


class KerassOwnByName(keras.Model):
    def train_step(self, data):
        return keras.Model.train_step(self, data)


class PyTorchStyle(keras.Model):
    def train_step(self, data):
        x, y = data
        logits = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=logits)
        loss.backward()
        self.optimizer.step()
        return measured(self, loss, y, logits)


class WatchesWeights(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            tape.watch(self.trainable_variables)
            logits = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=logits)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return measured(self, loss, y, logits)


def forgets_to_unpack(self, data):
    with tf.GradientTape() as tape:
        logits = self(data, training=True)
        loss = self.compute_loss(y=data[1], y_pred=logits)
    gradients = tape.gradient(loss, self.trainable_variables)
    self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
    return measured(self, loss, data[1], logits)


def gradients_turned_round(self, data):
    x, y = data
    with tf.GradientTape() as tape:
        logits = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=logits)
    gradients = tape.gradient(self.trainable_variables, loss)
    self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
    return measured(self, loss, y, logits)


def by_variables(variables, call=lambda self, x: self(x, training=True)):
    def work(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            logits = call(self, x)
            loss = self.compute_loss(y=y, y_pred=logits)
        gradients = tape.gradient(loss, variables(self))
        self.optimizer.apply_gradients(zip(gradients, variables(self), strict=True))
        return measured(self, loss, y, logits)

    return work


def sparse_loss(self, y, logits):
    return SPARSE(from_logits=True)(y, logits)


def own_loss(self, y, logits):
    return keras.losses.CategoricalCrossentropy(from_logits=True)(y, logits)


STEP = {
    "wrong": [
        (OutsideTheTape, "inside"),
        (MeasuresAfterwards, "should be"),
        (step_by(training=False), "training=True"),
        (step_by(training=None), "training=True"),
        (step_by(apply=lambda self, gradients: None), "did not move"),
        (
            step_by(
                apply=lambda self, gradients: keras.optimizers.SGD(0.1).apply(
                    gradients, self.trainable_variables
                )
            ),
            "should be",
        ),
        (
            step_by(loss_of=lambda s, y, z: s.compute_loss(y=y, y_pred=tf.nn.softmax(z))),
            "as the model",
        ),
        (step_by(loss_of=own_loss), "compute_loss"),
        (step_by(result=lambda self, loss, y, logits: None), "returns nothing"),
        (step_by(result=lambda self, loss, y, logits: loss), "dictionary"),
        (step_by(result=lambda self, loss, y, logits: {"loss": loss}), "in `compile`"),
        (
            step_by(result=lambda self, loss, y, logits: self.compute_metrics(None, y, logits)),
            "not passed on",
        ),
        (
            step_by(
                result=lambda self, loss, y, logits: (
                    measured(self, loss, y, logits) | {"loss": float(loss)}
                )
            ),
            "not known yet",
        ),
        (
            step_by(
                result=lambda self, loss, y, logits: (
                    measured(self, loss, y, logits) | {"loss": loss.numpy()}
                )
            ),
            "not known yet",
        ),
        (
            step_by(
                apply=lambda self, gradients: self.optimizer.apply_gradients(
                    zip([-slopes for slopes in gradients], self.trainable_variables, strict=True)
                )
            ),
            "should be",
        ),
        (step_by(result=lambda self, loss, y, z: measured(self, loss, z, y)), "labels come first"),
        (ByHand, "self.optimizer.apply_gradients"),
        (KerassOwn, "Keras's own step"),
        (KerassOwnByName, "Keras's own step"),
        (step_as(by_variables(lambda self: self.variables)), "trainable_variables"),
        (step_as(by_variables(lambda self: self.weights)), "trainable_variables"),
        (
            step_by(apply=lambda s, g: s.optimizer.apply_gradients(g, s.trainable_variables)),
            "pairs: `zip(gradients",
        ),
        (step_by(apply=lambda s, g: s.optimizer.apply_gradients(g)), "(slope, weight)"),
        (
            step_by(
                apply=lambda self, gradients: self.optimizer.apply_gradients(
                    zip(self.trainable_variables, gradients, strict=True)
                )
            ),
            "(slope, weight)",
        ),
        (step_by(loss_of=lambda s, y, z: s.compute_loss(y, z)), "y=y, y_pred=logits"),
        (step_by(loss_of=sparse_loss), "loss named in `compile`"),
        (step_as(gradients_turned_round), "the loss first"),
        (step_as(forgets_to_unpack), "`x, y = data`"),
        (PyTorchStyle, "That is PyTorch"),
        (WatchesWeights, "without being asked"),
    ],
    "right": [
        step_by(),
        step_by(apply=lambda self, slopes: self.optimizer.apply(slopes, self.trainable_weights)),
        step_as(
            by_variables(lambda self: self.trainable_weights, lambda m, x: m.call(x, training=True))
        ),
    ],
}

ANSWERS = {
    "mlp_tensorflow.slope": SLOPE,
    "mlp_tensorflow.build_mlp": BUILD,
    "mlp_tensorflow.compile_for_digits": COMPILE,
    "mlp_tensorflow.OneCycle": CYCLE,
    "mlp_tensorflow.DenseLayer": DENSE,
    "mlp_tensorflow.TapedModel": STEP,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 12
    seconds = 0.5


def test_the_verdict_tells_the_two_lessons_01_apart():
    name = "mlp_tensorflow.slope"
    result = exercises._with_progress(check(name, ANSWERS[name]["right"][0]))
    assert re.match(r"Lesson 01 in TensorFlow: \d of 6 exercises done", result.progress)
