# %% [markdown]
# # 04 · Two networks in a game, in TensorFlow
#
# {{badges}}
#
# A colleague brings a program. It should teach one network to draw digits, and another to tell the drawn
# ones, the fakes, from real ones. First it stops with an error. Once the errors are gone it runs, and draws
# nothing but noise. You mend it, fault by fault, and see after each what changes in the pictures. In the end
# it draws digits, and a score says how good they are.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. write a training step for two networks, with a tape and an optimizer for each;
# 2. tell a fault that stops a program from one that only spoils its result, and find the second kind;
# 3. recognise by its loss a discriminator with one sigmoid too many, and not rely on Keras to find it;
# 4. keep an average of the weights inside the compiled step;
# 5. judge drawings by a score, and say what the score does not see.
#
# **Before this**: lesson 01 in TensorFlow, for the tape and `train_step`; lesson 04, for the game and for
# the score, which you built there. Both are used here, not explained again.

# %% [markdown]
# ## 1 · The images and the score
#
# As always, every exercise may be skipped: the course's own answer then stands in.

# %%
import warnings

import numpy as np

from course import data, hardware, plots
from course.exercises import exercise
from course.models import gan_score
from course.results import report

with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

    from course.models import digit_classifier_tensorflow as digit_classifier
    from course.models import gan_tensorflow as course_gan
    from course.models.gan_tensorflow import small_bias, small_start

seed = hardware.seed_everything()
print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
print(hardware.describe())

# %% [markdown]
# The generator learns from the training images of MNIST, but for the last 2,000: with these we compare
# while we work. The test images wait for section 8.

# %%
digits = data.mnist()
x_train, x_held_back = digits.x_train[:-2000], digits.x_train[-2000:]
plots.images(x_train[:10], "Ten real digits")
print(f"{len(x_train):,} images to learn from, {len(x_held_back):,} to compare with")

# %% [markdown]
# The score is that of lesson 04: the Fréchet distance between drawn and real images, in the features of a
# frozen classifier, divided by its **floor**, the distance that is left between real and real. We say
# "6 floors" for a distance of six times the floor. 1 would be perfect. A class is **covered** when at
# least 2% of the drawings are surely read as it, with a probability of 0.9 or more.

# %%
classifier = digit_classifier.load()
count = hardware.by_profile(smoke=500, cpu=1000, gpu=1000)  # images to a score
real_features, real_logits = digit_classifier.features_and_logits(classifier, x_held_back)


def floor_of(features):
    """The mean distance of two sets of `count` real images, from the features of all [N, F]."""
    return gan_score.real_floor(features, count, np.random.default_rng(0))


def judge(drawn, real_features, floor):
    """Distance of bytes [count, 28, 28] from `count` real images, in floors; classes covered."""
    features, logits = digit_classifier.features_and_logits(classifier, drawn)
    distance = gan_score.frechet_distance(features, real_features[-count:])
    return distance / floor, gan_score.classes_covered(logits)


floor = floor_of(real_features)
print(f"floor, {count} real images against {count} others: {floor:.2f}")

# %% [markdown]
# ## 2 · What the two pay
#
# As in lesson 04, the **discriminator** answers with a **logit**: above 0 for "real", below 0 for "fake". It
# pays the cross-entropy, with label 1 for real images and label 0 for fakes. In Keras this is
# `cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)`, and then
# `cross_entropy(labels, logits)`: labels first.
#
# Axes in this lesson: **B** images in a batch, **Z** numbers of noise for each.


# %%
@exercise("gan_tensorflow.discriminator_loss")
def discriminator_loss(real_logits, fake_logits):
    """Cross-entropy of real images with label 1 plus that of fakes with label 0, a mean of each.

    Logits [B, 1] → one number.
    """
    raise NotImplementedError


# %%
undecided = tf.zeros((4, 1))
sure = tf.fill((4, 1), 5.0)
print(f"undecided {float(discriminator_loss(undecided, undecided)):.3f}")
print(f"sure and right {float(discriminator_loss(sure, -sure)):.3f}")
print(f"sure and wrong {float(discriminator_loss(-sure, sure)):.3f}")
assert np.isclose(float(discriminator_loss(undecided, undecided)), np.log(4))

# %% [markdown]
# Keep the first number in mind: **1.386**, or log 4, is what a discriminator pays that answers 0 to
# everything, because it cannot tell real from fake.
#
# And the **generator**? The colleague wrote this. If you do not see what is wrong with it, the pictures
# of section 4 will tell.


# %%
def colleagues_generator_loss(fake_logits):
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    return cross_entropy(tf.zeros_like(fake_logits), fake_logits)


# %% [markdown]
# ## 3 · A program that stops
#
# Now the rest of the program. (It has the faults of one that was printed in an article.) We let it run into
# its errors, one after the other, and print each.


# %%
def first_error(function, *arguments):
    """Call the function; print the error that stops it."""
    try:
        function(*arguments)
        print("no error")
    except Exception as error:
        print(f"{type(error).__name__}: {str(error).splitlines()[0][:95]}")


def colleagues_generator():
    return keras.Sequential([
        keras.Input((64,)),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(28 * 28, activation="tanh"),
        Reshape((28, 28, 1)),
    ])  # fmt: skip


first_error(colleagues_generator)

# %% [markdown]
# A missing import. Such an error is the kindest of all faults: it names the line and the word.
#
# From here on we take the generator of lesson 04, which draws with convolutions. In Keras the channels
# come last. To find faults, a narrow one is enough.

# %%
num_inputs = 64  # Z
trial_width = hardware.by_profile(smoke=8, cpu=16, gpu=16)  # channels, while we look for faults
generator = course_gan.build_generator(num_inputs, trial_width)
for layer in generator.layers:
    print(f"{layer.name:22} {layer.output.shape}")

# %% [markdown]
# The colleague's discriminator goes the other way, from 28 × 28 to 14 × 14 to 7 × 7, and gives one answer.
# `small_start()` lets weights start with a standard deviation of 0.02, as in lesson 04. `small_bias()` draws
# the first biases between -0.25 and 0.25, which PyTorch does by itself; in Keras they start at 0. With
# Keras's own starts our scores were clearly worse.


# %%
def colleagues_discriminator(width):
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(
            width, 4, 2, padding="same",
            kernel_initializer=small_start(), bias_initializer=small_bias(),
        ),
        keras.layers.LeakyReLU(0.2),
        keras.layers.Conv2D(
            2 * width, 4, 2, padding="same", use_bias=False, kernel_initializer=small_start()
        ),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        keras.layers.LeakyReLU(0.2),
        keras.layers.Flatten(),
        keras.layers.Dense(1, activation="sigmoid", kernel_initializer=small_start()),
        keras.layers.Reshape((1,)),
    ])  # fmt: skip


# %% [markdown]
# And the step. Two tapes record the same computation, one for each player.


# %%
def colleagues_step(generator, discriminator, real):
    noise = tf.random.normal((len(real), num_inputs))
    with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
        fake = generator(noise, training=True)
        real_logits, fake_logits = discriminator(real), discriminator(fake)
        losses = (
            colleagues_generator_loss(fake_logits),
            discriminator_loss(real_logits, fake_logits),
        )
    for player, tape, loss in zip(
        (generator, discriminator), (generator_tape, discriminator_tape), losses
    ):
        slopes = tape.gradient(loss, player.trainable_variables)
        player.optimizer.apply_gradients(zip(slopes, player.trainable_variables))


# %% [markdown]
# **Predict, then run.** The colleague writes `adam = keras.optimizers.Adam(2e-4)` above the step, and never
# mentions it again. What will happen? And what, when both players are given this one optimizer?

# %%
real = tf.constant(x_train[:8, ..., None] / 127.5 - 1, tf.float32)
discriminator = colleagues_discriminator(trial_width)
first_error(colleagues_step, generator, discriminator, real)

adam = keras.optimizers.Adam(2e-4)
generator.optimizer = discriminator.optimizer = adam
first_error(colleagues_step, generator, discriminator, real)

# %% [markdown]
# <details><summary>Why?</summary>
#
# A model has an optimizer only when it is given one. And Adam keeps notes on every weight that it moves: an
# average of its slopes, another of their squares. It makes them at its first step, for the weights of
# that step: the generator's. Then come weights of which it has none. Each player needs an optimizer of
# its own.
# </details>

# %% [markdown]
# One more error. The program freezes the discriminator, so that the generator's step leaves it in peace:

# %%
generator.optimizer = keras.optimizers.Adam(2e-4)
discriminator.optimizer = keras.optimizers.Adam(2e-4)
discriminator.trainable = False
print("weights that the discriminator may change:", len(discriminator.trainable_variables))
first_error(colleagues_step, generator, discriminator, real)

# %% [markdown]
# It was never set free again, so it has no weight that could be moved. And freezing is not needed: a tape
# gives slopes for the weights that you *name*, and for no others.
#
# **Predict, then run.** In lesson 04 the fakes had to be detached for the discriminator's step. Here nothing
# is. Does the discriminator's loss reach the weights of the generator?

# %%
discriminator.trainable = True
noise = tf.random.normal((8, num_inputs))
with tf.GradientTape() as tape:
    fake_logits = discriminator(generator(noise))
    loss = discriminator_loss(discriminator(real), fake_logits)
of_generator = tape.gradient(loss, generator.trainable_variables)
reached = sum(slope is not None for slope in of_generator)
print(f"the discriminator's loss reaches {reached} of the generator's {len(of_generator)} weights")

# %% [markdown]
# <details><summary>Why?</summary>
#
# It reaches all of them. In PyTorch `backward()` puts slopes into *every* weight that it reaches, so
# something has to cut the way. Here slopes are an answer to a question. What keeps the discriminator's
# step from moving the generator is the list that you give to `tape.gradient`, nothing else.
# </details>

# %%
# The course checks here what the text above says.
assert reached == len(of_generator)

# %% [markdown]
# ### The step
#
# Write it as a model, so that `fit` can run it. It takes its turns as in lesson 04:
#
# - fakes are made, once for both players;
# - the discriminator moves;
# - the discriminator, as it is *now*, judges the same fakes, and the generator moves.
#
# Call both players with `training=True`, so that batch norm takes the mean of the batch.
#
# The generator's tape has to see the way from the noise to the generator's loss. So it stays open from
# the fakes on, and a second tape, for the discriminator's move, is opened *inside* it.


# %%
@exercise("gan_tensorflow.Game")
class Game(keras.Model):
    """A generator and a discriminator that learn against each other; `fit` brings real images.

    num_inputs: Z, how many numbers of noise the generator takes for one image.
    """

    def __init__(self, generator, discriminator, num_inputs):
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.num_inputs = num_inputs

    def compile(
        self, generator_optimizer, discriminator_optimizer, generator_loss, discriminator_loss
    ):
        super().compile()
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.generator_loss, self.discriminator_loss = generator_loss, discriminator_loss
        # Adam's notes on the weights, made now: made in the first step, it would be compiled twice.
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, real):
        """One step of the discriminator, then one of the generator, on real images [B, …].

        `self.discriminator_loss(real_logits, fake_logits)`, `self.generator_loss(fake_logits)`.
        Returns {"generator_loss": …, "discriminator_loss": …}.
        """
        raise NotImplementedError


# %% [markdown]
# A helper makes a game of two new players, with the same first weights each time, so that all runs below
# can be compared. (`epsilon` keeps Adam from dividing by 0. With PyTorch's 1e-8 our scores were better than
# with Keras's 1e-7.)


# %%
def new_players(build_discriminator, width):
    """A generator, and a discriminator that is three quarters as wide."""
    keras.utils.set_random_seed(seed)
    generator = course_gan.build_generator(num_inputs, width)
    return generator, build_discriminator(3 * width // 4)


def optimizers():
    """One for the generator, one for the discriminator, with the rates of lesson 04."""
    return [
        keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.99, epsilon=1e-8) for rate in (4e-3, 1e-3)
    ]


def new_game(build_discriminator, generator_loss):
    game = Game(*new_players(build_discriminator, trial_width), num_inputs)
    game.compile(*optimizers(), generator_loss, discriminator_loss)
    return game


# %% [markdown]
# What a generator draws is made into bytes, scored, shown and kept:

# %%
fixed_noise = np.random.default_rng(seed).normal(size=(count, num_inputs)).astype("float32")


def draw(generator, noise=fixed_noise):
    """Images as bytes 0 to 255 [N, 28, 28], from noise [N, Z]."""
    images = generator(noise).numpy()[..., 0]
    return np.rint((images + 1) * 127.5).astype("uint8")


stages = {}


def show(name, game):
    """Ten drawings of this game's generator, and the score of all of them."""
    drawn = draw(game.generator)
    floors, covered = judge(drawn, real_features, floor)
    stages[name] = drawn[:10], floors, covered
    plots.images(drawn[:10], f"{name}: {floors:.0f} floors, {covered} classes covered")


# %% [markdown]
# ## 4 · A program that runs
#
# The errors are gone. This is how the colleague brings the images to the step. (We give it 1,000 of them:
# you will see why not more.)


# %%
def colleagues_batches(images, batch_size):
    scaled = images[..., None].astype("float32") / 255
    return tf.data.Dataset.from_tensors(scaled)


game = new_game(colleagues_discriminator, colleagues_generator_loss)
for batch in colleagues_batches(x_train[:1000], 64):
    print("a step with images of shape", batch.shape)
    losses = game.train_step(batch)
show("One step", game)

# %% [markdown]
# No error, and noise. The whole data set is one single batch (with all images it might not even fit into
# memory). So there was **one step**: every weight moved once, by a learning rate. And there is a second
# fault in these lines: look at the scale of the pixels, and at what the generator can draw, as tanh lies
# between -1 and 1.
#
# **Bug hunt.** Mend both. All batches shall have the same size, so that no small last one upsets batch
# norm: `drop_remainder=True` leaves it out.


# %%
@exercise("gan_tensorflow.image_batches")
def image_batches(images, batch_size):
    """A dataset of batches of bytes 0 to 255 [N, 28, 28] as floats -1 to 1 [B, 28, 28, 1].

    Every epoch has another order. All batches have `batch_size` images.
    """
    scaled = images[..., None].astype("float32") / 255
    return tf.data.Dataset.from_tensors(scaled)


# %%
batch_size = hardware.by_profile(smoke=32, cpu=64, gpu=256)
batches = image_batches(x_train, batch_size)
first = next(iter(batches)).numpy()
print(f"{int(batches.cardinality())} batches of shape {first.shape}")
print(f"pixels from {first.min()} to {first.max()}")
assert first.shape == (batch_size, 28, 28, 1) and first.min() == -1

# %% [markdown]
# ### Now with many steps
#
# We count in **rounds**, steps of the game, and not in passes through the data. With `repeat` the data
# never ends; `steps_per_epoch` tells `fit` after how many rounds it shall report.


# %%
def play(game, num_rounds, num_reports=3, callbacks=()):
    """Let the two play; return both losses as they were at each report."""
    history = game.fit(
        batches.repeat(),
        steps_per_epoch=num_rounds // num_reports,
        epochs=num_reports,
        callbacks=list(callbacks),
        shuffle=False,  # the pipeline does that
        verbose=0,
    ).history
    print({name: round(values[-1], 3) for name, values in history.items()})
    return history


# %% [markdown]
# **Predict, then run.** They play, with the colleague's loss for the generator and the colleague's
# discriminator. Which of the two will pay little in the end, and what will be drawn?

# %%
trial_rounds = hardware.by_profile(smoke=90, cpu=300, gpu=300)
game = new_game(colleagues_discriminator, colleagues_generator_loss)
wrong_label = play(game, trial_rounds)
show("Trained towards label 0", game)

# %% [markdown]
# <details><summary>Why?</summary>
#
# Both pay about as little as they can, and nothing is drawn. The generator's loss has label 0 too, so it
# pays least where its fakes *are found out*. It helps, and makes images that are as easy as possible to
# tell from digits. There is no game, as both want the same. Two losses that fall and then rest look like
# success. (Why they rest at 0.693 and 1.006, and not at 0, section 5 tells.)
# </details>

# %%
# The course checks here what the text above says.
assert wrong_label["discriminator_loss"][-1] < 1.1 and wrong_label["generator_loss"][-1] < 0.75

# %% [markdown]
# **Bug hunt.** Mend the generator's loss.


# %%
@exercise("gan_tensorflow.generator_loss")
def generator_loss(fake_logits):
    """Cross-entropy of fakes with the label that the generator wants them to get.

    Logits [B, 1] → one number, the mean.
    """
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    return cross_entropy(tf.zeros_like(fake_logits), fake_logits)


# %%
print(f"found out: {float(generator_loss(-sure)):.3f}")
print(f"not found out: {float(generator_loss(sure)):.3f}")
assert float(generator_loss(-sure)) > float(generator_loss(sure))

# %% [markdown]
# ## 5 · Two sigmoids
#
# With the right wish the generator should learn.

# %%
game = new_game(colleagues_discriminator, generator_loss)
two_sigmoids = play(game, trial_rounds)
show("Two sigmoids", game)

# %% [markdown]
# Strokes, or next to nothing: it depends on chance. One fault is left, and it hides well. The loss says
# `from_logits=True`, so it applies a sigmoid to what it gets. The discriminator ends with a sigmoid too. In
# lesson 04 you saw what follows: even a perfect discriminator, with 1 for real images and 0 for fakes, has
# to pay.

# %%
ones, zeros = tf.ones((4, 1)), tf.zeros((4, 1))
best_possible = float(discriminator_loss(ones, zeros))
lowest = min(two_sigmoids["discriminator_loss"])
print(f"perfect {best_possible:.3f}, knowing nothing {np.log(4):.3f}, in this game {lowest:.3f}")
assert abs(best_possible - 1.006) < 1e-3 and lowest > best_possible - 1e-3

# %% [markdown]
# As a logit, 0 means a probability of one half, which costs log 2 = 0.693: this discriminator can never say
# that a fake is a fake. And its own sigmoid makes all slopes smaller: at most a quarter comes through to the
# generator, and hardly anything where it is sure. A loss that never goes below 1.006, however bad the
# drawings are, is the sign by which you know this fault. (Without it the loss may well be higher, since there
# is an opponent; but one who tells real from fake every time pays next to nothing.)
#
# Keras itself looks for the fault, and mends it behind your back. **Predict, then run.** When does it find
# it? The same loss of a fake with logit -5 is computed in four ways; right is 0.007.

# %%
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
ways = {
    "the sigmoid last": lambda logits: cross_entropy(zeros, tf.sigmoid(logits)),
    "a reshape behind": lambda logits: cross_entropy(zeros, tf.reshape(tf.sigmoid(logits), (4, 1))),
}
found = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name, way in ways.items():
        found[name] = [float(call(-sure)) for call in (way, tf.function(way))]
        print(f"{name}: line by line {found[name][0]:.3f}, compiled {found[name][1]:.3f}")
print(f"{len(caught)} warning:", str(caught[0].message)[:85], "…")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Only in a compiled step can Keras see which operation made a tensor. If it is a sigmoid, the loss takes
# what went into it, and warns. Run line by line, or with any layer behind the sigmoid, as the colleague's
# `Reshape`, it sees nothing. So the same program may learn or not, depending on how it is run. Do not
# build on such a rescue; read the warning.
# </details>

# %%
# The course checks here what the text above says.
assert found["the sigmoid last"][1] < 0.01
assert min(found["the sigmoid last"][0], *found["a reshape behind"]) > 0.5

# %% [markdown]
# **Bug hunt.** Which of the two sigmoids has to go? The loss computes with logits because that stays exact
# where a probability would be rounded to 0 or 1. So mend the discriminator.


# %%
@exercise("gan_tensorflow.build_discriminator")
def build_discriminator(width):
    """Images [B, 28, 28, 1] → logits [B, 1], above 0 for "real"."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(
                width,
                4,
                2,
                padding="same",
                kernel_initializer=small_start(),
                bias_initializer=small_bias(),
            ),
            keras.layers.LeakyReLU(0.2),
            keras.layers.Conv2D(
                2 * width, 4, 2, padding="same", use_bias=False, kernel_initializer=small_start()
            ),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            keras.layers.LeakyReLU(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid", kernel_initializer=small_start()),
            keras.layers.Reshape((1,)),
        ]
    )


# %%
game = new_game(build_discriminator, generator_loss)
play(game, trial_rounds)
show("All mended", game)

# %% [markdown]
# ### The whole hunt
#
# Each row was drawn by the program with one fault less than the row above; in a column the noise is the
# same. (Here all rows have the same scale of grey. After one step the pixels hardly differ, so that row
# looks flat; the picture of section 4 had its contrast stretched.)

# %%
rows = plots.LiveRows("One fault less in each row")
for name, (drawn, floors, covered) in stages.items():
    rows.add(drawn, name)
    print(f"{name:24} {floors:6.0f} floors, {covered:2} classes covered")
assert stages["All mended"][1] < 0.8 * stages["Trained towards label 0"][1]

# %% [markdown]
# None of the last three faults raised an error. In a game a loss says only who is ahead. So look at the
# pictures, and measure them.
#
# A good place for a break.

# %% [markdown]
# ## 6 · An average that follows
#
# The two players never come to rest: each answers the other's last move. As in lesson 04, the *average* of
# the generator's weights over the last hundred rounds or so draws better. To store a hundred models is not
# needed: a second generator follows the first, and after every round moves a small share of the way.
#
# **Predict, then run.** It follows with a share of 0.01. After 100 rounds, how much of its start is left in
# it?

# %%
start_left = 1.0
for _ in range(100):
    start_left *= 1 - 0.01
print(f"{start_left:.0%} of the start, {1 - start_left:.0%} of what came since")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Every round keeps 99% of what was there: 0.99 to the power of 100 is 37%. After 500 rounds less than 1%
# of the start is left. Old weights fade, so the average looks back over about 1 / 0.01 = 100 rounds.
# </details>

# %%
# The course checks here what the text above says.
assert 0.36 < start_left < 0.37 and 0.99**500 < 0.01

# %% [markdown]
# Write it. It runs inside the compiled step, where values are not known yet. So do not use arrays, but the
# weights themselves, `average.weights`: for one of them, `weight.assign(value)` puts a value into it.


# %%
@exercise("gan_tensorflow.follow")
def follow(average, model, share):
    """Move every weight of `average` by this share, 0 to 1, of the way to that of `model`.

    Both are models of one plan; the running averages of batch norm count as weights too.
    share: a number or a tensor.
    """
    raise NotImplementedError


# %% [markdown]
# Keras has this built in, `use_ema=True` in every optimizer (exponential moving average), for the weights
# that the optimizer moves. Both should agree on a small model.

# %%
keras.utils.set_random_seed(seed)
tiny = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
average = keras.models.clone_model(tiny)
average.set_weights(tiny.get_weights())
library = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
library.build(tiny.trainable_variables)
for step in range(20):
    slopes = [tf.random.normal(weight.shape) for weight in tiny.trainable_variables]
    library.apply_gradients(zip(slopes, tiny.trainable_variables))
    follow(average, tiny, 0.1 if step else 1.0)  # Keras begins with a copy after the first step
library.finalize_variable_values(tiny.trainable_variables)  # puts the average into the model
gap = max(np.abs(a - b).max() for a, b in zip(tiny.get_weights(), average.get_weights()))
print(f"largest difference from Keras: {gap:.1e}")
assert gap < 1e-5

# %% [markdown]
# Ours takes along what no optimizer moves: the running averages of batch norm, which drawing uses.
#
# ## 7 · The game for real
#
# Wider players, more rounds, the average, and one trick of lesson 04 that we have left out so far: **label
# smoothing**. Real images get label 0.9 in place of 1, which keeps the discriminator from being too sure.
#
# **Predict, then run.** Keras's loss has an option for it, `label_smoothing=0.2`. With it, at which
# probability "real" does a discriminator pay least for a real image? And for a fake?

# %%
smoothing = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2, reduction=None)
logits = tf.linspace(-6.0, 6.0, 1201)[:, None]
cheapest = {}
for name, label in (("real", 1.0), ("fake", 0.0)):
    paid = smoothing(tf.fill(logits.shape, label), logits)  # one number for each logit
    cheapest[name] = float(tf.sigmoid(logits[tf.argmin(paid), 0]))
    print(f"{name}: pays least where it says {cheapest[name]:.0%}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Keras moves *both* labels towards one half: 1 becomes 0.9, and 0 becomes 0.1. For a classifier this is what
# one wants, and lesson 01 used it. Here it would do harm: the best discriminator would then say 10% wherever
# only fakes lie, and the generator could not see from there which way is better. So Salimans and others
# (2016) smooth the real label only.
# </details>

# %%
# The course checks here what the text above says.
assert abs(cheapest["real"] - 0.9) < 0.01 and abs(cheapest["fake"] - 0.1) < 0.01

# %% [markdown]
# So we write it ourselves:


# %%
def smoothed_loss(real_logits, fake_logits):
    """As `discriminator_loss`, with label 0.9 for real images."""
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    real = cross_entropy(tf.fill(tf.shape(real_logits), 0.9), real_logits)
    return real + cross_entropy(tf.zeros_like(fake_logits), fake_logits)


# %% [markdown]
# And one class more: your step, and then the average follows. In the first rounds the share is larger, so
# that the average soon forgets its random start; `iterations` counts the rounds.


# %%
class AveragedGame(Game):
    """A game whose generator is followed by an average of itself, `self.average`."""

    def train_step(self, real):
        losses = super().train_step(real)
        rounds = tf.cast(self.generator_optimizer.iterations, tf.float32)
        follow(self.average, self.generator, tf.maximum(0.01, 10 / (rounds + 10)))
        return losses


width = hardware.by_profile(smoke=24, cpu=32, gpu=64)
game = AveragedGame(*new_players(build_discriminator, width), num_inputs)
game.average = keras.models.clone_model(game.generator)
game.average.set_weights(game.generator.get_weights())
game.compile(*optimizers(), generator_loss, smoothed_loss)

# %% [markdown]
# While it trains, the average draws from the same noise again and again. Each row is one moment.

# %%
num_rounds, num_reports = hardware.by_profile(smoke=(270, 3), cpu=(2280, 12), gpu=(2000, 10))
rows = plots.LiveRows("The same noise, drawn by the average while it learns")


def add_row(report, logs):
    if report + 1 in (1, 2, 4, num_reports):
        rows.add(
            draw(game.average, fixed_noise[:12]),
            f"round {num_rounds // num_reports * (report + 1)}",
        )


callbacks = [
    plots.StatusLine().keras_callback(),
    keras.callbacks.LambdaCallback(on_epoch_end=add_row),
]
losses = play(game, num_rounds, num_reports, callbacks)

# %% [markdown]
# The discriminator may pay more than 1.386, which it costs to know nothing: the generator learns faster, and
# is often one move ahead. The drawings get better all the same; a loss says only who is ahead.
#
# What did the average bring? We compare it with the generator as it stands after the last round.

# %%
for name, drawer in (("generator", game.generator), ("average", game.average)):
    floors, covered = judge(draw(drawer), real_features, floor)
    print(f"{name:10} {floors:5.1f} floors, {covered} classes covered")

# %% [markdown]
# Mostly the average draws better, and it costs hardly anything. How much better changes from round to
# round, as the generator circles.

# %% [markdown]
# ## 8 · The test, once
#
# All choices are made. The average draws from noise that it has not been shown. These drawings are
# compared with the *test* images, and the floor is theirs, too.

# %%
test_features, _ = digit_classifier.features_and_logits(classifier, digits.x_test[:2000])
new_noise = np.random.default_rng([seed, 1]).normal(size=(count, num_inputs)).astype("float32")
drawn = draw(game.average, new_noise)
floors, covered = judge(drawn, test_features, floor_of(test_features))
report("gan_tensorflow.frechet_over_floor", floors, data=digits, lower_is_better=True)
report("gan_tensorflow.classes_covered", covered, data=digits)
plots.images(drawn[:40], "Forty drawings, not chosen")

# %% [markdown]
# Is every digit drawn as often as the others? The share of images read as each, and how many cannot be
# read for sure:

# %%
_, logits = digit_classifier.features_and_logits(classifier, drawn)
shares, real_shares = gan_score.class_shares(logits), gan_score.class_shares(real_logits)
figure, drawing = plots.axes("How often each digit is drawn", "digit, as read", "share of images")
drawing.bar(np.arange(10) - 0.2, real_shares, 0.4, label="real")
drawing.bar(np.arange(10) + 0.2, shares, 0.4, label="drawn")
drawing.set_xticks(range(10))
drawing.legend()
balance = gan_score.balance(logits)
rarest, most = shares.argmin(), shares.argmax()
plots.show(
    figure,
    f"Bars: rarest drawn is {rarest} ({shares[rarest]:.0%}), most {most} ({shares[most]:.0%})",
)
print(f"surely read: {real_shares.sum():.0%} of real and {shares.sum():.0%} of drawn images")
print(f"balance {balance:.2f} (1: all digits as often)")

# %% [markdown]
# And has it copied? As in lesson 04, a copy would be much nearer to one training image than to the second
# nearest.

# %%
places, distances = gan_score.nearest_two(drawn[:10], x_train)
pairs = np.concatenate([drawn[:10], x_train[places[:, 0]]])
plots.images(pairs, "Above: drawn. Below: the nearest training image")
copied = gan_score.copied_share(drawn[:100], x_train)
of_training = gan_score.copied_share(x_train[:100], x_train)
print(f"copies: {copied:.1%} of the drawings; of training images themselves {of_training:.0%}")
assert copied < 0.05 and of_training == 1

# %% [markdown]
# What does the score not see? It knows only what the classifier's features tell, not whether *you* would
# take a drawing for a digit. Look at the forty above: some are no digit. That is why this course never
# gives the number without the pictures.
#
# ### Is it the game of lesson 04?
#
# A test of the course gives the players of both lessons the same weights and the same images, in two
# processes, and compares: drawings, logits, losses and slopes agree to four digits. What differs is how
# the weights start, and chance.

# %% [markdown]
# ## Recap
#
# 1. Each player has a tape and an optimizer. A tape gives slopes for the weights that you name, so nothing
#    has to be detached or frozen. Optimizers keep notes on their weights, so they cannot be shared.
# 2. An error is the kindest fault. One single step, the wrong label and two sigmoids raised none. The
#    pictures showed the first two.
# 3. Two sigmoids show in the loss: the discriminator's cannot go below 1.006, however bad the drawings are.
#    Keras finds this fault only sometimes, and warns.
# 4. An average follows the weights by a small share in every round, inside the compiled step; batch
#    norm's running averages belong to it.
# 5. A score compares sets: distance in floors, classes, balance, copies. It does not replace looking.

# %% [markdown]
# ## What to try next
#
# Change one thing, guess the direction first, and judge on the images held back, not on the test images.
#
# - **A share of 0.1** or of 0.001 in place of 0.01. Expect the first to be hardly better than the
#   generator itself, and the second to lag behind: it still remembers early rounds.
# - **A discriminator that is ten times as fast**, 1e-2 in place of 1e-3 in `optimizers`. Expect its loss to
#   fall. Do the drawings get better too?
# - **A generator that makes fakes anew** for its own move, from other noise. Expect the same score, and
#   more time for each round.

# %% [markdown]
# ## References
#
# - I. Goodfellow and others (2014), *Generative adversarial nets*.
#   [arXiv:1406.2661](https://arxiv.org/abs/1406.2661)
# - A. Radford, L. Metz, S. Chintala (2016), *Unsupervised representation learning with deep convolutional
#   generative adversarial networks*. [arXiv:1511.06434](https://arxiv.org/abs/1511.06434)
# - M. Heusel and others (2017), *GANs trained by a two time-scale update rule converge to a local Nash
#   equilibrium*, where the Fréchet distance of features comes from.
#   [arXiv:1706.08500](https://arxiv.org/abs/1706.08500)
# - T. Salimans and others (2016), *Improved techniques for training GANs*: label smoothing.
#   [arXiv:1606.03498](https://arxiv.org/abs/1606.03498)
# - Y. Yazıcı and others (2019), *The unusual effectiveness of averaging in GAN training*.
#   [arXiv:1806.04498](https://arxiv.org/abs/1806.04498)
# - Keras, *Customizing what happens in fit() with TensorFlow*.
#   [keras.io](https://keras.io/guides/custom_train_step_in_tensorflow/)
