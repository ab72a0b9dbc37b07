"""Stop an answer that runs for too long.

An answer runs in the kernel's own process and, nearly always, on its main thread. From the moment
its time is up a watchdog thread has TimeIsUp raised inside it: on the main thread through SIGINT,
which also ends a `sleep`; on any other thread, or where the answer took SIGINT over, as one of
Python's asynchronous exceptions. Some answers catch whatever is raised and go on. After a few
polite attempts they get an exception that cannot be got rid of: whoever catches it finds that the
next one is on its way.

What no Python program can stop from inside is one long call into C: `run_limited` has a callback
for that, which is only heard where the call lets other threads run.
"""

import ctypes
import functools
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeVar

Result = TypeVar("Result")

POKE_SECONDS = 0.05  # between two attempts to stop an answer
POLITE_ATTEMPTS = 4  # a library on the way out can still put its own things in order after these
STUCK_SECONDS = 2.0  # after the limit, when one long call into C is the likely reason

OWN_FOLDER = str(Path(__file__).parent)

_raise_in_thread = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


class TimeIsUp(BaseException):
    """Raised inside an answer that has used up its time; not an Exception, to pass `except`s."""


class Interrupted(KeyboardInterrupt):
    """The person interrupted the kernel, as against an answer that raises KeyboardInterrupt."""


def run_limited(
    work: Callable[[], Result], seconds: float, on_stuck: Callable[[], None] = lambda: None
) -> Result:
    """Return `work()`; stop it with TimeIsUp after so many seconds.

    An import that is under way when time is up may finish, and gets as many seconds again: half a
    library would harm the kernel. `on_stuck` is called once, from the watchdog's thread, when the
    answer cannot be stopped.

    Raises:
        TimeIsUp: the time was used up.
        Interrupted: the person interrupted the kernel.
    """
    stopper = _Stopper()
    ended = threading.Event()
    watchdog = threading.Thread(
        target=_watch,
        args=(stopper, ended, seconds, on_stuck),
        name="exercise time limit",
        daemon=True,
    )
    handler = signal.signal(signal.SIGINT, stopper.on_interrupt) if stopper.on_main else None

    def settle() -> None:
        # The old handler comes back only after the watchdog has ended: a late poke would otherwise
        # reach the kernel as an interrupt of the person's.
        ended.set()
        watchdog.join()
        stopper.let_go()
        if stopper.on_main:
            signal.signal(signal.SIGINT, signal.default_int_handler if handler is None else handler)
        if stopper.interrupted:
            raise Interrupted

    try:
        watchdog.start()
        try:
            return work()
        finally:
            # First of all, and without a call, as each call may raise what is on its way.
            stopper.persistent.__init__ = BaseException.__init__
            stopper.finished = True
    finally:
        while True:
            try:
                settle()
                break
            except TimeIsUp:
                continue


class _Stopper:
    """Raises TimeIsUp, or Interrupted, in the thread that made it until `finished` is set."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.on_main = threading.current_thread() is threading.main_thread()
        self.interrupted = False
        self.finished = False
        self.persistent = _self_renewing(self.thread)
        self._attempts = 0
        self._poked = False
        self._on_its_way = False
        self._tool: int | None = None

    def poke(self) -> None:
        """Have something raised in the answer; called from the watchdog's thread."""
        self._attempts += 1
        self._poked = True
        signals = self.on_main and signal.getsignal(signal.SIGINT) == self.on_interrupt
        if self._attempts > POLITE_ATTEMPTS:
            self._insist()
        elif not signals:
            self._raise(TimeIsUp)
        if signals:
            _send_interrupt(self.thread)

    def on_interrupt(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT, which comes from the watchdog or from the person."""
        poked, self._poked = self._poked, False
        self.interrupted |= not poked
        if not self.finished:
            raise Interrupted if self.interrupted else TimeIsUp

    def _insist(self) -> None:
        if hasattr(sys, "monitoring"):
            if self._tool is None:
                self._raise_at_every_event()
            return
        if self._attempts == POLITE_ATTEMPTS + 1:
            # An answer at the limit of recursion has no room left for making an exception.
            sys.setrecursionlimit(sys.getrecursionlimit() + 100)
        self._raise(self.persistent)

    def _raise(self, exception: type[BaseException]) -> None:
        self._on_its_way = True
        _raise_in_thread(self.thread, exception)

    def _raise_at_every_event(self) -> None:
        """From Python 3.12 on; a self-renewing exception would be caught in circles there."""

        def at_event(code: CodeType, *place: int) -> None:
            ours = code.co_filename.startswith(OWN_FOLDER)
            if not self.finished and not ours and threading.get_ident() == self.thread:
                raise TimeIsUp

        monitoring, events = sys.monitoring, sys.monitoring.events
        # The numbers from 0 on are meant for debuggers and the like.
        free = (tool for tool in (4, 3, 5, 2, 1, 0) if monitoring.get_tool(tool) is None)
        self._tool = next(free)
        monitoring.use_tool_id(self._tool, "exercise time limit")
        # A loop within one line has no event of a line, but one of a jump.
        for event in (events.LINE, events.JUMP, events.PY_START):
            monitoring.register_callback(self._tool, event, at_event)
        monitoring.set_events(self._tool, events.LINE | events.JUMP | events.PY_START)

    def let_go(self) -> None:
        """Take what is still on its way, so that nobody else gets it; called when finished.

        Taking it back, by sending None, would leave CPython 3.11 looking for it for ever, and
        hanging as soon as a debugger traces.
        """
        if self._tool is not None:
            sys.monitoring.set_events(self._tool, 0)
            sys.monitoring.free_tool_id(self._tool)
            self._tool = None
        if self._on_its_way:
            try:
                self._raise(self.persistent)
                while True:
                    pass
            except TimeIsUp:
                self._on_its_way = False


def _self_renewing(thread: int) -> type[BaseException]:
    """An exception that cannot be got rid of: to raise one puts the next one on its way.

    The making of an instance, at which that happens, runs in C: there is no line of Python in
    it, where the next one would be raised too early.
    """
    exception = type("Persistent", (TimeIsUp,), {})
    exception.__init__ = staticmethod(functools.partial(_raise_in_thread, thread, exception))
    return exception


def _send_interrupt(main_thread: int) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread, signal.SIGINT)
    else:  # Windows, where this one ends a `sleep` too
        signal.raise_signal(signal.SIGINT)


def _watch(
    stopper: _Stopper, ended: threading.Event, seconds: float, on_stuck: Callable[[], None]
) -> None:
    """The watchdog: poke the answer from its deadline on until it has ended."""
    deadline = time.monotonic() + seconds
    warned = False
    while not ended.wait(POKE_SECONDS):
        if time.monotonic() < deadline and not stopper.interrupted:
            continue
        if _is_importing(sys._current_frames().get(stopper.thread)):
            deadline = time.monotonic() + seconds
            continue
        stopper.poke()
        if not warned and time.monotonic() > deadline + STUCK_SECONDS:
            warned = True
            on_stuck()


def _is_importing(frame: FrameType | None) -> bool:
    """Whether an import is under way in this frame or in those that called it."""
    while frame is not None and frame.f_code is not run_limited.__code__:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
