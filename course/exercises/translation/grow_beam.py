"""translation.grow_beam: of all ways to write on, the likeliest few."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import translation

NAMES = ("the scores", "the numbers of the hypotheses", "the tokens")


def _grow_beam_cases(rng: np.random.Generator) -> Iterator[Case]:
    """K hypotheses, V tokens, and a width; the last may be more than there are."""
    for num_hypotheses, num_tokens, width in (
        (1, 3, 2),
        (2, 3, 2),
        (3, 5, 4),
        (4, 6, 3),
        (2, 2, 9),
    ):
        scores = -tensor(rng, num_hypotheses).abs()
        log_probabilities = torch.log_softmax(tensor(rng, num_hypotheses, num_tokens), dim=1)
        every = [
            (scores[one].item() + log_probabilities[one, token].item(), one, token)
            for one in range(num_hypotheses)
            for token in range(num_tokens)
        ]
        best = sorted(every, reverse=True)[:width]
        truth = (
            torch.tensor([score for score, _, _ in best]),
            *(torch.tensor([entry[which] for entry in best]) for which in (1, 2)),
        )
        yield Case((scores, log_probabilities, width), truth, judge=partial(_judge, truth=truth))


def _judge(got: Any, truth: tuple[Tensor, ...]) -> str | None:
    if not isinstance(got, tuple | list) or len(got) != 3:
        return f"it should return three tensors: {', '.join(NAMES)}."
    for name, one, other in zip(NAMES, got, truth, strict=True):
        if problem := difference(one, other):
            return f"{name}: {problem}"
    return None


def _best(
    together: Callable[[Tensor, Tensor], Tensor] = lambda scores, logs: scores[:, None] + logs,
    largest: bool = True,
    split: Callable[[Tensor, int, int], tuple[Tensor, Tensor]] = lambda places, count, size: (
        places // size,
        places % size,
    ),
) -> Callable[[Tensor, Tensor, int], Any]:
    """The right answer, in pieces that may go wrong."""

    def answer(scores: Tensor, log_probabilities: Tensor, width: int) -> Any:
        sums = together(scores, log_probabilities)
        best = sums.flatten().topk(min(width, sums.numel()), largest=largest)
        return best.values, *split(best.indices, *log_probabilities.shape)

    return answer


def _one_each(scores: Tensor, log_probabilities: Tensor, width: int) -> Any:
    best = log_probabilities.max(dim=1)
    sums = scores + best.values
    order = sums.argsort(descending=True)[:width]
    return sums[order], order, best.indices[order]


def _first_of_each_row(scores: Tensor, log_probabilities: Tensor, width: int) -> Any:
    best = (scores[:, None] + log_probabilities).topk(min(width, log_probabilities.shape[1]), dim=1)
    rows = torch.arange(len(scores)).repeat_interleave(best.values.shape[1])
    return best.values.flatten()[:width], rows[:width], best.indices.flatten()[:width]


def _scores_of_the_tokens(scores: Tensor, log_probabilities: Tensor, width: int) -> Any:
    _, rows, tokens = _best()(scores, log_probabilities, width)
    return log_probabilities[rows, tokens], rows, tokens


def _divided_by_width(scores: Tensor, log_probabilities: Tensor, width: int) -> Any:
    return _best(split=lambda places, count, size: (places // width, places % width))(
        scores, log_probabilities, width
    )


def _of_the_best_alone(scores: Tensor, log_probabilities: Tensor, width: int) -> Any:
    first = scores.argmax()
    sums = scores[first] + log_probabilities[first]
    best = sums.topk(min(width, len(sums)))
    return best.values, torch.full_like(best.indices, int(first)), best.indices


GROW_BEAM = Exercise(
    name="translation.grow_beam",
    title="The likeliest ways to write on",
    minutes=10,
    difficulty=3,
    reference=translation.grow_beam,
    cases=_grow_beam_cases,
    mistakes=(
        Mistake(
            _best(lambda scores, logs: logs),
            "The scores so far are lost: a token's log-probability is added to its hypothesis's "
            "score.",
        ),
        Mistake(
            _best(lambda scores, logs: scores[:, None] * logs),
            "Log-probabilities are added (probabilities would be multiplied).",
        ),
        Mistake(
            _best(lambda scores, logs: scores[:, None] + logs.exp()),
            "You add a probability to a log-probability; leave both as logarithms.",
        ),
        Mistake(
            _best(lambda scores, logs: (scores[:, None] + logs).exp()),
            "The best ones are right; but scores stay log-probabilities: leave out `exp`.",
        ),
        Mistake(
            _best(lambda scores, logs: (scores[:, None] + logs) / 2),
            "The score is the sum, not the mean.",
        ),
        Mistake(_best(largest=False), "These are the *un*likeliest ways to write on."),
        Mistake(
            _best(split=lambda places, count, size: (places % size, places // size)),
            "The numbers of the hypotheses and the tokens have changed places.",
        ),
        Mistake(
            _best(split=lambda places, count, size: (places // count, places % count)),
            "You divided by the number of hypotheses; a row of the table has as many places as "
            "there are *tokens*.",
        ),
        Mistake(
            _divided_by_width,
            "You divided by `width`; a row of the table has as many places as there are *tokens*, "
            "`log_probabilities.shape[1]`.",
        ),
        Mistake(
            _best(split=lambda places, count, size: (places / size, places % size)),
            "The number of a row is a whole number: divide with `//`.",
        ),
        Mistake(
            _best(split=lambda places, count, size: (places // size, places)),
            "The tokens are still places in the flattened table: the rest of the division by the "
            "number of tokens is the token.",
        ),
        Mistake(
            _one_each,
            "Each hypothesis goes on with its best token alone. Two of the likeliest ways may go "
            "on from the same hypothesis: compare all K · V.",
        ),
        Mistake(
            _first_of_each_row,
            "You took the best of each row, one row after the other; of them all the best `width` "
            "are asked for, likeliest first.",
        ),
        Mistake(
            _scores_of_the_tokens,
            "The right ones are chosen; but their scores are those of the *whole* so far: the "
            "hypothesis's score and the token's log-probability together.",
        ),
        Mistake(
            _of_the_best_alone,
            "Only the best hypothesis goes on; the others may overtake it: compare all K · V.",
        ),
    ),
    advice=(
        (
            r"selected index k out of range",
            "There may be fewer than `width` ways to write on: `min(width, len(…))`.",
        ),
        (
            r"must match the size of tensor",
            "The scores [K] belong to the rows: `scores[:, None]` is [K, 1].",
        ),
    ),
    hints=(
        "A table [K, V]: row k, column v is the score of hypothesis k plus the log-probability of "
        "token v behind it.",
        "`table.flatten().topk(width)` gives values and places. Which row and column is place 7 of "
        "a table with 5 columns?",
        "Row `places // V`, column `places % V`; and no more than the table has: `min(width, "
        "len(flat))`.",
    ),
)
