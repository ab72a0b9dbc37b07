"""A lesson's first code cell, which brings the course to Colab and does nothing elsewhere.

It stands in the notebook itself, since a notebook that Colab opens comes alone. Of what Colab has
nothing may be replaced: its torch and TensorFlow fit its graphics card. So pip is held to the
versions that are there and adds what is missing.
"""

from typing import Any

from course import __version__
from course.catalog import TWIN
from course.environment import DISTRIBUTION

TOKEN = "# {{setup}}"
# Folded away in JupyterLab; in Colab only the line with @title is seen.
METADATA = {
    "cellView": "form",
    "course": {"setup": True},
    "jupyter": {"source_hidden": True},
}
CELL = """\
# @title Colab only: adds the course. Elsewhere this cell does nothing.
import subprocess
import sys
from pathlib import Path

if "google.colab" in sys.modules:
    wanted = [{wanted}]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]

    def what_is_there():
        asked = [*pip, "list", "--format=freeze"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()

    before = what_is_there()
    frozen = Path("/tmp/what-colab-has.txt")
    others = [one for one in before if not one.startswith("{name}=")]
    frozen.write_text("\\n".join(others))
    install = [*pip, "install", "--constraint", str(frozen), *wanted]
    answer = subprocess.run(install, capture_output=True, text=True)
    if answer.returncode != 0:
        print(answer.stdout, answer.stderr)
        raise RuntimeError(
            "The course could not be added to what Colab has (pip says above why): choose "
            "Runtime > Disconnect and delete runtime, then run this cell again."
        )
    added = sorted(set(what_is_there()) - set(before))
    print("Added to what Colab has:", ", ".join(added) or "nothing, all of it was there")\
"""


def colab_cell(lesson: str, project: dict[str, Any]) -> str:
    """The cell's code; `project` is that table of pyproject.toml."""
    wanted = ", ".join(f'"{one}"' for one in _wanted(lesson, project))
    return CELL.format(wanted=wanted, name=DISTRIBUTION)


def _wanted(lesson: str, project: dict[str, Any]) -> list[str]:
    """What the lesson needs, for pip; the course in the version that the notebook was made with."""
    if not lesson.endswith(TWIN):
        return [f"{DISTRIBUTION}[torch]=={__version__}"]
    # The extra would bring tensorflow-cpu, whose files lie where those of Colab's tensorflow lie.
    extra = project.get("optional-dependencies", {}).get("tensorflow", [])
    names = [requirement.partition(";")[0].strip() for requirement in extra]
    others = [name for name in names if not name.startswith("tensorflow-cpu")]
    return [f"{DISTRIBUTION}=={__version__}", *others]
