"""Verified downloads: several addresses, known hashes, never a half file, no stack trace."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

ANSWER_SECONDS = 5
CHUNK_SECONDS = 20
CHUNK_BYTES = 16 * 1024
SLOWEST_BYTES_PER_SECOND = 10_000
ROUNDS = 2
ABANDONED_SECONDS = 3600


class DataError(Exception):
    """A data set cannot be had from somewhere; the message is a sentence for people."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that the network offers at several addresses, and how to know it.

    Attributes:
        name: File name, in the cache and on an institution's mirror.
        size: Length in bytes.
        sha256: SHA-256 of the content, hexadecimal.
        addresses: Official addresses, tried in this order after the mirror's.
    """

    name: str
    size: int
    sha256: str
    addresses: tuple[str, ...]


class _Fault(Exception):
    """What went wrong at one address."""


class _Silent(_Fault):
    """The host kept us waiting, so it is not asked again."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions and the disk"
        ) from error


def is_complete(files: Sequence[RemoteFile], folder: Path) -> bool:
    """Whether every file is in the folder with the content that it should have."""
    return all(
        os.path.isfile(folder / file.name) and sha256_of(folder / file.name) == file.sha256
        for file in files
    )


def fetch_any(alternatives: Sequence[Sequence[RemoteFile]], folder: Path) -> Sequence[RemoteFile]:
    """Download one of several sets of files that hold the same data; return the one that came.

    The mirror is asked first; a line says where it failed and an official address served.  Each
    address of a file gets a second chance after the others had their first, unless its host kept
    us waiting.

    Raises:
        DataError: No set could be had completely, or the folder cannot be written.
    """
    faults: dict[str, _Fault] = {}
    _clear(folder)
    for files in alternatives:
        if all(_fetch(file, folder, faults) for file in files):
            mirror = mirror_address(folder.name, files[0])
            if mirror is not None and _host(mirror) in faults:
                print(
                    f"The mirror {_host(mirror)} failed ({faults[_host(mirror)]}), and an official"
                    " address served: check COURSE_MIRROR."
                )
            return files
    reasons = "; ".join(f"{host}: {fault}" for host, fault in faults.items())
    raise DataError(f"the download failed ({reasons})")


def mirror_address(name: str, file: RemoteFile) -> str | None:
    """Where an institution's mirror has a file of the data set `name`; None without a mirror.

    `COURSE_MIRROR` is the address of a copy of the whole cache: each data set has a folder.
    """
    mirror = os.environ.get("COURSE_MIRROR", "").rstrip("/")
    return f"{mirror}/{name}/{file.name}" if mirror else None


def _clear(folder: Path) -> None:
    """Remove what a killed download left behind; a living one has just written to its file."""
    with suppress(OSError):
        for path in folder.glob("tmp*"):
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()


def _host(address: str) -> str:
    """The name to show for an address, without a password that stands in it."""
    name = address.partition("/")[0]
    with suppress(ValueError):
        name = urlsplit(address).netloc.rpartition("@")[2] or name
    return name


def _fetch(file: RemoteFile, folder: Path, faults: dict[str, _Fault]) -> bool:
    """Bring a file into the folder from the first address that has it; note faults by host."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    mirror = mirror_address(folder.name, file)
    addresses = file.addresses if mirror is None else (mirror, *file.addresses)
    for address in addresses * ROUNDS:
        host = _host(address)
        if isinstance(faults.get(host), _Silent):
            continue
        try:
            downloader = partial(_save, size=file.size, name=file.name)
            pooch.retrieve(address, f"sha256:{file.sha256}", file.name, folder, None, downloader)
            faults.pop(host, None)  # it works after all
            return True
        except _Fault as fault:
            faults[host] = fault
        except ValueError:
            faults[host] = _Fault(f"{file.name} there is not the file that was expected")
        except OSError as error:
            raise DataError(
                f"the folder {folder} cannot be written ({error.strerror or error}); make room,"
                " or name another folder in COURSE_CACHE"
            ) from error
    return False


def _save(address: str, output: str, _pooch: object, *, size: int, name: str) -> None:
    """Write what the address sends to a file, with a progress bar; the form that pooch calls."""
    from tqdm.auto import tqdm

    received, start = 0, time.monotonic()
    with (
        open(output, "wb") as file,
        tqdm(total=size, unit="B", unit_scale=True, desc=name, leave=False, delay=1) as bar,
    ):
        for chunk in _chunks(address):
            received += len(chunk)
            if received > size:
                break
            file.write(chunk)
            bar.update(len(chunk))
            seconds = time.monotonic() - start
            if seconds > CHUNK_SECONDS and received < seconds * SLOWEST_BYTES_PER_SECOND:
                raise _Silent(f"sent only {received / seconds / 1000:.1f} kB a second")
    if received != size:
        sent = f"more than {size:,}" if received > size else f"{received:,} of {size:,}"
        raise _Fault(f"sent {sent} bytes of {name}")


def _chunks(address: str) -> Iterator[bytes]:
    """What the address sends, piece by piece, with a limit on the wait for each piece.

    A thread does the asking: the time-outs of the socket bound neither the look-up of a name, nor
    the sum over a host's many addresses, nor a server that sends one byte now and then.
    """
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    pieces: SimpleQueue[bytes | Exception | None] = SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_receive, args=(address, pieces, stop), daemon=True).start()
    patience = ANSWER_SECONDS
    try:
        while True:
            piece = pieces.get(timeout=patience)
            if isinstance(piece, RequestException | HTTPError):
                raise _fault(piece) from piece
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                return
            patience = CHUNK_SECONDS
            yield piece
    except Empty:
        raise _Silent(f"no answer within {patience} s") from None
    finally:
        stop.set()


def _receive(address: str, pieces: SimpleQueue, stop: threading.Event) -> None:
    """Put an empty piece once the server answers, then what it sends, then None."""
    import requests

    try:
        with requests.get(
            address,
            stream=True,
            timeout=(ANSWER_SECONDS, CHUNK_SECONDS),
            headers={"Accept-Encoding": "identity"},
        ) as response:
            response.raise_for_status()
            pieces.put(b"")
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                if stop.is_set():
                    return
                pieces.put(chunk)
        pieces.put(None)
    except Exception as error:  # handed to the thread that waits, which raises it
        pieces.put(error)


def _fault(error: Exception) -> _Fault:
    """A few words for an error of requests or urllib3."""
    import requests
    from urllib3.exceptions import TimeoutError as SocketTimeout

    if isinstance(error, requests.Timeout | SocketTimeout):
        return _Silent("no answer in time")
    if isinstance(error, requests.HTTPError):
        return _Fault(f"HTTP status {error.response.status_code}")
    if isinstance(error, requests.exceptions.SSLError):
        return _Fault("its certificate is not trusted here")
    if isinstance(error, requests.ConnectionError):
        return _Fault("no connection")
    if isinstance(error, requests.TooManyRedirects):
        return _Fault("redirects in a circle")
    invalid = requests.exceptions
    if isinstance(error, invalid.InvalidURL | invalid.MissingSchema | invalid.InvalidSchema):
        return _Fault("no address that starts with http:// or https://")
    if isinstance(error, requests.RequestException):
        return _Fault(f"the request was impossible ({type(error).__name__})")
    return _Fault("the connection broke off")
