"""The exercises of lesson 04: the game's optimum, losses and steps, and a score for pictures."""

import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import gan, gan_score

LESSON = "04_gan"


class _Sentence(str):
    """What is wrong with an answer, found while it was called; stands in place of its result."""


def _sentence_or_difference(got: Any, truth: Any) -> str | None:
    """A sentence that the call came back with, or how the result differs."""
    return got if isinstance(got, _Sentence) else difference(got, truth)


def _tensor(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32)


def _best_discriminator_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((np.array([0.3]), np.array([0.1])), np.array([0.75]))
    yield Case((np.array([0.2, 0.0, 0.5]), np.array([0.2, 0.4, 0.0])), np.array([0.5, 0.0, 1.0]))
    for shape in ((4,), (2, 3)):
        p, q = rng.uniform(0.01, 3, shape), rng.uniform(0.01, 3, shape)
        yield Case((p, q), 1 / (1 + np.exp(np.log(q) - np.log(p))))  # a sigmoid of the log ratio


BEST_DISCRIMINATOR = Exercise(
    name="gan.best_discriminator",
    title="The best that a discriminator can do",
    minutes=5,
    difficulty=1,
    reference=gan.best_discriminator,
    cases=_best_discriminator_cases,
    mistakes=(
        Mistake(
            lambda p, q: q / (p + q),
            "That is the probability that the point is *fake*; asked for is that it is real.",
        ),
        Mistake(
            lambda p, q: p / q,
            "That is how many real points come for each fake one; a probability divides by all "
            "points, real and fake.",
        ),
        Mistake(
            lambda p, q: p / (1 + q),
            "Divide by all that is there: p and q, not 1 and q.",
        ),
        Mistake(
            lambda p, q: (p > q) * 1.0,
            "That says only which of the two is more likely; give the probability itself.",
        ),
        Mistake(
            lambda p, q: p - q,
            "A difference of densities is no probability: it can be negative. Which share of the "
            "points at this place is real?",
        ),
        Mistake(
            lambda p, q: p / (p.sum() + q.sum()),
            "Each place is a question of its own: divide by p + q *at that place*, not by a sum "
            "over all places.",
        ),
        Mistake(
            lambda p, q: p,
            "That leaves the fake points out: where they are many, a point is less likely real.",
        ),
    ),
    advice=(
        (
            r"truth value of an array",
            "p and q hold many places at once: no `if` is needed, the formula works for all.",
        ),
    ),
    hints=(
        "Imagine 100 points at one place: 75 of them were real and 25 fake. With which "
        "probability is the next one there real?",
        "The number of real points at a place is proportional to p there, of fake ones to q.",
        "`return p / (p + q)`",
    ),
)


def _logits_cases(rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits of real and of fake images; the last ones so sure that probabilities round to 0, 1."""
    yield torch.tensor([0.0]), torch.tensor([0.0])
    yield torch.tensor([2.0, -1.0]), torch.tensor([1.0])
    yield _tensor(rng, 4, scale=2), _tensor(rng, 3, scale=2)
    yield torch.tensor([300.0, -200.0]), torch.tensor([-250.0, 150.0, 3.0])


def _surprise(logits: Tensor, label: int) -> Tensor:
    """The mean cross-entropy of logits with one label: the mean of log(1 + exp(∓ logit))."""
    signed = -logits if label else logits
    return torch.logaddexp(signed, torch.zeros_like(signed)).mean()


def _discriminator_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    for real, fake in _logits_cases(rng):
        truth = _surprise(real, 1) + _surprise(fake, 0)
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
    return _surprise(torch.sigmoid(real), 1) + _surprise(torch.sigmoid(fake), 0)


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
    return _surprise(real, 1) * len(real) + _surprise(fake, 0) * len(fake)


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
            lambda real, fake: _surprise(real, 0) + _surprise(fake, 1),
            "The labels have changed places: 1 is for real images, 0 for fakes.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1) + _surprise(fake, 1),
            "The label of the fakes is 0: the discriminator wants to find them out.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1) - _surprise(fake, 0),
            "You subtracted the fakes' part; both mistakes cost something, so add them.",
        ),
        Mistake(
            lambda real, fake: (_surprise(real, 1) + _surprise(fake, 0)) / 2,
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
            lambda real, fake: _surprise(torch.sigmoid(real), 1) + _surprise(fake, 0),
            "The real images still go through a sigmoid twice.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1) + _surprise(torch.sigmoid(fake), 0),
            "The fakes still go through a sigmoid twice.",
        ),
        Mistake(
            lambda real, fake: _surprise(real, 1),
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
        truth = _surprise(fake, 1)
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
            lambda fake: _surprise(fake, 0),
            "It is still trained towards label 0: it pays least where its images are called fake.",
        ),
        Mistake(
            lambda fake: -_surprise(fake, 0),
            "That is the minimax loss. It points the right way, but where the discriminator is "
            "sure, at logits far below 0, it has almost no slope; section 3 shows it. Take the "
            "cross-entropy with label 1.",
        ),
        Mistake(
            lambda fake: -_surprise(fake, 1),
            "The sign is wrong: with the minus, it pays least where its images are called fake.",
        ),
        Mistake(
            lambda fake: _surprise(torch.sigmoid(fake), 1),
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
            lambda fake: _surprise(fake, 1) * len(fake),
            "You added up over the batch; take the mean.",
        ),
        Mistake(
            lambda fake: (_surprise(fake, 1) + _surprise(fake, 0)) / 2,
            "That asks for answers half-way between real and fake; the label it wants is 1.",
        ),
    ),
    hints=(
        "Which label does the generator *want* its images to get?",
        "It wants them to be called real: label 1, though they are not.",
        "`torch.ones_like(fake_logits)` in place of `torch.zeros_like(fake_logits)`",
    ),
)


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


def _players(weights: tuple[Tensor, Tensor]) -> tuple[nn.Linear, nn.Linear]:
    """A linear generator and a linear discriminator with these weights, each [out, in]."""
    players = []
    for tensor in weights:
        player = nn.Linear(tensor.shape[1], tensor.shape[0], bias=False)
        with torch.no_grad():
            player.weight.copy_(tensor)
        players.append(player)
    return tuple(players)


def _step_cases(rng: np.random.Generator, of: str) -> Iterator[Case]:
    """Two steps of one player, each on its own draw of the noise; the slopes in closed form."""
    for noise, size, batch in ((1, 2, 1), (3, 2, 4), (2, 4, 3)):
        weights = _tensor(rng, size, noise), _tensor(rng, 1, size)
        reals, noises = _tensor(rng, 2, batch, size), _tensor(rng, 2, batch, noise)
        made, judged = (tensor.double() for tensor in weights)
        truth = {}
        for number, (real, z) in enumerate(
            zip(reals.double(), noises.double(), strict=True), start=1
        ):
            fake = z @ made.T
            real_logits, fake_logits = real @ judged[0], fake @ judged[0]
            if of == "discriminator":
                loss = _surprise(real_logits, 1) + _surprise(fake_logits, 0)
                blame = torch.sigmoid(-real_logits), torch.sigmoid(fake_logits)
                judged = judged - (blame[1] @ fake - blame[0] @ real)[None] / batch
            else:
                loss = _surprise(fake_logits, 1)
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
    generator, discriminator = _players((made, judged))
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
            loss = _surprise(discriminator(real), 1) + _surprise(discriminator(fake.detach()), 0)
        else:
            loss = _surprise(discriminator(images[0]), 1)
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
            _step_with(ORDER, loss_of=lambda d, r, f: _surprise(d(r), 1)),
            "Only the real images count in your loss; the fakes belong to it too.",
        ),
        Mistake(
            _step_with(ORDER, loss_of=lambda d, r, f: _surprise(d(f.detach()), 0)),
            "Only the fakes count in your loss; the real images belong to it too.",
        ),
        Mistake(
            _step_with(
                ORDER, loss_of=lambda d, r, f: _surprise(d(r), 0) + _surprise(d(f.detach()), 1)
            ),
            "Real and fake have changed places: `discriminator_loss` takes the logits of the real "
            "images first.",
        ),
        Mistake(
            _step_with(ORDER, loss_of=lambda d, r, f: _surprise(d(f.detach()), 1)),
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
            _step_with(ORDER, of="generator", loss_of=lambda d, f: _surprise(d(f), 0)),
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


def _judge_both_cases(rng: np.random.Generator) -> Iterator[Case]:
    for num_real, num_fake, size, hidden in ((2, 2, 2, 2), (3, 5, 3, 4), (6, 4, 2, 3)):
        weights = _tensor(rng, hidden, size), _tensor(rng, 1, hidden)
        real, fake = _tensor(rng, num_real, size) + 1, _tensor(rng, num_fake, size) * 2 - 1
        truth = tuple(_normalised(images @ weights[0].T) @ weights[1][0] for images in (real, fake))
        yield Case(
            (*weights, real, fake),
            truth,
            judge=partial(_like_logits, truth=truth),
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
    first, last = _players((before, after))
    discriminator = nn.Sequential(
        first, nn.BatchNorm1d(len(before)), nn.LeakyReLU(0.2), last, nn.Flatten(0)
    )
    fake = fake.clone().requires_grad_()
    got = answer(discriminator, real, fake)
    if not discriminator.training:
        return _Sentence(
            "it switched the discriminator to `eval()`, where running averages are used; both "
            "players are in training here."
        )
    if isinstance(got, tuple | list) and len(got) == 2 and all(map(torch.is_tensor, got)):
        if not all(logits.requires_grad for logits in got):
            return _Sentence(
                "no slopes can pass through these logits: leave out `torch.no_grad()` and "
                "`.detach()`."
            )
        return tuple(logits.detach() for logits in got)
    return got


def _like_logits(got: Any, truth: tuple[Tensor, Tensor]) -> str | None:
    return _sentence_or_difference(got, truth)


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


def _frechet_cases(rng: np.random.Generator) -> Iterator[Case]:
    square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    yield Case((square, square), 0.0, judge=partial(_near, truth=0.0))
    yield Case((square, square + np.array([3.0, 4.0])), 25.0, judge=partial(_near, truth=25.0))
    # Twice as wide in both directions: variances 4/3 and 16/3, so 2 · (√(16/3) − √(4/3))².
    yield Case((square, 2 * square), 8 / 3, judge=partial(_near, truth=8 / 3))
    for count, other, size in ((6, 9, 2), (20, 12, 3), (30, 30, 5)):
        a = rng.normal(size=(count, size)) @ rng.normal(size=(size, size))
        b = rng.normal(size=(other, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)
        truth = _frechet_by_eigenvalues(a, b)
        yield Case((a, b), truth, judge=partial(_near, truth=truth))


def _covariance(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=0)
    return centred.T @ centred / (len(x) - 1)


def _frechet_by_eigenvalues(a: np.ndarray, b: np.ndarray) -> float:
    """With tr √(A B), the sum of the roots of the eigenvalues of A B: no matrix root is needed."""
    spread_a, spread_b = _covariance(a), _covariance(b)
    mixed = np.sqrt(np.maximum(np.linalg.eigvals(spread_a @ spread_b).real, 0)).sum()
    gap = a.mean(axis=0) - b.mean(axis=0)
    return float((gap**2).sum() + np.trace(spread_a) + np.trace(spread_b) - 2 * mixed)


def _near(got: Any, truth: float) -> str | None:
    """How the number differs; a root of a number near 0 is known to fewer digits."""
    if isinstance(got, float | np.floating) and abs(got - truth) < 1e-6:
        return None
    return difference(got, truth)


def _frechet_with(
    mixed: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    gap: Callable[[np.ndarray], float] = lambda gap: float(gap @ gap),
    weight: float = -2.0,
    spread: Callable[[np.ndarray], np.ndarray] = _covariance,
) -> Callable[[np.ndarray, np.ndarray], float]:
    """The distance with one of its parts replaced."""

    def mixed_root(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        root = gan_score.square_root(one)
        return gan_score.square_root(root @ other @ root)

    def distance(a: np.ndarray, b: np.ndarray) -> float:
        one, other = spread(a), spread(b)
        middle = np.trace((mixed or mixed_root)(one, other))
        return float(gap(a.mean(axis=0) - b.mean(axis=0)) + np.trace(one + other) + weight * middle)

    return distance


FRECHET_DISTANCE = Exercise(
    name="gan.frechet_distance",
    title="How far apart are two clouds of points?",
    minutes=15,
    difficulty=3,
    reference=gan_score.frechet_distance,
    cases=_frechet_cases,
    mistakes=(
        Mistake(
            _frechet_with(gap=lambda gap: float(np.sqrt(gap @ gap))),
            "The distance of the means is not squared: `gap @ gap` is the sum of the squares.",
        ),
        Mistake(
            _frechet_with(gap=lambda gap: 0.0),
            "The distance of the means is missing.",
        ),
        Mistake(
            _frechet_with(gap=lambda gap: float((gap**2).mean())),
            "Take the *sum* of the squared differences of the means, not their mean.",
        ),
        Mistake(
            _frechet_with(weight=-1.0),
            "The factor 2 before the mixed root is missing.",
        ),
        Mistake(
            _frechet_with(weight=0.0),
            "The mixed root is missing: without it, two equal clouds would be far apart.",
        ),
        Mistake(
            _frechet_with(weight=2.0),
            "The mixed root is subtracted: with it, two equal clouds have distance 0.",
        ),
        Mistake(
            _frechet_with(mixed=lambda a, b: gan_score.square_root(a) @ gan_score.square_root(b)),
            "√A √B is right only where A and B do not turn each other; take the root of √A B √A.",
        ),
        Mistake(
            _frechet_with(mixed=lambda a, b: np.sqrt(np.abs(a @ b))),
            "`np.sqrt` takes the root of each element; `square_root` is the root of a matrix.",
        ),
        Mistake(
            _frechet_with(mixed=lambda a, b: gan_score.square_root(a @ b)),
            "A B is not symmetric, and `square_root` needs a symmetric matrix: √A B √A is one.",
        ),
        Mistake(
            _frechet_with(
                mixed=lambda a, b: gan_score.square_root(a) @ b @ gan_score.square_root(a)
            ),
            "The last root is missing: square_root(root @ spread_b @ root).",
        ),
        Mistake(
            lambda a, b: math.sqrt(max(_frechet_by_eigenvalues(a, b), 0)),
            "You took the root of the whole; what is used is the squared distance.",
        ),
        Mistake(
            _frechet_with(spread=lambda x: np.cov(x, rowvar=False, ddof=0)),
            "Your covariances divide by N; `np.cov` divides by N − 1 unless told otherwise.",
        ),
        Mistake(
            _frechet_with(spread=np.cov),
            "`np.cov` takes each *row* for a variable unless told `rowvar=False`; here each column "
            "is one.",
        ),
        Mistake(
            lambda a, b: float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()),
            "Only the means are compared; two clouds with the same middle can differ in spread.",
        ),
    ),
    advice=(
        (
            r"could not be broadcast|mismatch in its core dimension|not aligned",
            "`np.cov` takes each *row* for a variable unless told `rowvar=False`; here each column "
            "is one. The mean is over the examples, `axis=0`.",
        ),
        (r"cov\(\) got an unexpected", "It is `np.cov(a, rowvar=False)`."),
    ),
    hints=(
        "Go through the formula from left to right: the two means, the two covariances, the root "
        "of the first, the root of the product, then the traces (`np.trace`).",
        "`spread_a = np.cov(a, rowvar=False)` is [F, F]. `root = square_root(spread_a)` and "
        "`mixed = square_root(root @ spread_b @ root)`.",
        "`gap @ gap + np.trace(spread_a + spread_b - 2 * mixed)` with "
        "`gap = a.mean(axis=0) - b.mean(axis=0)`",
    ),
)


def _class_shares_cases(rng: np.random.Generator) -> Iterator[Case]:
    sure, unsure = [9.0, 0.0, 0.0], [1.0, 0.0, 0.0]
    yield Case((np.array([sure, sure]),), np.array([1.0, 0.0, 0.0]))
    yield Case((np.array([sure, unsure]),), np.array([0.5, 0.0, 0.0]))
    yield Case((np.array([sure, unsure, sure[::-1], unsure]), 0.5), np.array([0.75, 0.0, 0.25]))
    yield Case((np.array([[0.0, 2000.0], [1500.0, 0.0], [0.0, 1000.0]]),), np.array([1, 2]) / 3)
    for count, classes, least in ((7, 4, 0.9), (40, 3, 0.6)):
        logits = rng.normal(scale=3, size=(count, classes))
        truth = np.zeros(classes)
        for row in logits:
            powers = [math.exp(value - max(row)) for value in row]
            if max(powers) / sum(powers) >= least:
                truth[powers.index(max(powers))] += 1 / count
        yield Case((logits, least), truth)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _counts(logits: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return np.bincount(logits.argmax(axis=1)[counted], minlength=logits.shape[1])


def _shares_of_the_sure(logits: np.ndarray, sure: float = 0.9) -> np.ndarray:
    counts = _counts(logits, _probabilities(logits).max(axis=1) >= sure)
    return counts / max(counts.sum(), 1)


CLASS_SHARES = Exercise(
    name="gan.class_shares",
    title="Which digits does it draw?",
    minutes=10,
    difficulty=2,
    reference=gan_score.class_shares,
    cases=_class_shares_cases,
    mistakes=(
        Mistake(
            lambda logits, sure=0.9: _counts(logits, np.ones(len(logits), bool)) / len(logits),
            "Every image counts in your shares; leave out those of which the classifier is not "
            "sure enough.",
        ),
        Mistake(
            _shares_of_the_sure,
            "You divided by the number of images that can be read; divide by the number of *all* "
            "images, so that scribbles lower the shares.",
        ),
        Mistake(
            lambda logits, sure=0.9: _counts(logits, _probabilities(logits).max(axis=1) >= sure),
            "Those are counts; divide them by the number of images.",
        ),
        Mistake(
            lambda logits, sure=0.9: _counts(logits, logits.max(axis=1) >= sure) / len(logits),
            "You compared the logits with `sure`; it is a probability: apply softmax first.",
        ),
        Mistake(
            lambda logits, sure=0.9: _probabilities(logits).mean(axis=0),
            "You averaged the probabilities; count the images that are read as each class.",
        ),
        Mistake(
            lambda logits, sure=0.9: (
                (_probabilities(logits) * (_probabilities(logits) >= sure)).sum(axis=0)
                / len(logits)
            ),
            "Each image that is read with enough probability counts as 1, not as its probability.",
        ),
        Mistake(
            lambda logits, sure=0.9: (
                _counts(logits, _probabilities(logits).max(axis=1) >= 0.9) / len(logits)
            ),
            "Use the argument `sure`, not always 0.9.",
        ),
        Mistake(
            lambda logits, sure=0.9: (
                _counts(logits, _probabilities(logits).max(axis=1) < sure) / len(logits)
            ),
            "You counted the images of which the classifier is *not* sure.",
        ),
    ),
    advice=(
        (
            r"overflow|invalid value",
            "`np.exp` of a large logit is infinite: subtract the largest logit of each row first.",
        ),
    ),
    hints=(
        "Softmax of each row, as in lesson 01: subtract the largest logit, then exponentials, "
        "divided by their sum. The largest probability of a row says how sure the reading is.",
        "`is_sure = probabilities.max(axis=1) >= sure` picks the images that count.",
        "`np.bincount(logits.argmax(axis=1)[is_sure], minlength=logits.shape[1]) / len(logits)`",
    ),
)

EXERCISES = (
    BEST_DISCRIMINATOR,
    DISCRIMINATOR_LOSS,
    GENERATOR_LOSS,
    DISCRIMINATOR_STEP,
    GENERATOR_STEP,
    JUDGE_BOTH,
    FRECHET_DISTANCE,
    CLASS_SHARES,
)
