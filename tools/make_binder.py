"""Make binder/requirements.txt, the packages that Binder lays below the course.

usage: python tools/make_binder.py        on Linux, with `python -m course test` gone through

The names are those that pyproject.toml asks for on Binder's machines and all that these need in
turn, as installed here; the versions come from constraints.txt.  The file stands alone: a line
that named another file would have Binder install everything again after every commit.
"""

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "binder" / "requirements.txt"
EXTRAS = ("torch", "tensorflow")  # Binder's base has JupyterLab already
# Where one of `environment.NEEDED_MODULES` were missing, `python -m course` would make a .venv.
ALSO = ("pytest",)
MACHINE = {
    "platform_machine": "x86_64",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
HEADER = """\
# Written by `python tools/make_binder.py` from pyproject.toml and constraints.txt.
# Binder has no graphics card: torch comes without CUDA, from PyTorch's own index.
--extra-index-url https://download.pytorch.org/whl/cpu
"""


def main() -> int:
    FILE.write_text(text(), encoding="utf-8", newline="\n")
    return 0


def text() -> str:
    """What belongs into the file.

    Raises:
        KeyError: constraints.txt lacks a package that is needed.
    """
    versions = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name = line.partition("==")[0]
        versions[canonicalize_name(name)] = f"{line}+cpu" if name == "torch" else line
    return HEADER + "".join(f"{versions[name]}\n" for name in sorted(everything_for(wanted())))


def wanted() -> list[str]:
    """What the course itself asks for on Binder, as pyproject.toml says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in EXTRAS for one in extras[extra]), *ALSO]


def everything_for(requirements: Iterable[str]) -> set[str]:
    """The names of all packages that these requirements bring on Binder's kind of machine.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not installed here.
    """
    found: set[tuple[str, str]] = set()  # name and extra, since an extra brings more
    waiting = [(Requirement(one), "") for one in requirements]
    while waiting:
        requirement, asked_for = waiting.pop()
        marker = requirement.marker
        if marker and not marker.evaluate({**MACHINE, "extra": asked_for}):
            continue
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += [(Requirement(one), extra) for one in requires(name) or []]
    return {name for name, _ in found}


if __name__ == "__main__":
    sys.exit(main())
