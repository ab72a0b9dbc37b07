"""The networks of lesson 03: sizes of the paper, shapes, and what the shortcuts do."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from course.models import resnet


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_networks_have_the_size_of_the_paper():
    # He et al. (2015), table 6: 0.27 million for 20 layers, the shortcuts without parameters.
    assert num_parameters(resnet.resnet20()) == num_parameters(resnet.plain20()) == 269_722
    assert num_parameters(resnet.resnet18()) == 11_173_962


@pytest.mark.parametrize(("make", "layers"), [(resnet.resnet20, 20), (resnet.plain20, 20)])
def test_twenty_layers_have_weights(make, layers):
    weighted = [m for m in make().modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == layers


@pytest.mark.parametrize("make", [resnet.resnet20, resnet.plain20, resnet.resnet18])
def test_images_become_one_score_for_each_class(make):
    model = make(num_classes=7).eval()
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 7)
    shapes = []
    for block in model.blocks:
        block.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape[2]))
    model(torch.randn(1, 3, 32, 32))
    assert shapes[0] == 32 and shapes[-1] == 32 // 2 ** (2 if make is not resnet.resnet18 else 3)


def silent(block):
    """Let the body of a block give zeros."""
    nn.init.zeros_(block.body[-1].weight)
    nn.init.zeros_(block.body[-1].bias)
    return block.eval()


def test_with_a_shortcut_a_block_that_says_nothing_passes_its_input_on():
    x = torch.randn(2, 4, 6, 6).relu()
    assert torch.equal(silent(resnet.Block(4, 4, shortcut=nn.Identity()))(x), x)
    assert not silent(resnet.Block(4, 4))(x).any()


def test_the_padded_shortcut_takes_every_second_pixel_and_adds_empty_channels():
    x = torch.randn(2, 3, 5, 8)
    around = resnet.PaddedShortcut(3, 5, 2)(x)
    assert around.shape == (2, 5, 3, 4)
    assert torch.equal(around[:, :3], x[:, :, ::2, ::2]) and not around[:, 3:].any()
    assert not list(resnet.PaddedShortcut(3, 5, 2).parameters())


def test_the_projection_is_a_convolution_of_single_pixels():
    way = resnet.projection(3, 5, 2).eval()
    x = torch.randn(2, 3, 6, 6)
    kernel = way[0].weight[:, :, 0, 0]
    expected = torch.einsum("oc,bchw->bohw", kernel, x[:, :, ::2, ::2])
    torch.testing.assert_close(way(x), expected / (1 + way[1].eps) ** 0.5)


def test_a_block_is_two_convolutions_with_batch_norm_around_a_relu():
    block = resnet.Block(3, 5, stride=2, shortcut=resnet.projection(3, 5, 2))
    x = torch.randn(4, 3, 8, 8)
    first, norm_1, _, second, norm_2 = block.body

    def normalised(z):
        return (z - z.mean((0, 2, 3), keepdim=True)) / (
            z.var((0, 2, 3), keepdim=True, unbiased=False) + norm_1.eps
        ).sqrt()

    hidden = normalised(functional.conv2d(x, first.weight, stride=2, padding=1)).relu()
    change = normalised(functional.conv2d(hidden, second.weight, padding=1))
    around = normalised(functional.conv2d(x, block.shortcut[0].weight, stride=2))
    torch.testing.assert_close(block(x), (change + around).relu())
    assert norm_2.num_batches_tracked == 1


def test_the_first_weights_have_the_spread_of_he_et_al():
    torch.manual_seed(0)
    for module in resnet.resnet18().modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)


def test_images_are_standardised_with_what_the_model_keeps():
    images = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    mean, std = images.float().mean((0, 2, 3)), images.float().std((0, 2, 3))
    standardise = resnet.Standardise(mean, std)
    result = standardise(images)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result.std((0, 2, 3)), torch.ones(3))
    assert set(standardise.state_dict()) == {"mean", "std"} and not list(standardise.parameters())
