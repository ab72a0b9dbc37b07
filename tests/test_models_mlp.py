"""The network of lesson 01 against torch's own layers and against finite differences."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from course.models import mlp


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def network_and_batch(rng, sizes=(5, 7, 4, 3), batch=6):
    layers = mlp.init_layers(list(sizes), rng)
    return layers, rng.normal(size=(batch, sizes[0])), rng.integers(sizes[-1], size=batch)


def test_the_first_weights_have_the_spread_of_he_et_al(rng):
    ((weights, bias),) = mlp.init_layers([800, 500], rng)
    assert weights.shape == (800, 500) and not bias.any()
    assert weights.std() == pytest.approx(np.sqrt(2 / 800), rel=0.01)
    assert abs(weights.mean()) < 1e-3


def test_forward_and_backward_agree_with_torch(rng):
    layers, x, targets = network_and_batch(rng)
    dense = [nn.Linear(*weights.shape, dtype=torch.float64) for weights, _ in layers]
    with torch.no_grad():
        for one, (weights, bias) in zip(dense, layers, strict=True):
            one.weight.copy_(torch.tensor(weights.T))
            one.bias.copy_(torch.tensor(bias))
    logits = dense[2](torch.relu(dense[1](torch.relu(dense[0](torch.tensor(x))))))
    loss = functional.cross_entropy(logits, torch.tensor(targets))
    loss.backward()

    activations = mlp.forward(x, layers)
    assert np.allclose(activations[-1], logits.detach().numpy(), rtol=0, atol=1e-12)
    assert mlp.cross_entropy(activations[-1], targets) == pytest.approx(loss.item(), abs=1e-12)
    for one, (weights, bias) in zip(dense, mlp.backward(activations, layers, targets), strict=True):
        assert np.allclose(weights, one.weight.grad.numpy().T, rtol=0, atol=1e-12)
        assert np.allclose(bias, one.bias.grad.numpy(), rtol=0, atol=1e-12)


def test_the_slopes_are_those_that_are_measured(rng):
    layers, x, targets = network_and_batch(rng, sizes=(3, 4, 2), batch=2)
    gradients = mlp.backward(mlp.forward(x, layers), layers, targets)
    for pair, slopes in zip(layers, gradients, strict=True):
        for array, slope in zip(pair, slopes, strict=True):
            for place in np.ndindex(array.shape):
                losses = []
                for step in (1e-6, -2e-6):
                    array[place] += step
                    losses.append(mlp.cross_entropy(mlp.forward(x, layers)[-1], targets))
                array[place] += 1e-6
                assert slope[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-7)


def test_softmax_and_loss_survive_logits_of_any_size():
    logits = np.array([[1e4, 0.0, -1e4], [-1e4, -1e4, -1e4]])
    assert np.allclose(mlp.softmax(logits), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert mlp.cross_entropy(logits, np.array([2, 0])) == pytest.approx((2e4 + np.log(3)) / 2)


def test_the_torch_module_computes_what_the_numpy_network_does(rng):
    layers, x, _ = network_and_batch(rng)
    model = mlp.MLP([5, 7, 4, 3]).double()
    with torch.no_grad():
        for one, (weights, bias) in zip(model.layers, layers, strict=True):
            one.weight.copy_(torch.tensor(weights.T))
            one.bias.copy_(torch.tensor(bias))
        logits = model(torch.tensor(x)).numpy()
    assert np.allclose(logits, mlp.forward(x, layers)[-1], rtol=0, atol=1e-12)


def test_training_steps_bring_the_loss_down(rng):
    torch.manual_seed(0)
    model = mlp.MLP([4, 16, 3])
    x = torch.randn(64, 4)
    y = x[:, :3].argmax(dim=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = [mlp.train_step(model, optimizer, functional.cross_entropy, x, y) for _ in range(200)]
    assert all(isinstance(loss, float) for loss in losses)
    assert losses[-1] < 0.5 * losses[0]
