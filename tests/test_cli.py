"""What each command of the command line calls, and what it says when something is wrong."""

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from course import __version__, cli, environment, testing
from course.problem import Problem

HEAVY = ("numpy", "torch", "rich", "requests", "nbformat", "nbclient", "jupyter_server", "psutil")


@pytest.fixture
def called(monkeypatch) -> list[tuple]:
    """What the command line called, instead of doing it."""
    calls: list[tuple] = []

    def stand_in(module: str, *names: str) -> None:
        def recorder(name: str):
            return lambda *given, **named: calls.append((name, *given, named)) or 3

        fakes = {name: recorder(name) for name in names}
        monkeypatch.setitem(sys.modules, f"course.{module}", SimpleNamespace(**fakes))
        monkeypatch.setattr(f"course.{module}", SimpleNamespace(**fakes), raising=False)

    stand_in("lab", "lab")
    stand_in("run", "run")
    stand_in("doctor", "doctor", "collect")
    stand_in("testing", "test")
    stand_in("datasets.commands", "list_sets", "fetch", "bundle", "verify")
    stand_in("progress", "show")
    stand_in("notebooks", "build")
    monkeypatch.setattr(environment, "checkout", lambda: Path("clone"))
    return calls


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lab", ("lab", {"browser": True})),
        ("lab --no-browser", ("lab", {"browser": False})),
        ("run", ("run", [], None, False, 5, False, {})),
        ("run 01 --profile smoke", ("run", ["01"], "smoke", False, 5, False, {})),
        ("run 00 01 --measure --seeds 7", ("run", ["00", "01"], None, True, 7, False, {})),
        ("run --like-binder", ("run", [], None, False, 5, True, {})),
        ("doctor", ("doctor", False, {})),
        ("doctor --json", ("doctor", True, {})),
        ("doctor --collect room", ("collect", Path("room"), {})),
        ("test", ("test", [], {})),
        ("test -- -k mlp -x", ("test", ["-k", "mlp", "-x"], {})),
        ("data list", ("list_sets", {})),
        ("data fetch mnist", ("fetch", ["mnist"], {})),
        ("data bundle workshop", ("bundle", Path("workshop"), [], {})),
        ("data verify", ("verify", [], {})),
        ("progress", ("show", {})),
        ("build", ("build", Path("clone"), False, [], False, {})),
        ("build 01 --check --force", ("build", Path("clone"), True, ["01"], True, {})),
    ],
)
def test_each_command_calls_its_function_and_passes_its_status_on(line, expected, called):
    assert cli.main(line.split()) == 3
    assert called == [expected]


@pytest.mark.parametrize("line", ["", "nonsense", "run --profile tpu", "data", "data lose"])
def test_a_mistake_in_the_command_is_answered_with_its_usage(line, called, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(line.split())
    assert stopped.value.code == 2
    assert "usage: course" in capsys.readouterr().err
    assert not called


def test_help_names_a_first_command_for_each_kind_of_person(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    words = capsys.readouterr().out
    for line in ("student      course lab", "instructor   course run", "maintainer   course test"):
        assert line in words


@pytest.mark.parametrize("command", ["lab", "run", "doctor", "test", "data", "progress", "build"])
def test_the_help_of_each_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert f"example:\n  course {command}" in capsys.readouterr().out


def test_the_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"course {__version__}\n"


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from course import cli\n"
        "try: cli.main(['--help'])\n"
        f"except SystemExit: print('LOADED', [name for name in {HEAVY} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8")
    assert answer.stdout.endswith("LOADED []\n")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Problem("The folder is not yours: take another."), 1, "not yours: take another."),
        (ModuleNotFoundError("No module named 'nbclient'", name="nbclient"), 1, "'nbclient'"),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
    ids=["problem", "missing package", "Ctrl-C"],
)
def test_what_the_person_can_mend_is_a_sentence(error, status, words, monkeypatch, capsys):
    def fail(*given, **named):
        raise error

    monkeypatch.setitem(sys.modules, "course.lab", SimpleNamespace(lab=fail))
    assert cli.main(["lab"]) == status
    assert words in capsys.readouterr().err


def test_a_mistake_of_our_own_is_not_hidden(monkeypatch):
    def fail(browser):
        raise ModuleNotFoundError("No module named 'course.nothing'", name="course.nothing")

    monkeypatch.setitem(sys.modules, "course.lab", SimpleNamespace(lab=fail))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["lab"])


def test_course_test_runs_pytest_in_parallel_and_gives_its_status(monkeypatch, tmp_path):
    (tmp_path / "tests").mkdir()
    ran = []
    monkeypatch.setattr(testing, "checkout", lambda: tmp_path)
    monkeypatch.setattr(
        testing.subprocess, "call", lambda command, cwd, env: ran.append((command, cwd)) or 5
    )
    assert testing.test(["-k", "mlp"]) == 5
    [(command, cwd)] = ran
    assert cwd == tmp_path
    assert command[:3] == [sys.executable, "-m", "pytest"] and command[-2:] == ["-k", "mlp"]
    assert "--dist worksteal" in " ".join(command) and int(command[command.index("-n") + 1]) >= 1


def test_the_tests_can_press_ctrl_c_also_where_a_shell_runs_them_in_the_background(
    monkeypatch, tmp_path
):
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(testing, "checkout", lambda: tmp_path)
    ignored = []

    def look(*given, **named):
        ignored.append(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)

    monkeypatch.setattr(testing.subprocess, "call", look)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        testing.test([])
    finally:
        signal.signal(signal.SIGINT, before)
    assert ignored == [False]


def test_course_test_needs_a_clone(monkeypatch, tmp_path):
    monkeypatch.setattr(testing, "checkout", lambda: tmp_path)
    with pytest.raises(Problem, match="no tests"):
        testing.test([])
