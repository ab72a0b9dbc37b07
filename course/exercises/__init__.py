"""Exercises: the decorator that checks an answer at once, and the list of all of them.

Each lesson's exercises are a module, or a folder of modules, here. It is loaded, with the framework
that it needs, when one of them is asked for.

    @exercise("mlp.relu")
    def relu(z): ...

A right answer stays; in place of a missing or wrong one the course's own answer is bound, so that
the rest of the notebook runs. With COURSE_STRICT=1, and under nbgrader, nothing is replaced and a
missing or wrong answer raises ExerciseError.
"""

import contextlib
import difflib
import functools
import importlib
import os
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from course import catalog as listed
from course import hardware, progress, results
from course.checking.engine import Exercise, run_check
from course.checking.verdict import CheckResult

__all__ = ["CheckResult", "Entry", "ExerciseError", "catalog", "check", "discover", "exercise"]


class ExerciseError(AssertionError):
    """A missing or wrong answer, in strict mode."""


@dataclass(frozen=True)
class Entry:
    """One exercise as listed: difficulty from 1 to 3."""

    name: str
    lesson: str
    title: str
    minutes: int
    difficulty: int

    @property
    def reference(self) -> Any:
        """The course's own answer, a function or class; loads the exercise's module."""
        return _find(self.name).reference


def exercise(name: str, seed: int | None = None) -> Callable[[Any], Any]:
    """Decorator: check the function or class below at once and show the verdict.

    seed: the one that an earlier verdict showed, to repeat its inputs.

    Raises:
        ValueError: there is no exercise of this name.
        ExerciseError: in strict mode, the answer is missing or wrong.
    """
    found = _find(name)

    def decorate(candidate: Any) -> Any:
        result = run_check(found, candidate, seed)
        strict = _strict()  # then whoever grades runs this, not the student
        if result.status != "not started" and not strict:
            progress.record(name, result.passed)
        if strict and not result.passed:
            raise ExerciseError(str(result))
        results.note_answer(name, own=result.passed)
        _show(result if strict else _with_progress(result))
        return candidate if result.passed else found.reference

    return decorate


def check(name: str, candidate: Any, seed: int | None = None) -> CheckResult:
    """Check any object as the answer to an exercise; nothing is shown, bound or recorded.

    Raises:
        ValueError: there is no exercise of this name.
    """
    return run_check(_find(name), candidate, seed)


def catalog() -> list[Entry]:
    """Every exercise of the course in the order of the lessons; loads none of their modules.

    Raises:
        Problem: `course build` has not written the list.
    """
    return [
        Entry(entry.name, lesson.name, entry.title, entry.minutes, entry.difficulty)
        for lesson in listed.lessons()
        for entry in lesson.exercises
    ]


def discover() -> list[Entry]:
    """What `course build` makes the catalog from: loads every module, so every framework."""
    return [
        Entry(e.name, loaded.LESSON, e.title, e.minutes, e.difficulty)
        for loaded in sorted(map(_module, _module_names()), key=lambda module: module.LESSON)
        for e in loaded.EXERCISES
    ]


def _module_names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]


@functools.cache
def _module(name: str) -> Any:
    """The exercises of one lesson, with the framework that it needs and no other."""
    twin = name.endswith(listed.TWIN)
    with hardware.quiet_tensorflow() if twin else contextlib.nullcontext():
        return importlib.import_module(f"course.exercises.{name}")


def _find(name: str) -> Exercise:
    stem = str(name).partition(".")[0]
    if stem in _module_names():
        for found in _module(stem).EXERCISES:
            if found.name == name:
                return found
    known = [entry.name for entry in catalog()]
    near = difflib.get_close_matches(str(name), known, n=1)
    first = f"the first one is {known[0]!r}." if known else "no lesson has any yet."
    hint = f"did you mean {near[0]!r}?" if near else first
    raise ValueError(f"There is no exercise {name!r}; {hint}")


def _strict() -> bool:
    graded = bool(os.environ.get("NBGRADER_EXECUTION"))
    return graded or os.environ.get("COURSE_STRICT", "") not in ("", "0")


def _with_progress(result: CheckResult) -> CheckResult:
    """Add how much of the lesson is done."""
    module = _module(result.name.partition(".")[0])
    names = [entry.name for entry in module.EXERCISES]
    done = progress.passed() | ({result.name} if result.passed else set())
    count = sum(name in done for name in names)
    twin = " in TensorFlow" if module.LESSON.endswith(listed.TWIN) else ""
    text = f"Lesson {module.LESSON[:2]}{twin}: {count} of {len(names)} exercises done."
    return replace(result, progress=text if result.passed else "")


def _show(result: CheckResult) -> None:
    """As HTML in a notebook, as plain text elsewhere."""
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        from IPython.display import display

        display(result)
    else:
        # A terminal or file of Windows may lack the symbols.
        encoding = sys.stdout.encoding or "utf-8"
        print(str(result).encode(encoding, "replace").decode(encoding))
