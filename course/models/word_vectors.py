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
    occurs gets random numbers. Needs memory for V² numbers.
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
        first, second = tokens[:-distance], tokens[distance:]
        for pairs in (first * num_symbols + second, second * num_symbols + first):
            counts.scatter_add_(0, pairs, torch.ones(len(pairs)))
    return counts.view(num_symbols, num_symbols)


def more_than_by_chance(counts):
    """The positive part of log (count / count that chance would give), in their place: [V, V]."""
    totals, shares = counts.sum(dim=1), counts.sum(dim=0) ** SMOOTHING
    shares /= shares.sum()
    for row, total in zip(counts, totals):  # one row at a time: no room for V² numbers more
        row /= (total * shares).clamp_(min=1e-30)
    return counts.log_().clamp_(min=0)
