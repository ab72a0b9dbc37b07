"""Plain and residual networks for small images: ResNet-20 and its plain twin, and ResNet-18.

After He, Zhang, Ren, Sun (2015), "Deep residual learning for image recognition": section 4.2 for
the networks of three widths, table 1 for ResNet-18. Axes: B images, C channels, H × W pixels.
"""

import copy

import torch
from torch import nn
from torch.nn import functional


class Standardise(nn.Module):
    """uint8 images [B, C, H, W] → floats with mean 0 and standard deviation 1 in each channel.

    mean, std: [C], of the *training* images, on the scale 0 to 255. They are kept with the model,
    so that whoever loads it treats new images in the same way.
    """

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, images):
        return (images - self.mean) / self.std


class PaddedShortcut(nn.Module):
    """The parameter-free way around a block that changes the shape (the paper's option A).

    Takes every second row and column where stride is 2, and adds channels of zeros.
    """

    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.stride, self.new_channels = stride, out_channels - in_channels

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, 0, self.new_channels))


def projection(in_channels, out_channels, stride):
    """The learned way around a block that changes the shape (option B): 1 × 1 convolution, norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
    )


class Block(nn.Module):
    """Two convolutions with batch norm, and a way around them: relu(body(x) + shortcut(x)).

    [B, in_channels, H, W] → [B, out_channels, H / stride, W / stride]. shortcut: the module on the
    way around, `nn.Identity()` where the shape stays the same; None for a plain block without one.
    """

    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = shortcut

    def forward(self, x):
        change = self.body(x)
        return functional.relu(change if self.shortcut is None else change + self.shortcut(x))


def is_residual(block, x):
    """Whether the block hands x [B, C, H, W], none of it negative, on past its own layers.

    With all its weights at 0 the layers contribute nothing. Only what takes another way remains.
    """
    silent = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
        return torch.equal(silent(x), x)


class ConvNet(nn.Module):
    """Convolution, stages of blocks, mean over the pixels, dense layer: [B, 3, H, W] → [B, K].

    widths: channels of each stage; every stage but the first halves height and width.
    new_shape: makes the shortcut of a block that changes the shape, `PaddedShortcut` or
    `projection`; None leaves out all shortcuts, which gives the plain network.
    """

    def __init__(self, widths, blocks_per_stage, new_shape=PaddedShortcut, num_classes=10):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        blocks, channels = [], widths[0]
        for stage, width in enumerate(widths):
            for place in range(blocks_per_stage):
                stride = 2 if stage > 0 and place == 0 else 1
                shortcut = None
                if new_shape is not None:
                    same = stride == 1 and channels == width
                    shortcut = nn.Identity() if same else new_shape(channels, width, stride)
                blocks.append(Block(channels, width, stride, shortcut))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(x.mean(dim=(2, 3)))


def resnet20(num_classes=10):
    """ResNet-20 for images of 32 × 32 pixels: 0.27 million parameters, as in the paper."""
    return ConvNet((16, 32, 64), 3, PaddedShortcut, num_classes)


def plain20(num_classes=10):
    """The same layers and parameters as `resnet20`, without the shortcuts."""
    return ConvNet((16, 32, 64), 3, None, num_classes)


def resnet18(num_classes=10):
    """ResNet-18 for small images (stem 3 × 3, no pooling): 11.2 million parameters."""
    return ConvNet((64, 128, 256, 512), 2, projection, num_classes)
