"""The exercises of lesson 09: a batch, masks, a decoder, its loss, its writing, and a score."""

from course.exercises.translation.decoder_layer import DECODER_LAYER
from course.exercises.translation.greedy import GREEDY
from course.exercises.translation.grow_beam import GROW_BEAM
from course.exercises.translation.masks import MASKS
from course.exercises.translation.n_gram_matches import N_GRAM_MATCHES
from course.exercises.translation.pad import PAD_SEQUENCES
from course.exercises.translation.translation_loss import TRANSLATION_LOSS

LESSON = "09_translation"
EXERCISES = (
    PAD_SEQUENCES,
    MASKS,
    DECODER_LAYER,
    TRANSLATION_LOSS,
    GREEDY,
    N_GRAM_MATCHES,
    GROW_BEAM,
)
