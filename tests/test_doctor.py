"""`course doctor`: each fault of a machine, provoked, and what it says about it."""

import io
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from course import benchmark, catalog, doctor, results
from course.checking import memory as memory_limits
from course.datasets.downloads import RemoteFile
from course.diagnosis import addresses, ask, finding, frameworks, machine, packages, page
from course.diagnosis.ask import NoAnswer, answer_of
from course.diagnosis.finding import GOOD, NOTE, PROBLEM, Finding
from course.problem import Problem

NAMES = (
    *("python", "packages", "numpy", "torch", "tensorflow", "nvidia", "profile"),
    *("memory", "disk", "folders", "data", "lessons"),
)
FACTS = {  # the keys that course/doctor.py promises
    "python": {"version"},
    "packages": {"missing", "unfit", "not_as_tested"},
    "numpy": {"version", "stale_kernels"},
    "torch": {"version", "device", "cuda"},
    "tensorflow": {"version", "device", "cuda"},
    "nvidia": {"card", "cuda"},
    "profile": {"profile"},
    "memory": {"total_gb", "free_gb", "needed_gb"},
    "disk": {"free_gb", "needed_gb"},
    "folders": {"not_writable"},
    "data": {"addresses", "bundle"},
    "lessons": {"seconds", "seconds_elsewhere", "benchmark_ms"},
}
HALF_A_PAGE = 30  # lines of a terminal of 80 columns
NUMPY = {"version": "2.4.6", "profile": "cpu", "faults": [], "benchmark": {"a": 10.0, "b": 20.0}}
CPU_TORCH = {"version": "2.13.0+cpu", "cuda": None, "device": "CPU", "profile": "cpu"}
CUDA_TORCH = CPU_TORCH | {"version": "2.13.0+cu130", "cuda": "13.0"}
GPU_TORCH = CUDA_TORCH | {"device": "NVIDIA L4", "profile": "gpu"}


def command(*arguments: str, **variables: str) -> tuple[subprocess.CompletedProcess, float]:
    """`course doctor` in a process of its own, and the seconds of processor time it took."""
    settings = os.environ | {"COURSE_PROFILE": "", "PYTHONIOENCODING": "utf-8"} | variables
    before = psutil.Process().cpu_times()
    answer = subprocess.run(
        [sys.executable, "-m", "course.cli", "doctor", *arguments],
        env=settings,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    after = psutil.Process().cpu_times()
    used = after.children_user + after.children_system
    return answer, used - before.children_user - before.children_system


def put_first(folder: Path, name: str, program: str, monkeypatch) -> None:
    """A package that new processes find instead of the real one of this name."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(textwrap.dedent(program), encoding="utf-8")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


def list_lessons(monkeypatch, *names: str) -> None:
    """Let the course have these lessons."""
    listed = tuple(catalog.Lesson(name, "A lesson", ()) for name in names)
    monkeypatch.setattr(catalog, "lessons", lambda: listed)


def expect(monkeypatch, **lessons: dict) -> None:
    """Let expected.toml hold these budgets of the profile "cpu"."""
    tables = {name: {"cpu": budget} for name, budget in lessons.items()}
    monkeypatch.setattr(results, "expected", lambda: {"lessons": tables})


# The whole command


def test_the_real_command_says_what_it_promises_in_time_and_names_nobody(tmp_path):
    home = tmp_path / "alice"
    home.mkdir()
    variables = {"HOME": str(home), "USERPROFILE": str(home), "COURSE_HOME": str(home / "kept")}
    variables |= {"LOGNAME": "alice", "USER": "alice", "USERNAME": "alice"}
    answer, processor_seconds = command("--json", **variables)
    assert answer.stderr == ""
    report = json.loads(answer.stdout)
    found = report["findings"]
    problems = [name for name, one in found.items() if one["level"] == PROBLEM]
    assert (answer.returncode, problems, report["ready"]) == (0, [], True), found
    assert report.keys() == {"format_version", "course", "system", "ready", "findings"}
    assert tuple(found) == NAMES
    for name, one in found.items():
        assert one.keys() - {"level", "words", "remedy"} == FACTS[name]
        assert bool(one["remedy"]) is (one["level"] != GOOD), one
    assert "alice" not in answer.stdout and str(Path.cwd()) not in answer.stdout
    # Time by the clock depends on what else this machine does; it is about as much, or less.
    assert processor_seconds < 20
    text = page.as_text(
        [Finding(name, one["level"], one["words"], one["remedy"]) for name, one in found.items()]
    )
    assert len(text.splitlines()) <= HALF_A_PAGE


@pytest.mark.parametrize(("level", "status"), [(GOOD, 0), (NOTE, 0), (PROBLEM, 1)])
def test_the_status_is_one_only_where_a_lesson_could_not_run(level, status, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("disk", level, "1 GB free", "Free it")])
    assert doctor.doctor() == status
    text = capsys.readouterr().out
    assert doctor.doctor(as_json=True) == status
    assert json.loads(capsys.readouterr().out)["ready"] is (status == 0)
    assert ("PROBLEM: 1 GB free" in text, "Not ready: see disk." in text) == (status == 1,) * 2


def test_a_bad_machine_still_gets_little_more_than_half_a_page(monkeypatch):
    monkeypatch.setattr(page.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    bad = [Finding(name, NOTE, "two lines of words " * 6, "one line to do " * 4) for name in NAMES]
    lines = page.as_text(bad).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 1.5 * HALF_A_PAGE


def test_a_command_stays_on_one_line_so_that_it_can_be_copied(monkeypatch):
    monkeypatch.setattr(page.shutil, "get_terminal_size", lambda: os.terminal_size((40, 24)))
    long = "Run: python -m pip install --force-reinstall --no-deps numpy==2.4.6"
    assert f"-> {long}\n" in page.as_text([Finding("numpy", NOTE, "a word or two " * 5, long)])


def test_a_numpy_that_does_not_start_is_a_finding_and_not_the_end(tmp_path, monkeypatch):
    put_first(tmp_path, "numpy", "raise ImportError('DLL load failed')", monkeypatch)
    answer, _ = command()
    assert answer.returncode == 1 and "Traceback" not in answer.stderr
    assert "fails: ImportError: DLL load failed" in answer.stdout
    assert "--force-reinstall --no-deps numpy" in answer.stdout
    assert answer.stdout.endswith("Not ready: see numpy.\n")


def test_without_a_clone_the_command_works_and_fails_where_a_lesson_would(
    installed, tmp_path, monkeypatch
):
    for name in ("torch", "tensorflow"):
        put_first(tmp_path, name, "raise ImportError('DLL load failed')", monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # and not the checkout
    answer = subprocess.run(
        [installed, "-m", "course.cli", "doctor", "--json"],
        cwd=tmp_path,
        env=os.environ | {"COURSE_PROFILE": "", "COURSE_HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
    )
    assert (answer.returncode, answer.stderr) == (1, "")
    report = json.loads(answer.stdout)
    assert report["ready"] is False and tuple(report["findings"]) == NAMES
    assert report["findings"]["torch"]["level"] == PROBLEM
    assert "within the course's ranges" in report["findings"]["packages"]["words"]
    assert report["findings"]["lessons"]["level"] == GOOD


def test_on_a_terminal_a_line_says_what_is_waited_for_and_goes_again(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with ThreadPoolExecutor() as pool:
        asked = {"torch": pool.submit(time.sleep, 0.5), "a benchmark": pool.submit(int, "7")}
        assert doctor.answers(asked) == [None, 7]
    shown = sys.stderr.getvalue().split("\r")
    assert any("waiting for torch" in line for line in shown)
    assert shown[-2].strip() == "" and "\n" not in sys.stderr.getvalue()


def test_a_fault_of_the_doctor_s_own_is_a_finding():
    def look(given):
        raise OSError(f"{given}/secret/file.so: cannot open")

    found = finding.guarded("disk", look, "/home/alice")
    assert (found.name, found.level) == ("disk", NOTE)
    assert "OSError: …/file.so: cannot open" in found.words


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/home/alice/.venv/lib/libtorch.so: bad", "…/libtorch.so: bad"),
        (r"in C:\Users\Alice Smith\x.dll", "in …/x.dll"),
        ("File '/home/alice/a.py'", "File '…/a.py'"),
        ("see https://pytorch.org/get-started or either/or", None),
    ],
)
def test_folders_are_left_out_since_they_name_people(text, kept):
    assert finding.without_folders(text) == (kept or text)


# Libraries, each in a process of its own


@pytest.mark.parametrize(
    ("program", "words", "remedy"),
    [
        (
            "raise ImportError('/home/alice/libtorch_cpu.so: undefined symbol')",
            "fails: ImportError: …/libtorch_cpu.so: undefined symbol; 01_mlp cannot run",
            "--force-reinstall --no-deps torch",
        ),
        ("import time; time.sleep(60)", "did not start within 2 s", "restart the machine"),
        ("import os; os.abort()", "crashes (", "--force-reinstall"),
        ("import os; os._exit(7)", "crashes (exit status 7)", "--force-reinstall"),
    ],
    ids=["raises", "hangs", "crashes", "ends"],
)
def test_a_broken_torch_is_a_problem_with_a_remedy(program, words, remedy, tmp_path, monkeypatch):
    put_first(tmp_path, "torch", program, monkeypatch)
    monkeypatch.setattr(ask, "SECONDS", 2)
    list_lessons(monkeypatch, "01_mlp", "01_mlp_tensorflow")
    started = time.monotonic()
    found = frameworks.framework("torch", doctor.answer_or_fault("torch"))
    assert time.monotonic() - started < 30
    assert (found.level, found.facts["version"]) == (PROBLEM, None)
    assert words in found.words and remedy in found.remedy


def test_a_torch_that_talks_is_understood_and_one_that_miscalculates_is_not(tmp_path, monkeypatch):
    program = """
    import sys
    print("a banner"); print("a warning", file=sys.stderr)
    __version__ = "2.99"
    class version: cuda = None
    class cuda: is_available = staticmethod(lambda: False)
    class ones:
        def __init__(self, *shape, device): pass
        def __matmul__(self, other): return self
        def sum(self): return self
        def item(self): return 64**3
    """
    put_first(tmp_path, "torch", program, monkeypatch)
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    assert answer_of("torch") == {
        "version": "2.99",
        "cuda": None,
        "device": "CPU",
        "profile": "smoke",
    }
    wrong = textwrap.dedent(program).replace("64**3", "1")
    (tmp_path / "torch" / "__init__.py").write_text(wrong, encoding="utf-8")
    with pytest.raises(NoAnswer, match="a matrix product gives 1 instead of 262144"):
        answer_of("torch")


@pytest.mark.parametrize(
    ("name", "lessons", "level", "words"),
    [
        ("torch", ("01_mlp", "02_cnn"), PROBLEM, "is not installed; 01_mlp, 02_cnn cannot run"),
        ("tensorflow", ("01_mlp",), NOTE, "is not installed; no lesson needs it yet"),
        ("tensorflow", ("01_mlp_tensorflow",), PROBLEM, "01_mlp_tensorflow cannot run"),
    ],
)
def test_a_missing_framework_counts_where_a_lesson_needs_it(
    name, lessons, level, words, monkeypatch
):
    monkeypatch.setattr(ask.importlib.util, "find_spec", lambda name: None)
    list_lessons(monkeypatch, *lessons)
    found = frameworks.framework(name, doctor.answer_or_fault(name))
    assert found.level == level and words in found.words
    assert f"[{name}]" in found.remedy


def test_a_processor_without_the_instructions_is_told_apart(monkeypatch):
    found = frameworks.framework("torch", NoAnswer("crashes (SIGILL)"))
    assert "processor is too old" in found.remedy


# Python and packages


def test_a_python_outside_the_range_is_a_problem(monkeypatch):
    assert packages.python().level == GOOD
    for version in ("3.10.14", "3.14.0"):
        monkeypatch.setattr(packages.platform, "python_version", lambda version=version: version)
        found = packages.python()
        assert found.level == PROBLEM and version in found.words and "3.11" in found.remedy


@pytest.mark.parametrize(
    ("versions", "level", "words"),
    [
        ({}, GOOD, "as tested"),
        ({"torch": "2.13.0+cpu"}, GOOD, "as tested"),
        ({"tomli-w": "1.1.0"}, NOTE, "tomli-w 1.1.0 (tested: 1.2.0)"),
        ({"torch": "2.12.1"}, NOTE, " are not as tested: torch 2.12.1 (tested: 2.13.0)"),
        ({"numpy": "1.26.4"}, PROBLEM, "does not fit: numpy 1.26.4 (needed: >=2.0)"),
        ({"matplotlib": None}, PROBLEM, "not installed: matplotlib"),
        ({"jupyterlab": None}, NOTE, "not installed: jupyterlab"),
        ({"jupyterlab": None, "torch": None}, PROBLEM, "not installed: jupyterlab, torch"),
        ({"tensorflow-cpu": None, "tensorflow": None}, GOOD, "as tested"),
    ],
)
def test_packages_are_set_beside_the_tested_ones(versions, level, words, monkeypatch):
    tested = packages.tested_versions()
    monkeypatch.setattr(packages, "version_of", lambda name: versions.get(name, tested[name]))
    found = packages.packages()
    assert found.level == level and words in found.words
    assert ("-c constraints.txt" in found.remedy) is (level != GOOD)


def test_without_a_clone_only_the_ranges_are_known(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "CONSTRAINTS", tmp_path / "constraints.txt")
    monkeypatch.setattr(machine, "CONSTRAINTS", tmp_path / "constraints.txt")
    assert "within the course's ranges" in packages.packages().words
    assert packages.install_command("torch").endswith('install "foundation-models-hands-on[torch]"')
    assert "my_course" not in machine.folders()


@pytest.mark.parametrize(
    ("answer", "loaded", "words", "remedy"),
    [
        (NoAnswer("fails: ImportError"), None, "fails", "--force-reinstall"),
        (NUMPY | {"version": "2.1.0"}, None, "half replaced", "--force-reinstall"),
        (NUMPY, "2.1.0", "this kernel still runs 2.1.0, and 2.4.6", "Restart the kernel"),
    ],
    ids=["broken", "half replaced", "replaced under this kernel"],
)
def test_a_swapped_numpy_is_a_problem(answer, loaded, words, remedy, monkeypatch):
    monkeypatch.setattr(packages.importlib.metadata, "version", lambda name: "2.4.6")
    if loaded:
        monkeypatch.setitem(sys.modules, "numpy", SimpleNamespace(__version__=loaded))
    found = packages.numpy(answer)
    assert found.level == PROBLEM and words in found.words and remedy in found.remedy


@pytest.fixture
def kernel():
    """A process that looks like a kernel of this environment."""
    program = "import time; print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "ipykernel_launcher"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout.readline() == "up\n"
    yield process
    process.kill()
    process.communicate()


def test_a_kernel_that_is_older_than_numpy_is_told_to_restart(kernel, tmp_path, monkeypatch):
    assert kernel.pid not in [process.pid for process in packages.stale_kernels()]
    (tmp_path / "numpy").mkdir()
    file = tmp_path / "numpy" / "__init__.py"
    file.touch()
    os.utime(file, (time.time() + 60,) * 2)
    replaced = SimpleNamespace(locate_file=lambda name: tmp_path / name)
    monkeypatch.setattr(packages.importlib.metadata, "distribution", lambda name: replaced)
    assert kernel.pid in [process.pid for process in packages.stale_kernels()]
    monkeypatch.setattr(packages.importlib.metadata, "version", lambda name: "2.4.6")
    found = packages.numpy(NUMPY)
    assert found.level == NOTE and found.facts["stale_kernels"] >= 1
    assert "installed while" in found.words and "Restart the kernel" in found.remedy


# The NVIDIA card

SMI = "| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: 12.4 |"


@pytest.mark.parametrize(
    ("torch", "smi", "level", "words", "remedy"),
    [
        (CPU_TORCH, None, GOOD, "no card, none is needed", ""),
        (NoAnswer("is not installed"), None, GOOD, "no card", ""),
        (CUDA_TORCH, None, NOTE, "several GB of libraries for CUDA 13.0", "--torch-backend=auto"),
        (CPU_TORCH, SMI, NOTE, "torch is a build for the CPU alone", "--torch-backend=auto"),
        (GPU_TORCH, SMI, GOOD, "2 x NVIDIA L4, driver 550.54; torch uses it", ""),
        (CUDA_TORCH, SMI, NOTE, "built for CUDA 13.0, cannot use it", "newer NVIDIA driver"),
        (CUDA_TORCH | {"cuda": "12.4"}, SMI, NOTE, "cannot use it", "CUDA_VISIBLE_DEVICES"),
        (CUDA_TORCH, "| another form |", NOTE, "550.54; torch, built for CUDA 13.0", "CUDA_VIS"),
        (NoAnswer("crashes"), SMI, NOTE, "torch cannot use it", "Mend torch first."),
    ],
    ids=[
        *("none", "no torch", "CUDA for nothing", "CPU build", "in use", "old driver", "hidden"),
        *("driver of unknown age", "a card but no torch"),
    ],
)
def test_driver_and_build_of_torch_are_compared(torch, smi, level, words, remedy, monkeypatch):
    def answer(*arguments):
        return "NVIDIA L4, 550.54\nNVIDIA L4, 550.54" if arguments else smi

    monkeypatch.setattr(frameworks.shutil, "which", lambda name: smi and f"/usr/bin/{name}")
    monkeypatch.setattr(frameworks, "_nvidia_smi", answer)
    found = frameworks.nvidia(torch)
    assert found.level == level and words in found.words and remedy in found.remedy


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (OSError(), "nvidia-smi does not answer"),
        (subprocess.TimeoutExpired("nvidia-smi", 10), "nvidia-smi does not answer"),
        (
            SimpleNamespace(returncode=18, stdout="Driver/library version mismatch\n", stderr=""),
            "nvidia-smi fails (Driver/library version mismatch)",
        ),
        (SimpleNamespace(returncode=0, stdout="", stderr=""), "nvidia-smi fails (no reason given)"),
    ],
    ids=["does not start", "hangs", "mismatch", "silent"],
)
def test_a_driver_that_does_not_answer_is_a_note(outcome, words, monkeypatch):
    def run(*given, **named):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(frameworks.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(frameworks.subprocess, "run", run)
    found = frameworks.nvidia(CPU_TORCH)
    assert (found.level, found.words) == (NOTE, words) and "Restart the machine" in found.remedy


# Profile, memory, disk, folders


def test_wrong_settings_are_a_problem_that_names_them(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    monkeypatch.setenv("COURSE_SEED", "lucky")
    answer = answer_of("numpy")
    found = machine.profile(machine.profile_of(CPU_TORCH | {"profile": None}, answer), answer)
    assert found.level == PROBLEM
    assert found.words == "COURSE_PROFILE is 'fast', COURSE_SEED is 'lucky'"
    assert "COURSE_PROFILE: set it to one of smoke, cpu, gpu, or unset it" in found.remedy
    assert "COURSE_SEED: set it to a whole number" in found.remedy


@pytest.mark.parametrize(
    ("variable", "torch", "words"),
    [
        ("smoke", CPU_TORCH | {"profile": "smoke"}, "smoke, as COURSE_PROFILE says"),
        ("", CPU_TORCH, "cpu, since there is no GPU that torch can use"),
        ("", GPU_TORCH, "gpu, since there is an NVIDIA card that torch can use"),
        ("", NoAnswer("crashes"), "cpu, since there is no GPU that torch can use"),
    ],
)
def test_the_profile_comes_with_its_reason(variable, torch, words, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", variable)
    assert machine.profile(machine.profile_of(torch, NUMPY), NUMPY).words == words


@pytest.mark.parametrize(
    ("total", "free", "group", "level"),
    [
        (8, 4, "max", GOOD),
        (8, 1, "max", NOTE),
        (1, 0.5, "max", PROBLEM),
        (64, 60, str(10**9), PROBLEM),
    ],
    ids=["enough", "in use", "too little", "a small container"],
)
def test_memory_is_measured_against_the_largest_lesson(
    total, free, group, level, tmp_path, monkeypatch
):
    expect(monkeypatch, **{"01_a": {"peak_memory_mb": 1500}, "02_b": {"peak_memory_mb": 700}})
    (tmp_path / "memory.max").write_text(group, encoding="utf-8")
    (tmp_path / "memory.current").write_text("0", encoding="utf-8")
    monkeypatch.setattr(memory_limits, "GROUP", tmp_path)
    amounts = SimpleNamespace(total=int(total * 1e9), available=int(free * 1e9))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: amounts)
    found = machine.memory("cpu")
    assert found.level == level and "01_a, needs 1.5 GB" in found.words
    assert bool(found.remedy) is (level != GOOD)
    assert machine.memory("gpu").facts["needed_gb"] == 0  # nothing is known: nothing is claimed


def test_a_disk_that_is_nearly_full_is_a_note(monkeypatch):
    assert machine.disk().level == GOOD
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=3 * 10**8))
    found = machine.disk()
    assert found.level == NOTE and found.words.startswith("0.3 GB free") and found.remedy


def test_a_folder_that_cannot_be_written_names_its_variable_and_leaves_no_trace(
    tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "not" / "there" / "yet"))
    found = machine.writable()
    assert (found.level, found.facts["not_writable"]) == (NOTE, ["progress"])
    assert found.remedy == "Set COURSE_HOME to a folder of yours."
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# Data


class Handler(BaseHTTPRequestHandler):
    """Answers by the path: good, wrong length, missing; "silent" never."""

    def do_GET(self):
        if self.path.endswith("silent"):
            self.server.released.wait(20)
            return
        self.send_response(404 if self.path.endswith("missing") else 200)
        self.send_header("Content-Length", "7" if self.path.endswith("portal") else "1000")
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    """The address of a server on this machine; proxies are out of the way."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "COURSE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("COURSE_DATA", raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.released = threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.released.set()
    server.shutdown()
    server.server_close()


def sets(*places: str) -> dict:
    """A data set whose only file lies at these addresses."""
    file = RemoteFile("digits.npz", 1000, "", places)
    return {"digits": SimpleNamespace(alternatives=((file,),))}


@pytest.mark.parametrize(
    ("path", "level", "words"),
    [
        ("good", GOOD, "all 1 places of the data sets answer"),
        ("missing", NOTE, "HTTP status 404"),
        ("portal", NOTE, "a page to log in to?"),
        ("silent", NOTE, "no answer in time"),
    ],
)
def test_an_address_answers_with_the_file_or_it_does_not_count(
    path, level, words, server, monkeypatch
):
    monkeypatch.setattr(addresses, "SECONDS", 1.0)
    started = time.monotonic()
    found = addresses.data(sets(f"{server}/{path}"))
    assert time.monotonic() - started < 5
    assert found.level == level
    assert words in (found.words if level == GOOD else str(found.facts["addresses"]))


def test_offline_is_a_note_that_says_what_is_used_instead(server, monkeypatch):
    found = addresses.data(sets("http://127.0.0.1:9/digits.npz"))
    assert found.level == NOTE and "lessons use earlier downloads or their samples" in found.words
    both = addresses.data(sets("http://127.0.0.1:9/digits.npz", f"{server}/good"))
    assert both.level == NOTE and "127.0.0.1:9 (no connection)" in both.words


def test_a_mirror_is_asked_first_and_a_wrong_one_is_named(server, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", f"{server}/")
    assert addresses.sizes(sets("there"))["COURSE_MIRROR", f"{server}/digits/digits.npz"] == 1000
    assert addresses.data(sets(f"{server}/good")).level == GOOD
    for wrong in ("http://127.0.0.1:9", "no address at all"):
        monkeypatch.setenv("COURSE_MIRROR", wrong)
        found = addresses.data(sets(f"{server}/good"))
        assert found.facts["addresses"]["COURSE_MIRROR"] == "no connection"
        assert "right COURSE_MIRROR" in found.remedy


def test_a_bundle_that_cannot_be_used_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "alice"))
    found = addresses.data(sets(f"{server}/good"))
    assert found.level == NOTE and "no manifest.json" in found.words
    assert "COURSE_DATA" in found.remedy and str(tmp_path) not in found.words


# How long lessons take


def test_times_are_scaled_by_the_benchmark_and_given_as_a_range(monkeypatch):
    there = {"a": 5.0, "b": 20.0}  # here: 10 and 20, so between once and twice as long
    known = {"seconds": 10.0, "benchmark": there}
    expect(monkeypatch, **{"01_a": known, "02_new": {"seconds": 3.0}})
    found = machine.lessons("cpu", NUMPY)
    low, high = found.facts["seconds"]["01_a"]
    assert (low, high) == (10 * (1 - benchmark.NOISE), 20 * (1 + benchmark.NOISE))
    assert "estimated from a small benchmark: 01_a 8–23 s;" in found.words
    assert "as measured on another machine: 02_new 3 s" in found.words
    assert found.facts["seconds_elsewhere"] == {"02_new": 3.0}
    assert "none is known yet" in machine.lessons("smoke", NUMPY).words


def test_on_a_gpu_the_time_measured_elsewhere_is_not_scaled(monkeypatch):
    budget = {"seconds": 9.0, "benchmark": {"a": 1.0, "b": 1.0}}
    monkeypatch.setattr(results, "expected", lambda: {"lessons": {"01": {"gpu": budget}}})
    assert "as measured on another machine: 01 9 s" in machine.lessons("gpu", NUMPY).words


def test_the_benchmark_measures_and_a_machine_is_as_fast_as_itself():
    measured = benchmark.measure()
    assert all(0.01 < milliseconds < 60_000 for milliseconds in measured.values())
    low, high = benchmark.estimate(100, measured, measured)
    assert low < 100 < high
    assert benchmark.mean_of({"a": 1.0}, {"a": 2.0}) == {"a": 1.5}


@pytest.mark.parametrize(
    ("edges", "words"),
    [((8.2, 12.4), "8–12 s"), ((0.2, 0.9), "1 s"), ((50, 119), "50–119 s"), ((80, 200), "1–3 min")],
)
def test_a_range_of_time_is_short(edges, words):
    assert machine.span(*edges) == words


# Many machines


def test_a_room_becomes_a_table(tmp_path, capsys):
    good = [Finding(name, GOOD, "fine – 好") for name in NAMES]
    facts = {"python": {"version": "3.12.1"}, "profile": {"profile": "gpu"}}
    facts["memory"] = {"total_gb": 16.1}
    findings = [Finding(one.name, GOOD, one.words, "", facts.get(one.name, {})) for one in good]
    assert page.as_json(findings).isascii()
    # As the shell of Windows writes it.
    (tmp_path / "seat-01.json").write_text(page.as_json(findings), encoding="utf-16")
    assert doctor.collect(tmp_path) == 0
    _, row = capsys.readouterr().out.splitlines()
    assert row.split() == ["seat-01", "yes", "3.12.1", "gpu", "16.1", "GB"]
    findings[3] = Finding("torch", PROBLEM, "crashes")
    (tmp_path / "seat-02.json").write_text(page.as_json(findings), encoding="utf-8")
    (tmp_path / "seat-03.json").write_bytes(b"\xff\xfe not JSON")
    assert doctor.collect(tmp_path) == 1
    table = capsys.readouterr().out
    assert "seat-02  NO" in table and "torch" in table
    assert "seat-03  NO" in table and "not a file of `course doctor --json`" in table


@pytest.mark.parametrize("name", ["", "no-such-folder"])
def test_a_folder_without_files_is_not_a_room_that_is_ready(name, tmp_path):
    with pytest.raises(Problem, match="no file"):
        doctor.collect(tmp_path / name)
