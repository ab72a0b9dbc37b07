"""The two formats of samples and bundles: arrays in an .npz file, texts in lines of JSON.

A line of JSON is a text with its label, {"split": "train", "text": "…", "label": 1}, a document
with its sentences in order, {"split": "train", "sentences": ["…", "…"]}, or a text with its
translation, {"split": "train", "source": "…", "target": "…"}.  Samples are packed (.jsonl.xz).
"""

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from course.datasets.downloads import DataError

# Keys are x_train, y_train, x_test, y_test; texts and documents are lists in place of x_…, and
# documents have no labels.
Arrays = dict[str, np.ndarray | list]
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
SPLITS = ("train", "test")
PAIR = ("split", "source", "target")
HIGHEST_LABEL = 255
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def read(path: Path) -> Arrays:
    """What is in a file of either format; nothing is unpickled.

    Raises:
        DataError: The file is damaged or in another format.
    """
    return read_npz(path) if path.suffix == ".npz" else read_texts(path)


def write(path: Path, arrays: Arrays) -> None:
    """Write a file in the format of its name; only an .npz file holds "classes" too."""
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        write_texts(path, arrays)


def read_npz(path: Path) -> Arrays:
    """All arrays of an .npz file; nothing is unpickled.

    Raises:
        DataError: The file is damaged or holds something else than plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except UNREADABLE as error:
        raise DataError(f"{path.name} is not a readable .npz file of plain arrays") from error


def read_texts(path: Path) -> Arrays:
    """The texts and labels, or the documents, of a file of lines of JSON, packed or not.

    A split of which there is no line is left out.

    Raises:
        DataError: The file is damaged, or a line of it is neither a text nor a document.
    """
    arrays: dict[str, list] = {}
    for number, row in enumerate(_rows(path), start=1):
        split = row.get("split") if isinstance(row, dict) else None
        if split not in SPLITS or not (_is_text(row) or _is_document(row)):
            raise DataError(
                f"line {number} of {path.name} has no split with a text and its label, or with"
                " sentences; make it again"
            )
        arrays.setdefault(f"x_{split}", []).append(row.get("text", row.get("sentences")))
        if "label" in row:
            arrays.setdefault(f"y_{split}", []).append(row["label"])
    return {
        key: np.array(part, np.uint8) if key.startswith("y") else part
        for key, part in arrays.items()
    }


def read_pairs(path: Path) -> Arrays:
    """The texts (x_…) and translations (y_…) of a file of lines of JSON; absent splits left out.

    Raises:
        DataError: The file is damaged, or a line of it is no text with its translation.
    """
    arrays: dict[str, list] = {}
    for number, row in enumerate(_rows(path), start=1):
        texts = [row.get(key) for key in PAIR] if isinstance(row, dict) else []
        if not all(isinstance(text, str) for text in texts) or texts[:1] not in (
            ["train"],
            ["test"],
        ):
            raise DataError(
                f"line {number} of {path.name} has no split with a source and a target; make it"
                " again"
            )
        split, source, target = texts
        arrays.setdefault(f"x_{split}", []).append(source)
        arrays.setdefault(f"y_{split}", []).append(target)
    return arrays


def write_texts(path: Path, arrays: Arrays) -> None:
    """Write texts and labels, or documents, as lines of JSON, packed where the name ends in .xz."""
    lines = []
    for split in SPLITS:
        labels = arrays.get(f"y_{split}")
        for place, content in enumerate(arrays.get(f"x_{split}", ())):
            row = {"sentences": content}
            if labels is not None:
                row = {"text": content, "label": int(labels[place])}
            lines.append(json.dumps({"split": split, **row}, ensure_ascii=False) + "\n")
    content = "".join(lines).encode("utf-8")
    if path.suffix == ".xz":
        import lzma

        content = lzma.compress(content, preset=9)
    path.write_bytes(content)


def _rows(path: Path) -> Iterator[Any]:
    """What the lines of a file say, one after the other."""
    unpack, unreadable = bytes, UNREADABLE
    if path.suffix == ".xz":
        try:
            import lzma  # missing where Python was built without it
        except ImportError:
            raise DataError(
                f"{path.name} cannot be unpacked, because this Python was built without lzma; use"
                " the Python of your system, of python.org or of uv"
            ) from None
        unpack, unreadable = lzma.decompress, (*UNREADABLE, lzma.LZMAError)
    try:
        for line in unpack(path.read_bytes()).decode("utf-8").split("\n"):
            if line.strip():
                yield json.loads(line)
    except unreadable as error:
        raise DataError(f"{path.name} is not a readable file of lines of JSON") from error


def _is_text(row: dict[str, Any]) -> bool:
    label = row.get("label")
    known = isinstance(label, int) and not isinstance(label, bool) and 0 <= label <= HIGHEST_LABEL
    return known and isinstance(row.get("text"), str)


def _is_document(row: dict[str, Any]) -> bool:
    sentences = row.get("sentences")
    return (
        row.keys() == {"split", "sentences"}
        and isinstance(sentences, list)
        and all(isinstance(sentence, str) for sentence in sentences)
    )
