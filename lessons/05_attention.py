# %% [markdown]
# # 05 · Attention: look up what you need
#
# {{badges}}
#
# A program can store a value under a name and look it up again. Can a *network* learn to do that? You will see
# that a network as in lesson 01 does not, even with many times the weights, and that a small part called
# **attention** makes it easy. In 2017 Ashish Vaswani and colleagues built a model from this part, the
# **Transformer**. The models that read and write today are its descendants. In this lesson you build it, from
# a single look-up to a whole layer.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. write attention as an average with weights, and say why its scores are divided by a square root;
# 2. decide with masks who may look where, and test that nobody looks further;
# 3. build heads, positions, layer norm and feed-forward, and from them an encoder layer that computes
#    what PyTorch's does;
# 4. show on a task what attention learns and an equally large network does not, and what its heads look at;
# 5. measure what attention costs as sequences get longer, and what PyTorch's own function saves.
#
# **Before this**: lesson 01 (softmax, slopes, modules in PyTorch) and lesson 03 (batch norm, the residual
# block). Plan two sittings, with a break at the end of section 4.

# %% [markdown]
# ## 1 · A look-up that is soft
#
# As always, every exercise may be skipped: the course's own answer then stands in.

# %%
import math
import re
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course import data, hardware, plots, training
from course.exercises import exercise
from course.models.attention import head_weights
from course.results import report

seed = hardware.seed_everything()
device = hardware.device()
print(hardware.describe())

# %% [markdown]
# In a Python dictionary each **key** has a **value**. You come with a **query**. If it is equal to a key, you
# get its value, otherwise nothing:

# %%
temperature_at = {6: 11.0, 9: 15.0, 12: 20.0, 15: 22.0, 18: 19.0, 21: 14.0}  # hour: degrees
print(temperature_at.get(12), temperature_at.get(13))

# %% [markdown]
# A network cannot learn with such a look-up. If a query moves a little, the answer stays as it is, or is
# gone: there are no slopes. So we make it *soft*: a query may fit every key, more or less.
#
# For that, keys and queries become vectors, such that similar things point in similar directions. An hour
# becomes the hand of a clock that goes round once a day. There are **S** keys, here six. The comments
# tell the shapes.


# %%
def clock_hand(hours):
    """Hours → the direction of the hand of a 24-hour clock: [S] → [S, 2], of length 1."""
    angles = torch.tensor(hours) / 24 * 2 * math.pi
    return torch.stack([angles.cos(), angles.sin()], dim=1)


hour_keys = clock_hand(list(temperature_at))  # [S, 2]
degrees = torch.tensor(list(temperature_at.values()))[:, None]  # [S, 1]
at_13 = clock_hand([13])[0]  # the query, [2]
for hour, score in zip(temperature_at, hour_keys @ at_13):
    print(f"query 13 h, key {hour:2} h: dot product {score:+.2f}")

# %% [markdown]
# The **dot product** adds up the products of the numbers at equal places. Of vectors that are equally long,
# those have the largest that point in the same direction: here 12 and 15, the hours next to 13. We use it
# as the **score** of a key. The softmax of lesson 01 makes **weights** of the scores: all positive, with the
# sum 1. The answer is the average of the values $v_s$, with these weights:
#
# $$w = \operatorname{softmax}(k_1 \cdot q, \dots, k_S \cdot q), \qquad
# \text{answer} = w_1 v_1 + \dots + w_S v_S$$

# %% [markdown]
# Write it. `keys @ query` are all scores; `torch.softmax(scores, dim=0)` makes weights. A key and the query
# have D numbers each, a value has E: a value may be a vector too.


# %%
@exercise("attention.look_up")
def look_up(query, keys, values):
    """The average of the values, weighted by how well each key fits the query.

    query: [D], keys: [S, D], values: [S, E] → [E].
    """
    raise NotImplementedError


# %% [markdown]
# **Predict, then run.** How hot was it at 13 h? We ask with the query as it is, then multiplied by 10, then
# by 1,000. Near which number will each of the three answers be?

# %%
answers = [look_up(at_13 * factor, hour_keys, degrees).item() for factor in (1, 10, 1000)]
figure, drawing = plots.axes("Look up any hour", "hour", "degrees")
day = [6 + step / 20 for step in range(301)]
curves = {}
for factor, style in ((1, "-."), (10, "-"), (1000, ":")):
    curves[factor] = [look_up(hand * factor, hour_keys, degrees).item() for hand in clock_hand(day)]
    drawing.plot(day, curves[factor], style, label=f"query times {factor:,}")
drawing.plot(list(temperature_at), degrees[:, 0], "o", color="black", label="measured")
drawing.legend(fontsize=8)
in_words = ", ".join(f"{answer:.1f}" for answer in answers)
alt = f"A flat curve, one near all six points, and stairs; at 13 h they say {in_words} degrees"
plots.show(figure, alt)
print(f"at 13 h: {in_words}; mean of all values: {degrees.mean():.1f}")
assert max(abs(answer - degrees.mean()) for answer in curves[1]) < 2.5 and 20 < answers[1] < 22
assert abs(answers[2] - 20) < 0.01

# %% [markdown]
# <details><summary>Why?</summary>
#
# With small scores the weights differ little, so every answer stays near the mean of all values. With
# large scores the best key gets nearly all the weight: that is the *hard* look-up, the 20 degrees of
# 12 h, with jumps half-way between two keys. In between, the answer changes smoothly. A network can learn
# how sharp its look-up is: by how large its queries and keys are.
# </details>

# %% [markdown]
# ## 2 · Everybody asks, and why there is a square root
#
# From now on we have a **sequence** of **tokens**. A token is whatever the sequence is made of: a word, a
# letter, one line of a program. *Each* token asks, is looked at, and hands over something: from its vector
# three dense layers make a query, a key and a value. So the network learns what to look for.
#
# The axes of the lesson: **B** sequences, **T** tokens that ask, **S** tokens that are looked at (mostly
# the same ones, so S = T), **D** numbers in a query or key, **E** in a value (mostly as many).

# %%
torch.manual_seed(seed)
tokens = torch.randn(5, 16)  # T = 5 tokens, each a vector of 16 numbers; D = E = 8
to_queries, to_keys, to_values = (nn.Linear(16, 8) for _ in range(3))
queries, keys, values = to_queries(tokens), to_keys(tokens), to_values(tokens)
scores = queries @ keys.T  # [T, S]: a row for each query
weights = torch.softmax(scores, dim=-1)  # over the last axis: each row has the sum 1
together = weights @ values  # [T, 8]
print("queries", list(queries.shape), "→ scores", list(scores.shape), end=" ")
print("→ results", list(together.shape))
one_by_one = torch.stack([look_up(query, keys, values) for query in queries])
assert torch.allclose(together, one_by_one, atol=1e-5)

# %% [markdown]
# Two multiplications of matrices do all look-ups at once. `.T` swaps the axes, so that every query meets
# every key. The check in the last line says: the same as one by one.

# %% [markdown]
# **Predict, then run.** A dot product adds up D products. Take queries and keys at random, with mean 0 and
# **variance** 1 (where the mean is 0, that is the mean of the squares). What is the variance of their dot
# product for D = 4, 64, 1024? And how large is the largest weight that a softmax over 16 such scores gives?
#
# We also print the slope of a weight w by its own score. It is w (1 − w), as for the sigmoid in lesson 01.


# %%
def scores_at_random(width, count=1000, num_keys=16):
    """The scores of `count` random queries, each with keys of its own: [count, num_keys].

    width: D, how many numbers a query or key has.
    """
    queries, keys = torch.randn(count, 1, width), torch.randn(count, num_keys, width)
    return (queries * keys).sum(dim=2)


def describe(scores):
    """The variance, the mean of the largest weight, and the mean slope of a weight."""
    weights = torch.softmax(scores, dim=1)
    slopes = weights * (1 - weights)
    return [scores.var().item(), weights.amax(dim=1).mean().item(), slopes.mean().item()]


plain = {width: describe(scores_at_random(width)) for width in (4, 64, 1024)}
for width, (variance, largest, slope) in plain.items():
    print(f"D = {width:4}: variance {variance:6.1f}, largest weight {largest:.2f}", end=", ")
    print(f"mean slope {slope:.4f}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Each product has mean 0 and variance 1, and the variances of independent numbers add up: the variance is
# D. So a typical score is as large as $\sqrt D$, with either sign. Among scores so large the best one takes
# nearly all the weight. The look-up is hard again, and its slopes are nearly 0: the network would stop
# learning *where* to look before it has begun.
# </details>

# %% [markdown]
# The cure: divide every score by $\sqrt D$. That divides the variance by D, so it is 1, whatever D is.

# %%
for width in (4, 64, 1024):
    variance, largest, slope = describe(scores_at_random(width) / math.sqrt(width))
    print(f"D = {width:4}: variance {variance:6.2f}, largest weight {largest:.2f}", end=", ")
    print(f"mean slope {slope:.4f}")
    assert 0.9 < plain[width][0] / width < 1.1 and 0.9 < variance < 1.1 and largest < 0.4
assert plain[1024][1] > 0.9 and plain[1024][2] < slope / 4
four = torch.randn(4, requires_grad=True)  # is the slope really w (1 − w)?
weight = torch.softmax(four, dim=0)[0]
assert torch.allclose(torch.autograd.grad(weight, four)[0][0], weight * (1 - weight))

# %% [markdown]
# ## 3 · Who may look where
#
# Two kinds of tokens must not be looked at:
#
# - **Padding.** Sequences in a batch have different lengths, so the short ones are filled up.
# - **The future.** A model that writes text must not see the words that it is to predict.
#
# A **mask** holds True where a token *may* look, False where it may not. A colleague used it like this: take
# the weights, and set the forbidden ones to 0.


# %%
def softmax_of_a_colleague(scores, mask=None):
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)  # ~: not
    return weights


# %% [markdown]
# **Predict, then run.** Three tokens, of which the last is forbidden. Its score changes from 0 to 5. What
# happens to the weights of the two others?

# %%
mask = torch.tensor([True, True, False])
seen = []
for forbidden in (0.0, 5.0):
    seen.append(softmax_of_a_colleague(torch.tensor([1.0, 2.0, forbidden]), mask))
    print(
        f"forbidden score {forbidden}: weights {seen[-1].numpy().round(2)}, sum {seen[-1].sum():.2f}"
    )
assert seen[0][2] == seen[1][2] == 0 and seen[1][1] < seen[0][1] / 5 and seen[1].sum() < 0.5

# %% [markdown]
# <details><summary>Why?</summary>
#
# Nothing of the forbidden *value* comes through. But the forbidden score was in the sum by which the softmax
# divides, so it changes the weights of all others, and their sum is no longer 1. In training, a model that
# writes would get hints at the word that it is to predict. In use this word is not there yet, and the hints
# are missing.
# </details>

# %% [markdown]
# **Bug hunt.** Mend it. A hint from lesson 01: the softmax divides exponentials by their sum. Which score
# has the exponential 0? (In a shape, `...` stands for any number of further axes, also none.)


# %%
@exercise("attention.masked_softmax")
def masked_softmax(scores, mask=None):
    """Softmax over the last axis in which only the places where mask is True take part.

    scores: [..., T, S]; mask: bool, of a shape that broadcasts to it, or None → [..., T, S].
    """
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)  # ~: not
    return weights


# %%
for forbidden in (0.0, 5.0):
    mended = masked_softmax(torch.tensor([1.0, 2.0, forbidden]), mask)
    print(f"forbidden score {forbidden}: weights {mended.numpy().round(2)}, sum {mended.sum():.2f}")
    assert torch.allclose(mended[:2], torch.softmax(torch.tensor([1.0, 2.0]), 0))

# %% [markdown]
# Now the masks themselves. For padding we know how many tokens of each sequence are real: they stand first.
# The mask needs four axes, [B, 1, 1, S]. The second is for heads (section 4), the third for the tokens that
# ask. The mask is the same for all of these, so both have size 1: PyTorch repeats them (broadcasting).
#
# `torch.arange(n)` are the numbers 0 to n − 1. Each `None` in an index adds an axis of size 1:
# `lengths[:, None]` is a column, [B, 1].


# %%
@exercise("attention.padding_mask")
def padding_mask(lengths, num_tokens):
    """Which tokens are real in sequences filled up to `num_tokens`: [B] → bool [B, 1, 1, num_tokens].

    lengths: how many tokens of each sequence are real, from 1 on. True: real.
    """
    raise NotImplementedError


# %% [markdown]
# The **causal mask** allows each token itself and what came before. `tril` keeps the lower triangle of a
# matrix, with the diagonal. Where both masks are needed, `&` allows what both allow.

# %%
causal = torch.ones(5, 5, dtype=torch.bool).tril()
padding = padding_mask(torch.tensor([5, 3]), 5)
print("padding", list(padding.shape), "and causal", list(causal.shape), end=" ")
print("→ both", list((padding & causal).shape))
of_second = {  # the sequence with three real tokens
    "causal": causal,
    "padding": padding[1, 0].expand(5, 5),
    "both": (padding & causal)[1, 0],
}
panels = {name: allowed.float().numpy() for name, allowed in of_second.items()}
alt = "Where a token may look: on and below the diagonal; at tokens 0, 1 and 2; and both"
plots.heatmaps(panels, "looked at", "asks", alt)

# %% [markdown]
# Dark: it may look. A row for each token that asks. The last two rows belong to padding: they get a result as
# well, and nobody uses it. But no row may be empty. Where *every* score is −∞, the softmax divides 0 by 0.
#
# Everything together is called **scaled dot-product attention**. Q, K, V are the queries, keys and values, a
# row for each token:
#
# $$\operatorname{attention}(Q, K, V) = \operatorname{softmax}\left(\frac{Q K^T}{\sqrt D}\right) V$$

# %% [markdown]
# Write it, with your `masked_softmax`. There may be further axes in front, for sequences and heads. `@`
# works on the last two axes and leaves those in front alone. `keys.transpose(-2, -1)` swaps the last two.


# %%
@exercise("attention.attention")
def attention(queries, keys, values, mask=None):
    """Scaled dot-product attention: for each query an average of the values.

    queries: [..., T, D], keys: [..., S, D], values: [..., S, E], mask: True where a query may look,
    of a shape that broadcasts to [..., T, S] → [..., T, E].
    """
    raise NotImplementedError


# %% [markdown]
# PyTorch has the same function, with the same order of arguments. Section 9 shows what is special about it.

# %%
torch.manual_seed(seed)
queries, keys, values = torch.randn(3, 2, 4, 5, 8)  # three of [B = 2, H = 4, T = 5, D = 8]
by_hand = attention(queries, keys, values, padding & causal)
by_torch = functional.scaled_dot_product_attention(queries, keys, values, padding & causal)
print(f"largest difference: {(by_hand - by_torch).abs().max():.0e}")
assert torch.allclose(by_hand, by_torch, atol=1e-5)
assert torch.softmax(torch.full((5,), float("-inf")), dim=0).isnan().all()  # an empty row

# %% [markdown]
# How can we be *sure* that nobody looks where it is forbidden? By trying: change one token, and see which
# results change. We will use this test again and again.


# %%
def influence(layer, x):
    """Which token changes which result, for x [B, T, C]: bool [T, T], a row for each result."""
    before = layer(x)
    columns = []
    for place in range(x.shape[1]):
        changed = x.clone()
        changed[:, place] += torch.randn(x.shape[2])
        columns.append(((layer(changed) - before).abs() > 1e-6).any(dim=2).any(dim=0))
    return torch.stack(columns, dim=1)


x = torch.randn(1, 5, 8)
found = influence(lambda x: attention(x, x, x, causal), x)
print(found.int())
assert torch.equal(found, causal)

# %% [markdown]
# Row t, column s: whether token s changes result t. It is the causal mask again: no result depends on a
# later token.

# %% [markdown]
# ## 4 · Several heads
#
# One softmax gives *one* average, but a token may need two things at a time. So its numbers, the **C**
# **channels**, are divided among **H** **heads**: each has D = C / H channels and does its own attention. At
# the end the results stand side by side, and a last dense layer mixes them. That takes as many
# multiplications as one head with all channels.

# %% [markdown]
# Here is such a layer as it could stand in an article. Its method `split` gives each head its share. In the
# last line `transpose(1, 2)` swaps axes 1 and 2, and `flatten(2)` makes one axis of all from axis 2 on.


# %%
class HeadsOfAnArticle(nn.Module):
    def __init__(self, num_channels, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.to_queries = nn.Linear(num_channels, num_channels)
        self.to_keys = nn.Linear(num_channels, num_channels)
        self.to_values = nn.Linear(num_channels, num_channels)
        self.to_output = nn.Linear(num_channels, num_channels)

    def split(self, x):  # [B, T, C] → [B, H, T, D]
        batch, num_tokens, num_channels = x.shape
        return x.reshape(batch, self.num_heads, num_tokens, num_channels // self.num_heads)

    def forward(self, x, mask=None):
        queries, keys = self.split(self.to_queries(x)), self.split(self.to_keys(x))
        found = attention(queries, keys, self.split(self.to_values(x)), mask)  # [B, H, T, D]
        return self.to_output(found.transpose(1, 2).flatten(2))  # [B, T, C]


# %% [markdown]
# **Predict, then run.** It runs, and all shapes are right. We give it six tokens, the causal mask, and two
# heads. Will a later token change an earlier result?

# %%
torch.manual_seed(seed)
six, allowed = torch.randn(1, 6, 8), torch.ones(6, 6, dtype=torch.bool).tril()
of_article = HeadsOfAnArticle(num_channels=8, num_heads=2)
found = influence(lambda x: of_article(x, allowed), six)
panels = {"allowed": allowed.float().numpy(), "the article's layer": found.float().numpy()}
from_the_future = int((found & ~allowed).sum())
plots.heatmaps(
    panels, "token changed", "result", f"Left a triangle; right {from_the_future} places above it"
)
print(f"{from_the_future} times a later token changes an earlier result")
assert from_the_future > 0 and found[0, 3]

# %% [markdown]
# <details><summary>Why?</summary>
#
# A reshape never changes the order of the numbers, it only cuts the long row of them anew. All channels of
# token 0 come first, then all of token 1. So the first half of the row, which the first head gets, is tokens
# 0, 1 and 2 *with all their channels*, cut into six pieces that are taken for tokens. The second head gets
# tokens 3, 4 and 5. Result 0 is made of the first piece of each head: it gets a piece of token 3, the future.
# </details>
#
# In small:

# %%
numbers = torch.arange(12).reshape(1, 3, 4)  # three tokens with four channels each
print("tokens:    ", numbers[0].tolist())
print("first head:", numbers.reshape(1, 2, 3, 2)[0, 0].tolist())
assert numbers.reshape(1, 2, 3, 2)[0, 0, 1].tolist() == [2, 3]  # not a part of the second token

# %% [markdown]
# The first head should have got [0, 1], [4, 5] and [8, 9]: the first two channels of every token.
#
# **Bug hunt.** Mend it. Two arguments are new, and right as they are: `context` is another sequence at which
# the tokens of x look (lesson 09 needs it), and without it they look at x; `attend` is the function that does
# the attention.


# %%
@exercise("attention.MultiHeadAttention")
class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own D = C / H neighbouring channels.

    [B, T, C] → same shape. The first head gets the first D channels of every token, and so on.
    """

    def __init__(self, num_channels, num_heads, attend=attention):
        super().__init__()
        self.num_heads, self.attend = num_heads, attend
        self.to_queries = nn.Linear(num_channels, num_channels)
        self.to_keys = nn.Linear(num_channels, num_channels)
        self.to_values = nn.Linear(num_channels, num_channels)
        self.to_output = nn.Linear(num_channels, num_channels)

    def split(self, x):
        """A share of the channels for each head: [B, T, C] → [B, H, T, D]."""
        batch, num_tokens, num_channels = x.shape
        return x.reshape(batch, self.num_heads, num_tokens, num_channels // self.num_heads)

    def forward(self, x, mask=None, context=None):
        """context: where the tokens look, [B, S, C]; at x itself unless given."""
        context = x if context is None else context
        queries = self.split(self.to_queries(x))  # [B, H, T, D]
        keys, values = self.split(self.to_keys(context)), self.split(self.to_values(context))
        found = self.attend(queries, keys, values, mask)  # [B, H, T, D]
        return self.to_output(found.transpose(1, 2).flatten(2))  # the heads side by side again


# %%
torch.manual_seed(seed)
layer = MultiHeadAttention(num_channels=8, num_heads=2)
found = influence(lambda x: layer(x, allowed), six)
print("a later token changes an earlier result:", bool((found & ~allowed).any()))
print(list(six.shape), "→ heads", list(layer.split(six).shape), "→", list(layer(six).shape))
assert torch.equal(found, allowed)

# %% [markdown]
# A good place for a break. You have built the heart of every Transformer. In the second half it becomes a
# layer, learns a task, and you measure what it costs.

# %% [markdown]
# ## 5 · Where is a token?
#
# **Predict, then run.** We shuffle the tokens of a sequence. What happens to the results of our layer,
# without a mask?

# %%
order = torch.randperm(6)
same = torch.allclose(layer(six[:, order]), layer(six)[:, order], atol=1e-6)
print("the results are those of before, shuffled in the same way:", same)
assert same

# %% [markdown]
# <details><summary>Why?</summary>
#
# An average does not ask in which order its parts come. To attention a sequence is a bag of tokens: in “dog
# bites man” and “man bites dog” each word gets the same result.
# </details>

# %% [markdown]
# So the *place* has to stand in the token itself: we add to it a vector that depends on its place only. The
# paper of 2017 takes clocks, like ours in section 1, but C / 2 of them, each slower than the one before. At
# place p, clock i = 0, 1, … C / 2 − 1 has the angle (as everywhere in PyTorch, 2π is a full turn)
#
# $$\alpha = \frac{p}{10000^{2i/C}}$$

# %% [markdown]
# Its sine goes to channel 2i, its cosine to channel 2i + 1. Write it. `torch.arange(0, C, 2)` are the numbers
# 2i. Places in a column, [T, 1], and clocks in a row, [C / 2], give a table of all angles. `table[:, 0::2] = …`
# fills channels 0, 2, 4 …


# %%
@exercise("attention.sinusoidal_positions")
def sinusoidal_positions(num_tokens, num_channels):
    """A vector for each place, from 0 on: [num_tokens, num_channels]; num_channels is even.

    Channels 2i and 2i + 1 are sine and cosine of place / 10,000^(2i / num_channels).
    """
    raise NotImplementedError


# %%
clocks = sinusoidal_positions(60, 32)  # [T, C]
alt = "Sixty places: the first channels change at every place, the last hardly at all"
plots.heatmaps({"vectors of places": clocks.T.numpy()}, "place", "channel", alt, signed=True)
assert clocks[:, 0].std() > 0.6 and clocks[:, -2:].std(dim=0).max() < 0.01

# %% [markdown]
# Each column is one place. The first channels, on top, change at every place, the last hardly at all: their
# clock takes more than 35,000 places for one turn.
#
# What can attention do with that? It compares by dot products. So we take the dot products of place 20 with
# all others, and of place 40, and draw them over the distance.

# %%
figure, drawing = plots.axes("Dot products of two places", "distance of the places", "dot product")
for place, style in ((20, "-"), (40, "--")):
    distance = np.arange(60) - place
    drawing.plot(distance, (clocks @ clocks[place]).numpy(), style, label=f"with place {place}")
drawing.legend()
plots.show(figure, "Two curves that lie on each other, with their peak at distance 0")
apart_by_3 = [(clocks[place] @ clocks[place + 3]).item() for place in range(57)]
print(f"places that are 3 apart: from {min(apart_by_3):.4f} to {max(apart_by_3):.4f}")
assert max(apart_by_3) - min(apart_by_3) < 1e-3

# %% [markdown]
# Where both curves exist, they lie on each other: the dot product depends only on how far apart two places are.
# For each clock it is $\cos\alpha \cos\beta + \sin\alpha \sin\beta = \cos(\alpha - \beta)$.
#
# And a dense layer can turn all clocks back by three places: $\sin(\alpha - \beta)$ too is a sum of products.
# If it makes the queries, each token looks for the place three before its own. So a head can learn to look
# “three tokens back”:

# %%
turns = [torch.tensor([[c, s], [-s, c]]) for s, c in clocks[3].view(-1, 2).tolist()]
turn_back = torch.block_diag(*turns)  # [C, C], the weights of such a layer
scores = clocks @ turn_back @ clocks.T
print("places 10 to 15 look at", scores.argmax(dim=1)[10:16].tolist())
assert torch.allclose(clocks[3:] @ turn_back, clocks[:-3], atol=1e-5)
assert torch.equal(scores.argmax(dim=1)[3:], torch.arange(57))

# %% [markdown]
# The other way is to **learn** a vector for each place, like any weight. We do that in section 7.

# %% [markdown]
# ## 6 · The encoder layer
#
# Three parts are missing: a norm, a layer in which each token works by itself, and the plus sign of
# lesson 03.
#
# **Layer norm.** Batch norm takes mean and variance of each *channel* over the batch, so a result depends on
# who else is in it. Layer norm takes them for each *token*, over its C channels. So it does the same in
# training and in use, and needs no running averages. The formula is that of lesson 03, with one weight and one
# bias for each channel. `x.mean(dim=…, keepdim=True)` keeps the axis, with size 1.


# %%
@exercise("attention.LayerNorm")
class LayerNorm(nn.Module):
    """Each token brought to mean 0 and variance 1 over its channels, then scaled and shifted.

    [..., C] → same shape. The variance divides by C. Works as `nn.LayerNorm` does.
    """

    def __init__(self, num_channels, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x):
        raise NotImplementedError


# %%
x = torch.randn(2, 6, 8) * 3 + 5
normed = LayerNorm(8)(x)
print("one token before:", x[0, 0].numpy().round(1))
print("and after:       ", normed[0, 0].detach().numpy().round(1))
assert torch.allclose(normed, nn.LayerNorm(8)(x), atol=1e-5)
assert torch.equal(influence(LayerNorm(8), x), torch.eye(6, dtype=torch.bool))

# %% [markdown]
# The last line says: with layer norm a token changes no result but its own. PyTorch's `nn.LayerNorm` gives
# the same, so we take it from here on.
#
# **Feed-forward.** Attention only *mixes* values. To compute something new from what it has collected, each
# token then goes, alone, through two dense layers with an activation between them. Here they are as an
# article could print them:


# %%
class FeedForwardOfAnArticle(nn.Module):
    def __init__(self, num_channels, num_hidden, activation=nn.ReLU):
        super().__init__()
        self.first = nn.Linear(num_channels, num_hidden)
        self.activation = activation()
        self.second = nn.Linear(num_hidden, num_channels)

    def forward(self, x):
        return self.activation(self.second(self.activation(self.first(x))))


# %% [markdown]
# What the layer gives is *added* to the token, again and again: x = x + layer(x), as in lesson 03. This sum is
# called the **residual stream**.
#
# **Predict, then run.** Twelve such layers, with the weights that they start with, add to tokens whose numbers
# have the mean 0. What happens to the mean?


# %%
def mean_of_stream(make, num_layers=12):
    """The mean of all numbers of the stream, before the first layer and after each."""
    torch.manual_seed(seed)
    x = torch.randn(100, 32)
    means = [x.mean().item()]
    with torch.no_grad():
        for _ in range(num_layers):
            x = x + make(32, 128)(x)
            means.append(x.mean().item())
    return means


means = mean_of_stream(FeedForwardOfAnArticle)
print("mean:", " ".join(f"{mean:.2f}" for mean in means))
assert means == sorted(means) and means[-1] > 0.5

# %% [markdown]
# <details><summary>Why?</summary>
#
# A ReLU gives nothing negative. With a second one at its end the layer can only *add*: the numbers of the
# stream grow from layer to layer, and nothing can ever be taken back. In lesson 03 the ReLU of a block came
# after the sum, and the change itself could be negative.
# </details>
#
# **Bug hunt.** Mend it.


# %%
@exercise("attention.FeedForward")
class FeedForward(nn.Module):
    """Two dense layers with an activation between them, for each token alone: [..., C] → same."""

    def __init__(self, num_channels, num_hidden, activation=nn.ReLU):
        super().__init__()
        self.first = nn.Linear(num_channels, num_hidden)
        self.activation = activation()
        self.second = nn.Linear(num_hidden, num_channels)

    def forward(self, x):
        return self.activation(self.second(self.activation(self.first(x))))


# %%
mended = mean_of_stream(FeedForward)
print("mean:", " ".join(f"{mean:.2f}" for mean in mended))
assert max(map(abs, mended)) < means[-1] / 3

# %% [markdown]
# Now the mean stays near 0: what one layer adds, another can take back.

# %% [markdown]
# **The layer.** There are two orders. In both, the attention comes first, then the feed-forward, and what
# each gives is added to the stream:
#
# - **norm last**, as in the paper: x = norm(x + part(x));
# - **norm first**: x = x + part(norm(x)). Nothing stands between the plus signs, so along the stream slopes pass
#   from the last layer to the first as they are. Most large models of today do it so.
#
# Write `forward`. Dropout (lesson 02) acts on what a part gives, before it is added.


# %%
@exercise("attention.EncoderLayer")
class EncoderLayer(nn.Module):
    """Attention, then feed-forward, each added to the residual stream: [B, T, C] → same shape.

    norm_first: x + dropout(part(norm(x))); otherwise norm(x + dropout(part(x))). Attention has
    `norm_1` and gets the mask, the feed-forward has `norm_2`.
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
        raise NotImplementedError


# %% [markdown]
# Is it the real thing? PyTorch has `nn.TransformerEncoderLayer`. We give both the same weights. PyTorch keeps
# the layers for queries, keys and values in one, and its mask is the other way round: True where nobody may
# look.


# %%
def copy_weights(mine, theirs):
    """Give PyTorch's layer the weights of ours."""
    own = mine.attention
    inputs = own.to_queries, own.to_keys, own.to_values
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in inputs]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in inputs]))
    theirs.self_attn.out_proj.load_state_dict(own.to_output.state_dict())
    theirs.linear1.load_state_dict(mine.feed_forward.first.state_dict())
    theirs.linear2.load_state_dict(mine.feed_forward.second.state_dict())
    theirs.norm1.load_state_dict(mine.norm_1.state_dict())
    theirs.norm2.load_state_dict(mine.norm_2.state_dict())


x, real = torch.randn(2, 6, 32), padding_mask(torch.tensor([6, 4]), 6)
for order in (True, False):
    mine = EncoderLayer(32, 4, 128, norm_first=order)
    theirs = nn.TransformerEncoderLayer(32, 4, 128, 0.0, batch_first=True, norm_first=order)
    copy_weights(mine, theirs)
    difference = mine(x, real) - theirs(x, src_key_padding_mask=~real[:, 0, 0])
    print(f"norm first: {order}, largest difference {difference.abs().max():.0e}")
    assert difference.abs().max() < 1e-5

# %% [markdown]
# Equal but for rounding, in both orders and with a mask. A stack of such layers is a **Transformer encoder**.

# %% [markdown]
# ## 7 · A task that needs a look-up
#
# Now we train. Here is a program of the simplest kind: lines that store a digit under a letter, such as c=7. The
# last line asks for one of the letters. A letter may be stored again; then its *last* line counts. Each line is
# a token, and the answer is one of ten digits.

# %%
num_lines = hardware.by_profile(smoke=12, cpu=20, gpu=20)
num_letters = hardware.by_profile(smoke=8, cpu=12, gpu=12)
ASKED = 10  # stands in place of a digit in the line that asks


def make_programs(count):
    """Programs [count, num_lines + 1, 2] of pairs letter, digit; answers [count]; places [count].

    places: the line that holds the answer.
    """
    letters = torch.randint(num_letters, (count, num_lines))
    digits = torch.randint(10, (count, num_lines))
    asked = letters.gather(1, torch.randint(num_lines, (count, 1)))  # a letter that is there
    line_numbers = torch.arange(1, num_lines + 1)
    places = ((letters == asked) * line_numbers).argmax(dim=1)  # the last line with this letter
    last_line = torch.stack([asked, torch.full_like(asked, ASKED)], dim=2)
    programs = torch.cat([torch.stack([letters, digits], dim=2), last_line], dim=1)
    return programs, digits.gather(1, places[:, None])[:, 0], places


def lines_of(program):
    """The lines of a program, such as "c=7" and "c?"."""
    return [f"{'abcdefghijkl'[a]}{'?' if b == ASKED else f'={b}'}" for a, b in program.tolist()]


# %% [markdown]
# We make programs for training, validation and test. No program occurs twice, so to learn the training programs
# by heart does not help with the others.

# %%
torch.manual_seed(seed)
many = (20_000, 2000, 4000)
sizes = hardware.by_profile(smoke=(6000, 1000, 2000), cpu=many, gpu=many)
programs, answers, places = make_programs(sum(sizes))
assert len(torch.unique(programs, dim=0)) == len(programs)
x_train, x_val, x_test = programs.to(device).split(sizes)
y_train, y_val, y_test = answers.to(device).split(sizes)
for number in range(2):
    print("; ".join(lines_of(programs[number])), "→", answers[number].item())
print(f"{len(x_train):,} to train on, {len(x_val):,} to validate, {len(x_test):,} to test")

# %% [markdown]
# Our model: a learned vector (an **embedding**) for the letter, plus one for the digit, plus one for the place;
# *one* encoder layer; then a last norm and a dense layer, which read the answer off the last token. What stands
# in other lines can get there by attention only.


# %%
class Retriever(nn.Module):
    """Programs [B, T, 2] → logits [B, 10]."""

    def __init__(self, num_channels=32, num_heads=2, places_known=True):
        super().__init__()
        self.of_letter = nn.Embedding(num_letters, num_channels)  # a vector for each letter
        self.of_digit = nn.Embedding(ASKED + 1, num_channels)
        of_place = torch.randn(num_lines + 1, num_channels)
        self.of_place = nn.Parameter(of_place) if places_known else 0
        self.layer = EncoderLayer(num_channels, num_heads, num_hidden=2 * num_channels)
        self.norm = nn.LayerNorm(num_channels)
        self.to_logits = nn.Linear(num_channels, 10)

    def embed(self, programs):  # → [B, T, C]
        return self.of_letter(programs[..., 0]) + self.of_digit(programs[..., 1]) + self.of_place

    def forward(self, programs):
        last = self.layer(self.embed(programs))[:, -1]  # [B, C]
        return self.to_logits(self.norm(last))


# %% [markdown]
# Its opponent is the network of lesson 01, an **MLP**. It gets the vectors of all lines, side by side, so it
# knows the places, and has two hidden layers, just wide enough that it has at least as many parameters.


# %%
class Dense(nn.Module):
    """Programs [B, T, 2] → logits [B, 10], without attention."""

    def __init__(self, num_hidden, num_channels=16):
        super().__init__()
        self.of_letter = nn.Embedding(num_letters, num_channels)
        self.of_digit = nn.Embedding(ASKED + 1, num_channels)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear((num_lines + 1) * num_channels, num_hidden), nn.ReLU(),
            nn.Linear(num_hidden, num_hidden), nn.ReLU(), nn.Linear(num_hidden, 10),
        )  # fmt: skip

    def forward(self, programs):
        return self.layers(self.of_letter(programs[..., 0]) + self.of_digit(programs[..., 1]))


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


equal = next(width for width in range(1, 1000) if size(Dense(width)) >= size(Retriever()))
large = 16 * equal
print(f"with attention: {size(Retriever()):,} parameters")
print(f"MLP with {equal} hidden: {size(Dense(equal)):,}; with {large}: {size(Dense(large)):,}")

# %% [markdown]
# Training is as in lesson 03, with Adam: the learning rate rises, then falls almost to 0.


# %%
def train(model, train_set, val_set, num_epochs, rate, **options):
    """Train the model on the device; return the history of the run."""
    return training.fit(
        model.to(device),
        train_set,
        val_set,
        num_epochs=num_epochs,
        optimizer=torch.optim.Adam(model.parameters(), lr=rate),
        schedule=lambda optimizer, steps: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, steps
        ),
        **options,
    )


sets = (x_train, y_train), (x_val, y_val)
num_epochs = hardware.by_profile(smoke=4, cpu=6, gpu=6)
torch.manual_seed(seed)
retriever = Retriever()
history = train(retriever, *sets, num_epochs, rate=0.005, title="One encoder layer")

# %% [markdown]
# Nearly every validation answer is right. **Predict, then run.** Now the MLP, of the same size, and a much
# larger one. For each we try several learning rates and keep the best in validation. How many answers will they
# get right, in training and in validation? (Guessing: one in ten.)

# %%
rates = hardware.by_profile(smoke=(0.003,), cpu=(0.001, 0.003, 0.01), gpu=(0.001, 0.003, 0.01))
models = {"attention": (retriever, history.val_accuracy[-1])}
for name, width in (("MLP, equal size", equal), ("large MLP", large)):
    for rate in rates:
        torch.manual_seed(seed)
        model = Dense(width)
        reached = train(model, *sets, num_epochs, rate, show=False).val_accuracy[-1]
        print(f"{name}, learning rate {rate}: validation accuracy {reached:.1%}")
        if name not in models or reached > models[name][1]:
            models[name] = model, reached

# %%
shares = {}
for name, (model, reached) in models.items():
    shares[name] = training.accuracy(model, x_train, y_train), reached
    print(f"{name}: training {shares[name][0]:.1%}, validation {reached:.1%}")
assert shares["attention"][1] > 0.9
assert shares["MLP, equal size"][1] < 0.4 and shares["large MLP"][1] < 0.4
assert shares["large MLP"][0] > shares["large MLP"][1] + 0.15

# %% [markdown]
# <details><summary>Why?</summary>
#
# The MLP has weights of its own for every *line*: what it learns about a letter in line 3 says nothing about
# line 4. With more weights it learns training programs by heart, which helps with no new one. Attention has
# the comparison of two tokens built in, the same for all pairs of lines: it learns the rule once.
# </details>
#
# This does not prove that an MLP never can. But from the same programs, one layer of attention learned the rule.

# %% [markdown]
# ## 8 · What the heads look at
#
# In attention one can look at the weights. `head_weights` of the course gets them from a layer: [B, H, T, T].
# We draw the last row, that of the line which asks, for three validation programs in which the letter is stored
# three times. ● marks the line that holds the answer.

# %%
with torch.no_grad():
    normed = retriever.layer.norm_1(retriever.embed(x_val))
    weights = head_weights(retriever.layer.attention, normed)[:, :, -1].cpu()  # [B, H, T]
val_places = places.split(sizes)[1]
letters, asked = x_val[:, :-1, 0], x_val[:, -1:, 0]
times_stored = (letters == asked).sum(dim=1)  # how many lines have the letter that is asked for
for number in (times_stored == 3).nonzero()[:3, 0].tolist():
    lines, place = lines_of(x_val[number]), val_places[number]
    lines[place] = "● " + lines[place]
    shown = weights[number].numpy()  # [H, T]
    on_answer = " and ".join(f"{weight:.2f}" for weight in shown[:, place])
    alt = f"Weights of two heads over {len(lines)} lines; on the line with the answer {on_answer}"
    title = f"What the line {lines[-1]} looks at"
    plots.heatmaps({title: shown}, "line of the program", "head", alt, lines, ("1", "2"))

# %% [markdown]
# The weight goes to a line with the letter that is asked for, and among several to the last. Is it always so?
# Over all validation programs:

# %%
most = weights.mean(dim=1).argmax(dim=1)  # the line with the largest weight, mean of the heads
hits = (most == val_places).float().mean().item()
on_answer = weights[torch.arange(len(weights)), :, val_places].mean().item()
print(f"the line with the largest weight holds the answer in {hits:.1%} of the programs")
print(f"mean weight on that line {on_answer:.2f}; if all had the same, {1 / (num_lines + 1):.2f}")
overlap = weights.amin(dim=1).sum(dim=1).mean().item()  # 1 where both heads have the same weights
print(f"overlap of the two heads: {overlap:.2f}")
assert hits > 0.85 and on_answer > 0.5 and overlap > 0.5

# %% [markdown]
# Both heads do much the same here. In large models they differ: the paper of 2017 draws some at its end. There,
# do not believe such pictures too easily: every layer mixes the tokens anew, and weights need not say what an
# answer rests on (Jain and Wallace 2019). Here there is one layer, and the digit can come from nowhere else.
#
# **Predict, then run.** We train the same model without its vectors for places. Which programs can it still
# answer? Think of letters that are stored once, and of those stored several times.

# %%
torch.manual_seed(seed)
without = Retriever(places_known=False)
train(without, *sets, num_epochs, rate=0.005, title="Without places")
right = (training.predict(without, x_val).argmax(dim=1) == y_val).float()
once, often = right[times_stored == 1].mean(), right[times_stored > 1].mean()
print(f"stored once: {once:.1%} right; several times: {often:.1%}")
by_chance = (1 / times_stored[times_stored > 1]).mean()
print(f"one of the letter's lines, taken at random, is the last in {by_chance:.1%} of the cases")
assert once > 0.95 and by_chance - 0.02 < often < 0.75

# %% [markdown]
# <details><summary>Why?</summary>
#
# Without places a program is a bag of lines. The model still finds all lines with the right letter, but cannot
# know which of them is the last. So it can only take one of their digits. (It is right a little more often than
# by chance, because two of the lines may hold the same digit.)
# </details>

# %% [markdown]
# ## 9 · What it costs
#
# Every token looks at every token: T² scores. **Predict, then run.** If a sequence gets twice as long, how many
# times as long does attention take? And how many times as much memory does it keep?
#
# First the time of a look-up without training. The shortest of several runs is the one that other programs have
# disturbed least.

# %%
lengths = hardware.by_profile(
    smoke=(128, 256, 512, 1024), cpu=(256, 512, 1024, 2048, 4096), gpu=(1024, 2048, 4096, 8192)
)
fused = functional.scaled_dot_product_attention
functions = {"by hand": attention, "PyTorch's": fused}


def random_heads(length):
    """Queries, keys and values of one head: three of [1, 1, length, 64]."""
    return torch.randn(3, 1, 1, length, 64, device=device).unbind()


def shortest_time(function, *inputs, repeats=5):
    """Seconds of the shortest of several runs, after one to warm up."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function(*inputs)
        if device == "cuda":
            torch.cuda.synchronize()  # wait until the GPU is done
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


# %% [markdown]
# Then the memory. In training, PyTorch puts tensors aside for the way back (back-propagation), and lets us look
# at each of them.


# %%
def bytes_kept(function, length):
    """How many bytes the function puts aside for the way back, its inputs included."""
    kept = {}

    def put_aside(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()  # each once
        return tensor

    inputs = [part.clone().requires_grad_() for part in random_heads(length)]
    with torch.autograd.graph.saved_tensors_hooks(put_aside, lambda tensor: tensor):
        function(*inputs)
    return sum(kept.values())


times, memory = {}, {}
for name, function in functions.items():
    times[name] = [shortest_time(function, *random_heads(length)) for length in lengths]
    memory[name] = [bytes_kept(function, length) / 1e6 for length in lengths]

# %% [markdown]
# On logarithmic axes, where each step is a factor, a power $T^a$ is a straight line, and a is its slope: log T to
# the right gives a · log T upwards. We fit a to the three longest sequences.

# %%
figure, drawings = plots.pair("Time", "Memory kept for the way back", "tokens in the sequence")
powers = {}
for drawing, what, unit in zip(drawings, (times, memory), ("seconds", "MB")):
    drawing.set(ylabel=unit, xscale="log", yscale="log")
    for (name, measured), style in zip(what.items(), ("o-", "s--")):
        drawing.plot(lengths, measured, style, label=name)
        # the first number of a fitted straight line is its slope
        powers[unit, name] = np.polyfit(np.log(lengths[-3:]), np.log(measured[-3:]), 1)[0]
    drawing.set_xticks(lengths, lengths, minor=False)
    drawing.set_xticks([], minor=True)
    drawing.legend()
quicker = times["PyTorch's"][-1] / times["by hand"][-1]
smaller = memory["PyTorch's"][-1] / memory["by hand"][-1]
in_words = f"at {lengths[-1]:,} tokens PyTorch's takes {quicker:.0%} of the time, {smaller:.0%} of the memory"
plots.show(figure, f"Time and memory over length, by hand and with PyTorch's function; {in_words}")
for (unit, name), power in powers.items():
    print(f"{name}: {unit} as T to the power of {power:.2f}")
print(in_words)
assert powers["MB", "by hand"] > 1.5 and abs(powers["MB", "PyTorch's"] - 1) < 0.1
assert times["by hand"][-1] > 4 * times["by hand"][-3]  # more than in proportion

# %% [markdown]
# <details><summary>Why?</summary>
#
# Twice the tokens, four times the scores: time grows as T². (The measured power is smaller where other work
# counts as well, larger where T² numbers no longer fit into the processor's fast memory.) By hand we keep all
# weights. PyTorch's function computes them block by block, forgets them, and computes them again on the way
# back: what it keeps grows as T. Its time still grows as T²; how much faster it is depends on the machine. Dao
# and others (2022) showed this way, known as *FlashAttention*.
# </details>
#
# Our layer can use PyTorch's function in place of ours, by its argument `attend`:

# %%
x = torch.randn(2, 50, 32)
by_hand = EncoderLayer(32, 4, 128)
with_fused = EncoderLayer(32, 4, 128, attend=fused)
with_fused.load_state_dict(by_hand.state_dict())
difference = (by_hand(x) - with_fused(x)).abs().max()
print(f"same weights, other function: largest difference {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# ## 10 · To both sides, or to the left
#
# A mask decides what kind of model it is. We hide one letter of a word, and an encoder is to find it: once it
# may look to both sides (as in lesson 07), once only to the left (as in lesson 06). The words are those of film
# reviews, with 3 to 12 letters, so there is real padding. From here on the layers are the course's own.

# %%
from course.models.attention import Encoder, TokenEmbedding, causal_mask

sentences = " ".join(data.movie_sentences().x_train).lower()
words = sorted({word for word in re.findall("[a-z]+", sentences) if 3 <= len(word) <= 12})
PADDING, HIDDEN = 0, 27  # the letters are 1 to 26


def as_numbers(word):
    """A word, with _ for what is hidden → 12 numbers."""
    numbers = [HIDDEN if letter == "_" else ord(letter) - ord("a") + 1 for letter in word]
    return numbers + [PADDING] * (12 - len(word))


def hide_one(words, count):
    """Draw words, hide a letter of each: numbers [count, 12], and the hidden letters [count]."""
    chosen = words[torch.randint(len(words), (count,))]
    places = (torch.rand(count) * (chosen != PADDING).sum(dim=1)).long()[:, None]
    hidden = chosen.scatter(1, places, HIDDEN)
    return hidden.to(device), chosen.gather(1, places)[:, 0].to(device)


torch.manual_seed(seed)
all_words = torch.tensor([as_numbers(word) for word in words])[torch.randperm(len(words))]
letters_val = hide_one(all_words[:2000], 3000)
letters_train = hide_one(all_words[2000:], hardware.by_profile(smoke=8000, cpu=60_000, gpu=200_000))
print(f"{len(words):,} different words, such as {', '.join(words[2000::3000])}")

# %% [markdown]
# A word that is there for validation is never trained on. The model: `TokenEmbedding` adds a vector for the
# letter and one for the place, `Encoder` is a stack of layers. The answer is read off the hidden letter.


# %%
class LetterFinder(nn.Module):
    """Words with one hidden letter [B, 12] → logits [B, 27] of that letter."""

    def __init__(self, mask, num_channels, num_layers):
        super().__init__()
        self.embedding = TokenEmbedding(28, num_channels, longest=12)
        self.encoder = Encoder(num_layers, num_channels, 4, 2 * num_channels, attend=fused)
        self.to_logits = nn.Linear(num_channels, 27)
        self.register_buffer("mask", mask)

    def forward(self, words):
        real = (words != PADDING)[:, None, None, :]
        found = self.encoder(self.embedding(words), real & self.mask)
        return self.to_logits(found[words == HIDDEN])


# %% [markdown]
# **Predict, then run.** How many letters will each of the two find, of a hundred?

# %%
masks = {"both sides": torch.ones(12, 12, dtype=torch.bool), "only left": causal_mask(12)}
sizes_of_finder = hardware.by_profile(smoke=(32, 1), cpu=(48, 2), gpu=(96, 3))
epochs, batch_size = hardware.by_profile(smoke=(2, 32), cpu=(3, 128), gpu=(4, 256))
finders, reached = {}, {}
for name, may_look in masks.items():
    torch.manual_seed(seed)
    finders[name] = LetterFinder(may_look, *sizes_of_finder)
    options = {"batch_size": batch_size, "title": f"A hidden letter: {name}"}
    history = train(finders[name], letters_train, letters_val, epochs, 0.01, **options)
    reached[name] = history.val_accuracy[-1], history.val_loss[-1]
commonest = (letters_val[1] == letters_train[1].mode().values).float().mean()
print(f"always the commonest letter: {commonest:.1%} right; guessing: loss {math.log(26):.2f}")
for name, (share, loss) in reached.items():
    print(f"{name}: {share:.1%} right, loss {loss:.2f}")
assert reached["both sides"][1] < reached["only left"][1] - 0.05
assert min(share for share, _ in reached.values()) > commonest

# %% [markdown]
# Both sides together say more. So why look to the left alone? Because a model that writes text does so from left
# to right: it must not need what is still to come.
#
# Try words of your own, each with one `_`. (Do not expect a good speller after so short a training.) The three
# likeliest letters:

# %%
for word in ("mo_ie", "act_r", "beautifu_", "q_een", "_ood"):
    guesses = []
    for name, finder in finders.items():
        logits = training.predict(finder, torch.tensor([as_numbers(word)], device=device))[0]
        likeliest = logits[1:].topk(3).indices.tolist()
        guesses.append(f"{name} {' '.join(chr(ord('a') + place) for place in likeliest)}")
    print(f"{word:10} {', '.join(guesses)}")

# %% [markdown]
# ## 11 · The test, once
#
# All choices are made. Both networks of equal size now answer the test programs.

# %%
report("attention.retrieval_accuracy", training.accuracy(retriever, x_test, y_test))
report(
    "attention.accuracy_without_attention",
    training.accuracy(models["MLP, equal size"][0], x_test, y_test),
)

# %% [markdown]
# ## Recap
#
# 1. Attention is an average of values; its weights are the softmax of query · key. Divided by √D, the scores
#    keep variance 1, and the softmax its slopes.
# 2. A mask takes places out of the *scores*, before the softmax. Change one token and see what else changes.
# 3. Heads share the channels: cut channels, then swap axes. Places are added to the tokens. Attention and
#    feed-forward, each with a norm, each added to the stream: that is PyTorch's encoder layer.
# 4. One layer learned to look up what was stored last, and its heads look at that line. An MLP of equal size
#    did not; a large one learned by heart.
# 5. Scores grow as T². PyTorch's function does not keep them: its memory grows as T, its time still as T².

# %% [markdown]
# ## What to try next
#
# Change one thing, guess the direction first, and judge on the *validation* programs.
#
# - **One head**: `Retriever(num_heads=1)`. Expect nearly the same accuracy.
# - **Clocks for places**: in `Retriever`, `sinusoidal_positions(num_lines + 1, num_channels)` in place of the
#   learned vectors. Expect about the same accuracy.
# - **A table for the hidden letter**: count in the training words which letter stands most often between the same
#   two letters before and two after. Expect about as many right as from both sides, 0.40 in our trials: the
#   encoder has learned little more than neighbours. Then train it longer.
# - **Fewer programs**: train on a tenth of them, with ten times the epochs. Expect perfect training and a gap to
#   validation. (In our trial with two seeds, in the profile `cpu`: 1.00 and 0.94.)

# %% [markdown]
# ## References
#
# - A. Vaswani and others (2017), *Attention is all you need*: scaled dot-product attention, heads, clocks for
#   places, the encoder layer. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - D. Bahdanau, K. Cho, Y. Bengio (2015), *Neural machine translation by jointly learning to align and
#   translate*: where attention came from. [arXiv:1409.0473](https://arxiv.org/abs/1409.0473)
# - J. L. Ba, J. R. Kiros, G. E. Hinton (2016), *Layer normalization*.
#   [arXiv:1607.06450](https://arxiv.org/abs/1607.06450)
# - R. Xiong and others (2020), *On layer normalization in the Transformer architecture*: norm first or last.
#   [arXiv:2002.04745](https://arxiv.org/abs/2002.04745)
# - T. Dao and others (2022), *FlashAttention: fast and memory-efficient exact attention with IO-awareness*.
#   [arXiv:2205.14135](https://arxiv.org/abs/2205.14135)
# - S. Jain, B. C. Wallace (2019), *Attention is not explanation*: what weights do not show.
#   [arXiv:1902.10186](https://arxiv.org/abs/1902.10186)
