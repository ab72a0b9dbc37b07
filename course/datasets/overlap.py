"""Texts that occur twice: within a split, or on both sides of one."""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np

from course.datasets.files import Arrays

ASCII_OTHERS = {ord(c): None for c in map(chr, range(128)) if not c.isalnum()}
OTHERS = re.compile(r"[\W_]+")


def letters_and_digits(text: str) -> str:
    """What two texts are compared by: their letters and digits alone, of any script, in lower case.

    Punctuation, spaces and symbols are gone, and other forms of a character (full-width, accents
    written apart, a capital) count as the same one.
    """
    if text.isascii():  # the same, several times as fast
        return text.lower().translate(ASCII_OTHERS)
    return OTHERS.sub("", unicodedata.normalize("NFKC", text).casefold())


def shared_texts(first: Iterable[str], second: Iterable[str]) -> list[str]:
    """The texts of `second` that are also in `first`, compared by their letters and digits.

    A text without any letter or digit is compared as it is.
    """
    known = set(map(_key, first))
    return [text for text in second if _key(text) in known]


def without_repeats(arrays: Arrays) -> Arrays:
    """Labelled texts without those for training that occur twice, or in the test split as well.

    The test split stays as it is, so that figures can be compared with published ones.
    """
    seen = set(map(_key, arrays.get("x_test", ())))
    kept = []
    for place, text in enumerate(arrays["x_train"]):
        if (key := _key(text)) not in seen:
            seen.add(key)
            kept.append(place)
    return arrays | {
        "x_train": [arrays["x_train"][place] for place in kept],
        "y_train": arrays["y_train"][np.array(kept, int)],
    }


def _key(text: str) -> str:
    return letters_and_digits(text) or text
