"""training_well.best_threshold: the threshold with the highest F1."""

import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import metrics

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.checking.values import is_array, to_numpy
from course.exercises.training_well.precision_recall_f1 import three
from course.models import training_well as reference


def _threshold_cases(rng: np.random.Generator) -> Iterator[Case]:
    scores, truth = np.array([0.2, 0.3, 0.1]), np.array([True, True, False])
    yield Case((scores, truth), judge=_is_best_for(scores, truth))
    # No grid of round numbers finds the place in these two.
    for scores, truth in (
        ([0.50002, 0.9, 0.1, 0.50001, 0.50003], [True, True, False, False, True]),
        ([12.0, -3.0, 7.0, 2.0], [True, False, True, False]),
    ):
        yield Case((np.array(scores), np.array(truth)), judge=_is_best_for(scores, truth))
    # Four sure hits and no false alarm, or all ten hits and eight false alarms: fewer answers are
    # wrong with the first, F1 is higher with the second.
    scores = np.repeat([0.9, 0.4, 0.3, 0.1], [4, 8, 6, 20])
    truth = (scores == 0.9) | (scores == 0.3)
    yield Case((scores, truth), judge=_is_best_for(scores, truth))
    for count, share, centre in ((41, 0.5, 0.7), (60, 0.2, 0.1), (200, 0.1, 0.02), (100, 0.6, 0.9)):
        truth = rng.random(count) < share
        truth[:2] = True, False
        noise = rng.normal(0, 0.8, count)
        scores = 1 / (1 + np.exp(-(noise + 2 * truth + math.log(centre / (1 - centre)))))
        yield Case((scores, truth), judge=_is_best_for(scores, truth))


def _f1_at(threshold: float, scores: np.ndarray, truth: np.ndarray) -> float:
    return three(scores >= threshold, truth)[2]


def _is_best_for(scores: Any, truth: Any) -> Callable[[Any], str | None]:
    scores, truth = np.asarray(scores), np.asarray(truth)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best, highest = float(thresholds[f1[:-1].argmax()]), float(f1.max())

    def judge(got: Any) -> str | None:
        if is_array(got) and to_numpy(got).shape == ():
            got = to_numpy(got).item()
        if isinstance(got, bool) or not isinstance(got, numbers.Real):
            return difference(got, best)
        threshold = float(got)
        reached = _f1_at(threshold, scores, truth)
        if reached > highest - 1e-9:
            return None
        digits = 4 if f"{threshold:.4g}" != f"{best:.4g}" else 12
        problem = (
            f"with the threshold {threshold:.{digits}g} F1 is {reached:.3f}; with "
            f"{best:.{digits}g} it would be {highest:.3f}."
        )
        if threshold in scores:
            return problem
        if np.isclose(scores, threshold, rtol=1e-6).any():
            return f"{problem} The score was rounded on the way: return it as it is."
        return f"{problem} Yours is none of the scores: try the scores themselves."

    return judge


def _threshold_by(quality: Callable[..., float]) -> Callable[..., float]:
    """The score at which `quality(answers, truth)` is highest."""

    def answer(scores: np.ndarray, truth: np.ndarray) -> float:
        candidates = np.unique(scores)
        return float(max(candidates, key=lambda t: quality(scores >= t, truth)))

    return answer


BEST_THRESHOLD = Exercise(
    name="training_well.best_threshold",
    title="Move the threshold",
    minutes=8,
    difficulty=2,
    reference=reference.best_threshold,
    cases=_threshold_cases,
    mistakes=(
        Mistake(
            lambda s, t: max(_f1_at(threshold, s, t) for threshold in s),
            "That is the best F1 itself; return the threshold that reaches it.",
        ),
        Mistake(
            lambda s, t: int(np.argmax([_f1_at(threshold, s, t) for threshold in np.unique(s)])),
            "That is the *position* of the best candidate; return the threshold at that position.",
        ),
        Mistake(
            lambda s, t: int(np.argmax([_f1_at(threshold, s, t) for threshold in s])),
            "That is the *position* of the best candidate; return the threshold at that position.",
        ),
        Mistake(
            _threshold_by(lambda said, truth: (said == truth).mean()),
            "That threshold has the highest accuracy; here F1 decides.",
        ),
        Mistake(
            _threshold_by(lambda said, truth: three(said, truth)[0]),
            "That threshold has the highest precision; F1 needs recall as well. (If you compared "
            "all that `precision_recall_f1` gives: F1 is the last of three values, `[2]`.)",
        ),
        Mistake(
            _threshold_by(lambda said, truth: three(said, truth)[1]),
            "That threshold has the highest recall: nearly everything is a yes. Here F1 decides.",
        ),
        Mistake(
            _threshold_by(lambda said, truth: -three(said, truth)[2]),
            "That threshold has the *lowest* F1.",
        ),
        *(
            Mistake(
                wrong,
                "`precision_recall_f1` gives three values, and `argmax` counts through all of "
                "them: F1 is the last one, `[2]`.",
            )
            for wrong in (
                lambda s, t: np.unique(s)[
                    np.argmax([three(s >= threshold, t) for threshold in np.unique(s)])
                ],
                lambda s, t: s[np.argmax([three(s >= threshold, t) for threshold in s])],
            )
        ),
        *(
            Mistake(
                lambda s, t, candidates=candidates, index=index: index(s)[
                    np.argmax([_f1_at(threshold, s, t) for threshold in candidates(s)])
                ],
                "The position belongs to the list that you went through: index those candidates, "
                "not another array.",
            )
            for candidates, index in (
                (np.unique, lambda s: s),
                (lambda s: s, np.unique),
                (np.sort, lambda s: s),
            )
        ),
        Mistake(
            lambda s, t: max(np.unique(s), key=lambda threshold: three(s <= threshold, t)[2]),
            "Your answer is yes where `score <= t`; here it is yes where `score >= t`.",
        ),
        Mistake(
            lambda s, t: 0.5,
            "0.5 is where we start from; look for the threshold with the highest F1.",
        ),
        *(
            Mistake(
                lambda s, t, grid=grid: max(grid, key=lambda threshold: _f1_at(threshold, s, t)),
                "Steps of equal size can step over the best place, and need not cover all scores: "
                "try the scores themselves.",
            )
            for grid in (
                np.linspace(0, 1, 11),
                np.linspace(0, 1, 101),
                np.linspace(0, 1, 100),
                np.linspace(0, 1, 1001),
                np.arange(0, 1, 0.1),
                np.arange(0, 1, 0.01),
            )
        ),
        Mistake(
            lambda s, t: max(np.unique(s), key=lambda threshold: three(s > threshold, t)[2]),
            "Your F1 belongs to `score > t`; here an answer is yes where `score >= t`.",
        ),
    ),
    hints=(
        "Between two neighbouring scores nothing changes, so it is enough to try the scores "
        "themselves: `np.unique(scores)`.",
        "For each candidate, `precision_recall_f1(scores >= candidate, is_yes)[2]` is its F1.",
        "`np.argmax(list_of_f1)` is the position of the largest; return the candidate there.",
    ),
)
