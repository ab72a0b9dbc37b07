"""Colab's cell and the lessons below it, in an environment like Colab's.

That environment is laid out afresh with Colab's oldest versions of what shows cells and pictures
and computes with arrays. Of the large packages only torch and what lies around it is there, in
the tested version, without a graphics card. That the versions which Colab has of these fit the
course, only the resolver says.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, distributions, version
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from lesson_runs import (
    PIP,
    check_verdicts,
    code_cells,
    half_answered,
    hand_back,
    output_of,
    recorded_figures,
    shown,
)
from nbclient import NotebookClient
from packaging.requirements import Requirement

from course.catalog import TWIN
from course.environment import DISTRIBUTION, python_in
from course.publishing.colab_cell import colab_cell
from course.results import BETTER, IN_BAND

ROOT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in (ROOT / "lessons").glob("*.py"))
LESSONS = [name for name in NAMES if not name.endswith(TWIN)]
# What Colab has, the oldest that the lessons must run on.
FLOOR = {
    "ipykernel": "6.17.1",
    "ipython": "7.34.0",
    "jupyter-client": "7.4.9",
    "matplotlib": "3.10.0",
    "numpy": "2.1.3",
    "psutil": "5.9.5",
    "requests": "2.32.4",
    "tornado": "6.5.1",
    "tqdm": "4.67.1",
    "traitlets": "5.7.1",
}
LARGE = {"torch": "2.11.0", "tensorflow": "2.20.0", "transformers": "5.15.0"}
LINKED = ("accelerate", "peft", "scikit-learn", "tensorboard", "torch", "transformers")
# What Colab lacks, or may lack, of what the course needs.
LACKING = (
    *("lightning-utilities", "markdown-it-py", "mdurl", "pooch", "rich", "torchmetrics"),
    *("babel", "sacrebleu", "colorama", "lxml", "portalocker", "tabulate"),
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Colab's machines run Linux")


def uv(*arguments: str | Path, folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the installer that resolves for other machines, too."""
    command = [sys.executable, "-m", "uv", "--no-config", *arguments]
    return subprocess.run(command, cwd=folder, input=text, capture_output=True, encoding="utf-8")


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> None:
    """Skips where no package registry answers, but not in CI, which has one."""
    found = uv("pip", "compile", "-", folder=tmp_path_factory.mktemp("registry"), text="mdurl")
    if found.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"no package registry in reach: {found.stderr.splitlines()[-1]}")
    assert found.returncode == 0, found.stderr


@pytest.fixture
def colab(environment) -> Iterator[Path]:
    """The Python of an environment like Colab's, from which each test starts anew."""
    before = packages_in(environment)
    yield environment
    names = [line.partition("==")[0] for line in packages_in(environment) - before]
    if names:
        removed = uv("pip", "uninstall", "--python", environment, *names, folder=environment.parent)
        assert removed.returncode == 0, removed.stderr


@pytest.fixture(scope="module")
def environment(registry, wheel, tmp_path_factory) -> Path:
    """The Python of an environment like Colab's; `wheels` beside it has what can be added."""
    folder = tmp_path_factory.mktemp("colab")
    python = python_in(folder / "environment")
    output_of([sys.executable, "-m", "venv", "environment"], folder)
    floor = FLOOR | {"setuptools": version("setuptools")}  # torch in the tested version asks for it
    pins = [f"{name}=={version}" for name, version in floor.items()]
    made = uv("pip", "install", "--python", python, *pins, folder=folder)
    assert made.returncode == 0, made.stderr
    (packages,) = (folder / "environment").glob("lib/*/site-packages")
    link_packages(packages)
    stand_in = folder / "stand_in"
    (stand_in / "google" / "colab").mkdir(parents=True)
    (stand_in / "google" / "colab" / "__init__.py").touch()
    # Colab's kernel has loaded the module before the first cell runs.
    (packages / "zz_colab.pth").write_text(f"{stand_in}\nimport google.colab\n", "utf-8")
    (folder / "wheels").mkdir()
    (folder / "wheels" / wheel.name).symlink_to(wheel)
    download = ["download", "--quiet", "--no-deps", "-c", ROOT / "constraints.txt"]
    output_of([*PIP, *download, "-d", "wheels", *LACKING], folder)
    return python


def link_packages(target: Path) -> None:
    """Put torch and what lies around it, as it is installed here, beside what is there."""
    path = ROOT / "tools" / "make_binder.py"
    spec = spec_from_file_location("make_binder", path)
    make_binder = module_from_spec(spec)
    spec.loader.exec_module(make_binder)
    for name in make_binder.everything_for(LINKED):
        found = distribution(name)
        if not list(target.glob(f"{found.name.replace('-', '_')}-*.dist-info")):
            for entry in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
                if not (target / entry).exists():
                    (target / entry).symlink_to(found.locate_file(entry))


def offline(colab: Path) -> dict[str, str]:
    """The environment of a process that can add what lies in `wheels`, and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not foreign(name)}
    wheels = colab.parents[2] / "wheels"
    return kept | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "OMP_NUM_THREADS": "1"}


def foreign(name: str) -> bool:
    """Whether a variable of whoever runs the tests must not reach the notebooks."""
    return name.startswith(("COURSE_", "PIP_", "PYTHON", "NBGRADER_"))


def packages_in(colab: Path) -> set[str]:
    """Name and version of all that is installed, read from the files that say so."""
    (packages,) = colab.parents[1].glob("lib/*/site-packages")
    return {f"{one.name}=={one.version}" for one in distributions(path=[str(packages)])}


def run_on_colab(colab: Path, notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run all cells in an empty folder; the first error is raised."""
    spec = folder / "kernels" / "colab"
    spec.mkdir(parents=True)
    command = [str(colab), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Colab", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel), "utf-8")
    (folder / "content").mkdir()
    settings = {"PROFILE": "smoke", "HOME": folder / "home", "RECORD": folder / "record.jsonl"}
    environment = offline(colab) | {f"COURSE_{name}": str(one) for name, one in settings.items()}
    manager = AsyncKernelManager(
        kernel_name="colab",
        kernel_spec_manager=KernelSpecManager(
            kernel_dirs=[str(spec.parent)], ensure_native_kernel=False
        ),
    )
    client = NotebookClient(notebook, km=manager, timeout=120)
    client.execute(cwd=str(folder / "content"), env=environment, cleanup_kc=True)


def run_cell(colab: Path, cell: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the first cell alone."""
    command = [colab, "-c", cell]
    return subprocess.run(
        command, cwd=folder, env=offline(colab), capture_output=True, encoding="utf-8"
    )


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_runs_where_its_first_cell_added_only_what_was_missing(colab, lesson, tmp_path):
    before = packages_in(colab)
    assert {f"{name}=={version}" for name, version in FLOOR.items()} <= {
        line.lower().replace("_", "-") for line in before
    }
    notebook, expected = half_answered(ROOT / "lessons" / f"{lesson}.py", 0, hand_back)
    first = code_cells(notebook)[0]
    again = nbformat.v4.new_code_cell(first.source)
    if lesson == LESSONS[0]:  # the cell is the same in all, and takes seconds
        notebook.cells.insert(notebook.cells.index(first) + 1, again)
    versions = "import IPython, numpy\nprint(IPython.__version__, numpy.__version__)"
    notebook.cells.append(nbformat.v4.new_code_cell(versions))
    run_on_colab(colab, notebook, tmp_path)
    after = packages_in(colab)
    added = after - before
    assert before < after
    assert shown(first) == f"Added to what Colab has: {', '.join(sorted(added))}\n"
    if lesson == LESSONS[0]:
        assert shown(again) == "Added to what Colab has: nothing, all of it was there\n"
    assert shown(notebook.cells[-1]) == f"{FLOOR['ipython']} {FLOOR['numpy']}\n"
    names = {line.partition("==")[0] for line in added}
    assert DISTRIBUTION in names and names <= {DISTRIBUTION, *LACKING}
    check_verdicts(notebook, expected)
    for figure in recorded_figures(tmp_path / "record.jsonl").values():
        assert figure["verdict"] in (IN_BAND, BETTER)


def test_where_something_does_not_fit_it_stays_and_the_student_is_told(colab, tmp_path):
    (packages,) = (colab.parents[1]).glob("lib/*/site-packages")
    old = packages / "platformdirs_old"
    metadata = next(packages.glob("platformdirs-*.dist-info"))
    cell = code_cells(nbformat.read(ROOT / "notebooks" / f"{LESSONS[0]}.ipynb", as_version=4))[
        0
    ].source
    metadata.rename(old)
    unfit = packages / "platformdirs-1.0.dist-info"
    unfit.mkdir()
    text = "Metadata-Version: 2.1\nName: platformdirs\nVersion: 1.0\n"
    (unfit / "METADATA").write_text(text, "utf-8")
    try:
        before = packages_in(colab)
        answer = run_cell(colab, cell, tmp_path)
        assert packages_in(colab) == before and "platformdirs==1.0" in before
    finally:
        (unfit / "METADATA").unlink()
        unfit.rmdir()
        old.rename(metadata)
    assert answer.returncode == 1
    assert "platformdirs==1.0" in answer.stdout and "conflict" in answer.stdout
    last = answer.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: The course could not be added to what Colab has")
    assert last.endswith("then run this cell again.")


def test_a_lesson_with_tensorflow_keeps_colabs_own(colab, tmp_path):
    """Of TensorFlow only its name and version are there, which is all that pip looks at."""
    (packages,) = (colab.parents[1]).glob("lib/*/site-packages")
    metadata = packages / f"tensorflow-{LARGE['tensorflow']}.dist-info"
    metadata.mkdir()
    words = f"Metadata-Version: 2.1\nName: tensorflow\nVersion: {LARGE['tensorflow']}\n"
    (metadata / "METADATA").write_text(words, "utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    before = packages_in(colab)
    try:
        answer = run_cell(colab, colab_cell(f"01_mlp{TWIN}", project), tmp_path)
        after = packages_in(colab)
    finally:
        (metadata / "METADATA").unlink()
        metadata.rmdir()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    names = {line.partition("==")[0] for line in after - before}
    assert before < after and DISTRIBUTION in names
    assert {"tensorflow-cpu", "tensorflow_cpu", "torchmetrics"}.isdisjoint(names)


def requirements() -> list[str]:
    """What the course asks for on Colab, for both frameworks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["torch"], *extras["tensorflow"]]
    bare = [one.partition(";")[0] for one in asked]
    return [one for one in bare if Requirement(one).name != "tensorflow-cpu"]


@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_resolver_accepts_colabs_versions(python, registry, tmp_path):
    floor = [f"{name}=={version}" for name, version in (FLOOR | LARGE).items()]
    wanted = [*requirements(), *FLOOR, *LARGE]
    (tmp_path / "floor.txt").write_text("\n".join(floor), "utf-8")
    target = ["--python-version", python, "--python-platform", "linux", "-c", "floor.txt", "-"]
    found = uv("pip", "compile", *target, folder=tmp_path, text="\n".join(wanted))
    assert found.returncode == 0, found.stderr
    assert set(floor) <= set(found.stdout.splitlines())
    older = [*wanted, "torch<2.11"]
    refused = uv("pip", "compile", *target, folder=tmp_path, text="\n".join(older))
    assert refused.returncode == 1 and "torch" in refused.stderr
