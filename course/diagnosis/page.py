"""How findings are shown: half a page for a person, JSON, a table of many machines."""

import json
import platform
import shutil
import textwrap
from pathlib import Path
from typing import Any

from course import __version__
from course.diagnosis.finding import GOOD, NOTE, PROBLEM, Finding

FORMAT_VERSION = 1
MARKS = {GOOD: "✔", NOTE: "!", PROBLEM: "✘"}
INDENT = 15
WIDEST = 100


def as_text(findings: list[Finding]) -> str:
    """The page for a person; what is a problem says so in words as well."""
    width = min(WIDEST, shutil.get_terminal_size().columns)
    lines = [f"course {__version__} on {platform.system()} {platform.machine()}", ""]
    for finding in findings:
        start = f" {MARKS[finding.level]} {finding.name:<{INDENT - 4}} "
        word = {GOOD: "", NOTE: "note: ", PROBLEM: "PROBLEM: "}[finding.level]
        lines += wrapped(start, word + finding.words, width)
        if finding.remedy:  # on one line, so that a command in it can be copied
            lines.append(" " * (INDENT - 3) + "-> " + finding.remedy)
    return "\n".join([*lines, "", verdict(findings)])


def wrapped(start: str, text: str, width: int) -> list[str]:
    """The text in lines that begin under one another."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=start,
        subsequent_indent=" " * INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def verdict(findings: list[Finding]) -> str:
    """One line: ready or not."""
    problems = [finding.name for finding in findings if finding.level == PROBLEM]
    notes = sum(finding.level == NOTE for finding in findings)
    if problems:
        return f"Not ready: see {', '.join(problems)}."
    count = {0: "nothing to do", 1: "1 note"}.get(notes, f"{notes} notes")
    return f"Ready: the lessons can run here; {count}."


def as_json(findings: list[Finding]) -> str:
    """The same for programs; `course.doctor` says what the keys are."""
    report = {
        "format_version": FORMAT_VERSION,
        "course": __version__,
        "system": f"{platform.system()} {platform.machine()}",
        "ready": all(finding.level != PROBLEM for finding in findings),
        "findings": {
            finding.name: {
                "level": finding.level,
                "words": finding.words,
                "remedy": finding.remedy,
                **finding.facts,
            }
            for finding in findings
        },
    }
    return json.dumps(report, indent=1)  # ASCII, which survives every shell's redirection


def table_of(paths: list[Path]) -> tuple[str, bool]:
    """One line for each file of JSON, and whether every machine is ready."""
    rows = [("machine", "ready", "python", "profile", "memory", "what to look at")]
    all_ready = True
    for path in paths:
        row = row_of(path.read_bytes())
        rows.append((path.stem, *row))
        all_ready &= row[0] == "yes"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines), all_ready


def row_of(content: bytes) -> tuple[str, str, str, str, str]:
    """What one machine's JSON says, in the columns of the table."""
    try:
        report = json.loads(content)
        found: dict[str, Any] = report["findings"]
        looks = [name for name, one in found.items() if one["level"] != GOOD]
        return (
            "yes" if report["ready"] else "NO",
            str(found["python"].get("version", "?")),
            str(found["profile"].get("profile", "?")),
            f"{found['memory'].get('total_gb', '?')} GB",
            ", ".join(looks),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ("NO", "?", "?", "?", "not a file of `course doctor --json`")
