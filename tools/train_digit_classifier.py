"""Train the small classifier with which lessons 04 score drawn digits.

usage: python tools/train_digit_classifier.py [--seed N] [--epochs N] [--out FILE]

It learns from the training images of MNIST's sample but for the last 3,000. The first 1,000 of
these choose the epoch that is kept. The last 2,000 stay unseen, as the test images do: lessons
compare real images with real ones there. Writes course/samples/digit_classifier.safetensors unless
told otherwise, with command, seed, accuracies and versions in its header. Takes about a minute;
with the same arguments, machine and versions the weights are the same.
"""

import argparse
import copy
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file

from course.datasets.bundles import Arrays
from course.datasets.recipes import MNIST
from course.datasets.sources import from_sample
from course.models.digit_classifier import WEIGHTS, DigitClassifier
from course.models.training_well import random_shift
from course.training import Labelled, accuracy, fit

CHOOSING, UNSEEN = 1000, 2000  # images, the last ones of the training images
VERSIONS = ("numpy", "safetensors", "torch")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Train the classifier that scores drawn digits.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)  # sums in one order, whatever the number of cores
    torch.use_deterministic_algorithms(True)
    digits = from_sample(MNIST)
    model, best_epoch = train(digits, given.seed, given.epochs)
    command = f"python tools/train_digit_classifier.py --seed {given.seed} --epochs {given.epochs}"
    about = {"command": command, "seed": str(given.seed), "best_epoch": str(best_epoch)}
    about |= accuracies(model, digits)
    about |= {"python": platform.python_version()} | {name: version(name) for name in VERSIONS}
    save_file(model.state_dict(), given.out, metadata=about)
    print(*(f"{name}: {value}" for name, value in about.items()), sep="\n")
    return 0


def train(digits: Arrays, seed: int, num_epochs: int) -> tuple[DigitClassifier, int]:
    """The classifier after the epoch with the best accuracy on the choosing images, and which."""
    torch.manual_seed(seed)
    model = DigitClassifier()
    kept, best_epoch = copy.deepcopy(model.state_dict()), 0
    train_set = labelled(digits, "train", slice(-UNSEEN - CHOOSING))
    choosing = labelled(digits, "train", slice(-UNSEEN - CHOOSING, -UNSEEN))

    def keep_best(history: object) -> None:
        nonlocal kept, best_epoch
        reached = history.val_accuracy
        if reached[-1] > max([0.0, *reached[:-1]]):
            kept, best_epoch = copy.deepcopy(model.state_dict()), len(reached)

    fit(
        model, train_set, choosing, num_epochs=num_epochs, batch_size=64, show=False,
        optimizer=torch.optim.AdamW(model.parameters(), weight_decay=0.01),
        schedule=lambda optimizer, num_steps: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=4e-3, total_steps=num_steps
        ),
        augment=lambda images: random_shift(images, 2),
        after_epoch=keep_best,
    )  # fmt: skip
    model.load_state_dict(kept)
    return model.eval(), best_epoch


def labelled(digits: Arrays, side: str, part: slice) -> Labelled:
    """Some of the images of one side, "train" or "test", and their labels, as tensors."""
    images, labels = digits[f"x_{side}"][part], digits[f"y_{side}"][part]
    return torch.tensor(images), torch.tensor(labels).long()


def accuracies(model: DigitClassifier, digits: Arrays) -> dict[str, str]:
    """Shares of right answers on images that had no part in the training, for the file's header."""
    unseen = accuracy(model, *labelled(digits, "train", slice(-UNSEEN, None)))
    test = accuracy(model, *labelled(digits, "test", slice(None)))
    return {"unseen_accuracy": f"{unseen:.4f}", "test_accuracy": f"{test:.4f}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
