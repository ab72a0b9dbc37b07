"""translation.pad: lists of different length in one tensor."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import translation
from course.models.translation import BEGIN, END, PAD


def _pad_cases(rng: np.random.Generator) -> Iterator[Case]:
    for lengths in ((2, 1), (3,), (1, 4, 2), tuple(rng.integers(1, 8, 5).tolist())):
        rows = [rng.integers(4, 20, length).tolist() for length in lengths]
        truth = np.full((len(rows), max(lengths)), PAD)
        for number, row in enumerate(rows):
            truth[number, : len(row)] = row
        yield Case((rows,), torch.tensor(truth))


Rows = list[list[int]]


def _filled(
    longest: Callable[[Rows], int] = lambda rows: max(map(len, rows)),
    sign: int = PAD,
    in_front: bool = False,
    finish: Callable[[Any], Any] = torch.tensor,
) -> Callable[[Rows], Any]:
    """The right answer, in pieces that may go wrong."""

    def answer(sequences: Rows) -> Any:
        width, result = longest(sequences), []
        for row in sequences:
            filling = [sign] * (width - len(row))
            result.append([*filling, *row] if in_front else [*row, *filling][:width])
        return finish(result)

    return answer


def _sorted(sequences: Rows) -> Tensor:
    return _filled()(sorted(sequences, key=len, reverse=True))


PAD_SEQUENCES = Exercise(
    name="translation.pad",
    title="Sequences of different length in one tensor",
    minutes=5,
    difficulty=1,
    reference=translation.pad,
    cases=_pad_cases,
    mistakes=(
        Mistake(
            _filled(in_front=True),
            "The padding stands in front; here the real tokens come first, and PAD behind them.",
        ),
        Mistake(
            _filled(longest=lambda rows: min(map(len, rows))),
            "Longer sequences are cut to the shortest one; fill the shorter ones up instead.",
        ),
        Mistake(
            _filled(longest=lambda rows: len(rows[0])),
            "The width is the length of the first sequence; it should be that of the longest.",
        ),
        Mistake(
            _filled(longest=lambda rows: max(map(len, rows)) + 1),
            "There is one PAD too many: the longest sequence needs none.",
        ),
        Mistake(
            _filled(sign=END),
            "It is filled up with END; the sign for “nothing stands here” is PAD.",
        ),
        Mistake(
            _filled(sign=BEGIN),
            "It is filled up with BEGIN; the sign for “nothing stands here” is PAD.",
        ),
        Mistake(
            _filled(sign=-1),
            "It is filled up with -1; the sign for “nothing stands here” is PAD.",
        ),
        Mistake(_filled(finish=lambda rows: rows), "Right, as lists: make a tensor of them."),
        Mistake(
            _filled(finish=lambda rows: torch.tensor(rows, dtype=torch.float32)),
            "Tokens are whole numbers, so that an embedding can look them up: leave out "
            "`.float()`; `torch.zeros` needs `dtype=torch.long`.",
        ),
        Mistake(
            lambda sequences: _filled()(sequences).T,
            "Rows and columns have changed places: each sequence is a row.",
        ),
        Mistake(_sorted, "The sequences have changed their order; row 0 is the first one given."),
    ),
    advice=(
        (
            r"expected sequence of length|inhomogeneous",
            "A tensor needs rows of equal length: add PAD until each is as long as the longest, "
            "`max(len(row) for row in sequences)`.",
        ),
    ),
    hints=(
        "First find the length of the longest sequence.",
        "To a list one can add as many signs as are missing: `[*row, *[PAD] * missing]`.",
        "`torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in sequences])`.",
    ),
)
