"""The state of a training run on disk, so that an interrupted one can go on."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import torch

from course import hardware
from course.datasets.recipes import cache_folder

SECONDS_BETWEEN_SAVES = 5.0


def checkpoint_file(name: str) -> Path | None:
    """Where a run of the gpu profile keeps its checkpoint; None for the short runs of others."""
    if hardware.profile() != "gpu":
        return None
    return cache_folder() / "checkpoints" / f"{name}.pt"


class Checkpoint:
    """A file that holds the state of one run at the end of an epoch.

    parts: what has a `state_dict`, such as model and optimizer, by name. settings: what must be the
    same for the file to be of this very run.
    """

    def __init__(self, file: Path, parts: dict[str, Any], settings: str) -> None:
        self.file, self.parts = file, parts
        self.settings = hashlib.sha256(settings.encode()).hexdigest()
        self.saved = float("-inf")

    def save_at_times(self, history: dict[str, Any]) -> None:
        """Save, unless that was done only just before."""
        if time.monotonic() - self.saved > SECONDS_BETWEEN_SAVES:
            self.save(history)

    def save(self, history: dict[str, Any]) -> None:
        """Keep the state, whole or not at all; a disk that is full stops no training."""
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"settings": self.settings, "history": history, "random": _random_states()}
        unfinished = self.file.with_name(f"{self.file.name}.{os.getpid()}.tmp")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, unfinished)
            unfinished.replace(self.file)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            print(f"The run cannot be kept in {self.file} ({error}); training goes on.")
        self.saved = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Bring the parts to the state in the file; its history, or None where it is not ours."""
        try:
            state = torch.load(self.file, weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever a damaged file does, training can start afresh
            kind = type(error).__name__
            print(f"The checkpoint {self.file} cannot be read ({kind}): starting afresh.")
            return None
        if not isinstance(state, dict) or state.get("settings") != self.settings:
            return None
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        _set_random_states(state["random"])
        done = len(state["history"]["train_loss"])
        print(f"Going on after epoch {done}, from {self.file}; remove it to start afresh.")
        return state["history"]

    def remove(self) -> None:
        """The run is finished."""
        self.file.unlink(missing_ok=True)


def _random_states() -> dict[str, Any]:
    states = {"cpu": torch.get_rng_state()}
    return states | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
