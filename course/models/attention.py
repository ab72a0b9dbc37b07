"""Attention and the Transformer encoder, from the parts that lesson 05 builds.

After Vaswani and others (2017), "Attention is all you need". Axes: B sequences, T tokens that look,
S tokens that are looked at, C channels, H heads with D = C / H channels each.

A mask is True where a token may be looked at, as in `scaled_dot_product_attention` (torch's
`nn.TransformerEncoderLayer` wants the opposite). Each token has to be allowed at least one: where
it may look nowhere, its weights would be 0 / 0.
"""

import math

import torch
from torch import nn


def look_up(query, keys, values):
    """The average of the values, weighted by how well each key fits: softmax of query · key.

    query: [D], keys: [S, D], values: [S, E] → [E].
    """
    return torch.softmax(keys @ query, dim=0) @ values


def masked_softmax(scores, mask=None):
    """Softmax over the last axis in which only the places where mask is True take part.

    scores: [..., T, S]; mask: bool, of a shape that broadcasts to it, or None → [..., T, S].
    """
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, dim=-1)


def attention(queries, keys, values, mask=None):
    """Scaled dot-product attention: for each query an average of the values, weighted by the keys.

    queries: [..., T, D], keys: [..., S, D], values: [..., S, E], mask: True where a query may look,
    of a shape that broadcasts to [..., T, S] → [..., T, E].
    """
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    return masked_softmax(scores, mask) @ values


def padding_mask(lengths, num_tokens):
    """Which tokens are real in sequences filled up to `num_tokens`: [B] → bool [B, 1, 1, T].

    lengths: how many tokens of each sequence are real, from 1 on. The axes of size 1 stand for all
    heads and for all tokens that look.
    """
    places = torch.arange(num_tokens, device=lengths.device)
    return (places < lengths[:, None])[:, None, None, :]


def causal_mask(num_tokens, num_seen=0, device=None):
    """Each token may look at itself and what came before: bool [T, num_seen + T].

    num_seen: how many tokens went before these T, whose keys and values are kept already. (Lesson
    06 generates text in this way, token by token.)
    """
    allowed = torch.ones(num_tokens, num_seen + num_tokens, dtype=torch.bool, device=device)
    return allowed.tril(num_seen)


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own share of the channels: [B, T, C] → same.

    attend: the function that does the attention, called with queries, keys and values
    [B, H, T or S, D] and the mask; torch's `scaled_dot_product_attention` fits as well.
    """

    def __init__(self, num_channels, num_heads, attend=attention):
        super().__init__()
        if num_channels % num_heads:
            raise ValueError(
                f"{num_channels} channels cannot be shared evenly by {num_heads} heads: choose "
                "numbers of which one divides the other."
            )
        self.num_heads, self.attend = num_heads, attend
        self.to_queries = nn.Linear(num_channels, num_channels)
        self.to_keys = nn.Linear(num_channels, num_channels)
        self.to_values = nn.Linear(num_channels, num_channels)
        self.to_output = nn.Linear(num_channels, num_channels)

    def split(self, x):
        """A share of the channels for each head: [B, T, C] → [B, H, T, D]."""
        batch, num_tokens, num_channels = x.shape
        shares = x.reshape(batch, num_tokens, self.num_heads, num_channels // self.num_heads)
        return shares.transpose(1, 2)

    def forward(self, x, mask=None, context=None):
        """context: where the tokens look, [B, S, C]; at x itself unless given."""
        context = x if context is None else context
        queries = self.split(self.to_queries(x))  # [B, H, T, D]
        keys, values = self.split(self.to_keys(context)), self.split(self.to_values(context))
        found = self.attend(queries, keys, values, mask)  # [B, H, T, D]
        return self.to_output(found.transpose(1, 2).flatten(2))  # the heads side by side again


def head_weights(layer, x, mask=None):
    """How much each token takes from each other one in a `MultiHeadAttention`: [B, H, T, T].

    Attention averages the values with its weights. With a value for each token that is 1 at the
    token's own place, and 0 elsewhere, the averages are the weights.
    """
    places = torch.eye(x.shape[1], device=x.device)
    queries, keys = layer.split(layer.to_queries(x)), layer.split(layer.to_keys(x))
    return attention(queries, keys, places, mask)


def sinusoidal_positions(num_tokens, num_channels):
    """A vector for each place that needs no learning: [T, C], C even.

    Channels 2i and 2i + 1 are sine and cosine of place / 10,000^(2i / C): a hand of a clock that
    turns more slowly in each pair.
    """
    speeds = 10_000 ** (-torch.arange(0, num_channels, 2) / num_channels)  # radians for each place
    angles = torch.arange(num_tokens)[:, None] * speeds  # [T, C / 2]
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class TokenEmbedding(nn.Module):
    """Tokens [B, T] → vectors [B, T, C]: one for which token it is, plus one for its place.

    longest: how many places there are. learned: whether the vectors of the places are learned;
    otherwise they are sines and cosines, and nothing is learned about places.
    """

    def __init__(self, num_symbols, num_channels, longest, learned=True):
        super().__init__()
        self.of_token = nn.Embedding(num_symbols, num_channels)
        if learned:
            self.of_place = nn.Parameter(torch.randn(longest, num_channels))
        else:
            places = sinusoidal_positions(longest, num_channels)
            self.register_buffer("of_place", places, persistent=False)

    def forward(self, tokens, num_seen=0):
        """num_seen: how many tokens went before these."""
        end = num_seen + tokens.shape[1]
        if end > len(self.of_place):
            raise ValueError(
                f"These tokens reach to place {end}, and there are only {len(self.of_place)}: cut "
                "them, or make the model with a larger `longest`."
            )
        return self.of_token(tokens) + self.of_place[num_seen:end]


class LayerNorm(nn.Module):
    """Each token brought to mean 0 and variance 1 over its channels, then scaled and shifted.

    [..., C] → same. Works as `nn.LayerNorm`, which is faster, does.
    """

    def __init__(self, num_channels, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        var = x.var(dim=-1, keepdim=True, correction=0)
        return (x - mean) / torch.sqrt(var + self.eps) * self.weight + self.bias


class FeedForward(nn.Module):
    """Two dense layers with an activation between them, for each token alone: [..., C] → same."""

    def __init__(self, num_channels, num_hidden, activation=nn.ReLU):
        super().__init__()
        self.first = nn.Linear(num_channels, num_hidden)
        self.activation = activation()
        self.second = nn.Linear(num_hidden, num_channels)

    def forward(self, x):
        return self.second(self.activation(self.first(x)))


class EncoderLayer(nn.Module):
    """Attention, then feed-forward, each added to the residual stream: [B, T, C] → same.

    norm_first: x + part(norm(x)), as most models of today; otherwise norm(x + part(x)), as in the
    paper and BERT. dropout acts on what a part adds. activation: the class of that of the
    feed-forward. attend: as in `MultiHeadAttention`.
    """

    def __init__(
        self,
        num_channels,
        num_heads,
        num_hidden,
        norm_first=True,
        dropout=0.0,
        activation=nn.ReLU,
        attend=attention,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.attention = MultiHeadAttention(num_channels, num_heads, attend)
        self.feed_forward = FeedForward(num_channels, num_hidden, activation)
        self.norm_1, self.norm_2 = nn.LayerNorm(num_channels), nn.LayerNorm(num_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        if self.norm_first:
            x = x + self.dropout(self.attention(self.norm_1(x), mask))
            return x + self.dropout(self.feed_forward(self.norm_2(x)))
        x = self.norm_1(x + self.dropout(self.attention(x, mask)))
        return self.norm_2(x + self.dropout(self.feed_forward(x)))


class Encoder(nn.Module):
    """A stack of encoder layers; with norm_first, a last layer norm: [B, T, C] → same.

    options: those of `EncoderLayer`.
    """

    def __init__(self, num_layers, num_channels, num_heads, num_hidden, norm_first=True, **options):
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(num_channels, num_heads, num_hidden, norm_first, **options)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(num_channels) if norm_first else nn.Identity()

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)
