"""Run a student's code so that neither the check nor the kernel suffers from it.

Two layers: `protected` keeps the kernel's state (output, random states, settings, global names)
and says what the answer changed; `run_limited`, inside it, stops what runs for too long.
"""

import contextlib
import ctypes
import io
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

POKE_SECONDS = 0.05  # between two attempts to stop an answer that swallows the first
STUCK_SECONDS = 2.0  # after the limit, when one long call into C is the likely reason
KEPT_CHARACTERS = 400  # of what an answer prints

OWN_FOLDER = str(Path(__file__).parent)


class TimeIsUp(BaseException):
    """Raised inside an answer that has used up its time; not an Exception, to pass `except`s."""


class Interrupted(KeyboardInterrupt):
    """The person interrupted the kernel, as against an answer that raises KeyboardInterrupt."""


class _Clock:
    """What the watchdog, the signal handler and the tracer need to agree on."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.finished = False


def run_limited(
    work: Callable[[], Any], seconds: float, on_stuck: Callable[[], None] = lambda: None
) -> Any:
    """Return `work()`; stop it with TimeIsUp after so many seconds.

    On the main thread a watchdog sends SIGINT, whose handler raises; on any other thread (a
    subshell of the kernel) Python's asynchronous exceptions do it. One long call into C cannot
    be stopped by either: `on_stuck` is called once, from the watchdog, when that is the case.

    Raises:
        TimeIsUp: the time was used up.
        Interrupted: the person interrupted the kernel.
    """
    clock = _Clock(seconds)
    wake = threading.Event()
    on_main = threading.current_thread() is threading.main_thread()
    thread = threading.get_ident()
    previous_handler = signal.getsignal(signal.SIGINT) if on_main else None
    previous_trace = sys.gettrace()

    def handler(number: int, frame: FrameType | None) -> None:
        if time.monotonic() < clock.deadline:
            try:
                if callable(previous_handler):
                    previous_handler(number, frame)
            except KeyboardInterrupt:
                raise Interrupted from None
        elif not clock.finished:
            _raise_again_at_next_line(frame, clock)
            raise TimeIsUp

    def watch() -> None:
        if wake.wait(seconds):
            return
        warned = False
        while not wake.wait(POKE_SECONDS):
            _poke(thread, on_main)
            if not warned and time.monotonic() > clock.deadline + STUCK_SECONDS:
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
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
        sys.settrace(previous_trace)

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
        except TimeIsUp:  # only an asynchronous exception that was already on its way
            settle()


def _poke(thread: int, on_main: bool) -> None:
    if not on_main:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread), ctypes.py_object(TimeIsUp)
        )
    elif hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:  # Windows
        signal.raise_signal(signal.SIGINT)


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


class _BoundedText(io.TextIOBase):
    """Keeps the first characters written to it and counts the rest."""

    def __init__(self) -> None:
        self.kept = ""
        self.total = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.total += len(text)
        if len(self.kept) < KEPT_CHARACTERS:
            self.kept += text[: KEPT_CHARACTERS - len(self.kept)]
        return len(text)


@dataclass
class Observed:
    """What an answer did besides returning: filled in when `protected` ends."""

    printed: str = ""
    printed_total: int = 0
    warnings: list[str] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def protected(namespace: dict[str, Any], random_allowed: bool) -> Iterator[Observed]:
    """Catch output and warnings; afterwards put back, and name, what the answer changed.

    namespace: the global names that the answer can reach. random_allowed: drawing from the
    global random states is part of the exercise (they are put back all the same).
    """
    observed = Observed()
    output = _BoundedText()
    names = dict(namespace)
    before = [(state, state.read()) for state in _global_states()]

    def leave(*_: Any, **__: Any) -> None:
        raise SystemExit

    # IPython's own `exit` would end the kernel a moment after the check.
    namespace.update(exit=leave, quit=leave)
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            warnings.simplefilter("always")
            yield observed
    finally:
        for state, value in before:
            if not _same(value, state.read()):
                state.restore(value)
                if not (state.random and random_allowed):
                    observed.changes.append(state.label)
        observed.changes += _restore_names(namespace, names)
        observed.printed, observed.printed_total = output.kept, output.total
        observed.warnings = [str(warning.message).split("\n")[0] for warning in caught]


@dataclass(frozen=True)
class _State:
    """One piece of global state: what to call it, how to read it, how to put it back."""

    label: str
    read: Callable[[], Any]
    restore: Callable[[Any], None]
    random: bool = False


def _global_states() -> list[_State]:
    states = [
        _State("the state of `random`", random.getstate, random.setstate, True),
        _State("the state of `np.random`", np.random.get_state, np.random.set_state, True),
        _State("NumPy's error settings", np.geterr, lambda settings: np.seterr(**settings)),
        _State("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        _State("the working folder", os.getcwd, os.chdir),
        _State("environment variables", lambda: dict(os.environ), _set_environment),
    ]
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        states += [
            _State("torch's random state", torch.get_rng_state, torch.set_rng_state, True),
            _State("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
            _State("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        ]
    return states


def _set_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, tuple):
        return len(before) == len(now) and all(map(_same, before, now))
    return bool(np.all(np.asarray(before == now)))


def _restore_names(namespace: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Put the global names back as they were; return those that had changed, as text."""
    missing = object()
    changed = [
        name
        for name in {**before, **namespace}
        if namespace.get(name, missing) is not before.get(name, missing)
    ]
    for name in changed:
        if name in before:
            namespace[name] = before[name]
        else:
            del namespace[name]
    return [f"the global name `{name}`" for name in changed if name not in ("exit", "quit")]
