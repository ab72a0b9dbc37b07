"""bert.batches_by_length: texts of like length together."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import word_pieces


def _batches_by_length_cases(rng: np.random.Generator) -> Iterator[Case]:
    for lengths, most in (
        ([3, 1, 2], 4),
        ([2, 2, 2, 2, 2], 4),
        ([5, 1, 1, 1, 1, 1], 5),
        ([4], 10),
        ([9, 2], 5),
        ([], 5),
    ):
        yield _case(lengths, most)
    for count, most in ((12, 20), (25, 40)):
        yield _case(rng.integers(1, 12, count).tolist(), most)


def _case(lengths: list[int], most: int) -> Case:
    return Case((lengths, most), judge=partial(_judge, lengths=lengths, most=most))


def _judge(got: Any, lengths: list[int], most: int) -> str | None:
    """In which order equal lengths come is left open, and so is that of a batch."""
    if not isinstance(got, list) or not all(isinstance(batch, list) for batch in got):
        return "a list of lists is asked for: for each batch the places of its texts."
    places = [place for batch in got for place in batch]
    if not all(isinstance(place, int | np.integer) for place in places):
        return "the lists should hold places, whole numbers that say which text it is."
    if sorted(places) != list(range(len(lengths))):
        return (
            f"the places are {sorted(places)}; each of 0 to {len(lengths) - 1} should be there "
            "once. (Places, not lengths.)"
            if lengths
            else f"it returned {got} where there is no text."
        )
    if [] in got:
        return "one batch is empty; leave it out."
    for batch in got:
        longest = max(lengths[place] for place in batch)
        if len(batch) > 1 and len(batch) * longest > most:
            return (
                f"a batch with the lengths {[lengths[place] for place in batch]} has "
                f"{len(batch)} · {longest} = {len(batch) * longest} tokens when it is filled up; "
                f"{most} are allowed."
            )
    found = [[lengths[place] for place in batch] for batch in got]
    truth = _by_rule(sorted(lengths), most)
    if [sorted(batch) for batch in found] != truth:
        return f"the batches have the lengths {found}; {truth} is right."
    return None


def _by_rule(ordered: list[int], most: int) -> list[list[int]]:
    """Cut off as many as fit, again and again."""
    batches = []
    while ordered:
        fits = [size for size in range(1, len(ordered) + 1) if size * ordered[size - 1] <= most]
        size = max(fits, default=1)
        batches.append(ordered[:size])
        ordered = ordered[size:]
    return batches


def _greedy(
    order: Callable[[list[int]], list[int]] = lambda lengths: sorted(
        range(len(lengths)), key=lengths.__getitem__
    ),
    too_many: Callable[[list[int], int, int], bool] = lambda batch, new, most: (
        (len(batch) + 1) * new > most
    ),
    with_the_last: bool = True,
) -> Callable[[list[int], int], list[list[int]]]:
    """Batches that may be wrong in one place."""

    def answer(lengths: list[int], most_tokens: int) -> list[list[int]]:
        batches, batch = [], []
        for place in order(lengths):
            held = [lengths[other] for other in batch]
            if batch and too_many(held, lengths[place], most_tokens):
                batches.append(batch)
                batch = []
            batch.append(place)
        return [*batches, batch] if batch and with_the_last else batches

    return answer


def _lengths_instead(lengths: list[int], most_tokens: int) -> list[list[int]]:
    found = word_pieces.batches_by_length(lengths, most_tokens)
    return [[lengths[place] for place in batch] for batch in found]


def _first_of_equal_ones(lengths: list[int], most_tokens: int) -> list[list[int]]:
    found = _lengths_instead(lengths, most_tokens)
    return [[lengths.index(length) for length in batch] for batch in found]


def _without_long_texts(lengths: list[int], most_tokens: int) -> list[list[int]]:
    found = word_pieces.batches_by_length(lengths, most_tokens)
    return [batch for batch in found if lengths[batch[0]] <= most_tokens]


def _equal_numbers(lengths: list[int], most_tokens: int) -> list[list[int]]:
    """As many texts in each batch as of the longest ones fit."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    size = max(most_tokens // max(lengths, default=1), 1)
    return [order[start : start + size] for start in range(0, len(order), size)]


BATCHES_BY_LENGTH = Exercise(
    name="bert.batches_by_length",
    title="Texts of like length together",
    minutes=8,
    difficulty=2,
    reference=word_pieces.batches_by_length,
    cases=_batches_by_length_cases,
    mistakes=(
        Mistake(
            _greedy(order=lambda lengths: list(range(len(lengths)))),
            "The texts stay in their old order; take them from short to long.",
        ),
        Mistake(
            _greedy(
                order=lambda lengths: sorted(range(len(lengths)), key=lambda place: -lengths[place])
            ),
            "You go from long to short; from short to long is asked for.",
        ),
        Mistake(
            _greedy(too_many=lambda batch, new, most: sum(batch) + new > most),
            "You add up the real tokens. But each text is filled up to the longest one of its "
            "batch: number of texts · longest length counts.",
        ),
        Mistake(
            _greedy(too_many=lambda batch, new, most: len(batch) * new > most),
            "The new text itself is not counted: with it there are `len(batch) + 1`.",
        ),
        Mistake(
            _greedy(too_many=lambda batch, new, most: (len(batch) + 1) * new >= most),
            "Exactly `most_tokens` are allowed as well.",
        ),
        Mistake(
            _greedy(too_many=lambda batch, new, most: (len(batch) + 1) * batch[-1] > most),
            "The new text is the longest one so far: all are filled up to *its* length.",
        ),
        Mistake(
            _greedy(too_many=lambda batch, new, most: len(batch) + 1 > most),
            "You count texts; count tokens: number of texts · length of the longest.",
        ),
        Mistake(
            _greedy(with_the_last=False),
            "The last batch is missing: after the loop it still has to be added.",
        ),
        Mistake(
            _lengths_instead,
            "Your lists hold lengths; they should hold places, such as those of "
            "`sorted(range(len(lengths)), key=…)`.",
        ),
        Mistake(
            _first_of_equal_ones,
            "`lengths.index(…)` finds only the first of several texts with this length. Sort the "
            "places themselves: `sorted(range(len(lengths)), key=lengths.__getitem__)`.",
        ),
        Mistake(
            _without_long_texts,
            "A text with more than `most_tokens` tokens is left out; it becomes a batch alone.",
        ),
        Mistake(
            _equal_numbers,
            "All batches have the same number of texts; of short texts more fit.",
        ),
    ),
    hints=(
        "First the order: `sorted(range(len(lengths)), key=lengths.__getitem__)` are the places, "
        "from the shortest text to the longest.",
        "Go through them and collect a batch. Before you add a text: how many tokens would the "
        "batch have, filled up?",
        "`(len(batch) + 1) * lengths[place]`, as the new text is the longest so far. If that is "
        "too much, put the batch away and begin a new one.",
    ),
)
