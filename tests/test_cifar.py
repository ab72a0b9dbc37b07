"""The reader of CIFAR-10's archive, on small generated archives, sound and spoilt."""

import gzip
import tarfile

import numpy as np
import pytest
from data_servers import EXAMPLES, as_archive, cifar_files, small_arrays, tar_member

from course.datasets import cifar
from course.datasets.downloads import DataError
from course.datasets.recipes import CIFAR10

BATCHES = (*cifar.TRAIN_BATCHES, cifar.TEST_BATCH)


@pytest.fixture(scope="module")
def photographs():
    return small_arrays(CIFAR10)


@pytest.fixture
def files(photographs):
    """Content of each file in the archive by its name."""
    return cifar_files(photographs)


def read(tmp_path, packed):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(packed)
    return cifar.read_archive(path, EXAMPLES, 10)


def refused(tmp_path, packed, *words):
    with pytest.raises(DataError) as error:
        read(tmp_path, packed)
    message = str(error.value)
    for word in ("cifar-10-binary.tar.gz was refused because", *words):
        assert word in message
    assert "\n" not in message and message.endswith("update the course")
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_every_pixel_and_label_arrives_in_its_place(tmp_path, files, photographs):
    arrays = read(tmp_path, as_archive(files))
    assert arrays.keys() == photographs.keys()
    for key, array in photographs.items():
        assert arrays[key].dtype == np.uint8 and arrays[key].flags.c_contiguous
        np.testing.assert_array_equal(arrays[key], array)


def test_the_order_of_files_in_the_archive_does_not_matter(tmp_path, files, photographs):
    turned = dict(reversed(files.items()))
    dotted = {f"./{name}": text for name, text in turned.items()}
    for same in (turned, dotted):
        arrays = read(tmp_path, as_archive(same))
        np.testing.assert_array_equal(arrays["x_train"], photographs["x_train"])


@pytest.mark.parametrize("name", BATCHES)
def test_a_label_beyond_the_classes_is_refused(tmp_path, files, name):
    path = f"{cifar.FOLDER}/{name}"
    spoilt = bytearray(files[path])
    spoilt[cifar.RECORD_BYTES] = 11
    refused(tmp_path, as_archive(files | {path: bytes(spoilt)}), f"{name} has label 11")


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("change", [-1, 1, -3073, 3073])
def test_records_of_a_wrong_length_or_number_are_refused(tmp_path, files, name, change):
    path = f"{cifar.FOLDER}/{name}"
    text = files[path]
    spoilt = text[:change] if change < 0 else text + text[:change]
    refused(
        tmp_path, as_archive(files | {path: spoilt}), f"{name}' has {len(spoilt):,} bytes instead"
    )


@pytest.mark.parametrize("name", BATCHES)
def test_a_missing_batch_is_named(tmp_path, files, name):
    del files[f"{cifar.FOLDER}/{name}"]
    refused(tmp_path, as_archive(files), f"{name} is not in it")


def test_wherever_an_archive_breaks_off_it_is_refused(tmp_path, files):
    whole = as_archive(files)
    for part in (0.0, 0.001, 0.1, 0.5, 0.9):
        refused(tmp_path, whole[: int(part * len(whole))], "")
    unpacked = gzip.decompress(whole)
    for part in (0.1, 0.5, 0.8):
        refused(tmp_path, gzip.compress(unpacked[: int(part * len(unpacked))], 1), "")


def test_what_is_no_archive_is_refused(tmp_path, files):
    damaged = bytearray(as_archive(files))
    damaged[len(damaged) // 2] ^= 255
    for packed in (b"<html>Log in</html>", gzip.compress(b"no tar"), bytes(damaged)):
        refused(tmp_path, packed, "it breaks off or is not a .tar.gz archive")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (tar_member("/etc/passwd", 5), "'/etc/passwd' reaches out"),
        (tar_member("../outside.bin", 5), "reaches out"),
        (tar_member(f"{cifar.FOLDER}/../../outside.bin", 5), "reaches out"),
        (tar_member("C:\\outside.bin", 5), "reaches out"),
        (tar_member("..\\outside.bin", 5), "reaches out"),
        (tar_member(f"{cifar.FOLDER}/a", 0, tarfile.SYMTYPE, "/etc/passwd"), "no ordinary file"),
        (tar_member(f"{cifar.FOLDER}/a", 0, tarfile.SYMTYPE, "test_batch.bin"), "no ordinary file"),
        (tar_member(f"{cifar.FOLDER}/a", 0, tarfile.LNKTYPE, "test_batch.bin"), "no ordinary file"),
        (tar_member(f"{cifar.FOLDER}/a", 0, tarfile.CHRTYPE), "no ordinary file"),
        (tar_member(f"{cifar.FOLDER}/a", 0, tarfile.BLKTYPE), "no ordinary file"),
        (tar_member(f"{cifar.FOLDER}/a", 0, tarfile.FIFOTYPE), "no ordinary file"),
        (tar_member(f"{cifar.FOLDER}/large.bin", 20_000), "is too long"),
        (tar_member("test_batch.bin", 20_000), "is too long"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.name} {value.type.decode()}",
)
def test_what_could_do_harm_is_refused_and_nothing_is_written(tmp_path, files, member, words):
    refused(tmp_path, as_archive(files, member), words)
    refused(tmp_path, as_archive({}, member), words)


@pytest.mark.parametrize("name", ["test_batch.bin", "./test_batch.bin"])
def test_a_batch_that_comes_twice_is_refused(tmp_path, files, name):
    path = f"{cifar.FOLDER}/test_batch.bin"
    again = tar_member(f"{cifar.FOLDER}/{name}", len(files[path]))
    refused(tmp_path, as_archive(files, again), "is in it twice")


def test_a_link_in_place_of_a_batch_is_refused(tmp_path, files):
    path = f"{cifar.FOLDER}/data_batch_3.bin"
    del files[path]
    refused(
        tmp_path, as_archive(files, tar_member(path, 0, tarfile.SYMTYPE, "/dev/zero")), "ordinary"
    )


def test_a_small_note_beside_the_batches_does_no_harm(tmp_path, files, photographs):
    arrays = read(tmp_path, as_archive(files, tar_member(f"{cifar.FOLDER}/readme.html", 88)))
    np.testing.assert_array_equal(arrays["y_test"], photographs["y_test"])
