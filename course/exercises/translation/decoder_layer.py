"""translation.DecoderLayer: what the encoder layer has, and a look at what the encoder read."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.heads import LAYERS
from course.exercises.attention.shared import (
    Sentence,
    draw_weights,
    fill,
    sentence_or_difference,
    some_true,
    tensor,
)
from course.models import translation
from course.models.attention import causal_mask


def _decoder_layer_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Shapes B, T, S, C, H and hidden; dropout 1 leaves nothing of what the parts would add."""
    for shape, masked, dropout in (
        ((1, 2, 3, 4, 1, 3), (False, False), 0.0),
        ((2, 3, 2, 4, 2, 5), (True, False), 0.0),
        ((2, 3, 4, 4, 2, 5), (False, True), 0.0),
        ((3, 4, 5, 6, 3, 4), (True, True), 0.0),
        ((2, 3, 4, 4, 2, 5), (True, True), 1.0),
    ):
        batch, num_target, num_source, *sizes = shape
        x = tensor(rng, batch, num_target, sizes[0])
        memory = tensor(rng, batch, num_source, sizes[0])
        at_target = causal_mask(num_target) if masked[0] else None
        at_source = some_true(rng, batch, 1, 1, num_source) if masked[1] else None
        weights = draw_weights(rng, translation.DecoderLayer(*sizes))
        arguments = x, memory, at_target, at_source
        truth = _by_torch(weights, sizes, dropout, *arguments)
        yield Case(
            (*sizes, dropout, *arguments),
            truth,
            judge=partial(sentence_or_difference, truth=truth),
            call=partial(_result, weights=weights),
            names=(
                *("num_channels", "num_heads", "num_hidden", "dropout"),
                *("x", "memory", "at_target", "at_source"),
            ),
        )


def _by_torch(
    weights: dict[str, Tensor],
    sizes: list[int],
    dropout: float,
    x: Tensor,
    memory: Tensor,
    at_target: Tensor | None,
    at_source: Tensor | None,
) -> Tensor:
    """nn.TransformerDecoderLayer with these weights; its masks are True where *nobody* may look.

    The source's is given as `memory_mask`: `memory_key_padding_mask` has torch import sympy.
    """
    layer = nn.TransformerDecoderLayer(*sizes, dropout=dropout, batch_first=True, norm_first=True)
    layer.load_state_dict(decoder_in_torchs_words(weights))
    shape = len(x), sizes[1], x.shape[1], memory.shape[1]
    with torch.no_grad():
        return layer(
            x,
            memory,
            tgt_mask=None if at_target is None else ~at_target,
            memory_mask=None if at_source is None else ~at_source.expand(shape).flatten(0, 1),
        )


def decoder_in_torchs_words(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `DecoderLayer` under the names that `nn.TransformerDecoderLayer` has."""
    renamed = {}
    for kind in ("weight", "bias"):
        for mine, theirs in (
            ("self_attention", "self_attn"),
            ("cross_attention", "multihead_attn"),
        ):
            parts = [weights[f"{mine}.{layer}.{kind}"] for layer in LAYERS]
            renamed[f"{theirs}.in_proj_{kind}"] = torch.cat(parts[:3])
            renamed[f"{theirs}.out_proj.{kind}"] = parts[3]
        renamed[f"linear1.{kind}"] = weights[f"feed_forward.first.{kind}"]
        renamed[f"linear2.{kind}"] = weights[f"feed_forward.second.{kind}"]
        for number in (1, 2, 3):
            renamed[f"norm{number}.{kind}"] = weights[f"norm_{number}.{kind}"]
    return renamed


def _result(
    make: Callable,
    channels: int,
    heads: int,
    hidden: int,
    dropout: float,
    x: Tensor,
    memory: Tensor,
    at_target: Tensor | None,
    at_source: Tensor | None,
    weights: dict[str, Tensor],
) -> Any:
    layer = make(channels, heads, hidden, dropout)
    made = layer.state_dict() if isinstance(layer, nn.Module) else weights
    if other := sorted(made.keys() ^ weights.keys()):
        return Sentence(
            "`__init__` should make what it made before, and nothing else: look at "
            f"{', '.join(other[:3])}."
        )
    if problem := fill(layer, weights):
        return problem
    found = layer(x, memory, at_target, at_source)
    return found.detach() if torch.is_tensor(found) else found


Part = Callable[[Any, Tensor, Tensor, Any, Any], Tensor]


def _look_back(self: Any, x: Tensor, memory: Tensor, at_target: Any, at_source: Any) -> Tensor:
    return x + self.dropout(self.self_attention(self.norm_1(x), at_target))


def _look_across(self: Any, x: Tensor, memory: Tensor, at_target: Any, at_source: Any) -> Tensor:
    return x + self.dropout(self.cross_attention(self.norm_2(x), at_source, memory))


def _think(self: Any, x: Tensor, memory: Tensor, at_target: Any, at_source: Any) -> Tensor:
    return x + self.dropout(self.feed_forward(self.norm_3(x)))


RIGHT = (_look_back, _look_across, _think)


def _layer_of(*parts: Part) -> type[nn.Module]:
    """A decoder layer that goes through these parts."""

    class Layer(translation.DecoderLayer):
        def forward(
            self, x: Tensor, memory: Tensor, at_target: Any = None, at_source: Any = None
        ) -> Tensor:
            for part in parts:
                x = part(self, x, memory, at_target, at_source)
            return x

    return Layer


def _with(number: int, part: Part) -> type[nn.Module]:
    """The right layer with another part in place of this one."""
    return _layer_of(*RIGHT[:number], part, *RIGHT[number + 1 :])


def _side_by_side(self: Any, x: Tensor, *others: Any) -> Tensor:
    return x + sum(part(self, x, *others) - x for part in RIGHT)


def _post_norm(self: Any, x: Tensor, memory: Tensor, at_target: Any, at_source: Any) -> Tensor:
    x = self.norm_1(x + self.dropout(self.self_attention(x, at_target)))
    x = self.norm_2(x + self.dropout(self.cross_attention(x, at_source, memory)))
    return self.norm_3(x + self.dropout(self.feed_forward(x)))


def _norm_of_the_stream(self: Any, x: Tensor, memory: Tensor, t: Any, s: Any) -> Tensor:
    x = self.norm_1(x)
    x = x + self.dropout(self.self_attention(x, t))
    x = self.norm_2(x)
    x = x + self.dropout(self.cross_attention(x, s, memory))
    x = self.norm_3(x)
    return x + self.dropout(self.feed_forward(x))


def _norm_of_the_results(dropout_first: bool) -> Part:
    def forward(self: Any, x: Tensor, memory: Tensor, t: Any, s: Any) -> Tensor:
        def finish(norm: nn.Module, found: Tensor) -> Tensor:
            return norm(self.dropout(found)) if dropout_first else self.dropout(norm(found))

        x = x + finish(self.norm_1, self.self_attention(x, t))
        x = x + finish(self.norm_2, self.cross_attention(x, s, memory))
        return x + finish(self.norm_3, self.feed_forward(x))

    return forward


def _dropout_of_the_stream(self: Any, x: Tensor, memory: Tensor, t: Any, s: Any) -> Tensor:
    x = self.dropout(x + self.self_attention(self.norm_1(x), t))
    x = self.dropout(x + self.cross_attention(self.norm_2(x), s, memory))
    return self.dropout(x + self.feed_forward(self.norm_3(x)))


def _memory_normed_by(number: int) -> type[nn.Module]:
    def across(self: Any, x: Tensor, memory: Tensor, t: Any, s: Any) -> Tensor:
        normed = getattr(self, f"norm_{number}")(memory)
        return x + self.dropout(self.cross_attention(self.norm_2(x), s, normed))

    return _with(1, across)


ADD = "Each part's result is *added* to the stream; in yours it takes the stream's place."
OWN_NORM = "Each part has a norm of its own: 1 for the target, 2 for the source, 3 for the last."
NO_DROPOUT = "`self.dropout` acts on what each part adds, `x + self.dropout(…)`; one lacks it."

DECODER_LAYER = Exercise(
    name="translation.DecoderLayer",
    title="A decoder layer",
    minutes=12,
    difficulty=3,
    reference=translation.DecoderLayer,
    cases=_decoder_layer_cases,
    uses_randomness=True,
    mistakes=(
        Mistake(
            _with(1, lambda self, x, m, t, s: x + self.cross_attention(self.norm_2(x))),
            "The cross-attention never sees the source: give it `memory` as its `context`.",
        ),
        Mistake(
            _with(
                1, lambda self, x, m, t, s: x + self.dropout(self.cross_attention(self.norm_2(x)))
            ),
            "The cross-attention never sees the source: give it `memory` as its `context`.",
        ),
        Mistake(
            _with(
                1,
                lambda self, x, m, t, s: (
                    x + self.dropout(self.cross_attention(self.norm_2(x), None, m))
                ),
            ),
            "The mask of the source is lost: the cross-attention needs `at_source`.",
        ),
        Mistake(
            _with(
                0, lambda self, x, m, t, s: x + self.dropout(self.self_attention(self.norm_1(x)))
            ),
            "The mask of the target is lost: `self.self_attention` needs `at_target`.",
        ),
        *(
            Mistake(
                _memory_normed_by(number),
                "`memory` has had its last norm in the encoder; only x is normed here.",
            )
            for number in (1, 2, 3)
        ),
        Mistake(
            _with(
                0,
                lambda self, x, m, t, s: (
                    x + self.dropout(self.self_attention(self.norm_1(x), t, m))
                ),
            ),
            "The self-attention looks at the memory; it looks at the target itself: leave its "
            "`context` out.",
        ),
        Mistake(
            _layer_of(_post_norm),
            "The norm comes behind the sum here; norm first is asked for: each part reads the norm "
            "of x, and x itself stays as it is.",
        ),
        Mistake(
            _layer_of(_norm_of_the_stream),
            "`x = self.norm_1(x)` puts the norm into the stream itself; only what a part *reads* "
            "is normed, and its result is added to the x from before.",
        ),
        *(
            Mistake(
                _layer_of(_norm_of_the_results(dropout_first)),
                "You norm what the parts give; norm what they read: `part(norm(x))`.",
            )
            for dropout_first in (False, True)
        ),
        Mistake(
            _layer_of(_dropout_of_the_stream),
            "`self.dropout` acts on the whole stream in yours; it should act only on what a part "
            "adds, `x + self.dropout(…)`.",
        ),
        Mistake(
            _with(
                0,
                lambda self, x, m, t, s: (
                    x + self.dropout(self.self_attention(self.norm_1(x), t, x))
                ),
            ),
            "The keys and values of the self-attention come from x without a norm: leave its "
            "`context` out.",
        ),
        Mistake(
            _with(
                1,
                lambda self, x, m, t, s: (
                    x + self.dropout(self.self_attention(self.norm_2(x), s, m))
                ),
            ),
            "The same attention is used twice; the look at the source has weights of its own, "
            "`self.cross_attention`.",
        ),
        Mistake(
            _layer_of(_look_across, _look_back, _think),
            "The order is another one: first the target looks at itself, then at the source.",
        ),
        Mistake(
            _layer_of(_look_back, _think, _look_across),
            "The order is another one: the feed-forward comes last.",
        ),
        Mistake(_layer_of(_look_back, _think), "The look at the source is missing."),
        Mistake(_layer_of(_look_across, _think), "The look at the target itself is missing."),
        Mistake(_layer_of(_look_back, _look_across), "The feed-forward is missing."),
        Mistake(
            _layer_of(_side_by_side),
            "All parts read the same x; each reads what the one before has left: `x = x + …`.",
        ),
        Mistake(
            _with(0, lambda self, x, m, t, s: self.dropout(self.self_attention(self.norm_1(x), t))),
            ADD,
        ),
        Mistake(
            _with(
                1,
                lambda self, x, m, t, s: self.dropout(self.cross_attention(self.norm_2(x), s, m)),
            ),
            ADD,
        ),
        Mistake(
            _with(2, lambda self, x, m, t, s: self.dropout(self.feed_forward(self.norm_3(x)))), ADD
        ),
        Mistake(
            _layer_of(
                lambda self, x, m, t, s: self.dropout(self.self_attention(self.norm_1(x), t)),
                lambda self, x, m, t, s: self.dropout(self.cross_attention(self.norm_2(x), s, m)),
                lambda self, x, m, t, s: self.dropout(self.feed_forward(self.norm_3(x))),
            ),
            ADD,
        ),
        Mistake(
            _with(
                1,
                lambda self, x, m, t, s: (
                    x + self.dropout(self.cross_attention(self.norm_1(x), s, m))
                ),
            ),
            OWN_NORM,
        ),
        Mistake(
            _with(2, lambda self, x, m, t, s: x + self.dropout(self.feed_forward(self.norm_2(x)))),
            OWN_NORM,
        ),
        Mistake(
            _with(
                1,
                lambda self, x, m, t, s: x + self.dropout(self.cross_attention(x, s, m)),
            ),
            "The cross-attention reads x without a norm: `self.norm_2(x)`.",
        ),
        Mistake(
            _with(0, lambda self, x, m, t, s: x + self.self_attention(self.norm_1(x), t)),
            NO_DROPOUT,
        ),
        Mistake(
            _with(1, lambda self, x, m, t, s: x + self.cross_attention(self.norm_2(x), s, m)),
            NO_DROPOUT,
        ),
        Mistake(
            _with(2, lambda self, x, m, t, s: x + self.feed_forward(self.norm_3(x))), NO_DROPOUT
        ),
        Mistake(
            _layer_of(
                lambda self, x, m, t, s: x + self.self_attention(self.norm_1(x), t),
                lambda self, x, m, t, s: x + self.cross_attention(self.norm_2(x), s, m),
                lambda self, x, m, t, s: x + self.feed_forward(self.norm_3(x)),
            ),
            NO_DROPOUT,
        ),
    ),
    advice=(
        (
            r"attn_mask|expanded size|must match the (existing )?size|broadcast",
            "A mask does not fit: `at_target` is for the attention to the target itself, and "
            "`at_source` for that to the memory; the order of an attention's arguments is "
            "`(x, mask, context)`.",
        ),
    ),
    hints=(
        "Three lines, each `x = x + self.dropout(part(norm(x), …))`, and `return x`.",
        "First `self.self_attention(self.norm_1(x), at_target)`.",
        "Then `self.cross_attention(self.norm_2(x), at_source, memory)`: the third argument is "
        "where it looks. Last the feed-forward, with `self.norm_3`.",
    ),
)
