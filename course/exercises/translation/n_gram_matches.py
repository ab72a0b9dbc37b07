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
        (["a"], ["a", "b"], 4, (0, 0)),
        (["ab", "c"], ["a", "bc"], 2, (0, 1)),
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


def _clipped_at_each_place(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found, right = _all(hypothesis, n), _all(reference, n)
    return sum(min(found.count(gram), right.count(gram)) for gram in found), len(found)


def _different_in_total(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    return _by_crossing_out(hypothesis, reference, n)[0], len(set(_all(hypothesis, n)))


def _below_zero(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    return _by_crossing_out(hypothesis, reference, n)[0], len(hypothesis) - n + 1


def _as_texts(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    found, right = (Counter(map("".join, _all(tokens, n))) for tokens in (hypothesis, reference))
    return (found & right).total(), found.total()


def _up_to_n(hypothesis: Tokens, reference: Tokens, n: int) -> tuple[int, int]:
    counts = [_by_crossing_out(hypothesis, reference, size) for size in range(1, n + 1)]
    return sum(matches for matches, _ in counts), sum(total for _, total in counts)


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
            _clipped_at_each_place,
            "An n-gram that stands k times is counted k times over; go through the *different* "
            "n-grams once: `set(…)`.",
        ),
        Mistake(
            _different_in_total,
            "The second number counts different n-grams; count each as often as it stands there.",
        ),
        Mistake(
            _below_zero,
            "A hypothesis of fewer than n tokens has no n-grams: the number is 0, not below.",
        ),
        Mistake(
            _as_texts,
            "Joined to one text, [“ab”, “c”] and [“a”, “bc”] look the same: make each n-gram a "
            "tuple of its tokens.",
        ),
        Mistake(
            _up_to_n,
            "Only the n-grams of this one n are asked for; yours has the shorter ones too.",
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
