"""resnet.Block: a residual block that is none."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.resnet.shared import Sentence, fill, sentence_or_difference, spread
from course.models import resnet


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
            weights.append(spread(rng, out_channels, channels, 3, 3))
            weights += [spread(rng, out_channels) + 1, spread(rng, out_channels)]
        truth = functional.relu(_change(x, weights, stride) + (shortcut(x) if shortcut else 0))
        yield Case(
            (in_channels, out_channels, stride, name, x),
            truth.detach(),
            judge=partial(sentence_or_difference, truth=truth.detach()),
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
    if problem := fill(own, weights):
        return problem
    try:
        return block(x)
    except RuntimeError as error:
        if "must match the size" in str(error):
            return Sentence(
                "the two ways end in different shapes and cannot be added. `self.shortcut(x)` "
                "brings x to the new shape; x itself does not fit where a block changes it."
            )
        raise
    except TypeError as error:
        if shortcut is None and "'NoneType' object is not callable" in str(error):
            return Sentence(
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
