"""The exercises of lesson 03: convolution, batch norm, augmentation and the residual block."""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import convolution, resnet

LESSON = "03_resnet"


class _Sentence(str):
    """What is wrong with an answer, found while it was called; stands in place of its result."""


def _convolve_cases(rng: np.random.Generator) -> Iterator[Case]:
    image = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])
    by_hand = np.array([[[10.0, 13.0], [19.0, 22.0]]])
    filters = np.array([[[[0.0, 1.0], [2.0, 0.0]]]])
    yield Case((image, filters), by_hand, judge=partial(_close, truth=by_hand))
    for channels, height, width, count, size in ((2, 4, 6, 3, 3), (3, 5, 4, 1, 2), (1, 3, 3, 2, 3)):
        image = rng.normal(size=(channels, height, width))
        filters = rng.normal(size=(count, channels, size, size))
        truth = functional.conv2d(torch.tensor(image)[None], torch.tensor(filters))[0].numpy()
        yield Case((image, filters), truth, judge=partial(_close, truth=truth))


def _close(got: Any, truth: np.ndarray) -> str | None:
    """How the result differs; one kept in float32 is as right as one in float64."""
    single = getattr(got, "dtype", None) == np.float32
    return difference(got, truth.astype(np.float32) if single else truth)


def _each_channel(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """The results of the channels, not yet added up: [F, C, …]."""
    return np.stack(
        [
            convolution.convolve(image[place : place + 1], filters[:, place : place + 1])
            for place in range(len(image))
        ],
        axis=1,
    )


def _same_size(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    before = (filters.shape[2] - 1) // 2
    after = filters.shape[2] - 1 - before
    return convolution.convolve(np.pad(image, ((0, 0), (before, after), (before, after))), filters)


def _loops_one_short(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    result = convolution.convolve(image, filters)
    result[:, -1], result[:, :, -1] = 0, 0
    return result


def _all_filters_at_once(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    result = convolution.convolve(image, filters)
    return result.sum(axis=0, keepdims=True).repeat(len(filters), axis=0)


CONVOLVE = Exercise(
    name="resnet.convolve",
    title="Convolution from loops",
    minutes=15,
    difficulty=2,
    reference=convolution.convolve,
    cases=_convolve_cases,
    mistakes=(
        Mistake(
            lambda image, filters: convolution.convolve(image, filters[:, :, ::-1, ::-1]),
            "You turned the filter upside down, as mathematicians define convolution; deep "
            "learning leaves it as it is.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters.transpose(0, 1, 3, 2)),
            "Rows and columns of the filter have changed places.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters[:, :, ::-1]),
            "You turned the rows of the filter upside down; leave it as it is.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters[:, :, :, ::-1]),
            "You mirrored the columns of the filter; leave it as it is.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters) / filters[0].size,
            "It looks as if you averaged over the patch; add up, do not divide.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image[:1], filters[:, :1]),
            "Only the first channel counts in your result; add up over all channels.",
        ),
        Mistake(
            _each_channel,
            "You kept one result for each channel; a filter adds up over its channels too.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters)[:, :-1, :-1],
            "The last row and the last column are missing: there are H − K + 1 places, not H − K.",
        ),
        Mistake(
            _loops_one_short,
            "The last row and the last column of the result are still 0: your loops end one place "
            "too early. `range(n)` stops before n.",
        ),
        Mistake(
            _all_filters_at_once,
            "Every result is the sum over all filters; result f is made with `filters[f]` alone.",
        ),
        Mistake(
            _same_size,
            "You added a border of zeros; here the filter stays inside the image, so the result "
            "is smaller.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters[:1].repeat(len(filters), 0)),
            "Every result was made with the first filter.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters).sum(axis=0),
            "You added up the results of different filters; each filter has a result of its own.",
        ),
        Mistake(
            lambda image, filters: convolution.convolve(image, filters).transpose(0, 2, 1),
            "Rows and columns of the result have changed places.",
        ),
    ),
    hints=(
        "Start with `result = np.zeros((F, H - K + 1, W - K + 1))` and fill it, one place after "
        "the other: a loop over the filters, one over the rows, one over the columns.",
        "`image[:, row : row + K, column : column + K]` is the patch under the filter, [C, K, K].",
        "`result[f, row, column] = (patch * filters[f]).sum()`",
    ),
)


def _output_size_cases(rng: np.random.Generator) -> Iterator[Case]:
    known = ((5, 3, 1, 0), (32, 3, 1, 1), (32, 2, 2, 0), (7, 3, 2, 1), (8, 3, 2, 1), (28, 5, 1, 2))
    drawn = [(int(rng.integers(7, 40)), *map(int, rng.integers(1, 6, 2)), 0) for _ in range(4)]
    drawn += [(int(rng.integers(7, 40)), 5, 3, int(rng.integers(1, 3))) for _ in range(2)]
    for size, kernel, stride, padding in (*known, *drawn):
        image, filters = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
        truth = functional.conv2d(image, filters, stride=stride, padding=padding).shape[-1]
        yield Case((size, kernel, stride, padding), truth, judge=partial(_whole, truth=truth))
    for arguments in ((2, 3, 1, 0), (2, 3, 2, 0), (3, 7, 2, 1)):  # the filter does not fit
        yield Case(arguments, 0, judge=partial(_whole, truth=0))


def _whole(got: Any, truth: int) -> str | None:
    """What is wrong with a number of places; where there is none, 0 or less is right."""
    if truth == 0 and isinstance(got, int | float) and not isinstance(got, bool):
        got = max(got, 0)
    problem = difference(got, truth)
    if problem is None and isinstance(got, float):
        return f"it returned {got}; a size is a whole number: divide with `//`."
    return problem


OUTPUT_SIZE = Exercise(
    name="resnet.output_size",
    title="How large is the result?",
    minutes=5,
    difficulty=1,
    reference=convolution.output_size,
    cases=_output_size_cases,
    mistakes=(
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + 2 * padding - kernel) // stride,
            "One place is missing: where the filter is as large as the image there is 1 place for "
            "it, not 0.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + padding - kernel) // stride + 1,
            "The border is added on both sides, so `padding` counts twice.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + 2 * padding - kernel + 1) // stride,
            "The 1 stands for the first place, which no stride leaves out: divide first, then add "
            "1.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (
                -(-(size + 2 * padding - kernel) // stride) + 1
            ),
            "You rounded up; where a last step would reach over the border, it is not made.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size + 2 * padding - kernel) / stride + 1,
            "That can be a fraction; a step that would reach over the border is not made: divide "
            "with `//`, which rounds down.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: size + 2 * padding - kernel + 1,
            "That is right for stride 1; a larger stride leaves places out.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (
                int((size + 2 * padding - kernel) / stride) + 1
            ),
            "Nearly: `int` cuts −0.5 to 0, so you find a place for a filter that does not fit. "
            "`//` rounds down, to −1.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: max(
                1, (size + 2 * padding - kernel) // stride + 1
            ),
            "You say 1 where the filter is larger than the image; there is no place for it: 0.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size - kernel) // stride + 1,
            "The padding is missing: it makes the image larger before the filter comes.",
        ),
        Mistake(
            lambda size, kernel, stride=1, padding=0: (size - 2 * padding - kernel) // stride + 1,
            "Padding makes the image larger: add it.",
        ),
    ),
    hints=(
        "How large is the image with its border? How far can the filter then move from its first "
        "place?",
        "It can move by `size + 2 * padding - kernel` pixels, in steps of `stride`. The first "
        "place counts too.",
        "`(size + 2 * padding - kernel) // stride + 1`",
    ),
)


WIDTHS = (16, 32, 64, 128)  # channels of the small network


def _small_network_cases(rng: np.random.Generator) -> Iterator[Case]:
    for num_classes, batch in ((10, 1), (3, 2)):
        images = torch.tensor(rng.normal(size=(batch, 3, 32, 32)), dtype=torch.float32)
        weights, x = [], images
        for channels, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            weights += [_spread(rng, width, channels, 3, 3), _spread(rng, width)]
            x = functional.conv2d(functional.pad(x, (1, 1, 1, 1)), *weights[-2:])
            x = functional.max_pool2d(torch.relu(x), 2)
        weights += [_spread(rng, num_classes, x[0].numel()), _spread(rng, num_classes)]
        truth = functional.linear(x.flatten(1), *weights[-2:])
        yield Case(
            (num_classes, images),
            truth,
            judge=partial(_sentence_or_difference, truth=truth),
            call=partial(_logits_with, weights=weights),
            names=("num_classes", "images"),
        )


def _spread(rng: np.random.Generator, *shape: int) -> Tensor:
    """Random numbers with about the spread of fresh weights, so that no layer drowns another."""
    scale = np.sqrt(2 / max(1, np.prod(shape[1:]))) if len(shape) > 1 else 0.5
    return torch.tensor(rng.normal(0, scale, shape), dtype=torch.float32)


def _sentence_or_difference(got: Any, truth: Any) -> str | None:
    """A sentence that the call came back with, or how the result differs."""
    return got if isinstance(got, _Sentence) else difference(got, truth)


def _logits_with(make: Callable, num_classes: int, images: Tensor, weights: list) -> Any:
    """The network's logits for known weights, or a sentence on why there are none."""
    network = make(num_classes)
    if not isinstance(network, nn.Module):
        return _Sentence("it should return the network, `nn.Sequential(…)`.")
    parameters = list(network.parameters())
    if parameters and num_classes != 10 and parameters[-1].shape == (10,):
        return _Sentence(
            "the dense layer gives 10 numbers whatever `num_classes` is: use it there."
        )
    if problem := _fill(parameters, weights):
        return problem
    try:
        return network(images).detach()
    except RuntimeError as error:
        if "Kernel size can't be greater" in str(error):
            return _Sentence(
                "a filter of 3 × 3 meets an image that is smaller than itself: every convolution "
                "before it has taken away a border. With which padding does it keep the size?"
            )
        if "shapes cannot be multiplied" in str(error):
            return _Sentence(
                "the image does not arrive at the dense layer with 2 × 2 pixels. After each stage "
                "height and width should be half: 32, 16, 8, 4, 2."
            )
        raise


def _fill(parameters: Sequence[nn.Parameter], weights: Sequence[Tensor]) -> str | None:
    """Give the parameters known values; a sentence where their shapes are not as asked."""
    found = [tuple(parameter.shape) for parameter in parameters]
    wanted = [tuple(tensor.shape) for tensor in weights]
    if found != wanted:
        return _Sentence(
            f"its parameters have the shapes {found}; they should be {wanted}: leave number, "
            "order and width of the layers as they were."
        )
    with torch.no_grad():
        for parameter, tensor in zip(parameters, weights, strict=True):
            parameter.copy_(tensor)
    return None


def _small_network_with(
    pooling: Callable[[], nn.Module],
    activation: Callable[[], nn.Module] = nn.ReLU,
    **options: Any,
) -> Callable:
    """The small network with this pooling, activation, and these options of the convolutions."""

    def make(num_classes: int) -> nn.Module:
        layers = []
        for channels, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Conv2d(channels, width, 3, **options), activation(), pooling()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, num_classes))

    return make


SMALL_NETWORK = Exercise(
    name="resnet.small_network",
    title="Bug hunt: a network that uses up its image",
    minutes=8,
    difficulty=1,
    reference=convolution.small_network,
    cases=_small_network_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _small_network_with(lambda: nn.MaxPool2d(2), padding=1, padding_mode="replicate"),
            "The size is right, but the border repeats the edge of the image; leave "
            "`padding_mode` at its zeros.",
        ),
        Mistake(
            _small_network_with(lambda: nn.MaxPool2d(2), padding=1, padding_mode="reflect"),
            "The size is right, but the border mirrors the image; leave `padding_mode` at its "
            "zeros.",
        ),
        Mistake(
            _small_network_with(lambda: nn.MaxPool2d(2), padding=1, padding_mode="circular"),
            "The size is right, but the border shows the other side of the image; leave "
            "`padding_mode` at its zeros.",
        ),
        Mistake(
            _small_network_with(lambda: nn.AvgPool2d(2), padding=1),
            "The pooling now takes the mean; the largest of the four pixels is asked for.",
        ),
        Mistake(
            _small_network_with(lambda: nn.MaxPool2d(2), nn.Identity, padding=1),
            "The size is right, but ReLU is missing: it stands after each convolution.",
        ),
        Mistake(
            _small_network_with(nn.Identity, padding=1, stride=2),
            "Your convolutions do the halving with a stride; let the pooling do it, and the "
            "convolutions keep the size.",
        ),
    ),
    hints=(
        "What does `output_size(32, kernel=3)` say? And the next stages? Compare with 32, 16, 8, "
        "4, 2.",
        "With which `padding` is `output_size(32, kernel=3, padding=…)` equal to 32?",
        "`nn.Conv2d(channels, width, 3, padding=1)`",
    ),
)


def _batch_norm_cases(rng: np.random.Generator) -> Iterator[Case]:
    for channels, shape, momentum, eps in ((1, (2, 2), 0.1, 1e-5), (3, (4, 5), 0.3, 0.1)):
        batches = [
            torch.tensor(
                rng.normal(rng.normal(0, 3), 2, (batch, channels, *shape)), dtype=torch.float32
            )
            for batch in (2, 3, 2)
        ]
        numbers = _spread(rng, channels) + 2, _spread(rng, channels)
        call = partial(_seen_of_norm, numbers=numbers, momentum=momentum, eps=eps)
        truth = call(nn.BatchNorm2d, *batches)
        yield Case(
            tuple(batches),
            truth,
            judge=partial(_sentence_or_difference, truth=truth),
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
        return _Sentence(difference(output, x))
    if output.shape != x.shape:
        shapes = f"x has the shape {tuple(x.shape)}, the output {tuple(output.shape)}"
        return _Sentence(f"{shapes}. {ONE_FOR_EACH_CHANNEL}")
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
    if problem := _fill(list(norm.parameters()), numbers):
        return problem
    if not {"running_mean", "running_var"} <= dict(norm.named_buffers()).keys():
        return _Sentence(
            "`running_mean` and `running_var` are no longer buffers: leave `register_buffer` in "
            "`__init__`, so that they are saved with the model and go with it to a GPU."
        )
    x = first.clone().requires_grad_()
    try:
        output = norm(x)
    except RuntimeError as error:
        if "must match the size" in str(error) or "match the broadcast shape" in str(error):
            return _Sentence(f"it stopped with “{error}”. {ONE_FOR_EACH_CHANNEL}")
        raise
    if problem := _of_another_shape(output, x):
        return problem
    seen = {"output of the first batch": output.detach()}
    if not output.requires_grad:
        return _Sentence(
            "no slopes pass through its output: `torch.no_grad()` belongs around the running "
            "averages only."
        )
    (output * torch.linspace(-1, 2, x.numel()).reshape(x.shape)).sum().backward()
    norm(second)
    for name in ("running_mean", "running_var"):
        value = getattr(norm, name)
        if torch.is_tensor(value) and value.requires_grad:
            return _Sentence(
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
        return _Sentence(
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


def _shift_and_mirror_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Values from 1 on, all different enough: a result shows how each image was moved."""
    for shape, largest in (((2, 1, 3, 4), 1), ((600, 2, 4, 6), 1), ((1000, 2, 6, 5), 2)):
        yield _moved_once(rng.integers(1, 256, shape, dtype=np.uint8), largest)
    images = rng.integers(1, 256, (8, 2, 3, 4), dtype=np.uint8)
    yield Case(
        (torch.tensor(images), 1),
        judge=partial(_moved_anew, images=images, largest=1),
        call=_many_calls,
    )
    yield _moved_once(rng.normal(5, 1, (8, 3, 5, 4)).astype(np.float32), 1)
    yield _moved_once(rng.integers(1, 256, (2, 1, 4, 3), dtype=np.uint8), 0)


def _moved_once(images: np.ndarray, largest: int) -> Case:
    judge = partial(_moved, images=images, largest=largest)
    return Case((torch.tensor(images), largest), judge=judge)


NUM_CALLS = 50  # a fair coin falls 50 times on the same side once in 10 to the power of 15


def _many_calls(answer: Callable, images: Tensor, largest: int) -> Any:
    """The results of many calls [NUM_CALLS, B, C, H, W], or a sentence, or what is no result."""
    results, seed = [], torch.initial_seed()
    for _ in range(NUM_CALLS):
        results.append(answer(images, largest))
        if _of_another_form(results[-1], images):
            return results[-1]
    if all(torch.equal(result, results[0]) for result in results):
        return _Sentence(
            "every call moves the images in the same way, so that each epoch would bring the same "
            "ones: draw new numbers in each call, without a seed of your own."
        )
    if torch.initial_seed() != seed:
        return _Sentence(
            "it sets torch's seed, and with it all random numbers that come later: leave the seed "
            "alone."
        )
    return torch.stack(results)


def _moved_anew(got: Any, images: np.ndarray, largest: int) -> str | None:
    """What is wrong with many results for the same images: chance moves each place in each call."""
    if isinstance(got, _Sentence):
        return got
    if not torch.is_tensor(got) or got.dim() != images.ndim + 1:
        return _of_another_form(got, torch.tensor(images))
    ways = _ways(images, largest)
    fits = np.stack([(way == got.numpy()).all(axis=(2, 3, 4)) for way in ways.values()])
    strange = ~fits.any(axis=0).all(axis=1)  # [calls]
    if strange.any():
        return _not_a_move(got.numpy()[strange][0], images, largest)
    drawn = np.array(list(ways))[fits.argmax(axis=0)]  # [calls, B, 3]
    fixed = "always mirrored, or never", "always moved down alike", "always moved right alike"
    for place, what in enumerate(fixed):
        alike = (drawn[:, :, place] == drawn[0, :, place]).all(axis=0)
        if alike.any():
            return (
                f"in {NUM_CALLS} calls `images[{alike.argmax()}]` was {what}: chance decides, for "
                "each image and in each call."
            )
    return None


def _moved(got: Any, images: np.ndarray, largest: int) -> str | None:
    """What is wrong with images that should have been moved and mirrored at random."""
    if problem := _of_another_form(got, torch.tensor(images)):
        return problem
    result = got.numpy()
    ways = _ways(images, largest)
    fits = np.stack([(way == result).all(axis=(1, 2, 3)) for way in ways.values()])
    if not fits.any(axis=0).all():
        return _not_a_move(result[~fits.any(axis=0)], images[~fits.any(axis=0)], largest)
    if len(images) < 500:  # too few to say anything about chance
        return None
    mirrored, down, right = np.array([list(ways)[place] for place in fits.argmax(axis=0)]).T
    return _not_by_chance(mirrored, down, right, largest)


def _of_another_form(got: Any, images: Tensor) -> str | None:
    """Where the result is no tensor, or has another shape or dtype."""
    swapped = images.transpose(2, 3)
    if torch.is_tensor(got) and got.shape == swapped.shape != images.shape:
        return (
            f"the result has shape {tuple(got.shape)}: rows and columns have changed places. From "
            "[B, H, W, C], `.permute(0, 3, 1, 2)` leads to [B, C, H, W]."
        )
    if not torch.is_tensor(got) or got.shape != images.shape:
        return difference(got, images)
    if got.dtype != images.dtype:
        return (
            f"the result has dtype {got.dtype}; keep that of the images, {images.dtype}: bytes "
            "take a quarter of the memory."
        )
    return None


def _ways(
    images: np.ndarray, largest: int, mode: str = "constant"
) -> dict[tuple[int, int, int], np.ndarray]:
    """All images moved in each of the possible ways, by (mirrored, down, right)."""
    _, _, height, width = images.shape
    edges = ((0, 0), (0, 0), (largest, largest), (largest, largest))
    padded = {0: np.pad(images, edges, mode), 1: np.pad(images[..., ::-1], edges, mode)}
    moves = range(-largest, largest + 1)
    return {
        (mirrored, down, right): padded[mirrored][
            :,
            :,
            largest - down : largest - down + height,
            largest - right : largest - right + width,
        ]
        for mirrored, down, right in product((0, 1), moves, moves)
    }


def _not_a_move(result: np.ndarray, images: np.ndarray, largest: int) -> str:
    """Why these results are none of the ways in which their images may be moved."""

    def made_by(ways: dict, axes: tuple[int, ...] = (1, 2, 3)) -> bool:
        fits = np.stack([(way == result).all(axis=axes) for way in ways.values()])
        return bool(fits.any(axis=0).all())

    if made_by(_ways(images, largest, "wrap")):
        return (
            "what leaves the image on one side comes in on the other, as with `torch.roll`; what "
            "comes in should be 0."
        )
    if made_by(_ways(images, largest, "edge")) or made_by(_ways(images, largest, "reflect")):
        return "the pixels that come in at the border should be 0, not copies of the image's own."
    if made_by(_ways(images, largest) | _ways(images[:, :, ::-1], largest)):
        return "some images stand on their head: mirror left and right, the last axis."
    if made_by(_ways(images, largest + 1)):
        return f"an image was moved by more than {largest} pixels."
    if largest and made_by(_ways(images, largest), axes=(2, 3)):
        return "the colours of an image were moved apart: all its channels need the same move."
    return (
        "an image of the result is none of the ways in which its original can be moved and "
        "mirrored: look at a few of them with `plots.images`."
    )


def _not_by_chance(
    mirrored: np.ndarray, down: np.ndarray, right: np.ndarray, largest: int
) -> str | None:
    """What is wrong with the draws: each image has its own, and all moves are equally likely."""
    if len(set(zip(mirrored, down, right, strict=True))) == 1:
        return (
            "every image of the batch was moved in the same way: each needs a draw of its own, so "
            "draw (B, 1) numbers."
        )
    if not 0.4 < mirrored.mean() < 0.6:
        return (
            f"{mirrored.mean():.0%} of the images are mirrored; it should be half of them, with a "
            "draw for each: (B, 1) numbers that are 0 or 1."
        )
    for name, moves in (("down", down), ("to the right", right)):
        drawn = [int(move) for move in np.unique(moves)]
        if len(drawn) == 1:
            return (
                f"all images of the batch were moved {name} by the same number of pixels, "
                f"{drawn[0]}: each needs a draw of its own, so draw (B, 1) numbers."
            )
        if drawn != list(range(-largest, largest + 1)):
            return (
                f"the moves {name} that occur are {drawn}; all from {-largest} to {largest} should."
                " (`torch.randint(high, …)` stops before `high`.)"
            )
        shares = np.array([(moves == move).mean() for move in drawn])
        if shares.min() < 0.5 / len(drawn) or shares.max() > 1.6 / len(drawn):
            return f"the moves {name} should all be equally likely; yours have shares {shares}."
    if len(set(zip(mirrored, down, right, strict=True))) < 2 * (2 * largest + 1) ** 2:
        return (
            "some moves never come together: draw for the rows, for the columns and for the mirror "
            "separately."
        )
    return None


SHIFT_AND_MIRROR = Exercise(
    name="resnet.shift_and_mirror",
    title="Augmentation of a whole batch",
    minutes=15,
    difficulty=3,
    reference=convolution.shift_and_mirror,
    cases=_shift_and_mirror_cases,
    uses_randomness=True,
    hints=(
        "Begin with a border: `padded = functional.pad(images, (s, s, s, s))` with s = "
        "`largest_shift`. A moved image is then a window of H × W pixels in `padded`, and its "
        "upper left corner is drawn: `torch.randint(2 * s + 1, (B, 1), device=images.device)`.",
        "Rows of the window: corner [B, 1] + `torch.arange(height)` [H] → [B, H]. Columns alike. "
        "To mirror an image, read its columns backwards: `columns.flip(1)`. `torch.where(coin == "
        "1, columns.flip(1), columns)` chooses for each image.",
        "All windows at once: `padded[each, :, rows[:, :, None], columns[:, None, :]]` with `each "
        "= torch.arange(B)[:, None, None]` has shape [B, H, W, C]; `.permute(0, 3, 1, 2)` brings "
        "the channels back to their place.",
    ),
)


class _Inline(nn.Module):
    """A residual block in which nothing is called a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.change(x))


class _HandsOn(nn.Module):
    """A block that hands on what `taken` makes of x, beside its own layers."""

    def __init__(self, channels: int, taken: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.taken = resnet.Block(channels, channels).body, taken

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x)) + self.taken(x)


def _first_channel(x: Tensor) -> Tensor:
    return torch.cat([x[:, :1], torch.zeros_like(x[:, 1:])], dim=1)


class _Unused(resnet.Block):
    """A block that has a shortcut and never asks it."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x))


def _is_residual_cases(rng: np.random.Generator) -> Iterator[Case]:
    blocks = (
        (resnet.Block(2, 2, shortcut=nn.Identity()), True),
        (resnet.Block(2, 2), False),
        (_Unused(3, 3, shortcut=nn.Identity()), False),
        (_Inline(3), True),
        (nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU()), False),
        (resnet.Block(4, 4, shortcut=nn.Sequential()), True),
        (_HandsOn(2, lambda x: 0.5 * x), False),
        (_HandsOn(3, lambda x: x.flip(3)), False),
        (_HandsOn(3, _first_channel), False),
    )
    for block, truth in blocks:
        for parameter in block.parameters():
            parameter.data = _spread(rng, *parameter.shape)
        channels = next(block.parameters()).shape[1]
        x = torch.tensor(np.abs(rng.normal(size=(2, channels, 4, 3))), dtype=torch.float32)
        yield Case(
            (block, x),
            truth,
            judge=partial(_sentence_or_difference, truth=truth),
            call=_answer_and_block,
        )


def _answer_and_block(answer: Callable, block: nn.Module, x: Tensor) -> Any:
    """The answer, or a sentence where it changed the block that it should only look at."""
    before = [parameter.detach().clone() for parameter in block.parameters()]
    found = answer(block, x)
    if not all(map(torch.equal, block.parameters(), before)):
        return _Sentence(
            "it changed the block's own weights, and after such a test the network is ruined: work "
            "on `copy.deepcopy(block)`."
        )
    if torch.is_tensor(found) and found.dtype == torch.bool:
        if found.dim():
            return _Sentence(
                "it returned a True or False for each element; one is asked for: `torch.equal(a, "
                "b)` compares as a whole."
            )
        return found.item()
    return found


def _silent(block: nn.Module, x: Tensor) -> Tensor:
    """What comes through the block when all its parameters are 0."""
    silent = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
        return silent(x)


IS_RESIDUAL = Exercise(
    name="resnet.is_residual",
    title="A test for shortcuts",
    minutes=8,
    difficulty=2,
    reference=resnet.is_residual,
    cases=_is_residual_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            lambda block, x: getattr(block, "shortcut", None) is not None,
            "You asked whether the block *has* a shortcut; one of these blocks has one and never "
            "uses it. Look at what it computes.",
        ),
        Mistake(
            lambda block, x: not resnet.is_residual(block, x),
            "True and False have changed places.",
        ),
        Mistake(lambda block, x: True, "It says True of every block."),
        Mistake(
            lambda block, x: bool(_silent(block, x).any()),
            "It asks whether *something* comes through. One of these blocks hands on half of x, "
            "others only a part of it, or its pixels in another order: compare with x itself.",
        ),
        Mistake(
            lambda block, x: torch.allclose(_silent(block, x).sum(), x.sum()),
            "A sum or a mean does not tell where the numbers stand, and one of these blocks "
            "mirrors x: compare element by element, with `torch.equal`.",
        ),
        Mistake(
            lambda block, x: torch.equal(_silent(block, x)[:, 0], x[:, 0]),
            "One of these blocks hands only the first channel on: compare all of x.",
        ),
        Mistake(
            lambda block, x: False,
            "It says False of every block. A residual block gives x back once its own layers are "
            "silent: *all* parameters of the copy at 0, those of batch norm too.",
        ),
    ),
    hints=(
        "Which blocks give their input back when all their parameters are 0, and what do the "
        "others give?",
        "`silent = copy.deepcopy(block)`, then `parameter.zero_()` for each of "
        "`silent.parameters()`, under `with torch.no_grad():`.",
        "`return torch.equal(silent(x), x)`",
    ),
)


def _block_cases(rng: np.random.Generator) -> Iterator[Case]:
    makers = (
        (2, 2, 1, "identity", lambda *shape: nn.Identity()),
        (2, 4, 2, "padded", resnet.PaddedShortcut),
        (2, 3, 2, "projection", resnet.projection),
        (3, 3, 1, "None", lambda *shape: None),
    )
    for in_channels, out_channels, stride, name, make_shortcut in makers:
        shortcut = make_shortcut(in_channels, out_channels, stride)
        x = torch.tensor(np.abs(rng.normal(size=(3, in_channels, 4, 4))), dtype=torch.float32)
        weights = []
        for channels in (in_channels, out_channels):
            weights.append(_spread(rng, out_channels, channels, 3, 3))
            weights += [_spread(rng, out_channels) + 1, _spread(rng, out_channels)]
        truth = functional.relu(_change(x, weights, stride) + (shortcut(x) if shortcut else 0))
        yield Case(
            (in_channels, out_channels, stride, name, x),
            truth.detach(),
            judge=partial(_sentence_or_difference, truth=truth.detach()),
            call=partial(_output_of_block, shortcut=shortcut, weights=weights),
            names=("in_channels", "out_channels", "stride", "shortcut", "x"),
        )


def _change(x: Tensor, weights: list[Tensor], stride: int) -> Tensor:
    """What the two convolutions with batch norm make of x, from torch's functions alone."""

    def normal(z: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.batch_norm(z, None, None, weight, bias, training=True)

    x = normal(functional.conv2d(x, weights[0], stride=stride, padding=1), *weights[1:3])
    return normal(functional.conv2d(functional.relu(x), weights[3], padding=1), *weights[4:])


def _output_of_block(
    make: Callable,
    in_channels: int,
    out_channels: int,
    stride: int,
    name: str,
    x: Tensor,
    shortcut: nn.Module | None,
    weights: list[Tensor],
) -> Tensor | str:
    """What the block gives for known weights, or a sentence where they do not fit."""
    shortcut = copy.deepcopy(shortcut)
    block = make(in_channels, out_channels, stride, shortcut)
    not_own = {id(parameter) for parameter in shortcut.parameters()} if shortcut else set()
    own = [parameter for parameter in block.parameters() if id(parameter) not in not_own]
    if problem := _fill(own, weights):
        return problem
    try:
        return block(x)
    except RuntimeError as error:
        if "must match the size" in str(error):
            return _Sentence(
                "the two ways end in different shapes and cannot be added. `self.shortcut(x)` "
                "brings x to the new shape; x itself does not fit where a block changes it."
            )
        raise
    except TypeError as error:
        if shortcut is None and "'NoneType' object is not callable" in str(error):
            return _Sentence(
                "`self.shortcut` is None here, which asks for a plain block, and None cannot be "
                "called: then the result is only `functional.relu(change)`."
            )
        raise


def _relu_of_body(block: Any, x: Tensor) -> Tensor:
    return functional.relu(block.body(x))


def _block_with(
    rule: Callable[[Any, Tensor], Tensor], plain: Callable[[Any, Tensor], Tensor] = _relu_of_body
) -> type[nn.Module]:
    """A block that puts body and shortcut together by `rule`; by `plain` without a shortcut."""

    class Block(resnet.Block):
        def forward(self, x: Tensor) -> Tensor:
            return plain(self, x) if self.shortcut is None else rule(self, x)

    return Block


BLOCK = Exercise(
    name="resnet.Block",
    title="Bug hunt: this is called a residual block",
    minutes=8,
    difficulty=2,
    reference=resnet.Block,
    cases=_block_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _block_with(_relu_of_body),
            "The input still takes no way around: `self.shortcut(x)` is never called, or its "
            "result is not used.",
        ),
        Mistake(
            _block_with(lambda self, x: functional.relu(self.body(x)) + self.shortcut(x)),
            "You added after ReLU. Add first: the change must be able to be negative too.",
        ),
        Mistake(
            _block_with(lambda self, x: self.body(x) + self.shortcut(x)),
            "The last ReLU is missing: it comes after the sum.",
        ),
        Mistake(
            _block_with(
                lambda self, x: self.body(x) + self.shortcut(x), lambda self, x: self.body(x)
            ),
            "The last ReLU is missing, in the plain block as well: it comes after the sum.",
        ),
        Mistake(
            _block_with(
                lambda self, x: functional.relu(self.body(x)) + functional.relu(self.shortcut(x))
            ),
            "You applied ReLU to each way; add first, then apply it once to the sum.",
        ),
        Mistake(
            _block_with(
                lambda self, x: functional.relu(functional.relu(self.body(x)) + self.shortcut(x))
            ),
            "You applied ReLU to the change before adding; it must be able to be negative too.",
        ),
        Mistake(
            _block_with(
                lambda self, x: functional.relu(self.body(x) + self.shortcut(x)),
                lambda self, x: functional.relu(self.body(x) + x),
            ),
            "`shortcut=None` asks for a plain block, without any way around; yours adds x there.",
        ),
        Mistake(
            _block_with(lambda self, x: functional.relu(self.shortcut(x))),
            "Only the shortcut is left; the two convolutions are never asked.",
        ),
        Mistake(
            _block_with(lambda self, x: functional.relu(self.body(x) * self.shortcut(x))),
            "You multiplied the two ways; add them.",
        ),
        Mistake(
            _block_with(lambda self, x: functional.relu(self.body(x) - self.shortcut(x))),
            "You subtracted one way from the other; add them.",
        ),
        Mistake(
            _block_with(lambda self, x: functional.relu((self.body(x) + self.shortcut(x)) / 2)),
            "You took the mean of the two ways; add them, so that x passes whole.",
        ),
        Mistake(
            _block_with(
                lambda self, x: functional.relu(self.body(x) + self.shortcut(self.body(x)))
            ),
            "The shortcut has to start from x, before the convolutions; you gave it their result.",
        ),
    ),
    hints=(
        "Where does `forward` use `self.shortcut`?",
        "Two ways lead from x to the end: `self.body(x)` and `self.shortcut(x)`. They are added, "
        "and ReLU comes after the sum.",
        "`shortcut` may be None, for a plain block: then `functional.relu(change)`, else "
        "`functional.relu(change + self.shortcut(x))`.",
    ),
)

EXERCISES = (
    CONVOLVE,
    OUTPUT_SIZE,
    SMALL_NETWORK,
    BATCH_NORM,
    SHIFT_AND_MIRROR,
    IS_RESIDUAL,
    BLOCK,
)
