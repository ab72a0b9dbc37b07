"""training_well.evaluate: accuracy over all batches, in the right mode."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.checking.values import is_array, to_numpy, type_name
from course.models import training_well as reference


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
