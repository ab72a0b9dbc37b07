"""The game of lesson 04 in Keras: batches, a step of both players inside `fit`, an average."""

import numpy as np
import pytest

from course import hardware

pytest.importorskip("tensorflow")
with hardware.quiet_tensorflow():
    import keras

    from course.models import gan_tensorflow as gan


@pytest.fixture(scope="module")
def played():
    """A game after one epoch of two batches, and the weights of both players before it."""
    keras.utils.set_random_seed(0)
    game = gan.Game(gan.build_generator(4, 2), gan.build_discriminator(2), 4)
    before = [player.get_weights() for player in (game.generator, game.discriminator)]
    game.compile(
        keras.optimizers.SGD(0.1),
        keras.optimizers.SGD(0.1),
        gan.generator_loss,
        gan.discriminator_loss,
    )
    images = np.random.default_rng(0).integers(0, 256, (17, 28, 28)).astype("uint8")
    history = game.fit(gan.image_batches(images, 8), shuffle=False, verbose=0).history
    return game, before, history


def test_both_players_move_and_both_losses_are_told(played):
    game, before, history = played
    for player, weights in zip((game.generator, game.discriminator), before, strict=True):
        moved = [
            not np.array_equal(*pair) for pair in zip(player.get_weights(), weights, strict=True)
        ]
        assert all(moved)
    assert set(history) == {"generator_loss", "discriminator_loss"}
    assert np.isfinite(list(history.values())).all()


def test_batches_are_of_one_size_and_on_the_scale_of_the_drawings():
    images = np.zeros((17, 28, 28), "uint8")
    images[:, 0] = 255
    batches = list(gan.image_batches(images, 8).as_numpy_iterator())
    assert [batch.shape for batch in batches] == [(8, 28, 28, 1)] * 2
    assert (batches[0].min(), batches[0].max()) == (-1, 1)


def test_an_average_moves_by_its_share_and_leaves_the_model_alone(played):
    game, before, _ = played
    average = keras.models.clone_model(game.generator)
    average.set_weights(before[0])
    target = game.generator.get_weights()
    gan.follow(average, game.generator, 0.25)
    for now, start, end in zip(average.get_weights(), before[0], target, strict=True):
        np.testing.assert_allclose(now, start + 0.25 * (end - start), rtol=1e-5, atol=1e-6)
    for now, then in zip(game.generator.get_weights(), target, strict=True):
        np.testing.assert_array_equal(now, then)
