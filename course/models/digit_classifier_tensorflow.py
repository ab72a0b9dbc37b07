"""The frozen classifier of `course.models.digit_classifier` in Keras, from the same file.

With the same images both give the same features and logits, which a test compares.
Axes: B images, F features, K classes.
"""

from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import load_file

WEIGHTS = Path(__file__).parents[1] / "samples" / "digit_classifier.safetensors"
NUM_FEATURES = 64
LAST_SIZE, LAST_CHANNELS = 3, 32  # of what the convolutions leave


def load():
    """The trained classifier: images [B, 28, 28], 0 to 255 → features [B, F] and logits [B, K]."""
    images = keras.Input((28, 28))
    x = keras.layers.Reshape((28, 28, 1))(keras.layers.Rescaling(1 / 255)(images))
    for channels in (16, 32, LAST_CHANNELS):
        x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(x)
        x = keras.layers.MaxPooling2D()(x)  # 28, 14, 7, 3 pixels
    x = keras.layers.Flatten()(x)
    features = keras.layers.Dense(NUM_FEATURES, activation="relu")(x)
    model = keras.Model(images, [features, keras.layers.Dense(10)(features)])
    model.set_weights(_as_keras(load_file(WEIGHTS)))
    model.trainable = False
    return model


def _as_keras(arrays):
    """The weights in Keras's order and with its axes, from those of torch."""
    weights = []
    for number in range(3):
        kernel = arrays[f"convolutions.{number}.weight"]  # [filters, channels, rows, columns]
        weights += [kernel.transpose(2, 3, 1, 0), arrays[f"convolutions.{number}.bias"]]
    hidden = arrays["hidden.weight"]  # its inputs: torch has the channels first, Keras last
    hidden = hidden.reshape(NUM_FEATURES, LAST_CHANNELS, LAST_SIZE, LAST_SIZE)
    weights += [hidden.transpose(2, 3, 1, 0).reshape(-1, NUM_FEATURES), arrays["hidden.bias"]]
    return [*weights, arrays["head.weight"].T, arrays["head.bias"]]


def features_and_logits(model, images, batch_size=500):
    """What the classifier makes of images, as NumPy arrays: features [n, F] and logits [n, K].

    images: array [n, 28, 28], uint8 or floats, from 0 (background) to 255 (ink).
    """
    images = np.asarray(images, dtype="float32")
    features, logits = model.predict(images, batch_size=batch_size, verbose=0)
    return features, logits
