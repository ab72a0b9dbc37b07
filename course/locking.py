"""Lets one process at a time work on something. Needs only the standard library."""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def only_one(folder: Path, when_waiting: str) -> Iterator[None]:
    """Hold `folder` for the length of the `with` block; says `when_waiting` while another has it.

    The system frees a lock whose process has ended, however it ended.
    """
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"course-{name}.lock").open("ab") as lock:
        if not try_to_lock(lock.fileno()):
            print(when_waiting, file=sys.stderr, flush=True)
            while not try_to_lock(lock.fileno()):
                time.sleep(0.2)
        yield


def try_to_lock(file: int) -> bool:
    """Lock an open file until it is closed; False where another process has locked it."""
    try:
        if os.name == "nt":
            import msvcrt  # noqa: TID251

            os.lseek(file, 0, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: TID251

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
