"""The parts of a lesson's opening that the build fills in: badges, budget and Colab's cell."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from course import __version__
from course.publishing import colab_cell

# A badge opens what was released: with that the package fits which Colab's cell installs, and
# Binder builds once for a release, not after every commit.
RELEASE = f"v{__version__}"


def opening_texts(root: Path, lesson: str, entries: Sequence[Any]) -> dict[str, str]:
    """What stands in place of each token; an empty text drops the token's line."""
    minutes = sum(entry.minutes for entry in entries if entry.lesson == lesson)
    project = _toml(root / "pyproject.toml").get("project", {})
    return {
        "{{badges}}": _badges(project, lesson),
        "{{budget}}": _budget(root, lesson, minutes),
        colab_cell.TOKEN: colab_cell.colab_cell(lesson, project),
    }


def _badges(project: dict[str, Any], lesson: str) -> str:
    """Launch badges, or nothing while the repository has no address on GitHub."""
    address = urlsplit(project.get("urls", {}).get("Repository", ""))
    if address.hostname != "github.com":
        return ""
    repository = address.path.strip("/").removesuffix(".git")
    notebook = f"notebooks/{lesson}.ipynb"
    colab = "https://colab.research.google.com"
    binder = "https://mybinder.org"
    return (
        f"[![Open in Colab]({colab}/assets/colab-badge.svg)]"
        f"({colab}/github/{repository}/blob/{RELEASE}/{notebook}) "
        f"[![Open in Binder]({binder}/badge_logo.svg)]"
        f"({binder}/v2/gh/{repository}/{RELEASE}?urlpath=lab/tree/{notebook})"
    )


def _budget(root: Path, lesson: str, minutes: int) -> str:
    work = f"**Budget:** about {minutes} minutes of exercises" if minutes else "**Budget:**"
    joined = "; " if minutes else " "
    expected = _toml(root / "course" / "expected.toml")
    measured = expected.get("lessons", {}).get(lesson, {}).get("cpu")
    if measured is None:
        return f"{work}{joined}computing time and memory are not measured yet."
    download = measured.get("download_mb", 0)
    parts = [
        f"{_duration(measured['seconds'])} of computing",
        f"{_memory(measured['peak_memory_mb'])} of memory",
        f"{download:.0f} MB to download" if download else "no download",
    ]
    where = f" (measured on {measured['device']})" if measured.get("device") else ""
    return f"{work}{joined}{', '.join(parts)}{where}."


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes"


def _memory(megabytes: float) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
