"""bert_fine_tuning.sentence_vectors: a mean that counts the padding."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import text_classifier

SYMBOLS, CHANNELS, PAD = 9, 3, 0


class _Encoder:
    """Each token gets its own vector and half the sum of those at which it may look."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def __call__(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **others: Any
    ) -> BaseModelOutput:
        own = self.vectors[input_ids]  # [B, T, C]
        seen = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        together = (own * seen[:, :, None]).sum(dim=1, keepdim=True)
        return BaseModelOutput(last_hidden_state=own + together / 2)

    forward = __call__


def _sentence_vectors_cases(rng: np.random.Generator) -> Iterator[Case]:
    for sizes in ((2, 4), (3,), (1, 5, 3), (4, 4)):
        texts = [rng.integers(1, SYMBOLS, size).tolist() for size in sizes]
        vectors = tensor(rng, SYMBOLS, CHANNELS, scale=2)
        batch = text_classifier.fill_up(texts, PAD)
        # The truth needs no mask: each text alone, without padding.
        encoder = _Encoder(vectors)
        alone = [encoder(torch.tensor([text])).last_hidden_state[0] for text in texts]
        truth = torch.stack([sum(vector for vector in one) / len(one) for one in alone])
        yield Case(
            (vectors, batch["input_ids"], batch["attention_mask"]),
            truth,
            judge=partial(difference, expected=truth),
            call=_call,
            names=("the vectors of the tokens", "input_ids", "attention_mask"),
        )


def _call(answer: Callable, vectors: Tensor, input_ids: Tensor, attention_mask: Tensor) -> Any:
    return answer(_Encoder(vectors), input_ids, attention_mask)


def _hidden(encoder: Any, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    return encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def _with(
    looks: Callable = lambda mask: mask,
    pool: Callable = lambda hidden, mask: (hidden * mask).sum(1) / mask.sum(1),
) -> Callable:
    """A mean that may be wrong: what the encoder may look at, what is made of its vectors."""

    def answer(encoder: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = _hidden(encoder, input_ids, looks(attention_mask))
        return pool(hidden, attention_mask[:, :, None])

    return answer


def _nowhere(mask: Tensor) -> None:
    return None


SENTENCE_VECTORS = Exercise(
    name="bert_fine_tuning.sentence_vectors",
    title="Bug hunt: a forgotten mask",
    minutes=8,
    difficulty=2,
    reference=text_classifier.sentence_vectors,
    cases=_sentence_vectors_cases,
    mistakes=(
        Mistake(
            _with(looks=_nowhere, pool=lambda hidden, mask: hidden.mean(1)),
            "The mask is not used yet: hand it to the encoder, and take the mean over real "
            "tokens alone.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: hidden.mean(1)),
            "The encoder has the mask now, but the mean still counts the padding.",
        ),
        Mistake(
            _with(looks=_nowhere),
            "The mean is right now, but inside the encoder real tokens still look at the padding: "
            "`encoder(…, attention_mask=attention_mask)`.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: (hidden * mask).mean(1)),
            "The padding is 0 now, but you still divide by all T tokens; divide by the number of "
            "real ones.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: (hidden * mask).sum(1)),
            "This is the sum; divide by the number of real tokens of each text.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: (hidden * mask).sum(1) / mask.sum()),
            "You divide by the real tokens of the whole batch; each text by its own.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: hidden[:, 0]),
            "This is the vector of the first token, [CLS]. It is another usual choice; here the "
            "mean over the real tokens is asked for.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: hidden.masked_fill(mask == 0, -1e9).max(1).values),
            "This is the largest value of each channel; the mean is asked for.",
        ),
        Mistake(
            _with(looks=lambda mask: 1 - mask),
            "The mask goes to the encoder as it is: 1 means that a token may be looked at.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: (hidden * (1 - mask)).sum(1) / mask.sum(1)),
            "You took the mean over the padding instead of the text.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: hidden * mask),
            "One vector for each *text* is asked for, [B, C]: sum over the tokens, `dim=1`.",
        ),
        Mistake(
            lambda encoder, input_ids, attention_mask: _hidden(encoder, input_ids, attention_mask)[
                attention_mask.bool()
            ].mean(0),
            "This is one vector for the whole batch; one for each text is asked for, [B, C].",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: (hidden * mask).sum(2) / mask.sum(1)),
            "You sum over the channels, the last axis; sum over the tokens, `dim=1`.",
        ),
        Mistake(
            _with(pool=lambda hidden, mask: (hidden * mask).sum(1) / len(hidden)),
            "You divide by the number of texts; divide by the number of real tokens of each text.",
        ),
    ),
    advice=(
        (
            r"non-singleton dimension 1",
            "What you divide by needs an axis for the channels, [B, 1]: "
            "`attention_mask.sum(dim=1, keepdim=True)`.",
        ),
        (
            r"BaseModelOutput",
            "The encoder gives an object; the vectors of the tokens, [B, T, C], are its "
            "`last_hidden_state`.",
        ),
        (
            r"must match the size|broadcast",
            "The mask is [B, T] and the vectors [B, T, C]: `attention_mask[:, :, None]` has the "
            "shape [B, T, 1], which fits.",
        ),
    ),
    hints=(
        "Two places forget the mask: what the encoder looks at, and what the mean counts.",
        "`hidden * attention_mask[:, :, None]` makes the vectors of the padding 0.",
        "Sum over `dim=1`, and divide by how many real tokens the text has: "
        "`attention_mask.sum(dim=1, keepdim=True)`, [B, 1].",
    ),
)
