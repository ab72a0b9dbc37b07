"""What trains the networks of lesson 03 in Keras."""

import numpy as np
import pytest

from course import hardware

pytest.importorskip("tensorflow")

with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

    from course.models import resnet_tensorflow


def memory_for(most, tried):
    """Training that works with up to so many images at a time, and notes what was tried."""

    def train(batch_size):
        tried.append(batch_size)
        if batch_size > most:
            raise tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory")
        return f"trained with {batch_size}"

    return train


def test_a_batch_that_does_not_fit_is_halved_and_the_student_told(capsys):
    tried = []
    trained = resnet_tensorflow.with_batches_that_fit(memory_for(20, tried), 64)
    assert trained == "trained with 16" and tried == [64, 32, 16]
    printed = capsys.readouterr().out
    assert "64 at a time do not fit into this GPU's memory: trying 32." in printed
    assert "32 at a time do not fit into this GPU's memory: trying 16." in printed


def test_what_fits_is_trained_once_and_nothing_said(capsys):
    tried = []
    resnet_tensorflow.with_batches_that_fit(memory_for(64, tried), 64)
    assert tried == [64] and capsys.readouterr().out == ""


def test_where_not_even_one_image_fits_that_is_said():
    with pytest.raises(MemoryError, match="Not even one image fits"):
        resnet_tensorflow.with_batches_that_fit(memory_for(0, []), 3)


def test_other_errors_are_not_taken_for_a_full_memory():
    def broken(batch_size):
        raise ValueError("shapes do not match")

    with pytest.raises(ValueError, match="shapes do not match"):
        resnet_tensorflow.with_batches_that_fit(broken, 64)


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(3, 2, (8, 6, 6, 4)).astype("float32")


def slopes_through(layer, images):
    """Those of a number that depends on all that the layer gives in training."""
    with tf.GradientTape() as tape:
        tape.watch(images := tf.constant(images))
        number = tf.reduce_sum(layer(images, training=True) ** 3)
    return tape.gradient(number, [images, layer.gamma, layer.beta])


def test_a_fused_norm_computes_what_kerass_does(images):
    norms = [keras.layers.BatchNormalization, resnet_tensorflow.FusedBatchNormalization]
    kerass, fused = (norm(momentum=0.9, epsilon=1e-5) for norm in norms)
    outputs = [norm(images, training=True).numpy() for norm in (kerass, fused)]
    np.testing.assert_allclose(*outputs, atol=1e-5)
    np.testing.assert_allclose(kerass.moving_mean, fused.moving_mean, atol=1e-6)
    variances = images.var(axis=(0, 1, 2), ddof=1)  # unbiased, as in PyTorch
    np.testing.assert_allclose(fused.moving_variance, 0.9 + 0.1 * variances, rtol=1e-5)
    slopes = [slopes_through(norm, images) for norm in (fused, kerass)]
    for slope, expected in zip(*slopes, strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-3)


def test_outside_training_a_fused_norm_uses_and_keeps_its_running_averages(images):
    fused = resnet_tensorflow.FusedBatchNormalization(epsilon=0)
    np.testing.assert_array_equal(fused(images), images)  # it begins with mean 0 and variance 1
    fused.trainable = False
    np.testing.assert_array_equal(fused(images, training=True), images)
    assert fused.moving_mean.numpy().max() == 0


def test_a_model_with_fused_norms_has_the_same_plan():
    prepare = keras.layers.Normalization(mean=np.float32([1, 2, 3]), variance=np.ones(3, "float32"))
    model = resnet_tensorflow.convnet(resnet_tensorflow.residual_block, 1, 8, prepare=prepare)
    fused = resnet_tensorflow.with_fused_norms(model)
    kinds = [[type(layer) for layer in one.layers] for one in (model, fused)]
    swap = {keras.layers.BatchNormalization: resnet_tensorflow.FusedBatchNormalization}
    assert [swap.get(kind, kind) for kind in kinds[0]] == kinds[1] != kinds[0]
    fused.set_weights(model.get_weights())
    x = np.random.default_rng(0).uniform(0, 9, (4, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(model(x), fused(x))
    outputs = [one(x, training=True).numpy() for one in (model, fused)]
    np.testing.assert_allclose(*outputs, atol=1e-4)
