"""How long the things take that a student waits for: `python tests/benchmarks/timings.py`.

Prints median, fastest and slowest of several tries, after one try that warms up the caches.
The two commands are timed as whole processes, with the start of Python.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

COMMANDS = {
    "import course": "import course",
    "course --help": "import sys; from course.cli import main; sys.exit(main(['--help']))",
}
TRIES = 7


def timed(
    action: Callable[[], object],
    tries: int = TRIES,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds that the action took in each try, by the clock."""
    action()
    seconds = []
    for _ in range(tries):
        started = clock()
        action()
        seconds.append(clock() - started)
    return seconds


def processor_seconds() -> float:
    """Seconds of computing of this process and of those that it waited for."""
    return sum(os.times()[:4])


def run_python(code: str) -> None:
    """Run the code in a new Python; raises CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def load_sample() -> None:
    """Load the embedded digits."""
    from course.data import mnist

    mnist(quiet=True)


def exercise_checks() -> dict[str, Callable[[], object]]:
    """Exercise name → a check of its reference answer, the longest that a check can be."""
    from course.exercises import catalog, check

    return {
        entry.name: lambda entry=entry: check(entry.name, entry.reference) for entry in catalog()
    }


def main() -> None:
    """Print a line for each thing timed."""
    os.environ["COURSE_PROFILE"] = "smoke"  # the sample, whatever else is on this machine
    from course import hardware

    actions = {name: lambda code=code: run_python(code) for name, code in COMMANDS.items()}
    actions["load the sample"] = load_sample
    actions |= {f"check {name}": action for name, action in exercise_checks().items()}
    width = max(map(len, actions))
    print(f"{hardware.describe()}; Python {sys.version.split()[0]}; {TRIES} tries each, seconds")
    print(f"{'':{width}}  median  fastest  slowest")
    for name, action in actions.items():
        tries = timed(action)
        figures = statistics.median(tries), min(tries), max(tries)
        print(f"{name:{width}}  {figures[0]:6.3f}  {figures[1]:7.3f}  {figures[2]:7.3f}")


if __name__ == "__main__":
    main()
