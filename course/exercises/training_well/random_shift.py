"""training_well.random_shift: augmentation by random shifts."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.models import training_well as reference


def _moved(images: Tensor, down: int, right: int) -> Tensor:
    """All images moved alike, 0 coming in: the independent truth, by cutting and pasting."""
    result = torch.zeros_like(images)
    height, width = images.shape[1:]
    if abs(down) < height and abs(right) < width:
        target_rows = slice(max(down, 0), height + min(down, 0))
        target_columns = slice(max(right, 0), width + min(right, 0))
        source_rows = slice(max(-down, 0), height + min(-down, 0))
        source_columns = slice(max(-right, 0), width + min(-right, 0))
        result[:, target_rows, target_columns] = images[:, source_rows, source_columns]
    return result


def _moves(got: Tensor, images: Tensor, most: int, move: Callable[..., Tensor]) -> np.ndarray:
    """For each image the (down, right) by which `move` explains it, else most + 1 twice."""
    found = np.full((len(images), 2), most + 1)
    for down in range(-most, most + 1):
        for right in range(-most, most + 1):
            same = torch.isclose(got, move(images, down, right)).all(dim=2).all(dim=1)
            found[same.numpy()] = down, right
    return found


def _rolled(images: Tensor, down: int, right: int) -> Tensor:
    return images.roll((down, right), dims=(1, 2))


def _shift_cases(rng: np.random.Generator) -> Iterator[Case]:
    """So many images that chance rejects a right answer in less than one check in ten million."""
    for number, height, width, most in ((240, 7, 6, 2), (240, 5, 8, 1), (2000, 6, 7, 2)):
        images = torch.tensor(rng.uniform(0.2, 1, (number, height, width)).astype("float32"))
        yield Case((images, most), judge=_is_shift_of(images, most))
    images = torch.tensor(rng.uniform(0.2, 1, (40, 5, 6)).astype("float32"))
    yield Case((images, 2), judge=_is_fresh, call=_call_twice)


def _call_twice(random_shift: Callable[..., Any], images: Tensor, most: int) -> dict[str, Any]:
    return {call: random_shift(images, most) for call in ("first call", "second call")}


def _is_fresh(got: dict[str, Any]) -> str | None:
    if torch.equal(*got.values()):
        return (
            "two calls moved the images by the same distances: let nothing inside set a seed, so "
            "that every call draws anew."
        )
    return None


def _is_shift_of(images: Tensor, most: int) -> Callable[[Any], str | None]:
    def judge(got: Any) -> str | None:
        if not (torch.is_tensor(got) and got.shape == images.shape and got.dtype == images.dtype):
            return difference(got, images)
        found = _moves(got, images, most, _moved)
        strange = np.flatnonzero(found[:, 0] > most)
        if len(strange):
            return _strange_shift(got, images, most, int(strange[0]))
        return _too_regular(found, most)

    return judge


def _strange_shift(got: Tensor, images: Tensor, most: int, number: int) -> str:
    """What is wrong with an image that is not one of the shifts."""
    one, before = got[number : number + 1], images[number : number + 1]
    if _moves(one, before, most, _rolled)[0, 0] <= most:
        return (
            f"in image {number}, what leaves on one side comes back on the other, as `torch.roll` "
            "has it; it should be lost, and 0 (paper) should come in."
        )
    if _moves(one, before, most + 2, _moved)[0, 0] <= most + 2:
        return f"image {number} was moved by more than most = {most} pixels."
    corner = before[0, most:-most, most:-most]  # stays in view; every image here has one
    if any(
        torch.equal(one[0, i : i + corner.shape[0], j : j + corner.shape[1]], corner)
        for i in range(2 * most + 1)
        for j in range(2 * most + 1)
    ):
        return (
            f"image {number} was moved, but what comes in at its edge is not 0 (paper) everywhere."
        )
    return (
        f"image {number} is not the image that you were given, moved by up to {most} pixels in "
        "each direction with 0 coming in."
    )


def _uneven(distances: np.ndarray, most: int, back: str, forth: str) -> str | None:
    """What is wrong with how often each distance turns up; back, forth: the words for − and +."""
    possible = np.arange(-most, most + 1)
    counts = (distances[:, None] == possible).sum(axis=0)  # [2 · most + 1]
    missing = possible[counts == 0]
    if len(missing):
        nearest = int(missing[np.abs(missing).argmin()])
        moved = f"{forth if nearest >= 0 else back} by {abs(nearest)}"
        text = f"among {len(distances)} images none was moved {moved}; "
        if len(missing) == most and abs(np.sign(missing).sum()) == most:
            return text + (
                f"all whole numbers from {-most} to {most} should turn up. (In an image with "
                "`most` rows and columns of 0 around it, the corner of the window runs from 0 to "
                "2 · most.)"
            )
        return text + (
            f"all whole numbers from {-most} to {most} should turn up. (`torch.randint(low, high, "
            "…)` stops before `high`.)"
        )
    share = 1 / len(possible)
    deviation = np.sqrt(len(distances) * share * (1 - share))
    far = np.abs(counts - len(distances) * share).argmax()
    if len(distances) >= 1000 and abs(counts[far] - len(distances) * share) > 7 * deviation:
        return (
            f"among {len(distances)} images {counts[far]} were moved "
            f"{forth if possible[far] >= 0 else back} by {abs(possible[far])}, "
            f"where about {len(distances) * share:.0f} should be: all whole numbers from {-most} "
            f"to {most} are equally frequent, as `torch.randint` draws them."
        )
    return None


def _too_regular(found: np.ndarray, most: int) -> str | None:
    """What is wrong with the distances [B, 2] as a whole."""
    down, right = found.T
    if not found.any():
        return (
            "no image was moved at all. (Chance can do that only where one draw serves the whole "
            "batch: each image draws numbers of its own.)"
        )
    if (found == found[0]).all():
        return "all images were moved alike; each one draws numbers of its own."
    for distances, other in ((down, "right or left"), (right, "down or up")):
        if not distances.any():
            return f"the images are moved only {other}; both directions are asked for."
    if (down == right).all() or (down == -right).all():
        return (
            "the images are moved along a diagonal only: draw one number for down and another one "
            "for right."
        )
    ways = ((down, ("up", "down")), (right, ("to the left", "to the right")))
    for distances, (back, forth) in ways:
        if problem := _uneven(distances, most, back, forth):
            return problem
    if abs(np.corrcoef(down, right)[0, 1]) > 0.6:
        return "how far an image moves down decides how far it moves right; draw both freely."
    return None


RANDOM_SHIFT = Exercise(
    name="training_well.random_shift",
    title="Augmentation: random shifts",
    minutes=12,
    difficulty=3,
    reference=reference.random_shift,
    cases=_shift_cases,
    uses_randomness=True,
    hints=(
        "First make more room: `functional.pad(images, (most, most, most, most))` puts `most` "
        "columns and rows of 0 around every image. Then cut a window out of it, of the old size.",
        "`torch.randint(0, 2 * most + 1, (2,))` draws two whole numbers from 0 to 2 · most: the "
        "first row and the first column of the window.",
        "With `padded` and a `result` of the old shape (`torch.empty_like(images)`), for each "
        "image `n`: `result[n] = padded[n, top : top + height, left : left + width]`.",
    ),
)
