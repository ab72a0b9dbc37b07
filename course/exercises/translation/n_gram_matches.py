"""translation.n_gram_matches: what BLEU counts."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import translation


def _n_gram_matches_cases(rng: np.random.Generator) -> Iterator[Case]:
    known = (
        (["a"], ["a"], 1, (1, 1)),
        (["a", "a", "a"], ["a", "b"], 1, (1, 3)),
        (["a", "b", "c"], ["b", "c", "a"], 2, (1, 2)),
        (["a"], ["a", "b"], 2, (0, 0)),
        ([], ["a"], 1, (0, 0)),
        (["a", "b", "a", "b"], ["a", "b", "a", "b", "a", "b"], 2, (3, 3)),
    )
    for hypothesis, reference, n, truth in known:
        yield Case((hypothesis, reference, n), truth)
    for n in (1, 2, 3):
        hypothesis, reference = (
            [("2", "0", "月")[number] for number in rng.integers(0, 3, length)] for length in (9, 7)
        )
        yield Case((hypothesis, reference, n), _by_crossing_out(hypothesis, reference, n))


Tokens = list[str]


def _all(tokens: Tokens, n: int) -> list[tuple[str, ...]]:
    return [tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1)]


def _by_crossing_out(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    left, matches = _all(reference, n), 0
    for gram in _all(hypothesis, n):
        if gram in left:
            left.remove(gram)
            matches += 1
    return matches, len(_all(hypothesis, n))


def _unclipped(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found = _all(hypothesis, n)
    return sum(gram in _all(reference, n) for gram in found), len(found)


def _different(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found = set(_all(hypothesis, n))
    return len(found & set(_all(reference, n))), len(found)


def _different_matches(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    return _different(hypothesis, reference, n)[0], len(_all(hypothesis, n))


def _of_the_reference(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    return _by_crossing_out(reference, hypothesis, n)


def _same_place(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    pairs = zip(_all(hypothesis, n), _all(reference, n), strict=False)
    return sum(one == other for one, other in pairs), len(_all(hypothesis, n))


def _one_too_few(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found, right = (
        Counter(tuple(tokens[place : place + n]) for place in range(len(tokens) - n))
        for tokens in (hypothesis, reference)
    )
    return (found & right).total(), found.total()


def _with_short_ends(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found, right = (
        Counter(tuple(tokens[place : place + n]) for place in range(len(tokens)))
        for tokens in (hypothesis, reference)
    )
    return (found & right).total(), found.total()


def _side_by_side(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found, right = (
        Counter(tuple(tokens[place : place + n]) for place in range(0, len(tokens) - n + 1, n))
        for tokens in (hypothesis, reference)
    )
    return (found & right).total(), found.total()


def _then(change: Callable[[int, int], Any]) -> Callable[..., Any]:
    return lambda hypothesis, reference, n: change(*_by_crossing_out(hypothesis, reference, n))


N_GRAM_MATCHES = Exercise(
    name="translation.n_gram_matches",
    title="What BLEU counts",
    minutes=8,
    difficulty=2,
    reference=translation.n_gram_matches,
    cases=_n_gram_matches_cases,
    mistakes=(
        Mistake(
            _unclipped,
            "An n-gram of the hypothesis counts at most as often as it stands in the reference; "
            "yours counts each time. So “a a a” would be a perfect translation of “a b”.",
        ),
        Mistake(
            _different,
            "A set holds each n-gram once; one that stands twice on both sides matches twice.",
        ),
        Mistake(
            _different_matches,
            "In the matches each n-gram counts once; one that stands twice on both sides matches "
            "twice.",
        ),
        Mistake(
            _of_the_reference,
            "The second number is that of the *hypothesis's* n-grams; yours is the reference's.",
        ),
        Mistake(
            _then(lambda matches, total: (total, matches)),
            "The two numbers have changed places: the matches come first.",
        ),
        Mistake(
            _same_place,
            "An n-gram may stand elsewhere in the reference; yours compares the same places only.",
        ),
        Mistake(
            _one_too_few,
            "The last n-gram is missing: of T tokens there are T - n + 1.",
        ),
        Mistake(
            _with_short_ends,
            "At the end there are pieces shorter than n: of T tokens there are T - n + 1 n-grams.",
        ),
        Mistake(
            _side_by_side,
            "N-grams overlap: one begins at every token, not at every n-th.",
        ),
        Mistake(
            _then(lambda matches, total: matches / max(total, 1)),
            "This is their quotient; return both numbers, as BLEU adds them up over all phrases "
            "before it divides.",
        ),
        Mistake(
            _then(lambda matches, total: matches),
            "Two numbers are asked for: the matches, and how many n-grams the hypothesis has.",
        ),
    ),
    advice=(
        (
            r"unhashable",
            "A list cannot be counted in a `Counter`: make each n-gram a tuple.",
        ),
    ),
    hints=(
        "The n-grams of tokens: `tuple(tokens[place : place + n])` for each place from 0 to T - n.",
        "Count both sides with a `Counter`. How often may an n-gram match, if it stands three "
        "times here and twice there?",
        "`found & right` keeps the smaller count of each; `.total()` adds a Counter up.",
    ),
)
