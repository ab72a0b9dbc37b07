"""A classifier of texts on a pretrained encoder: batches, schedule, LoRA, calibration, its files.

Encoders are those of the library transformers, which take `input_ids` and `attention_mask` and give
an object with `last_hidden_state`. Axes: B texts, T tokens, C channels, K classes.
"""

import json
import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.modeling_outputs import SequenceClassifierOutput


def fill_up(texts, pad):
    """Texts of any lengths as one batch: {"input_ids": [B, T], "attention_mask": [B, T]}.

    texts: lists of numbers, filled up with the number `pad` to the longest; the attention mask is
    1 for real tokens, and 0 for what was filled up.
    """
    longest = max(len(text) for text in texts)
    tokens = [text + [pad] * (longest - len(text)) for text in texts]
    mask = [[1] * len(text) + [0] * (longest - len(text)) for text in texts]
    return {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}


def sentence_vectors(encoder, input_ids, attention_mask):
    """One vector for each text, the mean over its real tokens: [B, T] → [B, C]."""
    hidden = encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    weights = attention_mask[:, :, None]  # [B, T, 1]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class TextClassifier(nn.Module):
    """An encoder, the mean over its tokens, and one layer: a batch → an output with logits [B, K].

    With `labels` [B] the output has a loss as well, as models of transformers do it.
    """

    def __init__(self, encoder, num_classes, dropout=0.1):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.to_classes = nn.Linear(encoder.config.hidden_size, num_classes)

    def forward(self, input_ids, attention_mask, labels=None):
        vectors = sentence_vectors(self.encoder, input_ids, attention_mask)
        logits = self.to_classes(self.dropout(vectors))
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def labelled_batches(texts, labels, batch_size, rng):
    """Batches of texts of like length, each with its labels: a list of (texts, labels).

    texts: lists of numbers; labels: one for each; rng: a `random.Random`, by which the batches come
    in a new order each time. The last one taken from the sorted texts may be smaller.
    """
    order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), rng.random()))
    groups = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    rng.shuffle(groups)
    return [
        ([texts[place] for place in group], [labels[place] for place in group]) for group in groups
    ]


def loss_of(model, batch, labels):
    """The cross-entropy of what the model says to a batch: one number, with slopes.

    batch: what `fill_up` returns; labels: [B].
    """
    output = model(**batch)
    return functional.cross_entropy(output.logits, labels)


def share_of_rate(step, num_steps, num_warm_up):
    """Which share of the learning rate a step gets, from 0 to 1.

    It rises evenly from 0 at step 0 to 1 at step `num_warm_up`, then falls evenly to 0 at step
    `num_steps`.
    """
    if step < num_warm_up:
        return step / num_warm_up
    return (num_steps - step) / max(num_steps - num_warm_up, 1)


class LoraLinear(nn.Module):
    """A dense layer that stays as it is, and beside it two small matrices that learn.

    layer: an `nn.Linear`, C → D channels. Added to what it says: up · down · x, times alpha / rank,
    where `self.down` [rank, C] starts at random and `self.up` [D, rank] at 0, each a parameter.
    """

    def __init__(self, layer, rank, alpha):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(
            torch.randn(rank, layer.in_features) / math.sqrt(layer.in_features)
        )
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x):
        """[..., C] → [..., D]."""
        return self.layer(x) + self.scale * (x @ self.down.T @ self.up.T)

    def merged(self):
        """A new `nn.Linear`, which says the same on its own; `self.layer` stays as it is."""
        one = nn.Linear(self.layer.in_features, self.layer.out_features)
        with torch.no_grad():
            one.weight.copy_(self.layer.weight + self.scale * self.up @ self.down)
            one.bias.copy_(self.layer.bias)
        return one


def calibration_error(confidences, right, num_bins=10):
    """How far confidence and accuracy lie apart, on average: one number, 0 is best.

    confidences: the probability of each answer given, [N], from 0 to 1; right: whether it was
    right, [N]. Answers are sorted into `num_bins` bins of equal width by their confidence; in each,
    |accuracy - mean confidence| counts by the bin's share of all answers.
    """
    bins = (confidences * num_bins).long().clamp(max=num_bins - 1)
    error = 0.0
    for number in bins.unique():
        inside = bins == number
        gap = right[inside].float().mean() - confidences[inside].mean()
        error += inside.float().mean() * gap.abs()
    return error


def with_decay(model, decay=0.01):
    """What AdamW is to train: matrices shrink by `decay`, biases and norms do not."""
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    return [
        {"params": [one for one in trained if one.dim() > 1], "weight_decay": decay},
        {"params": [one for one in trained if one.dim() == 1], "weight_decay": 0.0},
    ]


def megabytes_to_train(model, batch, labels):
    """Memory that one step of training needs beside the weights, in MB (10⁶ bytes).

    What the forward pass keeps for the way back, and for each trained number its slope and the two
    averages that Adam keeps. batch: what `fill_up` returns; labels: [B]. The model is left in
    training mode.
    """
    model.train()
    weights = {one.untyped_storage().data_ptr() for one in model.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:  # they are there anyway
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # a result that keeps itself would never be freed

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = loss_of(model, batch, labels)  # which holds all that was kept
    trained = sum(
        one.numel() * one.element_size() for one in model.parameters() if one.requires_grad
    )
    del loss
    return (sum(kept.values()) + 3 * trained) / 1e6


@torch.no_grad()
def logits_of(model, texts, pad, batch_size=64):
    """The logits for each text, in the order of the texts and in evaluation mode: [N, K].

    texts: lists of numbers. The model is left in evaluation mode.
    """
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = [None] * len(texts)
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        batch = fill_up([texts[place] for place in places], pad)
        logits = model(**{name: part.to(device) for name, part in batch.items()}).logits
        for place, row in zip(places, logits.float().cpu()):
            found[place] = row
    return torch.stack(found)


def predict(model, tokenizer, texts, classes, longest):
    """For each text the class that the model gives it: a list of (class, probability, note).

    The note says where the answer is worth little: the text is empty, was cut after `longest`
    tokens, or is largely unknown to the tokenizer. An empty text has the class "".
    """
    if not texts:
        return []
    ids = tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    whole = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    probabilities = logits_of(model, ids, tokenizer.pad_token_id).softmax(dim=1)
    answers = []
    for row, tokens in zip(probabilities, whole):
        if not tokens:
            answers.append(("", 0.0, "there is nothing to read"))
            continue
        notes = []
        if len(tokens) > longest - 2:
            notes.append(f"only the first {longest - 2} of {len(tokens)} tokens were read")
        unknown = tokens.count(tokenizer.unk_token_id)
        if unknown:
            notes.append(f"{unknown} of {len(tokens)} tokens are unknown")
        best = int(row.argmax())
        answers.append((classes[best], float(row[best]), "; ".join(notes)))
    return answers


def save(folder, model, tokenizer, classes, longest):
    """Write a `TextClassifier` and all that is needed to use it into a folder, weights in float16.

    Nothing in the folder can run: numbers in the format safetensors, and settings as JSON.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model.encoder.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    about = {"classes": json.dumps(list(classes)), "longest": json.dumps(longest)}
    save_file(weights, folder / "model.safetensors", about)


def load(folder):
    """What `save` wrote: the model in evaluation mode, its tokenizer, its classes, and `longest`.

    Raises:
        FileNotFoundError: there is no saved classifier in the folder.
    """
    file = Path(folder) / "model.safetensors"
    if not file.exists():
        raise FileNotFoundError(f"There is no classifier in {folder}: save one there first.")
    with safe_open(file, "pt") as opened:
        about = {name: json.loads(text) for name, text in opened.metadata().items()}
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    encoder = AutoModel.from_config(config, add_pooling_layer=False)
    model = TextClassifier(encoder, len(about["classes"]))
    model.load_state_dict({name: value.float() for name, value in load_file(file).items()})
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model.eval(), tokenizer, about["classes"], about["longest"]
