"""bert_fine_tuning.LoraLinear: a layer that stays, and a small change that learns."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import Sentence, sentence_or_difference, tensor
from course.models import text_classifier


def _lora_linear_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Truths by formula, with numbers that are put into the two matrices."""
    for channels, more, rank, alpha in ((3, 2, 1, 2.0), (4, 5, 2, 1.0), (6, 4, 3, 6.0)):
        weight, bias = tensor(rng, more, channels), tensor(rng, more)
        down, up, x = tensor(rng, rank, channels), tensor(rng, more, rank), tensor(rng, 5, channels)
        plain = x @ weight.T + bias
        changed = plain + alpha / rank * x @ down.T @ up.T
        truth = {"output at first": plain, "output": changed, "output of `merged()`": changed}
        yield Case(
            (weight, bias, rank, alpha, down, up, x),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=_seen,
            names=("weight", "bias", "rank", "alpha", "down", "up", "x"),
        )


def _seen(
    make: Callable,
    weight: Tensor,
    bias: Tensor,
    rank: int,
    alpha: float,
    down: Tensor,
    up: Tensor,
    x: Tensor,
) -> dict[str, Tensor] | Sentence:
    """What the layer says at first, with known matrices, and merged; or a sentence."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight), layer.bias.copy_(bias)
    lora = make(layer, rank, alpha)
    if problem := _parts_problem(lora, {"down": down, "up": up}):
        return problem
    seen = {"output at first": _plain(lora(x))}
    with torch.no_grad():
        lora.down.copy_(down), lora.up.copy_(up)
    output = lora(x)
    if torch.is_tensor(output) and not output.requires_grad:
        return Sentence("no slopes reach `down` and `up`: leave out `.detach()` and `no_grad`.")
    seen["output"] = _plain(output)
    if problem := _learning_problem(lora, output, layer):
        return problem
    merged = lora.merged()
    if not isinstance(merged, nn.Linear):
        kind = type(merged).__name__
        return Sentence(f"`merged()` returned a {kind}; a plain `nn.Linear` is asked for.")
    if torch.equal(merged.weight, weight) or not torch.equal(layer.weight, weight):
        same = merged.weight is layer.weight or not torch.equal(layer.weight, weight)
        if same:
            return Sentence(
                "`merged()` changed the layer that was given; make a new `nn.Linear` and copy the "
                "sum into it."
            )
    seen["output of `merged()`"] = _plain(merged(x))
    return seen


def _plain(output: Any) -> Any:
    return output.detach() if torch.is_tensor(output) else output


def _parts_problem(lora: Any, wanted: dict[str, Tensor]) -> Sentence | None:
    """What is wrong with `down` and `up` as they were made."""
    if not isinstance(lora, nn.Module):
        return Sentence(
            "the class should be an `nn.Module`: leave `(nn.Module)` in its first line."
        )
    if not isinstance(getattr(lora, "layer", None), nn.Linear):
        return Sentence("`self.layer` is missing: the layer that was given, which stays.")
    for name, value in wanted.items():
        found = getattr(lora, name, None)
        if isinstance(found, nn.Linear):
            return Sentence(
                f"`self.{name}` is an `nn.Linear`; here it is the matrix itself, an `nn.Parameter` "
                f"of shape {tuple(value.shape)}."
            )
        if not torch.is_tensor(found):
            return Sentence(f"`self.{name}` is missing: a matrix of shape {tuple(value.shape)}.")
        if found.shape != value.shape:
            return Sentence(
                f"`{name}` has the shape {tuple(found.shape)}; {tuple(value.shape)} is asked for: "
                "`down` is [rank, C], `up` is [D, rank]."
            )
        if not isinstance(found, nn.Parameter):
            return Sentence(
                f"`{name}` is a plain tensor, which no optimizer finds: `nn.Parameter(…)` makes it "
                "a part of the model that learns."
            )
    if lora.up.abs().max() > 0:
        return Sentence(
            "`up` should start at 0, so that the layer does at first just what it did before."
        )
    if lora.down.abs().max() == 0:
        return Sentence(
            "`down` starts at 0 too. Then the slopes of both are 0, and nothing is ever learned: "
            "start it with random numbers."
        )
    return None


def _learning_problem(lora: nn.Module, output: Any, layer: nn.Linear) -> Sentence | None:
    """Whether the two small matrices learn, and nothing else."""
    trained = {name for name, value in lora.named_parameters() if value.requires_grad}
    if more := trained - {"down", "up"}:
        return Sentence(
            f"`{min(more)}` would learn as well. The given layer has to stay as it is: "
            "`layer.requires_grad_(False)`."
        )
    if missing := {"down", "up"} - trained:
        return Sentence(f"`{min(missing)}` does not learn; only the given layer has to stay.")
    if torch.is_tensor(output):
        (output * torch.linspace(-1, 2, output.numel()).reshape(output.shape)).sum().backward()
        for name in ("down", "up"):
            slopes = getattr(lora, name).grad
            if slopes is None or not slopes.abs().max() > 0:
                return Sentence(f"no slopes reach `{name}`, so that it would never learn.")
    return None


def _with(
    scale: Callable[[float, int], float] = lambda alpha, rank: alpha / rank,
    say: Callable[[Tensor, Tensor], Tensor] = lambda plain, change: plain + change,
    change: Callable[[Tensor, Tensor], Tensor] = lambda up, down: up @ down,
    merge: Callable[[Tensor, Tensor, float], Tensor] = lambda old, change, scale: (
        old + scale * change
    ),
    with_bias: bool = True,
) -> type[nn.Module]:
    """A layer that may be wrong in one place."""

    class Lora(text_classifier.LoraLinear):
        def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
            super().__init__(layer, rank, alpha)
            self.scale = scale(alpha, rank)

        def forward(self, x: Tensor) -> Tensor:
            return say(self.layer(x), self.scale * x @ change(self.up, self.down).T)

        def merged(self) -> nn.Linear:
            one = nn.Linear(self.layer.in_features, self.layer.out_features)
            with torch.no_grad():
                both = merge(self.layer.weight, change(self.up, self.down), self.scale)
                one.weight.copy_(both)
                one.bias.copy_(self.layer.bias * with_bias)
            return one

    return Lora


LORA_LINEAR = Exercise(
    name="bert_fine_tuning.LoraLinear",
    title="LoRA on one layer",
    minutes=15,
    difficulty=3,
    reference=text_classifier.LoraLinear,
    cases=_lora_linear_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _with(scale=lambda alpha, rank: 1.0),
            "The factor alpha / rank is missing: it keeps the change about equally large for "
            "every rank.",
        ),
        Mistake(
            _with(scale=lambda alpha, rank: alpha),
            "The factor is alpha / rank; yours is alpha alone.",
        ),
        Mistake(
            _with(scale=lambda alpha, rank: rank / alpha),
            "The factor is the wrong way round: alpha / rank.",
        ),
        Mistake(
            _with(say=lambda plain, change: change),
            "What the given layer says is missing: the change is *added* to it.",
        ),
        Mistake(
            _with(say=lambda plain, change: plain - change),
            "The change is subtracted in yours; it is added.",
        ),
        Mistake(
            _with(merge=lambda old, change, scale: old + change),
            "`forward` is right; `merged()` forgets the factor alpha / rank.",
        ),
        Mistake(
            _with(merge=lambda old, change, scale: scale * change),
            "`forward` is right; `merged()` has the change alone, without the layer's own weights.",
        ),
        Mistake(
            _with(merge=lambda old, change, scale: old),
            "`forward` is right; `merged()` has the layer's own weights alone, without the change.",
        ),
        Mistake(
            _with(with_bias=False), "`forward` is right; `merged()` forgets the bias of the layer."
        ),
    ),
    advice=(
        (
            r"cannot assign module before Module",
            "`super().__init__()` has to be the first line of `__init__`.",
        ),
        (
            r"mat1 and mat2|size mismatch",
            "x is [B, C], `down` is [R, C], `up` is [D, R]: `x @ down.T` is [B, R], and "
            "`… @ up.T` is [B, D].",
        ),
        (
            r"cannot assign 'torch",
            "A weight stays the `nn.Parameter` that it is: fill it with `one.weight.copy_(…)`, "
            "under `with torch.no_grad():`.",
        ),
        (
            r"must match the size",
            "From C to D channels it is `nn.Linear(in_features, out_features)`, and its weight is "
            "[D, C], as `up @ down` is.",
        ),
        (
            r"leaf Variable that requires grad|in-place operation",
            "Weights are filled under `with torch.no_grad():`.",
        ),
    ),
    hints=(
        "What does each part need? `__init__`: a layer that no longer learns, a factor, two "
        "`nn.Parameter` of which one is 0. `forward`: two terms. `merged`: a new `nn.Linear`, "
        "which is then filled.",
        "In `__init__`: `super().__init__()`, the layer with `requires_grad_(False)`, the factor, "
        "and two `nn.Parameter`: `torch.randn(rank, layer.in_features)`, divided by the root of "
        "its width, and `torch.zeros(layer.out_features, rank)`.",
        "In `forward`: `self.layer(x) + self.scale * (x @ self.down.T @ self.up.T)`. "
        "In `merged`: a new `nn.Linear`; under `torch.no_grad()`, copy into its weight "
        "`self.layer.weight + self.scale * self.up @ self.down`, and into its bias that of the "
        "layer.",
    ),
)
