"""bert_fine_tuning.share_of_rate: warm-up, then down."""

import math
from collections.abc import Callable, Iterator

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import text_classifier


def _share_of_rate_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Between its corners the truth is interpolated."""
    for num_steps, num_warm_up in ((10, 2), (7, 0), (int(rng.integers(20, 60)), 6), (9, 8)):
        inside = rng.integers(num_warm_up, num_steps, 3).tolist()
        for step in sorted({0, num_warm_up // 2, num_warm_up, *inside, num_steps}):
            if step < num_warm_up:
                truth = np.interp(step, [0, num_warm_up], [0, 1])
            else:
                truth = np.interp(step, [num_warm_up, num_steps], [1, 0])
            yield Case((step, num_steps, num_warm_up), float(truth))


def _with(
    rise: Callable[[int, int], float] = lambda step, warm: step / warm,
    fall: Callable[[int, int, int], float] = lambda step, num, warm: (num - step) / (num - warm),
) -> Callable[[int, int, int], float]:
    """A schedule that may be wrong in one of its parts."""

    def answer(step: int, num_steps: int, num_warm_up: int) -> float:
        if step < num_warm_up:
            return rise(step, num_warm_up)
        return fall(step, num_steps, num_warm_up)

    return answer


def _whole(step: int, num_steps: int, num_warm_up: int) -> float:
    return (num_steps - step) / num_steps


def _smaller(step: int, num_steps: int, num_warm_up: int) -> float:
    down = (num_steps - step) / (num_steps - num_warm_up)
    return min(step / max(num_warm_up, 1), down)


SHARE_OF_RATE = Exercise(
    name="bert_fine_tuning.share_of_rate",
    title="Warm up, then go down",
    minutes=8,
    difficulty=1,
    reference=text_classifier.share_of_rate,
    cases=_share_of_rate_cases,
    mistakes=(
        *(
            Mistake(
                stays,
                "It warms up, but then it stays at 1: after the warm-up it falls evenly, to 0 at "
                "the last step.",
            )
            for stays in (
                _with(fall=lambda step, num, warm: 1.0),
                lambda step, num_steps, num_warm_up: min(1.0, step / max(num_warm_up, 1)),
            )
        ),
        Mistake(
            _whole,
            "The warm-up is missing: for the first `num_warm_up` steps it rises from 0 to 1.",
        ),
        Mistake(
            _with(fall=lambda step, num, warm: (num - step) / num),
            "There is a jump at the end of the warm-up: the fall begins at 1 there, so it has only "
            "`num_steps - num_warm_up` steps.",
        ),
        Mistake(
            _with(fall=lambda step, num, warm: 1 - step / (num - warm)),
            "The fall should begin at step `num_warm_up`; yours counts from step 0, and gets below "
            "0.",
        ),
        Mistake(
            _with(rise=lambda step, warm: (step + 1) / warm),
            "The rise is one step early: at step 0 the share is 0.",
        ),
        Mistake(
            _with(rise=lambda step, warm: 1 - step / warm),
            "The warm-up is the wrong way round: it begins at 0 and rises.",
        ),
        Mistake(
            _with(rise=lambda step, warm: 0.0),
            "During the warm-up yours is 0, so nothing is learned; it should rise evenly.",
        ),
        Mistake(
            _with(rise=lambda step, warm: step // warm),
            "`//` divides whole numbers and drops the fraction; take `/`.",
        ),
        Mistake(
            lambda step, num, warm: step // warm if step < warm else (num - step) // (num - warm),
            "`//` divides whole numbers and drops the fraction; take `/`.",
        ),
        Mistake(
            _smaller,
            "It is wrong only where `num_warm_up` is 0: without a warm-up, step 0 already gets 1.",
        ),
        Mistake(
            lambda step, num, warm: step / num if step < warm else (num - step) / (num - warm),
            "The rise takes `num_warm_up` steps; yours is divided by all of them.",
        ),
        Mistake(
            lambda step, num, warm: 100 * _with()(step, num, warm),
            "This is in percent; a share from 0 to 1 is asked for.",
        ),
        Mistake(
            _with(fall=lambda step, num, warm: (step - warm) / (num - warm)),
            "After the warm-up yours rises; it should fall from 1 to 0.",
        ),
        Mistake(
            _with(
                fall=lambda step, num, warm: (
                    0.5 * (1 + math.cos(math.pi * (step - warm) / (num - warm)))
                )
            ),
            "This falls along a cosine, which is usual too; here it should fall evenly, on a "
            "straight line.",
        ),
    ),
    advice=(
        (
            r"division by zero|division or modulo by zero",
            "`num_warm_up` can be 0: divide by it only where `step < num_warm_up`.",
        ),
    ),
    hints=(
        "Two parts: before step `num_warm_up`, and from there on.",
        "In the first part, `step / num_warm_up`.",
        "In the second, the steps that are left over those that the fall has: "
        "`(num_steps - step) / (num_steps - num_warm_up)`.",
    ),
)
