"""The exercise gan.class_shares: which digits a generator draws."""

import math
from collections.abc import Iterator

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import gan_score


def _class_shares_cases(rng: np.random.Generator) -> Iterator[Case]:
    sure, unsure = [9.0, 0.0, 0.0], [1.0, 0.0, 0.0]
    yield Case((np.array([sure, sure]),), np.array([1.0, 0.0, 0.0]))
    yield Case((np.array([sure, unsure]),), np.array([0.5, 0.0, 0.0]))
    yield Case((np.array([sure, unsure, sure[::-1], unsure]), 0.5), np.array([0.75, 0.0, 0.25]))
    yield Case((np.array([[0.0, 2000.0], [1500.0, 0.0], [0.0, 1000.0]]),), np.array([1, 2]) / 3)
    for count, classes, least in ((7, 4, 0.9), (40, 3, 0.6)):
        logits = rng.normal(scale=3, size=(count, classes))
        truth = np.zeros(classes)
        for row in logits:
            powers = [math.exp(value - max(row)) for value in row]
            if max(powers) / sum(powers) >= least:
                truth[powers.index(max(powers))] += 1 / count
        yield Case((logits, least), truth)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _counts(logits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return np.bincount(logits.argmax(axis=1)[counted], minlength=logits.shape[1])


def _shares_of_the_sure(logits: np.ndarray, sure: float = 0.9) -> np.ndarray:
    counts = _counts(logits, _probabilities(logits).max(axis=1) >= sure)
    return counts / max(counts.sum(), 1)


CLASS_SHARES = Exercise(
    name="gan.class_shares",
    title="Which digits does it draw?",
    minutes=10,
    difficulty=2,
    reference=gan_score.class_shares,
    cases=_class_shares_cases,
    mistakes=(
        Mistake(
            lambda logits, sure=0.9: _counts(logits, np.ones(len(logits), bool)) / len(logits),
            "Every image counts in your shares; leave out those of which the classifier is not "
            "sure enough.",
        ),
        Mistake(
            _shares_of_the_sure,
            "You divided by the number of images that can be read; divide by the number of *all* "
            "images, so that scribbles lower the shares.",
        ),
        Mistake(
            lambda logits, sure=0.9: _counts(logits, _probabilities(logits).max(axis=1) >= sure),
            "Those are counts; divide them by the number of images.",
        ),
        Mistake(
            lambda logits, sure=0.9: _counts(logits, logits.max(axis=1) >= sure) / len(logits),
            "You compared the logits with `sure`; it is a probability: apply softmax first.",
        ),
        Mistake(
            lambda logits, sure=0.9: _probabilities(logits).mean(axis=0),
            "You averaged the probabilities; count the images that are read as each class.",
        ),
        Mistake(
            lambda logits, sure=0.9: (
                (_probabilities(logits) * (_probabilities(logits) >= sure)).sum(axis=0)
                / len(logits)
            ),
            "Each image that is read with enough probability counts as 1, not as its probability.",
        ),
        Mistake(
            lambda logits, sure=0.9: (
                _counts(logits, _probabilities(logits).max(axis=1) >= 0.9) / len(logits)
            ),
            "Use the argument `sure`, not always 0.9.",
        ),
        Mistake(
            lambda logits, sure=0.9: (
                _counts(logits, _probabilities(logits).max(axis=1) < sure) / len(logits)
            ),
            "You counted the images of which the classifier is *not* sure.",
        ),
    ),
    advice=(
        (
            r"overflow|invalid value",
            "`np.exp` of a large logit is infinite: subtract the largest logit of each row first.",
        ),
    ),
    hints=(
        "Softmax of each row, as in lesson 01: subtract the largest logit, then exponentials, "
        "divided by their sum. The largest probability of a row says how sure the reading is.",
        "`is_sure = probabilities.max(axis=1) >= sure` picks the images that count.",
        "`np.bincount(logits.argmax(axis=1)[is_sure], minlength=logits.shape[1]) / len(logits)`",
    ),
)
