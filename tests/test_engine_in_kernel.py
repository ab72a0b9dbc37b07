"""In one real kernel, one nasty answer after another: each gets its line, and the kernel lives."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty

import pytest

from course.checking.time_limit import STUCK_SECONDS

jupyter_client = pytest.importorskip("jupyter_client")

PATIENCE = 30.0  # seconds until a cell is given up for lost

SETUP = """
import os, signal, sys, threading, time
import numpy as np
from course.checking import engine
from course.checking.engine import Case, Exercise

def double(x):
    return 2 * x

X = np.array([1.0, 2.0])
EXERCISE = Exercise("made.double", "Twice", 1, 1, double, lambda rng: [Case((X,), 2 * X)])
engine.TIME_LIMIT = 0.3

def check(answer):
    print("LINE", engine.run_check(EXERCISE, answer).line)

import matplotlib.pyplot as plt  # the first picture takes long
plt.plot([1]).clear()
plt.close("all")
"""


@dataclass
class Ran:
    """What running a cell put out."""

    text: str = ""
    displays: int = 0
    error: str = ""
    seconds: float = 0.0
    message_types: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The line of the verdict."""
        (line,) = [line for line in self.text.splitlines() if line.startswith("LINE ")]
        return line.removeprefix("LINE ")


class Kernel:
    """A kernel on the interpreter that runs the tests."""

    def __init__(self) -> None:
        specs = jupyter_client.kernelspec.KernelSpecManager(kernel_dirs=[])
        self.manager = jupyter_client.KernelManager(
            kernel_name=jupyter_client.kernelspec.NATIVE_KERNEL_NAME, kernel_spec_manager=specs
        )
        self.manager.start_kernel(
            env=os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        )
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def send(self, code: str, subshell: str | None = None) -> str:
        """Send a cell and return the id of its request."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
        }
        message = self.client.session.msg("execute_request", content)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def result(self, request: str) -> Ran:
        """Wait until the kernel has done with a request, and return what it put out."""
        ran, started = Ran(), time.monotonic()
        while time.monotonic() < started + PATIENCE:
            try:
                message = self.client.get_iopub_msg(timeout=PATIENCE)
            except Empty:
                break
            if message["parent_header"].get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            ran.message_types.append(kind)
            if kind == "stream":
                ran.text += content["text"]
            elif kind in ("display_data", "execute_result"):
                ran.displays += 1
                ran.text += content["data"].get("text/plain", "") + "\n"
            elif kind == "error":
                ran.error = content["ename"]
            elif kind == "status" and content["execution_state"] == "idle":
                ran.seconds = time.monotonic() - started
                return ran
        raise AssertionError(f"The kernel did not answer; so far: {ran}")

    def run(self, code: str, subshell: str | None = None) -> Ran:
        """Run a cell to its end."""
        return self.result(self.send(code, subshell))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Iterator[Kernel]:
    started = Kernel()
    try:
        assert started.run(SETUP).error == ""
        yield started
    finally:
        started.client.stop_channels()
        started.manager.shutdown_kernel(now=True)


@pytest.fixture(autouse=True)
def time_limit(kernel):
    """The same for each test, whatever the one before has left behind."""
    assert kernel.run("engine.TIME_LIMIT = 0.3").error == ""


# The body of an answer and a word of its verdict's line.
NASTY = {
    "right": ("return 2 * x", "1 check passed"),
    "exception": ("return 1 / 0", "line 3 (`return 1 / 0`) with ZeroDivisionError"),
    "exit": ("exit()", "tried to end the program"),
    "sys.exit": ("sys.exit(3)", "tried to end the program"),
    "keyboard interrupt of its own": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "nothing": ("2 * x", "None"),
    "endless loop": ("while True: pass", "stopped after 0.3 seconds"),
    "sleep": ("time.sleep(10**6)", "stopped after 0.3 seconds"),
    "loop that swallows": (
        "while True:\n        try:\n            time.sleep(1)\n        except:\n            pass",
        "stopped after 0.3 seconds",
    ),
    "loop in NumPy": ("while True: x = np.sort(x)", "stopped after 0.3 seconds"),
    "recursion": ("return answer(x)", "calls itself without end"),
    "recursion with a raised limit": (
        "sys.setrecursionlimit(10**9)\n    return list(map(answer, [x]))",
        "calls itself without end",
    ),
    "recursion in pure Python with a raised limit": (
        "sys.setrecursionlimit(10**9)\n    return answer(x)",
        "calls itself without end",
    ),
    "took over interrupts": (
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n    while True: pass",
        "stopped after 0.3 seconds",
    ),
    "set another handler": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    return 2 * x",
        "the handlers of signals",
    ),
    "waits for the keyboard": ("return input('number? ')", "must not wait for the keyboard"),
    "breakpoint": ("breakpoint()", "must not wait for the keyboard"),
    "prints megabytes": ("print('spam' * 10**7); return 2 * x", "1 check passed"),
    "prints for ever": ("while True: print('spam')", "stopped after 0.3 seconds"),
    "writes to the descriptor": ("os.write(1, b'spam'); return 2 * x", "1 check passed"),
    "displays for ever": (
        "from IPython.display import display\n    while True: display(x)",
        "stopped after 0.3 seconds",
    ),
    "shows a plot": (
        "import matplotlib.pyplot as plt\n    plt.plot(x); plt.show(); plt.plot(x)\n"
        "    return 2 * x",
        "1 check passed",
    ),
    "changes the folder": ("os.chdir('/'); return 2 * x", "the working folder"),
    "changes a global name": ("global X; X = 1; return 2 * x", "the global name `X`"),
    "result without end": (
        "class Odd:\n        def __array__(self, *a, **k):\n            while True: pass\n"
        "        __repr__ = __eq__ = __array__\n    return Odd()",
        "a value of type Odd",
    ),
    "result that ends the program": (
        "class Odd:\n        def __array__(self, *a, **k): raise SystemExit\n"
        "        __repr__ = __eq__ = __array__\n    return Odd()",
        "not yet",
    ),
    "generator": ("yield 1", "generator"),
    "lone surrogate": ("raise ValueError('\\ud800')", "ValueError"),
}
LINUX_ONLY = {
    "memory": ("return np.ones(10**11)", "memory"),
    "memory in small pieces": (
        "kept = []\n    while True: kept.append(np.ones(10**7))",
        "not yet",
    ),
}


@pytest.mark.parametrize("body, words", NASTY.values(), ids=NASTY)
def test_an_answer_gets_its_line_and_nothing_else_reaches_the_notebook(kernel, body, words):
    limit = 0.3 if "while True" in body or "sleep" in body else 5
    code = f"def answer(x):\n    'doc'\n    {body}\nengine.TIME_LIMIT = {limit}\ncheck(answer)"
    ran = kernel.run(code)
    assert words in ran.line
    assert (ran.error, ran.displays) == ("", 0)
    assert ran.text.count("spam") <= body.count("os.write")
    assert "input_request" not in ran.message_types


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="a limit only of Linux")
@pytest.mark.parametrize("body, words", LINUX_ONLY.values(), ids=LINUX_ONLY)
def test_an_answer_cannot_take_all_memory(kernel, body, words):
    assert words in kernel.run(f"def answer(x):\n    {body}\ncheck(answer)").line


def test_a_right_answer_is_quick_and_shown_as_html(kernel):
    ran = kernel.run(
        "started = time.perf_counter()\nresult = engine.run_check(EXERCISE, double)\n"
        "print('LINE', time.perf_counter() - started)\nresult"
    )
    assert float(ran.line) < 0.3
    assert ran.displays == 1


CLASS = """
class Base:
    pass

class Reference(Base):
    pass

case = Case((), 3, call=lambda answer: answer().three())
CLASS = Exercise("made.class", "Class", 1, 2, Reference, lambda rng: [case])

def check_class(answer):
    print("LINE", engine.run_check(CLASS, answer).line)

class Answer(Base):
    'A stub with several methods.'

    def __init__(self, number=3):
        'Keeps the number.'
        super().__init__()
        raise NotImplementedError  # to do

    def three(self):
        raise NotImplementedError

check_class(Answer)
"""


def test_a_class_typed_into_a_cell_is_known_for_a_stub_and_checked_when_it_is_none(kernel):
    assert "not started" in kernel.run(CLASS).line
    solved = CLASS.replace("raise NotImplementedError  # to do", "self.number = number")
    assert "Line 22 is still `raise NotImplementedError`" in kernel.run(solved).line
    solved = solved.replace(
        "raise NotImplementedError", "return super(Answer, self) and self.number"
    )
    assert "1 check passed" in kernel.run(solved).line


def test_an_answer_below_another_decorator_is_known_by_its_own_text(kernel):
    decorated = """
import functools
def quiet(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

@quiet
def answer(x):
    raise NotImplementedError

check(answer)"""
    assert "not started" in kernel.run(decorated).line
    recursive = decorated.replace("raise NotImplementedError", "return answer(x)")
    assert "calls itself without end" in kernel.run(recursive).line


def test_the_person_s_interrupt_reaches_the_cell(kernel):
    request = kernel.send(
        "engine.TIME_LIMIT = 20\ndef answer(x):\n"
        "    threading.Thread(target=signal.raise_signal, args=[signal.SIGINT]).start()\n"
        "    while True: pass\ncheck(answer)"
    )
    ran = kernel.result(request)
    assert ran.error in ("Interrupted", "KeyboardInterrupt")
    assert ran.seconds < 10
    assert "LINE" not in ran.text


def test_a_check_on_another_thread_is_limited_too(kernel):
    ran = kernel.run(
        "def answer(x):\n    while True: pass\n"
        "thread = threading.Thread(target=check, args=(answer,))\nthread.start(); thread.join(10)"
    )
    assert "stopped after 0.3 seconds" in ran.line


def test_a_check_in_a_subshell_is_limited_too(kernel):
    request = kernel.client.session.msg("create_subshell_request", {})
    kernel.client.control_channel.send(request)
    reply = kernel.client.get_control_msg(timeout=PATIENCE)
    if reply["content"].get("status") != "ok":
        pytest.skip("This kernel has no subshells.")
    code = "def answer(x):\n    while True: pass\ncheck(answer)"
    assert "stopped after 0.3 seconds" in kernel.run(code, reply["content"]["subshell_id"]).line


def test_what_cannot_be_stopped_is_said_in_the_notebook(kernel):
    ran = kernel.run(
        "from course.checking import time_limit\ntime_limit.STUCK_SECONDS = 0.05\n"
        "def answer(x):\n    np.linalg.svd(np.random.rand(2000, 2000))\ncheck(answer)\n"
        f"time_limit.STUCK_SECONDS = {STUCK_SECONDS}"
    )
    assert "Kernel → Restart" in ran.text
    assert "stopped after" in ran.line


def test_the_kernel_still_lives_and_hears_interrupts(kernel):
    ran = kernel.run(
        "print('LINE', signal.getsignal(signal.SIGINT) is signal.default_int_handler, "
        "threading.active_count() < 20, sys.getrecursionlimit() < 10_000, sys.gettrace())"
    )
    request = kernel.send("time.sleep(60)")
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    interrupted = kernel.result(request)
    assert (interrupted.error, interrupted.seconds < 10) == ("KeyboardInterrupt", True)
    assert ran.line == "True True True None"
    assert kernel.run("print('LINE', 1 + 1)").line == "2"
