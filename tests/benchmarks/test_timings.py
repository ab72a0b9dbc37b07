"""What a student waits for stays short: the fastest of a few tries, as machines are noisy."""

import json
import subprocess
import sys

import pytest
import timings

LONGEST = 0.3  # seconds
HEAVY = {"torch", "tensorflow", "numpy", "matplotlib", "rich", "IPython", "jupyter_client"}


@pytest.mark.parametrize("name", timings.COMMANDS)
def test_a_command_answers_at_once(name):
    code = timings.COMMANDS[name]
    assert min(timings.timed(lambda: timings.run_python(code), tries=4)) <= LONGEST


def test_neither_import_nor_help_loads_anything_heavy():
    code = (
        "import contextlib, json, sys, course\nfrom course.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['--help'])\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert HEAVY.isdisjoint(json.loads(answer.stderr))


@pytest.mark.parametrize("name", timings.exercise_checks())
def test_a_right_answer_is_checked_at_once(name):
    action = timings.exercise_checks()[name]
    assert action().passed
    assert min(timings.timed(action, tries=4)) <= LONGEST
