"""WordPiece: words cut into pieces, by hand on a toy, and by the library `tokenizers` otherwise.

After Schuster and Nakajima (2012), "Japanese and Korean voice search"; as BERT reads text. A piece
that goes on with a word begins with ##.
"""

import itertools
from collections import Counter

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from course.models.bert import CLS, PAD, SEP, SPECIAL_TOKENS, UNKNOWN
from course.models.byte_pairs import merge

GOES_ON = "##"


def split_word(word, pieces):
    """Cut a word into pieces, each time the longest that fits; ["[UNK]"] where none does.

    word: str. pieces: a set; those inside of a word begin with ##. "" has no pieces.
    """
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in pieces:
                break
        else:
            return ["[UNK]"]
        found.append(piece)
        start = end
    return found


def learn_pieces(counts, num_joins):
    """The pieces that words are made of, learned by joining neighbours: counts of words → a list.

    It begins with single letters. Each time it joins the two neighbours that meet most often,
    measured by how often they would meet by chance: count of the pair / (count · count). Of equal
    ones the earlier in the alphabet.
    """
    words = {word: [word[0], *(GOES_ON + letter for letter in word[1:])] for word in counts}
    pieces = sorted({piece for parts in words.values() for piece in parts})
    for _ in range(num_joins):
        single, pairs = Counter(), Counter()
        for word, parts in words.items():
            for part in parts:
                single[part] += counts[word]
            for pair in itertools.pairwise(parts):
                pairs[pair] += counts[word]
        if not pairs:
            break
        by_chance = {pair: single[pair[0]] * single[pair[1]] for pair in pairs}
        best = min(pairs, key=lambda pair: (-pairs[pair] / by_chance[pair], pair))
        pieces.append(joined(best))
        for word, parts in words.items():
            words[word] = merge(parts, best, joined(best))
    return pieces


def joined(pair):
    """Two pieces as one: ("s", "##t") → "st"."""
    return pair[0] + pair[1].removeprefix(GOES_ON)


def train_tokenizer(texts, num_symbols, num_letters=150):
    """A tokenizer that has learned `num_symbols` pieces (SPECIAL_TOKENS first) from the texts.

    Text is read in small letters and without accents; each Chinese character is a word of its own.
    The library joins the most frequent pair, and then cuts words as `split_word` does.
    num_letters: how many different letters and signs are kept, the most frequent ones.
    """
    tokenizer = _empty(models.WordPiece(unk_token=SPECIAL_TOKENS[UNKNOWN]))
    return _learn(tokenizer, trainers.WordPieceTrainer, texts, num_symbols, num_letters)


def train_chinese_tokenizer(texts, num_symbols, num_letters=2500):
    """A tokenizer that has learned `num_symbols` pieces (SPECIAL_TOKENS first) from Chinese texts.

    Characters that often stand together become one piece, as lesson 06 joins bytes. num_letters:
    how many different characters are kept, the most frequent ones.
    """
    tokenizer = _empty(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN]), chinese_apart=False)
    return _learn(tokenizer, trainers.BpeTrainer, texts, num_symbols, num_letters)


def _learn(tokenizer, trainer, texts, num_symbols, num_letters):
    """The tokenizer, trained on the texts."""
    tokenizer.train_from_iterator(
        texts,
        trainer(
            vocab_size=num_symbols,
            special_tokens=list(SPECIAL_TOKENS),
            limit_alphabet=num_letters,
            show_progress=False,
        ),
    )
    return tokenizer


def tokenizer_of(pieces):
    """The tokenizer with these pieces, in the order of their numbers."""
    numbers = {piece: number for number, piece in enumerate(pieces)}
    return _empty(models.WordPiece(numbers, unk_token=SPECIAL_TOKENS[UNKNOWN]))


def _empty(model, chinese_apart=True):
    """chinese_apart: whether each Chinese character is a word of its own."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=True, handle_chinese_chars=chinese_apart
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))  # so that "[MASK]" in a text is the token
    ends = [(SPECIAL_TOKENS[number], number) for number in (CLS, SEP)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


def pieces_of(tokenizer):
    """Its pieces in the order of their numbers; `tokenizer_of` is the way back."""
    numbers = tokenizer.get_vocab()
    return sorted(numbers, key=numbers.get)


def encode(tokenizer, texts, longest):
    """Texts → lists of numbers: [CLS], at most `longest` - 2 tokens of the text, [SEP]."""
    found = [one.ids for one in tokenizer.encode_batch(list(texts))]
    return [ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in found]


def packed(texts, length):
    """Encoded texts behind one another in rows of equal length, without padding: a list of lists.

    texts: lists of numbers as `encode` gives them. Each row begins with [CLS]; a text that
    does not end in a row goes on in the next one. What does not fill the last row is left out.
    """
    stream = [number for text in texts for number in text[1:]]  # each text ends with [SEP]
    step = length - 1
    return [[CLS, *stream[at : at + step]] for at in range(0, len(stream) - step + 1, step)]


def batches_by_length(lengths, most_tokens):
    """Which texts go together into a batch, so that little has to be filled up: lists of places.

    lengths: how many tokens each text has. Texts are taken from short to long; a batch, filled up
    to its longest text, has at most `most_tokens` tokens (or is one text alone).
    """
    batches, batch = [], []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > most_tokens:
            batches.append(batch)
            batch = []
        batch.append(place)
    return [*batches, batch] if batch else batches


def padded(texts):
    """Encoded texts filled up with [PAD] to the longest: a list of lists of equal length."""
    longest = max(map(len, texts))
    return [[*text, *[PAD] * (longest - len(text))] for text in texts]
