"""The exercises of lesson 04 in TensorFlow: batches, losses, a player, the step, an average."""

from course.exercises.gan_tensorflow.build_discriminator import BUILD_DISCRIMINATOR
from course.exercises.gan_tensorflow.follow import FOLLOW
from course.exercises.gan_tensorflow.game import GAME
from course.exercises.gan_tensorflow.image_batches import BATCHES
from course.exercises.gan_tensorflow.losses import DISCRIMINATOR_LOSS, GENERATOR_LOSS

LESSON = "04_gan_tensorflow"
EXERCISES = (DISCRIMINATOR_LOSS, GAME, BATCHES, GENERATOR_LOSS, BUILD_DISCRIMINATOR, FOLLOW)
