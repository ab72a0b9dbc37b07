"""bert_fine_tuning.fill_up: ragged lists as one batch, with its mask."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import text_classifier

KEYS = ("input_ids", "attention_mask")


def _fill_up_cases(rng: np.random.Generator) -> Iterator[Case]:
    """The number for padding is 0, or another one; it never stands in a text."""
    yield _case([[5, 7, 3], [4]], 0)
    yield _case([[6], [8]], 0)
    for sizes, pad in (((2, 5, 3), 0), ((4, 1, 1, 6), 1), ((3,), 0), ((2, 2, 7), 9)):
        yield _case([rng.integers(10, 30, size).tolist() for size in sizes], pad)


def _case(texts: list[list[int]], pad: int) -> Case:
    """The truth place by place."""
    shape = len(texts), max(map(len, texts))
    truth = {"input_ids": torch.full(shape, pad), "attention_mask": torch.zeros(shape).long()}
    for row, text in enumerate(texts):
        for place, token in enumerate(text):
            truth["input_ids"][row, place] = token
            truth["attention_mask"][row, place] = 1
    return Case((texts, pad), truth, judge=partial(_judge, truth=truth), call=_call)


def _call(answer: Callable, texts: list[list[int]], pad: int) -> Any:
    """The batch as a plain dictionary; a mask of True and False, or of fractions, is one too."""
    batch = answer(texts, pad)
    if not isinstance(batch, Mapping):
        return batch
    batch = dict(batch)
    mask = batch.get("attention_mask")
    if torch.is_tensor(mask):
        batch["attention_mask"] = mask.long()
    return batch


def _judge(got: Any, truth: dict[str, Tensor]) -> str | None:
    if isinstance(got, dict) and set(got) == set(KEYS):
        for name, value in got.items():
            if isinstance(value, list):
                return f'"{name}" is a list; `torch.tensor(…)` makes a tensor of it.'
    return difference(got, truth)


def _filled(
    texts: list[list[int]],
    pad: int,
    longest: Callable[[list[int]], int] = max,
    in_front: bool = False,
    real: int = 1,
) -> dict[str, Tensor]:
    """A batch that may be wrong in one place."""
    size = longest([len(text) for text in texts])
    tokens, mask = [], []
    for text in texts:
        kept, fill = text[:size], size - len(text[:size])
        parts = [pad] * fill, kept
        marks = [1 - real] * fill, [real] * len(kept)
        tokens.append([*parts[0], *parts[1]] if in_front else [*parts[1], *parts[0]])
        mask.append([*marks[0], *marks[1]] if in_front else [*marks[1], *marks[0]])
    return {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}


def _all_real(texts: list[list[int]], pad: int) -> dict[str, Tensor]:
    batch = _filled(texts, pad)
    return {**batch, "attention_mask": torch.ones_like(batch["attention_mask"])}


def _mask_of_ids(texts: list[list[int]], pad: int) -> dict[str, Tensor]:
    batch = _filled(texts, pad)
    return {**batch, "attention_mask": batch["input_ids"]}


def _mask_where_not_0(texts: list[list[int]], pad: int) -> dict[str, Tensor]:
    batch = _filled(texts, pad)
    return {**batch, "attention_mask": (batch["input_ids"] != 0).long()}


def _lengths_as_mask(texts: list[list[int]], pad: int) -> dict[str, Tensor]:
    lengths = torch.tensor([len(text) for text in texts])
    return {**_filled(texts, pad), "attention_mask": lengths}


FILL_UP = Exercise(
    name="bert_fine_tuning.fill_up",
    title="Bug hunt: ragged lists",
    minutes=8,
    difficulty=1,
    reference=text_classifier.fill_up,
    cases=_fill_up_cases,
    mistakes=(
        Mistake(
            partial(_filled, longest=min),
            "You cut all texts to the shortest one: most of what they say is gone. Fill up the "
            "short ones instead.",
        ),
        Mistake(
            partial(_filled, in_front=True),
            "You fill up in front; this encoder was trained with the padding behind the text.",
        ),
        Mistake(
            lambda texts, pad: _filled(texts, 0),
            "You fill up with 0; use `pad`, which is not 0 for every tokenizer.",
        ),
        Mistake(
            _all_real,
            "The mask is 1 everywhere, so the padding counts as text. It is 0 where a row was "
            "filled up.",
        ),
        Mistake(
            _mask_where_not_0,
            "Your mask is 1 where the token is not 0; the padding is `pad`, which need not be 0.",
        ),
        Mistake(
            partial(_filled, real=0),
            "The mask is the wrong way round: 1 for real tokens, 0 for padding.",
        ),
        Mistake(_mask_of_ids, "The mask holds the tokens themselves; it should be 1 and 0."),
        Mistake(
            _lengths_as_mask,
            "The mask holds the lengths; a 1 or 0 for *each token* is asked for, [B, T].",
        ),
        Mistake(
            partial(_filled, longest=lambda sizes: max(sizes) + 1),
            "You fill up one token too far: up to the longest text of the batch.",
        ),
        Mistake(
            partial(_filled, longest=lambda sizes: 512),
            "You fill up to a fixed length; up to the longest text of the batch is enough, and "
            "spares computing.",
        ),
    ),
    advice=(
        (
            r"expected sequence of length",
            "The lists still have different lengths: make all of them as long as the longest, "
            "before `torch.tensor`.",
        ),
        (
            r"'list' and 'int'|'int' and 'list'",
            "`max(texts, key=len)` is the longest text itself; `len(…)` says how long it is.",
        ),
        (
            r"can only concatenate list",
            "A list can be made longer by another list only: `[pad] * 3` is a list of three `pad`.",
        ),
    ),
    hints=(
        "How long is the longest text of the batch? How many `pad` does each other text lack?",
        "`text + [pad] * (longest - len(text))` is a new list of the right length.",
        "The mask in the same way: `[1] * len(text) + [0] * (longest - len(text))`. At the end "
        "`torch.tensor` of each.",
    ),
)
