"""The exercise gan.best_discriminator: the optimum of the game for one of its players."""

from collections.abc import Iterator

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import gan


def _best_discriminator_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((np.array([0.3]), np.array([0.1])), np.array([0.75]))
    yield Case((np.array([0.2, 0.0, 0.5]), np.array([0.2, 0.4, 0.0])), np.array([0.5, 0.0, 1.0]))
    for shape in ((4,), (2, 3)):
        p, q = rng.uniform(0.01, 3, shape), rng.uniform(0.01, 3, shape)
        yield Case((p, q), 1 / (1 + np.exp(np.log(q) - np.log(p))))  # a sigmoid of the log ratio


BEST_DISCRIMINATOR = Exercise(
    name="gan.best_discriminator",
    title="The best that a discriminator can do",
    minutes=5,
    difficulty=1,
    reference=gan.best_discriminator,
    cases=_best_discriminator_cases,
    mistakes=(
        Mistake(
            lambda p, q: q / (p + q),
            "That is the probability that the point is *fake*; asked for is that it is real.",
        ),
        Mistake(
            lambda p, q: p / q,
            "That is how many real points come for each fake one; a probability divides by all "
            "points, real and fake.",
        ),
        Mistake(
            lambda p, q: p / (1 + q),
            "Divide by all that is there: p and q, not 1 and q.",
        ),
        Mistake(
            lambda p, q: (p > q) * 1.0,
            "That says only which of the two is more likely; give the probability itself.",
        ),
        Mistake(
            lambda p, q: p - q,
            "A difference of densities is no probability: it can be negative. Which share of the "
            "points at this place is real?",
        ),
        Mistake(
            lambda p, q: p / (p.sum() + q.sum()),
            "Each place is a question of its own: divide by p + q *at that place*, not by a sum "
            "over all places.",
        ),
        Mistake(
            lambda p, q: p,
            "That leaves the fake points out: where they are many, a point is less likely real.",
        ),
    ),
    advice=(
        (
            r"truth value of an array",
            "p and q hold many places at once: no `if` is needed, the formula works for all.",
        ),
    ),
    hints=(
        "Imagine 100 points at one place: 75 of them were real and 25 fake. With which "
        "probability is the next one there real?",
        "The number of real points at a place is proportional to p there, of fake ones to q.",
        "`return p / (p + q)`",
    ),
)
