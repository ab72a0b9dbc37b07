"""bert_fine_tuning.calibration_error: how far confidence and accuracy lie apart."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import text_classifier


def _calibration_error_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: 0.9 and right half of the time, 0.4 apart. No confidence lies at an edge but 1."""
    yield _case([0.95, 0.95], [True, False], 10)
    yield _case([0.65, 0.95, 0.95, 1.0], [False, True, True, False], 10)
    for count, num_bins in ((7, 5), (40, 10), (60, 4)):
        confidences = (rng.integers(0, num_bins, count) + rng.uniform(0.1, 0.9, count)) / num_bins
        yield _case(confidences.tolist(), (rng.random(count) < confidences**2).tolist(), num_bins)


def _case(confidences: list[float], right: list[bool], num_bins: int) -> Case:
    rows: dict[int, list[tuple[float, bool]]] = {}
    values = torch.tensor(confidences)
    for value, is_right in zip(values.tolist(), right, strict=True):
        rows.setdefault(min(int(value * num_bins), num_bins - 1), []).append((value, is_right))
    truth = 0.0
    for row in rows.values():
        gap = sum(is_right for _, is_right in row) - sum(value for value, _ in row)
        truth += abs(gap) / len(confidences)  # |mean gap| · its share of the answers
    return Case((values, torch.tensor(right), num_bins), truth)


def _with(
    gap: Callable[[Tensor], Tensor] = torch.abs,
    weigh: Callable[[Tensor, Tensor], Tensor] = lambda gaps, shares: (gaps * shares).sum(),
    last: bool = True,
    against: Callable[[Tensor, Tensor], Tensor] = lambda values, inside: values[inside].mean(),
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """An error that may be wrong in one place."""

    def answer(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
        bins = (confidences * num_bins).long()
        if last:
            bins = bins.clamp(max=num_bins - 1)
        gaps, shares = [], []
        for number in range(num_bins):
            inside = bins == number
            if inside.any():
                accuracy = right[inside].float().mean()
                gaps.append(gap(accuracy - against(confidences, inside)))
                shares.append(inside.float().mean())
        return weigh(torch.stack(gaps), torch.stack(shares))

    return answer


def _overall(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    return (right.float().mean() - confidences.mean()).abs()


def _one_by_one(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    return (right.float() - confidences).abs().mean()


def _ten(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    return text_classifier.calibration_error(confidences, right, 10)


def _equal_counts(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    order = confidences.argsort()
    parts = [part for part in order.tensor_split(num_bins) if len(part)]
    gaps = [(right[part].float().mean() - confidences[part].mean()).abs() for part in parts]
    return sum(gap * len(part) for gap, part in zip(gaps, parts, strict=True)) / len(order)


def _times_count(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    return len(right) * text_classifier.calibration_error(confidences, right, num_bins)


def _over_all_bins(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    return _with(weigh=lambda gaps, shares: gaps.sum())(confidences, right, num_bins) / num_bins


def _against_middle(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    bins = (confidences * num_bins).long().clamp(max=num_bins - 1)
    gaps = [
        (right[bins == number].float().mean() - (number + 0.5) / num_bins).abs()
        * (bins == number).float().mean()
        for number in bins.unique()
    ]
    return torch.stack(gaps).sum()


def _with_empty_bins(confidences: Tensor, right: Tensor, num_bins: int = 10) -> Tensor:
    bins = (confidences * num_bins).long().clamp(max=num_bins - 1)
    error = torch.tensor(0.0)
    for number in range(num_bins):
        inside = bins == number
        gap = right[inside].float().mean() - confidences[inside].mean()
        error = error + inside.float().mean() * gap.abs()
    return error


CALIBRATION_ERROR = Exercise(
    name="bert_fine_tuning.calibration_error",
    title="Can its probabilities be trusted?",
    minutes=12,
    difficulty=2,
    reference=text_classifier.calibration_error,
    cases=_calibration_error_cases,
    mistakes=(
        Mistake(
            _with_empty_bins,
            "A bin without answers has no mean: it is NaN (not a number), and so is all that it is "
            "added to. Leave empty bins out.",
        ),
        Mistake(
            _with(last=False),
            "A confidence of 1 is in no bin of yours; it belongs to the last one.",
        ),
        Mistake(
            _with(weigh=lambda gaps, shares: gaps.mean()),
            "All bins count the same in yours; each should count by its share of the answers.",
        ),
        Mistake(
            _over_all_bins,
            "You divide by the number of bins; each bin should count by its share of the answers.",
        ),
        Mistake(
            _times_count,
            "Each gap counts by *how many* answers the bin has; it should be the share of all "
            "answers, `inside.float().mean()`.",
        ),
        Mistake(
            _against_middle,
            "You compare with the middle of each bin; take the mean of the confidences in it.",
        ),
        Mistake(
            _with(weigh=lambda gaps, shares: gaps.max()),
            "This is the largest gap; the mean over all answers is asked for.",
        ),
        Mistake(
            _with(weigh=lambda gaps, shares: gaps.sum()),
            "You add up the gaps as they are; each should count by its share of the answers.",
        ),
        Mistake(
            _with(gap=lambda gap: gap),
            "Gaps above and below cancel each other: take each without its sign, `abs()`.",
        ),
        Mistake(
            _with(gap=lambda gap: gap**2),
            "The gaps are squared; take them without their sign, `abs()`.",
        ),
        Mistake(
            _overall,
            "You compare over all answers at once. One that is too sure here and too careful there "
            "would look perfect: compare in each bin.",
        ),
        Mistake(
            _one_by_one,
            "You compare answer by answer; a single one is right or wrong, and never 0.9 right. "
            "Compare the means in each bin.",
        ),
        Mistake(_ten, "The number of bins is `num_bins`, which need not be 10."),
        Mistake(
            _equal_counts,
            "Your bins have equally many answers; bins of equal *width* are asked for.",
        ),
        Mistake(
            _with(against=lambda values, inside: values.mean()),
            "Compare the accuracy of a bin with the mean confidence of the *same* bin.",
        ),
    ),
    advice=(
        (
            r"Bool|bool|mean\(\): could not infer output dtype",
            "`right` is True and False; `right.float()` makes 1 and 0 of it, of which a mean can "
            "be taken.",
        ),
    ),
    hints=(
        "Take one bin: which answers are in it, how many of them are right, how sure were they on "
        "average? Then a loop over the bins.",
        "In which bin is each answer? `(confidences * num_bins).long()` is its number; "
        "`.clamp(max=num_bins - 1)` puts a confidence of 1 into the last. "
        "For each bin: `inside = bins == number`, then the means of `right[inside].float()` and "
        "`confidences[inside]`.",
        "Add up |accuracy − confidence| · share, where the share is `inside.float().mean()`. Leave "
        "out a bin in which nothing is.",
    ),
)
