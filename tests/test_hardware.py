"""One answer to: which profile, which device, which seed."""

import random
import shutil
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch

from course import hardware


@pytest.mark.parametrize("name", ["smoke", "cpu", "gpu", " CPU "])
def test_the_profile_is_the_one_that_was_asked_for(monkeypatch, name):
    monkeypatch.setenv("COURSE_PROFILE", name)
    assert hardware.profile() == name.strip().lower()
    values = {"smoke": 1, "cpu": 2, "gpu": 3}
    assert hardware.by_profile(**values) == values[name.strip().lower()]


def test_an_unknown_profile_names_the_known_ones(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    with pytest.raises(ValueError, match="'fast'; set it to one of smoke, cpu, gpu"):
        hardware.profile()


@pytest.mark.parametrize(
    ("driver", "reachable", "expected"),
    [(None, True, "cpu"), ("nvidia-smi", False, "cpu"), ("nvidia-smi", True, "gpu")],
)
def test_without_a_word_the_profile_follows_the_machine(monkeypatch, driver, reachable, expected):
    monkeypatch.delenv("COURSE_PROFILE", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: reachable)
    assert hardware.profile() == expected


def test_asking_for_the_profile_does_not_load_torch():
    program = "import sys; from course import hardware; hardware.profile(); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "course.hardware" in answer.stdout and "torch" not in answer.stdout.split()


@pytest.mark.parametrize(("available", "expected"), [(True, "cuda"), (False, "cpu")])
def test_the_device_is_the_one_that_torch_sees(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert hardware.device() == expected


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), torch.rand(1).item()]


def test_the_same_seed_gives_the_same_numbers_everywhere(monkeypatch):
    assert hardware.seed_everything(7) == 7
    first = draws()
    assert draws() != first
    monkeypatch.setenv("COURSE_SEED", "7")
    assert hardware.seed_everything() == 7
    assert draws() == first
    assert hardware.seed_everything(8) == 8
    assert not set(draws()) & set(first)


def test_the_seed_is_zero_unless_set_and_must_be_a_whole_number(monkeypatch):
    monkeypatch.delenv("COURSE_SEED", raising=False)
    assert hardware.seed_everything() == 0
    monkeypatch.setenv("COURSE_SEED", "lucky")
    with pytest.raises(ValueError, match="'lucky'; set it to a whole number"):
        hardware.seed_everything()


def test_the_description_names_memory_and_profile(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    gigabytes = psutil.virtual_memory().total / 1e9
    assert f"{gigabytes:.0f} GB of memory, profile smoke" in hardware.describe()
