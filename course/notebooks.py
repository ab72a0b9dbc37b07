"""Build notebooks/ and solutions/ from lessons/: `course build`.

A notebook is its lesson with stubs and without outputs. A solution is the same with the
references' own source text in place of the stubs, executed.
"""

import copy
import json
import os
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from course.execution import execute
from course.exercises import catalog, discover
from course.publishing.lesson_checks import find_problems, output_problems
from course.publishing.lesson_notebook import (
    as_text,
    assemble,
    is_executed,
    right_answers,
    student_notebook,
    take_outputs,
    unexecuted_solution,
)
from course.publishing.lesson_opening import opening_texts
from course.publishing.lesson_source import Lesson, LessonError, Problem, read_lesson
from course.publishing.readme_table import with_table

CATALOG = Path("course", "exercises", "catalog.json")
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TextColumn("cells"),
    TimeElapsedColumn(),
)


def build(
    root: Path,
    check: bool,
    only: list[str],
    force: bool = False,
    entries: Sequence[Any] | None = None,
) -> int:
    """Bring notebooks/, solutions/, catalog.json and README's table in line with lessons/.

    Args:
        root: the repository.
        check: write nothing and execute nothing; only say what differs.
        only: lessons by number or name; none means all.
        force: execute solutions also where their code has not changed.
        entries: the exercises; the course's own where none are given.

    Returns:
        The exit status: 1 where something was refused, failed or (with `check`) differs.
    """
    entries = discover() if entries is None else entries
    lessons, problems = _read_lessons(root)
    unknown = [word for word in only if not any(_is_named(lesson, word) for lesson in lessons)]
    if unknown and not problems:
        names = ", ".join(lesson.name for lesson in lessons)
        print(f"There is no lesson {unknown[0]!r}; lessons/ has {names}.", file=sys.stderr)
        return 1
    chosen = [
        lesson for lesson in lessons if not only or any(_is_named(lesson, word) for word in only)
    ]
    places = {_place(lesson) for lesson in chosen}
    for problem in find_problems(root, lessons, entries):
        if not only or problem.path in places:
            problems.append(problem)
    if check:
        faulty = {problem.path for problem in problems}
        sound = [lesson for lesson in chosen if _place(lesson) not in faulty]
        problems += _differences(root, lessons, sound, entries)
    elif not problems:
        problems += _write_all(root, lessons, chosen, entries, force)
    for problem in sorted(set(problems)):
        print(problem, file=sys.stderr)
    if not problems:
        print("notebooks/ and solutions/ are up to date.")
    return 1 if problems else 0


def mixture(
    lesson: str | Path,
    solved: Callable[[int], bool],
    wrong: Mapping[str, str] | None = None,
    entries: Sequence[Any] | None = None,
) -> NotebookNode:
    """The lesson's notebook with some exercises answered, as a student half-way has it.

    Args:
        lesson: the lesson's name such as "01_mlp", or the path of its source.
        solved: whether the reference answers the exercise with this number, from 1.
        wrong: source text, by exercise, that replaces the stub where it is not solved.
        entries: the exercises; the course's own where none are given.
    """
    if isinstance(lesson, str):
        lesson = Path(__file__).resolve().parents[1] / "lessons" / f"{lesson}.py"
    source = read_lesson(lesson)
    entries = catalog() if entries is None else entries
    answers = {name: textwrap.dedent(text).strip("\n") for name, text in (wrong or {}).items()}
    right = right_answers(source, entries)
    for number, (_, stub) in enumerate(source.exercises(), start=1):
        if solved(number):
            answers[stub.name] = right[stub.name]
    return assemble(source, answers, opening_texts(lesson.parents[1], source.name, entries))


def _read_lessons(root: Path) -> tuple[list[Lesson], list[Problem]]:
    lessons, problems = [], []
    for path in sorted((root / "lessons").glob("*.py")):
        try:
            lessons.append(read_lesson(path))
        except LessonError as error:
            problems.append(error.problem)
    return lessons, problems


def _is_named(lesson: Lesson, word: str) -> bool:
    return word in (lesson.name, lesson.name.split("_")[0])


def _place(lesson: Lesson) -> str:
    return f"lessons/{lesson.path.name}"


def _write_all(
    root: Path, lessons: list[Lesson], chosen: list[Lesson], entries: Sequence[Any], force: bool
) -> list[Problem]:
    # The kernels that execute the solutions read the catalog, so it comes first.
    _write(root / CATALOG, _catalog_text(lessons, entries))
    for path in _orphans(root):
        path.unlink()
        print(f"{path.relative_to(root).as_posix()}: removed, it has no lesson")
    _write(root / "README.md", with_table(root, lessons, entries))
    problems = []
    for lesson in chosen:
        problems += _write_lesson(root, lesson, entries, force)
    return problems


def _write_lesson(root: Path, lesson: Lesson, entries: Sequence[Any], force: bool) -> list[Problem]:
    """Write the lesson's notebook and, unless its execution has a problem, its solution."""
    _write(
        root / "notebooks" / f"{lesson.name}.ipynb",
        as_text(student_notebook(root, lesson, entries)),
    )
    path = root / "solutions" / f"{lesson.name}.ipynb"
    solution = unexecuted_solution(root, lesson, entries)
    executed = _stored(path)
    if force or executed is None or not is_executed(executed, solution):
        executed = copy.deepcopy(solution)
        problems = _execute(lesson, executed)
        if problems:
            return problems
    take_outputs(executed, solution)
    problems = output_problems(lesson, solution)
    if not problems:
        _write(path, as_text(solution))
    return problems


def _execute(lesson: Lesson, solution: NotebookNode) -> list[Problem]:
    print(f"{lesson.name}: executing the solution")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Progress(*COLUMNS, transient=True, disable=not sys.stdout.isatty()) as progress,
    ):
        task = progress.add_task(lesson.name, total=None)
        result = execute(
            solution,
            _new_folder(folder, "work"),
            {
                "COURSE_PROFILE": "cpu",
                "COURSE_SEED": "0",
                "COURSE_CACHE": str(_new_folder(folder, "cache")),
                "COURSE_HOME": str(_new_folder(folder, "home")),
                "COURSE_DATA": "",
                "COURSE_RECORD": "",
                "COURSE_STRICT": "1",  # a reference that its own check rejects fails the build
            },
            on_cell=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if result.error is None:
        print(f"{lesson.name}: executed in {result.seconds:.0f} s")
        return []
    codes = [cell for cell in lesson.cells if cell.kind == "code"]
    failed = codes[int(progress.tasks[task].completed)]
    return [Problem(_place(lesson), failed.line, f"the solution fails: {result.error}")]


def _new_folder(parent: str, name: str) -> Path:
    folder = Path(parent, name)
    folder.mkdir()
    return folder


def _differences(
    root: Path, lessons: list[Lesson], chosen: list[Lesson], entries: Sequence[Any]
) -> list[Problem]:
    """What `course build` would change."""
    problems = [
        Problem(path.relative_to(root).as_posix(), 1, "has no lesson; run `course build`")
        for path in _orphans(root)
    ]
    if _read_text(root / CATALOG) != _catalog_text(lessons, entries):
        sentence = "is not what the lessons give; run `course build`"
        problems.append(Problem(CATALOG.as_posix(), 1, sentence))
    if _read_text(root / "README.md") != with_table(root, lessons, entries):
        problems.append(Problem("README.md", 1, "has an old table of lessons; run `course build`"))
    for lesson in chosen:
        problems += _lesson_differences(root, lesson, entries)
    return problems


def _lesson_differences(root: Path, lesson: Lesson, entries: Sequence[Any]) -> list[Problem]:
    name = f"{lesson.name}.ipynb"
    sentence = f"is not what {_place(lesson)} gives; run `course build {lesson.name}`"
    problems = []
    if _read_text(root / "notebooks" / name) != as_text(student_notebook(root, lesson, entries)):
        problems.append(Problem(f"notebooks/{name}", 1, sentence))
    solution = unexecuted_solution(root, lesson, entries)
    stored = _stored(root / "solutions" / name)
    if stored is not None and is_executed(stored, solution):
        problems += output_problems(lesson, stored)
        take_outputs(stored, solution)
    if stored != solution:
        problems.append(Problem(f"solutions/{name}", 1, sentence))
    return problems


def _orphans(root: Path) -> list[Path]:
    return [
        path
        for folder in ("notebooks", "solutions")
        for path in sorted((root / folder).glob("*.ipynb"))
        if not (root / "lessons" / f"{path.stem}.py").exists()
    ]


def _catalog_text(lessons: Sequence[Lesson], entries: Sequence[Any]) -> str:
    """What `course.catalog` reads; an exercise that is not known yet is a problem found before."""
    by_name = {entry.name: entry for entry in entries}
    listed = [
        {
            "name": lesson.name,
            "title": lesson.title,
            "exercises": [
                {
                    "name": stub.name,
                    "title": by_name[stub.name].title,
                    "minutes": by_name[stub.name].minutes,
                    "difficulty": by_name[stub.name].difficulty,
                    "stub": stub.source,
                }
                for _, stub in lesson.exercises()
                if stub.name in by_name
            ],
        }
        for lesson in lessons
    ]
    return json.dumps(listed, ensure_ascii=False, indent=1) + "\n"


def _stored(path: Path) -> NotebookNode | None:
    """The notebook at `path`, or None where it is missing or spoilt, as by a merge."""
    try:
        return nbformat.reads(_read_text(path), as_version=4)
    except (ValueError, nbformat.ValidationError):
        return None


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all; leave it alone where it has this text already."""
    if _read_text(path) == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    unfinished.write_text(text, encoding="utf-8", newline="\n")
    unfinished.replace(path)
