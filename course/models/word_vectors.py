"""Vectors for tokens from counting which tokens stand near each other: no network is trained.

After Levy and Goldberg (2014), "Neural word embedding as implicit matrix factorization", and Levy,
Goldberg and Dagan (2015), "Improving distributional similarity with lessons learned from word
embeddings". Axes: N tokens of a text, V different tokens, C channels.
"""

import torch

WINDOW = 5  # tokens to each side that count as near
SMOOTHING = 0.75  # power of the shares, so that pairs with a rare token do not outshine all others


def counted_vectors(tokens, num_symbols, num_channels):
    """A vector for each token, so that tokens with like neighbours have like vectors: [V, C].

    tokens: a long text, [N]. Each vector has the mean 0 and the standard deviation 1. What never
    occurs gets random numbers. Needs memory for V² numbers, several times.
    """
    surprises = more_than_by_chance(near_counts(tokens, num_symbols))
    left, strengths, _ = torch.svd_lowrank(surprises, num_channels, niter=2)
    # Turned at random, so that no channel is larger than another: layer norm would see that one.
    turn, _ = torch.linalg.qr(torch.randn(num_channels, num_channels))
    vectors = (left * strengths.sqrt()) @ turn
    never = surprises.sum(dim=1) == 0
    vectors[never] = torch.randn(int(never.sum()), num_channels)
    vectors -= vectors.mean(dim=1, keepdim=True)
    return vectors / vectors.std(dim=1, keepdim=True)


def near_counts(tokens, num_symbols):
    """How often each token stands within WINDOW tokens of each other one: [V, V], symmetric."""
    counts = torch.zeros(num_symbols**2)
    for distance in range(1, WINDOW + 1):
        pairs = tokens[:-distance] * num_symbols + tokens[distance:]
        counts += torch.bincount(pairs, minlength=num_symbols**2)
    counts = counts.view(num_symbols, num_symbols)
    return counts + counts.T


def more_than_by_chance(counts):
    """The positive part of log (count / count that chance would give): [V, V] → [V, V]."""
    shares = counts.sum(dim=0) ** SMOOTHING
    by_chance = counts.sum(dim=1, keepdim=True) * (shares / shares.sum())
    return torch.where(counts > 0, counts / by_chance, 1.0).log_().clamp_(min=0)
