import gzip
import hashlib
import importlib.util
import io
import json
import shutil
import socket
import struct
import sys
import tarfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from course import data
from course.datasets import bundles, downloads, recipes, sources
from course.datasets.downloads import RemoteFile

ROOT = Path(__file__).resolve().parent.parent
FULL_SETS = ROOT.parent / "shared" / "datasets"
SPLITS = ("train", "test")


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch, tmp_path):
    for name in ("COURSE_DATA", "COURSE_MIRROR", "COURSE_RECORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    look_up = socket.getaddrinfo

    def look_up_at_home(host, *others, **named):
        assert host == "127.0.0.1", f"a test asked for {host}"
        return look_up(host, *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_at_home)


class Server:
    """An HTTP server on this machine; an answer is bytes, or a function of the handler."""

    def __init__(self):
        self.answers, self.asked = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                answer = outer.answers.get(self.path, (not_found,))
                answer = answer[min(outer.asked.count(self.path), len(answer)) - 1]
                with suppress(ConnectionError):
                    answer(self) if callable(answer) else send(self, answer)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def send(handler, body, status=200, length=None):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def not_found(handler):
    send(handler, b"no such file", 404)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture(scope="module")
def digits():
    """What a small official data set would hold."""
    rng = np.random.default_rng(7)
    arrays = {}
    for split, count in (("train", 45), ("test", 10)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"y_{split}"] = rng.integers(0, 10, count, dtype=np.uint8)
    return arrays


def as_npz(arrays):
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def as_idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture
def small(server, digits):
    """A recipe of the small data set, whose official addresses are those of the local server."""

    def offer(name, content):
        server.answers[f"/{name}"] = [content]
        digest = hashlib.sha256(content).hexdigest()
        return RemoteFile(name, len(content), digest, (f"{server.address}/{name}",))

    return replace(
        recipes.MNIST,
        examples=(45, 10),
        official={
            key: hashlib.sha256(gzip.decompress(as_idx(digits[key]))).hexdigest() for key in digits
        },
        alternatives=(
            (offer("mnist.npz", as_npz(digits)),),
            tuple(offer(f"{key}.gz", as_idx(digits[key])) for key in digits),
        ),
    )


def sets(recipe):
    return {recipe.name: recipe}


def assert_same(images, arrays):
    for key, array in arrays.items():
        found = getattr(images, key)
        assert found.dtype == np.uint8 and found.flags.writeable
        np.testing.assert_array_equal(found, array)


def assert_sample_instead(images, printed, *words):
    """The sample came, and the lines before the last say what was wrong, without a trace."""
    assert (images.source, len(images.y_train)) == ("sample", 8000)
    fault, summary = printed.out.splitlines()[-2:]
    for word in (*words, "Used instead: the sample"):
        assert word in fault
    assert "course data fetch mnist" in summary
    assert "Traceback" not in printed.out + printed.err


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
    assert images.classes == data.SETS[name].classes
    digests = {
        key: hashlib.sha256(getattr(images, key).tobytes()).hexdigest()[:16]
        for key in bundles.ARRAYS
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
    def seconds():
        start = time.perf_counter()
        load(quiet=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.3


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
        with pytest.raises(data.DataError, match="install the course again"):
            data.load(recipe)


# The order of the sources


def test_smoke_uses_the_sample_even_where_there_is_more(monkeypatch, small, server):
    assert data.fetch([], sets(small)) == 0
    server.asked.clear()
    monkeypatch.setenv("COURSE_PROFILE", "smoke")
    assert data.load(small).variant == "sample" and not server.asked


def test_cpu_downloads_nothing_unasked(small, server, capsys):
    assert data.load(small).source == "sample"
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and "course data fetch mnist" in line and not server.asked


def test_gpu_downloads_after_saying_how_much_and_later_uses_the_cache(
    monkeypatch, small, digits, capsys
):
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    first = data.load(small)
    assert (first.source, first.variant) == ("download", "full")
    assert_same(first, digits)
    assert capsys.readouterr().out.startswith("MNIST: downloading 0.0 MB")
    second = data.load(small)
    assert (second.source, second.variant) == ("cache", "full")
    assert_same(second, digits)
    assert capsys.readouterr().out.count("\n") == 1


def test_a_bundle_goes_before_the_cache_and_the_cache_before_the_sample(
    monkeypatch, small, digits, tmp_path
):
    assert data.bundle(tmp_path / "bundle", [], sets(small)) == 0
    assert data.load(small).source == "cache"
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "bundle"))
    images = data.load(small)
    assert (images.source, images.variant) == ("bundle", "full")
    assert_same(images, digits)


def test_quiet_prints_nothing_and_a_record_is_kept(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_RECORD", str(tmp_path / "record.jsonl"))
    data.mnist(quiet=True)
    data.mnist()
    assert capsys.readouterr().out.count("\n") == 1
    entry = {"kind": "data", "name": "mnist", "source": "sample", "variant": "sample"}
    lines = (tmp_path / "record.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [entry, entry]


# Downloads


def test_idx_files_give_the_same_arrays_as_the_npz(small, digits, server):
    del server.answers["/mnist.npz"]
    assert data.fetch(["mnist"], sets(small)) == 0
    assert not (small.cache / "mnist.npz").exists()
    images = data.load(small)
    assert (images.source, images.variant) == ("cache", "full")
    assert_same(images, digits)


def test_the_mirror_is_asked_first_and_official_addresses_after_it(monkeypatch, small, server):
    mirror = f"{server.address}/mirror/"
    monkeypatch.setenv("COURSE_MIRROR", mirror)
    server.answers["/mirror/mnist/mnist.npz"] = server.answers["/mnist.npz"]
    assert data.fetch([], sets(small)) == 0
    assert server.asked == ["/mirror/mnist/mnist.npz"]
    shutil.rmtree(small.cache)
    server.answers["/mirror/mnist/mnist.npz"] = [b"something else"]
    server.asked.clear()
    assert data.fetch([], sets(small)) == 0
    assert server.asked == ["/mirror/mnist/mnist.npz", "/mnist.npz"]


def test_a_server_that_recovers_gets_a_second_chance(small, server):
    whole = server.answers["/mnist.npz"][0]
    server.answers = {"/mnist.npz": [lambda handler: send(handler, b"busy", 503), whole]}
    assert data.fetch([], sets(small)) == 0
    assert server.asked.count("/mnist.npz") == 2


def unavailable(handler):
    send(handler, b"try later", 503)


def cut_off(handler):
    send(handler, bytes(2000), length=100_000)


def login_page(handler):
    send(handler, b"<html>Log in to this network</html>")


def far_too_long(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(bytes(20_000))
    handler.server.sent_all = True


def drop(handler):
    handler.connection.close()


def redirect_to_itself(handler):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def silent(handler):
    time.sleep(3)


def drip(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (not_found, "HTTP status 404"),
        (unavailable, "HTTP status 503"),
        (cut_off, "broke off"),
        (login_page, "bytes of"),
        (drop, "no connection"),
        (redirect_to_itself, "TooManyRedirects"),
        (silent, "no answer"),
        (drip, "no answer"),
    ],
)
def test_whatever_a_server_does_the_lesson_goes_on(
    monkeypatch, small, server, capsys, answer, words
):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(downloads, "CHUNK_SECONDS", 0.4)
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    server.answers = {path: [answer] for path in server.answers}
    start = time.perf_counter()
    images = data.load(small)
    assert time.perf_counter() - start < 2
    assert_sample_instead(images, capsys.readouterr(), "the download failed", words)
    assert list(small.cache.iterdir()) == []


def test_a_server_that_sends_far_too_much_is_cut_off(small, server, capsys):
    server.answers = {path: [far_too_long] for path in server.answers}
    assert data.fetch([], sets(small)) == 1
    assert "sent more than" in capsys.readouterr().out
    assert list(small.cache.iterdir()) == []
    time.sleep(0.5)
    assert not hasattr(server.server, "sent_all"), "20 MB were taken for a file of 40 kB"


def test_right_files_with_other_arrays_than_the_pinned_ones_are_refused(monkeypatch, small, capsys):
    other = replace(small, official=small.official | {"y_test": "0" * 64})
    assert data.fetch([], sets(other)) == 1
    assert "does not hold the official images" in capsys.readouterr().out
    assert list(other.cache.iterdir()) == []
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert_sample_instead(data.load(other), capsys.readouterr(), "the official images")


def test_a_silent_host_is_asked_only_once(monkeypatch, small, server):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.2)
    server.answers = {path: [silent] for path in server.answers}
    assert data.fetch([], sets(small)) == 1
    assert server.asked == ["/mnist.npz"]


def test_content_of_the_right_length_with_a_wrong_hash_is_refused(small, server, capsys):
    for path, (content,) in server.answers.items():
        server.answers[path] = [content[:-1] + bytes([content[-1] ^ 1])]
    assert data.fetch([], sets(small)) == 1
    assert "not the file that was expected" in capsys.readouterr().out
    assert list(small.cache.iterdir()) == []


def test_offline_the_sample_comes_at_once_and_one_line_says_why(monkeypatch, small, capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    offline = tuple(
        tuple(replace(file, addresses=(f"http://{nobody}/{file.name}",)) for file in files)
        for files in small.alternatives
    )
    monkeypatch.setenv("COURSE_MIRROR", f"http://{nobody}")
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    start = time.perf_counter()
    images = data.load(replace(small, alternatives=offline))
    assert time.perf_counter() - start < 2
    assert_sample_instead(images, capsys.readouterr(), f"{nobody}: no connection")


def test_a_mirror_that_is_no_address_is_named(monkeypatch, small, server, capsys):
    monkeypatch.setenv("COURSE_MIRROR", "our-server")
    server.answers = {}
    assert data.fetch([], sets(small)) == 1
    assert "our-server/mnist/mnist.npz: the request was impossible" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_told_and_the_sample_used(
    monkeypatch, small, tmp_path, capsys
):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    images = data.load(small)
    assert_sample_instead(images, capsys.readouterr(), "cannot be written", "COURSE_CACHE")
    assert data.fetch([], sets(small)) == 1


@pytest.mark.parametrize("name", ["x" * 300, "missing", "file"])
def test_a_cache_or_bundle_folder_that_is_none_stops_nothing(
    monkeypatch, small, tmp_path, capsys, name
):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / name))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / name))
    assert_sample_instead(data.load(small), capsys.readouterr(), "manifest.json")
    assert data.list_sets(sets(small)) == 0
    assert "unreadable" in capsys.readouterr().out
    assert data.verify([], sets(small)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a full disk is imitated by a Unix limit")
def test_a_full_disk_leaves_no_half_file(small, capsys):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        status = data.fetch([], sets(small))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert "cannot be written" in capsys.readouterr().out
    assert list(small.cache.iterdir()) == []


def test_a_damaged_cache_is_told_and_fetch_mends_it(small, digits, capsys):
    assert data.fetch([], sets(small)) == 0
    with (small.cache / "mnist.npz").open("r+b") as file:
        file.seek(500)
        file.write(b"damage")
    capsys.readouterr()
    assert_sample_instead(data.load(small), capsys.readouterr(), "is damaged; mend it with")
    assert data.verify([], sets(small)) == 1
    assert "mend it with: course data fetch mnist" in capsys.readouterr().out
    assert data.fetch([], sets(small)) == 0
    assert_same(data.load(small), digits)


def test_half_of_the_idx_files_is_not_a_data_set(small, server):
    assert downloads.fetch_any([small.alternatives[1][:2]], small.cache)
    assert data.load(small).source == "sample"


# Bundles


@pytest.fixture
def own_bundle(monkeypatch, small, tmp_path, capsys):
    folder = tmp_path / "a bundle 数据"
    assert data.bundle(folder, [], sets(small)) == 0
    shutil.rmtree(small.cache)
    monkeypatch.setenv("COURSE_DATA", str(folder))
    capsys.readouterr()
    return folder


def rewrite(folder, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["mnist"].update(changes)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def refill(folder, **arrays):
    """Put other arrays into the bundle, with the hash that belongs to them."""
    content = as_npz(arrays)
    (folder / "mnist.npz").write_bytes(content)
    rewrite(folder, sha256=hashlib.sha256(content).hexdigest())


def test_a_manifest_says_what_the_bundle_holds(own_bundle):
    manifest = json.loads((own_bundle / "manifest.json").read_text(encoding="utf-8"))
    entry = manifest["mnist"]
    assert manifest["format_version"] == 1
    assert entry["examples"] == {"train": 45, "test": 10} and entry["format"] == "npz"
    assert entry["classes"] == list("0123456789") and entry["licence"] and entry["source"]
    content = (own_bundle / entry["file"]).read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert sorted(path.name for path in own_bundle.iterdir()) == ["manifest.json", "mnist.npz"]


def test_a_bundle_can_be_written_twice_but_replaces_nothing(small, own_bundle, capsys):
    assert data.bundle(own_bundle, ["mnist"], sets(small)) == 0
    (own_bundle / "mnist.npz").write_bytes(b"somebody's own work")
    assert data.bundle(own_bundle, ["mnist"], sets(small)) == 1
    assert "exists and is different" in capsys.readouterr().out
    assert (own_bundle / "mnist.npz").read_bytes() == b"somebody's own work"


def test_other_data_sets_in_a_bundle_stay(small, own_bundle):
    path = own_bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"cifar10": {"file": "cifar10.npz"}}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert data.bundle(own_bundle, [], sets(small)) == 0
    assert json.loads(path.read_text(encoding="utf-8")) == manifest


def test_no_bundle_is_begun_without_the_data(small, server, tmp_path, capsys):
    server.answers = {}
    assert data.bundle(tmp_path / "bundle", [], sets(small)) == 1
    assert "the download failed" in capsys.readouterr().out
    assert not (tmp_path / "bundle").exists()


def test_a_bundle_without_the_data_set_is_passed_over(small, own_bundle, capsys):
    (own_bundle / "manifest.json").write_text('{"format_version": 1}', encoding="utf-8")
    assert data.load(small).source == "sample"
    assert capsys.readouterr().out.count("\n") == 1


def test_a_bundle_without_a_test_split_lends_the_last_tenth_of_train(
    small, own_bundle, digits, capsys
):
    refill(own_bundle, x_train=digits["x_train"], y_train=digits["y_train"])
    images = data.load(small)
    assert (images.source, images.variant) == ("bundle", "validation")
    x, y = digits["x_train"], digits["y_train"]
    assert_same(images, {"x_train": x[:41], "y_train": y[:41], "x_test": x[41:], "y_test": y[41:]})
    assert "41 training and 4 test images" in capsys.readouterr().out


def test_other_splits_than_the_official_ones_count_as_validation(small, own_bundle, digits, capsys):
    parts = {"x_train": slice(0, 30), "x_test": slice(30, 40)}
    arrays = {key: digits["x_train"][part] for key, part in parts.items()}
    arrays |= {key.replace("x", "y"): digits["y_train"][part] for key, part in parts.items()}
    refill(own_bundle, **arrays)
    manifest = json.loads((own_bundle / "manifest.json").read_text(encoding="utf-8"))
    del manifest["format_version"]
    (own_bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    images = data.load(small)
    assert images.variant == "validation"
    assert_same(images, arrays)
    assert "validation" in capsys.readouterr().out


def bad_hash(folder, digits):
    (folder / "mnist.npz").write_bytes(as_npz(digits) + b" ")


def missing_file(folder, digits):
    (folder / "mnist.npz").unlink()


def newer_format(folder, digits):
    (folder / "manifest.json").write_text('{"format_version": 2}', encoding="utf-8")


def no_manifest(folder, digits):
    (folder / "manifest.json").unlink()


def broken_manifest(folder, digits):
    (folder / "manifest.json").write_text('{"mnist": ', encoding="utf-8")


def list_as_manifest(folder, digits):
    (folder / "manifest.json").write_text("[]", encoding="utf-8")


def manifest_in_another_encoding(folder, digits):
    (folder / "manifest.json").write_bytes('{"n": "é"}'.encode("latin-1"))


def climbing_out(folder, digits):
    shutil.copy(folder / "mnist.npz", folder.parent / "mnist.npz")
    rewrite(folder, file="../mnist.npz")


def no_hash(folder, digits):
    rewrite(folder, sha256=None)


def pickled(folder, digits):
    refill(folder, **digits | {"y_test": np.array([print] * 10, dtype=object)})


def floats(folder, digits):
    refill(folder, **digits | {"x_train": digits["x_train"] / 255})


def too_few_labels(folder, digits):
    refill(folder, **digits | {"y_test": digits["y_test"][1:]})


def unknown_class(folder, digits):
    refill(folder, **digits | {"y_test": digits["y_test"] + np.uint8(10)})


def not_an_archive(folder, digits):
    (folder / "mnist.npz").write_bytes(b"not a zip")
    rewrite(folder, sha256=hashlib.sha256(b"not a zip").hexdigest())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_hash, "copy the bundle again"),
        (missing_file, "mnist.npz is missing"),
        (newer_format, "update the course"),
        (no_manifest, "there is no manifest.json"),
        (broken_manifest, "not readable JSON"),
        (list_as_manifest, "does not describe a bundle"),
        (manifest_in_another_encoding, "not readable JSON"),
        (climbing_out, "outside the bundle"),
        (no_hash, "no file and SHA-256"),
        (pickled, "plain arrays"),
        (floats, "not uint8"),
        (too_few_labels, "do not fit"),
        (unknown_class, "labels beyond 9"),
        (not_an_archive, "plain arrays"),
    ],
)
def test_a_spoilt_bundle_is_refused_in_a_sentence(small, own_bundle, digits, capsys, spoil, words):
    spoil(own_bundle, digits)
    assert_sample_instead(data.load(small), capsys.readouterr(), "the bundle in COURSE_DATA", words)
    assert data.verify([], sets(small)) == 1
    assert words in capsys.readouterr().out


# Commands


def test_unknown_names_are_answered_with_the_known_ones(tmp_path, capsys):
    for command in (data.fetch, data.verify, lambda names: data.bundle(tmp_path, names)):
        assert command(["mnits"]) == 1
        assert (
            capsys.readouterr().out
            == "There is no data set 'mnits'; choose from: mnist, fashion_mnist, cifar10.\n"
        )
    assert list(tmp_path.iterdir()) == []


def test_list_tells_where_the_data_is(small, own_bundle, capsys):
    assert data.list_sets(sets(small)) == 0
    printed = capsys.readouterr().out
    assert "mnist" in printed and "sample, bundle" in printed and "cache" not in printed
    assert data.fetch([], sets(small)) == 0
    (own_bundle / "manifest.json").unlink()
    assert data.list_sets(sets(small)) == 0
    assert "cache" in capsys.readouterr().out


def test_verify_is_content_with_sound_copies(small, own_bundle, capsys):
    assert data.verify(["mnist"], sets(small)) == 0
    assert "cache: none here" in capsys.readouterr().out
    assert data.fetch(["mnist"], sets(small)) == 0
    capsys.readouterr()
    assert data.verify([], sets(small)) == 0
    assert capsys.readouterr().out.count("as it should be") == 3


# How the sample is made


@pytest.fixture(scope="module")
def make_samples():
    path = ROOT / "tools" / "make_samples.py"
    if not path.is_file():
        pytest.skip("tools/ is not beside these tests")
    spec = importlib.util.spec_from_file_location("make_samples", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rounded_fractions_give_every_grey_level_back(make_samples):
    levels = np.resize(np.arange(256), 784)
    images = make_samples.to_images([round(level / 255, 3) for level in levels])
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images.reshape(-1), levels)


def test_a_fraction_between_two_grey_levels_is_refused(make_samples):
    with pytest.raises(ValueError, match="grey level"):
        make_samples.to_images([1.5 / 255] * 784)


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
    with tarfile.open(FULL_SETS / thinned.name) as full, tarfile.open(thinned, "w:xz") as few:
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
