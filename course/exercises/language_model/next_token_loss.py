"""language_model.next_token_loss: the bug hunt in which a model may copy its input."""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import Sentence, sentence_or_difference, tensor
from course.models import language_model


class _Table(nn.Module):
    """A model whose logits depend on the token alone; it notes whether it was asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.has_read = False

    def forward(self, tokens: Tensor) -> Tensor:
        self.has_read = True
        return self.logits[tokens]


def _next_token_loss_cases(rng: np.random.Generator) -> Iterator[Case]:
    """By hand: one row of two tokens, in which the next has the probability 3/4."""
    by_hand = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    yield _case(by_hand, torch.tensor([[0, 1]]))
    for batch, num_tokens, symbols in ((1, 3, 3), (3, 2, 4), (2, 6, 5), (4, 4, 3)):
        tokens = torch.tensor(rng.integers(0, symbols, (batch, num_tokens)))
        yield _case(tensor(rng, symbols, symbols, scale=2), tokens)


def _case(logits: Tensor, tokens: Tensor) -> Case:
    truth = _by_loop(logits, tokens)
    return Case(
        (logits, tokens),
        truth,
        judge=partial(sentence_or_difference, truth=truth),
        call=_call,
        names=("the model's logits after each token", "tokens"),
    )


def _by_loop(logits: Tensor, tokens: Tensor) -> Tensor:
    """The mean of -log probability over all places but the first of each row."""
    found = []
    for row in tokens.tolist():
        for token, following in itertools.pairwise(row):
            powers = [math.exp(value) for value in logits[token].tolist()]
            found.append(-math.log(powers[following] / sum(powers)))
    return torch.tensor(sum(found) / len(found))


def _call(answer: Callable, logits: Tensor, tokens: Tensor) -> Any:
    """The loss; or a sentence where the model was not asked, or cannot learn from the loss."""
    model = _Table(logits)
    loss = answer(model, tokens)
    if isinstance(loss, float):
        return Sentence(
            "it returned a plain Python number, from which nothing can be learned: return the "
            "tensor that `cross_entropy` gives, without `.item()`."
        )
    if not model.has_read:
        return Sentence("the model is never asked: `model(…)` gives the logits.")
    if not torch.is_tensor(loss):
        return loss
    if not loss.requires_grad:
        return Sentence(
            "nothing can be learned from this loss: compute it without `.detach()`, and not under "
            "`torch.no_grad()`."
        )
    return loss.detach()


Pairing = Callable[[Any, Tensor], tuple[Tensor, Tensor]]


def _shifted(model: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    return model(tokens[:, :-1]), tokens[:, 1:]


def _of(
    pairing: Pairing = _shifted, finish: Callable[[Tensor, Tensor], Tensor] | None = None
) -> Callable[[Any, Tensor], Tensor]:
    """A loss that may pair or finish wrongly: logits [B, T, V] and targets [B, T]."""

    def answer(model: Any, tokens: Tensor) -> Tensor:
        logits, targets = pairing(model, tokens)
        if finish is not None:
            return finish(logits, targets)
        return functional.cross_entropy(logits.transpose(1, 2), targets)

    return answer


def _sum_over_tokens(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.transpose(1, 2), targets, reduction="sum")


def _per_sequence(logits: Tensor, targets: Tensor) -> Tensor:
    return _sum_over_tokens(logits, targets) / len(targets)


def _softmax_twice(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(torch.softmax(logits, -1).transpose(1, 2), targets)


def _mixed_axes(logits: Tensor, targets: Tensor) -> Tensor:
    batch, num_tokens, symbols = logits.shape
    return functional.cross_entropy(logits.reshape(batch, symbols, num_tokens), targets)


def _only_the_last(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits[:, -1], targets[:, -1])


def _perplexity(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.transpose(1, 2), targets).exp()


def _bits(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.transpose(1, 2), targets) / math.log(2)


COPIES = (
    "The targets are still the tokens that the model reads at the same place: it need only copy. "
    "The target of each place is the token *behind* it, `tokens[:, 1:]`."
)
NEXT_SYMBOL = (
    "`+ 1` gives the next one in the list of symbols; the next one in the *text* stands a place "
    "further on: `tokens[:, 1:]`."
)

NEXT_TOKEN_LOSS = Exercise(
    name="language_model.next_token_loss",
    title="The loss of a model that copies",
    minutes=6,
    difficulty=2,
    reference=language_model.next_token_loss,
    cases=_next_token_loss_cases,
    mistakes=(
        Mistake(_of(lambda model, tokens: (model(tokens[:, :-1]), tokens[:, :-1])), COPIES),
        Mistake(_of(lambda model, tokens: (model(tokens), tokens)), COPIES),
        Mistake(_of(lambda model, tokens: (model(tokens[:, 1:]), tokens[:, 1:])), COPIES),
        Mistake(_of(lambda model, tokens: (model(tokens[:, :-1])[:, 1:], tokens[:, 1:-1])), COPIES),
        Mistake(
            _of(lambda model, tokens: (model(tokens[:, 1:]), tokens[:, :-1])),
            "The model reads the later tokens and is to say the earlier ones: it goes backwards. "
            "It reads `tokens[:, :-1]`.",
        ),
        Mistake(
            _of(lambda model, tokens: (model(tokens), tokens.roll(-1, 1))),
            "`roll` puts the first token behind the last one, as if the text were a ring: leave "
            "out the last place, which has no next token.",
        ),
        Mistake(
            _of(lambda model, tokens: (model(tokens), tokens.roll(1, 1))),
            "The targets moved the wrong way: the model is to say the token *before*. And `roll` "
            "makes a ring of the text. `tokens[:, 1:]` are the next tokens.",
        ),
        Mistake(
            _of(lambda model, tokens: (model(tokens[:, :-1])[:, :-1], tokens[:, 1:-1])),
            "The last token of each row is never asked for: `tokens` had lost it before the "
            "targets were taken. Take both from the whole row.",
        ),
        Mistake(
            _of(lambda model, tokens: (model(tokens[:, :-2]), tokens[:, 2:])),
            "The model is to say the token after the next one: you moved the targets twice.",
        ),
        Mistake(
            _of(lambda model, tokens: (model(tokens[:, :-1]), tokens[:, :-1] + 1)), NEXT_SYMBOL
        ),
        Mistake(
            _of(finish=_sum_over_tokens),
            "This is the sum over all tokens; the mean is asked for, so that the loss does not "
            "depend on how many there are.",
        ),
        Mistake(
            _of(finish=_per_sequence),
            "You divided the sum by the number of rows; divide by the number of tokens: the mean "
            "over all.",
        ),
        Mistake(
            _of(finish=_softmax_twice),
            "`cross_entropy` applies the softmax itself: give it the logits as they are.",
        ),
        Mistake(
            _of(finish=_mixed_axes),
            "A reshape does not swap axes, it cuts the numbers anew: `logits.transpose(1, 2)` "
            "gives [B, V, T].",
        ),
        Mistake(
            _of(finish=_only_the_last),
            "Only the last token of each row counts in yours. With the causal mask every place is "
            "a question of its own: all T count.",
        ),
        Mistake(
            _of(finish=_perplexity),
            "This is the perplexity; the loss is its logarithm, the mean surprise.",
        ),
        Mistake(
            _of(finish=_bits),
            "This is in bits; the loss is in nats, as `cross_entropy` gives it.",
        ),
    ),
    advice=(
        (r"Target \d+ is out of bounds", f"Did you add 1 to the tokens? {NEXT_SYMBOL}"),
        (
            r"Expected target size|Expected input batch_size|size mismatch|batch_size",
            "Logits and targets have to be of equal length: for each row T places, of which "
            "`cross_entropy` wants the logits as [B, V, T]. (Was `tokens` cut before the targets "
            "were taken from it?)",
        ),
    ),
    hints=(
        "Write five tokens in a row on paper, and below each what the model should answer there.",
        "The last token is never read, and the first is never asked for.",
        "The model reads `tokens[:, :-1]`, and the targets are `tokens[:, 1:]`.",
    ),
)
