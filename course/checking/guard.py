"""Keep what an answer prints, warns and changes from reaching the rest of the kernel."""

import contextlib
import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KEPT_CHARACTERS = 400  # of what an answer prints


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
    changes: list[str] = field(default_factory=list)


@contextlib.contextmanager
def protected(namespace: dict[str, Any], random_allowed: bool) -> Iterator[Observed]:
    """Catch what is printed; afterwards put back, and name, what the answer changed.

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
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            yield observed
    finally:
        for state, value in before:
            if not _same(value, state.read()):
                state.restore(value)
                if not (state.random and random_allowed):
                    observed.changes.append(state.label)
        observed.changes += _restore_names(namespace, names)
        observed.printed, observed.printed_total = output.kept, output.total


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
        _State("environment variables", lambda: _Environment(os.environ), _Environment.restore),
    ]
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        states += [
            _State("torch's random state", torch.get_rng_state, torch.set_rng_state, True),
            _State("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
            _State("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        ]
    return states


class _Environment(dict):
    """The variables as they were. New ones do not count: libraries set some when first used."""

    def __eq__(self, now: object) -> bool:
        return isinstance(now, dict) and all(now.get(name) == self[name] for name in self)

    __hash__ = None

    def restore(self) -> None:
        os.environ.update(self)


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
        and not name.startswith("__")  # Python keeps its books there, such as on warnings
    ]
    for name in changed:
        if name in before:
            namespace[name] = before[name]
        else:
            del namespace[name]
    return [f"the global name `{name}`" for name in changed if name not in ("exit", "quit")]
