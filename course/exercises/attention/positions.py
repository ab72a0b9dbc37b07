"""attention.sinusoidal_positions: a vector for each place, from sines and cosines."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import attention


def _positions_cases(rng: np.random.Generator) -> Iterator[Case]:
    drawn = [(int(rng.integers(2, 30)), 2 * int(rng.integers(2, 9))) for _ in range(3)]
    for num_tokens, channels in ((1, 2), (3, 2), (4, 6), *drawn, (200, 4)):
        yield Case((num_tokens, channels), torch.tensor(_by_loop(num_tokens, channels)))


def _by_loop(num_tokens: int, channels: int) -> list[list[float]]:
    """Number by number, as the formula stands."""
    table = []
    for place in range(num_tokens):
        row = []
        for pair in range(channels // 2):
            angle = place / 10_000 ** (2 * pair / channels)
            row += [math.sin(angle), math.cos(angle)]
        table.append(row)
    return table


def _table_with(
    exponent: Callable[[Tensor, int], Tensor] = lambda pair, channels: 2 * pair / channels,
    first: int = 0,
    order: tuple[Callable, Callable] = (torch.sin, torch.cos),
    arrange: Callable[[Tensor, Tensor], Tensor] = lambda one, other: torch.stack(
        [one, other], dim=2
    ).flatten(1),
    base: float = 10_000,
    unit: float = 1.0,
) -> Callable[[int, int], Tensor]:
    """A table that may go wrong in one of its steps."""

    def answer(num_tokens: int, channels: int) -> Tensor:
        pairs = torch.arange(channels // 2)
        places = torch.arange(first, first + num_tokens)[:, None]
        angles = unit * places / base ** exponent(pairs, channels)
        return arrange(order[0](angles), order[1](angles))

    return answer


def _without_parentheses(num_tokens: int, channels: int) -> Tensor:
    places, channel = torch.arange(num_tokens)[:, None], torch.arange(0, channels, 2)
    angles = places / 10_000**channel / channels
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def _into_rows(num_tokens: int, channels: int) -> Tensor:
    """Stops where there is more than one place."""
    table = torch.zeros(num_tokens, channels)
    right = attention.sinusoidal_positions(num_tokens, channels)
    table[0::2], table[1::2] = right[:, 0::2], right[:, 1::2]
    return table


SINUSOIDAL_POSITIONS = Exercise(
    name="attention.sinusoidal_positions",
    title="Clocks for places",
    minutes=10,
    difficulty=2,
    reference=attention.sinusoidal_positions,
    cases=_positions_cases,
    mistakes=(
        Mistake(
            _table_with(order=(torch.cos, torch.sin)),
            "Sine and cosine have changed places: the even channels, 0, 2, 4 …, are sines.",
        ),
        Mistake(
            _table_with(arrange=lambda one, other: torch.cat([one, other], dim=1)),
            "All sines stand before all cosines; they should alternate: sine and cosine of the "
            "first pair, then of the second.",
        ),
        Mistake(
            _table_with(lambda pair, channels: pair / channels),
            "The clocks slow down too little: the exponent is 2i / C, where i is the number of the "
            "*pair*. `torch.arange(0, C, 2)` is 2i already.",
        ),
        Mistake(
            _table_with(lambda pair, channels: 4 * pair / channels),
            "The clocks slow down too much: the exponent is 2i / C, where i is the number of the "
            "pair. `torch.arange(0, C, 2)` is 2i already.",
        ),
        Mistake(
            _table_with(lambda pair, channels: -2 * pair / channels),
            "Your clocks get faster from pair to pair: divide the place by 10,000 to the power of "
            "2i / C.",
        ),
        Mistake(
            _table_with(unit=2 * math.pi),
            "You multiplied the angles by 2π, as for the clock of section 1; the formula here has "
            "no 2π.",
        ),
        Mistake(
            _without_parentheses,
            "A power comes before a division: put the whole exponent into parentheses, "
            "`10_000 ** (torch.arange(0, C, 2) / C)`.",
        ),
        Mistake(
            _into_rows,
            "`table[0::2]` is every second *row*, so every second place; channels are columns: "
            "`table[:, 0::2]`.",
        ),
        Mistake(
            _table_with(first=1),
            "You count the places from 1; the first one is 0, where every sine is 0.",
        ),
        Mistake(
            _table_with(base=1000),
            "The base of the power is 10,000; yours is 1,000.",
        ),
        Mistake(
            _table_with(lambda pair, channels: 0 * pair),
            "All your clocks turn at the same speed, that of the first pair.",
        ),
        Mistake(
            _table_with(order=(torch.sin, torch.sin)),
            "Every second channel should be a cosine.",
        ),
        Mistake(
            lambda num_tokens, channels: attention.sinusoidal_positions(num_tokens, channels).T,
            "Rows and columns have changed places: a row for each place, a column for each "
            "channel.",
        ),
    ),
    advice=(
        (
            r"Integers to negative integer powers",
            "Whole numbers cannot be raised to a negative power: write `10_000.0`, or divide by a "
            "power that is positive.",
        ),
        (
            r"must be Tensor, not (int|float)|must be real number, not Tensor|[Oo]nly one element"
            r"|expected Tensor as element",
            "`math.sin` is for single numbers, `torch.sin` or `angles.sin()` for tensors.",
        ),
        (
            r"expanded size|must match the (existing )?size",
            "Places belong in a column, `torch.arange(T)[:, None]`, and the clocks in a row: "
            "together they give a table [T, C / 2].",
        ),
    ),
    hints=(
        "Begin with a table of angles [T, C / 2]: places in a column, `torch.arange(T)[:, None]`, "
        "and a speed for each pair in a row.",
        "The speeds: `10_000 ** (-torch.arange(0, C, 2) / C)`. Angle = place · speed.",
        "`table = torch.zeros(T, C)`, then `table[:, 0::2] = angles.sin()` and `table[:, 1::2] = "
        "angles.cos()`: from channel 0, or 1, every second one.",
    ),
)
