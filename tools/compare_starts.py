"""Compare fine-tuning from random weights with fine-tuning from the pretrained encoder.

usage: python tools/compare_starts.py [--labels N …] [--threads N] [--out FILE]

The same architecture learns to tell negative from positive sentences with few labels: once from
weights drawn at random, once from the largest encoder in course/samples. For each the learning rate
and the number of epochs are chosen in the same way, from the same grid, on validation sentences,
with a choice of labels that is not used again. Then it learns from five other choices, and the test
sentences are read.

Writes course/samples/fine_tuned.json unless told otherwise, after each part; started again it adds
what is missing. 500 labels take three minutes on one core, 2,000 four times as long.
"""

import argparse
import itertools
import json
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from course.datasets.files import Arrays
from course.datasets.recipes import MOVIE_SENTENCES
from course.datasets.sources import from_sample
from course.models import pretrained, word_pieces
from course.models.fine_tuning import classifier_like, fine_tune, share_right

STARTS = ("random weights", "pretrained encoder")
POOL, VALIDATION = 4000, 1000  # sentences, as in lesson 07
CHOICES, CHOICE_TO_TUNE = range(5), 100  # seeds that draw which sentences have labels
RATES, EPOCHS = (3e-4, 1e-3, 3e-3), (3, 8)
VERSIONS = ("numpy", "tokenizers", "torch")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=int, nargs="+", default=[500], help="default: 500")
    parser.add_argument("--threads", type=int, default=2, help="on the CPU; default: 2")
    parser.add_argument("--out", type=Path, default=pretrained.FINE_TUNED)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    comparison = Comparison(from_sample(MOVIE_SENTENCES), pretrained.shipped()[-1])
    table = comparison.table()
    if given.out.exists():
        before = json.loads(given.out.read_text("utf-8"))
        if before["encoder"] == table["encoder"]:
            table = before
    done = {(row["labels"], row["start"]) for row in table["rows"]}
    for count, start in itertools.product(given.labels, STARTS):
        if (count, start) not in done:
            table["rows"].append(comparison.row(count, start))
            print(json.dumps(table["rows"][-1]), flush=True)
            given.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    return 0


class Comparison:
    """The sentences, cut into the pieces of the encoder, and the encoder."""

    def __init__(self, sentences: Arrays, file: Path) -> None:
        self.file = file
        model, tokenizer, _ = pretrained.load(file)
        self.encoder = model.encoder
        x = word_pieces.encode(tokenizer, sentences["x_train"], longest=64)
        y = sentences["y_train"].astype(int)
        self.pool, self.val = (x[:POOL], y[:POOL]), (x[POOL:][:VALIDATION], y[POOL:][:VALIDATION])
        self.test = (
            word_pieces.encode(tokenizer, sentences["x_test"], longest=64),
            sentences["y_test"].astype(int),
        )

    def table(self) -> dict:
        """What is to be known about the comparison, without rows yet."""
        return {
            "command": "python tools/compare_starts.py",
            "encoder": self.file.name,
            "date": datetime.now(UTC).date().isoformat(),
            "rates": RATES,
            "epochs": EPOCHS,
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in VERSIONS},
            "rows": [],
        }

    def row(self, count: int, start: str) -> dict:
        """The setting that is best in validation, and what it reaches in the test."""
        validation = {}
        for rate, num_epochs in itertools.product(RATES, EPOCHS):
            validation[rate, num_epochs] = self.accuracy(
                count, start, rate, num_epochs, CHOICE_TO_TUNE, self.val
            )
        rate, num_epochs = best = max(validation, key=validation.get)
        tested = [
            self.accuracy(count, start, rate, num_epochs, seed, self.test) for seed in CHOICES
        ]
        return {
            "labels": count, "start": start, "rate": rate, "epochs": num_epochs,
            "validation": round(validation[best], 4), "test": [round(one, 4) for one in tested],
        }  # fmt: skip

    def accuracy(
        self, count: int, start: str, rate: float, num_epochs: int, seed: int, judged_on: tuple
    ) -> float:
        """What a classifier reaches that learns from `count` sentences drawn with this seed."""
        classifier = classifier_like(self.encoder, start == "pretrained encoder", seed)
        texts, labels = self.pool
        chosen = np.random.default_rng(seed).permutation(len(texts))[:count]
        some = [texts[place] for place in chosen]
        fine_tune(classifier, some, labels[chosen], rate, num_epochs, seed)
        return share_right(classifier, *judged_on)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
