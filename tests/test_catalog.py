"""The list of lessons and exercises: read at once, without a framework, never wrong in silence."""

import json
import subprocess
import sys

import pytest

from course import catalog, cli, exercises

FRAMEWORKS = ("torch", "tensorflow")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the list is looked for, in place of the course's own."""
    monkeypatch.setattr(catalog.resources, "files", lambda package: tmp_path)
    catalog.lessons.cache_clear()
    yield tmp_path / "catalog.json"
    catalog.lessons.cache_clear()


def test_listing_everything_loads_no_framework_and_no_exercise(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    program = (
        "import sys; from course import cli, exercises\n"
        "status = cli.main(['progress'])\n"
        "names = [entry.name for entry in exercises.catalog()]\n"
        "loaded = [name for name in sys.modules if name.startswith('course.exercises.')]\n"
        f"loaded += [name for name in {FRAMEWORKS} if name in sys.modules]\n"
        "print('STATUS', status, 'NAMES', len(names), 'LOADED', loaded)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60
    )
    count = sum(len(lesson.exercises) for lesson in catalog.lessons())
    last = answer.stdout.splitlines()[-1]
    assert last == f"STATUS 0 NAMES {count} LOADED []", answer.stderr
    assert f"of {count} exercises solved." in answer.stdout


def test_checking_an_answer_loads_only_the_module_of_its_exercise():
    program = (
        "import sys; from course.exercises import check\n"
        "passed = check('start.to_unit_range', lambda pixels: pixels / 255).passed\n"
        "print([name for name in sys.modules if name.startswith('course.exercises.')])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=60
    )
    assert answer.stdout == "['course.exercises.start']\n", answer.stderr


def test_the_list_is_what_the_modules_hold():
    program = (
        "import json; from course.exercises import discover\n"
        "print(json.dumps([[entry.name, entry.lesson, entry.title] for entry in discover()]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=120
    )
    listed = [[entry.name, entry.lesson, entry.title] for entry in exercises.catalog()]
    assert sorted(json.loads(answer.stdout)) == sorted(listed)
    assert answer.stderr == ""  # nor does a framework chatter


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "<<<<<<< HEAD\n[]\n",
        "{}]",
        "[1]",
        '[{"name": "01_mlp"}]',
        json.dumps([{"name": "01_a", "title": "A", "exercises": [{"name": "a.b"}]}]),
    ],
    ids=["missing", "empty", "conflict", "no JSON", "numbers", "half a lesson", "half an exercise"],
)
def test_a_missing_or_spoilt_list_says_what_mends_it(place, text, capsys):
    if text is not None:
        place.write_text(text, encoding="utf-8")
    assert cli.main(["progress"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and "is missing or spoilt: in a clone run `course build`" in err


def test_an_unknown_exercise_is_answered_with_a_near_one():
    with pytest.raises(ValueError, match=r"no exercise 'mlp\.rellu'; did you mean 'mlp\.relu'"):
        exercises.check("mlp.rellu", abs)
