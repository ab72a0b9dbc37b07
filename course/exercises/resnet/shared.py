"""What several checks share: known weights, and what is seen while an answer is called."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.compare import difference


class Sentence(str):
    """What is wrong with an answer, found while it was called; stands in place of its result."""


def spread(rng: np.random.Generator, *shape: int) -> Tensor:
    """Random numbers with about the spread of fresh weights, so that no layer drowns another."""
    scale = np.sqrt(2 / max(1, np.prod(shape[1:]))) if len(shape) > 1 else 0.5
    return torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32)


def sentence_or_difference(got: Any, truth: Any) -> str | None:
    """A sentence that the call came back with, or how the result differs."""
    return got if isinstance(got, Sentence) else difference(got, truth)


def fill(parameters: Sequence[nn.Parameter], weights: Sequence[Tensor]) -> str | None:
    """Give the parameters known values; a sentence where their shapes are not as asked."""
    found = [tuple(parameter.shape) for parameter in parameters]
    wanted = [tuple(tensor.shape) for tensor in weights]
    if found != wanted:
        return Sentence(
            f"its parameters have the shapes {found}; they should be {wanted}: leave number, "
            "order and width of the layers as they were."
        )
    with torch.no_grad():
        for parameter, tensor in zip(parameters, weights, strict=True):
            parameter.copy_(tensor)
    return None
