"""Every notebook, run in smoke: untouched, solved, and half answered in two ways.

All run on the course as people install it. The first two are run with nbval; the half answered
ones are executed with outputs, so that what their cells show can be read.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from lesson_runs import (
    check_verdicts,
    code_cells,
    forget_return,
    half_answered,
    hand_back,
    recorded_figures,
    reported,
    run_measured,
    run_nbval,
    shown,
)
from nbval.plugin import find_comment_markers, find_metadata_tags

from course import notebooks, progress, results
from course.catalog import TWIN
from course.datasets import bundles
from course.datasets.recipes import CIFAR10, FASHION_MNIST
from course.publishing.colab_cell import TOKEN
from course.publishing.lesson_notebook import is_setup
from course.results import BETTER, IN_BAND, NO_BAND

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted(path.stem for path in (ROOT / "lessons").glob("*.py"))
# What whoever runs the tests may have set, and what must not reach the notebooks.
FOREIGN = ("COURSE_", "NBGRADER_", "PYTHON", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_")
GOALS = {  # promised to readers, whatever the band says
    "01_mlp": {"mlp.test_accuracy": 0.90},
    "01_mlp_tensorflow": {"mlp_tensorflow.test_accuracy": 0.90},
    "02_training_well": {"training_well.test_accuracy": 0.90},
    "03_resnet": {"resnet.test_accuracy": 0.40},  # well above the 0.10 of guessing
    "03_resnet_tensorflow": {"resnet_tensorflow.test_accuracy": 0.30},
    "04_gan": {"gan.classes_covered": 6, "gan.asked_for_and_drawn": 0.30},  # guessing: 0.10
    "04_gan_tensorflow": {"gan_tensorflow.classes_covered": 6},
    "05_attention": {"attention.retrieval_accuracy": 0.90},  # guessing: 0.10
    "08_bert_fine_tuning": {  # guessing: 0.50
        "bert_fine_tuning.test_accuracy": 0.70,
        "bert_fine_tuning.chinese_accuracy": 0.65,
    },
    "09_translation": {"translation.exact_match": 0.80},  # the most alike phrase's: 0
}
MOST = {  # the same for figures of which less is better
    "06_language_model": {"language_model.test_perplexity": 130},  # unigram: 190, guessing: 512
}
LOADED = "import sys\nprint(*({'tensorflow', 'torch'} & set(sys.modules)))"
LONGEST = 30  # seconds of computing, which unlike the clock hardly depend on what else is running


@pytest.fixture(autouse=True)
def smoke(monkeypatch, tmp_path) -> None:
    """Settings for notebooks that run in smoke and leave their traces in tmp_path."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "record.jsonl"))
    # Several notebooks run at a time. Where their threads outnumber the cores, torch's threads
    # spend most of their time waiting for each other.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def check_figures(lesson: str, notebook, record: Path, is_own: Callable[[int], bool]) -> None:
    """Every figure was recorded, counts whose answers it rests on, and lies where it should.

    is_own: whether the exercise with this number, from 1, was answered right by the student.
    """
    figures, answers_above = recorded_figures(record), reported(notebook)
    assert set(figures) == set(answers_above)
    for name, figure in figures.items():
        count = answers_above[name]
        own = sum(is_own(number) for number in range(1, count + 1))
        assert (figure["own"], figure["course"]) == (own, count - own)
        assert figure["verdict"] != NO_BAND, (
            f"{name} has no band in smoke; measure it with "
            f"`python -m course run {lesson[:2]} --measure --profile smoke`."
        )
        assert figure["verdict"] in (IN_BAND, BETTER), (
            f"{name} is {figure['value']:.4g}, {figure['verdict']} its band from "
            f"{figure['low']:.4g} to {figure['high']:.4g}: the lesson runs, but learns too little."
        )
    for name, least in GOALS.get(lesson, {}).items():
        assert figures[name]["value"] >= least
    for name, most in MOST.get(lesson, {}).items():
        assert figures[name]["value"] <= most


def attempts() -> list[tuple[str, bool]]:
    """What was noted as the student's progress."""
    return [(attempt["exercise"], attempt["passed"]) for attempt in progress.attempts()]


@pytest.mark.parametrize("lesson", LESSONS)
@pytest.mark.parametrize("folder", ["notebooks", "solutions"])
def test_every_cell_runs_on_the_installed_course(folder, lesson, installed, tmp_path, monkeypatch):
    path = ROOT / folder / f"{lesson}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    solved = folder == "solutions"
    if solved:
        monkeypatch.setenv("COURSE_STRICT", "1")
    printed = run_nbval(installed, path, tmp_path)
    every = rf"^{len(code_cells(notebook))} passed(, \d+ warnings?)? in "
    assert re.search(every, printed, re.MULTILINE), printed
    assert attempts() == []  # nothing was tried, or it was run by whoever grades
    check_figures(lesson, notebook, tmp_path / "record.jsonl", is_own=lambda number: solved)


@pytest.mark.parametrize(
    ("lesson", "remainder", "mistake"),
    [
        *((lesson, 1, forget_return) for lesson in LESSONS),
        # Of the others, test_colab.py runs the other half in an environment like Colab's, or the
        # test below, on other data.
        ("01_mlp_tensorflow", 0, hand_back),
        ("04_gan_tensorflow", 0, hand_back),
    ],
)
def test_a_half_answered_lesson_runs_to_its_end(lesson, remainder, mistake, installed, tmp_path):
    source = ROOT / "lessons" / f"{lesson}.py"
    notebook, expected = half_answered(source, remainder, mistake)
    for look in (LOADED, "import os\nprint(sum(os.times()[:4]))"):
        notebook.cells.append(nbformat.v4.new_code_cell(look))
    notebook, measured = run_measured(installed, notebook, tmp_path)
    assert measured["error"] is None  # it would be one to use more memory than Binder gives
    assert attempts() == expected
    check_verdicts(notebook, expected)
    own_framework = "tensorflow" if lesson.endswith(TWIN) else "torch"
    assert shown(notebook.cells[-2]).split() == [own_framework]
    assert float(shown(notebook.cells[-1])) <= LONGEST
    record = tmp_path / "record.jsonl"
    check_figures(lesson, notebook, record, is_own=lambda number: expected[number - 1][1])


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_first_code_cell_is_colabs_and_does_nothing_here(lesson):
    for folder in ("notebooks", "solutions"):
        cells = code_cells(nbformat.read(ROOT / folder / f"{lesson}.ipynb", as_version=4))
        colabs = [is_setup(cell) for cell in cells]
        assert colabs[0] and sum(colabs) == 1, f"Begin {lesson}.py's code with a cell {TOKEN!r}."
        assert cells[0].outputs == []


def coloured(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in the form of CIFAR-10 that are easy to learn: each class has a colour.

    One label in ten is drawn anew, so that there are mistakes to look at.
    """
    colours = np.random.default_rng(0).integers(40, 216, (len(CIFAR10.classes), 1, 1, 3))
    labels = rng.permutation(np.arange(count) % len(CIFAR10.classes)).astype(np.uint8)
    noise = rng.integers(-40, 40, (count, 32, 32, 3))
    images = (colours[labels] + noise).astype(np.uint8)
    labels[: count // 10] = rng.integers(len(CIFAR10.classes), size=count // 10)
    return images, labels


@pytest.mark.parametrize(
    ("lesson", "count"),
    [("03_resnet", 400), ("03_resnet_tensorflow", 600)],  # enough to learn in its few epochs
)
def test_lesson_03_also_runs_on_data_in_the_form_of_cifar_10(
    lesson, count, installed, tmp_path, monkeypatch
):
    rng = np.random.default_rng(1)
    (x_train, y_train), (x_test, y_test) = coloured(rng, count), coloured(rng, 100)
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    bundles.write(tmp_path / "bundle", "cifar10", arrays, {"classes": CIFAR10.classes})
    monkeypatch.setenv("COURSE_PROFILE", "cpu")  # smoke always takes the sample
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "bundle"))
    notebook, expected = half_answered(ROOT / "lessons" / f"{lesson}.py", 0, hand_back)
    notebook, measured = run_measured(installed, notebook, tmp_path)
    assert measured["error"] is None
    assert attempts() == expected
    check_verdicts(notebook, expected)
    text = "".join(shown(cell) for cell in code_cells(notebook))
    assert f"{count:,} training and 100 test images from the offline bundle" in text
    for name in FASHION_MNIST.classes:
        assert name not in text, f"The lesson speaks of {name} where it was given photographs."
    figures, answers_above = recorded_figures(tmp_path / "record.jsonl"), reported(notebook)
    assert set(figures) == set(answers_above)
    for figure, count in answers_above.items():
        own = sum(solved for _, solved in expected[:count])
        assert (figures[figure]["own"], figures[figure]["course"]) == (own, count - own)
    framework = "tensorflow" if lesson.endswith("_tensorflow") else "torch"
    assert {figure["key"] for figure in figures.values()} == {f"cpu/validation/{framework}"}
    name = f"{lesson.removeprefix('03_')}.test_accuracy"
    assert figures[name]["value"] > 0.5  # colours are easy to tell apart


def twins() -> list[tuple[str, str]]:
    """Names and keys of the figures that both frameworks report, in TensorFlow's words."""
    figures = results.expected()["figures"]
    named = [(name, key) for name in figures if f"{TWIN}." in name for key in figures[name]]
    return [(name, key) for name, key in named if name.replace(TWIN, "") in figures]


@pytest.mark.parametrize(("name", "key"), twins())
def test_in_tensorflow_a_lesson_learns_as_much_as_in_torch(name, key):
    figures = results.expected()["figures"]
    other = figures[name.replace(TWIN, "")][key.replace("tensorflow", "torch")]
    assert other["low"] <= figures[name][key]["mean"] <= other["high"]


def test_nothing_of_the_checkout_is_in_reach(installed, tmp_path):
    look = f"""\
import os, sys
from pathlib import Path
import course
checkout = Path({str(ROOT)!r})
assert Path(course.__file__).resolve().is_relative_to(Path(sys.prefix).resolve())
assert os.listdir() == ["look.ipynb"] and not Path.cwd().is_relative_to(checkout)
own = [Path(path) for path in sys.path if "-packages" not in path]
assert not any(path.resolve().is_relative_to(checkout) for path in own), own
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(look)])
    nbformat.write(notebook, tmp_path / "look.ipynb")
    run_nbval(installed, tmp_path / "look.ipynb", tmp_path)


def marks(cell: nbformat.NotebookNode) -> dict[str, bool]:
    """What comments and tags in a cell ask nbval to do."""
    return dict([*find_comment_markers(cell.source), *find_metadata_tags(cell.metadata)])


@pytest.mark.parametrize("folder", ["notebooks", "solutions"])
def test_no_cell_is_excused_from_its_test_or_compared_with_nothing(folder):
    for path in sorted((ROOT / folder).glob("*.ipynb")):
        for cell in code_cells(nbformat.read(path, as_version=4)):
            allowed = [{}, {"check": True}] if cell.outputs else [{}]
            assert marks(cell) in allowed, f"{path.name}, cell {cell.id}"


@pytest.mark.parametrize(
    ("source", "tags", "expected"),
    [
        ("# NBVAL_CHECK_OUTPUT\n1 + 1", [], {"check": True}),
        ("1 + 1", ["nbval-check-output"], {"check": True}),
        ("# NBVAL_SKIP", [], {"skip": True}),
        ("1 / 0", ["raises-exception"], {"check_exception": True}),
        ("1 + 1  # as the NBVAL_SKIP in lesson 00", ["intro"], {}),
    ],
)
def test_marks_are_found_in_comments_and_tags(source, tags, expected):
    assert marks(nbformat.v4.new_code_cell(source, metadata={"tags": tags})) == expected


def test_notebooks_and_solutions_are_what_the_lessons_give(capsys):
    status = notebooks.build(ROOT, check=True, only=[])
    assert status == 0, capsys.readouterr().err
