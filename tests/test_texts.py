"""Texts: the embedded samples, what keeps test texts out of training, and the files they lie in."""

import hashlib
import json
import lzma
import re
import sys

import numpy as np
import pytest
from data_servers import small_texts
from test_data import FULL_SETS, SPLITS, loading_seconds

from course import data
from course.datasets import files, overlap, recipes, sources
from course.datasets.downloads import DataError
from course.datasets.overlap import letters_and_digits, shared_texts

pytestmark = pytest.mark.usefixtures("own_surroundings")
LABELLED = {"movie_sentences": data.movie_sentences, "chinese_reviews": data.chinese_reviews}
DOCUMENTS = {"editorials": data.editorials, "chinese_prose": data.chinese_prose}
SAMPLES = LABELLED | DOCUMENTS


def units(texts) -> list[str]:
    """What must not stand on both sides: the texts, and of documents each sentence."""
    if isinstance(texts[0], str):
        return texts
    return [sentence for document in texts for sentence in document]


def digest(part) -> str:
    text = json.dumps(part if isinstance(part, list) else part.tolist(), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


# The embedded samples


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("movie_sentences", "3f77f10211ffa0b8 d08e476a74c417d7 df3ad9b5a7910320 cab346198fe8b74e"),
        ("chinese_reviews", "cdff62eca1d9fd81 a32390e9036b2b85 2a86d6eb6c172a36 9765750a068f8d3f"),
        ("editorials", "92ed7ec2f7230933 86ce2e0b4e7abe87"),
        ("chinese_prose", "fd35333b410c4b3f ac553de6d5fa5a7b"),
    ],
)
def test_a_sample_has_not_changed(name, expected):
    loaded = SAMPLES[name](quiet=True)
    assert (loaded.name, loaded.source, loaded.variant) == (name, "sample", "sample")
    keys = files.ARRAYS if name in LABELLED else ("x_train", "x_test")
    assert " ".join(digest(getattr(loaded, key)) for key in keys) == expected


@pytest.mark.parametrize("load", LABELLED.values(), ids=LABELLED)
def test_labels_are_split_as_evenly_as_they_can_be(load):
    texts = load(quiet=True)
    assert texts.classes == ("negative", "positive")
    for x, y in ((texts.x_train, texts.y_train), (texts.x_test, texts.y_test)):
        assert len(x) == len(y) and y.dtype == np.uint8 and set(y) == {0, 1}
        assert all(isinstance(text, str) and text == " ".join(text.split()) for text in x)
    counts = [np.bincount(y) for y in (texts.y_train, texts.y_test)]
    assert np.abs(counts[1] - sum(counts) / 5).max() < 1


@pytest.mark.parametrize("load", LABELLED.values(), ids=LABELLED)
def test_any_part_of_training_is_a_fair_validation_split(load):
    y = load(quiet=True).y_train
    parts = np.array_split(y, 10)
    # Five standard errors of a share near one half.
    assert max(abs(part.mean() - y.mean()) for part in parts) < 2.5 / np.sqrt(len(parts[-1]))


@pytest.mark.parametrize("load", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_are_lists_of_sentences(load):
    documents = load(quiet=True)
    for x in (documents.x_train, documents.x_test):
        assert all(isinstance(document, list) and len(document) > 1 for document in x)
        assert all(letters_and_digits(sentence) for sentence in units(x))
    assert not hasattr(documents, "y_train")


def test_editorials_stand_in_the_order_of_their_source():
    documents = data.editorials(quiet=True)
    first, last = documents.x_test[0], documents.x_train[-1]
    assert first[0].startswith("On Dec. 19, around noon, New York City's Union Square")
    assert first[3] == "But the games also convey another message."
    assert last[-1] == "They sound a needed alarm in the urban education night."


def test_prose_ends_sentences_where_chinese_does():
    documents = data.chinese_prose(quiet=True)
    sentences = units(documents.x_train) + units(documents.x_test)
    assert all(re.search("[。！？][”’』」）》]*$", sentence) for sentence in sentences)
    assert not any("/" in sentence for sentence in sentences)
    assert sentences[0].startswith("１９９７年，是中国发展历史上非常重要的")


@pytest.mark.parametrize("load", SAMPLES.values(), ids=SAMPLES)
def test_a_sample_loads_quickly(load):
    assert loading_seconds(load) < 0.5


@pytest.mark.parametrize("name", SAMPLES)
def test_the_card_gives_the_counts_of_the_sample(name):
    loaded = SAMPLES[name](quiet=True)
    card = (recipes.SAMPLES / f"{name}.md").read_text(encoding="utf-8")
    for split in SPLITS:
        x = getattr(loaded, f"x_{split}")
        counts = [len(x), len(units(x))]
        if name in LABELLED:
            counts = [*np.bincount(getattr(loaded, f"y_{split}")), len(x)]
        assert f"| {' | '.join(map(str, [split, *counts]))} |" in card
    total = len(loaded.x_train) + len(loaded.x_test)
    assert f"\n\n{total:,} " in card and recipes.SETS[name].examples == (
        len(loaded.x_train),
        len(loaded.x_test),
    )
    licence = (recipes.SAMPLES / f"{name}-LICENSE.txt").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in " ".join(licence.split())
    for heading in ("Origin", "Labels", "Licence and rights", "Known faults", "How it was made"):
        assert f"\n## {heading}\n" in card
    assert "\n- Not known: " in card


def test_where_imdb_is_not_at_hand_sentences_stand_in_and_say_so(monkeypatch, capsys):
    texts, sentences = data.imdb(), data.movie_sentences(quiet=True)
    line = capsys.readouterr().out
    assert line.startswith("Movie sentences stand in for IMDB, single sentences in place of whole")
    assert "8,056 training and 2,014 test sentences" in line
    assert line.endswith("IMDB itself: course data fetch imdb\n") and line.count("\n") == 1
    assert (texts.name, texts.source, texts.variant) == ("movie_sentences", "sample", "sample")
    assert texts.x_test == sentences.x_test and texts.classes == sentences.classes
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    assert data.imdb().name == "movie_sentences"
    line = capsys.readouterr().out
    assert "stand in for IMDB" in line and "course data fetch" not in line


# What is compared


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("It's GREAT!", "its great"),
        ("10/10 – would watch again.", "1010wouldwatchagain"),
        ("Touché", "touche\u0301!"),
        ("很好！！", "　很好。"),
        ("ＰＣ１２３，不错", "pc123 不错"),
        ("STRASSE", "straße"),
        ("snake_case", "snake case"),
        ("a\u2028b", "ab"),
    ],
)
def test_texts_with_the_same_letters_and_digits_are_the_same(first, second):
    assert letters_and_digits(first) == letters_and_digits(second) != ""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("good", "god"),
        ("Version 1", "Version 2"),
        ("很好", "不好"),
        ("touché", "touche"),
        (":)", ":("),
    ],
)
def test_other_letters_or_digits_make_another_text(first, second):
    assert shared_texts([first], [second]) == [] and shared_texts([first], [first]) == [first]


def test_the_quick_way_for_ascii_gives_what_the_thorough_one_gives():
    every = "".join(map(chr, range(128)))
    assert letters_and_digits(every + "é").removesuffix("é") == letters_and_digits(every)
    assert letters_and_digits(every) == "0123456789" + "abcdefghijklmnopqrstuvwxyz" * 2


def test_shared_texts_are_those_of_the_second_in_their_order():
    first = ["A film.", "看了", "So so"]
    second = ["new", "so... so", "看了！", "newer", "A FILM", "a film?"]
    assert shared_texts(first, second) == ["so... so", "看了！", "A FILM", "a film?"]
    assert shared_texts([], second) == shared_texts(first, []) == []


# No training text is in its test set


@pytest.mark.parametrize("load", SAMPLES.values(), ids=SAMPLES)
def test_no_training_text_of_a_sample_is_in_its_test_set(load):
    loaded = load(quiet=True)
    assert shared_texts(units(loaded.x_train), units(loaded.x_test)) == []
    planted = [*units(loaded.x_train), f"{units(loaded.x_test)[3].upper()} !"]
    assert shared_texts(planted, units(loaded.x_test)) == [units(loaded.x_test)[3]]


@pytest.mark.parametrize("load", SAMPLES.values(), ids=SAMPLES)
def test_no_text_of_a_sample_occurs_twice(load):
    loaded = load(quiet=True)
    texts = ["".join(text) for text in (*loaded.x_train, *loaded.x_test)]
    assert len(set(map(letters_and_digits, texts))) == len(texts)


def leaking_texts():
    """Small reviews with two in training that are in the test set, and one that comes twice."""
    arrays = small_texts()
    leaks = [f"{arrays['x_test'][0].upper()}!", arrays["x_test"][7].replace(" ", "—")]
    more = [*leaks, arrays["x_train"][4] + " …"]
    clean = {key: list(part) for key, part in arrays.items()}
    arrays["x_train"] = [*more, *arrays["x_train"]]
    arrays["y_train"] = np.concatenate([np.array([0, 1, 0], np.uint8), arrays["y_train"]])
    return arrays, clean, more


def test_what_leaks_is_taken_out_of_training_whatever_the_source_and_the_test_set_stays():
    arrays, clean, more = leaking_texts()
    assert len(shared_texts(arrays["x_train"], arrays["x_test"])) == 2
    kept = overlap.without_repeats(arrays)
    assert kept["x_test"] == clean["x_test"] and kept["y_test"].tolist() == clean["y_test"]
    assert shared_texts(kept["x_train"], kept["x_test"]) == []
    # Of the text that comes twice, the first is kept with its own label.
    assert kept["x_train"] == [more[2], *(t for t in clean["x_train"] if t != clean["x_train"][4])]
    label_of = dict(zip(clean["x_train"], clean["y_train"], strict=True)) | {more[2]: 0}
    assert kept["y_train"].tolist() == [label_of[text] for text in kept["x_train"]]


def test_a_bundle_with_leaks_is_loaded_without_them(monkeypatch, tmp_path):
    arrays, clean, _ = leaking_texts()
    files.write_texts(tmp_path / "imdb.jsonl", arrays)
    content = (tmp_path / "imdb.jsonl").read_bytes()
    entry = {"file": "imdb.jsonl", "sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps({"imdb": entry}), encoding="utf-8")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    texts = data.imdb()
    assert (texts.source, texts.variant) == ("bundle", "validation")
    assert len(texts.x_train) == len(texts.y_train) == 50 and texts.x_test == clean["x_test"]
    assert shared_texts(texts.x_train, texts.x_test) == []


def test_leaks_between_the_official_splits_are_taken_out_too(monkeypatch):
    arrays, _, _ = leaking_texts()
    monkeypatch.setattr(sources.imdb, "read_archive", lambda path, examples: arrays)
    texts = sources._decoded(recipes.IMDB, recipes.IMDB.alternatives[0])
    assert len(texts["x_train"]) == 50 and shared_texts(texts["x_train"], texts["x_test"]) == []


# Pairs of which never one half is for training and the other for scoring: DESIGN.md, "Known leaks"


def full_set(name: str) -> list[tuple[str, str]]:
    """Label and text of each line of a full-size set beside the checkout."""
    path = FULL_SETS / f"{name}.tsv.xz"
    if not path.is_file():
        pytest.skip(f"{name} is not beside this checkout")
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [tuple(line.rstrip("\n").split("\t", 1)) for line in file][1:]


@pytest.mark.parametrize(
    ("name", "load", "least"),
    [
        ("sst2_train", data.movie_sentences, 0.5),
        ("chnsenticorp_train", data.chinese_reviews, 0.3),
        ("chnsenticorp_dev", data.chinese_reviews, 0.05),
    ],
)
def test_known_pairs_share_their_texts_as_the_cards_say(name, load, least):
    loaded = load(quiet=True)
    own = [*loaded.x_train, *loaded.x_test]
    others = {letters_and_digits(text): text for _, text in full_set(name)}
    shared = shared_texts(others.values(), own)
    assert len(shared) > least * len(own)
    card = (recipes.SAMPLES / f"{load.__name__}.md").read_text(encoding="utf-8")
    assert name.endswith("dev") or f"{len(shared):,}" in card


def test_the_files_of_one_collection_share_texts_with_each_other():
    train, dev = (
        [text for _, text in full_set(f"chnsenticorp_{part}")] for part in ("train", "dev")
    )
    assert len(shared_texts(train, dev)) > 300


def test_reviews_and_sentences_of_films_share_nothing(monkeypatch):
    path = FULL_SETS / "imdb_train.jsonl.xz"
    if not path.is_file():
        pytest.skip("the IMDB reviews are not beside this checkout")
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as file:
        reviews = [json.loads(line)["text"] for line in file]
    sentences = data.movie_sentences(quiet=True)
    assert shared_texts(reviews, [*sentences.x_train, *sentences.x_test]) == []


# Files of lines of JSON


def test_what_is_written_is_read_again(tmp_path):
    texts = small_texts()
    texts["x_train"][0] = 'line\u2028separator\nand "quotes" 看'
    documents = {"x_train": [["A.", "B."], ["看了。"]], "x_test": [["C\u2029."]]}
    for name in ("t.jsonl", "t.jsonl.xz"):
        files.write_texts(tmp_path / name, texts)
        found = files.read(tmp_path / name)
        assert found.keys() == texts.keys() and found["x_train"] == texts["x_train"]
        assert found["y_train"].dtype == np.uint8
        np.testing.assert_array_equal(found["y_test"], texts["y_test"])
        files.write_texts(tmp_path / name, documents)
        assert files.read(tmp_path / name) == documents


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_a_packed_file_that_breaks_off_is_refused(tmp_path, part):
    path = tmp_path / "texts.jsonl.xz"
    files.write_texts(path, small_texts())
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(DataError, match="is not a readable file of lines of JSON"):
        files.read(path)


def test_a_python_without_lzma_is_told_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(DataError, match="this Python was built without lzma; use the Python of"):
        data.movie_sentences()
    assert data.mnist(quiet=True).source == "sample"


# How the samples are made


def test_a_split_keeps_equal_texts_once_and_contradictory_ones_not_at_all(make_samples):
    negative = [(f"Bad {number}.", 0) for number in range(20)]
    positive = [(f"好 {number}", 1) for number in range(30)]
    others = [("BAD 3", 0), ("bad 7!", 1), (":)", 1), (":(", 0), ("好，12", 1)]
    arrays = make_samples.split_texts([*negative, *positive, *others])
    every = set(arrays["x_train"]) | set(arrays["x_test"])
    assert every == {text for text, _ in negative + positive} - {"Bad 7."}
    counts = {split: np.bincount(arrays[f"y_{split}"]).tolist() for split in SPLITS}
    assert counts == {"train": [16, 24], "test": [3, 6]}
    turned = make_samples.split_texts([*reversed(positive), *negative, others[1]])
    assert turned["x_test"] == arrays["x_test"] and turned["x_train"] == arrays["x_train"]


def test_articles_that_share_a_sentence_are_never_for_the_test(make_samples):
    articles = [[f"First of {n}.", f"Second of {n}.", f"First of {n}!"] for n in range(40)]
    for article in articles[:30]:
        article.append("Why not?")
    arrays = make_samples.split_documents(articles)
    assert len(arrays["x_test"]) == 2 and len(arrays["x_train"]) == 38
    assert all("Why not?" not in article and len(article) == 2 for article in arrays["x_test"])
    order = [int(article[0].split()[-1].rstrip(".!")) for article in arrays["x_train"]]
    assert order == sorted(order)
    assert shared_texts(units(arrays["x_train"]), units(arrays["x_test"])) == []


def test_prose_loses_headings_and_what_is_known_from_training(make_samples):
    paragraphs = [f"第{n}天。他说：“好！”天晴。" for n in range(8)]
    last = ["第九天。下雨。", "第十天。他走了。"]
    arrays = make_samples.split_prose(["标题", paragraphs[0], *paragraphs, "没有句号。结尾", *last])
    assert arrays["x_train"][0] == ["第0天。", "他说：“好！”", "天晴。"]
    assert [document[0] for document in arrays["x_train"]] == [f"第{n}天。" for n in range(8)]
    assert arrays["x_test"] == [["第九天。", "下雨。"], ["第十天。", "他走了。"]]
    shared = make_samples.split_prose([*paragraphs, "第九天。天晴。", last[1]])
    assert shared["x_test"] == [["第十天。", "他走了。"]]
