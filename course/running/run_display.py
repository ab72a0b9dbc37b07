"""What a person sees in the terminal while lessons run, and when they have run."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from course.results import BETTER, IN_BAND, NO_BAND, WORSE, Figure, four_digits, short_number, title
from course.running.lesson_run import FAILED, LessonRun
from course.small_machine import BINDERS_MEMORY_MB

STYLES = {IN_BAND: "green", WORSE: "bold red", BETTER: "blue", FAILED: "bold red"}
PIPED_WIDTH = 140  # characters; a table in a log should not wrap


def make_console() -> Console:
    """A console without colours and control codes where the output is piped."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


class TimeLeft:
    """Estimates the seconds that a series of steps still needs.

    A step's budget counts, scaled by how fast this machine has been so far; without a budget
    the mean of the steps seen; without either, the share of cells done in the step under way.
    """

    def __init__(self, budgets: list[float | None]) -> None:
        self._budgets = budgets
        self._seen: list[float] = []
        self._started = time.monotonic()
        self._share = 0.0

    def start(self) -> None:
        """A step begins."""
        self._started = time.monotonic()
        self._share = 0.0

    def cell(self, done: int, total: int) -> None:
        """A cell of the step under way is done."""
        self._share = done / total

    def finish(self) -> None:
        """The step is over."""
        self._seen.append(time.monotonic() - self._started)
        self._share = 0.0

    def seconds(self) -> float | None:
        """Seconds to the end of the last step; None where nothing can be said yet."""
        guesses = self._guesses()
        if not guesses:
            return 0.0
        elapsed = time.monotonic() - self._started
        if guesses[0] is None or elapsed > guesses[0]:
            if self._share == 0:
                return None
            guesses[0] = elapsed / self._share
        later = [guesses[0] if guess is None else guess for guess in guesses[1:]]
        return guesses[0] - elapsed + sum(later)

    def share_done(self) -> float:
        """From 0 to 1, for a bar: each step weighs what it took or is expected to take."""
        guesses = self._guesses()
        known = [guess for guess in guesses if guess is not None]
        middle = sum(known) / len(known) if known else 1.0
        ahead = [middle if guess is None else guess for guess in guesses]
        done = sum(self._seen) + (self._share * ahead[0] if ahead else 0.0)
        return done / (sum(self._seen) + sum(ahead))

    def _guesses(self) -> list[float | None]:
        """What each step that is not over will take."""
        pairs = [pair for pair in zip(self._seen, self._budgets, strict=False) if pair[1]]
        speed = sum(seen for seen, _ in pairs) / sum(plan for _, plan in pairs) if pairs else 1.0
        mean = sum(self._seen) / len(self._seen) if self._seen else None
        return [
            mean if budget is None else budget * speed
            for budget in self._budgets[len(self._seen) :]
        ]


class _TimeLeftColumn(ProgressColumn):
    def __init__(self, time_left: TimeLeft) -> None:
        super().__init__()
        self._time_left = time_left

    def render(self, task: Task) -> Text:
        return Text(time_left_words(self._time_left.seconds()))


def time_left_words(seconds: float | None) -> str:
    """The time left as one would say it."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 1:
        return "nearly done"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"


class Display:
    """A progress bar on a terminal, one line at each step's start and end elsewhere."""

    def __init__(self, console: Console, steps: list[str], budgets: list[float | None]) -> None:
        self._console = console
        self._steps = steps
        self._time_left = TimeLeft(budgets)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[cells]}"),
            TextColumn("·"),
            _TimeLeftColumn(self._time_left),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0, cells="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def start(self, number: int) -> None:
        """Step `number`, counted from 0, begins."""
        self._time_left.start()
        line = f"{number + 1} of {len(self._steps)}: {self._steps[number]}"
        self._progress.update(self._task, description=line, cells="starting")
        if not self._console.is_terminal:
            self._console.print(f"{line} …", markup=False)

    def cell(self, done: int, total: int) -> None:
        """A cell of the step under way is done."""
        self._time_left.cell(done, total)
        self._progress.update(
            self._task, completed=self._time_left.share_done(), cells=f"cell {done} of {total}"
        )

    def finish(self, run: LessonRun) -> None:
        """The step under way is over."""
        self._time_left.finish()
        self._progress.update(self._task, completed=self._time_left.share_done())
        if run.error is not None:
            line = f"{run.lesson} failed after {duration(run.seconds)}. {run.error}"
        else:
            line = f"{run.lesson} ran in {duration(run.seconds)}, {memory_words(run)}"
            for figure in run.figures.values():
                line += f"; {result_words(figure)} ({figure.verdict})"
        self._console.print(Text(line, style=STYLES.get(run.verdict, "")), soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds as people say them: "12.3 s", "4 min 05 s"."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def memory_words(run: LessonRun) -> str:
    """Peak memory, with a remark where the smoke profile would not fit on Binder."""
    words = f"{run.peak_memory_mb:,.0f} MB"
    if run.profile == "smoke" and run.peak_memory_mb > BINDERS_MEMORY_MB:
        words += f" (over the {BINDERS_MEMORY_MB:,} MB that smoke may use)"
    return words


def result_words(figure: Figure) -> str:
    """The figure's name and value."""
    return f"{title(figure.name)} {four_digits(figure.value)}"


def band_words(figure: Figure) -> str:
    """The expected band, or "none yet"."""
    if figure.verdict == NO_BAND:
        return "none yet"
    return f"{short_number(figure.low)}–{short_number(figure.high)}"


def went_well(runs: list[LessonRun], chosen: int) -> bool:
    """Whether every lesson chosen ran and learned: one that ends below its band has failed."""
    return len(runs) == chosen and all(run.verdict not in (FAILED, WORSE) for run in runs)


def headline(runs: list[LessonRun], chosen: int) -> str:
    """The outcome in one sentence, without the full stop."""
    ran = sum(run.error is None for run in runs)
    parts = [f"{ran} of {chosen} lesson{'' if chosen == 1 else 's'} ran"]
    if len(runs) < chosen:
        parts[0] += ", stopped before the end"
    verdicts = [figure.verdict for run in runs for figure in run.figures.values()]
    outside = verdicts.count(WORSE) + verdicts.count(BETTER)
    if outside == 1:
        parts.append("1 figure is out of its band")
    elif outside:
        parts.append(f"{outside} figures are out of their bands")
    elif IN_BAND in verdicts:
        with_band = " that has one" if NO_BAND in verdicts else ""
        parts.append(f"every figure{with_band} is in its band")
    elif verdicts:
        parts.append("no figure has an expected band yet")
    return "; ".join(parts)


def table(runs: list[LessonRun]) -> Table:
    """One row for each figure, and one for a lesson without figures."""
    grid = Table(box=SIMPLE_HEAD)
    for name in ("Lesson", "Time", "Peak memory", "Result", "Expected band", "Verdict"):
        grid.add_column(name, justify="right" if name in ("Time", "Peak memory") else "left")
    for run in runs:
        start = [run.lesson, duration(run.seconds), memory_words(run)]
        if run.error is not None or not run.figures:
            grid.add_row(*start, "", "", Text(run.verdict, style=STYLES.get(run.verdict, "")))
            continue
        for figure in run.figures.values():
            verdict = Text(figure.verdict, style=STYLES.get(figure.verdict, ""))
            grid.add_row(*start, result_words(figure), band_words(figure), verdict)
            start = ["", "", ""]
    return grid
