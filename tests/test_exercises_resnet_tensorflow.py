"""Lesson 03 in TensorFlow: every exercise rejects plausible mistakes and takes right answers."""

import random

import numpy as np
import pytest
from exercise_answers import AnswersOfALesson

from course import hardware

pytest.importorskip("tensorflow")
with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

    from course.exercises.resnet_tensorflow import EXERCISES
    from course.models.resnet_tensorflow import conv_norm, shortcut

# Each wrong answer stands beside a word that its message must contain.


def pad(image, largest_shift, mode="CONSTANT"):
    border = [largest_shift, largest_shift]
    return tf.pad(image, [border, border, [0, 0]], mode)


def crop(padded, image):
    return tf.image.random_crop(padded, tf.shape(image))


def augment_by(border=pad, window=crop, mirror=tf.image.random_flip_left_right):
    def augment(image, largest_shift):
        return mirror(window(border(image, largest_shift), image))

    return augment


def augment_by_rolling(image, largest_shift):
    moves = tf.random.uniform((2,), -largest_shift, largest_shift + 1, tf.int32)
    return tf.image.random_flip_left_right(tf.roll(image, moves, (0, 1)))


def augment_with_python(image, largest_shift):
    down, right = (random.randint(0, 2 * largest_shift) for _ in range(2))
    padded = pad(image, largest_shift)
    image = padded[down : down + image.shape[0], right : right + image.shape[1]]
    return image[:, ::-1] if random.random() < 0.5 else image


def augment_with_numpy(image, largest_shift):
    down, right = np.random.randint(0, 2 * largest_shift + 1, 2)
    padded = pad(image, largest_shift)
    return padded[down : down + image.shape[0], right : right + image.shape[1]]


def augment_along_a_diagonal(image, largest_shift):
    start = tf.random.uniform((), 0, 2 * largest_shift + 1, tf.int32)
    padded = pad(image, largest_shift)
    window = tf.slice(padded, [start, start, 0], tf.shape(image))
    return tf.image.random_flip_left_right(window)


def augment_by_numbers(image, largest_shift):
    """A right answer that draws the numbers itself."""
    height, width, _ = image.shape
    down, right = (tf.random.uniform((), 0, 2 * largest_shift + 1, tf.int32) for _ in range(2))
    window = pad(image, largest_shift)[down : down + height, right : right + width]
    return tf.where(tf.random.uniform(()) < 0.5, window, window[:, ::-1])


def augment_mirrored_first(image, largest_shift):
    mirrored = tf.image.random_flip_left_right(image)
    height, width = image.shape[0], image.shape[1]
    padded = tf.image.pad_to_bounding_box(
        mirrored,
        largest_shift,
        largest_shift,
        height + 2 * largest_shift,
        width + 2 * largest_shift,
    )
    return crop(padded, image)


def augment_with_if(image, largest_shift):
    """A right answer, as TensorFlow translates an `if` in what a pipeline maps."""
    window = crop(pad(image, largest_shift), image)
    if tf.random.uniform(()) < 0.5:
        window = tf.reverse(window, [1])
    return window


def augment_with_a_python_coin(image, largest_shift):
    image = crop(pad(image, largest_shift), image)
    return tf.image.flip_left_right(image) if random.random() < 0.5 else image


def augment_unused(image, largest_shift):
    crop(pad(image, largest_shift), image)
    return tf.image.random_flip_left_right(image)


def augment_one_short(image, largest_shift):
    down, right = (tf.random.uniform((), 0, 2 * largest_shift, tf.int32) for _ in range(2))
    height, width, _ = image.shape
    return pad(image, largest_shift)[down : down + height, right : right + width]


AUGMENT = {
    "wrong": [
        (augment_by_rolling, "other"),
        (augment_by(border=lambda x, n: pad(x, n, "REFLECT")), "should be 0"),
        (augment_by(border=lambda x, n: pad(x, n, "SYMMETRIC")), "should be 0"),
        (augment_by(border=lambda x, n: pad(x, n + 1)), "more than"),
        (augment_by(border=lambda x, n: pad(x, 0)), "ever moved"),
        (augment_unused, "these functions return"),
        (augment_one_short, "stop before the upper limit"),
        (augment_with_a_python_coin, "decided only once"),
        (augment_by(border=lambda x, n: tf.pad(x, [[n, n]] * 3)), "colours change"),
        (augment_by(border=lambda x, n: tf.pad(x, [[n, n]] * 2)), "[0, 0] for the channels"),
        (augment_by(border=tf.pad), "[0, 0] for the channels"),
        (
            augment_by(window=lambda padded, image: tf.image.random_crop(padded, image.shape[:2])),
            "three axes",
        ),
        (augment_by(border=lambda x, n: tf.pad(x, [[n, 0], [n, 0], [0, 0]])), "not equally likely"),
        (augment_by(window=lambda padded, image: padded), "shape"),
        (augment_by(mirror=tf.image.random_flip_up_down), ("upside down", "mirrored")),
        (augment_by(mirror=tf.image.flip_left_right), "100%"),
        (augment_by(mirror=lambda image: image), "0% of the images"),
        (augment_with_python, "runs only once"),
        (augment_with_numpy, "runs only once"),
        (augment_along_a_diagonal, "depend on each other"),
        (augment_by(mirror=lambda image: tf.cast(image, tf.float32) / 255), "float32"),
        (lambda image, largest_shift: None, "None"),
        (augment_by(mirror=lambda image: tf.image.adjust_brightness(image, 0.2)), "one piece"),
    ],
    "right": [augment_by(), augment_by_numbers, augment_mirrored_first, augment_with_if],
}


def pipeline(*steps, **options):
    """The pipeline with these steps in this order."""

    def training_batches(images, labels, batch_size, augment):
        ways = {
            "shuffle": lambda d: d.shuffle(options.get("buffer", len(images))),
            "shuffle once": lambda d: d.shuffle(len(images), reshuffle_each_iteration=False),
            "map": lambda d: d.map(lambda image, label: (augment(image), label)),
            "cache": lambda d: d.cache(),
            "batch": lambda d: d.batch(batch_size),
            "batch, drop": lambda d: d.batch(batch_size, drop_remainder=True),
            "batch of 1": lambda d: d.batch(1),
            "unbatch": lambda d: d.unbatch(),
            "prefetch": lambda d: d.prefetch(tf.data.AUTOTUNE),
            "repeat": lambda d: d.repeat(),
            "images": lambda d: d.map(lambda image, label: image),
        }
        dataset = tf.data.Dataset.from_tensor_slices((images, labels))
        for step in steps:
            dataset = ways[step](dataset)
        return dataset

    return training_batches


def shuffled_apart(images, labels, batch_size, augment):
    x = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images)).map(augment)
    y = tf.data.Dataset.from_tensor_slices(labels).shuffle(len(images))
    return tf.data.Dataset.zip((x, y)).batch(batch_size)


def methods_without_assignment(images, labels, batch_size, augment):
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset.shuffle(len(images))
    dataset.batch(batch_size)
    return dataset


def order_by_numpy(images, labels, batch_size, augment):
    order = np.random.permutation(len(images))
    dataset = tf.data.Dataset.from_tensor_slices((images[order], labels[order]))
    return dataset.map(lambda image, label: (augment(image), label)).batch(batch_size)


def augmented_before(images, labels, batch_size, augment):
    images = tf.stack([augment(image) for image in images])
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    return dataset.shuffle(len(images)).batch(batch_size)


def maps_only_the_image(images, labels, batch_size, augment):
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images))
    return dataset.map(augment).batch(batch_size)


def labels_first(images, labels, batch_size, augment):
    dataset = tf.data.Dataset.from_tensor_slices((labels, images)).shuffle(len(images))
    return dataset.map(lambda label, image: (label, augment(image))).batch(batch_size)


def each_image_of_a_batch(images, labels, batch_size, augment):
    """A right answer that augments after batching, one image at a time."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.shuffle(2 * len(images)).batch(batch_size)
    return dataset.map(lambda some, numbers: (tf.map_fn(augment, some), numbers)).prefetch(2)


BATCHES = {
    "wrong": [
        (pipeline("map", "cache", "batch", "shuffle"), "whole batches"),
        (pipeline("shuffle", "map", "cache", "batch"), "same order"),
        (pipeline("map", "cache", "shuffle", "batch"), "cache"),
        (pipeline("map", "batch", "shuffle"), "whole batches"),
        (pipeline("shuffle", "batch", "map"), "same change"),
        (pipeline("map", "batch"), "is missing"),
        (pipeline("shuffle", "map", "batch", buffer=2), "buffer"),
        (pipeline("shuffle", "batch"), "never called"),
        (pipeline("shuffle once", "map", "batch"), "same order"),
        (pipeline("shuffle", "map", "batch, drop"), "last batch"),
        (pipeline("shuffle", "map", "batch of 1"), "sizes"),
        (pipeline("shuffle", "map"), "shape"),
        (pipeline("shuffle", "map", "batch", "repeat"), "never ends"),
        (pipeline("shuffle", "map", "images", "batch"), "pairs"),
        (shuffled_apart, "belong together"),
        (methods_without_assignment, "shape"),
        (order_by_numpy, "drawn only once"),
        (augmented_before, "belongs into `map`"),
        (pipeline("cache", "map", "shuffle", "batch"), "behind `shuffle`"),
        (maps_only_the_image, "hands over both"),
        (labels_first, "(labels, images)"),
        (lambda *arguments: None, "None"),
    ],
    "right": [
        pipeline("shuffle", "map", "batch", "prefetch"),
        pipeline("cache", "shuffle", "map", "batch"),
        pipeline("batch", "unbatch", "shuffle", "map", "batch"),
        each_image_of_a_batch,
    ],
}


def norm_by(before=True, momentum=0.9, epsilon=1e-5, after=lambda x: x, **options):
    def conv_norm(x, channels, stride=1):
        if before:
            x = keras.layers.ZeroPadding2D(1)(x)
        options.setdefault("use_bias", False)
        x = keras.layers.Conv2D(channels, 3, stride, **options)(x)
        norm = keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon)
        return after(norm(x))

    return conv_norm


def norm_without_norm(x, channels, stride=1):
    x = keras.layers.ZeroPadding2D(1)(x)
    return keras.layers.Conv2D(channels, 3, stride, use_bias=False)(x)


def norm_without_stride(x, channels, stride=1):
    return norm_by()(x, channels)


def norm_of_layers(x, channels, stride=1):
    return keras.layers.Conv2D(channels, 3, stride, use_bias=False)


def norm_with_layers_not_called(x, channels, stride=1):
    x = keras.layers.ZeroPadding2D(1)
    return keras.layers.Conv2D(channels, 3, stride, use_bias=False)(x)


def norm_with_functions_of_tensorflow(x, channels, stride=1):
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    return keras.layers.Conv2D(channels, 3, stride, use_bias=False)(x)


def norm_with_numpy(x, channels, stride=1):
    return keras.layers.Conv2D(channels, 3, stride, use_bias=False)(np.pad(x, 1))


def norm_in_one_model(x, channels, stride=1):
    """A right answer that puts the three layers into one."""
    layers = [
        keras.layers.ZeroPadding2D(((1, 1), (1, 1))),
        keras.layers.Conv2D(channels, (3, 3), strides=(stride, stride), use_bias=False),
        keras.layers.BatchNormalization(-1, 0.9, 0.00001),
    ]
    return keras.Sequential(layers)(x)


def norm_with_ops(x, channels, stride=1):
    x = keras.ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    x = keras.layers.Conv2D(channels, 3, stride, padding="valid", use_bias=False)(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


CONV_NORM = {
    "wrong": [
        (norm_by(before=False, padding="same", momentum=0.1), "one pixel further"),
        (norm_by(before=False, padding="same"), "one pixel further"),
        (norm_by(momentum=0.1), "share of the *old*"),
        (norm_by(momentum=0.99), "0.99"),
        (norm_by(epsilon=1e-3), "Epsilon"),
        (norm_by(before=False), "shape"),
        (norm_by(padding="same"), "shape"),
        (norm_by(use_bias=True), "no bias"),
        (norm_by(after=keras.layers.ReLU()), "ReLU"),
        (norm_by(kernel_initializer="ones"), "same value"),
        (norm_without_norm, "scale and bias"),
        (norm_without_stride, "shape"),
        (norm_of_layers, "call each layer"),
        (norm_by(before=False, padding=1), "is a word"),
        (norm_by(activation="relu"), "between convolution and batch norm"),
        (norm_by(after=lambda x: None), "`return` missing"),
        (norm_with_layers_not_called, "made first and then called"),
        (norm_with_functions_of_tensorflow, "holds no numbers yet"),
        (norm_with_numpy, "holds no numbers yet"),
    ],
    "right": [norm_by(), norm_in_one_model, norm_with_ops],
}


def block_by(join, first=conv_norm, second=conv_norm):
    def residual_block(x, channels, stride=1):
        change = keras.layers.ReLU()(first(x, channels, stride))
        return join(second(change, channels), shortcut(x, channels, stride), x)

    return residual_block


relu, add = keras.layers.ReLU(), keras.layers.Add()


def block_with_two_strides(x, channels, stride=1):
    change = keras.layers.ReLU()(conv_norm(x, channels, stride))
    change = conv_norm(change, channels, stride)
    return keras.layers.ReLU()(change + shortcut(x, channels, stride))


def block_without_inner_relu(x, channels, stride=1):
    change = conv_norm(conv_norm(x, channels, stride), channels)
    return keras.layers.ReLU()(change + shortcut(x, channels, stride))


def block_with_projection(x, channels, stride=1):
    change = conv_norm(keras.layers.ReLU()(conv_norm(x, channels, stride)), channels)
    x = keras.layers.Conv2D(channels, 1, stride, use_bias=False)(x)
    return keras.layers.ReLU()(change + x)


def block_without_any_stride(x, channels, stride=1):
    change = conv_norm(keras.layers.ReLU()(conv_norm(x, channels)), channels)
    return keras.layers.ReLU()(keras.layers.Add()([change, shortcut(x, channels, stride)]))


def block_that_loses_x(x, channels, stride=1):
    x = keras.layers.ReLU()(conv_norm(x, channels, stride))
    x = conv_norm(x, channels)
    return keras.layers.ReLU()(keras.layers.Add()([x, shortcut(x, channels, 1)]))


def block_with_relu_first(x, channels, stride=1):
    change = conv_norm(keras.layers.ReLU()(x), channels, stride)
    change = conv_norm(keras.layers.ReLU()(change), channels)
    return keras.layers.ReLU()(change + shortcut(x, channels, stride))


def block_in_other_words(x, channels, stride=1):
    """A right answer with activations by name and a plus sign."""
    change = keras.activations.relu(conv_norm(x, channels, stride))
    return keras.ops.relu(shortcut(x, channels, stride) + conv_norm(change, channels))


BLOCK = {
    "wrong": [
        (block_by(lambda change, around, x: relu(change)), "no way around"),
        (block_by(lambda change, around, x: add([change, around])), "ReLU is missing"),
        (block_by(lambda change, around, x: add([relu(change), around])), "after ReLU"),
        (block_by(lambda change, around, x: relu(change - around)), "subtracted"),
        (block_by(lambda change, around, x: relu(change * around)), "multiplied"),
        (
            block_by(lambda change, around, x: relu(keras.layers.Average()([change, around]))),
            "mean of the two",
        ),
        (block_by(lambda change, around, x: relu(change + x)), "different shapes"),
        (block_by(lambda change, around, x: relu(change + change)), "starts from x"),
        (block_with_two_strides, "different shapes"),
        (block_without_inner_relu, "conv_norm, ReLU, conv_norm"),
        (block_with_projection, "no weights"),
        (block_by(lambda change, around, x: None), "`return` missing"),
        (block_without_any_stride, "different shapes"),
        (block_that_loses_x, "starts from x"),
        (block_with_relu_first, "conv_norm, ReLU, conv_norm"),
        (block_by(lambda change, around, x: relu(relu(change) + relu(around))), "each way"),
        (block_by(lambda change, around, x: relu(change + relu(around))), "on its way around"),
        (block_by(lambda change, around, x: relu(around)), "leads nowhere"),
        (
            block_by(lambda change, around, x: keras.layers.Concatenate()([change, around])),
            "side by side",
        ),
        (block_by(lambda change, around, x: add(change, around)), "called on one list"),
        (block_by(lambda change, around, x: keras.layers.Add([change, around])), "on one list"),
        (block_by(lambda change, around, x: keras.layers.ReLU(change)), "made first"),
        (block_by(lambda change, around, x: relu), "call each layer"),
    ],
    "right": [
        block_by(lambda change, around, x: relu(add([change, around]))),
        block_by(
            lambda change, around, x: keras.layers.Activation("relu")(keras.ops.add(around, change))
        ),
        block_in_other_words,
    ],
}


def best_by(
    better=lambda self, logs: logs["val_accuracy"] > self.best,
    value=lambda logs: logs["val_accuracy"],
    take=lambda self: self.model.get_weights(),
    give=lambda self: self.model.set_weights(self.weights),
    start=-1.0,
    at_once=False,
):
    class BestWeights(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.best, self.weights = start, None

        def on_epoch_end(self, epoch, logs=None):
            if better(self, logs):
                self.best, self.weights = value(logs), take(self)
            elif at_once:
                give(self)

        def on_train_end(self, logs=None):
            give(self)

    return BestWeights


class KeepsAllEpochs(keras.callbacks.Callback):
    """A right answer that decides only at the end."""

    def on_train_begin(self, logs=None):
        self.all = []

    def on_epoch_end(self, epoch, logs=None):
        self.all.append((logs["val_accuracy"], -epoch, self.model.get_weights()))

    def on_train_end(self, logs=None):
        self.model.set_weights(max(self.all, key=lambda one: one[:2])[2])


class CopiesEachVariable(keras.callbacks.Callback):
    """A right answer that stores the variables' values itself."""

    best, kept = -np.inf, ()

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_accuracy"] > self.best:
            self.best = logs["val_accuracy"]
            self.kept = [tf.identity(weight) for weight in self.model.weights]

    def on_train_end(self, logs=None):
        for weight, value in zip(self.model.weights, self.kept, strict=True):
            weight.assign(value)


class NoCallback:
    pass


def give_trainable(self):
    for weight, value in zip(self.model.trainable_weights, self.weights, strict=True):
        weight.assign(value)


def give_variables(self):
    for weight, value in zip(self.model.weights, self.weights, strict=True):
        weight.assign(value)


BEST = {
    "wrong": [
        (best_by(take=lambda self: self.model.weights, give=give_variables), "copies"),
        (
            best_by(
                take=lambda self: [weight.numpy() for weight in self.model.trainable_weights],
                give=give_trainable,
            ),
            "running averages",
        ),
        (best_by(give=lambda self: None), "last epoch"),
        (best_by(better=lambda self, logs: logs["val_accuracy"] < self.best, start=2), "worst"),
        (best_by(value=lambda logs: -1.0), "last epoch"),
        (best_by(value=lambda logs: 2.0), "first epoch"),
        (
            best_by(
                better=lambda self, logs: logs["val_loss"] < self.best,
                value=lambda logs: logs["val_loss"],
                start=np.inf,
            ),
            "val_accuracy",
        ),
        (
            best_by(
                better=lambda self, logs: logs["accuracy"] > self.best,
                value=lambda logs: logs["accuracy"],
            ),
            "val_accuracy",
        ),
        (best_by(at_once=True), "should go on"),
        (best_by(start=0.0), "start below"),
        (best_by(take=lambda self: self.model.get_weights), "brackets"),
        (best_by(give=lambda self: self.model.get_weights(self.weights)), "set_weights(self"),
        (best_by(give=lambda self: setattr(self.model, "weights", self.weights)), "set_weights("),
        (best_by(value=lambda logs: logs["validation_accuracy"]), 'logs["val_accuracy"]'),
        (best_by(value=lambda logs: logs.val_accuracy), 'logs["val_accuracy"]'),
        (best_by(better=lambda self, logs: logs["val_accuracy"] > self.most), "Error"),
        (NoCallback, "no callback"),
    ],
    "right": [best_by(), KeepsAllEpochs, CopiesEachVariable],
}


def step_by(
    clip=lambda self, gradients: tf.clip_by_global_norm(gradients, self.longest),
    training=True,
    sign=1,
    apply=lambda self, slopes: self.optimizer.apply_gradients(
        zip(slopes, self.trainable_variables, strict=True)
    ),
    result=lambda self, loss, norm, y, logits: measured(self, loss, norm, y, logits),
):
    class ClippedModel(keras.Model):
        longest = 1.0

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.slope_norm = keras.metrics.Mean(name="slope_norm")

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                logits = self(x, training=training)
                loss = self.compute_loss(y=y, y_pred=logits)
            gradients = tape.gradient(loss, self.trainable_variables)
            gradients, norm = clip(self, gradients)
            gradients = [sign * gradient for gradient in gradients]
            apply(self, gradients)
            return result(self, loss, norm, y, logits)

    return ClippedModel


def measured(model, loss, norm, y, logits):
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss)
        elif metric.name == "slope_norm":
            metric.update_state(norm)
        else:
            metric.update_state(y, logits)
    return model.get_metrics_result()


def scaled(factor):
    """Clips by this factor of limit, length and slopes; reports the length."""

    def clip(self, gradients):
        norm = tf.linalg.global_norm(gradients)
        by = factor(self.longest, norm, gradients)
        return [by * gradient for gradient in gradients], norm

    return clip


def each(change):
    def clip(self, gradients):
        norm = tf.linalg.global_norm(gradients)
        return [change(gradient, self.longest) for gradient in gradients], norm

    return clip


def reports_afterwards(self, gradients):
    gradients, _ = tf.clip_by_global_norm(gradients, self.longest)
    return gradients, tf.linalg.global_norm(gradients)


def with_python(self, gradients):
    norm = float(tf.linalg.global_norm(gradients))
    return [min(1.0, self.longest / norm) * gradient for gradient in gradients], norm


def from_one_vector(self, gradients):
    every = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
    norm = tf.norm(every)
    factor = tf.where(norm > self.longest, self.longest / norm, 1.0)
    return [gradient * factor for gradient in gradients], norm


def clipped_to(length):
    """Clips to the limit, where `length` of all slopes is longer."""
    return scaled(lambda limit, norm, slopes: tf.minimum(1.0, limit / length(slopes)))


STEP = {
    "wrong": [
        (step_by(clip=each(tf.clip_by_norm)), "for itself"),
        (step_by(clip=each(lambda slope, most: tf.clip_by_value(slope, -most, most))), "number"),
        (step_by(clip=scaled(lambda limit, norm, slopes: limit / norm)), "at most 1"),
        (
            step_by(clip=scaled(lambda limit, norm, slopes: tf.minimum(1.0, limit / norm**2))),
            "*root*",
        ),
        (
            step_by(
                clip=scaled(
                    lambda limit, norm, slopes: tf.minimum(1.0, limit / sum(map(tf.norm, slopes)))
                )
            ),
            "added up",
        ),
        (step_by(clip=scaled(lambda limit, norm, slopes: 1.0)), "as they are"),
        (step_by(clip=scaled(lambda limit, norm, slopes: tf.maximum(1.0, limit / norm))), "longer"),
        (step_by(clip=scaled(lambda limit, norm, slopes: tf.minimum(1.0, 1 / norm))), "`self.long"),
        (
            step_by(clip=clipped_to(lambda slopes: sum(tf.reduce_sum(abs(s)) for s in slopes))),
            "not the sum of the sizes",
        ),
        (step_by(clip=clipped_to(lambda slopes: max(map(tf.norm, slopes)))), "longest tensor"),
        (
            step_by(clip=clipped_to(lambda slopes: tf.reduce_max([tf.norm(s) for s in slopes]))),
            "the longest tensor",
        ),
        (step_by(clip=clipped_to(tf.norm)), "*list*"),
        (step_by(clip=clipped_to(lambda slopes: tf.reduce_sum(slopes**2))), "*list*"),
        (
            step_by(
                result=lambda self, loss, norm, y, logits: measured(self, norm, loss, y, logits)
            ),
            "changed places",
        ),
        (
            step_by(
                result=lambda self, loss, norm, y, logits: measured(self, loss, norm, logits, y)
            ),
            "labels come before",
        ),
        (
            step_by(result=lambda self, loss, norm, y, logits: self.get_metrics_result()),
            "know nothing",
        ),
        (step_by(apply=lambda self, slopes: self.optimizer.apply_gradients(slopes)), "pairs"),
        (step_by(clip=scaled(lambda limit, norm, slopes: 0.0)), "did not move"),
        (step_by(sign=-1), "uphill"),
        (step_by(clip=reports_afterwards), "before clipping"),
        (step_by(clip=with_python), ("not known yet", "float")),
        (step_by(training=False), "training=True"),
        (
            step_by(
                result=lambda self, loss, norm, y, logits: measured(self, loss, norm, y, -logits)
            ),
            "accuracy",
        ),
        (step_by(result=lambda self, loss, norm, y, logits: None), "returns nothing"),
        (step_by(result=lambda self, loss, norm, y, logits: loss), "dictionary"),
        (step_by(result=lambda self, loss, norm, y, logits: {"loss": loss}), "dictionary"),
    ],
    "right": [
        step_by(),
        step_by(clip=scaled(lambda limit, norm, slopes: tf.minimum(1.0, limit / norm))),
        step_by(clip=from_one_vector),
        step_by(apply=lambda self, slopes: self.optimizer.apply(slopes)),
    ],
}

ANSWERS = {
    "resnet_tensorflow.augment": AUGMENT,
    "resnet_tensorflow.training_batches": BATCHES,
    "resnet_tensorflow.conv_norm": CONV_NORM,
    "resnet_tensorflow.residual_block": BLOCK,
    "resnet_tensorflow.BestWeights": BEST,
    "resnet_tensorflow.ClippedModel": STEP,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 20
