"""The record of what is solved: nothing lost, nothing raised, readable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from course import catalog, progress

ATTEMPTS = 300


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(progress, "_told", False)
    return tmp_path / "home"


def test_nothing_is_solved_at_first(home):
    assert progress.passed() == set()
    assert progress.attempts() == []
    assert not home.exists()


def test_an_exercise_once_right_stays_right():
    for name, right in (("a.one", False), ("a.one", True), ("a.one", False), ("a.two", False)):
        progress.record(name, right)
    assert progress.passed() == {"a.one"}
    assert [entry["passed"] for entry in progress.attempts()] == [False, True, False, False]


def test_the_record_is_kept_with_the_user_s_data_unless_a_folder_is_named(monkeypatch):
    monkeypatch.delenv("COURSE_HOME")
    assert progress.path().name == "progress.jsonl"
    assert "foundation-models-hands-on" in progress.path().parts


def test_two_processes_that_write_at_once_lose_nothing(home):
    code = (
        "import sys; from course import progress; sys.stdin.read(1)\n"
        f"for n in range({ATTEMPTS}): progress.record(f'{{sys.argv[1]}}.{{n}}', True)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, name], stdin=subprocess.PIPE)
        for name in ("left", "right")
    ]
    for writer in writers:
        writer.stdin.write(b"!")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60) and writer.returncode for writer in writers] == [0, 0]
    expected = {f"{name}.{n}" for name in ("left", "right") for n in range(ATTEMPTS)}
    assert progress.passed() == expected
    assert len(progress.attempts()) == len(expected)


def says_so_once(capsys) -> bool:
    for _ in range(3):
        progress.record("a.one", True)
    out, err = capsys.readouterr()
    assert err == ""
    assert "the lesson goes on. Set COURSE_HOME" in out
    return out.count("cannot be saved") == 1


def test_a_file_in_place_of_the_folder_stops_nothing_and_is_told_once(home, capsys):
    home.write_text("not a folder", "utf-8")
    assert says_so_once(capsys)
    assert progress.passed() == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_stops_nothing_and_is_told_once(home, capsys):
    home.mkdir()
    progress.path().symlink_to("/dev/full")
    assert says_so_once(capsys)


@pytest.mark.parametrize(
    "damage",
    [
        b'{"exercise": "a.th',
        b"\xff\xfe\x00 not text",
        b"null\n3\n[]\n{}",
        b'{"exercise": 1, "passed": true}\n{"exercise": "a.three"}',
    ],
)
def test_a_damaged_line_loses_no_other(damage):
    progress.record("a.one", True)
    with progress.path().open("ab") as file:
        file.write(damage)
    progress.record("a.two", True)
    assert progress.passed() == {"a.one", "a.two"}
    assert len(progress.attempts()) == 2


def test_the_table_fits_into_a_terminal_of_80_columns(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "h"))
    title = "Back-propagation by hand, with everything that it needs"
    lessons = tuple(
        catalog.Lesson(
            name,
            name,
            tuple(catalog.Exercise(f"{module}.{n}", f"{title} {n}", 5, 1, "") for n in range(2)),
        )
        for module, name in (("a", "00_start_here"), ("b", "05_sequence_models"))
    )
    monkeypatch.setattr(catalog, "lessons", lambda: lessons)
    progress.record("a.0", True)
    progress.record("a.1", False)
    progress.record("a.1", False)
    progress.record("gone.0", True)
    assert progress.show() == 0
    out = capsys.readouterr().out
    table, where = out.split("Kept in ")
    assert max(map(len, table.splitlines())) <= 80
    assert where.strip() == str(progress.path())
    words = " ".join(table.replace("│", " ").split())
    for expected in ("00_start_here", "✔ right 1", "not yet 2", "1 of 4 exercises solved."):
        assert expected in words
    assert table.count("○") == 2
    assert "…" not in table


def test_progress_survives_a_restart(home):
    progress.record("a.one", True)
    code = "from course import progress; print(progress.passed())"
    answer = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, encoding="utf-8"
    )
    assert answer.stdout.strip() == "{'a.one'}"
