"""The training loop against one written out by hand, and what it does when it is disturbed."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional

from course import checkpoints, plots, training

STEPS = torch.optim.lr_scheduler.OneCycleLR


class Page:
    """Stands in for the notebook: keeps the curves and sentences that were shown."""

    def __init__(self):
        self.sentences, self.curves = [], []

    def display(self, bundle, raw, metadata=None, display_id=False):
        self.update(bundle, raw, metadata)
        return self

    def update(self, bundle, raw, metadata=None):
        kept = self.curves if "image/png" in bundle else self.sentences
        kept.append(bundle["text/plain"])


@pytest.fixture(autouse=True)
def page(monkeypatch) -> Page:
    page = Page()
    monkeypatch.setattr(plots, "display", page.display)
    monkeypatch.setenv("COURSE_PROFILE", "cpu")
    torch.manual_seed(5)
    return page


@pytest.fixture
def data():
    """Two clouds of points, 50 to train on and 30 to validate."""
    y = torch.arange(80) % 2
    x = torch.randn(80, 4) + y[:, None]
    return (x[:50], y[:50]), (x[50:], y[50:])


def network(dropout=0.0):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2))


def sgd(model, momentum=0.9):
    return torch.optim.SGD(model.parameters(), 0.1, momentum=momentum)


def schedule(optimizer, num_steps):
    return STEPS(optimizer, 0.2, num_steps)


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_it_does_what_a_loop_written_out_does(data):
    (x, y), (x_val, y_val) = data
    by_hand, model = network(), network()
    optimizer = sgd(by_hand)
    rates = schedule(optimizer, 3 * 4)
    torch.manual_seed(7)
    means = []
    for _ in range(3):
        losses = []
        for batch in torch.randperm(50).split(16):
            optimizer.zero_grad()
            loss = functional.cross_entropy(by_hand(x[batch] * 2), y[batch])
            loss.backward()
            optimizer.step()
            rates.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))

    torch.manual_seed(7)
    history = training.fit(
        model,
        *data,
        num_epochs=3,
        optimizer=sgd(model),
        schedule=schedule,
        batch_size=16,
        augment=lambda inputs: inputs * 2,
    )
    torch.testing.assert_close(weights(model), weights(by_hand))
    assert history.train_loss == pytest.approx(means)
    logits = by_hand(x_val)
    right = (logits.argmax(1) == y_val).float().mean().item()
    assert history.val_accuracy[-1] == pytest.approx(right)
    assert history.val_loss[-1] == pytest.approx(functional.cross_entropy(logits, y_val).item())
    assert len(history.seconds) == history.num_epochs == 3
    assert history.warm_up == 0


def test_it_learns_and_shows_curves_and_how_long_it_takes(data, page, monkeypatch):
    monkeypatch.setattr(plots, "SECONDS_BETWEEN_NOTES", 0)
    model = network()
    history = training.fit(model, *data, num_epochs=12, optimizer=sgd(model), title="Clouds")
    assert history.val_accuracy[-1] > 0.6 > history.train_loss[-1]
    assert len(page.curves) == 12 and page.curves[-1].startswith("Clouds after 12 epochs")
    told = r"Epoch 3 of 12, 100% of it done, about \d+ s left\."
    assert any(re.fullmatch(told, sentence) for sentence in page.sentences)
    assert page.sentences[-1].startswith("12 epochs in ")


def test_nothing_is_shown_where_that_is_asked_and_no_validation_set_is_needed(data, page, capsys):
    model = network()
    history = training.fit(model, data[0], num_epochs=1, optimizer=sgd(model), show=False)
    assert not page.curves and not page.sentences and not capsys.readouterr().out
    assert history.val_loss == history.val_accuracy == []


def test_dropout_is_on_while_training_and_off_while_measuring(data):
    model = network(dropout=0.5)
    modes = []
    model[2].register_forward_hook(lambda module, *_: modes.append(module.training))
    training.fit(model, *data, num_epochs=2, optimizer=sgd(model), batch_size=25, show=False)
    assert modes == [True, True, False] * 2
    torch.testing.assert_close(
        training.predict(model, data[1][0]), training.predict(model, data[1][0], batch_size=7)
    )
    assert model.training  # as it was left


def test_the_caller_can_end_it_after_an_epoch(data):
    seen = []

    def enough(history):
        seen.append(history.num_epochs)
        return history.num_epochs == 2

    model = network()
    history = training.fit(
        model, *data, num_epochs=9, optimizer=sgd(model), after_epoch=enough, show=False
    )
    assert seen == [1, 2] and history.num_epochs == 2


def test_a_loss_that_is_no_number_is_named_with_what_to_try(data):
    model = network()
    with pytest.raises(ValueError, match=r"became nan in epoch 1: try a smaller learning rate"):
        training.fit(
            model,
            *data,
            num_epochs=2,
            optimizer=sgd(model),
            loss_function=lambda logits, y: logits.sum() * float("nan"),
        )


def test_an_empty_training_set_is_named():
    nothing = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    model = network()
    with pytest.raises(ValueError, match="training set is empty"):
        training.fit(model, nothing, num_epochs=1, optimizer=sgd(model))


def test_a_batch_that_does_not_fit_is_halved_from_the_start_and_the_student_told(data, capsys):
    sizes = []

    def fitting(inputs):
        """The first step of each try fits, so that the model has moved when memory is full."""
        sizes.append(len(inputs))
        if len(inputs) > 14 and sizes[-2:] == [len(inputs)] * 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return inputs

    settings = {"num_epochs": 2, "schedule": schedule, "loss_function": in_order(data)}
    small, large = network(), network()
    expected = training.fit(small, *data, optimizer=sgd(small), batch_size=12, **settings)
    history = training.fit(
        large, *data, optimizer=sgd(large), batch_size=24, augment=fitting, show=False, **settings
    )
    assert "24 at a time do not fit into this GPU's memory: trying 12." in capsys.readouterr().out
    assert sizes[:2] == [24, 24] and set(sizes[2:]) == {12, 2}
    assert history.train_loss == pytest.approx(expected.train_loss)
    torch.testing.assert_close(weights(large), weights(small))


def test_where_not_even_one_example_fits_that_is_said(data):
    def full(inputs):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")

    model = network()
    with pytest.raises(MemoryError, match="Not even one example fits"):
        training.fit(model, *data, num_epochs=1, optimizer=sgd(model), augment=full)


def in_order(data):
    """A loss that does not depend on the order of the examples, so that two runs can be compared.

    Pulls the outputs towards 1, whatever the batch holds; the inputs are made equal.
    """
    data[0][0][:] = 1.0
    return lambda logits, y: ((logits - 1) ** 2).mean()


def test_other_errors_are_not_taken_for_full_memory(data):
    def broken(inputs):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (50x4 and 5x8)")

    model = network()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        training.fit(model, *data, num_epochs=1, optimizer=sgd(model), augment=broken)


def interrupted_at(number):
    def after_epoch(history):
        if history.num_epochs == number:
            raise KeyboardInterrupt

    return after_epoch


def run(data, model, file, after_epoch=None, **changes):
    settings = {"num_epochs": 4, "optimizer": sgd(model), "schedule": schedule, "show": False}
    settings |= changes
    return training.fit(
        model, *data, batch_size=16, checkpoint=file, after_epoch=after_epoch, **settings
    )


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(data, tmp_path, page, capsys):
    whole, stopped, resumed = (network(dropout=0.3) for _ in range(3))
    torch.manual_seed(9)
    expected = run(data, whole, None)

    file = tmp_path / "folder" / "run.pt"
    torch.manual_seed(9)
    with pytest.raises(KeyboardInterrupt):
        run(data, stopped, file, interrupted_at(2), show=True)
    assert page.sentences[-1] == (
        "Stopped after 2 of 4 epochs. Run the cell again to go on from there."
    )
    torch.manual_seed(9)
    drawn = len(page.curves)
    history = run(data, resumed, file, show=True)
    assert f"Going on after epoch 1, from {file}" in capsys.readouterr().out
    assert len(page.curves) == drawn + 4
    torch.testing.assert_close(weights(resumed), weights(whole))
    assert history.train_loss == pytest.approx(expected.train_loss)
    assert not file.exists() and not list(file.parent.iterdir())


@pytest.mark.parametrize("change", ["nothing", "model", "optimizer", "epochs", "data", "seed"])
def test_only_the_checkpoint_of_the_same_run_is_used(data, tmp_path, capsys, change):
    file = tmp_path / "run.pt"
    first, model = network(), network()
    torch.manual_seed(9)
    with pytest.raises(KeyboardInterrupt):
        run(data, first, file, interrupted_at(3))
    other = {}
    if change == "model":
        model.append(nn.Linear(2, 2))
    elif change == "optimizer":
        other["optimizer"] = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.1)
    elif change == "epochs":
        other["num_epochs"] = 5
    elif change == "data":
        data = ((data[0][0] + 1, data[0][1]), data[1])
    torch.manual_seed(9 if change != "seed" else 10)
    history = run(data, model, file, **other)
    assert ("Going on" in capsys.readouterr().out) == (change == "nothing")
    assert history.num_epochs == other.get("num_epochs", 4)


def test_a_damaged_checkpoint_is_told_and_training_starts_afresh(data, tmp_path, capsys):
    file = tmp_path / "run.pt"
    file.write_bytes(b"no checkpoint")
    assert run(data, network(), file).num_epochs == 4
    assert "cannot be read" in capsys.readouterr().out


def test_a_checkpoint_that_would_run_code_is_not_loaded(data, tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return (print, ("the trap has sprung",))

    file = tmp_path / "run.pt"
    torch.save(Trap(), file)
    run(data, network(), file)
    said = capsys.readouterr().out
    assert "trap" not in said and "cannot be read" in said


def test_a_full_disk_stops_no_training(data, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    assert run(data, network(), tmp_path / "run.pt").num_epochs == 4
    assert "No space left on device); training goes on." in capsys.readouterr().out


def test_without_a_checkpoint_an_interrupt_leaves_the_model_as_it_is(data, page):
    model = network()
    before = weights(model).clone()
    with pytest.raises(KeyboardInterrupt):
        run(data, model, None, interrupted_at(1), show=True)
    assert page.sentences[-1].startswith("Stopped after 1 of 4 epochs. The model keeps")
    assert not torch.equal(weights(model), before)


def test_only_long_runs_keep_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert checkpoints.checkpoint_file("resnet") is None
    monkeypatch.setenv("COURSE_PROFILE", "gpu")
    assert checkpoints.checkpoint_file("resnet") == tmp_path / "checkpoints" / "resnet.pt"


def test_lower_precision_is_for_the_forward_pass_alone(data):
    model = network()
    kinds = []
    model[0].register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))

    def loss_function(logits, y):
        kinds.append(logits.dtype)
        return functional.cross_entropy(logits, y)

    training.fit(
        model,
        data[0],
        num_epochs=1,
        optimizer=sgd(model),
        loss_function=loss_function,
        precision=torch.bfloat16,
        show=False,
    )
    assert kinds == [torch.bfloat16, torch.float32]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert training.predict(model, data[1][0], precision=torch.bfloat16).dtype == torch.float32


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, None), ({}, None)],
)
def test_bfloat16_is_taken_where_the_processor_has_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(training.hardware, "device", lambda: "cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert training.fast_precision() is expected
