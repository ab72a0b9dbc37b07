"""Headline figures beside the band in which they are expected on this kind of machine."""

import json
import math
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from course import hardware

EXPECTED = Path(__file__).with_name("expected.toml")
IN_BAND, BELOW, ABOVE, NO_BAND = "in band", "below", "above", "no band yet"
FEWEST_RUNS = 5

_answers: dict[str, bool] = {}  # exercise name → whether the student's own answer is in use


class DataSet(Protocol):
    """What `report` needs of a data set; every loader of course.data returns it."""

    variant: str
    y_test: object


@dataclass(frozen=True)
class Figure:
    """One figure, the band expected for it, and whose answers stand behind it."""

    name: str
    value: float
    key: str
    low: float | None
    high: float | None
    own: int
    course: int
    count: int | None

    @property
    def verdict(self) -> str:
        """One of "in band", "below", "above", "no band yet"."""
        if self.low is None or self.high is None:
            return NO_BAND
        if self.value < self.low:
            return BELOW
        return ABOVE if self.value > self.high else IN_BAND


def note_answer(name: str, own: bool) -> None:
    """Remember whose answer to the exercise `name` is in use: the student's own or the course's."""
    _answers[name] = own


def report(name: str, value: float, data: DataSet | None = None) -> None:
    """Show a headline figure beside its expected band.

    Args:
        name: lesson module and figure, such as "mlp.test_accuracy".
        value: the figure; shares and accuracies as a fraction of 1.
        data: the data set behind the figure, which decides the band and the test size.

    Raises:
        ValueError: `value` is not a finite number.
    """
    figure = measured(name, value, data)
    _record(figure)
    _show(figure)


def measured(name: str, value: float, data: DataSet | None = None) -> Figure:
    """The figure with its band looked up; arguments and errors as in `report`."""
    # The framework first: to ask for the profile can load torch.
    framework = next((one for one in ("tensorflow", "torch") if one in sys.modules), "numpy")
    variant, count = ("none", None) if data is None else (data.variant, len(data.y_test))
    key = f"{hardware.profile()}/{variant}/{framework}"
    band = expected()["figures"].get(name, {}).get(key, {})
    return Figure(
        name=name,
        value=_finite(name, value),
        key=key,
        low=band.get("low"),
        high=band.get("high"),
        own=sum(_answers.values()),
        course=len(_answers) - sum(_answers.values()),
        count=count,
    )


def expected(path: Path | None = None) -> dict:
    """The tables `figures` and `lessons` of expected.toml."""
    tables = tomllib.loads((path or EXPECTED).read_text(encoding="utf-8"))
    return {"figures": {}, "lessons": {}} | tables


def _finite(name: str, value: object) -> float:
    """The value as a Python float; also of arrays and tensors that hold one number."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"The figure {name} is {type(value).__name__}, not one number; pass a single number, "
            "such as the mean over the test set."
        ) from None
    if not math.isfinite(number):
        raise ValueError(
            f"The figure {name} is {number}; look for a division by zero, a logarithm of 0 or a "
            "learning rate that is too large."
        )
    return number


def _record(figure: Figure) -> None:
    if path := os.environ.get("COURSE_RECORD"):
        entry = {
            "kind": "figure",
            "name": figure.name,
            "value": figure.value,
            "key": figure.key,
            "low": figure.low,
            "high": figure.high,
            "verdict": figure.verdict,
            "own": figure.own,
            "course": figure.course,
            "count": figure.count,
        }
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _show(figure: Figure) -> None:
    print(figure)
