"""Headline figures beside the band in which they are expected on this kind of machine."""

import json
import math
import os
import statistics
import sys
import tomllib
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Protocol

from course import hardware

EXPECTED = Path(__file__).with_name("expected.toml")
FEWEST_RUNS = 5

IN_BAND, WORSE, BETTER, NO_BAND = "in band", "worse", "better", "no band yet"
# Symbol and colour of each verdict; the words say the same, the colour never stands alone.
LOOKS = {
    IN_BAND: ("✔", "#1a7f37"),
    WORSE: ("▼", "#c2410c"),
    BETTER: ("▲", "#0969da"),
    NO_BAND: ("○", "#6b7280"),
}
ADVICE = {
    IN_BAND: "",
    WORSE: (
        "Find the first cell whose output surprises you, an earlier figure or the loss while"
        " training; then compare seed, number of steps and learning rate with the lesson as given."
    ),
    BETTER: "Better than expected: wonderful, or test data leaked into training.",
    NO_BAND: "",
}

_own_answers: dict[str, bool] = {}  # exercise → whether the answer in use is the student's own


class DataSet(Protocol):
    """What `report` needs to know of a data set; the loaders of course.data return it."""

    variant: str
    y_test: object


@dataclass(frozen=True, repr=False)
class Figure:
    """A figure, its expected band, and whose answers stand behind it; shows itself.

    name: lesson module and figure. key: profile/variant/framework, under which bands are kept.
    low, high: edges of the band, None where there is none yet. own, course: how many answers
    noted so far are the student's and the course's. count: size of the test set, where known.
    lower_is_better: whether a figure below its band is the better one, as with a distance.
    """

    name: str
    value: float
    key: str
    low: float | None
    high: float | None
    own: int
    course: int
    count: int | None
    lower_is_better: bool = False

    @property
    def verdict(self) -> str:
        """One of "in band", "worse", "better", "no band yet"."""
        if self.low is None or self.high is None:
            return NO_BAND
        if self.place == "in":
            return IN_BAND
        return BETTER if (self.place == "below") == self.lower_is_better else WORSE

    @property
    def place(self) -> str:
        """Where the value lies in respect of its band, which there has to be: "in", "below"…"""
        if self.value < self.low:
            return "below"
        return "above" if self.value > self.high else "in"

    @property
    def _sentence(self) -> str:
        profile, variant, _ = self.key.split("/")
        where = profile if variant == "none" else f"{profile}, {variant}"
        if self.verdict == NO_BAND:
            band = f"no expected band yet for this profile ({where})"
        else:
            edges = f"{short_number(self.low)}–{short_number(self.high)}"
            band = f"{self.place} the expected band {edges} for this profile ({where})"
        return "; ".join(filter(None, (band, _whose(self.own, self.course)))) + "."

    def __repr__(self) -> str:
        line = f"{title(self.name)} {four_digits(self.value)} — {self._sentence}"
        return " ".join(filter(None, (line, ADVICE[self.verdict])))

    def _repr_html_(self) -> str:
        symbol, colour = LOOKS[self.verdict]
        advice = ADVICE[self.verdict]
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 0.2em 0.8em; margin: 0.2em 0">'
            f'<span style="color: {colour}">{symbol}</span> {escape(title(self.name))} '
            f"<strong>{four_digits(self.value)}</strong> — {escape(self._sentence)}"
            + (f"<div>{escape(advice)}</div>" if advice else "")
            + "</div>"
        )


def note_answer(name: str, own: bool) -> None:
    """Remember whose answer to the exercise `name` is in use: the student's own or the course's."""
    _own_answers[name] = own


def report(
    name: str, value: float, data: DataSet | None = None, lower_is_better: bool = False
) -> None:
    """Show a headline figure beside its expected band.

    Args:
        name: lesson module and figure, such as "mlp.test_accuracy".
        value: the figure; an accuracy or share as a fraction of 1.
        data: the data set behind the figure; its variant chooses the band.
        lower_is_better: whether a figure below its band is the better one, as with a distance.

    Raises:
        ValueError: `value` is not one finite number.
    """
    variant, count = ("none", None) if data is None else (data.variant, len(data.y_test))
    key, band = _band(name, f"{hardware.profile()}/{variant}", hardware.framework() or "numpy")
    own = sum(_own_answers.values())
    figure = Figure(
        name=name,
        value=_finite(name, value),
        key=key,
        low=band.get("low"),
        high=band.get("high"),
        own=own,
        course=len(_own_answers) - own,
        count=count,
        lower_is_better=lower_is_better,
    )
    _record(figure)
    _show(figure)


def expected() -> dict[str, dict]:
    """expected.toml: the bands under "figures", the budgets under "lessons"."""
    tables = tomllib.loads(EXPECTED.read_text(encoding="utf-8"))
    return {"figures": {}, "lessons": {}} | tables


def budget(lesson: str, profile: str) -> dict:
    """What the lesson is known to need: seconds, peak_memory_mb, download_mb; {} if unknown."""
    return expected()["lessons"].get(lesson, {}).get(profile, {})


def band_of(values: list[float], count: int | None = None) -> tuple[float, float]:
    """The band to expect of a figure, from its values with at least five seeds.

    The mean, less and more the larger of four standard deviations (n - 1) and, for a proportion
    p of `count` test examples, two standard errors sqrt(p (1 - p) / count). The band of a
    proportion stays within 0 and 1. With a `count`, values from 0 to 1 are taken for proportions.

    Raises:
        ValueError: fewer than five values, or one that is not finite.
    """
    if len(values) < FEWEST_RUNS or not all(map(math.isfinite, values)):
        raise ValueError(f"A band needs at least {FEWEST_RUNS} finite values, not {values}.")
    mean = statistics.fmean(values)
    reach = 4 * statistics.stdev(values)
    if count is None or not all(0 <= value <= 1 for value in values):
        return mean - reach, mean + reach
    reach = max(reach, 2 * math.sqrt(mean * (1 - mean) / count))
    return max(mean - reach, 0.0), min(mean + reach, 1.0)


def title(name: str) -> str:
    """A figure's name for people: "mlp.test_accuracy" is "Test accuracy"."""
    words = name.rpartition(".")[2].replace("_", " ")
    return words[:1].upper() + words[1:]


def four_digits(value: float) -> str:
    """The number with four significant digits, without an exponent where that can be read."""
    if value == 0 or not 1e-4 <= abs(value) < 1e9:
        return f"{value:.4g}"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def short_number(value: float) -> str:
    """As `four_digits`, without zeros at the end of a fraction."""
    text = four_digits(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _band(name: str, place: str, framework: str) -> tuple[str, dict[str, float]]:
    """The key of a figure and its band, or {}.

    What NumPy computed keeps its band when a framework has been loaded as well, for instance
    because someone asked for the device.
    """
    bands = expected()["figures"].get(name, {})
    for candidate in (framework, "numpy"):
        if f"{place}/{candidate}" in bands:
            return f"{place}/{candidate}", bands[f"{place}/{candidate}"]
    return f"{place}/{framework}", {}


def _finite(name: str, value: object) -> float:
    """The value as a float, also of an array or tensor that holds one number."""
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"The figure {name!r} is of type {type(value).__name__}, not one number; report a"
            " single number, such as the mean over the test set."
        ) from None
    if not math.isfinite(number):
        raise ValueError(
            f"The figure {name!r} is {number}; look for a division by zero, a logarithm of zero"
            " or a learning rate that is too large."
        )
    return number


def _whose(own: int, course: int) -> str:
    """Whose the answers behind a figure are; "" where none was noted."""
    total = own + course
    if total == 0:
        return ""
    if own and course:
        verb = "is" if course == 1 else "are"
        return f"{course} of the {total} answers behind it {verb} the course's"
    every = {1: "the one answer behind it is", 2: "both answers behind it are"}
    owner = "your own" if own else "the course's"
    return f"{every.get(total, f'all {total} answers behind it are')} {owner}"


def _record(figure: Figure) -> None:
    path = os.environ.get("COURSE_RECORD")
    if path:
        entry = {"kind": "figure", "verdict": figure.verdict} | asdict(figure)
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _show(figure: Figure) -> None:
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        ipython.display.display(figure)
    else:
        print(figure)
