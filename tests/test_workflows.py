"""The public repository's workflows: read by the tools that know GitHub, and tried where we can."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course.__main__ import NEWEST, OLDEST

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What each tool must refuse, so that its silence over ours says something.
BROKEN = "on: push\npermissions: {}\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n"
CHECKERS = {
    "actionlint": ([], "      - run: echo ${{ matrix.nothing }}\n"),
    "check-jsonschema": (["--builtin-schema", "vendor.github-workflows"], "      - walk: echo\n"),
    "zizmor": (
        ["--offline", "--no-progress"],
        "      - run: echo ${{ github.event.issue.title }}\n",
    ),
}
PACKAGE = '__version__ = "1.2.0"\n'
CHANGES = "# Changelog\n\n## Unreleased\n\n- later\n\n## 1.2.0\n\n- new\n\n## 1.1.0\n\n- old\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the checkers are there for Linux")


def check(tool: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / tool, *CHECKERS[tool][0], *files]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")


def jobs(workflow: str) -> dict[str, dict]:
    path = ROOT / ".github" / "workflows" / f"{workflow}.yml"
    return yaml.safe_load(path.read_text("utf-8"))["jobs"]


@pytest.mark.parametrize("tool", CHECKERS)
def test_the_tools_find_nothing_in_ours_and_something_in_a_broken_one(tool, tmp_path):
    answer = check(tool, *WORKFLOWS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    # zizmor reads files by where they lie.
    broken = tmp_path / ".github" / "workflows" / "broken.yml"
    broken.parent.mkdir(parents=True)
    broken.write_text(BROKEN + CHECKERS[tool][1], "utf-8")
    assert check(tool, broken).returncode != 0


def test_every_action_is_one_commit_with_its_version_beside_it():
    used = [
        line
        for path in WORKFLOWS
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"\buses:", line) and "uses: ./" not in line
    ]
    pinned = [re.search(r"uses: ([\w/-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$", one) for one in used]
    assert used and all(pinned), used
    actions = {(match[1], match[2]) for match in pinned}
    assert len(actions) == len({name for name, _ in actions})


def test_the_tests_run_on_every_system_and_python_of_the_course():
    matrix = jobs("test")["test"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    minors = range(OLDEST[1], NEWEST[1] + 1)
    assert matrix["python"] == [f"3.{minor}" for minor in minors]
    assert jobs("test")["test"]["steps"][-1]["run"] == "python -m course test"


def test_nothing_is_published_before_everything_has_passed():
    release = jobs("release")
    assert release["test"]["uses"] == "./.github/workflows/test.yml"
    assert {"build", "test"} <= set(release["pypi"]["needs"])
    assert release["github"]["needs"] == "pypi"
    written = {name for name, job in release.items() if "write" in str(job["permissions"])}
    assert written == {"pypi", "github"}
    builds = [
        name
        for name, job in release.items()
        for step in job.get("steps", [])
        if "pip wheel" in step.get("run", "")
    ]
    assert builds == ["build"]


def release_notes(tag: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a copy of the tool in a made-up repository."""
    (root / "tools").mkdir(exist_ok=True)
    tool = root / "tools" / "release_notes.py"
    tool.write_text((ROOT / "tools" / "release_notes.py").read_text("utf-8"), "utf-8")
    command = [sys.executable, tool, tag]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize(
    ("tag", "changes", "printed", "words"),
    [
        ("v1.2.0", CHANGES, "- new\n", ""),
        ("v1.1.0", CHANGES, "", "tag it v1.2.0, not v1.1.0"),
        ("1.2.0", CHANGES, "", "tag it v1.2.0"),
        ("v1.2.0", CHANGES.replace("## 1.2.0", "## 1.2.0.1"), "", "says nothing on 1.2.0"),
        ("v1.2.0", CHANGES.replace("- new\n", ""), "", "says nothing on 1.2.0"),
    ],
)
def test_a_release_has_its_version_as_tag_and_its_section(tag, changes, printed, words, tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "__init__.py").write_text(PACKAGE, "utf-8")
    (tmp_path / "CHANGELOG.md").write_text(changes, "utf-8")
    answer = release_notes(tag, tmp_path)
    assert (answer.returncode, answer.stdout) == (0 if printed else 1, printed)
    assert words in answer.stderr and "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("there", "expected"),
    [("", "issue create --title"), ("17", "issue comment 17 --body-file body.md")],
    ids=["none open", "one open"],
)
def test_a_broken_week_opens_an_issue_or_adds_to_the_open_one(there, expected, tmp_path):
    """The step as it stands in the workflow, with a stand-in for GitHub's own command."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "gh"
    command.write_text(
        f'#!/bin/bash\necho "$@" >> calls\n[ "$2" != list ] || echo {there}\n', "utf-8"
    )
    command.chmod(0o755)
    (tmp_path / "newest.log").write_text("first\n" * 100 + "FAILED 01_mlp\n", "utf-8")
    (tmp_path / "newest.txt").write_text("numpy==99\n", "utf-8")
    step = jobs("newest")["issue"]["steps"][-1]
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "RUN": "https://example.org/run/1"},
        check=True,
    )
    calls = (tmp_path / "calls").read_text("utf-8").splitlines()
    assert [call.split()[1] for call in calls] == ["create", "list", expected.split()[1]]
    assert calls[-1].startswith(expected)
    body = (tmp_path / "body.md").read_text("utf-8")
    assert "https://example.org/run/1" in body and "FAILED 01_mlp" in body and "numpy==99" in body
    assert body.count("first") < 60 and body.count("```") == 4
