"""`course lab`: fills `my_course/` with the lessons and opens it in JupyterLab."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from course.environment import checkout
from course.problem import Problem
from course.workspace import fill

FIRST = "00_start_here.ipynb"
LOG = ".jupyter.log"
DEFAULTS = Path(__file__).parent / "jupyter"  # a person's own settings win over them
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
            "the disk is not full, then run the same command again."
        ) from error
    first = FIRST if (folder / FIRST).exists() else sorted(folder.glob("*.ipynb"))[0].name
    opens = browser and has_display()
    if server := running_in(folder):
        print(f"The course is already open at\n\n    {address_of(server, first)}\n")
        if opens:
            webbrowser.open(address_of(server, first))
        return 0
    return serve(folder, first, opens)


def serve(folder: Path, notebook: str, browser: bool) -> int:
    """Run JupyterLab until it ends or the person presses Ctrl-C; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that JupyterLab ends with us
    try:
        process, address = start(folder, notebook, browser)
        try:
            print(f"\nThe course is open at\n\n    {address}\n")
            print(f"Your work is in {folder}. Ctrl-C stops it.", flush=True)
            return process.wait()
        finally:
            stop(process)
    except KeyboardInterrupt:
        print("\nStopped. The same command opens the course again.")
        return 0


def start(folder: Path, notebook: str, browser: bool) -> tuple[subprocess.Popen[bytes], str]:
    """Start JupyterLab with `folder` as its root; the process and the address of the notebook.

    Raises:
        Problem: it did not start.
    """
    settings = (
        f"ServerApp.root_dir={folder}",
        "ServerApp.open_browser=False",
        "ServerApp.allow_root=True",  # containers and continuous integration run as root
        "ServerApp.answer_yes=True",  # Ctrl-C stops it without a question
        "ServerApp.log_level=WARN",
        "LabApp.log_level=WARN",
        "KernelManager.transport_encryption=auto",  # without it each kernel warns
        "LabApp.news_url=None",
        "LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    command = [sys.executable, "-m", "jupyterlab", *(f"--{setting}" for setting in settings)]
    environment = {"JUPYTER_TOKEN": secrets.token_hex(24), **os.environ, **search_paths()}
    log_path = folder / LOG
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        address = address_of(wait_for_server(process, log_path), notebook)
    except BaseException:  # Ctrl-C too must not leave it running
        stop(process)
        raise
    if browser:
        webbrowser.open(address)
    return process, address


def search_paths() -> dict[str, str]:
    """`course` on the path of terminals, and defaults that ask no question about Jupyter's news."""
    paths = {"PATH": Path(sys.executable).parent, "JUPYTER_CONFIG_PATH": DEFAULTS}
    return {
        name: os.pathsep.join(filter(None, [str(first), os.environ.get(name)]))
        for name, first in paths.items()
    }


def address_of(server: dict[str, Any], notebook: str) -> str:
    """Where a notebook of a running server opens without asking for a password."""
    return f"{server['url']}lab/tree/{quote(notebook)}?token={server['token']}"


def servers() -> Iterator[dict[str, Any]]:
    """What each running Jupyter server of this person says about itself.

    Jupyter's own `list_running_servers` gives the same, but takes two seconds to import and
    believes a file left by a crash when another process has the old number.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json"):
        try:
            server = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # just being written or taken away
            continue
        if answers(server):
            yield server


def answers(server: dict[str, Any]) -> bool:
    """Whether a server is there and takes the token that it left in its file."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{server['url']}api/status?token={server['token']}", timeout=3):
            return True
    except OSError:
        return False


def running_in(folder: Path) -> dict[str, Any] | None:
    """The Jupyter server that already has this folder open: two would write over each other."""
    return next((server for server in servers() if server["root_dir"] == str(folder)), None)


def wait_for_server(process: subprocess.Popen[bytes], log_path: Path) -> dict[str, Any]:
    """What the Jupyter server of this process says about itself, as soon as it answers."""
    import psutil

    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        # On Windows the Python of an environment starts another one, which is the server.
        family = {process.pid, *(child.pid for child in psutil.Process(process.pid).children())}
        for server in servers():
            if server["pid"] in family:
                return server
        time.sleep(0.1)
    words = log_path.read_text("utf-8", errors="replace").strip().splitlines()
    raise Problem(
        f"JupyterLab did not start ({words[-1] if words else 'it did not say why'}): read "
        f"{log_path}, then run the same command again."
    )


def has_display() -> bool:
    """Whether a browser that opens here would be seen by the person who typed the command."""
    if "SSH_CONNECTION" in os.environ:
        return False
    desktop = sys.platform in ("win32", "darwin")
    return desktop or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def stop(process: subprocess.Popen[bytes]) -> None:
    """End JupyterLab and its kernels; it has often begun to, since Ctrl-C reaches it as well."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
