"""The exercises gan.discriminator_step and gan.generator_step: a move of each player."""

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.gan.shared import players, surprise, tensor
from course.models import gan


class _PlainDescent:
    """Gradient descent with learning rate 1; torch's own takes seconds to load when first used."""

    def __init__(self, model: nn.Module) -> None:
        self.parameters = list(model.parameters())

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter -= parameter.grad


def _step_cases(rng: np.random.Generator, of: str) -> Iterator[Case]:
    """Two steps of one player, each on its own draw of the noise; the slopes in closed form."""
    for noise, size, batch in ((1, 2, 1), (3, 2, 4), (2, 4, 3)):
        weights = tensor(rng, size, noise), tensor(rng, 1, size)
        reals, noises = tensor(rng, 2, batch, size), tensor(rng, 2, batch, noise)
        made, judged = (tensor.double() for tensor in weights)
        truth = {}
        for number, (real, z) in enumerate(
            zip(reals.double(), noises.double(), strict=True), start=1
        ):
            fake = z @ made.T
            real_logits, fake_logits = real @ judged[0], fake @ judged[0]
            if of == "discriminator":
                loss = surprise(real_logits, 1) + surprise(fake_logits, 0)
                blame = torch.sigmoid(-real_logits), torch.sigmoid(fake_logits)
                judged = judged - (blame[1] @ fake - blame[0] @ real)[None] / batch
            else:
                loss = surprise(fake_logits, 1)
                blame = torch.sigmoid(-fake_logits)[:, None]
                made = made + (blame * judged).T @ z / batch
            truth[f"loss of step {number}"] = np.float32(loss.item())
        truth["generator's weights"], truth["discriminator's weights"] = (
            made.float(),
            judged.float(),
        )
        yield Case(
            (*weights, reals, noises),
            truth,
            judge=_like_steps(truth, of),
            call=partial(_two_steps, of=of),
            names=("generator's weights", "discriminator's weights", "two real batches", "noise"),
        )


def _two_steps(
    step: Callable[..., Any],
    made: Tensor,
    judged: Tensor,
    reals: Tensor,
    noises: Tensor,
    of: str,
) -> dict[str, Any]:
    """What two calls of a player's step return, and how both players are afterwards."""
    generator, discriminator = players((made, judged))
    optimizers = SimpleNamespace(
        generator=_PlainDescent(generator), discriminator=_PlainDescent(discriminator)
    )
    seen: dict[str, Any] = {}
    for number, (real, noise) in enumerate(zip(reals, noises, strict=True), start=1):
        other = generator if of == "discriminator" else discriminator
        for player in (generator, discriminator):  # what the steps before have left behind
            player.weight.grad = torch.full_like(player.weight, 0.5)
        fake = generator(noise)
        given = (real, fake) if of == "discriminator" else (fake,)

        def judge(images: Tensor) -> Tensor:  # a function, as a discriminator of labels will be
            return discriminator(images).squeeze(1)

        seen[f"loss of step {number}"] = step(judge, optimizers, *given)
        if of == "discriminator" and not torch.equal(
            other.weight.grad if other.weight.grad is not None else torch.empty(0),
            torch.full_like(other.weight, 0.5),
        ):
            seen["reached the generator"] = 1.0
    seen["generator's weights"] = generator.weight.detach()
    seen["discriminator's weights"] = discriminator.weight.detach()
    return seen


def _like_steps(truth: dict[str, Any], of: str) -> Callable[[Any], str | None]:
    other = "generator" if of == "discriminator" else "discriminator"

    def judge(got: dict[str, Any]) -> str | None:
        loss = got["loss of step 1"]
        if isinstance(loss, Tensor | np.ndarray):
            return (
                "return a plain number, `loss.item()`: a tensor keeps the whole computation behind "
                "it in memory."
            )
        if loss is None:
            return "the step returns nothing; return the loss as a number, `loss.item()`."
        if problem := difference(got[f"{other}'s weights"], truth[f"{other}'s weights"]):
            return f"it also moved the {other}, which has to stay as it is: {problem}"
        if got.get("reached the generator"):
            return (
                "the discriminator's loss sent slopes back into the generator: give the "
                "discriminator `fake.detach()`, the same numbers without their history."
            )
        return difference(got, truth)

    return judge


def _step_with(
    order: tuple[str, ...],
    of: str = "discriminator",
    loss_of: Callable[[Any, Tensor, Tensor], Tensor] | None = None,
) -> Callable[..., float]:
    """A step that does just these things, in this order, for one player."""

    def step(discriminator: Any, optimizers: Any, *images: Tensor) -> float:
        own = getattr(optimizers, of)
        if loss_of is not None:
            loss = loss_of(discriminator, *images)
        elif of == "discriminator":
            real, fake = images
            loss = surprise(discriminator(real), 1) + surprise(discriminator(fake.detach()), 0)
        else:
            loss = surprise(discriminator(images[0]), 1)
        for action in order:
            {
                "zero": own.zero_grad,
                "back": loss.backward,
                "move": own.step,
            }[action]()
        return loss.item()

    return step


ORDER = ("zero", "back", "move")
STEP_ADVICE = (
    (
        r"does not require grad",
        "The loss has to come from the discriminator's logits, without `.item()` or "
        "`torch.no_grad()` on the way.",
    ),
    (
        r"'function' object has no attribute",
        "`discriminator` may be any function from images to logits: clear and move through "
        "`optimizers.discriminator` and `optimizers.generator`.",
    ),
    (
        r"backward through the graph a second time",
        "`loss.backward()` may be called once for each loss: add the two parts first.",
    ),
    (
        r"SimpleNamespace",
        "There are two: `optimizers.discriminator` and `optimizers.generator`.",
    ),
)


DISCRIMINATOR_STEP = Exercise(
    name="gan.discriminator_step",
    title="One step of the discriminator",
    minutes=12,
    difficulty=2,
    reference=gan.discriminator_step,
    cases=partial(_step_cases, of="discriminator"),
    uses_randomness=True,
    advice=STEP_ADVICE,
    mistakes=(
        Mistake(
            _step_with(("back", "move")),
            "Slopes of an earlier step are added to the new ones: call "
            "`optimizers.discriminator.zero_grad()` before `loss.backward()`.",
        ),
        Mistake(
            _step_with(("zero", "back")),
            "The discriminator did not move: `optimizers.discriminator.step()` belongs after "
            "`loss.backward()`.",
        ),
        Mistake(
            _step_with(("zero", "move", "back")),
            "The discriminator did not move: `optimizers.discriminator.step()` belongs after "
            "`loss.backward()`.",
        ),
        Mistake(
            _step_with(ORDER, loss_of=lambda d, r, f: surprise(d(r), 1)),
            "Only the real images count in your loss; the fakes belong to it too.",
        ),
        Mistake(
            _step_with(ORDER, loss_of=lambda d, r, f: surprise(d(f.detach()), 0)),
            "Only the fakes count in your loss; the real images belong to it too.",
        ),
        Mistake(
            _step_with(
                ORDER, loss_of=lambda d, r, f: surprise(d(r), 0) + surprise(d(f.detach()), 1)
            ),
            "Real and fake have changed places: `discriminator_loss` takes the logits of the real "
            "images first.",
        ),
        Mistake(
            _step_with(ORDER, loss_of=lambda d, r, f: surprise(d(f.detach()), 1)),
            "That is the generator's loss; the discriminator has a loss of its own, of real and "
            "fake images.",
        ),
    ),
    hints=(
        "As in lesson 01: compute the loss, forget old slopes, find the new ones, move, return "
        "the loss as a number. Only: for the discriminator alone.",
        "`discriminator_loss(discriminator(real), discriminator(fake.detach()))`; the optimizer "
        "is `optimizers.discriminator`.",
        "After the loss: `optimizers.discriminator.zero_grad()`, `loss.backward()`, "
        "`optimizers.discriminator.step()`, `return loss.item()`.",
    ),
)


GENERATOR_STEP = Exercise(
    name="gan.generator_step",
    title="Bug hunt: the judge that was bribed",
    minutes=8,
    difficulty=2,
    reference=gan.generator_step,
    cases=partial(_step_cases, of="generator"),
    uses_randomness=True,
    advice=STEP_ADVICE,
    mistakes=(
        Mistake(
            _step_with(("back", "move"), of="generator"),
            "Slopes of an earlier step are added to the new ones: call "
            "`optimizers.generator.zero_grad()` before `loss.backward()`.",
        ),
        Mistake(
            _step_with(("zero", "back"), of="generator"),
            "The generator did not move. `optimizers.generator.step()` belongs after "
            "`loss.backward()`; and `fake` must not be detached here, which would cut off the "
            "slopes that the generator needs.",
        ),
        Mistake(
            _step_with(ORDER, of="generator", loss_of=lambda d, f: surprise(d(f), 0)),
            "The generator is trained towards label 0; use `generator_loss`.",
        ),
    ),
    hints=(
        "Which of the two players may move in this step?",
        "Slopes go *through* the discriminator, and its weights get some as well. That does no "
        "harm: its own step begins by forgetting them. But they must not be followed.",
        "In place of the two loops: `optimizers.generator.zero_grad()`, `loss.backward()`, "
        "`optimizers.generator.step()`.",
    ),
)
