"""The state that all code of a kernel shares: noted before an answer runs, put back afterwards.

What cannot be seen here: a list, an array or a model of the notebook that was changed in place,
the attributes of modules, and files.
"""

import contextlib
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class _Setting:
    """One piece of shared state: what to call it, how to read it, how to put it back."""

    label: str
    read: Callable[[], Any]
    restore: Callable[[Any], None]
    random: bool = False


@contextlib.contextmanager
def kept(changed: list[str], random_allowed: bool) -> Iterator[None]:
    """Put back at the end what was changed inside, and add what to call it to `changed`.

    random_allowed: to draw random numbers is no change worth naming.
    """
    before = [(setting, setting.read()) for setting in _settings()]
    try:
        yield
    finally:
        for setting, value in before:
            if not _same(value, setting.read()):
                setting.restore(value)
                if not (setting.random and random_allowed):
                    changed.append(setting.label)


def _settings() -> list[_Setting]:
    settings = [
        _Setting("the state of `random`", random.getstate, random.setstate, True),
        _Setting("the state of `np.random`", np.random.get_state, np.random.set_state, True),
        _Setting("NumPy's error settings", np.geterr, lambda before: np.seterr(**before)),
        _Setting(
            "NumPy's print options",
            np.get_printoptions,
            lambda before: np.set_printoptions(**before),
        ),
        _Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        _Setting("the trace function", sys.gettrace, sys.settrace),
        _Setting("the working folder", _folder, _enter),
        _Setting("environment variables", lambda: _Environment(os.environ), _Environment.restore),
    ]
    if threading.current_thread() is threading.main_thread():  # no other may set these
        settings.append(_Setting("the handlers of signals", _handlers, _set_handlers))
    for name, more in (("torch", _torch_settings), ("tensorflow", _tensorflow_settings)):
        settings += more() if name in sys.modules else []
    return settings


def _torch_settings() -> list[_Setting]:
    torch = sys.modules["torch"]
    settings = [
        _Setting("torch's random state", torch.get_rng_state, torch.set_rng_state, True),
        _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
        _Setting(
            "torch's default device",
            torch.get_default_device,
            # None stands for the usual one; to name it would make every call slower.
            lambda before: torch.set_default_device(None if before.type == "cpu" else before),
        ),
        _Setting("torch's grad mode", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting(
            "torch's choice of deterministic algorithms",
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
    ]
    if torch.cuda.is_initialized():
        read, restore = torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all
        settings.append(_Setting("torch's random state on the GPU", read, restore, True))
    return settings


def _tensorflow_settings() -> list[_Setting]:
    import keras  # of TensorFlow, so it is loaded

    eager = sys.modules["tensorflow"].config
    return [
        _Setting("TensorFlow's random state", _random_state, _set_random_state, True),
        _Setting("Keras's random state", _keras_seed, _set_keras_seed, True),
        _Setting("Keras's default dtype", keras.config.floatx, keras.config.set_floatx),
        _Setting("Keras's dtype policy", keras.config.dtype_policy, keras.config.set_dtype_policy),
        _Setting(
            "whether TensorFlow runs functions eagerly",
            eager.functions_run_eagerly,
            eager.run_functions_eagerly,
        ),
    ]


def _random_state() -> tuple[int | None, Any]:
    """TensorFlow's global seed and how far the draws from it have come.

    TensorFlow has no function that tells; without a seed every draw is a fresh one.
    """
    from tensorflow.python.eager import context

    generator = getattr(context.context(), "_rng", None)
    return context.global_seed(), generator and generator.getstate()


def _set_random_state(before: tuple[int | None, Any]) -> None:
    from tensorflow.python.eager import context

    seed, state = before
    context.set_global_seed(seed)
    if state is not None:
        context.context()._rng.setstate(state)


def _keras_seed() -> list[int] | None:
    """The state of Keras's shared seed generator, or None where nothing was drawn from it yet."""
    from keras.src.backend.common import global_state

    generator = global_state.get_global_attribute("global_seed_generator")
    return None if generator is None else np.asarray(generator.state).tolist()


def _set_keras_seed(before: list[int] | None) -> None:
    from keras.src.backend.common import global_state

    if before is None:
        global_state.set_global_attribute("global_seed_generator", None)
    else:
        global_state.get_global_attribute("global_seed_generator").state.assign(before)


def _folder() -> str | None:
    """The working folder, or None where it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return None


def _enter(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _handlers() -> dict[int, Any]:
    """The handler of each signal but SIGINT, of which the time limit takes care."""
    others = signal.valid_signals() - {signal.SIGINT}
    return {number: signal.getsignal(number) for number in others}


def _set_handlers(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        # None is a handler that Python did not set, nor can it.
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


class _Environment(dict):
    """The variables as they were. New ones do not count: libraries set some when first used."""

    def __eq__(self, now: object) -> bool:
        return isinstance(now, dict) and all(now.get(name) == self[name] for name in self)

    __hash__ = None

    def restore(self) -> None:
        os.environ.update(self)


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, tuple | list) and any(hasattr(part, "shape") for part in before):
        return len(before) == len(now) and all(map(_same, before, now))
    return bool(np.all(np.asarray(before == now)))
