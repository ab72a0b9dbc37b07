"""The source text of an answer, wherever it was typed, and whether it is still the stub."""

import ast
import functools
import linecache
from types import CodeType, FunctionType
from typing import Any

from course import catalog

MOST_WRAPPERS = 10  # decorators on top of each other; more are a circle


def source_node(candidate: Any) -> ast.AST | None:
    """The syntax tree of a function's or class's definition, or None where no text is at hand.

    `inspect.getsource` fails on a class typed into a notebook; the code object of one of its
    methods still names the cell.
    """
    name = getattr(candidate, "__name__", "")
    code = code_of(candidate)
    if code is None:
        return None
    text = "".join(linecache.getlines(code.co_filename))
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name == name
        and _first_line(node) <= code.co_firstlineno <= (node.end_lineno or 0)
    ]
    return found[-1] if found else None


def code_of(candidate: Any) -> CodeType | None:
    """The code object of a function, or of a class's first method."""
    return getattr(own_function(candidate), "__code__", None)


def own_function(candidate: Any) -> FunctionType | None:
    """The function that was typed, below decorators that wrap it; of a class its first method."""
    if isinstance(candidate, type):
        methods = (value for value in vars(candidate).values() if isinstance(value, FunctionType))
        candidate = next(methods, None)
    for _ in range(MOST_WRAPPERS):
        if not hasattr(candidate, "__wrapped__"):
            break
        candidate = candidate.__wrapped__
    return candidate if isinstance(candidate, FunctionType) else None


def _first_line(node: Any) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def is_untouched(name: str, candidate: Any) -> bool:
    """Whether the answer is the stub that the lesson came with, comments and layout aside."""
    node = source_node(candidate)
    if node is None:
        return False
    stub = stubs().get(name)
    if stub is not None and _essence(node) == _essence(ast.parse(stub).body[0]):
        return True
    return _only_raises(node)


@functools.cache
def stubs() -> dict[str, str]:
    """The stub of each exercise as its lesson has it."""
    return {entry.name: entry.stub for lesson in catalog.lessons() for entry in lesson.exercises}


def _essence(node: Any) -> str:
    """The definition without decorators and docstrings, as text that compares."""
    node = ast.parse(ast.unparse(node)).body[0]
    node.decorator_list = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            inner.body = _without_docstring(inner.body)
    return ast.unparse(node)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return (body[1:] or [ast.Pass()]) if is_text and isinstance(first.value.value, str) else body


def _only_raises(node: Any) -> bool:
    """Whether nothing but `raise NotImplementedError` is there, in a class in every method."""
    body = _without_docstring(node.body)
    if isinstance(node, ast.ClassDef):
        methods = [inner for inner in body if isinstance(inner, ast.FunctionDef)]
        return any(map(_only_raises, methods)) and all(
            _only_raises(method) or _only_calls_super(method) for method in methods
        )
    return (
        len(body) == 1
        and isinstance(body[0], ast.Raise)
        and "NotImplementedError" in ast.unparse(body[0])
    )


def _only_calls_super(method: ast.FunctionDef) -> bool:
    lines = [ast.unparse(statement) for statement in _without_docstring(method.body)]
    if len(lines) == 2 and lines[1].startswith("raise NotImplementedError"):
        lines.pop()
    return method.name == "__init__" and lines == ["super().__init__()"]
