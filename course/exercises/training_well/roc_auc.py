"""training_well.roc_auc: the area under the ROC curve."""

from collections.abc import Iterator

import numpy as np
from sklearn import metrics

from course.checking.engine import Case, Exercise, Mistake
from course.models import training_well as reference


def _scores_cases(rng: np.random.Generator) -> Iterator[Case]:
    scores, truth = np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, False, True, False])
    yield Case((scores, truth), 3 / 4)
    yield Case((np.array([0.5, 0.5]), np.array([True, False])), 1 / 2)
    for count, share, steps in ((7, 0.4, 3), (40, 0.5, 5), (150, 0.1, 1000), (60, 0.8, 8)):
        truth = rng.random(count) < share
        truth[:2] = True, False
        scores = np.round((rng.normal(size=count) + truth) * steps / 4) / steps
        yield Case((scores, truth), float(metrics.roc_auc_score(truth, scores)))


def _gaps(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return scores[truth][:, None] - scores[~truth]


def _one_by_one(scores: np.ndarray, truth: np.ndarray, tie: float) -> float:
    """A wrong answer: the first yes with the first no, the second with the second…"""
    pairs = list(zip(scores[truth], scores[~truth], strict=False))
    return sum(1.0 if yes > no else tie if yes == no else 0.0 for yes, no in pairs) / len(pairs)


ROC_AUC = Exercise(
    name="training_well.roc_auc",
    title="The area under the ROC curve",
    minutes=8,
    difficulty=2,
    reference=reference.roc_auc,
    cases=_scores_cases,
    mistakes=(
        Mistake(
            lambda s, t: (_gaps(s, t) > 0).mean(),
            "Ties count nothing in your answer; a pair with equal scores counts one half.",
        ),
        Mistake(
            lambda s, t: (_gaps(s, t) >= 0).mean(),
            "Ties count as right in your answer; a pair with equal scores counts one half.",
        ),
        Mistake(
            lambda s, t: 1 - reference.roc_auc(s, t),
            "It is turned round: count the pairs in which the *yes* has the higher score.",
        ),
        Mistake(
            lambda s, t: float((_gaps(s, t) > 0).sum() + (_gaps(s, t) == 0).sum() / 2),
            "That is the number of pairs; divide by how many pairs there are.",
        ),
        Mistake(
            lambda s, t: ((_gaps(s, t) > 0).sum() + (_gaps(s, t) == 0).sum() / 2) / len(s) ** 2,
            "You divided by all pairs of examples; only pairs of one yes and one no count.",
        ),
        *(
            Mistake(
                wrong,
                "You compared the first yes with the first no, the second with the second and so "
                "on: compare *every* yes with *every* no.",
            )
            for wrong in (
                lambda s, t: (s[t] > s[~t]).mean(),
                lambda s, t: (s[t] >= s[~t]).mean(),
                lambda s, t: (s[t] > s[~t]).mean() + (s[t] == s[~t]).mean() / 2,
                lambda s, t: _one_by_one(s, t, tie=0.0),
                lambda s, t: _one_by_one(s, t, tie=0.5),
            )
        ),
        *(
            Mistake(
                wrong,
                "You compared the yes with *all* examples; only pairs of one yes and one no count.",
            )
            for wrong in (
                lambda s, t: (s[t][:, None] > s).mean(),
                lambda s, t: (s[t][:, None] > s).mean() + (s[t][:, None] == s).mean() / 2,
            )
        ),
        *(
            Mistake(
                wrong,
                "You compared the two means; take every pair of a yes and a no, and count.",
            )
            for wrong in (
                lambda s, t: s[t].mean() > s[~t].mean(),
                lambda s, t: float(s[t].mean() > s[~t].mean()),
            )
        ),
        Mistake(
            lambda s, t: ((s > 0.5) == t).mean(),
            "That is the accuracy at the threshold 0.5; no threshold is needed here.",
        ),
        Mistake(
            lambda s, t: ((s >= 0.5) == t).mean(),
            "That is the accuracy at the threshold 0.5; no threshold is needed here.",
        ),
        Mistake(
            lambda s, t: _gaps(s, t).mean(),
            "You averaged the differences of the scores; only their order counts.",
        ),
        Mistake(
            lambda s, t: metrics.average_precision_score(t, s),
            "That is the area under another curve, that of precision and recall.",
        ),
    ),
    hints=(
        "`scores[is_yes]` are the scores of the yes examples, `scores[~is_yes]` those of the no "
        "examples. Lesson 00 compared every image with every average: `[:, None]`.",
        "`gaps = scores[is_yes][:, None] - scores[~is_yes]` holds all pairs. In which of them is "
        "the gap positive, in which is it 0?",
        "The mean of a mask is a share: `(gaps > 0).mean()`. Add half the share of ties.",
    ),
)
