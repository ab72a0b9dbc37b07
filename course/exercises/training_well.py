"""The exercises of lesson 02: what to measure, how to measure it, and how to train well."""

import math
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn import metrics
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.checking.values import is_array, to_numpy, type_name
from course.models import training_well as reference

LESSON = "02_training_well"


def _standardise_cases(rng: np.random.Generator) -> Iterator[Case]:
    train, test = np.array([[1.0, 0.0], [5.0, 0.0]]), np.array([[9.0, 2.0]])
    yield Case((train, test), (np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[3.0, 2.0]])))
    for examples, others, columns in ((6, 3, 4), (3, 9, 2), (8, 1, 5)):
        train = rng.normal(2, 3, (examples, columns))
        test = rng.normal(-1, 1, (others, columns))
        train[:, 0] = 0
        scaler = StandardScaler().fit(train)
        yield Case((train, test), (scaler.transform(train), scaler.transform(test)))


def _scaled(
    train: np.ndarray,
    test: np.ndarray,
    like: np.ndarray,
    axis: int = 0,
    keepdims: bool = False,
    ddof: int = 0,
) -> tuple:
    """Both sets, standardised with the columns of `like`; with axis=1 wrongly with its rows."""
    mean = like.mean(axis=axis, keepdims=keepdims)
    deviation = like.std(axis=axis, keepdims=keepdims, ddof=ddof)
    deviation = np.where(deviation > 0, deviation, 1)
    return (train - mean) / deviation, (test - mean) / deviation


def _mixed(train: np.ndarray, test: np.ndarray, mean: str, deviation: str) -> tuple:
    """Mean and deviation from different sets, each named "train", "test" or "both"."""
    sets = {"train": train, "test": test, "both": np.concatenate([train, test])}
    middle, spread = sets[mean].mean(axis=0), sets[deviation].std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    return (train - middle) / spread, (test - middle) / spread


def _plus(small: float) -> Callable[..., tuple]:
    def answer(train: np.ndarray, test: np.ndarray) -> tuple:
        mean, deviation = train.mean(axis=0), train.std(axis=0) + small
        return (train - mean) / deviation, (test - mean) / deviation

    return answer


STANDARDISE = Exercise(
    name="training_well.standardise",
    title="Bug hunt: a report that is too good",
    minutes=8,
    difficulty=1,
    reference=reference.standardise,
    cases=_standardise_cases,
    mistakes=(
        Mistake(
            lambda train, test: _scaled(train, test, np.concatenate([train, test])),
            "Mean and deviation still come from both sets together, so the test images help to "
            "prepare their own exam: compute them from `train` alone.",
        ),
        Mistake(
            lambda train, test: (_scaled(train, test, train)[0], _scaled(train, test, test)[1]),
            "Each set was prepared with its own mean and deviation. A single new image has none: "
            "use those of `train` for both.",
        ),
        Mistake(
            lambda train, test: _scaled(train, test, test),
            "You took the test set's mean and deviation; take those of `train` for both sets.",
        ),
        Mistake(
            lambda train, test: (_scaled(train, test, train)[0], test),
            "The test set was left as it is; it needs the same step, with the numbers of `train`.",
        ),
        Mistake(
            lambda train, test: (train - train.mean(axis=0), test - train.mean(axis=0)),
            "The mean is right; also divide by the standard deviation of each column.",
        ),
        Mistake(
            lambda train, test: (
                (train - train.mean()) / train.std(),
                (test - train.mean()) / train.std(),
            ),
            "Those are one mean and one deviation of all numbers; each column (`axis=0`) has its "
            "own.",
        ),
        Mistake(
            lambda train, test: tuple(
                (part - train.mean(axis=0)) / np.where(train.std(axis=0) > 0, train.var(axis=0), 1)
                for part in (train, test)
            ),
            "You divided by the variance; the standard deviation is its square root.",
        ),
        Mistake(
            lambda train, test: _scaled(train, test, train, ddof=1),
            "You divided by N − 1 inside the deviation; here it is NumPy's own, `std` without "
            "`ddof`.",
        ),
        Mistake(
            lambda train, test: _plus(0.0)(train, test),
            "A column that never changes in `train` has the deviation 0, and you divide by it; "
            "keep the line that puts 1 there.",
        ),
        *(
            Mistake(
                lambda train, test, mean=mean, deviation=deviation: _mixed(
                    train, test, mean, deviation
                ),
                "Mean and deviation come from different sets; both come from `train` alone.",
            )
            for mean, deviation in (("train", "both"), ("both", "train"), ("train", "test"))
        ),
        Mistake(
            lambda train, test: _scaled(train, test, train)[::-1],
            "The two sets have changed places: return the training set first.",
        ),
        *(
            Mistake(
                lambda train, test, keep=keep: _scaled(train, test, train, axis=1, keepdims=keep),
                "`axis=1` gives one mean for each *image*; each column (pixel) has its own: "
                "`axis=0`.",
            )
            for keep in (False, True)
        ),
        Mistake(
            lambda train, test: (
                _scaled(train, train, train, axis=1, keepdims=True)[0],
                _scaled(test, test, test, axis=1, keepdims=True)[0],
            ),
            "`axis=1` gives one mean for each *image*; each column (pixel) has its own: `axis=0`.",
        ),
        Mistake(
            lambda train, test: tuple(
                part - train.mean(axis=0) / np.where(train.std(axis=0) > 0, train.std(axis=0), 1)
                for part in (train, test)
            ),
            "Brackets are missing: `/` comes before `-`, so only the mean was divided. Write "
            "`(train - mean) / deviation`.",
        ),
        Mistake(
            lambda train, test: tuple(
                np.where(train.std(axis=0) > 0, part, 0) for part in _scaled(train, test, train)
            ),
            "You set a column that never changes in `train` to 0 in both sets. A test image may "
            "differ there: such a column is only moved, which is what dividing by 1 does.",
        ),
        Mistake(
            lambda train, test: tuple(map(np.nan_to_num, _plus(0.0)(train, test))),
            "`nan_to_num` hides a division by 0: a test image that differs in a column that never "
            "changes in `train` gets a huge number. Keep the line that puts 1 there.",
        ),
        *(
            Mistake(
                _plus(10.0**-power),
                "A tiny number in place of a deviation of 0 makes huge values where a test image "
                "differs in that column; keep the line that puts 1 there.",
            )
            for power in (3, 4, 5, 6, 7, 8, 9, 10, 12)
        ),
    ),
    hints=(
        "Which numbers may be known before the first test image has been seen?",
        "`mean` and `deviation` may be computed from one of the two sets only. Which one will "
        "still be there when a single new image comes?",
        "`mean, deviation = train.mean(axis=0), train.std(axis=0)`; the other lines stay.",
    ),
)


def _answers_cases(rng: np.random.Generator) -> Iterator[Case]:
    said = np.array([True, True, True, True, False, False])
    truth = np.array([True, False, False, False, True, False])
    yield _answers_case(said, truth, (1 / 4, 1 / 2, 1 / 3))
    nothing = np.zeros(4, dtype=bool)
    yield _answers_case(nothing, np.array([True, False, True, False]), (0.0, 0.0, 0.0))
    yield _answers_case(np.array([True, False]), np.array([False, False]), (0.0, 0.0, 0.0))
    yield _answers_case(np.array([True, False]), np.array([False, True]), (0.0, 0.0, 0.0))
    for count, share_said, share_true in ((30, 0.6, 0.3), (200, 0.2, 0.5), (90, 0.5, 0.1)):
        said, truth = rng.random(count) < share_said, rng.random(count) < share_true
        said[:3], truth[:3] = (True, True, False), (True, False, True)
        found = metrics.precision_recall_fscore_support(truth, said, average="binary")
        yield _answers_case(said, truth, tuple(map(float, found[:3])))


def _answers_case(said: np.ndarray, truth: np.ndarray, expected: tuple[float, ...]) -> Case:
    """A case that takes the three values as a tuple, a list or an array [3]."""

    def judge(got: Any) -> str | None:
        if isinstance(got, numbers.Number) and got == 0 and not any(expected):
            return "three values are asked for here too: `return 0.0, 0.0, 0.0`."
        if isinstance(got, np.ndarray) and got.shape == (3,):
            got = tuple(got)
        return difference(got, expected)

    return Case((said, truth), expected, judge=judge)


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else 0.0


def _three(said: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """The right answer, built from counts of the four kinds of answers."""
    hits, alarms, missed = (said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum()
    f1 = _share(2 * hits, 2 * hits + alarms + missed)
    return _share(hits, hits + alarms), _share(hits, hits + missed), f1


def _divided(part: Any, whole: Any) -> Any:
    """As NumPy divides: by 0, it gives NaN or infinity."""
    with np.errstate(all="ignore"):
        return np.float64(part) / np.float64(whole)


def _wrong_by(
    formula: Callable[..., tuple], message: str, hits: Callable[..., Any] = np.logical_and
) -> tuple[Mistake, ...]:
    """One mistake with each way of caring for a division by 0, or of not caring.

    formula: (hits, said, true, right no, all, share) → three numbers; share(part, whole) divides.
    hits: which answers the mistake takes for hits.
    """

    def answer(share: Callable[..., Any], early: bool) -> Callable[..., tuple]:
        def wrong(said: np.ndarray, truth: np.ndarray) -> tuple:
            found, right_no = hits(said, truth).sum(), (~said & ~truth).sum()
            if early and not found:
                return 0.0, 0.0, 0.0
            return formula(found, said.sum(), truth.sum(), right_no, len(said), share)

        return wrong

    def at_least_one(part: Any, whole: Any) -> float:
        return part / (max(whole, 1) if whole == int(whole) else whole)

    ways = [(_share, False), (_divided, False), (_divided, True), (at_least_one, False)]
    return tuple(Mistake(answer(*way), message) for way in ways)


def _f1(precision: Any, recall: Any, share: Callable[..., Any]) -> Any:
    return share(2 * precision * recall, precision + recall)


def _from_hits(hits: Any, said: Any, true: Any, right_no: Any, number: Any, share: Any) -> tuple:
    """The right formula, for `_wrong_by`."""
    precision, recall = share(hits, said), share(hits, true)
    return precision, recall, _f1(precision, recall, share)


def _f1_without_brackets(
    hits: Any, said: Any, true: Any, no: Any, number: Any, share: Any
) -> tuple:
    precision, recall = share(hits, said), share(hits, true)
    return precision, recall, share(2 * precision * recall, precision) + recall


DIVIDES_BY_0 = (
    "Where yes is never said, never true or never hit, you divide by 0. NumPy then gives NaN and "
    "no error, so `try` does not help: test for 0 first, and return 0 for such a share."
)

PRECISION_RECALL_F1 = Exercise(
    name="training_well.precision_recall_f1",
    title="Precision, recall and F1",
    minutes=8,
    difficulty=2,
    reference=reference.precision_recall_f1,
    cases=_answers_cases,
    mistakes=(
        Mistake(
            lambda s, t: (_three(s, t)[1], _three(s, t)[0], _three(s, t)[2]),
            "Precision and recall have changed places: precision divides by what was *said* yes, "
            "recall by what *is* yes.",
        ),
        Mistake(
            lambda s, t: (*_three(s, t)[:2], sum(_three(s, t)[:2]) / 2),
            "F1 is not the plain average of the two, but 2 · P · R / (P + R): it is close to the "
            "smaller of them.",
        ),
        Mistake(
            lambda s, t: (*_three(s, t)[:2], math.sqrt(_three(s, t)[0] * _three(s, t)[1])),
            "F1 is not the root of P · R, but 2 · P · R / (P + R).",
        ),
        Mistake(
            lambda s, t: (*_three(s, t)[:2], _three(s, t)[2] / 2),
            "The 2 is missing in 2 · P · R / (P + R).",
        ),
        Mistake(
            lambda s, t: ((s == t).mean(), *_three(s, t)[1:]),
            "The first value is the accuracy; precision looks only at what was said yes.",
        ),
        Mistake(
            lambda s, t: (_three(s, t)[0], (s == t).mean(), _three(s, t)[2]),
            "The second value is the accuracy; recall looks only at what is yes.",
        ),
        Mistake(
            lambda s, t: ((s & t).mean(), (s & t).mean(), (s & t).mean()),
            "You divided the hits by the number of all examples; precision divides by how often "
            "yes was said, recall by how often yes is true.",
        ),
        Mistake(
            lambda s, t: (_three(~s, ~t)[0], _three(~s, ~t)[1], _three(~s, ~t)[2]),
            "Those are the figures of the answer *no*; count the hits where both are True.",
        ),
        Mistake(
            lambda s, t: (
                _three(s, t)[0],
                _share((s & t).sum(), (s & t).sum() + (~s & ~t).sum()),
                _three(s, t)[2],
            ),
            "Recall divides by all that are yes: the hits and those that were missed.",
        ),
        Mistake(
            lambda s, t: _three(s, t)[2],
            "That is F1 alone; return the three values: precision, recall, F1.",
        ),
        Mistake(
            lambda s, t: (
                (s & t).sum() / s.sum(),
                (s & t).sum() / t.sum(),
                2 / (s.sum() / (s & t).sum() + t.sum() / (s & t).sum()),
            ),
            DIVIDES_BY_0,
        ),
        Mistake(
            lambda s, t: _from_hits((s & t).sum(), s.sum(), t.sum(), 0, 0, _divided), DIVIDES_BY_0
        ),
        *_wrong_by(
            _from_hits,
            "`said_yes == is_yes` is also True for a right *no*, and those are not hits: a hit was "
            "said yes *and* is yes, `said_yes & is_yes`.",
            hits=np.equal,
        ),
        *_wrong_by(
            _f1_without_brackets,
            "Brackets are missing: 2 · P · R / (P + R) divides by the whole sum.",
        ),
        *_wrong_by(
            lambda hits, said, true, no, number, share: (
                share(hits, said),
                share(hits, true),
                (hits + no) / number,
            ),
            "The third value is the accuracy; F1 is 2 · P · R / (P + R).",
        ),
        *_wrong_by(
            lambda hits, said, true, no, number, share: (
                share(hits, said),
                share(no, number - true),
                _f1(share(hits, said), share(no, number - true), share),
            ),
            "The second value is the share of the *no* that were called no; recall is the share of "
            "the *yes* that were found.",
        ),
        *_wrong_by(
            lambda *counts: tuple(100 * value for value in _from_hits(*counts)),
            "Those are percent; give shares from 0 to 1.",
        ),
        *_wrong_by(
            lambda hits, said, true, no, number, share: (share(hits, true), share(hits, said), 0.0),
            "Precision and recall have changed places: precision divides by what was *said* yes, "
            "recall by what *is* yes. (And F1 is still 0.)",
        ),
    ),
    hints=(
        "`said_yes & is_yes` is True where yes was said *and* is true: the hits. "
        "`np.sum(mask)` counts.",
        "Precision = hits / how often yes was said. Recall = hits / how often yes is true.",
        "Where there are no hits, all three are 0: return `0.0, 0.0, 0.0` before any division.",
    ),
)


def _scores_cases(rng: np.random.Generator) -> Iterator[Case]:
    scores, truth = np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, False, True, False])
    yield Case((scores, truth), 3 / 4)
    yield Case((np.array([0.5, 0.5]), np.array([True, False])), 1 / 2)
    for count, share, steps in ((7, 0.4, 3), (40, 0.5, 5), (150, 0.1, 1000), (60, 0.8, 8)):
        truth = rng.random(count) < share
        truth[:2] = True, False
        scores = np.round((rng.normal(size=count) + truth) * steps / 4) / steps
        yield Case((scores, truth), float(metrics.roc_auc_score(truth, scores)))


def _gaps(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return scores[truth][:, None] - scores[~truth]


def _one_by_one(scores: np.ndarray, truth: np.ndarray, tie: float) -> float:
    """A wrong answer: the first yes with the first no, the second with the second…"""
    pairs = list(zip(scores[truth], scores[~truth], strict=False))
    return sum(1.0 if yes > no else tie if yes == no else 0.0 for yes, no in pairs) / len(pairs)


ROC_AUC = Exercise(
    name="training_well.roc_auc",
    title="The area under the ROC curve",
    minutes=8,
    difficulty=2,
    reference=reference.roc_auc,
    cases=_scores_cases,
    mistakes=(
        Mistake(
            lambda s, t: (_gaps(s, t) > 0).mean(),
            "Ties count nothing in your answer; a pair with equal scores counts one half.",
        ),
        Mistake(
            lambda s, t: (_gaps(s, t) >= 0).mean(),
            "Ties count as right in your answer; a pair with equal scores counts one half.",
        ),
        Mistake(
            lambda s, t: 1 - reference.roc_auc(s, t),
            "It is turned round: count the pairs in which the *yes* has the higher score.",
        ),
        Mistake(
            lambda s, t: float((_gaps(s, t) > 0).sum() + (_gaps(s, t) == 0).sum() / 2),
            "That is the number of pairs; divide by how many pairs there are.",
        ),
        Mistake(
            lambda s, t: ((_gaps(s, t) > 0).sum() + (_gaps(s, t) == 0).sum() / 2) / len(s) ** 2,
            "You divided by all pairs of examples; only pairs of one yes and one no count.",
        ),
        *(
            Mistake(
                wrong,
                "You compared the first yes with the first no, the second with the second and so "
                "on: compare *every* yes with *every* no.",
            )
            for wrong in (
                lambda s, t: (s[t] > s[~t]).mean(),
                lambda s, t: (s[t] >= s[~t]).mean(),
                lambda s, t: (s[t] > s[~t]).mean() + (s[t] == s[~t]).mean() / 2,
                lambda s, t: _one_by_one(s, t, tie=0.0),
                lambda s, t: _one_by_one(s, t, tie=0.5),
            )
        ),
        *(
            Mistake(
                wrong,
                "You compared the yes with *all* examples; only pairs of one yes and one no count.",
            )
            for wrong in (
                lambda s, t: (s[t][:, None] > s).mean(),
                lambda s, t: (s[t][:, None] > s).mean() + (s[t][:, None] == s).mean() / 2,
            )
        ),
        *(
            Mistake(
                wrong,
                "You compared the two means; take every pair of a yes and a no, and count.",
            )
            for wrong in (
                lambda s, t: s[t].mean() > s[~t].mean(),
                lambda s, t: float(s[t].mean() > s[~t].mean()),
            )
        ),
        Mistake(
            lambda s, t: ((s > 0.5) == t).mean(),
            "That is the accuracy at the threshold 0.5; no threshold is needed here.",
        ),
        Mistake(
            lambda s, t: ((s >= 0.5) == t).mean(),
            "That is the accuracy at the threshold 0.5; no threshold is needed here.",
        ),
        Mistake(
            lambda s, t: _gaps(s, t).mean(),
            "You averaged the differences of the scores; only their order counts.",
        ),
        Mistake(
            lambda s, t: metrics.average_precision_score(t, s),
            "That is the area under another curve, that of precision and recall.",
        ),
    ),
    hints=(
        "`scores[is_yes]` are the scores of the yes examples, `scores[~is_yes]` those of the no "
        "examples. Lesson 00 compared every image with every average: `[:, None]`.",
        "`gaps = scores[is_yes][:, None] - scores[~is_yes]` holds all pairs. In which of them is "
        "the gap positive, in which is it 0?",
        "The mean of a mask is a share: `(gaps > 0).mean()`. Add half the share of ties.",
    ),
)


class _Fickle(nn.Module):
    """Its inputs are its logits; in training mode it answers the next class instead."""

    def forward(self, x: Tensor) -> Tensor:
        return x.roll(1, dims=1) if self.training else x


class _Watched(nn.Sequential):
    """The fickle layer within a model, as dropout is: notes how the model was used.

    largest: the most images that it was given at once. outer_only: whether it was ever used in
    evaluation mode while its layer was in training mode.
    """

    def __init__(self, training: bool) -> None:
        super().__init__(_Fickle())
        self.largest, self.outer_only = 0, False
        self.train(training)

    def forward(self, x: Tensor) -> Tensor:
        self.largest = max(self.largest, len(x))
        self.outer_only = self.outer_only or (self[0].training and not self.training)
        return super().forward(x)


def _measure(evaluate: Callable[..., Any], mode: str, x: Tensor, y: Tensor, size: int) -> Any:
    """What an answer says of the fickle model and leaves behind; or a sentence on what is wrong."""
    model = _Watched(mode == "train")
    share = evaluate(model, x, y, size)
    if model.largest > size:
        return f"it gave the model {model.largest} images at once; {size} are the most here."
    if model.outer_only:
        return (
            "to set `model.training` reaches only the model itself, not the layers inside it, so "
            "dropout goes on: call `model.eval()`."
        )
    if model.training != model[0].training:
        return (
            "to set `model.training` gives the mode back to the model itself, not to the layers "
            "inside it: call `model.train(…)` with the mode that you remembered."
        )
    return {"share of right answers": share, "mode afterwards": _mode(model)}


def _mode(model: nn.Module) -> str:
    return "train" if model.training else "eval"


def _difference_of_measures(got: Any, truth: dict[str, Any]) -> str | None:
    if isinstance(got, str):
        return got
    share = got["share of right answers"]
    if is_array(share) and to_numpy(share).shape == ():
        return (
            f"it returned {type_name(share)} with a single number in it; a plain number is asked "
            "for: `.item()` takes it out."
        )
    return difference(got, truth)


def _evaluate_cases(rng: np.random.Generator) -> Iterator[Case]:
    sizes = ((3, 2, "eval"), (3, 2, "train"), (7, 3, "eval"), (8, 4, "train"), (11, 4, "train"))
    for number, size, mode in sizes:
        x = torch.tensor(rng.permuted(np.tile(np.arange(4.0), (number, 1)), axis=1))
        x, right = x.float(), rng.random(number) < 0.6
        right[:size], right[-2:] = np.arange(size) == 1, True  # no batch is like the others
        best = x.argmax(dim=1)
        # Never best + 1, the answer in training mode: so each fault shows in every check.
        other = (best + torch.tensor(rng.integers(2, 4, number))) % 4
        y = torch.where(torch.tensor(right), best, other)
        truth = {"share of right answers": float(right.mean()), "mode afterwards": mode}
        yield Case(
            (mode, x, y, size),
            truth,
            judge=lambda got, truth=truth: _difference_of_measures(got, truth),
            call=_measure,
            names=("mode of the model at first", "x (here also the logits)", "y", "batch_size"),
        )


def _evaluate_with(
    evaluation: str = "all", share: str = "all", mode_after: str = "as before"
) -> Callable[..., float]:
    """An evaluation with known faults.

    evaluation: in which batches the model is in evaluation mode, "all", "first" or "none". share:
    how the batches become one number.
    """

    def answer(model: nn.Module, x: Tensor, y: Tensor, batch_size: int) -> float:
        before = model.training
        rights = []
        for part, truth in zip(x.split(batch_size), y.split(batch_size), strict=True):
            if evaluation == "all" or (evaluation == "first" and not rights):
                model.eval()
            else:
                model.train(before)
            rights.append((model(part).argmax(dim=1) == truth).float())
        model.train({"as before": before, "train": True, "eval": False}[mode_after])
        return _JOINED[share](rights, batch_size)

    return answer


def _full(rights: list[Tensor], size: int) -> list[Tensor]:
    return [right for right in rights if len(right) == size]


# How batches, lists of right (1) and wrong (0), become one number; all but the first are wrong.
_JOINED: dict[str, Callable[[list[Tensor], int], float]] = {
    "all": lambda rights, size: torch.cat(rights).mean().item(),
    "last": lambda rights, size: rights[-1].mean().item(),
    "first": lambda rights, size: rights[0].mean().item(),
    "mean of means": lambda rights, size: float(np.mean([r.mean().item() for r in rights])),
    "count": lambda rights, size: torch.cat(rights).sum().item(),
    "last of all": lambda rights, size: rights[-1].sum().item() / len(torch.cat(rights)),
    "full batches": lambda rights, size: (
        sum(r.mean().item() for r in rights) / (len(torch.cat(rights)) // size)
    ),
    "percent": lambda rights, size: 100 * torch.cat(rights).mean().item(),
    "without the rest": lambda rights, size: torch.cat(_full(rights, size)).mean().item(),
    "rest as wrong": lambda rights, size: (
        torch.cat(_full(rights, size)).sum().item() / len(torch.cat(rights))
    ),
}


EVALUATE = Exercise(
    name="training_well.evaluate",
    title="Bug hunt: an accuracy that changes its mind",
    minutes=12,
    difficulty=2,
    reference=reference.evaluate,
    cases=_evaluate_cases,
    uses_randomness=True,  # a DataLoader draws even where it does not shuffle
    mistakes=(
        Mistake(
            _evaluate_with(evaluation="none", share="last"),
            "Two faults are left: only the last batch counts, and the model still trains while it "
            "is measured.",
        ),
        *(
            Mistake(
                _evaluate_with(share="last", mode_after=mode),
                "Each round overwrites the one before, so only the last batch counts: add up the "
                "right answers of all batches, then divide once.",
            )
            for mode in ("as before", "train", "eval")
        ),
        Mistake(
            _evaluate_with(evaluation="none"),
            "The share is computed over all batches now, but the model is still in training mode "
            "while you measure: `model.eval()` before the loop.",
        ),
        *(
            Mistake(
                _evaluate_with(share="mean of means", mode_after=mode),
                "You averaged the accuracies of the batches. The last batch may be smaller, and "
                "its images then count for more: count right answers, and divide by `len(x)`.",
            )
            for mode in ("as before", "train", "eval")
        ),
        Mistake(
            _evaluate_with(evaluation="first"),
            "The mode is given back inside the loop, so the model trains again from the second "
            "batch on: move that line behind the loop.",
        ),
        Mistake(
            _evaluate_with(share="last of all"),
            "The counter starts at 0 again in every round, so only the last batch counts: set it "
            "to 0 once, before the loop.",
        ),
        Mistake(
            _evaluate_with(share="full batches"),
            "`len(x) // batch_size` does not count a last, smaller batch: count right answers, and "
            "divide by `len(x)`.",
        ),
        *(
            Mistake(
                _evaluate_with(share=share),
                "The last batch was left out where it is smaller: its images count as well. "
                "`range(0, len(x), batch_size)` reaches it, and the slice is just shorter there.",
            )
            for share in ("without the rest", "rest as wrong")
        ),
        Mistake(_evaluate_with(share="percent"), "Those are percent; give a share from 0 to 1."),
        Mistake(
            _evaluate_with(share="first"),
            "It returns in the first round of the loop: move `return` out of it.",
        ),
        Mistake(
            _evaluate_with(share="count"),
            "That is the number of right answers; divide by the number of images.",
        ),
        Mistake(
            _evaluate_with(mode_after="eval"),
            "The share is right, but the model is left in evaluation mode: whoever trains on "
            "would do so without dropout. Remember `model.training` at the beginning, and give it "
            "back with `model.train(…)`.",
        ),
        Mistake(
            _evaluate_with(mode_after="train"),
            "The share is right, but the model is always left in training mode, also where it was "
            "not before: remember `model.training` and give it back with `model.train(…)`.",
        ),
    ),
    hints=(
        "There are two faults. Of which images does the result know when the loop is over? And in "
        "which mode does the model answer?",
        "Count the right answers of every batch: `right += (answers == y[batch]).sum().item()`. "
        "Divide by `len(x)` after the loop.",
        "The mode: `model.eval()` switches dropout off, in the layers inside too. `was_training = "
        "model.training` remembers the mode, `model.train(was_training)` gives it back.",
    ),
)


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


def _threshold_cases(rng: np.random.Generator) -> Iterator[Case]:
    scores, truth = np.array([0.2, 0.3, 0.1]), np.array([True, True, False])
    yield Case((scores, truth), judge=_is_best_for(scores, truth))
    # No grid of round numbers finds the place in these two.
    for scores, truth in (
        ([0.50002, 0.9, 0.1, 0.50001, 0.50003], [True, True, False, False, True]),
        ([12.0, -3.0, 7.0, 2.0], [True, False, True, False]),
    ):
        yield Case((np.array(scores), np.array(truth)), judge=_is_best_for(scores, truth))
    # Four sure hits and no false alarm, or all ten hits and eight false alarms: fewer answers are
    # wrong with the first, F1 is higher with the second.
    scores = np.repeat([0.9, 0.4, 0.3, 0.1], [4, 8, 6, 20])
    truth = (scores == 0.9) | (scores == 0.3)
    yield Case((scores, truth), judge=_is_best_for(scores, truth))
    for count, share, centre in ((41, 0.5, 0.7), (60, 0.2, 0.1), (200, 0.1, 0.02), (100, 0.6, 0.9)):
        truth = rng.random(count) < share
        truth[:2] = True, False
        noise = rng.normal(0, 0.8, count)
        scores = 1 / (1 + np.exp(-(noise + 2 * truth + math.log(centre / (1 - centre)))))
        yield Case((scores, truth), judge=_is_best_for(scores, truth))


def _f1_at(threshold: float, scores: np.ndarray, truth: np.ndarray) -> float:
    return _three(scores >= threshold, truth)[2]


def _is_best_for(scores: Any, truth: Any) -> Callable[[Any], str | None]:
    scores, truth = np.asarray(scores), np.asarray(truth)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best, highest = float(thresholds[f1[:-1].argmax()]), float(f1.max())

    def judge(got: Any) -> str | None:
        if is_array(got) and to_numpy(got).shape == ():
            got = to_numpy(got).item()
        if isinstance(got, bool) or not isinstance(got, numbers.Real):
            return difference(got, best)
        threshold = float(got)
        reached = _f1_at(threshold, scores, truth)
        if reached > highest - 1e-9:
            return None
        digits = 4 if f"{threshold:.4g}" != f"{best:.4g}" else 12
        problem = (
            f"with the threshold {threshold:.{digits}g} F1 is {reached:.3f}; with "
            f"{best:.{digits}g} it would be {highest:.3f}."
        )
        if threshold in scores:
            return problem
        if np.isclose(scores, threshold, rtol=1e-6).any():
            return f"{problem} The score was rounded on the way: return it as it is."
        return f"{problem} Yours is none of the scores: try the scores themselves."

    return judge


def _threshold_by(quality: Callable[..., float]) -> Callable[..., float]:
    """The score at which `quality(answers, truth)` is highest."""

    def answer(scores: np.ndarray, truth: np.ndarray) -> float:
        candidates = np.unique(scores)
        return float(max(candidates, key=lambda t: quality(scores >= t, truth)))

    return answer


BEST_THRESHOLD = Exercise(
    name="training_well.best_threshold",
    title="Move the threshold",
    minutes=8,
    difficulty=2,
    reference=reference.best_threshold,
    cases=_threshold_cases,
    mistakes=(
        Mistake(
            lambda s, t: max(_f1_at(threshold, s, t) for threshold in s),
            "That is the best F1 itself; return the threshold that reaches it.",
        ),
        Mistake(
            lambda s, t: int(np.argmax([_f1_at(threshold, s, t) for threshold in np.unique(s)])),
            "That is the *position* of the best candidate; return the threshold at that position.",
        ),
        Mistake(
            lambda s, t: int(np.argmax([_f1_at(threshold, s, t) for threshold in s])),
            "That is the *position* of the best candidate; return the threshold at that position.",
        ),
        Mistake(
            _threshold_by(lambda said, truth: (said == truth).mean()),
            "That threshold has the highest accuracy; here F1 decides.",
        ),
        Mistake(
            _threshold_by(lambda said, truth: _three(said, truth)[0]),
            "That threshold has the highest precision; F1 needs recall as well. (If you compared "
            "all that `precision_recall_f1` gives: F1 is the last of three values, `[2]`.)",
        ),
        Mistake(
            _threshold_by(lambda said, truth: _three(said, truth)[1]),
            "That threshold has the highest recall: nearly everything is a yes. Here F1 decides.",
        ),
        Mistake(
            _threshold_by(lambda said, truth: -_three(said, truth)[2]),
            "That threshold has the *lowest* F1.",
        ),
        *(
            Mistake(
                wrong,
                "`precision_recall_f1` gives three values, and `argmax` counts through all of "
                "them: F1 is the last one, `[2]`.",
            )
            for wrong in (
                lambda s, t: np.unique(s)[
                    np.argmax([_three(s >= threshold, t) for threshold in np.unique(s)])
                ],
                lambda s, t: s[np.argmax([_three(s >= threshold, t) for threshold in s])],
            )
        ),
        *(
            Mistake(
                lambda s, t, candidates=candidates, index=index: index(s)[
                    np.argmax([_f1_at(threshold, s, t) for threshold in candidates(s)])
                ],
                "The position belongs to the list that you went through: index those candidates, "
                "not another array.",
            )
            for candidates, index in (
                (np.unique, lambda s: s),
                (lambda s: s, np.unique),
                (np.sort, lambda s: s),
            )
        ),
        Mistake(
            lambda s, t: max(np.unique(s), key=lambda threshold: _three(s <= threshold, t)[2]),
            "Your answer is yes where `score <= t`; here it is yes where `score >= t`.",
        ),
        Mistake(
            lambda s, t: 0.5,
            "0.5 is where we start from; look for the threshold with the highest F1.",
        ),
        *(
            Mistake(
                lambda s, t, grid=grid: max(grid, key=lambda threshold: _f1_at(threshold, s, t)),
                "Steps of equal size can step over the best place, and need not cover all scores: "
                "try the scores themselves.",
            )
            for grid in (
                np.linspace(0, 1, 11),
                np.linspace(0, 1, 101),
                np.linspace(0, 1, 100),
                np.linspace(0, 1, 1001),
                np.arange(0, 1, 0.1),
                np.arange(0, 1, 0.01),
            )
        ),
        Mistake(
            lambda s, t: max(np.unique(s), key=lambda threshold: _three(s > threshold, t)[2]),
            "Your F1 belongs to `score > t`; here an answer is yes where `score >= t`.",
        ),
    ),
    hints=(
        "Between two neighbouring scores nothing changes, so it is enough to try the scores "
        "themselves: `np.unique(scores)`.",
        "For each candidate, `precision_recall_f1(scores >= candidate, is_yes)[2]` is its F1.",
        "`np.argmax(list_of_f1)` is the position of the largest; return the candidate there.",
    ),
)

EXERCISES = (
    STANDARDISE,
    PRECISION_RECALL_F1,
    ROC_AUC,
    EVALUATE,
    RANDOM_SHIFT,
    CLASS_WEIGHTS,
    BEST_THRESHOLD,
)
