"""A small measurement of this machine, by which a lesson's time elsewhere can be estimated.

Two kinds of work, because lessons have both: the matrix products of a wide layer, which several
cores share, and many short steps, as in small networks and in Python itself, which they do not.
`course run --measure` keeps the figures of the machine on which it measured; `course doctor` sets
those of this machine beside them.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

REPEATS = 9  # of each kind; the median counts, after one that does not
NUM_PRODUCTS, IMAGES, PIXELS, NEURONS = 40, 128, 784, 512  # as in the first layer of lesson 01
NUM_STEPS, BATCH_SIZE, WIDTH = 300, 32, 64
NOISE = 0.15  # share by which the same work differs from one hour to the next


def measure() -> dict[str, float]:
    """Milliseconds for each kind of work: {"products": …, "steps": …}; takes about a second."""
    return {"products": _milliseconds(_products()), "steps": _milliseconds(_training())}


def mean_of(*measured: Mapping[str, float]) -> dict[str, float]:
    """The mean of several measurements, to three significant digits."""
    return {
        kind: float(f"{statistics.fmean(one[kind] for one in measured):.3g}")
        for kind in measured[0]
    }


def estimate(
    seconds: float, there: Mapping[str, float], here: Mapping[str, float]
) -> tuple[float, float]:
    """The least and the most seconds to expect here of what took `seconds` there.

    There and here are what `measure` gave. No lesson is only the one or only the other kind of
    work, so its time should grow by a factor between the two factors.
    """
    factors = [here[kind] / there[kind] for kind in there]
    return seconds * min(factors) * (1 - NOISE), seconds * max(factors) * (1 + NOISE)


def _milliseconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def _products() -> Callable[[], object]:
    """A batch of made-up images through a wide layer, again and again."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(IMAGES, PIXELS)).astype("float32")
    weights = rng.normal(size=(PIXELS, NEURONS)).astype("float32")

    def work() -> None:
        for _ in range(NUM_PRODUCTS):
            images @ weights

    return work


def _training() -> Callable[[], object]:
    """Gradient descent of a small network with one hidden layer, on made-up numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH_SIZE, WIDTH)).astype("float32")
    target = rng.normal(size=(BATCH_SIZE, 1)).astype("float32")
    initial_1 = 0.1 * rng.normal(size=(WIDTH, WIDTH)).astype("float32")
    initial_2 = 0.1 * rng.normal(size=(WIDTH, 1)).astype("float32")

    def work() -> float:
        w_1, w_2 = initial_1.copy(), initial_2.copy()
        for _ in range(NUM_STEPS):
            hidden = np.maximum(x @ w_1, 0)  # [batch, width]
            error = hidden @ w_2 - target  # [batch, 1]
            grad_hidden = error @ w_2.T * (hidden > 0)
            w_2 -= 0.001 * hidden.T @ error
            w_1 -= 0.001 * x.T @ grad_hidden
        return float(np.mean(error**2))

    return work
