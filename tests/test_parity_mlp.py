"""The networks of both lessons 01 are one network: same weights in, same logits, loss and step out.

Each framework runs in a process of its own, as in a lesson; arrays go between them in files.
"""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from course import results

SIZES = [784, 512, 256, 10]
LEARNING_RATE = 0.5
SMOOTHING = 0.1
# Differences may grow where sums over 784 products of `float32` run in another order.
CLOSE = {"rtol": 0, "atol": 1e-5}

TORCH = """
import torch
from torch.nn import functional
from course.models.mlp import MLP, train_step

model = MLP(SIZES)
with torch.no_grad():
    for parameter, array in zip(model.parameters(), arrays):
        parameter.copy_(torch.tensor(array.T))  # torch keeps weights as [outputs, inputs]
x, y = torch.tensor(given["x"]), torch.tensor(given["y"])
logits = model(x).detach().numpy()
optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
loss = train_step(model, optimizer, lambda z, y: functional.cross_entropy(
    z, y, label_smoothing=SMOOTHING), x, y)
after = [parameter.detach().numpy().T for parameter in model.parameters()]
"""
KERAS = """
from course import hardware
with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf
from course.models.mlp_tensorflow import TapedModel, build_mlp

inputs = keras.Input((SIZES[0],))
model = TapedModel(inputs, build_mlp(SIZES)(inputs))
model.set_weights(arrays)
x, y = tf.constant(given["x"]), tf.one_hot(given["y"], SIZES[-1])
logits = model(x).numpy()
model.compile(
    keras.optimizers.SGD(LEARNING_RATE),
    keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING),
)
loss = model.fit(x, y, batch_size=len(x), verbose=0).history["loss"][0]
after = model.get_weights()
"""
START = """
import json, sys
import numpy as np
SIZES, LEARNING_RATE, SMOOTHING = json.loads(sys.argv[1])
given = np.load(sys.argv[2])
arrays = [given[f"array{number}"] for number in range(2 * len(SIZES) - 2)]
"""
END = """
assert len({"torch", "tensorflow"} & set(sys.modules)) == 1
results = {f"array{number}": array for number, array in enumerate(after)}
np.savez(sys.argv[3], logits=logits, loss=loss, **results)
"""


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """What each framework makes of the same arrays; "before" holds those that both start from."""
    pytest.importorskip("torch")
    folder: Path = tmp_path_factory.mktemp("parity")
    rng = np.random.default_rng(0)
    given = {"x": rng.random((64, SIZES[0]), "float32"), "y": rng.integers(SIZES[-1], size=64)}
    for number, (inputs, outputs) in enumerate(pairwise(SIZES)):
        scale = np.sqrt(2 / inputs)
        given[f"array{2 * number}"] = rng.normal(0, scale, (inputs, outputs)).astype("float32")
        given[f"array{2 * number + 1}"] = rng.normal(0, 0.1, outputs).astype("float32")
    np.savez(folder / "given.npz", **given)
    found = {"before": given}
    settings = json.dumps([SIZES, LEARNING_RATE, SMOOTHING])
    for name, body in (("torch", TORCH), ("keras", KERAS)):
        out = folder / f"{name}.npz"
        answer = subprocess.run(
            [sys.executable, "-c", START + body + END, settings, folder / "given.npz", out],
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        found[name] = dict(np.load(out))
    return found


def test_both_give_the_same_logits_and_the_same_loss(exchanged):
    assert exchanged["torch"]["logits"].shape == (64, 10)
    assert np.std(exchanged["torch"]["logits"]) > 0.1
    np.testing.assert_allclose(exchanged["keras"]["logits"], exchanged["torch"]["logits"], **CLOSE)
    np.testing.assert_allclose(exchanged["keras"]["loss"], exchanged["torch"]["loss"], **CLOSE)


@pytest.mark.parametrize("number", range(2 * len(SIZES) - 2))
def test_after_one_step_both_have_the_same_parameters(exchanged, number):
    before, torch, keras = (
        exchanged[one][f"array{number}"] for one in ("before", "torch", "keras")
    )
    assert np.abs(torch - before).max() > 1e-3  # else equal says little
    np.testing.assert_allclose(keras, torch, **CLOSE)


@pytest.mark.parametrize("profile", ["smoke", "cpu"])
def test_both_lessons_reach_the_same_accuracy(profile):
    """What lesson 01 in TensorFlow tells its readers: the mean lies in the other one's band."""
    figures = results.expected()["figures"]
    torch = figures["mlp.test_accuracy"][f"{profile}/sample/torch"]
    keras = figures["mlp_tensorflow.test_accuracy"][f"{profile}/sample/tensorflow"]
    assert torch["low"] <= keras["mean"] <= torch["high"]
    assert keras["low"] <= torch["mean"] <= keras["high"]
