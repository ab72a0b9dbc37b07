"""attention.LayerNorm: every token brought to the same scale."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import Sentence, fill, sentence_or_difference, tensor
from course.models import attention


def _layer_norm_cases(rng: np.random.Generator) -> Iterator[Case]:
    """The first of a single token; one with a large eps, and one with channels that are equal."""
    plain = {"weight": torch.ones(2), "bias": torch.zeros(2)}
    yield _case(torch.tensor([[[1.0, 3.0]]]), plain, 1e-5)
    for shape, eps in (((2, 3, 4), 1e-5), ((3, 2, 5), 0.5), ((1, 6), 1e-5), ((2, 2, 3, 3), 1e-3)):
        yield _case(_tokens(rng, *shape), _numbers(rng, shape[-1]), eps)
    yield _case(torch.tensor([[[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]]]), _numbers(rng, 3), 1e-2)


def _tokens(rng: np.random.Generator, *shape: int) -> Tensor:
    """Tokens [*shape], each with a mean and a spread of its own, and no spread near 0."""
    channels = np.broadcast_to(np.linspace(-1.5, 1.5, shape[-1]), shape)
    own = (*shape[:-1], 1)
    drawn = rng.permuted(channels, axis=-1) * rng.uniform(1, 3, own) + rng.normal(0, 2, own)
    return torch.tensor(drawn, dtype=torch.float32)


def _numbers(rng: np.random.Generator, channels: int) -> dict[str, Tensor]:
    return {"weight": tensor(rng, channels) + 2, "bias": tensor(rng, channels)}


def _case(x: Tensor, numbers: dict[str, Tensor], eps: float) -> Case:
    channels = x.shape[-1]
    torchs = partial(functional.layer_norm, normalized_shape=(channels,), eps=eps, **numbers)
    truth = _with_slopes(torchs, x)
    return Case(
        (channels, eps, x),
        truth,
        judge=partial(sentence_or_difference, truth=truth),
        call=partial(_seen_of_norm, numbers=numbers),
        names=("num_channels", "eps", "x"),
    )


def _with_slopes(norm: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    """The output of a norm, and the slopes of a weighted sum of it; else what is wrong."""
    x = x.clone().requires_grad_()
    output = norm(x)
    if not torch.is_tensor(output) or output.shape != x.shape:
        return output
    if not output.requires_grad:
        return Sentence("no slopes pass through its output: no `no_grad` and no `detach` here.")
    (output * torch.linspace(-1, 2, x.numel()).reshape(x.shape)).sum().backward()
    return {"output": output.detach(), "slopes of the input": x.grad}


def _seen_of_norm(
    make: Callable, channels: int, eps: float, x: Tensor, numbers: dict[str, Tensor]
) -> Any:
    norm = make(channels, eps=eps)
    return fill(norm, numbers) or _with_slopes(norm, x)


def _norm_with(
    axes: Callable[[int], tuple[int, ...]] = lambda dim: (-1,),
    correction: int = 0,
    spread: Callable[[Tensor, float], Tensor] = lambda var, eps: torch.sqrt(var + eps),
    centre: float = 1.0,
    finish: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda normal, weight, bias: (
        normal * weight + bias
    ),
    watch: bool = True,
) -> type[nn.Module]:
    """A layer norm that may go wrong; axes: those of mean and variance, from the number of axes."""

    class Norm(attention.LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            over = axes(x.dim())
            mean = x.mean(dim=over, keepdim=True) * centre
            var = x.var(dim=over, keepdim=True, correction=correction)
            if centre == 0:
                var = (x**2).mean(dim=over, keepdim=True)
            if not watch:
                mean, var = mean.detach(), var.detach()
            return finish((x - mean) / spread(var, self.eps), self.weight, self.bias)

    return Norm


class _NormByStd(attention.LayerNorm):
    """With `std` itself, whose slope at 0 torch takes to be 0, other than that of a root."""

    def forward(self, x: Tensor) -> Tensor:
        std = x.std(dim=-1, keepdim=True) + self.eps
        return (x - x.mean(dim=-1, keepdim=True)) / std * self.weight + self.bias


LAYER_NORM = Exercise(
    name="attention.LayerNorm",
    title="Layer norm",
    minutes=8,
    difficulty=2,
    reference=attention.LayerNorm,
    cases=_layer_norm_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _norm_with(lambda dim: tuple(range(dim - 1))),
            "That is batch norm: mean and variance of each channel over all tokens. Here each "
            "token has its own, over its channels: `dim=-1`.",
        ),
        Mistake(
            _norm_with(lambda dim: (0,)),
            "You took mean and variance over the batch; each token has its own, over its channels: "
            "`dim=-1`.",
        ),
        Mistake(
            _norm_with(lambda dim: tuple(range(dim))),
            "You took one mean over everything; each token has its own, over its channels: "
            "`dim=-1`.",
        ),
        Mistake(
            _norm_with(lambda dim: (-2, -1)),
            "You took mean and variance over tokens *and* channels; each token has its own, over "
            "its channels: `dim=-1`.",
        ),
        Mistake(
            _norm_with(lambda dim: (-2,)),
            "You took mean and variance over the tokens; each token has its own, over its "
            "channels: `dim=-1`.",
        ),
        *(
            Mistake(
                _norm_with(lambda dim, axis=axis: (axis,)),
                f"`dim={axis}` need not be the channels: how many axes stand before them is not "
                "known. They are the last one, `dim=-1`.",
            )
            for axis in (1, 2)
        ),
        *(
            Mistake(
                answer,
                "`x.std` divides by C − 1; here it is C. Take `x.var(…, correction=0)`; `eps` is "
                "added to it, under the root.",
            )
            for answer in (
                _norm_with(correction=1, spread=lambda var, eps: torch.sqrt(var)),
                _NormByStd,
            )
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.ones_like(var)),
            "The mean is subtracted, and that is all: divide by the standard deviation, "
            "√(variance + eps).",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: math.sqrt(var + eps)),
            "`math.sqrt` is for a single number; of a tensor it is `torch.sqrt(…)` or `.sqrt()`.",
        ),
        Mistake(
            _norm_with(correction=1),
            "Nearly: the variance divides by C, not by C − 1: `x.var(…, correction=0)`.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.sqrt(var) + eps),
            "`eps` is added to the variance, under the root.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.sqrt(var + 1e-5)),
            "Use `self.eps`, which need not be 0.00001.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: torch.sqrt(var)),
            "`eps` is missing: a token whose channels are all equal would be divided by 0.",
        ),
        Mistake(
            _norm_with(spread=lambda var, eps: var + eps),
            "You divided by the variance; its square root, the standard deviation, is what brings "
            "the variance to 1.",
        ),
        Mistake(
            _norm_with(centre=0),
            "The mean is not subtracted. (That norm exists too, and is called RMSNorm.)",
        ),
        Mistake(
            _norm_with(finish=lambda normal, weight, bias: normal),
            "The last step is missing: multiply by `weight` and add `bias`.",
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
            "too, so nothing here may be detached.",
        ),
    ),
    advice=(
        (
            r"must match the size|match the broadcast shape",
            "Mean and variance need an axis of size 1 in place of the channels, to meet x again: "
            "`keepdim=True`.",
        ),
    ),
    hints=(
        "Batch norm took the mean over the batch, for each channel. Here it is the other way "
        "round: for each token, over the channels.",
        "`mean = x.mean(dim=-1, keepdim=True)`, and alike the variance, with `correction=0`.",
        "(x − mean) / √(variance + eps) · weight + bias",
    ),
)
