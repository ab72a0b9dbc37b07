"""resnet.BatchNorm: the layer with its running statistics."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.resnet.shared import Sentence, fill, sentence_or_difference, spread
from course.models import convolution


def _batch_norm_cases(rng: np.random.Generator) -> Iterator[Case]:
    for channels, shape, momentum, eps in ((1, (2, 2), 0.1, 1e-5), (3, (4, 5), 0.3, 0.1)):
        batches = [
            torch.tensor(
                rng.normal(rng.normal(0, 3), 2, (batch, channels, *shape)), dtype=torch.float32
            )
            for batch in (2, 3, 2)
        ]
        numbers = spread(rng, channels) + 2, spread(rng, channels)
        call = partial(_seen_of_norm, numbers=numbers, momentum=momentum, eps=eps)
        truth = call(nn.BatchNorm2d, *batches)
        yield Case(
            tuple(batches),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=call,
            names=("first batch (training)", "second batch (training)", "third (evaluation)"),
        )


ONE_FOR_EACH_CHANNEL = (
    "Mean and variance are one number for each channel, [C]: `x.mean(dim=(0, 2, 3))`. To meet x "
    "they need `.view(1, -1, 1, 1)`."
)


def _of_another_shape(output: Any, x: Tensor) -> str | None:
    """A sentence where the output is no tensor of the shape of x."""
    if not torch.is_tensor(output):
        return Sentence(difference(output, x))
    if output.shape != x.shape:
        shapes = f"x has the shape {tuple(x.shape)}, the output {tuple(output.shape)}"
        return Sentence(f"{shapes}. {ONE_FOR_EACH_CHANNEL}")
    return None


def _seen_of_norm(
    make: Callable,
    first: Tensor,
    second: Tensor,
    third: Tensor,
    numbers: tuple[Tensor, Tensor],
    momentum: float,
    eps: float,
) -> dict[str, Tensor] | str:
    """What a norm does in two steps of training and one of evaluation, or a sentence."""
    norm = make(first.shape[1], momentum=momentum, eps=eps)
    if problem := fill(list(norm.parameters()), numbers):
        return problem
    if not {"running_mean", "running_var"} <= dict(norm.named_buffers()).keys():
        return Sentence(
            "`running_mean` and `running_var` are no longer buffers: leave `register_buffer` in "
            "`__init__`, so that they are saved with the model and go with it to a GPU."
        )
    x = first.clone().requires_grad_()
    try:
        output = norm(x)
    except RuntimeError as error:
        if "must match the size" in str(error) or "match the broadcast shape" in str(error):
            return Sentence(f"it stopped with “{error}”. {ONE_FOR_EACH_CHANNEL}")
        raise
    if problem := _of_another_shape(output, x):
        return problem
    seen = {"output of the first batch": output.detach()}
    if not output.requires_grad:
        return Sentence(
            "no slopes pass through its output: `torch.no_grad()` belongs around the running "
            "averages only."
        )
    (output * torch.linspace(-1, 2, x.numel()).reshape(x.shape)).sum().backward()
    norm(second)
    for name in ("running_mean", "running_var"):
        value = getattr(norm, name)
        if torch.is_tensor(value) and value.requires_grad:
            return Sentence(
                f"`{name}` keeps the whole computation behind it in memory: change it under "
                "`with torch.no_grad():`."
            )
        seen[f"`{name}` after two batches"] = value.clone() if torch.is_tensor(value) else value
    seen["slopes of the first batch"] = x.grad
    norm.eval()
    output = norm(third.clone().requires_grad_())
    if problem := _of_another_shape(output, third):
        return problem
    if not output.requires_grad:
        return Sentence(
            "in evaluation no slopes pass through its output: `torch.no_grad()` belongs around the "
            "change of the running averages only."
        )
    seen["output of the third batch, in evaluation"] = output.detach()
    seen["`running_mean` after evaluation"] = norm.running_mean
    return seen


def _norm_with(
    correction: int = 0,
    kept: int = 1,
    spread: Callable = lambda var, eps: torch.sqrt(var + eps),
    mode: str = "",
    updates: str = "training",
    axes: tuple[int, ...] = (0, 2, 3),
    mixed: Callable = lambda old, new, momentum: old + momentum * (new - old),
    watch: bool = True,
    finish: Callable = lambda normal, weight, bias: normal * weight + bias,
) -> type[nn.Module]:
    """A batch norm that may go wrong: where its statistics come from, and what it does with them.

    correction, kept: what `var` subtracts from N, for the normalisation and for the running
    average. mode: "batch" or "running" statistics always, or "swapped" between training and
    evaluation. updates: when the averages change, "training", "evaluation", "always" or "never".
    """

    class Norm(convolution.BatchNorm):
        def forward(self, x: Tensor) -> Tensor:
            column = (1, -1, 1, 1)
            mean, var = x.mean(dim=axes), x.var(dim=axes, correction=correction)
            if not watch:
                mean, var = mean.detach(), var.detach()
            stage = "training" if self.training else "evaluation"
            if updates in ("always", stage):
                new = mean.detach(), x.var(dim=axes, correction=kept).detach()
                self.running_mean = mixed(self.running_mean, new[0], self.momentum)
                self.running_var = mixed(self.running_var, new[1], self.momentum)
            in_use = {"": stage == "evaluation", "swapped": stage == "training"}
            if in_use.get(mode, mode == "running"):
                mean, var = self.running_mean, self.running_var
            normal = (x - mean.view(column)) / spread(var, self.eps).view(column)
            return finish(normal, self.weight.view(column), self.bias.view(column))

    return Norm


BATCH_NORM = Exercise(
    name="resnet.BatchNorm",
    title="Batch norm with running statistics",
    minutes=15,
    difficulty=3,
    reference=convolution.BatchNorm,
    cases=_batch_norm_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _norm_with(kept=0),
            "Nearly: `running_var` takes in the variance with N − 1, that is `correction=1`. Only "
            "the normalisation of the batch itself divides by N.",
        ),
        Mistake(
            _norm_with(correction=1),
            "Nearly: the batch is normalised with the variance that divides by N, that is "
            "`x.var(…, correction=0)`.",
        ),
        Mistake(
            _norm_with(correction=1, kept=0),
            "The two variances have changed places: `correction=0` for the normalisation, "
            "`correction=1` for `running_var`.",
        ),
        Mistake(
            _norm_with(mode="batch"),
            "In evaluation it still uses the statistics of the batch, so an image's result "
            "depends on its neighbours. There, use `running_mean` and `running_var`.",
        ),
        Mistake(
            _norm_with(mode="running"),
            "While training, use the statistics of the batch itself; the running averages are for "
            "evaluation.",
        ),
        *(
            Mistake(
                _norm_with(mode="swapped", updates=updates),
                "Training and evaluation have changed places: `self.training` is True while "
                "training, and there the statistics are those of the batch.",
            )
            for updates in ("training", "evaluation", "always")
        ),
        Mistake(
            _norm_with(mode="batch", updates="never"),
            "The running averages are not used at all: while training each batch moves them a "
            "little, and in evaluation they take the place of mean and variance.",
        ),
        Mistake(
            _norm_with(mode="batch", updates="always"),
            "It does the same in training and in evaluation: ask `self.training`. In evaluation "
            "use the running averages, and leave them as they are.",
        ),
        Mistake(
            _norm_with(axes=(0, 1, 2, 3)),
            "You took one mean over everything; each channel has its own: `dim=(0, 2, 3)`.",
        ),
        Mistake(
            _norm_with(updates="never"),
            "The running averages never change: while training, each batch moves them a little.",
        ),
        Mistake(
            _norm_with(updates="always"),
            "It goes on learning its averages in evaluation; change them only while "
            "`self.training`.",
        ),
        Mistake(
            _norm_with(mixed=lambda old, new, momentum: momentum * old + (1 - momentum) * new),
            "The running average trusts the newest batch too much: `momentum` is the share of the "
            "*new* value, the old one keeps 1 − momentum.",
        ),
        Mistake(
            _norm_with(mixed=lambda old, new, momentum: new),
            "You replaced the running averages; each batch moves them only by the share "
            "`momentum`.",
        ),
        Mistake(
            _norm_with(mixed=lambda old, new, momentum: momentum * (new - old)),
            "The old value of the running averages is lost: `old + momentum * (new - old)`.",
        ),
        Mistake(
            _norm_with(mixed=lambda old, new, momentum: old + momentum * new),
            "The running averages only grow: the old value has to lose the share `momentum` that "
            "the new one brings.",
        ),
        Mistake(
            _norm_with(mixed=lambda old, new, momentum: old + 0.1 * (new - old)),
            "The share of the new value is `self.momentum`, which need not be 0.1.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.sqrt(var) + eps),
            "`eps` is added to the variance, under the root.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.sqrt(var)),
            "`eps` is missing: a channel that never changes would be divided by 0.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.sqrt(var + 1e-5)),
            "Use `self.eps`, which need not be 0.00001.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: var + eps),
            "You divided by the variance; its square root, the standard deviation, is what brings "
            "the variance to 1.",
        ),
        Mistake(
            _norm_with(finish=lambda normal, weight, bias: normal),
            "The last step is missing: multiply by `weight` and add `bias`, one for each channel.",
        ),
        Mistake(
            _norm_with(finish=lambda normal, weight, bias: normal * weight),
            "The bias is missing: add it after the scaling.",
        ),
        Mistake(
            _norm_with(finish=lambda normal, weight, bias: (normal + bias) * weight),
            "First multiply by `weight`, then add `bias`.",
        ),
        Mistake(
            _norm_with(watch=False),
            "The output is right, but the slopes are not: mean and variance depend on the input "
            "too, so compute those of the normalisation outside `torch.no_grad()`.",
        ),
    ),
    hints=(
        "One mean for each channel: `x.mean(dim=(0, 2, 3))` leaves the axis of the channels. To "
        "meet an image again, [C] has to become [1, C, 1, 1]: `.view(1, -1, 1, 1)`.",
        "`self.training` is True after `train()` and False after `eval()`. Choose mean and "
        "variance by it.",
        "While training, under `with torch.no_grad():`, `self.running_mean += self.momentum * "
        "(mean - self.running_mean)`; the same for `running_var`, with `x.var(dim=(0, 2, 3), "
        "correction=1)`.",
        "At the end: (x − mean) / √(variance + eps) · weight + bias.",
    ),
)
