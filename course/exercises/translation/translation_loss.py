"""translation.translation_loss: a bug hunt, targets that are not shifted."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import translation
from course.models.translation import BEGIN, END, PAD


class _Model:
    """Says the next token by the source's first token and the newest token of the target."""

    def __init__(self, rng: np.random.Generator, num_symbols: int) -> None:
        self.by_source = tensor(rng, num_symbols, num_symbols)
        self.by_target = tensor(rng, num_symbols, num_symbols)

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        return self.by_source[source[:, :1]] + self.by_target[target]


def _translation_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    """How many symbols, and how many tokens each target has between BEGIN and END."""
    for num_symbols, lengths in ((7, (2, 2)), (6, (1,)), (8, (1, 4, 2)), (9, (3, 1))):
        model = _Model(rng, num_symbols)
        source = torch.tensor(rng.integers(4, num_symbols, (len(lengths), 3)))
        rows = [
            [BEGIN, *rng.integers(4, num_symbols, length).tolist(), END]
            + [PAD] * (max(lengths) - length)
            for length in lengths
        ]
        target = torch.tensor(rows)
        yield Case((model, source, target), _by_hand(model, source, rows))


def _by_hand(model: _Model, source: Tensor, rows: list[list[int]]) -> Tensor:
    """Token by token."""
    surprises = []
    for number, row in enumerate(rows):
        for read, asked in itertools.pairwise(row):
            if asked != PAD:
                logits = model(source[number : number + 1], torch.tensor([[read]]))[0, 0]
                surprises.append(-torch.log_softmax(logits, dim=0)[asked])
    return torch.stack(surprises).mean()


Sides = Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]


def _shifted(model: Any, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return model(source, target[:, :-1]), target[:, 1:]


def _mean(logits: Tensor, asked: Tensor) -> Tensor:
    return functional.cross_entropy(logits.transpose(1, 2), asked, ignore_index=PAD)


def _of(
    sides: Sides = _shifted, finish: Callable[[Tensor, Tensor], Tensor] = _mean
) -> Callable[..., Tensor]:
    """A loss from these logits and targets."""
    return lambda model, source, target: finish(*sides(model, source, target))


def _padding_counts(logits: Tensor, asked: Tensor) -> Tensor:
    return functional.cross_entropy(logits.transpose(1, 2), asked)


def _sum(logits: Tensor, asked: Tensor) -> Tensor:
    return functional.cross_entropy(
        logits.transpose(1, 2), asked, ignore_index=PAD, reduction="sum"
    )


def _divided_by_all(logits: Tensor, asked: Tensor) -> Tensor:
    return _sum(logits, asked) / asked.numel()


def _per_phrase(logits: Tensor, asked: Tensor) -> Tensor:
    return _sum(logits, asked) / len(asked)


def _mean_of_means(logits: Tensor, asked: Tensor) -> Tensor:
    pairs = zip(logits, asked, strict=True)
    return torch.stack(
        [functional.cross_entropy(one, row, ignore_index=PAD) for one, row in pairs]
    ).mean()


def _without_end(logits: Tensor, asked: Tensor) -> Tensor:
    return _mean(logits, asked.masked_fill(asked == END, PAD))


def _softmax_twice(logits: Tensor, asked: Tensor) -> Tensor:
    return _mean(torch.softmax(logits, dim=-1), asked)


def _mixed_axes(logits: Tensor, asked: Tensor) -> Tensor:
    batch, num_tokens, num_symbols = logits.shape
    mixed = logits.reshape(batch, num_symbols, num_tokens)
    return functional.cross_entropy(mixed, asked, ignore_index=PAD)


COPIES = (
    "The decoder still reads, at each place, the very token that it is asked for: it need only "
    "copy. It reads all but the last, `target[:, :-1]`, and is asked for all but the first."
)

TRANSLATION_LOSS = Exercise(
    name="translation.translation_loss",
    title="Bug hunt: a decoder that is told the answer",
    minutes=6,
    difficulty=2,
    reference=translation.translation_loss,
    cases=_translation_loss_cases,
    mistakes=(
        Mistake(_of(lambda model, source, target: (model(source, target), target)), COPIES),
        Mistake(
            _of(lambda model, source, target: (model(source, target[:, 1:]), target[:, 1:])), COPIES
        ),
        Mistake(
            _of(lambda model, source, target: (model(source, target[:, :-1]), target[:, :-1])),
            COPIES,
        ),
        Mistake(
            _of(lambda model, source, target: (model(source, target[:, 1:]), target[:, :-1])),
            "The decoder reads the later tokens and is asked for the earlier ones: it writes "
            "backwards. It reads `target[:, :-1]`.",
        ),
        Mistake(
            _of(lambda model, source, target: (model(source, target), target.roll(-1, 1))),
            "`roll` puts BEGIN behind the last token, as if the phrase were a ring: cut the first "
            "token off, `target[:, 1:]`.",
        ),
        Mistake(
            _of(finish=_padding_counts),
            "The shift is right, but padding counts now: keep `ignore_index=PAD`.",
        ),
        Mistake(
            _of(finish=_divided_by_all),
            "The sum is divided by all places, padding too; divide by the real tokens, as "
            "`cross_entropy` does with `ignore_index`.",
        ),
        Mistake(_of(finish=_sum), "This is the sum over all tokens; the mean is asked for."),
        Mistake(
            _of(finish=_per_phrase),
            "The sum is divided by the number of phrases; divide by that of the real tokens.",
        ),
        Mistake(
            _of(finish=_mean_of_means),
            "You averaged over each phrase, then over the phrases; each token counts the same, so "
            "take one mean over all.",
        ),
        Mistake(
            _of(finish=_without_end),
            "END does not count in yours: then the translator never learns where to stop.",
        ),
        Mistake(
            _of(finish=_softmax_twice),
            "`cross_entropy` applies the softmax itself: give it the logits as they are.",
        ),
        Mistake(
            _of(finish=_mixed_axes),
            "A reshape does not swap axes: `logits.transpose(1, 2)` gives [B, V, T].",
        ),
    ),
    advice=(
        (
            r"[Ee]xpected (target|input batch)|size mismatch|batch_size|must match the size",
            "Logits [B, V, T] and targets [B, T] have to be of equal length: the decoder reads T "
            "tokens and is asked for T. Cut the axis of the tokens, as in `[:, :-1]`; `[:-1]` cuts "
            "a phrase off.",
        ),
    ),
    hints=(
        "Write [begin] 五 月 [end] in a row. What should be said behind each token, and behind the "
        "last one?",
        "The decoder never reads [end], and nobody asks it for [begin].",
        "It reads `target[:, :-1]`, and is asked for `target[:, 1:]`.",
    ),
)
