"""The record of what a student has solved, kept on this machine only.

A text file with one line for each attempt: appending is safe when two notebooks write at once, and
a damaged line loses no other. A disk that cannot be written to never stops a lesson.
"""

import json
import os
import sys
import time
from pathlib import Path

import platformdirs

from course import catalog

_told = False


def path() -> Path:
    """Where the record is kept: in the folder COURSE_HOME, else in the user's data folder."""
    folder = os.environ.get("COURSE_HOME") or platformdirs.user_data_dir(
        "foundation-models-hands-on", appauthor=False
    )
    return Path(folder) / "progress.jsonl"


def record(name: str, passed: bool) -> None:
    """Note one attempt at an exercise; where that is impossible, say so once and go on."""
    global _told
    entry = json.dumps({"exercise": name, "passed": passed, "time": round(time.time())})
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        # The leading newline ends a line that a full disk or a power cut left half written.
        with path().open("a", encoding="utf-8") as file:
            file.write(f"\n{entry}\n")
    except OSError as error:
        if not _told:
            _told = True
            reason = error.strerror or type(error).__name__
            print(
                f"Your progress cannot be saved ({reason}: {path()}); the lesson goes on. "
                "Set COURSE_HOME to a folder that can be written to.",
                file=sys.stdout,
            )


def attempts() -> list[dict]:
    """Every readable attempt, oldest first: {"exercise": name, "passed": bool, "time": seconds}."""
    try:
        lines = path().read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [entry for entry in map(_parse, lines) if entry is not None]


def _parse(line: str) -> dict | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    complete = isinstance(entry, dict) and isinstance(entry.get("exercise"), str)
    return entry if complete and isinstance(entry.get("passed"), bool) else None


def passed() -> set[str]:
    """Names of the exercises that were right at least once."""
    return {entry["exercise"] for entry in attempts() if entry["passed"]}


def show() -> int:
    """Print how far each exercise of the course is; the exit status of `course progress`.

    Raises:
        catalog.NotBuilt: there is no list of exercises.
    """
    from rich.console import Console
    from rich.table import Table

    done, tries = passed(), [entry["exercise"] for entry in attempts()]
    lessons = [lesson for lesson in catalog.lessons() if lesson.exercises]
    table = Table("lesson", "exercise", "", "attempts", title="Your progress")
    for lesson in lessons:
        for place, entry in enumerate(lesson.exercises):
            shown = "" if place else lesson.name
            state = "✔ right" if entry.name in done else "not yet" if entry.name in tries else "○"
            table.add_row(shown, entry.title, state, str(tries.count(entry.name) or ""))
        table.add_section()
    console = Console()
    console.print(table)
    names = [entry.name for lesson in lessons for entry in lesson.exercises]
    console.print(f"{len(done.intersection(names))} of {len(names)} exercises solved.")
    console.print(f"Kept in {path()}", highlight=False, soft_wrap=True)
    return 0
