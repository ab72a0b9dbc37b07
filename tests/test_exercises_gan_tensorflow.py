"""Lesson 04 in TensorFlow: every exercise rejects plausible mistakes and takes right answers."""

import numpy as np
import pytest
from exercise_answers import AnswersOfALesson

from course import hardware

pytest.importorskip("tensorflow")
with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

    from course.exercises.gan_tensorflow import EXERCISES
    from course.models import gan_tensorflow as gan

# Each wrong answer stands beside a word that its message must contain.

AUTOTUNE = tf.data.AUTOTUNE


def scaled(images):
    return images[..., None].astype("float32") / 127.5 - 1


def batches_by(
    prepare=scaled, *steps, cut=tf.data.Dataset.from_tensor_slices, room=None, rest=True
):
    """The pipeline with these steps in this order."""

    def image_batches(images, batch_size):
        ways = {
            "shuffle": lambda d: d.shuffle(room or len(images)),
            "shuffle once": lambda d: d.shuffle(len(images), reshuffle_each_iteration=False),
            "batch": lambda d: d.batch(batch_size, drop_remainder=rest),
            "repeat": lambda d: d.repeat(),
            "cache": lambda d: d.cache(),
            "labels": lambda d: d.map(lambda image: (image, 1)),
            "prefetch": lambda d: d.prefetch(AUTOTUNE),
        }
        dataset = cut(prepare(images))
        for step in steps or ("shuffle", "batch"):
            dataset = ways[step](dataset)
        return dataset

    return image_batches


def colleagues_batches(images, batch_size):
    return tf.data.Dataset.from_tensors(images.astype("float32") / 255)


def batches_of_bytes(images, batch_size):
    """A right answer that scales inside the pipeline."""
    dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(2 * len(images))
    dataset = dataset.map(lambda image: tf.cast(image[..., None], tf.float32) / 255 * 2 - 1)
    return dataset.batch(batch_size, drop_remainder=True)


def batches_scaled_after(images, batch_size):
    dataset = tf.data.Dataset.from_tensor_slices(np.expand_dims(images, -1))
    dataset = dataset.shuffle(len(images)).batch(batch_size, True)
    return dataset.map(lambda some: (tf.cast(some, tf.float32) - 127.5) / 127.5)


BATCHES = {
    "wrong": [
        (colleagues_batches, "whole data set"),
        (batches_by(scaled, "shuffle", "batch", cut=tf.data.Dataset.from_tensors), "no batch"),
        (batches_by(lambda x: x[..., None].astype("float32") / 255), "tanh"),
        (batches_by(lambda x: x[..., None].astype("float32")), "0 to 255"),
        (batches_by(lambda x: x[..., None].astype("float32") / 127.5), "should go from -1 to 1"),
        (batches_by(lambda x: x[..., None] / 127.5 - 1), "float64"),
        (batches_by(lambda x: x.astype("float32") / 127.5 - 1), "axis of channels"),
        (batches_by(lambda x: -scaled(x)), ("changed", "no image")),
        (batches_by(scaled, "batch"), "is missing"),
        (batches_by(scaled, "batch", "shuffle"), "whole batches"),
        (batches_by(scaled, "shuffle once", "batch"), "same order"),
        (batches_by(scaled, "shuffle", "cache", "batch"), "same order"),
        (batches_by(scaled, "shuffle", "batch", room=2), "early images"),
        (batches_by(scaled, "shuffle", "batch", rest=False), "drop_remainder"),
        (batches_by(scaled, "shuffle", "repeat", "batch"), "never ends"),
        (batches_by(scaled, "shuffle", "labels", "batch"), "tuple"),
        (batches_by(scaled, "shuffle"), "`batch` once"),
        (lambda images, batch_size: None, "None"),
        (lambda images, batch_size: scaled(images), "return the dataset"),
    ],
    "right": [
        batches_by(),
        batches_by(scaled, "cache", "shuffle", "batch", "prefetch"),
        batches_of_bytes,
        batches_scaled_after,
    ],
}


def entropy(label, logits, **options):
    options.setdefault("from_logits", True)
    labels = tf.fill(tf.shape(logits), float(label))
    return keras.losses.BinaryCrossentropy(**options)(labels, logits)


def summed(label, logits):
    return entropy(label, logits, reduction="sum")


def each_logit(label, logits):
    return entropy(label, logits, reduction=None)


def by_native_operation(real_logits, fake_logits):
    """A right answer without Keras."""
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    real = cross_entropy(labels=tf.ones_like(real_logits), logits=real_logits)
    fake = cross_entropy(labels=tf.zeros_like(fake_logits), logits=fake_logits)
    return tf.reduce_mean(real) + tf.reduce_mean(fake)


DISCRIMINATOR_LOSS = {
    "wrong": [
        (lambda r, f: entropy(1, r, from_logits=False) + entropy(0, f, from_logits=False), "told"),
        (lambda r, f: entropy(1, tf.sigmoid(r)) + entropy(0, tf.sigmoid(f)), "sigmoid"),
        (lambda r, f: entropy(0, r) + entropy(1, f), "changed places"),
        (lambda r, f: entropy(1, r) + entropy(1, f), "label of the fakes"),
        (lambda r, f: entropy(1, r) - entropy(0, f), "subtracted"),
        (lambda r, f: (entropy(1, r) + entropy(0, f)) / 2, "half"),
        (lambda r, f: entropy(1, r), "fakes have no part"),
        (lambda r, f: entropy(0, f), "real images have no part"),
        (lambda r, f: summed(1, r) + summed(0, f), "should be"),
        (lambda r, f: each_logit(1, r) + each_logit(0, f), "shape"),
        (lambda r, f: None, "None"),
        (lambda r, f: float(entropy(1, r) + entropy(0, f)), "dtype"),
    ],
    "right": [
        lambda r, f: entropy(1, r) + entropy(0, f),
        by_native_operation,
        lambda r, f: tf.reduce_mean(tf.math.softplus(-r)) + tf.reduce_mean(tf.math.softplus(f)),
    ],
}

GENERATOR_LOSS = {
    "wrong": [
        (lambda f: entropy(0, f), "helps the discriminator"),
        (lambda f: -entropy(0, f), "minimax"),
        (lambda f: -entropy(1, f), "sign"),
        (lambda f: entropy(1, tf.sigmoid(f)), "sigmoid"),
        (lambda f: entropy(1, f, from_logits=False), "told"),
        (lambda f: -tf.reduce_mean(f), "without an end"),
        (lambda f: entropy(1, f) + entropy(0, f), "one wish"),
        (lambda f: each_logit(1, f), "shape"),
        (lambda f: None, "None"),
    ],
    "right": [
        lambda f: entropy(1, f),
        lambda f: tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.ones_like(f), logits=f)
        ),
        lambda f: entropy(0, -f),
    ],
}


def discriminator_by(end=None, inside=None, change=lambda model: None, first=True, flat=None):
    def build_discriminator(width):
        def bend():
            return inside() if inside else keras.layers.LeakyReLU(0.2)

        model = keras.Sequential(
            [
                *([keras.Input((28, 28, 1))] if first else []),
                keras.layers.Conv2D(width, 4, 2, padding="same"),
                bend(),
                keras.layers.Conv2D(2 * width, 4, 2, padding="same", use_bias=False),
                keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
                bend(),
                flat() if flat else keras.layers.Flatten(),
                keras.layers.Dense(1, activation=end),
            ]
        )
        change(model)
        return model

    return build_discriminator


def frozen(model):
    model.trainable = False


def freeze_the_first(model):
    model.layers[0].trainable = False


def functional(width):
    """A right answer as a plan."""
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(width, (4, 4), strides=(2, 2), padding="same")(inputs)
    x = keras.activations.leaky_relu(x, negative_slope=0.2)
    x = keras.layers.Conv2D(2 * width, 4, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    x = keras.layers.LeakyReLU(negative_slope=0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))


BUILD_DISCRIMINATOR = {
    "wrong": [
        (discriminator_by("sigmoid"), "sigmoid"),
        (discriminator_by("tanh"), "Tanh"),
        (discriminator_by("softmax"), "Softmax"),
        (discriminator_by("relu"), "ReLU"),
        (discriminator_by("softplus"), "Softplus"),
        (discriminator_by(inside=keras.layers.ReLU), "LeakyReLU"),
        (discriminator_by(flat=keras.layers.GlobalAveragePooling2D), "weights have the shapes"),
        (discriminator_by(change=frozen), "frozen"),
        (discriminator_by(change=freeze_the_first), "frozen"),
        (discriminator_by(first=False), "keras.Input"),
        (lambda width: None, "None"),
        (lambda width: keras.layers.Dense(1), "return the model"),
    ],
    "right": [discriminator_by(), discriminator_by("linear"), functional],
}


def game_by(step):
    class Game(keras.Model):
        def __init__(self, generator, discriminator, num_inputs):
            super().__init__()
            self.generator, self.discriminator = generator, discriminator
            self.num_inputs = num_inputs

        def compile(
            self, generator_optimizer, discriminator_optimizer, generator_loss, discriminator_loss
        ):
            super().compile()
            self.generator_optimizer = generator_optimizer
            self.discriminator_optimizer = discriminator_optimizer
            self.generator_loss = generator_loss
            self.discriminator_loss = discriminator_loss

        def train_step(self, real):
            return step(self, real)

    return Game


def noise_for(game, real):
    return tf.random.normal((tf.shape(real)[0], game.num_inputs))


def move(game, name, tape, loss, weights=None, optimizer=None, sign=1):
    weights = getattr(game, name).trainable_variables if weights is None else weights
    slopes = [sign * slope for slope in tape.gradient(loss, weights)]
    optimizer = optimizer or getattr(game, f"{name}_optimizer")
    optimizer.apply_gradients(zip(slopes, weights, strict=True))


def both_losses(one, other):
    return {"generator_loss": one, "discriminator_loss": other}


def step_by(
    noise=noise_for,
    trains=(True, True, True),
    discriminator_loss=lambda game, real, fake: game.discriminator_loss(real, fake),
    generator_loss=lambda game, real, fake: game.generator_loss(fake),
    signs=(1, 1),
    optimizers=("discriminator_optimizer", "generator_optimizer"),
    result=both_losses,
):
    """One step in the right order, with these differences.

    trains: whether the generator, the discriminator in its own step, and the discriminator in the
    generator's step, are told that they train. signs, optimizers: of the moves of discriminator and
    generator.
    """

    def step(self, real):
        by = [getattr(self, name) for name in optimizers]
        with tf.GradientTape() as outer:
            fake = self.generator(noise(self, real), training=trains[0])
            with tf.GradientTape() as inner:
                real_logits = self.discriminator(real, training=trains[1])
                fake_logits = self.discriminator(fake, training=trains[1])
                other = discriminator_loss(self, real_logits, fake_logits)
            move(self, "discriminator", inner, other, optimizer=by[0], sign=signs[0])
            fake_logits = self.discriminator(fake, training=trains[2])
            one = generator_loss(self, real_logits, fake_logits)
        move(self, "generator", outer, one, optimizer=by[1], sign=signs[1])
        return result(one, other)

    return step


def both_at_once(self, real, persistent=True):
    """Both losses first, then both moves. persistent: the tape answers more than once."""
    with tf.GradientTape(persistent) as tape:
        fake = self.generator(noise_for(self, real), training=True)
        fake_logits = self.discriminator(fake, training=True)
        other = self.discriminator_loss(self.discriminator(real, training=True), fake_logits)
        one = self.generator_loss(fake_logits)
    move(self, "discriminator", tape, other)
    move(self, "generator", tape, one)
    return both_losses(one, other)


def generator_first(self, real):
    with tf.GradientTape(persistent=True) as tape:
        fake = self.generator(noise_for(self, real), training=True)
        fake_logits = self.discriminator(fake, training=True)
        one = self.generator_loss(fake_logits)
    move(self, "generator", tape, one)
    with tf.GradientTape() as tape:
        real_logits = self.discriminator(real, training=True)
        other = self.discriminator_loss(real_logits, self.discriminator(fake, training=True))
    move(self, "discriminator", tape, other)
    return both_losses(one, other)


def fakes_made_again(again):
    """The generator makes fakes anew for its own loss, from new noise where asked for."""

    def step(self, real):
        noise = noise_for(self, real)
        with tf.GradientTape() as tape:
            fake = self.generator(noise, training=True)
            real_logits = self.discriminator(real, training=True)
            other = self.discriminator_loss(real_logits, self.discriminator(fake, training=True))
        move(self, "discriminator", tape, other)
        with tf.GradientTape() as tape:
            fake = self.generator(noise_for(self, real) if again else noise, training=True)
            one = self.generator_loss(self.discriminator(fake, training=True))
        move(self, "generator", tape, one)
        return both_losses(one, other)

    return step


def fakes_outside_of_the_tape(self, real):
    fake = self.generator(noise_for(self, real), training=True)
    with tf.GradientTape() as tape:
        real_logits = self.discriminator(real, training=True)
        other = self.discriminator_loss(real_logits, self.discriminator(fake, training=True))
    move(self, "discriminator", tape, other)
    with tf.GradientTape() as tape:
        one = self.generator_loss(self.discriminator(fake, training=True))
    move(self, "generator", tape, one)
    return both_losses(one, other)


def moves_everything(self, real):
    """The generator's step moves the discriminator's weights too."""
    with tf.GradientTape() as outer:
        fake = self.generator(noise_for(self, real), training=True)
        with tf.GradientTape() as inner:
            real_logits = self.discriminator(real, training=True)
            other = self.discriminator_loss(real_logits, self.discriminator(fake, training=True))
        move(self, "discriminator", inner, other)
        one = self.generator_loss(self.discriminator(fake, training=True))
    move(self, "generator", outer, one, weights=self.trainable_variables)
    return both_losses(one, other)


def never_compiled(self, real):
    with tf.GradientTape() as tape:
        fake = self.generator(noise_for(self, real), training=True)
        loss = self.generator_loss(self.discriminator(fake, training=True))
    move(self, "generator", tape, loss, optimizer=self.generator.optimizer)
    return both_losses(loss, loss)


def with_a_pause(self, real):
    """A right answer in which the generator's tape does not record the discriminator's move."""
    noise = tf.random.normal([tf.shape(real)[0], self.num_inputs])
    with tf.GradientTape() as tape_g:
        fake = self.generator(noise, training=True)
        with tape_g.stop_recording():
            with tf.GradientTape() as tape_d:
                score_fake = self.discriminator(fake, training=True)
                score_real = self.discriminator(real, training=True)
                loss_d = self.discriminator_loss(score_real, score_fake)
            weights = self.discriminator.trainable_weights
            self.discriminator_optimizer.apply(tape_d.gradient(loss_d, weights), weights)
        loss_g = self.generator_loss(self.discriminator(fake, training=True))
    weights = self.generator.trainable_weights
    self.generator_optimizer.apply(tape_g.gradient(loss_g, weights), weights)
    return {"discriminator_loss": loss_d, "generator_loss": loss_g}


def with_a_tape_opened_again(self, real):
    """A right answer whose generator's tape goes on after the discriminator's move."""
    with tf.GradientTape() as tape:
        fake = self.generator(noise_for(self, real), training=True)
    with tf.GradientTape() as tape_d:
        real_logits = self.discriminator(real, training=True)
        other = self.discriminator_loss(real_logits, self.discriminator(fake, training=True))
    move(self, "discriminator", tape_d, other)
    with tape:
        one = self.generator_loss(self.discriminator(fake, training=True))
    move(self, "generator", tape, one)
    return both_losses(one, other)


def with_fakes_cut_off(self, real):
    """A right answer with one tape for all, and fakes cut off as one does in torch."""
    with tf.GradientTape(persistent=True) as tape:
        fake = self.generator(noise_for(self, real), training=True)
        cut = self.discriminator(tf.stop_gradient(fake), training=True)
        other = self.discriminator_loss(self.discriminator(real, training=True), cut)
        move(self, "discriminator", tape, other)
        one = self.generator_loss(self.discriminator(fake, training=True))
    move(self, "generator", tape, one)
    return both_losses(one, other)


GAME = {
    "wrong": [
        (game_by(never_compiled), "optimizer"),
        (game_by(lambda self, real: both_at_once(self, real, False)), "answers once"),
        (game_by(moves_everything), ("its own", "did not move as")),
        (game_by(both_at_once), "before the discriminator had moved"),
        (game_by(generator_first), "before the discriminator had moved"),
        (game_by(fakes_made_again(False)), "more than once"),
        (game_by(fakes_made_again(True)), "more than once"),
        (game_by(fakes_outside_of_the_tape), "saw no way"),
        (game_by(step_by(optimizers=["discriminator_optimizer"] * 2)), "needs its own"),
        (
            game_by(step_by(optimizers=["generator_optimizer", "discriminator_optimizer"])),
            "optimizers have changed places",
        ),
        (game_by(step_by(signs=(-1, -1))), "uphill"),
        (game_by(step_by(signs=(-1, 1))), "discriminator did not move as"),
        (game_by(step_by(signs=(1, -1))), "generator did not move as"),
        (game_by(step_by(signs=(0, 1))), "discriminator did not move:"),
        (game_by(step_by(signs=(1, 0))), "generator did not move:"),
        (game_by(step_by(trains=(False, True, True))), "training=True"),
        (game_by(step_by(trains=(True, False, False))), "training=True"),
        (game_by(step_by(trains=(True, True, False))), "training=True"),
        (
            game_by(
                step_by(
                    discriminator_loss=lambda game, real, fake: game.discriminator_loss(fake, real)
                )
            ),
            "the real images first",
        ),
        (
            game_by(step_by(generator_loss=lambda game, real, fake: game.generator_loss(real))),
            "saw no way",
        ),
        (game_by(step_by(noise=lambda game, real: tf.random.normal((1, game.num_inputs)))), "rows"),
        (
            game_by(
                step_by(
                    noise=lambda game, real: tf.random.uniform((tf.shape(real)[0], game.num_inputs))
                )
            ),
            "random.normal",
        ),
        (
            game_by(
                step_by(noise=lambda game, real: tf.ones((tf.shape(real)[0], game.num_inputs)))
            ),
            "equal",
        ),
        (game_by(step_by(result=lambda one, other: None)), "returns nothing"),
        (game_by(step_by(result=lambda one, other: one + other)), "fit"),
        (
            game_by(step_by(result=lambda one, other: both_losses(other, one))),
            "changed places in the dictionary",
        ),
    ],
    "right": [
        gan.Game,
        game_by(step_by()),
        game_by(with_a_pause),
        game_by(with_a_tape_opened_again),
        game_by(with_fakes_cut_off),
    ],
}


def follow_by(new, weights=lambda model: model.weights, put=lambda slow, value: slow.assign(value)):
    def follow(average, model, share):
        for slow, fast in zip(weights(average), weights(model), strict=True):
            put(slow, new(slow, fast, share))

    return follow


def blend(slow, fast, share):
    return (1 - share) * slow + share * fast


def follow_with_arrays(average, model, share):
    pairs = zip(average.get_weights(), model.get_weights(), strict=True)
    average.set_weights([blend(slow, fast, share) for slow, fast in pairs])


def follow_by_name(average, model, share):
    """A right answer that goes by layers."""
    for layer, other in zip(average.layers, model.layers, strict=True):
        for weight, target in zip(layer.variables, other.variables, strict=True):
            weight.assign_sub(share * (weight - target))


FOLLOW = {
    "wrong": [
        (follow_by(lambda slow, fast, share: share * slow + (1 - share) * fast), "changed places"),
        (follow_by(blend, weights=lambda model: model.trainable_weights), "running averages"),
        (follow_by(lambda slow, fast, share: fast), "copy"),
        (follow_by(lambda slow, fast, share: share * fast), "lost"),
        (follow_by(lambda slow, fast, share: slow + share * fast), "only grows"),
        (follow_by(lambda slow, fast, share: slow - share * (fast - slow)), "away"),
        (follow_by(lambda slow, fast, share: (slow + fast) / 2), "middle"),
        (follow_by(blend, put=lambda slow, value: None), "did not move"),
        (lambda average, model, share: follow_by(blend)(model, average, share), "itself changed"),
        (follow_with_arrays, ("not known yet", "themselves")),
        (follow_by(lambda slow, fast, share: blend(slow, fast, float(share))), "tensor"),
    ],
    "right": [follow_by(blend), gan.follow, follow_by_name],
}

ANSWERS = {
    "gan_tensorflow.image_batches": BATCHES,
    "gan_tensorflow.discriminator_loss": DISCRIMINATOR_LOSS,
    "gan_tensorflow.generator_loss": GENERATOR_LOSS,
    "gan_tensorflow.build_discriminator": BUILD_DISCRIMINATOR,
    "gan_tensorflow.Game": GAME,
    "gan_tensorflow.follow": FOLLOW,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 20
