"""translation.masks: a bug hunt, padding of the wrong side."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import translation
from course.models.attention import causal_mask, padding_mask
from course.models.translation import PAD


def _masks_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Lengths of sources and of targets; the sides are filled up to different widths."""
    for sources, targets in (
        ([2], [1]),
        ([1, 3], [2, 2]),
        ([3, 5, 2], [4, 1, 3]),
        ([2, 2], [6, 3]),
    ):
        source, target = _filled(rng, sources), _filled(rng, targets)
        yield Case((source, target), judge=partial(_judge, source=source, target=target))


def _filled(rng: np.random.Generator, lengths: list[int]) -> Tensor:
    rows = np.full((len(lengths), max(lengths) + 1), PAD)
    for row, length in zip(rows, lengths, strict=True):
        row[:length] = rng.integers(4, 20, length)
    return torch.tensor(rows)


def _judge(got: Any, source: Tensor, target: Tensor) -> str | None:
    """Only rows of real target tokens count: what padding looks at is nobody's concern."""
    if not isinstance(got, tuple | list) or len(got) != 2 or not all(map(torch.is_tensor, got)):
        return "it should return two tensors: where to look at the source, and within the target."
    batch, num_source = source.shape
    num_target = target.shape[1]
    real = target != PAD
    for mask, width, name in ((got[0], num_source, "source"), (got[1], num_target, "target")):
        if mask.dtype != torch.bool:
            return f"the mask for the {name} has dtype {mask.dtype}; a mask is bool, True or False."
        try:
            wide = mask.broadcast_to(batch, 1, num_target, width)[:, 0]
        except RuntimeError:
            asked = [batch, 1, 1, width] if name == "source" else [width, width]
            return (
                f"the mask for the {name} has the shape {list(mask.shape)}; it should be {asked}."
            )
        for row, place, looked_at in torch.cartesian_prod(*map(torch.arange, wide.shape)).tolist():
            right = bool(source[row, looked_at] != PAD) if name == "source" else looked_at <= place
            if real[row, place] and bool(wide[row, place, looked_at]) != right:
                return (
                    f"phrase {row}, target token {place}: whether it may look at {name} token "
                    f"{looked_at} is {not right}; it should be {right}."
                )
    return None


def _with(
    at_source: Callable[[Tensor, Tensor], Tensor] = lambda source, target: _real(source),
    at_target: Callable[[Tensor, Tensor], Tensor] = lambda source, target: causal_mask(
        target.shape[1]
    ),
    swapped: bool = False,
) -> Callable[[Tensor, Tensor], Any]:
    def answer(source: Tensor, target: Tensor) -> Any:
        both = at_source(source, target), at_target(source, target)
        return both[::-1] if swapped else both

    return answer


def _real(tokens: Tensor) -> Tensor:
    return (tokens != PAD)[:, None, None, :]


def _by_the_targets_lengths(source: Tensor, target: Tensor) -> Tensor:
    return padding_mask((target != PAD).sum(dim=1), source.shape[1])


MASKS = Exercise(
    name="translation.masks",
    title="Bug hunt: part of the source is never read",
    minutes=7,
    difficulty=2,
    reference=translation.masks,
    cases=_masks_cases,
    mistakes=(
        Mistake(
            _with(_by_the_targets_lengths),
            "The lengths are still those of the *targets*: as many source tokens may be read as "
            "the target has so far. Count the source's own tokens that are not PAD.",
        ),
        Mistake(
            _with(lambda source, target: _real(target)),
            "The padding is that of the target; what must not be looked at is the source's.",
        ),
        Mistake(
            _with(lambda source, target: ~_real(source)),
            "True and False have changed places at the source: True is where there is *no* PAD.",
        ),
        Mistake(
            _with(lambda source, target: padding_mask((source == PAD).sum(dim=1), source.shape[1])),
            "You counted the padding; the lengths are how many tokens are *not* PAD.",
        ),
        Mistake(
            _with(lambda source, target: torch.ones_like(_real(source))),
            "Everything in the source may be looked at, the padding too: a phrase would be "
            "translated otherwise among longer ones than alone.",
        ),
        Mistake(
            _with(lambda source, target: _real(source) & _by_the_targets_lengths(source, target)),
            "How long the target is must not matter for the source: leave its lengths out.",
        ),
        Mistake(
            _with(lambda source, target: causal_mask(source.shape[1])),
            "The source has no future that must be hidden: it is there as a whole. Only its "
            "padding is not looked at.",
        ),
        Mistake(
            _with(at_target=lambda source, target: _real(target)),
            "Within the target only the padding is hidden; a token must not see those *behind* it "
            "either: `causal_mask`.",
        ),
        Mistake(
            _with(at_target=lambda source, target: ~causal_mask(target.shape[1])),
            "The mask of the target is turned round: True is where a token *may* look.",
        ),
        Mistake(
            _with(at_target=lambda source, target: causal_mask(source.shape[1])),
            "The causal mask is for the target; its size is the target's, `target.shape[1]`.",
        ),
        Mistake(
            _with(swapped=True), "The two masks have changed places: the source's comes first."
        ),
    ),
    advice=(
        (
            r"too many indices",
            "`padding_mask` needs a length for each phrase, [B]: `.sum(dim=1)`.",
        ),
    ),
    hints=(
        "The second mask is right. Ask of the first: whose padding does it hide, and whose should "
        "it?",
        "In `padding_mask(lengths, num_tokens)` both belong to the same side.",
        "`padding_mask((source != PAD).sum(dim=1), source.shape[1])`.",
    ),
)
