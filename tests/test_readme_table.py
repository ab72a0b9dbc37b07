"""The table of lessons in README.md says what was measured and follows the lessons."""

from types import SimpleNamespace

from course.publishing.readme_table import END, START, with_table

LESSON = SimpleNamespace(name="01_mlp", title="01 · Digits")
OTHER = SimpleNamespace(name="00_start", title="00 · Start")
ENTRIES = [
    SimpleNamespace(name="mlp.relu", lesson="01_mlp", minutes=3),
    SimpleNamespace(name="mlp.layer", lesson="01_mlp", minutes=4),
    SimpleNamespace(name="start.mean", lesson="00_start", minutes=5),
]
MEASURED = """
[figures."mlp.test_accuracy"."cpu/sample/torch"]
mean = 0.9651
std = 0.0012
[figures."mlp.test_accuracy"."smoke/sample/torch"]
mean = 0.5
std = 0.1
[lessons."01_mlp".cpu]
seconds = 17.6
peak_memory_mb = 640
"""


def test_the_table_shows_titles_exercises_and_what_the_cpu_profile_measured(tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "expected.toml").write_text(MEASURED, "utf-8")
    (tmp_path / "README.md").write_text(f"before\n{START}\nold\n{END}\nafter\n", "utf-8")
    text = with_table(tmp_path, [OTHER, LESSON], ENTRIES)
    rows = text.splitlines()
    assert rows[0] == "before" and rows[-1] == "after" and "old" not in rows
    (first,) = (row for row in rows if "00 · Start" in row)
    assert first.endswith("| 1, 5 min | not measured | not measured | — |")
    (second,) = (row for row in rows if "01 · Digits" in row)
    assert "(notebooks/01_mlp.ipynb)" in second and "(solutions/01_mlp.ipynb)" in second
    assert second.endswith("| 2, 7 min | 18 s | 640 MB | test accuracy 0.965 ± 0.001 |")
    (tmp_path / "README.md").write_text(text, "utf-8")
    assert with_table(tmp_path, [OTHER, LESSON], ENTRIES) == text


def test_a_readme_without_the_marks_stays_as_it_is(tmp_path):
    (tmp_path / "README.md").write_text(f"{START} but no end\n", "utf-8")
    assert with_table(tmp_path, [LESSON], ENTRIES) == f"{START} but no end\n"
