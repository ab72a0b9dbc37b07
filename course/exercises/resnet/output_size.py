"""resnet.output_size: how large the result of a convolution is."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import convolution


def _output_size_cases(rng: np.random.Generator) -> Iterator[Case]:
    known = ((5, 3, 1, 0), (32, 3, 1, 1), (32, 2, 2, 0), (7, 3, 2, 1), (8, 3, 2, 1), (28, 5, 1, 2))
    drawn = [(int(rng.integers(7, 40)), *map(int, rng.integers(1, 6, 2)), 0) for _ in range(4)]
    drawn += [(int(rng.integers(7, 40)), 5, 3, int(rng.integers(1, 3))) for _ in range(2)]
    for size, kernel, stride, padding in (*known, *drawn):
        image, filters = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
        truth = functional.conv2d(image, filters, stride=stride, padding=padding).shape[-1]
        yield Case((size, kernel, stride, padding), truth, judge=partial(_whole, truth=truth))
    for arguments in ((2, 3, 1, 0), (2, 3, 2, 0), (3, 7, 2, 1)):  # the filter does not fit
        yield Case(arguments, 0, judge=partial(_whole, truth=0))


def _whole(got: Any, truth: int) -> str | None:
    """What is wrong with a number of places; where there is none, 0 or less is right."""
    if truth == 0 and isinstance(got, int | float) and not isinstance(got, bool):
        got = max(got, 0)
    problem = difference(got, truth)
    if problem is None and isinstance(got, float):
        return f"it returned {got}; a size is a whole number: divide with `//`."
    return problem


OUTPUT_SIZE = Exercise(
    name="resnet.output_size",
    title="How large is the result?",
    minutes=5,
    difficulty=1,
    reference=convolution.output_size,
    cases=_output_size_cases,
    mistakes=(
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + 2 * padding - kernel) // stride,
            "One place is missing: where the filter is as large as the image there is 1 place for "
            "it, not 0.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + padding - kernel) // stride + 1,
            "The border is added on both sides, so `padding` counts twice.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + 2 * padding - kernel + 1) // stride,
            "The 1 stands for the first place, which no stride leaves out: divide first, then add "
            "1.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (
                -(-(size + 2 * padding - kernel) // stride) + 1
            ),
            "You rounded up; where a last step would reach over the border, it is not made.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + 2 * padding - kernel) / stride + 1,
            "That can be a fraction; a step that would reach over the border is not made: divide "
            "with `//`, which rounds down.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: size + 2 * padding - kernel + 1,
            "That is right for stride 1; a larger stride leaves places out.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (
                int((size + 2 * padding - kernel) / stride) + 1
            ),
            "Nearly: `int` cuts −0.5 to 0, so you find a place for a filter that does not fit. "
            "`//` rounds down, to −1.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: max(
                1, (size + 2 * padding - kernel) // stride + 1
            ),
            "You say 1 where the filter is larger than the image; there is no place for it: 0.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size - kernel) // stride + 1,
            "The padding is missing: it makes the image larger before the filter comes.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size - 2 * padding - kernel) // stride + 1,
            "Padding makes the image larger: add it.",
        ),
    ),
    hints=(
        "How large is the image with its border? How far can the filter then move from its first "
        "place?",
        "It can move by `size + 2 * padding - kernel` pixels, in steps of `stride`. The first "
        "place counts too.",
        "`(size + 2 * padding - kernel) // stride + 1`",
    ),
)
