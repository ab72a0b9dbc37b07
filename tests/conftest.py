"""What several test files share: the course as people install it, and small official data sets."""

import importlib.util
import itertools
import os
import socket
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from artifacts import artifacts_folder
from data_servers import DOWNLOADS, Internet
from lesson_runs import PIP, output_of

from course.datasets.recipes import Recipe
from course.environment import python_in
from course.locking import only_one

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items) -> None:
    """Let each worker of a test run begin with its share of the notebooks, which take longest.

    Each gets a part of the list, and one that is done takes tests from the end of another's part.
    Were notebooks there, the last of them would be run by one worker while the others wait.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    is_long = [item.path.name in ("test_colab.py", "test_lessons.py") for item in items]
    long = list(itertools.compress(items, is_long))
    short = [item for item, found in zip(items, is_long, strict=True) if not found]
    items[:] = [
        item
        for worker in range(workers)
        for tests in (long, short)
        for item in tests[worker * len(tests) // workers : (worker + 1) * len(tests) // workers]
    ]


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id) -> Path:
    """A folder for what is made once for all workers of a test run."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def wheel(shared) -> Path:
    """The course as it is published."""
    with only_one(shared / "wheel", "Another worker builds the course."):
        if not (shared / "wheel").exists():
            build_wheel(shared / "building")
            (shared / "building").rename(shared / "wheel")
    (wheel,) = (shared / "wheel").glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def installed(shared, wheel) -> Path:
    """The Python of an environment with the course's wheel, in which the checkout is out of reach.

    Made once for all workers of a test run.
    """
    with only_one(shared / "installed", "Another worker installs the course."):
        python = python_in(shared / "installed")
        finished = shared / "installed" / "finished"
        if not finished.exists():
            make_environment(shared / "installed", wheel)
            finished.touch()
    return python


@pytest.fixture
def without_course(tmp_path) -> Path:
    """The Python of an environment of its own that lacks only the course."""
    make_empty_environment(tmp_path / "environment")
    return python_in(tmp_path / "environment")


def build_wheel(folder: Path) -> None:
    """Build the course's wheel with the packages that run us, without a network."""
    folder.mkdir(exist_ok=True)
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    output_of(command, folder)


def make_environment(place: Path, wheel: Path) -> None:
    """Install the wheel, with the packages of the Python that runs us below it."""
    make_empty_environment(place)
    install = ["--python", python_in(place), "install", "--no-deps", "--no-index", wheel]
    output_of([*PIP, *install], place)


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


def pytest_terminal_summary(terminalreporter) -> None:
    """Say where the screenshots are, when tests have made some."""
    ran = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    if any("test_browser.py" in report.nodeid for report in ran):
        terminalreporter.write_line(f"Screenshots: {artifacts_folder()}")


@pytest.fixture
def own_surroundings(monkeypatch, tmp_path):
    """An empty cache, no variable that changes where data comes from, and no network."""
    for name in ("COURSE_DATA", "COURSE_MIRROR", "COURSE_RECORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    look_up = socket.getaddrinfo

    def look_up_at_home(host, *others, **named):
        assert host == "127.0.0.1", f"a test asked for {host}"
        return look_up(host, *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_at_home)


@pytest.fixture(params=DOWNLOADS.values(), ids=DOWNLOADS)
def internet(request, own_surroundings) -> Iterator[Internet]:
    """One after the other, each data set in a small form, on servers of this machine."""
    internet = Internet(request.param)
    yield internet
    internet.close()


@pytest.fixture(scope="module")
def make_samples():
    """The program that makes the embedded samples, as a module."""
    path = ROOT / "tools" / "make_samples.py"
    if not path.is_file():
        pytest.skip("tools/ is not beside these tests")
    spec = importlib.util.spec_from_file_location("make_samples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(internet) -> Recipe:
    return internet.recipe
