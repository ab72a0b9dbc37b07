"""The game of lesson 04 in Keras: two players, their losses, and the step in which both learn.

With the same weights the players and losses compute what those of `course.models.gan` do, which a
test compares. Axes: B images in a batch, Z numbers of noise for each. Images are floats from -1
(background) to 1 (ink), [B, 28, 28, 1].
"""

import keras
import tensorflow as tf


def image_batches(images, batch_size):
    """A dataset of batches of bytes 0 to 255 [N, 28, 28] as floats -1 to 1 [B, 28, 28, 1].

    Every epoch has another order. All batches have `batch_size` images: the few that are left over
    wait for another epoch.
    """
    scaled = images[..., None].astype("float32") / 127.5 - 1
    dataset = tf.data.Dataset.from_tensor_slices(scaled).shuffle(len(images))
    return dataset.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def small_start():
    """A new initializer that draws weights with a standard deviation of 0.02, as in DCGAN's paper.

    With Keras's own, larger start our GANs ended clearly worse.
    """
    return keras.initializers.RandomNormal(stddev=0.02)


def small_bias():
    """A new initializer: biases from -0.25 to 0.25, as PyTorch draws them for a 4 × 4 filter.

    With Keras's zeros in the discriminator's first layer our GANs ended worse.
    """
    return keras.initializers.RandomUniform(-0.25, 0.25)


def build_generator(num_inputs, width):
    """Noise [B, Z] → images [B, 28, 28, 1], from 7 × 7 places to 14 × 14 to 28 × 28."""
    return keras.Sequential(
        [
            keras.Input((num_inputs,)),
            keras.layers.Dense(7 * 7 * 2 * width, use_bias=False, kernel_initializer=small_start()),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Reshape((7, 7, 2 * width)),
            keras.layers.Conv2DTranspose(
                width, 4, 2, padding="same", use_bias=False, kernel_initializer=small_start()
            ),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.ReLU(),
            keras.layers.Conv2DTranspose(
                1, 4, 2, padding="same", activation="tanh", kernel_initializer=small_start()
            ),
        ]
    )


def build_discriminator(width):
    """Images [B, 28, 28, 1] → logits [B, 1], above 0 for "real"."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(
                width,
                4,
                2,
                padding="same",
                kernel_initializer=small_start(),
                bias_initializer=small_bias(),
            ),
            keras.layers.LeakyReLU(0.2),
            keras.layers.Conv2D(
                2 * width, 4, 2, padding="same", use_bias=False, kernel_initializer=small_start()
            ),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.LeakyReLU(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, kernel_initializer=small_start()),
        ]
    )


def discriminator_loss(real_logits, fake_logits):
    """Cross-entropy of real images with label 1 plus that of fakes with label 0, a mean of each.

    Logits [B, 1] → one number.
    """
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    real = cross_entropy(tf.ones_like(real_logits), real_logits)
    return real + cross_entropy(tf.zeros_like(fake_logits), fake_logits)


def generator_loss(fake_logits):
    """Cross-entropy of fakes with label 1, which the generator wants them to get.

    Logits [B, 1] → one number, the mean.
    """
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    return cross_entropy(tf.ones_like(fake_logits), fake_logits)


class Game(keras.Model):
    """A generator and a discriminator that learn against each other; `fit` brings real images.

    num_inputs: Z, how many numbers of noise the generator takes for one image.
    """

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
        self.generator_loss, self.discriminator_loss = generator_loss, discriminator_loss
        # Adam's notes on the weights, made now: made in the first step, it would be compiled twice.
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, real):
        """One step of the discriminator, then one of the generator, which answers that move.

        real: images [B, …]; as many fakes are made, once for both. Returns both losses by name.
        """
        noise = tf.random.normal((tf.shape(real)[0], self.num_inputs))
        with tf.GradientTape() as generator_tape:
            fake = self.generator(noise, training=True)
            with tf.GradientTape() as discriminator_tape:
                real_logits = self.discriminator(real, training=True)
                fake_logits = self.discriminator(fake, training=True)
                discriminator_loss = self.discriminator_loss(real_logits, fake_logits)
            weights = self.discriminator.trainable_variables
            slopes = discriminator_tape.gradient(discriminator_loss, weights)
            self.discriminator_optimizer.apply_gradients(zip(slopes, weights))
            # The discriminator has moved: what does it say about the same fakes now?
            generator_loss = self.generator_loss(self.discriminator(fake, training=True))
        weights = self.generator.trainable_variables
        slopes = generator_tape.gradient(generator_loss, weights)
        self.generator_optimizer.apply_gradients(zip(slopes, weights))
        return {"generator_loss": generator_loss, "discriminator_loss": discriminator_loss}


def follow(average, model, share):
    """Move every weight of `average` by this share, 0 to 1, of the way to that of `model`.

    Both are models of one plan; the running averages of batch norm count as weights too.
    share: a number or a tensor.
    """
    for slow, fast in zip(average.weights, model.weights):
        slow.assign_add(share * (fast - slow))
