"""What several exercises of lesson 04 share: drawn tensors, a loss by formula, small players."""

import numpy as np
import torch
from torch import Tensor, nn


def tensor(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    """Numbers from a normal distribution around 0, float32 [*shape]."""
    return torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32)


def surprise(logits: Tensor, label: int) -> Tensor:
    """The mean cross-entropy of logits with one label: the mean of log(1 + exp(∓ logit))."""
    signed = -logits if label else logits
    return torch.logaddexp(signed, torch.zeros_like(signed)).mean()


def players(weights: tuple[Tensor, Tensor]) -> tuple[nn.Linear, nn.Linear]:
    """A linear generator and a linear discriminator with these weights, each [out, in]."""
    made = []
    for weight in weights:
        player = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        with torch.no_grad():
            player.weight.copy_(weight)
        made.append(player)
    return tuple(made)
