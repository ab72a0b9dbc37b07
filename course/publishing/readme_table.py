"""The table of lessons in README.md, made from the lessons, the exercises and what was measured."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course.publishing.lesson_source import Lesson

START, END = "<!-- lessons: written by `course build` -->", "<!-- end of lessons -->"
HEADER = "| lesson | exercises | computing | memory | measured result |\n|---|---|---|---|---|\n"


def with_table(root: Path, lessons: Sequence[Lesson], entries: Sequence[Any]) -> str:
    """README.md's text with its table brought up to date; unchanged where it has no table."""
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        return text
    file = root / "course" / "expected.toml"
    expected = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rows = [_row(lesson, entries, expected) for lesson in lessons]
    return f"{before}{START}\n{HEADER}{''.join(rows)}{END}{after}"


def _row(lesson: Lesson, entries: Sequence[Any], expected: dict[str, Any]) -> str:
    own = [entry for entry in entries if entry.lesson == lesson.name]
    solution = f"[solution](solutions/{lesson.name}.ipynb)"
    measured = expected.get("lessons", {}).get(lesson.name, {}).get("cpu")
    columns = [
        f"[{lesson.title}](notebooks/{lesson.name}.ipynb) ({solution})",
        f"{len(own)}, {sum(entry.minutes for entry in own)} min",
        f"{measured['seconds']:.0f} s" if measured else "not measured",
        f"{measured['peak_memory_mb']:.0f} MB" if measured else "not measured",
        _figures({entry.name.partition(".")[0] for entry in own}, expected),
    ]
    return "| " + " | ".join(columns) + " |\n"


def _figures(modules: set[str], expected: dict[str, Any]) -> str:
    """What the cpu profile reached on the embedded samples, mean and spread over the seeds."""
    texts = []
    for figure, bands in expected.get("figures", {}).items():
        module, _, label = figure.partition(".")
        for key, band in bands.items():
            if module in modules and key.startswith("cpu/"):
                words = label.replace("_", " ")
                texts.append(f"{words} {band['mean']:.3f} ± {band['std']:.3f}")
    return "; ".join(texts) or "—"
