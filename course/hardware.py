"""Which device, how much memory, which profile, which seed: one answer for every lesson."""

import importlib.util
import os
import random
import shutil
import sys
from typing import Any

import numpy as np
import psutil

PROFILES = ("smoke", "cpu", "gpu")


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
    """Asks torch only where it is loaded: a TensorFlow lesson must not load it by accident."""
    if shutil.which("nvidia-smi") is None:
        return False
    torch = sys.modules.get("torch")
    return torch is None or torch.cuda.is_available()


def by_profile(*, smoke: Any, cpu: Any, gpu: Any) -> Any:
    """The one of the three values that belongs to this machine's profile."""
    return {"smoke": smoke, "cpu": cpu, "gpu": gpu}[profile()]


def device() -> str:
    """Where tensors should live: "cuda" where torch sees such a device, else "cpu"."""
    if importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def seed_everything(seed: int | None = None) -> int:
    """Seed Python, NumPy and, where it is loaded, torch; return the seed.

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
    return seed


def memory_gb() -> float:
    """Memory of this machine in gigabytes (10⁹ bytes)."""
    return psutil.virtual_memory().total / 1e9


def describe() -> str:
    """One line for people: device, cores, memory and profile."""
    name = "CPU"
    if device() == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {memory_gb():.0f} GB of memory, profile {profile()}"
