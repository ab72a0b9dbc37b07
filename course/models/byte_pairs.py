"""Tokens made by byte-pair encoding: pieces of words that are frequent, built up from bytes.

After Sennrich, Haddow and Birch (2016), "Neural machine translation of rare words with subword
units"; on bytes, as in GPT-2 (Radford and others, 2019). No text is unknown: what was never seen is
spelled in bytes.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

NUM_BYTES = 256
WORDS = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\w\s]+|\s|_")  # a space belongs to the word behind it


def merge(tokens, pair, new):
    """Each occurrence of the pair, found from left to right, becomes the one token `new`.

    tokens: a list of whole numbers, pair: a tuple of two, new: one → a new list.
    """
    merged = []
    for token in tokens:
        if merged and (merged[-1], token) == pair:
            merged[-1] = new
        else:
            merged.append(token)
    return merged


class BytePairs:
    """Text ↔ tokens: the 256 bytes, and one token more for each merge, in the order of `merges`.

    merges: pairs of tokens; the first becomes token 256, the second 257 …
    """

    def __init__(self, merges: Iterable[tuple[int, int]]) -> None:
        self.merges = list(merges)
        self.pieces = [bytes([byte]) for byte in range(NUM_BYTES)]  # the bytes of each token
        for first, second in self.merges:
            self.pieces.append(self.pieces[first] + self.pieces[second])
        self._number = {pair: NUM_BYTES + rank for rank, pair in enumerate(self.merges)}
        self._known: dict[str, list[int]] = {}  # words that were cut before

    def __len__(self) -> int:
        """How many different tokens there are."""
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """The text as tokens."""
        return [token for word in WORDS.findall(text) for token in self._cut(word)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of the tokens; what is no whole character becomes �."""
        return b"".join(self.pieces[token] for token in tokens).decode(errors="replace")

    def _cut(self, word: str) -> list[int]:
        if word not in self._known:
            tokens = list(word.encode())
            while known := [pair for pair in itertools.pairwise(tokens) if pair in self._number]:
                earliest = min(known, key=self._number.__getitem__)
                tokens = merge(tokens, earliest, self._number[earliest])
            self._known[word] = tokens
        return self._known[word]


def learn_byte_pairs(text: str, num_merges: int) -> BytePairs:
    """Merge the most frequent pair of neighbours within words, again and again.

    Fewer merges come out where no pair is left.
    """
    counts = Counter(WORDS.findall(text))
    words = [list(word.encode()) for word in counts]
    times = list(counts.values())
    frequency: Counter[tuple[int, int]] = Counter()  # of each pair
    where = defaultdict(set)  # the words in which a pair stands, or stood
    for number, word in enumerate(words):
        for pair in itertools.pairwise(word):
            frequency[pair] += times[number]
            where[pair].add(number)
    merges: list[tuple[int, int]] = []
    while len(merges) < num_merges and frequency:
        pair = max(frequency, key=lambda pair: (frequency[pair], pair))
        for number in where.pop(pair):
            before = words[number]
            words[number] = after = merge(before, pair, NUM_BYTES + len(merges))
            for old in itertools.pairwise(before):
                frequency[old] -= times[number]
            for new in itertools.pairwise(after):
                frequency[new] += times[number]
                where[new].add(number)
        merges.append(pair)
        frequency = +frequency  # without the pairs that are gone
    return BytePairs(merges)
