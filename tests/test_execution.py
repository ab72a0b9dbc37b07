"""Notebooks made up on the spot, run in real kernels."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat.v4
import psutil
import pytest

from course import small_machine
from course.execution import Execution, execute
from course.small_machine import MemoryGroup


def notebook(*sources: str):
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(textwrap.dedent(source)) for source in sources]
    )


def printed(cell) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def test_cells_run_in_the_folder_with_the_environment_on_our_interpreter(tmp_path):
    lesson = notebook(
        "import json, os, sys",
        "print(json.dumps([sys.executable, os.getcwd(), os.environ['COURSE_SEED']]))",
    )
    execution = execute(lesson, tmp_path, {"COURSE_SEED": "41"})
    assert execution.error is None
    interpreter, folder, seed = json.loads(printed(lesson.cells[1]))
    assert os.path.samefile(interpreter, sys.executable)
    assert os.path.samefile(folder, tmp_path)
    assert seed == "41"
    assert os.environ.get("COURSE_SEED") != "41"
    assert [cell.execution_count for cell in lesson.cells] == [1, 2]


def test_a_kernel_registered_for_another_environment_is_not_used(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    other = {"argv": ["no-such-python"], "display_name": "other", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(other), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert execute(notebook("1 + 1"), tmp_path, {}).error is None


def test_the_first_error_ends_the_run_in_one_line_with_its_cell(tmp_path):
    lesson = notebook("x = 1", "raise ValueError('first\\nsecond')", "print('never')")
    lesson.cells.insert(0, nbformat.v4.new_markdown_cell("not counted"))
    execution = execute(lesson, tmp_path, {})
    assert execution.error == "Cell [2]: ValueError: first second"
    assert lesson.cells[3].outputs == []


def test_an_error_that_the_lesson_shows_on_purpose_is_none(tmp_path):
    lesson = notebook("1 / 0", "print('after')")
    lesson.cells[0].metadata["tags"] = ["raises-exception"]
    assert execute(lesson, tmp_path, {}).error is None
    assert printed(lesson.cells[1]) == "after\n"


def test_a_cell_that_takes_too_long_is_stopped_with_one_line(tmp_path):
    started = time.monotonic()
    lesson = notebook("import time", "time.sleep(60)")
    execution = execute(lesson, tmp_path, {}, cell_timeout=0.5)
    assert execution.error.startswith("Cell [2]: still running after 1 s")
    assert "\n" not in execution.error
    assert time.monotonic() - started < 20


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_kernel_is_noticed_quickly_and_memory_is_suspected(tmp_path):
    started = time.monotonic()
    execution = execute(notebook("import os", "os.kill(os.getpid(), 9)"), tmp_path, {})
    assert execution.error.startswith("Cell [2]: the kernel was killed")
    assert "memory" in execution.error
    assert time.monotonic() - started < 20


def test_a_kernel_that_exits_is_reported_with_its_status(tmp_path):
    execution = execute(notebook("import os\nos._exit(3)"), tmp_path, {})
    assert execution.error.startswith("Cell [1]: the kernel died with status 3")


def test_each_code_cell_is_announced_and_the_clock_covers_them(tmp_path):
    seen = []
    lesson = notebook("import time", "", "time.sleep(0.5)")
    execution = execute(lesson, tmp_path, {}, on_cell=lambda *place: seen.append(place))
    assert seen == [(1, 2), (2, 2)]
    assert 0.5 <= execution.seconds < 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a high-water mark")
def test_a_short_peak_of_memory_is_seen(tmp_path):
    lesson = notebook(
        "import psutil\nprint(psutil.Process().memory_info().rss)",
        "block = b'x' * 300_000_000\ndel block",
    )
    execution = execute(lesson, tmp_path, {})
    before = int(printed(lesson.cells[0])) / 1e6
    assert before + 299 <= execution.peak_memory_mb <= before + 340


def test_the_memory_of_child_processes_counts(tmp_path):
    child = "import time; block = b'x' * 300_000_000; time.sleep(1)"
    lesson = notebook(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])")
    assert execute(lesson, tmp_path, {}).peak_memory_mb > 300


@pytest.fixture(params=["control group", "looks"])
def kept_by(request, monkeypatch) -> str:
    """What keeps the limit of memory: Linux, where it lets us make a group, or only we."""
    if request.param == "looks":
        monkeypatch.setattr(small_machine, "OWN_GROUPS", Path("no such file"))
        return request.param
    try:
        MemoryGroup(100).close()
    except OSError as problem:
        pytest.skip(f"this process cannot make control groups: {problem}")
    return request.param


TOO_MUCH = "More than 350 MB of memory, the limit, were in use."


def groups_left() -> list[Path]:
    return list(small_machine.GROUPS.rglob(f"course-{os.getpid()}-*"))


@pytest.mark.parametrize(
    "source",
    [
        "block = b'x' * 400_000_000\nimport time; time.sleep(5)",
        "import subprocess, sys\n"
        "child = \"import time; block = b'x' * 400_000_000; time.sleep(5)\"\n"
        "subprocess.run([sys.executable, '-c', child], check=True)",
    ],
    ids=["kernel", "child"],
)
def test_what_passes_the_limit_of_memory_is_ended_and_has_failed(source, kept_by, tmp_path):
    started = time.monotonic()
    execution = execute(notebook("1", source, "2"), tmp_path, {}, memory_limit_mb=350)
    assert TOO_MUCH in execution.error and "Cell [2]" in execution.error
    assert time.monotonic() - started < 20
    assert groups_left() == []


def test_below_the_limit_nothing_happens(kept_by, tmp_path):
    execution = execute(
        notebook("1", "block = b'x' * 50_000_000"), tmp_path, {}, memory_limit_mb=500
    )
    assert execution.error is None
    assert groups_left() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a high-water mark")
def test_a_short_peak_between_two_looks_passes_the_limit_too(kept_by, tmp_path, monkeypatch):
    monkeypatch.setattr("course.execution.SAMPLE_INTERVAL", 60)
    lesson = notebook("block = b'x' * 400_000_000\ndel block")
    execution = execute(lesson, tmp_path, {}, memory_limit_mb=350)
    assert TOO_MUCH in execution.error


@pytest.mark.parametrize("kept_by", ["control group"], indirect=True)
def test_a_group_also_sees_a_short_peak_of_a_child(kept_by, tmp_path, monkeypatch):
    monkeypatch.setattr("course.execution.SAMPLE_INTERVAL", 60)
    child = "block = b'x' * 400_000_000"
    lesson = notebook(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])")
    assert execute(lesson, tmp_path, {}, memory_limit_mb=350).error == TOO_MUCH


def test_a_group_that_has_no_limits_is_not_taken_for_one(tmp_path, monkeypatch):
    """As a container shows it whose own group hands nothing down (version 2)."""
    own = tmp_path / "own"
    own.write_text("0::/user.slice/shell.scope\n", "utf-8")
    monkeypatch.setattr(small_machine, "OWN_GROUPS", own)
    monkeypatch.setattr(small_machine, "GROUPS", tmp_path)
    (tmp_path / "user.slice").mkdir()
    with pytest.raises(OSError, match="No process can be put into"):
        MemoryGroup(100)
    assert list((tmp_path / "user.slice").iterdir()) == []


def test_one_core_is_left_to_what_is_started_afterwards():
    program = (
        "import psutil, subprocess, sys\n"
        "from course.small_machine import use_one_core\n"
        "ask = 'import psutil; print(len(psutil.Process().cpu_affinity()))'\n"
        "print(use_one_core())\n"
        "if hasattr(psutil.Process, 'cpu_affinity'):\n"
        "    print(subprocess.check_output([sys.executable, '-c', ask], text=True))\n"
    )
    said = subprocess.check_output([sys.executable, "-c", program], encoding="utf-8").split()
    assert said == (["False"] if sys.platform == "darwin" else ["True", "1"])


def test_a_kernel_that_cannot_start_gives_one_line(tmp_path):
    execution = execute(notebook("1"), tmp_path / "no such folder", {})
    assert isinstance(execution, Execution)
    assert execution.error.startswith("The kernel did not start")
    assert "\n" not in execution.error


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_stops_the_kernel_and_is_passed_on(tmp_path):
    script = """
        import sys, nbformat.v4
        from pathlib import Path
        from course.execution import execute
        cells = ["import os, pathlib; pathlib.Path('pid').write_text(str(os.getpid()))",
                 "import time; time.sleep(60)"]
        lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        try:
            execute(lesson, Path(sys.argv[1]), {}, on_cell=lambda *_: print("ready", flush=True))
        except KeyboardInterrupt:
            print("passed on")
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout.readline() == "ready\n"
    kernel = int((tmp_path / "pid").read_text(encoding="utf-8"))
    time.sleep(0.3)  # into the second cell
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert output == "passed on\n"
    assert errors == ""
    assert not psutil.pid_exists(kernel)
