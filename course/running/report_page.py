"""The report of a run: report.json for programs, report.html for people."""

import importlib.metadata
import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from course import hardware, webpage
from course.results import BETTER, IN_BAND, LOOKS, NO_BAND, WORSE, Figure, four_digits, title
from course.running.lesson_run import LessonRun
from course.running.run_display import band_words, duration, headline, memory_words, went_well

PACKAGES = (
    *("numpy", "torch", "tensorflow", "tensorflow-cpu", "keras", "transformers"),
    *("matplotlib", "jupyterlab", "ipykernel"),
)
GAUGE_WIDTH = 160  # units of the drawing
TONES = {IN_BAND: "good", WORSE: "bad", BETTER: "high", NO_BAND: "none"}  # classes of the page


def write(folder: Path, runs: list[LessonRun], chosen: int) -> Path:
    """Write report.json and report.html into `folder`; return the page.

    `chosen` is the number of lessons that were asked for; fewer have run after Ctrl-C.
    """
    facts = {
        "versions": versions(),
        "device": hardware.describe(),
        "lessons": [_entry(run) for run in runs],
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_html(folder, runs, chosen, facts), encoding="utf-8")
    return page


def versions() -> dict[str, str]:
    """Versions of the course, Python, the system and the packages that shape results."""
    found = {"course": importlib.metadata.version("foundation-models-hands-on")}
    found |= {"python": platform.python_version()}
    found |= {"system": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional package that this course installation does without
    return found


def _entry(run: LessonRun) -> dict:
    """A lesson in report.json; a band is [low, high], or null where there is none yet."""
    figures = run.figures.values()
    return {
        "lesson": run.lesson,
        "profile": run.profile,
        "data": run.data,
        "seconds": round(run.seconds, 2),
        "peak_memory_mb": round(run.peak_memory_mb, 1),
        "figures": {figure.name: figure.value for figure in figures},
        "bands": {
            figure.name: None if figure.verdict == NO_BAND else [figure.low, figure.high]
            for figure in figures
        },
        "verdict": run.verdict,
        "error": run.error,
        "started": run.started,
        "finished": run.finished,
    }


@dataclass(frozen=True)
class Gauge:
    """Where a gauge's band and mark lie, in units of the drawing; `words` says it in text."""

    band_left: float
    band_width: float
    mark: float
    words: str


def gauge(figure: Figure) -> Gauge | None:
    """The drawing of a figure on its band; None where there is no band yet."""
    if figure.verdict == NO_BAND:
        return None
    first, last = min(figure.low, figure.value), max(figure.high, figure.value)
    # A third of the band on each side, so that its ends show; a band of one point has no width.
    margin = (last - first) / 3 or 1.0
    unit = GAUGE_WIDTH / (last - first + 2 * margin)
    return Gauge(
        band_left=(figure.low - first + margin) * unit,
        band_width=max((figure.high - figure.low) * unit, 1.0),
        mark=(figure.value - first + margin) * unit,
        words=f"{four_digits(figure.value)}, {figure.place} the expected band {band_words(figure)}",
    )


def _html(folder: Path, runs: list[LessonRun], chosen: int, facts: dict) -> str:
    return webpage.render(
        Path(__file__).with_name("report.html.j2"),
        {
            "title_of": title,
            "digits": four_digits,
            "gauge": gauge,
            "band": band_words,
            "memory": memory_words,
            "seconds": duration,
        },
        headline=headline(runs, chosen),
        good=went_well(runs, chosen),
        when=time.strftime("%Y-%m-%d %H:%M"),
        tiles=_tiles(runs),
        runs=runs,
        symbols={verdict: symbol for verdict, (symbol, _) in LOOKS.items()},
        tones=TONES,
        saved={path.stem for path in folder.glob("*.ipynb")},
        device=facts["device"],
        versions=facts["versions"],
    )


def _tiles(runs: list[LessonRun]) -> list[tuple[str, str]]:
    """The few numbers that an instructor asks for first."""
    if not runs:
        return []
    figures = [figure for run in runs for figure in run.figures.values()]
    in_band = sum(figure.verdict == IN_BAND for figure in figures)
    largest = max(runs, key=lambda run: run.peak_memory_mb)
    return [
        ("profile", runs[0].profile),
        ("time in all", duration(sum(run.seconds for run in runs))),
        ("largest peak memory", memory_words(largest)),
        ("figures in their band", f"{in_band} of {len(figures)}"),
    ]
