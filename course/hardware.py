"""Which device, how much memory, which profile, which seed: one answer for every lesson.

The answers are those of the framework that the lesson uses; the other one is never loaded.
"""

import contextlib
import importlib.util
import os
import random
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil

PROFILES = ("smoke", "cpu", "gpu")
FRAMEWORKS = ("torch", "tensorflow")
STDERR = 2  # the number of the file to which programs in C write their log


def profile() -> str:
    """The size of run that suits this machine: "smoke", "cpu" or "gpu".

    `COURSE_PROFILE` decides where it is set; otherwise "gpu" where there is an NVIDIA GPU that the
    framework in use can reach, and "cpu" everywhere else.

    Raises:
        ValueError: `COURSE_PROFILE` holds another word.
    """
    chosen = os.environ.get("COURSE_PROFILE", "").strip().lower()
    if not chosen:
        return "gpu" if _gpu_in_reach() else "cpu"
    if chosen not in PROFILES:
        raise ValueError(
            f"COURSE_PROFILE is {chosen!r}; set it to one of {', '.join(PROFILES)}, or unset it."
        )
    return chosen


def _gpu_in_reach() -> bool:
    """Asks a framework only where one is loaded; to load one takes seconds."""
    if shutil.which("nvidia-smi") is None:
        return False
    return framework() == "" or device() == "cuda"


def by_profile(*, smoke: Any, cpu: Any, gpu: Any) -> Any:
    """The one of the three values that belongs to this machine's profile."""
    return {"smoke": smoke, "cpu": cpu, "gpu": gpu}[profile()]


def framework() -> str:
    """The framework in use: "torch", "tensorflow", or "" where neither is loaded.

    Where both are loaded it is the one that came first: a lesson loads its own in its first cell,
    and the other can follow with a tool that looks for it, such as TensorBoard.
    """
    return next((name for name in list(sys.modules) if name in FRAMEWORKS), "")


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Load TensorFlow inside, and its log does not reach the reader; Keras will compute with it.

    TensorFlow writes to the log before it reads how much of it is wanted, so setting
    TF_CPP_MIN_LOG_LEVEL is not enough. Where loading fails, the log is shown after all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters is raised as an error too
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # else it takes all of the GPU
    os.environ["KERAS_BACKEND"] = "tensorflow"
    kept = os.dup(STDERR)
    with tempfile.TemporaryFile() as log:
        try:
            os.dup2(log.fileno(), STDERR)
            yield
            if "tensorflow" in sys.modules:  # it also writes when it first looks for devices
                sys.modules["tensorflow"].config.list_physical_devices()
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)


def spare_tensorflow() -> None:
    """Keep TensorBoard from loading TensorFlow where it is installed; call it before its import.

    TensorFlow takes seconds and half a gigabyte, and TensorBoard needs it for storage in the cloud
    alone. A module of this name is TensorBoard's own switch, see `tensorboard.compat.tf`.
    """
    name = "tensorboard.compat.notf"
    sys.modules.setdefault(name, types.ModuleType(name))


def device() -> str:
    """Where the framework in use computes: "cuda" where it sees such a device, else "cpu".

    Where none is loaded, torch is asked.
    """
    if framework() == "tensorflow":
        return "cuda" if sys.modules["tensorflow"].config.list_physical_devices("GPU") else "cpu"
    if importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def seed_everything(seed: int | None = None) -> int:
    """Seed Python, NumPy and, where they are loaded, torch and TensorFlow; return the seed.

    Without an argument the seed is `COURSE_SEED`, or 0 where that is not set.

    Raises:
        ValueError: `COURSE_SEED` is not a whole number.
    """
    if seed is None:
        given = os.environ.get("COURSE_SEED", "0")
        if not given.strip().isdecimal():
            raise ValueError(f"COURSE_SEED is {given!r}; set it to a whole number such as 0.")
        seed = int(given)
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    if "tensorflow" in sys.modules:
        import keras  # of TensorFlow, which it seeds as well

        keras.utils.set_random_seed(seed)
    return seed


def memory_gb() -> float:
    """Memory of this machine in gigabytes (10⁹ bytes)."""
    return psutil.virtual_memory().total / 1e9


def describe() -> str:
    """One line for people: device, cores, memory and profile."""
    name = _gpu_name() if device() == "cuda" else "CPU"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # noqa: TID251
    return f"{name}, {cores} cores, {memory_gb():.0f} GB of memory, profile {profile()}"


def _gpu_name() -> str:
    """What the GPU that the framework in use computes on is called."""
    if framework() == "tensorflow":
        config = sys.modules["tensorflow"].config
        details = config.experimental.get_device_details(config.list_physical_devices("GPU")[0])
        return details.get("device_name", "GPU")
    import torch

    return torch.cuda.get_device_name()
