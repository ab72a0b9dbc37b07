"""bert.split_word: a word in pieces, each the longest that fits."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import word_pieces

UNKNOWN = "[UNK]"


def _split_word_cases(rng: np.random.Generator) -> Iterator[Case]:
    for word, pieces, truth in (
        ("film", {"film"}, ["film"]),
        ("films", {"film", "f", "##s"}, ["film", "##s"]),
        ("as", {"a", "##s", "s", "##a"}, ["a", "##s"]),
        ("unhappy", {"un", "unha", "##happy", "##ppy", "##p"}, ["unha", "##ppy"]),
        ("abcab", {"ab", "##c", "a", "b", "##b"}, [UNKNOWN]),
        ("abcab", {"ab", "##ab", "##c", "c", "cab"}, ["ab", "##c", "##ab"]),
        ("zoo", {"zo", "##z"}, [UNKNOWN]),
        ("unhappy", {"un", "unha", "##happy"}, [UNKNOWN]),  # the longest leads nowhere
        ("ß", {"s", "##s"}, [UNKNOWN]),
        ("aaaa", {"a", "aa", "##a", "##aa"}, ["aa", "##aa"]),
    ):
        yield _case(word, pieces, truth)
    for _ in range(3):
        word = "".join(rng.choice(list("abc"), size=rng.integers(3, 8)))
        drawn = {"".join(rng.choice(list("abc"), size=rng.integers(1, 4))) for _ in range(6)}
        pieces = {*"abc", *(f"##{piece}" for piece in (*drawn, "a", "b", "c")), *drawn}
        yield _case(word, pieces, _by_search(word, pieces))


def _case(word: str, pieces: set[str], truth: list[str]) -> Case:
    return Case((word, pieces), truth, judge=partial(_judge, truth=truth))


def _judge(got: Any, truth: list[str]) -> str | None:
    if not isinstance(got, list):
        return f"it returned a value of type {type(got).__name__}; a list is asked for."
    return None if got == truth else f"it returned {got}, and {truth} is right."


def _by_search(word: str, pieces: set[str], start: int = 0) -> list[str]:
    """Of all pieces that fit here the longest, and then the rest."""
    if start == len(word):
        return []
    mark = "##" if start else ""
    fits = [
        piece
        for piece in pieces
        if piece.startswith(mark)
        and (start > 0 or not piece.startswith("##"))
        and word.startswith(piece.removeprefix(mark), start)
    ]
    if not fits:
        return [UNKNOWN]
    longest = max(fits, key=len)
    rest = _by_search(word, pieces, start + len(longest) - len(mark))
    return rest if rest == [UNKNOWN] else [longest, *rest]


def _cut(
    ends: Callable[[int, int], Any] = lambda start, length: range(length, start, -1),
    mark: Callable[[int], str] = lambda start: "##" if start else "",
    kept: Callable[[str, str], str] = lambda piece, plain: piece,
    unknown: Callable[[list[str]], list[str]] = lambda found: [UNKNOWN],
) -> Callable[[str, set[str]], list[str]]:
    """A way to cut that may be wrong in one place."""

    def answer(word: str, pieces: set[str]) -> list[str]:
        found, start = [], 0
        while start < len(word):
            for end in ends(start, len(word)):
                plain = word[start:end]
                if mark(start) + plain in pieces:
                    break
            else:
                return unknown(found)
            found.append(kept(mark(start) + plain, plain))
            start = end
        return found

    return answer


def _letter_by_letter(word: str, pieces: set[str]) -> list[str]:
    parts = [word[0], *(f"##{letter}" for letter in word[1:])]
    return [part if part in pieces else UNKNOWN for part in parts]


def _first_piece_alone(word: str, pieces: set[str]) -> list[str]:
    return _cut()(word, pieces)[:1]


def _skips_a_letter(word: str, pieces: set[str]) -> list[str]:
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in pieces:
                found.append(piece)
                break
        else:
            found.append(UNKNOWN)
        start = end
    return found


def _length_with_the_mark(word: str, pieces: set[str]) -> list[str]:
    found, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        for end in range(len(word), start, -1):
            if mark + word[start:end] in pieces:
                break
        else:
            return [UNKNOWN]
        found.append(mark + word[start:end])
        start += len(found[-1])
    return found


def _tries_shorter_ones(word: str, pieces: set[str], start: int = 0) -> list[str]:
    if start == len(word):
        return []
    for end in range(len(word), start, -1):
        piece = ("##" if start else "") + word[start:end]
        if piece in pieces and (rest := _tries_shorter_ones(word, pieces, end)) != [UNKNOWN]:
            return [piece, *rest]
    return [UNKNOWN]


WHOLE = (
    "Where one part of a word does not fit, BERT gives up the *whole* word: the result is "
    '`["[UNK]"]` alone.'
)

SPLIT_WORD = Exercise(
    name="bert.split_word",
    title="A word in pieces",
    minutes=8,
    difficulty=2,
    reference=word_pieces.split_word,
    cases=_split_word_cases,
    mistakes=(
        Mistake(
            _cut(ends=lambda start, length: range(start + 1, length + 1)),
            "You take the shortest piece that fits; the longest is asked for. Try the ends from "
            "the right.",
        ),
        Mistake(
            _cut(mark=lambda start: ""),
            'Inside a word, pieces begin with ##: look for `"##" + …` there.',
        ),
        Mistake(
            _cut(mark=lambda start: "##"),
            "The first piece of a word has no ##.",
        ),
        Mistake(
            _cut(kept=lambda piece, plain: plain),
            "The pieces lost their ##. It belongs to their names.",
        ),
        Mistake(_cut(unknown=lambda found: [*found, UNKNOWN]), WHOLE),
        Mistake(_skips_a_letter, WHOLE),
        Mistake(
            _cut(unknown=lambda found: found),
            'Where no piece fits, the result is `["[UNK]"]`; you left the rest of the word out.',
        ),
        Mistake(
            _cut(unknown=lambda found: []),
            'Where no piece fits, the result is `["[UNK]"]`, not an empty list.',
        ),
        Mistake(
            _letter_by_letter,
            "This cuts letter by letter. Each time the *longest* piece that fits is asked for.",
        ),
        Mistake(
            _first_piece_alone,
            "Only the first piece is there; go on behind it until the word is at its end.",
        ),
        Mistake(
            _cut(ends=lambda start, length: range(length - 1, start, -1)),
            "The end of the word is never tried: `word[start:end]` with `end = len(word)` is the "
            "whole rest.",
        ),
        Mistake(
            _length_with_the_mark,
            "Letters are skipped: `len(piece)` counts the ## as well, and the word has no ##. Go "
            "on at `end`.",
        ),
        Mistake(
            _tries_shorter_ones,
            "Where the longest piece leads nowhere, you go back and try a shorter one. BERT never "
            'goes back: then the whole word is `["[UNK]"]`.',
        ),
    ),
    hints=(
        "Keep a place, `start`. Look there for the longest piece that fits, then move `start` "
        "behind it.",
        "Try `end` from `len(word)` down to `start + 1`. Which ## does the piece need?",
        "A `for` loop can have an `else`, which runs where no `break` happened: there the word is "
        "unknown.",
    ),
)
