"""What trains the networks of lesson 03 in Keras."""

import pytest

from course import hardware

pytest.importorskip("tensorflow")

with hardware.quiet_tensorflow():
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
