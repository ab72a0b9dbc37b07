"""Keep what an answer prints, draws and changes from reaching the rest of the kernel.

What nobody can prevent here: an answer that ends the process itself, such as by `os._exit`.
"""

import contextlib
import io
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from course.checking import settings

KEPT_CHARACTERS = 400  # of what an answer prints
MOST_RECURSION = 1_500  # much deeper, the stack of C can overflow and take the kernel along

# Two checks in two threads of a kernel would each take the other's makeshift for the real thing.
_one_at_a_time = threading.RLock()


@dataclass
class Observed:
    """What an answer did besides returning: filled in when `protected` ends.

    displayed counts the pictures and other rich outputs that were held back.
    """

    printed: str = ""
    printed_total: int = 0
    displayed: int = 0
    changes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def protected(namespace: dict[str, Any], random_allowed: bool) -> Iterator[Observed]:
    """Catch what is put out; afterwards put back, and name, what the answer changed.

    namespace: the global names that the answer can reach. random_allowed: drawing from the
    global random states is part of the exercise (they are put back all the same).

    Raises:
        KeyboardInterrupt: the person interrupted the kernel while things were put back.
    """
    observed = Observed()
    with (
        _one_at_a_time,
        _interrupts_held(),
        settings.kept(observed.changes, random_allowed),
        _names_kept(namespace, observed),
        _output_caught(observed),
        _display_caught(observed),
        _figures_closed(observed),
        _interpreter_spared(),
    ):
        yield observed


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let an interrupt wait until everything is back in place; only a time limit hears it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held = []
    before = signal.signal(signal.SIGINT, lambda *_: held.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
        if held and callable(before):
            before(signal.SIGINT, None)


@contextlib.contextmanager
def _names_kept(namespace: dict[str, Any], observed: Observed) -> Iterator[None]:
    """Put the global names back; meanwhile some of Python's own do nothing drastic."""
    before = dict(namespace)
    harmless = _harmless(namespace)
    namespace.update(harmless)
    missing = object()
    try:
        yield
    finally:
        changed = [
            name
            for name in {**before, **namespace}
            if namespace.get(name, missing) is not before.get(name, missing)
            and not name.startswith("__")  # Python keeps its books there, such as on warnings
        ]
        for name in changed:
            if name in before:
                namespace[name] = before[name]
            else:
                del namespace[name]
        own = [name for name in changed if name not in harmless]
        observed.changes += [f"the global name `{name}`" for name in own]


def _harmless(namespace: dict[str, Any]) -> dict[str, Callable]:
    """Stand-ins for what would end the kernel a moment later, or wait for the keyboard."""

    def leave(*_: Any, **__: Any) -> None:
        raise SystemExit

    def ask(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "an answer must not wait for the keyboard: what it needs comes as an argument"
        )

    stand_ins = {"exit": leave, "quit": leave, "input": ask, "breakpoint": ask}
    notebooks = ("ExitAutocall", "ZMQExitAutocall")  # IPython's own `exit`
    return {
        name: stand_in
        for name, stand_in in stand_ins.items()
        if name not in namespace or type(namespace[name]).__name__ in notebooks
    }


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


@contextlib.contextmanager
def _output_caught(observed: Observed) -> Iterator[None]:
    """Also what libraries log: their handlers often know the real stderr from earlier on."""
    output = _BoundedText()
    logged = logging.root.manager.disable
    logging.disable()
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            yield
    finally:
        logging.disable(logged)
        observed.printed, observed.printed_total = output.kept, output.total


class _CountingPublisher:
    """Counts what is displayed in a notebook instead of sending it there."""

    def __init__(self, publisher: Any) -> None:
        self.count = 0
        self._publisher = publisher

    def publish(self, *_: Any, **__: Any) -> None:
        self.count += 1

    def clear_output(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)


@contextlib.contextmanager
def _display_caught(observed: Observed) -> Iterator[None]:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        yield
        return
    publisher = shell.display_pub
    shell.display_pub = _CountingPublisher(publisher)
    try:
        yield
    finally:
        observed.displayed += shell.display_pub.count
        shell.display_pub = publisher


@contextlib.contextmanager
def _figures_closed(observed: Observed) -> Iterator[None]:
    """Close the figures that were left open; a notebook would draw them below the verdict."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = set(pyplot.get_fignums()) if pyplot else set()
    try:
        yield
    finally:
        pyplot = sys.modules.get("matplotlib.pyplot")
        for number in set(pyplot.get_fignums()) - before if pyplot else ():
            pyplot.close(number)
            observed.displayed += 1


@contextlib.contextmanager
def _interpreter_spared() -> Iterator[None]:
    """Keep recursion within what the interpreter survives."""
    set_limit, hook = sys.setrecursionlimit, sys.unraisablehook
    sys.setrecursionlimit = lambda limit: set_limit(min(limit, MOST_RECURSION))
    # What is raised in a `__del__` reaches nobody; to print it would run lines of Python that
    # swallow the exception by which an answer is stopped. `id` is code in C that does no harm.
    sys.unraisablehook = id
    try:
        yield
    finally:
        sys.setrecursionlimit, sys.unraisablehook = set_limit, hook
