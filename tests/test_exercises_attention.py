"""Lesson 05: every exercise turns away plausible mistakes and takes different right answers."""

import math

import numpy as np
import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional

from course.exercises.attention import EXERCISES
from course.models.attention import (
    EncoderLayer,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    attention,
    look_up,
    masked_softmax,
    padding_mask,
    sinusoidal_positions,
)

# Each wrong answer stands beside a word that its message must contain.


def look_up_by_loop(query, keys, values):
    weights = torch.softmax(torch.stack([(query * key).sum() for key in keys]), 0)
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def look_up_by_exponentials(query, keys, values):
    scores = torch.einsum("sd,d->s", keys, query)
    parts = torch.exp(scores - scores.max())
    return (values * (parts / parts.sum())[:, None]).sum(dim=0)


def look_up_prints(query, keys, values):
    print(torch.softmax(keys @ query, 0) @ values)


def look_up_in_a_row(query, keys, values):
    return torch.softmax(query[None] @ keys.T, dim=1) @ values


def look_up_over_the_wrong_axis(query, keys, values):
    return torch.softmax(query[None] @ keys.T, dim=0) @ values


def look_up_of_torch(query, keys, values):
    parts = (part[None] for part in (query[None], keys, values))
    return functional.scaled_dot_product_attention(*parts, scale=1.0)[0, 0]


LOOK_UP = {
    "wrong": [
        (lambda q, k, v: (k @ q) @ v, "no weights"),
        (lambda q, k, v: (k @ q) / (k @ q).sum() @ v, "negative"),
        (lambda q, k, v: torch.exp(k @ q) / torch.exp(k @ q).sum() @ v, "infinite"),
        (lambda q, k, v: torch.exp(k @ q) @ v, "divided by their sum"),
        (lambda q, k, v: v[torch.argmax(k @ q)], "hard look-up"),
        (lambda q, k, v: torch.softmax(k @ q, 0), "These are the weights"),
        (lambda q, k, v: v.mean(0), "same weight"),
        (lambda q, k, v: torch.softmax(k @ q, 0) @ k, "averaged the keys"),
        (lambda q, k, v: torch.softmax(k @ q, 0) @ v / len(v), "number of keys"),
        (lambda q, k, v: torch.softmax(k @ q / math.sqrt(len(q)), 0) @ v, "section 2"),
        (lambda q, k, v: torch.softmax(-k @ q, 0) @ v, "*worst*"),
        (lambda q, k, v: torch.softmax(k @ q, 0)[:, None] * v, "add up"),
        (lambda q, k, v: torch.softmax(k.T @ q, 0) @ v, "shape"),
        (
            lambda q, k, v: look_up(functional.normalize(q, dim=0), functional.normalize(k), v),
            "length 1",
        ),
        (lambda q, k, v: torch.softmax(-(k - q).square().sum(-1), 0) @ v, "distances"),
        (lambda q, k, v: torch.softmax(q @ k, 0) @ v, "`keys @ query`"),
        (lambda q, k, v: v @ torch.softmax(k @ q, 0), "`weights @ values`"),
        (look_up_prints, "return"),
        (look_up_in_a_row, "shape"),
        (look_up_over_the_wrong_axis, "shape"),
        (lambda q, k, v: look_up(q, k, v).numpy(), "NumPy"),
    ],
    "right": [
        look_up_by_loop,
        look_up_by_exponentials,
        look_up_of_torch,
        lambda q, k, v: look_up(q, k, v),
        lambda q, k, v: v.T @ torch.softmax(q @ k.T, -1),
    ],
}


def softmax_of_a_sum(scores, mask=None):
    if mask is None:
        return scores.softmax(-1)
    burden = torch.zeros(mask.shape).masked_fill(~mask, float("-inf"))
    return (scores + burden).softmax(-1)


def softmax_by_hand(scores, mask=None):
    mask = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
    largest = torch.where(mask, scores, -torch.inf).amax(-1, keepdim=True)
    parts = torch.where(mask, torch.exp((scores - largest).clamp(max=0)), 0)
    return parts / parts.sum(-1, keepdim=True)


def softmax_with_a_billion(scores, mask=None):
    if mask is not None:
        scores = torch.where(mask, scores, torch.full_like(scores, -1e9))
    return functional.softmax(scores, dim=-1)


def softmax_in_place(scores, mask=None):
    if mask is not None:
        scores.masked_fill_(~mask, float("-inf"))
    return torch.softmax(scores, -1)


def softmax_then_mask(scores, mask=None):
    weights = torch.softmax(scores, dim=-1)
    return weights if mask is None else weights * mask


def softmax_then_minus_infinity(scores, mask=None):
    weights = torch.softmax(scores, dim=-1)
    return weights if mask is None else weights.masked_fill(~mask, float("-inf"))


def softmax_divided_again(scores, mask=None):
    weights = softmax_then_mask(scores, mask)
    return weights / weights.sum(dim=-1, keepdim=True)


def softmax_masked(change, dim=-1):
    def answer(scores, mask=None):
        return torch.softmax(scores if mask is None else change(scores, mask), dim)

    return answer


def softmax_that_forgets_the_result(scores, mask=None):
    if mask is not None:
        scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -1)


def softmax_if_mask(scores, mask=None):
    if mask:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -1)


def softmax_of_logarithms(scores, mask=None):
    return torch.softmax(scores if mask is None else scores + mask.float().log(), -1)


MASKED_SOFTMAX = {
    "wrong": [
        (softmax_then_mask, "after the softmax"),
        (softmax_then_minus_infinity, "into the weights"),
        (softmax_divided_again, "far above"),
        (softmax_masked(lambda s, m: s.masked_fill(m, float("-inf"))), "*may*"),
        (softmax_masked(lambda s, m: s * m), "score of 0"),
        (softmax_masked(lambda s, m: s.masked_fill(~m, 0)), "score of 0"),
        (softmax_masked(lambda s, m: s + m), "1 larger"),
        (softmax_masked(lambda s, m: s), "no effect"),
        (softmax_that_forgets_the_result, "gives a new one"),
        (softmax_masked(lambda s, m: s - 1e9 * m), "*may*"),
        (softmax_masked(lambda s, m: s.masked_fill(~m, float("inf"))), "NaN"),
        (softmax_if_mask, "single True or False"),
        (softmax_masked(lambda s, m: s.masked_fill(~m, float("-inf")), -2), "down the columns"),
        (softmax_masked(lambda s, m: s.masked_fill(~m, float("-inf")), 0), ("dim=-1", "columns")),
        (softmax_masked(lambda s, m: s.masked_fill(~m, -100)), "no other can be near"),
        (softmax_masked(lambda s, m: s.masked_fill(~m, -1)), "no other can be near"),
        (softmax_masked(lambda s, m: s * torch.where(m, 1, float("-inf"))), ("NaN", "element")),
        (lambda s, mask=None: masked_softmax(s, ~mask), ("None", "*may*")),
        (lambda s, mask=None: torch.softmax(s.masked_fill(~mask, -1e9), -1), "may be None"),
        (softmax_in_place, "in place"),
    ],
    "right": [
        lambda scores, mask=None: masked_softmax(scores, mask),
        softmax_of_a_sum,
        softmax_by_hand,
        softmax_with_a_billion,
        softmax_of_logarithms,
    ],
}


def mask_by_loop(lengths, num_tokens):
    mask = torch.zeros(len(lengths), 1, 1, num_tokens, dtype=torch.bool)
    for number, length in enumerate(lengths):
        mask[number, :, :, :length] = True
    return mask


def mask_by_counting(lengths, num_tokens):
    counts = torch.ones(len(lengths), num_tokens).cumsum(1)
    return (counts <= lengths.unsqueeze(1)).view(-1, 1, 1, num_tokens)


def mask_of_numpy(lengths, num_tokens):
    return np.arange(num_tokens) < lengths.numpy()[:, None, None, None]


def real(lengths, num_tokens):
    return torch.arange(num_tokens) < lengths[:, None]


PADDING_MASK = {
    "wrong": [
        (lambda lengths, n: ~padding_mask(lengths, n), "changed places"),
        (lambda lengths, n: padding_mask(lengths + 1, n), "One place too many"),
        (lambda lengths, n: padding_mask(lengths - 1, n), "last real token"),
        (lambda lengths, n: padding_mask(lengths, n).flip(3), "in front"),
        (lambda lengths, n: padding_mask(lengths, n).float(), "True and False"),
        (lambda lengths, n: padding_mask(lengths, n).int(), "True and False"),
        (real, "axes of size 1"),
        (lambda lengths, n: real(lengths, n)[:, None], "axes of size 1"),
        (lambda lengths, n: real(lengths, n)[:, None, :, None], ("looked at", "shape")),
        (lambda lengths, n: padding_mask(lengths.max().expand(len(lengths)), n), "the longest"),
        (lambda lengths, n: padding_mask(lengths, lengths.max()), "num_tokens"),
        (lambda lengths, n: torch.arange(n) < lengths, ("shape", "size")),
        (lambda lengths, n: real(lengths, n)[None, None], "sequences first"),
        (lambda lengths, n: padding_mask(lengths, n).expand(-1, 1, n, n), "size 1"),
        (lambda lengths, n: real(lengths, n)[:, :, None, None], ("sequences first", "shape")),
        (lambda lengths, n: padding_mask(lengths, n).tolist(), "list"),
        (mask_of_numpy, "NumPy"),
    ],
    "right": [
        lambda lengths, n: padding_mask(lengths, n),
        mask_by_loop,
        mask_by_counting,
        lambda lengths, n: lengths.view(-1, 1, 1, 1) > torch.arange(n),
    ],
}


def attention_of_torch(queries, keys, values, mask=None):
    if queries.dim() == 2:
        rows = (part[None] for part in (queries, keys, values))
        return functional.scaled_dot_product_attention(*rows, mask)[0]
    return functional.scaled_dot_product_attention(queries, keys, values, mask)


def attention_by_names(queries, keys, values, mask=None):
    scores = torch.einsum("...td,...sd->...ts", queries, keys) * queries.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(mask.logical_not(), float("-inf"))
    weights = functional.softmax(scores, dim=-1)
    return torch.einsum("...ts,...se->...te", weights, values)


def attention_scaling_queries(queries, keys, values, mask=None):
    queries = queries / torch.tensor(queries.shape[-1]).sqrt()
    return masked_softmax(torch.matmul(queries, keys.mT), mask) @ values


def attention_by_broadcasting(queries, keys, values, mask=None):
    scores = (queries.unsqueeze(-2) * keys.unsqueeze(-3)).sum(-1) / queries.size(-1) ** 0.5
    weights = masked_softmax(scores, mask)
    return (weights.unsqueeze(-1) * values.unsqueeze(-3)).sum(-2)


def attend(scale=lambda q, k, v: math.sqrt(q.shape[-1]), weigh=masked_softmax):
    def answer(queries, keys, values, mask=None):
        scores = queries @ keys.transpose(-2, -1) / scale(queries, keys, values)
        return weigh(scores, mask) @ values

    return answer


def attention_with_plain_transpose(queries, keys, values, mask=None):
    scores = queries @ keys.transpose(0, 1) / math.sqrt(queries.shape[-1])
    return masked_softmax(scores, mask) @ values


def attention_without_transpose(queries, keys, values, mask=None):
    return masked_softmax(queries @ keys / math.sqrt(queries.shape[-1]), mask) @ values


def attention_and_weights(queries, keys, values, mask=None):
    weights = attention(queries, keys, torch.eye(keys.shape[-2]), mask)
    return weights @ values, weights


def attention_weights(queries, keys, values, mask=None):
    return attention_and_weights(queries, keys, values, mask)[1]


def attention_scaled_late(queries, keys, values, mask=None):
    weights = masked_softmax(queries @ keys.transpose(-2, -1), mask)
    return weights / math.sqrt(queries.shape[-1]) @ values


ATTENTION = {
    "wrong": [
        (attend(lambda q, k, v: 1), "not scaled"),
        (attend(lambda q, k, v: q.shape[-1]), "D itself"),
        (attend(lambda q, k, v: 1 / math.sqrt(q.shape[-1])), "multiplied by √D"),
        (attend(lambda q, k, v: math.sqrt(k.shape[-2])), "number of *tokens*"),
        (attend(lambda q, k, v: math.sqrt(q.shape[-2])), "number of *tokens*"),
        (attend(lambda q, k, v: math.sqrt(v.shape[-1])), "it should be"),
        (attend(lambda q, k, v: math.sqrt(q.shape[1])), "*last* axis"),
        (attend(lambda q, k, v: math.sqrt(len(q))), "*last* axis"),
        (attend(lambda q, k, v: q.shape[-1] ** 1 / 2), "D**0.5"),
        (attend(lambda q, k, v: q.shape[-1] * 2), "D**0.5"),
        (attend(lambda q, k, v: torch.sqrt(q.shape[-1])), "math.sqrt(D)"),
        (attend(lambda q, k, v: math.sqrt(q.shape)), "sizes of all axes"),
        (attention_scaled_late, "divided the weights"),
        (attend(weigh=lambda s, m: torch.softmax(s, -1)), "mask is not used"),
        (attend(weigh=softmax_then_mask), "after the softmax"),
        (
            attend(weigh=lambda s, m: masked_softmax(s, None if m is None else ~m)),
            ("turned round", "NaN"),
        ),
        (attend(weigh=lambda s, m: torch.softmax(s, -2)), ("over the queries", "it should be")),
        (attend(weigh=lambda s, m: s), "softmax is missing"),
        (attention_weights, "These are the weights"),
        (attention_and_weights, "two things"),
        (attention_with_plain_transpose, "transpose(-2, -1)"),
        (attention_without_transpose, "transpose(-2, -1)"),
        (lambda q, k, v, mask=None: masked_softmax(q @ k.mT / q.shape[-1] ** 0.5, mask), "weights"),
    ],
    "right": [
        lambda queries, keys, values, mask=None: attention(queries, keys, values, mask),
        attention_of_torch,
        attention_by_names,
        attention_scaling_queries,
        attention_by_broadcasting,
    ],
}


class Heads(MultiHeadAttention):
    """The right answer in pieces that the wrong ones replace."""

    def merge(self, found):
        return found.permute(0, 2, 1, 3).reshape(len(found), found.shape[2], -1)

    def forward(self, x, mask=None, context=None):
        other = x if context is None else context
        q, k, v = map(self.split, (self.to_queries(x), self.to_keys(other), self.to_values(other)))
        return self.to_output(self.merge(self.attend(q, k, v, mask)))


class HeadsOneByOne(MultiHeadAttention):
    def forward(self, x, mask=None, context=None):
        context = x if context is None else context
        width = x.shape[-1] // self.num_heads
        found = []
        for head in range(self.num_heads):
            own = slice(head * width, (head + 1) * width)
            its_mask = mask if mask is None or mask.dim() < 4 else mask[:, 0]
            q, k, v = self.to_queries(x), self.to_keys(context), self.to_values(context)
            found.append(self.attend(q[..., own], k[..., own], v[..., own], its_mask))
        return self.to_output(torch.cat(found, dim=-1))


class HeadsUnflattened(Heads):
    def split(self, x):
        return x.unflatten(-1, (self.num_heads, -1)).movedim(2, 1)


class HeadsByRows(Heads):
    def split(self, x):
        return x.reshape(x.shape[0], self.num_heads, x.shape[1], -1)


class HeadsByView(Heads):
    """In the error of this answer torch proposes the reshape that is right here."""

    def merge(self, found):
        return found.transpose(1, 2).view(len(found), found.shape[2], -1)


class HeadsMergedByRows(Heads):
    def merge(self, found):
        return found.reshape(len(found), found.shape[2], -1)


class HeadsByRowsThroughout(HeadsByRows, HeadsMergedByRows):
    pass


class HeadsLikeAComb(Heads):
    def split(self, x):
        return x.reshape(*x.shape[:2], -1, self.num_heads).permute(0, 3, 1, 2)


class HeadsLikeACombThroughout(HeadsLikeAComb):
    def merge(self, found):
        return found.permute(0, 2, 3, 1).flatten(2)


class HeadsReshapedAfterTheSwap(Heads):
    def split(self, x):
        return x.transpose(1, 2).reshape(len(x), self.num_heads, x.shape[1], -1)


class HeadsSwappedAfterTheReshape(Heads):
    def split(self, x):
        return x.reshape(len(x), self.num_heads, -1, x.shape[1]).transpose(2, 3)


class HeadsMergedLikeAComb(Heads):
    def merge(self, found):
        return found.permute(0, 2, 3, 1).flatten(2)


class HeadsInChunks(Heads):
    def split(self, x):
        return torch.stack(x.chunk(self.num_heads, dim=-1), dim=1)

    def merge(self, found):
        return torch.cat(found.unbind(1), dim=-1)


class HeadsLookFromContext(Heads):
    def forward(self, x, mask=None, context=None):
        return super().forward(x if context is None else context, mask, x)


class HeadsWithValuesOfX(Heads):
    def forward(self, x, mask=None, context=None):
        other = x if context is None else context
        q, k, v = map(self.split, (self.to_queries(x), self.to_keys(other), self.to_values(x)))
        return self.to_output(self.merge(self.attend(q, k, v, mask)))


class HeadsWithoutTranspose(Heads):
    def split(self, x):
        return x.reshape(*x.shape[:2], self.num_heads, -1)


class HeadsNotMerged(Heads):
    def merge(self, found):
        return found


class HeadsWithoutMask(Heads):
    def forward(self, x, mask=None, context=None):
        return super().forward(x, None, context)


class HeadsWithoutOutput(Heads):
    def forward(self, x, mask=None, context=None):
        self.to_output.forward = lambda merged: merged
        return super().forward(x, mask, context)


class HeadsWithoutContext(Heads):
    def forward(self, x, mask=None, context=None):
        return super().forward(x, mask)


class HeadsOfContextAlone(Heads):
    def forward(self, x, mask=None, context=None):
        return super().forward(x if context is None else context, mask)


class HeadsByHand(Heads):
    def forward(self, x, mask=None, context=None):
        self.attend = attention
        return super().forward(x, mask, context)


class HeadsAveraged(Heads):
    def merge(self, found):
        return super().merge(found) / self.num_heads


class HeadsRenamed(Heads):
    def __init__(self, num_channels, num_heads, attend=attention):
        super().__init__(num_channels, num_heads, attend)
        self.to_out = self.to_output
        del self.to_output


class HeadsWithoutReturn(Heads):
    def forward(self, x, mask=None, context=None):
        super().forward(x, mask, context)


class HeadsAddX(Heads):
    def forward(self, x, mask=None, context=None):
        return x + super().forward(x, mask, context)


MULTI_HEAD_ATTENTION = {
    "wrong": [
        (HeadsByRows, "row by row"),
        (HeadsByRowsThroughout, "put together in the same way"),
        (HeadsMergedByRows, "The split is right"),
        (HeadsLikeACombThroughout, "every H-th channel"),
        (HeadsLikeAComb, "every H-th channel"),
        (HeadsWithoutTranspose, "have not changed places"),
        (HeadsReshapedAfterTheSwap, "still mixes the tokens"),
        (HeadsSwappedAfterTheReshape, "still mixes the tokens"),
        (HeadsMergedLikeAComb, "alternate"),
        (HeadsLookFromContext, "other way round"),
        (HeadsWithValuesOfX, "both made of `context`"),
        (HeadsNotMerged, ("Print the shapes", "shape")),
        (HeadsByView, "`.reshape`"),
        (HeadsWithoutMask, "mask is lost"),
        (HeadsWithoutOutput, "to_output"),
        (HeadsWithoutContext, "`context` is not used"),
        (HeadsOfContextAlone, "queries should be made of x"),
        (HeadsByHand, "self.attend"),
        (HeadsAveraged, "Do not divide"),
        (HeadsRenamed, "its names"),
        (HeadsWithoutReturn, "return"),
        (HeadsAddX, "it should be"),
    ],
    "right": [Heads, HeadsOneByOne, HeadsUnflattened, HeadsInChunks, MultiHeadAttention],
}


def places_by_loop(num_tokens, num_channels):
    table = torch.zeros(num_tokens, num_channels)
    for place in range(num_tokens):
        for channel in range(0, num_channels, 2):
            angle = place * 10000 ** (-channel / num_channels)
            table[place, channel] = math.sin(angle)
            table[place, channel + 1] = math.cos(angle)
    return table


def places_by_slices(num_tokens, num_channels):
    logarithm = math.log(10000.0) / num_channels
    speeds = torch.exp(-logarithm * torch.arange(0, num_channels, 2))
    angles = torch.outer(torch.arange(num_tokens).float(), speeds)
    table = torch.empty(num_tokens, num_channels)
    table[:, 0::2], table[:, 1::2] = torch.sin(angles), torch.cos(angles)
    return table


def places(
    exponent=lambda c, n: c / n, first=0, base=10000.0, even=torch.sin, odd=torch.cos, unit=1
):
    def answer(num_tokens, num_channels):
        channels = torch.arange(0, num_channels, 2)
        at = torch.arange(first, first + num_tokens)[:, None]
        angles = unit * at / base ** exponent(channels, num_channels)
        table = torch.zeros(num_tokens, num_channels)
        table[:, 0::2], table[:, 1::2] = even(angles), odd(angles)
        return table

    return answer


def places_side_by_side(num_tokens, num_channels):
    table = sinusoidal_positions(num_tokens, num_channels)
    return torch.cat([table[:, 0::2], table[:, 1::2]], dim=1)


def places_by_math(num_tokens, num_channels):
    at = torch.arange(num_tokens)[:, None] / 10000 ** (
        torch.arange(0, num_channels, 2) / num_channels
    )
    return torch.stack([math.sin(at), math.cos(at)], dim=2).flatten(1)


def places_for_each_channel(num_tokens, num_channels):
    """The exponent of a cosine is taken from its own, odd, channel."""
    channels = torch.arange(num_channels)
    angles = torch.arange(num_tokens)[:, None] / 10000 ** (channels / num_channels)
    return torch.where(channels % 2 == 0, angles.sin(), angles.cos())


def places_without_parentheses(num_tokens, num_channels):
    at = torch.arange(num_tokens)[:, None]
    angles = at / 10000 ** torch.arange(0, num_channels, 2) / num_channels
    return torch.stack([angles.sin(), angles.cos()], dim=-1).view(num_tokens, num_channels)


def places_in_rows(num_tokens, num_channels):
    channels = torch.arange(0, num_channels, 2)
    angles = torch.arange(num_tokens)[:, None] / 10000 ** (channels / num_channels)
    table = torch.zeros(num_tokens, num_channels)
    table[0::2], table[1::2] = angles.sin(), angles.cos()
    return table


def places_without_a_column(num_tokens, num_channels):
    channels = torch.arange(0, num_channels, 2)
    angles = torch.arange(num_tokens) / 10000 ** (channels / num_channels)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def places_by_phase(num_tokens, num_channels):
    """A cosine is a sine that is a quarter of a turn ahead."""
    channels = torch.arange(num_channels)
    speeds = 10000.0 ** (-(channels - channels % 2) / num_channels)
    angles = torch.arange(num_tokens).unsqueeze(1) * speeds
    return torch.sin(angles + channels % 2 * math.pi / 2)


SINUSOIDAL_POSITIONS = {
    "wrong": [
        (places(even=torch.cos, odd=torch.sin), "changed places"),
        (places_side_by_side, "alternate"),
        (places(lambda c, n: c / 2 / n), "too little"),
        (places(lambda c, n: 2 * c / n), "too much"),
        (places(lambda c, n: -c / n), "faster"),
        (places(first=1), "from 1"),
        (places(base=1000.0), "10,000"),
        (places(lambda c, n: 0 * c), "same speed"),
        (places(odd=torch.sin), "be a cosine"),
        (lambda t, c: sinusoidal_positions(t, c).T, ("Rows and columns", "shape")),
        (places_for_each_channel, "it should be"),
        (places(unit=2 * math.pi), "no 2π"),
        (places_without_parentheses, "parentheses"),
        (places_in_rows, "second *row*"),
        (places_without_a_column, ("in a column", "shape")),
        (places_by_math, "torch.sin"),
        (lambda t, c: sinusoidal_positions(t, c).numpy(), "NumPy"),
        (lambda t, c: sinusoidal_positions(t, c).double(), "dtype"),
    ],
    "right": [
        places_by_loop,
        places_by_slices,
        places_by_phase,
        lambda t, c: sinusoidal_positions(t, c),
    ],
}


class Norm(LayerNorm):
    """The right answer in pieces that the wrong ones replace."""

    axes = (-1,)
    correction = 0

    def deviation(self, var):
        return (var + self.eps).sqrt()

    def normal(self, x):
        var, mean = torch.var_mean(x, self.axes, correction=self.correction, keepdim=True)
        return (x - mean) / self.deviation(var)

    def forward(self, x):
        return self.weight * self.normal(x) + self.bias


class NormOfTorch(LayerNorm):
    def forward(self, x):
        return functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


class NormFromMoments(LayerNorm):
    def forward(self, x):
        count = x.shape[-1]
        mean = x.sum(-1, keepdim=True) / count
        centred = x - mean
        var = centred.square().sum(-1, keepdim=True) / count
        return torch.addcmul(self.bias, centred * torch.rsqrt(var + self.eps), self.weight)


class NormOfTheBatch(Norm):
    def normal(self, x):
        self.axes = tuple(range(x.dim() - 1))
        return super().normal(x)


class NormOfAll(Norm):
    def normal(self, x):
        return (x - x.mean()) / self.deviation(x.var(correction=0))


class NormOfTokensAndChannels(Norm):
    axes = (-2, -1)


class NormOfTokens(Norm):
    axes = (-2,)


class NormOfTheFirstAxis(Norm):
    axes = (0,)


class NormUnbiased(Norm):
    correction = 1


class NormEpsilonOutside(Norm):
    def deviation(self, var):
        return var.sqrt() + self.eps


class NormFixedEpsilon(Norm):
    def deviation(self, var):
        return (var + 1e-5).sqrt()


class NormWithoutEpsilon(Norm):
    def deviation(self, var):
        return var.sqrt()


class NormByVariance(Norm):
    def deviation(self, var):
        return var + self.eps


class NormWithoutMean(Norm):
    def normal(self, x):
        return x / self.deviation((x * x).mean(-1, keepdim=True))


class NormUnfinished(Norm):
    def forward(self, x):
        return self.normal(x)


class NormWithoutBias(Norm):
    def forward(self, x):
        return self.weight * self.normal(x)


class NormBiasFirst(Norm):
    def forward(self, x):
        return self.weight * (self.normal(x) + self.bias)


class NormDetached(Norm):
    def normal(self, x):
        mean, var = (
            x.detach().mean(-1, keepdim=True),
            x.detach().var(-1, correction=0, keepdim=True),
        )
        return (x - mean) / self.deviation(var)


class NormWithoutSlopes(Norm):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class NormByStd(Norm):
    def normal(self, x):
        return (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True)


class NormByStdAndEpsilon(Norm):
    def normal(self, x):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + self.eps)


class NormOfTheSecondAxis(Norm):
    axes = (1,)


class NormOfTheThirdAxis(Norm):
    axes = (2,)


class NormNotDivided(Norm):
    def normal(self, x):
        return x - x.mean(-1, keepdim=True)


class NormOfASingleNumber(Norm):
    def deviation(self, var):
        return math.sqrt(var + self.eps)


class NormInPlace(Norm):
    def normal(self, x):
        x -= x.mean(-1, keepdim=True)
        return x / self.deviation(x.square().mean(-1, keepdim=True))


class NormFromSquares(Norm):
    """The variance as the mean of the squares less the square of the mean."""

    def normal(self, x):
        mean = x.mean(-1, keepdim=True)
        return (x - mean) / self.deviation(x.pow(2).mean(-1, keepdim=True) - mean**2)


class NormWithoutKeepdim(Norm):
    def normal(self, x):
        return (x - x.mean(-1)) / self.deviation(x.var(-1, correction=0))


class NormWithoutReturn(Norm):
    def forward(self, x):
        super().forward(x)


class NormRenamed(Norm):
    def __init__(self, num_channels, eps=1e-5):
        super().__init__(num_channels, eps)
        self.gamma = self.weight
        del self.weight


LAYER_NORM = {
    "wrong": [
        (NormOfTheBatch, "batch norm"),
        (NormOfAll, "over everything"),
        (NormOfTokensAndChannels, ("tokens *and* channels", "over everything")),
        (NormOfTokens, ("over the tokens", "batch norm")),
        (NormOfTheFirstAxis, "over the batch"),
        (NormUnbiased, "C − 1"),
        (NormEpsilonOutside, "under the root"),
        (NormFixedEpsilon, "self.eps"),
        (NormWithoutEpsilon, "`eps` is missing"),
        (NormByVariance, "standard deviation"),
        (NormWithoutMean, "mean is not subtracted"),
        (NormUnfinished, "last step"),
        (NormWithoutBias, "bias is missing"),
        (NormBiasFirst, "First multiply"),
        (NormDetached, "slopes are not"),
        (NormWithoutSlopes, "No slopes"),
        (NormByStd, "x.std"),
        (NormByStdAndEpsilon, "x.std"),
        (NormOfTheSecondAxis, "dim=1"),
        (NormOfTheThirdAxis, "dim=2"),
        (NormNotDivided, "that is all"),
        (NormOfASingleNumber, "math.sqrt"),
        (NormInPlace, "in place"),
        (NormWithoutKeepdim, "keepdim"),
        (NormWithoutReturn, "return"),
        (NormRenamed, "its names"),
    ],
    "right": [Norm, NormOfTorch, NormFromMoments, NormFromSquares, LayerNorm],
}


class Forward(FeedForward):
    def forward(self, x):
        hidden = self.activation(functional.linear(x, self.first.weight, self.first.bias))
        return hidden @ self.second.weight.T + self.second.bias


class ForwardInSequence(FeedForward):
    def forward(self, x):
        return nn.Sequential(self.first, self.activation, self.second)(x)


def feed_forward(rule):
    class Answer(FeedForward):
        def forward(self, x):
            return rule(self, x)

    return Answer


class ForwardOneByOne(FeedForward):
    def forward(self, x):
        for part in (self.first, self.activation, self.second):
            x = part(x)
        return x


class ForwardAlwaysReLU(FeedForward):
    def __init__(self, num_channels, num_hidden, activation=nn.ReLU):
        super().__init__(num_channels, num_hidden)


class ForwardWithoutBias(FeedForward):
    def __init__(self, num_channels, num_hidden, activation=nn.ReLU):
        super().__init__(num_channels, num_hidden, activation)
        self.second = nn.Linear(num_hidden, num_channels, bias=False)


FEED_FORWARD = {
    "wrong": [
        (
            feed_forward(lambda self, x: functional.relu(self.second(self.first(x).relu()))),
            ("applied twice", "it should be"),
        ),
        (
            feed_forward(lambda s, x: s.activation(s.second(s.activation(s.first(x))))),
            "applied twice",
        ),
        (feed_forward(lambda s, x: s.activation(s.second(s.first(x)))), "the wrong one"),
        (feed_forward(lambda s, x: s.second(s.first(x))), "no activation at all"),
        (feed_forward(lambda s, x: s.second(s.first(x).relu())), "always takes ReLU"),
        (feed_forward(lambda s, x: x + s.second(s.activation(s.first(x)))), "added x"),
        (
            feed_forward(lambda s, x: s.second(s.activation(s.first(s.activation(x))))),
            "before the first layer",
        ),
        (feed_forward(lambda s, x: s.second(s.first(s.activation(x)))), "before both layers"),
        (feed_forward(lambda s, x: s.second(s.activation(s.activation(s.first(x))))), "once"),
        (
            feed_forward(lambda s, x: s.activation(x + s.second(s.activation(s.first(x))))),
            "the block of lesson 03",
        ),
        (ForwardAlwaysReLU, "always takes ReLU"),
        (feed_forward(lambda s, x: s.first(s.activation(s.second(x)))), "shape"),
        (feed_forward(lambda s, x: s.activation(s.first(x))), "shape"),
        (ForwardWithoutBias, "its names"),
        (feed_forward(lambda s, x: None), "return"),
    ],
    "right": [Forward, ForwardInSequence, ForwardOneByOne, FeedForward],
}


def encoder_layer(first=None, last=None):
    """An encoder layer with these rules for norm_first, and without; else the right ones."""

    class Answer(EncoderLayer):
        def forward(self, x, mask=None):
            rule = first if self.norm_first else last
            return rule(self, x, mask) if rule else super().forward(x, mask)

    return Answer


def norm_first(self, x, mask):
    around = self.attention(self.norm_1(x), mask)
    between = torch.add(x, self.dropout(around))
    return torch.add(between, self.dropout(self.feed_forward(self.norm_2(between))))


def norm_last(self, x, mask):
    between = self.norm_1(self.dropout(self.attention(x, mask)) + x)
    return self.norm_2(self.dropout(self.feed_forward(between)) + between)


class LayerInBranches(EncoderLayer):
    def forward(self, x, mask=None):
        read = self.norm_1(x) if self.norm_first else x
        x = x + self.dropout(self.attention(read, mask))
        x = x if self.norm_first else self.norm_1(x)
        read = self.norm_2(x) if self.norm_first else x
        x = x + self.dropout(self.feed_forward(read))
        return x if self.norm_first else self.norm_2(x)


def without_mask(self, x, mask):
    return norm_first(self, x, None)


def last_without_mask(self, x, mask):
    return norm_last(self, x, None)


def without_dropout(self, x, mask):
    x = x + self.attention(self.norm_1(x), mask)
    return x + self.feed_forward(self.norm_2(x))


def last_without_dropout(self, x, mask):
    x = self.norm_1(x + self.attention(x, mask))
    return self.norm_2(x + self.feed_forward(x))


def nothing_added(self, x, mask):
    x = self.dropout(self.attention(self.norm_1(x), mask))
    return self.dropout(self.feed_forward(self.norm_2(x)))


def second_not_added(self, x, mask):
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return self.dropout(self.feed_forward(self.norm_2(x)))


def stream_normed(self, x, mask):
    x = self.norm_1(x)
    x = self.norm_2(x + self.dropout(self.attention(x, mask)))
    return x + self.dropout(self.feed_forward(x))


def side_by_side(self, x, mask):
    change = self.dropout(self.attention(self.norm_1(x), mask))
    return x + change + self.dropout(self.feed_forward(self.norm_2(x)))


def one_norm(self, x, mask):
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_1(x)))


def norm_of_the_change(self, x, mask):
    x = x + self.norm_1(self.dropout(self.attention(x, mask)))
    return x + self.norm_2(self.dropout(self.feed_forward(x)))


def feed_forward_first(self, x, mask):
    x = x + self.dropout(self.feed_forward(self.norm_1(x)))
    return x + self.dropout(self.attention(self.norm_2(x), mask))


def without_second_norm(self, x, mask):
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(x))


def stream_dropped(self, x, mask):
    x = self.dropout(x + self.attention(self.norm_1(x), mask))
    return self.dropout(x + self.feed_forward(self.norm_2(x)))


def added_to_the_old(self, x, mask):
    between = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_2(between)))


def last_added_to_the_old(self, x, mask):
    between = self.norm_1(x + self.dropout(self.attention(x, mask)))
    return self.norm_2(x + self.dropout(self.feed_forward(between)))


def last_nothing_added(self, x, mask):
    x = self.norm_1(self.dropout(self.attention(x, mask)))
    return self.norm_2(self.dropout(self.feed_forward(x)))


def last_one_norm(self, x, mask):
    x = self.norm_1(x + self.dropout(self.attention(x, mask)))
    return self.norm_1(x + self.dropout(self.feed_forward(x)))


def last_norm_at_the_end(self, x, mask):
    x = x + self.dropout(self.attention(x, mask))
    return self.norm_2(x + self.dropout(self.feed_forward(x)))


def last_norm_of_x(self, x, mask):
    x = self.norm_1(x) + self.dropout(self.attention(x, mask))
    return self.norm_2(x) + self.dropout(self.feed_forward(x))


def last_stream_dropped(self, x, mask):
    x = self.dropout(self.norm_1(x + self.attention(x, mask)))
    return self.dropout(self.norm_2(x + self.feed_forward(x)))


def mask_for_both(self, x, mask):
    x = x + self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_2(x), mask))


class LayerInALoop(EncoderLayer):
    def forward(self, x, mask=None):
        parts = (lambda x: self.attention(x, mask)), self.feed_forward
        for norm, part in zip((self.norm_1, self.norm_2), parts, strict=True):
            change = self.dropout(part(norm(x) if self.norm_first else x))
            x = x + change if self.norm_first else norm(x + change)
        return x


def changes_x(self, x, mask):
    x += self.dropout(self.attention(self.norm_1(x), mask))
    return x + self.dropout(self.feed_forward(self.norm_2(x)))


ENCODER_LAYER = {
    "wrong": [
        (encoder_layer(last=norm_first), "the same whether"),
        (encoder_layer(first=norm_last), "the same whether"),
        (encoder_layer(norm_last, norm_first), "changed places"),
        (encoder_layer(without_mask, last_without_mask), "mask is lost"),
        (encoder_layer(without_mask), "mask is lost"),
        (encoder_layer(without_dropout, last_without_dropout), "self.dropout"),
        (encoder_layer(nothing_added), "*added*"),
        (encoder_layer(second_not_added), "*added*"),
        (encoder_layer(stream_normed), "normed x"),
        (encoder_layer(side_by_side), "comes after"),
        (encoder_layer(one_norm), "twice"),
        (encoder_layer(norm_of_the_change), "behind the part"),
        (encoder_layer(feed_forward_first), "attention comes first"),
        (encoder_layer(without_second_norm), "norm_2(x)"),
        (encoder_layer(stream_dropped), "whole stream"),
        (encoder_layer(last=last_stream_dropped), "whole stream"),
        (encoder_layer(last=last_without_mask), "norm comes last"),
        (encoder_layer(without_dropout), "norm comes first"),
        (encoder_layer(last=last_without_dropout), "norm comes last"),
        (encoder_layer(last=last_nothing_added), "*added*"),
        (encoder_layer(last=last_one_norm), "twice"),
        (encoder_layer(last=last_norm_at_the_end), "`norm_1` is missing"),
        (encoder_layer(last=last_norm_of_x), "*sum*"),
        (encoder_layer(last=norm_of_the_change), "*sum*"),
        (encoder_layer(added_to_the_old), "before the attention"),
        (encoder_layer(added_to_the_old, last_added_to_the_old), "before the attention"),
        (encoder_layer(mask_for_both), "Only `self.attention`"),
        (encoder_layer(changes_x), "in place"),
        (encoder_layer(lambda self, x, mask: None), "return"),
    ],
    "right": [
        encoder_layer(norm_first, norm_last),
        LayerInBranches,
        LayerInALoop,
        EncoderLayer,
    ],
}

ANSWERS = {
    "attention.look_up": LOOK_UP,
    "attention.masked_softmax": MASKED_SOFTMAX,
    "attention.padding_mask": PADDING_MASK,
    "attention.attention": ATTENTION,
    "attention.MultiHeadAttention": MULTI_HEAD_ATTENTION,
    "attention.sinusoidal_positions": SINUSOIDAL_POSITIONS,
    "attention.LayerNorm": LAYER_NORM,
    "attention.FeedForward": FEED_FORWARD,
    "attention.EncoderLayer": ENCODER_LAYER,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 40
