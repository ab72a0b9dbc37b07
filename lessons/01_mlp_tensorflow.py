# %% [markdown]
# # 01 · A network that reads digits, in TensorFlow
#
# {{badges}}
#
# The digits, the network and the question are those of lesson 01. The framework is another one:
# TensorFlow, with its library Keras. Much of what you will read and use is written in it. Keras lets
# you say in one line what took a loop before, and lets you open that line again, step by step, when
# you need to change what happens inside. This lesson opens it all the way.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. get slopes from TensorFlow's tape, and check one of them by measuring;
# 2. build a network in Keras, and say what `compile` and `fit` do with it;
# 3. find a common silent fault of Keras programs: a loss that misreads the model;
# 4. write a schedule, a layer and a training step of your own, and still use `fit`;
# 5. write the whole loop, compile it with `tf.function`, and say what that changes;
# 6. judge, save and load the result.
#
# **Before this**: lessons 00 and 01, or the same ideas from elsewhere: neuron, ReLU, softmax,
# cross-entropy, gradient descent. They are used here, not explained again.

# %% [markdown]
# ## 1 · The same data
#
# TensorFlow writes a long log while it loads; `quiet_tensorflow` keeps it from us. `keras` is the
# library of layers and models, `tf` the machinery below it.

# %%
import math
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from course import data, hardware, plots
from course.exercises import exercise
from course.results import report

with hardware.quiet_tensorflow():
    import keras
    import tensorflow as tf

seed = hardware.seed_everything()
print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
print(hardware.describe())

# %% [markdown]
# MNIST again: scanned digits of 28 × 28 grey pixels, each written as one row of 784 numbers. Keras
# computes in `float32` unless told otherwise, so we make that.

# %%
digits = data.mnist()


def as_rows(images):
    """uint8 [N, 28, 28] → float32 [N, 784] between 0 and 1."""
    return images.reshape(len(images), -1).astype("float32") / 255


x_all, y_all = as_rows(digits.x_train), digits.y_train.astype("int64")
print("images", digits.x_train.shape, "→ rows", x_all.shape, "and labels", y_all.shape)
plots.images(digits.x_train[:10], "Ten training digits", captions=digits.y_train[:10])

# %% [markdown]
# A tenth of the training images is held back as a **validation set**, on which choices are judged.
# With the same seed these are the same images as in lesson 01. The **test set** stays closed until
# section 8.

# %%
rng = np.random.default_rng(seed)
order = rng.permutation(len(x_all))
held_back = len(x_all) // 10
x_val, y_val = x_all[order[:held_back]], y_all[order[:held_back]]
x_train, y_train = x_all[order[held_back:]], y_all[order[held_back:]]
print(f"{len(x_train):,} images to train on, {len(x_val):,} to validate")

# %% [markdown]
# ## 2 · Tensors and the tape
#
# A **tensor** is TensorFlow's array. It cannot be changed once it is made. What has to change, such
# as a weight, is a `tf.Variable`: a place that holds a tensor and takes a new one with `assign`.

# %%
constant = tf.constant([1.0, 2.0, 3.0])
variable = tf.Variable(constant)
variable.assign_add([10.0, 10.0, 10.0])
print(constant)
print("the variable holds", variable.numpy())

# %% [markdown]
# To find slopes, TensorFlow has to know how a result was computed. A **gradient tape** records this:
# everything that is computed inside `with tf.GradientTape()`. Afterwards `tape.gradient(result, x)`
# plays it backwards, which is the back-propagation of lesson 01. (In PyTorch each tensor carries its
# own record, and `backward()` plays it.)

# %%
w = tf.Variable(3.0)
with tf.GradientTape() as tape:
    loss = w**2 + 4 * w
print("slope of w² + 4w at 3:", tape.gradient(loss, w).numpy(), "  by hand: 2 · 3 + 4 = 10")

# %% [markdown]
# **Predict, then run.** The same sum for a constant in place of a variable. What is its slope?

# %%
c = tf.constant(3.0)
with tf.GradientTape() as tape:
    loss = c**2 + 4 * c
slope_of_a_constant = tape.gradient(loss, c)
print(slope_of_a_constant)

# %% [markdown]
# <details><summary>Why?</summary>
#
# To record everything would cost much memory, so the tape follows *trainable* variables only (which
# they are unless you say otherwise). `tape.watch(c)` makes it follow a constant as well, from that
# line on. `None` means "I saw no way from here to there". There is no error, so remember it as a
# sign: something was computed outside the tape, or was never watched.
# </details>

# %%
# The course checks here what the text above says.
assert slope_of_a_constant is None

# %% [markdown]
# Now write it as a function that works for any tensor.


# %%
@exercise("mlp_tensorflow.slope")
def slope(function, x):
    """The slope of function(x) for each element of x.

    function: takes a tensor and returns one number, as a tensor of shape ().
    x: a tensor (not a variable) of any shape and float dtype → tensor of the same shape and dtype.
    """
    raise NotImplementedError


# %% [markdown]
# Trust, but measure. Here is the cross-entropy of one layer for eight digits. We compare one slope
# from the tape with a **finite difference**: nudge the weight up, nudge it down, compare the losses.

# %%
some, some_labels = tf.constant(x_train[:8], tf.float64), y_train[:8]
weights = tf.constant(rng.normal(0, 0.05, (784, 10)))  # NumPy makes float64


def loss_of(weights):
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(some_labels, some @ weights)
    return tf.reduce_mean(losses)


nudge = np.zeros((784, 10))
nudge[300, 4] = 1e-6
measured = (loss_of(weights + nudge) - loss_of(weights - nudge)) / 2e-6
taped = slope(loss_of, weights)
print("slopes", taped.shape, f"  one of them: tape {taped[300, 4]:.8f}, measured {measured:.8f}")
assert np.isclose(taped[300, 4], measured, rtol=1e-4, atol=1e-9)

# %% [markdown]
# Equal, and the tape found all 7,840 slopes at once. This cell used `float64`, because the difference
# of two nearly equal numbers needs many digits. TensorFlow does not mix two tensors of different
# dtypes, and `tf.cast(x, tf.float32)` changes the dtype of one. (A NumPy array, such as `nudge`,
# takes that of the tensor beside it where it can.)

# %% [markdown]
# ## 3 · A model
#
# `keras.Sequential` is a list of layers, run one after the other. `Dense(units)` is the layer of
# lesson 01: `inputs @ weights + bias`, with an activation if you name one.
#
# **Predict, then run.** We make a layer of 3 neurons and give it no data yet. How many arrays of
# weights does it have?

# %%
layer = keras.layers.Dense(3)
count_before = len(layer.weights)
layer(tf.zeros((2, 5)))  # two examples with five inputs each
print("before any data:", count_before, "  afterwards:", [w.shape for w in layer.weights])

# %% [markdown]
# <details><summary>Why?</summary>
#
# A layer that has not seen data does not know how many inputs there will be, so it cannot make its
# weights. Keras makes them when the first data comes: the layer is **built**. In a model,
# `keras.Input((784,))` says the shape of one example at the start (without the batch axis). Then
# everything is built at once.
#
# Note the shape: [inputs, neurons], as in our NumPy layer. PyTorch's `nn.Linear` keeps them the other
# way round.
# </details>

# %%
# The course checks here what the text above says.
assert count_before == 0 and layer.weights[0].shape == (5, 3)

# %% [markdown]
# So a model begins with `keras.Input((784,))`, inside the list that `keras.Sequential([…])` takes.
# (A shape is a tuple, and a tuple of one number needs its comma: `(784,)`.) `model.add(layer)` puts
# one more layer at the end and returns nothing. `Dense(64, activation="relu")` has a ReLU in it.


# %%
@exercise("mlp_tensorflow.build_mlp")
def build_mlp(sizes):
    """A Keras model of dense layers, with ReLU after each of them but the last.

    build_mlp([784, 64, 10]) has a layer 784 → 64 and a layer 64 → 10, built at once.
    Returns the model. Input: [B, 784], output: logits [B, 10].
    """
    raise NotImplementedError


# %%
model = build_mlp([784, 512, 256, 10])
model.summary()
assert model.count_params() == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10

# %% [markdown]
# `None` in a shape is the batch axis: any number of images. The parameters are the same 535,818 as
# in lesson 01. (The number in the model's name counts what was made before, also by the check.)
#
# A list cannot say everything. In Keras's **functional** style you call each layer on the result of
# another, which allows branches and detours (lesson 03 needs them). The calls compute nothing yet;
# they draw the plan.

# %%
inputs = keras.Input((784,))
hidden = keras.layers.Dense(64, activation="relu")(inputs)
outputs = keras.layers.Dense(10)(hidden)
functional = keras.Model(inputs, outputs)

sequential = build_mlp([784, 64, 10])
functional.set_weights(sequential.get_weights())
difference = np.abs(functional(x_val[:100]) - sequential(x_val[:100])).max()
print(functional(x_val[:100]).shape, f"  largest difference between the two styles: {difference}")
assert difference < 1e-5

# %% [markdown]
# Two ways to write one model. The last layer gives logits, so both leave softmax to the loss.
#
# ## 4 · compile and fit
#
# `compile` tells a model three things: which **optimizer** moves the weights, which **loss** to make
# small, which **metrics** to show. `fit` then runs the whole loop. A colleague has written this:


# %%
def suspect_compile(model, learning_rate):
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


suspect = suspect_compile(build_mlp([784, 64, 10]), 1e-3)
seen = suspect.fit(
    x_train, y_train, validation_data=(x_val, y_val), batch_size=64, epochs=2, verbose=0
)
suspect_accuracy = seen.history["val_accuracy"][-1]
print(f"loss in the last epoch {seen.history['loss'][-1]:.2f}")
print(f"validation accuracy {suspect_accuracy:.1%}")
assert seen.history["loss"][-1] > 1 and suspect_accuracy < 0.85

# %% [markdown]
# (*Sparse* means that labels are numbers, 0 to 9. Without *sparse*, Keras expects a row of ten for
# each label, as we shall use below.)
#
# No error, no warning. But the loss is still around 2 (2.30 is that of knowing nothing), and even the
# nearest average image of lesson 00 was right eight times in ten. Let us give the loss something
# simple: one image and three classes. The logits speak clearly for class 0, which is right.

# %%
clear = tf.constant([[4.0, 1.0, -2.0]])
by_name = keras.losses.sparse_categorical_crossentropy(tf.constant([0]), clear)
truth = -np.log(np.exp(4) / (np.exp(4) + np.exp(1) + np.exp(-2)))
print(f"−log p by the formula: {truth:.3f}   this loss: {by_name[0]:.3f}")
assert truth < 0.06 and np.isclose(by_name[0], np.log(2), atol=1e-4)

# %% [markdown]
# <details><summary>What does this loss do with the logits?</summary>
#
# It takes them for probabilities. It forces them into 0…1 (4 and 1 both become nearly 1, −2 becomes
# nearly 0), divides by their sum, and takes −log of the right one: $-\log(1/2) \approx 0.69$. A logit
# outside 0…1 can grow or fall without any change of the loss: its slope is 0, and nothing is learned
# from it.
# </details>

# %% [markdown]
# **Bug hunt.** Keras's losses expect probabilities unless they are told otherwise, and our model gives
# logits. Leave the model as it is, and mend what the loss is told: in place of a name, `compile` also
# takes an object made from a class in `keras.losses`, and such an object has settings.


# %%
@exercise("mlp_tensorflow.compile_for_digits")
def compile_for_digits(model, learning_rate):
    """Compile a model that gives logits [B, K], for labels [B] that are numbers; return it."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


# %%
mended = compile_for_digits(build_mlp([784, 64, 10]), 1e-3)
seen = mended.fit(
    x_train, y_train, validation_data=(x_val, y_val), batch_size=64, epochs=2, verbose=0
)
mended_accuracy = seen.history["val_accuracy"][-1]
print(f"validation accuracy {suspect_accuracy:.1%} before, {mended_accuracy:.1%} now")
assert mended_accuracy > max(0.85, suspect_accuracy + 0.05)

# %% [markdown]
# The same model, the same data, one argument. When a Keras model learns badly, look here first.
#
# ### A schedule
#
# Lesson 01 let the learning rate rise and then fall. In Keras a **schedule** is an object that gives
# the rate of each step. Ours is two straight lines: from 0 up to `peak` at 30% of all steps, then down
# to 0 at the end.

# %% [markdown]
# `step` is a whole number, so make a `float32` of it first: `tf.cast(step, tf.float32)`. And `fit`
# calls the schedule where the value of `step` is not known yet (section 7 shows why), so Python's
# `if` and `min` cannot decide. TensorFlow's functions can: `tf.minimum(a, b)` is the smaller of two.


# %%
@exercise("mlp_tensorflow.OneCycle")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises in a straight line from 0, at step 0, to `peak`, at 30% of
    `num_steps`, and then falls in a straight line to 0, at `num_steps`.
    """

    def __init__(self, peak, num_steps):
        self.peak = peak
        self.num_steps = num_steps

    def get_config(self):  # for saving
        return {"peak": self.peak, "num_steps": self.num_steps}

    def __call__(self, step):
        """The learning rate of a step: a whole number from 0 to num_steps - 1, as a tensor."""
        raise NotImplementedError


# %%
schedule = OneCycle(peak=3e-3, num_steps=1000)
rates = [float(schedule(tf.constant(step))) for step in range(1000)]
figure, drawing = plots.axes("One cycle of the learning rate", "step", "learning rate")
drawing.plot(rates)
plots.show(figure, "The rate rises from 0 to 0.003 at step 300, then falls to 0 at step 1000")
assert np.argmax(rates) == 300 and rates[-1] < 1e-5

# %% [markdown]
# ### Training for real
#
# Nearly the recipe of lesson 01: Adam, one cycle (here of straight lines, there of parts of a
# cosine), and **label smoothing** of 0.1, which asks for 91% on the right digit and 1% on each
# other. For that, each label has to be a row of ten numbers, 1 at the right digit and 0 elsewhere
# (*one-hot*), and the loss is the one without *sparse*.

# %%
one_hot = keras.utils.to_categorical(y_train, 10), keras.utils.to_categorical(y_val, 10)
smooth_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
print("label", y_train[0], "becomes", one_hot[0][0].astype(int))

# %% [markdown]
# `fit` can call you back while it works. A **callback** gets what was measured after every epoch; ours
# draws it. `validation_data` is measured at the same moments, and never trained on.

# %%
few = hardware.by_profile(smoke=3, cpu=12, gpu=15)
on_gpu = hardware.device() == "cuda"
num_epochs = few if digits.variant == "sample" or on_gpu else few // 2
num_steps = num_epochs * math.ceil(len(x_train) / 64)
curves = plots.LiveCurves("training loss", "validation accuracy")
model.compile(keras.optimizers.Adam(OneCycle(3e-3, num_steps)), smooth_loss, metrics=["accuracy"])
start = perf_counter()
model.fit(
    x_train,
    one_hot[0],
    validation_data=(x_val, one_hot[1]),
    batch_size=64,
    epochs=num_epochs,
    verbose=0,  # no text: the curves say it
    callbacks=[curves.keras_callback("loss", "val_accuracy")],
)
print(f"{num_epochs} epochs in {perf_counter() - start:.1f} s")
assert curves.values["training loss"][-1] > 0.5

# %% [markdown]
# With this smoothing no network can bring the loss below 0.50 (lesson 01 shows why). We keep this
# model for the test in section 8, and look inside Keras meanwhile.

# %% [markdown]
# ## 5 · A layer of your own
#
# A layer is a class with three methods. `__init__` stores the settings. `build` makes the weights, once
# Keras knows the shape of the inputs: `self.add_weight(shape=…, initializer=…)` returns a weight that
# Keras knows of, saves and trains. `call` computes. An **initializer** says what a weight starts as:
# `"glorot_uniform"` is random in a suitable range, `"zeros"` suits a bias.


# %%
@exercise("mlp_tensorflow.DenseLayer")
class DenseLayer(keras.layers.Layer):
    """A dense layer of `units` neurons, without an activation: [B, D] → [B, units]."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)  # settings that all layers have, such as a name
        raise NotImplementedError

    def build(self, input_shape):
        """input_shape: (B, D), the shape of the first inputs; B may be None."""
        raise NotImplementedError

    def call(self, inputs):
        raise NotImplementedError


# %%
mine, theirs = DenseLayer(5), keras.layers.Dense(5)
for layer in (mine, theirs):
    layer(x_val[:1])  # the first data builds it
theirs.set_weights(sorted(mine.get_weights(), key=np.ndim, reverse=True))
gap = np.abs(mine(x_val[:100]) - theirs(x_val[:100])).max()
print("weights", [w.shape for w in mine.weights], f"  difference from keras.layers.Dense: {gap}")
assert gap < 1e-5

# %% [markdown]
# Your layer gives what the library's gives, and fits wherever a layer fits. Here is a network of two
# of them, put together in the functional style.

# %%
inputs = keras.Input((784,))
hidden = keras.layers.ReLU()(DenseLayer(64)(inputs))
of_my_layers = keras.Model(inputs, DenseLayer(10)(hidden))
compile_for_digits(of_my_layers, 1e-3)
of_my_layers.fit(x_train, y_train, batch_size=64, epochs=1, verbose=0)
_, share = of_my_layers.evaluate(x_val, y_val, verbose=0)
print(f"{of_my_layers.count_params():,} parameters, validation accuracy {share:.1%}")
assert of_my_layers.count_params() == 784 * 64 + 64 + 64 * 10 + 10 and share > 0.8

# %% [markdown]
# `evaluate` returns the loss and the metrics. All 50,890 parameters were found, and they learn.

# %% [markdown]
# ## 6 · A training step of your own
#
# Inside `fit`, every batch goes through the model's `train_step`. Replace it, and everything around it
# (epochs, shuffling, callbacks) still works. This is how Keras trains a GAN, or a loss that needs more
# than labels and answers.
#
# The step also has to report: `model.metrics` are objects that collect over an epoch, the mean loss
# among them. This helper tells them about a batch and its size (the last one is often smaller):


# %%
def update_metrics(model, loss, y, logits):
    """Tell the model's metrics about one batch; return what they say so far in this epoch."""
    for metric in model.metrics:
        if metric.name == "loss":
            metric.update_state(loss, sample_weight=tf.shape(y)[0])
        else:
            metric.update_state(y, logits)
    return model.get_metrics_result()


# %% [markdown]
# Inside the class, `self` is the model. `self(x, training=True)` gives the logits: some layers behave
# differently in training, and the flag tells them. `self.compute_loss(y=y, y_pred=logits)` is the loss
# named in `compile`. `self.trainable_variables` lists the weights, and
# `self.optimizer.apply_gradients(…)` moves them, given pairs (slope, weight), as
# `zip(slopes, weights)` makes them.


# %%
@exercise("mlp_tensorflow.TapedModel")
class TapedModel(keras.Model):
    """A model whose training step is written by hand; `fit` calls it for every batch."""

    def train_step(self, data):
        """One step on one batch; returns what `update_metrics` gives.

        data: a pair (x, y) of tensors.
        """
        raise NotImplementedError


# %% [markdown]
# To make such a model, we use the functional style once more. There a whole model can be called like
# a layer, and your class stands in place of `keras.Model`.
#
# **Predict, then run.** Two models with the same weights, one with Keras's own step, one with yours.
# Both are trained on the same batches by plain gradient descent. How far apart are their weights
# after 20 steps?

# %%
plain = build_mlp([784, 64, 10])
inputs = keras.Input((784,))
taped_model = TapedModel(inputs, build_mlp([784, 64, 10])(inputs))
taped_model.set_weights(plain.get_weights())
start_weights, reported = plain.get_weights()[0], []
for one in (plain, taped_model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    one.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    logs = one.fit(x_train[:1250], y_train[:1250], batch_size=64, shuffle=False, verbose=0).history
    reported.append([logs["accuracy"][0], logs["loss"][0]])
    print(f"accuracy {logs['accuracy'][0]:.4f}, loss {logs['loss'][0]:.4f}")
moved = np.abs(plain.get_weights()[0] - start_weights).max()
apart = np.abs(plain.get_weights()[0] - taped_model.get_weights()[0]).max()
print(f"the weights moved by up to {moved:.3f} and are {apart:.1e} apart")

# %% [markdown]
# <details><summary>Why?</summary>
#
# They are equal, and so are loss and accuracy, although the last batch has only 34 images: what you
# wrote is what `fit` does when nobody replaces it. (On another machine a rounding of the last digit
# may differ.)
# </details>

# %%
# The course checks here what the text above says.
assert moved > 0.01 and apart < 1e-4 and np.allclose(*reported, rtol=1e-3)

# %% [markdown]
# ## 7 · The loop in full view
#
# The last thing to open is `fit` itself. Everything that is left fits in two functions.
#
# First the step. `@tf.function` above it asks TensorFlow to **compile** it: while Python runs the
# function, TensorFlow writes down a *graph* of all operations. Later calls run the graph, without
# Python.

# %%
loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def make_step(model, optimizer):
    """One training step, as a function of a batch (x, y) that returns the loss."""

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_function(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    return step


practice = build_mlp([784, 512, 256, 10])
eager_step = make_step(practice, keras.optimizers.Adam(1e-3))
compiled_step = tf.function(eager_step)  # the same as writing @tf.function above `def`

# %% [markdown]
# To run line by line, as Python does, is called **eager**. First a look at when Python still runs.
#
# **Predict, then run.** The function below notes each time that Python runs it. It is called three
# times with a tensor of two numbers, then once with a tensor of three. How many lines appear?

# %%
noted = []


@tf.function
def double(x):
    noted.append(f"Python is here, with a tensor of shape {x.shape}")
    return 2 * x


for values in ([1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [1.0, 2.0, 3.0]):
    result = double(tf.constant(values))
print(*noted, sep="\n")
print("the last result is right all the same:", result.numpy())

# %% [markdown]
# <details><summary>Why?</summary>
#
# Python runs only while TensorFlow writes the graph down, which is called **tracing** (it takes two
# runs where variables are made, as in an optimizer's first step). The second and third call find a
# graph for this shape and run it. A new shape, such as that of a smaller last batch, is traced again;
# so is a new dtype. Appending to a list or printing happens while tracing and then never again.
# </details>

# %%
# The course checks here what the text above says.
assert len(noted) == 2

# %% [markdown]
# And an `if` on a tensor? `tf.function` makes it a part of the graph. Keras switches this off for what
# it compiles itself, which is why the schedule of section 4 had to do without.
#
# **Predict, then run.** How much faster is a compiled step than an eager one: not at all, twice,
# five times? We take the middle one of 20 measurements for each.

# %%
batch = tf.constant(x_train[:64]), tf.constant(y_train[:64])
start = perf_counter()
compiled_step(*batch)
print(f"first call of the compiled step, with tracing: {1000 * (perf_counter() - start):.0f} ms")

times = {"eager": [], "compiled": []}
for _ in range(20):  # in turn, so that whatever else runs here slows both
    for name, step in (("eager", eager_step), ("compiled", compiled_step)):
        start = perf_counter()
        step(*batch).numpy()  # .numpy() waits for the result
        times[name].append(perf_counter() - start)
middle = {name: np.median(values) for name, values in times.items()}
for name in times:
    print(f"{name:8} {1000 * middle[name]:6.1f} ms a step")
print(f"compiled is {middle['eager'] / middle['compiled']:.1f} times as fast")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Most of an eager step is not arithmetic here: Python prepares many small operations, one after the
# other. The graph has them ready. Where the arithmetic takes most of the time, as in larger batches,
# the gain is smaller. The price is the first call, which pays for the tracing, and that print and
# debugger see only that one. While you look for a fault, leave `tf.function` away;
# `model.compile(…, run_eagerly=True)` does so inside `fit`.
# </details>

# %%
# The course checks here what the text above says.
assert middle["compiled"] < middle["eager"]

# %% [markdown]
# Now the loop, with a fresh model: to measure the time has trained the other one on a single batch.
# `tf.data.Dataset` cuts arrays into batches, in a new random order for every epoch.


# %%
def train(model, step, num_epochs):
    batches = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(len(x_train)).batch(64)
    curves = plots.LiveCurves("training loss", "validation accuracy", title="Our own loop")
    for _ in range(num_epochs):
        losses = [step(x, y) for x, y in batches]
        answers = tf.argmax(model(x_val), axis=1)
        curves.add(np.mean(losses), np.mean(answers == y_val))
    return curves.values["validation accuracy"][-1]


looped = build_mlp([784, 512, 256, 10])
looped_step = tf.function(make_step(looped, keras.optimizers.Adam(1e-3)))
looped_accuracy = train(looped, looped_step, hardware.by_profile(smoke=2, cpu=4, gpu=4))
print(f"validation accuracy {looped_accuracy:.1%}")
assert looped_accuracy > 0.9

# %% [markdown]
# Nothing is hidden any more: `fit` is such a loop with callbacks, and `train_step` is such a step, which
# `fit` compiles with `tf.function` (and where it can with XLA, which makes machine code of the graph).
# Use the highest of the three levels that lets you say what you want.

# %% [markdown]
# ## 8 · The test, once
#
# Back to the model of section 4. All choices are made, so we open the test set. The line below also
# says where the result should lie, as measured before on this kind of run.

# %%
x_test, y_test = as_rows(digits.x_test), digits.y_test.astype("int64")
probabilities = tf.nn.softmax(model.predict(x_test, batch_size=512, verbose=0)).numpy()
answers = probabilities.argmax(axis=1)
report("mlp_tensorflow.test_accuracy", np.mean(answers == y_test), data=digits)

# %% [markdown]
# Nearly the same recipe gives nearly what lesson 01 reached with PyTorch. On the course's sample, in
# the profile cpu, five seeds gave 96.6% ± 0.2 there and 96.7% ± 0.3 here (mean and standard
# deviation). That is no difference to choose a framework by.

# %% [markdown]
# ### What does it get wrong?
#
# We count the pairs of label and answer that differ, and look at the mistakes of which the model was
# most sure. Above each picture: the label → the answer, and its probability.

# %%
mistakes = np.zeros((10, 10), dtype=int)
np.add.at(mistakes, (y_test, answers), y_test != answers)
label, answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
print(f"{mistakes.sum()} of {len(y_test):,} are wrong; most often a {label} is read as a {answer}")

sureness = probabilities.max(axis=1)
wrong = np.flatnonzero(answers != y_test)
wrong = wrong[np.argsort(-sureness[wrong])][:20]
captions = [f"{y_test[i]} → {answers[i]}\n{sureness[i]:.0%}" for i in wrong]
plots.images(digits.x_test[wrong], "The most confident mistakes", captions)

# %% [markdown]
# ### How sure should it be?
#
# **Predict, then run.** The model of section 7 was trained without label smoothing. Is it more sure of
# its answers, or less?

# %%
looped_probabilities = tf.nn.softmax(looped(x_val)).numpy()
looped_sureness = looped_probabilities.max(axis=1)
val_sureness = tf.nn.softmax(model(x_val)).numpy().max(axis=1)
print("median probability that an answer got:")
print(
    f"{np.median(val_sureness):.3f} with label smoothing, {np.median(looped_sureness):.3f} without"
)
looped_wrong = looped_probabilities.argmax(axis=1) != y_val
mean_wrong = looped_sureness[looped_wrong].mean()
print(f"without, its {looped_wrong.sum()} wrong answers got {mean_wrong:.0%} on average")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Without smoothing the loss still falls when 99% becomes 99.9%, so training pushes on. With smoothing
# 91% is best, and more is punished. Neither number is an honest chance of being right by itself:
# a network that is wrong can be very sure of it.
# </details>

# %%
# The course checks here what the text above says.
assert np.median(looped_sureness) > np.median(val_sureness)

# %% [markdown]
# ## 9 · Save and load
#
# One file keeps a Keras model: the plan, the weights, and the state of the optimizer. It is a zip
# archive, with the plan as readable text.
#
# **Predict, then run.** We save the trained model, and that of section 5, made of your own layers. A
# colleague has the two files, and not your notebook. She only uses the models, so she loads them
# without optimizer and schedule: `compile=False`. Which of them can be loaded?


# %%
def loaded_gap(path, original, **more):
    """Load a model; the largest difference between its logits and the original's."""
    loaded = keras.models.load_model(path, compile=False, **more)
    return np.abs(loaded(x_val[:100]) - original(x_val[:100])).max()


with tempfile.TemporaryDirectory() as folder:
    trained_file, own_file = Path(folder) / "trained.keras", Path(folder) / "own.keras"
    model.save(trained_file)
    of_my_layers.save(own_file)
    print(f"trained: {trained_file.stat().st_size / 1e6:.1f} MB, ", end="")
    print(f"loaded, largest difference {loaded_gap(trained_file, model)}")
    refused = {}
    for path, more in ((own_file, {"compile": False}), (trained_file, {})):
        try:
            keras.models.load_model(path, **more)
        except TypeError as error:
            refused[path.stem] = str(error)
    print("own layers, refused:", refused["own"].partition("encountered: ")[2].partition(".")[0])
    gap = loaded_gap(own_file, of_my_layers, custom_objects={"DenseLayer": DenseLayer})
    print(f"own layers, loaded by someone who has the class: largest difference {gap}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# The file holds what a layer is *called*, its settings and its weights, not its code. Keras knows
# `Dense` and not your `DenseLayer`. Whoever has the class can pass it in `custom_objects`. Without
# `compile=False`, the trained model would be refused too: its optimizer needs your `OneCycle`.
#
# It is good that the file holds no code: one from a stranger should not run anything. Only a `Lambda`
# layer carries code, and is refused unless you pass `safe_mode=False`.
# </details>

# %%
# The course checks here what the text above says.
assert "DenseLayer" in refused["own"] and "OneCycle" in refused["trained"] and gap < 1e-5

# %% [markdown]
# ## Recap
#
# 1. The tape records what is computed inside `with`, for trainable variables and what you `watch`. A
#    slope of `None` means that it saw no way. A finite difference remains the judge.
# 2. `Sequential` is a list of layers, the functional style a plan. `compile` names optimizer, loss and
#    metrics; `fit` runs the loop.
# 3. A loss has to know what the model gives: logits need `from_logits=True`.
# 4. A schedule, a layer, a `train_step`: each is one class, and `fit` works with all of them.
# 5. `tf.function` traces Python for each new kind of input, then runs the graph.
# 6. The result is close to that of lesson 01. A `.keras` file holds plan, weights and the state of
#    the optimizer; no code, except in a `Lambda` layer, which is refused.

# %% [markdown]
# ## What to try next
#
# Guess the direction first, and judge on the *validation* accuracy.
#
# - **A rate ten times as high** in section 4, `OneCycle(3e-2, num_steps)`, then the same without a
#   schedule, `Adam(3e-2)`. Expect both to be worse, and the second one by far.
# - **A layer that behaves differently in training**: put `keras.layers.Dropout(0.3)` between the layers
#   (lesson 02). Expect a higher training loss at nearly the same validation accuracy. Then forget
#   `training=True` in `train_step`, and see the training loss fall again: the layer sleeps.
# - **Batches of 512** in section 7, with the step eager and compiled. Expect the two to come closer.

# %% [markdown]
# ## References
#
# - M. Abadi and others (2016), *TensorFlow: a system for large-scale machine learning*, OSDI.
#   [arXiv:1605.08695](https://arxiv.org/abs/1605.08695)
# - Keras, *Customizing what happens in fit() with TensorFlow*.
#   [keras.io](https://keras.io/guides/custom_train_step_in_tensorflow/)
# - TensorFlow, *Introduction to gradients and automatic differentiation*.
#   [tensorflow.org](https://www.tensorflow.org/guide/autodiff)
# - TensorFlow, *Better performance with tf.function*.
#   [tensorflow.org](https://www.tensorflow.org/guide/function)
# - L. Smith, N. Topin (2017), *Super-convergence: very fast training of neural networks using large
#   learning rates*, the one-cycle schedule. [arXiv:1708.07120](https://arxiv.org/abs/1708.07120)
# - X. Glorot, Y. Bengio (2010), *Understanding the difficulty of training deep feedforward neural
#   networks*, AISTATS: how Keras's dense layers start.
#   [proceedings.mlr.press/v9/glorot10a](https://proceedings.mlr.press/v9/glorot10a.html)
