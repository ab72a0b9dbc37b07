"""bert.mean_surprise: a loss that lacks its logarithm."""

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


def _mean_surprise_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: the probability 3/4; later logits of hundreds, where a probability can be 0."""
    yield _case(torch.tensor([[0.0, math.log(3)]]), torch.tensor([1]))
    for places, symbols in ((2, 3), (5, 4), (3, 7)):
        targets = torch.tensor(rng.integers(0, symbols, places))
        yield _case(tensor(rng, places, symbols, scale=2), targets)
    yield _case(torch.tensor([[300.0, 0.0, 1.0], [0.0, 2.0, 1.0]]), torch.tensor([1, 2]))


def _case(logits: Tensor, targets: Tensor) -> Case:
    found = []
    for row, target in zip(logits.double().tolist(), targets.tolist(), strict=True):
        largest = max(row)
        total = sum(math.exp(value - largest) for value in row)
        found.append(math.log(total) + largest - row[target])
    truth = torch.tensor(sum(found) / len(found))
    return Case((logits, targets), truth, judge=partial(_judge, truth=truth), call=_call)


def _call(answer: Callable, logits: Tensor, targets: Tensor) -> Any:
    """The loss, and whether it has slopes."""
    logits = logits.requires_grad_()
    loss = answer(logits, targets)
    return (loss.detach(), loss.requires_grad) if torch.is_tensor(loss) else (loss, True)


def _judge(got: Any, truth: Tensor) -> str | None:
    loss, has_slopes = got
    if torch.is_tensor(loss) and loss.numel() == 1 and not torch.isfinite(loss):
        return (
            f"the loss is {loss.item()}: a probability was so small that it became 0, and then its "
            "logarithm was taken. `torch.log_softmax` does both at once."
        )
    if problem := difference(loss, truth):
        if torch.is_tensor(loss) and loss.shape == truth.shape and loss < truth > 100:
            return (
                f"the loss is {loss.item():.4g} where a probability is too small for the computer, "
                f"and {truth.item():.4g} is right. A small number added to it, or a limit below "
                "it, hides how wrong the model is: `torch.log_softmax` needs neither."
            )
        return problem
    if not has_slopes:
        return "nothing can be learned from this loss: leave out `.item()` and `.detach()`."
    return None


def _probabilities(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.softmax(logits, 1)[torch.arange(len(targets)), targets]


def _logs(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.log_softmax(logits, 1)[torch.arange(len(targets)), targets]


MEAN_SURPRISE = Exercise(
    name="bert.mean_surprise",
    title="Bug hunt: a loss without its logarithm",
    minutes=5,
    difficulty=2,
    reference=bert.mean_surprise,
    cases=_mean_surprise_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            lambda logits, targets: -_probabilities(logits, targets).mean(),
            "The logarithm is still missing: its slope, 1 / probability, is what pulls strongly "
            "where the model is sure and wrong.",
        ),
        Mistake(
            lambda logits, targets: (1 - _probabilities(logits, targets)).mean(),
            "This is how much probability went to the wrong tokens; the logarithm of the right "
            "one's probability is asked for.",
        ),
        Mistake(
            lambda logits, targets: -_probabilities(logits, targets).mean().log(),
            "First the logarithm of each probability, then the mean: you did it the other way "
            "round.",
        ),
        Mistake(
            lambda logits, targets: _logs(logits, targets).mean(),
            "The minus sign is missing: the surprise is the *negative* logarithm.",
        ),
        Mistake(
            lambda logits, targets: -_logs(logits, targets).sum(),
            "This is the sum; the mean is asked for, so that the loss does not depend on how many "
            "places there are.",
        ),
        Mistake(
            lambda logits, targets: -_logs(logits, targets).mean() / math.log(2),
            "This is in bits, with the logarithm to base 2; take the natural one, `torch.log`.",
        ),
        Mistake(
            lambda logits, targets: -logits[torch.arange(len(targets)), targets].log().mean(),
            "Logits are no probabilities: first the softmax, then the logarithm.",
        ),
        Mistake(
            lambda logits, targets: -logits[torch.arange(len(targets)), targets].mean(),
            "These are the logits themselves; first the softmax makes probabilities of them.",
        ),
        Mistake(
            lambda logits, targets: functional.cross_entropy(torch.softmax(logits, 1), targets),
            "`cross_entropy` applies the softmax itself: give it the logits as they are.",
        ),
        Mistake(
            lambda logits, targets: (
                -torch.log_softmax(logits, 0)[torch.arange(len(targets)), targets].mean()
            ),
            "The softmax goes over the tokens, `dim=1`; yours goes over the places.",
        ),
        Mistake(
            lambda logits, targets: -torch.log_softmax(logits, 1).mean(),
            "This is the mean over all tokens; only the one that really stood there counts: "
            "`[torch.arange(len(targets)), targets]`.",
        ),
        Mistake(
            lambda logits, targets: -torch.log_softmax(logits, 1)[:, targets].mean(),
            "`[:, targets]` takes the targets of *all* places in each row. Each row has one "
            "target: `[torch.arange(len(targets)), targets]`.",
        ),
        Mistake(
            lambda logits, targets: (
                -(torch.softmax(logits, 1) * torch.log_softmax(logits, 1)).sum(1).mean()
            ),
            "This is the surprise that the model itself expects (its entropy). The targets are not "
            "used: take the logarithm at the token that really stood there.",
        ),
        Mistake(
            lambda logits, targets: -_logs(logits, targets),
            "One number is asked for: the mean over the places.",
        ),
    ),
    advice=(
        (
            "same number of dimensions",
            "`gather` asks for the places in the shape [M, 1]: `targets[:, None]`.",
        ),
    ),
    hints=(
        "What is the loss of a model that gives the right token the probability 0.001, and what "
        "is it at 0.000001? Should these be about the same?",
        "The surprise is the negative logarithm of the probability.",
        "`torch.log_softmax(logits, dim=1)` instead of the softmax.",
    ),
)
