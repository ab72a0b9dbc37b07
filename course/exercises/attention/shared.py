"""What several checks of lesson 05 share: drawn tensors, known weights, a sentence as a result."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.compare import difference


class Sentence(str):
    """What is wrong with an answer, found while it was called; stands in place of its result."""


def tensor(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    """Numbers from a normal distribution around 0, float32 [*shape]."""
    return torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32)


def some_true(rng: np.random.Generator, *shape: int) -> Tensor:
    """A mask, bool [*shape]: about half of it True, and at least one place in each row."""
    mask = rng.random(shape) < 0.5
    place = rng.integers(shape[-1], size=(*shape[:-1], 1))
    np.put_along_axis(mask, place, True, axis=-1)
    return torch.tensor(mask)


def sentence_or_difference(got: Any, truth: Any) -> str | None:
    """A sentence that the call came back with, or how the result differs."""
    return got if isinstance(got, Sentence) else difference(got, truth)


def draw_weights(rng: np.random.Generator, layer: nn.Module) -> dict[str, Tensor]:
    """Numbers for each parameter of a layer, by its name, so spread that none drowns another."""
    return {
        name: tensor(rng, *value.shape, scale=value.shape[-1] ** -0.5 if value.dim() > 1 else 0.5)
        for name, value in layer.state_dict().items()
    }


def fill(layer: Any, weights: Mapping[str, Tensor]) -> Sentence | None:
    """Give the parameters known values; a sentence where they are not those that were asked for."""
    if not isinstance(layer, nn.Module):
        return Sentence(
            "the class should be an `nn.Module`: leave `(nn.Module)` in its first line."
        )
    found = {name: tuple(value.shape) for name, value in layer.state_dict().items()}
    wanted = {name: tuple(value.shape) for name, value in weights.items()}
    if found != wanted:
        return Sentence(
            f"its parameters are {_listed(found)}; they should be {_listed(wanted)}: leave what "
            "`__init__` makes, and its names, as they were."
        )
    layer.load_state_dict(dict(weights))
    return None


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items()) or "none"
