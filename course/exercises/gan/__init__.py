"""The exercises of lesson 04: the game's optimum, losses and steps, and a score for pictures."""

from course.exercises.gan.best_discriminator import BEST_DISCRIMINATOR
from course.exercises.gan.class_shares import CLASS_SHARES
from course.exercises.gan.frechet_distance import FRECHET_DISTANCE
from course.exercises.gan.judge_both import JUDGE_BOTH
from course.exercises.gan.losses import DISCRIMINATOR_LOSS, GENERATOR_LOSS
from course.exercises.gan.steps import DISCRIMINATOR_STEP, GENERATOR_STEP

LESSON = "04_gan"
EXERCISES = (
    BEST_DISCRIMINATOR,
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    DISCRIMINATOR_STEP,
    GENERATOR_STEP,
    JUDGE_BOTH,
    FRECHET_DISTANCE,
    CLASS_SHARES,
)
