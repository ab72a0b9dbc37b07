"""What `course build` refuses in a lesson's code and exercises, with file and line."""

import ast
import builtins
import copy
import re
import symtable
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course import catalog
from course.publishing.lesson_source import (
    Cell,
    Definition,
    Lesson,
    Problem,
    Stub,
    answer_source,
    methods,
    reference_source,
)
from course.publishing.link_checks import link_problems

LONGEST_CELL = 25  # lines of code, without exercises, docstrings, comments and blank lines
LESSON_NAME = re.compile(r"\d\d_[a-z0-9_]+")
NOTEBOOK_NAMES = {"display", "get_ipython"}  # bound in every notebook


def find_problems(root: Path, lessons: Sequence[Lesson], entries: Sequence[Any]) -> list[Problem]:
    """Everything that makes the build refuse, before anything is executed."""
    references = {entry.name: entry.reference for entry in entries}
    problems = _name_problems(root) + _catalog_problems(root, lessons, entries)
    for lesson in lessons:
        problems += _size_problems(lesson) + _exercise_problems(lesson, references)
    return problems + link_problems(root, lessons)


def output_problems(lesson: Lesson, solution: NotebookNode) -> list[Problem]:
    """What must not be in an executed solution: errors, stderr, pictures without words."""
    problems = []
    codes = [cell for cell in lesson.cells if cell.kind == "code"]
    executed = [cell for cell in solution.cells if cell.cell_type == "code"]
    for cell, done in zip(codes, executed, strict=True):
        for output in done.outputs:
            sentence = _output_fault(output)
            if sentence is not None:
                problems.append(Problem(f"lessons/{lesson.path.name}", cell.line, sentence))
    return problems


def _output_fault(output: NotebookNode) -> str | None:
    if output.output_type == "error":
        return f"the solution fails here: {output.ename}: {output.evalue}"
    if output.output_type == "stream":
        if output.name != "stderr":
            return None
        first = output.text.strip().split("\n")[0]
        return f"the solution writes to stderr, which readers take for an error: {first}"
    for kind in output.get("data", {}):
        alt = output.metadata.get(kind, {}).get("alt", "")
        if kind.startswith("image/") and not alt.strip():
            return (
                "this picture has no alternative text in the solution; "
                "draw it with course.plots.show(figure, alt)"
            )
    return None


def _name_problems(root: Path) -> list[Problem]:
    problems = []
    by_number = defaultdict(list)
    for path in sorted((root / "lessons").glob("*.py")):
        if LESSON_NAME.fullmatch(path.stem) is None:
            sentence = "a lesson's file is named by two digits and small letters, as 01_mlp.py"
            problems.append(Problem(f"lessons/{path.name}", 1, sentence))
        else:
            by_number[path.stem[:2]].append(path.stem)
    for number, names in by_number.items():
        for name in names[1:]:
            if name != names[0] + catalog.TWIN:
                sentence = f"number {number} belongs to {names[0]}; give this lesson another"
                problems.append(Problem(f"lessons/{name}.py", 1, sentence))
    return problems


def _catalog_problems(
    root: Path, lessons: Sequence[Lesson], entries: Sequence[Any]
) -> list[Problem]:
    homes = {entry.name: entry.lesson for entry in entries}
    problems, used = [], {}
    for lesson in lessons:
        for cell, stub in lesson.exercises():
            place = _problem(lesson, cell, stub, "")
            if stub.name not in homes:
                fault = "is not in the catalog; add it to course.exercises or mend its name"
            elif stub.name in used:
                fault = f"is used at {used[stub.name]} already; each exercise is used once"
            elif homes[stub.name] != lesson.name:
                fault = f"belongs to lesson {homes[stub.name]} in the catalog"
            else:
                fault = None
            used.setdefault(stub.name, f"{place.path}:{place.line}")
            if fault:
                problems.append(_problem(lesson, cell, stub, f"exercise {stub.name} {fault}"))
    unread = {path.stem for path in (root / "lessons").glob("*.py")} - {
        lesson.name for lesson in lessons
    }
    for name, home in homes.items():
        if name not in used and home not in unread:
            sentence = f"exercise {name} of the catalog is used by no lesson; use it or remove it"
            problems.append(Problem(f"lessons/{home}.py", 1, sentence))
    return problems


def _size_problems(lesson: Lesson) -> list[Problem]:
    problems = []
    for cell in lesson.cells:
        if cell.tree is not None and (count := _code_lines(cell)) > LONGEST_CELL:
            sentence = f"this cell has {count} lines of code; split it, {LONGEST_CELL} is the most"
            problems.append(Problem(f"lessons/{lesson.path.name}", cell.line, sentence))
    return problems


def _code_lines(cell: Cell) -> int:
    skipped: set[int] = set()
    if cell.stub:
        skipped.update(range(cell.stub.decorator_line, cell.stub.last_line + 1))
    for node in ast.walk(cell.tree):
        if isinstance(node, Definition) and ast.get_docstring(node, clean=False) is not None:
            skipped.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return sum(
        1
        for number, line in enumerate(cell.source.split("\n"), start=1)
        if number not in skipped and line.strip() and not line.lstrip().startswith("#")
    )


def _exercise_problems(lesson: Lesson, references: Mapping[str, object]) -> list[Problem]:
    problems = []
    bound: set[str] = set()
    for cell in lesson.cells:
        if cell.tree is None:
            continue
        if cell.stub and cell.stub.name in references:
            before = bound | _names_bound(cell.python_before_stub())
            for sentence in _answer_faults(cell.stub, references[cell.stub.name], before):
                problems.append(_problem(lesson, cell, cell.stub, sentence))
        bound |= _names_bound(cell.python())
    return problems


def _answer_faults(stub: Stub, reference: object, bound: set[str]) -> Iterable[str]:
    try:
        answer = ast.parse(reference_source(reference)).body[0]
        differing = [pair for pair in _signatures(stub.definition, answer) if pair[0] != pair[1]]
        for ours, theirs in differing:
            yield f"exercise {stub.name}: the stub has {ours}, its reference has {theirs}"
        if differing:
            return
        needed = _names_needed(answer_source(stub, reference))
    except ValueError as error:
        yield f"exercise {stub.name} cannot be answered: {error}"
        return
    for name in sorted(needed - bound - NOTEBOOK_NAMES - {answer.name}):
        yield f"the answer to {stub.name} uses {name}, which no earlier cell binds"


def _signatures(stub: Definition, answer: Definition) -> list[tuple[str, str]]:
    """Pairs of texts that must be equal for the stub to have its reference's signature."""
    pairs = [(_head(stub), _head(answer))]
    if not (isinstance(stub, ast.ClassDef) and isinstance(answer, ast.ClassDef)):
        return pairs
    ours, theirs = methods(stub), methods(answer)
    public = [name for name in ours if not name.startswith("_") or name.startswith("__")]
    if "__init__" in theirs and "__init__" not in public:
        public.append("__init__")
    for name in public:
        texts = [_head(found[name]) if name in found else f"no {name}" for found in (ours, theirs)]
        pairs.append(tuple(texts))
    return pairs


def _head(node: Definition) -> str:
    """The definition's first line without annotations."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(part) for part in [*node.bases, *node.keywords])
        return f"class {node.name}({bases})"
    bare = copy.deepcopy(node.args)
    for argument in ast.walk(bare):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return f"{node.name}({ast.unparse(bare)})"


def _names_bound(source: str) -> set[str]:
    """The global names that running the code binds."""
    symbols = symtable.symtable(source, "<cell>", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def _names_needed(source: str) -> set[str]:
    """The global names that a definition reads when it is made and when it is called."""
    top = symtable.symtable(source, "<answer>", "exec")
    needed = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    tables = list(top.get_children())
    while tables:
        table = tables.pop()
        tables += table.get_children()
        needed |= {
            symbol.get_name()
            for symbol in table.get_symbols()
            if symbol.is_global() and symbol.is_referenced()
        }
    return needed - set(dir(builtins))


def _problem(lesson: Lesson, cell: Cell, stub: Stub, sentence: str) -> Problem:
    line = cell.line + stub.first_line - 1
    return Problem(f"lessons/{lesson.path.name}", line, sentence)
