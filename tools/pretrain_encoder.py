"""Pretrain the small BERT encoders of lesson 07 on IMDB's training reviews.

usage: python tools/pretrain_encoder.py [--folder FOLDER] [--tokens MILLIONS] [--seed N]
                                        [--threads N] [--steps N]

One run with masked words. It begins with vectors from counting which word pieces stand near each
other, and is kept there, and each time it has read four times as much text: after 1, 4, 16, 64
million tokens, and so on until --tokens. Each time it writes encoder_NNNM.safetensors into the
folder: weights, word pieces, log, and how good it is at guessing words of reviews that it never
read. Copy the ones to ship to course/samples, and the numbers into course/samples/encoders.md.

The run may be stopped at any time (Ctrl-C, or the machine goes down): the same command goes on from
its checkpoint, at most two minutes before, and comes to the same weights. A larger --tokens goes on
with a finished run. So the learning rate falls with the root of the number of steps, which needs no
end, and what is kept is an average of the weights over the last tenth of the run. A second run in
another folder comes to slightly other weights, whatever the seed: the library that learns the word
pieces breaks ties by chance. A run keeps its own in pieces.json.

The reviews come from the cache or the bundle of the course: `course data fetch imdb` first.
"""

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from course import data, hardware
from course.datasets.recipes import cache_folder
from course.models import pretrained, word_pieces
from course.models.bert import (
    NOT_ASKED,
    SPECIAL_TOKENS,
    Bert,
    BertForPretraining,
    groups_of_weights,
    masked,
    start_from_counts,
)
from course.models.word_vectors import counted_vectors

NUM_SYMBOLS, LENGTH, BATCH_SIZE = 8192, 64, 32
NUM_HEADS, NUM_LAYERS, NUM_CHANNELS, LONGEST = 4, 2, 128, 128
RATE, OFTEN = 0.2, 1e-3  # share of tokens that are masked; a token more frequent is masked less
LEARNING_RATE, WARM_UP, FALLS_FROM = 3e-3, 100, 1000  # steps
AVERAGED = 0.1  # of the run so far
VALIDATION_REVIEWS = 400
SECONDS_BETWEEN_SAVES, STEPS_BETWEEN_NOTES = 120, 100
VERSIONS = ("numpy", "safetensors", "tokenizers", "torch")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = cache_folder() / "pretrain_encoder"
    parser.add_argument("--folder", type=Path, default=folder, help=f"default: {folder}")
    parser.add_argument("--tokens", type=int, default=64, help="in millions; default: 64")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="on the CPU; default: 2")
    parser.add_argument("--steps", type=int, help="stop after so many steps, to go on later")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    reviews = data.imdb()
    if reviews.name != "imdb":
        print("IMDB is not at hand: `course data fetch imdb` brings it.", file=sys.stderr)
        return 1
    texts = [" ".join(text.replace("<br />", " ").split()) for text in reviews.x_train]
    run = Run(texts, given.seed, given.folder, hardware.device())
    run.load()
    try:
        run.to(given.tokens * 1_000_000, given.steps)
    except KeyboardInterrupt:
        print(f"\nStopped. The same command goes on from {run.file}.")
        return 130
    return 0


class Run:
    """The model, how far it is, and the text that it reads."""

    def __init__(self, texts: list[str], seed: int, folder: Path, device: str) -> None:
        self.seed, self.folder, self.device = seed, folder, device
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "checkpoint.pt"
        train, val = texts[:-VALIDATION_REVIEWS], texts[-VALIDATION_REVIEWS:]
        self.tokenizer = self._tokenizer(train)
        self.rows, self.val_rows = (self._rows(part) for part in (train, val))
        counts = torch.bincount(self.rows.flatten(), minlength=NUM_SYMBOLS).double()
        counts[: len(SPECIAL_TOKENS)] = 0
        self.shares = counts / counts.sum()
        self.masking = masking_rates(self.shares)
        print(f"{len(self.rows):,} rows of {LENGTH} tokens.", flush=True)
        self.step, self.seconds, self.log = 0, 0.0, []
        self.reading = -1  # which pass over the text the order of its rows is for
        self._make_model()

    def _tokenizer(self, texts: list[str]) -> Tokenizer:
        """That of this run. Learned again it would differ: ties are broken by chance."""
        file = self.folder / "pieces.json"
        if file.exists():
            return word_pieces.tokenizer_of(json.loads(file.read_text("utf-8")))
        print(f"Learning {NUM_SYMBOLS:,} word pieces.", flush=True)
        tokenizer = word_pieces.train_tokenizer(texts, NUM_SYMBOLS)
        pieces = word_pieces.pieces_of(tokenizer)
        file.write_text(json.dumps(pieces, ensure_ascii=False), encoding="utf-8")
        return tokenizer

    def _rows(self, texts: list[str]) -> torch.Tensor:
        encoded = word_pieces.encode(self.tokenizer, texts, longest=1_000_000)
        return torch.tensor(word_pieces.packed(encoded, LENGTH))

    def _make_model(self) -> None:
        torch.manual_seed(self.seed)
        self.sizes = {
            "num_symbols": NUM_SYMBOLS, "num_channels": NUM_CHANNELS, "num_heads": NUM_HEADS,
            "num_layers": NUM_LAYERS, "longest": LONGEST,
        }  # fmt: skip
        self.model = BertForPretraining(Bert(**self.sizes))
        if not self.file.exists():
            print("Counting which pieces stand near each other.", flush=True)
            started = processor_seconds()
            vectors = counted_vectors(self.rows.flatten(), NUM_SYMBOLS, NUM_CHANNELS)
            start_from_counts(self.model, vectors, self.shares)
            self.seconds = processor_seconds() - started
        self.model.to(self.device)
        groups = groups_of_weights(self.model, LEARNING_RATE)
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.averaged = {name: one.clone() for name, one in self.model.state_dict().items()}

    @property
    def tokens(self) -> int:
        """How many it has read."""
        return self.step * BATCH_SIZE * LENGTH

    def to(self, tokens: int, most_steps: int | None = None) -> None:
        """Read until there are so many tokens, or steps; keep the model at each power of four."""
        saved, sum_of_losses, since = time.monotonic(), 0.0, 0
        if self.step == 0:
            self.keep(0)
        while self.tokens < tokens and (most_steps is None or self.step < most_steps):
            before, started = self.tokens, processor_seconds()
            sum_of_losses, since = sum_of_losses + self.train_step(), since + 1
            self.seconds += processor_seconds() - started
            if self.step % STEPS_BETWEEN_NOTES == 0:
                self.note(sum_of_losses / since, tokens)
                sum_of_losses, since = 0.0, 0
            for size in kept_sizes(tokens):
                if before < size <= self.tokens:
                    self.keep(size // 1_000_000)
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                self.save()
                saved = time.monotonic()
        self.save()

    def train_step(self) -> float:
        """One batch. What is drawn depends on seed and step alone, so that a run can go on."""
        per_pass = len(self.rows) // BATCH_SIZE
        reading, place = divmod(self.step, per_pass)
        if self.reading != reading:
            order = torch.Generator().manual_seed(self.seed * 1000 + reading)
            self.order = torch.randperm(len(self.rows), generator=order)
            self.reading = reading
        rows = self.rows[self.order[place * BATCH_SIZE : (place + 1) * BATCH_SIZE]]
        torch.manual_seed(self.seed * 1_000_000_007 + self.step)
        inputs, targets = masked(rows, NUM_SYMBOLS, self.masking[rows])
        self.step += 1
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share_of_rate(self.step)
        loss = self._loss(inputs, targets)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        share = min(1.0, 1 / (AVERAGED * self.step))
        for name, value in self.model.state_dict().items():
            self.averaged[name].lerp_(value, share)
        return loss.item()

    def _loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        logits = self.model(inputs, targets)
        return functional.cross_entropy(logits, targets[targets != NOT_ASKED])

    def note(self, loss: float, tokens: int) -> None:
        """A line of the log: how far, and how long it will still take at this speed."""
        entry = {"step": self.step, "seconds": round(self.seconds, 1), "loss": round(loss, 4)}
        self.log.append(entry)
        left = self.seconds / self.tokens * max(tokens - self.tokens, 0)
        print(
            f"{self.tokens / 1e6:8.2f} of {tokens / 1e6:.0f} million tokens, loss {loss:.3f}, "
            f"{self.seconds:,.0f} processor seconds, about {left:,.0f} left",
            flush=True,
        )

    def keep(self, millions: int) -> None:
        """Write the averaged model with all that is to be known about it."""
        model = BertForPretraining(Bert(**self.sizes))
        model.load_state_dict(self.averaged)
        about = {
            "command": f"python tools/pretrain_encoder.py --tokens {millions} --seed {self.seed}",
            "tokens": self.tokens,
            "processor_seconds": round(self.seconds, 1),
            "device": hardware.describe(),
            "validation": self.validate(model),
            "log": self.log,
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in VERSIONS},
        }
        file = self.folder / f"encoder_{millions:03}M.safetensors"
        pretrained.save(file, model, self.tokenizer, self.sizes, about)
        print(f"Kept as {file}: {json.dumps(about['validation'])}", flush=True)

    @torch.no_grad()
    def validate(self, model: BertForPretraining) -> dict[str, float]:
        """On reviews that were never read, 15 % masked: loss in nats, and share of right guesses.

        unigram: the loss of somebody who only knows how frequent each token is.
        """
        torch.manual_seed(0)
        model.eval()
        inputs, targets = masked(self.val_rows, NUM_SYMBOLS)
        logits, asked = [], targets[targets != NOT_ASKED]
        for some in zip(inputs.split(256), targets.split(256), strict=True):
            logits.append(model(*some))
        logits = torch.cat(logits)
        return {
            "loss": round(functional.cross_entropy(logits, asked).item(), 4),
            "accuracy": round((logits.argmax(1) == asked).float().mean().item(), 4),
            "unigram": round(-self.shares[asked].clamp_min(1e-7).log().mean().item(), 4),
        }

    def save(self) -> None:
        """Keep the whole state, entirely or not at all."""
        state = {
            "settings": self.settings(), "step": self.step, "seconds": self.seconds,
            "log": self.log, "model": self.model.state_dict(), "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        unfinished = self.file.with_name(f"{self.file.name}.{os.getpid()}.tmp")
        torch.save(state, unfinished)
        unfinished.replace(self.file)

    def load(self) -> None:
        """Go on from the checkpoint where there is one.

        Raises:
            SystemExit: it is of another run.
        """
        if not self.file.exists():
            return
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        if state["settings"] != self.settings():
            raise SystemExit(
                f"{self.file} is of a run with other settings or another text: choose another "
                "--folder, or remove it."
            )
        self.step, self.seconds, self.log = state["step"], state["seconds"], state["log"]
        self.model.load_state_dict(state["model"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        print(f"Going on from {self.tokens / 1e6:.1f} million tokens.", flush=True)

    def settings(self) -> str:
        """What must be the same for a checkpoint to be of this run."""
        text = (self.rows.shape, self.rows.sum().item())
        recipe = (LENGTH, BATCH_SIZE, RATE, OFTEN, LEARNING_RATE, WARM_UP, FALLS_FROM, AVERAGED)
        return repr((self.seed, self.sizes, recipe, text))


def masking_rates(shares: torch.Tensor) -> torch.Tensor:
    """With which probability each token is masked: [V] → [V], RATE on average.

    As word2vec does (Mikolov and others, 2013), frequent tokens are taken less often: little is
    learned from guessing "the" once more. shares: how frequent each token is, with the sum 1.
    """
    weights = (OFTEN / shares.clamp_min(1e-9)).sqrt().clamp(max=1)
    weights[: len(SPECIAL_TOKENS)] = 0
    return (RATE * weights / (weights * shares).sum()).clamp(max=0.5).float()


def share_of_rate(step: int) -> float:
    """It grows until WARM_UP, and from FALLS_FROM on it falls with the root of the steps."""
    return min(step / WARM_UP, 1.0, (FALLS_FROM / step) ** 0.5)


def kept_sizes(tokens: int) -> list[int]:
    """After how many tokens the model is kept: 1, 4, 16 … million, and at the end."""
    sizes = [1_000_000 * 4**power for power in range(12)]
    return sorted({*(size for size in sizes if size < tokens), tokens})


def processor_seconds() -> float:
    """Of all threads together; on a GPU those of the clock."""
    return time.monotonic() if torch.cuda.is_available() else time.process_time()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
