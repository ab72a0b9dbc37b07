"""Helpers to run a lesson's notebook, to read what it left behind, and to answer it wrongly."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from course import notebooks
from course.exercises import catalog
from course.publishing.lesson_notebook import right_answers
from course.publishing.lesson_source import read_lesson

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
CELL_TIMEOUT = 120  # seconds; the longest cell takes a few on an idle machine
EXECUTE = """\
import dataclasses, json, sys
from pathlib import Path
import nbformat
from course.execution import execute
from course.small_machine import BINDERS_MEMORY_MB, use_one_core
path, timeout = Path(sys.argv[1]), float(sys.argv[2])
notebook = nbformat.read(path, as_version=4)
use_one_core()
measured = execute(
    notebook, Path.cwd(), {}, cell_timeout=timeout, memory_limit_mb=BINDERS_MEMORY_MB
)
nbformat.write(notebook, path)
print(json.dumps(dataclasses.asdict(measured)))
"""


def run_nbval(python: Path, notebook: Path, folder: Path) -> str:
    """Run a copy of the notebook with nbval, alone in a new folder; return what pytest printed.

    The test fails with the first cell that failed, as later ones fail for want of it.
    """
    work = folder / "work"
    work.mkdir()
    shutil.copy(notebook, work)
    (folder / "pytest.ini").touch()
    command = [python, "-m", "pytest", "-qx", "-c", folder / "pytest.ini", "--rootdir", work]
    command += ["-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-cell-timeout", str(CELL_TIMEOUT), notebook.name]
    return output_of(command, work)


def run_measured(python: Path, notebook: NotebookNode, folder: Path) -> tuple[NotebookNode, dict]:
    """Execute the notebook in a new folder; return it with its outputs, and the `Execution`.

    It runs as on Binder: on one core, and ended where it asks for more memory than is there.
    """
    work, file = folder / "work", folder / "lesson.ipynb"
    work.mkdir()
    nbformat.write(notebook, file)
    printed = output_of([python, "-c", EXECUTE, file, str(CELL_TIMEOUT)], work)
    return nbformat.read(file, as_version=4), json.loads(printed.splitlines()[-1])


def output_of(command: list[str | Path], folder: Path) -> str:
    """What a program prints; where it fails, the test fails with that."""
    answer = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if answer.returncode != 0:
        pytest.fail(answer.stdout, pytrace=False)
    return answer.stdout


def half_answered(
    lesson: Path, remainder: int, mistake: Callable[[str], str]
) -> tuple[NotebookNode, list[tuple[str, bool]]]:
    """The lesson of a student who solved every second exercise and erred in the others.

    remainder: of the solved exercises' numbers, divided by 2. Beside the notebook: each exercise's
    name and whether it is solved, in the order of the lesson.
    """

    def solved(number: int) -> bool:
        return number % 2 == remainder

    answers = right_answers(read_lesson(lesson), catalog())
    wrong = {name: mistake(answer) for name, answer in answers.items()}
    notebook = notebooks.mixture(lesson, solved, wrong)
    names = enumerate(exercise_cells(notebook), start=1)
    return notebook, [(name, solved(number)) for number, name in names]


def check_verdicts(notebook: NotebookNode, expected: list[tuple[str, bool]]) -> None:
    """Each exercise's cell shows that the answer in it is right, or that it is not yet."""
    cells = exercise_cells(notebook)
    for name, right in expected:
        verdict = f"✔ {name}: right." if right else f"✘ {name}: not yet."
        assert shown(cells[name]).startswith(verdict)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that are run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def exercise_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cell of each exercise, in the order of the lesson."""
    return {
        cell.metadata.course.exercise: cell for cell in code_cells(notebook) if is_exercise(cell)
    }


def is_exercise(cell: NotebookNode) -> bool:
    """Whether the build marked this cell as one to answer."""
    return "exercise" in cell.metadata.get("course", {})


def shown(cell: NotebookNode) -> str:
    """What the executed cell shows, as plain text."""
    pieces = [
        output.text if output.output_type == "stream" else output.data.get("text/plain", "")
        for output in cell.outputs
        if output.output_type != "error"
    ]
    return "".join(pieces)


def reported(notebook: NotebookNode) -> dict[str, int]:
    """Each figure that the notebook reports in any profile, with the number of exercises above it.

    A report that is indented stands under an `if`, and is left out.
    """
    answers, figures = 0, {}
    for cell in code_cells(notebook):
        answers += is_exercise(cell)
        for name in re.findall(r"""^report\(\s*["']([\w.]+)["']""", cell.source, re.MULTILINE):
            figures[name] = answers
    return figures


def recorded_figures(record: Path) -> dict[str, dict]:
    """The figures among the lines of COURSE_RECORD, by name."""
    lines = record.read_text("utf-8").splitlines() if record.exists() else []
    entries = [entry for entry in map(json.loads, lines) if entry["kind"] == "figure"]
    return {entry["name"]: entry for entry in entries}


def forget_return(answer: str) -> str:
    """The answer of somebody who computes everything and returns nothing.

    Where nothing is to be returned, the last line of the last method is forgotten.
    """

    class Forget(ast.NodeTransformer):
        def visit_Return(self, node: ast.Return) -> ast.stmt:
            return ast.Expr(node.value or ast.Constant(None))

    tree = Forget().visit(ast.parse(answer))
    if not any(isinstance(node, ast.Return) for node in ast.walk(ast.parse(answer))):
        function = _last_function(tree)
        function.body[-1] = ast.Pass()
    return _changed(answer, tree)


def hand_back(answer: str) -> str:
    """The answer of somebody who returns what was given; in a class, its last method does.

    Where nothing was given but `self`, that.
    """
    tree = ast.parse(answer)
    function = _last_function(tree)
    given = [argument.arg for argument in function.args.args if argument.arg != "self"] or ["self"]
    function.body = [ast.Return(ast.Name(given[0]))]
    return _changed(answer, tree)


def _last_function(tree: ast.Module) -> ast.FunctionDef:
    """The function that was asked for; of a class, its last method."""
    answer = tree.body[0]
    if isinstance(answer, ast.ClassDef):
        return [node for node in answer.body if isinstance(node, ast.FunctionDef)][-1]
    return answer


def _changed(answer: str, tree: ast.Module) -> str:
    text = ast.unparse(ast.fix_missing_locations(tree))
    assert text != ast.unparse(ast.parse(answer)), f"This mistake does not fit:\n{answer}"
    return text
