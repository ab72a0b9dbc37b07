"""A lesson's source text, read into cells, and its exercises' stubs and answers.

The source is jupytext percent text. An exercise is a code cell whose function or class is
decorated with `@exercise("name")`; its answer is the source text of the catalog's reference.
"""

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Stub:
    """The definition under `@exercise("name")`; lines are those of the cell, from 1."""

    name: str
    definition: Definition
    source: str  # from `def` or `class` on, without the decorators
    decorator_line: int
    first_line: int
    last_line: int


@dataclass(frozen=True)
class Cell:
    """A cell of the source; `line` is where its text starts in the file.

    `tree` is None in a Markdown cell; a code cell without an exercise has no stub.
    """

    kind: str
    source: str
    line: int
    metadata: dict[str, Any]
    tree: ast.Module | None
    stub: Stub | None

    def python(self) -> str:
        """The cell's code with IPython's own commands turned into Python."""
        return _as_python(self.source)

    def python_before_stub(self) -> str:
        """The part of `python()` that stands above the exercise."""
        lines = self.source.split("\n")
        return _as_python("\n".join(lines[: self.stub.decorator_line - 1]))


@dataclass(frozen=True)
class Lesson:
    """One lesson: its name such as "01_mlp", its file, its whole text and its cells."""

    name: str
    path: Path
    text: str
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        """The lesson's first heading; its name where it has none."""
        heading = re.search(r"^# # (.+)$", self.text, re.MULTILINE)
        return heading[1] if heading else self.name

    def exercises(self) -> list[tuple[Cell, Stub]]:
        """The exercise cells in the order of the lesson."""
        return [(cell, cell.stub) for cell in self.cells if cell.stub]


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong in which file and line; `path` is relative to the repository."""

    path: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.sentence}"


class LessonError(Exception):
    """A lesson's text cannot be read; carries the problem to show."""

    def __init__(self, problem: Problem):
        super().__init__(str(problem))
        self.problem = problem


def read_lesson(path: Path) -> Lesson:
    """Read the lesson at `path`.

    Raises:
        LessonError: a code cell is not valid Python, or an exercise is written in a way
            that the build cannot answer.
    """
    import jupytext

    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    cells, position = [], 0
    for cell in jupytext.reads(text, fmt="py:percent").cells:
        source = cell.source.strip("\n").rstrip()
        if not source:
            continue
        position = _find(lines, source.split("\n", 1)[0], position)
        metadata = {k: v for k, v in cell.metadata.items() if k != "lines_to_next_cell"}
        cells.append(_cell(path, cell.cell_type, source, position + 1, metadata))
        position += source.count("\n") + 1
    return Lesson(path.stem, path, text, tuple(cells))


def _find(lines: list[str], wanted: str, start: int) -> int:
    """The index at or after `start` of the file's line that became the cell's line `wanted`.

    A line that jupytext rewrote, as for `%%bash`, is not found; `start` is then near enough.
    """
    wanted = wanted.rstrip()
    forms = {wanted, f"# {wanted}"}
    return next((n for n in range(start, len(lines)) if lines[n].rstrip() in forms), start)


def _cell(path: Path, kind: str, source: str, line: int, metadata: dict[str, Any]) -> Cell:
    if kind != "code":
        return Cell(kind, source, line, metadata, None, None)
    place = f"lessons/{path.name}"
    try:
        tree = ast.parse(_as_python(source))
    except SyntaxError as error:
        found = line + (error.lineno or 1) - 1
        sentence = f"this code cell is not valid Python: {error.msg}"
        raise LessonError(Problem(place, found, sentence)) from error
    stubs = [stub for node in tree.body if (stub := _stub(node, source)) is not None]
    if len(stubs) > 1:
        sentence = "two exercises share a cell; give each a cell of its own"
        raise LessonError(Problem(place, line + stubs[1].decorator_line - 1, sentence))
    return Cell(kind, source, line, metadata, tree, stubs[0] if stubs else None)


def _as_python(source: str) -> str:
    if not re.search(r"^\s*[%!?]|\?\s*$", source, re.MULTILINE):
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def _stub(node: ast.stmt, source: str) -> Stub | None:
    if not isinstance(node, Definition):
        return None
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name(id="exercise"), args=[ast.Constant(value=str(name)), *_]):
                lines = source.split("\n")
                last = _last_line(lines, node)
                text = "\n".join(lines[node.lineno - 1 : last])
                first = min(other.lineno for other in node.decorator_list)
                return Stub(name, node, text, first, node.lineno, last)
    return None


def _last_line(lines: list[str], node: Definition) -> int:
    """The definition's last line, with the indented comments that may follow its code."""
    last = node.end_lineno
    for number in range(last + 1, len(lines) + 1):
        line = lines[number - 1]
        if re.match(r"\s+#", line):
            last = number
        elif line.strip():
            break
    return last


def reference_source(reference: object) -> str:
    """The source text of a reference, dedented and without decorators.

    Raises:
        ValueError: the reference is not a function or class written with `def` or `class`.
    """
    try:
        text = textwrap.dedent(inspect.getsource(reference))
        node = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError) as error:
        raise ValueError("its reference has no source text; write it with def or class") from error
    if not isinstance(node, Definition):
        raise ValueError("its reference must be written with def or class")
    return "\n".join(text.splitlines()[node.lineno - 1 :]).rstrip()


def answer_source(stub: Stub, reference: object) -> str:
    """The reference's source text under the stub's own signatures and docstrings."""
    text = reference_source(reference)
    lines, stub_lines = text.split("\n"), stub.source.split("\n")
    answer = ast.parse(text).body[0]
    own = ast.parse(stub.source).body[0]
    for stub_node, answer_node in reversed(_matching(own, answer)):
        head = stub_lines[stub_node.lineno - 1 : _head_end(stub_lines, stub_node)]
        lines[answer_node.lineno - 1 : _head_end(lines, answer_node)] = head
    return "\n".join(lines)


def _head_end(lines: list[str], node: Definition) -> int:
    """The number of the last line of a definition's signature and docstring."""
    docstring = _docstring(node)
    return docstring.end_lineno if docstring else _body_start(lines, node)


def _matching(stub: Definition, answer: Definition) -> list[tuple[Definition, Definition]]:
    """Pairs of definitions, the whole and its methods, in the order of the answer's lines."""
    pairs = [(stub, answer)]
    if isinstance(stub, ast.ClassDef) and isinstance(answer, ast.ClassDef):
        ours = methods(stub)
        pairs += [(ours[name], node) for name, node in methods(answer).items() if name in ours]
    return pairs


def methods(definition: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """A class's methods by name, in the order of its text."""
    return {node.name: node for node in definition.body if isinstance(node, ast.FunctionDef)}


def _docstring(node: Definition) -> ast.Expr | None:
    return node.body[0] if ast.get_docstring(node, clean=False) is not None else None


def _body_start(lines: list[str], node: Definition) -> int:
    """The index of the line after the signature, before comments that open the body."""
    first = node.body[0]
    if lines[first.lineno - 1][: first.col_offset].strip():
        raise ValueError("the stub's and the reference's bodies must start on lines of their own")
    decorators = getattr(first, "decorator_list", [])
    index = min(part.lineno for part in [first, *decorators]) - 1
    while lines[index - 1].strip() == "" or lines[index - 1].lstrip().startswith("#"):
        index -= 1
    return index


def with_answer(cell: Cell, answer: str) -> str:
    """The exercise cell's text with `answer` in place of the stub, below its decorators."""
    lines = cell.source.split("\n")
    lines[cell.stub.first_line - 1 : cell.stub.last_line] = answer.split("\n")
    return "\n".join(lines)
