"""torch, TensorFlow and the NVIDIA card, as a lesson would meet them."""

import re
import shutil
import subprocess

from packaging.version import Version

from course import catalog
from course.diagnosis.ask import Missing, NoAnswer, Silent
from course.diagnosis.finding import GOOD, NOTE, PROBLEM, Finding
from course.diagnosis.packages import install_command, named, version_of, wanted

TITLES = {"torch": "torch", "tensorflow": "TensorFlow"}
SECONDS_FOR_DRIVER = 10


def framework(name: str, answer: dict | NoAnswer) -> Finding:
    """Whether "torch" or "tensorflow" works, and what it sees as its device.

    A problem only where a lesson needs it; the lessons of TensorFlow end in `_tensorflow`.
    """
    if isinstance(answer, dict):
        words = f"{answer['version']}, computes on {device_words(answer)}"
        facts = {"version": answer["version"], "device": answer["device"], "cuda": answer["cuda"]}
        return Finding(name, GOOD, words, facts=facts)
    affected = lessons_with(name)
    lost = f"; {named(affected)} cannot run" if affected else "; no lesson needs it yet"
    level = PROBLEM if affected else NOTE
    facts = {"version": None, "device": None, "cuda": None}
    return Finding(name, level, f"{answer}{lost}", remedy_for(name, answer), facts)


def device_words(answer: dict) -> str:
    """The device, for people."""
    return "the CPU" if answer["device"] == "CPU" else f"the GPU ({answer['device']})"


def remedy_for(name: str, fault: NoAnswer) -> str:
    """What to do about a framework that is missing, broken or silent."""
    if isinstance(fault, Missing):
        return f"Run: {install_command(name)}"
    if isinstance(fault, Silent):
        return f'See whether `python -c "import {name}"` ever ends; restart the machine if not.'
    if "SIGILL" in str(fault):
        return f"This processor is too old for this build of {TITLES[name]}: take another machine."
    package = "tensorflow-cpu" if name == "tensorflow" and version_of("tensorflow-cpu") else name
    return f"Run: python -m pip install --force-reinstall --no-deps {wanted(package)}"


def lessons_with(name: str) -> list[str]:
    """The lessons that need this framework."""
    names = [lesson.name for lesson in catalog.lessons()]
    return [one for one in names if one.endswith("_tensorflow") == (name == "tensorflow")]


def nvidia(torch: dict | NoAnswer) -> Finding:
    """The NVIDIA card and its driver against the build of torch, which alone uses a GPU here."""
    if shutil.which("nvidia-smi") is None:
        return _without_card(torch["cuda"] if isinstance(torch, dict) else None)
    try:
        words, newest_cuda = driver()
    except NoAnswer as fault:
        facts = {"card": None, "cuda": None}
        remedy = "Restart the machine; if that does not help, install NVIDIA's driver again."
        return Finding("nvidia", NOTE, f"nvidia-smi {fault}", remedy, facts)
    facts = {"card": words, "cuda": newest_cuda}
    if not isinstance(torch, dict):
        return Finding("nvidia", NOTE, f"{words}; torch cannot use it", "Mend torch first.", facts)
    if torch["device"] != "CPU":
        return Finding("nvidia", GOOD, f"{words}; torch uses it", facts=facts)
    if torch["cuda"] is None:
        words += "; torch is a build for the CPU alone and does not use it"
        return Finding("nvidia", NOTE, words, f"Run: {_build_for_this_machine()}", facts)
    words += f" (up to CUDA {newest_cuda})" if newest_cuda else ""
    words += f"; torch, built for CUDA {torch['cuda']}, cannot use it"
    if newest_cuda and Version(newest_cuda) < Version(torch["cuda"]):
        remedy = f"Install a newer NVIDIA driver, or run: {_build_for_this_machine()}"
    else:
        remedy = "See that CUDA_VISIBLE_DEVICES is not set; restart the machine."
    return Finding("nvidia", NOTE, words, remedy, facts)


def _without_card(cuda: str | None) -> Finding:
    facts = {"card": None, "cuda": None}
    if cuda is None:
        return Finding("nvidia", GOOD, "no card, none is needed", facts=facts)
    return Finding(
        "nvidia",
        NOTE,
        f"no card, yet torch came with several GB of libraries for CUDA {cuda}",
        f"It works as it is; to save the room, run: {_build_for_this_machine()}",
        facts,
    )


def _build_for_this_machine() -> str:
    # uv knows where each build of torch lies, and which one this driver can use.
    return (
        "python -m pip install uv, then "
        f"python -m uv pip install --torch-backend=auto --reinstall-package torch {wanted('torch')}"
    )


def driver() -> tuple[str, str | None]:
    """Card and driver in words, and the newest version of CUDA that the driver knows.

    Raises:
        NoAnswer: nvidia-smi fails or hangs.
    """
    query = ["--query-gpu=name,driver_version", "--format=csv,noheader"]
    cards = [line.split(", ") for line in _nvidia_smi(*query).splitlines()]
    newest = re.search(r"CUDA Version: ([\d.]+)", _nvidia_smi())
    name, version = cards[0][0], cards[0][-1]
    several = f"{len(cards)} x " if len(cards) > 1 else ""
    return f"{several}{name}, driver {version}", newest[1] if newest else None


def _nvidia_smi(*arguments: str) -> str:
    try:
        answer = subprocess.run(
            ["nvidia-smi", *arguments],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS_FOR_DRIVER,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise NoAnswer("does not answer") from None
    if answer.returncode != 0 or not answer.stdout.strip():
        reason = (answer.stdout + answer.stderr).strip().splitlines()[:1] or ["no reason given"]
        raise NoAnswer(f"fails ({reason[0]})")
    return answer.stdout.strip()
