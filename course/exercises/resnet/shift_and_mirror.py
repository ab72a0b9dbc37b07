"""resnet.shift_and_mirror: augmentation of a whole batch."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.exercises.resnet.shared import Sentence
from course.models import convolution


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
        return Sentence(
            "every call moves the images in the same way, so that each epoch would bring the same "
            "ones: draw new numbers in each call, without a seed of your own."
        )
    if torch.initial_seed() != seed:
        return Sentence(
            "it sets torch's seed, and with it all random numbers that come later: leave the seed "
            "alone."
        )
    return torch.stack(results)


def _moved_anew(got: Any, images: np.ndarray, largest: int) -> str | None:
    """What is wrong with many results for the same images: chance moves each place in each call."""
    if isinstance(got, Sentence):
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
