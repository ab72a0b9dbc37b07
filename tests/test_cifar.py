"""The reader of CIFAR-10's archive, on small generated archives, sound and spoilt."""

import gzip
import io
import tarfile

import numpy as np
import pytest

from course.datasets import cifar
from course.datasets.downloads import DataError

EXAMPLES = (20, 7)
BATCHES = (*cifar.TRAIN_BATCHES, *cifar.TEST_BATCHES)


def batch(images, labels) -> bytes:
    """Records of CIFAR-10, written pixel by pixel: label, then all red, green and blue."""
    content = bytearray()
    for image, label in zip(images, labels, strict=True):
        content.append(label)
        for colour in range(3):
            for row in range(32):
                content += bytes(image[row, column, colour] for column in range(32))
    return bytes(content)


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(10)
    arrays = {}
    for split, count in zip(("train", "test"), EXAMPLES, strict=True):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = rng.integers(0, 10, count, dtype=np.uint8)
    return arrays


@pytest.fixture
def content(photographs):
    """Content of each file in the archive by its name."""
    x, y = photographs["x_train"], photographs["y_train"]
    files = {
        name: batch(x[4 * number : 4 * number + 4], y[4 * number : 4 * number + 4])
        for number, name in enumerate(cifar.TRAIN_BATCHES)
    }
    files["test_batch.bin"] = batch(photographs["x_test"], photographs["y_test"])
    files["batches.meta.txt"] = b"airplane\nautomobile\n"
    return {f"{cifar.FOLDER}/{name}": text for name, text in files.items()}


def archive(content, *members) -> bytes:
    """A .tar.gz of these files, then of further members: a header, or a header and its content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        folder = tarfile.TarInfo(cifar.FOLDER)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, text in content.items():
            tar.addfile(header(name, len(text)), io.BytesIO(text))
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return packed.getvalue()


def header(name, size=0, kind=tarfile.REGTYPE, link=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member


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


def test_every_pixel_and_label_arrives_in_its_place(tmp_path, content, photographs):
    arrays = read(tmp_path, archive(content))
    assert arrays.keys() == photographs.keys()
    for key, array in photographs.items():
        assert arrays[key].dtype == np.uint8 and arrays[key].flags.c_contiguous
        np.testing.assert_array_equal(arrays[key], array)


def test_the_order_of_files_in_the_archive_does_not_matter(tmp_path, content, photographs):
    turned = dict(reversed(content.items()))
    dotted = {f"./{name}": text for name, text in turned.items()}
    for files in (turned, dotted):
        arrays = read(tmp_path, archive(files))
        np.testing.assert_array_equal(arrays["x_train"], photographs["x_train"])


@pytest.mark.parametrize("name", BATCHES)
def test_a_label_beyond_the_classes_is_refused(tmp_path, content, name):
    path = f"{cifar.FOLDER}/{name}"
    spoilt = bytearray(content[path])
    spoilt[cifar.RECORD_BYTES] = 11
    refused(tmp_path, archive(content | {path: bytes(spoilt)}), f"{name} has label 11")


@pytest.mark.parametrize("name", BATCHES)
@pytest.mark.parametrize("change", [-1, 1, -3073, 3073])
def test_records_of_a_wrong_length_or_number_are_refused(tmp_path, content, name, change):
    path = f"{cifar.FOLDER}/{name}"
    text = content[path]
    spoilt = text[:change] if change < 0 else text + text[:change]
    refused(
        tmp_path, archive(content | {path: spoilt}), f"{name} has {len(spoilt):,} bytes instead"
    )


@pytest.mark.parametrize("name", BATCHES)
def test_a_missing_batch_is_named(tmp_path, content, name):
    del content[f"{cifar.FOLDER}/{name}"]
    refused(tmp_path, archive(content), f"{name} is not in it")


def test_wherever_an_archive_breaks_off_it_is_refused(tmp_path, content):
    whole = archive(content)
    for part in (0.0, 0.001, 0.1, 0.5, 0.9):
        refused(tmp_path, whole[: int(part * len(whole))], "")
    unpacked = gzip.decompress(whole)
    for part in (0.1, 0.5, 0.8):
        refused(tmp_path, gzip.compress(unpacked[: int(part * len(unpacked))], 1), "")


def test_what_is_no_archive_is_refused(tmp_path, content):
    damaged = bytearray(archive(content))
    damaged[len(damaged) // 2] ^= 255
    for packed in (b"<html>Log in</html>", gzip.compress(b"no tar"), bytes(damaged)):
        refused(tmp_path, packed, "it breaks off or is not a .tar.gz archive")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (header("/etc/passwd", 5), "'/etc/passwd' reaches out"),
        (header("../outside.bin", 5), "reaches out"),
        (header(f"{cifar.FOLDER}/../../outside.bin", 5), "reaches out"),
        (header("C:\\outside.bin", 5), "reaches out"),
        (header("..\\outside.bin", 5), "reaches out"),
        (header(f"{cifar.FOLDER}/a", 0, tarfile.SYMTYPE, "/etc/passwd"), "no ordinary file"),
        (header(f"{cifar.FOLDER}/a", 0, tarfile.SYMTYPE, "test_batch.bin"), "no ordinary file"),
        (header(f"{cifar.FOLDER}/a", 0, tarfile.LNKTYPE, "test_batch.bin"), "no ordinary file"),
        (header(f"{cifar.FOLDER}/a", 0, tarfile.CHRTYPE), "no ordinary file"),
        (header(f"{cifar.FOLDER}/a", 0, tarfile.BLKTYPE), "no ordinary file"),
        (header(f"{cifar.FOLDER}/a", 0, tarfile.FIFOTYPE), "no ordinary file"),
        (header(f"{cifar.FOLDER}/large.bin", 20_000), "is too long"),
        (header("test_batch.bin", 20_000), "is too long"),
    ],
    ids=lambda value: None if isinstance(value, str) else f"{value.name} {value.type.decode()}",
)
def test_what_could_do_harm_is_refused_and_nothing_is_written(tmp_path, content, member, words):
    refused(tmp_path, archive(content, member), words)
    refused(tmp_path, archive({}, member), words)


@pytest.mark.parametrize("name", ["test_batch.bin", "./test_batch.bin"])
def test_a_batch_that_comes_twice_is_refused(tmp_path, content, name):
    path = f"{cifar.FOLDER}/test_batch.bin"
    again = header(f"{cifar.FOLDER}/{name}", len(content[path]))
    refused(tmp_path, archive(content, again), "is in it twice")


def test_a_link_in_place_of_a_batch_is_refused(tmp_path, content):
    path = f"{cifar.FOLDER}/data_batch_3.bin"
    del content[path]
    refused(tmp_path, archive(content, header(path, 0, tarfile.SYMTYPE, "/dev/zero")), "ordinary")


def test_a_small_note_beside_the_batches_does_no_harm(tmp_path, content, photographs):
    arrays = read(tmp_path, archive(content, header(f"{cifar.FOLDER}/readme.html", 88)))
    np.testing.assert_array_equal(arrays["y_test"], photographs["y_test"])
