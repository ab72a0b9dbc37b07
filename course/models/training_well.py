"""What lesson 02 builds to judge and to train a model well.

Axes: N examples, B images in a batch, H height, W width, D numbers of one example, K classes.
"""

import numpy as np
import torch
from torch.nn import functional


def standardise(train, test):
    """Both sets with the training set's mean at 0 and its standard deviation at 1.

    train [N, D], test [M, D] → the same shapes; a column that is constant in `train` is only moved.
    """
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1)
    return (train - mean) / deviation, (test - mean) / deviation


def precision_recall_f1(said_yes, is_yes):
    """Precision, recall and F1 of answers [N] of bool, given the truth [N] of bool.

    A share of nothing counts as 0.
    """
    hits = np.sum(said_yes & is_yes)
    precision = hits / max(np.sum(said_yes), 1)
    recall = hits / max(np.sum(is_yes), 1)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return precision, recall, f1


def roc_auc(scores, is_yes):
    """Share of pairs (a yes, a no) in which the yes has the higher score; a tie counts half.

    scores [N], is_yes [N] of bool, with at least one yes and one no → one number, 0 to 1.
    """
    gaps = scores[is_yes][:, None] - scores[~is_yes]  # [yes, no]
    return (gaps > 0).mean() + (gaps == 0).mean() / 2


def best_threshold(scores, is_yes):
    """The threshold t for which "yes where score ≥ t" has the highest F1.

    scores [N], is_yes [N] of bool, with at least one yes → one number.
    """
    candidates = np.unique(scores)
    f1 = [precision_recall_f1(scores >= threshold, is_yes)[2] for threshold in candidates]
    return candidates[np.argmax(f1)]


def class_weights(y, num_classes):
    """Weights that make every class count the same in all: labels [N] → float32 [num_classes].

    Every class occurs. The weights of the examples average to 1.
    """
    counts = torch.bincount(y, minlength=num_classes)
    return len(y) / (num_classes * counts)


def evaluate(model, x, y, batch_size):
    """Share of right answers to x [N, …], in evaluation mode, at most batch_size at a time.

    Leaves the model in the mode in which it was.
    """
    was_training = model.training
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(x), batch_size):
            batch = slice(start, start + batch_size)
            answers = model(x[batch]).argmax(dim=1)
            right += (answers == y[batch]).sum().item()
    model.train(was_training)
    return right / len(x)


def random_shift(images, most):
    """Each image [B, H, W] moved down and right by numbers of its own from -most to most.

    What leaves the image is lost, and 0 comes in from the other side.
    """
    padded = functional.pad(images, (most, most, most, most))
    shifted = torch.empty_like(images)
    height, width = images.shape[1:]
    for number, (top, left) in enumerate(torch.randint(0, 2 * most + 1, (len(images), 2)).tolist()):
        shifted[number] = padded[number, top : top + height, left : left + width]
    return shifted
