"""The training loop of lesson 01, as later lessons use it: `fit`, `predict`, `accuracy`.

Only for lessons in torch; Keras brings a `fit` of its own.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import find_executable_batch_size
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor, nn
from torch.nn import functional

from course import hardware, plots
from course.checkpoints import Checkpoint

Labelled = tuple[Tensor, Tensor]  # inputs [N, …] and targets [N], on the model's device


@dataclass
class History:
    """What `fit` saw, one value for each epoch.

    train_loss is the mean over the epoch's batches, val_loss and val_accuracy are measured after it
    (empty lists without a validation set); seconds are those of the training steps alone, and
    warm_up those of a first step that changes nothing, in which a GPU gets ready.
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    warm_up: float = 0.0

    @property
    def num_epochs(self) -> int:
        """How many epochs are done."""
        return len(self.train_loss)


def fit(
    model: nn.Module,
    train_set: Labelled,
    val_set: Labelled | None = None,
    *,
    num_epochs: int,
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[torch.optim.Optimizer, int], Any] | None = None,
    loss_function: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy,
    batch_size: int = 64,
    augment: Callable[[Tensor], Tensor] | None = None,
    after_epoch: Callable[[History], bool | None] | None = None,
    precision: torch.dtype | None = None,
    compiled: bool = False,
    title: str = "",
    show: bool = True,
    checkpoint: Path | None = None,
) -> History:
    """Train `model` in place; show curves, how far it is and how long it will still take.

    Args:
        train_set, val_set: inputs [N, …] and targets [N] on the model's device.
        schedule: makes the learning-rate schedule from the optimizer and the number of steps; it
            is stepped after every batch.
        augment: changes a batch of training inputs, [B, …] → [B, …].
        after_epoch: called with the history after each epoch; True ends the training.
        precision: such as torch.bfloat16, for a forward pass in lower precision (autocast).
        compiled: let torch.compile make faster code for the training step; that takes a minute
            before the first step. Best with batches that are all of the same size.
        title: above the curves.
        show: draw curves and a line of progress; without it nothing is shown.
        checkpoint: a file that keeps the state of the run every few seconds. Where it holds a run
            with the same settings that was interrupted, training goes on from there. Removed at
            the end.

    A batch that does not fit into the GPU's memory is halved, and training starts again from the
    model as it was given; a line says so. An interrupt leaves the model as far as it has come.

    Raises:
        ValueError: the training set is empty, or the loss is not a finite number.
        MemoryError: not even a batch of one fits.
        KeyboardInterrupt: the person interrupted the kernel.
    """
    if not len(train_set[0]):
        raise ValueError("The training set is empty; look at how it was split off.")
    before = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    tried: list[int] = []

    def half() -> int:
        if tried[-1] == 1:
            raise MemoryError(
                "Not even one example fits into this GPU's memory: close other notebooks that use "
                "it, or take a smaller model."
            )
        return tried[-1] // 2

    def run_with(batch_size: int) -> History:
        if tried:
            print(f"{tried[-1]} at a time do not fit into this GPU's memory: trying {batch_size}.")
            model.load_state_dict(before[0])
            optimizer.load_state_dict(copy.deepcopy(before[1]))
        tried.append(batch_size)
        num_steps = num_epochs * math.ceil(len(train_set[0]) / batch_size)
        run = _Run(
            model=model,
            step_model=torch.compile(model) if compiled else model,
            optimizer=optimizer,
            schedule=schedule(optimizer, num_steps) if schedule else None,
            loss_function=loss_function,
            batch_size=batch_size,
            augment=augment,
            precision=precision,
            num_epochs=num_epochs,
            curves=_curves(title, val_set) if show else None,
            note=plots.StatusLine() if show else None,
        )
        return run.through(train_set, val_set, after_epoch, checkpoint)

    try:
        return run_with(batch_size)
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
    # It first empties the memory, which takes longer than a short run: hence only where needed.
    return find_executable_batch_size(run_with, half(), half)()


def predict(
    model: nn.Module, x: Tensor, batch_size: int = 1000, precision: torch.dtype | None = None
) -> Tensor:
    """The model's outputs for x [N, …] → [N, …] in float32, in evaluation mode, batch by batch.

    The model is left in the mode in which it was.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), _autocast(x, precision):
            return torch.cat([model(part).float() for part in x.split(batch_size)])
    finally:
        model.train(was_training)


def accuracy(model: nn.Module, x: Tensor, y: Tensor, precision: torch.dtype | None = None) -> float:
    """Share of right answers, 0 to 1; x [N, …] and targets y [N] on the model's device."""
    return (predict(model, x, precision=precision).argmax(dim=1) == y).float().mean().item()


def fast_precision() -> torch.dtype | None:
    """bfloat16 where this device computes with it directly, else None for float32."""
    if hardware.device() == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return torch.bfloat16 if _processor_has_bfloat16() else None


@dataclass
class _Run:
    """One training run: what it works with, and how far it is."""

    model: nn.Module
    step_model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Any
    loss_function: Callable[[Tensor, Tensor], Tensor]
    batch_size: int
    augment: Callable[[Tensor], Tensor] | None
    precision: torch.dtype | None
    num_epochs: int
    curves: plots.LiveCurves | None
    note: plots.StatusLine | None
    history: History = field(default_factory=History)

    def through(
        self,
        train_set: Labelled,
        val_set: Labelled | None,
        after_epoch: Callable[[History], bool | None] | None,
        checkpoint: Path | None,
    ) -> History:
        """All epochs, from where a checkpoint of the same run stopped."""
        kept = None
        if checkpoint is not None:
            kept = Checkpoint(checkpoint, self._parts(), self._settings(train_set))
            self._go_on_from(kept)
        try:
            if train_set[0].is_cuda:
                self._warm_up(train_set)
            while self.history.num_epochs < self.num_epochs:
                self._train_epoch(train_set)
                self._measure(val_set)
                if after_epoch is not None and after_epoch(self.history):
                    break
                if kept is not None:
                    kept.save_at_times(asdict(self.history))
        except KeyboardInterrupt:
            self._say(self._stopped(kept=kept is not None and self.history.num_epochs > 0))
            raise
        if kept is not None:
            kept.remove()
        done, seconds = self.history.num_epochs, sum(self.history.seconds)
        self._say(f"{done} epoch{'s' * (done != 1)} in {seconds:.1f} s of training.")
        return self.history

    def _go_on_from(self, kept: Checkpoint) -> None:
        history = kept.load()
        if history is None:
            return
        self.history = History(**history)
        if self.curves is not None:
            drawn = [self.history.train_loss, self.history.val_accuracy][: len(self.curves.names)]
            for values in zip(*drawn, strict=True):
                self.curves.add(*values)

    def _warm_up(self, train_set: Labelled) -> None:
        """One step without its end, so that compiling and tuning are not in the training time."""
        self._say("Getting the GPU ready.")
        started = time.monotonic()
        before = copy.deepcopy(self.model.state_dict())
        x, y = (part[: self.batch_size] for part in train_set)
        self.model.train()
        with torch.random.fork_rng(devices=[x.device]):  # the run itself draws as if it were not
            self._loss(x if self.augment is None else self.augment(x), y).backward()
        self.optimizer.zero_grad()
        self.model.load_state_dict(before)
        torch.cuda.synchronize()
        self.history.warm_up += time.monotonic() - started

    def _train_epoch(self, train_set: Labelled) -> None:
        x, y = train_set
        batches = torch.randperm(len(x), device=x.device).split(self.batch_size)
        losses = []
        self.model.train()
        started = noted = time.monotonic()
        for number, batch in enumerate(batches, start=1):
            inputs = x[batch] if self.augment is None else self.augment(x[batch])
            losses.append(self._step(inputs, y[batch]))
            if time.monotonic() - noted > plots.SECONDS_BETWEEN_NOTES:
                noted = time.monotonic()
                self._say_how_far(number / len(batches), noted - started)
        # Reading the losses only here lets a GPU run ahead of Python during the epoch.
        mean_loss = torch.stack(losses).mean().item()
        self.history.seconds.append(time.monotonic() - started)
        if not math.isfinite(mean_loss):
            raise ValueError(
                f"The training loss became {mean_loss} in epoch {self.history.num_epochs + 1}: try "
                "a smaller learning rate, and look for a division by zero or a logarithm of zero."
            )
        self.history.train_loss.append(mean_loss)

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.optimizer.zero_grad()
        loss = self._loss(inputs, targets)
        loss.backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return loss.detach()

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with _autocast(inputs, self.precision):
            outputs = self.step_model(inputs)
        return self.loss_function(outputs.float(), targets)

    def _measure(self, val_set: Labelled | None) -> None:
        values = [self.history.train_loss[-1]]
        if val_set is not None:
            x, y = val_set
            outputs = predict(self.model, x, precision=self.precision)
            loss = functional.cross_entropy(outputs, y).item()
            share = (outputs.argmax(dim=1) == y).float().mean().item()
            self.history.val_loss.append(loss)
            self.history.val_accuracy.append(share)
            values.append(share)
        if self.curves is not None:
            self.curves.add(*values)

    def _say_how_far(self, share_of_epoch: float, seconds: float) -> None:
        done = self.history.num_epochs + share_of_epoch
        left = (sum(self.history.seconds) + seconds) / done * (self.num_epochs - done)
        epoch = f"Epoch {self.history.num_epochs + 1} of {self.num_epochs}"
        self._say(f"{epoch}, {share_of_epoch:.0%} of it done, about {plots.duration(left)} left.")

    def _stopped(self, kept: bool) -> str:
        done = f"Stopped after {self.history.num_epochs} of {self.num_epochs} epochs."
        if kept:
            return f"{done} Run the cell again to go on from there."
        return f"{done} The model keeps what it has learned; run the cell again to start afresh."

    def _say(self, sentence: str) -> None:
        if self.note is not None:
            self.note.show(sentence)

    def _settings(self, train_set: Labelled) -> str:
        """What must be the same for a checkpoint to be this run's."""
        sizes = (self.batch_size, self.num_epochs, len(train_set[0]), torch.initial_seed())
        first = train_set[0][:1].float().sum().item()
        shapes = [(name, tuple(value.shape)) for name, value in self.model.state_dict().items()]
        kind, groups = type(self.optimizer).__name__, self.optimizer.state_dict()["param_groups"]
        return repr((sizes, first, shapes, kind, groups))

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule}
        return {name: part for name, part in parts.items() if part is not None}


def _curves(title: str, val_set: Labelled | None) -> plots.LiveCurves:
    names = ["training loss"] if val_set is None else ["training loss", "validation accuracy"]
    return plots.LiveCurves(*names, title=title)


def _autocast(x: Tensor, precision: torch.dtype | None) -> torch.autocast:
    return torch.autocast(x.device.type, precision, enabled=precision is not None)


def _processor_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 directly (AVX-512 BF16, AMX or Arm's BF16)."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.11 lacks it
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
