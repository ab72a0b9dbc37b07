"""The exercises of lesson 02: what to measure, how to measure it, and how to train well."""

from course.exercises.training_well.best_threshold import BEST_THRESHOLD
from course.exercises.training_well.class_weights import CLASS_WEIGHTS
from course.exercises.training_well.evaluate import EVALUATE
from course.exercises.training_well.precision_recall_f1 import PRECISION_RECALL_F1
from course.exercises.training_well.random_shift import RANDOM_SHIFT
from course.exercises.training_well.roc_auc import ROC_AUC
from course.exercises.training_well.standardise import STANDARDISE

LESSON = "02_training_well"
EXERCISES = (
    STANDARDISE,
    PRECISION_RECALL_F1,
    ROC_AUC,
    EVALUATE,
    RANDOM_SHIFT,
    CLASS_WEIGHTS,
    BEST_THRESHOLD,
)
