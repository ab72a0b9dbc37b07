"""bert.logits_where_asked: the large matrix only where it is needed."""

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
from course.models.bert import NOT_ASKED


class _Head:
    """Logits by one matrix; it counts the vectors that it was given."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.num_vectors = matrix, 0

    def __call__(self, vectors: Tensor) -> Tensor:
        self.num_vectors += vectors[..., 0].numel()
        return vectors @ self.matrix.T


def _logits_where_asked_cases(rng: np.random.Generator) -> Iterator[Case]:
    for batch, num_tokens, channels, symbols in ((1, 3, 2, 4), (2, 4, 3, 5), (3, 6, 2, 3)):
        targets = torch.tensor(rng.integers(0, symbols, (batch, num_tokens)))
        asked = torch.tensor(rng.random((batch, num_tokens)) < 0.4)
        asked[-1, 1:3] = True  # two at least, so that their order can be wrong
        asked[0, 0] = False
        yield _case(
            tensor(rng, batch, num_tokens, channels),
            targets.where(asked, torch.tensor(NOT_ASKED)),
            tensor(rng, symbols, channels),
        )


def _case(hidden: Tensor, targets: Tensor, matrix: Tensor) -> Case:
    truth = []
    for row, numbers in enumerate(targets.tolist()):
        for place, number in enumerate(numbers):
            if number != NOT_ASKED:
                truth.append([sum(hidden[row, place] * line) for line in matrix])
    truth = torch.tensor(truth)
    return Case(
        (hidden, targets, matrix),
        truth,
        judge=partial(_judge, truth=truth),
        call=_call,
        names=("hidden", "targets", "the matrix in the head"),
    )


def _call(answer: Callable, hidden: Tensor, targets: Tensor, matrix: Tensor) -> Any:
    head = _Head(matrix)
    return answer(hidden, targets, head), head.num_vectors


def _judge(got: Any, truth: Tensor) -> str | None:
    logits, num_vectors = got
    if problem := difference(logits, truth):
        return problem
    if num_vectors > len(truth):
        return (
            f"the numbers are right, but the head had to work on {num_vectors} vectors, of which "
            f"{len(truth)} are asked for: choose the vectors first, and give it those."
        )
    return None


def _all_at_once(hidden: Tensor, targets: Tensor, head: Callable) -> Tensor:
    return head(hidden)


def _chosen_afterwards(hidden: Tensor, targets: Tensor, head: Callable) -> Tensor:
    return head(hidden)[targets != NOT_ASKED]


def _zeroed(hidden: Tensor, targets: Tensor, head: Callable) -> Tensor:
    return head(hidden * (targets != NOT_ASKED)[..., None])


def _flattened(hidden: Tensor, targets: Tensor, head: Callable) -> Tensor:
    return head(hidden.flatten(0, 1))


LOGITS_WHERE_ASKED = Exercise(
    name="bert.logits_where_asked",
    title="Work only where it counts",
    minutes=4,
    difficulty=1,
    reference=bert.logits_where_asked,
    cases=_logits_where_asked_cases,
    mistakes=(
        Mistake(
            _all_at_once,
            "All places went through the head. Choose those where `targets != NOT_ASKED` first.",
        ),
        Mistake(
            _chosen_afterwards,
            "The right logits, but the head did the work for all places before you chose: choose "
            "the *vectors*.",
        ),
        Mistake(
            _zeroed,
            "Vectors that are 0 cost as much as others. Take them out: `hidden[…]` with a mask "
            "leaves only the places where it is True.",
        ),
        Mistake(
            _flattened,
            "All places, now in one row: choose those where `targets != NOT_ASKED`.",
        ),
        Mistake(
            lambda hidden, targets, head: head(hidden[targets == NOT_ASKED]),
            "These are the places that are *not* asked for.",
        ),
        Mistake(
            lambda hidden, targets, head: hidden[targets != NOT_ASKED],
            "These are the right vectors; now the head makes logits of them.",
        ),
        Mistake(
            lambda hidden, targets, head: head(hidden[targets != NOT_ASKED]).softmax(-1),
            "Logits are asked for, without a softmax.",
        ),
        Mistake(
            lambda hidden, targets, head: head(hidden[(targets != NOT_ASKED).any(1)].flatten(0, 1)),
            "You chose whole rows; choose single places.",
        ),
        Mistake(
            lambda hidden, targets, head: head(hidden.transpose(0, 1)[targets.T != NOT_ASKED]),
            "The right places in another order: row by row is asked for, without a transpose.",
        ),
    ),
    advice=(
        (
            "out of bounds",
            "As an index, whole numbers are places, and `targets` holds tokens. A mask of True and "
            "False chooses: `targets != NOT_ASKED`.",
        ),
        (
            "cannot be multiplied",
            "The head takes vectors, [M, C]. A mask [B, T] as an index of `hidden` leaves them "
            "whole.",
        ),
    ),
    hints=(
        "How large is the head's result for all places, and how much of it does the loss look at?",
        "`targets != NOT_ASKED` is a mask [B, T]. Used as an index of `hidden`, it gives [M, C].",
        "`head(hidden[targets != NOT_ASKED])`",
    ),
)
