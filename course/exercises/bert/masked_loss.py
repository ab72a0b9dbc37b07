"""bert.masked_loss: a loss that also counts what was not hidden."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import bert


def _masked_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: the asked place has the probability 3/4; the others must not count."""
    logits = torch.tensor([[[0.0, math.log(3)], [5.0, 0.0], [4.0, 0.0]]])
    yield _case(logits, torch.tensor([[1, 1, 1]]), torch.tensor([[True, False, False]]))
    for batch, num_tokens, symbols in ((2, 3, 4), (3, 5, 3), (1, 4, 6)):
        tokens = torch.tensor(rng.integers(0, symbols, (batch, num_tokens)))
        asked = torch.tensor(rng.random((batch, num_tokens)) < 0.4)
        asked[0, :2] = torch.tensor([True, False])
        yield _case(tensor(rng, batch, num_tokens, symbols, scale=2), tokens, asked)
    tokens = torch.tensor([[0, 0, 0, 2], [1, 3, 2, 4], [2, 0, 4, 1]])
    asked = torch.zeros(3, 4, dtype=torch.bool)
    asked[0, :3] = asked[2, 3] = True  # rows with three, no and one question
    yield _case(tensor(rng, 3, 4, 5, scale=2), tokens, asked)


def _case(logits: Tensor, tokens: Tensor, asked: Tensor) -> Case:
    found = []
    for place in asked.nonzero().tolist():
        powers = [math.exp(value) for value in logits[*place].tolist()]
        found.append(-math.log(powers[int(tokens[*place])] / sum(powers)))
    truth = torch.tensor(sum(found) / len(found))
    return Case((logits, tokens, asked), truth, judge=partial(_judge, truth=truth), call=_call)


def _call(answer: Callable, logits: Tensor, tokens: Tensor, asked: Tensor) -> Any:
    """The loss, and whether it has slopes."""
    loss = answer(logits.requires_grad_(), tokens, asked)
    return (loss.detach(), loss.requires_grad) if torch.is_tensor(loss) else (loss, True)


def _judge(got: Any, truth: Tensor) -> str | None:
    loss, has_slopes = got
    if torch.is_tensor(loss) and loss.numel() == 1 and not torch.isfinite(loss):
        return (
            f"the loss is {loss.item()}. A place with logits of -inf still counts, and where all "
            "are -inf there is no probability. Take the places out: `logits[asked]`."
        )
    if problem := difference(loss, truth):
        return problem
    if not has_slopes:
        return "nothing can be learned from this loss: leave out `.item()` and `.detach()`."
    return None


def _each(logits: Tensor, tokens: Tensor) -> Tensor:
    """The surprise at each place: [B, T]."""
    return functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


def _everywhere(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return _each(logits, tokens).mean()


def _zeroed_logits(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return _each(logits * asked[..., None], tokens).mean()


def _zeroed_tokens(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return _each(logits, tokens * asked).mean()


def _over_all_places(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return (_each(logits, tokens) * asked).mean()


def _row_by_row(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return ((_each(logits, tokens) * asked).sum(1) / asked.sum(1).clamp(min=1)).mean()


def _per_row(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return (_each(logits, tokens) * asked).sum() / len(tokens)


def _sum(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return (_each(logits, tokens) * asked).sum()


def _first_question(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    return functional.cross_entropy(logits[asked][:1], tokens[asked][:1])


def _mixed_axes(logits: Tensor, tokens: Tensor, asked: Tensor) -> Tensor:
    batch, num_tokens, symbols = logits.shape
    mixed = logits.reshape(batch, symbols, num_tokens)
    return functional.cross_entropy(mixed, tokens, reduction="none")[asked].mean()


EVERYWHERE = (
    "Places that nobody asked for still count. There the model need only copy its input, so the "
    "loss looks good and little is learned. Take only the places where `asked` is True."
)

MASKED_LOSS = Exercise(
    name="bert.masked_loss",
    title="Bug hunt: a loss that looks too good",
    minutes=5,
    difficulty=1,
    reference=bert.masked_loss,
    cases=_masked_loss_cases,
    mistakes=(
        Mistake(_everywhere, EVERYWHERE),
        Mistake(
            _zeroed_logits,
            "Logits of 0 still count: they say that every token is equally likely. Take the "
            "places out: `logits[asked]`.",
        ),
        Mistake(
            _zeroed_tokens,
            "0 is a token as well, and it is now asked for wherever nothing is. Take the places "
            "out: `tokens[asked]`.",
        ),
        Mistake(
            _over_all_places,
            "The sum is right, but you divide by *all* places; divide by the number of those that "
            "are asked for.",
        ),
        Mistake(
            _row_by_row,
            "You took a mean for each row first: then a question in a row with few of them counts "
            "more. One mean over all questions is asked for.",
        ),
        Mistake(_per_row, "You divided by the number of rows; divide by that of the questions."),
        Mistake(_sum, "This is the sum; the mean over the places that are asked for is wanted."),
        Mistake(
            lambda logits, tokens, asked: _each(logits, tokens)[~asked].mean(),
            "You took just the places that are *not* asked for.",
        ),
        Mistake(_first_question, "Only the first question counts in yours; all do."),
        Mistake(
            _mixed_axes,
            "A reshape does not swap axes, it cuts the numbers anew. Take the places first: "
            "`logits[asked]` has the shape [M, V].",
        ),
    ),
    advice=(
        (
            r"Expected target size|batch_size|class probabilities|size mismatch|multi-target",
            "Logits and tokens have to be of equal length: `logits[asked]` and `tokens[asked]`.",
        ),
        (
            "out of bounds",
            "An index of 0 and 1 means the places 0 and 1. `asked` itself, of True and False, "
            "chooses: `logits[asked]`.",
        ),
    ),
    hints=(
        "Which places does the stub count? At how many of them is there something to guess?",
        "`logits[asked]` are the logits of the places where `asked` is True: [M, V].",
        "`functional.cross_entropy(logits[asked], tokens[asked])`",
    ),
)
