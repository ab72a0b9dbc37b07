"""The exercise gan.judge_both: batch norm, and two batches that must not be mixed."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.gan.shared import players, tensor
from course.exercises.resnet.shared import Sentence, sentence_or_difference
from course.models import gan


def _judge_both_cases(rng: np.random.Generator) -> Iterator[Case]:
    for num_real, num_fake, size, hidden in ((2, 2, 2, 2), (3, 5, 3, 4), (6, 4, 2, 3)):
        weights = tensor(rng, hidden, size), tensor(rng, 1, hidden)
        real, fake = tensor(rng, num_real, size) + 1, tensor(rng, num_fake, size) * 2 - 1
        truth = tuple(_normalised(images @ weights[0].T) @ weights[1][0] for images in (real, fake))
        yield Case(
            (*weights, real, fake),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=_logits_of_both,
            names=("weights before batch norm", "weights after it", "real", "fake"),
        )


def _normalised(hidden: Tensor) -> Tensor:
    """Batch norm's training mode, and a leaky ReLU."""
    spread = hidden.var(dim=0, correction=0) + 1e-5
    return functional.leaky_relu((hidden - hidden.mean(dim=0)) / spread.sqrt(), 0.2)


def _logits_of_both(
    answer: Callable[..., Any], before: Tensor, after: Tensor, real: Tensor, fake: Tensor
) -> Any:
    """What the answer gives for a small discriminator with batch norm, or a sentence."""
    first, last = players((before, after))
    discriminator = nn.Sequential(
        first, nn.BatchNorm1d(len(before)), nn.LeakyReLU(0.2), last, nn.Flatten(0)
    )
    fake = fake.clone().requires_grad_()
    got = answer(discriminator, real, fake)
    if not discriminator.training:
        return Sentence(
            "it switched the discriminator to `eval()`, where running averages are used; both "
            "players are in training here."
        )
    if isinstance(got, tuple | list) and len(got) == 2 and all(map(torch.is_tensor, got)):
        if not all(logits.requires_grad for logits in got):
            return Sentence(
                "no slopes can pass through these logits: leave out `torch.no_grad()` and "
                "`.detach()`."
            )
        return tuple(logits.detach() for logits in got)
    return got


def _in_one_call(discriminator: Any, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    logits = discriminator(torch.cat([real, fake]))
    return logits[: len(real)], logits[len(real) :]


def _in_evaluation(discriminator: Any, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    silent = copy.deepcopy(discriminator).eval()
    return silent(real), silent(fake)


def _image_by_image(discriminator: Any, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    return tuple(
        torch.cat([discriminator(image[None].repeat(2, 1))[:1] for image in images])
        for images in (real, fake)
    )


JUDGE_BOTH = Exercise(
    name="gan.judge_both",
    title="Bug hunt: a batch norm that mixes real and fake",
    minutes=6,
    difficulty=2,
    reference=gan.judge_both,
    cases=_judge_both_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _in_one_call,
            "Real and fake images are still in one batch, and batch norm takes its mean over both: "
            "call the discriminator once for each.",
        ),
        Mistake(
            lambda discriminator, real, fake: (discriminator(fake), discriminator(real)),
            "Real and fake have changed places: the logits of the real images come first.",
        ),
        Mistake(
            lambda discriminator, real, fake: torch.cat([discriminator(real), discriminator(fake)]),
            "Return the two as a pair: `return real_logits, fake_logits`.",
        ),
        Mistake(
            lambda discriminator, real, fake: (
                discriminator(real),
                _in_one_call(discriminator, real, fake)[1],
            ),
            "The fakes still share a batch with the real images.",
        ),
        Mistake(
            lambda discriminator, real, fake: (
                _in_one_call(discriminator, real, fake)[0],
                discriminator(fake),
            ),
            "The real images still share a batch with the fakes.",
        ),
        Mistake(
            _in_evaluation,
            "That uses the running averages of `eval()`; both players are in training here.",
        ),
        Mistake(
            _image_by_image,
            "One image at a time leaves batch norm nothing to average over: give it each batch "
            "as a whole.",
        ),
    ),
    advice=(
        (
            r"more than 1 value per channel",
            "One image at a time leaves batch norm nothing to average over: give it each batch "
            "as a whole.",
        ),
    ),
    hints=(
        "Batch norm takes mean and variance over everything that comes in one call. What comes in "
        "one call here?",
        "Call the discriminator twice.",
        "`return discriminator(real), discriminator(fake)`",
    ),
)
