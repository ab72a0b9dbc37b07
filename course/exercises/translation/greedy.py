"""translation.greedy: the likeliest token, again and again, until all rows have ended."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import translation
from course.models.translation import BEGIN, END

NUM_SYMBOLS = 9
LOST = 8  # what the model below says to those who do not give it what it has said so far


class _Model:
    """Says what is written for each source, as long as it is given all that it has said before."""

    def __init__(self, answers: list[list[int]]) -> None:
        self.answers = answers

    def encode(self, source: Tensor) -> Tensor:
        return source

    def __call__(self, source: Tensor, target: Tensor, memory: Tensor | None = None) -> Tensor:
        if len(source) != len(target):
            raise ValueError(
                f"the source has {len(source)} rows and the target {len(target)}: every phrase "
                "needs a row in both."
            )
        logits = torch.zeros(*target.shape, NUM_SYMBOLS)
        for row, (which, said) in enumerate(
            zip(source[:, 0].tolist(), target.tolist(), strict=True)
        ):
            answer = [BEGIN, *self.answers[which], *[LOST] * len(said)]
            for place in range(len(said)):
                on_the_way = said[: place + 1] == answer[: place + 1]
                logits[row, place, answer[place + 1] if on_the_way else LOST] = 1
        return logits


def _greedy_cases(rng: np.random.Generator) -> Iterator[Case]:
    """How many tokens each answer has before END (None: it never ends), and how many may come."""
    for lengths, longest in (
        ((1,), 4),
        ((2,), 6),
        ((1, 3, 2), 8),
        ((0, 2), 5),
        ((2, 4), 3),
        ((None, 1), 4),
    ):
        answers = [
            rng.integers(4, LOST, 12 if length is None else length).tolist()
            + [END] * (length is not None)
            for length in lengths
        ]
        order = rng.permutation(len(answers)).tolist()
        source = torch.tensor([[number, 7] for number in order])
        wanted = [answers[number] for number in order]
        yield Case(
            (_Model(answers), source, longest),
            judge=partial(_judge, wanted=wanted, longest=longest),
        )


def _judge(got: Any, wanted: list[list[int]], longest: int) -> str | None:
    """Each row up to its END; how many tokens there are in all."""
    if not torch.is_tensor(got) or got.dim() != 2 or got.dtype != torch.int64:
        return "it should return the tokens as one tensor of whole numbers, [B, T]."
    if len(got) != len(wanted):
        return f"there are {len(got)} rows of tokens for {len(wanted)} phrases."
    for row, (found, answer) in enumerate(zip(got.tolist(), wanted, strict=True)):
        right = answer[:longest]
        if found[: len(right)] != right:
            return f"row {row} is {found}; it should begin with {right}."
    steps = min(longest, max(map(len, wanted)))
    if got.shape[1] > steps:
        return (
            f"it wrote {got.shape[1]} tokens; after {steps} every row had an END, or `longest` was "
            "reached."
        )
    return None


def _with(
    goes_on: Callable[[Tensor, int], bool] = lambda target, longest: (
        target.shape[1] <= longest and not bool((target == END).any(dim=1).all())
    ),
    given: Callable[[Tensor], Tensor] = lambda target: target,
    choose: Callable[[Tensor], Tensor] = lambda logits: logits[:, -1].argmax(dim=1),
    finish: Callable[[Tensor], Tensor] = lambda target: target[:, 1:],
    begin: int = BEGIN,
) -> Callable[..., Any]:
    """The right answer, in pieces that may go wrong."""

    def answer(model: Any, source: Tensor, longest: int) -> Any:
        target = torch.full((len(source), 1), begin)
        while target.shape[1] < 20 and goes_on(target, longest):
            tokens = choose(model(source, given(target)))
            target = torch.cat([target, tokens[:, None]], dim=1)
        return finish(target)

    return answer


def _ends_before_it_writes(
    over: Callable[[Tensor, Tensor], Tensor],
) -> Callable[..., Tensor]:
    """Leaves the loop with the last tokens in hand. over: from these and all before, [B]."""

    def answer(model: Any, source: Tensor, longest: int) -> Tensor:
        target = torch.full((len(source), 1), BEGIN)
        for _ in range(longest):
            tokens = model(source, target)[:, -1].argmax(dim=1)
            if over(tokens, target).all():
                break
            target = torch.cat([target, tokens[:, None]], dim=1)
        return target[:, 1:]

    return answer


def _appends_all_places(model: Any, source: Tensor, longest: int) -> Tensor:
    target = torch.full((len(source), 1), BEGIN)
    while target.shape[1] <= longest and not bool((target == END).any(dim=1).all()):
        target = torch.cat([target, model(source, target).argmax(dim=-1)], dim=1)
    return target[:, 1:]


END_IS_MISSING = (
    "The last END is missing: join the new tokens to the target first, then ask whether all rows "
    "have ended."
)

GREEDY = Exercise(
    name="translation.greedy",
    title="Write the likeliest token, and go on",
    minutes=10,
    difficulty=2,
    reference=translation.greedy,
    cases=_greedy_cases,
    mistakes=(
        Mistake(
            _with(finish=lambda target: target),
            "BEGIN is still there; it was only the start: return `target[:, 1:]`.",
        ),
        Mistake(
            _with(
                lambda target, longest: (
                    target.shape[1] <= longest and not bool((target == END).any())
                )
            ),
            "It stops as soon as *one* row has ended; the others are still being written: `.any("
            "dim=1).all()`.",
        ),
        Mistake(
            _with(
                lambda target, longest: (
                    target.shape[1] <= longest and not bool((target[:, -1] == END).all())
                )
            ),
            "It waits for all rows to end at the *same* step; a row that has ended goes on with "
            "anything. Ask whether each row has an END somewhere.",
        ),
        Mistake(
            _with(lambda target, longest: target.shape[1] <= longest),
            "It always writes `longest` tokens; stop when every row has an END. `.any(dim=1)` asks "
            "of each row whether there is one, `.all()` whether that holds for all rows.",
        ),
        Mistake(
            _with(lambda target, longest: not bool((target == END).any(dim=1).all())),
            "Where a row never comes to its end it goes on for ever: stop after `longest` tokens.",
        ),
        Mistake(
            _with(
                lambda target, longest: (
                    target.shape[1] < longest and not bool((target == END).any(dim=1).all())
                )
            ),
            "One token is missing where `longest` is reached: BEGIN does not count.",
        ),
        Mistake(
            _with(given=lambda target: target[:, -1:]),
            "The model is given the newest token alone; it needs all that it has said so far.",
        ),
        Mistake(
            _with(given=lambda target: target[:, 1:] if target.shape[1] > 1 else target),
            "The model is no longer given BEGIN; it stands at the start each time.",
        ),
        Mistake(
            _with(choose=lambda logits: logits[:, 0].argmax(dim=1)),
            "You took the logits behind the first token; those behind the last one say what comes "
            "next: `[:, -1]`.",
        ),
        Mistake(
            _ends_before_it_writes(
                lambda tokens, target: (tokens == END) | (target == END).any(dim=1)
            ),
            END_IS_MISSING,
        ),
        Mistake(_ends_before_it_writes(lambda tokens, target: tokens == END), END_IS_MISSING),
        Mistake(_with(finish=lambda target: target[:, 1:-1]), "The last token is missing."),
        Mistake(
            _appends_all_places,
            "The logits are [B, T, V], for the token behind *each* place; only the last place's is "
            "new: `[:, -1]`.",
        ),
        Mistake(
            _with(choose=lambda logits: logits[:, -1].argmax(dim=1)[:1].expand(len(logits))),
            "Every row gets the first row's token; each row has a likeliest one of its own.",
        ),
        Mistake(
            _with(choose=lambda logits: logits[:, -1].argmin(dim=1)),
            "This is the *un*likeliest token: `argmax`.",
        ),
        Mistake(
            _with(begin=END),
            "A translation begins with BEGIN; with END it is over before it has begun.",
        ),
        Mistake(
            _with(begin=0),
            "A translation begins with BEGIN; yours begins with PAD.",
        ),
    ),
    advice=(
        (
            r"Sizes of tensors must match|same number of dimensions",
            "The new tokens should be [B], those of the last place, `[:, -1]`; the target is "
            "[B, T]: join `tokens[:, None]` to it, along axis 1.",
        ),
        (
            r"too many indices",
            "`argmax()` gives one number for the whole batch; `argmax(dim=1)` one for each row.",
        ),
    ),
    hints=(
        "A loop: ask the model, take the last place's likeliest token, join it to the target.",
        "`model(source, target, memory)[:, -1].argmax(dim=1)` is [B]; with `[:, None]` it becomes "
        "[B, 1], and `torch.cat([target, …], dim=1)` joins it.",
        "`while target.shape[1] <= longest and not (target == END).any(dim=1).all():`, and at the "
        "end `target[:, 1:]`.",
    ),
)
