"""`course run --measure`: bands and budgets from several seeds, written to expected.toml."""

import math
import statistics
import sys
from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path

import tomli_w

from course import benchmark, hardware, results
from course.datasets.recipes import SETS
from course.running import report_page
from course.running.lesson_run import LessonRun, run_lesson
from course.running.run_display import Display, make_console

HEADER = """\
# Expected bands of the headline figures, and what each lesson needs.
# Written by `python -m course run --measure [LESSON …] [--profile smoke|cpu|gpu]`, never by hand.
# Bands are kept under profile/data variant/framework. A band is the mean over the seeds, less
# and more the larger of four standard deviations and two standard errors of the test size.
# Seconds are the median over the seeds, memory is the largest; 1 MB is 10⁶ bytes.
# The benchmark's milliseconds, of the same hour, let `course doctor` estimate other machines.

"""


def measure_lessons(paths: list[Path], profile: str, seeds: int) -> int:
    """Run each lesson with the seeds 0 … seeds - 1 and write down what to expect of it.

    Nothing is written unless every run went well.

    Returns:
        0, or 1 where a run failed or was stopped.

    Raises:
        ValueError: too few seeds.
    """
    if seeds < results.FEWEST_RUNS:
        raise ValueError(f"A band needs at least {results.FEWEST_RUNS} seeds, not {seeds}.")
    try:
        before = benchmark.measure()
        runs = _run_all([(path, seed) for path in paths for seed in range(seeds)], profile)
        versions = ", ".join(f"{name} {one}" for name, one in report_page.versions().items())
        speed = benchmark.mean_of(before, benchmark.measure())
        update_expected(runs, hardware.describe(), versions, speed)
    except KeyboardInterrupt:
        print("Stopped by Ctrl-C; nothing was written.", file=sys.stderr)
        return 1
    except NotMeasured as problem:
        print(f"{problem} Nothing was written.", file=sys.stderr)
        return 1
    print(f"Bands and budgets are in {results.EXPECTED}.")
    return 0


class NotMeasured(Exception):
    """Runs from which no band or budget can be had; the text says why."""


def _run_all(steps: list[tuple[Path, int]], profile: str) -> list[LessonRun]:
    names = [f"{path.stem}, seed {seed}" for path, seed in steps]
    budgets = [results.budget(path.stem, profile).get("seconds") for path, _ in steps]
    runs = []
    with Display(make_console(), names, budgets) as display:
        for number, (path, seed) in enumerate(steps):
            display.start(number)
            runs.append(run_lesson(path, profile, seed, display.cell))
            display.finish(runs[-1])
            if runs[-1].error is not None:
                raise NotMeasured(f"{names[number]}, failed.")
    return runs


def update_expected(
    runs: list[LessonRun], device: str, versions: str, speed: dict[str, float]
) -> None:
    """Lay the bands and budgets that follow from these runs over those in expected.toml.

    `speed` is what `course.benchmark` measured on this machine.

    Raises:
        NotMeasured: a figure was not reported once by each run of its lesson.
    """
    by_lesson = defaultdict(list)
    for run in runs:
        by_lesson[run.lesson].append(run)
    tables = results.expected()
    for lesson, its_runs in by_lesson.items():
        budget = _budget(its_runs) | {"device": device, "versions": versions, "benchmark": speed}
        tables["lessons"].setdefault(lesson, {})[its_runs[0].profile] = budget
        for name in {name for run in its_runs for name in run.figures}:
            key, band = _band(name, its_runs)
            tables["figures"].setdefault(name, {})[key] = band
    ordered = {
        part: {name: dict(sorted(tables[part][name].items())) for name in sorted(tables[part])}
        for part in ("figures", "lessons")
    }
    text = HEADER + tomli_w.dumps(ordered)
    results.EXPECTED.write_text(text, encoding="utf-8", newline="\n")


def _budget(runs: list[LessonRun]) -> dict[str, float]:
    downloaded = {
        name
        for run in runs
        for name, place in run.data.items()
        if place["source"] in ("cache", "download")
    }
    return {
        "seconds": round(statistics.median(run.seconds for run in runs), 1),
        "peak_memory_mb": math.ceil(max(run.peak_memory_mb for run in runs)),
        "download_mb": round(sum(SETS[name].megabytes for name in downloaded), 1),
    }


def _band(name: str, runs: list[LessonRun]) -> tuple[str, dict[str, float]]:
    figures = [run.figures[name] for run in runs if name in run.figures]
    keys = {figure.key for figure in figures}
    if len(figures) < len(runs) or len(keys) > 1:
        raise NotMeasured(
            f"{len(figures)} of {len(runs)} runs reported the figure {name}, for"
            f" {' and '.join(sorted(keys))}; every run has to report it, for the same."
        )
    values = [figure.value for figure in figures]
    low, high = results.band_of(values, figures[0].count)
    return keys.pop(), {
        "low": _rounded(low, ROUND_FLOOR),
        "high": _rounded(high, ROUND_CEILING),
        "mean": float(f"{statistics.fmean(values):.5g}"),
        "std": float(f"{statistics.stdev(values):.2g}"),
        "seeds": len(values),
    }


def _rounded(edge: float, rounding: str) -> float:
    """Four significant digits, away from the middle of the band."""
    return float(Context(prec=4, rounding=rounding).create_decimal(repr(edge)))
