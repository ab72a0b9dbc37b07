"""`course test`: everything that CI runs, as one pytest run."""

import os
import signal
import subprocess
import sys

from course.environment import checkout
from course.problem import Problem


def test(arguments: list[str]) -> int:
    """Run pytest over tests/ of the checkout (the style checks are tests too); its exit status.

    `arguments` go to pytest after our own. A process that is done takes tests from another, so
    that the notebooks, each one test in a process and a kernel of its own, are shared out.
    """
    root = checkout()
    if not (root / "tests").is_dir():
        raise Problem(f"There are no tests in {root}: run `course test` in a clone of the course.")
    # One more than cores, since a test often waits: for a kernel, a browser, the end of a limit.
    workers = min(os.cpu_count() or 1, 4) + 1
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", "worksteal"]
    # A core for each process: where there are more threads, torch's wait for each other, and that
    # waiting is counted as computing.
    environment = {"OMP_NUM_THREADS": "1"} | os.environ
    # A shell's background job ignores Ctrl-C, and so would every program that a test stops with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.call([*command, *arguments], cwd=root, env=environment)
