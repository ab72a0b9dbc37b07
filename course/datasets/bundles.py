"""Offline bundles: a folder with data files and a manifest.json that says what they are.

The manifest has "format_version" and, for each data set by its name, "file", "format", "examples"
(per split), "classes", "licence", "source" and "sha256".  A manifest without a version is read as
version 1; "file" and "sha256" are what reading needs, the rest is for people.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from course.datasets import files
from course.datasets.downloads import DataError, sha256_of
from course.datasets.files import Arrays

FORMAT_VERSION = 1
MANIFEST = "manifest.json"


def read(folder: Path, name: str, reader: Callable[[Path], Arrays] = files.read) -> Arrays | None:
    """The arrays of a data set in a bundle, or None where the bundle does not hold it.

    reader: reads its file.

    Raises:
        DataError: The bundle is damaged, incomplete, or of a newer format.
    """
    entry = read_manifest(folder).get(name)
    if entry is None:
        return None
    path = _file_of(folder, name, entry)
    if sha256_of(path) != entry["sha256"]:
        raise DataError(f"{path.name} is not as {MANIFEST} describes it; copy the bundle again")
    arrays = reader(path)
    if "classes" in entry:
        arrays.setdefault("classes", entry["classes"])  # beside texts only the manifest has them
    return arrays


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a bundle's manifest says.

    Raises:
        DataError: There is no manifest, or none that this version of the course can read.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"there is no {MANIFEST} in {folder}; name the folder that has one"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{MANIFEST} is not readable JSON; copy the bundle again") from error
    if not isinstance(manifest, dict):
        raise DataError(f"{MANIFEST} does not describe a bundle; copy the bundle again")
    version = manifest.get("format_version", 1)
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise DataError(
            f"it has format {version!r}, and this course reads up to format {FORMAT_VERSION};"
            " update the course (git pull)"
        )
    return manifest


def _file_of(folder: Path, name: str, entry: Any) -> Path:
    """The path of a data set's file, which must lie in the bundle itself."""
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(key), str) for key in ("file", "sha256")
    ):
        raise DataError(f"{MANIFEST} gives no file and SHA-256 for {name}; make the bundle again")
    file = entry["file"]
    if any(mark in file for mark in "/\\:") or file in ("", ".", ".."):
        raise DataError(f"{MANIFEST} names {file!r}, which is outside the bundle; do not trust it")
    path = folder / file
    if not os.path.isfile(path):
        raise DataError(f"{file} is missing; copy the bundle again")
    return path


def write(folder: Path, name: str, arrays: Arrays, facts: dict[str, Any]) -> Path:
    """Add a data set to a bundle, making the bundle where there is none; return the file's path.

    Images become an .npz file, texts a .jsonl file.

    What is in the folder is never replaced: a file of that name must already have this content.

    Raises:
        DataError: Another file is in the way, or the folder cannot be written.
    """
    suffix = ".npz" if isinstance(arrays["x_train"], np.ndarray) else ".jsonl"
    path = folder / f"{name}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest = read_manifest(folder) if (folder / MANIFEST).exists() else {}
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as workshop:
            new = Path(workshop) / path.name
            files.write(new, arrays | {"classes": np.array(facts["classes"])})
            digest = sha256_of(new)
            if path.exists() and sha256_of(path) != digest:
                raise DataError(
                    f"{path} exists and is different; remove it or choose another folder"
                )
            manifest["format_version"] = FORMAT_VERSION
            manifest[name] = {"file": path.name, "format": suffix[1:], **facts, "sha256": digest}
            listing = Path(workshop) / MANIFEST
            listing.write_text(
                json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            os.replace(new, path)
            os.replace(listing, folder / MANIFEST)
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error.strerror or error})") from error
    return path
