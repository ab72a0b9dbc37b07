"""The list of lessons and exercises, read without loading a framework or a single exercise.

`course build` writes the list from lessons/ and course/exercises/; it is committed.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources

from course.problem import Problem

TWIN = "_tensorflow"  # ends the name of the same lesson in the other framework


@dataclass(frozen=True)
class Exercise:
    """One exercise as listed: difficulty from 1 to 3, stub is its source text in the lesson."""

    name: str
    title: str
    minutes: int
    difficulty: int
    stub: str


@dataclass(frozen=True)
class Lesson:
    """One lesson: its name such as "01_mlp", its title, its exercises in their order."""

    name: str
    title: str
    exercises: tuple[Exercise, ...]

    @property
    def number(self) -> str:
        """The two digits before the name; the same lesson in another framework shares them."""
        return self.name[:2]


@functools.cache
def lessons() -> tuple[Lesson, ...]:
    """Every lesson of the course in its order.

    Raises:
        Problem: the file is not there or cannot be read.
    """
    file = resources.files("course.exercises") / "catalog.json"
    try:
        return tuple(
            Lesson(
                lesson["name"],
                lesson["title"],
                tuple(Exercise(**entry) for entry in lesson["exercises"]),
            )
            for lesson in json.loads(file.read_text("utf-8"))
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Problem(
            f"The list of lessons, {file}, is missing or spoilt: in a clone run `course build`; "
            "elsewhere install the course again."
        ) from error
