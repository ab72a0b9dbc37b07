"""`course build` on small lessons made up here, in folders of their own."""

import ast
import importlib
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from course import __version__, catalog, notebooks
from course.execution import Execution
from course.publishing import colab_cell

LESSON = '''\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # One
#
# {{badges}}
#
# {{budget}}

# %%
import os


def exercise(name):
    return lambda answer: answer


# %% [markdown]
# Double it.

# %%
@exercise("one.double")
def double(x):
    """The task: twice x."""
    # your code
    raise NotImplementedError
    # end of your code


double(4)

# %% [markdown]
# Double it.

# %%
print(os.environ["COURSE_PROFILE"])
# %% tags=["bug"]
@exercise("one.half")
def half(x, by=2):
    """The bug hunt: x in parts of `by`."""
    return x * by
'''

REFERENCES = '''\
import functools


@functools.cache
def double(x: float) -> float:
    """The reference's own words."""
    # twice
    return x + x


def half(x, by: float = 2):
    return x / by
'''

numbers = count()


@dataclass
class Course:
    """A made-up repository, with what was executed in it."""

    root: Path
    entries: list[SimpleNamespace] = field(default_factory=list)
    executed: list[str] = field(default_factory=list)

    def write(self, place: str, text: str) -> None:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, place: str, old: str, new: str) -> None:
        text = (self.root / place).read_text(encoding="utf-8")
        assert old in text
        self.write(place, text.replace(old, new))

    def refer(self, source: str, lesson: str = "01_one", prefix: str = "one") -> None:
        """Make the source's functions and classes the references of `lesson`."""
        name = f"made_up_references_{next(numbers)}"
        self.write(f"references/{name}.py", textwrap.dedent(source))
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        self.entries = [entry for entry in self.entries if entry.lesson != lesson]
        for node in ast.parse(textwrap.dedent(source)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                reference = getattr(module, node.name)
                self.entries.append(
                    SimpleNamespace(
                        name=f"{prefix}.{node.name}",
                        lesson=lesson,
                        title=f"Title of {node.name}",
                        minutes=10,
                        difficulty=2,
                        reference=reference,
                    )
                )

    def build(self, check: bool = False, only: tuple[str, ...] = (), force: bool = False) -> int:
        return notebooks.build(self.root, check, list(only), force, entries=self.entries)

    def read(self, place: str) -> nbformat.NotebookNode:
        return nbformat.read(self.root / place, as_version=4)

    def files(self) -> dict[str, str]:
        return {
            path.relative_to(self.root).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }


@pytest.fixture
def course(tmp_path, monkeypatch):
    made = Course(tmp_path / "repository")
    monkeypatch.syspath_prepend(made.root / "references")
    made.write("lessons/01_one.py", LESSON)
    made.refer(REFERENCES)
    return made


@pytest.fixture
def quick(course, monkeypatch):
    """The course with an execution that only counts the cells."""

    def execute(notebook, folder, environment, cell_timeout=300, on_cell=None):
        course.executed.append(notebook.metadata.course.lesson)
        codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for number, cell in enumerate(codes, start=1):
            cell.execution_count = number
            cell.outputs = [nbformat.v4.new_output("stream", text=f"output {number}\n")]
        return Execution(1.0, 100.0, None)

    monkeypatch.setattr(notebooks, "execute", execute)
    return course


def lesson(*cells: str) -> str:
    return "# %%\n" + "\n# %%\n".join(textwrap.dedent(cell).strip("\n") for cell in cells) + "\n"


def sources(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells]


def run_cell(source: str) -> dict:
    names = {"exercise": lambda name: lambda answer: answer}
    exec(source, names)
    return names


def test_the_notebook_has_the_stubs_and_no_outputs(quick):
    assert quick.build() == 0
    notebook = quick.read("notebooks/01_one.ipynb")
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in codes)
    assert "raise NotImplementedError" in codes[1].source
    assert codes[1].source.endswith("double(4)")
    assert notebook.metadata.course.lesson == "01_one"
    assert "version" not in notebook.metadata.language_info


def test_exercise_cells_can_be_found_and_keep_their_tags(quick):
    quick.build()
    for folder in ("notebooks", "solutions"):
        metadata = [cell.metadata for cell in quick.read(f"{folder}/01_one.ipynb").cells]
        found = [entry["course"]["exercise"] for entry in metadata if "course" in entry]
        assert found == ["one.double", "one.half"]
        assert metadata[-1]["tags"] == ["bug"]
        assert all("lines_to_next_cell" not in entry for entry in metadata)


def test_the_solution_has_the_references_code_under_the_stubs_words(quick):
    quick.build()
    cell = quick.read("solutions/01_one.ipynb").cells[3]
    answered = run_cell(cell.source)
    assert answered["double"](4) == 8
    assert answered["double"].__doc__ == "The task: twice x."
    assert "# twice" in cell.source and "# your code" not in cell.source
    assert "# end of your code" not in cell.source
    assert "functools" not in cell.source
    assert cell.source.endswith("\n\n\ndouble(4)")


def test_a_reference_without_docstring_gets_the_stubs(quick):
    quick.build()
    half = run_cell(quick.read("solutions/01_one.ipynb").cells[-1].source)["half"]
    assert half(9, by=3) == 3
    assert half.__doc__ == "The bug hunt: x in parts of `by`."


def test_a_class_keeps_the_words_of_the_stubs_methods(quick):
    quick.refer('''
        class Scale(dict):
            """Reference."""

            def __init__(
                self,
                by: int = 1,  # a factor
            ):
                # first
                self.by = by

            def __call__(self, x):
                """Reference too."""
                return self._times(x)

            def _times(self, x):
                """Only here."""
                return self.by * x
        ''')
    stub = '''
        @exercise("one.Scale")
        class Scale(dict):
            """Task:
            scale."""

            def __init__(self, by=1):
                """Keep it."""
                raise NotImplementedError

            def __call__(self, x):
                """Use it."""
                raise NotImplementedError
        '''
    quick.write("lessons/01_one.py", lesson("exercise = print", stub))
    assert quick.build() == 0
    scale = run_cell(quick.read("solutions/01_one.ipynb").cells[1].source)["Scale"]
    assert scale(3)(5) == 15
    assert scale.__doc__ == "Task:\n    scale."
    assert (scale.__init__.__doc__, scale.__call__.__doc__) == ("Keep it.", "Use it.")
    assert scale._times.__doc__ == "Only here."
    text = quick.read("solutions/01_one.ipynb").cells[1].source
    assert '''):\n        """Keep it."""\n        # first\n''' in text


def test_the_catalog_lists_lessons_and_exercises_with_their_stubs(quick, monkeypatch):
    quick.edit("lessons/01_one.py", "The bug hunt", "缺陷")
    quick.write("lessons/00_zero.py", lesson("exercise = print"))
    quick.entries.reverse()  # the lesson's order counts, not that of the module
    quick.build()
    assert "缺陷" in (quick.root / "course/exercises/catalog.json").read_text(encoding="utf-8")
    monkeypatch.setattr(catalog.resources, "files", lambda package: quick.root / "course/exercises")
    catalog.lessons.cache_clear()
    try:
        zero, one = catalog.lessons()
    finally:
        catalog.lessons.cache_clear()
    assert (zero.number, zero.name, zero.title, zero.exercises) == ("00", "00_zero", "00_zero", ())
    assert (one.number, one.name, one.title) == ("01", "01_one", "One")
    double, half = one.exercises
    assert (double.name, double.title) == ("one.double", "Title of double")
    assert (double.minutes, double.difficulty) == (10, 2)
    assert half.stub.startswith("def half(x, by=2):")
    assert run_cell(half.stub)["half"](4) == 8


def test_ids_are_unique_and_follow_the_text_alone(quick):
    quick.build()
    before = [cell.id for cell in quick.read("notebooks/01_one.ipynb").cells]
    assert len(set(before)) == len(before) == 7
    assert before == [cell.id for cell in quick.read("solutions/01_one.ipynb").cells]
    quick.edit("lessons/01_one.py", "import os", "import os  # changed")
    quick.build()
    after = [cell.id for cell in quick.read("notebooks/01_one.ipynb").cells]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False] + [
        True
    ] * 5


def test_a_solution_is_executed_as_promised_and_the_same_each_time(course, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(course.root))
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    course.edit(
        "lessons/01_one.py",
        'print(os.environ["COURSE_PROFILE"])',
        'for name in ("PROFILE", "SEED", "DATA", "STRICT"):\n'
        '    print(os.environ["COURSE_" + name], flush=True)\n'
        'print([os.listdir(os.environ[name]) for name in ("COURSE_CACHE", "COURSE_HOME")])\n'
        "print(os.listdir())",
    )
    assert course.build() == 0
    solution = course.read("solutions/01_one.ipynb")
    assert solution.cells[3].outputs[0].data["text/plain"] == "8"
    [printed] = solution.cells[5].outputs
    assert printed.text == "cpu\n0\n\n1\n[[], []]\n[]\n"
    before = course.files()
    assert course.build(force=True) == 0
    assert course.files() == before


def test_a_failing_lesson_is_named_with_its_cell_and_the_old_solution_stays(course, capsys):
    course.write("solutions/01_one.ipynb", "old")
    course.edit("lessons/01_one.py", "double(4)", "double(4) / 0")
    assert course.build() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("lessons/01_one.py:28: ")
    assert "Cell [2]" in line and "ZeroDivisionError" in line
    assert (course.root / "solutions/01_one.ipynb").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('careful', file=sys.stderr)", "stderr"),
        ("import IPython.display as d; d.display(d.Image(b'\\x89PNG\\r\\n'))", "alternative text"),
    ],
)
def test_a_solution_that_shows_readers_something_bad_is_refused(course, capsys, code, words):
    course.write("lessons/01_one.py", lesson("x = 1", code))
    course.entries = []
    assert course.build() == 1
    assert capsys.readouterr().err.startswith("lessons/01_one.py:4: ")
    assert not (course.root / "solutions/01_one.ipynb").exists()


def test_a_picture_with_words_is_accepted(course):
    code = """
        import IPython.display as d
        d.display(d.Image(b'\\x89PNG\\r\\n', metadata={"alt": "a cat"}))
        """
    course.write("lessons/01_one.py", lesson(code))
    course.entries = []
    assert course.build() == 0


def test_widgets_which_show_nothing_without_a_kernel_are_left_out(course):
    view = "application/vnd.jupyter.widget-view+json"
    code = f"""
        import IPython.display as d
        d.display({{"{view}": {{"model_id": "1"}}, "text/plain": "a bar"}}, raw=True)
        """
    course.write("lessons/01_one.py", lesson(code))
    course.entries = []
    assert course.build() == 0
    assert course.read("solutions/01_one.ipynb").cells[0].outputs[0].data == {"text/plain": "a bar"}


def test_a_picture_is_stored_once(course):
    code = """
        from course import plots
        plots.show(plots.axes("t", "x", "y")[0], "a description")
        """
    course.write("lessons/01_one.py", lesson(code))
    course.entries = []
    assert course.build() == 0
    [output] = course.read("solutions/01_one.ipynb").cells[0].outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert output.metadata["image/png"].alt == "a description"


def test_only_what_changed_is_executed_again(quick):
    quick.write("lessons/02_two.py", lesson("1 + 1"))
    quick.build()
    quick.build()
    assert quick.executed == ["01_one", "02_two"]
    quick.write("lessons/02_two.py", lesson("1 + 2"))
    quick.build()
    assert quick.executed[2:] == ["02_two"]
    quick.refer(REFERENCES.replace("x + x", "2 * x"))
    quick.build()
    assert quick.executed[3:] == ["01_one"]
    quick.build(force=True, only=("02",))
    assert quick.executed[4:] == ["02_two"]
    (quick.root / "solutions/01_one.ipynb").write_text("<<<<<<< merged", encoding="utf-8")
    quick.build()
    assert quick.executed[5:] == ["01_one"]


def test_new_words_reach_the_solution_without_executing_it(quick):
    quick.build()
    quick.edit("lessons/01_one.py", "# # One", "# # Once\n#\n# %% [markdown]\n# More.")
    quick.write(
        "course/expected.toml", '[lessons."01_one".cpu]\nseconds = 14\npeak_memory_mb = 412'
    )
    assert quick.build(check=True) == 1
    quick.build()
    assert quick.executed == ["01_one"]
    assert quick.build(check=True) == 0
    solution = quick.read("solutions/01_one.ipynb")
    assert solution.cells[0].source == "# Once"
    assert solution.cells[1].source.endswith(
        "; 14 seconds of computing, 412 MB of memory, no download."
    )
    assert solution.cells[-1].outputs[0].text == "output 4\n"


def test_the_opening_says_what_was_measured(quick):
    quick.build()
    first = quick.read("notebooks/01_one.ipynb").cells[0].source
    assert first == (
        "# One\n\n**Budget:** about 20 minutes of exercises; "
        "computing time and memory are not measured yet."
    )
    quick.write(
        "course/expected.toml",
        '[lessons."01_one".cpu]\nseconds = 200.0\npeak_memory_mb = 1480\ndownload_mb = 12\n'
        'device = "2 cores"',
    )
    quick.write(
        "pyproject.toml", '[project.urls]\nRepository = "https://github.com/some/where.git"'
    )
    quick.build()
    _, badges, budget = quick.read("solutions/01_one.ipynb").cells[0].source.split("\n\n")
    assert budget == (
        "**Budget:** about 20 minutes of exercises; 3 minutes of computing, 1.5 GB of memory, "
        "12 MB to download (measured on 2 cores)."
    )
    release, notebook = f"v{__version__}", "notebooks/01_one.ipynb"
    assert f"colab.research.google.com/github/some/where/blob/{release}/{notebook})" in badges
    assert f"mybinder.org/v2/gh/some/where/{release}?urlpath=lab/tree/{notebook})" in badges


def test_colabs_cell_is_filled_in_and_a_new_version_in_it_executes_nothing(quick, monkeypatch):
    quick.edit("lessons/01_one.py", "# %%\nimport os", "# %%\n# {{setup}}\n\n# %%\nimport os")
    quick.build()
    for folder in ("notebooks", "solutions"):
        cell = quick.read(f"{folder}/01_one.ipynb").cells[1]
        assert f'"foundation-models-hands-on[torch]=={__version__}"' in cell.source
        assert cell.metadata.course.setup
    monkeypatch.setattr(colab_cell, "__version__", "77.0")
    quick.build()
    solution = quick.read("solutions/01_one.ipynb")
    assert "==77.0" in solution.cells[1].source
    assert quick.executed == ["01_one"]
    quick.edit("lessons/01_one.py", "# %%\n# {{setup}}\n\n", "")
    quick.build()
    assert quick.executed == ["01_one"] * 2
    assert "google.colab" not in quick.files()["solutions/01_one.ipynb"]


def test_colab_keeps_its_own_tensorflow():
    extra = ["scikit-learn>=1.5", "tensorflow-cpu>=2.20; sys_platform == 'linux'"]
    project = {"optional-dependencies": {"tensorflow": [*extra, "tensorflow>=2.20; other"]}}
    cell = colab_cell.colab_cell("01_one_tensorflow", project)
    own = f"foundation-models-hands-on=={__version__}"
    assert f'wanted = ["{own}", "scikit-learn>=1.5", "tensorflow>=2.20"]\n' in cell


def test_what_has_no_lesson_any_more_is_removed(quick):
    quick.write("notebooks/07_old.ipynb", "{}")
    quick.write("solutions/07_old.ipynb", "{}")
    quick.build()
    assert [place for place in quick.files() if "07" in place] == []


def test_check_is_content_with_what_build_wrote_and_writes_nothing(quick, capsys):
    quick.build()
    before = quick.files()
    assert quick.build(check=True) == 0
    assert quick.files() == before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("notebooks/01_one.ipynb", "import os", "import sys"),
        ("notebooks/01_one.ipynb", '"one.half"', '"one.third"'),
        ("notebooks/01_one.ipynb", '"python3"', '"python4"'),
        ("solutions/01_one.ipynb", "# One", "# Won"),
        ("solutions/01_one.ipynb", "x + x", "x * 2"),
        ("solutions/01_one.ipynb", '"inputs": "', '"inputs": "0'),
        ("solutions/01_one.ipynb", '"execution_count": 1', '"execution_count": null'),
        ("course/exercises/catalog.json", "x * by", "x / by"),
        ("course/exercises/catalog.json", '"minutes": 10', '"minutes": 11'),
        ("lessons/01_one.py", "# # One", "# # Won"),
        ("lessons/01_one.py", "return x * by", "return x - by"),
    ],
)
def test_check_sees_each_difference_and_says_what_mends_it(quick, capsys, place, old, new):
    quick.build()
    quick.edit(place, old, new)
    before = quick.files()
    assert quick.build(check=True) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines and all("run `course build" in line for line in lines)
    assert place.startswith("lessons/") or [line.split(":")[0] for line in lines] == [place]
    assert quick.files() == before
    assert quick.build() == 0
    assert quick.build(check=True) == 0


def test_check_sees_a_changed_reference_and_what_has_no_lesson(quick, capsys):
    quick.build()
    quick.refer(REFERENCES.replace("x + x", "2 * x"))
    quick.write("solutions/07_old.ipynb", "{}")
    assert quick.build(check=True) == 1
    found = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert found == ["solutions/01_one.ipynb", "solutions/07_old.ipynb"]


def test_check_does_not_compare_outputs(quick):
    quick.build()
    quick.edit("solutions/01_one.ipynb", "output 2", "another number")
    assert quick.build(check=True) == 0


def test_nbstripout_leaves_a_built_notebook_as_it_is(quick):
    quick.build()
    path = quick.root / "notebooks/01_one.ipynb"
    before = path.read_bytes()
    subprocess.run([sys.executable, "-m", "nbstripout", "--keep-id", path], check=True)
    assert path.read_bytes() == before


STUB = '@exercise("one.f")\ndef f({}):\n    raise NotImplementedError'


@pytest.mark.parametrize(
    ("reference", "parameters"),
    [
        ("def f(x, y): return x", "x"),
        ("def f(x, y): return x", "y, x"),
        ("def f(x, y=1): return x", "x, y=2"),
        ("def f(x, y=1): return x", "x, y"),
        ("def f(x, *, y): return x", "x, y"),
        ("def f(x, *y): return x", "x, y"),
        ("def f(x, /): return x", "x"),
        ("def g(x): return x", "x"),
    ],
)
def test_another_signature_than_the_references_is_refused(quick, capsys, reference, parameters):
    quick.refer(reference.replace(": ", ":\n    "))
    quick.entries[0].name = "one.f"
    quick.write("lessons/01_one.py", lesson("exercise = print", STUB.format(parameters)))
    assert quick.build() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("lessons/01_one.py:5: ") and f"f({parameters})" in line
    assert quick.executed == [] and not (quick.root / "notebooks").exists()


@pytest.mark.parametrize(
    "stub",
    [
        "class A(list):\n    def run(self, x):\n        pass",
        "class A(dict):\n    def run(self):\n        pass",
        "class A(dict):\n    def run(self, x):\n        pass\n    def more(self):\n        pass",
        "class A(dict):\n    def __init__(self, size):\n        pass",
        "def A(x):\n    pass",
    ],
)
def test_another_face_of_a_class_is_refused(quick, capsys, stub):
    quick.refer(
        "class A(dict):\n    def run(self, x: int):\n        return self._two\n    _two = 2\n"
    )
    good = "class A(dict):\n    def run(self, x):\n        pass\n    def _mine(self):\n        pass"
    for text, status in [(good, 0), (stub, 1)]:
        cell = f'@exercise("one.A")\n{text}'
        quick.write("lessons/01_one.py", lesson("exercise = print", cell))
        assert quick.build() == status
    assert capsys.readouterr().err.startswith("lessons/01_one.py:5: exercise one.A: the stub has")


BINDING = """
    import numpy as np, os.path as path
    from math import tau
    with open(os.devnull) as opened:
        for index in range(3):
            pass
    if (walrus := 3):
        first, *rest = (1, 2)
    def helper(local): inside = local
    class Helper: ...
    """
NEEDING = """
    def f(x: {annotation}, y={default}):
        here = [item for item in x if item]
        def inner():
            return here, f, y, len, {name}
        return inner
    """


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (dict(name="np"), None),
        (dict(name="path"), None),
        (dict(name="tau"), None),
        (dict(name="opened"), None),
        (dict(name="index"), None),
        (dict(name="walrus"), None),
        (dict(name="rest"), None),
        (dict(name="helper"), None),
        (dict(name="Helper"), None),
        (dict(name="same_cell"), None),
        (dict(name="inside"), "inside"),
        (dict(name="later"), "later"),
        (dict(name="below"), "below"),
        (dict(name="nowhere"), "nowhere"),
        (dict(annotation="np.ndarray"), None),
    ],
)
def test_an_answer_may_use_only_names_bound_above_it(quick, capsys, names, missing):
    values = dict(annotation="int", default="1", name="x") | names
    quick.refer("import numpy as np\n" + textwrap.dedent(NEEDING.format(**values)))
    exercise = "same_cell = 1\n" + STUB.format("x, y=1") + "\nbelow = 1"
    quick.write("lessons/01_one.py", lesson("exercise = print", BINDING, exercise, "later = 1"))
    assert quick.build() == (1 if missing else 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (1 if missing else 0)
    if missing:
        assert lines[0].startswith("lessons/01_one.py:16: ") and f"uses {missing}," in lines[0]


HAFF = [
    "01_one.py:45: exercise one.haff is not in the catalog",
    "01_one.py:1: exercise one.half of the catalog is used by no lesson",
]
TWICE = [
    "01_one.py:45: exercise one.double is used at lessons/01_one.py:29 already",
    "01_one.py:45: exercise one.double: the stub has half(x, by=2)",
    "01_one.py:1: exercise one.half of the catalog is used by no lesson",
]
SHARED = [
    "02_two.py:3: exercise one.half is used at lessons/01_one.py:45 already",
]


@pytest.mark.parametrize(
    ("place", "old", "new", "refused"),
    [
        ("lessons/01_one.py", '"one.half"', '"one.haff"', HAFF),
        ("lessons/01_one.py", '"one.half"', '"one.double"', TWICE),
        (
            "lessons/02_two.py",
            "...",
            STUB.replace(".f", ".half").replace(" f(", " half(").format("x, by=2"),
            SHARED,
        ),
        ("lessons/01_one.py", "import os", "import (", ["01_one.py:17: this code cell is not"]),
        ("lessons/01_b.py", "...", "...", ["01_one.py:1: number 01 belongs to 01_b"]),
        ("lessons/extra.py", "...", "...", ["extra.py:1: "]),
        ("lessons/02_two.py", "...", "x = (", ["02_two.py:2: this code cell is not valid Python"]),
        ("lessons/02_two.py", "...", "pass\n" * 26, ["02_two.py:2: this cell has 26 lines"]),
        ("lessons/02_two.py", "...", "%magic\n" * 26, ["02_two.py:2: this cell has 26 lines"]),
        ("lessons/02_two.py", "...", "pass\n" * 25, []),
        ("lessons/02_two.py", "...", "pass\n\n# why\n" * 25, []),
        ("lessons/02_two.py", "...", 'def f():\n    """\n' + "    a\n" * 30 + '    """', []),
        ("lessons/01_one.py", "    return x * by", "    x = 1\n" * 30, []),
        ("lessons/01_one_tensorflow.py", "...", "...", []),
    ],
)
def test_refusals_name_file_and_line(quick, capsys, place, old, new, refused):
    if not (quick.root / place).exists():
        quick.write(place, lesson("..."))
    quick.edit(place, old, new)
    assert quick.build() == (1 if refused else 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(refused)
    for words in refused:
        assert any(line.startswith(f"lessons/{words}") for line in lines)


def test_an_exercise_of_another_lesson_is_refused(quick, capsys):
    quick.entries[1].lesson = "02_two"
    assert quick.build() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line == "lessons/01_one.py:45: exercise one.half belongs to lesson 02_two in the catalog"


def test_all_problems_are_listed_at_once_or_those_of_the_lessons_asked_for(quick, capsys):
    quick.edit("lessons/01_one.py", "by=2", "by=3")
    quick.write("lessons/02_two.py", lesson("pass\n" * 26))
    quick.write("README.md", "[gone](gone.md)")
    assert quick.build(check=True) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines if "course build" not in line] == [
        "README.md",
        "lessons/01_one.py",
        "lessons/02_two.py",
    ]
    assert quick.build(only=("02_two",)) == 1
    assert [line[:17] for line in capsys.readouterr().err.splitlines()] == ["lessons/02_two.py"]
    assert quick.build(only=("03",)) == 1
    assert "'03'" in capsys.readouterr().err


MARKDOWN = "# %% [markdown]\n# # A `b` c\n#\n# text\n# {}\n"
PAGE = "# Title\n\n## What's new?\n\n## What's new?\n\n<a id='mark'></a>\n\n```\n[x](no)\n```\n"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[x](02_two.ipynb)", None),
        ("[x](../solutions/02_two.ipynb)", None),
        ("[x](02_two.ipynb#A-b-c) `[x](code)` [y](https://example.org/gone)", None),
        ("[x](#A-b-c) and ![a cat](../a%20cat.png)", None),
        ("<img src='../a cat.png' alt='a cat'>", None),
        ("[x](../docs/page.md#whats-new-1), [x](../docs/page.md#mark), [x](../docs)", None),
        ("[x](03_three.ipynb)", "dead link"),
        ("[x](01_one.py)", "dead link"),
        ("[x](../lessons/../../outside.md)", "dead link"),
        ("[x](../runs/report.html)", "dead link"),
        ("[x](/docs/page.md)", "dead link"),
        ("[x](02_two.ipynb#a-b-c)", "no such heading"),
        ("[x](../solutions/02_two.ipynb#a-b-c)", "no such heading"),
        ("[x](#Elsewhere)", "no such heading"),
        ("[x](../docs/page.md#whats-new-2)", "no such heading"),
        ("<a href='gone.md'>x</a>", "dead link"),
        ("![a cat](cat.png)", "dead link"),
        ("![](../a%20cat.png)", "alternative text"),
        ("<img src='../a cat.png' alt=''>", "alternative text"),
        ("<details><img src='../a cat.png'></details>", "alternative text"),
    ],
)
def test_links_and_pictures_in_a_lesson(quick, capsys, text, fault):
    quick.write("lessons/02_two.py", MARKDOWN.format(text))
    quick.write("docs/page.md", PAGE)
    quick.write("a cat.png", "")
    quick.write("runs/report.html", "")
    quick.write("../outside.md", "")
    quick.write(".gitignore", "# docs\nruns/\n")
    assert quick.build() == (1 if fault else 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (1 if fault else 0)
    if fault:
        assert lines[0].startswith("lessons/02_two.py:5: ") and fault in lines[0]


def test_links_of_a_markdown_file_start_where_it_lies(quick, capsys):
    quick.write("docs/page.md", PAGE + "\n[a](../README.md) [b](#title)\n\n- x\n- [c](README.md)\n")
    quick.write("README.md", "[lesson](notebooks/01_one.ipynb#One) [p](docs/page.md)\n![](a.png)\n")
    quick.write("a.png", "")
    quick.write(".gitignore", ".venv/\n")
    quick.write(".venv/package/README.md", "[x](gone.md)")
    assert quick.build() == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.rsplit(": ", 1)[0].split(": ")[0] for line in lines] == [
        "README.md:2",
        "docs/page.md:16",
    ]


def test_a_line_is_found_below_commands_and_hard_breaks(quick, capsys):
    quick.write(
        "lessons/02_two.py",
        '# %% [markdown]\n# break  \n# here\n\n# %%\n# !ls\n\n# %% language="bash"\n# ls\n\n'
        '# %% [markdown]\n"""\n[x](gone.md)\n"""\n\n# %%\nx = (\n',
    )
    assert quick.build() == 1
    assert capsys.readouterr().err.startswith("lessons/02_two.py:17: ")
    quick.edit("lessons/02_two.py", "x = (", "x = 1")
    assert quick.build() == 1
    assert capsys.readouterr().err.startswith("lessons/02_two.py:13: ")


def test_a_picture_in_code_needs_words_too(quick, capsys):
    good = "HTML(f'<img src={x} alt=\"{words}\">')"
    bad = "x = 1\nHTML('<img src=\"data:...\">')"
    quick.write("lessons/02_two.py", lesson(good, bad))
    assert quick.build() == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("lessons/02_two.py:5: ")


def test_a_mixture_answers_the_exercises_asked_for(quick):
    path = quick.root / "lessons/01_one.py"
    odd = notebooks.mixture(path, lambda number: number % 2 == 1, entries=quick.entries)
    assert "return x + x" in odd.cells[3].source
    assert "return x * by" in odd.cells[6].source
    wrong = {
        "one.double": "def double(x):\n    return x\n",
        "one.half": "    def half(x, by=2):\n        return 'wrong'",
    }
    even = notebooks.mixture(path, lambda number: number == 2, wrong, entries=quick.entries)
    assert run_cell(even.cells[3].source)["double"](7) == 7
    assert run_cell(even.cells[6].source)["half"](8) == 4
    neither = notebooks.mixture(path, lambda number: False, wrong, entries=quick.entries)
    assert run_cell(neither.cells[6].source)["half"](8) == "wrong"
    untouched = notebooks.mixture(path, lambda number: False, entries=quick.entries)
    quick.build()
    assert sources(untouched) == sources(quick.read("notebooks/01_one.ipynb"))
