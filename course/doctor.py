"""`course doctor`: half a page on whether this machine is ready for the lessons.

`--json` gives an object with these keys, the same in every version with the same `format_version`:
"format_version", "course" (version), "system", "ready" (no lesson is kept from running), and
"findings": one entry for each of python, packages, numpy, torch, tensorflow, nvidia, profile,
memory, disk, folders, data and lessons. Every entry has "level" ("good", "note", "problem"),
"words" and "remedy" for people, and facts of its own:

    python      version
    packages    missing, unfit, not_as_tested
    numpy       version, stale_kernels (how many)
    torch, tensorflow   version, device, cuda (the version it was built for); null where broken
    nvidia      card, cuda (the newest version that the driver knows)
    profile     profile
    memory      total_gb, free_gb, needed_gb (by the largest lesson)
    disk        free_gb, needed_gb (by all data sets and some work)
    folders     not_writable
    data        addresses (host -> "answers" or a fault), bundle (fault of COURSE_DATA or "")
    lessons     seconds (lesson -> [least, most] to expect here), seconds_elsewhere (where no
                estimate is possible: as measured on another machine), benchmark_ms

An entry that could not be looked at has no facts. Where NumPy does not work, only the first three
entries are there. There is no name of a person, machine or folder.
"""

import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from course.diagnosis import packages, page
from course.diagnosis.ask import NoAnswer, answer_of
from course.diagnosis.finding import PROBLEM, Finding, guarded
from course.problem import Problem


def doctor(as_json: bool = False) -> int:
    """Look at this machine and print what was found; also of use in a notebook.

    Returns:
        0, or 1 where a lesson could not run.
    """
    findings = examine()
    print(page.as_json(findings) if as_json else page.as_text(findings))
    return 1 if any(finding.level == PROBLEM for finding in findings) else 0


def collect(folder: Path) -> int:
    """Print a table of what `--json` gave on many machines, a file each; 0 where all are ready.

    Raises:
        Problem: there is no such file in the folder.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise Problem(
            f"There is no file in {folder} that ends in .json: write one on each machine with "
            "`course doctor --json > NAME.json`, then bring them there."
        )
    table, all_ready = page.table_of(paths)
    print(table)
    return 0 if all_ready else 1


def examine() -> list[Finding]:
    """Every finding, in the order of the page; the first three where NumPy does not work."""
    with ThreadPoolExecutor() as pool:
        # First and alone, because it measures how fast this machine is.
        (numpy,) = answers({"numpy": pool.submit(answer_or_fault, "numpy")})
        findings = [
            guarded("python", packages.python),
            guarded("packages", packages.packages),
            guarded("numpy", packages.numpy, numpy),
        ]
        if isinstance(numpy, NoAnswer):
            return findings
        return findings + examine_the_rest(pool, numpy)


def examine_the_rest(pool: ThreadPoolExecutor, numpy: dict[str, Any]) -> list[Finding]:
    """What can only be looked at where NumPy works, because half of the course loads it."""
    from course.diagnosis import addresses, frameworks, machine

    torch, tensorflow, data = answers(
        {
            "torch": pool.submit(answer_or_fault, "torch"),
            "tensorflow": pool.submit(answer_or_fault, "tensorflow"),
            "the data addresses": pool.submit(guarded, "data", addresses.data),
        }
    )
    chosen = machine.profile_of(torch, numpy)
    return [
        guarded("torch", frameworks.framework, "torch", torch),
        guarded("tensorflow", frameworks.framework, "tensorflow", tensorflow),
        guarded("nvidia", frameworks.nvidia, torch),
        guarded("profile", machine.profile, chosen, numpy),
        guarded("memory", machine.memory, chosen),
        guarded("disk", machine.disk),
        guarded("folders", machine.writable),
        data,
        guarded("lessons", machine.lessons, chosen, numpy),
    ]


def answer_or_fault(library: str) -> dict[str, Any] | NoAnswer:
    """What a library says about itself, or why it does not."""
    try:
        return answer_of(library)
    except NoAnswer as fault:
        return fault


def answers(asked: dict[str, Future]) -> list[Any]:
    """The results of all of them; on a terminal a line says for which we wait, and how long."""
    started = time.monotonic()
    waiting = set(asked.values())
    shows = sys.stderr.isatty()
    while waiting:
        waiting = wait(waiting, timeout=0.2).not_done
        names = ", ".join(name for name, future in asked.items() if future in waiting)
        if shows:
            text = f"  {time.monotonic() - started:.0f} s, waiting for {names}" if names else ""
            print(f"\r{text:<70}\r", end="", file=sys.stderr, flush=True)
    return [future.result() for future in asked.values()]
