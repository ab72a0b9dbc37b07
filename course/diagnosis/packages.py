"""Python and the installed packages, against what the course was tested with."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from course.diagnosis.ask import NoAnswer
from course.diagnosis.finding import GOOD, NOTE, PROBLEM, Finding
from course.environment import DISTRIBUTION

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"  # only a clone has it
EXTRAS = ("torch", "tensorflow", "notebook")
MOST_NAMED = 3  # packages in one line


def python() -> Finding:
    """The version of Python."""
    version = platform.python_version()
    facts = {"version": version}
    needed = SpecifierSet(importlib.metadata.metadata(DISTRIBUTION)["Requires-Python"])
    if needed.contains(version, prereleases=True):
        return Finding("python", GOOD, version, facts=facts)
    words = f"{version}, and the course needs {needed}"
    remedy = "Install Python 3.11 from python.org, then the course with it."
    return Finding("python", PROBLEM, words, remedy, facts)


def packages() -> Finding:
    """The packages that the course names: those missing, outside the range, or not as tested.

    The exact versions are those of constraints.txt, so only a clone knows them. Which of the two
    builds of TensorFlow is there, if any, is for the finding about TensorFlow.
    """
    missing, unfit, other, tested = [], [], [], tested_versions()
    count, is_needed = 0, False
    for requirement, extra in requirements():
        name, installed = requirement.name, version_of(requirement.name)
        if installed is None:
            if extra != "tensorflow":
                missing.append(name)
                # The tools around the notebooks may be somebody else's, as in an editor.
                is_needed |= extra != "notebook"
            continue
        count += 1
        exact = tested.get(canonicalize_name(name))
        if not requirement.specifier.contains(installed, prereleases=True):
            unfit.append(f"{name} {installed} (needed: {requirement.specifier})")
        elif exact and Version(installed).public != exact:
            other.append(f"{name} {installed} (tested: {exact})")
    facts = {"missing": missing, "unfit": unfit, "not_as_tested": other}
    if missing or unfit:
        parts = [f"not installed: {named(missing)}"] if missing else []
        parts += [f"does not fit: {named(unfit)}"] if unfit else []
        level = PROBLEM if unfit or is_needed else NOTE
        return Finding("packages", level, "; ".join(parts), f"Run: {install_command()}", facts)
    if other:
        words = f"{len(other)} of {count} are not as tested: {named(other)}"
        remedy = f"Should a lesson fail, run: {install_command()}"
        return Finding("packages", NOTE, words, remedy, facts)
    words = f"{count} as tested" if tested else f"{count} within the course's ranges"
    return Finding("packages", GOOD, words, facts=facts)


def numpy(answer: dict | NoAnswer) -> Finding:
    """Whether NumPy works, and whether it was replaced under code that runs."""
    recorded = importlib.metadata.version("numpy")
    again = "Run: python -m pip install --force-reinstall --no-deps " + wanted("numpy")
    facts = {"version": recorded, "stale_kernels": 0}
    if isinstance(answer, NoAnswer):
        return Finding("numpy", PROBLEM, str(answer), again, facts)
    if answer["version"] != recorded:
        words = f"half replaced: its code is of version {answer['version']}, its record {recorded}"
        return Finding("numpy", PROBLEM, words, again, facts)
    loaded = getattr(sys.modules.get("numpy"), "__version__", recorded)
    if loaded != recorded:
        words = f"this kernel still runs {loaded}, and {recorded} has been installed since"
        remedy = "Restart the kernel (menu Kernel), then run the notebook from the top."
        return Finding("numpy", PROBLEM, words, remedy, facts)
    facts["stale_kernels"] = stale = sum(1 for _ in stale_kernels())
    if stale:
        words = f"{recorded}, installed while {stale} notebook kernel{'s' * (stale > 1)} ran"
        remedy = "Restart the kernel of each open notebook (menu Kernel)."
        return Finding("numpy", NOTE, words, remedy, facts)
    return Finding("numpy", GOOD, recorded, facts=facts)


def stale_kernels() -> Iterator[psutil.Process]:
    """This person's kernels, of this environment, that started before NumPy was installed.

    The time of the last change of state counts too, where the system keeps it: an installer that
    links files from its cache leaves the time of their content as it was.
    """
    file = Path(importlib.metadata.distribution("numpy").locate_file("numpy/__init__.py"))
    installed = max(file.stat().st_mtime, file.stat().st_ctime)
    me = psutil.Process().username()
    for process in psutil.process_iter(["cmdline", "create_time", "username"]):
        words = process.info["cmdline"] or []
        is_kernel = any(word.startswith("ipykernel") for word in words)
        is_mine = process.info["username"] == me and words[:1] == [sys.executable]
        if is_kernel and is_mine and process.info["create_time"] < installed:
            yield process


def requirements() -> Iterator[tuple[Requirement, str]]:
    """Each package that the course names for this machine, and the extra that asks for it."""
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        requirement = Requirement(line)
        for extra in ("", *EXTRAS):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield requirement, extra
                break


def tested_versions() -> dict[str, str]:
    """The exact version of each package, by its canonical name; {} where there is no clone."""
    if not CONSTRAINTS.is_file():
        return {}
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line]
    return {canonicalize_name(name): version for name, version in pairs}


def wanted(name: str) -> str:
    """What to hand to pip for the tested version of a package, or for any where none is known."""
    version = tested_versions().get(canonicalize_name(name))
    return f"{name}=={version}" if version else name


def install_command(extras: str = ",".join(EXTRAS)) -> str:
    """The command that installs the course with these extras, for a clone or without one."""
    if CONSTRAINTS.is_file():
        return f'python -m pip install -c constraints.txt -e ".[{extras}]"'
    return f'python -m pip install "{DISTRIBUTION}[{extras}]"'


def version_of(name: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def named(things: list[str]) -> str:
    """The first few of them, in words."""
    rest = len(things) - MOST_NAMED
    return ", ".join(things[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
