"""attention.attention: scaled dot-product attention."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import some_true, tensor
from course.models import attention


def _attention_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: scores 0 and 2 · log 3, divided by √4: weights 1/4 and 3/4."""
    keys = torch.tensor([[0.0, 0, 0, 0], [2 * math.log(3), 0, 0, 0]])
    yield _case(torch.tensor([[1.0, 0, 0, 0]]), keys, torch.tensor([[4.0], [8.0]]), None)
    for axes, looking, looked_at, width, masked in (
        ((), 3, 5, 2, False),
        ((2,), 4, 3, 6, True),
        ((2, 3), 4, 4, 5, False),
    ):
        mask = some_true(rng, *axes, looking, looked_at) if masked else None
        yield _case(
            tensor(rng, *axes, looking, width, scale=2),
            tensor(rng, *axes, looked_at, width),
            tensor(rng, *axes, looked_at, 3),
            mask,
        )
    shapes = [tensor(rng, 2, 2, 3, 4) for _ in range(3)]
    yield _case(*shapes, some_true(rng, 2, 1, 1, 3))


def _case(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Case:
    truth = _by_loop(queries, keys, values, mask)
    return Case((queries, keys, values, mask), truth, judge=partial(_result, truth=truth))


def _by_loop(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Query by query, with NumPy in float64."""
    looked_at = keys.shape[-2]
    allowed = np.ones((*queries.shape[:-1], looked_at), dtype=bool)
    if mask is not None:
        allowed &= mask.numpy()
    result = np.zeros((*queries.shape[:-1], values.shape[-1]))
    for place in np.ndindex(queries.shape[:-1]):
        query, its_keys = queries[place].double().numpy(), keys[place[:-1]].double().numpy()
        parts = np.exp(its_keys @ query / np.sqrt(len(query))) * allowed[place]
        result[place] = parts / parts.sum() @ values[place[:-1]].double().numpy()
    return torch.tensor(result, dtype=torch.float32)


def _result(got: Any, truth: Tensor) -> str | None:
    if isinstance(got, tuple) and len(got) == 2:
        return "it returned two things; here attention gives its result alone, without the weights."
    return difference(got, truth)


def _attention_with(
    scale: Callable[[Tensor, Tensor], float] = lambda queries, keys: queries.shape[-1] ** -0.5,
    weigh: Callable[[Tensor, Tensor | None], Tensor] = attention.masked_softmax,
) -> Callable:
    """Attention that may go wrong: what the scores are multiplied by, how weights come of them."""

    def answer(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = queries @ keys.transpose(-2, -1) * scale(queries, keys)
        return weigh(scores, mask) @ values

    return answer


def _mask_too_late(scores: Tensor, mask: Tensor | None) -> Tensor:
    weights = torch.softmax(scores, -1)
    return weights if mask is None else weights * mask


def _down_the_columns(scores: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -2).nan_to_num()


def _scaled_afterwards(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
) -> Tensor:
    weights = attention.masked_softmax(queries @ keys.transpose(-2, -1), mask)
    return weights / queries.shape[-1] ** 0.5 @ values


def _weights_alone(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
) -> Tensor:
    return _attention_with()(queries, keys, torch.eye(keys.shape[-2]), mask)


ATTENTION = Exercise(
    name="attention.attention",
    title="Scaled dot-product attention",
    minutes=8,
    difficulty=2,
    reference=attention.attention,
    cases=_attention_cases,
    mistakes=(
        Mistake(
            _attention_with(lambda queries, keys: 1.0),
            "The scores are not scaled: divide them by the square root of D, `queries.shape[-1]`.",
        ),
        Mistake(
            _attention_with(lambda queries, keys: 1 / queries.shape[-1]),
            "You divided by D itself; its square root brings the variance of the scores to 1.",
        ),
        Mistake(
            _attention_with(lambda queries, keys: queries.shape[-1] ** 0.5),
            "You multiplied by √D; divide by it.",
        ),
        Mistake(
            _attention_with(lambda queries, keys: keys.shape[-2] ** -0.5),
            "You divided by the root of the number of *tokens*; it is the number of channels, "
            "`queries.shape[-1]`, that makes dot products large.",
        ),
        Mistake(
            _attention_with(lambda queries, keys: queries.shape[-2] ** -0.5),
            "You divided by the root of the number of *tokens*; it is the number of channels, "
            "`queries.shape[-1]`, that makes dot products large.",
        ),
        *(
            Mistake(
                _attention_with(scale),
                "D is the size of the *last* axis, `queries.shape[-1]`: in front there may be axes "
                "for sequences and heads.",
            )
            for scale in (
                lambda queries, keys: queries.shape[0] ** -0.5,
                lambda queries, keys: queries.shape[1] ** -0.5,
            )
        ),
        *(
            Mistake(
                _attention_with(scale),
                "`D**1/2` is D / 2, since a power comes before a division: the root is `D**0.5`.",
            )
            for scale in (
                lambda queries, keys: 2 / queries.shape[-1],
                lambda queries, keys: 1 / (2 * queries.shape[-1]),
            )
        ),
        Mistake(
            _scaled_afterwards,
            "You divided the weights by √D, so they no longer add up to 1; divide the scores, "
            "before the softmax.",
        ),
        Mistake(
            _attention_with(weigh=lambda scores, mask: torch.softmax(scores, -1)),
            "The mask is not used: hand it to `masked_softmax`.",
        ),
        Mistake(
            _attention_with(weigh=_mask_too_late),
            "The mask comes after the softmax, as in the bug hunt above: `masked_softmax(scores, "
            "mask)` does it right.",
        ),
        Mistake(
            _attention_with(
                weigh=lambda scores, mask: attention.masked_softmax(
                    scores, None if mask is None else ~mask
                )
            ),
            "The mask is turned round: True is where a token may look, and `masked_softmax` wants "
            "it so.",
        ),
        Mistake(
            _attention_with(weigh=_down_the_columns),
            "The softmax went over the queries; each query's weights, along the last axis, have to "
            "add up to 1.",
        ),
        Mistake(
            _attention_with(weigh=lambda scores, mask: scores),
            "The softmax is missing: scores are no weights.",
        ),
        Mistake(
            _weights_alone,
            "These are the weights; the average of the values is asked for: `weights @ values`.",
        ),
    ),
    advice=(
        (
            r"shapes cannot be multiplied|Expected size for first two dimensions"
            r"|must match the size|inconsistent tensor size|size mismatch|Dimension out of range",
            "There may be axes in front, for sequences and heads: `keys.transpose(-2, -1)` swaps "
            "the last two alone, [..., S, D] → [..., D, S].",
        ),
        (
            r"sqrt\(\): argument 'input'",
            "`torch.sqrt` is for tensors; D is a single number: `math.sqrt(D)`.",
        ),
        (
            r"must be real number, not torch.Size",
            "`queries.shape` holds the sizes of all axes; D is the last, `queries.shape[-1]`.",
        ),
    ),
    hints=(
        "Scores for all queries and keys at once: [..., T, D] @ [..., D, S] → [..., T, S]. Which "
        "two axes of the keys have to change places?",
        "`scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])`",
        "`return masked_softmax(scores, mask) @ values`",
    ),
)
