"""The exercises of lesson 07: word pieces, masking, what BERT sees, its loss, its batches."""

from course.exercises.bert.batches_by_length import BATCHES_BY_LENGTH
from course.exercises.bert.logits_where_asked import LOGITS_WHERE_ASKED
from course.exercises.bert.masked import MASKED
from course.exercises.bert.masked_loss import MASKED_LOSS
from course.exercises.bert.mean_surprise import MEAN_SURPRISE
from course.exercises.bert.read_both_ways import READ_BOTH_WAYS
from course.exercises.bert.split_word import SPLIT_WORD

LESSON = "07_bert_pretraining"
EXERCISES = (
    SPLIT_WORD,
    MASKED,
    READ_BOTH_WAYS,
    LOGITS_WHERE_ASKED,
    MEAN_SURPRISE,
    MASKED_LOSS,
    BATCHES_BY_LENGTH,
)
