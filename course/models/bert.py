"""BERT from the parts of lesson 05: its inputs, its encoder, its heads, and a classifier on top.

After Devlin and others (2019), "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding". Axes: B sequences, T tokens, C channels, V different tokens, M masked places.
"""

import torch
from torch import nn
from torch.nn import functional

from course.models.attention import Encoder, padding_mask

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # number 0 to 4 in a vocabulary
PAD, UNKNOWN, CLS, SEP, MASK = range(len(SPECIAL_TOKENS))
NOT_ASKED = -100  # as a target: this place does not count (what `cross_entropy` leaves out)


def masked(tokens, num_symbols, rate=0.15):
    """Hide some tokens, and say which stood there: tokens [B, T] → inputs and targets, [B, T] each.

    Each token that is not special is chosen with probability `rate`. Of those chosen, 80 % become
    [MASK], 10 % any token that is not special, 10 % stay. Targets are the tokens that stood at the
    chosen places, and NOT_ASKED elsewhere.
    """
    chosen = (torch.rand(tokens.shape, device=tokens.device) < rate) & (
        tokens >= len(SPECIAL_TOKENS)
    )
    targets = torch.where(chosen, tokens, NOT_ASKED)
    kind = torch.rand(tokens.shape, device=tokens.device)
    anything = torch.randint_like(tokens, len(SPECIAL_TOKENS), num_symbols)
    inputs = torch.where(chosen & (kind < 0.8), MASK, tokens)
    return torch.where(chosen & (kind >= 0.8) & (kind < 0.9), anything, inputs), targets


class BertEmbedding(nn.Module):
    """Tokens [B, T] → vectors [B, T, C]: which token, which place, which segment; then layer norm.

    longest: how many places there are.
    """

    def __init__(self, num_symbols, num_channels, longest, dropout=0.0):
        super().__init__()
        self.of_token = nn.Embedding(num_symbols, num_channels)
        self.of_place = nn.Embedding(longest, num_channels)
        self.of_segment = nn.Embedding(2, num_channels)
        self.norm = nn.LayerNorm(num_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens, segments=None):
        """segments: 0 or 1 for each token, [B, T]; all 0 unless given."""
        num_tokens, longest = tokens.shape[1], self.of_place.num_embeddings
        if num_tokens > longest:
            raise ValueError(
                f"These {num_tokens} tokens are more than the {longest} places of the model: cut "
                "them, or make the model with a larger `longest`."
            )
        places = torch.arange(num_tokens, device=tokens.device)
        segments = torch.zeros_like(tokens) if segments is None else segments
        x = self.of_token(tokens) + self.of_place(places) + self.of_segment(segments)
        return self.dropout(self.norm(x))


class Bert(nn.Module):
    """The encoder: tokens [B, T] → a vector for each, [B, T, C], that has looked both ways.

    longest: how many tokens it can read. norm_first: as in `EncoderLayer`; BERT itself has its
    norms behind, and trains well with them only at small learning rates.
    """

    def __init__(
        self,
        num_symbols,
        num_channels,
        num_heads,
        num_layers,
        longest,
        norm_first=True,
        dropout=0.0,
    ):
        super().__init__()
        self.embedding = BertEmbedding(num_symbols, num_channels, longest, dropout)
        self.encoder = Encoder(
            num_layers,
            num_channels,
            num_heads,
            4 * num_channels,
            norm_first,
            dropout=dropout,
            activation=nn.GELU,
            attend=functional.scaled_dot_product_attention,
        )
        self.apply(start_small)

    def forward(self, tokens, segments=None, mask=None):
        """mask: True where a token may be looked at, as `padding_mask` makes it."""
        return self.encoder(self.embedding(tokens, segments), mask)


def start_small(layer):
    """Draw the weights of one layer anew, as BERT does: standard deviation 0.02, biases 0."""
    if isinstance(layer, nn.Linear | nn.Embedding):
        nn.init.normal_(layer.weight, std=0.02)
    if isinstance(layer, nn.Linear):
        nn.init.zeros_(layer.bias)


class MaskedHead(nn.Module):
    """What stood at a place? Vectors [M, C] → logits [M, V].

    The last matrix is the embedding's own: a token is likely where its vector fits. of_token: that
    `nn.Embedding`. It belongs to the encoder, and is no parameter of the head.
    """

    def __init__(self, num_symbols, num_channels):
        super().__init__()
        self.transform = nn.Linear(num_channels, num_channels)
        self.norm = nn.LayerNorm(num_channels)
        self.bias = nn.Parameter(torch.zeros(num_symbols))
        start_small(self.transform)

    def forward(self, x, of_token):
        x = self.norm(functional.gelu(self.transform(x)))
        return functional.linear(x, of_token, self.bias)


def read_both_ways(encoder, tokens, lengths):
    """A vector for each token that has looked at all real tokens, before it and behind it.

    tokens: [B, T], filled up with [PAD]; lengths: how many are real, [B] → [B, T, C].
    """
    return encoder(tokens, mask=padding_mask(lengths, tokens.shape[1]))


def logits_where_asked(hidden, targets, head):
    """What the head makes of the places that are asked for, and of no other.

    hidden: [B, T, C], targets: [B, T], NOT_ASKED where nothing is asked; head: a function of
    vectors [M, C] → logits [M, V], row by row in the order of the tokens.
    """
    return head(hidden[targets != NOT_ASKED])


def mean_surprise(logits, targets):
    """How surprised the model is by what really stood there, in nats: mean of -log probability.

    logits: [M, V], targets: [M] → one number.
    """
    log_probabilities = torch.log_softmax(logits, dim=1)
    return -log_probabilities[torch.arange(len(targets)), targets].mean()


def masked_loss(logits, tokens, asked):
    """The mean surprise at the places that are asked for, in nats: logits [B, T, V] → one number.

    tokens: what really stood there, [B, T]; asked: True at the places that count, [B, T].
    """
    return functional.cross_entropy(logits[asked], tokens[asked])


class BertForPretraining(nn.Module):
    """An encoder with the head of pretraining: tokens and targets [B, T] → logits [M, V].

    M places are asked for; those of the first row come first. of_next: a layer that says from the
    vector of [CLS] whether the second segment came next, [B, C] → [B, 2].
    """

    def __init__(self, encoder):
        super().__init__()
        num_symbols, num_channels = encoder.embedding.of_token.weight.shape
        self.encoder = encoder
        self.head = MaskedHead(num_symbols, num_channels)
        self.of_next = nn.Linear(num_channels, 2)
        start_small(self.of_next)

    def guess(self, hidden):
        """Vectors [..., C] → logits [..., V] of what stood there."""
        return self.head(hidden, self.encoder.embedding.of_token.weight)

    def forward(self, tokens, targets, segments=None, mask=None):
        hidden = self.encoder(tokens, segments, mask)
        return logits_where_asked(hidden, targets, self.guess)


def start_from_counts(model, vectors, shares):
    """Give a `BertForPretraining` what can be known by counting, before it learns anything else.

    vectors: one for each token, [V, C], as `counted_vectors` makes them; shares: how frequent each
    token is, [V], so that the head begins with the right frequencies.
    """
    with torch.no_grad():
        model.encoder.embedding.of_token.weight.copy_(0.05 * vectors)
        model.head.bias.copy_(shares.clamp_min(1e-7).log())


def groups_of_weights(model, rate):
    """What AdamW is to learn in a `BertForPretraining`, and how fast; rate: of most weights.

    Adam moves each number by about its rate, also where the slope is tiny. The vectors of the
    tokens are small numbers, and most tokens are rare: at the full rate they would be shaken apart.
    """
    of_token = model.encoder.embedding.of_token.weight
    rest = [weights for weights in model.parameters() if weights is not of_token]
    matrices = [weights for weights in rest if weights.dim() > 1]
    others = [weights for weights in rest if weights.dim() == 1]
    return [
        {"params": matrices, "lr": rate, "weight_decay": 0.01},
        {"params": others, "lr": rate, "weight_decay": 0.0},
        {"params": [of_token], "lr": 0.1 * rate, "weight_decay": 0.0},
    ]


def mean_over_tokens(hidden, mask):
    """The mean over the real tokens of each sequence: [B, T, C] → [B, C].

    mask: True for real tokens, [B, 1, 1, T] as `padding_mask` makes it.
    """
    weights = mask[:, 0, 0, :, None].to(hidden.dtype)  # [B, T, 1]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class BertClassifier(nn.Module):
    """An encoder, the mean over its tokens, and one layer: tokens [B, T] → logits [B, classes]."""

    def __init__(self, encoder, num_classes, dropout=0.1):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.to_classes = nn.Linear(encoder.embedding.of_token.embedding_dim, num_classes)

    def forward(self, tokens):
        mask = (tokens != PAD)[:, None, None, :]
        hidden = self.encoder(tokens, mask=mask)
        return self.to_classes(self.dropout(mean_over_tokens(hidden, mask)))
