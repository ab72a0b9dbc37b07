"""Where data sets come from: samples, cache, bundles; and the commands of `course data`."""

import hashlib
import importlib.util
import json
import shutil
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_servers import DOWNLOADS, not_found

from course import data
from course.datasets import commands, files, recipes, sources
from course.datasets.downloads import DataError
from course.datasets.files import ARRAYS

ROOT = Path(__file__).resolve().parent.parent
FULL_SETS = ROOT.parent / "shared" / "datasets"
SPLITS = ("train", "test")
pytestmark = pytest.mark.usefixtures("own_surroundings")


def sets(recipe):
    return {recipe.name: recipe}


def assert_same(images, arrays):
    for key, array in arrays.items():
        found = getattr(images, key)
        if isinstance(array, list):
            assert found == array
        else:
            assert found.dtype == np.uint8 and found.flags.writeable
            np.testing.assert_array_equal(found, array)


def assert_sample_instead(recipe, printed, *words):
    """One line says what was wrong, and the last says that the sample came and how to get more."""
    *_, fault, summary = printed.out.splitlines()
    for word in (f"{recipe.title}: ", *words, "Used instead: the sample"):
        assert word in fault
    assert "the sample that comes with the course" in summary
    assert f"course data fetch {recipe.name}" in summary
    assert printed.out.count("Used instead") == 1 and printed.err == ""


# The embedded samples


SAMPLES = {"mnist": data.mnist, "fashion_mnist": data.fashion_mnist}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "mnist",
            {
                "x_train": "8de0949fcfdcd13a",
                "y_train": "d75e294783692a83",
                "x_test": "c72ae8c9cfdd8a82",
                "y_test": "5d8e950711737d8a",
            },
        ),
        (
            "fashion_mnist",
            {
                "x_train": "71e95bfa53e4bb11",
                "y_train": "ac5e21fc59a9adae",
                "x_test": "ecb64898ce0298ce",
                "y_test": "c5b5bed9805a0180",
            },
        ),
    ],
)
def test_a_sample_has_not_changed(name, expected):
    images = SAMPLES[name](quiet=True)
    assert (images.name, images.source, images.variant) == (name, "sample", "sample")
    assert images.classes == recipes.SETS[name].classes
    digests = {
        key: hashlib.sha256(getattr(images, key).tobytes()).hexdigest()[:16] for key in ARRAYS
    }
    assert digests == expected


def test_the_sample_of_digits_is_split_evenly():
    images = data.mnist(quiet=True)
    assert images.x_train.shape == (8000, 28, 28) and images.x_test.shape == (2000, 28, 28)
    counts = [np.bincount(y, minlength=10) for y in (images.y_train, images.y_test)]
    assert np.abs(counts[1] - sum(counts) / 5).max() < 1


def test_the_sample_of_clothing_has_as_many_of_each_class():
    images = data.fashion_mnist(quiet=True)
    assert images.x_train.shape == (10_000, 28, 28) and images.x_test.shape == (2000, 28, 28)
    assert np.bincount(images.y_train).tolist() == [1000] * 10
    assert np.bincount(images.y_test).tolist() == [200] * 10


@pytest.mark.parametrize("load", SAMPLES.values(), ids=SAMPLES)
def test_no_image_of_a_sample_occurs_twice(load):
    images = load(quiet=True)
    every = [image.tobytes() for x in (images.x_train, images.x_test) for image in x]
    assert len(set(every)) == len(every) >= 10_000


@pytest.mark.parametrize("name", SAMPLES)
def test_the_card_gives_the_counts_of_the_sample(name):
    images = SAMPLES[name](quiet=True)
    folder = recipes.SAMPLES
    card = (folder / f"{name}.md").read_text(encoding="utf-8")
    for split, y in (("train", images.y_train), ("test", images.y_test)):
        row = " | ".join(map(str, [split, *np.bincount(y), len(y)]))
        assert f"| {row} |" in card
    assert f"\n\n{len(images.x_train) + len(images.x_test):,} " in card
    licence = (folder / f"{name}-LICENSE.txt").read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in " ".join(licence.split())


@pytest.mark.parametrize("load", SAMPLES.values(), ids=SAMPLES)
def test_a_sample_loads_quickly(load):
    assert loading_seconds(load) < 0.3


def loading_seconds(load) -> float:
    """Seconds of the processor that loading takes, the least of three times."""

    def seconds():
        start = time.process_time()
        load(quiet=True)
        return time.process_time() - start

    return min(seconds() for _ in range(3))


def test_where_cifar10_is_not_at_hand_clothing_stands_in_and_says_so(monkeypatch, capsys):
    images, clothing = data.cifar10(), data.fashion_mnist(quiet=True)
    line = capsys.readouterr().out
    assert line.startswith("Fashion-MNIST stands in for CIFAR-10, padded to 32 x 32 pixels")
    assert line.endswith("CIFAR-10 itself: course data fetch cifar10\n") and line.count("\n") == 1
    assert (images.name, images.source, images.variant) == ("fashion_mnist", "sample", "sample")
    assert images.classes == clothing.classes
    for own, grey in ((images.x_train, clothing.x_train), (images.x_test, clothing.x_test)):
        assert own.shape == (len(grey), 32, 32, 3) and own.dtype == np.uint8
        assert own.flags.writeable and own.flags.c_contiguous
        for colour in range(3):
            np.testing.assert_array_equal(own[:, 2:-2, 2:-2, colour], grey)
        assert int(own.sum()) == 3 * int(grey.sum()), "the margin is not black"
    np.testing.assert_array_equal(images.y_train, clothing.y_train)
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    assert data.cifar10().classes == clothing.classes
    line = capsys.readouterr().out
    assert "stands in for CIFAR-10" in line and "course data fetch" not in line


def test_a_damaged_sample_is_refused(tmp_path):
    broken = tmp_path / "clothing.npz"
    broken.write_bytes(recipes.FASHION_MNIST.sample.read_bytes()[:-1])
    damaged = replace(recipes.FASHION_MNIST, sample=broken)
    for recipe in (damaged, replace(recipes.CIFAR10, stand_in=damaged)):
        with pytest.raises(DataError, match="install the course again"):
            data.load(recipe)


# The order of the sources


def test_smoke_uses_the_sample_even_where_there_is_more(monkeypatch, internet, small):
    assert commands.fetch([], sets(small)) == 0
    internet.misbehave(None)
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    assert data.load(small).variant == "sample" and not internet.asked


def test_cpu_downloads_nothing_unasked(internet, small, capsys):
    assert data.load(small).source == "sample"
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and f"course data fetch {small.name}" in line
    assert not internet.asked


def test_gpu_downloads_after_saying_how_much_and_later_uses_the_cache(
    monkeypatch, internet, small, capsys
):
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    first = data.load(small)
    assert (first.name, first.source, first.variant) == (small.name, "download", "full")
    assert first.classes == small.classes
    assert_same(first, internet.arrays)
    megabytes = sum(file.size for file in small.alternatives[0]) / 1e6
    assert capsys.readouterr().out.startswith(f"{small.title}: downloading {megabytes:.1f} MB")
    second = data.load(small)
    assert (second.source, second.variant) == ("cache", "full")
    assert_same(second, internet.arrays)
    assert capsys.readouterr().out.count("\n") == 1


def test_a_bundle_goes_before_the_cache_and_the_cache_before_the_sample(
    monkeypatch, internet, small, tmp_path
):
    assert commands.bundle(tmp_path / "bundle", [], sets(small)) == 0
    assert data.load(small).source == "cache"
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "bundle"))
    images = data.load(small)
    assert (images.source, images.variant) == ("bundle", "full")
    assert_same(images, internet.arrays)


def test_quiet_prints_nothing_and_a_record_is_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "record.jsonl"))
    data.mnist(quiet=True)
    data.cifar10()
    assert capsys.readouterr().out.count("\n") == 1
    lines = (tmp_path / "record.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"kind": "data", "name": name, "source": "sample", "variant": "sample"}
        for name in ("mnist", "fashion_mnist")
    ]


# Bundles


@pytest.fixture
def own_bundle(monkeypatch, small, tmp_path, capsys):
    folder = tmp_path / "a bundle 数据"
    assert commands.bundle(folder, [], sets(small)) == 0
    shutil.rmtree(small.cache)
    monkeypatch.setenv("COURSE_DATA", str(folder))
    capsys.readouterr()
    return folder


def rewrite(folder, name, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest[name].update(changes)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def file_in(folder, recipe):
    """The bundle's file with the data set."""
    return folder / f"{recipe.name}{'.jsonl' if recipe.image_shape is None else '.npz'}"


def refill(folder, recipe, **arrays):
    """Put other arrays into the bundle, with the hash that belongs to them."""
    files.write(file_in(folder, recipe), arrays)
    rehash(folder, recipe)


def rehash(folder, recipe):
    """Let the manifest say that the file should have the content that it has."""
    digest = hashlib.sha256(file_in(folder, recipe).read_bytes()).hexdigest()
    # A bundle that somebody else makes does not claim to hold the official splits.
    rewrite(folder, recipe.name, sha256=digest, source_sha256=None)


def test_a_manifest_says_what_the_bundle_holds(small, own_bundle):
    manifest = json.loads((own_bundle / "manifest.json").read_text(encoding="utf-8"))
    entry = manifest[small.name]
    assert manifest["format_version"] == 1
    file = file_in(own_bundle, small)
    assert entry["examples"] == {"train": 50, "test": 10} and entry["format"] == file.suffix[1:]
    assert entry["classes"] == list(small.classes) and entry["licence"] and entry["source"]
    content = (own_bundle / entry["file"]).read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    names = sorted(path.name for path in own_bundle.iterdir())
    assert names == sorted(["manifest.json", file.name])


def test_a_bundle_can_be_written_twice_but_replaces_nothing(small, own_bundle, capsys):
    assert commands.bundle(own_bundle, [small.name], sets(small)) == 0
    file_in(own_bundle, small).write_bytes(b"somebody's own work")
    assert commands.bundle(own_bundle, [small.name], sets(small)) == 1
    assert "exists and is different" in capsys.readouterr().out
    assert file_in(own_bundle, small).read_bytes() == b"somebody's own work"


def test_other_data_sets_in_a_bundle_stay(small, own_bundle):
    path = own_bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"other": {"file": "other.jsonl"}}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert commands.bundle(own_bundle, [], sets(small)) == 0
    assert json.loads(path.read_text(encoding="utf-8")) == manifest


def test_no_bundle_is_begun_without_the_data(internet, small, tmp_path, capsys):
    internet.misbehave(not_found)
    assert commands.bundle(tmp_path / "bundle", [], sets(small)) == 1
    assert "the download failed" in capsys.readouterr().out
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_without_the_data_set_is_passed_over(small, own_bundle, capsys):
    (own_bundle / "manifest.json").write_text('{"format_version": 1}', encoding="utf-8")
    assert data.load(small).source == "sample"
    assert capsys.readouterr().out.count("\n") == 1


def test_a_bundle_without_a_test_split_lends_the_last_tenth_of_train(
    internet, small, own_bundle, capsys
):
    x, y = internet.arrays["x_train"], internet.arrays["y_train"]
    refill(own_bundle, small, x_train=x, y_train=y)
    images = data.load(small)
    assert (images.name, images.source, images.variant) == (small.name, "bundle", "validation")
    assert_same(images, {"x_train": x[:45], "y_train": y[:45], "x_test": x[45:], "y_test": y[45:]})
    assert f"45 training and 5 test {small.items}" in capsys.readouterr().out


def test_other_splits_than_the_official_ones_count_as_validation(
    internet, small, own_bundle, capsys
):
    parts = {"x_train": slice(0, 30), "x_test": slice(30, 40)}
    arrays = {key: internet.arrays["x_train"][part] for key, part in parts.items()}
    arrays |= {
        key.replace("x", "y"): internet.arrays["y_train"][part] for key, part in parts.items()
    }
    refill(own_bundle, small, **arrays)
    manifest = json.loads((own_bundle / "manifest.json").read_text(encoding="utf-8"))
    del manifest["format_version"]
    (own_bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    images = data.load(small)
    assert images.variant == "validation"
    assert_same(images, arrays)
    assert "validation" in capsys.readouterr().out


def bad_hash(folder, recipe, arrays):
    with file_in(folder, recipe).open("ab") as file:
        file.write(b" ")


def missing_file(folder, recipe, arrays):
    file_in(folder, recipe).unlink()


def newer_format(folder, recipe, arrays):
    (folder / "manifest.json").write_text('{"format_version": 2}', encoding="utf-8")


def no_manifest(folder, recipe, arrays):
    (folder / "manifest.json").unlink()


def broken_manifest(folder, recipe, arrays):
    (folder / "manifest.json").write_text('{"mnist": ', encoding="utf-8")


def list_as_manifest(folder, recipe, arrays):
    (folder / "manifest.json").write_text("[]", encoding="utf-8")


def manifest_in_another_encoding(folder, recipe, arrays):
    (folder / "manifest.json").write_bytes('{"n": "é"}'.encode("latin-1"))


def climbing_out(folder, recipe, arrays):
    file = file_in(folder, recipe)
    shutil.copy(file, folder.parent / file.name)
    rewrite(folder, recipe.name, file=f"../{file.name}")


def no_hash(folder, recipe, arrays):
    rewrite(folder, recipe.name, sha256=None)


def unknown_class(folder, recipe, arrays):
    refill(folder, recipe, **arrays | {"y_test": arrays["y_test"] + np.uint8(10)})


def pickled(folder, recipe, arrays):
    refill(folder, recipe, **arrays | {"y_test": np.array([print] * 10, dtype=object)})


def floats(folder, recipe, arrays):
    refill(folder, recipe, **arrays | {"x_train": arrays["x_train"] / 255})


def too_few_labels(folder, recipe, arrays):
    refill(folder, recipe, **arrays | {"y_test": arrays["y_test"][1:]})


def classes_in_another_order(folder, recipe, arrays):
    refill(folder, recipe, **arrays, classes=np.array(recipe.classes[::-1]))


def nothing_in_it(folder, recipe, arrays):
    refill(folder, recipe, **{key: array[:0] for key, array in arrays.items()})


def with_content(content):
    def spoil(folder, recipe, arrays):
        file_in(folder, recipe).write_bytes(content)
        rehash(folder, recipe)

    return spoil


def classes_in_another_order_beside_texts(folder, recipe, arrays):
    rewrite(folder, recipe.name, classes=list(recipe.classes[::-1]))


def texts_without_labels(folder, recipe, arrays):
    documents = [[text] for text in arrays["x_train"]]
    refill(folder, recipe, x_train=documents)


def a_document_among_texts(folder, recipe, arrays):
    refill(folder, recipe, **arrays)
    with file_in(folder, recipe).open("a", encoding="utf-8") as file:
        file.write('{"split": "test", "sentences": ["Fine.", "Good."]}\n')
    rehash(folder, recipe)


def only_test_texts_in_training(folder, recipe, arrays):
    arrays = {f"{axis}_{split}": arrays[f"{axis}_test"] for axis in "xy" for split in SPLITS}
    refill(folder, recipe, **arrays)


IMAGE_SETS = [recipe for recipe in DOWNLOADS.values() if recipe.image_shape is not None]
NOT_A_LINE = "has no split with a text and its label"
SPOILT = [
    (bad_hash, "copy the bundle again"),
    (missing_file, "is missing; copy the bundle again"),
    (newer_format, "update the course"),
    (no_manifest, "there is no manifest.json"),
    (broken_manifest, "not readable JSON"),
    (list_as_manifest, "does not describe a bundle"),
    (manifest_in_another_encoding, "not readable JSON"),
    (climbing_out, "outside the bundle"),
    (no_hash, "no file and SHA-256"),
    (unknown_class, "labels beyond "),
]
SPOILT_IMAGES = [
    (pickled, "plain arrays"),
    (floats, "not uint8"),
    (too_few_labels, "do not fit"),
    (with_content(b"not a zip"), "plain arrays"),
    (classes_in_another_order, "its classes are not those"),
    (nothing_in_it, "is empty"),
]
SPOILT_TEXTS = [
    (classes_in_another_order_beside_texts, "its classes are not those"),
    (texts_without_labels, "not every text for train has one label"),
    (a_document_among_texts, "not every text for test has one label"),
    (only_test_texts_in_training, "is empty"),
    (with_content(b""), "not every text for train has one label"),
    (with_content(b"no JSON"), "is not a readable file of lines of JSON"),
    (with_content('{"text": "é"}'.encode("latin-1")), "is not a readable file of lines of JSON"),
    (with_content(b"\xfd7zXZ\x00"), "is not a readable file of lines of JSON"),
    (with_content(b"[]"), f"line 1 of imdb.jsonl {NOT_A_LINE}"),
    (with_content(b'{"split": "train", "text": "a"}'), NOT_A_LINE),
    (with_content(b'{"split": "train", "text": ["a"], "label": 1}'), NOT_A_LINE),
    (with_content(b'{"split": "train", "text": "a", "label": "1"}'), NOT_A_LINE),
    (with_content(b'{"split": "train", "text": "a", "label": true}'), NOT_A_LINE),
    (with_content(b'{"split": "train", "text": "a", "label": -1}'), NOT_A_LINE),
    (with_content(b'{"split": "train", "text": "a", "label": 256}'), NOT_A_LINE),
    (with_content(b'{"split": "dev", "text": "a", "label": 1}'), NOT_A_LINE),
    (with_content(b'{"split": ["train"], "text": "a", "label": 1}'), NOT_A_LINE),
    (with_content(b'{"split": "train", "sentences": "a"}'), NOT_A_LINE),
]


@pytest.mark.parametrize(
    ("internet", "spoil", "words"),
    [
        *((recipe, *spoilt) for recipe in DOWNLOADS.values() for spoilt in SPOILT),
        *((recipe, *spoilt) for recipe in IMAGE_SETS for spoilt in SPOILT_IMAGES),
        *((recipes.IMDB, *spoilt) for spoilt in SPOILT_TEXTS),
    ],
    indirect=["internet"],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "__name__", ""),
)
def test_a_spoilt_bundle_is_refused_in_a_sentence(
    internet, small, own_bundle, capsys, spoil, words
):
    spoil(own_bundle, small, internet.arrays)
    assert data.load(small).source == "sample"
    assert_sample_instead(small, capsys.readouterr(), "the bundle in COURSE_DATA", words)
    assert commands.verify([], sets(small)) == 1
    assert words in capsys.readouterr().out


# Commands


def test_unknown_names_are_answered_with_the_known_ones(tmp_path, capsys):
    for command in (
        commands.fetch,
        commands.verify,
        lambda names: commands.bundle(tmp_path, names),
    ):
        assert command(["mnits"]) == 1
        assert (
            capsys.readouterr().out
            == f"There is no data set 'mnits'; choose from: {', '.join(recipes.SETS)}.\n"
        )
    assert list(tmp_path.iterdir()) == []


def test_list_tells_where_the_data_is(small, own_bundle, capsys):
    def listed():
        assert commands.list_sets(sets(small)) == 0
        return capsys.readouterr().out

    assert small.name in listed() and "bundle" in listed() and "cache" not in listed()
    assert commands.fetch([], sets(small)) == 0
    (own_bundle / "manifest.json").unlink()
    assert "cache" in listed()


def test_list_says_which_sample_stands_in(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    assert commands.list_sets() == 0
    lines = capsys.readouterr().out.splitlines()
    for name, stand_in, size in (
        ("cifar10", "fashion_mnist", "170.1 MB"),
        ("imdb", "movie_sentences", "84.1 MB"),
    ):
        (line,) = (line for line in lines if f" {name} " in line)
        assert f"sample of {stand_in} in its" in line and size in line


def test_what_comes_with_the_course_needs_no_fetching(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert commands.list_sets(sets(recipes.EDITORIALS)) == 0
    assert "none needed" in capsys.readouterr().out
    for command in (commands.fetch, lambda *given: commands.bundle(tmp_path / "bundle", *given)):
        assert command(["editorials"]) == 0
        line = "Editorials: all of it comes with the course, in every installation\n"
        assert capsys.readouterr().out == line
        assert command([], sets(recipes.EDITORIALS)) == 0
        assert capsys.readouterr().out == ""
    assert not (tmp_path / "bundle").exists()
    assert commands.verify(["editorials"]) == 0
    assert capsys.readouterr().out == "Editorials, sample: as it should be\n"


def test_what_comes_with_the_course_comes_in_every_profile(monkeypatch, capsys):
    lines = set()
    for profile in ("smoke", "cpu", "gpu"):
        monkeypatch.setenv("COURSE_PROFILE", profile)
        assert data.editorials().source == "sample"
        lines.add(capsys.readouterr().out)
    assert lines == {
        "Editorials: 399 training and 99 test articles from the sample that comes with the course\n"
    }


def test_verify_is_content_with_sound_copies(small, own_bundle, capsys):
    assert commands.verify([small.name], sets(small)) == 0
    assert "cache: none here" in capsys.readouterr().out
    assert commands.fetch([small.name], sets(small)) == 0
    capsys.readouterr()
    assert commands.verify([], sets(small)) == 0
    own_sample = small.stand_in is None
    assert capsys.readouterr().out.count("as it should be") == 2 + own_sample


def test_fetching_several_says_first_how_much_is_missing(monkeypatch, internet, small, capsys):
    second = replace(small, name="second", title="Second")
    both = sets(small) | sets(second)
    assert commands.fetch([], both) == 0
    first_line = capsys.readouterr().out.splitlines()[0]
    size = sum(file.size for file in small.alternatives[0]) / 1e6
    assert first_line == (
        f"To download: {2 * size:.1f} MB ({small.name} {size:.1f}, second {size:.1f})"
    )
    assert commands.fetch([], both) == 0
    assert "To download" not in capsys.readouterr().out


# How the sample is made


def test_rounded_fractions_give_every_grey_level_back(make_samples):
    levels = np.resize(np.arange(256), 784)
    images = make_samples.to_images([round(level / 255, 3) for level in levels])
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images.reshape(-1), levels)


def test_a_fraction_between_two_grey_levels_is_refused(make_samples):
    with pytest.raises(ValueError, match="grey level"):
        make_samples.to_images([1.5 / 255] * 784)


def test_the_first_of_each_class_in_a_fixed_order_are_chosen(make_samples):
    images = np.random.default_rng(4).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    labels = np.repeat(np.arange(3, dtype=np.uint8), 20)
    chosen = make_samples.choose(images, labels, 5)
    assert np.bincount(labels[chosen]).tolist() == [5, 5, 5]
    turned = make_samples.choose(images[::-1], labels[::-1], 5)
    np.testing.assert_array_equal(images[chosen], images[::-1][turned])
    digests = [make_samples.digest_of(image) for image in images]
    assert [digests[place] for place in chosen] == sorted(digests[place] for place in chosen)
    left = [digest for place, digest in enumerate(digests) if place not in chosen]
    last = {label: max(digests[p] for p in chosen if labels[p] == label) for label in range(3)}
    assert all(digest > last[labels[digests.index(digest)]] for digest in left)


def test_a_package_that_was_changed_is_refused(make_samples, tmp_path, capsys):
    (tmp_path / "package.deb").write_bytes(b"something else")
    for name in make_samples.PACKAGES:
        assert make_samples.main([name, str(tmp_path / "package.deb")]) == 1
        assert "as published; fetch it again" in capsys.readouterr().err


def test_the_split_takes_a_fifth_of_each_class_and_keeps_repeated_images_once(make_samples):
    images = np.random.default_rng(3).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    zeros, ones = images[:20], images[20:]
    arrays = make_samples.split([np.concatenate([zeros, zeros[:7]]), ones])
    assert {split: np.bincount(arrays[f"y_{split}"]).tolist() for split in SPLITS} == {
        "train": [16, 24],
        "test": [4, 6],
    }
    given = {(label, image.tobytes()) for label, part in enumerate((zeros, ones)) for image in part}
    kept = [
        (label, image.tobytes())
        for split in SPLITS
        for label, image in zip(arrays[f"y_{split}"], arrays[f"x_{split}"], strict=True)
    ]
    assert len(kept) == 50 and set(kept) == given
    again = make_samples.split([zeros[::-1], ones[::-1]])
    np.testing.assert_array_equal(again["x_test"], arrays["x_test"])


# Against the full training split, where it lies beside the checkout


@pytest.fixture(scope="module")
def official_training():
    if not (FULL_SETS / "mnist_train.npz").is_file():
        pytest.skip("the full MNIST training split is not beside this checkout")
    with np.load(FULL_SETS / "mnist_train.npz", allow_pickle=False) as file:
        return file["x"], file["y"]


def test_the_sample_is_the_first_10000_of_the_official_training_split(official_training):
    x, y = official_training
    official = {
        (label, image.tobytes()) for label, image in zip(y[:10_000], x[:10_000], strict=True)
    }
    images = data.mnist(quiet=True)
    pairs = ((images.y_train, images.x_train), (images.y_test, images.x_test))
    sample = {
        (label, image.tobytes())
        for labels, pictures in pairs
        for label, image in zip(labels, pictures, strict=True)
    }
    assert sample == official


def test_the_official_training_split_is_the_one_that_is_pinned(official_training):
    for key, array in zip(("x_train", "y_train"), official_training, strict=True):
        assert sources.fingerprint(array) == recipes.MNIST.official[key]


@pytest.fixture
def unpack(monkeypatch, tmp_path):
    """The program beside the full sets that makes an offline bundle of them."""
    if not (FULL_SETS / "unpack.py").is_file():
        pytest.skip("the full data sets are not beside this checkout")
    spec = importlib.util.spec_from_file_location("unpack", FULL_SETS / "unpack.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return module


def test_a_bundle_of_the_training_split_alone_is_validation(unpack, tmp_path, capsys):
    unpack.main(tmp_path, {"mnist"})
    images = data.mnist()
    assert (images.variant, len(images.y_train), len(images.y_test)) == ("validation", 54_000, 6000)
    assert "validation" in capsys.readouterr().out


def test_a_bundle_of_photographs_is_loaded_as_validation(unpack, monkeypatch, tmp_path, capsys):
    pytest.importorskip("PIL")
    # One in fifty of the 50,000, of each class, to save time.
    thinned = tmp_path / "cifar10_train.tar.xz"
    with tarfile.open(FULL_SETS / thinned.name) as full, tarfile.open(thinned, "w") as few:
        for number, member in enumerate(full):
            if number % 50 == 0:
                few.addfile(member, full.extractfile(member))
    monkeypatch.setattr(unpack, "HERE", tmp_path)
    unpack.main(tmp_path, {"cifar10"})
    images = data.cifar10()
    assert (images.name, images.source, images.variant) == ("cifar10", "bundle", "validation")
    assert images.x_train.shape == (900, 32, 32, 3) and images.x_train.dtype == np.uint8
    assert images.classes[3] == "cat" and np.bincount(images.y_test).min() > 0
    assert "900 training and 100 test images" in capsys.readouterr().out
