"""What one look at the machine found, and what to do about it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

GOOD, NOTE, PROBLEM = "good", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the page, one entry of the JSON.

    name: what was looked at, such as "memory".
    level: "good"; "note", where lessons run but something could be better; "problem", where a
    lesson could not run.
    words: what was found. remedy: one line on what to do, "" where nothing has to be done.
    facts: the same for programs. Neither names a folder, since its name may be a person's.
    """

    name: str
    level: str
    words: str
    remedy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def guarded(name: str, look: Callable[..., Finding], *given: Any) -> Finding:
    """What `look` finds; a fault in it becomes the finding, so that no other is lost."""
    try:
        return look(*given)
    except Exception as error:
        reason = without_folders(f"{type(error).__name__}: {error}")
        return Finding(
            name,
            NOTE,
            f"could not be looked at ({shortened(reason)})",
            "Install the packages of the course again, then run the doctor again.",
        )


def without_folders(text: str) -> str:
    """The text with only the last part of each absolute path, for the sake of privacy."""
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:)?[/\\](?:[^/\\\n:'\"]+[/\\])*(?=[^/\\\s])", "…/", text)


def shortened(text: str, longest: int = 120) -> str:
    """The text on one line, cut where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 2] + " …"
