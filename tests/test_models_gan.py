"""The players of lesson 04: shapes, what labels change, how weights start and are averaged."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from course.models import gan


def test_noise_becomes_images_and_images_become_logits():
    images = gan.generator(num_inputs=5, width=4)(torch.randn(3, 5))
    assert images.shape == (3, 1, 28, 28) and images.abs().max() <= 1
    assert gan.Discriminator(width=4)(images).shape == (3,)


def test_the_label_s_part_of_the_logit_is_a_product_with_the_features():
    judge = gan.Discriminator(width=2, num_classes=3).eval()
    images, labels = torch.randn(4, 1, 28, 28), torch.tensor([0, 2, 2, 1])
    plain = judge.head(judge.features(images))[:, 0]
    judge.of_label.weight.data.zero_()
    torch.testing.assert_close(judge(images, labels), plain)
    nn.init.normal_(judge.of_label.weight)
    each = [judge.of_label.weight[k] @ judge.features(images)[i] for i, k in enumerate(labels)]
    torch.testing.assert_close(judge(images, labels), plain + torch.stack(each))


def test_without_classes_no_weights_are_kept_for_labels():
    with_labels, without = gan.Discriminator(4, num_classes=10), gan.Discriminator(4)
    names = {name for name, _ in with_labels.named_parameters()}
    assert names - {name for name, _ in without.named_parameters()} == {"of_label.weight"}


def test_weights_start_small():
    torch.manual_seed(0)
    layers = [
        layer
        for player in (gan.generator(20, 16), gan.Discriminator(16))
        for layer in player.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    assert len(layers) == 3 + 3
    for layer in layers:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)


def test_the_losses_are_cross_entropy_with_the_labels_of_the_game():
    real, fake = torch.tensor([3.0, -1.0]), torch.tensor([-2.0, 0.5, 90.0])
    cross_entropy = functional.binary_cross_entropy_with_logits
    expected = cross_entropy(real, torch.ones(2)) + cross_entropy(fake, torch.zeros(3))
    torch.testing.assert_close(gan.discriminator_loss(real, fake), expected)
    torch.testing.assert_close(gan.generator_loss(fake), cross_entropy(fake, torch.ones(3)))


def test_an_average_follows_by_its_share_and_copies_running_statistics():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = copy.deepcopy(model)
    before = average[0].weight.detach().clone()
    with torch.no_grad():
        model[0].weight += 1
    model(torch.randn(8, 2))
    gan.follow(average, model, share=0.25)
    torch.testing.assert_close(average[0].weight.detach(), before + 0.25)
    assert torch.equal(average[1].running_mean, model[1].running_mean)
    gan.follow(average, model, share=1)
    assert torch.equal(average[0].weight, model[0].weight)
