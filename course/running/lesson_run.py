"""One lesson, run as a student would who answers nothing: what came out of it."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import nbformat

from course.execution import Execution, execute
from course.results import BETTER, IN_BAND, NO_BAND, WORSE, Figure

FAILED, NO_FIGURES = "failed", "no figures"


@dataclass(frozen=True)
class LessonRun:
    """What one run of a lesson gave.

    data: data set → its source and variant. figures: name → figure with its band.
    error: None, or one line. started, finished: local time, ISO 8601.
    """

    lesson: str
    profile: str
    data: dict[str, dict[str, str]]
    seconds: float
    peak_memory_mb: float
    figures: dict[str, Figure]
    error: str | None
    started: str
    finished: str

    @property
    def verdict(self) -> str:
        """ "failed", "no figures", or the verdict of the figure that asks most for a look."""
        if self.error is not None:
            return FAILED
        found = {figure.verdict for figure in self.figures.values()}
        return next((one for one in (WORSE, BETTER, NO_BAND, IN_BAND) if one in found), NO_FIGURES)


def run_lesson(
    path: Path,
    profile: str,
    seed: int | None = None,
    on_cell: Callable[[int, int], None] | None = None,
    save_as: Path | None = None,
    memory_limit_mb: int | None = None,
) -> LessonRun:
    """Execute the notebook at `path` in a fresh folder, without touching a person's progress.

    Every answer counts as untouched, so the course's own answers are in use. The notebook with
    its outputs, also those of a run that failed, goes to `save_as`. A run that uses more than
    `memory_limit_mb` is ended and has failed.
    """
    started = _now()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        work, home, record = (Path(temporary) / name for name in ("work", "home", "record.jsonl"))
        work.mkdir()
        environment = {
            "COURSE_PROFILE": profile,
            "COURSE_HOME": str(home),
            "COURSE_RECORD": str(record),
            "COURSE_STRICT": "",
        }
        if seed is not None:
            environment["COURSE_SEED"] = str(seed)
        execution = _execute_file(path, work, environment, on_cell, save_as, memory_limit_mb)
        entries = _read(record)
    known = {field.name for field in fields(Figure)}  # the rest, such as the verdict, follows
    figures = [
        Figure(**{key: entry[key] for key in known & entry.keys()}) for entry in entries["figure"]
    ]
    return LessonRun(
        lesson=path.stem,
        profile=profile,
        data={
            entry["name"]: {"source": entry["source"], "variant": entry["variant"]}
            for entry in entries["data"]
        },
        seconds=execution.seconds,
        peak_memory_mb=execution.peak_memory_mb,
        figures={figure.name: figure for figure in figures},
        error=execution.error,
        started=started,
        finished=_now(),
    )


def _execute_file(
    path: Path,
    work: Path,
    environment: dict[str, str],
    on_cell: Callable[[int, int], None] | None,
    save_as: Path | None,
    memory_limit_mb: int | None,
) -> Execution:
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as problem:
        return Execution(0.0, 0.0, f"{path.name} cannot be read as a notebook: {problem}")
    execution = execute(
        notebook, work, environment, on_cell=on_cell, memory_limit_mb=memory_limit_mb
    )
    if save_as is not None:
        nbformat.write(notebook, save_as)
    return execution


def _read(record: Path) -> dict[str, list[dict]]:
    """The lines of COURSE_RECORD, by kind."""
    entries: dict[str, list[dict]] = {"figure": [], "data": []}
    if record.exists():  # a lesson may report nothing
        for line in record.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            entries.setdefault(entry["kind"], []).append(entry)
    return entries


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
