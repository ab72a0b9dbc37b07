"""bert_fine_tuning.labelled_batches: texts that were sorted, and labels that were not."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from course.checking.engine import Case, Exercise, Mistake
from course.models import text_classifier

Batches = list[tuple[list[list[int]], list[int]]]
ENOUGH = 6  # batches; with so many, the same order three times is no chance
PAIR = (
    "each batch is a pair of two lists, its texts and their labels; from a list of pairs (text, "
    "label), `zip(*pairs)` makes these two."
)
SEEDS = (0, 0, 1, 2)  # for the `rng` of each call: the first two have to agree


def _labelled_batches_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Each text is another one and has another number as its label, so that none fits by chance."""
    for sizes, batch_size in (
        ([3, 1, 2], 2),
        ([2, 4, 1, 3], 1),
        (rng.permutation(np.arange(1, 15)).tolist(), 2),
        (rng.integers(1, 5, 17).tolist(), 4),
        (rng.integers(1, 9, 31).tolist(), 3),
    ):
        texts = [[number + 10] * size for number, size in enumerate(sizes)]
        labels = rng.permutation(len(texts)).tolist()
        seed = int(rng.integers(1000))
        yield Case(
            (texts, labels, batch_size),
            judge=partial(_judge, texts=texts, labels=labels, batch_size=batch_size),
            call=partial(_call, seed=seed),
        )


def _call(answer: Callable, texts: Any, labels: Any, batch_size: int, seed: int) -> list[Any]:
    """What it returns for several generators, of which the first two draw alike."""
    return [answer(texts, labels, batch_size, random.Random(seed + more)) for more in SEEDS]


def _judge(got: list[Any], texts: list, labels: list, batch_size: int) -> str | None:
    for batches in got:
        if problem := _form_problem(batches) or _content_problem(batches, texts, labels):
            return problem
        if problem := _length_problem(batches, texts, batch_size):
            return problem
    orders = [[sorted(texts) for texts, _ in batches] for batches in got]
    if orders[0] != orders[1]:
        return "with the same `rng` it came to another order: let `rng` alone decide."
    if len(orders[0]) >= ENOUGH and orders[1] == orders[2] == orders[3]:
        return (
            "the batches come in the same order whatever `rng` says, such as short ones always "
            "first; `rng.shuffle(…)` changes the order of a list."
        )
    return None


def _form_problem(batches: Any) -> str | None:
    if not isinstance(batches, list):
        return f"it returned a {type(batches).__name__}; a list of batches is asked for."
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            return PAIR
        if not all(isinstance(part, list | tuple) for part in batch):
            return "each batch is a pair: its texts are a list, and so are their labels."
        if not all(isinstance(text, list) for text in batch[0]):
            return PAIR
        if len(batch[0]) != len(batch[1]):
            return f"a batch has {len(batch[0])} texts and {len(batch[1])} labels."
    return None


def _content_problem(batches: Batches, texts: list, labels: list) -> str | None:
    found = Counter(tuple(text) for part, _ in batches for text in part)
    if missing := [text for text in texts if not found[tuple(text)]]:
        return f"{len(missing)} of {len(texts)} texts are in no batch, such as {missing[0]}."
    if more := [text for text in texts if found[tuple(text)] > 1]:
        return f"the text {more[0]} is in more than one batch."
    if len(found) > len(texts):
        return "there are texts in the batches that were not given."
    own = {tuple(text): label for text, label in zip(texts, labels, strict=True)}
    for part, targets in batches:
        for text, label in zip(part, targets, strict=True):
            if label != own[tuple(text)]:
                return (
                    f"the text {text} came with the label {label}; its own is {own[tuple(text)]}. "
                    "Whatever is done to the order of the texts has to be done to the labels too: "
                    "sort and shuffle *places*, and take both from there."
                )
    return None


def _length_problem(batches: Batches, texts: list, batch_size: int) -> str | None:
    sizes = [len(part) for part, _ in batches]
    if max(sizes) > batch_size:
        return f"a batch has {max(sizes)} texts; at most {batch_size} are asked for."
    if 0 in sizes:
        return "one batch is empty; leave it out."
    lengths = sorted(map(len, texts))
    starts = range(0, len(lengths), batch_size)
    truth = [lengths[at : at + batch_size] for at in starts]
    from_long = [sorted(lengths[::-1][at : at + batch_size]) for at in starts]
    found = [sorted(map(len, part)) for part, _ in batches]
    if len(found) > len(truth):
        return f"there are {len(found)} batches; {len(truth)} are enough for {len(texts)} texts."
    if sorted(found) not in (sorted(truth), sorted(from_long)):
        return (
            f"the batches have texts of the lengths {found[:6]}; texts of like length belong "
            "together: sort by length *before* you cut into batches, and shuffle the batches only."
        )
    return None


def _labels_stay(texts: list, labels: list, batch_size: int, rng: random.Random) -> Batches:
    texts = sorted(texts, key=len)
    starts = list(range(0, len(texts), batch_size))
    rng.shuffle(starts)
    return [(texts[at : at + batch_size], labels[at : at + batch_size]) for at in starts]


def _labels_sorted(texts: list, labels: list, batch_size: int, rng: random.Random) -> Batches:
    return _labels_stay(texts, sorted(labels), batch_size, rng)


LABELLED_BATCHES = Exercise(
    name="bert_fine_tuning.labelled_batches",
    title="Bug hunt: labels that stayed behind",
    minutes=10,
    difficulty=2,
    reference=text_classifier.labelled_batches,
    cases=_labelled_batches_cases,
    mistakes=(
        Mistake(
            _labels_stay,
            "The texts are sorted, and the labels still stand in the old order. Sort *places*, "
            "and take texts and labels from there.",
        ),
        Mistake(
            _labels_sorted,
            "You sorted the labels too, but by their own size. They have to go with their texts: "
            "sort *places*, and take both from there.",
        ),
    ),
    advice=(
        (
            r"has no len\(\)|'int' object is not callable",
            "`key` is a function of one element. Labels have no length, and neither have places: "
            "`sorted(range(len(texts)), key=lambda place: len(texts[place]))` looks at the text.",
        ),
        (
            r"not supported between instances",
            "Two texts of equal length are compared further. Sort by the length alone: "
            "`sorted(places, key=lambda place: len(texts[place]))`.",
        ),
    ),
    hints=(
        "Which label belongs to the first text after sorting? How could you still know?",
        "Sort the places 0, 1, 2, … instead of the texts: "
        "`sorted(range(len(texts)), key=lambda place: len(texts[place]))`.",
        "Cut this list into groups of `batch_size`, shuffle the groups with `rng.shuffle`, and "
        "take from each place of a group its text and its label.",
    ),
)
