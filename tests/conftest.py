"""What several test files share: an environment that holds the course as people install it."""

import sys
import sysconfig
from pathlib import Path

import pytest
from lesson_runs import output_of

from course.environment import python_in
from course.locking import only_one

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def installed(tmp_path_factory, worker_id) -> Path:
    """The Python of an environment with the course's wheel, in which the checkout is out of reach.

    Made once for all workers of a test run.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    with only_one(shared / "installed", "Another worker installs the course."):
        python = python_in(shared / "installed")
        finished = shared / "installed" / "finished"
        if not finished.exists():
            make_environment(shared / "installed", shared / "wheel")
            finished.touch()
    return python


@pytest.fixture
def without_course(tmp_path) -> Path:
    """The Python of an environment of its own that lacks only the course."""
    make_empty_environment(tmp_path / "environment")
    return python_in(tmp_path / "environment")


def make_environment(place: Path, wheels: Path) -> None:
    """Build the wheel and install it, with the packages of the Python that runs us below it."""
    wheels.mkdir(exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    output_of([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, ROOT], wheels)
    make_empty_environment(place)
    (wheel,) = wheels.glob("*.whl")
    install = ["--python", python_in(place), "install", "--no-deps", "--no-index", wheel]
    output_of([*pip, *install], wheels)


def make_empty_environment(place: Path) -> None:
    """An environment with the packages of the Python that runs us below it, but no course."""
    command = [sys.executable, "-m", "venv", "--without-pip", "--clear", place]
    output_of(command, place.parent)
    # A folder named in a .pth file is searched, but the .pth files in it are not read. So the
    # packages are found, and the checkout, to which such a file points, is not.
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    inside = {"base": str(place), "platbase": str(place)}
    folder = Path(sysconfig.get_path("purelib", "venv", vars=inside))
    (folder / "packages.pth").write_text("\n".join(packages) + "\n", "utf-8")
