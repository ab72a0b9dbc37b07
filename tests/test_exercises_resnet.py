"""Lesson 03: every exercise turns away plausible mistakes and takes different right answers."""

import copy
import math

import numpy as np
import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional

from course.exercises.resnet import EXERCISES
from course.models import resnet
from course.models.convolution import BatchNorm, convolve, shift_and_mirror

# Each wrong answer stands beside a word that its message must contain.


def convolve_by_patches(image, filters):
    size = filters.shape[2]
    patches = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(1, 2))
    return np.einsum("chwkl,fckl->fhw", patches, filters)


def convolve_by_shifts(image, filters):
    size = filters.shape[2]
    height, width = image.shape[1] - size + 1, image.shape[2] - size + 1
    result = np.zeros((len(filters), height, width))
    for row in range(size):
        for column in range(size):
            moved = image[:, row : row + height, column : column + width]
            result += np.tensordot(filters[:, :, row, column], moved, axes=1)
    return result


def convolve_by_torch(image, filters):
    return functional.conv2d(torch.tensor(image)[None], torch.tensor(filters))[0].numpy()


def convolve_one_channel(image, filters):
    return convolve(image[:1], filters[:, :1])


def convolve_keeps_channels(image, filters):
    parts = [convolve(image[c : c + 1], filters[:, c : c + 1]) for c in range(len(image))]
    return np.stack(parts, axis=1)


def convolve_with_border(image, filters):
    before = (filters.shape[2] - 1) // 2
    after = filters.shape[2] - 1 - before
    return convolve(np.pad(image, ((0, 0), (before, after), (before, after))), filters)


def convolve_forgets_the_filter_axis(image, filters):
    return convolve(image, filters[:1])[0]


def convolve_one_short(image, filters):
    result = np.zeros_like(convolve(image, filters))
    size = filters.shape[2]
    for f in range(len(filters)):
        for row in range(image.shape[1] - size):
            for column in range(image.shape[2] - size):
                patch = image[:, row : row + size, column : column + size]
                result[f, row, column] = (patch * filters[f]).sum()
    return result


def convolve_sums_all_filters(image, filters):
    result = np.zeros_like(convolve(image, filters))
    size = filters.shape[2]
    for f, row, column in np.ndindex(result.shape):
        patch = image[:, row : row + size, column : column + size]
        result[f, row, column] = (patch * filters).sum()
    return result


def convolve_in_single_precision(image, filters):
    result = np.zeros(convolve(image, filters).shape, dtype=np.float32)
    for f, row, column in np.ndindex(result.shape):
        size = filters.shape[2]
        patch = image[:, row : row + size, column : column + size]
        result[f, row, column] = (patch * filters[f]).sum()
    return result


def convolve_in_whole_numbers(image, filters):
    return convolve(image, filters).astype(int)


def convolve_past_the_edge(image, filters):
    size = filters.shape[2]
    result = np.zeros((len(filters), *image.shape[1:]))
    for f, row, column in np.ndindex(result.shape):
        patch = image[:, row : row + size, column : column + size]
        result[f, row, column] = (patch * filters[f]).sum()
    return result


CONVOLVE = {
    "wrong": [
        (lambda i, f: convolve(i, f[:, :, ::-1, ::-1]), "upside down"),
        (lambda i, f: convolve(i, f.transpose(0, 1, 3, 2)), "of the filter"),
        (lambda i, f: convolve(i, f) / f[0].size, "averaged"),
        (convolve_one_channel, "first channel"),
        (convolve_keeps_channels, "one result for each channel"),
        (lambda i, f: convolve(i, f)[:, :-1, :-1], "H − K + 1"),
        (convolve_with_border, "border of zeros"),
        (lambda i, f: convolve(i, f[:1].repeat(len(f), 0)), "first filter"),
        (lambda i, f: convolve(i, f).sum(axis=0), "different filters"),
        (lambda i, f: convolve(i, f).transpose(0, 2, 1), "of the result"),
        (convolve_forgets_the_filter_axis, "shape"),
        (convolve_past_the_edge, ("stopped", "shape")),
        (lambda i, f: convolve(i, f).tolist(), "list"),
        (lambda i, f: convolve(i, f[:, :, ::-1]), "rows of the filter"),
        (lambda i, f: convolve(i, f[:, :, :, ::-1]), "columns of the filter"),
        (convolve_one_short, "one place too early"),
        (convolve_sums_all_filters, "over all filters"),
        (convolve_in_whole_numbers, "dtype"),
    ],
    "right": [
        convolve_by_patches,
        convolve_by_shifts,
        convolve_by_torch,
        convolve_in_single_precision,
    ],
}


def size_by_counting(size, kernel, stride=1, padding=0):
    first, last = -padding, size + padding - kernel
    return len(range(first, last + 1, stride))


def size_in_words(size, kernel, stride=1, padding=0):
    bordered = size + padding + padding
    return math.floor((bordered - kernel) / stride) + 1


def size_at_least_nothing(size, kernel, stride=1, padding=0):
    return max(0, (size + 2 * padding - kernel) // stride + 1)


def size_cut_by_int(size, kernel, stride=1, padding=0):
    return int((size + 2 * padding - kernel) / stride) + 1


def size_at_least_one(size, kernel, stride=1, padding=0):
    return max(1, (size + 2 * padding - kernel) // stride + 1)


def size_or_error(size, kernel, stride=1, padding=0):
    if kernel > size + 2 * padding:
        raise ValueError("The filter does not fit.")
    return (size + 2 * padding - kernel) // stride + 1


OUTPUT_SIZE = {
    "wrong": [
        (lambda s, k, stride=1, padding=0: (s + 2 * padding - k) // stride, "One place"),
        (lambda s, k, stride=1, padding=0: (s + padding - k) // stride + 1, "twice"),
        (lambda s, k, stride=1, padding=0: (s + 2 * padding - k + 1) // stride, "divide first"),
        (lambda s, k, stride=1, padding=0: -(-(s + 2 * padding - k) // stride) + 1, "rounded up"),
        (lambda s, k, stride=1, padding=0: (s + 2 * padding - k) / stride + 1, "fraction"),
        (lambda s, k, stride=1, padding=0: s + 2 * padding - k + 1, "stride 1"),
        (lambda s, k, stride=1, padding=0: (s - k) // stride + 1, "padding is missing"),
        (lambda s, k, stride=1, padding=0: (s - 2 * padding - k) // stride + 1, "add it"),
        (lambda s, k, stride=1, padding=0: float((s + 2 * padding - k) // stride + 1), "whole"),
        (lambda s, k, stride=1, padding=0: None, "return"),
        (size_cut_by_int, "`int` cuts"),
        (size_at_least_one, "no place for it"),
        (size_or_error, "does not fit"),
    ],
    "right": [size_by_counting, size_in_words, size_at_least_nothing],
}


def stages(num_classes, dense=512, pooling=nn.MaxPool2d, widths=(16, 32, 64, 128), **options):
    layers, channels = [], 3
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, **options), nn.ReLU(), pooling(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(dense, num_classes))


def without_a_pooling(num_classes):
    network = stages(num_classes, padding=1)
    network[2] = nn.Identity()
    return network


def without_an_activation(num_classes):
    return nn.Sequential(
        *(part for part in stages(num_classes, padding=1) if not isinstance(part, nn.ReLU))
    )


def last_one_padded(num_classes):
    network = stages(num_classes)
    network[9].padding = (1, 1)
    return network


def padded_by_hand(num_classes):
    layers, channels = [], 3
    for width in (16, 32, 64, 128):
        layers += [nn.ZeroPad2d(1), nn.Conv2d(channels, width, 3), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * 2 * 128, num_classes))


class SmallNetwork(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        pairs = ((3, 16), (16, 32), (32, 64), (64, 128))
        self.convolutions = nn.ModuleList(nn.Conv2d(*pair, 3, padding="same") for pair in pairs)
        self.dense = nn.Linear(512, num_classes)

    def forward(self, x):
        for convolution in self.convolutions:
            x = functional.max_pool2d(functional.relu(convolution(x)), 2)
        return self.dense(x.reshape(len(x), -1))


SMALL_NETWORK = {
    "wrong": [
        (lambda num_classes: stages(num_classes) and stages(num_classes), "smaller than itself"),
        (lambda num_classes: stages(num_classes, padding=2), "2 × 2 pixels"),
        (lambda num_classes: stages(num_classes, dense=128, padding=1), "shapes"),
        (lambda num_classes: stages(num_classes, widths=(16, 32, 64), dense=256), "shapes"),
        (lambda n: stages(n, padding=1, padding_mode="reflect"), "mirrors"),
        (lambda n: stages(n, padding=1, padding_mode="replicate"), "repeats"),
        (lambda n: stages(n, padding=1, padding_mode="circular"), "other side"),
        (lambda n: stages(n, padding=1, pooling=nn.AvgPool2d), "largest"),
        (lambda n: stages(n, padding=1, stride=2, pooling=nn.Identity), "halving"),
        (lambda n: stages(n, padding=1, bias=False), "shapes"),
        (without_a_pooling, "2 × 2 pixels"),
        (last_one_padded, "2 × 2 pixels"),
        (lambda num_classes: stages(10, padding=1), "num_classes"),
        (without_an_activation, "ReLU is missing"),
        (lambda num_classes: list(stages(num_classes, padding=1)), "nn.Sequential"),
    ],
    "right": [
        padded_by_hand,
        lambda num_classes: stages(num_classes, padding="same"),
        lambda num_classes: SmallNetwork(num_classes),
    ],
}


class Norm(BatchNorm):
    """The right answer, in pieces that the wrong ones replace."""

    axes = (0, 2, 3)

    def statistics(self, x):
        if not self.training:
            return self.running_mean, self.running_var
        return x.mean(dim=self.axes), x.var(dim=self.axes, correction=0)

    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean.lerp_(x.mean(dim=self.axes), self.momentum)
            self.running_var.lerp_(x.var(dim=self.axes), self.momentum)

    def forward(self, x):
        mean, var = (value.reshape(1, -1, 1, 1) for value in self.statistics(x))
        self.remember(x)
        weight, bias = self.weight.reshape(1, -1, 1, 1), self.bias.reshape(1, -1, 1, 1)
        return (x - mean) / (var + self.eps).sqrt() * weight + bias


class NormByHand(BatchNorm):
    def forward(self, x):
        if self.training:
            count = x.numel() // x.shape[1]
            mean = x.sum(dim=(0, 2, 3), keepdim=True) / count
            var = (x**2).sum(dim=(0, 2, 3), keepdim=True) / count - mean**2
            old, new = 1 - self.momentum, self.momentum
            self.running_mean = old * self.running_mean + new * mean.detach().flatten()
            unbiased = var.detach().flatten() * count / (count - 1)
            self.running_var = old * self.running_var + new * unbiased
        else:
            mean, var = self.running_mean[:, None, None], self.running_var[:, None, None]
        normal = (x - mean) * torch.rsqrt(var + self.eps)
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class NormByTorch(BatchNorm):
    def forward(self, x):
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )


class NormBiasedAverage(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean.lerp_(x.mean(dim=self.axes), self.momentum)
            self.running_var.lerp_(x.var(dim=self.axes, correction=0), self.momentum)


class NormUnbiased(Norm):
    def statistics(self, x):
        mean, var = super().statistics(x)
        return mean, x.var(dim=self.axes) if self.training else var


class NormOfTheBatch(Norm):
    def statistics(self, x):
        return x.mean(dim=self.axes), x.var(dim=self.axes, correction=0)


class NormOfThePast(Norm):
    def statistics(self, x):
        return self.running_mean, self.running_var


class NormWithoutMemory(Norm):
    def remember(self, x):
        pass


class NormAlwaysLearning(Norm):
    @torch.no_grad()
    def remember(self, x):
        self.running_mean.lerp_(x.mean(dim=self.axes), self.momentum)
        self.running_var.lerp_(x.var(dim=self.axes), self.momentum)


class NormMomentumReversed(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean.lerp_(x.mean(dim=self.axes), 1 - self.momentum)
            self.running_var.lerp_(x.var(dim=self.axes), 1 - self.momentum)


class NormReplacesAverages(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean.copy_(x.mean(dim=self.axes))
            self.running_var.copy_(x.var(dim=self.axes))


class NormFixedMomentum(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean.lerp_(x.mean(dim=self.axes), 0.1)
            self.running_var.lerp_(x.var(dim=self.axes), 0.1)


class NormSumsUp(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean += self.momentum * x.mean(dim=self.axes)
            self.running_var += self.momentum * x.var(dim=self.axes)


class NormDrags(Norm):
    def remember(self, x):
        if self.training:
            self.running_mean = self.running_mean.lerp(x.mean(dim=self.axes), self.momentum)
            self.running_var = self.running_var.lerp(x.var(dim=self.axes), self.momentum)


class NormDetached(Norm):
    def statistics(self, x):
        mean, var = super().statistics(x)
        return mean.detach(), var.detach()


class NormWithoutSlopes(Norm):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class NormEachImage(Norm):
    axes = (2, 3)


class NormEachPixel(Norm):
    axes = 0


class NormOfAll(BatchNorm):
    def forward(self, x):
        return Norm.forward(self, (x - x.mean()) / x.std())

    statistics, remember, axes = Norm.statistics, Norm.remember, Norm.axes


class NormEpsilonOutside(NormByHand):
    def forward(self, x):
        mean, var = Norm.statistics(self, x)
        Norm.remember(self, x)
        normal = (x - mean[:, None, None]) / (var.sqrt() + self.eps)[:, None, None]
        return normal * self.weight[:, None, None] + self.bias[:, None, None]

    axes = Norm.axes


class NormByVariance(NormEpsilonOutside):
    def forward(self, x):
        mean, var = Norm.statistics(self, x)
        Norm.remember(self, x)
        normal = (x - mean[:, None, None]) / (var + self.eps)[:, None, None]
        return normal * self.weight[:, None, None] + self.bias[:, None, None]


class NormUnfinished(Norm):
    def forward(self, x):
        mean, var = (value.reshape(1, -1, 1, 1) for value in self.statistics(x))
        self.remember(x)
        return (x - mean) / (var + self.eps).sqrt()


class NormBiasFirst(NormUnfinished):
    def forward(self, x):
        normal = super().forward(x) + self.bias[:, None, None]
        return normal * self.weight[:, None, None]


class NormWithoutBias(NormUnfinished):
    def forward(self, x):
        return super().forward(x) * self.weight[:, None, None]


class NormInPlace(Norm):
    def forward(self, x):
        x = x.detach()
        x -= x.mean(dim=(0, 2, 3), keepdim=True)
        return super().forward(x)


class NormPlainAttributes(Norm):
    def __init__(self, num_channels, momentum=0.1, eps=1e-5):
        super().__init__(num_channels, momentum, eps)
        del self.running_mean, self.running_var
        self.running_mean, self.running_var = torch.zeros(num_channels), torch.ones(num_channels)


class NormForgetsReturn(Norm):
    def forward(self, x):
        super().forward(x)


class NormForgetsReturnLater(Norm):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        return None


class NormSubtractsInPlace(Norm):
    def forward(self, x):
        x -= x.mean(dim=(0, 2, 3), keepdim=True)
        return super().forward(x)


class NormChangesItsWeight(Norm):
    def forward(self, x):
        self.weight += 0
        return super().forward(x)


class NormWithoutView(Norm):
    def forward(self, x):
        mean, var = self.statistics(x)
        self.remember(x)
        return (x - mean) / (var + self.eps).sqrt() * self.weight + self.bias


class NormEachRow(Norm):
    axes = (1, 2, 3)


class NormTogether(NormAlwaysLearning, NormOfTheBatch):
    """Does not ask whether it is trained or evaluated."""


class NormWithoutAverages(NormWithoutMemory, NormOfTheBatch):
    pass


class NormSwapped(Norm):
    def statistics(self, x):
        if self.training:
            return self.running_mean, self.running_var
        return x.mean(dim=self.axes), x.var(dim=self.axes, correction=0)


class NormSwappedWhole(NormSwapped):
    @torch.no_grad()
    def remember(self, x):
        if not self.training:
            self.running_mean.lerp_(x.mean(dim=self.axes), self.momentum)
            self.running_var.lerp_(x.var(dim=self.axes), self.momentum)


class NormLosesTheOld(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean = self.momentum * (x.mean(dim=self.axes) - self.running_mean)
            self.running_var = self.momentum * (x.var(dim=self.axes) - self.running_var)


class NormOneForAll(Norm):
    axes = (0, 1, 2, 3)

    def statistics(self, x):
        if self.training:
            return x.mean(), x.var(correction=0)
        return super().statistics(x)

    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean += self.momentum * (x.mean() - self.running_mean)
            self.running_var += self.momentum * (x.var() - self.running_var)


class NormEvaluatesWithoutSlopes(Norm):
    def forward(self, x):
        with torch.set_grad_enabled(self.training):
            return super().forward(x)


class NormBadAverage(Norm):
    @torch.no_grad()
    def remember(self, x):
        if self.training:
            self.running_mean += 1
            self.running_var.lerp_(x.var(dim=self.axes), self.momentum)


BATCH_NORM = {
    "wrong": [
        (NormBiasedAverage, "N − 1"),
        (NormUnbiased, "divides by N"),
        (NormOfTheBatch, "neighbours"),
        (NormOfThePast, "batch itself"),
        (NormWithoutMemory, "never change"),
        (NormAlwaysLearning, "in evaluation"),
        (NormMomentumReversed, "1 − momentum"),
        (NormReplacesAverages, "replaced"),
        (NormFixedMomentum, "self.momentum"),
        (NormSumsUp, "only grow"),
        (NormDrags, "no_grad"),
        (NormDetached, "slopes are not"),
        (NormWithoutSlopes, "No slopes"),
        (NormEachImage, "one number for each channel"),
        (NormEachPixel, "one number for each channel"),
        (NormEachRow, "one number for each channel"),
        (NormWithoutView, ".view(1, -1, 1, 1)"),
        (NormOneForAll, "each channel has its own"),
        (NormTogether, "the same in training and in evaluation"),
        (NormWithoutAverages, "not used at all"),
        (NormSwapped, "changed places"),
        (NormSwappedWhole, "changed places"),
        (NormLosesTheOld, "old value"),
        (NormEvaluatesWithoutSlopes, "In evaluation no slopes"),
        (NormSubtractsInPlace, "make a new one"),
        (NormChangesItsWeight, "make a new one"),
        (NormForgetsReturnLater, "It returned None"),
        (NormBadAverage, "`running_mean` after two batches"),
        (NormOfAll, "after two batches"),
        (NormEpsilonOutside, "under the root"),
        (NormByVariance, "standard deviation"),
        (NormUnfinished, "last step"),
        (NormBiasFirst, "First multiply"),
        (NormWithoutBias, "bias is missing"),
        (NormInPlace, ("in place", "slopes")),
        (NormPlainAttributes, "buffers"),
        (NormForgetsReturn, "return"),
    ],
    "right": [Norm, NormByHand, NormByTorch],
}


def move_by_loop(images, largest_shift):
    result = torch.zeros_like(images)
    for number, image in enumerate(images):
        padded = functional.pad(image, [largest_shift] * 4)
        row, column = np.random.randint(0, 2 * largest_shift + 1, 2)
        window = padded[:, row : row + image.shape[1], column : column + image.shape[2]]
        result[number] = window.flip(2) if torch.rand(()) < 0.5 else window
    return result


def move_by_gather(images, largest_shift):
    batch, channels, height, width = images.shape
    images = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, images.flip(-1), images)
    padded = functional.pad(images, [largest_shift] * 4)
    rows = torch.randint(-largest_shift, largest_shift + 1, (batch, 1)) + torch.arange(height)
    columns = torch.randint(-largest_shift, largest_shift + 1, (batch, 1)) + torch.arange(width)
    rows = (rows + largest_shift).view(batch, 1, height, 1)
    columns = (columns + largest_shift).view(batch, 1, 1, width)
    padded = padded.gather(2, rows.expand(-1, channels, -1, padded.shape[3]))
    return padded.gather(3, columns.expand(-1, channels, height, -1))


def windows(images, largest, rows, columns, mode="constant"):
    """Windows with their corners at rows, columns [B] of the padded images."""
    _, _, height, width = images.shape
    edges = ((0, 0), (0, 0), (largest, largest), (largest, largest))
    padded = np.pad(images.numpy(), edges, mode)
    cut = [
        image[:, row : row + height, column : column + width]
        for image, row, column in zip(padded, rows, columns, strict=True)
    ]
    return torch.tensor(np.stack(cut))


def corners(images, largest):
    return torch.randint(2 * largest + 1, (2, len(images))).numpy()


def half_mirrored(images, axis=3):
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(axis), images)


def move_all_alike(images, largest_shift):
    row, column = corners(images[:1], largest_shift)[:, 0]
    count = len(images)
    return windows(images, largest_shift, [row] * count, [column] * count)


def move_without_the_last(images, largest_shift):
    rows, columns = torch.randint(2 * max(largest_shift, 1), (2, len(images))).numpy()
    return half_mirrored(windows(images, max(largest_shift, 1), rows, columns))


def move_below_the_last(images, largest_shift):
    """With no shift at all, torch refuses to draw a number below 0."""
    rows, columns = torch.randint(2 * largest_shift, (2, len(images))).numpy()
    return half_mirrored(windows(images, largest_shift, rows, columns))


def move_rows_like_columns(images, largest_shift):
    rows, _ = corners(images, largest_shift)
    return half_mirrored(windows(images, largest_shift, rows, rows))


def move_round_the_edge(images, largest_shift):
    rolled = windows(images, largest_shift, *corners(images, largest_shift), mode="wrap")
    return half_mirrored(rolled)


def move_with_copied_edge(images, largest_shift):
    moved = windows(images, largest_shift, *corners(images, largest_shift), mode="edge")
    return half_mirrored(moved)


def move_upside_down(images, largest_shift):
    return half_mirrored(windows(images, largest_shift, *corners(images, largest_shift)), axis=2)


def move_colours_apart(images, largest_shift):
    parts = [
        shift_and_mirror(images[:, place : place + 1], largest_shift)
        for place in range(images.shape[1])
    ]
    return torch.cat(parts, dim=1)


def move_only(images, largest_shift):
    return windows(images, largest_shift, *corners(images, largest_shift))


def move_and_always_mirror(images, largest_shift):
    return move_only(images, largest_shift).flip(3)


def move_mostly_little(images, largest_shift):
    rows, columns = corners(images, largest_shift)
    still = np.random.rand(len(images)) < 0.7
    rows[still] = columns[still] = largest_shift
    return half_mirrored(windows(images, largest_shift, rows, columns))


def move_with_a_fixed_seed(images, largest_shift):
    torch.manual_seed(0)
    return shift_and_mirror(images, largest_shift)


def move_with_a_generator(images, largest_shift):
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.randint(
        2 * largest_shift + 1, (2, len(images)), generator=generator
    ).numpy()
    moved = windows(images, largest_shift, rows, columns)
    coins = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(coins, moved.flip(3), moved)


def move_and_set_the_seed(images, largest_shift):
    moved = shift_and_mirror(images, largest_shift)
    torch.manual_seed(int(torch.randint(1_000_000, ())))
    return moved


def move_and_mirror_every_second(images, largest_shift):
    moved = move_only(images, largest_shift)
    moved[::2] = moved[::2].flip(3)
    return moved


def move_and_mirror_the_first_half(images, largest_shift):
    moved = move_only(images, largest_shift)
    half = len(moved) // 2
    return torch.cat([moved[:half].flip(3), moved[half:]])


def move_by_place(images, largest_shift):
    """Every move occurs equally often, but an image's place in the batch decides on it."""
    count = 2 * largest_shift + 1
    rows, columns = np.arange(len(images)) % count, np.arange(len(images)) // count % count
    return half_mirrored(windows(images, largest_shift, rows, columns))


def move_rows_alike(images, largest_shift):
    rows, columns = corners(images, largest_shift)
    return half_mirrored(windows(images, largest_shift, rows[:1].repeat(len(rows)), columns))


def move_and_mirror_alike(images, largest_shift):
    moved = move_only(images, largest_shift)
    return moved.flip(3) if torch.rand(()) < 0.5 else moved


def move_half_mirrored_by_permutation(images, largest_shift):
    """Exactly half are mirrored; chance decides which."""
    count = len(images)
    places = torch.randperm(count)[: (count + int(torch.randint(2, ()))) // 2]
    moved = move_only(images, largest_shift)
    moved[places] = moved[places].flip(3)
    return moved


def move_in_place(images, largest_shift):
    images[:] = shift_and_mirror(images, largest_shift)
    return images


SHIFT_AND_MIRROR = {
    "wrong": [
        (move_all_alike, ("same way", "mirrored")),
        (move_without_the_last, "stops before"),
        (move_below_the_last, "stops before"),
        (move_with_a_fixed_seed, "without a seed"),
        (move_with_a_generator, "without a seed"),
        (move_and_set_the_seed, "leave the seed"),
        (move_and_mirror_every_second, "always mirrored, or never"),
        (move_and_mirror_the_first_half, "always mirrored, or never"),
        (move_by_place, "always moved"),
        (move_rows_alike, "moved down by the same number"),
        (move_and_mirror_alike, "draw for each"),
        (lambda images, s: shift_and_mirror(images, s).permute(0, 1, 3, 2), "changed places"),
        (move_rows_like_columns, "never come together"),
        (move_round_the_edge, "torch.roll"),
        (move_with_copied_edge, "should be 0"),
        (move_upside_down, "head"),
        (move_colours_apart, "moved apart"),
        (move_only, "0% of the images"),
        (move_and_always_mirror, "100% of the images"),
        (move_mostly_little, "equally likely"),
        (lambda images, s: shift_and_mirror(images, s + 1), ("more than", "none of the ways")),
        (lambda images, s: shift_and_mirror(images, s).float(), "dtype"),
        (lambda images, s: shift_and_mirror(images, s).permute(0, 2, 3, 1), "shape"),
        (lambda images, s: images, "same way"),
        (lambda images, s: half_mirrored(images), "moved down by the same number"),
        (lambda images, s: shift_and_mirror(images, s).numpy(), "tensor"),
        (move_in_place, "in place"),
    ],
    "right": [move_by_gather, move_by_loop, move_half_mirrored_by_permutation],
}


def residual_by_saved_weights(block, x):
    twin = copy.deepcopy(block)
    twin.load_state_dict({name: 0 * value for name, value in block.state_dict().items()})
    with torch.no_grad():
        return bool((twin(x) == x).all())


def silent(block):
    twin = copy.deepcopy(block).requires_grad_(False)
    for parameter in twin.parameters():
        parameter.fill_(0.0)
    return twin


def residual_by_another_input(block, x):
    """With all parameters at 0, does the result change when the input does?"""
    return not np.array_equal(silent(block)(x).numpy(), silent(block)(x + 1).numpy())


def residual_by_difference(block, x):
    return np.abs(silent(block)(x).numpy() - x.numpy()).max() < 1e-6


def residual_as_a_tensor(block, x):
    return (silent(block)(x) == x).all()


def residual_by_name(block, x):
    return getattr(block, "shortcut", None) is not None


def residual_ruins_the_block(block, x):
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        return torch.equal(block(x), x)


def residual_without_silence(block, x):
    return torch.equal(block(x), x)


def residual_by_convolutions(block, x):
    twin = copy.deepcopy(block)
    for module in twin.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return torch.equal(twin(x), x)


def residual_by_the_body(block, x):
    return torch.equal(block(x), functional.relu(block.body(x) + x))


def residual_as_a_mask(block, x):
    twin = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
        return twin(x) == x


IS_RESIDUAL = {
    "wrong": [
        (residual_by_name, "never uses it"),
        (residual_ruins_the_block, "deepcopy"),
        (residual_without_silence, "False of every"),
        (residual_by_convolutions, "batch norm too"),
        (residual_by_the_body, ("stopped", "body")),
        (residual_as_a_mask, "torch.equal"),
        (residual_by_another_input, "something"),
        (lambda block, x: bool(silent(block)(x).any()), "something"),
        (lambda block, x: silent(block)(x).sum().item() > 0, "something"),
        (lambda block, x: torch.allclose(silent(block)(x).sum(), x.sum()), "sum or a mean"),
        (lambda block, x: torch.allclose(silent(block)(x).mean(3), x.mean(3)), "sum or a mean"),
        (lambda block, x: torch.equal(silent(block)(x)[:, 0], x[:, 0]), "first channel"),
        (lambda block, x: not resnet.is_residual(block, x), "changed places"),
        (lambda block, x: True, "True of every"),
        (lambda block, x: False, "False of every"),
        (lambda block, x: str(resnet.is_residual(block, x)), "bool"),
    ],
    "right": [residual_by_saved_weights, residual_by_difference, residual_as_a_tensor],
}


def block_by(rule):
    """A block whose two ways are put together by rule(change, shortcut, x)."""

    class Block(resnet.Block):
        def forward(self, x):
            if self.shortcut is None:
                return functional.relu(self.body(x))
            return rule(self.body(x), self.shortcut, x)

    return Block


class BlockNeverPlain(resnet.Block):
    def forward(self, x):
        return functional.relu(self.body(x) + self.shortcut(x))


class BlockWithoutRelu(resnet.Block):
    def forward(self, x):
        change = self.body(x)
        return change if self.shortcut is None else change + self.shortcut(x)


class BlockForgetsTheSum(resnet.Block):
    def forward(self, x):
        change = self.body(x)
        if self.shortcut is not None:
            change + self.shortcut(x)
        return functional.relu(change)


class BlockNeverNone(resnet.Block):
    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        super().__init__(in_channels, out_channels, stride, shortcut or nn.Identity())


class BlockInPieces(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        super().__init__()
        self.shortcut = shortcut
        self.first = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(out_channels)
        self.second = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(out_channels)

    def forward(self, x):
        change = self.second_norm(self.second(self.first_norm(self.first(x)).relu()))
        if self.shortcut is not None:
            change += self.shortcut(x)
        return change.clamp(min=0)


class BlockOtherWidths(BlockInPieces):
    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        super().__init__(in_channels, out_channels, stride, shortcut)
        self.first = nn.Conv2d(in_channels, out_channels, 5, stride, 2, bias=False)


BLOCK = {
    "wrong": [
        (block_by(lambda change, shortcut, x: functional.relu(change)), "never called"),
        (block_by(lambda change, shortcut, x: functional.relu(change) + shortcut(x)), "Add first"),
        (block_by(lambda change, shortcut, x: change + shortcut(x)), "last ReLU"),
        (block_by(lambda change, shortcut, x: functional.relu(change + x)), "different shapes"),
        (block_by(lambda change, shortcut, x: functional.relu(shortcut(x))), "Only the shortcut"),
        (block_by(lambda change, shortcut, x: functional.relu(change * shortcut(x))), "multiplied"),
        (block_by(lambda change, shortcut, x: functional.relu(change - shortcut(x))), "subtracted"),
        (block_by(lambda change, shortcut, x: functional.relu(change + shortcut(x)) / 2), "mean"),
        (
            block_by(lambda change, shortcut, x: functional.relu(change + shortcut(change))),
            ("start from x", "different shapes"),
        ),
        (block_by(lambda change, shortcut, x: torch.cat([change, shortcut(x)], dim=1)), "shape"),
        (block_by(lambda change, shortcut, x: change.relu() + shortcut(x).relu()), "each way"),
        (
            block_by(lambda change, shortcut, x: (change.relu() + shortcut(x)).relu()),
            "before adding",
        ),
        (BlockWithoutRelu, "plain block as well"),
        (BlockForgetsTheSum, "its result is not used"),
        (BlockNeverNone, "without any way around"),
        (BlockNeverPlain, "asks for a plain block"),
        (BlockOtherWidths, "shapes"),
        (lambda in_channels, out_channels, stride=1, shortcut=None: None, "class"),
    ],
    "right": [
        BlockInPieces,
        block_by(lambda change, shortcut, x: torch.relu(shortcut(x) + change)),
    ],
}

ANSWERS = {
    "resnet.convolve": CONVOLVE,
    "resnet.output_size": OUTPUT_SIZE,
    "resnet.small_network": SMALL_NETWORK,
    "resnet.BatchNorm": BATCH_NORM,
    "resnet.shift_and_mirror": SHIFT_AND_MIRROR,
    "resnet.is_residual": IS_RESIDUAL,
    "resnet.Block": BLOCK,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 40
