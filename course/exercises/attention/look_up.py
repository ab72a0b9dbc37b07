"""attention.look_up: a look-up that is an average."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import attention


def _look_up_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: scores 0 and log 3, so weights 1/4 and 3/4; in the last case scores of hundreds."""
    keys = torch.tensor([[0.0], [math.log(3)]])
    yield Case((torch.tensor([1.0]), keys, torch.tensor([[4.0], [8.0]])), torch.tensor([7.0]))
    for num_keys, channels, num_values in ((3, 2, 2), (5, 4, 1), (2, 6, 3)):
        query, keys = tensor(rng, channels), tensor(rng, num_keys, channels)
        values = tensor(rng, num_keys, num_values)
        yield Case((query, keys, values), _by_loop(query, keys, values))
    query, keys = torch.tensor([100.0, 200.0]), torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.5]])
    values = tensor(rng, 3, 2)
    yield Case((query, keys, values), values[1] * 0.5 + values[2] * 0.5)
    yield Case(
        (tensor(rng, 3), tensor(rng, 1, 3), torch.tensor([[2.0, -1.0]])),
        judge=partial(_one_value, truth=torch.tensor([2.0, -1.0])),
    )


def _one_value(got: Any, truth: Tensor) -> str | None:
    problem = difference(got, truth)
    return problem and f"with a single key its value is the result, whatever the score: {problem}"


def _by_loop(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The weighted average, from Python's own numbers."""
    scores = [sum(a * b for a, b in zip(query.tolist(), key, strict=True)) for key in keys.tolist()]
    parts = [math.exp(score) for score in scores]
    columns = zip(*values.tolist(), strict=True)
    return torch.tensor(
        [
            sum(part * value for part, value in zip(parts, column, strict=True)) / sum(parts)
            for column in columns
        ]
    )


def _exponentials(query: Tensor, keys: Tensor) -> Tensor:
    return (keys @ query).exp()


def _shares_of_scores(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    scores = keys @ query
    return scores / scores.sum() @ values


def _without_care(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    parts = _exponentials(query, keys)
    return parts / parts.sum() @ values


LOOK_UP = Exercise(
    name="attention.look_up",
    title="A look-up that is an average",
    minutes=5,
    difficulty=1,
    reference=attention.look_up,
    cases=_look_up_cases,
    mistakes=(
        Mistake(
            lambda query, keys, values: keys @ query @ values,
            "The scores themselves are no weights: they can be negative, and their sum is not 1. "
            "The softmax makes weights of them.",
        ),
        Mistake(
            _shares_of_scores,
            "Divided by their sum, the scores add up to 1, but some may be negative. The softmax "
            "makes weights of them that are not.",
        ),
        Mistake(
            _without_care,
            "Right, until the scores are large: then their exponentials are infinite. "
            "`torch.softmax` takes care of that.",
        ),
        Mistake(
            lambda query, keys, values: _exponentials(query, keys) @ values,
            "The exponentials still have to be divided by their sum, so that the weights add up to "
            "1: use `torch.softmax`.",
        ),
        Mistake(
            lambda query, keys, values: values[(keys @ query).argmax()],
            "You took the value of the key that fits best. That is a hard look-up; here every "
            "value counts, by its weight.",
        ),
        Mistake(
            lambda query, keys, values: torch.softmax(keys @ query, dim=0),
            "These are the weights; the average of the values is asked for.",
        ),
        Mistake(
            lambda query, keys, values: values.mean(dim=0),
            "Every value has the same weight in yours; a key that fits better gives its value "
            "more.",
        ),
        Mistake(
            lambda query, keys, values: torch.softmax(keys @ query, dim=0) @ keys,
            "You averaged the keys; the keys only give the weights, and the values are averaged.",
        ),
        Mistake(
            lambda query, keys, values: torch.softmax(keys @ query, dim=0) @ values / len(keys),
            "The weights add up to 1 already: do not divide by the number of keys.",
        ),
        Mistake(
            lambda query, keys, values: (
                torch.softmax(keys @ query / len(query) ** 0.5, dim=0) @ values
            ),
            "You divided the scores by √D. That comes in section 2; here they are taken as they "
            "are.",
        ),
        Mistake(
            lambda query, keys, values: (
                torch.softmax(normalize(keys, dim=1) @ normalize(query, dim=0), dim=0) @ values
            ),
            "You brought the vectors to length 1 first. Then a longer query would not look more "
            "sharply: take the dot products as they are.",
        ),
        Mistake(
            lambda query, keys, values: (
                torch.softmax(-((keys - query) ** 2).sum(dim=1), dim=0) @ values
            ),
            "Your scores are distances; here they are dot products: `keys @ query`.",
        ),
        Mistake(
            lambda query, keys, values: torch.softmax(-(keys @ query), dim=0) @ values,
            "The key that fits *worst* has the largest weight: leave the sign of the scores.",
        ),
        Mistake(
            lambda query, keys, values: torch.softmax(keys @ query, dim=0)[:, None] * values,
            "The values have their weights; now add up over the keys, axis 0.",
        ),
    ),
    advice=(
        (
            r"shapes cannot be multiplied|size mismatch",
            "Where two shapes meet at `@` they need the same size: `keys @ query` is [S, D] @ [D] "
            "→ [S], and `weights @ values` is [S] @ [S, E] → [E].",
        ),
    ),
    hints=(
        "Three steps: a score for each key [S], weights [S], an average [E].",
        "All scores at once: `keys @ query`. Their softmax: `torch.softmax(scores, dim=0)`.",
        "`weights @ values` multiplies each row of the values by its weight, and adds them up.",
    ),
)
