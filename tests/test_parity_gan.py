"""The game of both lessons 04 is the same: same weights in, same drawings, losses, slopes and step.

Each framework runs in a process of its own, as in a lesson; arrays go between them in files.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
NUM_INPUTS, WIDTH, BATCH = 5, 3, 8
GENERATOR = (  # Keras's shapes, in the order of its weights
    (NUM_INPUTS, 7 * 7 * 2 * WIDTH),
    *[(7 * 7 * 2 * WIDTH,)] * 4,
    (4, 4, WIDTH, 2 * WIDTH),
    *[(WIDTH,)] * 4,
    (4, 4, 1, WIDTH),
    (1,),
)
DISCRIMINATOR = (
    (4, 4, 1, WIDTH),
    (WIDTH,),
    (4, 4, WIDTH, 2 * WIDTH),
    *[(2 * WIDTH,)] * 4,
    (7 * 7 * 2 * WIDTH, 1),
    (1,),
)
START = """
import sys
import numpy as np

given = np.load(sys.argv[1])
made = [given[f"generator{number}"] for number in range(12)]
judged = [given[f"discriminator{number}"] for number in range(9)]
"""
# torch has channels first and weights turned; its dense layers meet images of channels first.
TORCH = """
from types import SimpleNamespace
import torch
from course.models import gan

def as_torch(array):
    array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    return torch.tensor(array.copy())

def rows(array):  # [7 * 7 * C, …], places before channels → channels before places
    parts = array.reshape(49, -1, *array.shape[1:])
    return np.moveaxis(parts, 1, 0).reshape(array.shape)

made[0] = rows(made[0].T).T
made[1:5] = [rows(array) for array in made[1:5]]
judged[7] = rows(judged[7])
generator, discriminator = gan.generator(INPUTS, WIDTH), gan.Discriminator(WIDTH)
names = ("weight", "bias", "running_mean", "running_var")
keys = ["0.weight", *[f"1.{n}" for n in names], "4.weight", *[f"5.{n}" for n in names]]
keys += ["7.weight", "7.bias"]
generator.load_state_dict(dict(zip(keys, map(as_torch, made), strict=True)), strict=False)
keys = ["features.0.weight", "features.0.bias", "features.2.weight"]
keys += [*[f"features.3.{n}" for n in names], "head.weight", "head.bias"]
discriminator.load_state_dict(dict(zip(keys, map(as_torch, judged), strict=True)), strict=False)
noise, real = torch.tensor(given["noise"]), torch.tensor(given["real"][..., 0])[:, None]
in_evaluation = generator.eval()(noise)
logits_in_evaluation = discriminator.eval()(in_evaluation)
generator.train(), discriminator.train()
fake = generator(noise)
fake_logits, real_logits = discriminator(fake), discriminator(real)
one = gan.generator_loss(fake_logits)
other = gan.discriminator_loss(real_logits, fake_logits)
slopes = torch.autograd.grad(one, generator[4].weight, retain_graph=True)[0]
slopes_of_judge = torch.autograd.grad(other, discriminator.features[2].weight)[0]
out = {
    "drawings": in_evaluation[:, 0], "logits": logits_in_evaluation,
    "drawings in training": fake[:, 0], "fake logits": fake_logits, "real logits": real_logits,
    "generator's loss": one, "discriminator's loss": other,
    "generator's slopes": slopes.permute(2, 3, 1, 0),
    "discriminator's slopes": slopes_of_judge.permute(2, 3, 1, 0),
}
optimizers = SimpleNamespace(
    discriminator=torch.optim.SGD(discriminator.parameters(), lr=0.5),
    generator=torch.optim.SGD(generator.parameters(), lr=0.25),
)
fake = generator(noise)
losses = gan.discriminator_step(discriminator, optimizers, real, fake)
losses = [losses, gan.generator_step(discriminator, optimizers, fake)]
out |= {
    "losses of a step": torch.tensor(losses),
    "discriminator after it": discriminator.features[2].weight.permute(2, 3, 1, 0),
    "generator after it": generator[4].weight.permute(2, 3, 1, 0),
}
out = {name: value.detach().numpy() for name, value in out.items()}
"""
KERAS = """
from course import hardware
with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf
    from course.models import gan_tensorflow as gan

generator, discriminator = gan.build_generator(INPUTS, WIDTH), gan.build_discriminator(WIDTH)
generator.set_weights(made), discriminator.set_weights(judged)
in_evaluation = generator(given["noise"])
logits_in_evaluation = discriminator(in_evaluation)
with tf.GradientTape(persistent=True) as tape:
    fake = generator(given["noise"], training=True)
    fake_logits = discriminator(fake, training=True)
    real_logits = discriminator(given["real"], training=True)
    one = gan.generator_loss(fake_logits)
    other = gan.discriminator_loss(real_logits, fake_logits)
out = {
    "drawings": in_evaluation[..., 0], "logits": logits_in_evaluation[:, 0],
    "drawings in training": fake[..., 0],
    "fake logits": fake_logits[:, 0], "real logits": real_logits[:, 0],
    "generator's loss": one, "discriminator's loss": other,
    "generator's slopes": tape.gradient(one, generator.layers[4].kernel),
    "discriminator's slopes": tape.gradient(other, discriminator.layers[2].kernel),
}

class GivenNoise(keras.layers.Layer):  # whatever the step draws
    def call(self, inputs):
        return tf.constant(given["noise"])

artist = keras.Sequential([keras.Input((INPUTS,)), GivenNoise(), generator])
game = gan.Game(artist, discriminator, INPUTS)
rates = keras.optimizers.SGD(0.25), keras.optimizers.SGD(0.5)
game.compile(*rates, gan.generator_loss, gan.discriminator_loss)
losses = game.train_step(tf.constant(given["real"]))
out |= {
    "losses of a step": tf.stack([losses["discriminator_loss"], losses["generator_loss"]]),
    "discriminator after it": discriminator.layers[2].kernel.value,
    "generator after it": generator.layers[4].kernel.value,
}
out = {name: value.numpy() for name, value in out.items()}
"""
END = """
assert len({"torch", "tensorflow"} & set(sys.modules)) == 1
np.savez(sys.argv[2], **out)
"""
NAMES = (
    "drawings",
    "logits",
    "drawings in training",
    "fake logits",
    "real logits",
    "generator's loss",
    "discriminator's loss",
    "generator's slopes",
    "discriminator's slopes",
    "losses of a step",
    "discriminator after it",
    "generator after it",
)


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """The file with the noise, images and weights that both frameworks are given."""
    rng = np.random.default_rng(0)
    arrays = {
        "noise": rng.normal(size=(BATCH, NUM_INPUTS)),
        "real": rng.uniform(-1, 1, (BATCH, 28, 28, 1)),
    }
    for name, shapes in (("generator", GENERATOR), ("discriminator", DISCRIMINATOR)):
        for number, shape in enumerate(shapes):
            if len(shape) == 1:  # of a norm or a bias: no variance below 0, no scale near it
                arrays[f"{name}{number}"] = rng.uniform(0.5, 1.5, shape)
            else:
                arrays[f"{name}{number}"] = rng.normal(0, 0.2, shape)
    file = tmp_path_factory.mktemp("parity") / "given.npz"
    np.savez(file, **{name: array.astype("float32") for name, array in arrays.items()})
    return file


@pytest.fixture(scope="module")
def found(given) -> dict[str, dict[str, np.ndarray]]:
    """What each framework makes of the same arrays."""
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    pytest.importorskip("course.models.gan", reason="lesson 04 in torch is not there yet")
    results = {}
    for name, body in (("torch", TORCH), ("keras", KERAS)):
        out = given.with_name(f"{name}.npz")
        code = f"INPUTS, WIDTH = {NUM_INPUTS}, {WIDTH}\n" + START + body + END
        answer = subprocess.run(
            [sys.executable, "-c", code, given, out],
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert (answer.returncode, answer.stderr) == (0, "")
        results[name] = dict(np.load(out))
    return results


@pytest.mark.parametrize("name", NAMES)
def test_both_compute_the_same(found, name):
    torch, keras = found["torch"][name], found["keras"][name]
    assert torch.shape == keras.shape
    assert torch.ndim == 0 or np.std(torch) > 1e-3  # else equal says little
    np.testing.assert_allclose(keras, torch, **CLOSE)
