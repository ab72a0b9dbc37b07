"""JupyterLab as `course lab` starts it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from course import lab

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder as a student has it, with a blank and Chinese characters in its path."""
    notebooks = tmp_path / "my clone 课程" / "notebooks"
    notebooks.mkdir(parents=True)
    (notebooks / lab.FIRST).write_text(json.dumps(NOTEBOOK), "utf-8")
    return notebooks.parent


def read(address: str) -> str:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode("utf-8")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal for one group of processes")
def test_the_printed_address_opens_the_lesson_and_ctrl_c_ends_everything_quietly(clone):
    program = (
        "import pathlib, sys; from course import lab; "
        "lab.checkout = lambda: pathlib.Path(sys.argv[1]); sys.exit(lab.lab(browser=False))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(clone)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    [address] = [line.strip() for line in lines if "http" in line]
    folder = clone / "my_course"
    try:
        assert f"/lab/tree/{lab.FIRST}?token=" in address
        assert '"news": {"disabled": true}' in read(address)
        contents = json.loads(read(address.replace(f"lab/tree/{lab.FIRST}", "api/contents/")))
        assert [file["name"] for file in contents["content"]] == [lab.FIRST]
        assert lab.running_in(folder)["token"] in address
    finally:
        os.killpg(process.pid, signal.SIGINT)  # noqa: TID251
        rest = process.communicate(timeout=20)[0]
    assert process.returncode == 0
    assert "Stopped" in rest and "Traceback" not in rest
    assert lab.running_in(folder) is None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # noqa: TID251
    log = (folder / lab.LOG).read_text("utf-8")
    assert "recognized" not in log and "Traceback" not in log


def test_a_jupyterlab_that_does_not_start_is_one_sentence(clone, monkeypatch):
    monkeypatch.setattr(lab.sys, "executable", "false" if os.name == "posix" else "where.exe")
    with pytest.raises(lab.Problem, match="did not start"):
        lab.start(clone / "notebooks", lab.FIRST, browser=False)


def test_a_second_command_opens_the_running_server_instead_of_another(clone, monkeypatch, capsys):
    server = {"url": "http://localhost:8888/", "token": "t0", "root_dir": str(clone / "my_course")}
    opened = []
    monkeypatch.setattr(lab, "checkout", lambda: clone)
    monkeypatch.setattr(lab, "has_display", lambda: True)
    monkeypatch.setattr(lab.webbrowser, "open", opened.append)
    monkeypatch.setattr(lab, "servers", lambda: iter([server]))
    assert lab.lab(browser=True) == 0
    assert opened == [f"http://localhost:8888/lab/tree/{lab.FIRST}?token=t0"]
    assert opened[0] in capsys.readouterr().out
    assert lab.lab(browser=False) == 0
    assert len(opened) == 1


def test_a_file_left_by_a_crash_is_not_taken_for_a_running_server(clone, monkeypatch):
    left = {"url": "http://localhost:9/", "token": "t0", "root_dir": str(clone), "pid": os.getpid()}
    (clone / f"jpserver-{os.getpid()}.json").write_text(json.dumps(left), "utf-8")
    (clone / "jpserver-1.json").write_text("half", "utf-8")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(clone))
    assert lab.running_in(clone) is None
    monkeypatch.setattr(lab, "answers", lambda server: True)
    assert lab.running_in(clone) == left


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": ":10", "SSH_CONNECTION": "a b c d"}, False),
        ("darwin", {}, True),
        ("darwin", {"SSH_CONNECTION": "a b c d"}, False),
        ("win32", {}, True),
    ],
)
def test_a_browser_opens_only_where_the_person_would_see_it(
    platform, variables, expected, monkeypatch
):
    monkeypatch.setattr(lab.sys, "platform", platform)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert lab.has_display() is expected


def test_a_folder_that_cannot_be_written_is_one_sentence(clone, monkeypatch):
    (clone / "my_course").write_text("a file where the folder should be", "utf-8")
    monkeypatch.setattr(lab, "checkout", lambda: clone)
    with pytest.raises(lab.Problem, match="cannot be written"):
        lab.lab(browser=False)
