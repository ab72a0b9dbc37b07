"""Fills `my_course/`, where a student works, with the lessons of `notebooks/`.

A student's work is never overwritten. A hidden record keeps what each lesson looked like when it
was laid down, so a lesson that nobody touched can be brought up to date where it lies.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from course.problem import Problem

RECORD = ".course.json"


def fill(notebooks: Path, folder: Path) -> list[str]:
    """Lay each lesson of `notebooks` into `folder`; a line for people on each change.

    Raises:
        Problem: there are no lessons to lay.
        OSError: the folder cannot be written.
    """
    lessons = sorted(notebooks.glob("*.ipynb"))
    if not lessons:
        raise Problem(
            f"There are no lessons in {notebooks}: `course lab` works in a full clone of the "
            "course; run it there, or bring the folder back with `git checkout notebooks`."
        )
    folder.mkdir(exist_ok=True)
    record = read_record(folder / RECORD)
    news = [line for lesson in lessons if (line := lay(lesson, folder, record))]
    write_safely(folder / RECORD, json.dumps(record, indent=1, sort_keys=True).encode())
    return news


def lay(lesson: Path, folder: Path, record: dict[str, str]) -> str | None:
    """Lay one lesson; what to tell the student, or None where nothing changed.

    `record` holds, per file in `folder`, the fingerprint of what we laid there last, and under
    "new NAME" that of the newest version laid beside a lesson that the student had changed.
    """
    content = lesson.read_bytes()
    latest = fingerprint(content)
    mine = folder / lesson.name
    if not mine.exists():
        write_safely(mine, content)
        record[lesson.name] = latest
        return f"new: {lesson.name}"
    present = fingerprint(mine.read_bytes())
    if present == latest:
        record[lesson.name] = latest
        return None
    if present == record.get(lesson.name):
        write_safely(mine, content)
        record[lesson.name] = latest
        return f"brought up to date: {lesson.name}"
    if latest in (record.get(lesson.name), record.get(f"new {lesson.name}")):
        return None
    beside = free_place(mine, record)
    write_safely(beside, content)
    record[beside.name] = record[f"new {lesson.name}"] = latest
    return f"{lesson.name} has a newer version: yours stays, the new one is {beside.name}"


def free_place(mine: Path, record: dict[str, str]) -> Path:
    """The first "NAME (new version N)" that is free, or that the student has not touched."""
    number = 1
    while True:
        suffix = " (new version)" if number == 1 else f" (new version {number})"
        beside = mine.with_stem(mine.stem + suffix)
        if not beside.exists() or fingerprint(beside.read_bytes()) == record.get(beside.name):
            return beside
        number += 1


def fingerprint(content: bytes) -> str:
    """A hash of what a person can see in a notebook: cells, outputs and attachments.

    JupyterLab rewrites the metadata of a notebook that was merely opened, so they do not count.
    """
    try:
        cells = json.loads(content)["cells"]
        kept = ("cell_type", "source", "outputs", "attachments")
        seen = [{key: joined(cell[key]) for key in kept if cell.get(key)} for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError):
        return hashlib.sha256(content).hexdigest()  # not a notebook (any more)
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def joined(value: Any) -> Any:
    """Text as one string: a notebook may keep it as one or as a list of lines."""
    lines = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return "".join(value) if lines else value


def read_record(path: Path) -> dict[str, str]:
    """What we laid down before; nothing where the record is missing or not readable any more."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_safely(path: Path, content: bytes) -> None:
    """Write under another name first, so that a full disk never leaves half a file."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    temporary.replace(path)
