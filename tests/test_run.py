"""`course run` on made-up lessons, in folders of their own."""

import io
import json
import re
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from rich.console import Console

from course import results
from course import run as run_module
from course.results import Figure
from course.run import choose, run
from course.running import measure, report_page, run_display
from course.running.lesson_run import LessonRun, run_lesson

BANDS = """
[figures."mlp.test_accuracy"."smoke/none/numpy"]
low = 0.951
high = 0.972

[lessons.09_old.gpu]
seconds = 7.0
"""
SPEED = {"products": 20.0, "steps": 10.0}  # milliseconds


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """An empty checkout with known bands; what a run sets in the environment is undone."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "expected.toml").write_text(BANDS, encoding="utf-8")
    monkeypatch.setattr(results, "EXPECTED", tmp_path / "expected.toml")
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    monkeypatch.setenv("COURSE_STRICT", "1")
    return tmp_path


def write_lesson(root: Path, name: str, *sources: str) -> None:
    """A lesson that reads the made-up bands and then runs these cells."""
    start = (
        "import json, os, pathlib\nfrom course import results\n"
        f"results.EXPECTED = pathlib.Path({str(results.EXPECTED)!r})"
    )
    cells = [nbformat.v4.new_code_cell(source) for source in (start, *sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


def report_of(root: Path) -> tuple[Path, dict]:
    (folder,) = (root / "runs").iterdir()
    return folder, json.loads((folder / "report.json").read_text(encoding="utf-8"))


def a_run(lesson="01_mlp", error=None, seconds=2.0, memory=500.0, profile="smoke", **figures):
    """A made-up result; figures: name=(value, low, high)."""
    return LessonRun(
        lesson=lesson,
        profile=profile,
        data={"mnist": {"source": "sample", "variant": "sample"}},
        seconds=seconds,
        peak_memory_mb=memory,
        figures={
            f"mlp.{name}": Figure(
                f"mlp.{name}", value, f"{profile}/sample/torch", low, high, 0, 8, None
            )
            for name, (value, low, high) in figures.items()
        },
        error=error,
        started="2025-11-22T10:00:00+01:00",
        finished="2025-11-22T10:00:02+01:00",
    )


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], ["00_start_here", "01_mlp", "10_gan", "10_gan_tensorflow"]),
        (["1"], ["01_mlp"]),
        (["01"], ["01_mlp"]),
        (["mlp", "01_MLP"], ["01_mlp"]),
        (["10", "start_here"], ["00_start_here", "10_gan", "10_gan_tensorflow"]),
    ],
)
def test_lessons_are_chosen_by_number_or_name_and_run_once_each_in_order(tmp_path, asked, found):
    for stem in ("00_start_here", "01_mlp", "10_gan", "10_gan_tensorflow"):
        (tmp_path / f"{stem}.ipynb").touch()
    assert [path.stem for path in choose(asked, tmp_path)] == found


def test_an_unknown_lesson_gets_one_sentence_with_the_known_ones(root, capsys):
    (root / "notebooks" / "01_mlp.ipynb").touch()
    assert run(["7"], "smoke", root=root) == 2
    assert capsys.readouterr().err == "There is no lesson '7'; choose from 01_mlp.\n"
    assert not (root / "runs").exists()


def test_without_any_lesson_the_build_is_named(root, capsys):
    assert run([], "smoke", root=root) == 2
    assert "course build" in capsys.readouterr().err


def test_a_failing_lesson_stops_no_other_and_is_reported_in_one_line(root, capsys):
    write_lesson(root, "01_mlp", "results.report('mlp.test_accuracy', 0.9631)")
    write_lesson(root, "02_broken", "raise RuntimeError('no such layer\\nat all')")
    write_lesson(root, "03_quiet", "print('fine')")
    (root / "notebooks" / "04_damaged.ipynb").write_text("not a notebook", encoding="utf-8")
    assert run([], "smoke", root=root) == 1
    output = capsys.readouterr().out
    assert "02_broken failed" in output
    assert "RuntimeError: no such layer at all" in output
    assert "2 of 4 lessons ran; every figure is in its band." in output
    assert "\x1b" not in output and "\r" not in output
    folder, report = report_of(root)
    assert output.endswith(f"Report: {folder / 'report.html'}\n")
    assert [(entry["lesson"], entry["verdict"]) for entry in report["lessons"]] == [
        ("01_mlp", "in band"),
        ("02_broken", "failed"),
        ("03_quiet", "no figures"),
        ("04_damaged", "failed"),
    ]
    assert report["lessons"][0]["error"] is None
    assert report["lessons"][1]["error"] == "Cell [2]: RuntimeError: no such layer at all"
    assert "cannot be read as a notebook" in report["lessons"][3]["error"]
    executed = nbformat.read(folder / "02_broken.ipynb", as_version=4)
    assert executed.cells[1].outputs[0]["ename"] == "RuntimeError"


def test_the_report_has_what_was_agreed(root):
    write_lesson(
        root,
        "01_mlp",
        "results.report('mlp.test_accuracy', 0.5)\nresults.report('mlp.extra', 3)",
        "data = {'kind': 'data', 'name': 'mnist', 'source': 'bundle', 'variant': 'validation'}\n"
        "with open(os.environ['COURSE_RECORD'], 'a') as file:\n"
        "    print(json.dumps(data), file=file)",
    )
    assert run(["1"], None, root=root) == 1  # below its band: it ran, but did not learn
    _, report = report_of(root)
    assert set(report) == {"versions", "device", "lessons"}
    assert {"course", "python", "numpy"} <= set(report["versions"])
    assert "memory" in report["device"]
    (entry,) = report["lessons"]
    assert 0 < entry.pop("seconds") < 60
    assert 30 < entry.pop("peak_memory_mb") < 1000
    assert entry.pop("started") <= entry.pop("finished")
    assert entry == {
        "lesson": "01_mlp",
        "profile": "smoke",
        "data": {"mnist": {"source": "bundle", "variant": "validation"}},
        "figures": {"mlp.test_accuracy": 0.5, "mlp.extra": 3.0},
        "bands": {"mlp.test_accuracy": [0.951, 0.972], "mlp.extra": None},
        "verdict": "worse",
        "error": None,
    }


def test_a_lesson_runs_in_an_empty_folder_away_from_a_persons_progress(root, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(root / "mine"))
    write_lesson(
        root,
        "01_mlp",
        f"assert os.listdir() == [] and not pathlib.Path().resolve().is_relative_to({str(root)!r})",
        f"assert os.environ['COURSE_HOME'] != {str(root / 'mine')!r}",
        "assert os.environ['COURSE_PROFILE'] == 'cpu' and os.environ['COURSE_SEED'] == '3'",
        "assert os.environ['COURSE_STRICT'] == ''",
    )
    lesson = run_lesson(root / "notebooks" / "01_mlp.ipynb", "cpu", seed=3)
    assert lesson.error is None
    assert not (root / "mine").exists()


@pytest.mark.parametrize(("one_core", "words"), [(True, "; one core."), (False, "macOS")])
def test_a_lesson_that_binder_would_end_fails(root, one_core, words, monkeypatch, capsys):
    monkeypatch.setattr(run_module, "use_one_core", lambda: one_core)
    monkeypatch.setattr(run_module, "BINDERS_MEMORY_MB", 350)
    monkeypatch.setattr(run_module, "BINDERS_SETTINGS", {"SETTING_OF_BINDER": "8"})
    monkeypatch.setenv("SETTING_OF_BINDER", "")  # put back at the end
    write_lesson(
        root,
        "01_mlp",
        "import os; assert os.environ['SETTING_OF_BINDER'] == '8'",
        "results.report('mlp.test_accuracy', 0.9631)",
    )
    write_lesson(root, "02_large", "block = b'x' * 500_000_000\nimport time; time.sleep(5)")
    assert run([], "smoke", root=root, like_binder=True) == 1
    output = capsys.readouterr().out
    assert "As on Binder: at most 350 MB of memory for a lesson" in output and words in output
    _, report = report_of(root)
    assert [entry["verdict"] for entry in report["lessons"]] == ["in band", "failed"]
    assert report["lessons"][1]["error"] == (
        "Cell [2]: More than 350 MB of memory, the limit, were in use."
    )


def test_bands_are_not_measured_on_a_small_machine(root, capsys):
    write_lesson(root, "01_mlp")
    assert run([], "smoke", measure=True, root=root, like_binder=True) == 2
    assert "--like-binder" in capsys.readouterr().err


def test_after_ctrl_c_what_ran_so_far_is_reported(root, monkeypatch, capsys):
    def run_or_stop(path, profile, on_cell, save_as, memory_limit_mb):
        if path.stem == "02_long":
            raise KeyboardInterrupt
        return a_run(test_accuracy=(0.96, 0.95, 0.97))

    for stem in ("01_mlp", "02_long", "03_never"):
        write_lesson(root, stem)
    monkeypatch.setattr(run_module, "run_lesson", run_or_stop)
    assert run([], "smoke", root=root) == 1
    assert "1 of 3 lessons ran, stopped before the end" in capsys.readouterr().out
    folder, report = report_of(root)
    assert [entry["lesson"] for entry in report["lessons"]] == ["01_mlp"]
    assert "stopped before the end" in (folder / "report.html").read_text(encoding="utf-8")


def test_measuring_writes_bands_and_budgets_and_keeps_the_others(root, capsys):
    write_lesson(
        root,
        "01_mlp",
        "results.report('mlp.test_accuracy', 0.96 + 0.001 * int(os.environ['COURSE_SEED']))",
    )
    assert run(["1"], "smoke", measure=True, root=root) == 0
    text = results.EXPECTED.read_text(encoding="utf-8")
    assert text.startswith("#") and "`python -m course run --measure" in text
    tables = tomllib.loads(text)
    # Values 0.960 … 0.964: mean 0.962, standard deviation 0.00158114, reach 0.00632456.
    assert tables["figures"]["mlp.test_accuracy"]["smoke/none/numpy"] == {
        "low": 0.9556,
        "high": 0.9684,
        "mean": 0.962,
        "std": 0.0016,
        "seeds": 5,
    }
    budget = tables["lessons"]["01_mlp"]["smoke"]
    assert 0 <= budget["seconds"] < 60 and 30 < budget["peak_memory_mb"] < 1000
    assert budget["download_mb"] == 0
    assert "memory" in budget["device"] and "numpy" in budget["versions"]
    assert budget["benchmark"].keys() == SPEED.keys() and min(budget["benchmark"].values()) > 0
    assert tables["lessons"]["09_old"] == {"gpu": {"seconds": 7.0}}
    assert not (root / "runs").exists()


def test_nothing_is_written_when_a_measured_run_fails(root, monkeypatch, capsys):
    def third_run_fails(path, profile, seed, on_cell):
        return a_run(error="Cell [1]: boom" if seed == 2 else None, test_accuracy=(0.9, None, None))

    write_lesson(root, "01_mlp")
    monkeypatch.setattr(measure, "run_lesson", third_run_fails)
    assert run([], "smoke", measure=True, root=root) == 1
    assert results.EXPECTED.read_text(encoding="utf-8") == BANDS
    assert "01_mlp, seed 2, failed. Nothing was written." in capsys.readouterr().err


def test_a_figure_that_only_some_runs_report_is_refused(root):
    runs = [a_run(test_accuracy=(0.9, None, None))] * 4 + [a_run()]
    with pytest.raises(measure.NotMeasured, match="4 of 5 runs reported the figure"):
        measure.update_expected(runs, "a machine", "", SPEED)
    assert results.EXPECTED.read_text(encoding="utf-8") == BANDS


def test_a_figure_of_two_data_sources_is_refused(root):
    other = replace(a_run(test_accuracy=(0.9, None, None)).figures["mlp.test_accuracy"], key="x")
    runs = [a_run(test_accuracy=(0.9, None, None))] * 4
    runs.append(replace(runs[0], figures={"mlp.test_accuracy": other}))
    with pytest.raises(measure.NotMeasured, match="for smoke/sample/torch and x"):
        measure.update_expected(runs, "a machine", "", SPEED)


def test_a_budget_has_the_middle_time_the_largest_memory_and_the_download(root):
    runs = [
        a_run(seconds=seconds, memory=memory)
        for seconds, memory in ((9.0, 500.2), (1.04, 700.1), (2.0, 400), (3.0, 300), (2.5, 1))
    ]
    measure.update_expected(runs, "a machine", "numpy 2.0", SPEED)
    assert results.budget("01_mlp", "smoke") == {
        "seconds": 2.5,
        "peak_memory_mb": 701,
        "download_mb": 0,
        "device": "a machine",
        "versions": "numpy 2.0",
        "benchmark": SPEED,
    }
    full = {"mnist": {"source": "cache", "variant": "full"}}
    measure.update_expected([replace(run, data=full) for run in runs], "a machine", "", SPEED)
    assert results.budget("01_mlp", "smoke")["download_mb"] == 11.5  # mnist.npz: 11,490,434 bytes


def test_edges_are_rounded_away_from_the_middle(root):
    runs = [a_run(loss=(value, None, None)) for value in (2.0, 2.0, 2.0, 2.0, 2.00001)]
    measure.update_expected(runs, "a machine", "", SPEED)
    band = results.expected()["figures"]["mlp.loss"]["smoke/sample/torch"]
    assert (band["low"], band["high"]) == (1.999, 2.001)


def test_fewer_than_five_seeds_are_refused(root, capsys):
    write_lesson(root, "01_mlp")
    assert run([], "smoke", measure=True, seeds=4, root=root) == 2
    assert capsys.readouterr().err == "A band needs at least 5 seeds, not 4.\n"


@pytest.mark.parametrize(
    ("runs", "chosen", "words", "well"),
    [
        ([a_run()], 1, "1 of 1 lesson ran", True),
        ([a_run(a=(0.5, 0.4, 0.6))], 1, "1 of 1 lesson ran; every figure is in its band", True),
        (
            [a_run(a=(0.5, 0.4, 0.6), b=(1, None, None))],
            1,
            "1 of 1 lesson ran; every figure that has one is in its band",
            True,
        ),
        (
            [a_run(b=(1, None, None))],
            1,
            "1 of 1 lesson ran; no figure has an expected band yet",
            True,
        ),
        (
            [a_run(a=(0.7, 0.4, 0.6)), a_run(error="Cell [1]: no")],
            2,
            "1 of 2 lessons ran; 1 figure is out of its band",
            False,
        ),
        ([a_run(a=(0.7, 0.4, 0.6))], 1, "1 of 1 lesson ran; 1 figure is out of its band", True),
        (
            [a_run(a=(0.3, 0.4, 0.6), b=(0.9, 0.4, 0.6))],
            1,
            "1 of 1 lesson ran; 2 figures are out of their bands",
            False,
        ),
    ],
)
def test_the_headline_says_what_matters(runs, chosen, words, well):
    assert run_display.headline(runs, chosen) == words
    assert run_display.went_well(runs, chosen) is well


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.5, 0.7, 0.3, None], "worse"),
        ([0.5, 0.7, None], "better"),
        ([0.5, None], "no band yet"),
        ([0.5, 0.5], "in band"),
        ([], "no figures"),
    ],
)
def test_a_lessons_verdict_is_that_of_its_worst_figure(values, verdict):
    bands = {
        f"figure_{number}": (0.5, None, None) if value is None else (value, 0.4, 0.6)
        for number, value in enumerate(values)
    }
    assert a_run(**bands).verdict == verdict
    assert a_run(**bands, error="Cell [1]: no").verdict == "failed"


def test_smoke_runs_that_would_not_fit_on_binder_are_marked():
    assert run_display.memory_words(a_run(memory=1500)) == "1,500 MB"
    assert "over the 1,500 MB" in run_display.memory_words(a_run(memory=1501))
    assert "over" not in run_display.memory_words(a_run(memory=1501, profile="cpu"))


class Clock:
    """Stands in for time.monotonic."""

    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(run_display.time, "monotonic", lambda: self.now)


def test_a_terminal_shows_lesson_cells_and_time_left(monkeypatch):
    clock = Clock(monkeypatch)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with run_display.Display(console, ["01_mlp", "02_cnn"], [10.0, 20.0]) as display:
        display.start(0)
        clock.now = 5
        display.cell(3, 6)
        display._progress.refresh()
        display.finish(a_run(error="Cell [4]: [bold]boom"))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert re.search(r"1 of 2: 01_mlp .* cell 3 of 6 · about 25 s left", shown)
    assert "01_mlp failed after 2.0 s. Cell [4]: [bold]boom" in shown


def test_time_left_follows_budgets_scaled_by_this_machines_speed(monkeypatch):
    clock = Clock(monkeypatch)
    left = run_display.TimeLeft([10.0, 20.0, 30.0])
    left.start()
    assert left.seconds() == 60
    clock.now = 4
    assert left.seconds() == 56
    clock.now = 20  # over its budget, half of the cells done
    left.cell(5, 10)
    assert left.seconds() == 20 + 20 + 30
    assert left.share_done() == pytest.approx(0.5 * 10 / 60)
    left.finish()  # 20 s instead of 10: the machine is half as fast
    left.start()
    assert left.seconds() == 40 + 60
    assert left.share_done() == pytest.approx(20 / 120)
    left.finish()
    left.finish()
    assert left.seconds() == 0


def test_time_left_without_budgets_follows_the_cells_and_then_the_lessons_seen(monkeypatch):
    clock = Clock(monkeypatch)
    left = run_display.TimeLeft([None, None])
    left.start()
    assert left.seconds() is None
    clock.now = 3
    left.cell(1, 4)
    assert left.seconds() == 9 + 12
    assert left.share_done() == pytest.approx(1 / 8)
    clock.now = 10
    left.finish()
    left.start()
    assert left.seconds() == 10


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "time left not known yet"),
        (0.4, "nearly done"),
        (62, "about 62 s left"),
        (125, "about 2 min left"),
    ],
)
def test_time_left_in_words(seconds, words):
    assert run_display.time_left_words(seconds) == words


@pytest.mark.parametrize("value", [-5.0, 0.3, 0.4, 0.5, 0.6, 0.7, 40.0])
def test_a_gauge_shows_the_mark_inside_the_band_exactly_when_it_is(value):
    figure = a_run(a=(value, 0.4, 0.6)).figures["mlp.a"]
    drawing = report_page.gauge(figure)
    right = drawing.band_left + drawing.band_width
    inside = drawing.band_left - 1e-6 <= drawing.mark <= right + 1e-6
    assert inside == (0.4 <= value <= 0.6)
    assert drawing.band_left > 0 and right < report_page.GAUGE_WIDTH
    assert 0 < drawing.mark < report_page.GAUGE_WIDTH
    assert f", {figure.place} the expected band" in drawing.words


def test_a_band_without_width_can_be_drawn():
    drawing = report_page.gauge(a_run(a=(3, 3, 3)).figures["mlp.a"])
    assert drawing.band_left <= drawing.mark <= drawing.band_left + drawing.band_width


class Page(HTMLParser):
    """Collects what a test asks of a page; checks that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.links, self.images, self.words = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "line", "rect", "path", "br"):
            self.open.append(tag)
        if "href" in attributes:
            self.links.append(attributes["href"])
        assert "src" not in attributes
        if tag == "svg":
            self.images.append(attributes["aria-label"])

    def handle_endtag(self, tag):
        if tag not in ("line", "rect", "path"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_stands_alone_and_says_everything_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    (tmp_path / "01_mlp.ipynb").touch()
    runs = [
        a_run(test_accuracy=(0.9431, 0.951, 0.972), loss=(0.3, None, None)),
        a_run("02_<b>", error="Cell [2]: KeyError: '<script>'"),
    ]
    text = report_page.write(tmp_path, runs, 2).read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.links == ["01_mlp.ipynb"]
    assert page.images == ["0.9431, below the expected band 0.951–0.972"]
    words = " ".join(" ".join(page.words).split())
    for expected in (
        "1 of 2 lessons ran; 1 figure is out of its band",
        "Test accuracy 0.9431",
        "▼ worse",
        "○ no band yet",
        "mnist: sample",
        "02_<b>",
        "Cell [2]: KeyError: '<script>'",
        "2.0 s",
        "500 MB",
        f"{sys.version_info.major}.{sys.version_info.minor}",
    ):
        assert expected in words
    assert "http" not in text and "<script" not in text
    assert "prefers-color-scheme: dark" in text
