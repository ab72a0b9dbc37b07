"""attention.padding_mask: which tokens are real."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import attention


def _padding_mask_cases(rng: np.random.Generator) -> Iterator[Case]:
    known = (([2, 3], 3), ([1], 1), ([1, 4, 2], 6))
    drawn = [(rng.integers(1, 8, size).tolist(), 9) for size in (1, 4)]
    for lengths, num_tokens in (*known, *drawn, ([5, 5], 5)):
        rows = [[place < length for place in range(num_tokens)] for length in lengths]
        truth = torch.tensor(rows).view(len(lengths), 1, 1, num_tokens)
        yield Case(
            (torch.tensor(lengths), num_tokens), truth, judge=partial(_like_mask, truth=truth)
        )


def _like_mask(got: Any, truth: Tensor) -> str | None:
    """How the mask differs, with the reason for its axes where only these are wrong."""
    batch, _, _, num_tokens = truth.shape
    if torch.is_tensor(got) and got.shape in ((batch, num_tokens), (batch, 1, num_tokens)):
        return (
            f"the result has the shape {tuple(got.shape)}; it needs axes of size 1 for the heads "
            f"and for the tokens that look, {tuple(truth.shape)}: `mask[:, None, None, :]`."
        )
    if torch.is_tensor(got) and got.shape == (batch, 1, num_tokens, 1) and num_tokens > 1:
        return (
            "the last axis is for the tokens that are looked at, the one before it for those that "
            "look. They have changed places."
        )
    if torch.is_tensor(got) and got.dim() == 4 and got.shape != truth.shape:
        return (
            f"the result has the shape {tuple(got.shape)}; it should be {tuple(truth.shape)}: the "
            "sequences first, the places last, and between them two axes of size 1, for all heads "
            "and all tokens that look."
        )
    return difference(got, truth)


def _places(lengths: Tensor, num_tokens: int) -> Tensor:
    return torch.arange(num_tokens).expand(len(lengths), 1, 1, num_tokens)


def _column(lengths: Tensor) -> Tensor:
    return lengths.view(-1, 1, 1, 1)


PADDING_MASK = Exercise(
    name="attention.padding_mask",
    title="Which tokens are real?",
    minutes=5,
    difficulty=1,
    reference=attention.padding_mask,
    cases=_padding_mask_cases,
    mistakes=(
        Mistake(
            lambda lengths, n: _places(lengths, n) >= _column(lengths),
            "True and False have changed places: True is for a token that is real.",
        ),
        Mistake(
            lambda lengths, n: _places(lengths, n) <= _column(lengths),
            "One place too many is True: places are counted from 0, so those of a sequence of 2 "
            "tokens are 0 and 1.",
        ),
        Mistake(
            lambda lengths, n: _places(lengths, n) < _column(lengths) - 1,
            "The last real token is missing: places are counted from 0, so a sequence of 2 tokens "
            "has the places 0 and 1.",
        ),
        Mistake(
            lambda lengths, n: _places(lengths, n) >= n - _column(lengths),
            "Yours has the padding in front; here the real tokens stand first.",
        ),
        Mistake(
            lambda lengths, n: (_places(lengths, n) < _column(lengths)).float(),
            "Right, as numbers 1 and 0; a mask holds True and False: leave the comparison as it "
            "is.",
        ),
        Mistake(
            lambda lengths, n: (_places(lengths, n) < _column(lengths)).long(),
            "Right, as numbers 1 and 0; a mask holds True and False: leave the comparison as it "
            "is.",
        ),
        Mistake(
            lambda lengths, n: _places(lengths, n) < lengths.max(),
            "All sequences got the same mask, that of the longest; each has its own length.",
        ),
        Mistake(
            lambda lengths, n: _places(lengths, int(lengths.max())) < _column(lengths),
            "The mask is as long as the longest sequence; it should be `num_tokens` long, which "
            "may be more.",
        ),
        Mistake(
            lambda lengths, n: _places(lengths, n) == _column(lengths) - 1,
            "Only the last real token is True; those before it are real too.",
        ),
    ),
    hints=(
        "`torch.arange(num_tokens)` are the places 0, 1, 2 …: which of them are real in a sequence "
        "of `length` tokens?",
        "`places < length`. For all sequences at once the lengths stand in a column: "
        "`lengths[:, None]`, so [T] and [B, 1] meet in [B, T].",
        "`(places < lengths[:, None])[:, None, None, :]` adds the two axes of size 1.",
    ),
)
