"""What the person sees of pip: one line while it works, one sentence when it fails."""

import os
import subprocess
import sys

import pytest

from course import installation
from course.installation import Progress, UnknownProblem, forget_half_unpacked, problem_in

# Closing lines as pip 23 to 26 print them.
LOGS = {
    "no network": (
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by "
        "'NewConnectionError('Failed to establish a new connection: [Errno 111]')': /torch/\n"
        "ERROR: Could not find a version that satisfies the requirement torch\n"
        "ERROR: No matching distribution found for torch\n",
        "registry could not be reached",
    ),
    "cut off": (
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.\n",
        "registry could not be reached",
    ),
    "certificate": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError("
        "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate'))'\n",
        "certificate was not accepted",
    ),
    "disk": (
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
        "disk became full",
    ),
    "rights": (
        "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'\n",
        "could not be written",
    ),
    "machine": (
        "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from "
        "versions: none)\nERROR: No matching distribution found for torch==2.13.0\n",
        "no torch==2.13.0 for this machine",
    ),
}


@pytest.mark.parametrize(("log", "words"), LOGS.values(), ids=LOGS.keys())
def test_a_failure_that_we_know_is_one_sentence_and_goes_on_from_here(log, words, tmp_path):
    (tmp_path / "log").write_text("Collecting torch\n" + log, "utf-8")
    problem = problem_in(tmp_path / "log")
    assert words in str(problem)
    assert "it goes on from here" in str(problem) and str(tmp_path / "log") in str(problem)
    assert not isinstance(problem, UnknownProblem)


@pytest.mark.parametrize("log", ["", "Traceback\nERROR: first\nERROR: invalid metadata\n"])
def test_a_failure_that_we_do_not_know_starts_afresh_and_shows_pips_last_word(log, tmp_path):
    (tmp_path / "log").write_text(log, "utf-8")
    problem = problem_in(tmp_path / "log")
    assert isinstance(problem, UnknownProblem)
    assert ("invalid metadata" if log else "did not say why") in str(problem)


def test_what_pip_says_without_a_network_is_known(tmp_path):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    settings |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    settings |= {"PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "no-such-package-here"]
    answer = subprocess.run(command, env=settings, capture_output=True, encoding="utf-8")
    (tmp_path / "log").write_text(answer.stdout + answer.stderr, "utf-8")
    assert "registry could not be reached" in str(problem_in(tmp_path / "log"))


def test_the_line_says_which_package_is_being_fetched_and_how_many_are_done(tmp_path):
    progress = Progress(tmp_path, expected=144)
    seen = []
    for line in (
        "Collecting numpy>=2.0 (from foundation-models-hands-on==0.1.0)\n",
        "Collecting jupyter-client (from jupyterlab)\n",
        "Collecting jupyter-core (from jupyterlab)\n",
        "Requirement already satisfied: rich>=13.7 in /x (from course)\n",
        "Processing /a folder/wheels/scikit_learn-1.9.1-cp311-cp311-win_amd64.whl (from course)\n",
        "  Downloading torch-2.13.0-cp311-cp311-win_amd64.whl (114.5 MB)\n",
        "  Using cached numpy-2.4.6-cp311-cp311-macosx_14_0_arm64.whl (5.2 MB)\n",
        "WARNING: Retrying (Retry(total=4)) after connection broken\n",
        "Installing collected packages: numpy, torch\n",
    ):
        progress.read(line)
        seen.append(progress.doing)
    assert seen == [
        "looking up package 1 of about 144",
        "looking up package 2 of about 144",
        "looking up package 3 of about 144",
        "looking up package 4 of about 144",
        "looking up package 5 of about 144",
        "fetching package 1 of about 144: torch (114.5 MB)",
        "fetching package 2 of about 144: numpy (5.2 MB)",
        "no answer from the package registry, trying again",
        "unpacking",
    ]
    for name in ("numpy-2.4.6", "torch-2.13.0"):
        (tmp_path / "lib/python3.12/site-packages" / f"{name}.dist-info").mkdir(parents=True)
    progress.read("")
    assert progress.doing == "unpacking package 2 of about 144"


def test_a_terminal_has_one_line_written_over_and_a_file_plain_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(installation.sys.stderr, "isatty", lambda: True, raising=False)
    progress = Progress(tmp_path, expected=9)
    progress.show("Collecting a-package-with-a-long-name\n")
    progress.show("Installing collected packages: a\n")
    progress.close()
    lines = capsys.readouterr().err
    assert lines.count("\n") == 1 and lines.count("\r") == 2
    first, second = lines.rstrip("\n").split("\r")[1:]
    assert len(second) >= len(first.rstrip())  # nothing of the longer line stays visible

    monkeypatch.setattr(installation.sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(installation, "SECONDS_BETWEEN_PLAIN_LINES", 0)
    progress = Progress(tmp_path, expected=9)
    progress.show("Collecting a\n")
    progress.close()
    assert capsys.readouterr().err == "  0:00  looking up package 1 of about 9\n"


def test_a_package_that_was_being_unpacked_is_forgotten_so_that_pip_does_it_again(tmp_path):
    packages = tmp_path / "lib/python3.12/site-packages"
    for name in ("numpy-2.4.6.dist-info", "torch-2.13.0.dist-info"):
        (packages / name).mkdir(parents=True)
        (packages / name / "METADATA").touch()
    (packages / "numpy-2.4.6.dist-info" / "RECORD").touch()
    forget_half_unpacked(tmp_path)
    assert [path.name for path in packages.iterdir()] == ["numpy-2.4.6.dist-info"]
