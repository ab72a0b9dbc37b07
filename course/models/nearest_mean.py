"""The classifier of lesson 00: a new image gets the label of the nearest average image.

Axes: B images in a batch, H height, W width, D = H · W pixels of one image, K classes.
"""

import numpy as np


def to_unit_range(pixels: np.ndarray) -> np.ndarray:
    """Grey levels for computing: uint8 0 to 255, any shape → float32 0 to 1, same shape."""
    return pixels.astype(np.float32) / 255


def flatten(images: np.ndarray) -> np.ndarray:
    """Each image as one row, its own rows one after the other: [B, H, W] → [B, H · W]."""
    return images.reshape(len(images), -1)


def class_means(x: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    """The average image of each class: x [B, D], labels y [B] → [num_classes, D]."""
    return np.stack([x[y == k].mean(axis=0) for k in range(num_classes)])


def distances(x: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Squared distance of every image from every mean: [B, D], [K, D] → [B, K]."""
    difference = x[:, None] - means  # [B, 1, D] - [K, D] → [B, K, D]
    return (difference**2).sum(axis=2)


def nearest_mean(x: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The label of the mean that is nearest to each image: [B, D], [K, D] → [B] of int."""
    return distances(x, means).argmin(axis=1)
