"""What `course lab` lays into my_course/, and what it leaves alone."""

import json
from pathlib import Path

import pytest

from course.problem import Problem
from course.workspace import RECORD, fill

NAME = "01_mlp.ipynb"
BESIDE = "01_mlp (new version).ipynb"


def notebook(source: str, **more) -> str:
    cell = {"cell_type": "code", "source": source, "outputs": [], "metadata": {}} | more
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / NAME).write_text(notebook("first"), "utf-8")
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return tmp_path / "my_course"


def publish(lessons: Path, source: str) -> None:
    (lessons / NAME).write_text(notebook(source), "utf-8")


def source(path: Path) -> str:
    return json.loads(path.read_text("utf-8"))["cells"][0]["source"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


def test_new_lessons_are_laid_byte_for_byte_and_a_second_time_says_nothing(lessons, mine):
    assert fill(lessons, mine) == [f"new: {NAME}"]
    assert (mine / NAME).read_bytes() == (lessons / NAME).read_bytes()
    assert fill(lessons, mine) == []


def test_a_lesson_that_nobody_touched_is_brought_up_to_date_in_place(lessons, mine):
    fill(lessons, mine)
    publish(lessons, "second")
    assert fill(lessons, mine) == [f"brought up to date: {NAME}"]
    assert source(mine / NAME) == "second"
    assert names(mine) == [NAME]


@pytest.mark.parametrize(
    "work",
    [
        notebook("my answer"),
        notebook("first", outputs=[{"output_type": "stream", "name": "stdout", "text": "4"}]),
        notebook("first", attachments={"a.png": {"image/png": "AA=="}}),
        "not a notebook any more",
        "[]",
        "",
    ],
    ids=["edited", "run", "picture", "broken", "other json", "empty"],
)
def test_work_is_never_overwritten_and_the_newer_version_lies_beside_it_once(lessons, mine, work):
    fill(lessons, mine)
    (mine / NAME).write_text(work, "utf-8")
    assert fill(lessons, mine) == []
    publish(lessons, "second")
    [line] = fill(lessons, mine)
    assert NAME in line and BESIDE in line
    assert (mine / NAME).read_text("utf-8") == work
    assert source(mine / BESIDE) == "second"
    (mine / BESIDE).unlink()
    assert fill(lessons, mine) == []
    assert names(mine) == [NAME]


def test_a_third_version_replaces_the_untouched_second_one(lessons, mine):
    fill(lessons, mine)
    (mine / NAME).write_text(notebook("my answer"), "utf-8")
    for version in ("second", "third"):
        publish(lessons, version)
        fill(lessons, mine)
    assert source(mine / BESIDE) == "third"
    assert names(mine) == sorted([NAME, BESIDE])


def test_a_newer_version_that_was_worked_in_is_kept_as_well(lessons, mine):
    fill(lessons, mine)
    (mine / NAME).write_text(notebook("my answer"), "utf-8")
    publish(lessons, "second")
    fill(lessons, mine)
    (mine / BESIDE).write_text(notebook("my second answer"), "utf-8")
    publish(lessons, "third")
    fill(lessons, mine)
    assert source(mine / NAME) == "my answer"
    assert source(mine / BESIDE) == "my second answer"
    assert source(mine / "01_mlp (new version 2).ipynb") == "third"


def test_a_notebook_that_was_only_opened_counts_as_untouched(lessons, mine):
    fill(lessons, mine)
    opened = json.loads((mine / NAME).read_text("utf-8"))
    opened["metadata"] = {"language_info": {"version": "3.11.7"}}
    opened["cells"][0] |= {"source": ["first"], "metadata": {"trusted": True}}
    (mine / NAME).write_text(json.dumps(opened, indent=1), "utf-8")
    publish(lessons, "second")
    fill(lessons, mine)
    assert names(mine) == [NAME]
    assert source(mine / NAME) == "second"


def test_a_deleted_lesson_is_laid_again(lessons, mine):
    fill(lessons, mine)
    (mine / NAME).unlink()
    assert fill(lessons, mine) == [f"new: {NAME}"]
    assert source(mine / NAME) == "first"


@pytest.mark.parametrize("spoilt", ["", "{", "[]", None])
def test_without_a_readable_record_nothing_is_overwritten(lessons, mine, spoilt):
    fill(lessons, mine)
    (mine / RECORD).unlink()
    if spoilt is not None:
        (mine / RECORD).write_text(spoilt, "utf-8")
    publish(lessons, "second")
    fill(lessons, mine)
    assert source(mine / NAME) == "first"
    assert source(mine / BESIDE) == "second"


def test_the_students_other_files_stay_and_nothing_half_written_is_left(lessons, mine):
    mine.mkdir()
    (mine / "notes.txt").write_text("mine", "utf-8")
    fill(lessons, mine)
    assert names(mine) == [NAME, "notes.txt"]


def test_without_lessons_one_sentence_says_what_to_do(tmp_path):
    with pytest.raises(Problem, match="git checkout notebooks"):
        fill(tmp_path / "notebooks", tmp_path / "my_course")
