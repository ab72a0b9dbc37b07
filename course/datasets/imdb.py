"""IMDB's archive of film reviews, read in memory: nothing of it is ever unpacked on disk.

A review is a file such as aclImdb/train/pos/127_9.txt: split, label, a number, the stars given
(https://ai.stanford.edu/~amaas/data/sentiment/).  Reviews without a label and tables of words are
in the archive too and stay unread.
"""

import hashlib
import re
from pathlib import Path, PurePosixPath

import numpy as np

from course.datasets import archives
from course.datasets.archives import Unwanted
from course.datasets.files import SPLITS, Arrays

FOLDER = "aclImdb"
STARS = {"neg": range(1, 5), "pos": range(7, 11)}
LABELS = tuple(STARS)
REVIEW_BYTES = 200_000
OTHER_BYTES = 200_000_000


def read_archive(path: Path, examples: tuple[int, int]) -> Arrays:
    """The reviews, str, and their labels, uint8 (1: positive), of both splits.

    Reviews stand in the order of their SHA-256: in the archive, those of a film are neighbours.

    Args:
        path: The archive, a .tar.gz file.
        examples: Number of reviews of the training and the test split, half of them positive.

    Raises:
        DataError: The archive is damaged, incomplete, or holds anything that IMDB's does not.
    """
    reviews = {(split, label): [] for split in SPLITS for label in LABELS}
    for place, content in archives.read(path, _is_review):
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise archives.refusal(path, f"{str(place)!r} is not text in UTF-8") from None
        reviews[place.parts[1:3]].append((hashlib.sha256(content).digest(), text))
    arrays = {}
    for split, count in zip(SPLITS, examples, strict=True):
        ordered = []
        for number, label in enumerate(LABELS):
            found = reviews[split, label]
            if len(found) != count // 2:
                where = f"{split}/{label} holds {len(found):,} reviews instead of {count // 2:,}"
                raise archives.refusal(path, where)
            ordered += [(digest, number, text) for digest, text in found]
        ordered.sort()
        arrays[f"x_{split}"] = [text for _, _, text in ordered]
        arrays[f"y_{split}"] = np.array([label for _, label, _ in ordered], np.uint8)
    return arrays


def _is_review(place: PurePosixPath, size: int) -> bool:
    """Whether a file of the archive is a labelled review, which must have stars that fit."""
    folder, *between, name = place.parts
    is_among_reviews = len(between) == 2 and between[0] in SPLITS and between[1] in LABELS
    if folder != FOLDER or not is_among_reviews:
        if size > OTHER_BYTES:
            raise Unwanted("is too long")
        return False
    label = between[1]
    stars = re.fullmatch(r"\d+_(\d+)\.txt", name)
    if stars is None:
        raise Unwanted("is not named as a review is")
    if int(stars[1]) not in STARS[label]:
        fitting = f"{STARS[label].start} to {STARS[label].stop - 1}"
        raise Unwanted(f"has {stars[1]} stars, and reviews in {label} have {fitting}")
    if size > REVIEW_BYTES:
        raise Unwanted("is too long")
    return True
