"""attention.MultiHeadAttention: heads that are mixed up by a wrong reshape."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import (
    Sentence,
    draw_weights,
    fill,
    sentence_or_difference,
    some_true,
    tensor,
)
from course.models import attention

LAYERS = "to_queries", "to_keys", "to_values", "to_output"


def _heads_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Shapes B, T, C, H, and the mask; in those with a context the tokens look at it."""
    yield _case(rng, (1, 2, 2, 2), None)
    yield _case(rng, (2, 3, 4, 2), None)
    yield _case(rng, (2, 4, 6, 3), torch.ones(4, 4, dtype=torch.bool).tril())
    yield _case(rng, (3, 5, 4, 1), some_true(rng, 3, 1, 1, 5))
    yield _case(rng, (2, 3, 4, 2), None, context=tensor(rng, 2, 5, 4))
    yield _case(rng, (2, 3, 8, 4), some_true(rng, 2, 1, 1, 4), context=tensor(rng, 2, 4, 8))
    yield _own_attention_case(rng)


def _case(
    rng: np.random.Generator,
    shape: tuple[int, int, int, int],
    mask: Tensor | None,
    context: Tensor | None = None,
) -> Case:
    """Known weights, and the result of torch's own function for them."""
    batch, num_tokens, channels, num_heads = shape
    x = tensor(rng, batch, num_tokens, channels)
    weights = draw_weights(rng, attention.MultiHeadAttention(channels, num_heads))
    truth = _by_torch(weights, num_heads, x, mask, x if context is None else context)
    return Case(
        (channels, num_heads, x, mask, context),
        truth,
        judge=partial(sentence_or_difference, truth=truth),
        call=partial(_result, weights=weights),
        names=("num_channels", "num_heads", "x", "mask", "context"),
    )


def _by_torch(
    weights: dict[str, Tensor], num_heads: int, x: Tensor, mask: Tensor | None, context: Tensor
) -> Tensor:
    """nn.MultiheadAttention with these weights; its mask is True where a token may *not* look."""
    module = nn.MultiheadAttention(x.shape[2], num_heads, batch_first=True)
    with torch.no_grad():
        parts = [weights[f"{layer}.weight"] for layer in LAYERS[:3]]
        module.in_proj_weight.copy_(torch.cat(parts))
        module.in_proj_bias.copy_(torch.cat([weights[f"{layer}.bias"] for layer in LAYERS[:3]]))
        module.out_proj.weight.copy_(weights["to_output.weight"])
        module.out_proj.bias.copy_(weights["to_output.bias"])
        if mask is not None:
            wide = (len(x), num_heads, x.shape[1], context.shape[1])
            mask = ~mask.expand(wide).flatten(0, 1)
        return module(x, context, context, attn_mask=mask, need_weights=False)[0]


def _own_attention_case(rng: np.random.Generator) -> Case:
    """An attention that gives each token its own value: then two dense layers are left."""
    x = tensor(rng, 2, 3, 6)
    weights = draw_weights(rng, attention.MultiHeadAttention(6, 3))
    values = functional.linear(x, weights["to_values.weight"], weights["to_values.bias"])
    truth = functional.linear(values, weights["to_output.weight"], weights["to_output.bias"])
    return Case(
        (6, 3, x, None, None, "a function that gives each token its own value"),
        truth,
        judge=partial(sentence_or_difference, truth=truth),
        call=partial(_result, weights=weights),
        names=("num_channels", "num_heads", "x", "mask", "context", "attend"),
    )


def _own_value(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    return values


def _result(
    make: Callable,
    num_channels: int,
    num_heads: int,
    x: Tensor,
    mask: Tensor | None,
    context: Tensor | None,
    attend: str = "",
    *,
    weights: dict[str, Tensor],
) -> Any:
    """What the layer gives for known weights, or a sentence where they do not fit."""
    options = {"attend": _own_value} if attend else {}
    layer = make(num_channels, num_heads, **options)
    if problem := fill(layer, weights):
        return problem
    if not hasattr(layer, "split"):
        return Sentence("the method `split` is gone: later cells look at the heads through it.")
    found = layer(x, mask, context)
    return found.detach() if torch.is_tensor(found) else found


def _split_right(self: Any, x: Tensor) -> Tensor:
    return attention.MultiHeadAttention.split(self, x)


def _merge_right(self: Any, found: Tensor) -> Tensor:
    return found.transpose(1, 2).flatten(2)


def _split_by_rows(self: Any, x: Tensor) -> Tensor:
    batch, num_tokens, channels = x.shape
    return x.reshape(batch, self.num_heads, num_tokens, channels // self.num_heads)


def _merge_by_rows(self: Any, found: Tensor) -> Tensor:
    batch, heads, num_tokens, width = found.shape
    return found.reshape(batch, num_tokens, heads * width)


def _split_like_a_comb(self: Any, x: Tensor) -> Tensor:
    return x.unflatten(2, (-1, self.num_heads)).permute(0, 3, 1, 2)


def _split_after_swap(self: Any, x: Tensor) -> Tensor:
    batch, num_tokens, channels = x.shape
    return x.transpose(1, 2).reshape(batch, self.num_heads, num_tokens, channels // self.num_heads)


def _split_before_swap(self: Any, x: Tensor) -> Tensor:
    batch, num_tokens, channels = x.shape
    shares = x.reshape(batch, self.num_heads, channels // self.num_heads, num_tokens)
    return shares.transpose(2, 3)


def _merge_like_a_comb(self: Any, found: Tensor) -> Tensor:
    return found.permute(0, 2, 3, 1).flatten(2)


def _split_without_swap(self: Any, x: Tensor) -> Tensor:
    return x.unflatten(2, (self.num_heads, -1))


def _layer_with(
    split: Callable = _split_right,
    merge: Callable = _merge_right,
    inputs: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]] = lambda x, context: (
        x,
        context,
        context,
    ),
    masked: bool = True,
    finish: Callable = lambda self, merged: self.to_output(merged),
    attend: Callable | None = None,
) -> type[nn.Module]:
    """The layer in pieces that may go wrong; inputs: those of queries, keys and values."""

    class Layer(attention.MultiHeadAttention):
        def forward(
            self, x: Tensor, mask: Tensor | None = None, context: Tensor | None = None
        ) -> Tensor:
            sources = inputs(x, x if context is None else context)
            layers = self.to_queries, self.to_keys, self.to_values
            parts = [split(self, layer(part)) for layer, part in zip(layers, sources, strict=True)]
            found = (attend or self.attend)(*parts, mask if masked else None)
            return finish(self, merge(self, found))

    return Layer


MULTI_HEAD_ATTENTION = Exercise(
    name="attention.MultiHeadAttention",
    title="Bug hunt: heads that see parts of tokens",
    minutes=10,
    difficulty=3,
    reference=attention.MultiHeadAttention,
    cases=_heads_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _layer_with(_split_by_rows),
            "The heads are still cut out row by row: a reshape alone never changes the order of "
            "the numbers. First give the channels two axes, [B, T, H, D], then let T and H change "
            "places.",
        ),
        Mistake(
            _layer_with(_split_by_rows, _merge_by_rows),
            "The heads are still cut out row by row, and put together in the same way. First give "
            "the channels two axes, [B, T, H, D], then let T and H change places; at the end the "
            "other way round.",
        ),
        Mistake(
            _layer_with(merge=_merge_by_rows),
            "The split is right, but now the heads are put together row by row: before the "
            "channels of all heads stand side by side again, T and H have to change places, "
            "`.transpose(1, 2)`.",
        ),
        Mistake(
            _layer_with(_split_like_a_comb, _merge_like_a_comb),
            "Each head takes every H-th channel; it should get D neighbours, the first head the "
            "first D channels: [B, T, H, D], in this order.",
        ),
        Mistake(
            _layer_with(_split_like_a_comb),
            "Each head takes every H-th channel; it should get D neighbours, the first head the "
            "first D channels: [B, T, H, D], in this order.",
        ),
        *(
            Mistake(
                _layer_with(split),
                "Axes change places, but the reshape still mixes the tokens. First give the "
                "channels, and only these, two axes, [B, T, H, D]; then let T and H change places.",
            )
            for split in (_split_after_swap, _split_before_swap)
        ),
        Mistake(
            _layer_with(merge=_merge_like_a_comb),
            "The split is right, but put together, the channels of the heads alternate: back to "
            "[B, T, H, D], and from that to [B, T, C].",
        ),
        Mistake(
            _layer_with(inputs=lambda x, context: (context, x, x)),
            "Queries are made of x, keys and values of `context`; yours are the other way round.",
        ),
        Mistake(
            _layer_with(_split_without_swap),
            "The channels are cut rightly, but T and H have not changed places: [B, H, T, D] is "
            "needed, so that each head compares tokens, and not heads.",
        ),
        Mistake(
            _layer_with(masked=False),
            "The mask is lost on the way: hand it to `self.attend`.",
        ),
        Mistake(
            _layer_with(finish=lambda self, merged: merged),
            "The last layer, `to_output`, is missing: it mixes what the heads have found.",
        ),
        Mistake(
            _layer_with(inputs=lambda x, context: (x, x, x)),
            "`context` is not used: keys and values are made of it where it is given.",
        ),
        Mistake(
            _layer_with(inputs=lambda x, context: (context, context, context)),
            "The queries should be made of x, also where there is a `context`.",
        ),
        Mistake(
            _layer_with(attend=attention.attention),
            "It always calls `attention`; which function does the attention is told in "
            "`self.attend`.",
        ),
        Mistake(
            _layer_with(finish=lambda self, merged: self.to_output(merged / self.num_heads)),
            "Do not divide by the number of heads: their results stand side by side, and nothing "
            "is added up.",
        ),
    ),
    advice=(
        (
            r"shape '\[.*\]' is invalid|view size is not compatible",
            "Where axes have changed places the numbers no longer lie in order: use `.reshape` or "
            "`.flatten`. Sizes have to multiply to the same number.",
        ),
        (
            r"Expected size for first two dimensions",
            "Queries should be [B, H, T, D], keys and values [B, H, S, D], both made of `context` "
            "where it is given.",
        ),
        (
            r"shapes cannot be multiplied|must match the size",
            "Print the shapes: queries, keys and values should be [B, H, T, D], and what goes into "
            "`to_output` [B, T, C].",
        ),
    ),
    hints=(
        "Write down the numbers 0 to 7 as two tokens of four channels, and split them by hand "
        "for two heads. What does `.reshape(1, 2, 2, 2)` make of them?",
        "The channels are the last axis, so only this axis may be cut: [B, T, C] → [B, T, H, D].",
        "`x.reshape(B, T, H, D).transpose(1, 2)` has the shape [B, H, T, D].",
    ),
)
