"""`course run`: every lesson on this machine, as a student would run it, and a report."""

import os
import sys
import time
from pathlib import Path

from course import environment, hardware, results
from course.running import report_page
from course.running.lesson_run import LessonRun, run_lesson
from course.running.measure import measure_lessons
from course.running.run_display import Display, headline, make_console, table, went_well
from course.small_machine import BINDERS_MEMORY_MB, BINDERS_SETTINGS, use_one_core


def run(
    lessons: list[str],
    profile: str | None = None,
    measure: bool = False,
    seeds: int = results.FEWEST_RUNS,
    like_binder: bool = False,
    root: Path | None = None,
) -> int:
    """Run the lessons named, or all, and write runs/<stamp>/report.html and report.json.

    With `measure` each lesson runs once per seed, and the bands and budgets of expected.toml
    are written instead of a report. Sets COURSE_PROFILE for this process, too.

    With `like_binder` this process and all that it starts stay on one core, and a lesson that
    uses more memory than Binder leaves to it is ended and has failed.

    Returns:
        0 where every lesson ran and no figure is below its band; 1 where not (a lesson that runs
        but does not learn has failed), and after Ctrl-C; 2 where the request makes no sense.
    """
    root = root or environment.checkout()
    try:
        chosen = choose(lessons, root / "notebooks")
        os.environ["COURSE_PROFILE"] = profile = profile or hardware.profile()
        hardware.profile()  # raises where the word is none of the three
        if measure and like_binder:
            raise ValueError("Leave --like-binder out: --measure is for the machine as it is.")
        if measure:
            return measure_lessons(chosen, profile, seeds)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    return _run_and_report(chosen, profile, root / "runs", like_binder)


def choose(lessons: list[str], folder: Path) -> list[Path]:
    """The notebooks asked for by number or name ("1", "01", "mlp", "01_mlp"), in order.

    Raises:
        ValueError: there is no such lesson, or no lesson at all; the message names the known.
    """
    known = sorted(folder.glob("*.ipynb"))
    if not known:
        raise ValueError(f"There are no lessons in {folder}; run `python -m course build` first.")
    chosen = set()
    for asked in lessons:
        found = [path for path in known if _is_called(path.stem, asked)]
        if not found:
            names = ", ".join(path.stem for path in known)
            raise ValueError(f"There is no lesson {asked!r}; choose from {names}.")
        chosen.update(found)
    return [path for path in known if path in chosen or not lessons]


def _is_called(stem: str, asked: str) -> bool:
    number, _, name = stem.partition("_")
    asked = asked.lower()
    if asked.isdecimal() and number.isdecimal():
        return int(asked) == int(number)
    return asked in (stem.lower(), name.lower())


def _run_and_report(chosen: list[Path], profile: str, runs_folder: Path, like_binder: bool) -> int:
    folder = _new_folder(runs_folder)
    console = make_console()
    limit = BINDERS_MEMORY_MB if like_binder else None
    if like_binder:
        os.environ.update(BINDERS_SETTINGS)  # for the kernels that are started from here
        cores = "one core" if use_one_core() else "all cores, since macOS ties nothing to one"
        console.print(f"As on Binder: at most {limit} MB of memory for a lesson; {cores}.")
    budgets = [results.budget(path.stem, profile).get("seconds") for path in chosen]
    runs: list[LessonRun] = []
    try:
        with Display(console, [path.stem for path in chosen], budgets) as display:
            for number, path in enumerate(chosen):
                display.start(number)
                save_as = folder / path.name
                runs.append(
                    run_lesson(
                        path,
                        profile,
                        on_cell=display.cell,
                        save_as=save_as,
                        memory_limit_mb=limit,
                    )
                )
                display.finish(runs[-1])
    except KeyboardInterrupt:
        console.print("Stopped by Ctrl-C; this is what ran so far.")
    page = report_page.write(folder, runs, len(chosen))
    if runs:
        console.print(table(runs))
    console.print(f"{headline(runs, len(chosen))}.", soft_wrap=True)
    console.print(f"Report: {page}", soft_wrap=True, markup=False)
    return 0 if went_well(runs, len(chosen)) else 1


def _new_folder(runs_folder: Path) -> Path:
    """A folder named after the moment, new also where two runs start in the same second."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        folder = runs_folder / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
