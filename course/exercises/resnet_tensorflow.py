"""The exercises of lesson 03 in TensorFlow: a pipeline, a block in Keras's plan, callback, step."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import special

from course.checking.compare import difference
from course.checking.engine import Case, Exercise
from course.checking.values import type_name
from course.models import resnet_tensorflow as resnet

LESSON = "03_resnet_tensorflow"


def _random(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype("float32")


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
    if result.tobytes() in rolled:
        return "what leaves the image on one side comes in on the other; zeros should come in."
    if result.tobytes() in upside_down:
        return "some images stand upside down: mirror left and right only."
    if np.isin(result, image).all():  # the image itself holds no 0
        return "the border is filled with pixels of the image; what comes in should be 0."
    return "a result is not the image, moved in one piece and perhaps mirrored, with zeros around."


def _wrong_chances(found: list[tuple[int, int, bool]], largest_shift: int) -> str | None:
    if len(set(found)) == 1:
        return (
            "inside a pipeline every call gives the same result. Python runs only once there, and "
            "so do NumPy's and Python's random numbers: take those of TensorFlow, `tf.image.…` or "
            "`tf.random.uniform`."
        )
    downs, rights, mirrors = zip(*found, strict=True)
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
                    "a border of `largest_shift` on every side, every window is as likely."
                )
    share = sum(mirrors) / DRAWS
    if not 0.35 < share < 0.65:
        return f"{share:.0%} of the images are mirrored; it should be half of them."
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
)


BATCH, COUNT, EPOCHS = 6, 40, 4  # of the pipelines that are looked at


def _batches_cases(rng: np.random.Generator) -> Iterator[Case]:
    images = np.broadcast_to(np.arange(1.0, COUNT + 1)[:, None, None, None], (COUNT, 2, 2, 1))
    labels = rng.permutation(COUNT)
    yield Case(
        (images.astype("float32"), labels, BATCH, _brighten),
        judge=partial(_like_pipeline, labels=labels),
        call=_epochs_of,
        names=("images", "labels", "batch_size", "augment"),
    )


def _brighten(image: tf.Tensor) -> tf.Tensor:
    """Adds one random number below 1 to all pixels, so that a pixel tells image and change."""
    return image + tf.random.uniform(())


def _epochs_of(make: Callable, *arguments: Any) -> Any:
    """All batches of some epochs as arrays, or a sentence."""
    dataset = make(*arguments)
    if not isinstance(dataset, tf.data.Dataset):
        return (
            f"it returned {type_name(dataset)}; return the dataset. Each method gives a new one: "
            "`dataset = dataset.…`."
        )
    if int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY:
        return "the dataset never ends: leave `repeat` away, `fit` begins it anew in every epoch."
    epochs = [list(dataset.as_numpy_iterator()) for _ in range(EPOCHS)]
    pair = all(isinstance(batch, tuple) and len(batch) == 2 for batch in epochs[0])
    if not pair:
        return "its elements should be pairs (images, labels)."
    if np.ndim(epochs[0][0][0]) != 4 or np.ndim(epochs[0][0][1]) != 1:
        return (
            f"the first element holds images of shape {np.shape(epochs[0][0][0])} and labels of "
            f"shape {np.shape(epochs[0][0][1])}; they should be [B, H, W, C] and [B]: use `batch` "
            "once."
        )
    return epochs


def _like_pipeline(got: Any, labels: np.ndarray) -> str | None:
    if isinstance(got, str):
        return got
    seen = []  # of each epoch: number and change of every image, batch by batch
    for epoch in got:
        pixels = [images[:, 0, 0, 0] for images, _ in epoch]
        numbers = [np.floor(values).astype(int) - 1 for values in pixels]
        for number, (_, given) in zip(numbers, epoch, strict=True):
            if difference(given, labels[number]):
                return "images and labels no longer belong together: shuffle them as pairs."
        changes = [values - np.floor(values) for values in pixels]
        seen.append((numbers, changes))
    return _wrong_batches([numbers for numbers, _ in seen]) or _wrong_changes(seen)


def _wrong_batches(epochs: list[list[np.ndarray]]) -> str | None:
    """epochs: the numbers of the images in every batch."""
    sizes = [len(numbers) for numbers in epochs[0]]
    if sum(sizes) < COUNT:
        return (
            f"an epoch has {sum(sizes)} of the {COUNT} images; keep the last batch too, though it "
            "is smaller."
        )
    if any(sorted(np.concatenate(numbers)) != list(range(COUNT)) for numbers in epochs):
        return "an epoch should show every image exactly once."
    if max(sizes) != BATCH or sum(size < BATCH for size in sizes) > 1:
        return f"the batches have the sizes {sizes}; `batch_size` is {BATCH}."
    groups = [{tuple(sorted(numbers)) for numbers in epoch} for epoch in epochs]
    orders = [tuple(np.concatenate(epoch)) for epoch in epochs]
    if tuple(range(COUNT)) in orders:
        return "the images come in their own order: `shuffle` is missing."
    if groups[0] == groups[1]:
        return (
            "the same images always come together: `shuffle` shuffles whatever its elements are, "
            "and after `batch` these are whole batches."
            if orders[0] != orders[1]
            else "every epoch has the same order. What comes after `shuffle` must not be cached, "
            "and its option `reshuffle_each_iteration` stays on."
        )
    if max(max(epoch[0]) for epoch in epochs) < COUNT // 2:
        return (
            "the first batch holds early images only: the buffer of `shuffle` is too small; "
            "`len(images)` fits all."
        )
    return None


def _wrong_changes(seen: list[tuple[list[np.ndarray], list[np.ndarray]]]) -> str | None:
    # Beside a number of up to 40, `float32` leaves a change about five digits.
    if all(np.ptp(part) < 1e-4 for _, changes in seen for part in changes):
        if not any(part.any() for _, changes in seen for part in changes):
            return "`augment` is never called."
        return (
            "all images of a batch get the same change: `map` works on whatever the elements are, "
            "and after `batch` these are whole batches."
        )
    by_image = []
    for numbers, changes in seen:
        order = np.argsort(np.concatenate(numbers))
        by_image.append(np.concatenate(changes)[order])
    if np.allclose(by_image[0], by_image[1], atol=1e-4):
        return (
            "every image looks the same in all epochs: `cache` keeps what comes in, here the "
            "first change. It may only stand before what is random."
        )
    return None


BATCHES = Exercise(
    name="resnet_tensorflow.training_batches",
    title="Bug hunt: the order of a pipeline",
    minutes=7,
    difficulty=2,
    reference=resnet.training_batches,
    cases=_batches_cases,
    uses_randomness=True,
    hints=(
        "What are the elements of the dataset at each line: images or batches? `shuffle` and "
        "`map` work on elements.",
        "`cache` keeps what came in at the first time. What must be new in each epoch comes after "
        "it; or leave it out, since the images are in memory anyway.",
        "The order is: from_tensor_slices, shuffle, map, batch, prefetch.",
    ),
)


def _conv_cases(rng: np.random.Generator) -> Iterator[Case]:
    for batch, size, in_channels, channels, stride in (
        (1, 4, 1, 2, 2),
        (2, 5, 2, 3, 1),
        (3, 6, 3, 2, 2),
    ):
        # Small numbers, so that epsilon counts.
        x = 0.01 * _random(rng, batch, size, size, in_channels)
        weights = [_random(rng, 3, 3, in_channels, channels), *_numbers(rng, channels)]
        truth = _truth_of_norm(x, weights, stride)
        yield Case(
            (x, channels, stride),
            truth,
            judge=partial(_like_norm, truth=truth, x=x, weights=weights, stride=stride),
            call=partial(_seen_of_norm, weights=weights),
            names=("x", "channels", "stride"),
        )


def _numbers(rng: np.random.Generator, channels: int) -> list[np.ndarray]:
    """Weight and bias of a batch norm."""
    return [1 + 0.5 * _random(rng, channels), 0.5 * _random(rng, channels)]


def _convolved(x: np.ndarray, kernel: np.ndarray, stride: int, padding: Any = 1) -> np.ndarray:
    if padding == 1:
        padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
    return tf.nn.conv2d(x, kernel, stride, padding).numpy()


def _normalised(
    z: np.ndarray, scale: np.ndarray, bias: np.ndarray, epsilon: float = 1e-5
) -> np.ndarray:
    mean, variance = z.mean(axis=(0, 1, 2)), z.var(axis=(0, 1, 2))
    return scale * (z - mean) / np.sqrt(variance + epsilon) + bias


def _truth_of_norm(x: np.ndarray, weights: list[np.ndarray], stride: int) -> dict[str, Any]:
    z = _convolved(x, weights[0], stride)
    return {
        "output in training": _normalised(z, *weights[1:]),
        "running mean": 0.1 * z.mean(axis=(0, 1, 2)),
        "running variance": 0.9 + 0.1 * z.var(axis=(0, 1, 2)),
    }


def _seen_of_norm(
    make: Callable, x: np.ndarray, channels: int, stride: int, weights: list[np.ndarray]
) -> Any:
    """What the layers compute in one batch of training, or a sentence."""
    model = _model_of(make, x, channels, stride)
    if isinstance(model, str):
        return model
    if problem := _fill(model, weights):
        return problem
    output = model(x, training=True).numpy()
    averages = model.non_trainable_weights
    if len(averages) != 2:
        return "it should have one batch norm, with its running mean and variance."
    return {
        "output in training": output,
        "running mean": averages[0].numpy(),
        "running variance": averages[1].numpy(),
    }


def _model_of(make: Callable, x: np.ndarray, channels: int, stride: int) -> Any:
    """The candidate's plan as a model, or a sentence."""
    plan = keras.Input(x.shape[1:])
    result = make(plan, channels, stride)
    if not isinstance(result, keras.KerasTensor):
        return (
            f"it returned {type_name(result)}; call each layer on the plan, `layer(x)`, and return "
            "the last plan."
        )
    return keras.Model(plan, result)


def _fill(model: keras.Model, weights: list[np.ndarray]) -> str | None:
    """Give the trained weights known values; a sentence where their shapes are not as asked."""
    found = [tuple(weight.shape) for weight in model.trainable_weights]
    wanted = [array.shape for array in weights]
    if found != wanted:
        advice = ""
        if len(found) > len(wanted):
            advice = " A convolution before batch norm needs no bias, and the shortcut no weights."
        return (
            f"the weights have the shapes {found}; they should be {wanted}: for each convolution "
            f"its filters, then scale and bias of batch norm.{advice}"
        )
    if any(float(np.std(weight)) == 0 for weight in model.trainable_weights if weight.ndim == 4):
        return (
            "all filters start with the same value, and such filters stay copies of each other: "
            'take a random start, such as `kernel_initializer="he_normal"`.'
        )
    for weight, array in zip(model.trainable_weights, weights, strict=True):
        weight.assign(array)
    return None


def _like_norm(
    got: Any, truth: dict[str, Any], x: np.ndarray, weights: list[np.ndarray], stride: int
) -> str | None:
    if isinstance(got, str):
        return got
    output, right = got["output in training"], truth["output in training"]
    kernel, scale, bias = weights
    known = (
        (
            _normalised(_convolved(x, kernel, stride, "SAME"), scale, bias),
            'the filter stands one pixel further than in PyTorch: with stride 2, `padding="same"` '
            "adds its zeros on the right and below only. `keras.layers.ZeroPadding2D(1)` adds them "
            "on every side.",
        ),
        (
            _normalised(_convolved(x, kernel, stride), scale, bias, 1e-3),
            "epsilon is Keras's 1e-3; PyTorch has 1e-5.",
        ),
        (
            np.maximum(right, 0),
            "a ReLU was applied as well; the block will do that itself where it is needed.",
        ),
    )
    if output.shape != right.shape:
        return (
            f"the output has the shape {output.shape}; it should be {right.shape}: one zero on "
            "every side, no further padding, and the stride."
        )
    if difference(output, right):
        for other, sentence in known:
            if difference(output, other.astype("float32")) is None:
                return sentence
        return difference(got, truth)
    mean = got["running mean"]
    if difference(mean, truth["running mean"] * 9) is None:
        return (
            "the running averages keep only a tenth of what they were. In Keras, momentum is the "
            "share of the *old* value: PyTorch's 0.1 is 0.9 here."
        )
    if difference(mean, truth["running mean"] / 10) is None:
        return "momentum is Keras's 0.99; PyTorch's 0.1 is 0.9 here."
    return difference(got, truth)


CONV_NORM = Exercise(
    name="resnet_tensorflow.conv_norm",
    title="Bug hunt: a translation word by word",
    minutes=8,
    difficulty=2,
    reference=resnet.conv_norm,
    cases=_conv_cases,
    uses_randomness=True,
    hints=(
        "Two things are wrong; the two runs above show one each.",
        "`keras.layers.ZeroPadding2D(1)(x)` comes first. Then the convolution needs no padding of "
        "its own: leave the argument out.",
        "PyTorch's momentum of 0.1 is `momentum=0.9` in Keras. Epsilon is right already.",
    ),
)


def _block_cases(rng: np.random.Generator) -> Iterator[Case]:
    for in_channels, channels, stride in ((2, 2, 1), (2, 4, 2), (1, 3, 1)):
        x = np.abs(_random(rng, 2, 6, 6, in_channels))
        weights = []
        for inputs in (in_channels, channels):
            weights += [_random(rng, 3, 3, inputs, channels), *_numbers(rng, channels)]
        change = _change(x, weights, stride)
        way_around = np.pad(
            x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, channels - in_channels))
        )
        truth = np.maximum(change + way_around, 0)
        yield Case(
            (x, channels, stride),
            truth,
            judge=partial(_like_block, truth=truth, change=change, way_around=way_around),
            call=partial(_output_of_block, weights=weights),
            names=("x", "channels", "stride"),
        )


def _change(x: np.ndarray, weights: list[np.ndarray], stride: int) -> np.ndarray:
    """What the two convolutions with batch norm make of x, without Keras's layers."""
    x = np.maximum(_normalised(_convolved(x, weights[0], stride), *weights[1:3]), 0)
    return _normalised(_convolved(x, weights[3], 1), *weights[4:])


def _output_of_block(
    make: Callable, x: np.ndarray, channels: int, stride: int, weights: list[np.ndarray]
) -> Any:
    try:
        model = _model_of(make, x, channels, stride)
    except ValueError as error:
        if "same shape" in str(error) or "roadcast" in str(error):
            return (
                "the two ways end in different shapes and cannot be added. Where a block changes "
                "the shape, `shortcut(x, channels, stride)` brings x to the new one; the "
                "stride belongs to the first convolution only."
            )
        raise
    if isinstance(model, str):
        return model
    return _fill(model, weights) or model(x, training=True).numpy()


def _like_block(
    got: Any, truth: np.ndarray, change: np.ndarray, way_around: np.ndarray
) -> str | None:
    if isinstance(got, str):
        return got
    positive = np.maximum(change, 0)
    known = (
        (positive, "the input takes no way around: add `shortcut(x, channels, stride)`."),
        (change + way_around, "the last ReLU is missing: it comes after the sum."),
        (
            positive + way_around,
            "you added after ReLU. Add first: the change must be able to be negative too.",
        ),
        (np.maximum(way_around - change, 0), "one way is subtracted from the other; add them."),
        (np.maximum(change - way_around, 0), "one way is subtracted from the other; add them."),
        (np.maximum(change * way_around, 0), "the two ways are multiplied; add them."),
        (truth / 2, "that is the mean of the two ways; add them, so that x passes whole."),
        (2 * positive, "the body's result is added to itself; the shortcut starts from x."),
        (way_around, "only the shortcut is left; the two convolutions lead nowhere."),
    )
    problem = difference(got, truth)
    if problem is None:
        return None
    for other, sentence in known:
        if difference(got, other.astype("float32")) is None:
            return sentence
    return f"{problem} Is the body conv_norm, ReLU, conv_norm, with the stride in the first?"


BLOCK = Exercise(
    name="resnet_tensorflow.residual_block",
    title="The residual block as a plan",
    minutes=8,
    difficulty=2,
    reference=resnet.residual_block,
    cases=_block_cases,
    uses_randomness=True,
    hints=(
        "The colleague's block has all parts. Which line is missing, and what should the last "
        "ReLU be called on?",
        "Two ways lead from x to the end: `change`, and `shortcut(x, channels, stride)`. "
        "They are added, and ReLU comes after the sum.",
        "`total = keras.layers.Add()([change, shortcut(x, channels, stride)])`, then "
        "`return keras.layers.ReLU()(total)`.",
    ),
)


def _best_cases(rng: np.random.Generator) -> Iterator[Case]:
    # First, last, worst and best epoch, and the one with the lowest loss, are five different ones.
    yield _best_case([0.6, 0.8, 0.5, 0.65, 0.7], [0.9, 0.8, 0.7, 0.5, 0.6])
    yield _best_case([0.0], [2.3])
    for _ in range(3):
        accuracies = rng.permutation([0.3, 0.4, 0.6, 0.7, 0.8])
        yield _best_case(accuracies.tolist(), rng.permutation(accuracies).tolist())


def _best_case(accuracies: list[float], losses: list[float]) -> Case:
    best = float(np.argmax(accuracies) + 1)
    return Case(
        (accuracies, losses),
        best,
        judge=partial(_like_best, best=best, accuracies=accuracies, losses=losses),
        call=_weights_after,
        names=("val_accuracy of the epochs", "val_loss of the epochs"),
    )


def _weights_after(make: type, accuracies: list[float], losses: list[float]) -> Any:
    """All weights after `fit`; in epoch n each of them was n. Or a sentence."""
    callback = make()
    if not isinstance(callback, keras.callbacks.Callback):
        return "it is no callback any more: leave `keras.callbacks.Callback` as it was."
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    callback.set_model(model)
    callback.on_train_begin()
    for number, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True), start=1):
        for weight in model.weights:
            weight.assign(tf.fill(weight.shape, float(number)))
        callback.on_epoch_begin(number - 1)
        logs = {"accuracy": 1 - loss, "loss": loss, "val_accuracy": accuracy, "val_loss": loss}
        callback.on_epoch_end(number - 1, logs)
        if {float(value) for weight in model.weights for value in np.ravel(weight)} != {number}:
            return (
                "the weights changed at the end of an epoch: training should go on from where it "
                "is; bring the best ones back in `on_train_end`."
            )
    callback.on_train_end()
    return [float(np.mean(weight)) for weight in model.weights]


def _like_best(got: Any, best: float, accuracies: list[float], losses: list[float]) -> str | None:
    if isinstance(got, str):
        return got
    found, last = set(got), float(len(accuracies))
    if found == {best}:
        return None
    if found == {last}:
        return (
            "the model still has the weights of the last epoch. Are they stored as "
            "`self.model.get_weights()`, which copies, and put back by `set_weights`? "
            "(`model.weights` are the variables themselves, which go on changing.)"
        )
    if len(found) > 1:
        return (
            "some weights came back and others did not. Batch norm's running averages belong to "
            "the epoch too: `self.model.get_weights()` has all of them."
        )
    if found == {float(np.argmin(losses) + 1)}:
        return (
            "that is the best epoch by the loss or the training accuracy; it is "
            '`logs["val_accuracy"]` that counts.'
        )
    if found == {float(np.argmin(accuracies) + 1)}:
        return (
            "that is the worst epoch: keep the weights where the accuracy is *higher* than before."
        )
    if found == {1.0}:
        return "the first epoch came back: note the best accuracy so far whenever it is beaten."
    return (
        f"the weights are those of epoch {got[0]:.0f}; the best validation accuracy was that of "
        f"epoch {best:.0f}."
    )


BEST = Exercise(
    name="resnet_tensorflow.BestWeights",
    title="A callback that keeps the best weights",
    minutes=9,
    difficulty=2,
    reference=resnet.BestWeights,
    cases=_best_cases,
    uses_randomness=True,
    hints=(
        "Two things are kept in `self`: the best accuracy so far, and the weights that had it. "
        "Where do they start, in `on_train_begin`?",
        'In `on_epoch_end`: if `logs["val_accuracy"]` is higher than `self.best`, store it, and '
        "store `self.model.get_weights()`.",
        "`self.best` starts below every accuracy, at -1.0. `on_train_end` calls "
        "`self.model.set_weights(self.weights)`.",
    ),
)


class _Louder(keras.layers.Layer):
    """Gives twice its input in training only: it shows whether the step says that it trains."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        return 2 * inputs if training else inputs


def _step_cases(rng: np.random.Generator) -> Iterator[Case]:
    """One step on a linear model, whose slopes are known in closed form."""
    for inputs, classes, batch, share, as_graph in ((2, 3, 2, 0.4, False), (3, 4, 5, 1.5, True)):
        kernel, bias = _random(rng, inputs, classes), _random(rng, classes)
        x, y = 2 * _random(rng, batch, inputs), rng.integers(classes, size=batch)
        slopes, truth = _slopes(kernel, bias, 2 * x, y)
        norm = float(np.sqrt(sum((slope**2).sum() for slope in slopes)))
        longest = share * norm  # shorter than the slopes in the first case, longer in the second
        truth["slope_norm"] = norm
        yield Case(
            (kernel, bias, x, y, longest, as_graph),
            truth,
            judge=partial(_like_step, truth=truth, slopes=slopes, longest=longest),
            call=_take_step,
            names=("weights of a linear model", "bias", "x", "y", "longest", "inside tf.function"),
        )


def _slopes(
    kernel: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[list[np.ndarray], dict[str, float]]:
    """Slopes of the mean cross-entropy for weights and bias; that loss, and the accuracy."""
    logits = x @ kernel + bias
    error = (special.softmax(logits, axis=1) - np.eye(len(bias))[y]) / len(y)
    measured = {
        "loss": float(-special.log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()),
        "accuracy": float((logits.argmax(axis=1) == y).mean()),
    }
    return [(x.T @ error).astype("float32"), error.sum(axis=0).astype("float32")], measured


def _take_step(
    make: type,
    kernel: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    longest: float,
    as_graph: bool,
) -> Any:
    """What the step returns and by how much it moved the weights, or a sentence."""
    inputs = keras.Input((len(kernel),))
    model = make(inputs, keras.layers.Dense(len(bias))(_Louder()(inputs)))
    model.longest = longest
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.set_weights([kernel, bias])
    data = tf.constant(x), tf.constant(y)
    if as_graph:  # as in `fit`; to write the graph down tells enough, to run it takes longer
        tf.function(model.train_step, autograph=False).get_concrete_function(data)
    logs = model.train_step(data)
    if logs is None:
        return "the step returns nothing: return what `update_metrics` gives."
    if not isinstance(logs, dict) or not {"loss", "accuracy", "slope_norm"} <= set(logs):
        return (
            "return the dictionary that `update_metrics` gives, with loss, accuracy and "
            "slope_norm: `fit` shows what is in it."
        )
    after = model.get_weights()
    return {
        "loss": float(logs["loss"]),
        "accuracy": float(logs["accuracy"]),
        "slope_norm": float(logs["slope_norm"]),
        "moves": [before - now for before, now in zip((kernel, bias), after, strict=True)],
    }


def _like_step(
    got: Any, truth: dict[str, float], slopes: list[np.ndarray], longest: float
) -> str | None:
    if isinstance(got, str):
        return got
    if difference(got["loss"], truth["loss"]):
        return (
            f"the loss is {got['loss']:.4g}; it should be {truth['loss']:.4g}. Is it "
            "`self.compute_loss(y=y, y_pred=logits)`, with `logits = self(x, training=True)`?"
        )
    moves, norm = got["moves"], truth["slope_norm"]
    lengths = [float(np.sqrt((slope**2).sum())) for slope in slopes]
    right = [slope * min(1, longest / norm) for slope in slopes]
    known = (
        ([0 * slope for slope in slopes], "the weights did not move: apply the slopes."),
        (slopes, "the slopes are applied as they are; they should be clipped first."),
        (
            [-slope for slope in right],
            "the step goes uphill: apply the clipped slopes as they are.",
        ),
        (
            [slope * min(1, longest / one) for slope, one in zip(slopes, lengths, strict=True)],
            "each tensor is clipped for itself, which turns the direction. One length counts, that "
            "of all slopes together: `tf.linalg.global_norm(gradients)`.",
        ),
        (
            [np.clip(slope, -longest, longest) for slope in slopes],
            "each single number is clipped, which turns the direction; multiply all slopes by one "
            "factor.",
        ),
        (
            [slope * longest / norm for slope in slopes],
            "slopes that are short already were made longer: the factor is at most 1, "
            "`tf.minimum(1.0, …)`.",
        ),
        (
            [slope * min(1, longest / sum(lengths)) for slope in slopes],
            "the lengths of the tensors are added up; the length of all together is the root of "
            "the sum of all squares.",
        ),
        (
            [slope * min(1, longest / norm**2) for slope in slopes],
            "the length is the *root* of the sum of the squares.",
        ),
    )
    for other, sentence in known:
        if difference(other, right) and difference(moves, other) is None:
            return sentence
    if problem := difference(moves, right):
        return f"the moves of weights and bias are not right: {problem}"
    if difference(got["slope_norm"], norm):
        return (
            f"slope_norm is {got['slope_norm']:.4g}; the length of the slopes before clipping was "
            f"{norm:.4g}."
        )
    if difference(got["accuracy"], truth["accuracy"]):
        return "the accuracy is not that of this batch: give `update_metrics` y and logits."
    return None


STEP = Exercise(
    name="resnet_tensorflow.ClippedModel",
    title="A training step that clips",
    minutes=12,
    difficulty=3,
    reference=resnet.ClippedModel,
    cases=_step_cases,
    uses_randomness=True,
    hints=(
        "Take the step of lesson 01: logits and loss inside the tape, slopes, "
        "`self.optimizer.apply_gradients(zip(…))`. The clipping comes before the optimizer.",
        "`tf.linalg.global_norm(gradients)` is the length of all slopes together. The factor is "
        "`tf.minimum(1.0, self.longest / slope_norm)`.",
        "`gradients = [factor * gradient for gradient in gradients]`, apply, then `return "
        "update_metrics(self, loss, slope_norm, y, logits)`.",
    ),
)

EXERCISES = (AUGMENT, BATCHES, CONV_NORM, BLOCK, BEST, STEP)
