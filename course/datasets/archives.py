"""Archives read in memory, file after file: nothing of them is ever unpacked on disk."""

import gzip
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from course.datasets.downloads import DataError
from course.datasets.files import UNREADABLE

CHUNK_BYTES = 64 * 1024


class Unwanted(Exception):
    """Why a file of an archive is refused, as the end of a sentence that begins with its name."""


def read(
    path: Path, is_wanted: Callable[[PurePosixPath, int], bool]
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Place and content of each wanted file, one at a time; anything suspicious is refused unread.

    Args:
        path: The archive, a .tar.gz file.
        is_wanted: Place and length in bytes of a file → whether to read it.  It raises Unwanted
            where the archive must not hold such a file.

    Raises:
        DataError: The archive is damaged, incomplete, or holds a file that it must not hold.
    """
    seen = set()
    try:
        with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                place = PurePosixPath(member.name)
                try:
                    _check(member, place)
                    wanted = member.isreg() and is_wanted(place, member.size)
                except Unwanted as reason:
                    raise refusal(path, f"{member.name!r} {reason}") from None
                if place in seen:
                    raise refusal(path, f"{member.name!r} is in it twice")
                seen.add(place)
                if wanted:
                    yield place, archive.extractfile(member).read()
            while unpacked.read(CHUNK_BYTES):
                pass  # the check sum stands at the very end
    except (*UNREADABLE, tarfile.TarError) as error:
        raise refusal(path, "it breaks off or is not a .tar.gz archive") from error


def _check(member: tarfile.TarInfo, place: PurePosixPath) -> None:
    if place.is_absolute() or ".." in place.parts or set("\\:") & set(member.name):
        raise Unwanted("reaches out of the archive's folder")
    if not (member.isreg() or member.isdir()):
        raise Unwanted("is no ordinary file")


def refusal(path: Path, reason: str) -> DataError:
    """The error that says why an archive is refused."""
    return DataError(f"{path.name} was refused because {reason}; update the course")
