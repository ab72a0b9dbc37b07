"""The reader of IMDB's archive, on small generated archives, sound and spoilt."""

import gzip
import tarfile

import numpy as np
import pytest
from data_servers import EXAMPLES, as_archive, imdb_files, small_texts, tar_member

from course.datasets import imdb
from course.datasets.downloads import DataError

FOLDERS = [f"{split}/{label}" for split in ("train", "test") for label in ("neg", "pos")]


@pytest.fixture
def files():
    """Content of each file in the archive by its name."""
    return imdb_files(small_texts())


def read(tmp_path, packed):
    path = tmp_path / "aclImdb_v1.tar.gz"
    path.write_bytes(packed)
    return imdb.read_archive(path, EXAMPLES)


def refused(tmp_path, packed, *words):
    with pytest.raises(DataError) as error:
        read(tmp_path, packed)
    message = str(error.value)
    for word in ("aclImdb_v1.tar.gz was refused because", *words):
        assert word in message
    assert "\n" not in message and message.endswith("update the course")
    assert [path.name for path in tmp_path.iterdir()] == ["aclImdb_v1.tar.gz"]


def first_in(files, folder):
    """The name of a review in a folder such as "train/neg"."""
    return next(name for name in files if name.startswith(f"{imdb.FOLDER}/{folder}/"))


def test_every_review_and_label_arrives_in_an_order_that_depends_on_the_texts_alone(
    tmp_path, files
):
    expected = small_texts()
    for same in (files, dict(reversed(files.items())), {f"./{n}": t for n, t in files.items()}):
        arrays = read(tmp_path, as_archive(same))
        assert arrays.keys() == expected.keys()
        for split in ("train", "test"):
            assert arrays[f"x_{split}"] == expected[f"x_{split}"]
            assert arrays[f"y_{split}"].dtype == np.uint8
            np.testing.assert_array_equal(arrays[f"y_{split}"], expected[f"y_{split}"])


def test_the_label_is_the_folders_and_one_means_positive(tmp_path, files):
    for label, stars, text in (("neg", 4, "It has no plot."), ("pos", 7, "It has a plot.")):
        del files[first_in(files, f"train/{label}")]
        files[f"{imdb.FOLDER}/train/{label}/99_{stars}.txt"] = text.encode("ascii")
    arrays = read(tmp_path, as_archive(files))
    label_of = dict(zip(arrays["x_train"], arrays["y_train"], strict=True))
    assert label_of["It has no plot."] == 0 and label_of["It has a plot."] == 1


def test_reviews_without_a_label_and_tables_stay_unread(tmp_path, files):
    files[f"{imdb.FOLDER}/train/unsup/1_0.txt"] = b"\xff is no UTF-8"
    files[f"{imdb.FOLDER}/train/urls_pos.txt"] = b"\xff"
    assert len(read(tmp_path, as_archive(files))["x_train"]) == EXAMPLES[0]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("stars", [0, 5, 6, 11])
def test_stars_that_no_label_has_are_refused(tmp_path, files, folder, stars):
    name = f"{imdb.FOLDER}/{folder}/99_{stars}.txt"
    refused(tmp_path, as_archive(files | {name: b"so so"}), name, f"has {stars} stars")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_review_among_those_of_the_other_label_is_refused(tmp_path, files, folder):
    stars = 9 if folder.endswith("neg") else 1
    name = f"{imdb.FOLDER}/{folder}/99_{stars}.txt"
    refused(tmp_path, as_archive(files | {name: b"?"}), f"{name!r} has {stars} stars, and reviews")


@pytest.mark.parametrize("name", ["notes.txt", "12.txt", "12_9.html", "a_9.txt", "12_9.txt.txt"])
def test_a_file_that_is_no_review_among_reviews_is_refused(tmp_path, files, name):
    files[f"{imdb.FOLDER}/test/pos/{name}"] = b"9"
    refused(tmp_path, as_archive(files), name, "is not named as a review is")


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(
    "text", ["Très bien".encode("latin-1"), "看".encode("gbk"), b"ok \xf0\x9f"]
)
def test_another_encoding_is_refused(tmp_path, files, folder, text):
    name = first_in(files, folder)
    refused(tmp_path, as_archive(files | {name: text}), f"{name!r} is not text in UTF-8")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_wrong_number_of_reviews_is_refused(tmp_path, files, folder):
    right = EXAMPLES[folder.startswith("test")] // 2
    more = files | {f"{imdb.FOLDER}/{folder}/99_{2 if folder.endswith('neg') else 8}.txt": b"more"}
    refused(tmp_path, as_archive(more), f"{folder} holds {right + 1} reviews instead of {right}")
    del files[first_in(files, folder)]
    refused(tmp_path, as_archive(files), f"{folder} holds {right - 1} reviews instead of {right}")


def test_wherever_an_archive_breaks_off_it_is_refused(tmp_path, files):
    whole = as_archive(files)
    for part in (0.0, 0.01, 0.1, 0.5, 0.9, 0.999):
        refused(tmp_path, whole[: int(part * len(whole))], "")
    unpacked = gzip.decompress(whole)
    for part in (0.1, 0.5, 0.8):
        refused(tmp_path, gzip.compress(unpacked[: int(part * len(unpacked))], 1), "")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (tar_member("/etc/passwd", 5), "'/etc/passwd' reaches out"),
        (tar_member("../1_2.txt", 5), "reaches out"),
        (tar_member(f"{imdb.FOLDER}/train/neg/../../../1_2.txt", 5), "reaches out"),
        (tar_member("..\\1_2.txt", 5), "reaches out"),
        (tar_member(f"{imdb.FOLDER}/a", 0, tarfile.SYMTYPE, "/etc/passwd"), "no ordinary file"),
        (tar_member(f"{imdb.FOLDER}/test/neg/1_2.txt", 0, tarfile.SYMTYPE, "../a"), "no ordinary"),
        (tar_member(f"{imdb.FOLDER}/test/neg/1_2.txt", 0, tarfile.LNKTYPE, "a"), "no ordinary"),
        (tar_member(f"{imdb.FOLDER}/a", 0, tarfile.FIFOTYPE), "no ordinary file"),
        (tar_member(f"{imdb.FOLDER}/test/neg/1_2.txt", imdb.REVIEW_BYTES + 1), "is too long"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.name} {value.type.decode()}",
)
def test_what_could_do_harm_is_refused_and_nothing_is_written(tmp_path, files, member, words):
    refused(tmp_path, as_archive(files, member), words)
    refused(tmp_path, as_archive({}, member), words)


def test_a_review_that_comes_twice_is_refused(tmp_path, files):
    name = first_in(files, "test/pos")
    refused(tmp_path, as_archive(files, tar_member(name, 5)), f"{name!r} is in it twice")
