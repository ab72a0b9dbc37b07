"""bert.read_both_ways: a BERT that was built as if it wrote from left to right."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import bert
from course.models.attention import causal_mask, padding_mask

SYMBOLS, CHANNELS = 11, 4


class _Encoder:
    """Each token gets the mean of the vectors at which it may look, and its own place."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors
        self.masks: list[Tensor | None] = []

    def __call__(
        self, tokens: Tensor, segments: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        self.masks.append(mask)
        x = self.vectors[tokens]
        batch, num_tokens, _ = x.shape
        allowed = torch.ones(batch, 1, num_tokens, num_tokens, dtype=torch.bool)
        if mask is not None:
            allowed = allowed & mask
        weights = allowed[:, 0].float()
        places = torch.arange(num_tokens)[:, None] / 10
        return weights @ x / weights.sum(-1, keepdim=True).clamp(min=1) + places

    forward = __call__


def _read_both_ways_cases(rng: np.random.Generator) -> Iterator[Case]:
    for lengths in ([3], [2, 4], [5, 1, 3], [4, 4]):
        num_tokens = max(lengths)
        tokens = torch.tensor(rng.integers(5, SYMBOLS, (len(lengths), num_tokens)))
        for row, length in enumerate(lengths):
            tokens[row, length:] = bert.PAD
        vectors = tensor(rng, SYMBOLS, CHANNELS, scale=2)
        truth = _by_loop(vectors, tokens, lengths)
        yield Case(
            (vectors, tokens, torch.tensor(lengths)),
            truth,
            judge=partial(_judge, truth=truth, lengths=lengths),
            call=_call,
            names=("the vectors of the tokens", "tokens", "lengths"),
        )


def _by_loop(vectors: Tensor, tokens: Tensor, lengths: list[int]) -> Tensor:
    rows = []
    for row, length in zip(tokens, lengths, strict=True):
        mean = sum(vectors[token] for token in row[:length].tolist()) / length
        rows.append(torch.stack([mean + place / 10 for place in range(len(row))]))
    return torch.stack(rows)


def _call(answer: Callable, vectors: Tensor, tokens: Tensor, lengths: Tensor) -> Any:
    return answer(_Encoder(vectors), tokens, lengths)


def _judge(got: Any, truth: Tensor, lengths: list[int]) -> str | None:
    """What stands at places that were filled up is of no importance."""
    if not torch.is_tensor(got) or got.shape != truth.shape:
        return difference(got, truth)
    for row, length in enumerate(lengths):
        if problem := difference(got[row, :length], truth[row, :length]):
            return f"in row {row}, of which {length} tokens are real: {problem}"
    return None


def _both(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    size = tokens.shape[1]
    return encoder(tokens, mask=causal_mask(size) & padding_mask(lengths, size))


def _causal(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    return encoder(tokens, mask=causal_mask(tokens.shape[1]))


def _all(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    return encoder(tokens)


def _turned_round(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    return encoder(tokens, mask=~padding_mask(lengths, tokens.shape[1]))


def _backwards(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    size = tokens.shape[1]
    return encoder(tokens, mask=causal_mask(size).T & padding_mask(lengths, size))


def _not_itself(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    size = tokens.shape[1]
    others = ~torch.eye(size, dtype=torch.bool)
    return encoder(tokens, mask=others & padding_mask(lengths, size))


def _without_the_last(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    places = torch.arange(tokens.shape[1])
    return encoder(tokens, mask=(places < lengths[:, None] - 1)[:, None, None, :])


def _one_more(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    places = torch.arange(tokens.shape[1])
    return encoder(tokens, mask=(places <= lengths[:, None])[:, None, None, :])


def _first_vector(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    return bert.read_both_ways(encoder, tokens, lengths)[:, 0]


def _shorter(encoder: Any, tokens: Tensor, lengths: Tensor) -> Tensor:
    return bert.read_both_ways(encoder, tokens, lengths)[:, :-1]


CAUSAL = (
    "The causal mask is still there, so no token sees what stands behind it. That is for a model "
    "that writes; what BERT hides is hidden by [MASK]."
)

READ_BOTH_WAYS = Exercise(
    name="bert.read_both_ways",
    title="Bug hunt: a BERT that looks back only",
    minutes=5,
    difficulty=1,
    reference=bert.read_both_ways,
    cases=_read_both_ways_cases,
    mistakes=(
        Mistake(_both, CAUSAL),
        Mistake(_causal, CAUSAL + " And the mask of the padding is needed."),
        Mistake(
            _all,
            "Now [PAD] is looked at as well: a sentence would mean something else in a batch with "
            "a longer one. Keep `padding_mask(lengths, …)`.",
        ),
        Mistake(_turned_round, "The mask is True where a token may be looked at: for real tokens."),
        Mistake(
            _backwards,
            "Now each token looks only at itself and at what stands *behind* it. Both sides are "
            "asked for.",
        ),
        Mistake(
            _not_itself,
            "A token may look at itself as well: what is to be guessed is hidden by [MASK] "
            "already.",
        ),
        Mistake(_without_the_last, "The last real token, [SEP], may be looked at as well."),
        Mistake(_one_more, "One token of the padding is looked at: `places < lengths`."),
        Mistake(_first_vector, "A vector for *each* token is asked for: [B, T, C]."),
        Mistake(
            _shorter,
            "The last place is missing. Nothing is shifted here: each place is about its own "
            "token.",
        ),
    ),
    advice=(
        (
            r"may|must match the size|broadcast",
            "`padding_mask(lengths, tokens.shape[1])` has the shape [B, 1, 1, T], which fits.",
        ),
    ),
    hints=(
        "Which tokens may help to guess a hidden one?",
        "All real ones, on both sides. Only the padding is no help.",
        "`mask=padding_mask(lengths, tokens.shape[1])`",
    ),
)
