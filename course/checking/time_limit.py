"""Stop an answer that runs for too long, without harm to the kernel in which it runs.

An answer runs in the kernel's own process and, nearly always, on its main thread: a forked child
hangs once torch has started threads, and a spawned one cannot receive a function that was typed
into a notebook. So a watchdog thread has an exception raised inside the answer when its time is up.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

POKE_SECONDS = 0.05  # between two attempts to stop an answer that swallows the first
MOST_PATIENCE = 3  # times the limit, by the clock, for an answer that computes little meanwhile
STUCK_SECONDS = 2.0  # after the limit, when one long call into C is the likely reason

OWN_FOLDER = str(Path(__file__).parent)

_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_handled_exception = ctypes.pythonapi.PyErr_SetHandledException
_set_handled_exception.restype = None


class TimeIsUp(BaseException):
    """Raised inside an answer that has used up its time; not an Exception, to pass `except`s."""


class Interrupted(KeyboardInterrupt):
    """The person interrupted the kernel, as against an answer that raises KeyboardInterrupt."""


class _Clock:
    """What the watchdog, the signal handler and the tracer need to agree on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.started, self.started_computing = time.monotonic(), time.process_time()
        self.finished = False
        self.sent_asynchronously = False

    def time_is_up(self) -> bool:
        """Whether the limit is over, by the clock and in processor time.

        While other programs have the processor, the clock goes on and the answer does not.
        """
        passed = time.monotonic() - self.started
        computed = time.process_time() - self.started_computing
        return passed >= self.seconds * (MOST_PATIENCE if computed < self.seconds else 1)


def run_limited(
    work: Callable[[], Result], seconds: float, on_stuck: Callable[[], None] = lambda: None
) -> Result:
    """Return `work()`; stop it with TimeIsUp after so many seconds of computing.

    By the clock, work that waits, or whose processor others use, has MOST_PATIENCE times as long.

    What is raised in a tracer can leave Python believing that it is still being handled; then every
    later error in the notebook would be shown as one "during handling" of it. So the exception
    that was being handled before is put back.

    On the main thread a watchdog sends SIGINT, whose handler raises; on any other thread (a
    subshell of the kernel), and where the answer took SIGINT over, Python's asynchronous
    exceptions do it. One long call into C cannot be stopped by either: `on_stuck` is called once,
    from the watchdog, when that is the case.

    Raises:
        TimeIsUp: the time was used up.
        Interrupted: the person interrupted the kernel.
    """
    handled, result, raised = sys.exception(), None, None
    try:
        result = _run_under_watch(work, seconds, on_stuck)
    except BaseException as error:
        raised = error
    if sys.exception() is not handled:
        _set_handled_exception(ctypes.py_object(handled))
    if raised is None:
        return result
    try:
        raise raised
    finally:
        del raised  # it refers to this frame, and this frame to it


def _run_under_watch(
    work: Callable[[], Result], seconds: float, on_stuck: Callable[[], None]
) -> Result:
    clock = _Clock(seconds)
    wake = threading.Event()
    on_main = threading.current_thread() is threading.main_thread()
    thread = threading.get_ident()
    previous_handler = signal.getsignal(signal.SIGINT) if on_main else None
    previous_trace = sys.gettrace()

    def handler(number: int, frame: FrameType | None) -> None:
        if not clock.time_is_up():
            raise Interrupted
        if not clock.finished:
            _raise_again_at_next_line(frame, clock)
            raise TimeIsUp

    def poke() -> None:
        if on_main and signal.getsignal(signal.SIGINT) is handler:
            _send_interrupt()
        else:
            clock.sent_asynchronously = True
            _raise_in_thread(ctypes.c_ulong(thread), ctypes.py_object(TimeIsUp))

    def watch() -> None:
        if wake.wait(seconds):
            return
        while not clock.time_is_up():
            if wake.wait(POKE_SECONDS):
                return
        up_since, warned = time.monotonic(), False
        while not wake.wait(POKE_SECONDS):
            # Half a library would harm the kernel: an import that is under way may finish.
            if not _is_importing(sys._current_frames().get(thread)):
                poke()
            if not warned and time.monotonic() > up_since + STUCK_SECONDS:
                warned = True
                on_stuck()

    watchdog = threading.Thread(target=watch, name="exercise time limit", daemon=True)

    def settle() -> None:
        # The handler comes back only after the watchdog has ended: a late poke would otherwise
        # reach the kernel as an interrupt of the student's.
        clock.finished = True
        wake.set()
        watchdog.join()
        if on_main:
            signal.signal(signal.SIGINT, previous_handler or signal.default_int_handler)
        sys.settrace(previous_trace)
        if clock.sent_asynchronously:
            _take_what_is_on_its_way()

    if on_main:
        signal.signal(signal.SIGINT, handler)
    watchdog.start()
    try:
        try:
            return work()
        finally:
            clock.finished = True
    finally:
        try:
            settle()
        except TimeIsUp:  # one that was already on its way
            settle()


def _send_interrupt() -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # noqa: TID251
    else:  # Windows
        signal.raise_signal(signal.SIGINT)


def _take_what_is_on_its_way() -> None:
    """Catch the last asynchronous exception, if there is one, before anybody else gets it."""
    try:
        for _ in range(1_000):  # it is raised within a few steps of the interpreter
            pass
    except TimeIsUp:
        pass


def _is_importing(frame: FrameType | None) -> bool:
    """Whether an import is under way in this frame or in those that called it."""
    while frame is not None and frame.f_code.co_name != "run_limited":
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _raise_again_at_next_line(frame: FrameType | None, clock: _Clock) -> None:
    """Let the answer's next line raise once more: by then it may stand in a bare `except:`.

    An endless `try: … except: …` swallows what is raised inside its `try`; the line that runs
    next belongs to the handler, and an exception raised there leaves the loop.
    """

    def trace(frame: FrameType, event: str, argument: Any) -> Callable | None:
        if event == "line" and not clock.finished:
            raise TimeIsUp
        return trace

    while frame is not None:
        if not frame.f_code.co_filename.startswith(OWN_FOLDER):
            frame.f_trace = trace
        elif frame.f_code.co_name == "run_limited":
            break
        frame = frame.f_back
    sys.settrace(lambda frame, event, argument: None)
