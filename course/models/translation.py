"""A translator: an encoder that reads, a decoder that writes while it looks at what was read.

After Vaswani and others (2017), "Attention is all you need", from the parts of lesson 05. Axes: B
phrases, S tokens of the source, T tokens of the target, C channels, V different target tokens.
"""

import re
from collections import Counter

import torch
from torch import nn
from torch.nn import functional

from course.models.attention import (
    Encoder,
    FeedForward,
    MultiHeadAttention,
    TokenEmbedding,
    attention,
    causal_mask,
    padding_mask,
)

PAD, BEGIN, END, UNKNOWN = range(4)
NAMES = ("·", "[begin]", "[end]", "[unknown]")
WORDS = re.compile(r"[A-Za-z]+|\S")

fused = functional.scaled_dot_product_attention


def words(text):
    """English text in pieces: words of letters, single digits and other signs, without spaces."""
    return WORDS.findall(text)


class Vocabulary:
    """Numbers for pieces of text, from 4 on in the order of the alphabet; below are PAD, BEGIN,
    END and UNKNOWN.

    cut: makes a list of pieces from a text; `list` gives its characters.
    """

    def __init__(self, texts, cut):
        self.cut = cut
        found = sorted({piece for text in texts for piece in cut(text)})
        self.pieces = [*NAMES, *found]
        self.numbers = {piece: number for number, piece in enumerate(self.pieces)}

    def __len__(self):
        return len(self.pieces)

    def encode(self, text):
        """The numbers of a text's pieces, and END; a piece that was never seen is UNKNOWN."""
        return [*(self.numbers.get(piece, UNKNOWN) for piece in self.cut(text)), END]

    def decode(self, tokens):
        """Numbers, up to the first END, as one text."""
        tokens = list(tokens)
        end = tokens.index(END) if END in tokens else len(tokens)
        return "".join(self.pieces[token] for token in tokens[:end] if token not in (PAD, BEGIN))


def pad(sequences):
    """Lists of tokens of different length → one tensor [B, longest], filled up with PAD behind."""
    longest = max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *[PAD] * (longest - len(sequence))] for sequence in sequences])


def masks(source, target):
    """Where may be looked: at the source, bool [B, 1, 1, S], and within the target, bool [T, T].

    source: [B, S], target: [B, T], both with PAD at the end. Nobody looks at the source's padding,
    and no token of the target at a later one.
    """
    at_source = padding_mask((source != PAD).sum(dim=1), source.shape[1])
    at_target = causal_mask(target.shape[1], device=target.device)
    return at_source, at_target


class DecoderLayer(nn.Module):
    """Three parts on the residual stream, norm first: [B, T, C] → same.

    Attention to the target itself, then to the source, then feed-forward. dropout and attend: as in
    lesson 05's encoder layer.
    """

    def __init__(self, num_channels, num_heads, num_hidden, dropout=0.0, attend=fused):
        super().__init__()
        self.self_attention = MultiHeadAttention(num_channels, num_heads, attend)
        self.cross_attention = MultiHeadAttention(num_channels, num_heads, attend)
        self.feed_forward = FeedForward(num_channels, num_hidden)
        self.norm_1, self.norm_2, self.norm_3 = (nn.LayerNorm(num_channels) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, at_target=None, at_source=None):
        """memory: what the encoder made of the source, [B, S, C]. The masks: True where the target
        may look within itself, and at the memory.
        """
        x = x + self.dropout(self.self_attention(self.norm_1(x), at_target))
        x = x + self.dropout(self.cross_attention(self.norm_2(x), at_source, memory))
        return x + self.dropout(self.feed_forward(self.norm_3(x)))


class Translator(nn.Module):
    """Source tokens [B, S] and target tokens [B, T] → logits [B, T, V] of the token behind each.

    num_source, num_target: how many different tokens there are. longest: how many tokens a phrase
    has at most, on either side.
    """

    def __init__(
        self,
        num_source,
        num_target,
        num_channels,
        num_heads,
        num_layers,
        longest,
        dropout=0.0,
        layer=DecoderLayer,
        masks=masks,
    ):
        super().__init__()
        self.longest, self.masks = longest, masks
        self.source_embedding = TokenEmbedding(num_source, num_channels, longest)
        self.target_embedding = TokenEmbedding(num_target, num_channels, longest)
        sizes = num_channels, num_heads, 4 * num_channels
        self.encoder = Encoder(num_layers, *sizes, dropout=dropout, attend=fused)
        self.layers = nn.ModuleList(layer(*sizes, dropout) for _ in range(num_layers))
        self.norm = nn.LayerNorm(num_channels)
        self.head = nn.Linear(num_channels, num_target)

    def encode(self, source, at_source=None):
        """Read the source, once: [B, S] → [B, S, C]. at_source: its mask, made unless given."""
        if at_source is None:
            at_source, _ = self.masks(source, source)
        return self.encoder(self.source_embedding(source), at_source)

    def forward(self, source, target, memory=None):
        """memory: what `encode` gave for this source, where it is known already."""
        at_source, at_target = self.masks(source, target)
        if memory is None:
            memory = self.encode(source, at_source)
        x = self.target_embedding(target)  # [B, T, C]
        for layer in self.layers:
            x = layer(x, memory, at_target, at_source)
        return self.head(self.norm(x))  # [B, T, V]


def translation_loss(model, source, target):
    """How surprised the translator is by the right next token, in nats: the mean over all.

    source: [B, S], target: [B, T + 1], which begins with BEGIN. Padding does not count.
    """
    logits = model(source, target[:, :-1])  # [B, T, V]
    return functional.cross_entropy(logits.transpose(1, 2), target[:, 1:], ignore_index=PAD)


@torch.no_grad()
def greedy(model, source, longest):
    """Translate by taking the likeliest token each time: [B, S] → [B, T] without BEGIN.

    Stops after `longest` tokens, or as soon as every row has an END; behind it the row does not
    count any more.
    """
    memory = model.encode(source)
    target = torch.full((len(source), 1), BEGIN, device=source.device)
    while target.shape[1] <= longest and not (target == END).any(dim=1).all():
        likeliest = model(source, target, memory)[:, -1].argmax(dim=1)
        target = torch.cat([target, likeliest[:, None]], dim=1)
    return target[:, 1:]


def grow_beam(scores, log_probabilities, width):
    """The best ways to write on: of all hypotheses with all next tokens the `width` likeliest.

    scores: log-probability of each hypothesis so far, [K]. log_probabilities: of each next token,
    [K, V] → for the best, likeliest first: their scores, the numbers of the hypotheses that they
    go on from, and their tokens, each [width], or [K · V] where there are no more.
    """
    together = (scores[:, None] + log_probabilities).flatten()  # [K · V]
    best = together.topk(min(width, len(together)))
    num_tokens = log_probabilities.shape[1]
    return best.values, best.indices // num_tokens, best.indices % num_tokens


def length_penalty(length, alpha):
    """What the log-probability of a translation of so many tokens is divided by.

    After Wu and others (2016), "Google's neural machine translation system": 1 for one token; with
    alpha = 0 always 1, with alpha = 1 it grows as the length does.
    """
    return ((5 + length) / 6) ** alpha


@torch.no_grad()
def beam_search(model, source, width=4, alpha=0.6, longest=None):
    """Translations of one phrase, the best first: [1, S] → a list of (score, tokens).

    width: how many hypotheses are followed; one that has ended keeps its place. alpha: of
    `length_penalty`. longest: as for `greedy`; what the model can write, unless given.
    """
    memory = model.encode(source)
    target = torch.full((1, 1), BEGIN, device=source.device)
    scores, ended = torch.zeros(1, device=source.device), []
    while len(ended) < width and target.shape[1] <= (longest or model.longest - 1):
        logits = model(source.expand(len(target), -1), target, memory.expand(len(target), -1, -1))
        log_probabilities = torch.log_softmax(logits[:, -1], dim=1)
        scores, origins, tokens = grow_beam(scores, log_probabilities, width - len(ended))
        target = torch.cat([target[origins], tokens[:, None]], dim=1)
        over = tokens == END
        ended += zip(scores[over].tolist(), target[over, 1:].tolist())
        scores, target = scores[~over], target[~over]
    ended += zip(scores.tolist(), target[:, 1:].tolist())  # those that came to no end
    graded = [(score / length_penalty(len(tokens), alpha), tokens) for score, tokens in ended]
    return sorted(graded, key=lambda pair: -pair[0])


@torch.no_grad()
def alignment(model, source, target):
    """Where the last layer looks in the source when it says the token behind each: [B, T, S].

    The mean over the heads of its cross-attention. Attention averages values; where the value of
    each token is 1 at its own place, and 0 elsewhere, the averages are the weights (lesson 05).
    """
    cross, found = model.layers[-1].cross_attention, []

    def attend_and_note(queries, keys, values, mask):
        places = torch.eye(keys.shape[2], device=keys.device)
        found.append(attention(queries, keys, places, mask).mean(dim=1))
        return attention(queries, keys, values, mask)

    usual, cross.attend = cross.attend, attend_and_note
    try:
        model(source, target)
    finally:
        cross.attend = usual
    return found[0]


def n_gram_matches(hypothesis, reference, n):
    """How many n-grams of the hypothesis also stand in the reference, and how many it has: a pair.

    Both are lists of tokens, and may be shorter than n. An n-gram counts at most as often as it
    stands in the reference.
    """
    found, right = (
        Counter(tuple(tokens[place : place + n]) for place in range(len(tokens) - n + 1))
        for tokens in (hypothesis, reference)
    )
    return (found & right).total(), found.total()


def by_t5(folder, sentences, language):
    """What T5 (Raffel and others, 2020) makes of English sentences, with a beam of 4: a list.

    folder: with its files, see `course.models.hub`. language: "German", "French" or "Romanian"; it
    was trained on no others.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer  # takes seconds, seldom needed

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True)
    asked = [f"translate English to {language}: {sentence}" for sentence in sentences]
    batch = tokenizer(asked, padding=True, return_tensors="pt")
    said = model.generate(**batch, num_beams=4, max_new_tokens=80)
    return tokenizer.batch_decode(said, skip_special_tokens=True)
