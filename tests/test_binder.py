"""What Binder would build, rendered by the program that builds there, without building it."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from lesson_runs import output_of

from course import environment
from course.small_machine import BINDERS_SETTINGS

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "binder" / "requirements.txt"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="Binder's machines run Linux, and so does what builds for them"
)


@pytest.fixture(scope="module")
def rendered() -> str:
    """The recipe of the image, as text."""
    command = ["-m", "repo2docker", "--no-build", "--debug", "."]
    return output_of([sys.executable, *command], ROOT)


def make_binder():
    spec = spec_from_file_location("make_binder", ROOT / "tools" / "make_binder.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_python_is_the_tested_one(rendered):
    (tested,) = re.findall(r"\(Python ([\d.]+)\)", (ROOT / "constraints.txt").read_text("utf-8"))
    assert f"Building conda environment for python={tested}\n" in rendered


def test_the_packages_are_installed_before_anything_that_changes_with_a_commit(rendered):
    steps = [line for line in rendered.splitlines() if re.match("(COPY|RUN) ", line)]
    order = [
        next(number for number, step in enumerate(steps) if re.fullmatch(pattern, step))
        for pattern in (
            r"COPY .*src/binder/requirements\.txt \S+",
            r'RUN \S+/pip install --no-cache-dir -r "binder/requirements\.txt"',
            r"COPY .*src/ \S+",
            r"RUN \./binder/postBuild",
        )
    ]
    assert order == sorted(order)
    before_all_else = "\n".join(steps[: order[2]])
    assert "src/course" not in before_all_else and "src/notebooks" not in before_all_else
    assert sum("pip install" in step for step in steps) == 1


def test_the_requirements_are_what_pyproject_and_constraints_give():
    file = REQUIREMENTS.read_text("utf-8")
    assert file == make_binder().text(), "Run `python tools/make_binder.py`."
    constraints = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    packages = [line for line in file.splitlines() if line[0] not in "#-"]
    assert {line.removesuffix("+cpu") for line in packages} <= set(constraints)
    assert [line for line in packages if line.endswith("+cpu")] == [
        next(line for line in constraints if line.startswith("torch==")) + "+cpu"
    ]
    names = {line.partition("==")[0] for line in packages}
    assert {"numpy", "matplotlib", "torch", "tensorflow-cpu", "torchmetrics"} <= names
    assert names.isdisjoint({"tensorflow", "jupyterlab", "ruff"})
    assert not [name for name in names if name.startswith("nvidia")]


def test_python_m_course_takes_binders_environment_as_it_is():
    buildpacks = Path(find_spec("repo2docker").origin).parent / "buildpacks"
    base = (buildpacks / "conda" / "environment.py-3.11-linux-64.lock").read_text("utf-8")
    ours = REQUIREMENTS.read_text("utf-8")
    for name in environment.NEEDED_MODULES:
        assert re.search(rf"/{name}-\d", base) or re.search(rf"^{name}==", ours, re.MULTILINE), name


def test_the_requirements_agree_with_each_other(tmp_path):
    """pip's own resolver finds each package, and what it needs, in the tested environment.

    What this cannot show from here: that PyTorch's index still has torch without CUDA.
    """
    text = REQUIREMENTS.read_text("utf-8").replace("+cpu", "")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    (tmp_path / "requirements.txt").write_text("\n".join(lines), "utf-8")
    command = ["install", "--dry-run", "--no-index", "-r", "requirements.txt"]
    said = output_of([sys.executable, "-m", "pip", *command], tmp_path)
    assert "Would install" not in said


def test_post_build_adds_the_course_alone_and_quiet_settings(without_course, tmp_path):
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    home.mkdir()
    for name in ("binder", "course"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    environment = os.environ | {
        "HOME": str(home),
        "PATH": f"{without_course.parent}{os.pathsep}{os.environ['PATH']}",
        # The wheel is built with what is here; Binder fetches hatchling for that.
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_INDEX": "1",
    }
    environment.pop("PYTHONPATH", None)
    subprocess.run(["./binder/postBuild"], cwd=checkout, env=environment, check=True)
    for name in ("foundation_models_hands_on-*.dist-info", "course"):
        (found,) = (tmp_path / "environment").glob(f"lib/*/site-packages/{name}")
        assert found.is_dir()
    added = [path.name for path in (tmp_path / "environment").glob("lib/*/site-packages/*")]
    assert len(added) == 3  # the two, and the file that leads to all other packages
    assert (home / ".jupyter/labconfig/default_setting_overrides.json").is_file()


def test_a_program_there_starts_with_the_settings_of_a_small_machine():
    command = [ROOT / "binder" / "start", "printenv", *BINDERS_SETTINGS]
    assert output_of(command, ROOT).split() == list(BINDERS_SETTINGS.values())
