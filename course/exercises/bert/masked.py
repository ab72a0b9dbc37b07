"""bert.masked: which tokens are hidden, and how."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.models import bert
from course.models.bert import MASK, NOT_ASKED, SPECIAL_TOKENS

FIRST = len(SPECIAL_TOKENS)


def _masked_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Counts lie within five standard deviations: a right answer fails once in a million draws."""
    for shape, num_symbols, rate in (((2, 4), 12, 0.5), ((200, 100), 2000, 0.15)):
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
    if problem := _share("of the tokens that are not special", "is chosen", asked[~special], rate):
        return problem
    to_mask, same = inputs[asked] == MASK, inputs[asked] == tokens[asked]
    what = "of the chosen tokens"
    if problem := _share(what, "became [MASK]", to_mask, 0.8):
        return problem
    if problem := _share(what, "stayed as it was", same, 0.1, slack=1.5 / num_symbols):
        return problem
    drawn = inputs[asked][~to_mask & ~same]
    if len(drawn) and ((drawn < FIRST) | (drawn >= num_symbols)).any():
        return (
            f"as a random token it drew {int(drawn.min())} to {int(drawn.max())}; only {FIRST} to "
            f"{num_symbols - 1} are tokens that are not special."
        )
    if len(drawn) > 100 and len(drawn.unique()) < len(drawn) / 3:
        return (
            f"{len(drawn)} chosen places got only {len(drawn.unique())} different random tokens: "
            "draw one for each place."
        )
    if len(drawn) > 100 and drawn.max() < 0.9 * num_symbols:
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
    if (asked & special).any():
        number = int(tokens[asked & special][0])
        return f"{SPECIAL_TOKENS[number]} was chosen; special tokens never are."
    if (targets[asked] == MASK).all() and asked.any():
        return "the targets are [MASK]: they should be the tokens that stood there *before*."
    if (targets[asked] != tokens[asked]).any():
        place = (asked & (targets != tokens)).nonzero()[0].tolist()
        return (
            f"the target at {place} is {int(targets[*place])}; {int(tokens[*place])} stood there, "
            f"and places that were not chosen have {NOT_ASKED}."
        )
    if (inputs != tokens)[~asked].any():
        place = ((inputs != tokens) & ~asked).nonzero()[0].tolist()
        return f"the input at {place} was changed, but no target asks for it."
    return None


def _share(what: str, happened: str, found: Tensor, share: float, slack: float = 0) -> str | None:
    if len(found) < 300:
        return None
    seen = found.float().mean().item()
    allowed = 5 * (share * (1 - share) / len(found)) ** 0.5 + slack
    if abs(seen - share) <= allowed:
        return None
    return f"{seen:.1%} {what} {happened}; it should be about {share:.0%}."


def _with(
    chosen: Callable[[Tensor, float], Tensor] = lambda tokens, rate: (
        (torch.rand(tokens.shape) < rate) & (tokens >= FIRST)
    ),
    bounds: tuple[float, float] = (0.8, 0.9),
    lowest: int = FIRST,
    one_for_all: bool = False,
    targets: Callable[[Tensor, Tensor], Tensor] = lambda tokens, chosen: torch.where(
        chosen, tokens, NOT_ASKED
    ),
    anew: bool = False,
) -> Callable:
    def answer(tokens: Tensor, num_symbols: int, rate: float = 0.15) -> tuple[Tensor, Tensor]:
        picked = chosen(tokens, rate)
        kind = torch.rand(tokens.shape)
        shape = (1,) if one_for_all else tokens.shape
        anything = torch.randint(lowest, num_symbols, shape).expand(tokens.shape)
        inputs = torch.where(picked & (kind < bounds[0]), MASK, tokens)
        kind_again = torch.rand(tokens.shape) if anew else kind
        some = picked & (kind_again >= bounds[0]) & (kind_again < bounds[1])
        return torch.where(some, anything, inputs), targets(tokens, picked)

    return answer


def _changes_the_input(tokens: Tensor, num_symbols: int, rate: float = 0.15) -> Any:
    inputs, targets = bert.masked(tokens, num_symbols, rate)
    tokens[:] = inputs
    return tokens, targets


def _everything_is_a_target(tokens: Tensor, chosen: Tensor) -> Tensor:
    return tokens.clone()


MASKED = Exercise(
    name="bert.masked",
    title="Hide words",
    minutes=10,
    difficulty=3,
    reference=bert.masked,
    cases=_masked_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _with(chosen=lambda tokens, rate: torch.rand(tokens.shape) < rate),
            "Special tokens were chosen too. `tokens >= len(SPECIAL_TOKENS)` is True for the "
            "others.",
        ),
        Mistake(
            _with(bounds=(1.0, 1.0)),
            "All chosen tokens become [MASK]. But later, when the model is used, there is no "
            "[MASK]; so 10 % become another token and 10 % stay.",
        ),
        Mistake(
            _with(bounds=(0.8, 1.0)),
            "20 % become another token and none stays; it should be 10 % and 10 %.",
        ),
        Mistake(
            _with(bounds=(0.8, 0.8)),
            "20 % stay and none becomes another token; it should be 10 % and 10 %.",
        ),
        Mistake(
            _with(bounds=(0.1, 0.9)),
            "80 % become another token and 10 % [MASK]; it should be the other way round.",
        ),
        Mistake(
            _with(anew=True),
            "You drew a second time for the random tokens: so some of those that were [MASK] "
            "became another token. Draw once, and cut the range from 0 to 1 in three.",
        ),
        Mistake(
            _with(lowest=0),
            "A random token can be a special one in yours, such as [PAD]; they begin with number "
            "`len(SPECIAL_TOKENS)`.",
        ),
        Mistake(
            _with(one_for_all=True),
            "One random token serves all places; draw one for each: "
            "`torch.randint_like(tokens, …, num_symbols)`.",
        ),
        Mistake(
            _with(targets=_everything_is_a_target),
            "Every place has a target. Where nothing was chosen it should be NOT_ASKED.",
        ),
        Mistake(
            _with(targets=lambda tokens, chosen: torch.where(chosen, NOT_ASKED, tokens)),
            "The targets are the wrong way round: the *chosen* places are asked for.",
        ),
        Mistake(
            _with(targets=lambda tokens, chosen: torch.where(chosen, tokens, 0)),
            "Places that are not chosen have the target NOT_ASKED; 0 is the token [PAD].",
        ),
        Mistake(
            _changes_the_input,
            "The tokens that were given have changed. `torch.where` makes a new tensor.",
        ),
    ),
    hints=(
        "First, which places? `torch.rand(tokens.shape) < rate`, and no special token.",
        "Then a second number for each place, `kind = torch.rand(tokens.shape)`: below 0.8 "
        "[MASK], from 0.8 to 0.9 a random token.",
        "`torch.where(condition, this, that)` puts two tensors, or a tensor and a number, "
        "together. `torch.randint_like(tokens, len(SPECIAL_TOKENS), num_symbols)` draws tokens.",
    ),
)
