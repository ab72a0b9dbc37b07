"""What a library says about itself: `python -m course.diagnosis.ask torch`.

`answer_of` starts that in a process of its own, because a library may crash or hang as soon as it
is imported, and waits for the answer: the last line printed, in JSON.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from typing import Any

from course.diagnosis.finding import shortened, without_folders

SECONDS = 90  # a first import from a slow disk, under the eyes of a virus scanner


class NoAnswer(Exception):
    """The library is broken, missing or silent; the text says how, without a full stop."""


class Missing(NoAnswer):
    """It is not installed."""


class Silent(NoAnswer):
    """It did not answer in time."""


def answer_of(library: str, seconds: float | None = None) -> dict[str, Any]:
    """What `library` ("numpy", "torch" or "tensorflow") says about itself in a fresh process.

    Raises:
        NoAnswer: it is missing, or the process failed, crashed, or took longer than `seconds`.
    """
    if importlib.util.find_spec(library) is None:
        raise Missing("is not installed")
    patience = SECONDS if seconds is None else seconds
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "course.diagnosis.ask", library],
            env=os.environ | quiet | {"PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        raise Silent(f"did not start within {patience:.0f} s") from None
    if answer.returncode != 0:
        raise NoAnswer(_fault(answer.returncode, answer.stderr))
    return json.loads(answer.stdout.splitlines()[-1])


def _fault(status: int, errors: str) -> str:
    """Why the process ended with this exit status (negative: a signal)."""
    if status == 1 and errors.strip():
        return f"fails: {shortened(without_folders(errors.strip().splitlines()[-1]))}"
    if status < 0:
        names = {one.value: one.name for one in signal.Signals}
        return f"crashes ({names.get(-status, f'signal {-status}')})"
    return f"crashes (exit status {status})"


def about_numpy() -> dict[str, Any]:
    """Version, profile, what is wrong with the settings of every lesson, the small benchmark."""
    import numpy

    from course import benchmark, hardware

    values, faults = {}, []
    for name, setting in (("profile", hardware.profile), ("seed", hardware.seed_everything)):
        try:
            values[name] = setting()
        except ValueError as fault:
            faults.append(str(fault))
    return {
        "version": numpy.__version__,
        "profile": values.get("profile"),
        "faults": faults,
        "benchmark": benchmark.measure(),
    }


def about_torch() -> dict[str, Any]:
    """Version, the version of CUDA it was built for, device, profile; computes once."""
    import torch

    from course import hardware

    reaches_gpu = torch.cuda.is_available()
    x = torch.ones(64, 64, device="cuda" if reaches_gpu else "cpu")
    _must_be(64**3, (x @ x).sum().item())
    try:
        profile = hardware.profile()
    except ValueError:  # `about_numpy` reports it
        profile = None
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "device": torch.cuda.get_device_name() if reaches_gpu else "CPU",
        "profile": profile,
    }


def about_tensorflow() -> dict[str, Any]:
    """Version, the version of CUDA it was built for, device; computes once."""
    import tensorflow as tf

    x = tf.ones((64, 64))
    _must_be(64**3, float(tf.reduce_sum(x @ x)))
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    return {
        "version": tf.__version__,
        "cuda": tf.sysconfig.get_build_info().get("cuda_version"),
        "device": (names[0] or "GPU") if names else "CPU",
    }


def _must_be(expected: float, computed: float) -> None:
    if computed != expected:
        raise ArithmeticError(f"a matrix product gives {computed} instead of {expected}")


ABOUT = {"numpy": about_numpy, "torch": about_torch, "tensorflow": about_tensorflow}

if __name__ == "__main__":
    print("\n" + json.dumps(ABOUT[sys.argv[1]]()))
