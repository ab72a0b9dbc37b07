"""Making and mending .venv, on a made-up clone that needs no network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import course
from course import __main__ as entry
from course import environment, installation
from course.environment import Stamp
from course.problem import Problem

ENTRY_FILES = (
    "__init__.py",
    "__main__.py",
    "environment.py",
    "installation.py",
    "locking.py",
    "problem.py",
)
BASE = Path(sys._base_executable)

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "foundation-models-hands-on"
version = "0.1.0"
dependencies = []

[project.optional-dependencies]
torch = []
notebook = []
dev = []
"""

# A build backend of the standard library alone, so that pip needs nothing from a registry.
BACKEND = """
import os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "foundation_models_hands_on-0.1.0"
    info = name + ".dist-info/"
    with zipfile.ZipFile(os.path.join(folder, name + "-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("course.pth", os.getcwd())
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: foundation-models-hands-on"
            "\\nVersion: 0.1.0\\nProvides-Extra: torch\\nProvides-Extra: notebook"
            "\\nProvides-Extra: dev\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
            "Tag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name + "-py3-none-any.whl"
"""

# Stands in for the real command line: says which Python runs it and passes a status on.
CLI = """
import sys

def main(arguments=None):
    print("RAN", sys.prefix, sys.argv[1:] if arguments is None else arguments)
    return 7

if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small stand-in for a bare clone, with a blank and Chinese characters in its path."""
    root = tmp_path / "my course 课程"
    (root / "course").mkdir(parents=True)
    for name in ENTRY_FILES:
        shutil.copy(Path(course.__file__).with_name(name), root / "course" / name)
    (root / "course" / "cli.py").write_text(CLI, "utf-8")
    (root / "backend.py").write_text(BACKEND, "utf-8")
    (root / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    (root / "constraints.txt").write_text("# nothing\n", "utf-8")
    return root


def run(
    clone: Path, *arguments: str, python: Path = BASE, **variables: str
) -> subprocess.CompletedProcess:
    settings = os.environ | {"PIP_NO_INDEX": "1", "PYTHONIOENCODING": "utf-8"} | variables
    return subprocess.run(
        [python, "-m", "course", *arguments],
        cwd=clone,
        env=settings,
        capture_output=True,
        encoding="utf-8",
    )


def old_pythons() -> list[Path]:
    """Pythons below 3.11 on this machine."""
    found = [shutil.which(f"python{version}") for version in ("2.7", "3.6", "3.8", "3.9", "3.10")]
    paths = [Path(path) for path in found if path]
    paths += sorted(Path.home().glob(".pyenv/versions/*/bin/python"))
    versions = {entry.version_of([str(path)]): path for path in paths}
    return [path for version, path in versions.items() if version and version < (3, 11)]


def test_a_bare_clone_makes_its_environment_repeats_at_once_and_starts_over_after_a_failure(clone):
    first = run(clone, "run", "01", "--profile", "smoke")
    assert first.returncode == 7, first.stderr
    assert f"RAN {clone / '.venv'} ['run', '01', '--profile', 'smoke']" in first.stdout
    assert "Making" in first.stderr

    again = run(clone, "lab")
    assert (again.returncode, again.stderr) == (7, "")

    stamp = clone / ".venv" / environment.STAMP
    unfinished = json.loads(stamp.read_text("utf-8")) | {"packages": ""}
    stamp.write_text(json.dumps(unfinished), "utf-8")
    (clone / "backend.py").unlink()
    failed = run(clone, "lab")
    assert failed.returncode == 1
    assert "Installing" in failed.stderr and "Making" not in failed.stderr
    assert installation.LOG in failed.stderr and "Traceback" not in failed.stderr
    assert environment.what_is_missing(clone / ".venv", "") == "everything"


def test_help_needs_no_environment(clone):
    for arguments in ([], ["--help"], ["run", "-h"], ["--version"]):
        assert "RAN" in run(clone, *arguments).stdout
    assert not (clone / ".venv").exists()


@pytest.mark.skipif(not old_pythons(), reason="no Python older than 3.11 on this machine")
@pytest.mark.parametrize("python", old_pythons(), ids=lambda path: path.parent.parent.name)
def test_an_old_python_says_what_is_needed_or_goes_on_with_a_fitting_one(clone, python, tmp_path):
    alone = run(clone, "lab", python=python, PATH=str(tmp_path))
    assert alone.returncode == 1
    assert alone.stderr.startswith("The course needs Python 3.11, 3.12 or 3.13, and this is")
    assert len(alone.stderr.splitlines()) == 1

    shim, good = tmp_path / "python3.11", tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 'not installed' >&2\nexit 127\n", "utf-8")
    shim.chmod(0o755)
    good.write_text(f'#!/bin/sh\nexec "{BASE}" "$@"\n', "utf-8")
    good.chmod(0o755)
    helped = run(clone, "--help", python=python, PATH=str(tmp_path))
    assert helped.returncode == 7
    assert "going on with python3.12" in helped.stderr


def test_only_tested_versions_of_python_fit():
    versions = [(2, 7), (3, 6), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (4, 0)]
    assert [version for version in versions if entry.fits(version)] == versions[3:6]


def test_a_python_that_does_not_start_has_no_version(tmp_path):
    assert entry.version_of([str(tmp_path / "absent")]) is None
    assert entry.version_of([str(BASE)]) == sys.version_info[:2]


@pytest.mark.parametrize(
    ("stamp", "starts_as", "expected"),
    [
        (Stamp("HERE", "3.12", "abc"), "3.12", "nothing"),
        (Stamp("HERE", "3.12", "older"), "3.12", "packages"),
        (Stamp("HERE", "3.12", ""), "3.12", "packages"),
        (Stamp("HERE", "3.12", "abc"), None, "everything"),
        (Stamp("HERE", "3.12", "abc"), "3.13", "everything"),
        (Stamp("/before/it/was/moved", "3.12", "abc"), "3.12", "everything"),
        (Stamp("HERE", "", ""), "3.12", "everything"),
        (None, None, "everything"),
        (None, "{}.{}".format(*sys.version_info), "packages"),
        (None, "3.9", "everything"),
        ("{ half a stamp", "{}.{}".format(*sys.version_info), "packages"),
    ],
    ids=[
        "complete",
        "constraints changed",
        "interrupted",
        "its base Python is gone",
        "its base Python was replaced",
        "moved",
        "pip failed unaccountably",
        "no environment",
        "the person's own",
        "the person's own with another Python",
        "spoilt stamp",
    ],
)
def test_what_is_missing_follows_from_the_stamp_and_from_whether_python_starts(
    stamp, starts_as, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(environment, "version_of", lambda python: starts_as)
    if isinstance(stamp, Stamp):
        place = str(tmp_path) if stamp.place == "HERE" else stamp.place
        environment.write_stamp(tmp_path, Stamp(place, stamp.python, stamp.packages))
    elif stamp:
        (tmp_path / environment.STAMP).write_text(stamp, "utf-8")
    assert environment.what_is_missing(tmp_path, "abc") == expected


def test_a_python_in_an_environment_counts_only_when_it_starts_and_has_pip(tmp_path):
    assert environment.version_of(Path(sys.executable)) == "{}.{}".format(*sys.version_info)
    subprocess.run([BASE, "-m", "venv", "--without-pip", tmp_path], check=True)
    assert environment.version_of(environment.python_in(tmp_path)) is None
    assert environment.version_of(tmp_path / "absent") is None


def test_the_fingerprint_follows_packages_and_nothing_else(clone):
    def changed(name: str, before: str, after: str) -> bool:
        path = clone / name
        text = path.read_text("utf-8")
        was = environment.packages_wanted(clone)
        path.write_text(text.replace(before, after, 1), "utf-8")
        now = environment.packages_wanted(clone)
        path.write_text(text, "utf-8")
        return was != now

    assert changed("constraints.txt", "# nothing", "numpy==2.4.6")
    assert changed("pyproject.toml", "dependencies = []", 'dependencies = ["numpy"]')
    assert changed("pyproject.toml", "torch = []", 'torch = ["torch"]')
    assert not changed("pyproject.toml", "[build-system]", "[tool.ruff]\n[build-system]")


def test_too_little_disk_space_is_said_before_anything_is_made(tmp_path, monkeypatch):
    free = {"gigabytes": 1.0}
    usage = lambda path: shutil._ntuple_diskusage(0, 0, int(free["gigabytes"] * 1e9))  # noqa: E731
    monkeypatch.setattr(environment.shutil, "disk_usage", usage)
    with pytest.raises(Problem, match=r"needs 5 GB .* only 1\.0 GB are free"):
        environment.check_space(tmp_path / ".venv")
    free["gigabytes"] = 5.5
    environment.check_space(tmp_path / ".venv")


def test_what_already_lies_in_the_environment_counts_as_space(tmp_path, monkeypatch):
    usage = lambda path: shutil._ntuple_diskusage(0, 0, int(4.5e9))  # noqa: E731
    monkeypatch.setattr(environment.shutil, "disk_usage", usage)
    (tmp_path / ".venv").mkdir()
    with pytest.raises(Problem):
        environment.check_space(tmp_path / ".venv")
    with (tmp_path / ".venv" / "torch").open("wb") as large:
        large.truncate(int(1e9))
    environment.check_space(tmp_path / ".venv")


def test_a_python_without_venv_names_the_package_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match=r"apt install python3\.\d+-venv"):
        environment.create(tmp_path / ".venv")


def test_a_place_that_cannot_be_written_is_one_sentence(clone):
    (clone / ".venv").write_text("a file where the folder should be", "utf-8")
    answer = run(clone, "lab")
    assert answer.returncode == 1
    assert "could not be made" in answer.stderr and "Traceback" not in answer.stderr


def test_an_environment_of_the_persons_own_is_used_when_it_has_everything(monkeypatch):
    assert environment.has_everything()
    monkeypatch.setattr(environment, "NEEDED_MODULES", ("torch", "no_such_module_here"))
    assert not environment.has_everything()
    monkeypatch.setattr(environment, "DISTRIBUTION", "no-such-distribution-here")
    assert not environment.has_everything()


def test_an_installed_course_without_a_clone_runs_where_it_is(clone):
    (clone / "constraints.txt").unlink()
    answer = run(clone, "run")
    assert (answer.returncode, answer.stderr) == (7, "")
    assert not (clone / ".venv").exists()
