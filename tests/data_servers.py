"""Small stand-ins for the official data sets, and web servers on this machine that misbehave."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np

from course.datasets import cifar, imdb, sources
from course.datasets.downloads import RemoteFile
from course.datasets.files import ARRAYS, Arrays
from course.datasets.recipes import SETS, Recipe

EXAMPLES = (50, 10)
DOWNLOADS = {name: recipe for name, recipe in SETS.items() if recipe.alternatives}


class Handler(BaseHTTPRequestHandler):
    """Answers a request as its server says; `whole` is what ought to be sent."""

    def do_GET(self):
        server: Server = self.server
        server.asked.append(self.path)
        self.whole = server.files.get(self.path)
        answer = server.answer
        if answer is None or (server.only_first and server.asked.count(self.path) > 1):
            answer = send if self.whole is not None else not_found
        with suppress(ConnectionError):
            answer(self)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    """A web server on this machine, already listening.

    Attributes:
        files: What it has, by path.
        asked: The paths asked for, in order.
        answer: Where set, what it does instead of sending a file: a function of the handler.
        only_first: Whether it does so at the first request for a path alone.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.answer: Callable[[Handler], None] | None = None
        self.only_first = False
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Internet:
    """A small data set in the form of an official one, and servers in place of those that offer it.

    Attributes:
        arrays: What the data set holds: uint8 arrays, and for texts lists of them.
        recipe: Its recipe, with the addresses of these servers.
        mirror: A server for `COURSE_MIRROR`, which has all of it.
        hosts: The other servers, by the name of the official host in whose place they stand.
    """

    def __init__(self, official: Recipe):
        self.arrays = small_arrays(official)
        self.mirror = Server()
        self.hosts: dict[str, Server] = {}
        alternatives = []
        for files in official.alternatives:
            contents = small_files(files, self.arrays)
            pairs = zip(files, contents, strict=True)
            alternatives.append(tuple(self._offer(official.name, *pair) for pair in pairs))
        self.recipe = replace(official, examples=EXAMPLES, alternatives=tuple(alternatives))
        if official.official is not None:
            prints = {key: sources.fingerprint(array) for key, array in self.arrays.items()}
            self.recipe = replace(self.recipe, official=prints)

    def _offer(self, name: str, file: RemoteFile, content: bytes) -> RemoteFile:
        self.mirror.files[f"/{name}/{file.name}"] = content
        addresses = []
        for address in file.addresses:
            parts = urlsplit(address)
            if parts.netloc not in self.hosts:
                self.hosts[parts.netloc] = Server()
            server = self.hosts[parts.netloc]
            server.files[parts.path] = content
            addresses.append(server.address + parts.path)
        digest = hashlib.sha256(content).hexdigest()
        return RemoteFile(file.name, len(content), digest, tuple(addresses))

    @property
    def servers(self) -> list[Server]:
        return [self.mirror, *self.hosts.values()]

    @property
    def asked(self) -> list[str]:
        """The paths that were asked for, server by server."""
        return [path for server in self.servers for path in server.asked]

    def misbehave(self, answer: Callable[[Handler], None] | None, only_first: bool = False) -> None:
        """Let every server answer this way; None: properly."""
        for server in self.servers:
            server.answer, server.only_first = answer, only_first
            server.asked.clear()

    def close(self) -> None:
        for server in self.servers:
            server.close()


def small_arrays(recipe: Recipe) -> Arrays:
    """Random images and labels of the recipe's form, or as many positive texts as negative ones."""
    if recipe.image_shape is None:
        return small_texts()
    rng = np.random.default_rng(7)
    arrays = {}
    for split, count in zip(("train", "test"), EXAMPLES, strict=True):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, *recipe.image_shape), dtype=np.uint8)
        arrays[f"y_{split}"] = rng.integers(0, len(recipe.classes), count, dtype=np.uint8)
    return arrays


def small_texts() -> Arrays:
    """Reviews, no two alike, in the order of their SHA-256, and long: an archive is not tiny."""
    rng = np.random.default_rng(7)
    words = ["a", "dull", "film", "Très", "touché!", "<br />", "“fine”", "看了", "10/10"]
    arrays = {}
    for split, count in zip(("train", "test"), EXAMPLES, strict=True):
        labelled = []
        for number in range(count):
            opening = " ".join(rng.choice(words, 8))
            labelled.append((f"{opening} {split} {number} {rng.bytes(500).hex()}", number % 2))
        labelled.sort(key=lambda pair: hashlib.sha256(pair[0].encode("utf-8")).digest())
        arrays[f"x_{split}"] = [text for text, _ in labelled]
        arrays[f"y_{split}"] = np.array([label for _, label in labelled], np.uint8)
    return arrays


def small_files(files: Sequence[RemoteFile], arrays: Arrays) -> list[bytes]:
    """These arrays in the formats of the official files."""
    if isinstance(arrays["x_train"], list):
        return [as_archive(imdb_files(arrays))]
    if files[0].name.endswith(".tar.gz"):
        return [as_archive(cifar_files(arrays))]
    if files[0].name.endswith(".npz"):
        return [as_npz(arrays)]
    return [as_idx(arrays[key]) for key in ARRAYS]


def as_npz(arrays: Arrays) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def as_idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


def cifar_files(arrays: Arrays) -> dict[str, bytes]:
    """Content of each file of CIFAR-10's archive, by its name in there."""
    x, y = arrays["x_train"], arrays["y_train"]
    each = len(x) // len(cifar.TRAIN_BATCHES)
    files = {
        name: batch(x[number * each :][:each], y[number * each :][:each])
        for number, name in enumerate(cifar.TRAIN_BATCHES)
    }
    files["test_batch.bin"] = batch(arrays["x_test"], arrays["y_test"])
    files["batches.meta.txt"] = b"airplane\nautomobile\n"
    return {f"{cifar.FOLDER}/{name}": content for name, content in files.items()}


def imdb_files(arrays: Arrays) -> dict[str, bytes]:
    """Content of each file of IMDB's archive, by its name in there."""
    files = {"README": b"how to cite", "imdb.vocab": b"the and", "train/labeledBow.feat": b"9 0:9"}
    for split in ("train", "test"):
        for number, text in enumerate(arrays[f"x_{split}"]):
            label, stars = (("neg", "2"), ("pos", "10"))[arrays[f"y_{split}"][number]]
            files[f"{split}/{label}/{number}_{stars}.txt"] = text.encode("utf-8")
    files["train/unsup/0_0.txt"] = b"nobody labelled this"
    return {f"{imdb.FOLDER}/{name}": content for name, content in files.items()}


def batch(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Records of CIFAR-10, written piece by piece: the label, then all red, green and blue."""
    content = bytearray()
    for image, label in zip(images, labels, strict=True):
        content.append(label)
        for colour in range(3):
            for row in range(32):
                content += bytes(image[row, column, colour] for column in range(32))
    return bytes(content)


def as_archive(files: dict[str, bytes], *members: tarfile.TarInfo) -> bytes:
    """A .tar.gz of these files, then of further members, whose content is zeros."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        folder = tarfile.TarInfo(next(iter(files), cifar.FOLDER).partition("/")[0])
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            archive.addfile(tar_member(name, len(content)), io.BytesIO(content))
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return packed.getvalue()


def tar_member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = ""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member


# What a server may do. Each is a function of the handler.


def send(handler: Handler, body: bytes | None = None, length: int | None = None, status: int = 200):
    """Send the file that ought to be sent, or another body; tell this length of it, or its own."""
    body = handler.whole if body is None else body
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def not_found(handler):
    send(handler, b"no such file", status=404)


def internal_error(handler):
    send(handler, b"try later", status=500)


def half_of_it(handler):
    send(handler, handler.whole[: len(handler.whole) // 2], len(handler.whole))


def half_without_a_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(handler.whole[: len(handler.whole) // 2])


def told_shorter(handler):
    send(handler, length=len(handler.whole) // 2)


def told_longer(handler):
    send(handler, length=2 * len(handler.whole))


def wrong_bytes(handler):
    send(handler, handler.whole[:-1] + bytes([handler.whole[-1] ^ 1]))


def login_page(handler):
    send(handler, b"<html>Log in to this network</html>")


def no_http(handler):
    handler.wfile.write(b"220 mail server\r\n")


def far_too_long(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(bytes(20_000))
    handler.server.sent_all = True


def drop(handler):
    handler.connection.close()


def redirect(handler, target: str):
    handler.send_response(302)
    handler.send_header("Location", target)
    handler.end_headers()


def redirect_to_itself(handler):
    redirect(handler, handler.path)


def redirect_to_a_closed_port(handler):
    redirect(handler, "http://127.0.0.1:1/")


def redirect_to_a_file(handler):
    redirect(handler, "file:///etc/hosts")


def silent(handler):
    time.sleep(3)


def stall_half_way(handler):
    half_of_it(handler)
    handler.wfile.flush()
    time.sleep(3)


def drip(handler, pause: float = 0.02, piece: int = 1):
    """Send a piece now and then, for three seconds at most."""
    handler.send_response(200)
    handler.end_headers()
    for start in range(0, min(len(handler.whole), int(3 / pause) * piece), piece):
        handler.wfile.write(handler.whole[start : start + piece])
        time.sleep(pause)


def slowly(handler):
    drip(handler, piece=64)
