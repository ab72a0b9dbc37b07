"""Lesson 06: every exercise turns away plausible mistakes and takes different right answers."""

import itertools
import math
from collections import Counter

import numpy as np
import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional

from course.exercises.language_model import EXERCISES
from course.models.attention import causal_mask
from course.models.byte_pairs import merge
from course.models.language_model import GPT as Reference
from course.models.language_model import (
    KeyValueCache,
    longest_copy,
    next_token_loss,
    perplexity,
    sampling_weights,
)
from course.models.n_grams import smoothed_probability

# Each wrong answer stands beside a word that its message must contain.


def perplexity_by_loop(probabilities):
    surprise = 0.0
    for probability in probabilities.tolist():
        surprise -= math.log(probability) / len(probabilities)
    return torch.tensor(math.exp(surprise))


def perplexity_prints(probabilities):
    print(torch.exp(-torch.log(probabilities).mean()))


PERPLEXITY = {
    "wrong": [
        (lambda p: -p.log().mean(), "surprise in nats"),
        (lambda p: -p.log2().mean(), "surprise in bits"),
        (lambda p: p.log().mean().exp(), "minus sign"),
        (lambda p: (1 / p).mean(), "*logarithms*"),
        (lambda p: 1 / p.mean(), "probabilities themselves"),
        (lambda p: (-p.log().sum()).exp(), "take their mean"),
        (lambda p: 2 ** -p.log().mean(), "natural logarithm"),
        (lambda p: torch.exp(-p.log2().mean()), "base 2"),
        (lambda p: torch.prod(p) ** (-1 / len(p)), "becomes 0"),
        (lambda p: torch.exp(-(p * p.log()).sum()), "entropy"),
        (lambda p: torch.exp(-p.log()), "shape"),
        (lambda p: -torch.exp(p.log().mean()), "belongs to the logarithm"),
        (lambda p: torch.exp(-p.log().mean()).item(), "return the tensor"),
        (perplexity_prints, "return"),
    ],
    "right": [
        lambda probabilities: perplexity(probabilities),
        perplexity_by_loop,
        lambda p: 2 ** -p.log2().mean(),
        lambda p: torch.exp(functional.nll_loss(p.log()[:, None], torch.zeros(len(p), dtype=int))),
    ],
}


def smoothed(
    share=lambda counts, token, discount: max(counts[token] - discount, 0) / counts.total(),
    handed_on=lambda counts, discount: discount * len(counts) / counts.total(),
    shorten=lambda context: context[1:],
    unseen=lambda shorter: shorter,
    start=lambda num_symbols: 1 / num_symbols,
):
    def answer(token, context, followers, num_symbols, discount):
        if not context:
            shorter = start(num_symbols)
        else:
            shorter = answer(token, shorten(context), followers, num_symbols, discount)
        counts = followers.get(context)
        if counts is None:
            return unseen(shorter)
        return share(counts, token, discount) + handed_on(counts, discount) * shorter

    return answer


def smoothed_by_loop(token, context, followers, num_symbols, discount):
    probability = 1 / num_symbols
    for length in range(len(context) + 1):
        counts = followers.get(context[len(context) - length :])
        if not counts:
            continue
        total = sum(counts.values())
        left = sum(discount for _ in counts) / total
        probability = (counts[token] - discount if token in counts else 0) / total + (
            left * probability
        )
    return probability


def smoothed_without_end(token, context, followers, num_symbols, discount):
    shorter = smoothed_without_end(token, context[1:], followers, num_symbols, discount)
    return shorter


def smoothed_where_missing(token, context, followers, num_symbols, discount):
    shorter = 1 / num_symbols
    if context:
        shorter = smoothed_where_missing(token, context[1:], followers, num_symbols, discount)
    if context not in followers:
        return shorter
    counts = followers[context]
    if token in counts:
        return (counts[token] - discount) / counts.total()
    return discount * len(counts) / counts.total() * shorter


def smoothed_unseen_context_raises(token, context, followers, num_symbols, discount):
    counts = followers[context]
    shorter = 1 / num_symbols
    if context:
        shorter = smoothed_unseen_context_raises(
            token, context[1:], followers, num_symbols, discount
        )
    kept = max(counts[token] - discount, 0) + discount * len(counts) * shorter
    return kept / counts.total()


def smoothed_without_the_empty_context(token, context, followers, num_symbols, discount):
    if len(context) == 0:
        return 1 / num_symbols
    shorter = smoothed_without_the_empty_context(
        token, context[1:], followers, num_symbols, discount
    )
    if context not in followers:
        return shorter
    counts = followers[context]
    kept = max(counts[token] - discount, 0) / counts.total()
    return kept + discount * len(counts) / counts.total() * shorter


def smoothed_stops_at_empty_bytes(token, context, followers, num_symbols, discount):
    if context == b"":
        return 1 / num_symbols
    return smoothed_stops_at_empty_bytes(token, context[1:], followers, num_symbols, discount)


def smoothed_of_the_longest_alone(token, context, followers, num_symbols, discount):
    counts = followers.get(context, {})
    if not counts:
        return 1 / num_symbols
    total = counts.total()
    return max(counts[token] - discount, 0) / total + discount * len(counts) / total / num_symbols


def smoothed_notes_what_it_is_asked(token, context, followers, num_symbols, discount):
    followers.setdefault(context, Counter())
    shorter = 1 / num_symbols
    if context:
        shorter = smoothed_notes_what_it_is_asked(
            token, context[1:], followers, num_symbols, discount
        )
    counts = followers[context]
    if not counts:
        return shorter
    kept = max(counts[token] - discount, 0) + discount * len(counts) * shorter
    return kept / counts.total()


SMOOTHED_PROBABILITY = {
    "wrong": [
        (smoothed(lambda c, t, d: c[t] / c.total()), "more than 1"),
        (smoothed(lambda c, t, d: (c[t] - d) / c.total()), "negative"),
        (smoothed(handed_on=lambda c, d: d / c.total()), "*each* token"),
        (smoothed(handed_on=lambda c, d: d), "not the discount itself"),
        (smoothed(handed_on=lambda c, d: d * len(c)), "divided by their total"),
        (smoothed(handed_on=lambda c, d: 0), "is lost"),
        (smoothed(lambda c, t, d: c[t] / c.total(), lambda c, d: 0), "plain shares"),
        (smoothed(shorten=lambda context: context[:-1]), "*last* token"),
        (smoothed(unseen=lambda shorter: 0), "never seen"),
        (smoothed(start=lambda num_symbols: 0), "1 / num_symbols"),
        (smoothed(start=lambda num_symbols: 1), "1 / num_symbols"),
        (smoothed_where_missing, "always adds its share"),
        (smoothed_without_end, "empty context"),
        (smoothed_without_the_empty_context, "stands *behind* it"),
        (smoothed_stops_at_empty_bytes, "a tuple as well as bytes"),
        (smoothed_unseen_context_raises, "Not every context"),
        (smoothed_of_the_longest_alone, "it should be"),
        (smoothed_notes_what_it_is_asked, "in place"),
    ],
    "right": [
        lambda *arguments: smoothed_probability(*arguments),
        smoothed_by_loop,
        smoothed(),
    ],
}


def merge_by_place(tokens, pair, new):
    result, place = [], 0
    while place < len(tokens):
        if place + 1 < len(tokens) and tokens[place] == pair[0] and tokens[place + 1] == pair[1]:
            result.append(new)
            place += 2
        else:
            result.append(tokens[place])
            place += 1
    return result


def merge_recursively(tokens, pair, new):
    if len(tokens) < 2:
        return list(tokens)
    if tuple(tokens[:2]) == pair:
        return [new, *merge_recursively(tokens[2:], pair, new)]
    return [tokens[0], *merge_recursively(tokens[1:], pair, new)]


def merge_keeps_the_second(tokens, pair, new):
    return [
        new if tuple(tokens[place : place + 2]) == pair else token
        for place, token in enumerate(tokens)
    ]


def merge_first(tokens, pair, new):
    for place in range(len(tokens)):
        if tuple(tokens[place : place + 2]) == pair:
            return [*tokens[:place], new, *tokens[place + 2 :]]
    return tokens


def merge_too_far(tokens, pair, new):
    result, place = [], 0
    while place < len(tokens):
        if tokens[place] == pair[0] and tokens[place + 1] == pair[1]:
            result.append(new)
            place += 2
        else:
            result.append(tokens[place])
            place += 1
    return result


def merge_loses_the_last(tokens, pair, new):
    result, place = [], 0
    while place < len(tokens) - 1:
        if (tokens[place], tokens[place + 1]) == pair:
            result.append(new)
            place += 2
        else:
            result.append(tokens[place])
            place += 1
    return result


def merge_in_steps_of_two(tokens, pair, new):
    result = []
    for place in range(0, len(tokens), 2):
        both = tokens[place : place + 2]
        result.extend([new] if tuple(both) == pair else both)
    return result


def merge_neighbours(tokens, pair, new):
    result = []
    for first, second in itertools.pairwise(tokens):
        result.append(new if (first, second) == pair else first)
    return result


def merge_as_text(tokens, pair, new):
    text = " ".join(str(token) for token in tokens)
    return [int(part) for part in text.replace(f"{pair[0]} {pair[1]}", f"{new}").split()]


def merge_in_place(tokens, pair, new):
    place = 0
    while place < len(tokens) - 1:
        if tuple(tokens[place : place + 2]) == pair:
            tokens[place : place + 2] = [new]
        place += 1
    return tokens


def merge_from_the_right(tokens, pair, new):
    return merge(list(tokens)[::-1], pair[::-1], new)[::-1]


MERGE = {
    "wrong": [
        (merge_keeps_the_second, "second token"),
        (merge_first, "Only the first pair"),
        (merge_too_far, "no neighbour"),
        (merge_loses_the_last, "last token is lost"),
        (merge_in_steps_of_two, "any place"),
        (merge_from_the_right, "right end"),
        (lambda t, p, n: [n if token in p else token for token in t], "Only neighbours"),
        (lambda t, p, n: [n if t[i : i + 2] == p else t[i] for i in range(len(t))], "tuple"),
        (lambda t, p, n: tuple(merge(t, p, n)), "tuple"),
        (lambda t, p, n: np.array(merge(t, p, n)), "list"),
        (merge_in_place, "in place"),
        (merge_neighbours, "Two things"),
        (merge_as_text, "not their digits"),
    ],
    "right": [lambda *arguments: merge(*arguments), merge_by_place, merge_recursively],
}


def loss_by_hand(model, tokens):
    logits = model(tokens[:, :-1])
    probabilities = torch.softmax(logits, dim=-1)
    chosen = probabilities.gather(2, tokens[:, 1:, None])
    return -chosen.log().mean()


def loss_flat(model, tokens):
    logits = model(tokens)[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def loss_of(read, asked, finish=lambda x, y: functional.cross_entropy(x.transpose(1, 2), y)):
    return lambda model, tokens: finish(model(read(tokens)), asked(tokens))


def shifted(finish):
    return loss_of(lambda t: t[:, :-1], lambda t: t[:, 1:], finish)


def loss_after_a_cut(model, tokens):
    tokens = tokens[:, :-1]
    return functional.cross_entropy(model(tokens)[:, :-1].transpose(1, 2), tokens[:, 1:])


def loss_after_a_cut_of_the_wrong_end(model, tokens):
    tokens = tokens[:, :-1]
    return functional.cross_entropy(model(tokens)[:, 1:].transpose(1, 2), tokens[:, 1:])


def loss_without_slopes(model, tokens):
    with torch.no_grad():
        return next_token_loss(model, tokens)


NEXT_TOKEN_LOSS = {
    "wrong": [
        (loss_of(lambda t: t[:, :-1], lambda t: t[:, :-1]), "only copy"),
        (loss_of(lambda t: t, lambda t: t), "only copy"),
        (loss_of(lambda t: t[:, 1:], lambda t: t[:, 1:]), "only copy"),
        (loss_of(lambda t: t[:, 1:], lambda t: t[:, :-1]), "backwards"),
        (loss_of(lambda t: t, lambda t: torch.roll(t, -1, 1)), "ring"),
        (loss_of(lambda t: t, lambda t: torch.roll(t, 1, 1)), "wrong way"),
        (loss_of(lambda t: t[:, :-2], lambda t: t[:, 2:]), "moved the targets twice"),
        (loss_of(lambda t: t[:, :-1], lambda t: t[:, :-1] + 1), "list of symbols"),
        (loss_of(lambda t: t, lambda t: t[:, 1:]), "equal length"),
        (loss_after_a_cut, "never asked for"),
        (loss_after_a_cut_of_the_wrong_end, "only copy"),
        (
            shifted(lambda x, y: functional.cross_entropy(x.mT, y, reduction="sum")),
            "sum over all tokens",
        ),
        (
            shifted(lambda x, y: functional.cross_entropy(x.mT, y, reduction="sum") / len(y)),
            "number of rows",
        ),
        (shifted(lambda x, y: functional.cross_entropy(x.softmax(-1).mT, y)), "softmax itself"),
        (
            shifted(lambda x, y: functional.cross_entropy(x.reshape(len(x), x.shape[2], -1), y)),
            "cuts the numbers anew",
        ),
        (shifted(lambda x, y: functional.cross_entropy(x[:, -1], y[:, -1])), "last token"),
        (shifted(lambda x, y: functional.cross_entropy(x.mT, y).exp()), "perplexity"),
        (shifted(lambda x, y: functional.cross_entropy(x.mT, y) / math.log(2)), "nats"),
        (loss_without_slopes, "can be learned"),
        (lambda model, tokens: next_token_loss(model, tokens).item(), "without `.item()`"),
        (lambda model, tokens: model.logits.sum(), "never asked"),
    ],
    "right": [
        lambda model, tokens: next_token_loss(model, tokens),
        loss_by_hand,
        loss_flat,
    ],
}


class Pieces(Reference):
    """The right answer in pieces that the wrong ones replace."""

    def seen(self, caches):
        return len(caches[0]) if caches else 0

    def mask(self, tokens, seen):
        return torch.arange(seen + tokens.shape[1]) <= seen + torch.arange(tokens.shape[1])[:, None]

    def embed(self, tokens, seen):
        return self.embedding(tokens, num_seen=seen)

    def through(self, x, mask, caches):
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, mask, cache=cache)
        return x

    def head(self, x):
        return functional.linear(self.norm(x), self.embedding.of_token.weight)

    def forward(self, tokens, caches=None):
        seen = self.seen(caches)
        x = self.embed(tokens, seen)
        return self.head(self.through(x, self.mask(tokens, seen), caches))


class NoMask(Pieces):
    def mask(self, tokens, seen):
        return None


class MaskTurned(Pieces):
    def mask(self, tokens, seen):
        return ~causal_mask(tokens.shape[1], seen)


class MaskIgnoresCaches(Pieces):
    def mask(self, tokens, seen):
        return causal_mask(tokens.shape[1])


class NoPlaces(Pieces):
    def embed(self, tokens, seen):
        return self.embedding.of_token(tokens)


class PlacesFromZero(Pieces):
    def embed(self, tokens, seen):
        return self.embedding(tokens)


class NoNorm(Pieces):
    def head(self, x):
        return x @ self.embedding.of_token.weight.T


class Probabilities(Pieces):
    def head(self, x):
        return super().head(x).softmax(-1)


class LastOnly(Pieces):
    def head(self, x):
        return super().head(x)[:, -1]


class NoHead(Pieces):
    def head(self, x):
        return self.norm(x)


class OneBlock(Pieces):
    def through(self, x, mask, caches):
        return self.blocks[0](x, mask, caches[0] if caches else None)


class PlusAgain(Pieces):
    def through(self, x, mask, caches):
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = x + block(x, mask, cache)
        return x


class FromTheEmbedding(Pieces):
    def through(self, x, mask, caches):
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            out = block(x, mask, cache)
        return out


class CachesForgotten(Pieces):
    def through(self, x, mask, caches):
        return super().through(x, mask, None)


class CacheShared(Pieces):
    def through(self, x, mask, caches):
        return super().through(x, mask, [caches[0]] * len(self.blocks) if caches else None)


class HeadOfItsOwn(Pieces):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.to_logits = nn.Linear(sizes[1], sizes[0], bias=False)

    def head(self, x):
        return self.to_logits(self.norm(x))


class ModuleListCalled(Pieces):
    def through(self, x, mask, caches):
        return self.blocks(x)


class CachesAlwaysThere(Pieces):
    def through(self, x, mask, caches):
        for number, block in enumerate(self.blocks):
            x = block(x, mask, caches[number])
        return x


class RowsForTokens(Pieces):
    def mask(self, tokens, seen):
        return causal_mask(len(tokens), seen)


class CachesZipped(Pieces):
    def through(self, x, mask, caches):
        for block, cache in zip(self.blocks, caches, strict=True):
            x = block(x, mask, cache)
        return x


class AllCachesForEach(Pieces):
    def through(self, x, mask, caches):
        for block in self.blocks:
            x = block(x, mask, caches)
        return x


class HeadNotTurned(Pieces):
    def head(self, x):
        return self.norm(x) @ self.embedding.of_token.weight


class HeadEmbeds(Pieces):
    def head(self, x):
        return self.embedding(self.norm(x))


class Loop(Reference):
    """A style of its own: a mask of numbers that are added."""

    def forward(self, tokens, caches=None):
        seen = 0 if caches is None else len(caches[0])
        allowed = causal_mask(tokens.shape[1], seen)
        mask = torch.zeros(allowed.shape).masked_fill(~allowed, float("-inf"))
        x = self.embedding(tokens, seen)
        for number in range(len(self.blocks)):
            x = self.blocks[number](x, mask, None if caches is None else caches[number])
        return torch.einsum("btc,vc->btv", self.norm(x), self.embedding.of_token.weight)


class Renamed(Reference):
    """Called as the course's own is."""


GPT = {
    "wrong": [
        (NoMask, "sees those that follow"),
        (MaskTurned, ("turned round", "NaN")),
        (MaskIgnoresCaches, ("column for each kept", "num_seen + T")),
        (NoPlaces, "no places"),
        (PlacesFromZero, "do not stand at place 0"),
        (NoNorm, "last norm"),
        (Probabilities, "Logits"),
        (LastOnly, ("last token alone", "shape")),
        (NoHead, "logit"),
        (OneBlock, "first block"),
        (PlusAgain, "second plus"),
        (FromTheEmbedding, "one before"),
        (CachesForgotten, "its own"),
        (CacheShared, ("share one cache", "num_seen + T")),
        (HeadOfItsOwn, "weights of its own"),
        (ModuleListCalled, "loop over it"),
        (CachesAlwaysThere, "None unless given"),
        (RowsForTokens, "number of rows"),
        (CachesZipped, "None unless given"),
        (AllCachesForEach, "one cache"),
        (HeadNotTurned, "x @ weights.T"),
        (HeadEmbeds, "the other way"),
    ],
    "right": [Renamed, Pieces, Loop],
}


def weights_by_mask(logits, temperature=1.0, top_p=1.0):
    logits = logits / temperature
    probabilities = logits.softmax(-1)
    sums = (
        probabilities[..., None, :]
        .masked_fill(probabilities[..., None, :] <= probabilities[..., None], 0)
        .sum(-1)
    )
    return logits.masked_fill(sums >= top_p, float("-inf")).softmax(-1)


def weights_row_by_row(logits, temperature=1.0, top_p=1.0):
    if logits.dim() > 1:
        return torch.stack([weights_row_by_row(row, temperature, top_p) for row in logits])
    probabilities = functional.softmax(logits / temperature, dim=0)
    result, together = torch.zeros(len(logits)), 0.0
    for token in probabilities.argsort(descending=True):
        result[token] = probabilities[token]
        together += probabilities[token]
        if together >= top_p:
            break
    return result / result.sum()


def weigh(
    soften=lambda x, t: torch.softmax(x / t, -1),
    stays=lambda ordered, p: ordered.cumsum(-1) - ordered < p,
    rescale=lambda kept: kept / kept.sum(-1, keepdim=True),
    back=lambda tokens, kept: torch.zeros_like(kept).scatter(-1, tokens, kept),
    descending=True,
):
    def answer(logits, temperature=1.0, top_p=1.0):
        ordered, tokens = soften(logits, temperature).sort(-1, descending=descending)
        return back(tokens, rescale(torch.where(stays(ordered, top_p), ordered, 0.0)))

    return answer


def weights_above(logits, temperature=1.0, top_p=1.0):
    probabilities = (logits / temperature).softmax(-1)
    kept = torch.where(probabilities >= 1 - top_p, probabilities, 0.0)
    return kept / kept.sum(-1, keepdim=True)


def weights_temperature_last(logits, temperature=1.0, top_p=1.0):
    kept = sampling_weights(logits, 1.0, top_p) > 0
    return torch.where(kept, logits / temperature, float("-inf")).softmax(-1)


def weights_along_the_rows(logits, temperature=1.0, top_p=1.0):
    ordered, tokens = (logits / temperature).softmax(0).sort(0, descending=True)
    kept = torch.where(ordered.cumsum(0) - ordered < top_p, ordered, 0.0)
    return torch.zeros_like(kept).scatter(0, tokens, kept / kept.sum(0))


def weights_of_logits_of_0(logits, temperature=1.0, top_p=1.0):
    kept = sampling_weights(logits, temperature, top_p) > 0
    return torch.where(kept, logits / temperature, 0.0).softmax(-1)


SAMPLING_WEIGHTS = {
    "wrong": [
        (weigh(lambda x, t: x.softmax(-1)), "temperature is not used"),
        (weigh(lambda x, t: (x * t).softmax(-1)), "multiplied by the temperature"),
        (weigh(lambda x, t: x.softmax(-1) / t), ("divided the probabilities", "NaN")),
        (lambda x, t=1.0, p=1.0: (x / t).softmax(-1), "`top_p` is not used"),
        (weigh(stays=lambda ordered, p: ordered.cumsum(-1) <= p), ("belongs to those", "NaN")),
        (weigh(stays=lambda ordered, p: ordered.cumsum(-1) < p), ("belongs to those", "NaN")),
        (weigh(rescale=lambda kept: kept), "no longer adds up"),
        (weigh(rescale=lambda kept: kept.softmax(-1)), "second softmax"),
        (weigh(descending=False), "*unlikely*"),
        (weigh(back=lambda tokens, kept: kept), "order of their size"),
        (weigh(back=lambda tokens, kept: kept.gather(-1, tokens)), "put *to* its place"),
        (weigh(back=lambda tokens, kept: kept[tokens]), "put *to* its place"),
        (weigh(stays=lambda ordered, p: ordered >= p), "*sum*"),
        (weights_along_the_rows, "last axis"),
        (weights_of_logits_of_0, "not the probability 0"),
        (weights_above, "*sum*"),
        (weights_temperature_last, "temperature comes first"),
        (weigh(rescale=lambda kept: kept / kept.sum()), "each row"),
        (weigh(rescale=lambda kept: kept / kept.sum(-1)), ("keepdim", "each row")),
    ],
    "right": [
        lambda logits, temperature=1.0, top_p=1.0: sampling_weights(logits, temperature, top_p),
        weights_by_mask,
        weights_row_by_row,
    ],
}


class CacheOfParts:
    def __init__(self):
        self.parts = []

    def __len__(self):
        return sum(keys.size(-2) for keys, _ in self.parts)

    def add(self, keys, values):
        self.parts.append((keys, values))
        all_keys, all_values = zip(*self.parts, strict=True)
        return torch.cat(all_keys, -2), torch.cat(all_values, -2)


class CacheFromEmpty:
    def __init__(self):
        self.keys = self.values = None

    def __len__(self):
        return 0 if self.keys is None else self.keys.shape[2]

    def add(self, keys, values):
        if self.keys is None:
            self.keys, self.values = keys[:, :, :0], values[:, :, :0]
        self.keys = torch.concatenate((self.keys, keys), axis=2)
        self.values = torch.concatenate((self.values, values), axis=2)
        return self.keys, self.values


class SameCache(KeyValueCache):
    pass


def cache_with(add):
    return type("Cache", (KeyValueCache,), {"add": add})


def joined_along(axis, order=1):
    def add(self, keys, values):
        if self.keys is not None:
            keys = torch.cat([self.keys, keys][::order], axis)
            values = torch.cat([self.values, values][::order], axis)
        self.keys, self.values = keys, values
        return keys, values

    return cache_with(add)


def add_newest_kept(self, keys, values):
    both = keys, values
    if self.keys is not None:
        both = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
    self.keys, self.values = keys, values
    return both


def add_nothing_kept(self, keys, values):
    return keys, values


def add_first_kept(self, keys, values):
    if self.keys is None:
        self.keys, self.values = keys, values
        return keys, values
    return torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)


def add_returns_new(self, keys, values):
    KeyValueCache.add(self, keys, values)
    return keys, values


def add_forgets_values(self, keys, values):
    if self.keys is not None:
        keys = torch.cat([self.keys, keys], 2)
    self.keys, self.values = keys, values
    return keys, values


def add_swaps(self, keys, values):
    return KeyValueCache.add(self, keys, values)[::-1]


def add_returns_nothing(self, keys, values):
    KeyValueCache.add(self, keys, values)


def add_joins_always(self, keys, values):
    self.keys = torch.cat([self.keys, keys], 2)
    self.values = torch.cat([self.values, values], 2)
    return self.keys, self.values


def add_keeps_only_new(self, keys, values):
    self.keys, self.values = keys, values
    return self.keys, self.values


def add_sums(self, keys, values):
    self.keys = keys if self.keys is None else self.keys + keys
    self.values = values if self.values is None else self.values + values
    return self.keys, self.values


def add_twice_at_first(self, keys, values):
    if self.keys is None:
        self.keys, self.values = keys, values
    return KeyValueCache.add(self, keys, values)


def add_asks_a_tensor(self, keys, values):
    if not self.keys:
        self.keys, self.values = keys, values
        return keys, values
    return KeyValueCache.add(self, keys, values)


def add_gives_a_list(self, keys, values):
    return list(KeyValueCache.add(self, keys, values))


KEY_VALUE_CACHE = {
    "wrong": [
        (joined_along(1), "axis 2"),
        (joined_along(0), "axis 2"),
        (joined_along(3), "axis 2"),
        (joined_along(2, -1), "in front"),
        (cache_with(add_newest_kept), "newest tokens alone"),
        (cache_with(add_first_kept), "later tokens are not"),
        (cache_with(add_nothing_kept), "Nothing is kept"),
        (cache_with(add_returns_new), "the new keys and values"),
        (cache_with(add_forgets_values), "the values are not"),
        (cache_with(add_swaps), "changed places"),
        (cache_with(add_returns_nothing), "None"),
        (cache_with(add_joins_always), "first call"),
        (cache_with(add_keeps_only_new), "thrown away"),
        (cache_with(add_sums), "adds up the numbers"),
        (cache_with(add_twice_at_first), "taken twice"),
        (cache_with(add_asks_a_tensor), "`self.keys is not None` tells"),
    ],
    "right": [SameCache, CacheOfParts, CacheFromEmpty, cache_with(add_gives_a_list)],
}


def copy_by_table(sample, text):
    best, before = "", [0] * (len(text) + 1)
    for end, letter in enumerate(sample, start=1):
        now = [0] * (len(text) + 1)
        for place, other in enumerate(text, start=1):
            if letter == other:
                now[place] = before[place - 1] + 1
        if max(now) > len(best):
            best = sample[end - max(now) : end]
        before = now
    return best


def copy_by_length(sample, text):
    for length in range(len(sample), 0, -1):
        pieces = {sample[start : start + length] for start in range(len(sample) - length + 1)}
        for piece in pieces:
            if piece in text:
                return piece
    return ""


def copy_by_window(sample, text):
    start, best = 0, ""
    for end in range(1, len(sample) + 1):
        while sample[start:end] not in text:
            start += 1
        if end - start >= len(best):
            best = sample[start:end]
    return best


def copy_of_words(sample, text):
    best, words = "", sample.split()
    for start in range(len(words)):
        for end in range(start, len(words)):
            piece = " ".join(words[start : end + 1])
            if piece in text and len(piece) > len(best):
                best = piece
    return best


def copy_of_the_start(sample, text):
    length = 0
    while length < len(sample) and sample[: length + 1] in text:
        length += 1
    return sample[:length]


def copies(sample, text):
    """For each place with a copy, the longest one from there."""
    for start in range(len(sample)):
        end = start
        while end < len(sample) and sample[start : end + 1] in text:
            end += 1
        if end > start:
            yield sample[start:end]


def copy_without_the_last_letter(sample, text):
    pieces = (sample[a:b] for a in range(len(sample)) for b in range(a, len(sample)))
    return max((piece for piece in pieces if piece in text), key=len, default="")


def copy_with_gaps(sample, text):
    best = ""
    for start in range(len(sample)):
        place, found = -1, ""
        for letter in sample[start:]:
            next_place = text.find(letter, place + 1)
            if next_place >= 0:
                place, found = next_place, found + letter
        if len(found) > len(best):
            best = found
    return best


def copy_too_eager(sample, text):
    """Goes on behind the end of the sample, where a slice no longer grows."""
    longest = ""
    for start in range(len(sample)):
        while sample[start : start + len(longest) + 1] in text:
            longest = sample[start : start + len(longest) + 1]
            if len(longest) > 10_000:
                break
    return longest


def copy_on_behind_each(sample, text):
    best, start = "", 0
    while start < len(sample):
        piece = next(copies(sample[start : start + 1], text), "")
        while piece and start + len(piece) < len(sample):
            longer = sample[start : start + len(piece) + 1]
            if longer not in text:
                break
            piece = longer
        best, start = max(best, piece, key=len), start + max(len(piece), 1)
    return best


LONGEST_COPY = {
    "wrong": [
        (copy_of_words, "whole words"),
        (copy_of_the_start, "begin where the sample begins"),
        (lambda sample, text: next(copies(sample, text), ""), "first piece"),
        (lambda sample, text: [*copies(sample, text), ""][-2:][0], ("last piece", "longer")),
        (copy_without_the_last_letter, "end of a slice"),
        (copy_with_gaps, "without gaps"),
        (lambda sample, text: len(longest_copy(sample, text)), "length"),
        (lambda sample, text: longest_copy(text, sample).upper(), "no piece of the sample"),
        (lambda sample, text: sample, ("does not stand", "no piece")),
        (copy_too_eager, "seconds"),
        (copy_on_behind_each, "begin *within* it"),
        (lambda sample, text: longest_copy(sample.lower(), text.lower()), "different letters"),
        (lambda s, t: max([word for word in s.split() if word in t] + [""], key=len), "single"),
        (lambda sample, text: max(copies(sample, text), key=len), "not even a letter"),
    ],
    "right": [
        lambda sample, text: longest_copy(sample, text),
        copy_by_table,
        copy_by_length,
        copy_by_window,
    ],
}

ANSWERS = {
    "language_model.perplexity": PERPLEXITY,
    "language_model.smoothed_probability": SMOOTHED_PROBABILITY,
    "language_model.merge": MERGE,
    "language_model.next_token_loss": NEXT_TOKEN_LOSS,
    "language_model.GPT": GPT,
    "language_model.sampling_weights": SAMPLING_WEIGHTS,
    "language_model.KeyValueCache": KEY_VALUE_CACHE,
    "language_model.longest_copy": LONGEST_COPY,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 40
