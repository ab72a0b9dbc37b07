"""bert.masked: which tokens are hidden, and how."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise
from course.models import bert
from course.models.bert import MASK, NOT_ASKED, SPECIAL_TOKENS

FIRST = len(SPECIAL_TOKENS)


def _masked_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Counts lie within five standard deviations: a right answer fails once in a million draws."""
    for shape, num_symbols, rate in (
        ((2, 4), 12, 0.5),
        ((200, 100), 40, 0.15),
        ((100, 60), 40, 0.4),
    ):
        tokens = torch.tensor(rng.integers(FIRST, num_symbols, shape))
        tokens[:, 0], tokens[:, -1] = bert.CLS, bert.SEP
        if shape[0] > 2:
            tokens[::3, -30:] = bert.PAD
        judge = partial(_judge, tokens=tokens, num_symbols=num_symbols, rate=rate)
        arguments = (tokens, num_symbols) if rate == 0.15 else (tokens, num_symbols, rate)
        yield Case(arguments, judge=judge)


def _judge(got: Any, tokens: Tensor, num_symbols: int, rate: float) -> str | None:
    if problem := _form(got, tokens):
        return problem
    inputs, targets = got
    asked, special = targets != NOT_ASKED, tokens < FIRST
    if problem := _places(inputs, targets, tokens, asked, special):
        return problem
    if problem := _chosen(tokens, asked, special, rate):
        return problem
    to_mask, same = inputs[asked] == MASK, inputs[asked] == tokens[asked]
    what = "of the chosen tokens"
    if to_mask.all() and len(to_mask) > 100:
        return (
            "every chosen token became [MASK]. When the model is used there is no [MASK] later; so "
            "10 % should become another token and 10 % stay."
        )
    masks, chosen = (asked & (inputs == MASK)).sum(1), asked.sum(1)
    if len(chosen) >= 100 and ((masks == 0) | (masks == chosen)).all():
        return (
            "to all chosen tokens of a row the same happens: draw a second number for each place, "
            "not for each row."
        )
    if problem := _share(what, "became [MASK]", to_mask, 0.8):
        return problem
    # A random token can be, by chance, the one that stood there.
    if problem := _share(what, "stayed as it was", same, 0.1 + 0.1 / (num_symbols - FIRST)):
        return problem
    return _random_tokens(inputs[asked][~to_mask & ~same], num_symbols)


def _chosen(tokens: Tensor, asked: Tensor, special: Tensor, rate: float) -> str | None:
    """Whether the places are chosen one by one, all with the same chance."""
    many = len(tokens) >= 100
    in_all_rows, in_no_row = (asked | special).all(0), ~asked.any(0)
    if many and in_no_row[1:-1].any() and (in_all_rows | in_no_row).all():
        return "in each row the same places were chosen: draw a number for each place of each row."
    if many and not asked[tokens == FIRST].any():
        return (
            f"token {FIRST} was never chosen, and it is not special: those are 0 to {FIRST - 1}, "
            "so `tokens >= len(SPECIAL_TOKENS)` are the others."
        )
    problem = _share("of the tokens that are not special", "was chosen", asked[~special], rate)
    return f"with rate={rate}, {problem}" if problem else None


def _random_tokens(drawn: Tensor, num_symbols: int) -> str | None:
    if len(drawn) and ((drawn < FIRST) | (drawn >= num_symbols)).any():
        return (
            f"the random tokens are from {int(drawn.min())} to {int(drawn.max())}; those that are "
            f"not special have the numbers {FIRST} to {num_symbols - 1}."
        )
    if len(drawn) < 100:
        return None
    if len(drawn.unique()) < 0.3 * (num_symbols - FIRST):
        return (
            f"{len(drawn)} chosen places got only {len(drawn.unique())} different random tokens: "
            "draw one for each place, `torch.randint_like(tokens, …, num_symbols)`."
        )
    if drawn.max() < 0.8 * num_symbols:
        return f"the random tokens reach only to {int(drawn.max())} of {num_symbols - 1}."
    return None


def _form(got: Any, tokens: Tensor) -> str | None:
    if not isinstance(got, tuple | list) or len(got) != 2:
        return "two results are asked for: `return inputs, targets`."
    for name, part in zip(("inputs", "targets"), got, strict=True):
        if not torch.is_tensor(part):
            return f"the {name} are of type {type(part).__name__}; a tensor is asked for."
        if part.shape != tokens.shape:
            return f"the {name} have the shape {list(part.shape)} instead of {list(tokens.shape)}."
        if part.dtype != tokens.dtype:
            return f"the {name} are {part.dtype}; they should be {tokens.dtype}, as the tokens."
    return None


def _places(
    inputs: Tensor, targets: Tensor, tokens: Tensor, asked: Tensor, special: Tensor
) -> str | None:
    """What holds for every single place."""
    if asked.all():
        return "every place has a target; where nothing was chosen it should be NOT_ASKED."
    if asked.any() and (targets[asked] == MASK).all():
        return "the targets are [MASK]: they should be the tokens that stood there *before*."
    if (targets[asked] != tokens[asked]).any():
        place = (asked & (targets != tokens)).nonzero()[0].tolist()
        return (
            f"the target at {place} is {int(targets[*place])}; {int(tokens[*place])} stood there, "
            f"and places that were not chosen have {NOT_ASKED}, NOT_ASKED."
        )
    if (asked & special).any():
        number = int(tokens[asked & special][0])
        return (
            f"{SPECIAL_TOKENS[number]} was chosen; special tokens never are. "
            "`tokens >= len(SPECIAL_TOKENS)` is True for the others."
        )
    if (inputs != tokens)[~asked].any():
        place = ((inputs != tokens) & ~asked).nonzero()[0].tolist()
        return f"the input at {place} was changed, but no target asks for it."
    return None


def _share(what: str, happened: str, found: Tensor, share: float) -> str | None:
    if len(found) < 300:
        return None
    seen = found.float().mean().item()
    if abs(seen - share) <= 5 * (share * (1 - share) / len(found)) ** 0.5:
        return None
    return f"{seen:.1%} {what} {happened}; it should be about {share:.0%}."


MASKED = Exercise(
    name="bert.masked",
    title="Hide words",
    minutes=10,
    difficulty=3,
    reference=bert.masked,
    cases=_masked_cases,
    uses_randomness=True,
    hints=(
        "First, which places? `torch.rand(tokens.shape) < rate`, and no special token.",
        "Then a second number for each place, `kind = torch.rand(tokens.shape)`: below 0.8 "
        "[MASK], from 0.8 to 0.9 a random token.",
        "`torch.where(condition, this, that)` puts two tensors, or a tensor and a number, "
        "together. `torch.randint_like(tokens, len(SPECIAL_TOKENS), num_symbols)` draws tokens.",
    ),
)
