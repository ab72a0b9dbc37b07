"""The networks of both lessons 03 are one network: same weights in, same logits and loss out.

Each framework runs in a process of its own, as in a lesson; arrays go between them in files.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CLOSE = {"rtol": 0, "atol": 1e-4}  # each logit has gone through twenty layers in `float32`
CHANNELS = [16] * 7 + [32] * 6 + [64] * 6  # of the convolutions, in order

START = """
import sys
import numpy as np

given = np.load(sys.argv[1])
filters = [given[f"filters{number}"] for number in range(19)]
norms = [[given[f"{kind}{number}"] for number in range(19)] for kind in NORM]
x, y, dense = given["x"], given["y"], [given["matrix"], given["vector"]]
"""
TORCH = """
import torch
from torch import nn
from torch.nn import functional
from course.models import resnet

model = getattr(resnet, sys.argv[3])()
parts = list(model.modules())
convolutions = [part for part in parts if isinstance(part, nn.Conv2d)]
batch_norms = [part for part in parts if isinstance(part, nn.BatchNorm2d)]
with torch.no_grad():
    for part, array in zip(convolutions, filters, strict=True):
        part.weight.copy_(torch.tensor(array.transpose(3, 2, 0, 1)))  # [F, C, K, K] in torch
    for part, *arrays in zip(batch_norms, *norms, strict=True):
        tensors = [part.weight, part.bias, part.running_mean, part.running_var]
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.copy_(torch.tensor(array))
    model.head.weight.copy_(torch.tensor(dense[0].T))
    model.head.bias.copy_(torch.tensor(dense[1]))
x, y = torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(y)
shapes = []
for part in convolutions:
    part.register_forward_hook(lambda part, given, made: shapes.append(np.roll(made.shape[1:], -1)))
evaluation = model.eval()(x).detach().numpy()
logits = model.train()(x)
loss = functional.cross_entropy(logits, y)
loss.backward()
logits, loss = logits.detach().numpy(), loss.item()
slopes = [part.weight.grad.numpy().transpose(2, 3, 1, 0) for part in convolutions]
means = [part.running_mean.numpy() for part in batch_norms]
count = sum(parameter.numel() for parameter in model.parameters())
shapes = shapes[: len(convolutions)]
"""
KERAS = """
from course import hardware
with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf
from course.models import resnet_tensorflow as resnet

model = getattr(resnet, sys.argv[3])()
convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
norm_class = keras.layers.BatchNormalization
batch_norms = [layer for layer in model.layers if isinstance(layer, norm_class)]
for layer, array in zip(convolutions, filters, strict=True):
    layer.set_weights([array])
for layer, *arrays in zip(batch_norms, *norms, strict=True):
    layer.set_weights(arrays)
model.layers[-1].set_weights(dense)
evaluation = model(x).numpy()
with tf.GradientTape() as tape:
    logits = model(x, training=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, logits)
slopes = tape.gradient(loss, [layer.kernel for layer in convolutions])
logits, loss = logits.numpy(), float(loss)
means = [layer.moving_mean.numpy() for layer in batch_norms]
count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
shapes = [layer.output.shape[1:] for layer in convolutions]
"""
END = """
assert len({"torch", "tensorflow"} & set(sys.modules)) == 1
np.savez(sys.argv[2], evaluation=evaluation, logits=logits, loss=loss, count=count, shapes=shapes,
         means=np.concatenate(means), **{f"slopes{n}": slope for n, slope in enumerate(slopes)})
"""
NORM = ("weight", "bias", "mean", "variance")


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """The file with the images, labels and weights that both frameworks are given."""
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(16, 32, 32, 3)).astype("float32"),
        "y": rng.integers(10, size=16),
        "matrix": rng.normal(0, 0.1, (64, 10)).astype("float32"),
        "vector": rng.normal(size=10).astype("float32"),
    }
    for number, (before, after) in enumerate(zip([3, *CHANNELS], CHANNELS, strict=False)):
        scale = np.sqrt(2 / (9 * before))
        arrays[f"filters{number}"] = rng.normal(0, scale, (3, 3, before, after)).astype("float32")
        for kind in NORM:
            spread = rng.uniform(0.5, 1.5, after) if kind in ("weight", "variance") else None
            numbers = rng.normal(0, 0.3, after) if spread is None else spread
            arrays[f"{kind}{number}"] = numbers.astype("float32")
    file = tmp_path_factory.mktemp("parity") / "given.npz"
    np.savez(file, **arrays)
    return file


@pytest.fixture(scope="module", params=["resnet20", "plain20"])
def found(request, given) -> dict[str, dict[str, np.ndarray]]:
    """What each framework makes of the same arrays."""
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    results = {}
    for name, body in (("torch", TORCH), ("keras", KERAS)):
        out = given.with_name(f"{name}.npz")
        code = f"NORM = {NORM}\n" + START + body + END
        answer = subprocess.run(
            [sys.executable, "-c", code, given, out, request.param],
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        results[name] = dict(np.load(out))
    return results


def test_both_train_as_many_parameters_on_tensors_of_the_same_shape(found):
    assert found["torch"]["count"] == found["keras"]["count"] == 269_722
    np.testing.assert_array_equal(found["keras"]["shapes"], found["torch"]["shapes"])
    assert tuple(found["torch"]["shapes"][-1]) == (8, 8, 64)


@pytest.mark.parametrize("name", ["evaluation", "logits", "loss", "means"])
def test_both_compute_the_same_in_training_and_in_evaluation(found, name):
    torch, keras = found["torch"][name], found["keras"][name]
    assert name == "loss" or np.std(torch) > 0.1  # else equal says little
    np.testing.assert_allclose(keras, torch, **CLOSE)


def test_both_find_the_same_slopes(found):
    for number in range(len(CHANNELS)):
        torch, keras = (found[one][f"slopes{number}"] for one in ("torch", "keras"))
        length = np.linalg.norm(torch)
        assert length > 1e-2
        # Where rounding moves a number across 0, its ReLU passes a slope in one of the two only.
        assert np.linalg.norm(keras - torch) < 0.02 * length
