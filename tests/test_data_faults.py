"""What can go wrong with a download, for every data set and address, on real local servers.

Whatever happens: no half or wrong file is ever used or left in the cache, nothing hangs, and one
line says what was wrong and what to do.
"""

import gzip
import hashlib
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from urllib.parse import urlsplit

import data_servers
import numpy as np
import pytest
from data_servers import DOWNLOADS
from test_data import assert_same, assert_sample_instead, sets

from course import data
from course.datasets import cifar, commands, downloads, recipes
from course.datasets.recipes import CIFAR10, FASHION_MNIST, IMDB, MNIST

pytestmark = pytest.mark.usefixtures("own_surroundings")
FETCH = "commands.fetch([], sets)"
LOAD = "sum(data.load(recipe).source != 'sample' for recipe in sets.values())"


@pytest.fixture
def impatient(monkeypatch):
    """Time limits that a test can wait for."""
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.25)
    monkeypatch.setattr(downloads, "CHUNK_SECONDS", 0.25)
    monkeypatch.setattr(downloads, "CHUNK_BYTES", 64)


def cached(recipe) -> list[str]:
    return sorted(path.name for path in recipe.cache.iterdir())


# Servers that misbehave


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (data_servers.not_found, "HTTP status 404"),
        (data_servers.internal_error, "HTTP status 500"),
        (data_servers.half_of_it, "broke off"),
        (data_servers.half_without_a_length, "bytes of"),
        (data_servers.told_shorter, "bytes of"),
        (data_servers.told_longer, "broke off"),
        (data_servers.wrong_bytes, "not the file that was expected"),
        (data_servers.login_page, "bytes of"),
        (data_servers.no_http, "no connection"),
        (data_servers.drop, "no connection"),
        (data_servers.redirect_to_itself, "redirects in a circle"),
        (data_servers.redirect_to_a_closed_port, "no connection"),
        (data_servers.redirect_to_a_file, "no address that starts with http"),
        (data_servers.silent, "no answer within"),
        (data_servers.stall_half_way, "no answer"),
        (data_servers.drip, "no answer within"),
        (data_servers.slowly, "kB a second"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.__name__,
)
def test_whatever_all_servers_do_the_lesson_goes_on(
    monkeypatch, impatient, internet, small, capsys, answer, words
):
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    monkeypatch.setenv("COURSE_MIRROR", internet.mirror.address)
    internet.misbehave(answer)
    start = time.perf_counter()
    images = data.load(small)
    assert time.perf_counter() - start < 1 + 0.8 * len(internet.servers)
    assert images.source == "sample"
    printed = capsys.readouterr()
    assert_sample_instead(small, printed, "the download failed", words)
    assert printed.out.count("\n") == 3, "the size, the fault, and what is used instead"
    assert all(server.asked for server in internet.servers), "an address was never tried"
    assert cached(small) == []
    internet.misbehave(None)
    assert_same(data.load(small), internet.arrays)


@pytest.mark.parametrize(
    "answer",
    [
        data_servers.internal_error,
        data_servers.half_of_it,
        data_servers.wrong_bytes,
        data_servers.drop,
    ],
    ids=lambda answer: answer.__name__,
)
def test_what_goes_wrong_once_is_tried_again(internet, small, answer):
    internet.misbehave(answer, only_first=True)
    assert commands.fetch([], sets(small)) == 0
    assert_same(data.load(small), internet.arrays)


def test_a_mirror_that_serves_at_its_second_chance_is_not_blamed(
    monkeypatch, internet, small, capsys
):
    monkeypatch.setenv("COURSE_MIRROR", internet.mirror.address)
    internet.misbehave(data_servers.not_found)
    internet.mirror.answer, internet.mirror.only_first = data_servers.internal_error, True
    assert commands.fetch([], sets(small)) == 0
    assert "COURSE_MIRROR" not in capsys.readouterr().out


def hosts_of(recipe):
    files = (file for files in recipe.alternatives for file in files)
    addresses = (address for file in files for address in file.addresses)
    return sorted({address.split("/")[2] for address in addresses})


@pytest.mark.parametrize(
    ("internet", "host"),
    [(recipe, host) for recipe in DOWNLOADS.values() for host in hosts_of(recipe)],
    indirect=["internet"],
    ids=lambda value: getattr(value, "name", value),
)
def test_each_host_alone_is_enough(internet, small, host, capsys):
    internet.misbehave(data_servers.not_found)
    internet.hosts[host].answer = None
    assert commands.fetch([], sets(small)) == 0
    images = data.load(small)
    assert (images.source, images.variant) == ("cache", "full")
    assert_same(images, internet.arrays)


def test_every_data_set_is_under_test():
    assert list(DOWNLOADS.values()) == [MNIST, FASHION_MNIST, CIFAR10, IMDB]


def test_a_redirect_to_another_server_is_followed_and_what_comes_is_verified(internet, small):
    elsewhere = data_servers.Server()
    elsewhere.files = {
        path: content
        for server in internet.hosts.values()
        for path, content in server.files.items()
    }
    internet.misbehave(lambda h: data_servers.redirect(h, f"{elsewhere.address}{h.path}"))
    assert commands.fetch([], sets(small)) == 0
    assert_same(data.load(small), internet.arrays)
    assert elsewhere.asked
    shutil.rmtree(small.cache)
    elsewhere.answer = data_servers.wrong_bytes
    assert commands.fetch([], sets(small)) == 1 and cached(small) == []
    elsewhere.close()


def test_a_server_that_sends_far_too_much_is_cut_off(internet, small, capsys):
    internet.misbehave(data_servers.far_too_long)
    assert commands.fetch([], sets(small)) == 1
    assert "sent more than" in capsys.readouterr().out
    assert cached(small) == []
    time.sleep(0.3)
    for server in internet.servers:
        assert not hasattr(server, "sent_all"), "20 MB were taken for a file of 200 kB"


def test_a_silent_host_is_asked_only_once(impatient, internet, small):
    internet.misbehave(data_servers.silent)
    assert commands.fetch([], sets(small)) == 1
    assert all(len(server.asked) == 1 for server in internet.hosts.values())


def test_right_files_with_other_content_than_expected_are_refused(
    monkeypatch, internet, small, capsys
):
    if small.official is None:
        other, words = replace(small, examples=(40, 10)), " instead of "
    else:
        other = replace(small, official=small.official | {"y_test": "0" * 64})
        words = "does not hold the official images"
    assert commands.fetch([], sets(other)) == 1
    assert words in capsys.readouterr().out
    assert cached(other) == []
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert data.load(other).source == "sample"
    assert_sample_instead(other, capsys.readouterr(), words, "update the course")


def truncated(files):
    whole = data_servers.as_archive(files)
    return whole[: len(whole) // 2]


def short_record(files):
    name = f"{cifar.FOLDER}/test_batch.bin"
    return data_servers.as_archive(files | {name: files[name][:-1]})


def label_11(files):
    name = f"{cifar.FOLDER}/data_batch_2.bin"
    return data_servers.as_archive(files | {name: b"\x0b" + files[name][1:]})


def climbing_out(files):
    return data_servers.as_archive(files, data_servers.tar_member("../../climbed", 5))


def link(files):
    member = data_servers.tar_member(f"{cifar.FOLDER}/link", 0, tarfile.SYMTYPE, "/etc")
    return data_servers.as_archive(files, member)


def pickled(files):
    return data_servers.as_npz({"x_train": np.array([print] * 3, dtype=object)})


def wrong_label(files):
    return data_servers.as_archive(files | {"aclImdb/train/neg/7_9.txt": b"I liked it"})


def bad_encoding(files):
    name = next(name for name in files if name.startswith("aclImdb/test/pos/"))
    return data_servers.as_archive(files | {name: "Très bien".encode("latin-1")})


def one_review_less(files):
    name = next(name for name in files if name.startswith("aclImdb/test/pos/"))
    return data_servers.as_archive({other: files[other] for other in files if other != name})


SPOILT = [
    (truncated, "it breaks off"),
    (climbing_out, "'../../climbed' reaches out of"),
    (link, "is no ordinary file"),
    (pickled, "it breaks off or is not a .tar.gz archive"),
]
SPOILT_PHOTOGRAPHS = [
    (short_record, "test_batch.bin' has 30,729 bytes instead of 30,730"),
    (label_11, "data_batch_2.bin has label 11"),
]
SPOILT_REVIEWS = [
    (wrong_label, "'aclImdb/train/neg/7_9.txt' has 9 stars, and reviews in neg have 1 to 4"),
    (bad_encoding, "is not text in UTF-8"),
    (one_review_less, "test/pos holds 4 reviews instead of 5"),
]


@pytest.mark.parametrize(
    ("internet", "spoil", "words"),
    [
        *((CIFAR10, *spoilt) for spoilt in SPOILT + SPOILT_PHOTOGRAPHS),
        *((IMDB, *spoilt) for spoilt in SPOILT + SPOILT_REVIEWS),
    ],
    indirect=["internet"],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "__name__", ""),
)
def test_a_spoilt_archive_is_refused_even_where_its_hash_is_the_one_expected(
    monkeypatch, internet, small, tmp_path, capsys, spoil, words
):
    files_in = {CIFAR10.name: data_servers.cifar_files, IMDB.name: data_servers.imdb_files}
    content = spoil(files_in[small.name](internet.arrays))
    assert fetch_file_with(internet, small, content) == 1
    (line,) = (line for line in capsys.readouterr().out.splitlines() if words in line)
    assert "was refused because" in line and "update the course" in line
    assert cached(small) == [] and [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("internet", [MNIST], indirect=True, ids=["mnist"])
def test_a_pickle_in_a_download_is_refused(internet, small, capsys):
    assert fetch_file_with(internet, small, pickled({})) == 1
    assert "is not a readable .npz file of plain arrays" in capsys.readouterr().out
    assert cached(small) == []


@pytest.mark.parametrize("internet", [FASHION_MNIST], indirect=True, ids=["fashion_mnist"])
@pytest.mark.parametrize(
    "content",
    [b"no idx", b"\0\0\x08", b"\0\0\x08\x03\0\0\0\x09", b"\0\0\x08\x01\0\0\0\x09too few"],
    ids=["text", "three-bytes", "half-a-header", "too-short"],
)
def test_what_is_no_idx_file_is_refused(internet, small, capsys, content):
    for packed in (content, gzip.compress(content)):
        assert fetch_file_with(internet, small, packed) == 1
        assert "is not a readable IDX file" in capsys.readouterr().out
        assert cached(small) == []


def fetch_file_with(internet, recipe, content) -> int:
    """Fetch a data set whose first file has this content, which is the one expected."""
    (first, *others), *_ = recipe.alternatives
    digest = hashlib.sha256(content).hexdigest()
    first = replace(first, size=len(content), sha256=digest)
    internet.hosts[next(iter(internet.hosts))].files[urlsplit(first.addresses[0]).path] = content
    return commands.fetch([], sets(replace(recipe, alternatives=((first, *others),))))


# Mirrors


def test_the_mirror_is_asked_first_and_alone(monkeypatch, internet, small, capsys):
    monkeypatch.setenv("COURSE_MIRROR", f"{internet.mirror.address}/")
    assert commands.fetch([], sets(small)) == 0
    names = [file.name for file in small.alternatives[0]]
    assert internet.asked == [f"/{small.name}/{name}" for name in names]
    assert "COURSE_MIRROR" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mirror", "words"),
    [
        ("our-server", "The mirror our-server failed (no address that starts with http://"),
        ("htp://our-server/", "our-server failed (no address that starts with http://"),
        ("http://[our-server/", "failed (no address that starts with http://"),
        ("http://127.0.0.1:1/wrong/port", "The mirror 127.0.0.1:1 failed (no connection)"),
        ("{mirror}/wrong/folder", "HTTP status 404"),
        ("http://me:secret@{host}/wrong", "The mirror 127.0.0.1:"),
    ],
)
def test_a_wrong_mirror_is_named_and_official_addresses_serve(
    monkeypatch, internet, small, capsys, mirror, words
):
    address = internet.mirror.address
    mirror = mirror.format(mirror=address, host=address.removeprefix("http://"))
    monkeypatch.setenv("COURSE_MIRROR", mirror)
    assert commands.fetch([], sets(small)) == 0
    assert_same(data.load(small, quiet=True), internet.arrays)
    printed = capsys.readouterr().out
    assert words in printed and "secret" not in printed
    assert printed.count("check COURSE_MIRROR") == 1


def test_a_wrong_mirror_is_among_the_reasons_where_nothing_serves(
    monkeypatch, internet, small, capsys
):
    monkeypatch.setenv("COURSE_MIRROR", "our-server")
    internet.misbehave(data_servers.not_found)
    assert commands.fetch([], sets(small)) == 1
    assert "our-server: no address that starts with http" in capsys.readouterr().out


# No network


@pytest.mark.parametrize("mirror", [None, "http://mirror.example"])
def test_without_a_network_the_sample_comes_at_once(monkeypatch, internet, capsys, mirror):
    """The official recipe itself, on a machine where no name can be looked up."""

    def no_name(*arguments, **named):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    if mirror is not None:
        monkeypatch.setenv("COURSE_MIRROR", mirror)
    official = recipes.SETS[internet.recipe.name]
    start = time.perf_counter()
    assert data.load(official).source == "sample"
    assert time.perf_counter() - start < 2
    assert_sample_instead(official, capsys.readouterr(), "no connection")


def test_a_look_up_that_hangs_does_not_hang_the_lesson(monkeypatch, impatient, internet, capsys):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: time.sleep(3))
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    official = recipes.SETS[internet.recipe.name]
    start = time.perf_counter()
    assert data.load(official).source == "sample"
    assert time.perf_counter() - start < 2
    assert_sample_instead(official, capsys.readouterr(), "no answer within")


# Other processes; disks that are full or cannot be written


def in_another_process(tmp_path, recipes, work, *, before=()):
    """A process that works on these recipes; its status is what the expression `work` gives."""
    (tmp_path / "sets.pickle").write_bytes(pickle.dumps({r.name: r for r in recipes}))
    code = (
        "import pickle, sys; from course import data; from course.datasets import commands;"
        f" sets = pickle.load(open({str(tmp_path / 'sets.pickle')!r}, 'rb')); sys.exit({work})"
    )
    return subprocess.Popen(
        [*before, sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def test_two_processes_that_fetch_at_once_both_have_it(internet, small, tmp_path, capsys):
    def send_when_both_have_asked(handler):
        data_servers.send(handler, b"", len(handler.whole))
        handler.wfile.flush()
        while len(internet.asked) < 2 and time.perf_counter() < deadline:
            time.sleep(0.01)
        handler.wfile.write(handler.whole)

    deadline = time.perf_counter() + 15
    internet.misbehave(send_when_both_have_asked)
    pair = [in_another_process(tmp_path, [small], FETCH) for _ in range(2)]
    for process in pair:
        printed, _ = process.communicate(timeout=30)
        assert process.returncode == 0 and "Traceback" not in printed, printed
    first, second = internet.asked[:2]
    assert first == second, "they were not at work on the same file at once"
    assert_same(data.load(small), internet.arrays)
    assert len(cached(small)) == len(small.alternatives[0])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_process_killed_half_way_spoils_nothing(internet, small, tmp_path, capsys):
    internet.misbehave(data_servers.stall_half_way)
    process = in_another_process(tmp_path, [small], FETCH)
    deadline = time.perf_counter() + 20
    while not (small.cache.is_dir() and any(path.stat().st_size for path in half_files(small))):
        assert time.perf_counter() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate(timeout=10)
    (half,) = half_files(small)
    assert half.stat().st_size > 0
    assert data.load(small).source == "sample", "half a file was taken for the data set"
    internet.misbehave(None)
    assert commands.fetch([], sets(small)) == 0
    assert_same(data.load(small), internet.arrays)
    assert half.exists(), "it might belong to a process that is still at work"
    os.utime(half, (time.time() - 7200,) * 2)
    (small.cache / small.alternatives[0][0].name).unlink()
    assert commands.fetch([], sets(small)) == 0
    assert cached(small) == sorted(file.name for file in small.alternatives[0])


def half_files(recipe):
    return list(recipe.cache.glob("tmp*"))


@pytest.fixture
def all_small():
    """Each data set in a small form, all of them at once."""
    small_internets = [data_servers.Internet(recipe) for recipe in DOWNLOADS.values()]
    yield [internet.recipe for internet in small_internets]
    for internet in small_internets:
        internet.close()


def in_own_namespace(option: str, *command: str) -> tuple[str, ...]:
    """The beginning of a command with a view of its own of mounts (-m) or of the network (-n)."""
    unshare = shutil.which("unshare")
    allowed = unshare and subprocess.run([unshare, option, "true"], capture_output=True)
    if not allowed or allowed.returncode:
        pytest.skip("this system lets no process have a namespace of its own")
    return (unshare, option, *command)


@pytest.mark.parametrize(
    ("options", "words"),
    [("size=16k", "No space left on device"), ("ro", "Read-only file system")],
    ids=["full", "read-only"],
)
def test_a_real_disk_that_is_full_or_read_only_is_told(
    monkeypatch, all_small, tmp_path, options, words
):
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    (tmp_path / "cache").mkdir()
    script = f'mount -t tmpfs -o {options} none $COURSE_CACHE && "$@" && find $COURSE_CACHE -type f'
    before = in_own_namespace("-rm", "sh", "-c", script, "sh")
    process = in_another_process(tmp_path, all_small, LOAD, before=before)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert printed.count(f"cannot be written ({words})") == len(all_small)
    assert printed.count("make room, or name another folder in COURSE_CACHE") == len(all_small)
    assert printed.count("Used instead: the sample") == len(all_small)
    assert "Traceback" not in printed
    assert printed.endswith("course data fetch imdb\n"), "something was left on the disk"


def test_without_a_network_the_command_says_so_and_what_to_do(tmp_path):
    """A process that has no network at all asks the real addresses."""
    before = in_own_namespace("-rn")
    start = time.perf_counter()
    process = in_another_process(tmp_path, recipes.SETS.values(), FETCH, before=before)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and time.perf_counter() - start < 15
    assert "To download: 296.5 MB (mnist 11.5, " in printed
    for recipe in DOWNLOADS.values():
        (line,) = (line for line in printed.splitlines() if line.startswith(f"{recipe.title}: the"))
        assert "no connection" in line and "try again later, or set COURSE_MIRROR" in line
    assert "Traceback" not in printed


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is one of Unix")
def test_a_file_that_cannot_grow_leaves_no_half_of_it(internet, small, tmp_path, capsys):
    import resource  # noqa: TID251

    def limited(work):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            return work()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert limited(lambda: commands.fetch([], sets(small))) == 1
    assert "cannot be written" in capsys.readouterr().out
    assert cached(small) == []
    assert commands.fetch([], sets(small)) == 0
    folder = tmp_path / "bundle"
    assert limited(lambda: commands.bundle(folder, [], sets(small))) == 1
    assert f"{folder} cannot be written" in capsys.readouterr().out
    assert list(folder.iterdir()) == []


def test_a_cache_with_a_file_in_the_way_is_told(monkeypatch, small, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert data.load(small).source == "sample"
    assert_sample_instead(small, capsys.readouterr(), "cannot be written", "COURSE_CACHE")
    assert commands.fetch([], sets(small)) == 1


@pytest.mark.parametrize("name", ["x" * 300, "missing", "file"])
def test_a_cache_or_bundle_folder_that_is_none_stops_nothing(
    monkeypatch, small, tmp_path, capsys, name
):
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / name))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / name))
    assert data.load(small).source == "sample"
    assert_sample_instead(small, capsys.readouterr(), "manifest.json")
    assert commands.list_sets(sets(small)) == 0
    assert "unreadable" in capsys.readouterr().out
    assert commands.verify([], sets(small)) == 1
    monkeypatch.delenv("COURSE_DATA")
    assert commands.fetch([], sets(small)) == (0 if name == "missing" else 1)


# What is in the cache


def test_a_damaged_cache_is_told_and_fetch_mends_it(internet, small, capsys):
    assert commands.fetch([], sets(small)) == 0
    with (small.cache / small.alternatives[0][0].name).open("r+b") as file:
        file.seek(500)
        file.write(b"damage")
    capsys.readouterr()
    assert data.load(small).source == "sample"
    assert_sample_instead(small, capsys.readouterr(), "is damaged; mend it with")
    assert commands.verify([], sets(small)) == 1
    assert f"mend it with: course data fetch {small.name}" in capsys.readouterr().out
    assert commands.fetch([], sets(small)) == 0
    assert_same(data.load(small), internet.arrays)


@pytest.mark.parametrize(
    "internet", [MNIST, FASHION_MNIST], indirect=True, ids=["mnist", "fashion"]
)
def test_all_but_one_of_several_files_is_no_data_set(small):
    several = small.alternatives[-1]
    assert downloads.fetch_any([several[:-1]], small.cache)
    assert data.load(small).source == "sample"


def test_a_folder_in_place_of_a_file_is_told(monkeypatch, small, capsys):
    (small.cache / small.alternatives[0][0].name).mkdir(parents=True)
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert data.load(small).source == "sample"
    assert "Traceback" not in capsys.readouterr().out
