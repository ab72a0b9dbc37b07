"""Run a notebook from top to bottom in a kernel of its own; measure time and memory."""

import asyncio
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from course.small_machine import MemoryGroup

SAMPLE_INTERVAL = 0.1  # seconds between two looks at the memory
LONGEST_ERROR = 400  # characters
QUIET = logging.getLogger("course.execution")  # nbclient's own log repeats what `error` says
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


@dataclass(frozen=True)
class Execution:
    """How a notebook's run went.

    Attributes:
        seconds: wall-clock time of the cells, without starting and stopping the kernel.
        peak_memory_mb: the largest memory of the kernel and its children, in 10⁶ bytes.
        error: None, or one line: the cell's number and what went wrong in it.
    """

    seconds: float
    peak_memory_mb: float
    error: str | None


def execute(
    notebook: NotebookNode,
    folder: Path,
    environment: dict[str, str],
    cell_timeout: float = 300,
    on_cell: Callable[[int, int], None] | None = None,
    memory_limit_mb: int | None = None,
) -> Execution:
    """Run the code cells of `notebook` in place, until the end or the first error.

    The kernel runs on the interpreter that runs this function, in `folder`, and sees this
    process's environment with `environment` laid over it. `on_cell(done, total)` is called
    after each code cell. Ctrl-C stops the kernel and raises KeyboardInterrupt.

    Memory is the sum of the resident sizes (RSS) of the kernel and its children, so a page
    that they share counts once for each. On Linux the kernel's own high-water mark is read
    too, so that a peak between two samples is not missed.

    A kernel that with its children uses more than `memory_limit_mb` is ended, and the run has
    failed: by Linux at once where this process may make control groups, else by us at the next
    sample. A peak that only the high-water mark shows fails the run at its end.
    """
    # Also on Windows the kind of loop on which ZeroMQ can wait.
    with (
        _memory_group(memory_limit_mb) as group,
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
    ):
        memory = MemoryWatch(memory_limit_mb, group)
        return runner.run(_execute(notebook, folder, environment, cell_timeout, on_cell, memory))


@contextmanager
def _memory_group(limit_mb: int | None) -> Iterator[MemoryGroup | None]:
    """A group of processes with this limit, or None where there is no limit or no such group."""
    try:
        group = None if limit_mb is None else MemoryGroup(limit_mb)
    except OSError:  # `MemoryWatch` alone keeps the limit
        group = None
    try:
        yield group
    finally:
        if group is not None:
            group.close()


async def _execute(
    notebook: NotebookNode,
    folder: Path,
    environment: dict[str, str],
    cell_timeout: float,
    on_cell: Callable[[int, int], None] | None,
    memory: "MemoryWatch",
) -> Execution:
    # Without folders to look in, the only kernel there is runs on this very interpreter.
    manager = AsyncKernelManager(
        kernel_name=NATIVE_KERNEL_NAME, kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    client = NotebookClient(
        notebook, km=manager, timeout=math.ceil(cell_timeout), record_timing=False
    )
    manager.log = client.log = QUIET
    started = time.perf_counter()
    try:
        async with _kernel(client, folder, environment, memory.group):
            sampling = asyncio.create_task(memory.sample(manager.provisioner.pid))
            started = time.perf_counter()
            error = await _run_cells(client, on_cell, memory)
            seconds = time.perf_counter() - started
            sampling.cancel()
            memory.look(manager.provisioner.pid)
    except _KernelDidNotStart as problem:
        return Execution(time.perf_counter() - started, 0.0, str(problem))
    if memory.was_passed() and memory.complaint not in (error or ""):
        error = f"{memory.complaint} {error or ''}".rstrip()
    return Execution(seconds, memory.peak / 1e6, error)


class _KernelDidNotStart(Exception):
    pass


@asynccontextmanager
async def _kernel(
    client: NotebookClient, folder: Path, environment: dict[str, str], group: MemoryGroup | None
) -> AsyncIterator[None]:
    """A kernel that is gone at the end, whatever happens in between."""
    manager = client.km
    try:
        try:
            await client.async_start_new_kernel(
                cwd=str(folder),
                env=os.environ | environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **({} if group is None else {"preexec_fn": group.enter}),
            )
            await client.async_start_new_kernel_client()
        except (RuntimeError, OSError) as problem:
            raise _KernelDidNotStart(
                f"The kernel did not start ({_one_line(problem)}); try "
                f"`{sys.executable} -m ipykernel_launcher --version`."
            ) from problem
        yield
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)


async def _run_cells(
    client: NotebookClient, on_cell: Callable[[int, int], None] | None, memory: "MemoryWatch"
) -> str | None:
    """Run the cells; return None, or one line about the first that failed."""
    cells = [
        (index, cell)
        for index, cell in enumerate(client.nb.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]
    for number, (index, cell) in enumerate(cells, start=1):
        try:
            await client.async_execute_cell(cell, index, execution_count=number)
        except CellExecutionError as problem:
            return f"Cell [{number}]: {problem.ename}: {_one_line(problem.evalue)}"
        except CellTimeoutError:
            return (
                f"Cell [{number}]: still running after {client.timeout} s, stopped; "
                "choose a smaller profile or a faster machine."
            )
        except DeadKernelError:
            if asyncio.current_task().cancelling():  # nbclient takes Ctrl-C for a dead kernel
                raise asyncio.CancelledError from None
            if memory.was_passed():
                return f"Cell [{number}]: {memory.complaint}"
            return f"Cell [{number}]: {_cause_of_death(await client.km.provisioner.poll())}"
        if on_cell is not None:
            on_cell(number, len(cells))
    client.set_widgets_metadata()
    return None


def _cause_of_death(status: int | None) -> str:
    """One sentence about a kernel that ended with this exit status (negative: a signal)."""
    if status == -9:
        return (
            "the kernel was killed, most often because the machine ran out of memory; "
            "close other programs or choose a smaller profile."
        )
    how = f"by signal {-status}" if status is not None and status < 0 else f"with status {status}"
    return f"the kernel died {how}; run the cell by hand to see what it was doing."


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST_ERROR else line[:LONGEST_ERROR] + " …"


class MemoryWatch:
    """The largest memory that a process and its children have used, in bytes, and its limit."""

    def __init__(self, limit_mb: int | None, group: MemoryGroup | None) -> None:
        self.peak = 0
        self.limit_mb = limit_mb
        self.group = group
        self.complaint = f"More than {limit_mb} MB of memory, the limit, were in use."

    async def sample(self, pid: int) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.look(pid)
            await asyncio.sleep(SAMPLE_INTERVAL)

    def look(self, pid: int) -> None:
        """Look once, and end what has passed the limit; a process that has ended is nothing."""
        self.peak = max(self.peak, _tree_memory(pid), _high_water_mark(pid))
        if self.was_passed():
            for member in _tree(pid):
                with suppress(psutil.NoSuchProcess):
                    member.kill()

    def was_passed(self) -> bool:
        """Whether there is a limit and more was used, or would have been."""
        if self.limit_mb is None:
            return False
        ended = self.group is not None and self.group.count_of_ended() > 0
        return ended or self.peak > self.limit_mb * 10**6


def _tree(pid: int) -> list[psutil.Process]:
    """A process and all below it; none where it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _tree_memory(pid: int) -> int:
    total = 0
    for member in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total


def _high_water_mark(pid: int) -> int:
    """Linux keeps each process's largest resident size; 0 on other systems."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
