"""The record of what a student has solved, kept on this machine, and how it goes to another.

A text file with one line for each attempt: appending is safe when two notebooks write at once, and
a damaged line loses no other. A disk that cannot be written to never stops a lesson.

`export` writes all attempts to a small file, `import_` adds those that are missing here. Attempts
are only ever added, so that nothing is lost when two machines disagree, and what was right once
stays right.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import platformdirs

from course import catalog
from course.locking import only_one
from course.problem import Problem

FILE = "course-progress.json"
FORMAT, VERSION = "progress in foundation-models-hands-on", 1
MOST_BYTES = 20_000_000  # some 200,000 attempts
LONGEST_NAME = 100
LATEST = 1e11  # seconds; what lies behind it is no time

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
    try:
        # To the millisecond: on two machines no two attempts are the same.
        _append([{"exercise": name, "passed": passed, "time": round(time.time(), 3)}])
    except OSError as error:
        if not _told:
            _told = True
            print(
                f"Your progress cannot be saved ({_reason(error)}: {path()}); the lesson goes on. "
                "Set COURSE_HOME to a folder that can be written to.",
                file=sys.stdout,
            )


def _append(entries: Iterable[dict]) -> None:
    path().parent.mkdir(parents=True, exist_ok=True)
    # The leading newline ends a line that a full disk or a power cut left half written.
    text = "".join(f"\n{json.dumps(entry)}\n" for entry in entries)
    with path().open("a", encoding="utf-8") as file:
        file.write(text)


def attempts() -> list[dict]:
    """Every readable attempt, oldest first: {"exercise": name, "passed": bool, "time": seconds}."""
    try:
        return _recorded()
    except OSError:
        return []


def _recorded() -> list[dict]:
    lines = path().read_text("utf-8", errors="replace").splitlines()
    found = [entry for entry in map(_parse, lines) if entry is not None]
    return sorted(found, key=lambda entry: entry["time"])


def _parse(line: str) -> dict | None:
    try:
        return _attempt(json.loads(line))
    except (ValueError, RecursionError):
        return None


def _attempt(entry: Any) -> dict | None:
    """The three things that make an attempt, or None where one is missing or is something else."""
    if not isinstance(entry, dict):
        return None
    name, passed, when = entry.get("exercise"), entry.get("passed"), entry.get("time")
    named = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME
    timed = isinstance(when, int | float) and 0 <= when < LATEST
    if not (named and isinstance(passed, bool) and timed):
        return None
    return {"exercise": name, "passed": passed, "time": when}


def passed() -> set[str]:
    """Names of the exercises that were right at least once."""
    return {entry["exercise"] for entry in attempts() if entry["passed"]}


def export(file: str | Path = FILE) -> None:
    """Write all attempts to `file`, to take them to another machine.

    What a file of progress that is there already holds stays in it.

    Raises:
        Problem: the file is something else or cannot be written, or the record cannot be read.
    """
    file = Path(file).expanduser().resolve()
    with _alone(file):
        there = _read(file) if file.exists() else []
        own = _own()
        merged = sorted([*own, *_missing(there, own)], key=lambda entry: entry["time"])
        lines = ",\n".join(json.dumps(entry) for entry in merged)
        head = f'"format": {json.dumps(FORMAT)}, "version": {VERSION}'
        replace_file(file, f'{{{head}, "attempts": [\n{lines}\n]}}\n')
    print(f"{_count(len(merged), 'attempt')} written to {file}.")


def import_(file: str | Path = FILE) -> None:
    """Add to the record on this machine what a file of `export` has and it lacks.

    Importing again adds nothing.

    Raises:
        Problem: the file is damaged, something else, or of a newer course; nothing has changed.
    """
    file = Path(file).expanduser()
    theirs = _read(file)
    with _alone(path()):
        before, own = passed(), _own()
        added = _missing(theirs, own)
        try:
            if added:
                _append(added)
        except OSError as error:
            raise Problem(
                f"The progress cannot be saved ({_reason(error)}: {path()}): set COURSE_HOME to a "
                "folder that can be written to, then import again."
            ) from error
    newly = len(passed() - before)
    print(
        f"{_count(len(added), 'attempt')} added from {file}; "
        f"{_count(newly, 'more exercise')} solved than before."
    )


def _own() -> list[dict]:
    """The attempts recorded here.

    Raises:
        Problem: there is a record, but it cannot be read.
    """
    try:
        return _recorded()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise Problem(
            f"Your progress cannot be read ({_reason(error)}: {path()}): see that it is yours."
        ) from error


def _missing(theirs: list[dict], own: list[dict]) -> list[dict]:
    """What `theirs` has and `own` lacks; the same attempt twice in a record counts twice."""
    known = Counter(map(_key, own))
    missing = []
    for entry in theirs:
        if known[_key(entry)] > 0:
            known[_key(entry)] -= 1
        else:
            missing.append(entry)
    return missing


def _key(entry: dict) -> tuple:
    return entry["exercise"], entry["passed"], entry["time"]


def _read(file: Path) -> list[dict]:
    """The attempts in a file of `export`.

    Raises:
        Problem: it is not such a file, or not whole.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        # A byte order mark is what an editor may have left.
        found = json.loads(content.decode("utf-8-sig")) if len(content) <= MOST_BYTES else None
    except OSError as error:
        raise Problem(
            f"{file} cannot be read ({_reason(error)}): see that the name and the folder are right."
        ) from error
    except (ValueError, RecursionError):
        found = None
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, int) and version > VERSION and found.get("format") == FORMAT:
        raise Problem(
            f"{file} comes from a newer version of the course: bring the course here up to date, "
            "then try again."
        )
    if version != VERSION or found.get("format") != FORMAT:
        raise Problem(
            f"{file} is not a file of progress, or it is damaged: choose one that `course progress "
            "--export` has written."
        )
    entries = found.get("attempts")
    read = [_attempt(entry) for entry in entries] if isinstance(entries, list) else [None]
    if None in read:
        raise Problem(f"{file} is damaged: export it again on the machine that it comes from.")
    return read


def replace_file(file: Path, text: str) -> None:
    """Write the file whole or not at all.

    Raises:
        Problem: it cannot be written.
    """
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        try:
            unfinished.write_text(text, encoding="utf-8", newline="\n")
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise Problem(
            f"{file} cannot be written ({_reason(error)}): choose a file in a folder of yours."
        ) from error


def _alone(file: Path) -> AbstractContextManager[None]:
    """Keep others from changing the file between our reading it and our writing it."""
    return only_one(file.resolve(), f"Waiting for another command that writes {file}.")


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def show() -> int:
    """Print how far each exercise of the course is; the exit status of `course progress`.

    Raises:
        Problem: there is no list of exercises.
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
