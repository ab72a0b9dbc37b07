"""The multilayer perceptron of lesson 01 in Keras's own style, with TensorFlow.

Axes: B examples in a batch, D inputs, H outputs of a layer, K classes.
"""

import keras
import tensorflow as tf


def slope(function, x):
    """Slope of the one number function(x) for each element of x: a tensor of x's shape."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        result = function(x)
    return tape.gradient(result, x)


def build_mlp(sizes):
    """Dense layers of the given sizes with ReLU between them: [B, sizes[0]] → [B, sizes[-1]]."""
    model = keras.Sequential([keras.Input((sizes[0],))])
    for units in sizes[1:-1]:
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(sizes[-1]))
    return model


def compile_for_digits(model, learning_rate):
    """Prepare a model that gives logits [B, K] for labels [B]; return it."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises from 0 to `peak` for 30% of the steps, then falls to 0."""

    def __init__(self, peak, num_steps):
        self.peak = peak
        self.num_steps = num_steps

    def get_config(self):
        return {"peak": self.peak, "num_steps": self.num_steps}

    def __call__(self, step):
        done = tf.cast(step, tf.float32) / self.num_steps
        return self.peak * tf.minimum(done / 0.3, (1 - done) / 0.7)


class DenseLayer(keras.layers.Layer):
    """A dense layer of `units` neurons without activation: [B, D] → [B, units]."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        return inputs @ self.kernel + self.bias


def update_metrics(model, loss, y, logits):
    """Tell the model's metrics about one batch; return what they say so far in this epoch."""
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=tf.shape(y)[0])
        else:
            metric.update_state(y, logits)
    return model.get_metrics_result()


class TapedModel(keras.Model):
    """A model whose training step is written by hand; `fit` calls it for every batch."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=logits)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        return update_metrics(self, loss, y, logits)
