"""The exercises of lesson 03 in TensorFlow: a pipeline, a block in Keras's plan, callback, step."""

from course.exercises.resnet_tensorflow.augment import AUGMENT
from course.exercises.resnet_tensorflow.best_weights import BEST
from course.exercises.resnet_tensorflow.clipped_model import STEP
from course.exercises.resnet_tensorflow.conv_norm import CONV_NORM
from course.exercises.resnet_tensorflow.residual_block import BLOCK
from course.exercises.resnet_tensorflow.training_batches import BATCHES

LESSON = "03_resnet_tensorflow"
EXERCISES = (AUGMENT, BATCHES, CONV_NORM, BLOCK, BEST, STEP)
