"""Print what CHANGELOG.md says about a version that is about to be released.

usage: python tools/release_notes.py v1.2.0

Exits with 1 and a sentence where the tag is not the version of the package, or where the version
has no section of its own in CHANGELOG.md.  Needs only the standard library.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str], root: Path = ROOT) -> int:
    (tag,) = arguments
    try:
        print(notes(tag, root))
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def notes(tag: str, root: Path) -> str:
    """The section of CHANGELOG.md on the version that this tag names.

    Raises:
        ValueError: the tag is not the package's version, or there is no such section.
    """
    package = (root / "course" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE)[1]
    if tag != f"v{version}":
        raise ValueError(f"The package's version is {version}: tag it v{version}, not {tag}.")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = rf"^## {re.escape(version)}\n(.*?)(?=^## |\Z)"
    section = re.search(heading, changes, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md says nothing on {version}: head a section `## {version}`.")
    return section[1].strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
