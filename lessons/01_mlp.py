# %% [markdown]
# # 01 · A network that reads digits
#
# {{badges}}
#
# Nobody can write down the rules by which we tell a 4 from a 9. In this lesson a program finds such
# rules by itself, from examples. You build it from the smallest part upwards: a neuron, a layer, a
# loss, the slope of the loss. First by hand in NumPy, where nothing is hidden, then in PyTorch,
# which does the same and more.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. compute what a network of dense layers says about an image, and say the shape of every step;
# 2. turn its scores into probabilities and a loss that do not overflow;
# 3. find the slope of the loss for every weight by back-propagation, and *check* that it is right;
# 4. write a network and a training step in PyTorch, and say what each line of the loop is for;
# 5. judge the result: on data the network has never seen, by a number and by its mistakes.
#
# **Before this**: lesson 00 (arrays, shapes, how exercises work) and the idea of a derivative as a
# slope. The lesson is long: plan two sittings, with a break at the end of section 5.

# %% [markdown]
# ## 1 · The data and the goal
#
# The next cell loads what we need. Each exercise below is checked as soon as you run its cell. You
# may skip any of them: the course's own answer then stands in, and the rest still works.

# %%
import math
from itertools import pairwise
from time import perf_counter

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course import data, hardware, plots
from course.exercises import exercise
from course.results import report

seed = hardware.seed_everything()
device = hardware.device()
print(hardware.describe())

# %% [markdown]
# Our data set is MNIST, as in lesson 00: scanned digits, 28 × 28 pixels of grey, written around 1990
# by staff of the American Census Bureau and by high-school students.

# %%
digits = data.mnist()
plots.images(digits.x_train[:20], "Twenty training digits", captions=digits.y_train[:20])

# %% [markdown]
# Some are easy, some are not. A network of the kind that we build today takes a plain list of
# numbers, so each image becomes one row of 28 · 28 = 784 values between 0 and 1. We use `float64`
# here: section 5 measures very small differences, for which `float32` has too few digits.


# %%
def as_rows(images):
    """uint8 [N, 28, 28] → float64 [N, 784] between 0 and 1."""
    return images.reshape(len(images), -1) / 255


x_all, y_all = as_rows(digits.x_train), digits.y_train.astype(np.int64)
print("images", digits.x_train.shape, "→ rows", x_all.shape, "and labels", y_all.shape)

# %% [markdown]
# Every choice in this lesson (how long to train, how fast) is made on a **validation set**: images
# that we hold back and never train on. The **test set** stays closed until section 8. If we
# chose by looking at it, its number would be too good to be true.

# %%
rng = np.random.default_rng(seed)
order = rng.permutation(len(x_all))
held_back = len(x_all) // 10
x_val, y_val = x_all[order[:held_back]], y_all[order[:held_back]]
x_train, y_train = x_all[order[held_back:]], y_all[order[held_back:]]

most_common = np.bincount(y_train).max() / len(y_train)
print(f"{len(x_train):,} images to train on, {len(x_val):,} to validate")
print(f"always answering with the most common digit would be right {most_common:.1%} of the time")

# %% [markdown]
# That last figure is our first opponent. The second one is lesson 00's nearest average image, right
# about eight times in ten. Section 8 comes back to both.

# %% [markdown]
# ## 2 · Neurons and layers
#
# A **neuron** is a weighted sum: each input $x_d$ is multiplied with a weight $w_d$, everything is
# added up, and a bias $b$ is added:
#
# $$z = w_1 x_1 + w_2 x_2 + \dots + w_D x_D + b$$
#
# A large positive weight says "this input speaks for me", a negative one "against me". The bias says
# how eager the neuron is before it has seen anything.

# %%
inputs = np.array([0.0, 1.0, 0.5])
weights_of_one = np.array([2.0, -1.0, 4.0])
bias_of_one = 0.5
z = 0.0
for x_d, w_d in zip(inputs, weights_of_one):
    z += w_d * x_d
print("by hand:", z + bias_of_one, "  with NumPy:", inputs @ weights_of_one + bias_of_one)

# %% [markdown]
# Both give 1.5: `@` multiplies and adds up in one go.
#
# A **layer** is many neurons that look at the same inputs (a *dense* layer: every input is joined to
# every neuron). Their weights stand side by side as the columns of a matrix. We name the axes once:
# **B** images in a batch, **D** inputs, **H** neurons.
#
# | | shape |
# |---|---|
# | inputs `x` | [B, D] |
# | weights | [D, H] |
# | bias | [H] |
# | result | [B, H] |


# %%
@exercise("mlp.layer")
def layer(x, weights, bias):
    """The weighted sums of all neurons for all images of a batch.

    x: [B, D], weights: [D, H], bias: [H] → [B, H].
    """
    raise NotImplementedError


# %% [markdown]
# One call now serves a whole batch, without any loop:

# %%
some_weights = rng.normal(0, 0.05, (784, 5))
print("five neurons, three images →", layer(x_train[:3], some_weights, np.zeros(5)).shape)

# %% [markdown]
# ### Why layers alone are not enough
#
# **Predict, then run.** Two layers in a row, each only weighted sums. Can they do anything that a
# single layer cannot?

# %%
w1, b1 = rng.normal(size=(4, 6)), rng.normal(size=6)
w2, b2 = rng.normal(size=(6, 3)), rng.normal(size=3)
x_small = rng.normal(size=(2, 4))
two_layers = layer(layer(x_small, w1, b1), w2, b2)
one_layer = layer(x_small, w1 @ w2, b1 @ w2 + b2)
print(f"largest difference: {np.abs(two_layers - one_layer).max():.1e}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# `e-15` means 15 places behind the decimal point: only rounding is left, the results are equal. And
# they must be: $(x W_1 + b_1) W_2 + b_2 = x (W_1 W_2) + (b_1 W_2 + b_2)$. The two matrices become a
# single one, and a hundred such layers are still one layer. Something that is not a weighted sum has
# to stand between them.
# </details>

# %%
# The course checks here what the text above says.
assert np.allclose(two_layers, one_layer)

# %% [markdown]
# That something is an **activation function**, applied to every number on its own. For a long time
# it was the *sigmoid*, $1 / (1 + e^{-z})$, which squeezes any number into 0…1. Many networks today
# use a simpler one, **ReLU** (rectified linear unit): keep positive numbers, replace negative ones
# by 0. The results, layer by layer, are called the **activations**; layers between the input and the
# last layer are **hidden** layers.


# %%
@exercise("mlp.relu")
def relu(z):
    """Rectified linear unit: z of any shape → same shape, negatives replaced by 0."""
    raise NotImplementedError


# %% [markdown]
# Here are both, and on the right their slopes: how much the result changes when z grows a little.
# Section 5 will show why slopes matter. A network learns from the slope of its error, and on the way
# through the layers that slope is multiplied, at every layer, with the slope of the activation.

# %%
grid = np.linspace(-5, 5, 201)
sigmoid = 1 / (1 + np.exp(-grid))
figure, (left, right) = plots.pair("Activation", "Slope of the activation", "z")
left.plot(grid, sigmoid, label="sigmoid")
left.plot(grid, relu(grid), "--", label="ReLU")
right.plot(grid, sigmoid * (1 - sigmoid), label="sigmoid")
right.plot(grid, grid > 0, "--", label="ReLU")
left.legend()
right.legend()
plots.show(figure, "Sigmoid rises from 0 to 1, its slope is at most 0.25; ReLU's slope is 0 or 1")

# %% [markdown]
# **Predict, then run.** Ten layers with sigmoids mean ten such factors (there are also weights, which
# we leave out here). How large can the product of the ten factors be, in the *best* case?

# %%
best_sigmoid_slope = (sigmoid * (1 - sigmoid)).max()
print(f"steepest point of the sigmoid: {best_sigmoid_slope}")
print(f"after ten layers: {best_sigmoid_slope**10:.1e};  ReLU where it is active: {1.0**10}")

# %% [markdown]
# <details><summary>Why does that matter?</summary>
#
# The sigmoids alone leave a millionth of the slope at most, so the first layers hardly learn. This is
# called the *vanishing gradient*. ReLU's factor is 1 where its input is positive: the slope passes
# whole. Where the input is negative the factor is 0, and nothing passes; section 5 shows what goes
# wrong when that is forgotten.
# </details>

# %%
# The course checks here what the text above says.
assert best_sigmoid_slope == 0.25

# %% [markdown]
# ## 3 · From scores to probabilities to a loss
#
# The last layer has one neuron for each class: **K** = 10 scores, called **logits**. They can be any
# numbers. *Softmax* turns them into probabilities: take the exponential of each, so that all are
# positive, and divide by their sum, so that they add up to 1:
#
# $$p_k = \frac{e^{z_k}}{e^{z_1} + \dots + e^{z_K}}$$


# %%
def naive_softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


print(naive_softmax(np.array([[2.0, 1.0, -1.0]])).round(3))

# %% [markdown]
# The formula, word for word, and the result looks right: three probabilities, the largest logit
# first. Now the same three logits, each of them 1000 larger. Nothing about their differences has
# changed.

# %%
with np.errstate(all="ignore"):
    print(naive_softmax(np.array([[1002.0, 1001.0, 999.0]])))

# %% [markdown]
# `nan` means *not a number*. $e^{1002}$ is larger than any number that a computer stores as a float,
# so it becomes infinite, and infinite divided by infinite is not a number. One such value in training,
# and soon every weight of the network is `nan`.
#
# **Bug hunt.** Mend the function. It must give the same probabilities as the formula, for logits of
# any size.


# %%
@exercise("mlp.softmax")
def softmax(logits):
    """Probabilities over the classes: [B, K] → [B, K], each row adds up to 1."""
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


# %%
print(softmax(np.array([[2.0, 1.0, -1.0], [1002.0, 1001.0, 999.0]])).round(3))
logits = rng.normal(0, 100, (5, 10))
from_torch = torch.softmax(torch.tensor(logits), dim=1).numpy()
assert np.allclose(softmax(logits), from_torch)

# %% [markdown]
# Both rows are now equal, and PyTorch's `softmax` agrees: it uses the same trick.
#
# ### How wrong is a guess?
#
# Training needs one number that says how badly the network did. We look at the probability $p$ that
# it gave to the *right* class and take $-\log p$: 0 if it was certain and right, large if it was
# certain and wrong. The mean over the batch is the **cross-entropy**.

# %%
figure, drawing = plots.axes(
    "The loss of one image", "probability given to the right class", "−log p"
)
p = np.linspace(0.005, 1, 300)
drawing.plot(p, -np.log(p))
plots.show(figure, "The curve −log p: 0 at p = 1, 0.7 at p = 0.5, rising steeply towards p = 0")

# %% [markdown]
# Write it so that it also survives very large logits. There, a probability can be so small that the
# computer rounds it to 0, and $\log 0$ is infinite. So do not compute $p$ first: use
# $\log(a / b) = \log a - \log b$ on the formula of softmax, after subtracting the largest logit of
# each row. (`log` is the natural logarithm, `np.log`.)


# %%
@exercise("mlp.cross_entropy")
def cross_entropy(logits, targets):
    """The mean over the batch of −log(probability of the right class).

    logits: [B, K], targets: [B] with the number of the right class → one number.
    """
    raise NotImplementedError


# %% [markdown]
# **Predict, then run.** A network that knows nothing gives each of the ten digits the same
# probability. What is its loss?

# %%
knows_nothing = np.zeros((len(y_val), 10))
print(f"loss {cross_entropy(knows_nothing, y_val):.4f}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# $p = 1/10$ for every image, and $-\log(1/10) = \log 10 \approx 2.30$. Remember this number: a
# network with ten classes whose loss stays at 2.30 has learned nothing.
# </details>

# %%
# The course checks here what the text above says.
assert np.isclose(cross_entropy(knows_nothing, y_val), np.log(10))

# %% [markdown]
# ## 4 · Forward: a whole network
#
# A network is a list of layers, each a pair (weights, bias). The first layer reads the image; every
# later layer reads **the activations of the layer before it**. After each layer comes a ReLU, except
# after the last, whose sums are the logits.


# %%
def init_layers(sizes, rng):
    """Random layers: [784, 64, 10] gives a layer 784 → 64 and a layer 64 → 10."""
    return [
        (rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)), np.zeros(outputs))
        for inputs, outputs in pairwise(sizes)
    ]


layers = init_layers([784, 64, 32, 10], rng)
for weights, bias in layers:
    print("weights", weights.shape, " bias", bias.shape)

# %% [markdown]
# The weights start at random, with a standard deviation of $\sqrt{2 / D}$. Kaiming He and colleagues
# showed in 2015 that with this choice the numbers neither fade nor explode on their way through many
# ReLU layers.
#
# We will need what every layer computed again on the way back, so `forward` keeps it all.


# %%
@exercise("mlp.forward")
def forward(x, layers):
    """Everything that the network computes for a batch.

    x: [B, D]; layers: a list of (weights, bias).
    Returns the list [x, activations of layer 1, …, logits]: one element more than there are layers.
    Use `layer` and `relu` from above.
    """
    raise NotImplementedError


# %%
activations = forward(x_val, layers)
print(" → ".join(str(a.shape) for a in activations))
untrained = (activations[-1].argmax(axis=1) == y_val).mean()
print(f"loss {cross_entropy(activations[-1], y_val):.2f}, accuracy {untrained:.1%}")

# %% [markdown]
# `argmax` picks the class with the highest logit: the network's answer. Untrained, it is about as
# good as guessing, and its loss lies at or above 2.30.

# %% [markdown]
# ## 5 · Backward: which way is down?
#
# Each weight has a **slope**: how much the loss changes when this weight grows a little. To learn,
# move every weight a small step *against* its slope. All slopes together are called the **gradient**,
# and this way of learning **gradient descent**.
#
# One way to get a slope is to measure it: nudge the weight up, nudge it down, compare the two losses.


# %%
def measured_slope(loss, array, place, step=1e-6):
    """How much loss() changes for each unit by which array[place] grows, measured."""
    value = array[place]
    array[place] = value + step
    above = loss()
    array[place] = value - step
    below = loss()
    array[place] = value
    return (above - below) / (2 * step)


some, some_targets = x_train[:8], y_train[:8]
weights = layers[0][0]
slope = measured_slope(
    lambda: cross_entropy(forward(some, layers)[-1], some_targets), weights, (300, 0)
)
print(f"slope of one weight: {slope:.6f}")
print(f"weights and biases of this small network: {sum(w.size + b.size for w, b in layers):,}")

# %% [markdown]
# This is easy to trust and hopelessly slow: two passes through the network for *one* weight, and
# there are more than fifty thousand. **Back-propagation** finds all slopes in one pass, from the
# loss back to the input. The measured slope, a *finite difference*, remains useful: as a judge.
#
# ### Slopes multiply
#
# For small changes: if the loss changes by 3 per unit of z, and z by 2 per unit of a weight, then the
# loss changes by 3 · 2 = 6 per unit of that weight. This is the **chain rule**. Where a number acts on
# the loss along several ways, the slopes of these ways are added. Back-propagation needs nothing else:
# start at the loss, and go back step by step.

# %% [markdown]
# ### The first step back: the logits
#
# For softmax with cross-entropy the slope has a very short form. At the right class it is
# *probability − 1*, at every other class *probability*. Divide by B, because the loss is a mean.
#
# <details><summary>Where does that come from?</summary>
#
# For one image the loss is $\log(e^{z_1} + \dots + e^{z_K}) - z_{right}$. The slope of the first part
# for $z_k$ is $e^{z_k} / (e^{z_1} + \dots + e^{z_K}) = p_k$. The second part adds −1 at the right class.
# </details>


# %%
@exercise("mlp.logits_gradient")
def logits_gradient(logits, targets):
    """Slope of the mean cross-entropy for each logit: [B, K], targets [B] → [B, K]."""
    raise NotImplementedError


# %%
small_logits, small_targets = rng.normal(size=(3, 4)), np.array([0, 3, 1])
measured = np.zeros((3, 4))
for place in np.ndindex(3, 4):
    measured[place] = measured_slope(
        lambda: cross_entropy(small_logits, small_targets), small_logits, place
    )
print(measured.round(4))
assert np.allclose(logits_gradient(small_logits, small_targets), measured, atol=1e-8)

# %% [markdown]
# Your formula and the measured slopes agree. Read one row: exactly one number is negative, the right
# class, whose logit should grow. The row adds up to 0: what one class wins, the others lose.

# %% [markdown]
# ### Then layer by layer
#
# A neuron computes $z = x w + b$. When $w$ grows by 1, $z$ grows by $x$; when $x$ grows by 1, $z$ grows
# by $w$. So, by the chain rule: slope of $w$ = $x$ · slope of $z$, added up over the batch. For a whole
# layer, with `gradient` for the slopes of its results:
#
# - slopes of the weights: `inputs.T @ gradient`, shape [D, H];
# - slopes of the bias: the sum of `gradient` over the batch, shape [H];
# - slopes of the inputs: `gradient @ weights.T`, shape [B, D]; each input feeds every neuron, so `@`
#   adds up their slopes. The layer before goes on from there.
#
# (`.T` swaps rows and columns.)

# %% [markdown]
# Somebody has written this down. The shapes fit, nothing crashes. Before we trust it, we let the
# judge decide: for every layer, compare a few slopes with measured ones.


# %%
def suspect_backward(activations, layers, targets):
    gradient = logits_gradient(activations[-1], targets)
    gradients = []
    for (weights, _), inputs in zip(reversed(layers), reversed(activations[:-1])):
        gradients.append((inputs.T @ gradient, gradient.sum(axis=0)))
        gradient = gradient @ weights.T
    return gradients[::-1]  # they were collected from the last layer to the first


def judge(backward):
    """Largest error of 20 slopes in each layer, as a share of the slope itself."""
    gradients = backward(forward(some, layers), layers, some_targets)
    errors = []
    for (weights, _), (slopes, _) in zip(layers, gradients):
        busy = np.argwhere(np.abs(slopes) > 1e-4)[:20]
        for place in map(tuple, busy):
            true = measured_slope(
                lambda: cross_entropy(forward(some, layers)[-1], some_targets), weights, place
            )
            errors.append(abs(slopes[place] - true) / abs(slopes[place]))
    return np.array(errors).reshape(len(layers), -1).max(axis=1)


suspect_errors = judge(suspect_backward)
for number, error in enumerate(suspect_errors, 1):
    print(f"layer {number}: largest error, as a share of the slope, {error:.1e}")
assert suspect_errors[-1] < 1e-4 and suspect_errors[:-1].min() > 0.8

# %% [markdown]
# The last layer agrees to many digits. In the layers before it, some slopes are wrong by about their
# own size, or more. No shape is wrong and nothing crashes, which makes such a fault hard to notice.
#
# **Bug hunt.** On the way forward, something happened to the numbers *between* two layers. On the way
# back, the slopes must be multiplied with the slope of that something, and here they are not. Mend it.
# (We kept the activations and not the sums z. But an activation is positive exactly where its z was.)


# %%
@exercise("mlp.backward")
def backward(activations, layers, targets):
    """Slopes of the mean cross-entropy for all weights and biases.

    activations: what `forward` returned; targets: [B].
    Returns a list of (slopes of the weights, slopes of the bias), first layer first.
    """
    gradient = logits_gradient(activations[-1], targets)
    gradients = []
    for (weights, _), inputs in zip(reversed(layers), reversed(activations[:-1])):
        gradients.append((inputs.T @ gradient, gradient.sum(axis=0)))
        gradient = gradient @ weights.T
    return gradients[::-1]


# %%
errors = judge(backward)
for number, error in enumerate(errors, 1):
    print(f"layer {number}: largest error, as a share of the slope, {error:.1e}")
assert errors.max() < 1e-4

# %% [markdown]
# Every layer agrees with the measurement. PyTorch ships the same kind of test for people who write their own
# layers: [`torch.autograd.gradcheck`](https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html).
#
# ### Learning
#
# Now the whole of training fits in a few lines: take a batch, go forward, go backward, move each
# weight a small step against its slope. The size of the step is the **learning rate**. One pass over
# all training images is an **epoch**.


# %%
def train_by_hand(layers, num_epochs, learning_rate=0.2, batch_size=64):
    """Gradient descent in NumPy; changes the layers in place, returns the loss of each step."""
    losses = []
    for _ in range(num_epochs):
        order = rng.permutation(len(x_train))
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            activations = forward(x_train[batch], layers)
            losses.append(cross_entropy(activations[-1], y_train[batch]))
            gradients = backward(activations, layers, y_train[batch])
            for (weights, bias), (weight_slopes, bias_slopes) in zip(layers, gradients):
                weights -= learning_rate * weight_slopes
                bias -= learning_rate * bias_slopes
    return losses


def accuracy_by_hand(layers, x, y):
    return (forward(x, layers)[-1].argmax(axis=1) == y).mean()


# %%
trained = init_layers([784, 64, 10], rng)
losses = train_by_hand(trained, num_epochs=hardware.by_profile(smoke=2, cpu=5, gpu=2))
by_hand = accuracy_by_hand(trained, x_val, y_val)

figure, drawing = plots.axes("Learning by hand", "step", "loss of the batch")
drawing.plot(losses, linewidth=0.8)
drawing.axhline(np.log(10), linestyle=":", color="grey")
plots.show(
    figure,
    f"The loss falls from {losses[0]:.1f} to {np.mean(losses[-20:]):.2f} in {len(losses)} steps",
)
print(f"validation accuracy {by_hand:.1%}")
assert by_hand > 0.8

# %% [markdown]
# The dotted line is $\log 10$, the loss of knowing nothing. Within a few steps the network leaves it
# behind. No line of this program says anything about digits.
#
# **Predict, then run.** We started from random weights. What happens if all of them start at 0?

# %%
zero_layers = [(np.zeros_like(weights), np.zeros_like(bias)) for weights, bias in trained]
losses = train_by_hand(zero_layers, num_epochs=2)
from_zero = accuracy_by_hand(zero_layers, x_val, y_val)
print(f"loss at the end {np.mean(losses[-20:]):.2f}, validation accuracy {from_zero:.1%}")
moved = sum(np.count_nonzero(weights) for weights, _ in zero_layers)
print(f"weights that moved: {moved} of {sum(weights.size for weights, _ in zero_layers):,}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# With zero weights every hidden neuron gives 0. The slopes of the last weights are multiplied with
# those zeros, and the slopes of the first weights with the zero weights above them: all vanish. Only
# the last bias learns, namely how common each digit is. Even with equal weights that are not zero, all
# hidden neurons would get the same slopes and stay copies of each other. They have to start different,
# and chance makes them so.
# </details>

# %%
# The course checks here what the text above says.
assert np.mean(losses[-20:]) > 2.25 and from_zero < 0.2

# %% [markdown]
# ## 6 · The same in PyTorch
#
# PyTorch watches what you compute and works out the slopes itself: **autograd**.
# `requires_grad=True` asks it to watch a tensor; after `loss.backward()` the slopes stand in `.grad`.
# Let us see whether they are the same as those of your `backward`, on the trained network.

# %%
tensors = [tuple(torch.tensor(array, requires_grad=True) for array in pair) for pair in trained]
hidden = torch.relu(torch.tensor(some) @ tensors[0][0] + tensors[0][1])
logits = hidden @ tensors[1][0] + tensors[1][1]
functional.cross_entropy(logits, torch.tensor(some_targets)).backward()

my_gradients = backward(forward(some, trained), trained, some_targets)
for mine, theirs in zip(my_gradients, tensors):
    for my_slopes, tensor in zip(mine, theirs):
        assert np.allclose(my_slopes, tensor.grad.numpy(), rtol=0, atol=1e-12)
        print("slopes", my_slopes.shape, "equal")

# %% [markdown]
# Equal to twelve places. For this kind of network, you have written what `loss.backward()` does.
#
# ### A network as a class
#
# From here on PyTorch does the bookkeeping. A **class** is a plan for objects. `__init__` runs once,
# when an object is made; what it stores in `self.…` stays with the object. `super().__init__()` lets
# PyTorch prepare the object, so it comes first. Calling `model(x)` runs `forward(x)`. Here is the
# smallest network, one layer. `nn.Linear(784, 10)` is PyTorch's dense layer: it makes its own weights
# (stored as [10, 784]) and bias.


# %%
class OneLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(784, 10)

    def forward(self, x):
        return self.dense(x)


print(OneLayer()(torch.zeros(3, 784)).shape)

# %% [markdown]
# Weights and biases, the numbers that learn, are called **parameters**. PyTorch finds the parameters
# of layers that are stored in `self`. It does not look into a plain Python list; `nn.ModuleList([…])`
# is a list that it does look into. Like any list you index it, cut it with `[:-1]` or loop over it;
# you cannot call it. Inside `forward` use torch's own functions, such as `functional.relu`: PyTorch
# cannot follow slopes through NumPy.


# %%
@exercise("mlp.MLP")
class MLP(nn.Module):
    """Dense layers of the given sizes, ReLU after each of them but the last.

    MLP([784, 64, 10]) has a layer 784 → 64 and a layer 64 → 10.
    Input: [B, 784], output: logits [B, 10]. `pairwise(sizes)` gives (784, 64), (64, 10).
    """

    def __init__(self, sizes):
        super().__init__()
        raise NotImplementedError

    def forward(self, x):
        raise NotImplementedError


# %% [markdown]
# **Predict, then run.** How many numbers does `MLP([784, 512, 256, 10])` learn? Count weights and
# biases of its three layers before you run the cell.

# %%
model = MLP([784, 512, 256, 10])
for name, parameter in model.named_parameters():
    print(f"{name:20} {tuple(parameter.shape)!s:12} {parameter.numel():>8,}")
total = sum(parameter.numel() for parameter in model.parameters())
print(f"{total:,} in all")

# %% [markdown]
# <details><summary>Why so many?</summary>
#
# Three quarters sit in the first layer: each of its 512 neurons has a weight for every pixel. Lesson
# 03 shows how to look at images with far fewer.
# </details>

# %%
# The course checks here what the text above says.
assert total == 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10

# %% [markdown]
# An **optimizer** is the object that moves the parameters. Nearly every training step consists of the
# same five actions. Here they are, out of order: `loss.backward()` finds the slopes;
# `optimizer.step()` moves the parameters; `model(x)` computes the logits; `optimizer.zero_grad()`
# forgets the slopes of the step before, to which PyTorch would otherwise *add* the new ones;
# `loss_function(logits, y)` computes the loss.


# %%
@exercise("mlp.train_step")
def train_step(model, optimizer, loss_function, x, y):
    """One step of training on one batch: the five actions, in an order that works.

    Returns the loss as a plain number: `loss.item()`.
    """
    raise NotImplementedError


# %% [markdown]
# ## 7 · Training for real
#
# This run is better than the one by hand: a larger network, more epochs, and three choices, made on
# the validation set (you can repeat that; see *What to try next*):
#
# - **Adam**, an optimizer that adapts the step of each weight to the slopes it has seen;
# - a **schedule**: the learning rate grows at first, then falls almost to 0, so that the end is calm;
# - **label smoothing** of 0.1: a tenth of the probability that we ask for is shared among all ten
#   digits. The right digit should get 91%, each other digit 1%, so that the network is not pushed to
#   ever larger logits.


# %%
def to_device(x, y):
    return torch.tensor(x, dtype=torch.float32, device=device), torch.tensor(y, device=device)


def accuracy(model, x, y):
    """Share of right answers; x [N, 784] and y [N] on the model's device."""
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


# %% [markdown]
# `eval()` says that we are measuring, not training: some parts of later networks behave differently
# then. `no_grad()` saves the work of watching for slopes. And here is the loop, all of it:


# %%
def train(model, train_set, val_set, num_epochs, title="", batch_size=64, learning_rate=3e-3):
    x, y = train_set
    curves = plots.LiveCurves("training loss", "validation accuracy", title=title)
    optimizer = torch.optim.Adam(model.parameters())
    num_steps = num_epochs * math.ceil(len(x) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, num_steps)
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.1)
    for _ in range(num_epochs):
        model.train()  # the opposite of eval()
        losses = []
        # a new random order in every epoch, cut into batches
        for batch in torch.randperm(len(x), device=device).split(batch_size):
            losses.append(train_step(model, optimizer, loss_function, x[batch], y[batch]))
            schedule.step()  # the learning rate of the next step
        curves.add(np.mean(losses), accuracy(model, *val_set))


# %% [markdown]
# **Predict, then run.** With label smoothing, can the training loss reach 0?

# %%
train_set, val_set = to_device(x_train, y_train), to_device(x_val, y_val)
few = hardware.by_profile(smoke=3, cpu=12, gpu=15)
num_epochs = few if digits.variant == "sample" or device == "cuda" else few // 2
model = MLP([784, 512, 256, 10]).to(device)
start = perf_counter()
train(model, train_set, val_set, num_epochs)
print(f"{num_epochs} epochs in {perf_counter() - start:.1f} s")

# %% [markdown]
# <details><summary>What does the loss settle at, and why?</summary>
#
# The best possible answer gives 0.91 to the right class and 0.01 to the nine others. Its loss is
# $-0.91 \log 0.91 - 9 \cdot 0.01 \log 0.01 \approx 0.50$. A training loss close to 0.5 therefore
# means that the network gives nearly the best possible answer to most training images.
# </details>

# %%
target = np.array([0.91] + [0.01] * 9)
floor = -(target * np.log(target)).sum()
print(f"no network can bring this loss below {floor:.4f}")
assert abs(floor - 0.50) < 0.005

# %% [markdown]
# ## 8 · The test, once
#
# All choices are made. Now, and only now, we open the test set. The opponents were right 11% and
# about 80% of the time. The line below also says where the result should lie, as measured before on
# this kind of run.

# %%
x_test, y_test = to_device(as_rows(digits.x_test), digits.y_test.astype(np.int64))
test_accuracy = accuracy(model, x_test, y_test)
report("mlp.test_accuracy", test_accuracy, data=digits)

# %% [markdown]
# ### What does it get wrong?
#
# One number hides a lot. The confusion matrix counts, for every true digit, what the model answered.
# The diagonal is right; the coloured cells are the mistakes.
#
# **Predict, then run.** Which two digits will the network confuse most often?

# %%
with torch.no_grad():
    probabilities = torch.softmax(model(x_test), dim=1).cpu().numpy()
answers, truth = probabilities.argmax(axis=1), y_test.cpu().numpy()
confusion = np.zeros((10, 10), dtype=int)
np.add.at(confusion, (truth, answers), 1)

mistakes = confusion - np.diag(np.diag(confusion))
worst_truth, worst_answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
often = f"most often a {worst_truth} is read as a {worst_answer}"
plots.matrix(confusion, "Test digits", digits.classes, f"Confusion matrix of ten digits; {often}")
print(f"{mistakes.sum()} mistakes among {len(truth):,}; {often} ({mistakes.max()} times)")

# %% [markdown]
# Now the mistakes themselves: those in which the model was most sure of its wrong answer. Above each
# picture: the label → the model's answer, and the probability that it gave to it.

# %%
sureness = probabilities.max(axis=1)
wrong = np.flatnonzero(answers != truth)
wrong = wrong[np.argsort(-sureness[wrong])][:20]
captions = [f"{truth[i]} → {answers[i]}\n{sureness[i]:.0%}" for i in wrong]
print(f"median probability of an answer, right or wrong: {np.median(sureness):.2f}")
plots.images(digits.x_test[wrong], "The most confident mistakes", captions)

# %% [markdown]
# Look at them one by one. Which would you have read as the model did? Is there a label that you
# doubt? (The probabilities are lower than you may expect, since label smoothing asked for 91%.) What
# remains is work for lessons 02 and 03.
#
# ### What do the neurons look at?
#
# Each first-layer neuron has a weight for every pixel, so its weights are a picture too.

# %%
first_weights = next(model.parameters()).detach().cpu().numpy()
never_inked = (x_train == 0).all(axis=0)
size = np.abs(first_weights).mean(axis=0)
print(
    f"mean size of a weight: {size[never_inked].mean():.3f} where no training digit has ink, ",
    end="",
)
print(f"{size[~never_inked].mean():.3f} elsewhere")
assert size[never_inked].mean() < size[~never_inked].mean()

strongest = np.argsort(-np.abs(first_weights).sum(axis=1))[:20]
plots.images(
    first_weights[strongest].reshape(-1, 28, 28),
    "Weights of 20 neurons: ink in red counts for the neuron, in blue against it",
    signed=True,
)

# %% [markdown]
# Some patches and short strokes, much noise, all in the middle. Pixels at the border never have ink;
# their slopes are always 0, so their weights keep the small random values of the start.
#
# **Predict, then run.** Suppose that all images had their 784 pixels shuffled, every image in the
# same way. You could no longer read them. Could the network still learn?

# %%
shuffle = rng.permutation(784)
plots.images(
    x_train[:10, shuffle].reshape(-1, 28, 28), "The same digits, pixels shuffled", y_train[:10]
)
short = max(2, num_epochs // 4)
scores = []
for title, columns in (("as they are", np.arange(784)), ("shuffled", shuffle)):
    torch.manual_seed(seed)
    small = MLP([784, 128, 10]).to(device)
    sets = [(x[:, columns], y) for x, y in (train_set, val_set)]
    train(small, *sets, num_epochs=short, title=f"Pixels {title}")
    scores.append(accuracy(small, *sets[1]))
print(f"validation accuracy: {scores[0]:.1%} as they are, {scores[1]:.1%} shuffled")

# %% [markdown]
# <details><summary>Why?</summary>
#
# A dense layer gives every pixel a weight of its own and has no idea which pixels are neighbours.
# Shuffle the pixels, shuffle the weights in the same way, and every sum is the same. To *use* the
# fact that an image is an image, a network needs another kind of layer: the convolution of lesson 03.
# </details>

# %%
# The course checks here what the text above says.
assert abs(scores[0] - scores[1]) < 0.04

# %% [markdown]
# ## Recap
#
# 1. A network alternates weighted sums and activations; each layer reads the one before. For our last
#    network: [B, 784] → [B, 512] → [B, 256] → [B, 10].
# 2. Softmax and cross-entropy turn logits into a loss; subtracting the largest logit keeps them from
#    overflowing. Knowing nothing costs $\log K$.
# 3. Back-propagation is the chain rule, from the loss back to the first layer. It needs the slope of
#    the activation at every layer, and finite differences are its judge.
# 4. Training repeats five actions: forget, forward, loss, backward, step.
# 5. Choose on validation data, test once, then look at the mistakes.

# %% [markdown]
# ## What to try next
#
# Change one thing in section 7, guess the direction first, and judge on the *validation* accuracy.
#
# - **Fewer neurons**: `MLP([784, 32, 10])`. Expect a lower accuracy, and far fewer parameters.
# - **Learning rate** ten times larger, then ten times smaller. Expect both to be worse: the first
#   jumps about, the second has not arrived when the epochs are over.
# - **Label smoothing** 0. Expect a training loss near 0 and most often a slightly lower validation
#   accuracy. The difference is small, so run it with two or three seeds: change
#   `hardware.seed_everything(1)` in the cell of section 1 and run all cells again.

# %% [markdown]
# ## References
#
# - D. Rumelhart, G. Hinton, R. Williams (1986), *Learning representations by back-propagating errors*,
#   Nature 323. [doi:10.1038/323533a0](https://doi.org/10.1038/323533a0)
# - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), *Gradient-based learning applied to document
#   recognition*, the paper that introduced MNIST. [doi:10.1109/5.726791](https://doi.org/10.1109/5.726791)
# - K. He, X. Zhang, S. Ren, J. Sun (2015), *Delving deep into rectifiers*, the scale of the first
#   weights. [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
# - C. Szegedy and others (2016), *Rethinking the Inception architecture for computer vision*, label
#   smoothing. [arXiv:1512.00567](https://arxiv.org/abs/1512.00567)
# - D. Kingma, J. Ba (2015), *Adam: a method for stochastic optimization*.
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
