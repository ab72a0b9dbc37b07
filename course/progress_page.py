"""`course progress --html`: a map of the course with what is solved, and what to do next."""

import time
import webbrowser
from dataclasses import dataclass
from pathlib import Path

from course import catalog, progress, webpage
from course.lab import has_display
from course.problem import Problem

# The number of each part's first lesson.
PARTS = {0: "Foundations", 10: "Engineering", 14: "Society", 19: "Applications", 22: "Wider"}
MARK = '<meta name="generator" content="course progress">'  # only such a page is overwritten
SOLVED, TRIED, OPEN = "solved", "tried", "open"
SYMBOLS = {SOLVED: "✔", TRIED: "◐", OPEN: "○"}


@dataclass(frozen=True)
class Step:
    """An exercise and how far it is: solved, tried or open."""

    exercise: catalog.Exercise
    state: str
    attempts: int


@dataclass(frozen=True)
class Stop:
    """A lesson on the map, with its exercises in their order."""

    lesson: catalog.Lesson
    steps: tuple[Step, ...]

    @property
    def solved(self) -> int:
        """How many of the exercises are solved."""
        return sum(step.state == SOLVED for step in self.steps)

    @property
    def left(self) -> list[Step]:
        """The exercises that are not solved."""
        return [step for step in self.steps if step.state != SOLVED]

    @property
    def state(self) -> str:
        """Solved, tried (begun) or open, as a whole."""
        if not self.left:
            return SOLVED
        return TRIED if any(step.state != OPEN for step in self.steps) else OPEN


def write(file: Path | None) -> int:
    """Write the page to `file`, else beside the record, and show it where there is a display.

    Raises:
        Problem: there is another file of that name, or it cannot be written.
    """
    file = (file or progress.path().with_name("progress.html")).expanduser().resolve()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and MARK not in file.read_text("utf-8", errors="replace"):
            raise Problem(f"{file} is not a page of your progress: choose another name.")
    except OSError as error:
        raise Problem(
            f"{file} cannot be written ({error.strerror}): choose a file in a folder of yours."
        ) from error
    progress.replace_file(file, page())
    print(f"Your progress: {file}")
    if has_display():
        webbrowser.open(file.as_uri())
    return 0


def page() -> str:
    """The page as text."""
    stops = [stop for stop in _stops() if stop.steps]
    steps = [step for stop in stops for step in stop.steps]
    next_stop = _next(stops)
    return webpage.render(
        Path(__file__).with_name("progress_page.html.j2"),
        {"minutes": minutes_words, "left": minutes_left, "state": state_words},
        mark=MARK,
        symbols=SYMBOLS,
        headline=f"{sum(stop.solved for stop in stops)} of {len(steps)} exercises solved",
        when=time.strftime("%Y-%m-%d %H:%M"),
        tiles=_tiles(stops, steps),
        next_stop=next_stop,
        next_step=next_stop.left[0] if next_stop else None,
        parts=_parts(stops),
        record=progress.path(),
    )


def _stops() -> list[Stop]:
    done, tries = progress.passed(), [entry["exercise"] for entry in progress.attempts()]
    return [
        Stop(
            lesson,
            tuple(
                Step(
                    exercise,
                    SOLVED if exercise.name in done else TRIED if exercise.name in tries else OPEN,
                    tries.count(exercise.name),
                )
                for exercise in lesson.exercises
            ),
        )
        for lesson in catalog.lessons()
    ]


def _next(stops: list[Stop]) -> Stop | None:
    """Where to go on: the lesson last worked on, else the first that is not done, twins last."""
    of_exercise = {step.exercise.name: stop for stop in stops for step in stop.steps}
    worked_on = [
        of_exercise[entry["exercise"]]
        for entry in progress.attempts()
        if entry["exercise"] in of_exercise
    ]
    in_order = sorted(stops, key=lambda stop: stop.lesson.name.endswith(catalog.TWIN))
    return next((stop for stop in [*worked_on[-1:], *in_order] if stop.left), None)


def _parts(stops: list[Stop]) -> list[tuple[str, list[Stop]]]:
    """The parts of the course that have lessons: title and lessons."""
    parts: dict[str, list[Stop]] = {}
    for stop in stops:
        first = max(number for number in PARTS if number <= int(stop.lesson.number))
        title = f"Part {list(PARTS).index(first) + 1} · {PARTS[first]}"
        parts.setdefault(title, []).append(stop)
    return list(parts.items())


def _tiles(stops: list[Stop], steps: list[Step]) -> list[tuple[str, str]]:
    complete = sum(stop.state == SOLVED for stop in stops)
    return [
        ("lessons complete", f"{complete} of {len(stops)}"),
        ("tried, not yet right", str(sum(step.state == TRIED for step in steps))),
        ("left to do, about", minutes_words(sum(map(minutes_left, stops)))),
    ]


def minutes_left(stop: Stop) -> int:
    """Minutes of the exercises that are not solved."""
    return sum(step.exercise.minutes for step in stop.left)


def minutes_words(minutes: int) -> str:
    """As people say it: 45 min, 2 h 5 min."""
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{rest} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def state_words(step: Step) -> str:
    """A symbol and words, so that no colour has to say it."""
    words = step.state
    if step.state == TRIED:
        words = "tried once" if step.attempts == 1 else f"tried {step.attempts} times"
    return f"{SYMBOLS[step.state]} {words}"
