"""Makes and mends `.venv`, the course's own environment. Needs only the standard library.

A stamp inside `.venv` says what was installed and where. It says "unfinished" from before the
first change until everything is done, so what was interrupted is known as such, and the same
command goes on from there.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from course.installation import UnknownProblem, install
from course.locking import only_one
from course.problem import Problem

DISTRIBUTION = "foundation-models-hands-on"
NEEDED_GB = 5.0  # .venv, and the largest package once more while pip unpacks it
STAMP = "course-stamp.json"
NEEDED_MODULES = ("torch", "jupyterlab", "nbclient", "pytest")


@dataclass(frozen=True)
class Stamp:
    """What a finished environment was made for."""

    place: str
    python: str
    packages: str


def checkout() -> Path:
    """The clone of the course that this package lies in, or else the one around the cwd.

    Raises:
        Problem: there is none.
    """
    here = Path.cwd()
    for folder in (Path(__file__).resolve().parent.parent, here, *here.parents):
        if (folder / "pyproject.toml").is_file() and (folder / "course").is_dir():
            return folder
    raise Problem(
        "This command needs a clone of the course: change into its folder, then run it again."
    )


def python_for(arguments: list[str]) -> Path | None:
    """The Python that should run `course` with these arguments; None where this one will do.

    Makes or mends `.venv` where that is needed.

    Raises:
        Problem: the environment cannot be made.
    """
    root = Path(__file__).resolve().parent.parent
    asks_for_help = not arguments or not {"-h", "--help", "--version"}.isdisjoint(arguments)
    if asks_for_help or not (root / "constraints.txt").is_file():
        return None
    environment = root / ".venv"
    inside = environment.is_dir() and os.path.samefile(sys.prefix, environment)
    if not inside and has_everything():
        return None
    changed = make_ready(root, environment)
    return None if inside and not changed else python_in(environment)


def has_everything() -> bool:
    """Whether the environment that runs us, the person's own, has the course and all it needs."""
    try:
        importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return False
    return all(importlib.util.find_spec(name) for name in NEEDED_MODULES)


def make_ready(root: Path, environment: Path) -> bool:
    """Make or mend the environment as far as needed; whether anything was done.

    Raises:
        Problem: it cannot be made.
    """
    packages = packages_wanted(root)
    if what_is_missing(environment, packages) == "nothing":
        return False
    try:
        with only_one(environment, "Another command is making the environment; waiting for it."):
            make_what_is_missing(root, environment, packages)
    except OSError as error:
        raise Problem(
            f"{environment} cannot be written ({error.strerror}): see that the folder is yours and "
            "that the disk is not full, then run the same command again."
        ) from error
    return True


def make_what_is_missing(root: Path, environment: Path, packages: str) -> None:
    """Look again, since another command may just have done it, then make what is missing."""
    missing = what_is_missing(environment, packages)
    if missing == "nothing":
        return
    check_space(environment)
    if missing == "everything":
        create(environment)
    install_stamped(root, environment, packages)
    say("The environment is ready.")


def install_stamped(root: Path, environment: Path, packages: str) -> None:
    """Install the packages; until that is done, the stamp says that it is not."""
    python = python_in(environment)
    done = Stamp(str(environment), version_of(python) or "", packages)
    write_stamp(environment, replace(done, packages=""))
    say("Installing the packages of the course.")
    try:
        install(python, root, environment)
    except UnknownProblem:
        write_stamp(environment, replace(done, python="", packages=""))  # made anew next time
        raise
    write_stamp(environment, done)


def what_is_missing(
    environment: Path, packages: str
) -> Literal["nothing", "packages", "everything"]:
    """What has to be made, after a look at the stamp and at whether the Python inside starts.

    An environment without a stamp is a half-made one, or one that the person made: what is in it
    stays. A moved one cannot stay, because its programs have the old place written into them.
    """
    version = version_of(python_in(environment))
    stamp = read_stamp(environment)
    if version is None:
        return "everything"
    if stamp is None:
        return "packages" if version == "{}.{}".format(*sys.version_info) else "everything"
    if (stamp.place, stamp.python) != (str(environment), version):
        return "everything"
    return "nothing" if stamp.packages == packages else "packages"


def packages_wanted(root: Path) -> str:
    """A fingerprint of everything that decides which packages belong into the environment."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    names = ("requires-python", "dependencies", "optional-dependencies", "scripts")
    wanted = {name: project.get(name) for name in names}
    wanted["constraints"] = (root / "constraints.txt").read_text("utf-8").splitlines()
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def python_in(environment: Path) -> Path:
    """Where the Python of a virtual environment lies."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def version_of(python: Path) -> str | None:
    """Such as "3.11"; None where this Python does not start or has no pip."""
    program = "import sys, pip; print('{}.{}'.format(*sys.version_info))"
    try:
        answer = subprocess.run(
            [python, "-c", program], capture_output=True, encoding="utf-8", errors="replace"
        )
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def read_stamp(environment: Path) -> Stamp | None:
    """The stamp, or None where there is none that can be read."""
    try:
        return Stamp(**json.loads((environment / STAMP).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_stamp(environment: Path, stamp: Stamp) -> None:
    """Keep the stamp; one without `packages` marks an environment that is being worked on."""
    (environment / STAMP).write_text(json.dumps(asdict(stamp), indent=1), "utf-8")


def check_space(environment: Path) -> None:
    """
    Raises:
        Problem: the disk has too little room for the environment.
    """
    free = shutil.disk_usage(environment.parent).free / 1e9
    if free >= NEEDED_GB:
        return
    taken = sum(file.lstat().st_size for file in environment.rglob("*")) / 1e9
    if free + taken < NEEDED_GB:
        raise Problem(
            f"The course needs {NEEDED_GB:.0f} GB of disk space for its packages and only "
            f"{free:.1f} GB are free: free some, then run the same command again."
        )


def create(environment: Path) -> None:
    """Make an empty environment with pip in it, in place of whatever lies there.

    Raises:
        Problem: this Python cannot.
    """
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        version = "{}.{}".format(*sys.version_info)
        raise Problem(
            f"This Python ({sys.executable}) cannot make environments: on Debian or Ubuntu run "
            f"`sudo apt install python{version}-venv`, elsewhere install Python from python.org, "
            "then run the same command again."
        )
    say(f"Making the course's own environment in {environment}: a few minutes, once.")
    base = getattr(sys, "_base_executable", sys.executable)
    command = [base, "-m", "venv", "--clear", str(environment)]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if answer.returncode != 0:
        reason = (answer.stderr + answer.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise Problem(
            f"{environment} could not be made ({reason[0]}): see that its folder is yours and that "
            "no program uses it, then run the same command again."
        )


def say(sentence: str) -> None:
    """A line for people, on the side of what the command itself prints."""
    print(sentence, file=sys.stderr, flush=True)
