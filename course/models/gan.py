"""The game of lesson 04: losses and steps of its two players, and convolutional players for digits.

After Goodfellow and others (2014), "Generative adversarial nets", and Radford, Metz, Chintala
(2016), "Unsupervised representation learning with deep convolutional generative adversarial
networks". Axes: B images in a batch, Z numbers of noise for each, K classes. Images are floats
from -1 (background) to 1 (ink), [B, 1, 28, 28].
"""

import torch
from torch import nn
from torch.nn import functional


def best_discriminator(p, q):
    """The probability "real" that nobody can better where real points have density p, fake ones q.

    p, q: the same shape, not negative and not both 0 → that shape, 0 to 1.
    """
    return p / (p + q)


def discriminator_loss(real_logits, fake_logits):
    """What the discriminator pays: cross-entropy of real with label 1 plus that of fake with 0.

    Logits [B], any numbers → one number: the mean over real plus the mean over fake.
    """
    real = functional.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    fake = functional.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    return real + fake


def generator_loss(fake_logits):
    """What the generator pays: cross-entropy of its fakes with label 1, which it wants them to get.

    Logits [B] → one number, the mean. This is the non-saturating loss.
    """
    return functional.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


def discriminator_step(discriminator, optimizers, real, fake):
    """One step of the discriminator; the generator that made `fake` is left as it is.

    Returns the loss. discriminator: a function, [B, …] → logits [B]. optimizers: an object with
    the attributes `discriminator` and `generator`.
    """
    loss = discriminator_loss(discriminator(real), discriminator(fake.detach()))
    optimizers.discriminator.zero_grad()
    loss.backward()
    optimizers.discriminator.step()
    return loss.item()


def generator_step(discriminator, optimizers, fake):
    """One step of the generator that made `fake`; the discriminator is left as it is.

    Returns the loss. discriminator, optimizers: as in `discriminator_step`.
    """
    loss = generator_loss(discriminator(fake))
    optimizers.generator.zero_grad()
    loss.backward()
    optimizers.generator.step()
    return loss.item()


def judge_both(discriminator, real, fake):
    """Logits of real and of fake images, two tensors [B], where neither batch changes the other's.

    Batch norm takes its statistics from whatever comes together, so they come one after the other.
    """
    return discriminator(real), discriminator(fake)


def start_small(model):
    """Draw the weights of all convolutions and dense layers with a deviation of 0.02; return model.

    Radford and others start like this. With torch's own, larger start our GANs ended clearly worse.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
    return model


def generator(num_inputs, width):
    """Noise [B, num_inputs] → images [B, 1, 28, 28]: from 7 × 7 places to 14 × 14 to 28 × 28."""
    return start_small(
        nn.Sequential(
            nn.Linear(num_inputs, 2 * width * 7 * 7, bias=False),
            nn.BatchNorm1d(2 * width * 7 * 7),
            nn.ReLU(),
            nn.Unflatten(1, (2 * width, 7, 7)),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1),
            nn.Tanh(),
        )
    )


def describer(width):
    """The discriminator but its last layer: [B, 1, 28, 28] → features [B, 2 · width · 7 · 7]."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
    )


class Discriminator(nn.Module):
    """Images [B, 1, 28, 28] → logits [B]; with classes, how real an image is *as* the given label.

    num_classes: 0 for a discriminator that is not told labels. The label's part of the logit is the
    product of the features with a vector for each class (Miyato and Koyama, 2018, "cGANs with
    projection discriminator").
    """

    def __init__(self, width, num_classes=0):
        super().__init__()
        self.features = describer(width)
        self.head = nn.Linear(2 * width * 7 * 7, 1)
        self.of_label = nn.Embedding(num_classes, 2 * width * 7 * 7) if num_classes else None
        if num_classes:
            nn.init.zeros_(self.of_label.weight)
        start_small(self)

    def forward(self, images, labels=None):
        features = self.features(images)
        logits = self.head(features).squeeze(1)
        if self.of_label is None:
            return logits
        return logits + (self.of_label(labels) * features).sum(dim=1)


def follow(average, model, share):
    """Move every parameter of `average` by this share towards `model`; copy its running statistics.

    Both are modules of the same kind; share: 0 to 1.
    """
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, share)
        for slow, fast in zip(average.buffers(), model.buffers(), strict=True):
            slow.copy_(fast)
