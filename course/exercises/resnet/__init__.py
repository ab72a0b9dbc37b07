"""The exercises of lesson 03: convolution, batch norm, augmentation and the residual block."""

from course.exercises.resnet.batch_norm import BATCH_NORM
from course.exercises.resnet.block import BLOCK
from course.exercises.resnet.convolve import CONVOLVE
from course.exercises.resnet.is_residual import IS_RESIDUAL
from course.exercises.resnet.output_size import OUTPUT_SIZE
from course.exercises.resnet.shift_and_mirror import SHIFT_AND_MIRROR
from course.exercises.resnet.small_network import SMALL_NETWORK

LESSON = "03_resnet"
EXERCISES = (
    CONVOLVE,
    OUTPUT_SIZE,
    SMALL_NETWORK,
    BATCH_NORM,
    SHIFT_AND_MIRROR,
    IS_RESIDUAL,
    BLOCK,
)
