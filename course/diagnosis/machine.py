"""Memory, disk and folders of this machine, its profile, and how long the lessons take on it."""

import os
import shutil
import tempfile
from pathlib import Path

import psutil

from course import benchmark, progress, results
from course.checking import memory as memory_limits
from course.datasets.recipes import SETS
from course.diagnosis.ask import NoAnswer
from course.diagnosis.finding import GOOD, NOTE, PROBLEM, Finding
from course.diagnosis.packages import CONSTRAINTS

SPARE_GB = 1.0  # on the disk, beside the data sets: a student's notebooks, pictures, saved models


def profile_of(torch: dict | NoAnswer, numpy: dict) -> str:
    """The profile that a lesson would choose: "smoke", "cpu" or "gpu"; "cpu" where none can."""
    by_torch = torch["profile"] if isinstance(torch, dict) else None
    return by_torch or numpy["profile"] or "cpu"


def profile(chosen: str, numpy: dict) -> Finding:
    """The profile and why it is this one; the settings that every lesson reads."""
    facts = {"profile": chosen}
    if faults := numpy["faults"]:
        # Each says what is wrong and, after a semicolon, what to do about it.
        parts = [fault.rstrip(".").split("; ") for fault in faults]
        words = ", ".join(wrong for wrong, _ in parts)
        remedy = "; ".join(f"{wrong.partition(' ')[0]}: {todo}" for wrong, todo in parts)
        return Finding("profile", PROBLEM, words, f"{remedy}.", facts)
    if os.environ.get("COURSE_PROFILE", "").strip():
        return Finding("profile", GOOD, f"{chosen}, as COURSE_PROFILE says", facts=facts)
    why = "an NVIDIA card that torch can use" if chosen == "gpu" else "no GPU that torch can use"
    return Finding("profile", GOOD, f"{chosen}, since there is {why}", facts=facts)


def memory(chosen: str) -> Finding:
    """Memory against what the largest lesson was measured to need."""
    group = memory_limits.group_limit()
    total = min(psutil.virtual_memory().total, group or float("inf")) / 1e9
    free = memory_limits.bytes_free() / 1e9
    needs = {name: one["peak_memory_mb"] / 1e3 for name, one in budgets(chosen).items()}
    lesson = max(needs, key=needs.get, default=None)
    need = needs.get(lesson, 0.0)
    words = f"{free:.1f} GB free of {total:.1f} GB"
    words += f"; the largest lesson, {lesson}, needs {need:.1f} GB" if lesson else ""
    facts = {"total_gb": round(total, 1), "free_gb": round(free, 1), "needed_gb": round(need, 1)}
    if total < need:
        remedy = "Take another machine for this lesson, or set COURSE_PROFILE=smoke."
        return Finding("memory", PROBLEM, words, remedy, facts)
    if free < need:
        return Finding("memory", NOTE, words, "Close other programs and notebooks.", facts)
    return Finding("memory", GOOD, words, facts=facts)


def disk() -> Finding:
    """Room where the course writes, against the data sets and some spare room."""
    places = [nearest(path) for path in folders().values()]
    free = min(shutil.disk_usage(place).free for place in places) / 1e9
    need = SPARE_GB + sum(recipe.megabytes for recipe in SETS.values()) / 1e3
    facts = {"free_gb": round(free, 1), "needed_gb": round(need, 1)}
    words = f"{free:.1f} GB free"
    if free >= need:
        return Finding("disk", GOOD, words, facts=facts)
    words += f"; all data sets and your own work take {need:.1f} GB"
    return Finding(
        "disk", NOTE, words, "Free some room, or name another disk in COURSE_CACHE.", facts
    )


def writable() -> Finding:
    """Whether the folders can be written to in which the course keeps something."""
    faults = {name: fault for name, path in folders().items() if (fault := why_not(path))}
    facts = {"not_writable": sorted(faults)}
    if not faults:
        return Finding("folders", GOOD, f"{', '.join(folders())} can be written to", facts=facts)
    words = ", ".join(f"{name} ({fault})" for name, fault in faults.items())
    remedy = {
        "progress": "set COURSE_HOME to a folder of yours",
        "data cache": "set COURSE_CACHE to a folder of yours",
        "my_course": "move the clone to a folder of yours",
    }
    todo = "; ".join(remedy[name] for name in faults)
    return Finding(
        "folders", NOTE, f"cannot be written to: {words}", f"{todo[0].upper()}{todo[1:]}.", facts
    )


def lessons(chosen: str, numpy: dict) -> Finding:
    """How long each lesson should take here, from the small benchmark here and there.

    Where there is none to compare with, the time measured elsewhere is shown as it is; so too on a
    GPU, of which the benchmark, which runs on the CPU, says nothing.
    """
    here = numpy["benchmark"]
    known = budgets(chosen)
    scaled = {
        name: benchmark.estimate(budget["seconds"], budget["benchmark"], here)
        for name, budget in known.items()
        if chosen != "gpu" and "benchmark" in budget
    }
    elsewhere = {name: known[name]["seconds"] for name in known if name not in scaled}
    facts = {
        "seconds": {name: [round(edge, 1) for edge in edges] for name, edges in scaled.items()},
        "seconds_elsewhere": elsewhere,
        "benchmark_ms": benchmark.mean_of(here),
    }
    parts = []
    if scaled:
        listed = ", ".join(f"{name} {span(*edges)}" for name, edges in scaled.items())
        parts.append(f"estimated from a small benchmark: {listed}")
    if elsewhere:
        listed = ", ".join(f"{name} {span(time, time)}" for name, time in elsewhere.items())
        parts.append(f"as measured on another machine: {listed}")
    times = "; ".join(parts) or "none is known yet"
    return Finding("lessons", GOOD, f"computing time in profile {chosen}, {times}", facts=facts)


def budgets(chosen: str) -> dict[str, dict]:
    """What each lesson was measured to need in this profile."""
    measured = results.expected()["lessons"]
    return {name: tables[chosen] for name, tables in measured.items() if chosen in tables}


def span(least: float, most: float) -> str:
    """Such as "8–12 s" or "2–3 min"."""
    unit, size = ("min", 60) if most >= 120 else ("s", 1)
    low, high = max(1, round(least / size)), max(1, round(most / size))
    return f"{low} {unit}" if low == high else f"{low}–{high} {unit}"


def folders() -> dict[str, Path]:
    """The folders in which the course keeps something, by what it is."""
    found = {
        "progress": progress.path().parent,
        "data cache": next(iter(SETS.values())).cache.parent,
    }
    return found | ({"my_course": CONSTRAINTS.parent} if CONSTRAINTS.is_file() else {})


def nearest(path: Path) -> Path:
    """The folder, or the nearest one above it that exists; a drive may be missing altogether."""
    return next((place for place in (path, *path.parents) if os.path.lexists(place)), path)


def why_not(path: Path) -> str:
    """Why nothing can be written in this folder, or in the one in which it would be made; or ""."""
    try:
        with tempfile.TemporaryFile(dir=nearest(path)):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__
