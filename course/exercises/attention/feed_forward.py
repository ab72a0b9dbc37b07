"""attention.FeedForward: an activation too many."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import draw_weights, fill, sentence_or_difference, tensor
from course.models import attention


def _feed_forward_cases(rng: np.random.Generator) -> Iterator[Case]:
    """With ReLU, as given unless another activation is named, and once with the sigmoid."""
    for shape, hidden, name in (
        ((1, 2), 3, "ReLU"),
        ((2, 3, 4), 5, "ReLU"),
        ((3, 2, 6), 2, "ReLU"),
        ((2, 2, 3), 4, "Sigmoid"),
    ):
        x = tensor(rng, *shape)
        weights = draw_weights(rng, attention.FeedForward(shape[-1], hidden))
        between = functional.linear(x, weights["first.weight"], weights["first.bias"])
        between = between.clamp(min=0) if name == "ReLU" else 1 / (1 + (-between).exp())
        truth = functional.linear(between, weights["second.weight"], weights["second.bias"])
        yield Case(
            (shape[-1], hidden, name, x),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=partial(_result, weights=weights),
            names=("num_channels", "num_hidden", "activation", "x"),
        )


def _result(
    make: Callable, channels: int, hidden: int, name: str, x: Tensor, weights: dict[str, Tensor]
) -> Any:
    options = {} if name == "ReLU" else {"activation": getattr(nn, name)}
    layer = make(channels, hidden, **options)
    if problem := fill(layer, weights):
        return problem
    found = layer(x)
    return found.detach() if torch.is_tensor(found) else found


def _layer_with(rule: Callable[[Any, Tensor], Tensor]) -> type[nn.Module]:
    class Layer(attention.FeedForward):
        def forward(self, x: Tensor) -> Tensor:
            return rule(self, x)

    return Layer


FEED_FORWARD = Exercise(
    name="attention.FeedForward",
    title="Bug hunt: a layer that can only add",
    minutes=5,
    difficulty=1,
    reference=attention.FeedForward,
    cases=_feed_forward_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _layer_with(
                lambda self, x: self.activation(self.second(self.activation(self.first(x))))
            ),
            "The activation is still applied twice. What leaves the last layer must be able to be "
            "negative.",
        ),
        Mistake(
            _layer_with(lambda self, x: self.activation(self.second(self.first(x)))),
            "You took away the wrong one: without an activation *between* them two dense layers "
            "are no more than one.",
        ),
        Mistake(
            _layer_with(lambda self, x: self.second(self.first(x))),
            "Now there is no activation at all: without one between them two dense layers are no "
            "more than one.",
        ),
        Mistake(
            _layer_with(lambda self, x: self.second(functional.relu(self.first(x)))),
            "It always takes ReLU; which activation it is stands in `self.activation`.",
        ),
        Mistake(
            _layer_with(lambda self, x: x + self.second(self.activation(self.first(x)))),
            "You added x; that will be done by the encoder layer, outside.",
        ),
        Mistake(
            _layer_with(
                lambda self, x: self.second(self.activation(self.first(self.activation(x))))
            ),
            "The activation does not belong before the first layer: what is negative in x would be "
            "lost.",
        ),
        Mistake(
            _layer_with(
                lambda self, x: self.activation(x + self.second(self.activation(self.first(x))))
            ),
            "You added x, with the activation after the sum, as in the block of lesson 03. Neither "
            "belongs here: x will be added by the encoder layer, outside.",
        ),
        Mistake(
            _layer_with(
                lambda self, x: self.second(self.activation(self.activation(self.first(x))))
            ),
            "The activation is still applied twice, now between the layers. With ReLU that changes "
            "nothing, with others it does: once is enough.",
        ),
        Mistake(
            _layer_with(lambda self, x: self.second(self.first(self.activation(x)))),
            "The activation stands before both layers; it belongs between them.",
        ),
    ),
    hints=(
        "Which numbers can a ReLU give? And which should this layer be able to add?",
        "One activation, between the two layers.",
        "`return self.second(self.activation(self.first(x)))`",
    ),
)
