"""language_model.longest_copy: how much of a text was learned by heart."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import language_model

WORDS = ("a", "good", "film", "is", "not", "the", "bad", "one", "plot")


def _longest_copy_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield _case("xaby", "aaba", "ab")
    yield _case("abc", "xyz", "")
    yield _case("abc", "zabcz", "abc")
    yield _case("abxcd", "cd ab", "ab")
    yield _case("xxabc", "abc", "abc")
    yield _case("", "abc", "")
    yield _case("abab", "ab ab", "ab")
    yield _case("The End", "the end", "he ")
    yield _case("ababc", "aba babc", "babc")
    yield _case("a bad plot", "plot a good", "plot")
    for count in (6, 12):
        sample, text = (" ".join(rng.choice(WORDS, size)) for size in (count, 3 * count))
        yield _case(sample, text, _all_pieces(sample, text))


def _case(sample: str, text: str, truth: str) -> Case:
    return Case((sample, text), truth, judge=partial(_judge, sample=sample, text=text, truth=truth))


def _all_pieces(sample: str, text: str) -> str:
    """Every piece, the longest first; of equally long ones the first."""
    for length in range(len(sample), 0, -1):
        for start in range(len(sample) - length + 1):
            if sample[start : start + length] in text:
                return sample[start : start + length]
    return ""


def _judge(got: Any, sample: str, text: str, truth: str) -> str | None:
    """Another piece of the same length is right too."""
    if not isinstance(got, str):
        kind = type(got).__name__
        return f"it returned a value of type {kind}; the piece itself, a str, is asked for."
    if got not in sample:
        return f"it returned {got!r}, which is no piece of the sample."
    if got not in text:
        return f"it returned {got!r}, which does not stand in the text."
    if len(got) < len(truth):
        return f"it returned {got!r}; {truth!r} is longer, and stands in both."
    return None


def _by_words(sample: str, text: str) -> str:
    words, best = sample.split(), ""
    for start in range(len(words)):
        for end in range(start + 1, len(words) + 1):
            piece = " ".join(words[start:end])
            if piece in text and len(piece) > len(best):
                best = piece
    return best


def _from_the_start(sample: str, text: str) -> str:
    best = ""
    while len(best) < len(sample) and sample[: len(best) + 1] in text:
        best = sample[: len(best) + 1]
    return best


def _first_found(sample: str, text: str) -> str:
    for start in range(len(sample)):
        end = start
        while end < len(sample) and sample[start : end + 1] in text:
            end += 1
        if end > start:
            return sample[start:end]
    return ""


def _last_found(sample: str, text: str) -> str:
    best = ""
    for start in range(len(sample)):
        end = start
        while end < len(sample) and sample[start : end + 1] in text:
            end += 1
        best = sample[start:end] or best
    return best


def _one_too_short(sample: str, text: str) -> str:
    best = ""
    for start in range(len(sample)):
        for end in range(start, len(sample)):
            if sample[start:end] in text and end - start > len(best):
                best = sample[start:end]
    return best


def _in_any_order(sample: str, text: str) -> str:
    """A common subsequence: letters may lie between."""
    best = ""
    for start in range(len(sample)):
        place, found = 0, ""
        for letter in sample[start:]:
            next_place = text.find(letter, place)
            if next_place >= 0:
                place, found = next_place + 1, found + letter
        best = max(best, found, key=len)
    return best


def _by_single_words(sample: str, text: str) -> str:
    return max((word for word in sample.split() if word in text), key=len, default="")


def _on_behind_each_copy(sample: str, text: str) -> str:
    """Once a copy has ended, goes on behind it, and misses those that begin within it."""
    best, start = "", 0
    while start < len(sample):
        end = start
        while end < len(sample) and sample[start : end + 1] in text:
            end += 1
        best = max(best, sample[start:end], key=len)
        start = end if end > start else start + 1
    return best


def _capitals_ignored(sample: str, text: str) -> str:
    return _all_pieces(sample.lower(), text.lower())


def _length(sample: str, text: str) -> int:
    return len(_all_pieces(sample, text))


LONGEST_COPY = Exercise(
    name="language_model.longest_copy",
    title="Learned by heart",
    minutes=8,
    difficulty=2,
    reference=language_model.longest_copy,
    cases=_longest_copy_cases,
    mistakes=(
        Mistake(
            _by_words,
            "You look for whole words only; a piece may begin and end within a word.",
        ),
        Mistake(
            _by_single_words,
            "You look for single words; a piece may hold several, with the spaces between them, "
            "and begin or end within a word.",
        ),
        Mistake(
            _on_behind_each_copy,
            "Behind the end of one copy you begin anew; a longer one may begin *within* it, so try "
            "every place.",
        ),
        Mistake(
            _capitals_ignored,
            "T and t are different letters here: compare the texts as they are.",
        ),
        Mistake(
            _from_the_start,
            "You look only at pieces that begin where the sample begins; a copy may begin at every "
            "place.",
        ),
        Mistake(
            _first_found,
            "You return the first piece that is found; a longer one may come later.",
        ),
        Mistake(
            _last_found,
            "You keep the last piece that is found, also where it is shorter than one before.",
        ),
        Mistake(
            _one_too_short,
            "The end of a slice is not in it: `sample[start:end]` reaches the last letter only if "
            "`end` may be `len(sample)`.",
        ),
        Mistake(
            _in_any_order,
            "The letters of your result do not stand next to each other in the text; a copy is a "
            "piece without gaps.",
        ),
        Mistake(_length, "That is its length; the piece itself is asked for."),
    ),
    advice=(
        (
            r"arg is an empty sequence|argument is empty",
            "Perhaps no piece stands in the text, not even a letter: then the result is "
            '`""`, as with `max(…, default="")`.',
        ),
    ),
    hints=(
        "For each place of the sample: how long is the longest piece from here that stands in the "
        "text? `piece in text` tells.",
        "Keep the longest one so far. From each place try only pieces that are longer than it.",
        "While `sample[start : start + len(longest) + 1]` is in the text (and not cut off by the "
        "sample's end), it is the new longest.",
    ),
)
