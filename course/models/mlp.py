"""The multilayer perceptron of lesson 01: by hand in NumPy, then in torch.

Axes: B examples in a batch, D inputs, H outputs of a layer, K classes. A network is a list of
(weights [D, H], bias [H]) pairs, one for each layer.
"""

from itertools import pairwise

import numpy as np
from torch import nn
from torch.nn import functional

Layers = list[tuple[np.ndarray, np.ndarray]]


def layer(x: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """One dense layer: [B, D], [D, H], [H] → [B, H]."""
    return x @ weights + bias


def relu(z: np.ndarray) -> np.ndarray:
    """Rectified linear unit: any shape → same shape, negatives become 0."""
    return np.maximum(z, 0)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the classes: [B, K] → [B, K], each row sums to 1."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    """Mean surprise at the right class: logits [B, K], targets [B] of int → one number, in nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    right = shifted[np.arange(len(targets)), targets]
    return float((log_total - right).mean())


def init_layers(sizes: list[int], rng: np.random.Generator) -> Layers:
    """Random layers of the given sizes, weights scaled for ReLU (He et al., 2015)."""
    return [
        (rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)), np.zeros(outputs))
        for inputs, outputs in pairwise(sizes)
    ]


def forward(x: np.ndarray, layers: Layers) -> list[np.ndarray]:
    """Everything the network computes for x [B, D]: [x, hidden 1, …, logits [B, K]]."""
    activations = [x]
    for weights, bias in layers[:-1]:
        activations.append(relu(layer(activations[-1], weights, bias)))
    weights, bias = layers[-1]
    activations.append(layer(activations[-1], weights, bias))
    return activations


def logits_gradient(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Slope of the mean cross-entropy with respect to each logit: [B, K], [B] → [B, K]."""
    gradient = softmax(logits)
    gradient[np.arange(len(targets)), targets] -= 1
    return gradient / len(targets)


def backward(activations: list[np.ndarray], layers: Layers, targets: np.ndarray) -> Layers:
    """Slopes of the mean cross-entropy: a (weights, bias) pair of gradients for each layer."""
    gradient = logits_gradient(activations[-1], targets)
    gradients = []
    for (weights, _), inputs in zip(reversed(layers), reversed(activations[:-1])):
        gradients.append((inputs.T @ gradient, gradient.sum(axis=0)))
        gradient = gradient @ weights.T
        gradient = gradient * (inputs > 0)
    return gradients[::-1]


class MLP(nn.Module):
    """Dense layers of the given sizes with ReLU between them: [B, sizes[0]] → [B, sizes[-1]]."""

    def __init__(self, sizes):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)
        )

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = functional.relu(layer(x))
        return self.layers[-1](x)


def train_step(model, optimizer, loss_function, x, y):
    """Move the parameters one step down the slope of the loss on one batch; return that loss."""
    optimizer.zero_grad()
    loss = loss_function(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()
