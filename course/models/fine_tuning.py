"""An encoder and a layer on top learn a task from labelled texts, and are scored.

Texts are lists of numbers, as `word_pieces.encode` gives them.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course.models.bert import BertClassifier
from course.models.pretrained import empty_copy
from course.models.word_pieces import batches_by_length, padded

BATCH_SIZE = 32


def classifier_like(encoder, keep_weights, seed, num_classes=2):
    """A new classifier on a copy of this encoder: with its weights, or with weights drawn anew."""
    torch.manual_seed(seed)
    start = empty_copy(encoder, dropout=0.1)
    if keep_weights:
        start.load_state_dict(encoder.state_dict())
    return BertClassifier(start, num_classes)


def fine_tune(classifier, texts, labels, rate, num_epochs, seed):
    """All weights of the classifier learn from labelled texts, in place.

    rate: the largest learning rate; it rises for a tenth of the steps, then falls to 0.
    """
    device = next(classifier.parameters()).device
    labels, rng = torch.as_tensor(labels, device=device), np.random.default_rng(seed)
    num_steps = num_epochs * math.ceil(len(texts) / BATCH_SIZE)
    optimizer = torch.optim.AdamW(classifier.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, num_steps, pct_start=0.1)
    classifier.train()
    for _ in range(num_epochs):
        for places in shuffled_batches([len(text) for text in texts], rng):
            batch = torch.tensor(padded([texts[place] for place in places]), device=device)
            loss = functional.cross_entropy(classifier(batch), labels[places])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
            schedule.step()


def shuffled_batches(lengths, rng):
    """Places of texts in batches of about equal length, made anew and in a new order each time."""
    shaken = np.array(lengths) * rng.uniform(0.7, 1.4, len(lengths))
    batches = np.array_split(np.argsort(shaken), math.ceil(len(lengths) / BATCH_SIZE))
    return [batches[number] for number in rng.permutation(len(batches))]


@torch.no_grad()
def share_right(classifier, texts, labels, most_tokens=8192):
    """Share of right answers, 0 to 1, in evaluation mode."""
    device = next(classifier.parameters()).device
    classifier.eval()
    right = 0
    for places in batches_by_length([len(text) for text in texts], most_tokens):
        batch = torch.tensor(padded([texts[place] for place in places]), device=device)
        found = classifier(batch).argmax(dim=1).cpu().numpy()
        right += (found == np.asarray(labels)[places]).sum().item()
    return right / len(texts)
