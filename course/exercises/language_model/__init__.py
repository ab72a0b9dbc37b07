"""The exercises of lesson 06: n-grams, tokens, a small GPT, how it writes, what it copied."""

from course.exercises.language_model.gpt import GPT
from course.exercises.language_model.key_value_cache import KEY_VALUE_CACHE
from course.exercises.language_model.longest_copy import LONGEST_COPY
from course.exercises.language_model.merge import MERGE
from course.exercises.language_model.next_token_loss import NEXT_TOKEN_LOSS
from course.exercises.language_model.perplexity import PERPLEXITY
from course.exercises.language_model.sampling_weights import SAMPLING_WEIGHTS
from course.exercises.language_model.smoothed_probability import SMOOTHED_PROBABILITY

LESSON = "06_language_model"
EXERCISES = (
    PERPLEXITY,
    SMOOTHED_PROBABILITY,
    MERGE,
    NEXT_TOKEN_LOSS,
    GPT,
    SAMPLING_WEIGHTS,
    KEY_VALUE_CACHE,
    LONGEST_COPY,
)
