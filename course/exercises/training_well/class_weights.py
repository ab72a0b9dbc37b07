"""training_well.class_weights: weights for rare classes."""

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import training_well as reference


def _labels_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield Case((torch.tensor([0, 0, 0, 1]), 2), torch.tensor([4 / 6, 2.0]))
    for count, classes in ((6, 3), (50, 4), (300, 10)):
        y = np.concatenate([np.arange(classes), rng.integers(classes, size=count)])
        y[classes : classes + count // 2] = 1
        truth = compute_class_weight("balanced", classes=np.arange(classes), y=y)
        yield Case((torch.tensor(y), classes), torch.tensor(truth, dtype=torch.float32))


def _counts(y: Tensor, num_classes: int) -> Tensor:
    return torch.bincount(y, minlength=num_classes).float()


CLASS_WEIGHTS = Exercise(
    name="training_well.class_weights",
    title="Weights for rare classes",
    minutes=6,
    difficulty=1,
    reference=reference.class_weights,
    cases=_labels_cases,
    mistakes=(
        Mistake(
            lambda y, k: 1 / _counts(y, k),
            "The proportions are right, but the weights should average to 1 over the examples: "
            "multiply by N / K.",
        ),
        Mistake(
            lambda y, k: len(y) / _counts(y, k),
            "Divide by the number of classes as well, so that the weights of all examples average "
            "to 1.",
        ),
        Mistake(
            lambda y, k: _counts(y, k) / len(y),
            "Those are the shares of the classes: a common class would count for more. Turn it "
            "round.",
        ),
        Mistake(
            lambda y, k: k * _counts(y, k) / len(y),
            "It is turned round: the rare class must get the large weight.",
        ),
        Mistake(
            lambda y, k: 1 / _counts(y, k) / (1 / _counts(y, k)).sum(),
            "The weights of the *classes* add up to 1; those of the *examples* should average to "
            "1: N / (K · count).",
        ),
        Mistake(
            lambda y, k: k / _counts(y, k) / (1 / _counts(y, k)).sum(),
            "The weights of the *classes* average to 1; those of the *examples* should: "
            "N / (K · count).",
        ),
        Mistake(
            lambda y, k: _counts(y, k).max() / _counts(y, k),
            "The most common class got 1 and all others more; the weights of all examples should "
            "average to 1: N / (K · count).",
        ),
        Mistake(
            lambda y, k: torch.sqrt(len(y) / (k * _counts(y, k))),
            "With the root the rare class still counts for less than the others; here it is plain "
            "N / (K · count).",
        ),
        Mistake(
            lambda y, k: 1 - _counts(y, k) / len(y),
            "One minus the share hardly tells a rare class from a common one; divide by the count.",
        ),
        Mistake(
            lambda y, k: len(y) / k * _counts(y, k),
            "`N / K * count` divides by K and then *multiplies* by the count: write "
            "`N / (K * count)`, with brackets.",
        ),
        Mistake(
            lambda y, k: (len(y) / (k * _counts(y, k)))[y],
            "That is one weight for each example; return one for each class.",
        ),
    ),
    hints=(
        "`torch.bincount(y, minlength=num_classes)` counts how often each class occurs.",
        "A class with N / K examples, its fair share, gets the weight 1; one with half as many 2.",
        "`N / (K · count)`, with N = `len(y)` and K = `num_classes`.",
    ),
)
