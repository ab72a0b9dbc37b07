"""The exercises gan.discriminator_loss and gan.generator_loss: what each player pays."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.gan.shared import surprise, tensor
from course.models import gan


def _logits_cases(rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits of real and of fake images; the last ones so sure that probabilities round to 0, 1."""
    yield torch.tensor([0.0]), torch.tensor([0.0])
    yield torch.tensor([2.0, -1.0]), torch.tensor([1.0])
    yield tensor(rng, 4, scale=2), tensor(rng, 3, scale=2)
    yield torch.tensor([300.0, -200.0]), torch.tensor([-250.0, 150.0, 3.0])


def _discriminator_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    for real, fake in _logits_cases(rng):
        truth = surprise(real, 1) + surprise(fake, 0)
        yield Case((real, fake), truth, judge=partial(_like_loss, truth=truth))


def _like_loss(got: Any, truth: Tensor) -> str | None:
    """How the loss differs; as a plain number it would be of no use to the training."""
    if isinstance(got, float):
        return (
            "it returned a plain number; return the tensor itself, without `.item()`: training "
            "needs to go back from it to the weights."
        )
    return difference(got, truth)


def _twice_sigmoid(real: Tensor, fake: Tensor) -> Tensor:
    return surprise(torch.sigmoid(real), 1) + surprise(torch.sigmoid(fake), 0)


def _all_in_one(real: Tensor, fake: Tensor) -> Tensor:
    labels = torch.cat([torch.ones_like(real), torch.zeros_like(fake)])
    return functional.binary_cross_entropy_with_logits(torch.cat([real, fake]), labels)


def _from_probabilities(real: Tensor, fake: Tensor) -> Tensor:
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    return functional.binary_cross_entropy(
        real, torch.ones_like(real)
    ) + functional.binary_cross_entropy(fake, torch.zeros_like(fake))


def _logs_of_probabilities(real: Tensor, fake: Tensor) -> Tensor:
    return -torch.sigmoid(real).log().mean() - (1 - torch.sigmoid(fake)).log().mean()


def _total(real: Tensor, fake: Tensor) -> Tensor:
    return surprise(real, 1) * len(real) + surprise(fake, 0) * len(fake)


DISCRIMINATOR_LOSS = Exercise(
    name="gan.discriminator_loss",
    title="Bug hunt: a loss that never becomes small",
    minutes=8,
    difficulty=2,
    reference=gan.discriminator_loss,
    cases=_discriminator_loss_cases,
    mistakes=(
        Mistake(
            _twice_sigmoid,
            "The sigmoid is still applied twice: `binary_cross_entropy_with_logits` has its own.",
        ),
        Mistake(
            lambda real, fake: surprise(real, 0) + surprise(fake, 1),
            "The labels have changed places: 1 is for real images, 0 for fakes.",
        ),
        Mistake(
            lambda real, fake: surprise(real, 1) + surprise(fake, 1),
            "The label of the fakes is 0: the discriminator wants to find them out.",
        ),
        Mistake(
            lambda real, fake: surprise(real, 1) - surprise(fake, 0),
            "You subtracted the fakes' part; both mistakes cost something, so add them.",
        ),
        Mistake(
            lambda real, fake: (surprise(real, 1) + surprise(fake, 0)) / 2,
            "That is half of it: the two means are added, not averaged.",
        ),
        Mistake(
            _all_in_one,
            "In one mean over all images, the larger batch counts for more: take a mean over the "
            "real ones, another over the fakes, and add the two.",
        ),
        Mistake(
            _from_probabilities,
            "Right, until the logits are large: then the probabilities round to 0 and 1, and the "
            "loss is cut off at 100. Give the logits themselves to the loss that takes logits.",
        ),
        Mistake(
            _logs_of_probabilities,
            "Right, until the logits are large: then a probability rounds to 0, whose logarithm is "
            "infinite. Give the logits themselves to the loss that takes logits.",
        ),
        Mistake(
            _total,
            "You added up over the batch; take the mean, so that the loss does not grow with it.",
        ),
        Mistake(
            lambda real, fake: surprise(torch.sigmoid(real), 1) + surprise(fake, 0),
            "The real images still go through a sigmoid twice.",
        ),
        Mistake(
            lambda real, fake: surprise(real, 1) + surprise(torch.sigmoid(fake), 0),
            "The fakes still go through a sigmoid twice.",
        ),
        Mistake(
            lambda real, fake: surprise(real, 1),
            "The fakes have no part in it. A discriminator that calls everything real would pay "
            "nothing.",
        ),
    ),
    advice=(
        (
            r"same size|input size",
            "The two batches need not have the same size: make the labels from the logits, "
            "`torch.ones_like(real_logits)`.",
        ),
    ),
    hints=(
        "What does the name of the loss function say about what it wants to be given?",
        "It applies the sigmoid itself. So give it the logits as they are.",
        "Remove the line with the two sigmoids, and use `real_logits` and `fake_logits` in its "
        "place.",
    ),
)


def _generator_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    for _, fake in _logits_cases(rng):
        truth = surprise(fake, 1)
        yield Case((fake,), truth, judge=partial(_like_loss, truth=truth))


GENERATOR_LOSS = Exercise(
    name="gan.generator_loss",
    title="Bug hunt: a generator that runs away",
    minutes=5,
    difficulty=1,
    reference=gan.generator_loss,
    cases=_generator_loss_cases,
    mistakes=(
        Mistake(
            lambda fake: surprise(fake, 0),
            "It is still trained towards label 0: it pays least where its images are called fake.",
        ),
        Mistake(
            lambda fake: -surprise(fake, 0),
            "That is the minimax loss. It points the right way, but where the discriminator is "
            "sure, at logits far below 0, it has almost no slope; section 3 shows it. Take the "
            "cross-entropy with label 1.",
        ),
        Mistake(
            lambda fake: -surprise(fake, 1),
            "The sign is wrong: with the minus, it pays least where its images are called fake.",
        ),
        Mistake(
            lambda fake: surprise(torch.sigmoid(fake), 1),
            "The loss brings its own sigmoid: give it the logits as they are.",
        ),
        Mistake(
            lambda fake: -fake.mean(),
            "That pushes the logits up without an end; take the cross-entropy with label 1.",
        ),
        Mistake(
            lambda fake: -torch.sigmoid(fake).log().mean(),
            "Right, until a probability rounds to 0 and its logarithm is infinite: use "
            "`binary_cross_entropy_with_logits`.",
        ),
        Mistake(
            lambda fake: surprise(fake, 1) * len(fake),
            "You added up over the batch; take the mean.",
        ),
        Mistake(
            lambda fake: (surprise(fake, 1) + surprise(fake, 0)) / 2,
            "That asks for answers half-way between real and fake; the label it wants is 1.",
        ),
    ),
    hints=(
        "Which label does the generator *want* its images to get?",
        "It wants them to be called real: label 1, though they are not.",
        "`torch.ones_like(fake_logits)` in place of `torch.zeros_like(fake_logits)`",
    ),
)
