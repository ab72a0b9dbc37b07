"""attention.EncoderLayer: all parts, on a residual stream."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.heads import LAYERS
from course.exercises.attention.shared import (
    draw_weights,
    fill,
    sentence_or_difference,
    some_true,
    tensor,
)
from course.models import attention


def _encoder_layer_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Shapes B, T, C, H and hidden; dropout 1 leaves nothing of what the parts would add."""
    for shape, norm_first, masked, dropout in (
        ((1, 2, 4, 1, 3), True, False, 0.0),
        ((1, 2, 4, 1, 3), False, False, 0.0),
        ((2, 3, 4, 2, 5), True, True, 0.0),
        ((2, 4, 6, 3, 4), False, True, 0.0),
        ((2, 3, 4, 2, 5), True, False, 1.0),
        ((2, 3, 4, 2, 5), False, False, 1.0),
    ):
        batch, num_tokens, channels, heads, hidden = shape
        x = tensor(rng, batch, num_tokens, channels)
        mask = some_true(rng, batch, 1, 1, num_tokens) if masked else None
        sizes = (channels, heads, hidden, norm_first)
        weights = draw_weights(rng, attention.EncoderLayer(*sizes))
        truth = _by_torch(weights, sizes, dropout, x, mask)
        yield Case(
            (*sizes, dropout, x, mask),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=partial(_result, weights=weights),
            names=("num_channels", "num_heads", "num_hidden", "norm_first", "dropout", "x", "mask"),
        )


def _by_torch(
    weights: dict[str, Tensor],
    sizes: tuple[int, int, int, bool],
    dropout: float,
    x: Tensor,
    mask: Tensor | None,
) -> Tensor:
    """nn.TransformerEncoderLayer with these weights; its mask is True where *nobody* may look.

    It is given as `src_mask`: with `src_key_padding_mask` torch imports sympy at the first use, and
    on a slow machine that alone takes the seconds that a check has.
    """
    *numbers, norm_first = sizes
    layer = nn.TransformerEncoderLayer(
        *numbers, dropout=dropout, batch_first=True, norm_first=norm_first
    )
    layer.load_state_dict(in_torchs_words(weights))
    if mask is not None:
        batch, num_tokens, _ = x.shape
        mask = ~mask.expand(batch, sizes[1], num_tokens, num_tokens).flatten(0, 1)
    with torch.no_grad():
        return layer(x, src_mask=mask)


def in_torchs_words(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an `EncoderLayer` under the names that `nn.TransformerEncoderLayer` has."""
    renamed = {}
    for kind in ("weight", "bias"):
        parts = [weights[f"attention.{layer}.{kind}"] for layer in LAYERS]
        renamed[f"self_attn.in_proj_{kind}"] = torch.cat(parts[:3])
        renamed[f"self_attn.out_proj.{kind}"] = parts[3]
        renamed[f"linear1.{kind}"] = weights[f"feed_forward.first.{kind}"]
        renamed[f"linear2.{kind}"] = weights[f"feed_forward.second.{kind}"]
        renamed[f"norm1.{kind}"] = weights[f"norm_1.{kind}"]
        renamed[f"norm2.{kind}"] = weights[f"norm_2.{kind}"]
    return renamed


def _result(
    make: Callable,
    channels: int,
    heads: int,
    hidden: int,
    norm_first: bool,
    dropout: float,
    x: Tensor,
    mask: Tensor | None,
    weights: dict[str, Tensor],
) -> Any:
    layer = make(channels, heads, hidden, norm_first=norm_first, dropout=dropout)
    if problem := fill(layer, weights):
        return problem
    found = layer(x, mask)
    return found.detach() if torch.is_tensor(found) else found


Rule = Callable[[Any, Tensor, Tensor | None], Tensor]


def _first(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_2(x)))


def _last(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.norm_1(x + self.dropout(self.attention(x, mask)))
    return self.norm_2(x + self.dropout(self.feed_forward(x)))


def _layer_with(first: Rule, last: Rule = _last) -> type[nn.Module]:
    """An encoder layer with these rules for `norm_first`, and for the norm at the end."""

    class Layer(attention.EncoderLayer):
        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            return (first if self.norm_first else last)(self, x, mask)

    return Layer


def _first_without_mask(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    return _first(self, x, None)


def _last_without_mask(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    return _last(self, x, None)


def _first_without_dropout(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.attention(self.norm_1(x), mask)
    return x + self.feed_forward(self.norm_2(x))


def _last_without_dropout(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.norm_1(x + self.attention(x, mask))
    return self.norm_2(x + self.feed_forward(x))


def _nothing_added(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.dropout(self.attention(self.norm_1(x), mask))
    return self.dropout(self.feed_forward(self.norm_2(x)))


def _last_nothing_added(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.norm_1(self.dropout(self.attention(x, mask)))
    return self.norm_2(self.dropout(self.feed_forward(x)))


def _stream_is_normed(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.norm_1(x)
    x = self.norm_2(x + self.dropout(self.attention(x, mask)))
    return x + self.dropout(self.feed_forward(x))


def _only_attention_added(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return self.dropout(self.feed_forward(self.norm_2(x)))


def _only_feed_forward_added(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_2(x)))


def _side_by_side(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    return (
        x
        + self.dropout(self.attention(self.norm_1(x), mask))
        + self.dropout(self.feed_forward(self.norm_2(x)))
    )


def _one_norm(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_1(x)))


def _last_one_norm(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.norm_1(x + self.dropout(self.attention(x, mask)))
    return self.norm_1(x + self.dropout(self.feed_forward(x)))


def _norm_of_what_is_added(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.norm_1(self.dropout(self.attention(x, mask)))
    return x + self.norm_2(self.dropout(self.feed_forward(x)))


def _feed_forward_first(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.dropout(self.feed_forward(self.norm_1(x)))
    return x + self.dropout(self.attention(self.norm_2(x), mask))


def _first_without_norm_2(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(x))


def _stream_dropped(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.dropout(x + self.attention(self.norm_1(x), mask))
    return self.dropout(x + self.feed_forward(self.norm_2(x)))


def _last_stream_dropped(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.dropout(self.norm_1(x + self.attention(x, mask)))
    return self.dropout(self.norm_2(x + self.feed_forward(x)))


def _first_added_to_the_old(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    between = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_2(between)))


def _last_added_to_the_old(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    between = self.norm_1(x + self.dropout(self.attention(x, mask)))
    return self.norm_2(x + self.dropout(self.feed_forward(between)))


def _last_without_norm_1(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x + self.dropout(self.attention(x, mask))
    return self.norm_2(x + self.dropout(self.feed_forward(x)))


def _last_norm_of_x(self: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = self.norm_1(x) + self.dropout(self.attention(x, mask))
    return self.norm_2(x) + self.dropout(self.feed_forward(x))


NOT_FOR_BOTH = (
    "It does the same whether `self.norm_first` is True or not: with it, x + part(norm(x)), "
    "otherwise norm(x + part(x))."
)
OF_THE_SUM = "With the norm last it is taken of the *sum*, norm(x + part(x)); yours is not."
OLD = (
    "The feed-forward's result is added to the x from before the attention, so what the attention "
    "added is lost: give the sum a name, `x = x + …`, and go on with it."
)
ADD = "Each part's result is *added* to the stream; in yours it takes the stream's place."

ENCODER_LAYER = Exercise(
    name="attention.EncoderLayer",
    title="An encoder layer",
    minutes=8,
    difficulty=2,
    reference=attention.EncoderLayer,
    cases=_encoder_layer_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(_layer_with(_first, _first), NOT_FOR_BOTH),
        Mistake(_layer_with(_last, _last), NOT_FOR_BOTH),
        Mistake(
            _layer_with(_last, _first),
            "The two ways have changed places: with `self.norm_first` x + part(norm(x)), otherwise "
            "norm(x + part(x)).",
        ),
        Mistake(
            _layer_with(_first_without_mask, _last_without_mask),
            "The mask is lost: hand it to `self.attention`.",
        ),
        Mistake(
            _layer_with(_first_without_mask),
            "The mask is lost where the norm comes first: hand it to `self.attention`.",
        ),
        Mistake(
            _layer_with(_first, _last_without_mask),
            "The mask is lost where the norm comes last: hand it to `self.attention`.",
        ),
        Mistake(
            _layer_with(_first_without_dropout, _last_without_dropout),
            "`self.dropout` is not used: it acts on what each part adds, `x + self.dropout(…)`.",
        ),
        Mistake(
            _layer_with(_first_without_dropout),
            "`self.dropout` is not used where the norm comes first: `x + self.dropout(…)`.",
        ),
        Mistake(
            _layer_with(_first, _last_without_dropout),
            "`self.dropout` is not used where the norm comes last: `x + self.dropout(…)`.",
        ),
        Mistake(_layer_with(_nothing_added, _last_nothing_added), ADD),
        Mistake(_layer_with(_nothing_added), ADD),
        Mistake(_layer_with(_first, _last_nothing_added), ADD),
        Mistake(_layer_with(_first_added_to_the_old), OLD),
        Mistake(_layer_with(_first, _last_added_to_the_old), OLD),
        Mistake(_layer_with(_first_added_to_the_old, _last_added_to_the_old), OLD),
        Mistake(
            _layer_with(_first, _last_without_norm_1),
            "`norm_1` is missing where the norm comes last: there it is taken of the sum of x and "
            "what the attention gives.",
        ),
        Mistake(_layer_with(_first, _last_norm_of_x), OF_THE_SUM),
        Mistake(_layer_with(_first, _norm_of_what_is_added), OF_THE_SUM),
        Mistake(_layer_with(_only_attention_added), ADD),
        Mistake(_layer_with(_only_feed_forward_added), ADD),
        Mistake(
            _layer_with(_stream_is_normed),
            "With the norm first it is only for the part: x itself goes on as it was, "
            "`x + part(norm(x))`. You put the normed x into the stream.",
        ),
        Mistake(
            _layer_with(_side_by_side),
            "The feed-forward reads the stream before the attention has added to it; it comes "
            "after.",
        ),
        Mistake(
            _layer_with(_one_norm, _last_one_norm),
            "You used `norm_1` twice; the feed-forward has a norm of its own, `norm_2`.",
        ),
        Mistake(
            _layer_with(_first, _last_one_norm),
            "You used `norm_1` twice; the feed-forward has a norm of its own, `norm_2`.",
        ),
        Mistake(
            _layer_with(_one_norm),
            "You used `norm_1` twice; the feed-forward has a norm of its own, `norm_2`.",
        ),
        Mistake(
            _layer_with(_norm_of_what_is_added),
            "The norm stands behind the part; with `norm_first` it stands before it: "
            "`x + part(norm(x))`.",
        ),
        Mistake(
            _layer_with(_feed_forward_first),
            "The attention comes first, then the feed-forward.",
        ),
        Mistake(
            _layer_with(_first_without_norm_2),
            "With the norm first, the feed-forward too reads `norm_2(x)`.",
        ),
        *(
            Mistake(
                answer,
                "The dropout acts on the whole stream; it should act only on what a part adds: "
                "`x + self.dropout(…)`.",
            )
            for answer in (
                _layer_with(_stream_dropped),
                _layer_with(_first, _last_stream_dropped),
                _layer_with(_stream_dropped, _last_stream_dropped),
            )
        ),
    ),
    advice=(
        (
            r"positional arguments? but",
            "Only `self.attention` takes the mask; the feed-forward works on each token alone.",
        ),
    ),
    hints=(
        "Two lines for each of the two ways: first the attention, then the feed-forward.",
        "With the norm first: `x = x + self.dropout(self.attention(self.norm_1(x), mask))`.",
        "Otherwise: `x = self.norm_1(x + self.dropout(self.attention(x, mask)))`.",
    ),
)
