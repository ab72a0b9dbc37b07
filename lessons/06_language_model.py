# %% [markdown]
# # 06 · A language model: say what comes next
#
# {{badges}}
#
# Read “The film is too” and you have a guess at the next word: “long”, not “giraffe”. A **language model** is a
# program that makes such guesses: it gives a probability to everything that could come next. Guess, draw one,
# add it to the text, guess again: so it *writes*. The famous chat programs are large models of this kind, trained
# further. You will build a small **GPT** from the parts of lesson 05, and hold it against a rival that only
# counts. On little text, the rival is hard to beat.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. measure a language model by its perplexity, and compare models that cut text differently;
# 2. build n-gram models by counting, smooth them, and choose their length on text they never saw;
# 3. cut text into byte pairs, and train a GPT with causal mask and next-token loss to predict them;
# 4. let a model write, with temperature and top-p, and make it faster with a key–value cache;
# 5. test what a model has learned by heart.
#
# **Before this**: lesson 02 (validation and test sets) and lesson 05 (attention, masks, the encoder layer). Plan
# two sittings, with a break at the end of section 3.

# %% [markdown]
# ## 1 · How good is a guess?
#
# As always, every exercise may be skipped: the course's own answer then stands in.

# %%
import itertools
import math
import random
import time
from collections import Counter

import torch
from torch import nn
from torch.nn import functional

from course import data, hardware, plots
from course.exercises import exercise
from course.models.n_grams import count_followers, n_gram_surprises
from course.results import report

seed = hardware.seed_everything()
device = hardware.device()
print(hardware.describe())

# %% [markdown]
# Our text: film reviews (IMDB where it has been fetched, otherwise single sentences from reviews). We put each on
# a line of its own: the line break says “here it ends”. Whole reviews go to training, validation or test. The
# last line checks that none stands on two sides.

# %%
reviews = data.imdb()
sizes = hardware.by_profile(
    smoke=(150_000, 15_000, 20_000),
    cpu=(1_000_000, 60_000, 120_000),
    gpu=(4_000_000, 200_000, 200_000),
)


def take(texts, num_characters):
    """Whole texts, one a line, until there are enough characters; and the texts that are left."""
    lines, total = [], 0
    while total < num_characters and len(lines) < len(texts):
        lines.append(" ".join(texts[len(lines)].replace("<br />", " ").split()))
        total += len(lines[-1]) + 1
    return "\n" + "\n".join(lines) + "\n", texts[len(lines) :]


val_text, rest = take(reviews.x_train, sizes[1])
train_text, _ = take(rest, sizes[0])
test_text, _ = take(reviews.x_test, sizes[2])
held_out = val_text.splitlines()[1:] + test_text.splitlines()[1:]
assert not data.shared_texts(train_text.splitlines()[1:], held_out)

# %% [markdown]
# How much is it, and what does it look like?

# %%
for name, text in (("training", train_text), ("validation", val_text), ("test", test_text)):
    print(f"{name}: {len(text):,} characters in {text.count(chr(10)) - 1:,} reviews")
print(train_text[1:].split("\n")[0][:300])
print(train_text[1:].split("\n")[1][:300])

# %% [markdown]
# Before each piece of a text, called a **token**, the model gives a probability to every possible one. Then the
# token that really stands there is uncovered. If it had the probability $p$, the **surprise** is $-\log p$: 0
# where the model was sure and right, large where it was sure and wrong (lesson 01's cross-entropy). The unit is the
# *nat*; divided by $\log 2$ it is the *bit*, one yes-or-no question.

# %% [markdown]
# The **perplexity** is $e$ to the power of the mean surprise. Lower is better. Who hesitates each time between 8
# equally likely tokens gives each of them $p = 1/8$: every surprise is $\log 8$, and the perplexity 8.
#
# Write it, with `torch.log` and `torch.exp`. The result stays a tensor.


# %%
@exercise("language_model.perplexity")
def perplexity(probabilities):
    """Among how many equally likely tokens the model hesitates, on average.

    probabilities: what the model gave to each token that really came, [n] → one number, a tensor.
    """
    raise NotImplementedError


# %% [markdown]
# **Predict, then run.** Two models meet four tokens. The careful one always gives 0.25 to the right token. The
# bold one gives 0.9 three times, and 0.001 once. Which has the lower perplexity?

# %%
careful = perplexity(torch.tensor([0.25, 0.25, 0.25, 0.25])).item()
bold = perplexity(torch.tensor([0.9, 0.9, 0.9, 0.001])).item()
print(f"careful: {careful:.2f}, bold: {bold:.2f}")
assert careful < bold

# %% [markdown]
# <details><summary>Why?</summary>
#
# The surprises are averaged before the exponential: one of 6.9 nats ($-\log 0.001$) and three of 0.1 have the mean
# 1.8; the careful model has 1.4 each time. And who gives the probability 0 to something that then happens has an
# *infinite* perplexity, whatever else was guessed well. So a language model must never be quite sure. The next
# section is about that.
# </details>

# %% [markdown]
# ## 2 · A rival that counts
#
# The oldest way to guess: look what followed in the training text. For a start, our tokens are **bytes**, the 256
# symbols in which a computer stores any text: one for each English letter, two or more for others, such as é.

# %%
train_bytes, val_bytes, test_bytes = (text.encode() for text in (train_text, val_text, test_text))
longest_context = hardware.by_profile(smoke=5, cpu=6, gpu=6)
followers = count_followers(train_bytes, longest_context)
for context in (b"th", b"fil", b" the "):
    commonest = followers[context].most_common(6)
    print(f"after {context}:", ", ".join(f"{chr(byte)!r} {count}" for byte, count in commonest))

# %% [markdown]
# `followers` holds, for each **context**, a `Counter` of the bytes that followed it. A context is a piece of the
# text, here of at most `longest_context` bytes, such as `b"th"`. A single byte is a number: Python gives 116 for
# `b"th"[0]`, and `chr(116)` is the letter t.
#
# A model that looks at the last $n - 1$ tokens is an **n-gram model**: unigram for n = 1 (its context is empty, and
# it only knows which tokens are frequent), then bigram, trigram, 4-gram and so on.

# %% [markdown]
# **Predict, then run.** We take the plain share of the counts as probability. How often will a byte of the
# validation text get 0, as it never followed its context in training: for n = 2? For the largest n?

# %%
never = {}
for n in range(1, longest_context + 2):
    places = range(n - 1, len(val_bytes))
    unseen = (
        val_bytes[place] not in followers.get(val_bytes[place - n + 1 : place], ())
        for place in places
    )
    never[n] = sum(unseen) / len(places)
    print(f"n = {n}: {never[n]:.2%} of the bytes have probability 0")
assert never[longest_context + 1] > 20 * never[2] > 0

# %% [markdown]
# <details><summary>Why?</summary>
#
# There are 256 contexts of one byte, but billions of four. Most long contexts of a new text were never seen, or
# once, and then another byte followed. A single such place makes the perplexity infinite.
# </details>

# %% [markdown]
# The cure is called **smoothing**. Take a **discount** $d$, such as 0.8, from the count of every token that
# followed. What was taken goes to what the *shorter* context says, the one without its first token:
#
# $$p_n(\text{token}) = \frac{\max(\text{count} - d,\, 0)}{\text{total}}
# + \frac{d \cdot \text{number of different followers}}{\text{total}} \cdot p_{n-1}(\text{token})$$
#
# Say e followed three times and a once, and d is 0.8: e keeps 2.2 of 4, a keeps 0.2 of 4, and 1.6 of 4 are shared
# out among all tokens, as the shorter context says.

# %% [markdown]
# Two ends need care:
#
# - The shortest context is the empty one. It has counts too: how frequent each token is. Behind it there is no
#   shorter one, so there $p_{n-1}$ is 1 / `num_symbols` for every token.
# - Where a context was never seen, what the shorter one says counts alone.
#
# Write it. The function may call itself: `smoothed_probability(token, context[1:], …)`. A context may be bytes or a
# tuple of numbers; `len(context)` is 0 for the empty one. A `Counter` gives 0 for what it does not hold;
# `counts.total()` is its sum, `len(counts)` the number of different followers.


# %%
@exercise("language_model.smoothed_probability")
def smoothed_probability(token, context, followers, num_symbols, discount):
    """How likely the token is after this context, though the two may never have met in training.

    token: a whole number. context: the tokens before it, bytes or a tuple of whole numbers.
    followers: for each context seen in training, a Counter of the tokens that followed it.
    discount: between 0 and 1, taken from each count and handed to the shorter context.
    """
    raise NotImplementedError


# %%
context = b"the "
chances = [smoothed_probability(byte, context, followers, 256, 0.8) for byte in range(256)]
likeliest = sorted(range(256), key=lambda byte: -chances[byte])[:8]
print(f"after {context}:", ", ".join(f"{chr(byte)!r} {chances[byte]:.3f}" for byte in likeliest))
print(f"sum of all {sum(chances):.6f}, smallest {min(chances):.1e}")
assert abs(sum(chances) - 1) < 1e-6 and min(chances) > 0


def bits_per_byte(nats, text):
    """The surprise of a whole text, shared out over its bytes (the first, a line break, is given)."""
    return sum(nats) / (len(text) - 1) / math.log(2)


# %% [markdown]
# The sum is 1, and nothing is impossible any more. Two numbers are still free, $n$ and the discount. They are
# chosen on the validation text. `n_gram_surprises` of the course applies the same rule at every place.
#
# **Predict, then run.** With larger n: what happens to the surprise in validation, and on the training text?

# %%
orders, part = range(1, longest_context + 2), train_bytes[: len(val_bytes) // 3]
curves = {"training": [], "validation": []}
for n in orders:
    for name, text in (("training", part), ("validation", val_bytes)):
        nats = n_gram_surprises(text, n, followers, 256, discount=0.8)
        curves[name].append(bits_per_byte(nats, text))
figure, drawing = plots.axes("Longer contexts, more by heart", "n", "bits per byte")
for (name, values), style in zip(curves.items(), ("o--", "s-")):
    drawing.plot(orders, values, style, label=name)
drawing.legend()
best = min(orders, key=lambda n: curves["validation"][n - 1])
ends = ", ".join(f"{name} {values[-1]:.2f}" for name, values in curves.items())
plots.show(
    figure, f"Training falls; validation is lowest at n = {best}; at n = {orders[-1]}: {ends}"
)

for n, *values in zip(orders, curves["training"], curves["validation"]):
    print(f"n = {n}: training {values[0]:.2f}, validation {values[1]:.2f} bits per byte")
assert curves["training"] == sorted(curves["training"], reverse=True)
assert curves["validation"][-1] > curves["training"][-1] + 0.5
assert best > 3

# %% [markdown]
# <details><summary>Why?</summary>
#
# On its own training text each longer context knows better: the model comes nearer to reciting. In validation the
# gain gets smaller with each step, and ends: long contexts are met too rarely to be trusted. It is the overfitting
# of lesson 02, in a model that consists of nothing but counts.
# </details>
#
# Now the discount. We try four, each with the best n and with the next larger one:

# %%
tried = {}
for discount in (0.6, 0.7, 0.8, 0.9):
    for n in (best, min(best + 1, orders[-1])):
        nats = n_gram_surprises(val_bytes, n, followers, 256, discount)
        tried[n, discount] = bits_per_byte(nats, val_bytes)
byte_n, byte_discount = min(tried, key=tried.get)
print(f"best on bytes: n = {byte_n}, discount {byte_discount}", end=": ")
print(f"{tried[byte_n, byte_discount]:.3f} bits per byte")

# %% [markdown]
# How does such a model write? Draw a byte by the probabilities, append it, and again:


# %%
def write_bytes(n, length=90):
    """Let the n-gram model write, from the beginning of a review."""
    text = b"\n"
    for _ in range(length):
        context = text[max(len(text) - n + 1, 0) :]
        chances = [smoothed_probability(b, context, followers, 256, 0.8) for b in range(256)]
        text += bytes(random.choices(range(256), chances))
    return text[1:].decode(errors="replace").replace("\n", " / ")


for n in (1, 2, 3, byte_n):
    print(f"n = {n}: {write_bytes(n)}")

# %% [markdown]
# With larger n the letters become words that could be English, then pieces of sentences. But what stands more than
# n − 1 bytes back, the model does not know any more.

# %% [markdown]
# ## 3 · Larger tokens
#
# Bytes are small. To look back over a whole sentence one needs a hundred of them. Words are large, but there are
# so many, and a new text always has unknown ones. Most models of today take something between:
# **byte-pair encoding**. Begin with bytes. Find the pair of neighbours that is most frequent, such as t and h, and
# make it one new token. Do the same again, with the new token among the others, several hundred times.
#
# The heart of it is one step. Write it.


# %%
@exercise("language_model.merge")
def merge(tokens, pair, new):
    """Each occurrence of the pair, found from left to right, becomes the one token `new`.

    tokens: a list of whole numbers, pair: a tuple of two, new: one → a new list.
    """
    raise NotImplementedError


# %%
tokens = list(b"the theatre that they thank")
pieces = {byte: bytes([byte]) for byte in range(256)}
for new in range(256, 261):
    pair = Counter(itertools.pairwise(tokens)).most_common(1)[0][0]
    pieces[new] = pieces[pair[0]] + pieces[pair[1]]
    tokens = merge(tokens, pair, new)
    shown = [pieces[token].decode() for token in tokens]
    print(f"{len(tokens)} tokens: {'|'.join(shown)}")

# %% [markdown]
# `learn_byte_pairs` of the course does this on the training text, with one rule more: no pair reaches over the
# end of a word, and the space belongs to the word behind it. What was never seen is spelled in smaller pieces, so
# there are no unknown words.

# %%
from course.models.byte_pairs import learn_byte_pairs

num_merges = hardware.by_profile(smoke=256, cpu=768, gpu=1792)
vocabulary = learn_byte_pairs(train_text, num_merges)
num_symbols = len(vocabulary)
train_list, val_list, test_list = map(vocabulary.encode, (train_text, val_text, test_text))
print("first merges:", [piece.decode() for piece in vocabulary.pieces[256:272]])
print("last merges:", [piece.decode(errors="replace") for piece in vocabulary.pieces[-8:]])
sample = vocabulary.encode("The giraffe is the best actor.")
print("|".join(vocabulary.decode([token]) for token in sample))
print(f"{num_symbols} tokens, {len(val_bytes) / len(val_list):.2f} bytes each in validation")
assert vocabulary.decode(val_list) == val_text

# %% [markdown]
# N-grams can count these tokens as well. **Predict, then run.** A bigram of bytes and a bigram of byte pairs, on
# the same text: which has the lower perplexity? And which one is the better model?

# %%
token_followers = count_followers(tuple(train_list), 4)


def rival_surprises(kind, n, discount, text):
    """The surprise of each token of a text but the first, by an n-gram of bytes or byte pairs."""
    if kind == "bytes":
        return n_gram_surprises(text.encode(), n, followers, 256, discount)
    tokens = tuple(vocabulary.encode(text))
    return n_gram_surprises(tokens, n, token_followers, num_symbols, discount)


chosen = {("bytes", n): 0.8 for n in (1, 2, 3)} | {("bytes", byte_n): byte_discount}
nats = {key: rival_surprises(*key, discount, val_text) for key, discount in chosen.items()}
for n in range(1, 6):
    for discount in (0.7, 0.8, 0.9):
        found = rival_surprises("byte pairs", n, discount, val_text)
        if ("byte pairs", n) not in nats or sum(found) < sum(nats["byte pairs", n]):
            nats["byte pairs", n], chosen["byte pairs", n] = found, discount
for (kind, n), found in nats.items():
    own = math.exp(sum(found) / len(found))
    print(f"{kind}, n = {n}: perplexity {own:6.1f}", end=", ")
    print(f"{bits_per_byte(found, val_bytes):.3f} bits per byte")
assert len(nats["byte pairs", 2]) < len(nats["bytes", 2]) / 1.5
assert sum(nats["byte pairs", 2]) < sum(nats["bytes", 2])

# %% [markdown]
# <details><summary>Why?</summary>
#
# The perplexity of byte pairs is many times as large, and yet the model is better. To guess a whole piece of a
# word is harder than to guess one byte, but there are fewer guesses. Perplexities of *different tokens* say
# nothing about each other. What can be compared is the surprise of the *whole text*: both read the same one. We
# share it out over the bytes of the text, or over any number that is the same for all.
# </details>

# %% [markdown]
# So here are the rivals, in one unit: the perplexity for each *byte pair*, as these are what our GPT will guess. For
# the models of bytes too, the surprise of the whole text is shared out over its byte pairs.


# %%
def per_token(total_nats, tokens):
    """Perplexity for each byte pair, from the surprise of a whole text."""
    return math.exp(total_nats / (len(tokens) - 1))


rivals = {key: per_token(sum(found), val_list) for key, found in nats.items()}
for (kind, n), value in sorted(rivals.items(), key=lambda entry: -entry[1]):
    print(f"{kind + ',':11} n = {n} {value:8.1f}")
best_rival = min(rivals, key=rivals.get)
print(
    f"to beat, in validation: {best_rival[0]}, n = {best_rival[1]}, discount {chosen[best_rival]}"
)

# %% [markdown]
# A good place for a break. You have honest rivals: smoothed, with their length and discount chosen as carefully as
# we shall choose for the GPT. In the second half you build the GPT, and see whether it wins.

# %% [markdown]
# ## 4 · A small GPT
#
# **GPT** stands for *generative pre-trained Transformer*. It is the encoder of lesson 05 with the causal mask. At
# *every* place it is to say the next token: T tokens are T questions at once, and the mask hides the answers. V is
# the number of symbols.

# %% [markdown]
# Its parts:
#
# - `TokenEmbedding`: a vector for the token plus one for its place;
# - blocks: each an encoder layer, norm first; then a last layer norm;
# - the **head**: a logit for every symbol. It is **tied**: the dot product with the embedding's own vector of that
#   symbol. This saves weights, and what is learned about a token as input serves it as output.

# %% [markdown]
# `Block` of the course is lesson 05's layer, with **GELU** as activation (a ReLU whose corner is rounded) and one
# argument more: a **cache**. It keeps what the block has computed for earlier tokens; you will write it in
# section 7. `start_small` draws the first weights so small that at first all tokens are about equally likely, and
# lets the vectors of the places begin as the clocks of lesson 05.

# %% [markdown]
# Write `forward`:
#
# - `caches` is None, or a list with one cache for each block. Then `tokens` are only the new ones. `num_seen`
#   tokens went before: `len` of the first cache, or 0 where there is none.
# - `self.embedding(tokens, num_seen)` gives the vectors, `causal_mask(T, num_seen, tokens.device)` the mask.
# - After the blocks and the norm comes the head; its weights are `self.embedding.of_token.weight`, [V, C].

# %%
from course.models.attention import TokenEmbedding, causal_mask
from course.models.language_model import Block, start_small


@exercise("language_model.GPT")
class GPT(nn.Module):
    """Tokens [B, T] → logits [B, T, V] of the token behind each.

    longest: how many tokens it can look at, T at most.
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
        """caches: one for each block, with what went before these tokens: `block(x, mask, cache)`."""
        raise NotImplementedError


# %% [markdown]
# Is it the real thing? PyTorch's `nn.TransformerEncoder`, with the same weights and a causal mask, must give the
# same, but for rounding. (PyTorch keeps the layers for queries, keys and values in one.)


# %%
def copy_weights(mine, theirs):
    """Give a layer of PyTorch the weights of one of our blocks."""
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


mine = GPT(num_symbols, num_channels=32, num_heads=4, num_layers=3, longest=20)
for weights in mine.parameters():
    nn.init.normal_(weights, std=0.3)  # larger, so that a difference would show
layer = nn.TransformerEncoderLayer(
    32, 4, 128, 0.0, functional.gelu, batch_first=True, norm_first=True
)
theirs = nn.TransformerEncoder(layer, 3, mine.norm, enable_nested_tensor=False)
for block, other in zip(mine.blocks, theirs.layers):
    copy_weights(block, other)

# %%
tokens = torch.tensor([val_list[:12], val_list[12:24]])  # [B = 2, T = 12]
x = mine.embedding(tokens)
logits = theirs(x, mask=~causal_mask(12)) @ mine.embedding.of_token.weight.T
difference = (mine(tokens) - logits).abs().max()
print(f"tokens {list(tokens.shape)} → logits {list(mine(tokens).shape)}")
print(f"largest difference from PyTorch {difference:.0e}")
assert difference < 1e-5 * logits.abs().max()

# %% [markdown]
# And it must not see the future. We change one token, and look where the logits change:

# %%
changed = tokens.clone()
changed[:, 7] = (tokens[:, 7] + 1) % num_symbols
differs = ((mine(changed) - mine(tokens)).abs() > 1e-4).any(dim=2)
print("token 7 changed; the logits change at", differs[0].nonzero()[:, 0].tolist())
assert not differs[:, :7].any() and differs[:, 7].all()

# %% [markdown]
# ## 5 · What is to be learned
#
# The training text is one long row of tokens. For each step we draw windows from it at random. A colleague wrote
# the loss below, and is proud: after a moment of training it is almost zero. (`cross_entropy` wants the symbols on
# axis 1: so `transpose(1, 2)` makes [B, V, T] of the logits.)

# %%
train_tokens, val_tokens, test_tokens = (
    torch.tensor(part, device=device) for part in (train_list, val_list, test_list)
)


def draw_windows(tokens, count, length):
    """Pieces of a long text, from random places: [count, length + 1]."""
    starts = torch.randint(len(tokens) - length, (count, 1), device=tokens.device)
    return tokens[starts + torch.arange(length + 1, device=tokens.device)]


def loss_of_a_colleague(model, tokens):
    tokens = tokens[:, :-1]
    logits = model(tokens)  # [B, T, V]
    return functional.cross_entropy(logits.transpose(1, 2), tokens)


# %% [markdown]
# The training loop has nothing new: Adam (with *weight decay*, lesson 02), and a learning rate that rises, then
# falls. It takes the loss as an argument. It shows the perplexity after each of `num_points` parts of the training:
# on the last batches, and on the first 4,000 tokens of the validation text, which `unfold` cuts into windows.


# %%
def train(model, tokens, loss_function, num_steps, batch_size, rate, title, num_points=8):
    """Train the model on windows of the tokens; show how its perplexity falls."""
    optimizer = torch.optim.AdamW(model.parameters(), rate, betas=(0.9, 0.95), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, num_steps, pct_start=0.1)
    curves = plots.LiveCurves("training", "validation", title=title, x_label="part")
    line, losses = plots.StatusLine(), []
    model.to(device).train()
    for step in range(1, num_steps + 1):
        loss = loss_function(model, draw_windows(tokens, batch_size, model.longest))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())  # a number: thousands of kept tensors would cut memory to pieces
        if step % (num_steps // num_points) == 0:
            windows = val_tokens[:4000].unfold(0, model.longest + 1, model.longest)
            with torch.no_grad():
                val_loss = loss_function(model.eval(), windows)
            recent = losses[-(num_steps // num_points) :]
            curves.add(math.exp(sum(recent) / len(recent)), val_loss.exp())
            model.train()
        line.how_far(step, num_steps)


# %% [markdown]
# **Predict, then run.** We train a tiny GPT with the colleague's loss, for a moment. Its perplexity in validation
# comes near 1: better than any rival. What will it say after “The film is”?

# %%
torch.manual_seed(seed)
copier = GPT(num_symbols, 64, 4, 1, longest=32)
train(copier, train_tokens, loss_of_a_colleague, 120, 16, 0.01, "A colleague's loss: perplexity", 4)
start = torch.tensor([vocabulary.encode("The film is")], device=device)
with torch.no_grad():
    said = copier(start)[0].argmax(dim=1).tolist()
    claimed = loss_of_a_colleague(copier, val_tokens[None, :33]).exp().item()
print("it reads:", [vocabulary.decode([token]) for token in start[0].tolist()])
print("it says: ", [vocabulary.decode([token]) for token in said])
print(f"perplexity, it seems: {claimed:.2f}")
assert said == start[0].tolist() and claimed < 2

# %% [markdown]
# <details><summary>Why?</summary>
#
# At each place it is asked for the token that it has just read there. The causal mask hides only what comes
# *later*; a token sees itself. So it learned to copy its input. A loss that falls wonderfully is no proof of
# anything: look at what the model does, and be most careful when a figure is too good.
# </details>
#
# **Bug hunt.** Mend the loss. The model reads T tokens, and is to say, at each place, the one *behind* it.


# %%
@exercise("language_model.next_token_loss")
def next_token_loss(model, tokens):
    """How surprised the model is by the next token, in nats: the mean of -log of its probability.

    tokens: [B, T + 1] → one number.
    """
    tokens = tokens[:, :-1]
    logits = model(tokens)  # [B, T, V]
    return functional.cross_entropy(logits.transpose(1, 2), tokens)


# %%
honest = next_token_loss(copier, draw_windows(val_tokens, 16, 32)).item()
fresh = GPT(num_symbols, 64, 4, 1, 32).to(device)
untrained = next_token_loss(fresh, draw_windows(val_tokens, 16, 32))
print(f"the copier's perplexity is {math.exp(honest):,.0f}", end=", ")
print(f"that of an untrained model {untrained.exp():,.0f} (there are {num_symbols} tokens)")
assert honest > untrained

# %% [markdown]
# Asked for the next token, the copier is worse than a model that has learned nothing.
#
# Now for real. Sizes and steps were chosen on the validation text, such that the training takes one to two minutes
# on a laptop.

# %%
num_channels, num_heads, num_layers, longest, dropout = hardware.by_profile(
    smoke=(48, 4, 1, 48, 0.0), cpu=(128, 4, 2, 40, 0.0), gpu=(256, 8, 4, 128, 0.1)
)
num_steps, batch_size, rate = hardware.by_profile(
    smoke=(500, 8, 0.006), cpu=(5000, 12, 0.004), gpu=(3000, 32, 0.002)
)
torch.manual_seed(seed)
model = GPT(num_symbols, num_channels, num_heads, num_layers, longest, dropout)
num_weights = sum(parameter.numel() for parameter in model.parameters())
seen = num_steps * batch_size * longest / len(train_tokens)
print(f"{num_weights:,} weights; it will read the text about {seen:.1f} times")
train(model, train_tokens, next_token_loss, num_steps, batch_size, rate, "A small GPT: perplexity")

# %% [markdown]
# To judge it on the whole validation text, we let it read windows that overlap by half. So each token (but the very
# first ones) is guessed with at least half a window of text before it. That is what `surprises` of the course does.
# It is fair: an n-gram, too, has all n − 1 tokens that it can use.

# %%
from course.models.language_model import surprises

gpt_nats = surprises(model, val_tokens).double().sum().item()
standing = {f"{kind}, n = {n}": value for (kind, n), value in rivals.items()}
standing["GPT"] = per_token(gpt_nats, val_list)
names = sorted(standing, key=standing.get, reverse=True)
figure, drawing = plots.axes("Perplexity for each byte pair, in validation", "perplexity", "")
colours = [plots.COLOURS[1 if name == "GPT" else 0] for name in names]
drawing.barh(names, [standing[name] for name in names], color=colours)
drawing.set_xscale("log")
in_words = ", ".join(f"{name} {standing[name]:.0f}" for name in names)
plots.show(figure, f"Bars for all models, from the worst: {in_words}")
ratio = standing["GPT"] / rivals[best_rival]
print(f"GPT {standing['GPT']:.1f}, best rival {rivals[best_rival]:.1f}", end=", ")
print(f"ratio {ratio:.3f}: {'the GPT wins' if ratio < 1 else 'counting wins'}")
assert standing["GPT"] < 0.7 * standing["byte pairs, n = 1"]

# %% [markdown]
# A model that counts is no easy rival. It remembers each context after one look, while a GPT moves its weights a
# little at a time, and ours has read little text. But for counts, “a fine film” and “a good movie” have nothing in
# common. A GPT can learn similar vectors for similar words.

# %% [markdown]
# **Predict, then run.** We let both answer: the probability is w times the GPT's plus 1 − w times that of the best
# n-gram of byte pairs. Can a winner and a loser *together* be better than the winner?

# %%
best_n = min(range(1, 6), key=lambda n: sum(nats["byte pairs", n]))
p_gpt = torch.exp(-surprises(model, val_tokens).double().cpu())
p_rival = torch.exp(-torch.tensor(nats["byte pairs", best_n], dtype=torch.double))
shares = [number / 20 for number in range(21)]
mixed = [perplexity(w * p_gpt + (1 - w) * p_rival).item() for w in shares]
figure, drawing = plots.axes("Two models together", "w, the share of the GPT", "perplexity")
drawing.plot(shares, mixed, "o-")
best_share = shares[mixed.index(min(mixed))]
plots.show(figure, f"A valley: {mixed[0]:.1f} without the GPT, {mixed[-1]:.1f} with it alone")
print(
    f"best with w = {best_share}: perplexity {min(mixed):.1f}; alone {mixed[0]:.1f}, {mixed[-1]:.1f}"
)
assert min(mixed) < min(mixed[0], mixed[-1])

# %% [markdown]
# <details><summary>Why?</summary>
#
# They make different mistakes. Where one gives a token almost nothing, the other often gives it a fair chance,
# and the logarithm punishes “almost nothing” hardest. Whoever mixes is never taken quite by surprise. That the
# mixture wins also says: the GPT has learned something that is not in the counts.
# </details>

# %% [markdown]
# ## 6 · Let it write
#
# To write, draw the next token by its probabilities. Two knobs decide how boldly:
#
# - **Temperature** t: divide the logits by t. Below 1 the likely tokens get likelier still; above 1 all become more
#   alike.
# - **Top-p**: keep the likeliest tokens, as few as together have at least the probability p; bring them to the sum 1.
#   This cuts off the many tokens that are each improbable. Of 0.5, 0.3, 0.15 and 0.05, p = 0.6 keeps the first two,
#   as 0.625 and 0.375.

# %% [markdown]
# Write both, the temperature first. For top-p:
#
# - `ordered, tokens = x.sort(dim=-1, descending=True)` gives the numbers from the largest on, and the place from
#   which each comes;
# - `ordered.cumsum(dim=-1)` is the running sum. A token stays if those *before* it have not reached p yet;
# - `torch.zeros_like(x).scatter(-1, tokens, kept)` puts each back to its place.


# %%
@exercise("language_model.sampling_weights")
def sampling_weights(logits, temperature=1.0, top_p=1.0):
    """With which probability each token is drawn: [..., V] → [..., V].

    temperature: divides the logits. top_p: above 0, up to 1; only the likeliest tokens stay, as few
    as together have a probability of at least top_p. What they have is brought to the sum 1.
    """
    raise NotImplementedError


# %%
start = torch.tensor([vocabulary.encode("\nThe film is")], device=device)
with torch.no_grad():
    logits = model(start)[0, -1]  # [V]
settings = {
    "as it is": (1.0, 1.0),
    "t = 0.5": (0.5, 1.0),
    "t = 2": (2.0, 1.0),
    "p = 0.5": (1.0, 0.5),
}
figure, drawing = plots.axes("After “The film is”", "token, the likeliest first", "probability")
for (name, (t, p)), style in zip(settings.items(), ("-", "--", ":", "-.")):
    weights = sampling_weights(logits, t, p).sort(descending=True).values.cpu()
    drawing.plot(range(1, 31), weights[:30], style, label=name)
drawing.legend()
kept = int((weights > 0).sum())
plots.show(figure, "Falling curves: steeper for t = 0.5, flatter for t = 2, cut off for p = 0.5")
likeliest = logits.topk(8).indices.tolist()
print("likeliest:", [vocabulary.decode([token]) for token in likeliest])
print(f"p = 0.5 keeps {kept} of {num_symbols} tokens")
assert kept < num_symbols / 2


# %% [markdown]
# Temperature 0.5 gives most of the probability to the likeliest token, temperature 2 spreads it over all. Top-p
# leaves the first few, each a little more likely than before, and nothing of the rest.
#
# Now it writes: it reads the text so far, a token is drawn and appended, and so on.


# %%
def write(model, prompt, num_tokens, temperature=1.0, top_p=1.0):
    """The prompt and what the model writes behind it, as tokens [1, T + num_tokens]."""
    tokens = torch.tensor([vocabulary.encode(prompt)], device=device)
    model.eval()
    with torch.no_grad():
        for _ in range(num_tokens):
            logits = model(tokens)[:, -1]  # what comes behind the last token
            drawn = torch.multinomial(sampling_weights(logits, temperature, top_p), 1)
            tokens = torch.cat([tokens, drawn], dim=1)
    return tokens


def in_lines(tokens):
    """Tokens [1, T] as text, with / where a review ends."""
    return vocabulary.decode(tokens[0].tolist()).strip().replace("\n", " / ")


# %% [markdown]
# **Predict, then run.** What does the model write if it *always* takes the likeliest token (top-p almost 0)? We count
# how many *different* tokens there are in each text, as a share of its length.

# %%
num_new, different = longest - 8, {}
settings = {"likeliest": (1.0, 1e-9), "t = 0.6": (0.6, 1.0), "p = 0.8": (1.0, 0.8)}
settings |= {"as it is": (1.0, 1.0), "t = 1.5": (1.5, 1.0)}
for name, (t, p) in settings.items():
    torch.manual_seed(seed)
    written = write(model, "\nThe film is", num_new, t, p)
    different[name] = len(set(written[0].tolist())) / written.shape[1]
    print(f"{name} ({different[name]:.0%} different tokens):\n  {in_lines(written)}")
assert different["likeliest"] < different["as it is"]

# %% [markdown]
# <details><summary>Why?</summary>
#
# The likeliest word after a common word is a common word, and after the same words always the same one: soon it
# goes in circles, or says what everybody says. With a high temperature, rare tokens are drawn so often that the
# text falls apart. Between the two lies a choice, and no setting is the best for all purposes.
# </details>

# %% [markdown]
# ## 7 · Do not compute twice
#
# For each new token our `write` reads the *whole* text again. But the mask lets no token see a later one: so what
# was computed for the earlier tokens is still the same. What does the new token need of them? Its query meets their
# **keys**, and averages their **values**. So each block keeps these two, and reads only the new token. This is the
# **key–value cache**.

# %% [markdown]
# Write `add`. `torch.cat` joins tensors along an axis: which axis of [B, H, T, D] grows? Each block calls it with the
# keys and values of the new tokens, and goes on with the two tensors that it returns: all keys, and all values.


# %%
@exercise("language_model.KeyValueCache")
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
        raise NotImplementedError


# %%
def write_with_cache(model, prompt, num_tokens, temperature=1.0, top_p=1.0):
    """As `write`, but each token is read once."""
    tokens = unread = torch.tensor([vocabulary.encode(prompt)], device=device)
    caches = [KeyValueCache() for _ in model.blocks]
    model.eval()
    with torch.no_grad():
        for _ in range(num_tokens):
            logits = model(unread, caches)[:, -1]
            unread = torch.multinomial(sampling_weights(logits, temperature, top_p), 1)
            tokens = torch.cat([tokens, unread], dim=1)
    return tokens


texts = []
for writer in (write, write_with_cache):
    torch.manual_seed(seed)
    texts.append(writer(model, "\nThe film is", num_new))
print("the same text:", torch.equal(*texts))
print(in_lines(texts[1]))
assert torch.equal(*texts)

# %% [markdown]
# **Predict, then run.** How much faster is it, for a longer text? We take a fresh model that can look far back, and
# time both. (What it writes makes no sense, but takes the same time.)

# %%
lengths = hardware.by_profile(
    smoke=(40, 120), cpu=(50, 100, 200, 400), gpu=(50, 100, 200, 400, 800)
)
far = GPT(num_symbols, 128, 4, 2, longest=lengths[-1] + 10).to(device)
seconds = {"without": [], "with cache": []}
for length in lengths:
    for name, writer in zip(seconds, (write, write_with_cache)):
        runs = []
        for _ in range(2):  # the shorter one counts: other programs have disturbed it less
            begin = time.perf_counter()
            writer(far, "\n", length)
            runs.append(time.perf_counter() - begin)
        seconds[name].append(min(runs))
figure, drawing = plots.axes("Time to write", "tokens written", "seconds")
for (name, values), style in zip(seconds.items(), ("o-", "s--")):
    drawing.plot(lengths, values, style, label=name)
drawing.legend()
faster = seconds["without"][-1] / seconds["with cache"][-1]
plots.show(figure, f"Two curves; at {lengths[-1]} tokens the cache is {faster:.1f} times as fast")
print(f"{lengths[-1]} tokens: {seconds['without'][-1]:.2f} s without", end=", ")
print(f"{seconds['with cache'][-1]:.2f} s with the cache: {faster:.1f} times as fast")
assert faster > 1.2

# %% [markdown]
# <details><summary>Why?</summary>
#
# Without a cache, T tokens mean 1 + 2 + … + T, about T²/2 readings of a token. With it they are T, and the gain grows
# with the text. It is far from T/2 times as fast, for two reasons: to read many tokens *at once* takes little longer
# than to read one, and each new token still looks at all keys. The price is memory: two vectors for each token and
# each layer. In large models they fill much of the GPU.
# </details>
#
# The course's `generate` is your two functions in one.

# %% [markdown]
# ## 8 · What did it learn by heart?
#
# A model that recites its training text has a low training loss too. Does ours invent, or copy? A simple test: the
# longest piece of its writing that stands, letter by letter, in the training text. It may begin and end within a
# word, and is "" where nothing was copied. `piece in text` tells whether one string is in another.


# %%
@exercise("language_model.longest_copy")
def longest_copy(sample, text):
    """The longest piece of the sample that stands, letter by letter, in the text.

    sample, text: strings → a string, "" where not even a letter is in both. Of equally long pieces
    any one will do.
    """
    raise NotImplementedError


# %% [markdown]
# A number alone says little. How long are the copies in *real* reviews that were never trained on? People use the
# same phrases too. So we compare pieces of equal length: by the GPT, by the best n-gram of bytes, and from the
# validation text.

# %%
length, count = 160, hardware.by_profile(smoke=4, cpu=12, gpu=12)
torch.manual_seed(seed)
random.seed(seed)
samples = {"real, unseen": [], "n-gram": [], "GPT": []}
for number in range(count):
    samples["real, unseen"].append(val_text[number * 500 :][:length])
    samples["n-gram"].append(write_bytes(byte_n, length)[:length])
    tokens = write_with_cache(model, "\n", longest - 1)
    samples["GPT"].append(vocabulary.decode(tokens[0, 1:].tolist())[:length])
medians = {}
for name, texts in samples.items():
    found = [longest_copy(text, train_text) for text in texts]
    medians[name] = sorted(map(len, found))[count // 2]
    print(f"{name}: median {medians[name]} characters, longest {max(found, key=len)!r}")
assert medians["GPT"] < 1.5 * medians["real, unseen"]

# %% [markdown]
# The longest pieces are phrases that many people use. Our GPT does not copy more than people do. Is that always so?
# It has read each sentence only a few times.
#
# **Predict, then run.** We train another one on the first 1,500 characters alone, more than a hundred times over.
# What will it write, and what becomes of its perplexity in validation?

# %%
few = train_text[:1500]
few_tokens = torch.tensor(vocabulary.encode(few), device=device)
torch.manual_seed(seed)
parrot = GPT(num_symbols, 64, 4, 2, longest=40)
train(parrot, few_tokens, next_token_loss, 300, 8, 0.006, "On a few reviews: perplexity", 5)
recited = in_lines(write_with_cache(parrot, "\n", 38, top_p=0.9))
copied = longest_copy(recited.replace(" / ", "\n"), few)
print(recited)
print(f"longest copy: {len(copied)} characters")
assert len(copied) > 1.5 * medians["real, unseen"]

# %% [markdown]
# It recites, and the more surely it recites, the worse it is in validation: whatever comes there, it is sure of
# something else. The same architecture, the same loss: what decides is how often it sees a text, and how many weights
# it has for it. Large models, too, recite some of their training texts, above all those that stood there many times,
# and private ones among them (Carlini and others, 2021). The test above is the simplest of those that are used to
# find out.

# %% [markdown]
# ## 9 · The test, once
#
# All choices are made: n and discount of the rivals, tokens, sizes and steps of the GPT. Now the test text, once. The
# rival is the one that was best in validation. The headline figure is the perplexity of the GPT *divided* by the
# rival's: below 1 the GPT has won, above 1 counting has.

# %%
rival_nats = rival_surprises(*best_rival, chosen[best_rival], test_text)
of_rival = per_token(sum(rival_nats), test_list)
of_gpt = per_token(surprises(model, test_tokens).double().sum().item(), test_list)
print(f"for each byte pair: best rival {of_rival:.1f}, GPT {of_gpt:.1f}")

# %%
report(
    "language_model.perplexity_over_best_n_gram",
    of_gpt / of_rival,
    data=reviews,
    lower_is_better=True,
)
report("language_model.test_perplexity", of_gpt, data=reviews, lower_is_better=True)

# %% [markdown]
# ## Recap
#
# 1. Perplexity is e to the power of the mean surprise. Models with different tokens are compared by the surprise of
#    the whole text.
# 2. An n-gram counts what followed. Smoothed by a discount, with n chosen in validation, it is a strong rival; and
#    mixed with a GPT it is better than either alone.
# 3. Byte pairs are tokens between letters and words. A GPT is an encoder with a causal mask, asked at every place
#    for the *next* token: not for the one that it reads.
# 4. Temperature and top-p decide how boldly it writes. A cache of keys and values spares reading everything again.
# 5. The longest copied piece, beside that of real text, tells what was learned by heart.

# %% [markdown]
# ## What to try next
#
# Change one thing, guess the direction first, and judge in *validation*.
#
# - **A stronger counter**: Chen and Goodman (1999) find that the *shorter* contexts should count in how many different
#   contexts a token was seen, and not how often (Kneser–Ney). Expect a few percent less perplexity.
# - **Train three times as long**, `num_steps`, without and with dropout (`GPT(…, dropout=0.1)`). Expect the training
#   perplexity to go on falling, and the one in validation to follow only with dropout.
# - **Bytes as tokens**: `num_merges = 0`. Expect a worse model after the same time: it reads fewer sentences.
# - **A larger text**: `course data fetch imdb` brings 25,000 whole reviews. Expect the GPT to gain more than the rival.

# %% [markdown]
# ## References
#
# - A. Radford, K. Narasimhan, T. Salimans, I. Sutskever (2018), *Improving language understanding by generative
#   pre-training*: the first GPT.
#   [PDF](https://cdn.openai.com/research-covers/language-unsupervised/language_understanding_paper.pdf)
# - S. F. Chen, J. Goodman (1999), *An empirical study of smoothing techniques for language modeling*.
#   [doi:10.1006/csla.1999.0128](https://doi.org/10.1006/csla.1999.0128)
# - R. Sennrich, B. Haddow, A. Birch (2016), *Neural machine translation of rare words with subword units*: byte-pair
#   encoding. [arXiv:1508.07909](https://arxiv.org/abs/1508.07909)
# - O. Press, L. Wolf (2017), *Using the output embedding to improve language models*: the tied head.
#   [arXiv:1608.05859](https://arxiv.org/abs/1608.05859)
# - A. Holtzman, J. Buys, L. Du, M. Forbes, Y. Choi (2020), *The curious case of neural text degeneration*: top-p.
#   [arXiv:1904.09751](https://arxiv.org/abs/1904.09751)
# - N. Carlini and others (2021), *Extracting training data from large language models*.
#   [arXiv:2012.07805](https://arxiv.org/abs/2012.07805)
