"""An import never goes up: each part of the package knows only what lies below or beside it."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "course"
# From the bottom to the top; DESIGN.md, "The helper package". A folder is one part.
LAYERS = (
    {"__init__", "catalog", "hardware", "locking", "problem"},
    {"data", "datasets"},
    {"models", "plots", "progress", "results"},
    {"checkpoints"},
    {"training"},
    {"checking"},
    {"exercises"},
    # What lessons use ends here; what makes, runs and publishes them comes above.
    {
        "benchmark",
        "environment",
        "execution",
        "installation",
        "small_machine",
        "webpage",
        "workspace",
    },
    {"diagnosis", "publishing", "running"},
    {"doctor", "lab", "notebooks", "progress_page", "run", "testing"},
    {"__main__", "cli"},
)
LAYER = {part: number for number, parts in enumerate(LAYERS) for part in parts}
FRAMEWORKS = {"tensorflow", "torch"}
HEAVY = FRAMEWORKS | {"matplotlib", "nbformat", "numpy", "requests", "rich", "scipy"}


def modules() -> list[str]:
    """Every module by its place in the package, such as "exercises.mlp"."""
    paths = PACKAGE.rglob("*.py")
    return sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths)


def part_of(module: str) -> str:
    """The file or folder of the package in which a module lies."""
    return module.partition(".")[0]


def imported_parts(source: str) -> Iterator[str]:
    """The parts of the package that this source text imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"Line {node.lineno}: write the import from `course` on."
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "course":
                yield part_of(rest) if part_of(rest) in LAYER else "__init__"


def test_every_part_of_the_package_has_its_layer():
    parts = {part_of(module) for module in modules()}
    assert parts - LAYER.keys() == set(), "Say in LAYERS of tests/test_layers.py where it belongs."
    assert LAYER.keys() - parts == set(), "It is gone: take it out of LAYERS."
    assert len(LAYER) == sum(map(len, LAYERS))


@pytest.mark.parametrize("module", modules())
def test_no_import_goes_up(module):
    source = (PACKAGE / f"{module.replace('.', '/')}.py").read_text("utf-8")
    own = LAYER[part_of(module)]
    above = {part for part in imported_parts(source) if LAYER[part] > own}
    assert not above, f"course.{module} imports from a layer above its own: {sorted(above)}."


def test_an_import_is_found_however_it_is_written():
    source = """
import os, course.data
from course import __version__, results
def later():
    from course.checking.engine import Case
    import course.running.measure as measure
    from torch import nn
"""
    found = {"data", "__init__", "results", "checking", "running"}
    assert set(imported_parts(source)) == found


# The training loop is for lessons in torch alone, so it loads torch.
APART = ("__init__", "__main__", "checkpoints", "training")
EVERYTHING = [f"course.{part}" for part in sorted(LAYER) if part not in APART]


@pytest.mark.parametrize(
    ("imported", "unwanted"),
    [
        (["course"], HEAVY),
        (["course.cli"], HEAVY),
        # A lesson that uses the one framework must not load the other by accident.
        (EVERYTHING, FRAMEWORKS),
    ],
    ids=["course", "cli", "everything"],
)
def test_importing_it_loads_nothing_that_takes_long(imported, unwanted):
    code = f"import json, sys, {', '.join(imported)}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    assert unwanted.isdisjoint(json.loads(answer.stdout))
