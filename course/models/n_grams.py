"""N-gram models, from counting: what the next token is, given the few before it.

A text is a row of tokens: `bytes`, or a tuple of whole numbers. A context is a piece of it, such as
`text[3:5]`.
Smoothed by absolute discounting (Ney, Essen and Kneser, 1994, "On structuring probabilistic
dependences in stochastic language modelling"), interpolated with the next shorter context.
"""

import math
from collections import Counter
from collections.abc import Sequence

Tokens = bytes | tuple[int, ...]


def count_followers(tokens: Tokens, longest: int) -> dict[Tokens, Counter]:
    """For each context of up to `longest` tokens: which tokens followed it, and how often."""
    followers: dict[Tokens, Counter] = {}
    for length in range(longest + 1):
        for place in range(length, len(tokens)):
            context = tokens[place - length : place]
            if context not in followers:
                followers[context] = Counter()
            followers[context][tokens[place]] += 1
    return followers


def smoothed_probability(token, context, followers, num_symbols, discount):
    """How likely the token is after this context, though the two may never have met in training.

    followers: for each context seen in training, a Counter of the tokens that followed it.
    discount: between 0 and 1, taken from each count. All of it goes to what the context without its
    first token says; and where the context is empty, to all `num_symbols` tokens alike. A context
    that was never seen has nothing to say, so the shorter one alone counts.
    """
    if len(context):
        shorter = smoothed_probability(token, context[1:], followers, num_symbols, discount)
    else:
        shorter = 1 / num_symbols
    if context not in followers:
        return shorter
    counts = followers[context]
    taken = discount * len(counts)  # len: how many different tokens followed
    return (max(counts[token] - discount, 0) + taken * shorter) / counts.total()


def n_gram_surprises(
    tokens: Tokens,
    n: int,
    followers: dict[Tokens, Counter],
    num_symbols: int,
    discount: float,
) -> Sequence[float]:
    """The surprise of each token but the first, in nats, given up to n - 1 tokens before it."""
    return [
        -math.log(
            smoothed_probability(
                tokens[place],
                tokens[max(place - n + 1, 0) : place],
                followers,
                num_symbols,
                discount,
            )
        )
        for place in range(1, len(tokens))
    ]
