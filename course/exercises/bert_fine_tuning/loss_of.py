"""bert_fine_tuning.loss_of: a loss on the output object."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import text_classifier


class _Model:
    """Logits by a table, for the number of real tokens of a text."""

    def __init__(self, table: Tensor) -> None:
        self.table = table.requires_grad_()

    def __call__(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None
    ) -> SequenceClassifierOutput:
        logits = self.table[attention_mask.sum(dim=1)]
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    forward = __call__


def _loss_of_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: the probability 3/4 of the right class."""
    table = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    yield _case(table, [[5]], torch.tensor([1]))
    for sizes, classes in (((2, 1), 2), ((3, 1, 2), 3), ((4, 2, 2, 1), 2)):
        texts = [rng.integers(1, 9, size).tolist() for size in sizes]
        labels = torch.tensor(rng.integers(0, classes, len(sizes)))
        yield _case(tensor(rng, max(sizes) + 1, classes, scale=2), texts, labels)


def _case(table: Tensor, texts: list[list[int]], labels: Tensor) -> Case:
    surprises = []
    for text, label in zip(texts, labels.tolist(), strict=True):
        powers = [math.exp(value) for value in table[len(text)].tolist()]
        surprises.append(-math.log(powers[label] / sum(powers)))
    truth = torch.tensor(sum(surprises) / len(surprises))
    return Case(
        (table, text_classifier.fill_up(texts, 0), labels),
        truth,
        judge=partial(_judge, truth=truth),
        call=_call,
        names=("logits by the number of tokens", "batch", "labels"),
    )


def _call(answer: Callable, table: Tensor, batch: dict[str, Tensor], labels: Tensor) -> Any:
    """The loss, and whether it has slopes."""
    loss = answer(_Model(table), batch, labels)
    return (loss.detach(), loss.requires_grad) if torch.is_tensor(loss) else (loss, False)


def _judge(got: Any, truth: Tensor) -> str | None:
    loss, has_slopes = got
    if loss is None:
        return (
            "it returned None. `output.loss` is there only where the model was given the labels as "
            "well, and a function needs `return`."
        )
    if isinstance(loss, dict):
        return "it returned the output object; the loss, one number, is asked for."
    if problem := difference(loss, truth):
        return problem
    if not has_slopes:
        return (
            "nothing can be learned from this loss: leave out `.item()`, `.detach()` and "
            "`torch.no_grad()`."
        )
    return None


def _with(loss: Callable[[Tensor, Tensor], Any]) -> Callable:
    return lambda model, batch, labels: loss(model(**batch).logits, labels)


LOSS_OF = Exercise(
    name="bert_fine_tuning.loss_of",
    title="Bug hunt: the loss of an object",
    minutes=4,
    difficulty=1,
    reference=text_classifier.loss_of,
    cases=_loss_of_cases,
    mistakes=(
        Mistake(
            _with(lambda logits, labels: functional.cross_entropy(logits.softmax(1), labels)),
            "`cross_entropy` applies the softmax itself: give it the logits as they are.",
        ),
        Mistake(
            _with(lambda logits, labels: functional.nll_loss(logits, labels)),
            "`nll_loss` expects logarithms of probabilities; `cross_entropy` takes the logits.",
        ),
        Mistake(
            _with(lambda logits, labels: functional.cross_entropy(logits, labels, reduction="sum")),
            "This is the sum over the batch; the mean is asked for, the usual setting.",
        ),
        Mistake(
            _with(
                lambda logits, labels: functional.cross_entropy(logits, labels, reduction="none")
            ),
            "One number is asked for, the mean over the batch.",
        ),
        Mistake(
            _with(lambda logits, labels: (logits.argmax(1) != labels).float().mean()),
            "This is the share of wrong answers. It has no slopes; the cross-entropy has.",
        ),
        Mistake(
            _with(lambda logits, labels: -functional.cross_entropy(logits, labels)),
            "There is a minus sign too many: `cross_entropy` is the surprise already.",
        ),
        Mistake(
            _with(
                lambda logits, labels: functional.mse_loss(
                    logits.softmax(1), functional.one_hot(labels, logits.shape[1]).float()
                )
            ),
            "This is the mean of squares; cross-entropy is asked for.",
        ),
        Mistake(
            lambda model, batch, labels: functional.cross_entropy(
                model(
                    input_ids=batch["input_ids"],
                    attention_mask=torch.ones_like(batch["attention_mask"]),
                ).logits,
                labels,
            ),
            "The attention mask of the batch got lost: `model(**batch)` hands both on.",
        ),
    ),
    advice=(
        (
            r"missing 1 required positional argument",
            "`model(**batch)`, with two stars, hands over each entry of the batch under its name.",
        ),
        (
            r"Expected floating point type for target",
            "The loss needs the logits as they are, all K of each text: [B, K], beside labels [B].",
        ),
        (r"log_softmax_lastdim", "The logits come first, then the labels."),
        (
            r"must be Tensor, not NoneType",
            "`output.loss` is None, as the model was not given the labels; take `output.logits`.",
        ),
        (
            r"must be Tensor, not",
            "The output is an object with several things in it; the loss needs its tensor "
            "`output.logits`.",
        ),
    ),
    hints=(
        "What does the model return? `print(output)` shows it.",
        "The object has `logits`, a tensor [B, K].",
        "`functional.cross_entropy(output.logits, labels)`",
    ),
)
