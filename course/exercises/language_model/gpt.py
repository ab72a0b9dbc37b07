"""language_model.GPT: embedding, causal blocks, a last norm, and a head tied to the embedding."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.compare import difference
from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.encoder_layer import in_torchs_words
from course.exercises.attention.shared import Sentence, draw_weights, fill
from course.models import language_model
from course.models.attention import causal_mask

ARGUMENTS = ("num_symbols", "num_channels", "num_heads", "num_layers", "longest", "tokens")


def _gpt_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Sizes V, C, H, layers and longest, and how many tokens in how many rows; then with caches."""
    for sizes, batch, num_tokens in (
        ((3, 2, 1, 1, 4), 1, 1),
        ((5, 4, 2, 1, 6), 1, 3),
        ((4, 6, 3, 2, 5), 2, 5),
        ((7, 8, 2, 3, 9), 3, 4),
    ):
        yield _case(rng, sizes, batch, num_tokens, _at_once)
    in_parts = (*ARGUMENTS[:-1], "tokens, the first 3 and then the others, with caches")
    yield _case(rng, (6, 4, 2, 2, 8), 2, 5, _in_two_parts, in_parts)


def _case(
    rng: np.random.Generator,
    sizes: tuple[int, ...],
    batch: int,
    num_tokens: int,
    read: Callable[[nn.Module, Tensor], Any],
    names: tuple[str, ...] = ARGUMENTS,
) -> Case:
    tokens = torch.tensor(rng.integers(0, sizes[0], (batch, num_tokens)))
    weights = draw_weights(rng, language_model.GPT(*sizes))
    truth = _by_torch(weights, sizes, tokens)
    return Case(
        (*sizes, tokens),
        truth,
        judge=partial(_judge, truth=truth),
        call=partial(_result, weights=weights, read=read),
        names=names,
    )


def _by_torch(weights: dict[str, Tensor], sizes: tuple[int, ...], tokens: Tensor) -> Tensor:
    """The same from `nn.TransformerEncoder`, whose mask is True where *nobody* may look."""
    _, channels, heads, layers, _ = sizes
    layer = nn.TransformerEncoderLayer(
        channels, heads, 4 * channels, 0.0, functional.gelu, batch_first=True, norm_first=True
    )
    stack = nn.TransformerEncoder(layer, layers, nn.LayerNorm(channels), enable_nested_tensor=False)
    for number, theirs in enumerate(stack.layers):
        start = f"blocks.{number}."
        own = {
            name.removeprefix(start): value
            for name, value in weights.items()
            if name.startswith(start)
        }
        theirs.load_state_dict(in_torchs_words(own))
    stack.norm.load_state_dict({kind: weights[f"norm.{kind}"] for kind in ("weight", "bias")})
    of_token, of_place = weights["embedding.of_token.weight"], weights["embedding.of_place"]
    num_tokens = tokens.shape[1]
    x = of_token[tokens] + of_place[:num_tokens]
    with torch.no_grad():
        return stack(x, mask=~causal_mask(num_tokens)) @ of_token.T


def _at_once(model: nn.Module, tokens: Tensor) -> Any:
    return model(tokens)


def _in_two_parts(model: nn.Module, tokens: Tensor) -> Any:
    """The first tokens, then, with their keys and values kept, the others."""
    caches = [language_model.KeyValueCache() for _ in model.blocks]
    parts = [model(tokens[:, :3], caches), model(tokens[:, 3:], caches)]
    if not all(torch.is_tensor(part) for part in parts):
        return parts[0]
    if len(caches[-1]) != tokens.shape[1]:
        return Sentence(
            "the caches do not hold all tokens: hand each block its own, "
            "`block(x, mask, caches[number])`, where there are any."
        )
    return torch.cat(parts, dim=1)


def _result(
    make: Callable,
    *arguments: Any,
    weights: dict[str, Tensor],
    read: Callable[[nn.Module, Tensor], Any],
) -> Any:
    *sizes, tokens = arguments
    model = make(*sizes)
    made = model.state_dict() if isinstance(model, nn.Module) else weights
    if other := sorted(made.keys() ^ weights.keys()):
        return Sentence(
            f"`__init__` should make what it made before, and nothing else: look at "
            f"{', '.join(other[:3])}. (The head has no weights of its own.)"
        )
    if problem := fill(model, weights):
        return problem
    found = read(model, tokens)
    return found.detach() if torch.is_tensor(found) else found


def _judge(got: Any, truth: Tensor) -> str | None:
    if isinstance(got, Sentence):
        return got
    if torch.is_tensor(got) and got.shape != truth.shape and got.shape[:2] == truth.shape[:2]:
        return (
            f"the result has {got.shape[-1]} numbers for each token; it should have a logit for "
            f"each of the {truth.shape[-1]} symbols: multiply by "
            "`self.embedding.of_token.weight.T`."
        )
    return difference(got, truth)


def _with(
    mask: Callable[[int, int], Tensor | None] = lambda new, seen: causal_mask(new, seen),
    embed: Callable[[Any, Tensor, int], Tensor] = lambda self, tokens, seen: self.embedding(
        tokens, seen
    ),
    through: Callable[[Any, Tensor, Any, Any], Tensor] | None = None,
    head: Callable[[Any, Tensor], Tensor] = lambda self, x: (
        self.norm(x) @ self.embedding.of_token.weight.T
    ),
    count: Callable[[Any], int] = lambda caches: len(caches[0]) if caches else 0,
    count_new: Callable[[Tensor], int] = lambda tokens: tokens.shape[1],
) -> type[nn.Module]:
    """The right answer, in pieces that may go wrong."""

    class Model(language_model.GPT):
        def forward(self, tokens: Tensor, caches: Any = None) -> Tensor:
            num_seen = count(caches)
            x, allowed = embed(self, tokens, num_seen), mask(count_new(tokens), num_seen)
            if through is not None:
                return head(self, through(self, x, allowed, caches))
            for number, block in enumerate(self.blocks):
                x = block(x, allowed, caches[number] if caches else None)
            return head(self, x)

    return Model


def _without_caches(self: Any, x: Tensor, mask: Tensor, caches: Any) -> Tensor:
    for block in self.blocks:
        x = block(x, mask)
    return x


def _one_cache(self: Any, x: Tensor, mask: Tensor, caches: Any) -> Tensor:
    for block in self.blocks:
        x = block(x, mask, caches[0] if caches else None)
    return x


def _first_block_alone(self: Any, x: Tensor, mask: Tensor, caches: Any) -> Tensor:
    return self.blocks[0](x, mask, caches[0] if caches else None)


def _added_again(self: Any, x: Tensor, mask: Tensor, caches: Any) -> Tensor:
    for number, block in enumerate(self.blocks):
        x = x + block(x, mask, caches[number] if caches else None)
    return x


def _all_from_the_embedding(self: Any, x: Tensor, mask: Tensor, caches: Any) -> Tensor:
    for number, block in enumerate(self.blocks):
        result = block(x, mask, caches[number] if caches else None)
    return result


def _tied(self: Any, x: Tensor) -> Tensor:
    return x @ self.embedding.of_token.weight.T


GPT = Exercise(
    name="language_model.GPT",
    title="A small GPT",
    minutes=12,
    difficulty=3,
    reference=language_model.GPT,
    cases=_gpt_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _with(mask=lambda new, seen: None),
            "Without the mask each token sees those that follow, and is to guess what it sees: "
            "hand `causal_mask(…)` to every block.",
        ),
        Mistake(
            _with(count_new=len),
            "`len(tokens)` is the number of rows, B; the mask is for the T tokens of a row: "
            "`tokens.shape[1]`.",
        ),
        Mistake(
            _with(mask=lambda new, seen: ~causal_mask(new, seen)),
            "The mask is turned round: here True is where a token *may* look, as `causal_mask` "
            "gives it.",
        ),
        Mistake(
            _with(mask=lambda new, seen: causal_mask(new, seen).T if not seen else None),
            "The mask is turned round: each token would look at what follows, and not at what came "
            "before.",
        ),
        Mistake(
            _with(embed=lambda self, tokens, seen: self.embedding.of_token(tokens)),
            "The tokens have no places: call `self.embedding(tokens, num_seen)`, which adds them.",
        ),
        Mistake(
            _with(head=_tied),
            "The last norm is missing: `self.norm` stands between the blocks and the head.",
        ),
        Mistake(
            _with(head=lambda self, x: self.norm(_tied(self, x)[..., : x.shape[-1]])),
            "First the norm, then the head.",
        ),
        Mistake(
            _with(head=lambda self, x: torch.softmax(_tied(self, self.norm(x)), -1)),
            "Logits are asked for: leave out the softmax, which the loss does itself.",
        ),
        Mistake(
            _with(head=lambda self, x: _tied(self, self.norm(x))[:, -1]),
            "You kept the last token alone; for training, the logits of all T tokens are needed.",
        ),
        Mistake(
            _with(head=lambda self, x: self.norm(x)),
            "The head is missing: multiply by `self.embedding.of_token.weight.T` for a logit for "
            "each symbol.",
        ),
        Mistake(
            _with(through=_first_block_alone),
            "Only the first block is used: loop over `self.blocks`.",
        ),
        Mistake(
            _with(through=_added_again),
            "Each block adds to the stream by itself; `x = block(x, …)`, without a second plus.",
        ),
        Mistake(
            _with(through=_all_from_the_embedding),
            "Every block reads the embedding; each should read what the one before has made: "
            "`x = block(x, …)`.",
        ),
        Mistake(
            _with(through=_without_caches),
            "Without caches it is right. Where there are caches, each block gets its own: "
            "`block(x, mask, caches[number])`.",
        ),
        Mistake(
            _with(through=_one_cache),
            "All blocks share one cache; each has keys and values of its own: `caches[number]`.",
        ),
        Mistake(
            _with(embed=lambda self, tokens, seen: self.embedding(tokens)),
            "Where there are caches, the new tokens do not stand at place 0: `self.embedding("
            "tokens, num_seen)`.",
        ),
        Mistake(
            _with(mask=lambda new, seen: causal_mask(new)),
            "Where there are caches, the mask needs a column for each kept token too: "
            "`causal_mask(T, num_seen)`.",
        ),
    ),
    advice=(
        (
            r"expanded size|must match the (existing )?size|broadcast",
            "Where there are caches, the mask is [T, num_seen + T]: `causal_mask(T, num_seen)`, "
            "with `num_seen = len(caches[0])`.",
        ),
        (
            r"'NoneType' object is not (subscriptable|iterable)|NoneType.*has no len",
            "`caches` is None unless given: `caches[number] if caches else None`.",
        ),
        (
            r"'(list|tuple)' object has no attribute 'add'",
            "Each block gets one cache, and not all of them: `caches[number]`.",
        ),
        (
            r"cannot be multiplied|Expected size for first two dimensions",
            "The head: x is [B, T, C] and the weights are [V, C], so `x @ weights.T`.",
        ),
        (
            r"argument #1 'indices'",
            "`self.embedding` makes vectors of tokens; the head goes the other way, from a vector "
            "to a number for each symbol: multiply by `self.embedding.of_token.weight.T`.",
        ),
    ),
    hints=(
        "Four lines: how many tokens are kept, the mask, the embedding, a loop over the blocks. "
        "Then the norm, and the head.",
        "`num_seen = len(caches[0]) if caches else 0`; `mask = causal_mask(tokens.shape[1], "
        "num_seen, tokens.device)`; `x = self.embedding(tokens, num_seen)`.",
        "In the loop `x = block(x, mask, caches[number] if caches else None)`; at the end "
        "`self.norm(x) @ self.embedding.of_token.weight.T`.",
    ),
)
