"""language_model.perplexity: among how many tokens a model hesitates."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import language_model


def _perplexity_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: always 1/8 gives 8; 1/2 and 1/8 give √16. The product of 1000 would be 0."""
    for probabilities, truth in (([1 / 8] * 3, 8.0), ([1 / 2, 1 / 8], 4.0), ([1.0, 1.0], 1.0)):
        yield _case(torch.tensor(probabilities), truth)
    for count in (5, 1000):
        probabilities = torch.tensor(rng.uniform(0.01, 0.9, count), dtype=torch.float32)
        surprise = -sum(math.log(value) for value in probabilities.tolist()) / count
        yield _case(probabilities, math.exp(surprise))


def _case(probabilities: Tensor, truth: float) -> Case:
    expected = torch.tensor(truth)
    return Case((probabilities,), expected, judge=partial(_judge, truth=expected))


def _judge(got: Any, truth: Tensor) -> str | None:
    if isinstance(got, float):
        return (
            "it returned a plain Python number; return the tensor that `torch.exp` gives: the "
            "lesson takes the number out of it, with `.item()`."
        )
    return difference(got, truth)


PERPLEXITY = Exercise(
    name="language_model.perplexity",
    title="Perplexity",
    minutes=5,
    difficulty=1,
    reference=language_model.perplexity,
    cases=_perplexity_cases,
    mistakes=(
        Mistake(
            lambda probabilities: -torch.log(probabilities).mean(),
            "That is the mean surprise in nats; the perplexity is e to the power of it, "
            "`torch.exp(…)`.",
        ),
        Mistake(
            lambda probabilities: -torch.log2(probabilities).mean(),
            "That is the mean surprise in bits; the perplexity is 2 to the power of it (or e to "
            "the power of the mean surprise in nats).",
        ),
        Mistake(
            lambda probabilities: torch.exp(torch.log(probabilities).mean()),
            "The minus sign is missing: a logarithm of a probability is negative, a surprise is "
            "not.",
        ),
        Mistake(
            lambda probabilities: -torch.exp(torch.log(probabilities).mean()),
            "The minus sign belongs to the logarithm, before the exponential: `torch.exp(-…)`.",
        ),
        Mistake(
            lambda probabilities: (1 / probabilities).mean(),
            "You averaged 1 / probability. Average the *logarithms*, and only then take the "
            "exponential: one token with a tiny probability would otherwise decide alone.",
        ),
        Mistake(
            lambda probabilities: 1 / probabilities.mean(),
            "You averaged the probabilities themselves; average their logarithms.",
        ),
        Mistake(
            lambda probabilities: torch.exp(-torch.log(probabilities).sum()),
            "You added up the surprises; take their mean, otherwise a longer text would be more "
            "perplexing.",
        ),
        Mistake(
            lambda probabilities: 2 ** -torch.log(probabilities).mean(),
            "`torch.log` is the natural logarithm: its power belongs to e, `torch.exp`, not to 2.",
        ),
        Mistake(
            lambda probabilities: torch.exp(-torch.log2(probabilities).mean()),
            "A logarithm to the base 2 belongs to a power of 2: `torch.log` with `torch.exp`, or "
            "`torch.log2` with `2 **`.",
        ),
        Mistake(
            lambda probabilities: probabilities.prod() ** (-1 / len(probabilities)),
            "Right in theory, but a product of many probabilities becomes 0 in the computer: add "
            "up logarithms instead.",
        ),
        Mistake(
            lambda probabilities: torch.exp((-probabilities * torch.log(probabilities)).sum()),
            "Each token of the text counts once: do not weight its surprise by its probability. "
            "(That would be an entropy.)",
        ),
    ),
    hints=(
        "Three steps: the surprise of each token, their mean, and e to the power of it.",
        "The surprises: `-torch.log(probabilities)`.",
        "`torch.exp(-torch.log(probabilities).mean())`",
    ),
)
