"""What would fail on Windows or macOS, as far as another system can tell.

ruff finds a part of it (see `extend-select` and `banned-api` in pyproject.toml); what it cannot see
is looked for here, and the branches that only other systems take are walked with a stand-in.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from course import __main__ as entry
from course import environment, execution, hardware, lab, locking
from course.checking import memory
from course.notebooks import build

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path
    for folder in ("course", "lessons", "tests", "tools")
    for path in (ROOT / folder).rglob("*.py")
)
TEXT_MODES = {"r", "w", "a", "x", "r+", "w+", "a+", "rt", "wt", "at", "xt"}
# What Windows refuses in a name, and names that it keeps for devices, with any ending.
REFUSED = re.compile(r'[<>:"\\|?*\x00-\x1f]|[. ]$')
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def committed(*options: str) -> list[str]:
    """What `git ls-files` says; skips where this is no clone."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no git checkout")
    answer = subprocess.run(
        ["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, check=True
    )
    return answer.stdout.decode("utf-8").rstrip("\0").split("\0")


# What is written in the sources


def faults_in(source: str) -> Iterator[str]:
    """Text read or written in the system's own encoding; paths joined by hand."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        is_builtin = isinstance(node.func, ast.Name) and node.func.id == "open"
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if attribute == "join" and getattr(node.func.value, "value", "") in ("/", "\\"):
            yield f"line {node.lineno}: join paths with pathlib"
        if "encoding" in given:
            continue
        position = {"read_text": 0, "write_text": 1}.get(attribute)
        if position is not None and len(node.args) <= position:
            yield f"line {node.lineno}: {attribute} without an encoding"
        is_archive = attribute == "open" and getattr(node.func.value, "id", "") == "tarfile"
        if (is_builtin or attribute == "open") and not is_archive:
            modes = node.args[1:2] if is_builtin else node.args[:1]
            mode = given.get("mode", modes[0] if modes else ast.Constant("r"))
            # What else can be opened, such as an address in a browser, has no such mode.
            if isinstance(mode, ast.Constant) and mode.value in TEXT_MODES:
                yield f"line {node.lineno}: open without an encoding"
        for name in ("text", "universal_newlines"):
            if isinstance(given.get(name), ast.Constant) and given[name].value is True:
                yield f"line {node.lineno}: {name}=True without an encoding"


def test_every_text_has_its_encoding_and_every_path_is_joined_as_a_path():
    assert len(SOURCES) > 80
    faults = {path.name: list(faults_in(path.read_text("utf-8"))) for path in SOURCES}
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("path.read_text(); path.write_text('a'); path.open(); path.open('w')", 4),
        ("open(path); open(path, 'w'); open(path, mode='a'); path.open(mode='r')", 4),
        ("run(c, text=True); run(c, universal_newlines=True); '/'.join(parts)", 3),
        ("path.read_text('utf-8'); path.write_text('a', encoding='utf-8'); path.open('rb')", 0),
        ("path.open('a', encoding='utf-8'); webbrowser.open(address); ', '.join(words)", 0),
        ("open(path, 'rb'); open(path, encoding='utf-8'); open(path, mode)", 0),
        ("run(c, text=True, encoding='utf-8'); tarfile.open(fileobj=file)", 0),
    ],
)
def test_the_search_finds_what_it_should_and_no_more(source, count):
    assert len(list(faults_in(source))) == count


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("PLACE = '/tmp/course'", "S108"),
        ("subprocess.run('ls', shell=True)", "S602"),
        ("os.system('ls ' + os.sep)", "S605"),
        ("os.fork()", "TID251"),
        ("os.geteuid()", "TID251"),
        ("signal.SIGKILL", "TID251"),
        ("signal.pthread_kill(1, 2)", "TID251"),
        ("import resource", "TID251"),
        ("from fcntl import flock", "TID251"),
    ],
)
def test_ruff_is_set_up_to_refuse_what_only_unix_has(line, code):
    answer = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", "course/made_up.py", "-"],
        input=f"import os\nimport signal\nimport subprocess\n\n{line}\n",
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert answer.returncode == 1 and code in answer.stdout


# What is committed


def test_every_file_name_is_one_on_windows_too():
    names = committed()
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if REFUSED.search(part) or DEVICES.fullmatch(part)] == []
    assert [name for name, count in Counter(map(str.lower, names)).items() if count > 1] == []
    longest = max(names, key=len)
    assert len(longest) < 150, f"Windows allows 260 characters with the folders above: {longest}"


def test_the_rules_for_file_names_refuse_what_they_should():
    for name in ("a:b", "what?", "end.", "end ", "a\\b", "tab\t"):
        assert REFUSED.search(name)
    for name in ("aux.py", "CON", "com1.txt"):
        assert DEVICES.fullmatch(name)
    assert not REFUSED.search("01_mlp (new version 2).ipynb")
    assert not DEVICES.fullmatch("console.py")


def test_git_lays_every_text_down_with_the_line_ends_that_it_was_built_with():
    for line in committed("--eol"):
        facts, _, name = line.partition("\t")
        index, _, attributes = facts.split(maxsplit=2)
        assert index in ("i/lf", "i/none", "i/-text"), f"{name} is committed with CRLF"
        assert "eol=lf" in attributes or attributes.strip() == "attr/-text", name


def test_the_build_knows_its_files_again_when_an_editor_has_changed_their_line_ends(
    tmp_path, capsys
):
    copy = tmp_path / "clone"
    names = [*committed(), *committed("--others", "--exclude-standard")]
    for name in filter(os.path.isfile, (ROOT / name for name in names if name)):
        content = name.read_bytes()
        if b"\0" not in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        target = copy / name.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    assert build(copy, check=True, only=[]) == 0, capsys.readouterr().err


# Branches that only other systems take


@pytest.fixture
def windows(monkeypatch):
    """The names that say which system this is; pathlib reads them too, so make no paths then."""
    with monkeypatch.context() as patched:
        patched.setattr(os, "name", "nt")
        patched.setattr(sys, "platform", "win32")
        yield patched


def test_windows_looks_for_pythons_by_its_launcher(windows):
    assert entry.candidates() == [["py", "-3.11"], ["py", "-3.12"], ["py", "-3.13"], ["python"]]


def test_windows_waits_for_the_python_it_starts_and_passes_its_status_on(windows):
    assert entry.become([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_ctrl_c_on_windows_leaves_the_answer_to_the_python_that_was_started(windows):
    outcomes = [KeyboardInterrupt(), 130]

    def wait():
        outcome = outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    windows.setattr(entry.subprocess, "Popen", lambda command: SimpleNamespace(wait=wait))
    assert entry.become(["python"]) == 130 and outcomes == []


def test_an_environment_on_windows_has_its_python_in_scripts(windows):
    place = ROOT / ".venv"  # made before the names changed, or else it could not be made
    assert environment.python_in(place).relative_to(place).as_posix() == "Scripts/python.exe"


@pytest.fixture
def msvcrt(windows):
    """A stand-in for the module with which Windows locks files."""
    taken = set()

    def take(file, mode, count):
        assert (mode, count) == ("no wait", 1) and os.lseek(file, 0, os.SEEK_CUR) == 0
        if taken:
            raise PermissionError(13, "Permission denied")
        taken.add(file)

    module = SimpleNamespace(LK_NBLCK="no wait", locking=take)
    windows.setitem(sys.modules, "msvcrt", module)


def test_windows_locks_one_byte_and_does_not_wait(msvcrt, tmp_path):
    with open(os.path.join(str(tmp_path), "lock"), "ab") as lock:
        assert locking.try_to_lock(lock.fileno())
        assert not locking.try_to_lock(lock.fileno())


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_memory_is_left_unlimited_where_the_system_keeps_no_limit(platform, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setitem(sys.modules, "resource", None)  # an import of it would fail
    with memory.limited():
        pass


def test_cores_and_memory_are_known_where_linux_s_ways_are_missing(monkeypatch):
    monkeypatch.setattr(hardware, "device", lambda: "cpu")  # to ask torch takes seconds
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert f"{os.cpu_count()} cores" in hardware.describe()
    monkeypatch.setattr(execution, "Path", lambda path: ROOT / "no" / "proc")
    assert execution._high_water_mark(os.getpid()) == 0
    assert execution._tree_memory(os.getpid()) > 10**7


@pytest.mark.parametrize("status", [3221225725, 1])
def test_a_kernel_that_died_on_windows_has_a_status_and_no_signal(status):
    assert f"died with status {status}" in execution._cause_of_death(status)


def test_paths_for_terminals_are_joined_as_the_system_joins_them(monkeypatch):
    monkeypatch.setattr(os, "pathsep", ";")
    monkeypatch.setenv("PATH", "C:\\Windows")
    assert lab.search_paths()["PATH"].endswith(";C:\\Windows")


def test_the_commands_for_windows_are_written_down():
    assert "`py -m course lab`" in (ROOT / "README.md").read_text("utf-8")
    assert ".venv\\Scripts\\activate" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_no_notebook_holds_a_line_end_of_windows():
    for name in committed("*.ipynb"):
        cells = json.loads((ROOT / name).read_bytes())["cells"]
        assert not [cell["id"] for cell in cells if "\r" in "".join(cell["source"])], name
