# %% [markdown]
# # 03 · Deep networks for images, in TensorFlow
#
# {{badges}}
#
# The network of this lesson is ResNet-20, as in lesson 03. What is new is how it gets its images, and
# how it is put together and trained in Keras. On the way you meet three programs that run, learn, and
# are wrong all the same: faults that appear when images go through a pipeline, and when a network is
# translated from one framework to another.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. build a pipeline with `tf.data`, and say why the order of its steps matters;
# 2. translate a layer from PyTorch to Keras so that both compute the same;
# 3. write a residual block in the functional style, and see in the plan whether its shortcut works;
# 4. train with callbacks that keep the best weights and survive an interruption;
# 5. write a training step that clips slopes, and measure with it what shortcuts change.
#
# **Before this**: lesson 01 in TensorFlow. From lesson 03 the ideas: convolution, batch norm,
# augmentation, shortcuts. They are used here, not explained again.

# %% [markdown]
# ## 1 · The data
#
# As always, every exercise may be skipped: the course's own answer then stands in.

# %%
import tempfile
import time
from pathlib import Path

import numpy as np

from course import data, hardware, plots
from course.exercises import exercise
from course.results import report

with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

    from course.models import resnet_tensorflow as resnet
    from course.models.mlp_tensorflow import OneCycle
    from course.models.resnet_tensorflow import shortcut, with_batches_that_fit

seed, profile = hardware.seed_everything(), hardware.profile()
print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
print(hardware.describe())

# %% [markdown]
# The images are those of lesson 03: CIFAR-10 where it is on your machine, otherwise pictures of clothes
# in the same form. The first line says which.
#
# Keras wants the channels *last*, which is how images are stored: **B** images, **H** rows, **W**
# columns, **C** channels: [B, H, W, C].

# %%
images = data.cifar10()
class_names = images.classes
captions = [class_names[label] for label in images.y_train[:10]]
plots.images(images.x_train[:10], "Ten training images", captions)
print("shape", images.x_train.shape, "dtype", images.x_train.dtype)

# %% [markdown]
# A tenth is held back for validation. The test images wait for section 7.

# %%
every = hardware.by_profile(smoke=2, cpu=1, gpu=1)  # smoke: only every second row and column
x_all, y_all = images.x_train[:, ::every, ::every], images.y_train.astype("int64")
order = np.random.default_rng(seed).permutation(len(x_all))
held_back = len(order) // 10
used = hardware.by_profile(smoke=1000, cpu=None, gpu=None)  # None: all
x_val, y_val = x_all[order[:held_back]], y_all[order[:held_back]]
x_train, y_train = x_all[order[held_back:]][:used], y_all[order[held_back:]][:used]
size = x_train.shape[1]
print(f"{len(x_train):,} images to train on, {len(x_val):,} to validate")

# %% [markdown]
# ## 2 · A pipeline
#
# So far `fit` was given arrays. Data sets are often too large for that, and augmentation changes images
# in every epoch. A **`tf.data.Dataset`** is a recipe: it says where elements come from and what happens
# to each, and makes them while training runs. Every method returns a longer recipe.

# %%
numbers = tf.data.Dataset.range(6).map(lambda number: 10 * number).batch(4)
for batch in numbers:
    print(batch.numpy())

# %% [markdown]
# `map` changes each element, `batch` puts elements together. `shuffle(n)` fills a buffer with n
# elements, gives out one of them at random, puts the next element in its place, and so on. It never
# has to hold the whole data set.
#
# **Predict, then run.** The numbers from 0 to 999 go through `shuffle(10)`. What is the largest number
# that can be among the first ten?

# %%
shuffled = tf.data.Dataset.range(1000).shuffle(10)
first_ten = [int(number) for number in shuffled.take(10)]
print(first_ten)

# %% [markdown]
# <details><summary>Why?</summary>
#
# 18. The first one is drawn from 0…9. Then 10 joins the buffer, then 11, and the tenth is drawn from
# what is left of 0…18. Data sets are often sorted by class: with a small buffer whole batches would
# then show one class. Where the data fits into memory, take a buffer as large as the data.
# </details>

# %%
# The course checks here what the text above says.
assert max(first_ten) <= 18

# %% [markdown]
# ### Augmentation of one image
#
# In lesson 03 you changed a whole batch at once, by computing indices. In a pipeline you may write for
# *one* image: TensorFlow compiles the function, as `tf.function` does, and calls the result for each
# image. So randomness has to come from TensorFlow: Python runs only once (lesson 01).
#
# `tf.pad(image, [[top, bottom], [left, right], [0, 0]])` adds zeros; the last pair is for the channels.
# `tf.image.random_crop(image, shape)` cuts out a random window of shape [H, W, C].
# `tf.image.random_flip_left_right(image)` mirrors the image in half of its calls.


# %%
@exercise("resnet_tensorflow.augment")
def augment(image, largest_shift):
    """Move one image at random and mirror it or not: uint8 [H, W, C] → same shape and dtype.

    It is moved up or down and left or right by up to `largest_shift` pixels, each move as likely as
    any other; what comes in is 0. Half of the images are mirrored, left and right.
    """
    raise NotImplementedError


# %%
largest_shift = hardware.by_profile(smoke=1, cpu=2, gpu=4)


def move(image):
    return augment(image, largest_shift)


ten_times = tf.data.Dataset.from_tensors(x_train[0]).repeat(10).map(move)
versions = np.stack(list(ten_times.as_numpy_iterator()))
plots.images(versions, f"One training image ({class_names[y_train[0]]}), ten times")
assert versions.shape == (10, size, size, 3) and versions.dtype == np.uint8

# %% [markdown]
# ### The order of the steps
#
# A colleague has written a pipeline. `cache` keeps what comes in, so that the second epoch need not
# compute it again. `prefetch` prepares the next batches while the model works on this one. Where
# `tf.data.AUTOTUNE` stands, TensorFlow chooses a number itself: of images that `map` changes at the same
# time, and of batches that are prepared.


# %%
def suspect_batches(images, labels, batch_size, augment):
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.map(lambda image, label: (augment(image), label), tf.data.AUTOTUNE)
    dataset = dataset.cache()  # "we compute everything only once"
    dataset = dataset.batch(batch_size)
    dataset = dataset.shuffle(len(images))
    return dataset.prefetch(tf.data.AUTOTUNE)


# %% [markdown]
# To see what such a pipeline does, we give it eight images, and their numbers as labels:


# %%
def look_at(make_batches):
    """Eight images in five epochs: which come together, and how image 0 looks each time."""
    together, pictures = set(), []
    batches = make_batches(x_train[:8], np.arange(8), 4, move)
    for _ in range(5):
        for some, numbers in batches.as_numpy_iterator():
            together.add(tuple(int(number) for number in np.sort(numbers)))
            pictures.extend(some[numbers == 0])
    return together, np.stack(pictures)


# %% [markdown]
# **Predict, then run.** Eight images, numbered from 0 to 7, in batches of four, for five epochs. Which
# images come together in a batch? And how does image 0 look in the five epochs?

# %%
together, pictures = look_at(suspect_batches)
print("these came together:", *sorted(together))
plots.images(pictures, "Image 0 in five epochs: the colleague's pipeline")

# %% [markdown]
# <details><summary>Why?</summary>
#
# `shuffle` comes after `batch`, so it shuffles whole batches; what is inside them stays together for
# ever. And `cache` comes after the random change, so it keeps the first one: in every epoch the network
# sees the same pictures. Nothing fails, the network even learns. It only has less variety than you think.
# </details>

# %%
# The course checks here what the text above says.
assert together == {(0, 1, 2, 3), (4, 5, 6, 7)} and (pictures == pictures[0]).all()

# %% [markdown]
# **Bug hunt.** Mend the pipeline: in every epoch another order, other batches, and other changes for
# each image.


# %%
@exercise("resnet_tensorflow.training_batches")
def training_batches(images, labels, batch_size, augment):
    """A dataset of batches (images, labels) for training, all images once in each epoch.

    images: [N, H, W, C], labels: [N]; augment: changes one image [H, W, C] at random.
    """
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.map(lambda image, label: (augment(image), label), tf.data.AUTOTUNE)
    dataset = dataset.cache()  # "we compute everything only once"
    dataset = dataset.batch(batch_size)
    dataset = dataset.shuffle(len(images))
    return dataset.prefetch(tf.data.AUTOTUNE)


# %%
together, pictures = look_at(training_batches)
print(f"{len(together)} different groups in ten batches")
plots.images(pictures, "Image 0 in five epochs: your pipeline")
assert len(together) > 2

# %% [markdown]
# Validation images are neither moved nor shuffled: the question there is how good the network is on
# images as they are. So they stay arrays.
#
# ## 3 · A layer, translated
#
# Now the network. Its smallest part is a convolution of 3 × 3 with batch norm. In lesson 03 it was
#
# ```python
# nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels)
# ```
#
# and `nn.BatchNorm2d` has `momentum=0.1` and `eps=1e-5`. In Keras `padding="same"` promises a result as
# large as the input, divided by the stride.

# %% [markdown]
# **Predict, then run.** Each pixel of this image holds the number of its column, 0 to 7. The filter has a
# 1 in its middle and zeros around it, so it copies the pixel on which its middle stands. With stride 2
# four columns remain. Which ones?

# %%
columns = tf.broadcast_to(tf.range(8.0)[:, None], (1, 8, 8, 1))  # [B, H, W, C]
middle = np.zeros((3, 3, 1, 1), "float32")  # [rows, columns, channels, filters]
middle[1, 1] = 1
same = keras.layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False)
framed = keras.layers.Conv2D(1, 3, strides=2, use_bias=False)  # no padding of its own
border = keras.layers.ZeroPadding2D(1)  # zeros, one pixel on every side
same(columns), framed(border(columns))  # the first data builds them
same.set_weights([middle]), framed.set_weights([middle])
columns_of_same = same(columns)[0, 1, :, 0].numpy()
columns_of_framed = framed(border(columns))[0, 1, :, 0].numpy()
print('padding="same":', columns_of_same)
print("one zero on every side, as in PyTorch:", columns_of_framed)

# %% [markdown]
# <details><summary>Why?</summary>
#
# `"same"` adds as few zeros as are needed. With stride 2 on an even size that is one, and it goes to
# the right and below. So the filter stands on columns 1, 3, 5, 7. With one zero on every side it stands
# on 0, 2, 4, 6. The shortcut of our block takes columns 0, 2, 4, 6: with `"same"` the two ways around
# would be added one pixel apart. With stride 1 both kinds of padding agree.
# </details>

# %%
# The course checks here what the text above says.
assert list(columns_of_same) == [1, 3, 5, 7] and list(columns_of_framed) == [0, 2, 4, 6]

# %% [markdown]
# And `momentum`? We give batch norm fifty batches with mean 5, then a single one with mean 0.

# %%
for momentum in (0.1, 0.9):
    norm = keras.layers.BatchNormalization(momentum=momentum)
    for mean in [5.0] * 50 + [0.0]:
        norm(tf.fill((4, 2), mean), training=True)
    print(f"momentum {momentum}: running mean {norm.moving_mean.numpy()[0]:.2f}")
    assert np.isclose(norm.moving_mean.numpy()[0], 5 * (1 - momentum**50) * momentum, atol=1e-3)

# %% [markdown]
# In PyTorch the number is the share of the *new* value, in Keras the share of the *old* one. PyTorch's
# 0.1 is Keras's 0.9. With 0.1 in Keras, the running averages nearly forget all but the last batch, and
# evaluation, which uses them, depends on which images that was. (Keras's own choice is 0.99, with an
# epsilon of 1e-3.)
#
# **Bug hunt.** Somebody translated the line from PyTorch word by word. Mend it, so that it computes what
# lesson 03's does.


# %%
@exercise("resnet_tensorflow.conv_norm")
def conv_norm(x, channels, stride=1):
    """3 × 3 convolution without bias, then batch norm; [B, H, W, C] → [B, H / stride, …, channels].

    As `nn.Conv2d(…, 3, stride, padding=1, bias=False)` and `nn.BatchNorm2d` with momentum 0.1 and
    epsilon 1e-5. x: the plan of a tensor, as `keras.Input` gives it.
    """
    x = keras.layers.Conv2D(
        channels, 3, stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    return keras.layers.BatchNormalization(momentum=0.1, epsilon=1e-5)(x)


# %%
plan = keras.Input((8, 8, 1))
for stride in (1, 2):
    print(f"stride {stride}: {plan.shape} → {conv_norm(plan, 16, stride).shape}")
assert conv_norm(plan, 16, 2).shape == (None, 4, 4, 16)

# %% [markdown]
# ## 4 · The residual block
#
# In the functional style a layer is called on a plan and gives a plan. A block is then an ordinary
# function, and a way around it is a second use of the same variable. Where the shape changes,
# `shortcut(x, channels, stride)` takes every second pixel and adds channels of zeros, as in
# lesson 03; elsewhere it gives x back.
#
# A colleague wrote this:


# %%
def block_of_a_colleague(x, channels, stride=1):
    change = keras.layers.ReLU()(conv_norm(x, channels, stride))
    both_ways = [conv_norm(change, channels), shortcut(x, channels, stride)]
    return keras.layers.ReLU()(both_ways[0])


# %% [markdown]
# You will have seen the fault: it is that of the colleague in lesson 03. But the functional style lets
# you *see* it in the finished model.
#
# **Predict, then run.** A model contains what lies on the ways from its inputs to its outputs. The block
# below changes the shape. Are the operations of its shortcut (taking pixels, adding channels) in the
# model?

# %%
plan = keras.Input((8, 8, 16))
of_colleague = keras.Model(plan, block_of_a_colleague(plan, 32, stride=2))
operations = [type(operation).__name__ for operation in of_colleague.operations]
print(operations)

# %% [markdown]
# <details><summary>Why?</summary>
#
# No. Keras goes back from the outputs to the inputs and keeps what it meets. The result of the shortcut
# leads nowhere, so it is dropped. In PyTorch the same fault leaves the shortcut in the module, where it
# is printed and looks alive; here a look at the plan is enough.
# </details>

# %%
# The course checks here what the text above says.
assert not {"GetItem", "Add"} & set(operations)

# %% [markdown]
# Write the block that works, with `conv_norm` and `shortcut`. `keras.layers.Add()([a, b])` adds two
# plans, and the list of operations will show an `Add`.


# %%
@exercise("resnet_tensorflow.residual_block")
def residual_block(x, channels, stride=1):
    """relu(body(x) + shortcut(x)), where the body is conv_norm, ReLU, conv_norm.

    The first of them has the stride. x: the plan of [B, H, W, C] → [B, H / stride, …, channels].
    """
    raise NotImplementedError


# %%
mine = keras.Model(plan, residual_block(plan, 32, stride=2))
print([type(operation).__name__ for operation in mine.operations])
assert {"GetItem", "Pad"} <= {type(operation).__name__ for operation in mine.operations}

# %% [markdown]
# Blocks one after the other make the network of lesson 03. Its first layer standardises each colour, with
# mean and variance of the training images.


# %%
colour_mean, colour_variance = x_train.mean(axis=(0, 1, 2)), x_train.var(axis=(0, 1, 2))


def network(block, blocks_per_stage, size, model_class=keras.Model):
    """A model [B, size, size, 3] → logits [B, K], of three stages of blocks."""
    standardise = keras.layers.Normalization(mean=colour_mean, variance=colour_variance)
    inputs = keras.Input((size, size, 3))
    x = keras.layers.ReLU()(conv_norm(standardise(inputs), 16))
    for channels in (16, 32, 64):
        for place in range(blocks_per_stage):
            x = block(x, channels, stride=2 if place == 0 and channels > 16 else 1)
    x = keras.layers.GlobalAveragePooling2D()(x)  # mean over the pixels: [B, 64]
    return model_class(inputs, keras.layers.Dense(len(class_names))(x))


# %% [markdown]
# **Predict, then run.** With three blocks in each stage this is ResNet-20. Lesson 03 counts 269,722
# parameters. Will Keras count as many, fewer or more?

# %%
resnet20 = network(residual_block, 3, size)
trainable = sum(int(np.prod(weight.shape)) for weight in resnet20.trainable_weights)
others = resnet20.count_params() - trainable
print(f"{resnet20.count_params():,} parameters = {trainable:,} + {others:,}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Keras also counts what belongs to the model but is not trained: batch norm's running mean and variance.
# (PyTorch calls them buffers, and does not count them.) There are two for each of the 688 channels of
# the 19 convolutions: 16 + 6 · 16 + 6 · 32 + 6 · 64. What is trained are the same 269,722.
# </details>

# %%
# The course checks here what the text above says.
assert trainable == 269_722 and others == 2 * (16 + 6 * 16 + 6 * 32 + 6 * 64) == 2 * 688

# %% [markdown]
# A good place for a break. Pipeline and network are ready.
#
# ## 5 · fit, with callbacks
#
# A **callback** is an object whose methods `fit` calls at certain moments. You know one that draws. Two
# more make long training safe: one keeps the best weights, one survives a crash. We try them on a model
# that trains in a moment: a single dense layer, with a learning rate that is far too high.


# %%
def tiny_model():
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((size, size, 3)), keras.layers.Rescaling(1 / 255)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(len(class_names)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.3), loss, metrics=["accuracy"])
    return model


def fit_tiny(model, callbacks, num_epochs=6):
    some = x_train[:500], y_train[:500]
    validation = x_val[:300], y_val[:300]
    options = {"epochs": num_epochs, "callbacks": callbacks, "verbose": 0}
    return model.fit(*some, validation_data=validation, batch_size=50, **options)


history = fit_tiny(tiny_model(), [])
print("validation accuracy:", np.round(history.history["val_accuracy"], 2))

# %% [markdown]
# It need not rise in every epoch, and what `fit` leaves is the last one, not the best. Write a callback
# that brings the best one back. Inside it, `self.model` is the model. `model.get_weights()` returns copies of all
# weights, as arrays, those of batch norm's running averages too, and `model.set_weights(arrays)` puts
# them in.


# %%
@exercise("resnet_tensorflow.BestWeights")
class BestWeights(keras.callbacks.Callback):
    """At the end of `fit` the model has the weights of the epoch with the best validation accuracy."""

    def on_train_begin(self, logs=None):
        raise NotImplementedError

    def on_epoch_end(self, epoch, logs=None):
        """logs: what was measured in this epoch, such as logs["val_accuracy"]."""
        raise NotImplementedError

    def on_train_end(self, logs=None):
        raise NotImplementedError


# %% [markdown]
# The library's callback for this, `ModelCheckpoint`, writes the weights to a file. Both watch the same
# run here, so at the end the model and the file must agree.

# %%
with tempfile.TemporaryDirectory() as folder:
    file = str(Path(folder) / "best.weights.h5")
    kept = keras.callbacks.ModelCheckpoint(
        file, monitor="val_accuracy", mode="max", save_best_only=True, save_weights_only=True
    )
    model = tiny_model()
    history = fit_tiny(model, [BestWeights(), kept])
    from_file = tiny_model()
    from_file.load_weights(file)
best = max(history.history["val_accuracy"])
_, share = model.evaluate(x_val[:300], y_val[:300], verbose=0)
print(f"best epoch {best:.1%}, model after fit {share:.1%}")
gaps = [np.abs(a - b).max() for a, b in zip(model.get_weights(), from_file.get_weights())]
print("largest difference from the file:", max(gaps))
assert np.isclose(share, best) and max(gaps) == 0

# %% [markdown]
# One warning: the best of many epochs was chosen *because* it did well on the validation images, so its
# validation accuracy is a little too good to be true. The test images, which chose nothing, will tell.
#
# ### After an interruption
#
# `BackupAndRestore` writes weights, optimizer and the number of the epoch to a folder. When `fit` is
# started again, it goes on from there.
#
# **Predict, then run.** We stop a run of six epochs after the fourth, as a power cut would. A new model,
# with fresh weights, is then given the same callback. How many epochs does it train?

# %%
with tempfile.TemporaryDirectory() as folder:

    def power_cut(epoch, logs):
        if epoch == 4:  # the fifth, as Keras counts from 0
            raise KeyboardInterrupt

    cut = keras.callbacks.LambdaCallback(on_epoch_begin=power_cut)
    try:
        fit_tiny(tiny_model(), [keras.callbacks.BackupAndRestore(folder), cut])
    except KeyboardInterrupt:
        print("the power is gone")
    resumed = fit_tiny(tiny_model(), [keras.callbacks.BackupAndRestore(folder)])
print("epochs of the second fit:", [epoch + 1 for epoch in resumed.epoch])

# %% [markdown]
# <details><summary>Why?</summary>
#
# Two: the fifth and the sixth. The backup was written at the end of the fourth. It knows nothing of the
# data, though: a new order of the images is drawn, so the result is not the very same as without the
# cut. When `fit` comes to its end, the backup is removed.
# </details>

# %%
# The course checks here what the text above says.
assert resumed.epoch == [4, 5]

# %% [markdown]
# ### One operation in place of many
#
# Keras computes batch norm step by step: mean, variance, subtract, divide, multiply, add. Each step reads
# all numbers and writes them again. TensorFlow has *one* operation for all of it, a **fused** one.
# `resnet.FusedBatchNormalization` is Keras's layer with that operation (in training only).
#
# **Predict, then run.** The mathematics is the same. How much time will one layer save, forward and back?

# %%
some_maps = tf.random.normal((64, 32, 32, 16))  # [B, H, W, C]: what the first norm is given


@tf.function
def slopes_through(norm):
    """A number that depends on every output of the layer in training, and its slopes: [B, H, W, C]."""
    with tf.GradientTape() as tape:
        tape.watch(some_maps)
        cubes = tf.reduce_mean(norm(some_maps, training=True) ** 3)
    return cubes, tape.gradient(cubes, some_maps)


cubes, milliseconds = [], []
for norm_class in (keras.layers.BatchNormalization, resnet.FusedBatchNormalization):
    norm = norm_class(momentum=0.9, epsilon=1e-5)
    norm.build(some_maps.shape)
    cubes.append(slopes_through(norm)[0])  # the first call also plans; the next ones only compute
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        slopes_through(norm)[1].numpy()
        seconds.append(time.perf_counter() - start)
    milliseconds.append(1e3 * np.median(seconds))
print(f"step by step {milliseconds[0]:.1f} ms, in one operation {milliseconds[1]:.1f} ms")
assert np.isclose(cubes[0], cubes[1], atol=1e-4)

# %% [markdown]
# ### Training for real
#
# The recipe of lesson 03: SGD with momentum and one cycle (you wrote `OneCycle` in lesson 01), without
# weight decay and label smoothing, to keep it short. Each norm is replaced by a fused one: Keras goes
# through the plan of the model once more, and `with_fused_norms` says what to put in a layer's place.
#
# `jit_compile=True` lets another compiler (XLA) build the step; on the CPU that we tried that was slower,
# so it is off. We stay with `float32`. To stay within two minutes, the cpu profile trains for six epochs
# where lesson 03 trains for eight.
#
# `plots.StatusLine` says how far it is.

# %%
most = hardware.by_profile(smoke=3, cpu=6, gpu=40)
few_enough = max(1, 54_000 // len(x_train)) if hardware.device() == "cpu" else most
num_epochs = min(most, few_enough)
batch_size = hardware.by_profile(smoke=50, cpu=64, gpu=128)
peak = 0.1  # 0.2 was no better on the validation images
blocks = hardware.by_profile(smoke=1, cpu=3, gpu=3)  # smoke: ResNet-8


def compile_for_images(model, num_epochs, num_images, batch_size, peak):
    """One cycle of SGD with momentum; logits against labels that are numbers."""
    num_steps = num_epochs * -(-num_images // batch_size)
    model.compile(
        keras.optimizers.SGD(OneCycle(peak, num_steps), momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )


# %% [markdown]
# On a GPU, where training is long, `BackupAndRestore` comes in as well: after an interruption, run the
# cell again. (Its folder stands beside this notebook; remove it to start afresh.) And if that many images
# do not fit into the GPU's memory, `with_batches_that_fit` tries half as many, and says so.


# %%
def train_resnet(batch_size):
    """A network trained from the start with so many images at a time, and how it went."""
    keras.utils.set_random_seed(seed)
    model = resnet.with_fused_norms(network(residual_block, blocks, size))
    compile_for_images(model, num_epochs, len(x_train), batch_size, peak)
    title = f"ResNet-{6 * blocks + 2}"
    curves = plots.LiveCurves("training loss", "validation accuracy", title=title)
    callbacks = [BestWeights(), plots.StatusLine().keras_callback()]
    callbacks.append(curves.keras_callback("loss", "val_accuracy"))
    if profile == "gpu":
        callbacks.append(keras.callbacks.BackupAndRestore("resnet20_tensorflow_backup"))
    batches = training_batches(x_train, y_train, batch_size, move)
    validation = {"validation_data": (x_val, y_val), "validation_batch_size": 100}
    options = {"epochs": num_epochs, "callbacks": callbacks, "shuffle": False, "verbose": 0}
    return model, model.fit(batches, **validation, **options)


resnet20, history = with_batches_that_fit(train_resnet, batch_size)
assert history.history["loss"][-1] < np.log(len(class_names))  # better than guessing

# %% [markdown]
# `shuffle=False` tells `fit` that the pipeline does that already.
#
# ### What if batch norm is frozen?
#
# Later you will take a trained network, keep its weights as they are, and train only a new last layer. In
# Keras that is said with `trainable = False`.
#
# **Predict, then run.** We freeze the network and show it a batch with `training=True`, as in training.
# No optimizer is near. Do the running averages move? And do they, when it is not frozen?

# %%
norms = [layer for layer in resnet20.layers if isinstance(layer, keras.layers.BatchNormalization)]
moved_by = {}
for trainable in (False, True):
    resnet20.trainable = trainable
    kept_weights = resnet20.get_weights()
    before = norms[0].moving_mean.numpy()
    resnet20(x_train[:32], training=True)
    moved_by[trainable] = np.abs(norms[0].moving_mean.numpy() - before).max()
    resnet20.set_weights(kept_weights)
    print(f"trainable = {trainable!s:5}: moved by up to {moved_by[trainable]:.4f}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Running averages are not moved by an optimizer but by the layer itself, whenever it runs with
# `training=True`. So a network in which everything else is frozen could still change. Keras has a rule
# for this one layer: with `trainable = False` batch norm works as in evaluation, whatever `training`
# says. In PyTorch, `requires_grad = False` stops only the optimizer; you have to call `eval()` too.
# </details>

# %%
# The course checks here what the text above says.
assert moved_by[False] == 0 and moved_by[True] > 0

# %% [markdown]
# ## 6 · A training step that clips
#
# In lesson 03 slopes grew from layer to layer on their way back. **Clipping** limits what a huge slope
# can do: all slopes together are seen as one long vector; if its length (the root of the sum of all
# squares) is more than a limit, all are multiplied by *limit / length*. The direction stays.
#
# `fit` shows no lengths of slopes, so we need a step of our own. The helper of lesson 01, with one
# metric more:


# %%
def update_metrics(model, loss, slope_norm, y, logits):
    """Tell the model's metrics about one batch; return what they say so far in this epoch."""
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss)
        elif metric.name == "slope_norm":
            metric.update_state(slope_norm)
        else:
            metric.update_state(y, logits)
    return model.get_metrics_result()


# %% [markdown]
# Write the step. The slopes come as a list of tensors, one for each weight. Report the length as it was
# *before* clipping.


# %%
@exercise("resnet_tensorflow.ClippedModel")
class ClippedModel(keras.Model):
    """A model whose training step clips the slopes of all weights together to `self.longest`."""

    longest = 1.0

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.slope_norm = keras.metrics.Mean(name="slope_norm")

    def train_step(self, data):
        """One step on one batch; returns what `update_metrics` gives.

        data: a pair (x, y) of tensors.
        """
        raise NotImplementedError


# %% [markdown]
# Keras's optimizers can clip too: `global_clipnorm`. Both models below start with the same weights and see
# the same batches. After ten steps they should be equal.

# %%
limit = 0.2
library = tiny_model()
inputs = keras.Input((size, size, 3))
by_hand = ClippedModel(inputs, tiny_model()(inputs))
by_hand.longest = limit
for model, options in ((library, {"global_clipnorm": limit}), (by_hand, {})):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.3, **options), loss, metrics=["accuracy"])
    logs = model.fit(x_train[:500], y_train[:500], batch_size=50, shuffle=False, verbose=0)
gap = np.abs(library.get_weights()[0] - by_hand.get_weights()[0]).max()
slope_norm = logs.history["slope_norm"][0]
print(f"mean length of the slopes {slope_norm:.2f}, cut to {limit}; weights {gap:.1e} apart")
assert slope_norm > limit and gap < 1e-4

# %% [markdown]
# ### With and without shortcuts
#
# Now the step measures something. Two networks with the same number of parameters, one with the
# colleague's block, one with yours, on few images of 16 × 16 pixels.
#
# **Predict, then run.** Which one has the longer slopes in the first epoch? Which one the lower training
# loss at the end?

# %%
blocks_per_stage = hardware.by_profile(smoke=1, cpu=3, gpu=3)
few, trial_epochs = hardware.by_profile(smoke=(300, 2), cpu=(3000, 4), gpu=(3000, 4))
half = size // 16
trial_x, trial_y = x_train[:few, ::half, ::half], y_train[:few]
trials = {}
for name, block in (("plain", block_of_a_colleague), ("residual", residual_block)):
    keras.utils.set_random_seed(seed)
    model = network(block, blocks_per_stage, 16, ClippedModel)
    compile_for_images(model, trial_epochs, len(trial_x), 50, peak=0.1)
    batches = training_batches(trial_x, trial_y, 50, move)
    trials[name] = model.fit(batches, epochs=trial_epochs, shuffle=False, verbose=0).history
    print(f"{name:8}: {model.count_params():,} parameters, training loss", end=" ")
    print(*(f"{loss:.2f}" for loss in trials[name]["loss"]))

# %% [markdown]
# Both curves, and how long the slopes were before they were cut to 1:

# %%
figure, (left, right) = plots.pair("Training loss", "Mean length of the slopes", "epoch")
epochs = range(1, trial_epochs + 1)
for (name, run), style in zip(trials.items(), ("o--", "o-")):
    left.plot(epochs, run["loss"], style, label=name, markersize=3)
    right.plot(epochs, run["slope_norm"], style, label=name, markersize=3)
for drawing in (left, right):
    drawing.set_xticks(epochs)
left.legend()
ends = ", ".join(f"{name} {run['loss'][-1]:.2f}" for name, run in trials.items())
lengths = ", ".join(f"{name} {run['slope_norm'][0]:.2f}" for name, run in trials.items())
depth = 6 * blocks_per_stage + 2
plots.show(figure, f"{depth} layers. Training loss at the end: {ends}. Slopes at first: {lengths}")
lower = min(trials, key=lambda name: trials[name]["loss"][-1])
print(f"{depth} layers. Training loss at the end: {ends}; lower: {lower}")
print(f"length of the slopes in the first epoch: {lengths}")

# %% [markdown]
# One run each on few images shows a tendency at most. Lesson 03 compares several depths, where the
# difference grows with the number of layers, and explains where the long slopes come from.
#
# ## 7 · The test, once
#
# All choices are made. ResNet-20 of section 5 answers for the test images.

# %%
x_test, y_test = images.x_test[:, ::every, ::every], images.y_test
logits = resnet20.predict(x_test, batch_size=100, verbose=0)
probabilities = tf.nn.softmax(logits).numpy()
answers = probabilities.argmax(axis=1)
report("resnet_tensorflow.test_accuracy", np.mean(answers == y_test), data=images)

# %% [markdown]
# In the cpu profile lesson 03 trains for eight epochs, with weight decay and label smoothing. The network
# is the same, as you will see below; the training is shorter.
#
# `predict` runs the model in evaluation mode, with the running averages. Which classes does it confuse,
# and where is it most sure and wrong?

# %%
confusion = np.zeros((len(class_names), len(class_names)), dtype=int)
np.add.at(confusion, (y_test, answers), 1)
mistakes = confusion - np.diag(np.diag(confusion))
truth, answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
print(f"{mistakes.sum()} mistakes among {len(y_test):,}; most often ", end="")
print(f"“{class_names[truth]}” is called “{class_names[answer]}” ({mistakes.max()} times)")

sureness = probabilities.max(axis=1)
wrong = np.flatnonzero(answers != y_test)
wrong = wrong[np.argsort(-sureness[wrong])][:16]
captions = [
    f"{class_names[y_test[i]]}\n→ {class_names[answers[i]]}\n{sureness[i]:.0%}" for i in wrong
]
plots.images(images.x_test[wrong], "The most confident mistakes", captions, columns=8)

# %% [markdown]
# ### Is it the same network?
#
# A test of the course gives this network and that of lesson 03 the same weights and the same images, in
# two processes, and compares: logits and loss agree to four digits. So what differs between the two
# lessons is how the weights start, the order of the images, and the recipe.
#
# Here we compare with the course's own `resnet20`, as far as one framework can.

# %%
library = resnet.resnet20(len(class_names))
mine = network(residual_block, 3, 32)
library.set_weights(mine.get_weights())
some = images.x_train[:8].astype("float32")
standardise = next(layer for layer in mine.layers if isinstance(layer, keras.layers.Normalization))
gap = np.abs(mine(some) - library(standardise(some))).max()
print(f"largest difference from the course's ResNet-20: {gap:.1g}")
assert gap < 1e-3

# %% [markdown]
# ## Recap
#
# 1. A dataset is a recipe. Shuffle before you batch, with a large buffer; cache before what is random,
#    never after it.
# 2. The same word can mean something else: `padding="same"` with stride 2 stands one pixel further, and
#    Keras's `momentum` is the share of the old value.
# 3. In the functional style a block is a function, and a shortcut that is never added is not in the plan.
#    Keras also counts running averages as parameters.
# 4. Callbacks keep the best weights and survive a crash. A fused batch norm computes the same in less
#    time. Frozen batch norm stands still in Keras.
# 5. A step of your own can measure and change the slopes; clipping keeps their direction.

# %% [markdown]
# ## What to try next
#
# Change one thing, guess the direction first, and judge on the *validation* accuracy.
#
# - **The colleague's pipeline** in section 5: `suspect_batches` in place of yours. Expect a lower training
#   loss, since the network sees the same pictures again, and with many epochs a lower validation accuracy.
# - **`padding="same"`** in a copy of `conv_norm`. Expect hardly a difference in accuracy: the network
#   learns around it. It matters when weights come from another framework.
# - **Three epochs** in section 5. On our machine the cpu profile then reached 0.85.
# - **A limit of 0.1** in section 6, `ClippedModel.longest = 0.1`. Expect slower learning, as nearly every
#   step is shortened.

# %% [markdown]
# ## References
#
# - K. He, X. Zhang, S. Ren, J. Sun (2015), *Deep residual learning for image recognition*.
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - R. Pascanu, T. Mikolov, Y. Bengio (2013), *On the difficulty of training recurrent neural networks*,
#   where clipping by the length of the slopes comes from.
#   [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
# - TensorFlow, *Better performance with the tf.data API*.
#   [tensorflow.org](https://www.tensorflow.org/guide/data_performance)
# - Keras, *The functional API*. [keras.io](https://keras.io/guides/functional_api/)
# - Keras, *Transfer learning and fine-tuning*, on frozen batch norm.
#   [keras.io](https://keras.io/guides/transfer_learning/)
