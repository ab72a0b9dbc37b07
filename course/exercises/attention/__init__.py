"""The exercises of lesson 05: attention, its masks and heads, positions, and the encoder layer."""

from course.exercises.attention.attend import ATTENTION
from course.exercises.attention.encoder_layer import ENCODER_LAYER
from course.exercises.attention.feed_forward import FEED_FORWARD
from course.exercises.attention.heads import MULTI_HEAD_ATTENTION
from course.exercises.attention.layer_norm import LAYER_NORM
from course.exercises.attention.look_up import LOOK_UP
from course.exercises.attention.masked_softmax import MASKED_SOFTMAX
from course.exercises.attention.padding_mask import PADDING_MASK
from course.exercises.attention.positions import SINUSOIDAL_POSITIONS

LESSON = "05_attention"
EXERCISES = (
    LOOK_UP,
    MASKED_SOFTMAX,
    PADDING_MASK,
    ATTENTION,
    MULTI_HEAD_ATTENTION,
    SINUSOIDAL_POSITIONS,
    LAYER_NORM,
    FEED_FORWARD,
    ENCODER_LAYER,
)
