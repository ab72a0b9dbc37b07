"""Models of the hub, each in one state that is named, so that it is the same in a year.

No machine without a network waits for one: the hub is asked only for what is not on this machine
yet, and only where it answers within seconds.
"""

import contextlib
from pathlib import Path

import requests
from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

NEEDED = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
]
ANSWER_SECONDS = 5  # how long the hub may take to answer at all


def folder(name, revision):
    """The folder with a model of the hub, fetched where it is not on this machine; None without.

    name: as on the hub, such as "google-bert/bert-base-uncased"; revision: the commit wanted. Where
    the model cannot be had, a line says so.
    """
    options = {"repo_id": name, "revision": revision, "allow_patterns": NEEDED}
    with contextlib.suppress(LocalEntryNotFoundError):
        found = Path(snapshot_download(**options, local_files_only=True))
        if (found / "model.safetensors").exists():  # not what a broken download left
            return found
    if answers():
        with contextlib.suppress(OSError, HTTPError):  # the network broke off on the way
            return Path(snapshot_download(**options))
    print(f"{name} is not on this machine and cannot be fetched from the hub now: it is left out.")
    return None


def answers():
    """Whether the hub can be reached within a few seconds, and may be."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        requests.head(constants.ENDPOINT, timeout=ANSWER_SECONDS)
    except requests.RequestException:
        return False
    return True
