"""Keep an answer from asking for so much memory that the system ends the kernel.

Only on Linux, which promises memory that it does not have and ends a process that uses it; other
systems refuse in time by themselves.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

MOST_BYTES = 4 * 10**9  # beyond what the kernel has; right answers need a small part of it
SHARE = 0.75  # of what is free, where that is less

OWN_STATUS = Path("/proc/self/status")
GROUP = Path("/sys/fs/cgroup")  # of a container, whose limit psutil does not know


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Inside, a demand for more memory than there is raises MemoryError."""
    if sys.platform != "linux":
        yield
        return
    import resource  # noqa: TID251

    before = resource.getrlimit(resource.RLIMIT_DATA)
    most = _bytes_in_use() + int(min(MOST_BYTES, SHARE * bytes_free()))
    lower = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([most, *lower]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _bytes_in_use() -> int:
    """What the limit counts: the private memory of this process that can be written to."""
    for line in OWN_STATUS.read_text("utf-8").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{OWN_STATUS} does not say how much memory is in use.")


def bytes_free() -> int:
    """Memory that can still be had: of the machine, or of the container where that has less."""
    free = psutil.virtual_memory().available
    limit = group_limit()
    if limit is None:
        return free
    used = int((GROUP / "memory.current").read_text("utf-8"))
    return min(free, max(0, limit - used))


def group_limit() -> int | None:
    """The most memory, in bytes, that a container may use; None where there is no such limit."""
    try:
        limit = (GROUP / "memory.max").read_text("utf-8").strip()
    except OSError:  # not in a container, or an older kind of group
        return None
    return None if limit == "max" else int(limit)
