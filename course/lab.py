"""`course lab`: fills `my_course/` with the lessons and opens it in JupyterLab.

A student's work is never overwritten. A hidden record keeps what each lesson looked like when it
was laid down, so a lesson that nobody touched can be brought up to date where it lies.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from urllib.parse import quote

from course.environment import checkout
from course.installation import Problem

RECORD = ".course.json"
FIRST = "00_start_here.ipynb"
SECONDS_TO_START = 60


def lab(browser: bool) -> int:
    """Fill `my_course/`, open JupyterLab there and wait until Ctrl-C; the exit status."""
    root = checkout()
    folder = root / "my_course"
    try:
        for line in fill(root / "notebooks", folder):
            print(line)
    except OSError as error:
        raise Problem(
            f"{folder} cannot be written ({error.strerror}): see that the folder is yours and that "
            "the disk is not full, then run `course lab` again."
        ) from error
    first = FIRST if (folder / FIRST).exists() else sorted(folder.glob("*.ipynb"))[0].name
    opens = browser and has_display()
    process, address = start(folder, first, opens)
    print(f"\nThe course is open at\n\n    {address}\n\nYour work is in {folder}. Ctrl-C stops it.")
    return wait(process)


def fill(notebooks: Path, folder: Path) -> list[str]:
    """Lay each lesson of `notebooks` into `folder`; a line for people on each change.

    Raises:
        Problem: there are no lessons to lay.
        OSError: the folder cannot be written.
    """
    lessons = sorted(notebooks.glob("*.ipynb"))
    if not lessons:
        raise Problem(
            f"There are no lessons in {notebooks}: `course lab` works in a full clone of the "
            "course; run it there, or bring the folder back with `git checkout notebooks`."
        )
    folder.mkdir(exist_ok=True)
    record = read_record(folder / RECORD)
    news = [line for lesson in lessons if (line := lay(lesson, folder, record))]
    write_safely(folder / RECORD, json.dumps(record, indent=1, sort_keys=True).encode())
    return news


def lay(lesson: Path, folder: Path, record: dict[str, str]) -> str | None:
    """Lay one lesson; what to tell the student, or None where nothing changed.

    `record` holds, per file in `folder`, the fingerprint of what we laid there last, and under
    "new NAME" that of the newest version laid beside a lesson that the student had changed.
    """
    content = lesson.read_bytes()
    latest = fingerprint(content)
    mine = folder / lesson.name
    if not mine.exists():
        write_safely(mine, content)
        record[lesson.name] = latest
        return f"new: {lesson.name}"
    present = fingerprint(mine.read_bytes())
    if present == latest:
        record[lesson.name] = latest
        return None
    if present == record.get(lesson.name):
        write_safely(mine, content)
        record[lesson.name] = latest
        return f"brought up to date: {lesson.name}"
    if latest in (record.get(lesson.name), record.get(f"new {lesson.name}")):
        return None
    beside = free_place(mine, record)
    write_safely(beside, content)
    record[beside.name] = record[f"new {lesson.name}"] = latest
    return f"{lesson.name} has a newer version: yours stays, the new one is {beside.name}"


def free_place(mine: Path, record: dict[str, str]) -> Path:
    """The first "NAME (new version N)" that is free, or that the student has not touched."""
    number = 1
    while True:
        suffix = " (new version)" if number == 1 else f" (new version {number})"
        beside = mine.with_stem(mine.stem + suffix)
        if not beside.exists() or fingerprint(beside.read_bytes()) == record.get(beside.name):
            return beside
        number += 1


def fingerprint(content: bytes) -> str:
    """A hash of what a person can see in a notebook: cells, outputs and attachments.

    JupyterLab rewrites the metadata of a notebook that was merely opened, so they do not count.
    """
    try:
        cells = json.loads(content)["cells"]
        kept = ("cell_type", "source", "outputs", "attachments")
        seen = [{key: joined(cell[key]) for key in kept if cell.get(key)} for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError):
        return hashlib.sha256(content).hexdigest()  # not a notebook (any more)
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def joined(value):
    """Text as one string: a notebook may keep it as one or as a list of lines."""
    lines = isinstance(value, list) and all(isinstance(part, str) for part in value)
    return "".join(value) if lines else value


def read_record(path: Path) -> dict[str, str]:
    """What we laid down before; nothing where the record is missing or not readable any more."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_safely(path: Path, content: bytes) -> None:
    """Write under another name first, so that a full disk never leaves half a file."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(content)
    temporary.replace(path)


def start(folder: Path, notebook: str, browser: bool) -> tuple[subprocess.Popen[bytes], str]:
    """Start JupyterLab with `folder` as its root; the process and the address of the notebook.

    Raises:
        Problem: it did not start.
    """
    command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
    command += [f"--ServerApp.root_dir={folder}", "--ServerApp.answer_yes=True"]
    command += ["--log-level=WARN", "--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
    server = wait_for_server(process)
    address = f"{server['url']}lab/tree/{quote(notebook)}?token={server['token']}"
    if browser:
        webbrowser.open(address)
    return process, address


def wait_for_server(process: subprocess.Popen[bytes]) -> dict:
    """What the Jupyter server of this process says about itself, as soon as it does."""
    import psutil
    from jupyter_server.serverapp import list_running_servers

    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        # On Windows the Python of an environment starts another one, which is the server.
        family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children())}
        for server in list_running_servers():
            if server["pid"] in family:
                return server
        time.sleep(0.1)
    stop(process)
    raise Problem("JupyterLab did not start; its own words are above. Run `course lab` again.")


def has_display() -> bool:
    """Whether a browser that opens here would be seen by the person who typed the command."""
    if "SSH_CONNECTION" in os.environ:
        return False
    desktop = sys.platform in ("win32", "darwin")
    return desktop or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def wait(process: subprocess.Popen[bytes]) -> int:
    """Wait until JupyterLab ends or the person presses Ctrl-C; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return process.wait()
    except KeyboardInterrupt:
        print("\nStopped. `course lab` opens the course again.")
        return 0
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End JupyterLab and its kernels; it has often begun to, since Ctrl-C reaches it as well."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
