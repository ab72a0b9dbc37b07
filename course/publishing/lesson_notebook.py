"""A lesson as a notebook: what the student opens, the solution, and mixtures of the two."""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from course.publishing import colab_cell
from course.publishing.lesson_opening import opening_texts
from course.publishing.lesson_source import Lesson, answer_source, with_answer

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO = {  # without the version, which would differ from machine to machine
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
WIDGET = "application/vnd.jupyter.widget-view+json"  # shows nothing without its kernel


def right_answers(lesson: Lesson, entries: Sequence[Any]) -> dict[str, str]:
    """The source text that takes the place of each stub in the solution."""
    by_name = {entry.name: entry for entry in entries}
    return {
        stub.name: answer_source(stub, by_name[stub.name].reference)
        for _, stub in lesson.exercises()
    }


def assemble(
    lesson: Lesson, answers: Mapping[str, str], opening: Mapping[str, str]
) -> NotebookNode:
    """The lesson as a notebook, with `answers` in place of the stubs of these exercises."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.update(kernelspec=dict(KERNELSPEC), language_info=dict(LANGUAGE_INFO))
    ids = _cell_ids(lesson)
    for cell, cell_id in zip(lesson.cells, ids, strict=True):
        source, metadata = cell.source, dict(cell.metadata)
        if cell.kind == "markdown":
            source = _fill_in(source, opening)
        if cell.source == colab_cell.TOKEN:
            source = opening[colab_cell.TOKEN]
            metadata |= copy.deepcopy(colab_cell.METADATA)
        if cell.stub:
            metadata["course"] = {"exercise": cell.stub.name}
            if cell.stub.name in answers:
                source = with_answer(cell, answers[cell.stub.name])
        make = getattr(nbformat.v4, f"new_{cell.kind}_cell")
        notebook.cells.append(make(source, id=cell_id, metadata=metadata))
    return notebook


def _cell_ids(lesson: Lesson) -> list[str]:
    """Ids that only change with the cell's own text; a repeated text is counted."""
    seen: dict[str, int] = {}
    ids = []
    for cell in lesson.cells:
        key = _hash(f"{cell.kind}\n{cell.source}")[:12]
        seen[key] = seen.get(key, 0) + 1
        ids.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    return ids


def _fill_in(source: str, opening: Mapping[str, str]) -> str:
    for token, text in opening.items():
        if not text:
            source = source.replace(f"{token}\n\n", "").replace(f"{token}\n", "")
        source = source.replace(token, text)
    return source.rstrip()


def student_notebook(root: Path, lesson: Lesson, entries: Sequence[Any]) -> NotebookNode:
    """What the student opens."""
    notebook = assemble(lesson, {}, opening_texts(root, lesson.name, entries))
    notebook.metadata["course"] = {"lesson": lesson.name, "source": _hash(lesson.text)}
    return notebook


def unexecuted_solution(root: Path, lesson: Lesson, entries: Sequence[Any]) -> NotebookNode:
    """The solution without its outputs."""
    opening = opening_texts(root, lesson.name, entries)
    solution = assemble(lesson, right_answers(lesson, entries), opening)
    solution.metadata["course"] = {"lesson": lesson.name, "inputs": _inputs(solution)}
    return solution


def _inputs(solution: NotebookNode) -> str:
    """A hash of all that is executed; prose is left out, so that it can change freely.

    So is Colab's cell, which names the version of the course and does nothing here.
    """
    texts = ["" if is_setup(cell) else cell.source for cell in _code_cells(solution)]
    return _hash(json.dumps(texts))


def is_setup(cell: NotebookNode) -> bool:
    """Whether this is Colab's cell."""
    return "setup" in cell.metadata.get("course", {})


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def is_executed(stored: NotebookNode, solution: NotebookNode) -> bool:
    """Whether the stored outputs are those of the solution's code."""
    wanted = solution.metadata.course.inputs
    return _inputs(stored) == wanted == stored.metadata.get("course", {}).get("inputs") and all(
        cell.get("execution_count") is not None for cell in _code_cells(stored)
    )


def take_outputs(executed: NotebookNode, solution: NotebookNode) -> None:
    """Copy the outputs, and only these, in a form that differs little between two runs."""
    for done, cell in zip(_code_cells(executed), _code_cells(solution), strict=True):
        cell.execution_count = done.execution_count
        cell.outputs = _tidy(done.outputs)


def _tidy(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Outputs without widgets, each picture once, and text that came in several pieces as one."""
    tidy: list[NotebookNode] = []
    for output in copy.deepcopy(outputs):
        last = tidy[-1] if tidy else {}
        if output.output_type == "stream" and output.name == last.get("name"):
            last.text += output.text
            continue
        data = output.get("data", {})
        data.pop(WIDGET, None)
        if "image/png" in data:  # what readers of files show, as GitHub does
            data.pop("text/html", None)
        tidy.append(output)
    return tidy


def as_text(notebook: NotebookNode) -> str:
    """The file's text; nbformat.ValidationError where it would not be a valid notebook."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"
