"""language_model.smoothed_probability: counts of long contexts, backed by those of short ones."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import n_grams

ARGUMENTS = ("token", "context", "followers", "num_symbols", "discount")


def _smoothed_probability_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand, from the text 0 1 0 1 0 2 with four symbols and the discount 1/2.

    After 0 came 1 twice and 2 once: 1 keeps 1.5 of 3, and 2 · 0.5 of 3 are handed on.
    """
    followers = n_grams.count_followers((0, 1, 0, 1, 0, 2), 2)
    empty = [(count - 0.5 * (count > 0) + 1.5 / 4) / 6 for count in (3, 2, 1, 0)]
    for token, truth in enumerate(empty):
        yield Case((token, (), followers, 4, 0.5), truth)
    yield Case((1, (0,), followers, 4, 0.5), 0.5 + empty[1] / 3)
    yield Case((3, (0,), followers, 4, 0.5), empty[3] / 3)
    yield Case((1, (3,), followers, 4, 0.5), empty[1])
    yield Case((1, (3, 0), followers, 4, 0.5), 0.5 + empty[1] / 3)
    for length, discount in ((1, 0.75), (3, 0.9)):
        text = tuple(rng.integers(0, 3, 60).tolist())
        followers = n_grams.count_followers(text, length)
        context = text[20 : 20 + length]
        token = int(rng.integers(0, 4))
        truth = _from_the_shortest(token, context, followers, 5, discount)
        yield Case((token, context, followers, 5, discount), truth)
        yield Case(
            (context, followers, 5, discount),
            judge=_sums_to_one,
            call=_all_tokens,
            names=ARGUMENTS[1:],
        )


def _from_the_shortest(
    token: int, context: tuple, followers: dict[tuple, Counter], num_symbols: int, discount: float
) -> float:
    """The same without a recursion, from the empty context to the longest."""
    value = 1 / num_symbols
    for length in range(len(context) + 1):
        seen = followers.get(context[len(context) - length :], {})
        total = sum(seen.values())
        if total:
            kept = sum(min(discount, count) for count in seen.values())
            value = max(seen.get(token, 0) - discount, 0) / total + kept / total * value
    return value


def _all_tokens(
    answer: Callable, context: tuple, followers: dict, num_symbols: int, discount: float
) -> list[Any]:
    return [
        answer(token, context, followers, num_symbols, discount) for token in range(num_symbols)
    ]


def _sums_to_one(got: list[Any]) -> str | None:
    total = float(sum(got))
    if abs(total - 1) > 1e-6:
        return f"the probabilities of all tokens after one context add up to {total:.4f}, not to 1."
    return None


def _with(
    share: Callable[[Counter, int, float], float] = lambda counts, token, discount: (
        max(counts[token] - discount, 0) / counts.total()
    ),
    handed_on: Callable[[Counter, float], float] = lambda counts, discount: (
        discount * len(counts) / counts.total()
    ),
    shorten: Callable[[tuple], tuple] = lambda context: context[1:],
    unseen: Callable[[float], float] = lambda shorter: shorter,
    start: Callable[[int], float] = lambda num_symbols: 1 / num_symbols,
) -> Callable:
    """The right answer, in pieces that may go wrong."""

    def answer(token, context, followers, num_symbols, discount):
        if len(context):
            shorter = answer(token, shorten(context), followers, num_symbols, discount)
        else:
            shorter = start(num_symbols)
        if context not in followers:
            return unseen(shorter)
        counts = followers[context]
        return share(counts, token, discount) + handed_on(counts, discount) * shorter

    return answer


def _only_where_it_never_followed(token, context, followers, num_symbols, discount):
    """Back-off without interpolation, and without care for the sum."""
    shorter = 1 / num_symbols
    if len(context):
        shorter = _only_where_it_never_followed(
            token, context[1:], followers, num_symbols, discount
        )
    counts = followers.get(context, Counter())
    if counts[token]:
        return (counts[token] - discount) / counts.total()
    return discount * len(counts) / counts.total() * shorter if counts else shorter


def _empty_context_ignored(token, context, followers, num_symbols, discount):
    """How frequent a token is, whatever stands before it, plays no part."""
    if not len(context):
        return 1 / num_symbols
    shorter = _empty_context_ignored(token, context[1:], followers, num_symbols, discount)
    counts = followers.get(context)
    if counts is None:
        return shorter
    kept = max(counts[token] - discount, 0) + discount * len(counts) * shorter
    return kept / counts.total()


SMOOTHED_PROBABILITY = Exercise(
    name="language_model.smoothed_probability",
    title="An n-gram that knows what it does not know",
    minutes=12,
    difficulty=3,
    reference=n_grams.smoothed_probability,
    cases=_smoothed_probability_cases,
    mistakes=(
        Mistake(
            _with(share=lambda counts, token, discount: counts[token] / counts.total()),
            "The discount is handed to the shorter context, but not taken from the count: the "
            "probabilities add up to more than 1.",
        ),
        Mistake(
            _with(
                share=lambda counts, token, discount: (counts[token] - discount) / counts.total()
            ),
            "A token that never followed has the count 0, and 0 - discount is negative: take "
            "`max(count - discount, 0)`.",
        ),
        Mistake(
            _with(handed_on=lambda counts, discount: discount / counts.total()),
            "The discount is taken from *each* token that followed, so `len(counts)` discounts are "
            "handed on, and not one.",
        ),
        Mistake(
            _with(handed_on=lambda counts, discount: discount),
            "The share that is handed on is discount × (number of different followers) / total, "
            "and not the discount itself.",
        ),
        Mistake(
            _with(handed_on=lambda counts, discount: discount * len(counts)),
            "What was taken from the counts has to be divided by their total too.",
        ),
        Mistake(
            _with(handed_on=lambda counts, discount: 0.0),
            "What was taken from the counts is lost: it goes to the shorter context, so that the "
            "sum stays 1.",
        ),
        Mistake(
            _with(share=lambda c, t, d: c[t] / c.total(), handed_on=lambda counts, discount: 0.0),
            "These are the plain shares of the counts: what never followed has probability 0, and "
            "its surprise is infinite. Take the discount, and hand it to the shorter context.",
        ),
        Mistake(
            _with(shorten=lambda context: context[:-1]),
            "You left out the *last* token of the context; the nearest ones matter most, so the "
            "first goes: `context[1:]`.",
        ),
        Mistake(
            _with(unseen=lambda shorter: 0.0),
            "After a context that was never seen the probability is not 0: what the shorter "
            "context says counts alone.",
        ),
        Mistake(
            _with(start=lambda num_symbols: 0.0),
            "Behind the empty context stands the guess that all `num_symbols` tokens are alike: "
            "1 / num_symbols.",
        ),
        Mistake(
            _with(start=lambda num_symbols: 1.0),
            "Behind the empty context stands the guess that all `num_symbols` tokens are alike: "
            "1 / num_symbols.",
        ),
        Mistake(
            _empty_context_ignored,
            "The empty context has counts as well, in `followers[context]`: how frequent each "
            "token is. 1 / num_symbols stands *behind* it, in place of a shorter context.",
        ),
        Mistake(
            _only_where_it_never_followed,
            "The shorter context counts only where the token never followed; it always adds its "
            "share, otherwise the sum is less than 1.",
        ),
    ),
    advice=(
        (
            r"RecursionError",
            "It has to stop at the empty context: `context[1:]` of that is empty again. (A context "
            "may be a tuple as well as bytes, so ask `len(context) == 0`.)",
        ),
        (
            r"division by zero",
            "A context that was never seen has no total: return what the shorter one says.",
        ),
        (
            r"KeyError|^\(\d",
            "Not every context was seen: ask `if context in followers` first.",
        ),
    ),
    hints=(
        "First `shorter`: what the function itself says for `context[1:]`, or 1 / num_symbols "
        "where the context is empty.",
        "If the context is not in `followers`, that is the answer. Otherwise `counts = "
        "followers[context]`, `counts.total()` is the sum and `len(counts)` the number of "
        "different tokens.",
        "`max(counts[token] - discount, 0) / counts.total() + discount * len(counts) / "
        "counts.total() * shorter`",
    ),
)
