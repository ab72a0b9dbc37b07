"""training_well.precision_recall_f1: three measures from two masks."""

import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import metrics

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import training_well as reference


def _answers_cases(rng: np.random.Generator) -> Iterator[Case]:
    said = np.array([True, True, True, True, False, False])
    truth = np.array([True, False, False, False, True, False])
    yield _answers_case(said, truth, (1 / 4, 1 / 2, 1 / 3))
    nothing = np.zeros(4, dtype=bool)
    yield _answers_case(nothing, np.array([True, False, True, False]), (0.0, 0.0, 0.0))
    yield _answers_case(np.array([True, False]), np.array([False, False]), (0.0, 0.0, 0.0))
    yield _answers_case(np.array([True, False]), np.array([False, True]), (0.0, 0.0, 0.0))
    for count, share_said, share_true in ((30, 0.6, 0.3), (200, 0.2, 0.5), (90, 0.5, 0.1)):
        said, truth = rng.random(count) < share_said, rng.random(count) < share_true
        said[:3], truth[:3] = (True, True, False), (True, False, True)
        found = metrics.precision_recall_fscore_support(truth, said, average="binary")
        yield _answers_case(said, truth, tuple(map(float, found[:3])))


def _answers_case(said: np.ndarray, truth: np.ndarray, expected: tuple[float, ...]) -> Case:
    """A case that takes the three values as a tuple, a list or an array [3]."""

    def judge(got: Any) -> str | None:
        if isinstance(got, numbers.Number) and got == 0 and not any(expected):
            return "three values are asked for here too: `return 0.0, 0.0, 0.0`."
        if isinstance(got, np.ndarray) and got.shape == (3,):
            got = tuple(got)
        return difference(got, expected)

    return Case((said, truth), expected, judge=judge)


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else 0.0


def three(said: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """The right answer, built from counts of the four kinds of answers."""
    hits, alarms, missed = (said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum()
    f1 = _share(2 * hits, 2 * hits + alarms + missed)
    return _share(hits, hits + alarms), _share(hits, hits + missed), f1


def _divided(part: Any, whole: Any) -> Any:
    """As NumPy divides: by 0, it gives NaN or infinity."""
    with np.errstate(all="ignore"):
        return np.float64(part) / np.float64(whole)


def _wrong_by(
    formula: Callable[..., tuple], message: str, hits: Callable[..., Any] = np.logical_and
) -> tuple[Mistake, ...]:
    """One mistake with each way of caring for a division by 0, or of not caring.

    formula: (hits, said, true, right no, all, share) → three numbers; share(part, whole) divides.
    hits: which answers the mistake takes for hits.
    """

    def answer(share: Callable[..., Any], early: bool) -> Callable[..., tuple]:
        def wrong(said: np.ndarray, truth: np.ndarray) -> tuple:
            found, right_no = hits(said, truth).sum(), (~said & ~truth).sum()
            if early and not found:
                return 0.0, 0.0, 0.0
            return formula(found, said.sum(), truth.sum(), right_no, len(said), share)

        return wrong

    def at_least_one(part: Any, whole: Any) -> float:
        return part / (max(whole, 1) if whole == int(whole) else whole)

    ways = [(_share, False), (_divided, False), (_divided, True), (at_least_one, False)]
    return tuple(Mistake(answer(*way), message) for way in ways)


def _f1(precision: Any, recall: Any, share: Callable[..., Any]) -> Any:
    return share(2 * precision * recall, precision + recall)


def _from_hits(hits: Any, said: Any, true: Any, right_no: Any, number: Any, share: Any) -> tuple:
    """The right formula, for `_wrong_by`."""
    precision, recall = share(hits, said), share(hits, true)
    return precision, recall, _f1(precision, recall, share)


def _f1_without_brackets(
    hits: Any, said: Any, true: Any, no: Any, number: Any, share: Any
) -> tuple:
    precision, recall = share(hits, said), share(hits, true)
    return precision, recall, share(2 * precision * recall, precision) + recall


DIVIDES_BY_0 = (
    "Where yes is never said, never true or never hit, you divide by 0. NumPy then gives NaN and "
    "no error, so `try` does not help: test for 0 first, and return 0 for such a share."
)


PRECISION_RECALL_F1 = Exercise(
    name="training_well.precision_recall_f1",
    title="Precision, recall and F1",
    minutes=8,
    difficulty=2,
    reference=reference.precision_recall_f1,
    cases=_answers_cases,
    mistakes=(
        Mistake(
            lambda s, t: (three(s, t)[1], three(s, t)[0], three(s, t)[2]),
            "Precision and recall have changed places: precision divides by what was *said* yes, "
            "recall by what *is* yes.",
        ),
        Mistake(
            lambda s, t: (*three(s, t)[:2], sum(three(s, t)[:2]) / 2),
            "F1 is not the plain average of the two, but 2 · P · R / (P + R): it is close to the "
            "smaller of them.",
        ),
        Mistake(
            lambda s, t: (*three(s, t)[:2], math.sqrt(three(s, t)[0] * three(s, t)[1])),
            "F1 is not the root of P · R, but 2 · P · R / (P + R).",
        ),
        Mistake(
            lambda s, t: (*three(s, t)[:2], three(s, t)[2] / 2),
            "The 2 is missing in 2 · P · R / (P + R).",
        ),
        Mistake(
            lambda s, t: ((s == t).mean(), *three(s, t)[1:]),
            "The first value is the accuracy; precision looks only at what was said yes.",
        ),
        Mistake(
            lambda s, t: (three(s, t)[0], (s == t).mean(), three(s, t)[2]),
            "The second value is the accuracy; recall looks only at what is yes.",
        ),
        Mistake(
            lambda s, t: ((s & t).mean(), (s & t).mean(), (s & t).mean()),
            "You divided the hits by the number of all examples; precision divides by how often "
            "yes was said, recall by how often yes is true.",
        ),
        Mistake(
            lambda s, t: (three(~s, ~t)[0], three(~s, ~t)[1], three(~s, ~t)[2]),
            "Those are the figures of the answer *no*; count the hits where both are True.",
        ),
        Mistake(
            lambda s, t: (
                three(s, t)[0],
                _share((s & t).sum(), (s & t).sum() + (~s & ~t).sum()),
                three(s, t)[2],
            ),
            "Recall divides by all that are yes: the hits and those that were missed.",
        ),
        Mistake(
            lambda s, t: three(s, t)[2],
            "That is F1 alone; return the three values: precision, recall, F1.",
        ),
        Mistake(
            lambda s, t: (
                (s & t).sum() / s.sum(),
                (s & t).sum() / t.sum(),
                2 / (s.sum() / (s & t).sum() + t.sum() / (s & t).sum()),
            ),
            DIVIDES_BY_0,
        ),
        Mistake(
            lambda s, t: _from_hits((s & t).sum(), s.sum(), t.sum(), 0, 0, _divided), DIVIDES_BY_0
        ),
        *_wrong_by(
            _from_hits,
            "`said_yes == is_yes` is also True for a right *no*, and those are not hits: a hit was "
            "said yes *and* is yes, `said_yes & is_yes`.",
            hits=np.equal,
        ),
        *_wrong_by(
            _f1_without_brackets,
            "Brackets are missing: 2 · P · R / (P + R) divides by the whole sum.",
        ),
        *_wrong_by(
            lambda hits, said, true, no, number, share: (
                share(hits, said),
                share(hits, true),
                (hits + no) / number,
            ),
            "The third value is the accuracy; F1 is 2 · P · R / (P + R).",
        ),
        *_wrong_by(
            lambda hits, said, true, no, number, share: (
                share(hits, said),
                share(no, number - true),
                _f1(share(hits, said), share(no, number - true), share),
            ),
            "The second value is the share of the *no* that were called no; recall is the share of "
            "the *yes* that were found.",
        ),
        *_wrong_by(
            lambda *counts: tuple(100 * value for value in _from_hits(*counts)),
            "Those are percent; give shares from 0 to 1.",
        ),
        *_wrong_by(
            lambda hits, said, true, no, number, share: (share(hits, true), share(hits, said), 0.0),
            "Precision and recall have changed places: precision divides by what was *said* yes, "
            "recall by what *is* yes. (And F1 is still 0.)",
        ),
    ),
    hints=(
        "`said_yes & is_yes` is True where yes was said *and* is true: the hits. "
        "`np.sum(mask)` counts.",
        "Precision = hits / how often yes was said. Recall = hits / how often yes is true.",
        "Where there are no hits, all three are 0: return `0.0, 0.0, 0.0` before any division.",
    ),
)
