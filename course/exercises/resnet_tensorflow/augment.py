"""resnet_tensorflow.augment: one image, moved and mirrored, as a pipeline maps it."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.models import resnet_tensorflow as resnet

DRAWS = 400  # calls of `augment` from which its chances are judged


def _augment_cases(rng: np.random.Generator) -> Iterator[Case]:
    for shape, largest_shift in (((5, 6, 3), 1), ((7, 5, 1), 2)):
        # All numbers differ and none is 0, so that a result tells where each pixel came from.
        image = 1 + rng.permutation(int(np.prod(shape))).reshape(shape).astype("uint8")
        yield Case(
            (tf.constant(image), largest_shift),
            judge=partial(_like_moved, image=image, largest_shift=largest_shift),
            call=_augment_often,
            names=("image", "largest_shift"),
        )


def _augment_often(augment: Callable, image: tf.Tensor, largest_shift: int) -> Any:
    """What a pipeline with it gives: [DRAWS, H, W, C], or a sentence."""
    first = augment(image, largest_shift)
    if not tf.is_tensor(first):
        return first if first is not None else difference(None, image)
    if first.shape != image.shape or first.dtype != image.dtype:
        return first
    copies = tf.data.Dataset.from_tensors(image).repeat(DRAWS)
    changed = copies.map(lambda one: augment(one, largest_shift))
    return next(changed.batch(DRAWS).as_numpy_iterator())


def _moved(image: np.ndarray, down: int, right: int, mirrored: bool) -> bytes:
    """The image moved and perhaps mirrored, as bytes that can be looked up."""
    height, width, _ = image.shape
    most = max(abs(down), abs(right))
    padded = np.pad(image, ((most, most), (most, most), (0, 0)))
    window = padded[most - down : most - down + height, most - right : most - right + width]
    return (window[:, ::-1] if mirrored else window).tobytes()


def _like_moved(got: Any, image: np.ndarray, largest_shift: int) -> str | None:
    if not isinstance(got, np.ndarray) or got.shape != (DRAWS, *image.shape):
        return got if isinstance(got, str) else difference(got, tf.constant(image))
    reach = range(-largest_shift - 2, largest_shift + 3)
    known = {
        _moved(image, down, right, mirrored): (down, right, mirrored)
        for down in reach
        for right in reach
        for mirrored in (False, True)
    }
    found = [known.get(result.tobytes()) for result in got]
    if None in found:
        return _strange(got[found.index(None)], image, largest_shift)
    return _wrong_chances(found, largest_shift)


def _strange(result: np.ndarray, image: np.ndarray, largest_shift: int) -> str:
    """What to say of a result that is no moved and mirrored version with zeros."""
    shifts = range(-largest_shift, largest_shift + 1)
    rolled = {
        np.roll(image[:, ::step], (down, right), (0, 1)).tobytes()
        for down in shifts
        for right in shifts
        for step in (1, -1)
    }
    upside_down = {
        _moved(image[::-1], down, right, mirrored)
        for down in shifts
        for right in shifts
        for mirrored in (False, True)
    }
    between_channels = {
        _moved(_along_channels(image, by), down, right, mirrored)
        for by in shifts
        for down in shifts
        for right in shifts
        for mirrored in (False, True)
    }
    if result.tobytes() in rolled:
        return "what leaves the image on one side comes in on the other; zeros should come in."
    if result.tobytes() in upside_down:
        return "some images stand upside down: mirror left and right only."
    if result.tobytes() in between_channels:
        return (
            "the channels are moved too, so the colours change: the last pair of `tf.pad` is "
            "[0, 0]."
        )
    if np.isin(result, image).all():  # the image itself holds no 0
        return "the border is filled with pixels of the image; what comes in should be 0."
    return "a result is not the image, moved in one piece and perhaps mirrored, with zeros around."


def _along_channels(image: np.ndarray, by: int) -> np.ndarray:
    """The image with each channel in the place of another one, and 0 in those that are left."""
    result = np.zeros_like(image)
    channels = image.shape[2]
    for channel in range(max(by, 0), min(channels, channels + by)):
        result[:, :, channel] = image[:, :, channel - by]
    return result


def _wrong_chances(found: list[tuple[int, int, bool]], largest_shift: int) -> str | None:
    if len(set(found)) == 1:
        return (
            "inside a pipeline every call gives the same result. Python runs only once there, and "
            "so do NumPy's and Python's random numbers: take those of TensorFlow, `tf.image.…` or "
            "`tf.random.uniform`."
        )
    downs, rights, mirrors = zip(*found, strict=True)
    if not any(downs) and not any(rights):
        return (
            "no image is ever moved: add the border, cut a window out of it, and go on with what "
            "these functions return."
        )
    for name, moves in (("up and down", downs), ("left and right", rights)):
        counts = Counter(moves)
        if max(map(abs, counts)) > largest_shift:
            return f"some images move {name} by more than `largest_shift` pixels."
        expected = DRAWS / (2 * largest_shift + 1)
        for move in range(-largest_shift, largest_shift + 1):
            if not 0.4 * expected < counts[move] < 1.7 * expected:
                return (
                    f"the moves {name} are not equally likely: in {DRAWS} calls, a move by {move} "
                    f"came {counts[move]} times, and should come about {expected:.0f} times. With "
                    "a border of `largest_shift` on every side, every window is as likely. (Whole "
                    "numbers of `tf.random.uniform` stop before the upper limit.)"
                )
    share = sum(mirrors) / DRAWS
    if not 0.35 < share < 0.65:
        once = (
            " An `if` with a number from Python or NumPy is decided only once, when the pipeline "
            "is made; `tf.image.random_flip_left_right` draws for each image."
        )
        return (
            f"{share:.0%} of the images are mirrored; it should be half of them."
            f"{once if share in (0, 1) else ''}"
        )
    if len(set(zip(downs, rights, strict=True))) < (2 * largest_shift + 1) ** 2:
        return "the two moves depend on each other; draw one for the rows and one for the columns."
    return None


AUGMENT = Exercise(
    name="resnet_tensorflow.augment",
    title="Augmentation of one image",
    minutes=8,
    difficulty=2,
    reference=resnet.augment,
    cases=_augment_cases,
    uses_randomness=True,
    hints=(
        "Add a border of zeros on all four sides, cut out a window as large as the image, then "
        "mirror or not. Three calls.",
        "With `border = [largest_shift] * 2`: `tf.pad(image, [border, border, [0, 0]])`.",
        "`tf.image.random_crop(padded, tf.shape(image))` keeps all channels, as its shape has "
        "three numbers. Around it: `tf.image.random_flip_left_right(…)`.",
    ),
    advice=(
        (
            r"paddings must be|dimension of paddings",
            "`tf.pad` wants a pair [before, after] for each of the three axes: rows, columns, and "
            "[0, 0] for the channels.",
        ),
        (
            r"Incompatible shapes: \[3\] vs",
            "A window has three axes, [H, W, C]: `tf.image.random_crop(padded, tf.shape(image))`.",
        ),
    ),
)
