"""The exercise gan.frechet_distance: how far apart two clouds of features are."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import gan_score


def _frechet_cases(rng: np.random.Generator) -> Iterator[Case]:
    square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    yield Case((square, square), 0.0, judge=partial(_near, truth=0.0))
    yield Case((square, square + np.array([3.0, 4.0])), 25.0, judge=partial(_near, truth=25.0))
    # Twice as wide in both directions: variances 4/3 and 16/3, so 2 · (√(16/3) − √(4/3))².
    yield Case((square, 2 * square), 8 / 3, judge=partial(_near, truth=8 / 3))
    for count, other, size in ((6, 9, 2), (20, 12, 3), (30, 30, 5)):
        a = rng.normal(size=(count, size)) @ rng.normal(size=(size, size))
        b = rng.normal(size=(other, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)
        truth = _frechet_by_eigenvalues(a, b)
        yield Case((a, b), truth, judge=partial(_near, truth=truth))


def _covariance(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=0)
    return centred.T @ centred / (len(x) - 1)


def _frechet_by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    """With tr √(A B), the sum of the roots of the eigenvalues of A B: no matrix root is needed."""
    spread_a, spread_b = _covariance(a), _covariance(b)
    mixed = np.sqrt(np.maximum(np.linalg.eigvals(spread_a @ spread_b).real, 0)).sum()
    gap = a.mean(axis=0) - b.mean(axis=0)
    return float((gap**2).sum() + np.trace(spread_a) + np.trace(spread_b) - 2 * mixed)


def _near(got: Any, truth: float) -> str | None:
    """How the number differs; a root of a number near 0 is known to fewer digits."""
    if isinstance(got, float | np.floating) and abs(got - truth) < 1e-6:
        return None
    return difference(got, truth)


def _frechet_with(
    mixed: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    gap: Callable[[np.ndarray], float] = lambda gap: float(gap @ gap),
    weight: float = -2.0,
    spread: Callable[[np.ndarray], np.ndarray] = _covariance,
) -> Callable[[np.ndarray, np.ndarray], float]:
    """The distance with one of its parts replaced."""

    def mixed_root(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        root = gan_score.square_root(one)
        return gan_score.square_root(root @ other @ root)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        one, other = spread(a), spread(b)
        middle = np.trace((mixed or mixed_root)(one, other))
        return float(gap(a.mean(axis=0) - b.mean(axis=0)) + np.trace(one + other) + weight * middle)

    return distance


FRECHET_DISTANCE = Exercise(
    name="gan.frechet_distance",
    title="How far apart are two clouds of points?",
    minutes=15,
    difficulty=3,
    reference=gan_score.frechet_distance,
    cases=_frechet_cases,
    mistakes=(
        Mistake(
            _frechet_with(gap=lambda gap: float(np.sqrt(gap @ gap))),
            "The distance of the means is not squared: `gap @ gap` is the sum of the squares.",
        ),
        Mistake(
            _frechet_with(gap=lambda gap: 0.0),
            "The distance of the means is missing.",
        ),
        Mistake(
            _frechet_with(gap=lambda gap: float((gap**2).mean())),
            "Take the *sum* of the squared differences of the means, not their mean.",
        ),
        Mistake(
            _frechet_with(weight=-1.0),
            "The factor 2 before the mixed root is missing.",
        ),
        Mistake(
            _frechet_with(weight=0.0),
            "The mixed root is missing: without it, two equal clouds would be far apart.",
        ),
        Mistake(
            _frechet_with(weight=2.0),
            "The mixed root is subtracted: with it, two equal clouds have distance 0.",
        ),
        Mistake(
            _frechet_with(mixed=lambda a, b: gan_score.square_root(a) @ gan_score.square_root(b)),
            "√A √B is right only where A and B do not turn each other; take the root of √A B √A.",
        ),
        Mistake(
            _frechet_with(mixed=lambda a, b: np.sqrt(np.abs(a @ b))),
            "`np.sqrt` takes the root of each element; `square_root` is the root of a matrix.",
        ),
        Mistake(
            _frechet_with(mixed=lambda a, b: gan_score.square_root(a @ b)),
            "A B is not symmetric, and `square_root` needs a symmetric matrix: √A B √A is one.",
        ),
        Mistake(
            _frechet_with(
                mixed=lambda a, b: gan_score.square_root(a) @ b @ gan_score.square_root(a)
            ),
            "The last root is missing: square_root(root @ spread_b @ root).",
        ),
        Mistake(
            lambda a, b: math.sqrt(max(_frechet_by_eigenvalues(a, b), 0)),
            "You took the root of the whole; what is used is the squared distance.",
        ),
        Mistake(
            _frechet_with(spread=lambda x: np.cov(x, rowvar=False, ddof=0)),
            "Your covariances divide by N; `np.cov` divides by N − 1 unless told otherwise.",
        ),
        Mistake(
            _frechet_with(spread=np.cov),
            "`np.cov` takes each *row* for a variable unless told `rowvar=False`; here each column "
            "is one.",
        ),
        Mistake(
            lambda a, b: float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()),
            "Only the means are compared; two clouds with the same middle can differ in spread.",
        ),
    ),
    advice=(
        (
            r"could not be broadcast|mismatch in its core dimension|not aligned",
            "`np.cov` takes each *row* for a variable unless told `rowvar=False`; here each column "
            "is one. The mean is over the examples, `axis=0`.",
        ),
        (r"cov\(\) got an unexpected", "It is `np.cov(a, rowvar=False)`."),
    ),
    hints=(
        "Go through the formula from left to right: the two means, the two covariances, the root "
        "of the first, the root of the product, then the traces (`np.trace`).",
        "`spread_a = np.cov(a, rowvar=False)` is [F, F]. `root = square_root(spread_a)` and "
        "`mixed = square_root(root @ spread_b @ root)`.",
        "`gap @ gap + np.trace(spread_a + spread_b - 2 * mixed)` with "
        "`gap = a.mean(axis=0) - b.mean(axis=0)`",
    ),
)
