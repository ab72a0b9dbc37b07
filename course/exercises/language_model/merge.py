"""language_model.merge: two tokens become one."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import byte_pairs


def _merge_cases(rng: np.random.Generator) -> Iterator[Case]:
    for tokens, pair, truth in (
        ([5, 6, 7], (6, 7), [5, 9]),
        ([5, 6, 5, 6, 5], (5, 6), [9, 9, 5]),
        ([5, 5, 5], (5, 5), [9, 5]),
        ([5, 5, 5, 5], (5, 5), [9, 9]),
        ([6, 5, 5], (5, 6), [6, 5, 5]),
        ([5], (5, 6), [5]),
        ([15, 6, 5, 61], (5, 6), [15, 6, 5, 61]),
        ([], (5, 6), []),
    ):
        yield _case(tokens, pair, truth)
    for _ in range(2):
        tokens = rng.integers(0, 3, 12).tolist()
        pair = tuple(rng.integers(0, 3, 2).tolist())
        yield _case(tokens, pair, _by_place(tokens, pair, 9))


def _case(tokens: list[int], pair: tuple[int, int], truth: list[int]) -> Case:
    return Case((tokens, pair, 9), truth, judge=partial(_judge, truth=truth))


def _judge(got: Any, truth: list[int]) -> str | None:
    if not isinstance(got, list):
        return f"it returned a value of type {type(got).__name__}; a list is asked for."
    return None if got == truth else f"it returned {got}; {truth} is right."


def _by_place(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result, place = [], 0
    while place < len(tokens):
        found = tuple(tokens[place : place + 2]) == pair
        result.append(new if found else tokens[place])
        place += 2 if found else 1
    return result


def _without_a_step(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result = []
    for place in range(len(tokens)):
        result.append(new if tuple(tokens[place : place + 2]) == pair else tokens[place])
    return result


def _without_a_step_or_the_last(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """A loop over the neighbours, which stops in time and does nothing else."""
    return [
        new if tuple(tokens[place : place + 2]) == pair else tokens[place]
        for place in range(len(tokens) - 1)
    ]


def _as_text(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    text = " ".join(map(str, tokens)).replace("{} {}".format(*pair), str(new))
    return [int(token) for token in text.split()]


def _first_alone(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    for place in range(len(tokens) - 1):
        if tuple(tokens[place : place + 2]) == pair:
            return [*tokens[:place], new, *tokens[place + 2 :]]
    return list(tokens)


def _from_the_right(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    return _by_place(tokens[::-1], pair[::-1], new)[::-1]


def _without_the_last(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result, place = [], 0
    while place < len(tokens) - 1:
        found = tuple(tokens[place : place + 2]) == pair
        result.append(new if found else tokens[place])
        place += 2 if found else 1
    return result


def _either_order(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result, place = [], 0
    while place < len(tokens):
        found = tuple(tokens[place : place + 2]) in (pair, pair[::-1])
        result.append(new if found else tokens[place])
        place += 2 if found else 1
    return result


def _added(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result, place = [], 0
    while place < len(tokens):
        found = tuple(tokens[place : place + 2]) == pair
        result += [*pair, new] if found else [tokens[place]]
        place += 2 if found else 1
    return result


def _each_alone(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    return [new if token in pair else token for token in tokens]


def _skips_always(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    result = []
    for place in range(0, len(tokens), 2):
        both = tokens[place : place + 2]
        result += [new] if tuple(both) == pair else both
    return result


def _nothing(tokens: list[int], pair: tuple[int, int], new: int) -> list[int]:
    return list(tokens)


def _kept(answer: Callable) -> Mistake:
    return Mistake(
        answer,
        "The second token of a merged pair is still there: after a pair, go on two places further.",
    )


MERGE = Exercise(
    name="language_model.merge",
    title="Two tokens become one",
    minutes=8,
    difficulty=2,
    reference=byte_pairs.merge,
    cases=_merge_cases,
    mistakes=(
        _kept(_without_a_step),
        Mistake(
            _without_a_step_or_the_last,
            "Two things: after a pair go on two places further, otherwise its second token is "
            "looked at again; and the last token of the list is never added.",
        ),
        Mistake(
            _as_text,
            "As text, “15 6” holds “5 6” as well: compare the numbers, and not their digits.",
        ),
        Mistake(_first_alone, "Only the first pair is merged; go on to the end of the tokens."),
        Mistake(
            _from_the_right,
            "You begin at the right end; of three equal tokens the first two are a pair.",
        ),
        Mistake(
            _without_the_last,
            "The last token is lost where no pair ends there.",
        ),
        Mistake(
            _either_order,
            "The order counts: (6, 5) is another pair than (5, 6).",
        ),
        Mistake(
            _added,
            "The new token takes the *place* of the pair; the two old ones go.",
        ),
        Mistake(
            _each_alone,
            "Only neighbours in the right order are a pair; a token alone stays as it is.",
        ),
        Mistake(
            _skips_always,
            "A pair may begin at any place, not only at an even one: go on one place where there "
            "is no pair, and two where there is one.",
        ),
        Mistake(
            _nothing,
            "Nothing is merged: `pair` is a tuple, and a slice of a list is a list. "
            "Compare `tuple(tokens[place:place + 2])`, or the two tokens one by one.",
        ),
    ),
    advice=(
        (
            r"list index out of range",
            "The last token has no neighbour behind it: stop in time, or compare a slice, "
            "`tokens[place:place + 2]`, which may be shorter.",
        ),
    ),
    hints=(
        "Build a new list. Either with a place that goes on by one or by two, or token by token, "
        "looking back at the last one of the new list.",
        "Looking back: if the new list's last token and this one are the pair, the last token "
        "becomes the new one; otherwise add this one.",
        "`if merged and (merged[-1], token) == pair: merged[-1] = new`, else "
        "`merged.append(token)`.",
    ),
)
