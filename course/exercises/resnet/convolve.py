"""resnet.convolve: a convolution, written with loops."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.models import convolution


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
