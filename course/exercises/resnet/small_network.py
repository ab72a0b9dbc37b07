"""resnet.small_network: a network whose convolutions use up the image."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.resnet.shared import Sentence, fill, sentence_or_difference, spread
from course.models import convolution

WIDTHS = (16, 32, 64, 128)  # channels of the small network


def _small_network_cases(rng: np.random.Generator) -> Iterator[Case]:
    for num_classes, batch in ((10, 1), (3, 2)):
        images = torch.tensor(rng.normal(size=(batch, 3, 32, 32)), dtype=torch.float32)
        weights, x = [], images
        for channels, width in zip((3, *WIDTHS), WIDTHS, strict=False):
            weights += [spread(rng, width, channels, 3, 3), spread(rng, width)]
            x = functional.conv2d(functional.pad(x, (1, 1, 1, 1)), *weights[-2:])
            x = functional.max_pool2d(torch.relu(x), 2)
        weights += [spread(rng, num_classes, x[0].numel()), spread(rng, num_classes)]
        truth = functional.linear(x.flatten(1), *weights[-2:])
        yield Case(
            (num_classes, images),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=partial(_logits_with, weights=weights),
            names=("num_classes", "images"),
        )


def _logits_with(make: Callable, num_classes: int, images: Tensor, weights: list) -> Any:
    """The network's logits for known weights, or a sentence on why there are none."""
    network = make(num_classes)
    if not isinstance(network, nn.Module):
        return Sentence("it should return the network, `nn.Sequential(…)`.")
    parameters = list(network.parameters())
    if parameters and num_classes != 10 and parameters[-1].shape == (10,):
        return Sentence("the dense layer gives 10 numbers whatever `num_classes` is: use it there.")
    if problem := fill(parameters, weights):
        return problem
    try:
        return network(images).detach()
    except RuntimeError as error:
        if "Kernel size can't be greater" in str(error):
            return Sentence(
                "a filter of 3 × 3 meets an image that is smaller than itself: every convolution "
                "before it has taken away a border. With which padding does it keep the size?"
            )
        if "shapes cannot be multiplied" in str(error):
            return Sentence(
                "the image does not arrive at the dense layer with 2 × 2 pixels. After each stage "
                "height and width should be half: 32, 16, 8, 4, 2."
            )
        raise


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
