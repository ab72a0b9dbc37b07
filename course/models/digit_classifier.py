"""A small frozen classifier of digits, whose last hidden layer describes images to a score.

`tools/train_digit_classifier.py` made its weights; `course.models.digit_classifier_tensorflow`
loads the same file. It learned from none of the last 2,000 training images of MNIST's sample and
from none of its test images. Axes: B images, F features, K classes.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

WEIGHTS = Path(__file__).parents[1] / "samples" / "digit_classifier.safetensors"
NUM_FEATURES = 64


class DigitClassifier(nn.Module):
    """Three convolutions, each with ReLU and pooling, then two dense layers."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in ((1, 16), (16, 32), (32, 32))
        )
        self.hidden = nn.Linear(3 * 3 * 32, NUM_FEATURES)
        self.head = nn.Linear(NUM_FEATURES, 10)

    def features(self, images):
        """Images [B, 28, 28], 0 to 255 → what the last hidden layer makes of them: [B, F], ≥ 0."""
        x = images[:, None].float() / 255
        for convolution in self.convolutions:
            x = functional.max_pool2d(convolution(x).relu(), 2)  # 28, 14, 7, 3 pixels
        return self.hidden(x.flatten(1)).relu()

    def forward(self, images):
        """Logits [B, K] of images [B, 28, 28], 0 to 255."""
        return self.head(self.features(images))


def load(device="cpu"):
    """The trained classifier on this device, ready to answer and not to be trained further."""
    model = DigitClassifier()
    model.load_state_dict(load_file(WEIGHTS))
    return model.to(device).eval().requires_grad_(False)


def features_and_logits(model, images, batch_size=500):
    """What the classifier makes of images, as NumPy arrays: features [n, F] and logits [n, K].

    images: array [n, 28, 28], uint8 or floats, from 0 (background) to 255 (ink).
    """
    device = model.head.weight.device
    features, logits = [], []
    for start in range(0, len(images), batch_size):
        batch = torch.as_tensor(np.asarray(images[start : start + batch_size])).to(device)
        features.append(model.features(batch))
        logits.append(model.head(features[-1]))
    return torch.cat(features).cpu().numpy(), torch.cat(logits).cpu().numpy()
