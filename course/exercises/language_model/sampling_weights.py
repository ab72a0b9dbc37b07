"""language_model.sampling_weights: how boldly the next token is drawn."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import tensor
from course.models import language_model


def _sampling_weights_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand, with the probabilities 1/2, 1/4, 1/8 and 1/8 in some order."""
    logits = torch.tensor([0.25, 0.5, 0.125, 0.125]).log()
    yield Case((logits,), torch.tensor([0.25, 0.5, 0.125, 0.125]))
    yield Case((logits, 0.5), torch.tensor([4, 16, 1, 1]) / 22)
    yield Case((logits, 1.0, 0.4), torch.tensor([0.0, 1.0, 0.0, 0.0]))
    yield Case((logits, 1.0, 0.6), torch.tensor([1.0, 2.0, 0.0, 0.0]) / 3)
    for shape, temperature, top_p in (
        ((5,), 2.0, 1.0),
        ((6,), 1.0, 0.7),
        ((3, 7), 0.8, 0.6),
        ((2, 3, 5), 1.5, 0.85),
        ((4, 6), 0.01, 1e-6),
    ):
        logits = tensor(rng, *shape, scale=2)
        yield Case((logits, temperature, top_p), _row_by_row(logits, temperature, top_p))


def _row_by_row(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """From Python's own numbers: the likeliest are taken until they have enough."""
    result = torch.zeros(logits.shape)
    for place in np.ndindex(logits.shape[:-1]):
        row = [value / temperature for value in logits[place].tolist()]
        powers = [math.exp(value - max(row)) for value in row]
        likeliest = sorted(range(len(row)), key=lambda token: -powers[token])
        together, kept = 0.0, []
        for token in likeliest:
            kept.append(token)
            together += powers[token] / sum(powers)
            if together >= top_p:
                break
        for token in kept:
            result[(*place, token)] = powers[token] / sum(powers[other] for other in kept)
    return result


Keep = Callable[[Tensor, float], Tensor]  # ordered probabilities → True for those that stay


def _keep(ordered: Tensor, top_p: float) -> Tensor:
    return ordered.cumsum(-1) - ordered < top_p


def _put_back(tokens: Tensor, kept: Tensor) -> Tensor:
    return torch.zeros_like(kept).scatter(-1, tokens, kept)


def _with(
    soften: Callable[[Tensor, float], Tensor] = lambda logits, temperature: torch.softmax(
        logits / temperature, -1
    ),
    keep: Keep = _keep,
    rescale: Callable[[Tensor], Tensor] = lambda kept: kept / kept.sum(-1, keepdim=True),
    descending: bool = True,
    put_back: Callable[[Tensor, Tensor], Tensor] = _put_back,
) -> Callable:
    """The right answer, in pieces that may go wrong."""

    def answer(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
        probabilities = soften(logits, temperature)
        ordered, tokens = probabilities.sort(-1, descending=descending)
        kept = rescale(ordered.masked_fill(~keep(ordered, top_p), 0))
        return put_back(tokens, kept)

    return answer


def _first_temperature_last(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Any:
    """Top-p chooses among the probabilities at temperature 1."""
    kept = language_model.sampling_weights(logits, 1.0, top_p) > 0
    return torch.softmax((logits / temperature).masked_fill(~kept, float("-inf")), -1)


def _above_a_probability(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Any:
    probabilities = torch.softmax(logits / temperature, -1)
    kept = probabilities.masked_fill(probabilities < 1 - top_p, 0)
    return kept / kept.sum(-1, keepdim=True)


def _along_the_first_axis(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Any:
    turned = logits.transpose(0, -1)
    return language_model.sampling_weights(turned, temperature, top_p).transpose(0, -1)


def _logits_of_0(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Any:
    kept = language_model.sampling_weights(logits, temperature, top_p) > 0
    return torch.softmax(logits / temperature * kept, -1)


TAKES = (
    "An index, or `gather`, takes *from* the places `tokens`; here each weight has to be put *to* "
    "its place: `scatter`."
)

SAMPLING_WEIGHTS = Exercise(
    name="language_model.sampling_weights",
    title="How boldly it writes",
    minutes=12,
    difficulty=3,
    reference=language_model.sampling_weights,
    cases=_sampling_weights_cases,
    mistakes=(
        Mistake(
            _with(soften=lambda logits, temperature: torch.softmax(logits, -1)),
            "The temperature is not used: divide the logits by it, before the softmax.",
        ),
        Mistake(
            _with(soften=lambda logits, temperature: torch.softmax(logits * temperature, -1)),
            "You multiplied by the temperature: a high one should make the weights more alike, so "
            "divide.",
        ),
        Mistake(
            _with(soften=lambda logits, temperature: torch.softmax(logits, -1) / temperature),
            "You divided the probabilities by the temperature, which the last step undoes: divide "
            "the logits, before the softmax.",
        ),
        Mistake(
            _with(keep=lambda ordered, top_p: torch.ones_like(ordered, dtype=torch.bool)),
            "`top_p` is not used: only the likeliest tokens stay, as few as together have at least "
            "top_p.",
        ),
        Mistake(
            _with(keep=lambda ordered, top_p: ordered.cumsum(-1) <= top_p),
            "The token that brings the sum to top_p belongs to those that stay. Compare what the "
            "likelier ones have *before* it: cumsum - ordered.",
        ),
        Mistake(
            _with(keep=lambda ordered, top_p: ordered.cumsum(-1) < top_p),
            "The token that brings the sum to top_p belongs to those that stay. Compare what the "
            "likelier ones have *before* it: cumsum - ordered.",
        ),
        Mistake(
            _with(rescale=lambda kept: kept),
            "What stays no longer adds up to 1: divide by its sum.",
        ),
        Mistake(
            _with(rescale=lambda kept: torch.softmax(kept, -1)),
            "A second softmax gives the tokens that were taken out a weight again: divide by the "
            "sum instead.",
        ),
        Mistake(
            _with(descending=False),
            "You sorted from the smallest on, so the *unlikely* tokens stay: "
            "`sort(descending=True)`.",
        ),
        Mistake(
            _with(put_back=lambda tokens, kept: kept),
            "The weights are still in the order of their size: put each back to the place of its "
            "token, with `scatter`.",
        ),
        Mistake(_with(put_back=lambda tokens, kept: kept.gather(-1, tokens)), TAKES),
        Mistake(_with(put_back=lambda tokens, kept: kept[tokens]), TAKES),
        Mistake(
            _with(keep=lambda ordered, top_p: ordered >= top_p),
            "You compared each token's own probability with top_p; it is the *sum* of the "
            "likeliest that has to reach it.",
        ),
        Mistake(
            _above_a_probability,
            "You took out every token whose own probability is below 1 - top_p; it is the *sum* of "
            "the likeliest that has to reach top_p.",
        ),
        Mistake(
            _first_temperature_last,
            "Top-p chose among the probabilities at temperature 1: the temperature comes first.",
        ),
        Mistake(
            _along_the_first_axis,
            "Each row is a question of its own: softmax, sort and sums go along the last axis, "
            "`dim=-1`.",
        ),
        Mistake(
            _logits_of_0,
            "A logit of 0 is not the probability 0, as e⁰ = 1. That of -∞ is.",
        ),
        Mistake(
            _with(rescale=lambda kept: kept / kept.sum()),
            "You divided by the sum over all rows; each row has to add up to 1: "
            "`.sum(dim=-1, keepdim=True)`.",
        ),
    ),
    advice=(
        (
            r"must match the size|broadcast",
            "The sum of each row needs its axis: `.sum(dim=-1, keepdim=True)`.",
        ),
    ),
    hints=(
        "Softmax of logits / temperature; sort from the largest; a running sum; take out; divide "
        "by the sum; put back.",
        "`ordered, tokens = probabilities.sort(dim=-1, descending=True)`. What the likelier tokens "
        "have is `ordered.cumsum(dim=-1) - ordered`; where it is top_p or more, the token goes.",
        "`torch.zeros_like(probabilities).scatter(-1, tokens, kept)` puts each back to its place.",
    ),
)
