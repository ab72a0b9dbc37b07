"""Phrases in two languages: what they are, that they are split fairly, and Tatoeba in a bundle."""

import hashlib
import json
import re

import pytest

from course import data
from course.datasets.overlap import letters_and_digits

pytestmark = pytest.mark.usefixtures("own_surroundings")
MONTHS = "January February March April May June July August September October November December"
NUMBER = {month[:3]: number for number, month in enumerate(MONTHS.split(), start=1)}
SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12}


def value_of(source: str) -> tuple:
    """Which day, number or amount an English phrase names, worked out without Babel."""
    if found := re.fullmatch(r"(\d+)/(\d+)/(\d{4})", source):
        month, day, year = map(int, found.groups())
        return "date", year, month, day
    if found := re.search(r"([A-Z][a-z]+) (\d+), (\d{4})$", source):
        return "date", int(found[3]), NUMBER[found[1][:3]], int(found[2])
    amount, unit = source.split(" ", 1)
    if unit in SCALES:
        whole, _, rest = amount.partition(".")
        return "number", int(whole + rest) * 10 ** (SCALES[unit] - len(rest))
    return "money", amount, unit


def value_in_chinese(target: str) -> tuple:
    if found := re.match(r"(\d+)[年/](\d+)[月/](\d+)", target):
        return "date", *map(int, found.groups())
    if target[-1] in "0123456789万亿":
        whole, _, rest = target.strip("万亿").partition(".")
        zeros = 4 * target.count("万") + 8 * target.count("亿")
        return "number", int(whole + rest) * 10 ** (zeros - len(rest))
    return "money", re.match(r"[\d.,]+", target)[0]


def loaded(num_train=3000, num_test=500):
    return data.english_chinese_phrases(num_train, num_test, quiet=True)


def test_every_translation_means_the_same():
    made = loaded()
    for source, target in zip(made.x_train, made.y_train, strict=True):
        theirs = value_in_chinese(target)
        assert value_of(source)[: len(theirs)] == theirs, (source, target)
    kinds = [value_of(source)[0] for source in made.x_train]
    assert abs(kinds.count("date") / len(kinds) - 0.5) < 0.05
    assert all(abs(kinds.count(kind) / len(kinds) - 0.25) < 0.05 for kind in ("number", "money"))


def test_no_day_number_or_amount_stands_twice_so_any_part_can_be_held_out():
    made = loaded()
    every = made.x_test + made.x_train
    assert len(every) == 3500 and len(set(map(value_of, every))) == 3500
    assert len(set(map(letters_and_digits, every))) == 3500
    assert not data.shared_texts(made.x_train, made.x_test)


def test_phrases_are_the_same_each_time_and_the_test_side_whatever_is_asked_for():
    first, more = loaded(), loaded(4000)
    assert first.x_test == more.x_test and first.y_test == more.y_test
    assert first.x_train == more.x_train[:3000] == loaded().x_train
    assert (first.source, first.variant) == ("sample", "sample")


def test_what_is_loaded_is_said(capsys):
    data.english_chinese_phrases(30, 10)
    line = capsys.readouterr().out
    assert line.startswith("Phrases: 30 training and 10 test pairs") and line.count("\n") == 1


def test_unseen_forms_are_in_no_training_phrase():
    forms = {re.sub(r"\d", "0", source) for source in loaded(12_000).x_train}
    unseen = data.phrases_in_unseen_forms(40)
    assert len(unseen) == 5
    for name, (sources, targets) in unseen.items():
        assert len(set(sources)) == len(targets) == 40
        if name not in ("years from 2100 on", "numbers of five digits"):
            assert not {re.sub(r"\d", "0", source) for source in sources} & forms, name
    years = [int(target[:4]) for target in unseen["years from 2100 on"][1]]
    assert min(years) >= 2100 and max(years) < 2200
    for source, target in zip(*unseen["numbers of five digits"], strict=True):
        assert value_of(source) == value_in_chinese(target)
        assert len(str(value_of(source)[1]).strip("0")) == 5
    for source, target in zip(*unseen["day before month"], strict=True):
        day, month, year = source.split()[-3:]
        assert value_in_chinese(target) == ("date", int(year), NUMBER[month[:3]], int(day))
    for source, target in zip(*unseen["with dashes"], strict=True):
        assert value_in_chinese(target) == ("date", *map(int, source.split("-")))


ROWS = [
    {"split": "train", "source": "Hello!", "target": "你好！"},
    {"split": "train", "source": "Good.", "target": "好。"},
    {"split": "train", "source": "hello", "target": "喂。"},
    {"split": "test", "source": "Hello.", "target": "你好。"},
]


@pytest.fixture
def bundle(monkeypatch, tmp_path):
    """Write a bundle with these lines of Tatoeba, and name it in COURSE_DATA."""

    def write(rows, name="tatoeba"):
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / "tatoeba.jsonl").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        manifest = {name: {"file": "tatoeba.jsonl", "sha256": digest}}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        monkeypatch.setenv("COURSE_DATA", str(tmp_path))

    return write


def test_without_a_bundle_there_is_no_tatoeba(bundle, capsys):
    assert data.tatoeba() is None
    bundle(ROWS, name="another")
    assert data.tatoeba() is None and capsys.readouterr().out == ""


def test_tatoeba_out_of_a_bundle(bundle, capsys, monkeypatch):
    bundle(ROWS)
    sentences = data.tatoeba()
    assert (sentences.source, sentences.variant) == ("bundle", "full")
    # What stands in the test set, by letters and digits, is left out of training.
    assert (sentences.x_train, sentences.y_train) == (["Good."], ["好。"])
    assert (sentences.x_test, sentences.y_test) == (["Hello."], ["你好。"])
    assert "1 training and 1 test sentences from the offline bundle" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    assert data.tatoeba() is None


def test_where_tatoeba_has_no_test_side_the_last_tenth_stands_in(bundle):
    bundle([{"split": "train", "source": f"No {n}.", "target": f"{n}号"} for n in range(20)])
    sentences = data.tatoeba(quiet=True)
    assert sentences.variant == "validation"
    assert sentences.x_test == ["No 18.", "No 19."] and len(sentences.x_train) == 18


@pytest.mark.parametrize(
    "row", [{"split": "train", "source": "Hello!"}, ROWS[0] | {"split": "dev"}, []]
)
def test_a_damaged_bundle_is_one_line_and_no_stack_trace(bundle, capsys, row):
    bundle([ROWS[0], row])
    assert data.tatoeba() is None
    line = capsys.readouterr().out
    assert "line 2 of tatoeba.jsonl has no split with a source and a target" in line
    assert line.count("\n") == 1
