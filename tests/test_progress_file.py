"""Progress that goes from machine to machine: nothing lost, nothing twice, nothing overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course import cli, progress
from course.problem import Problem


class Machine:
    """A person's record of its own, as on another machine."""

    def __init__(self, home: Path, monkeypatch) -> None:
        self.home, self.monkeypatch = home, monkeypatch

    def __enter__(self) -> None:
        self.monkeypatch.setenv("COURSE_HOME", str(self.home))

    def __exit__(self, *_) -> None:
        self.monkeypatch.delenv("COURSE_HOME")


@pytest.fixture
def laptop(tmp_path, monkeypatch) -> Machine:
    return Machine(tmp_path / "laptop", monkeypatch)


@pytest.fixture
def colab(tmp_path, monkeypatch) -> Machine:
    return Machine(tmp_path / "colab", monkeypatch)


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "course-progress.json"


def attempts() -> list[tuple[str, bool]]:
    return [(entry["exercise"], entry["passed"]) for entry in progress.attempts()]


def test_a_fresh_machine_knows_what_another_one_has_recorded(laptop, colab, file, capsys):
    with laptop:
        progress.record("a.one", False)
        progress.record("a.one", True)
        progress.export(file)
    with colab:
        progress.import_(file)
        assert attempts() == [("a.one", False), ("a.one", True)]
        assert progress.passed() == {"a.one"}
    out = capsys.readouterr().out
    assert f"2 attempts written to {file}." in out
    assert f"2 attempts added from {file}; 1 more exercise solved than before." in out


def test_when_two_machines_disagree_each_has_everything_afterwards(laptop, colab, file):
    with laptop:
        progress.record("a.one", True)
        progress.record("a.two", False)
    with colab:
        progress.record("a.two", True)
        progress.record("a.one", False)
        progress.record("later.three", True)  # an exercise that the laptop has never heard of
        progress.export(file)
    with laptop:
        progress.import_(file)
        assert progress.passed() == {"a.one", "a.two", "later.three"}
        on_laptop = sorted(progress.attempts(), key=progress._key)
        progress.export(file)
    with colab:
        progress.import_(file)
        assert sorted(progress.attempts(), key=progress._key) == on_laptop
        assert len(on_laptop) == 5


def test_importing_twice_changes_nothing(laptop, colab, file, capsys):
    with laptop:
        for _ in range(3):
            progress.record("a.one", False)
        progress.export(file)
        before = progress.path().read_bytes()
        progress.import_(file)  # also on the machine that it comes from
        assert progress.path().read_bytes() == before
    with colab:
        progress.import_(file)
        before = progress.path().read_bytes()
        capsys.readouterr()
        progress.import_(file)
        assert progress.path().read_bytes() == before
        assert "0 attempts added" in capsys.readouterr().out


def test_attempts_in_the_same_moment_count_as_often_as_they_were_made(laptop, colab, file):
    same = {"exercise": "a.one", "passed": False, "time": 1_000}  # older records have whole seconds
    for machine, number in ((laptop, 3), (colab, 2)):
        with machine:
            progress._append([same] * number)
    with laptop:
        progress.export(file)
    with colab:
        progress.import_(file)
        assert progress.attempts() == [same] * 3


def test_attempts_come_in_the_order_of_time_whatever_machine_they_are_from(laptop, file):
    with laptop:
        for when in (30, 10, 20.5):
            progress._append([{"exercise": f"a.{when}", "passed": True, "time": when}])
        assert [entry["time"] for entry in progress.attempts()] == [10, 20.5, 30]


def test_exporting_again_keeps_what_the_file_has_from_elsewhere(laptop, colab, file):
    with laptop:
        progress.record("a.one", True)
        progress.export(file)
    with colab:
        progress.record("a.two", True)
        progress.export(file)
        assert progress.passed() == {"a.two"}  # an export changes no record
    assert {entry["exercise"] for entry in json.loads(file.read_text("utf-8"))["attempts"]} == {
        "a.one",
        "a.two",
    }
    assert [path.name for path in file.parent.glob("course-progress*")] == [file.name]


def test_a_full_record_of_the_course_is_a_small_file(laptop, file):
    with laptop:
        progress._append(
            {"exercise": f"lesson.exercise_{n % 150}", "passed": n % 3 == 0, "time": n / 7}
            for n in range(1_000)
        )
        progress.export(file)
    assert file.stat().st_size < 100_000


WHOLE = {"exercise": "a.one", "passed": True, "time": 5}


def container(*entries: object, **changed: object) -> bytes:
    content = {"format": progress.FORMAT, "version": progress.VERSION, "attempts": list(entries)}
    return json.dumps(content | changed).encode()


DAMAGED = {
    "empty": (b"", "not a file of progress"),
    "cut off": (container(WHOLE)[:-9], "not a file of progress"),
    "binary": (b"\x89PNG\r\n\xff\x00", "not a file of progress"),
    "foreign": (b'{"cells": [], "nbformat": 4}', "not a file of progress"),
    "a list": (b"[1, 2]", "not a file of progress"),
    "nested": (b"[" * 200_000, "not a file of progress"),
    "huge": (b" " * (progress.MOST_BYTES + 1), "not a file of progress"),
    "a long number": (b"9" * 100_000, "not a file of progress"),
    "newer": (container(WHOLE, version=2), "newer version of the course: bring the course here"),
    "no version": (container(WHOLE, version=None), "not a file of progress"),
    "no attempts": (container(attempts=None), "is damaged: export it again"),
    "no attempt": (container(WHOLE, "a.two"), "is damaged: export it again"),
    "half": (container(WHOLE, {"exercise": "a.two"}), "is damaged: export it again"),
    "no name": (container(WHOLE | {"exercise": ""}), "is damaged: export it again"),
    "a novel": (container(WHOLE | {"exercise": "a" * 101}), "is damaged: export it again"),
    "perhaps": (container(WHOLE | {"passed": 1}), "is damaged: export it again"),
    "never": (container(WHOLE | {"time": float("nan")}), "is damaged: export it again"),
    "the end of time": (container(WHOLE | {"time": 10**400}), "is damaged: export it again"),
}


@pytest.mark.parametrize(("content", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_not_whole_is_one_sentence_and_changes_nothing(
    content, words, laptop, file, capsys
):
    file.write_bytes(content)
    with laptop:
        progress.record("a.zero", True)
        before = progress.path().read_bytes()
        assert cli.main(["progress", "--import", str(file)]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and str(file) in err and words in err
        assert progress.path().read_bytes() == before
        # Nor is it overwritten: it may be somebody's only copy of something.
        assert cli.main(["progress", "--export", str(file)]) == 1
    assert file.read_bytes() == content


def test_a_byte_order_mark_does_no_harm(laptop, file):
    file.write_bytes(b"\xef\xbb\xbf" + container(WHOLE))
    with laptop:
        progress.import_(file)
        assert progress.passed() == {"a.one"}


def test_names_from_anywhere_are_kept_as_they_are(laptop, colab, file):
    names = ["后来.练习", "\ud800", "a b\n<script>"]
    file.write_bytes(container(*(WHOLE | {"exercise": name} for name in names)))
    with colab:
        progress.import_(file)
        assert [entry["exercise"] for entry in progress.attempts()] == names
        progress.export(file)
    with laptop:
        progress.import_(file)
        assert [entry["exercise"] for entry in progress.attempts()] == names


def test_a_file_that_is_not_there_is_one_sentence(laptop, tmp_path):
    with laptop, pytest.raises(Problem, match=r"nothing\.json cannot be read \(No such file"):
        progress.import_(tmp_path / "nothing.json")
    assert not laptop.home.exists()


def test_a_folder_that_is_not_there_takes_no_export(laptop, tmp_path):
    with laptop, pytest.raises(Problem, match=r"cannot be written \(No such file.*of yours\."):
        progress.export(tmp_path / "nowhere" / "file.json")


def test_a_full_disk_leaves_the_export_that_was_there(laptop, file, monkeypatch):
    with laptop:
        progress.record("a.one", True)
        progress.export(file)
        before = file.read_bytes()
        progress.record("a.two", True)

        def write_half(path, text, **_):
            path.write_bytes(text.encode()[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", write_half)
        with pytest.raises(Problem, match="No space left on device"):
            progress.export(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.glob("course-progress*")] == [file.name]


def test_a_record_that_cannot_be_written_says_so_and_what_to_set(laptop, file):
    file.write_bytes(container(WHOLE))
    laptop.home.write_text("not a folder", "utf-8")
    with laptop, pytest.raises(Problem, match=r"cannot be saved.*set COURSE_HOME to a folder"):
        progress.import_(file)


def test_a_record_that_cannot_be_read_is_not_taken_for_an_empty_one(laptop, file):
    file.write_bytes(container(WHOLE))
    before = file.read_bytes()
    with laptop:
        progress.path().mkdir(parents=True)
        for move in (progress.export, progress.import_):
            with pytest.raises(Problem, match=r"Your progress cannot be read \(.*it is yours\."):
                move(file)
    assert file.read_bytes() == before


def test_processes_that_import_and_record_at_once_lose_and_repeat_nothing(laptop, file):
    attempts = [WHOLE | {"exercise": f"theirs.{n}"} for n in range(300)]
    file.write_bytes(container(*attempts))
    codes = ["progress.import_(sys.argv[1])"] * 3
    codes.append("[progress.record(f'own.{n}', True) for n in range(300)]")
    with laptop:
        writers = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    f"import sys; from course import progress; sys.stdin.read(1)\n{code}",
                    str(file),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for code in codes
        ]
        for writer in writers:
            writer.stdin.write(b"!")
            writer.stdin.flush()
        assert [writer.communicate(timeout=60) and writer.returncode for writer in writers] == [
            0
        ] * len(codes)
        assert len(progress.attempts()) == 600
        assert len(progress.passed()) == 600


def test_processes_that_export_to_one_file_at_once_leave_everything_in_it(tmp_path, file):
    program = "from course import progress; progress.record('a.{0}', True); progress.export({1!r})"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program.format(n, str(file))],
            env={**os.environ, "COURSE_HOME": str(tmp_path / f"home{n}")},
            stdout=subprocess.DEVNULL,
        )
        for n in range(4)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4
    found = {entry["exercise"] for entry in json.loads(file.read_text("utf-8"))["attempts"]}
    assert found == {f"a.{n}" for n in range(4)}


def test_the_command_line_exports_and_imports(laptop, colab, file):
    with laptop:
        progress.record("a.one", True)
        assert cli.main(["progress", "--export", str(file)]) == 0
    with colab:
        assert cli.main(["progress", "--import", str(file)]) == 0
        assert progress.passed() == {"a.one"}


def test_a_notebook_shows_the_sentence_without_a_traceback(laptop, tmp_path):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    missing = tmp_path / "nothing.json"
    shell = InteractiveShell()
    with laptop, capture_output() as captured:
        shell.run_cell(f"from course import progress\nprogress.import_({str(missing)!r})")
    shown = captured.stdout + captured.stderr
    assert shown.strip().startswith(f"{missing} cannot be read")
    assert "Traceback" not in shown and len(shown.strip().splitlines()) == 1
