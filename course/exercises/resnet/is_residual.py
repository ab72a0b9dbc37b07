"""resnet.is_residual: a test for shortcuts."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.resnet.shared import Sentence, sentence_or_difference, spread
from course.models import resnet


class _Inline(nn.Module):
    """A residual block in which nothing is called a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.change(x))


class _HandsOn(nn.Module):
    """A block that hands on what `taken` makes of x, beside its own layers."""

    def __init__(self, channels: int, taken: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.taken = resnet.Block(channels, channels).body, taken

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x)) + self.taken(x)


def _first_channel(x: Tensor) -> Tensor:
    return torch.cat([x[:, :1], torch.zeros_like(x[:, 1:])], dim=1)


class _Unused(resnet.Block):
    """A block that has a shortcut and never asks it."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x))


def _is_residual_cases(rng: np.random.Generator) -> Iterator[Case]:
    blocks = (
        (resnet.Block(2, 2, shortcut=nn.Identity()), True),
        (resnet.Block(2, 2), False),
        (_Unused(3, 3, shortcut=nn.Identity()), False),
        (_Inline(3), True),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU()), False),
        (resnet.Block(4, 4, shortcut=nn.Sequential()), True),
        (_HandsOn(2, lambda x: 0.5 * x), False),
        (_HandsOn(3, lambda x: x.flip(3)), False),
        (_HandsOn(3, _first_channel), False),
    )
    for block, truth in blocks:
        for parameter in block.parameters():
            parameter.data = spread(rng, *parameter.shape)
        channels = next(block.parameters()).shape[1]
        x = torch.tensor(np.abs(rng.normal(size=(2, channels, 4, 3))), dtype=torch.float32)
        yield Case(
            (block, x),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=_answer_and_block,
        )


def _answer_and_block(answer: Callable, block: nn.Module, x: Tensor) -> Any:
    """The answer, or a sentence where it changed the block that it should only look at."""
    before = [parameter.detach().clone() for parameter in block.parameters()]
    found = answer(block, x)
    if not all(map(torch.equal, block.parameters(), before)):
        return Sentence(
            "it changed the block's own weights, and after such a test the network is ruined: work "
            "on `copy.deepcopy(block)`."
        )
    if torch.is_tensor(found) and found.dtype == torch.bool:
        if found.dim():
            return Sentence(
                "it returned a True or False for each element; one is asked for: `torch.equal(a, "
                "b)` compares as a whole."
            )
        return found.item()
    return found


def _silent(block: nn.Module, x: Tensor) -> Tensor:
    """What comes through the block when all its parameters are 0."""
    silent = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
        return silent(x)


IS_RESIDUAL = Exercise(
    name="resnet.is_residual",
    title="A test for shortcuts",
    minutes=8,
    difficulty=2,
    reference=resnet.is_residual,
    cases=_is_residual_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            lambda block, x: getattr(block, "shortcut", None) is not None,
            "You asked whether the block *has* a shortcut; one of these blocks has one and never "
            "uses it. Look at what it computes.",
        ),
        Mistake(
            lambda block, x: not resnet.is_residual(block, x),
            "True and False have changed places.",
        ),
        Mistake(lambda block, x: True, "It says True of every block."),
        Mistake(
            lambda block, x: bool(_silent(block, x).any()),
            "It asks whether *something* comes through. One of these blocks hands on half of x, "
            "others only a part of it, or its pixels in another order: compare with x itself.",
        ),
        Mistake(
            lambda block, x: torch.allclose(_silent(block, x).sum(), x.sum()),
            "A sum or a mean does not tell where the numbers stand, and one of these blocks "
            "mirrors x: compare element by element, with `torch.equal`.",
        ),
        Mistake(
            lambda block, x: torch.equal(_silent(block, x)[:, 0], x[:, 0]),
            "One of these blocks hands only the first channel on: compare all of x.",
        ),
        Mistake(
            lambda block, x: False,
            "It says False of every block. A residual block gives x back once its own layers are "
            "silent: *all* parameters of the copy at 0, those of batch norm too.",
        ),
    ),
    hints=(
        "Which blocks give their input back when all their parameters are 0, and what do the "
        "others give?",
        "`silent = copy.deepcopy(block)`, then `parameter.zero_()` for each of "
        "`silent.parameters()`, under `with torch.no_grad():`.",
        "`return torch.equal(silent(x), x)`",
    ),
)
