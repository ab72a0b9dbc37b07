"""The exercises of lesson 01: a network for digits, by hand in NumPy and then in torch."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import nn
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import mlp

LESSON = "01_mlp"


def _layer_cases(rng: np.random.Generator) -> Iterator[Case]:
    x, bias = np.array([[1.0, 2.0, 0.0]]), np.array([0.5, -0.5])
    weights = np.array([[3.0, 0.0], [4.0, 1.0], [9.0, 9.0]])
    yield Case((x, weights, bias), np.array([[11.5, 1.5]]))
    for batch, inputs, outputs in ((2, 3, 5), (7, 4, 4), (1, 6, 2)):
        x, weights = rng.normal(size=(batch, inputs)), rng.normal(size=(inputs, outputs))
        bias = rng.normal(size=outputs)
        yield Case((x, weights, bias), np.einsum("bd,dh->bh", x, weights) + bias)


LAYER = Exercise(
    name="mlp.layer",
    title="A layer of neurons",
    minutes=4,
    difficulty=1,
    reference=mlp.layer,
    cases=_layer_cases,
    mistakes=(
        Mistake(lambda x, w, b: x @ w, "The bias is missing: add it to the weighted sums."),
        Mistake(lambda x, w, b: x @ w - b, "The bias is added, not subtracted."),
        Mistake(
            lambda x, w, b: (x @ w) * b, "The bias is added to the sum, not multiplied with it."
        ),
        Mistake(
            lambda x, w, b: x @ w + b.sum(),
            "Each neuron has its own bias: add the whole vector, not its sum.",
        ),
        Mistake(
            lambda x, w, b: x @ w / x.shape[1] + b,
            "It looks as if you averaged over the inputs; a neuron adds them up.",
        ),
        Mistake(
            lambda x, w, b: np.maximum(x @ w + b, 0),
            "You already applied ReLU; the activation comes after the layer, as a step of its own.",
        ),
    ),
    hints=(
        "One neuron is `x[i] @ weights[:, j] + bias[j]`. Which single operator does all of them?",
        "`@` multiplies matrices: [B, D] @ [D, H] has shape [B, H]. NumPy then adds a vector [H] "
        "to every row.",
        "`return x @ weights + bias`",
    ),
)


def _relu_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((np.array([-1.0, 0.0, 2.0]),), np.array([0.0, 0.0, 2.0]))
    for shape, scale in (((4,), 1), ((3, 5), 300), ((2, 1, 3), 1)):
        z = scale * rng.normal(size=shape)
        yield Case((z,), np.where(z > 0, z, 0.0))


RELU = Exercise(
    name="mlp.relu",
    title="The activation ReLU",
    minutes=3,
    difficulty=1,
    reference=mlp.relu,
    cases=_relu_cases,
    mistakes=(
        Mistake(np.abs, "It looks as if you took the absolute value; negatives become 0."),
        Mistake(lambda z: np.minimum(z, 0), "You kept the negatives; ReLU keeps the positives."),
        Mistake(
            lambda z: (z > 0) * 1.0, "That is a step, 0 or 1; ReLU passes positives unchanged."
        ),
        Mistake(lambda z: z > 0, "That says where z is positive; ReLU gives the values there."),
        Mistake(lambda z: z.max(), "That is the largest of all values; compare each one with 0."),
        Mistake(
            lambda z: np.max(z, 0),
            "`np.max(z, 0)` is the largest value along axis 0; `np.maximum` compares each element "
            "with a second number.",
        ),
        Mistake(lambda z: z[z > 0], "You dropped the negatives; keep the shape and put 0 there."),
        Mistake(lambda z: np.clip(z, 0, 1), "You also cut at 1; ReLU has no upper limit."),
        Mistake(special.expit, "That is the sigmoid; ReLU keeps positives and zeroes negatives."),
        Mistake(
            lambda z: np.logaddexp(0, z),
            "That is softplus, a smooth relative; ReLU gives exactly 0 for negatives.",
        ),
        Mistake(
            lambda z: np.where(z > 0, z, 0.01 * z),
            "That is leaky ReLU, a relative with a small slope; here negatives become exactly 0.",
        ),
    ),
    hints=(
        "NumPy has a function that compares two arrays, or an array and a number, element by "
        "element and keeps the larger value.",
        "`np.maximum(a, b)` is element by element; `np.max(a)` is the largest of all.",
    ),
)


def _softmax_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((np.array([[0.0, np.log(3.0)]]),), np.array([[0.25, 0.75]]))
    for shape in ((2, 3), (4, 4), (5, 2)):
        logits = rng.normal(size=shape)
        yield Case((logits,), special.softmax(logits, axis=1))
    for offset in (1000.0, -1000.0):
        logits = rng.normal(size=(3, 4)) + offset
        yield Case((logits,), special.softmax(logits, axis=1))
    yield Case((np.array([[3000.0, 0.0, 0.0, 0.0]]),), np.array([[1.0, 0.0, 0.0, 0.0]]))
    logits = np.array([[900.0, 0.0], [-900.0, 1.0]])
    yield Case((logits,), special.softmax(logits, axis=1))


def _naive_softmax(logits: np.ndarray, axis: int | None = 1) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=axis, keepdims=True)


SOFTMAX = Exercise(
    name="mlp.softmax",
    title="Bug hunt: a softmax that overflows",
    minutes=10,
    difficulty=2,
    reference=mlp.softmax,
    cases=_softmax_cases,
    mistakes=(
        Mistake(_naive_softmax, "It still overflows: `np.exp(1000)` is too large for any float."),
        Mistake(
            lambda z: special.softmax(z, axis=0),
            "The columns sum to 1, so you normalised over the batch; each row is one example.",
        ),
        Mistake(
            lambda z: special.softmax(z),
            "All entries together sum to 1; here each row must sum to 1.",
        ),
        Mistake(
            lambda z: _naive_softmax(z - z.max()),
            "You subtracted the maximum of the whole batch. A row far below it still underflows to "
            "0/0: subtract each row's own maximum.",
        ),
        Mistake(lambda z: np.log(mlp.softmax(z)), "These are logarithms of the probabilities."),
        Mistake(
            lambda z: _naive_softmax(np.clip(z, -500, 500)),
            "Clipping avoids the overflow but changes the answer: two logits of 1000 and 1003 "
            "become equal. Shift instead.",
        ),
        Mistake(
            lambda z: _naive_softmax(z / np.abs(z).max(axis=1, keepdims=True)),
            "Dividing the logits changes the probabilities; subtracting the same number from a "
            "whole row does not.",
        ),
        Mistake(
            lambda z: _naive_softmax(z - z.mean(axis=1, keepdims=True)),
            "Subtracting the mean or median is allowed, but one logit can still lie far above it, "
            "and its power overflows. Subtract the largest of each row.",
        ),
        Mistake(
            lambda z: _naive_softmax(z - z.min(axis=1, keepdims=True)),
            "Subtracting the smallest makes all exponents positive, and positive exponents are "
            "those that overflow. Subtract the largest of each row.",
        ),
        Mistake(
            lambda z: np.nan_to_num(_naive_softmax(z)),
            "Replacing NaN hides the overflow and puts a wrong number in its place; keep it from "
            "happening: shift each row first.",
        ),
        Mistake(
            lambda z: np.exp(z - z.max(axis=1, keepdims=True)),
            "The powers are right, but they are not divided by their sum.",
        ),
    ),
    hints=(
        "Softmax does not change when the same number is subtracted from every logit of a row: "
        "numerator and denominator shrink by the same factor.",
        "Which number would you subtract so that no exponent is ever above 0?",
        "`logits.max(axis=1, keepdims=True)` has shape [B, 1]: one maximum for each row.",
    ),
)


def _cross_entropy_cases(rng: np.random.Generator) -> Iterator[Case]:
    logits, targets = np.array([[0.0, np.log(3.0)]]), np.array([1])
    yield Case((logits, targets), float(np.log(4 / 3)))
    for batch, classes, scale in ((2, 3, 1), (5, 4, 3), (3, 10, 1), (2, 2, 0), (4, 3, 3000)):
        if scale == 0:  # a right and a wrong class that no exponential survives
            logits, targets = np.array([[2000.0, 0.0], [0.0, 2000.0]]), np.array([0, 1])
        else:
            logits = scale * rng.normal(size=(batch, classes))
            targets = rng.integers(classes, size=batch)
        truth = functional.cross_entropy(torch.tensor(logits), torch.tensor(targets))
        yield Case((logits, targets), truth.item())


def _surprise(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return -special.log_softmax(logits, axis=1)[np.arange(len(targets)), targets]


def _floored_losses() -> Iterator[Callable[[np.ndarray, np.ndarray], float]]:
    """The usual first aid against log(0), with the usual small numbers."""

    def added(small: float, z: np.ndarray, t: np.ndarray) -> float:
        return -np.log(mlp.softmax(z)[np.arange(len(t)), t] + small).mean()

    def clipped(small: float, z: np.ndarray, t: np.ndarray) -> float:
        return -np.log(np.maximum(mlp.softmax(z)[np.arange(len(t)), t], small)).mean()

    for power in (6, 7, 8, 9, 10, 12, 15, 16):
        yield partial(added, 10.0**-power)
        yield partial(clipped, 10.0**-power)


CROSS_ENTROPY = Exercise(
    name="mlp.cross_entropy",
    title="The loss: cross-entropy",
    minutes=12,
    difficulty=2,
    reference=mlp.cross_entropy,
    cases=_cross_entropy_cases,
    mistakes=(
        Mistake(
            lambda z, t: _surprise(z, t).sum(), "That is the sum; take the mean over the batch."
        ),
        Mistake(
            lambda z, t: -_surprise(z, t).mean(), "The sign is missing: a loss is −log p, ≥ 0."
        ),
        Mistake(lambda z, t: _surprise(z, t), "That is one value for each example; take the mean."),
        Mistake(
            lambda z, t: _surprise(z, t).mean() / np.log(2),
            "You used the logarithm to base 2; here it is the natural one, `np.log`.",
        ),
        Mistake(
            lambda z, t: 1 - np.exp(-_surprise(z, t)).mean(),
            "There is no logarithm: 1 − p forgives a confident mistake, −log p does not.",
        ),
        Mistake(
            lambda z, t: -special.log_softmax(z, axis=1).mean(),
            "You averaged over all classes; only the probability of the right class counts.",
        ),
        Mistake(
            lambda z, t: -np.log(_naive_softmax(z))[np.arange(len(t)), t].mean(),
            "`np.exp` overflows for large logits: subtract each row's maximum first.",
        ),
        Mistake(
            lambda z, t: -np.log(special.softmax(z, axis=1))[np.arange(len(t)), t].mean(),
            "A probability was rounded to 0 and its logarithm is infinite. Take the logarithm "
            "before rounding can happen: log softmax = shifted − log Σ exp(shifted).",
        ),
        Mistake(
            lambda z, t: -np.log(mlp.softmax(z)[:, t]).mean(),
            "`p[:, targets]` picks whole columns, B · B numbers; take one from each row.",
        ),
        Mistake(
            lambda z, t: -special.log_softmax(z, axis=1)[:, t].mean(),
            "`array[:, targets]` picks whole columns, B · B numbers; take one from each row.",
        ),
        Mistake(
            lambda z, t: (
                np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1))
                - z[np.arange(len(t)), t]
            ).mean(),
            "You shifted the logits inside the logarithm but not the right one: shift both or "
            "neither.",
        ),
        *(
            Mistake(
                floored,
                "A small number inside the logarithm hides the problem: the loss can then never "
                "rise above −log of it. Use −log p = log Σ exp(shifted) − shifted[right class].",
            )
            for floored in _floored_losses()
        ),
        Mistake(
            lambda z, t: -z[np.arange(len(t)), t].mean(),
            "You took the logits themselves for log-probabilities; they are not normalised yet.",
        ),
    ),
    hints=(
        "For one example the loss is −log p, with p the probability that softmax gives to the "
        "right class. The loss of a batch is the mean.",
        "`array[np.arange(B), targets]` picks one element from each row.",
        "−log p = log Σ exp(shifted) − shifted[right class], where `shifted` is the row less its "
        "maximum. Nothing in it can overflow, and no log of 0 appears.",
    ),
)


def _random_network(
    rng: np.random.Generator, sizes: list[int], batch: int
) -> tuple[np.ndarray, mlp.Layers, np.ndarray]:
    layers = [
        (rng.normal(size=(inputs, outputs)), rng.normal(size=outputs))
        for inputs, outputs in pairwise(sizes)
    ]
    return rng.normal(size=(batch, sizes[0])), layers, rng.integers(sizes[-1], size=batch)


def _torch_activations(x: np.ndarray, layers: mlp.Layers) -> list[torch.Tensor]:
    """The same network in torch: the independent truth of `forward` and `backward`."""
    tensors = [torch.tensor(x)]
    for number, (weights, bias) in enumerate(layers, 1):
        z = functional.linear(tensors[-1], torch.as_tensor(weights).T, torch.as_tensor(bias))
        tensors.append(torch.relu(z) if number < len(layers) else z)
    return tensors


def _forward_cases(rng: np.random.Generator) -> Iterator[Case]:
    x = np.array([[1.0, -1.0]])
    layers = [(np.eye(2), np.zeros(2)), (np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.0]))]
    yield Case((x, layers), [x, np.array([[1.0, 0.0]]), np.array([[1.5, 0.0]])])
    for sizes, batch in (([3, 3, 3, 3], 2), ([4, 6, 3], 5), ([5, 2], 3), ([2, 7, 5, 3, 4], 1)):
        x, layers, _ = _random_network(rng, sizes, batch)
        yield Case((x, layers), [tensor.numpy() for tensor in _torch_activations(x, layers)])


def _forward_with(rule: Callable[..., np.ndarray]) -> Callable[..., list[np.ndarray]]:
    """A forward pass in which `rule(x, previous, z, is_last)` gives each activation."""

    def answer(x: np.ndarray, layers: mlp.Layers) -> list[np.ndarray]:
        activations = [x]
        for number, (weights, bias) in enumerate(layers, 1):
            activations.append(rule(x, activations[-1], weights, bias, number == len(layers)))
        return activations

    return answer


FORWARD = Exercise(
    name="mlp.forward",
    title="Forward through all layers",
    minutes=10,
    difficulty=2,
    reference=mlp.forward,
    cases=_forward_cases,
    mistakes=(
        Mistake(
            _forward_with(lambda x, a, w, b, last: mlp.relu(a @ w + b)),
            "You applied ReLU to the last layer too; logits must be able to be negative.",
        ),
        Mistake(
            _forward_with(lambda x, a, w, b, last: a @ w + b),
            "The activation is missing: without ReLU in between, all layers together are one "
            "linear layer.",
        ),
        Mistake(
            _forward_with(lambda x, a, w, b, last: x @ w + b if last else mlp.relu(x @ w + b)),
            "Every layer was given the raw input x; feed it the activations of the layer before.",
        ),
        Mistake(
            lambda x, layers: [
                x,
                *(
                    mlp.layer(inputs, *pair)
                    for inputs, pair in zip(mlp.forward(x, layers), layers, strict=False)
                ),
            ],
            "The list holds the sums before ReLU; store what comes out of ReLU, since that is what "
            "the next layer reads.",
        ),
        Mistake(
            lambda x, layers: mlp.forward(x, layers)[1:],
            "The first element of the list should be the input x itself.",
        ),
        Mistake(
            lambda x, layers: mlp.forward(x, layers)[-1],
            "You returned the logits only; return the whole list, from x to the logits.",
        ),
        Mistake(
            lambda x, layers: [
                *mlp.forward(x, layers)[:-1],
                mlp.softmax(mlp.forward(x, layers)[-1]),
            ],
            "The last layer gives logits; softmax is not part of the network here, it belongs to "
            "the loss.",
        ),
        Mistake(
            _forward_with(
                lambda x, a, w, b, last: a @ w + b if last else mlp.relu(mlp.relu(a @ w) + b)
            ),
            "ReLU comes once, after the bias has been added.",
        ),
    ),
    hints=(
        "Start with `activations = [x]`; each layer reads `activations[-1]` and appends to it.",
        "`layers[:-1]` are the hidden layers: `relu(layer(…))`. `layers[-1]` is the last one: no "
        "ReLU, because a logit may be negative.",
    ),
)


def _logits_gradient_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((np.array([[0.0, np.log(3.0)]]), np.array([0])), np.array([[-0.75, 0.75]]))
    for batch, classes, scale in ((3, 2, 1), (2, 5, 1), (5, 4, 1), (4, 3, 3000)):
        logits = torch.tensor(scale * rng.normal(size=(batch, classes)), requires_grad=True)
        targets = rng.integers(classes, size=batch)
        functional.cross_entropy(logits, torch.tensor(targets)).backward()
        yield Case((logits.detach().numpy(), targets), logits.grad.numpy())


def _one_hot(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.eye(logits.shape[1])[targets]


def _minus_one(logits: np.ndarray, targets: np.ndarray, *place: Any) -> np.ndarray:
    gradient = mlp.softmax(logits)
    gradient[place] -= 1
    return gradient / len(targets)


LOGITS_GRADIENT = Exercise(
    name="mlp.logits_gradient",
    title="The slope of the loss",
    minutes=8,
    difficulty=2,
    reference=mlp.logits_gradient,
    cases=_logits_gradient_cases,
    mistakes=(
        Mistake(
            lambda z, t: mlp.softmax(z) - _one_hot(z, t),
            "The loss is the mean over the batch, so divide the slope by the number of examples.",
        ),
        Mistake(
            lambda z, t: (_one_hot(z, t) - mlp.softmax(z)) / len(t),
            "The sign is turned round: raising the right logit must lower the loss.",
        ),
        Mistake(
            lambda z, t: mlp.softmax(z) / len(t),
            "Subtract 1 at the right class of each row.",
        ),
        Mistake(
            lambda z, t: (mlp.softmax(z) - _one_hot(z, t)) / z.size,
            "Divide by the number of examples, not by the number of logits.",
        ),
        Mistake(
            lambda z, t: (z - _one_hot(z, t)) / len(t),
            "Use the probabilities, softmax(logits), not the logits themselves.",
        ),
        Mistake(
            lambda z, t: _minus_one(z, t, slice(None), t),
            "`gradient[:, targets] -= 1` changes whole columns; change one element in each row, at "
            "[row, right class].",
        ),
        Mistake(
            lambda z, t: _minus_one(z, t, t),
            "`gradient[targets] -= 1` takes the classes for row numbers; you want one element in "
            "each row, at [row, right class].",
        ),
        Mistake(
            lambda z, t: (1 - mlp.softmax(z)) / len(t),
            "At the right class the slope is p − 1, not 1 − p, and elsewhere it is p.",
        ),
        Mistake(
            lambda z, t: (mlp.softmax(z) - 1) / len(t),
            "You subtracted 1 everywhere; only the right class of each row gets −1.",
        ),
    ),
    hints=(
        "The rule: probability − 1 at the right class, probability elsewhere, divided by B.",
        "`gradient[np.arange(B), targets] -= 1` changes one element in each row.",
    ),
)


def _backward_cases(rng: np.random.Generator) -> Iterator[Case]:
    for sizes, batch in (([1, 1, 2], 1), ([2, 3, 2], 3), ([4, 4, 4, 4], 2), ([3, 2, 5, 2, 3], 6)):
        x, layers, targets = _random_network(rng, sizes, batch)
        if batch == 3:  # activations close to 0, where a threshold other than 0 shows
            x, layers = x * 1e-3, [(weights, bias * 1e-3) for weights, bias in layers]
        if batch == 1:
            x, layers = (
                np.array([[1.0]]),
                [
                    (np.array([[-1.0]]), np.array([0.0])),
                    (np.array([[1.0, 0.0]]), np.zeros(2)),
                ],
            )
        leaves = [
            tuple(torch.tensor(array, requires_grad=True) for array in pair) for pair in layers
        ]
        tensors = _torch_activations(x, leaves)
        functional.cross_entropy(tensors[-1], torch.tensor(targets)).backward()
        truth = [tuple(tensor.grad.numpy() for tensor in pair) for pair in leaves]
        activations = [tensor.detach().numpy() for tensor in tensors]
        yield Case((activations, layers, targets), truth, judge=_like_gradients(truth))


def _like_gradients(truth: mlp.Layers) -> Callable[[Any], str | None]:
    """Compare pair by pair, so that a message can name the layer."""

    def judge(got: Any) -> str | None:
        if not isinstance(got, tuple | list) or [len(pair) for pair in got] != [2] * len(truth):
            return difference(got, truth)
        for number, (mine, right) in enumerate(zip(got, truth, strict=True), 1):
            for part, one, other in zip(("weights", "bias"), mine, right, strict=True):
                if problem := difference(one, other):
                    return f"layer {number}, slopes of the {part}: {problem}"
        return None

    return judge


def _backward_with(slope: Callable[..., np.ndarray]) -> Callable[..., mlp.Layers]:
    """Back-propagation in which `slope(gradient, weights, inputs)` passes a layer downwards."""

    def answer(
        activations: list[np.ndarray], layers: mlp.Layers, targets: np.ndarray
    ) -> mlp.Layers:
        gradient, gradients = mlp.logits_gradient(activations[-1], targets), []
        for (weights, _), inputs in zip(reversed(layers), reversed(activations[:-1]), strict=True):
            gradients.append((inputs.T @ gradient, gradient.sum(axis=0)))
            gradient = slope(gradient, weights, inputs)
        return gradients[::-1]

    return answer


BACKWARD = Exercise(
    name="mlp.backward",
    title="Bug hunt: back-propagation",
    minutes=12,
    difficulty=3,
    reference=mlp.backward,
    cases=_backward_cases,
    mistakes=(
        Mistake(
            _backward_with(lambda g, w, a: g @ w.T),
            "The derivative of ReLU is still missing: no slope passes through a neuron whose "
            "output was 0.",
        ),
        Mistake(
            _backward_with(lambda g, w, a: (g @ w.T) * a),
            "You multiplied with the activation itself; the derivative of ReLU is 1 where it is "
            "positive and 0 elsewhere.",
        ),
        Mistake(
            _backward_with(lambda g, w, a: (g @ w.T) * (a <= 0)),
            "The mask is turned round: the slope passes where the activation is positive.",
        ),
        Mistake(
            _backward_with(lambda g, w, a: mlp.relu(g @ w.T)),
            "You applied ReLU to the slope. A slope may be negative; what matters is whether the "
            "*activation* was positive.",
        ),
        Mistake(
            _backward_with(lambda g, w, a: (g @ w.T) * a * (1 - a)),
            "That is the derivative of the sigmoid; these layers use ReLU.",
        ),
        Mistake(
            _backward_with(lambda g, w, a: mlp.relu(g) @ w.T),
            "You applied ReLU to the slope. A slope may be negative; what matters is whether the "
            "*activation* was positive.",
        ),
        Mistake(
            _backward_with(lambda g, w, a: (g @ w.T) * (a < 0)),
            "The mask is turned round: the slope passes where the activation is positive.",
        ),
        Mistake(
            lambda a, layers, t: mlp.backward(a, layers, t)[::-1],
            "The gradients are in reverse order: the first pair belongs to the first layer.",
        ),
        Mistake(
            lambda a, layers, t: [(w, b / len(t)) for w, b in mlp.backward(a, layers, t)],
            "The bias gradient is the sum over the batch: the loss has divided by B already.",
        ),
    ),
    hints=(
        "The loop goes from the last layer to the first. What happened to the numbers between two "
        "layers on the way forward? Its slope must be multiplied in on the way back.",
        "`inputs` are the activations that entered this layer: they came out of the ReLU before "
        "it. Where they are 0, ReLU was flat.",
        "ReLU's derivative is 1 where its output is positive, else 0: `(inputs > 0)`.",
    ),
)


def _model_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Parameters are filled in by position, so any names and any container are fine."""
    for sizes, batch in (([2, 3, 1], 1), ([3, 4, 2], 3), ([5, 5, 5, 5], 2), ([4, 7, 6, 3], 5)):
        x, layers, _ = _random_network(rng, sizes, batch)
        x *= 30  # so that an activation with an upper limit shows
        layers = [(w.astype("float32"), b.astype("float32")) for w, b in layers]
        x = x.astype("float32")
        truth = _torch_activations(x, layers)[-1]

        arguments = (sizes, torch.tensor(x), [tuple(map(torch.tensor, pair)) for pair in layers])
        yield Case(
            arguments,
            truth,
            judge=_like(truth, _torch_activations(mlp.relu(x), layers)[-1]),
            call=_build_and_run,
            names=("sizes", "x", "weights and biases"),
        )


def _build_and_run(
    model: type[nn.Module], sizes: list[int], x: torch.Tensor, layers: list
) -> torch.Tensor | str:
    """The logits for known weights, or a sentence where the weights do not fit the model."""
    try:
        network = model(sizes)
    except AttributeError as error:
        if "Module.__init__" not in str(error):
            raise
        return (
            "the first line of `__init__` must be `super().__init__()`: it prepares the place in "
            "which torch keeps layers and parameters."
        )
    matrices = [parameter for parameter in network.parameters() if parameter.numel() > 1]
    if matrices and all(float(matrix.detach().std()) == 0 for matrix in matrices):
        return (
            "all weights start with the same value, and such neurons stay copies of each other: "
            "leave the random start of `nn.Linear` as it is."
        )
    if problem := _fill_parameters(network, layers):
        return problem
    logits = network(x)
    return (_cut_off(network, logits) or logits.detach()) if torch.is_tensor(logits) else logits


def _cut_off(network: nn.Module, logits: torch.Tensor) -> str | None:
    """A sentence where the slopes of the logits do not reach every parameter."""
    if logits.requires_grad:
        logits.square().sum().backward()
    if all(parameter.grad is not None for parameter in network.parameters()):
        return None
    return (
        "the logits may be right, but their slopes do not reach the first layer, so it could never "
        "learn: something between the layers left torch (`.detach()`, `.numpy()`, a new "
        "`torch.tensor(…)`). Use `torch.relu`."
    )


def _fill_parameters(network: nn.Module, layers: list) -> str | None:
    """Give the network known weights; a sentence where its parameters do not fit the task."""
    parameters = list(network.parameters())
    if not parameters:
        return (
            "the model has no parameters that torch can see: write `self.layers = "
            "nn.ModuleList(…)`. A plain Python list hides them, and so does a name without `self`."
        )
    wanted = [tensor for weights, bias in layers for tensor in (weights.T, bias)]
    found_shapes = [tuple(parameter.shape) for parameter in parameters]
    wanted_shapes = [tuple(tensor.shape) for tensor in wanted]
    if found_shapes != wanted_shapes:
        return (
            f"the parameters have the shapes {found_shapes}; for these sizes they should be "
            f"{wanted_shapes}: one `nn.Linear` for each pair of neighbouring sizes."
        )
    with torch.no_grad():
        for parameter, tensor in zip(parameters, wanted, strict=True):
            parameter.copy_(tensor)
    return None


def _like(truth: torch.Tensor, input_cut: torch.Tensor) -> Callable[[Any], str | None]:
    """Compare logits; input_cut: what they would be with a ReLU on the input as well."""

    def judge(got: Any) -> str | None:
        if isinstance(got, str):
            return got
        problem = difference(got, truth)
        if problem and isinstance(got, torch.Tensor) and got.shape == truth.shape:
            if torch.allclose(got, torch.relu(truth), atol=1e-5):
                return "ReLU was applied to the last layer too; logits may be negative."
            if torch.allclose(got, torch.softmax(truth, 1), atol=1e-5):
                return "it returns probabilities; return the logits, the loss applies softmax."
            if torch.allclose(got, torch.log_softmax(truth, 1), atol=1e-5):
                return "it returns log-probabilities; return the logits, the loss does the rest."
            if torch.allclose(got, input_cut, atol=1e-5):
                return "ReLU was applied to the input x as well; it comes after each hidden layer."
            return f"{problem} Is there a ReLU after every layer but the last, and nowhere else?"
        return problem

    return judge


MODEL = Exercise(
    name="mlp.MLP",
    title="The network as a torch module",
    minutes=15,
    difficulty=2,
    reference=mlp.MLP,
    cases=_model_cases,
    uses_randomness=True,
    hints=(
        "In `__init__`, after `super().__init__()`, make one `nn.Linear(inputs, outputs)` for each "
        "pair of neighbouring sizes and keep them in `nn.ModuleList(…)`.",
        "`pairwise(sizes)` gives the pairs: for [784, 512, 10] they are (784, 512) and (512, 10).",
        "In `forward`: `for linear in self.layers[:-1]: x = functional.relu(linear(x))`; then the "
        "last layer, `return self.layers[-1](x)`, without ReLU.",
    ),
)


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Two steps on a linear model, whose slope is known in closed form."""
    for inputs, classes, batch, smoothing in ((1, 2, 1, 0.0), (3, 4, 5, 0.2), (5, 3, 2, 0.4)):
        weights = rng.normal(size=(inputs, classes)).astype("float32")
        x = rng.normal(size=(batch, inputs)).astype("float32")
        y = rng.integers(classes, size=batch)
        wanted = (1 - smoothing) * np.eye(classes)[y] + smoothing / classes
        truth, moved = {}, weights
        for number in (1, 2):
            surprise = -special.log_softmax(x @ moved, axis=1)
            truth[f"loss of step {number}"] = np.float32((wanted * surprise).sum(axis=1).mean())
            moved = moved - x.T @ (mlp.softmax(x @ moved) - wanted) / batch
        truth["weights after two steps"] = torch.tensor(moved.T, dtype=torch.float32)
        yield Case(
            (torch.tensor(weights.T), torch.tensor(x), torch.tensor(y), smoothing),
            truth,
            judge=_like_steps(truth),
            call=_two_steps,
            names=("weights of a linear model", "x", "y", "label smoothing of the loss"),
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


def _two_steps(
    step: Callable[..., Any],
    weights: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    smoothing: float,
) -> dict[str, Any] | str:
    """What two calls of a training step return, and where the weights end."""

    def loss_function(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if not logits.is_floating_point():
            raise TypeError(
                "loss_function takes the logits first, then the targets y"
                if targets.is_floating_point()
                else "loss_function takes the logits themselves, not the class with the largest"
            )
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)

    model = nn.Linear(weights.shape[1], weights.shape[0], bias=False)
    with torch.no_grad():
        model.weight.copy_(weights)
    optimizer = _PlainDescent(model)
    losses = [step(model, optimizer, loss_function, x, y) for _ in range(2)]
    if not model.training:
        return "the step switched the model to `eval()`; the loop decides about that, not the step."
    return {
        "loss of step 1": losses[0],
        "loss of step 2": losses[1],
        "weights after two steps": model.weight.detach(),
    }


def _like_steps(truth: dict[str, Any]) -> Callable[[Any], str | None]:
    def judge(got: dict[str, Any] | str) -> str | None:
        if isinstance(got, str):
            return got
        if isinstance(got["loss of step 1"], torch.Tensor | np.ndarray):
            return (
                "return a plain number, `loss.item()`: a tensor keeps the whole computation behind "
                "it in memory for as long as you keep your list of losses."
            )
        if got["loss of step 1"] is None:
            return "the step returns nothing; return the loss as a number, `loss.item()`."
        return difference(got, truth)

    return judge


def _step_with(*order: str) -> Callable[..., float]:
    """A training step that does just these things, in this order."""

    def step(model: Any, optimizer: Any, loss_function: Any, x: Any, y: Any) -> float:
        loss = loss_function(model(x), y)
        for action in order:
            {"zero": optimizer.zero_grad, "back": loss.backward, "move": optimizer.step}[action]()
        return loss.item()

    return step


TRAIN_STEP = Exercise(
    name="mlp.train_step",
    title="One step of training",
    minutes=8,
    difficulty=2,
    reference=mlp.train_step,
    cases=_step_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _step_with("back", "move"),
            "The slopes of the first step are still there in the second: torch adds new slopes to "
            "old ones until `optimizer.zero_grad()` is called.",
        ),
        Mistake(
            lambda model, optimizer, loss_function, x, y: mlp.train_step(
                model, optimizer, functional.cross_entropy, x, y
            ),
            "Use the `loss_function` that you were given, not one of your own: another lesson may "
            "give another one.",
        ),
        Mistake(
            lambda model, optimizer, loss_function, x, y: mlp.train_step(
                lambda batch: torch.softmax(model(batch), dim=1), optimizer, loss_function, x, y
            ),
            "Give the loss the logits; it applies softmax itself.",
        ),
        Mistake(
            lambda model, optimizer, loss_function, x, y: (
                mlp.train_step(model, optimizer, loss_function, x, y),
                loss_function(model(x), y).item(),
            )[1],
            "You computed the loss again after the step; return the one from before it, on which "
            "the slopes are based.",
        ),
        Mistake(
            _step_with("zero", "back"),
            "The weights did not move: `optimizer.step()` belongs after `loss.backward()` has "
            "found the slopes and before `return`, with no `zero_grad()` between the two.",
        ),
    ),
    hints=(
        "Five things happen: forget old slopes, compute the logits, compute the loss, find the "
        "slopes, move the parameters. Then return the loss as a number.",
        "The calls are `optimizer.zero_grad()`, `loss.backward()` and `optimizer.step()`.",
        "`loss_function(logits, y)` takes logits, not probabilities. `loss.item()` is the number.",
    ),
)

EXERCISES = (
    LAYER,
    RELU,
    SOFTMAX,
    CROSS_ENTROPY,
    FORWARD,
    LOGITS_GRADIENT,
    BACKWARD,
    MODEL,
    TRAIN_STEP,
)
