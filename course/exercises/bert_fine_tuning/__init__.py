"""The exercises of lesson 08: batches of texts, the loss and its schedule, LoRA, calibration."""

from course.exercises.bert_fine_tuning.calibration_error import CALIBRATION_ERROR
from course.exercises.bert_fine_tuning.fill_up import FILL_UP
from course.exercises.bert_fine_tuning.labelled_batches import LABELLED_BATCHES
from course.exercises.bert_fine_tuning.lora_linear import LORA_LINEAR
from course.exercises.bert_fine_tuning.loss_of import LOSS_OF
from course.exercises.bert_fine_tuning.sentence_vectors import SENTENCE_VECTORS
from course.exercises.bert_fine_tuning.share_of_rate import SHARE_OF_RATE

LESSON = "08_bert_fine_tuning"
EXERCISES = (
    FILL_UP,
    SENTENCE_VECTORS,
    LABELLED_BATCHES,
    LOSS_OF,
    SHARE_OF_RATE,
    LORA_LINEAR,
    CALIBRATION_ERROR,
)
