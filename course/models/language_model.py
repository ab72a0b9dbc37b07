"""A small GPT from the parts of lesson 05: its loss, its perplexity, and how it writes.

After Radford and others (2019), "Language models are unsupervised multitask learners" (GPT-2).
Axes: B sequences, T tokens, C channels, V different tokens.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from course.models.attention import (
    EncoderLayer,
    MultiHeadAttention,
    TokenEmbedding,
    causal_mask,
    sinusoidal_positions,
)

fused = functional.scaled_dot_product_attention


def perplexity(probabilities):
    """Among how many equally likely tokens the model hesitates, on average.

    probabilities: what the model gave to each token that really came, [n] → one number, the
    geometric mean of 1 / probability.
    """
    return torch.exp(-torch.log(probabilities).mean())


class KeyValueCache:
    """The keys and values of all tokens so far, for one layer."""

    def __init__(self):
        self.keys = self.values = None

    def __len__(self):
        """How many tokens it holds."""
        return 0 if self.keys is None else self.keys.shape[2]

    def add(self, keys, values):
        """Keep those of T new tokens as well; return all keys and all values.

        keys, values: [B, H, T, D] → two tensors [B, H, S, D], S tokens in all, the new ones last.
        """
        if self.keys is not None:
            keys = torch.cat([self.keys, keys], dim=2)
            values = torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values


class CachedAttention(MultiHeadAttention):
    """Attention of tokens to themselves and to those whose keys and values are kept already."""

    def forward(self, x, mask=None, cache=None):
        queries = self.split(self.to_queries(x))  # [B, H, T, D]
        keys, values = self.split(self.to_keys(x)), self.split(self.to_values(x))
        if cache is not None:
            keys, values = cache.add(keys, values)  # [B, H, S, D]
        found = self.attend(queries, keys, values, mask)
        return self.to_output(found.transpose(1, 2).flatten(2))


class Block(EncoderLayer):
    """An encoder layer, norm first, that can keep keys and values: [B, T, C] → same."""

    def __init__(self, num_channels, num_heads, dropout=0.0, attend=fused):
        super().__init__(num_channels, num_heads, 4 * num_channels, True, dropout, nn.GELU, attend)
        self.attention = CachedAttention(num_channels, num_heads, attend)

    def forward(self, x, mask=None, cache=None):
        x = x + self.dropout(self.attention(self.norm_1(x), mask, cache))
        return x + self.dropout(self.feed_forward(self.norm_2(x)))


class GPT(nn.Module):
    """Tokens [B, T] → logits [B, T, V] of the token behind each.

    longest: how many tokens it can look at, T at most. The head is tied: the vectors of the tokens
    also serve as the weights of the last layer.
    """

    def __init__(self, num_symbols, num_channels, num_heads, num_layers, longest, dropout=0.0):
        super().__init__()
        self.longest = longest
        self.embedding = TokenEmbedding(num_symbols, num_channels, longest)
        self.blocks = nn.ModuleList(
            Block(num_channels, num_heads, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(num_channels)
        start_small(self)

    def forward(self, tokens, caches=None):
        """caches: one for each block, with what went before these tokens; they are added to."""
        num_seen = len(caches[0]) if caches else 0
        mask = causal_mask(tokens.shape[1], num_seen, tokens.device)
        x = self.embedding(tokens, num_seen)
        for number, block in enumerate(self.blocks):
            x = block(x, mask, caches[number] if caches else None)
        return self.norm(x) @ self.embedding.of_token.weight.T


def start_small(model):
    """Draw the weights of a GPT anew, so small that at first every token is about as likely.

    As in GPT-2: standard deviation 0.02, and less for what is added to the stream, so that the sum
    over all blocks does not grow with their number. The vectors of the places begin as small clocks
    (lesson 05): then a head finds sooner how to look one token back.
    """
    added = 0.02 / math.sqrt(2 * len(model.blocks))  # each block adds twice
    for name, weights in model.named_parameters():
        if weights.dim() == 2:
            adds = name.endswith(("to_output.weight", "feed_forward.second.weight"))
            nn.init.normal_(weights, std=added if adds else 0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(weights)
    places = model.embedding.of_place
    with torch.no_grad():
        places.copy_(0.03 * sinusoidal_positions(*places.shape))


def next_token_loss(model, tokens):
    """How surprised the model is by the next token, in nats: the mean of -log of its probability.

    tokens: [B, T + 1]; the model reads the first T of each row, and is to say the last T.
    """
    logits = model(tokens[:, :-1])  # [B, T, V]
    return functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:])


@torch.no_grad()
def surprises(model, tokens, batch_size=32):
    """The surprise of each token of a long text but the first, in nats: [N] → [N - 1].

    The model reads windows of `longest` tokens that overlap by half. So each token is said from at
    least half a window before it, but for those at the very beginning.
    """
    length = min(model.longest, len(tokens) - 1)
    last = len(tokens) - 1 - length
    starts = [*range(0, last, max(length // 2, 1)), last]
    windows = torch.stack([tokens[start : start + length + 1] for start in starts])
    was_training = model.training
    model.eval()
    found = []
    for part in windows.split(batch_size):
        logits = model(part[:, :-1]).transpose(1, 2)
        found += functional.cross_entropy(logits, part[:, 1:], reduction="none")
    model.train(was_training)
    result = torch.empty(len(tokens) - 1, device=tokens.device)
    for start, row in zip(reversed(starts), reversed(found)):
        result[start : start + length] = row  # of two windows the earlier one has read more
    return result


def sampling_weights(logits, temperature=1.0, top_p=1.0):
    """With which probability each token is drawn: [..., V] → [..., V].

    temperature: divides the logits. top_p: above 0, up to 1; only the likeliest tokens stay, as few
    as together have a probability of at least top_p. What they have is brought to the sum 1.
    """
    probabilities = torch.softmax(logits / temperature, dim=-1)
    ordered, tokens = probabilities.sort(dim=-1, descending=True)
    likelier = ordered.cumsum(dim=-1) - ordered  # what the tokens before have together
    kept = ordered.masked_fill(likelier >= top_p, 0)
    kept = kept / kept.sum(dim=-1, keepdim=True)
    return torch.zeros_like(probabilities).scatter(-1, tokens, kept)


@torch.no_grad()
def generate(model, prompt, num_tokens, temperature=1.0, top_p=1.0, use_cache=True):
    """Write on: tokens [B, T] → [B, T + num_tokens], at most `longest` of them in all.

    use_cache: keep keys and values, and read only the newest token each time. Without, everything
    is read again for each token; the text is the same.

    Raises:
        ValueError: the text would be longer than `longest`.
    """
    if prompt.shape[1] + num_tokens > model.longest:
        raise ValueError(
            f"{prompt.shape[1]} tokens and {num_tokens} more are too long for this model, which "
            f"looks at {model.longest}: ask for fewer."
        )
    was_training = model.training
    model.eval()
    caches = [KeyValueCache() for _ in model.blocks] if use_cache else None
    tokens = unread = prompt
    for _ in range(num_tokens):
        logits = model(unread if use_cache else tokens, caches)[:, -1]  # [B, V]
        weights = sampling_weights(logits, temperature, top_p)
        unread = torch.multinomial(weights, 1)  # [B, 1]
        tokens = torch.cat([tokens, unread], dim=1)
    model.train(was_training)
    return tokens


def longest_copy(sample, text):
    """The longest piece of the sample that stands, letter by letter, in the text; the first one."""
    longest = ""
    for start in range(len(sample)):
        while start + len(longest) < len(sample):
            longer = sample[start : start + len(longest) + 1]
            if longer not in text:
                break
            longest = longer
    return longest
