"""ruff over the whole checkout, and the tools of pre-commit in the versions of constraints.txt."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("action", [["check"], ["format", "--check"]], ids=["check", "format"])
def test_ruff_finds_nothing(action):
    answer = subprocess.run(
        [sys.executable, "-m", "ruff", *action, "."],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_pre_commit_uses_the_tested_versions():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    tested = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    used = set(re.findall(r"[\w-]+==[\w.]+", hooks))
    assert {version.partition("==")[0] for version in used} == {"ruff", "nbstripout"}
    assert used <= set(tested)
