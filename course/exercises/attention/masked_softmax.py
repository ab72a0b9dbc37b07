"""attention.masked_softmax: a mask that comes too late."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import some_true, tensor
from course.models import attention


def _masked_softmax_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: exponentials 1 and 3, so weights 1/4 and 3/4; later a forbidden score of 300."""
    scores = torch.tensor([[0.0, math.log(3), 5.0]])
    yield _case(scores, torch.tensor([[True, True, False]]))
    for shape in ((2, 3), (3, 3, 4), (2, 2, 3, 5)):
        yield _case(tensor(rng, *shape, scale=2), some_true(rng, *shape))
    yield _case(tensor(rng, 2, 2, 3, 4), some_true(rng, 2, 1, 1, 4))
    yield _case(tensor(rng, 3, 4), None)
    yield _case(torch.tensor([[1.0, 300.0, 2.0]]), torch.tensor([[True, False, True]]))
    yield _case(torch.tensor([[-120.0, 4.0, -121.0]]), torch.tensor([[True, False, True]]))


def _case(scores: Tensor, mask: Tensor | None) -> Case:
    truth = _by_loop(scores, mask)
    return Case((scores, mask), truth, judge=partial(_weights, truth=truth))


def _by_loop(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Row by row: the exponentials of the allowed places alone, divided by their sum."""
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand(scores.shape)
    result = torch.zeros_like(scores)
    for place in np.ndindex(scores.shape[:-1]):
        allowed = mask[place]
        parts = [math.exp(score - scores[place][allowed].max()) for score in scores[place][allowed]]
        result[place][allowed] = torch.tensor(parts) / sum(parts)
    return result


def _weights(got: Any, truth: Tensor) -> str | None:
    """How the weights differ; how small a number stands for minus infinity is left open."""
    if torch.is_tensor(got) and got.shape == truth.shape and torch.isnan(got).any():
        place = [int(number) for number in torch.isnan(got).nonzero()[0]]
        return (
            f"the element at {place} is NaN (not a number); it should be "
            f"{truth[tuple(place)]:.4g}. 0 / 0 and infinity · 0 give it."
        )
    return difference(got, truth)


def _or_all(scores: Tensor, mask: Tensor | None) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool) if mask is None else mask


def _softmax_where(allowed: Tensor, scores: Tensor, filling: float, dim: int = -1) -> Tensor:
    return torch.softmax(scores.masked_fill(~allowed, filling), dim)


def _turned_round(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention.masked_softmax(scores, None if mask is None else ~mask)


def _always_turned_round(scores: Tensor, mask: Tensor) -> Tensor:
    """Stops where there is no mask."""
    return attention.masked_softmax(scores, ~mask)


def _softly_turned_round(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    return torch.softmax(scores if mask is None else scores.masked_fill(mask, -1e9), -1)


def _too_late(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    return torch.softmax(scores, -1).masked_fill(~_or_all(scores, mask), 0)


def _too_late_and_minus_infinity(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    return torch.softmax(scores, -1).masked_fill(~_or_all(scores, mask), float("-inf"))


def _divided_again(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    left = _too_late(scores, mask)
    return left / left.sum(-1, keepdim=True)


MASKED_SOFTMAX = Exercise(
    name="attention.masked_softmax",
    title="Bug hunt: a mask that comes too late",
    minutes=6,
    difficulty=2,
    reference=attention.masked_softmax,
    cases=_masked_softmax_cases,
    mistakes=(
        Mistake(
            _too_late,
            "The mask still comes after the softmax: the forbidden places have had their share of "
            "the sum by then. Take them out of the *scores*.",
        ),
        Mistake(
            _too_late_and_minus_infinity,
            "−∞ is for the scores, before the softmax makes a weight of 0 of it. You put it into "
            "the weights.",
        ),
        Mistake(
            _divided_again,
            "Right, until a forbidden score is far above all others: then nothing is left to "
            "divide by. Take the forbidden places out of the scores, before the softmax.",
        ),
        *(
            Mistake(
                answer,
                "The mask is True where a token *may* be looked at; you took those out. `~mask` is "
                "the other way round.",
            )
            for answer in (_turned_round, _always_turned_round, _softly_turned_round)
        ),
        Mistake(
            lambda scores, mask=None: _softmax_where(_or_all(scores, mask), scores, 0.0),
            "A score of 0 is a score like any other: its exponential is 1. Only −∞ gets the weight "
            "0.",
        ),
        Mistake(
            lambda scores, mask=None: torch.softmax(scores * _or_all(scores, mask), -1),
            "A score of 0 is a score like any other: its exponential is 1. Only −∞ gets the weight "
            "0.",
        ),
        Mistake(
            lambda scores, mask=None: torch.softmax(scores + _or_all(scores, mask).float(), -1),
            "Adding the mask makes the allowed scores 1 larger; the forbidden ones should become "
            "−∞.",
        ),
        Mistake(
            lambda scores, mask=None: torch.softmax(scores, -1),
            "The mask has no effect at all. (`masked_fill` leaves its tensor as it is and gives a "
            "new one: go on with that.)",
        ),
        Mistake(
            lambda scores, mask=None: _softmax_where(_or_all(scores, mask), scores, -math.inf, -2),
            "Each row should add up to 1, and yours add up down the columns: the softmax is taken "
            "over the last axis, `dim=-1`.",
        ),
        Mistake(
            lambda scores, mask=None: _softmax_where(_or_all(scores, mask), scores, -math.inf, 0),
            "The softmax is taken over the last axis, `dim=-1`; yours goes over the first.",
        ),
        Mistake(
            lambda scores, mask=None: _softmax_where(_or_all(scores, mask), scores, -1.0),
            "A forbidden place needs a score that no other can be near: −∞, `float('-inf')`.",
        ),
        Mistake(
            lambda scores, mask=None: _softmax_where(_or_all(scores, mask), scores, -100.0),
            "A forbidden place needs a score that no other can be near: −∞, `float('-inf')`.",
        ),
    ),
    advice=(
        (
            r"bad operand type for unary ~|'NoneType'",
            "`mask` may be None: then every place may be looked at.",
        ),
    ),
    hints=(
        "Which places take part in the sum below the fraction of the softmax? Which should?",
        "The exponential of −∞ is 0. So a place whose *score* is −∞ takes no part.",
        '`scores = scores.masked_fill(~mask, float("-inf"))`, before the softmax, where there is a '
        "mask.",
    ),
)
