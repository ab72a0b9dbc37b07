"""Lesson 01: every exercise turns away plausible mistakes and takes different right answers."""

from itertools import pairwise

import numpy as np
import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional

from course.exercises.mlp import EXERCISES
from course.models.mlp import layer, logits_gradient, relu, softmax

# Each wrong answer stands beside a word that its message must contain.


def layer_one_image(x, weights, bias):
    return x[0] @ weights + bias


def layer_in_place(x, weights, bias):
    weights *= 1.0
    bias += x.sum()
    return x @ weights + bias


def layer_by_loop(x, weights, bias):
    result = np.zeros((len(x), len(bias)))
    for b in range(len(x)):
        for h in range(len(bias)):
            result[b, h] = (x[b] * weights[:, h]).sum() + bias[h]
    return result


LAYER = {
    "wrong": [
        (lambda x, weights, bias: x @ weights, "bias is missing"),
        (lambda x, weights, bias: x @ weights - bias, "added, not subtracted"),
        (lambda x, weights, bias: (x @ weights) * bias, "not multiplied"),
        (lambda x, weights, bias: x @ weights + bias.sum(), "own bias"),
        (lambda x, weights, bias: x @ weights / x.shape[1] + bias, "averaged"),
        (lambda x, weights, bias: np.maximum(x @ weights + bias, 0), "ReLU"),
        (lambda x, weights, bias: x * weights + bias, ("stopped", "shape")),
        (lambda x, weights, bias: x @ weights.T + bias, "stopped"),
        (lambda x, weights, bias: (x @ weights + bias).tolist(), "list"),
        (lambda x, weights, bias: (x @ weights + bias).astype(int), "dtype"),
        (lambda x, weights, bias: (x @ weights + bias).astype(np.float32), "float64"),
        (lambda x, weights, bias: None, "return"),
        (layer_one_image, "shape"),
        (layer_in_place, "in place"),
    ],
    "right": [
        lambda x, weights, bias: np.dot(x, weights) + bias,
        lambda x, weights, bias: np.einsum("bd,dh->bh", x, weights) + bias[None],
        lambda x, weights, bias: (weights.T @ x.T).T + bias,
        layer_by_loop,
    ],
}


def relu_in_place(z):
    z[z < 0] = 0
    return z


def relu_on_a_copy(z):
    z = z.copy()
    z[z < 0] = 0
    return z


RELU = {
    "wrong": [
        (np.abs, "absolute"),
        (lambda z: np.minimum(z, 0), "kept the negatives"),
        (lambda z: (z > 0).astype(float), "step"),
        (lambda z: z > 0, "says where"),
        (lambda z: z.max(), "largest of all"),
        (lambda z: np.max(z, 0), "np.maximum"),
        (lambda z: z if z > 0 else 0 * z, "element by element"),
        (lambda z: z[z > 0], "keep the shape"),
        (lambda z: np.clip(z, 0, 1), "upper limit"),
        (lambda z: np.clip(z, 0, 100), "should be"),
        (lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
        (lambda z: np.maximum(z, 0).astype(np.float16), "float64"),
        (lambda z: np.where(z > 0, z, 0.01 * z), "leaky"),
        (lambda z: z, "should be 0"),
        (lambda z: max(z, 0), "stopped"),
        (relu_in_place, "in place"),
    ],
    "right": [
        lambda z: np.maximum(0, z),
        lambda z: z * (z > 0),
        lambda z: np.where(z < 0, 0, z),
        lambda z: (z + np.abs(z)) / 2,
        relu_on_a_copy,
    ],
}


def naive(z):
    powers = np.exp(z)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_by_logarithm(z):
    return np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))


def softmax_row_by_row(logits):
    result = np.empty_like(logits)
    for number, row in enumerate(logits):
        powers = np.exp(row - row.max())
        result[number] = powers / powers.sum()
    return result


def softmax_in_place(logits):
    logits -= logits.max(axis=1, keepdims=True)
    return naive(logits)


SOFTMAX = {
    "wrong": [
        (lambda z: naive(z) + 0, "overflows"),
        (lambda z: naive((z - z.max(axis=0)).T).T, "row is one example"),
        (lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(), "each row must"),
        (lambda z: naive(z - z.max()), "own maximum"),
        (lambda z: np.log(softmax(z)), "logarithms"),
        (lambda z: naive(np.clip(z, -500, 500)), "Clipping"),
        (lambda z: naive(z / np.abs(z).max(axis=1, keepdims=True)), "Dividing"),
        (lambda z: np.exp(z - z.max(axis=1, keepdims=True)), "not divided"),
        (lambda z: np.nan_to_num(naive(z)), "hides"),
        (lambda z: naive(z - z.mean(axis=1, keepdims=True)), "mean"),
        (lambda z: naive(z - np.median(z, axis=1, keepdims=True)), "median"),
        (lambda z: naive(z - z.min(axis=1, keepdims=True)), "smallest"),
        (lambda z: naive(z - z.max(axis=1)), "stopped"),
        (softmax_in_place, "in place"),
    ],
    "right": [
        softmax_by_logarithm,
        softmax_row_by_row,
        lambda z: torch.softmax(torch.tensor(z), dim=1).numpy(),
    ],
}


def surprise(z, targets):
    shifted = z - z.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(z)), targets]


def cross_entropy_by_loop(logits, targets):
    total = 0.0
    for row, target in zip(logits, targets, strict=True):
        total += np.logaddexp.reduce(row) - row[target]
    return total / len(targets)


def cross_entropy_naive(logits, targets):
    return -np.log(naive(logits)[np.arange(len(targets)), targets]).mean()


def cross_entropy_half_shifted(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    right = logits[np.arange(len(targets)), targets]
    return (np.log(np.exp(shifted).sum(axis=1)) - right).mean()


def cross_entropy_columns(logits, targets):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1))[:, None] - shifted[:, targets]).mean()


CROSS_ENTROPY = {
    "wrong": [
        (lambda z, t: surprise(z, t).sum(), "sum"),
        (lambda z, t: -surprise(z, t).mean(), "sign"),
        (lambda z, t: surprise(z, t), "each example"),
        (lambda z, t: surprise(z, t).mean() / np.log(2), "base 2"),
        (lambda z, t: (1 - softmax(z)[np.arange(len(t)), t]).mean(), "no logarithm"),
        (lambda z, t: -np.log(softmax(z)[np.arange(len(t)), t]).mean(), "before rounding"),
        (cross_entropy_naive, "overflows"),
        (lambda z, t: -z[np.arange(len(t)), t].mean(), "not normalised"),
        (lambda z, t: -np.log(softmax(z)[:, t]).mean(), "one from each row"),
        (lambda z, t: -np.log(softmax(z)[np.arange(len(t)), t] + 1e-12).mean(), "hides"),
        (lambda z, t: -np.log(softmax(z).clip(1e-15, 1)[np.arange(len(t)), t]).mean(), "hides"),
        (lambda z, t: str(surprise(z, t).mean()), "number"),
        (cross_entropy_half_shifted, "both or neither"),
        (cross_entropy_columns, "one from each row"),
    ],
    "right": [
        cross_entropy_by_loop,
        lambda z, t: np.mean(surprise(z, t)),
        lambda z, t: functional.cross_entropy(torch.tensor(z), torch.tensor(t)).item(),
        lambda z, t: (
            np.logaddexp.reduce(z, axis=1) - np.take_along_axis(z, t[:, None], 1)[:, 0]
        ).mean(),
    ],
}


def forward_by(rule):
    def answer(x, layers):
        activations = [x]
        for number, (weights, bias) in enumerate(layers, 1):
            activations.append(rule(x, activations[-1], weights, bias, number == len(layers)))
        return activations

    return answer


def forward_recursively(x, layers):
    (weights, bias), rest = layers[0], layers[1:]
    z = layer(x, weights, bias)
    return [x, *forward_recursively(relu(z), rest)] if rest else [x, z]


def forward_adds_to_a_default(x, layers, activations=[]):  # noqa: B006
    activations.append(x)
    for weights, bias in layers[:-1]:
        activations.append(relu(layer(activations[-1], weights, bias)))
    activations.append(layer(activations[-1], *layers[-1]))
    return activations


def forward_stores_sums(x, layers):
    stored, inputs = [x], x
    for weights, bias in layers:
        stored.append(layer(inputs, weights, bias))
        inputs = relu(stored[-1])
    return stored


FORWARD = {
    "wrong": [
        (forward_by(lambda x, a, w, b, last: relu(a @ w + b)), "last layer"),
        (forward_by(lambda x, a, w, b, last: a @ w + b), "activation is missing"),
        (
            forward_by(lambda x, a, w, b, last: x @ w + b if last else relu(x @ w + b)),
            ("raw input", "stopped"),
        ),
        (lambda x, layers: forward_recursively(x, layers)[1:], "input x itself"),
        (lambda x, layers: forward_recursively(x, layers)[-1], "whole list"),
        (
            lambda x, layers: [
                *forward_recursively(x, layers)[:-1],
                softmax(forward_recursively(x, layers)[-1]),
            ],
            "softmax",
        ),
        (
            forward_by(lambda x, a, w, b, last: a @ w + b if last else relu(relu(a @ w) + b)),
            "once",
        ),
        (forward_adds_to_a_default, "values"),
        (forward_stores_sums, "before ReLU"),
    ],
    "right": [
        forward_recursively,
        forward_by(lambda x, a, w, b, last: a @ w + b if last else np.maximum(a @ w + b, 0)),
    ],
}


def one_hot(z, t):
    return np.eye(z.shape[1])[t]


def logits_gradient_by_loop(logits, targets):
    gradient = softmax(logits).copy()
    for row, target in enumerate(targets):
        gradient[row, target] -= 1
    return gradient / len(logits)


def logits_gradient_columns(logits, targets):
    gradient = softmax(logits)
    gradient[:, targets] -= 1
    return gradient / len(targets)


def logits_gradient_rows(logits, targets):
    gradient = softmax(logits)
    gradient[targets] -= 1
    return gradient / len(targets)


LOGITS_GRADIENT = {
    "wrong": [
        (lambda z, t: softmax(z) - one_hot(z, t), "divide"),
        (lambda z, t: (one_hot(z, t) - softmax(z)) / len(t), "sign"),
        (lambda z, t: softmax(z) / len(t), "Subtract 1"),
        (lambda z, t: (softmax(z) - one_hot(z, t)) / z.size, "number of examples"),
        (lambda z, t: (z - one_hot(z, t)) / len(t), "softmax(logits)"),
        (lambda z, t: (softmax(z) - 1) / len(t), "everywhere"),
        (lambda z, t: (softmax(z) - t) / len(t), ("stopped", "should be")),
        (lambda z, t: (1 - softmax(z)) / len(t), "p − 1"),
        (logits_gradient_columns, "whole columns"),
        (logits_gradient_rows, "row numbers"),
        (lambda z, t: ((softmax(z) - one_hot(z, t)) / len(t)).mean(axis=0), "shape"),
        (lambda z, t: (naive(z) - one_hot(z, t)) / len(t), "NaN"),
    ],
    "right": [
        lambda z, t: (softmax(z) - one_hot(z, t)) / len(t),
        logits_gradient_by_loop,
    ],
}


def backward_by(slope):
    def answer(activations, layers, targets):
        gradient = logits_gradient(activations[-1], targets)
        gradients = []
        for (weights, _), inputs in zip(reversed(layers), reversed(activations[:-1]), strict=True):
            gradients.append((inputs.T @ gradient, gradient.sum(axis=0)))
            gradient = slope(gradient, weights, inputs)
        return gradients[::-1]

    return answer


def backward_by_autograd(activations, layers, targets):
    leaves = [tuple(torch.tensor(a, requires_grad=True) for a in pair) for pair in layers]
    x = torch.tensor(activations[0])
    for weights, bias in leaves[:-1]:
        x = torch.relu(x @ weights + bias)
    x = x @ leaves[-1][0] + leaves[-1][1]
    functional.cross_entropy(x, torch.tensor(targets)).backward()
    return [tuple(leaf.grad.numpy() for leaf in pair) for pair in leaves]


def backward_first_layer_last(activations, layers, targets):
    return RIGHT_BACKWARD(activations, layers, targets)[::-1]


def backward_mean_bias(activations, layers, targets):
    found = RIGHT_BACKWARD(activations, layers, targets)
    return [(weights, bias / len(targets)) for weights, bias in found]


RIGHT_BACKWARD = backward_by(lambda g, w, a: (g @ w.T) * (a > 0))

BACKWARD = {
    "wrong": [
        (backward_by(lambda g, w, a: g @ w.T + 0), "derivative of ReLU"),
        (backward_by(lambda g, w, a: (g @ w.T) * a), "activation itself"),
        (backward_by(lambda g, w, a: (g @ w.T) * (a <= 0)), "turned round"),
        (backward_by(lambda g, w, a: np.maximum(g @ w.T, 0)), "may be negative"),
        (backward_by(lambda g, w, a: (g @ w.T) * a * (1 - a)), "sigmoid"),
        (backward_by(lambda g, w, a: (g @ w) * (a > 0)), ("stopped", "element")),
        (backward_by(lambda g, w, a: np.maximum(g, 0) @ w.T), "may be negative"),
        (backward_by(lambda g, w, a: (g @ w.T) * (a < 0)), "turned round"),
        (backward_by(lambda g, w, a: (g @ w.T) * (a > 0.01)), "slopes of the weights"),
        (backward_first_layer_last, ("reverse order", "shape")),
        (backward_mean_bias, "sum over the batch"),
    ],
    "right": [
        RIGHT_BACKWARD,
        backward_by(lambda g, w, a: np.where(a > 0, g @ w.T, 0.0)),
        backward_by(lambda g, w, a: (g @ w.T) * np.sign(a)),
        backward_by_autograd,
    ],
}


class MLPInAList(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layers = [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]

    def forward(self, x):
        for one in self.layers[:-1]:
            x = torch.relu(one(x))
        return self.layers[-1](x)


class MLPWithoutSuper(nn.Module):
    def __init__(self, sizes):
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, x):
        return x


class MLPWithoutActivation(MLPInAList):
    def __init__(self, sizes):
        nn.Module.__init__(self)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, x):
        for one in self.layers:
            x = one(x)
        return x


class MLPReluEverywhere(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers:
            x = functional.relu(one(x))
        return x


class MLPWithSoftmax(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers[:-1]:
            x = functional.relu(one(x))
        return torch.softmax(self.layers[-1](x), dim=1)


class MLPForgetsReturn(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers[:-1]:
            x = functional.relu(one(x))
        self.layers[-1](x)


class MLPOneLayer(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.layer = nn.Linear(sizes[0], sizes[-1])

    def forward(self, x):
        return self.layer(x)


class MLPWithoutBias(MLPWithSoftmax):
    def __init__(self, sizes):
        nn.Module.__init__(self)
        self.layers = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairwise(sizes))


class MLPCutOff(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers[:-1]:
            x = torch.tensor(relu(one(x).detach().numpy()))
        return self.layers[-1](x)


class MLPWithNumpyRelu(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers[:-1]:
            x = relu(one(x))
        return self.layers[-1](x)


class MLPAllEqual(MLPWithoutActivation):
    def __init__(self, sizes):
        super().__init__(sizes)
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.5)


class MLPCapped(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers[:-1]:
            x = one(x).clamp(0, 20)
        return self.layers[-1](x)


class MLPCallsItsList(MLPWithoutActivation):
    def forward(self, x):
        return self.layers(x)


class MLPReluOnInput(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers:
            x = one(functional.relu(x))
        return x


class MLPLogSoftmax(MLPWithoutActivation):
    def forward(self, x):
        for one in self.layers[:-1]:
            x = functional.relu(one(x))
        return torch.log_softmax(self.layers[-1](x), dim=1)


class MLPSequential(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        parts = []
        for inputs, outputs in pairwise(sizes):
            parts += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.body = nn.Sequential(*parts[:-1])

    def forward(self, x):
        return self.body(x)


class MLPNamesItself(nn.Module):
    def __init__(self, sizes):
        super(MLPNamesItself, self).__init__()  # noqa: UP008
        self.count = len(sizes) - 1
        for number in range(self.count):
            setattr(self, f"dense{number}", nn.Linear(sizes[number], sizes[number + 1]))

    def forward(self, x):
        for number in range(self.count):
            x = getattr(self, f"dense{number}")(x)
            if number < self.count - 1:
                x = x.clamp(min=0)
        return x


MODEL = {
    "wrong": [
        (MLPInAList, "ModuleList"),
        (MLPWithoutSuper, "super().__init__()"),
        (MLPWithoutActivation, "ReLU"),
        (MLPReluEverywhere, "last layer"),
        (MLPWithSoftmax, "logits"),
        (MLPAllEqual, "copies"),
        (MLPCapped, "should be"),
        (MLPCallsItsList, "loop over it"),
        (MLPReluOnInput, "input x"),
        (MLPLogSoftmax, ("log-probabilities", "logits")),
        (MLPForgetsReturn, "return"),
        (MLPCutOff, "slopes do not reach"),
        (MLPWithNumpyRelu, "torch's own"),
        (MLPOneLayer, "shapes"),
        (MLPWithoutBias, "shapes"),
        (lambda sizes: nn.Linear(sizes[0], sizes[-1]), "class"),
    ],
    "right": [MLPSequential, MLPNamesItself],
}


def step_by(*actions, result=lambda loss: loss.item()):
    def step(model, optimizer, loss_function, x, y):
        loss = loss_function(model(x), y)
        for action in actions:
            {"zero": optimizer.zero_grad, "back": loss.backward, "move": optimizer.step}[action]()
        return result(loss)

    return step


def step_on_probabilities(model, optimizer, loss_function, x, y):
    optimizer.zero_grad()
    loss = loss_function(torch.softmax(model(x), dim=1), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def step_by_the_model(model, optimizer, loss_function, x, y):
    loss = loss_function(model(x), y)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss)


def step_swapped(model, optimizer, loss_function, x, y):
    optimizer.zero_grad()
    loss = loss_function(y, model(x))
    loss.backward()
    optimizer.step()
    return loss.item()


def step_with_its_own_loss(model, optimizer, loss_function, x, y):
    return RIGHT_STEP(model, optimizer, functional.cross_entropy, x, y)


def step_measures_afterwards(model, optimizer, loss_function, x, y):
    RIGHT_STEP(model, optimizer, loss_function, x, y)
    return loss_function(model(x), y).item()


def step_on_answers(model, optimizer, loss_function, x, y):
    loss = loss_function(model(x).argmax(dim=1), y)
    loss.backward()


def step_in_evaluation(model, optimizer, loss_function, x, y):
    model.eval()
    return RIGHT_STEP(model, optimizer, loss_function, x, y)


def step_without_watching(model, optimizer, loss_function, x, y):
    with torch.no_grad():
        return RIGHT_STEP(model, optimizer, loss_function, x, y)


RIGHT_STEP = step_by("zero", "back", "move")

TRAIN_STEP = {
    "wrong": [
        (step_by("back", "move"), "first step are still there"),
        (step_by("zero", "back"), "did not move"),
        (step_by("zero", "move", "back"), "did not move"),
        (step_by("back", "zero", "move"), "did not move"),
        (step_by("zero", "back", "move", result=lambda loss: loss), "plain number"),
        (step_by("zero", "back", "move", result=lambda loss: None), "returns nothing"),
        (step_by("zero", "move"), "did not move"),
        (step_on_probabilities, "softmax itself"),
        (step_on_answers, "not the class"),
        (step_in_evaluation, "eval()"),
        (step_without_watching, "no_grad"),
        (step_by("zero", "back", "move", result=lambda loss: loss.detach().numpy()), "plain"),
        (step_swapped, "logits first"),
        (step_with_its_own_loss, "not one of your own"),
        (step_measures_afterwards, "before it"),
    ],
    "right": [
        RIGHT_STEP,
        step_by("back", "move", "zero"),
        step_by_the_model,
    ],
}

ANSWERS = {
    "mlp.layer": LAYER,
    "mlp.relu": RELU,
    "mlp.softmax": SOFTMAX,
    "mlp.cross_entropy": CROSS_ENTROPY,
    "mlp.forward": FORWARD,
    "mlp.logits_gradient": LOGITS_GRADIENT,
    "mlp.backward": BACKWARD,
    "mlp.MLP": MODEL,
    "mlp.train_step": TRAIN_STEP,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 60
