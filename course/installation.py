"""Runs pip for `.venv`: its words go to a log, the person sees one line of what is happening.

Needs only the standard library.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from course.problem import Problem

EXTRAS = "torch,tensorflow,notebook,weights,dev"
LOG = "course-setup.log"
SECONDS_BETWEEN_PLAIN_LINES = 15

# What pip's log holds when something failed, the first match counts, and what to tell the person.
KNOWN_FAILURES = (
    (
        r"No space left on device|\[Errno 28\]|WinError 112",
        "The disk became full: free 5 GB, or 9 GB where torch comes with NVIDIA's libraries",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "The package registry's certificate was not accepted: ask whoever runs this network which "
        "certificate pip should trust",
    ),
    (
        r"Retrying \(Retry|Max retries|Read timed out|ReadTimeoutError|ConnectionError"
        r"|ConnectTimeout|ProxyError|IncompleteRead|Temporary failure in name resolution",
        "The package registry could not be reached: check the network",
    ),
    (
        r"Permission denied|\[Errno 13\]|WinError 5\b|Read-only file system",
        "A file could not be written: close programs that use .venv and see that the folder is "
        "yours",
    ),
)


class UnknownProblem(Problem):
    """pip failed in a way that we do not know, so what it left cannot be trusted."""


def install(python: Path, root: Path, environment: Path) -> None:
    """Install the course, editable, with the exact versions of constraints.txt.

    Raises:
        Problem: pip failed; what it had already installed stays.
    """
    command = [python, "-m", "pip", "install", "--progress-bar", "off", "--no-input"]
    command += ["--disable-pip-version-check", "-c", "constraints.txt", "-e", f".[{EXTRAS}]"]
    # A `user = true` in the person's pip settings would make pip refuse to work in .venv.
    settings = os.environ | {"PIP_USER": "0", "PYTHONIOENCODING": "utf-8"}
    log_path = environment / LOG
    forget_half_unpacked(environment)
    with log_path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        progress = Progress(environment, count_packages(root / "constraints.txt"))
        try:
            for line in lines_as_they_come(process):
                log.write(line)
                progress.show(line)
        finally:
            progress.close()
            stop(process)
    if process.returncode != 0:
        raise problem_in(log_path)


def forget_half_unpacked(environment: Path) -> None:
    """Make pip install again what it was unpacking when it was stopped; RECORD comes last."""
    for metadata in installed(environment):
        if not (metadata / "RECORD").is_file():
            shutil.rmtree(metadata)


def count_packages(constraints: Path) -> int:
    """How many packages constraints.txt names."""
    return sum("==" in line for line in constraints.read_text("utf-8").splitlines())


def lines_as_they_come(process: subprocess.Popen[str]) -> Iterator[str]:
    """Each line of the process, and an empty string for every second without one."""
    queue: Queue[str | None] = Queue()

    def read() -> None:
        for line in process.stdout:
            queue.put(line)
        queue.put(None)

    Thread(target=read, daemon=True).start()
    while True:
        try:
            line = queue.get(timeout=1)
        except Empty:
            line = ""
        if line is None:
            return
        yield line


def stop(process: subprocess.Popen) -> None:
    """Wait for a process that is ending; one that is not, end."""
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def problem_in(log_path: Path) -> Problem:
    """Why pip failed, for people, from its log."""
    log = log_path.read_text("utf-8", errors="replace")
    known = [sentence for pattern, sentence in KNOWN_FAILURES if re.search(pattern, log)]
    missing = re.search(r"No matching distribution found for (\S+)", log)
    errors = re.findall(r"^ERROR: (.+)", log, flags=re.MULTILINE)
    if not known and missing:
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        known.append(
            f"There is no {missing[1]} for this machine ({machine}): take another Python or "
            "another machine"
        )
    if known:
        return Problem(
            f"{known[0]}, then run the same command again; it goes on from here (log: {log_path})."
        )
    reason = errors[-1] if errors else "it did not say why"
    return UnknownProblem(
        f"pip could not install the packages ({reason}): read {log_path}, then run the same "
        "command again; it starts afresh."
    )


class Progress:
    """What pip is doing: one line, rewritten, on a terminal; else a plain one at times."""

    def __init__(self, environment: Path, expected: int) -> None:
        self.environment = environment
        self.expected = expected
        self.found: set[str] = set()
        self.fetched: set[str] = set()
        self.doing = "starting pip"
        self.started = self.last_shown = time.monotonic()
        self.width = 0

    def show(self, line: str) -> None:
        """Take in one line of pip's and show where things stand."""
        self.read(line)
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        text = f"  {minutes}:{seconds:02d}  {self.doing}"
        if sys.stderr.isatty():
            text = text[: shutil.get_terminal_size().columns - 1]
            print("\r" + text.ljust(self.width), end="", file=sys.stderr, flush=True)
            self.width = len(text)
        elif time.monotonic() - self.last_shown >= SECONDS_BETWEEN_PLAIN_LINES:
            self.last_shown = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def read(self, line: str) -> None:
        """Change what is shown where the line says something new."""
        total = f"of about {self.expected}"
        if match := re.match(
            r"\s*(?:Collecting |Requirement already satisfied: |Processing .*[/\\])"
            r"([\w.-]+?)(?:-\d|[^\w.-])",
            line,
        ):
            self.found.add(match[1])
            self.doing = f"looking up package {len(self.found)} {total}"
        elif match := re.match(
            r"\s*(?:Downloading|Using cached) ([\w.]+)-\S+(?:whl|gz) (\(.+\))", line
        ):
            self.fetched.add(match[1])
            self.doing = f"fetching package {len(self.fetched)} {total}: {match[1]} {match[2]}"
        elif "Retrying (Retry" in line:
            self.doing = "no answer from the package registry, trying again"
        elif line.startswith("Installing collected packages"):
            self.doing = "unpacking"
        elif self.doing.startswith("unpacking"):
            self.doing = f"unpacking package {len(installed(self.environment))} {total}"

    def close(self) -> None:
        """End the line on a terminal."""
        if self.width:
            print(file=sys.stderr)


def installed(environment: Path) -> list[Path]:
    """The metadata folder of each package that lies in an environment."""
    patterns = ("lib/python*/site-packages/*.dist-info", "Lib/site-packages/*.dist-info")
    return [folder for pattern in patterns for folder in environment.glob(pattern)]
