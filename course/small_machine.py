"""A machine as small as Binder's: one core, and a hard limit of memory for a lesson's kernel.

Linux keeps such a limit by itself for all processes of a control group, and ends one that would
pass it. Only root may make such groups, or whom the system has handed some over to. Everywhere
else, and besides, `course.execution` looks at the memory ten times a second.
"""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import psutil

# Binder gives 2 GB. JupyterLab's server takes 0.1 GB of it (measured), and the rest is for what a
# student opens beside the lesson.
BINDERS_MEMORY_MB = 1500  # 10⁶ bytes
BINDERS_SETTINGS = {  # `binder/start` sets them, and says why
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8",
    "MALLOC_MMAP_THRESHOLD_": "16777216",
}
GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def use_one_core() -> bool:
    """Stay on one core from here on, with all processes started from here; False on macOS."""
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return False
    cores = process.cpu_affinity()
    process.cpu_affinity([cores[os.getpid() % len(cores)]])  # tests that run at a time: not all one
    return True


class MemoryGroup:
    """A control group whose processes together may use so much memory, and no swap.

    Raises:
        OSError: this process cannot make one.
    """

    def __init__(self, limit_mb: int) -> None:
        place, settings, self.events = _kind_of_groups()
        self.folder = place / f"course-{os.getpid()}-{time.monotonic_ns()}"
        self.folder.mkdir()
        try:
            for name, megabytes in settings.items():
                file = self.folder / name
                if file.exists():  # without swap there is nothing to limit
                    allowed = limit_mb if megabytes is None else megabytes
                    file.write_text(str(allowed * 10**6), "utf-8")
            self.count_of_ended()
            subprocess.run(["true"], preexec_fn=self.enter, check=True)
        except (OSError, subprocess.SubprocessError) as problem:
            self.close()
            raise OSError(f"No process can be put into {self.folder}.") from problem

    def enter(self) -> None:
        """Take the process that calls it, and what it will start, into the group."""
        (self.folder / "cgroup.procs").write_text("0", "utf-8")

    def count_of_ended(self) -> int:
        """How many processes Linux has ended since they would have passed the limit."""
        events = (self.folder / self.events).read_text("utf-8").split()
        return int(events[events.index("oom_kill") + 1])

    def close(self) -> None:
        """Take the group away; its processes have ended, or are just ending."""
        for _ in range(50):
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)


def _kind_of_groups() -> tuple[Path, dict[str, int | None], str]:
    """Where a new group can be, its limits (None: that of the group) and where its events are.

    Raises:
        OSError: there are no groups here.
    """
    lines = OWN_GROUPS.read_text("utf-8").splitlines()
    own = {kind: path.lstrip("/") for _, kind, path in (line.split(":", 2) for line in lines)}
    if "memory" in own:  # version 1: a group inside our own
        limits = {"memory.limit_in_bytes": None, "memory.memsw.limit_in_bytes": None}
        return GROUPS / "memory" / own["memory"], limits, "memory.oom_control"
    # Version 2: beside our own group, since one with processes in it hands nothing down.
    limits = {"memory.max": None, "memory.swap.max": 0}
    return (GROUPS / own.get("", "")).parent, limits, "memory.events"
