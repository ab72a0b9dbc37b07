"""Headline figures, their bands and how they are shown."""

import json
import sys
from types import ModuleType, SimpleNamespace

import nbformat.v4
import numpy as np
import pytest

from course import results
from course.execution import execute

BANDS = """
[figures."mlp.test_accuracy"."cpu/sample/torch"]
low = 0.951
high = 0.972
[figures."mlp.loss"."cpu/none/numpy"]
low = 0.25
high = 0.4
"""
DIGITS = SimpleNamespace(variant="sample", y_test=np.zeros(2000))


@pytest.fixture(autouse=True)
def a_lesson_in_the_cpu_profile(monkeypatch, tmp_path):
    """Known bands, no answers noted, torch loaded, a file that records."""
    (tmp_path / "expected.toml").write_text(BANDS, encoding="utf-8")
    monkeypatch.setattr(results, "EXPECTED", tmp_path / "expected.toml")
    monkeypatch.setattr(results, "_own_answers", {})
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "record.jsonl"))
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))


def recorded(tmp_path) -> dict:
    return json.loads((tmp_path / "record.jsonl").read_text(encoding="utf-8").splitlines()[-1])


def test_a_figure_in_its_band_says_where_the_band_lies_and_whose_answers_these_are(capsys):
    for number in range(8):
        results.note_answer(f"mlp.{number}", own=True)
    results.report("mlp.test_accuracy", 0.96312, DIGITS)
    assert capsys.readouterr().out == (
        "Test accuracy 0.9631 — in the expected band 0.951–0.972 for this profile (cpu, sample);"
        " all 8 answers behind it are your own.\n"
    )


@pytest.mark.parametrize(
    ("value", "verdict", "words"),
    [
        (0.9509, "worse", ["below the expected band 0.951–0.972", "Find the first cell"]),
        (0.9510, "in band", ["in the expected band"]),
        (0.9720, "in band", ["in the expected band"]),
        (0.9721, "better", ["above the expected band", "test data leaked"]),
    ],
)
def test_the_edges_belong_to_the_band(capsys, tmp_path, value, verdict, words):
    results.report("mlp.test_accuracy", value, DIGITS)
    line = capsys.readouterr().out
    assert all(word in line for word in words)
    assert recorded(tmp_path)["verdict"] == verdict


@pytest.mark.parametrize(
    ("value", "verdict", "words"),
    [
        (0.9509, "better", ["below the expected band", "Better than expected"]),
        (0.96, "in band", ["in the expected band"]),
        (0.9721, "worse", ["above the expected band", "Find the first cell"]),
    ],
)
def test_of_a_distance_less_is_better(capsys, tmp_path, value, verdict, words):
    results.report("mlp.test_accuracy", value, DIGITS, lower_is_better=True)
    line = capsys.readouterr().out
    assert all(word in line for word in words)
    assert recorded(tmp_path)["verdict"] == verdict


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ([], "(cpu, sample).\n"),
        ([True], "; the one answer behind it is your own.\n"),
        ([False, False], "; both answers behind it are the course's.\n"),
        ([True, False, True], "; 1 of the 3 answers behind it is the course's.\n"),
        ([False, True, False], "; 2 of the 3 answers behind it are the course's.\n"),
    ],
)
def test_whose_answers_stand_behind_a_figure(capsys, own, words):
    for number, one in enumerate(own):
        results.note_answer(f"mlp.{number}", own=one)
    results.report("mlp.test_accuracy", 0.96, DIGITS)
    assert capsys.readouterr().out.endswith(words)


def test_an_answer_solved_later_counts_as_solved(tmp_path):
    results.note_answer("mlp.relu", own=False)
    results.note_answer("mlp.relu", own=True)
    results.report("mlp.test_accuracy", 0.96, DIGITS)
    assert (recorded(tmp_path)["own"], recorded(tmp_path)["course"]) == (1, 0)


def test_without_a_band_the_line_says_so(capsys, tmp_path):
    results.report("mlp.other_share", 0.5, DIGITS)
    line = "Other share 0.5000 — no expected band yet for this profile (cpu, sample).\n"
    assert capsys.readouterr().out == line
    assert recorded(tmp_path) == {
        "kind": "figure",
        "name": "mlp.other_share",
        "value": 0.5,
        "key": "cpu/sample/torch",
        "low": None,
        "high": None,
        "verdict": "no band yet",
        "own": 0,
        "course": 0,
        "count": 2000,
        "lower_is_better": False,
    }


def test_the_band_is_that_of_profile_data_and_framework(monkeypatch, tmp_path):
    found = []
    for profile in ("cpu", "smoke"):
        for data in (DIGITS, SimpleNamespace(variant="full", y_test=[0] * 10), None):
            for framework in ("torch", "tensorflow"):
                monkeypatch.setenv("COURSE_PROFILE", profile)
                for other in ("torch", "tensorflow"):
                    monkeypatch.delitem(sys.modules, other, raising=False)
                monkeypatch.setitem(sys.modules, framework, ModuleType(framework))
                results.report("mlp.test_accuracy", 0.96, data)
                found.append((recorded(tmp_path)["key"], recorded(tmp_path)["low"]))
    assert found[:4] == [
        ("cpu/sample/torch", 0.951),
        ("cpu/sample/tensorflow", None),
        ("cpu/full/torch", None),
        ("cpu/full/tensorflow", None),
    ]
    assert found[4] == ("cpu/none/torch", None)
    assert found[6] == ("smoke/sample/torch", None)


def test_what_numpy_computed_keeps_its_band_when_torch_is_loaded_as_well(tmp_path):
    results.report("mlp.loss", np.float32(0.3))
    assert (recorded(tmp_path)["key"], recorded(tmp_path)["verdict"]) == (
        "cpu/none/numpy",
        "in band",
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "is nan; look for a division by zero"),
        (-np.inf, "is -inf"),
        ("0.97", "is of type str, not one number"),
        (None, "is of type NoneType"),
        (True, "is of type bool"),
        (np.ones(3), "is of type ndarray"),
    ],
)
def test_what_is_not_one_finite_number_is_refused_in_one_sentence(tmp_path, value, words):
    with pytest.raises(ValueError, match=words) as refusal:
        results.report("mlp.test_accuracy", value, DIGITS)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "record.jsonl").exists()


def test_the_band_worked_out_by_hand():
    # Mean 0.96, deviations 0.01 0 0.01 0 0: variance 0.0002 / 4, four times its root 0.0282843.
    values = [0.95, 0.96, 0.97, 0.96, 0.96]
    assert results.band_of(values) == pytest.approx((0.9317157, 0.9882843))
    assert results.band_of(values, count=10_000) == pytest.approx((0.9317157, 0.9882843))
    # Equal runs: two standard errors of 0.9 on 100 examples, 2 · sqrt(0.09 / 100) = 0.06.
    assert results.band_of([0.9] * 5, count=100) == pytest.approx((0.84, 0.96))
    assert results.band_of([0.9] * 5) == pytest.approx((0.9, 0.9))


def test_the_band_of_a_proportion_stays_between_0_and_1_and_others_are_free():
    assert results.band_of([0.999, 0.98, 0.99, 1.0, 0.99], count=50)[1] == 1.0
    assert results.band_of([0.001, 0.02, 0.01, 0.0, 0.01], count=50)[0] == 0.0
    low, high = results.band_of([1.0, 1.2, 0.9, 1.1, 0.8], count=50)
    assert low < 1 < high and high > 1.2


def test_a_new_model_of_the_same_quality_falls_into_the_band_nearly_always():
    random = np.random.default_rng(1)
    trials = 2000
    inside = 0
    for _ in range(trials):
        *seeds, new = random.binomial(2000, 0.95, size=6) / 2000
        low, high = results.band_of(list(map(float, seeds)), count=2000)
        inside += low <= new <= high
    assert 0.95 < inside / trials < 1


@pytest.mark.parametrize("values", [[0.9] * 4, [0.9, 0.9, 0.9, 0.9, float("nan")]])
def test_a_band_needs_five_finite_values(values):
    with pytest.raises(ValueError, match="at least 5 finite values"):
        results.band_of(values)


@pytest.mark.parametrize(
    ("value", "four", "short"),
    [
        (0.5, "0.5000", "0.5"),
        (0.97649, "0.9765", "0.9765"),
        (12.3456, "12.35", "12.35"),
        (1234.4, "1234", "1234"),
        (1200, "1200", "1200"),
        (101770, "101770", "101770"),
        (-0.0012345, "-0.001234", "-0.001234"),
        (0, "0", "0"),
        (3e-7, "3e-07", "3e-07"),
    ],
)
def test_numbers_have_four_significant_digits(value, four, short):
    assert (results.four_digits(value), results.short_number(value)) == (four, short)


def test_in_a_notebook_the_figure_is_shown_as_html_and_as_plain_text(tmp_path):
    source = (
        "import pathlib\nfrom course import results\n"
        f"results.EXPECTED = pathlib.Path({str(results.EXPECTED)!r})\n"
        "results.report('mlp.loss<b>', 0.5)\nresults.report('mlp.loss', 0.3)"
    )
    lesson = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    assert execute(lesson, tmp_path, {}).error is None
    unknown, known = (output["data"] for output in lesson.cells[0].outputs)
    assert known["text/plain"].startswith("Loss 0.3000 — in the expected band 0.25–0.4")
    assert "<strong>0.3000</strong> — in the expected band 0.25–0.4" in known["text/html"]
    assert "✔" in known["text/html"]
    assert "Loss&lt;b&gt;" in unknown["text/html"]
