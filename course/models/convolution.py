"""What lesson 03 builds on the way to its networks: convolution, batch norm, augmentation.

Axes: B images, C channels, H × W pixels, F filters of K × K weights for each channel.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


def convolve(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Slide each filter over the image: [C, H, W], [F, C, K, K] → [F, H - K + 1, W - K + 1]."""
    count, _, size, _ = filters.shape
    _, height, width = image.shape
    result = np.zeros((count, height - size + 1, width - size + 1))
    for number, row, column in np.ndindex(result.shape):
        patch = image[:, row : row + size, column : column + size]
        result[number, row, column] = (patch * filters[number]).sum()
    return result


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Height or width after a convolution or pooling of `kernel` pixels; 0 or less: no place."""
    return (size + 2 * padding - kernel) // stride + 1


def small_network(num_classes=10):
    """Four stages of convolution, ReLU and pooling, then a dense layer: [B, 3, 32, 32] → [B, K].

    The convolutions keep height and width, each pooling halves them: 32, 16, 8, 4, 2.
    """
    layers, channels = [], 3
    for width in (16, 32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 2 * 2, num_classes))


class BatchNorm(nn.Module):
    """Each channel brought to mean 0 and variance 1, then scaled and shifted: [B, C, H, W] → same.

    While training the statistics are those of the batch, and running averages of them are kept;
    in evaluation the running averages are used.
    """

    def __init__(self, num_channels, momentum=0.1, eps=1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
            with torch.no_grad():
                new_var = x.var(dim=(0, 2, 3), correction=1)
                self.running_mean += self.momentum * (mean - self.running_mean)
                self.running_var += self.momentum * (new_var - self.running_var)
        scale = self.weight / torch.sqrt(var + self.eps)
        return (x - mean.view(1, -1, 1, 1)) * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


def shift_and_mirror(images, largest_shift):
    """Move each image by a random number of pixels, and mirror half of them: [B, C, H, W] → same.

    Each image is moved up or down and left or right by -largest_shift … largest_shift pixels, drawn
    for itself; what comes in at the border is 0.
    """
    batch, _, height, width = images.shape
    padded = functional.pad(images, (largest_shift,) * 4)

    def draw(count):
        return torch.randint(count, (batch, 1), device=images.device)

    rows = draw(2 * largest_shift + 1) + torch.arange(height, device=images.device)
    columns = draw(2 * largest_shift + 1) + torch.arange(width, device=images.device)
    columns = torch.where(draw(2) == 1, columns.flip(1), columns)  # mirrored: read backwards
    each = torch.arange(batch, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
