# %% [markdown]
# # 03 · Deep networks for images
#
# {{badges}}
#
# The network of lesson 01 reads digits, and would read them just as well with all pixels shuffled: it
# does not know what an image is. In this lesson you build networks that do. Then you make them deeper,
# and something odd happens: with more layers they learn *worse*. The way out, found in 2015, is a
# single plus sign. It is in nearly every large model of today.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. compute a convolution by hand, and the size of what comes out of any stack of them;
# 2. write batch norm with its two ways of working, and say when which one is used;
# 3. change a whole batch of images at random without a loop, so that a network sees more variety;
# 4. show that a network has working shortcuts, and build one that does: ResNet-20;
# 5. measure what a shortcut is good for: in training curves, in slopes, on test images.
#
# **Before this**: lesson 01 (layers, slopes, the training loop, modules in PyTorch) and from lesson 02
# validation and augmentation. Plan two sittings, with a break at the end of section 4.

# %% [markdown]
# ## 1 · The data
#
# As always, every exercise may be skipped: the course's own answer then stands in.

# %%
import copy

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course import data, hardware, plots, training
from course.checkpoints import checkpoint_file
from course.exercises import exercise
from course.models import resnet
from course.results import report

seed = hardware.seed_everything()
device, profile = hardware.device(), hardware.profile()
print(hardware.describe())

# %% [markdown]
# This lesson was written for **CIFAR-10**: small colour photographs of animals and vehicles. Where they
# are not on your machine, pictures of clothes in the same form stand in (Fashion-MNIST). The first line
# below says which ones you have. Everything works with both.

# %%
images = data.cifar10()
class_names = images.classes
captions = [class_names[label] for label in images.y_train[:20]]
plots.images(images.x_train[:20], "Twenty training images", captions)
print("shape", images.x_train.shape, "dtype", images.x_train.dtype)

# %% [markdown]
# Each pixel now has three numbers, for red, green and blue. These are the **channels**. PyTorch wants
# them before the pixels, so the axes of a batch are, in the whole lesson:
#
# **B** images, **C** channels, **H** rows, **W** columns: [B, C, H, W].
#
# The images stay bytes, on the device; the network itself will turn them into numbers around 0. As
# `float32` they would take four times the memory.


# %%
step = hardware.by_profile(smoke=2, cpu=1, gpu=1)  # smoke: only every second row and column


def to_device(x, y):
    """uint8 [N, H, W, C] and labels [N] → uint8 [N, C, H, W] and int64 [N], on the device."""
    x = torch.tensor(x[:, ::step, ::step], device=device).permute(0, 3, 1, 2)
    return x, torch.tensor(y, dtype=torch.int64, device=device)


x_all, y_all = to_device(images.x_train, images.y_train)
print("images", tuple(x_all.shape), x_all.dtype, "and labels", tuple(y_all.shape))

# %% [markdown]
# A tenth of the training images is held back for validation, as in lesson 01. The test images wait for
# section 8.

# %%
order = torch.randperm(len(x_all), generator=torch.Generator().manual_seed(seed)).to(device)
held_back = len(order) // 10
used = hardware.by_profile(smoke=1000, cpu=None, gpu=None)  # None: all
x_val, y_val = x_all[order[:held_back]], y_all[order[:held_back]]
x_train, y_train = x_all[order[held_back:]][:used], y_all[order[held_back:]][:used]
mean = x_train.float().mean(dim=(0, 2, 3))  # one number for each channel
std = x_train.float().std(dim=(0, 2, 3))
print(f"{len(x_train):,} images to train on, {len(x_val):,} to validate")
print("mean of each channel:     ", mean.round().tolist())
print("standard deviation of each:", std.round().tolist())

# %% [markdown]
# ## 2 · Convolution: the same small filter everywhere
#
# A dense layer has a weight for every pixel, and learns anew in every corner what an edge looks like.
# A **convolution** has a small **filter**, such as 3 × 3 weights for each channel. It is laid on the
# image; weights and pixels that lie on each other are multiplied, everything is added up, and that is
# *one* number of the result. Then the filter moves on by one pixel.
#
# Each filter makes one channel of the result. With **F** filters of **K** × **K** weights:
#
# | | shape |
# |---|---|
# | image | [C, H, W] |
# | filters | [F, C, K, K] |
# | result | [F, H − K + 1, W − K + 1] |

# %% [markdown]
# By hand, with one channel and one filter of 2 × 2:
#
# $$\begin{bmatrix} 1 & 2 & 3 \\ 4 & 5 & 6 \\ 7 & 8 & 9 \end{bmatrix}, \quad
# \begin{bmatrix} 0 & 1 \\ 2 & 0 \end{bmatrix} \;\to\;
# \begin{bmatrix} 10 & 13 \\ 19 & 22 \end{bmatrix}$$
#
# Upper left: 0 · 1 + 1 · 2 + 2 · 4 + 0 · 5 = 10. One place to the right: 1 · 3 + 2 · 5 = 13.

# %% [markdown]
# Write it with loops, in NumPy. `patch * filters[f]` multiplies element by element. Where the filter
# would reach over the edge, there is no result.


# %%
@exercise("resnet.convolve")
def convolve(image, filters):
    """Lay every filter on every place of the image.

    image: [C, H, W], filters: [F, C, K, K] → [F, H - K + 1, W - K + 1].
    """
    raise NotImplementedError


# %% [markdown]
# PyTorch's `conv2d` does the same, for a whole batch. The loops show what it computes; it is far
# faster.

# %%
image = images.x_train[0].transpose(2, 0, 1) / 255  # [H, W, C] → [C, H, W]
some_filters = np.random.default_rng(seed).normal(size=(4, 3, 3, 3))
by_hand = convolve(image, some_filters)
by_torch = functional.conv2d(torch.tensor(image)[None], torch.tensor(some_filters))[0].numpy()
print(image.shape, "→", by_hand.shape)
print(f"largest difference: {np.abs(by_hand - by_torch).max():.0e}")
assert np.allclose(by_hand, by_torch, atol=1e-5)

# The course checks here what the text above says.
example = convolve(np.arange(1.0, 10).reshape(1, 3, 3), np.array([[[[0.0, 1.0], [2.0, 0.0]]]]))
assert example.tolist() == [[[10, 13], [19, 22]]]

# %% [markdown]
# What can nine weights see? This filter subtracts what lies left of a pixel from what lies right of it;
# its twin compares below with above.

# %%
left_right = np.array([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
two_filters = np.stack([left_right, left_right.T])[:, None].repeat(3, axis=1)  # [2, 3, 3, 3]
chosen = [np.flatnonzero(images.y_train == label)[0] for label in range(5)]
results = [convolve(images.x_train[i].transpose(2, 0, 1) / 255, two_filters) for i in chosen]
plots.images(images.x_train[chosen], "Five images", [class_names[k] for k in range(5)], columns=5)
edges = np.concatenate([[both[0] for both in results], [both[1] for both in results]])
filter_names = ["left, right"] * 5 + ["above, below"] * 5
captions = [f"{class_names[i % 5]}\n{filter_names[i]}" for i in range(10)]
plots.images(edges, "Their edges", captions, columns=5, signed=True)

# %% [markdown]
# Where the image is even, the result is 0 (white). Red: it is brighter to the right, or below; blue: to
# the left, or above. In a network nobody chooses the filters: they are weights and are learned, like
# all others.
#
# **Predict, then run.** A convolution with 16 filters of 3 × 3 on an image of 3 × 32 × 32 pixels: how
# many parameters has it? And a dense layer between the same numbers, [3, 32, 32] → [16, 30, 30]?

# %%
convolution = nn.Conv2d(3, 16, kernel_size=3)
in_convolution = sum(parameter.numel() for parameter in convolution.parameters())
numbers_in, numbers_out = 3 * 32 * 32, 16 * 30 * 30
print(f"convolution: {in_convolution:,}")
print(f"dense layer: {numbers_in * numbers_out + numbers_out:,}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Each filter has 3 · 3 · 3 = 27 weights and a bias: 16 · 28 = 448. They are the same at every place.
# The dense layer has a weight of its own from each of 3,072 numbers to each of 14,400.
# </details>

# %%
# The course checks here what the text above says.
assert in_convolution == 16 * (3 * 3 * 3 + 1) == 448

# %% [markdown]
# **Predict, then run.** Lesson 00 ended with a program that failed when digits moved by a few pixels.
# If the *image* moves to the right by 3 pixels, what happens to the result of a convolution?

# %%
moved = np.roll(image, 3, axis=2)  # to the right; what leaves there comes in on the left …
moved[:, :, :3] = 0  # … and is put to 0
result, result_of_moved = convolve(image, two_filters), convolve(moved, two_filters)
same = np.allclose(result_of_moved[:, :, 3:], result[:, :, :-3])
print("the result moved by 3 pixels as well, and did not change otherwise:", same)

# %% [markdown]
# <details><summary>Why?</summary>
#
# The filter is the same at every place, so it finds the same things three pixels further right. (Only
# at the left border, where new pixels came in, the result is new.) What one place has learned, all
# places know.
# </details>

# %%
# The course checks here what the text above says.
assert same

# %% [markdown]
# ### How large is the result?
#
# Two more numbers describe a convolution. **Padding** adds a border of zeros on every side before the
# filter comes. **Stride** is how far the filter moves in each step: with stride 2 it leaves out every
# second place. *Pooling* moves in the same way and takes, for instance, the largest of 2 × 2 numbers.
#
# Write the formula. A step that would reach over the border is not made.


# %%
@exercise("resnet.output_size")
def output_size(size, kernel, stride=1, padding=0):
    """How many places there are for a filter of `kernel` pixels along an axis of `size` pixels.

    0 or less where the filter, larger than the image with its border, has no place.
    """
    raise NotImplementedError


# %%
for size, kernel, stride, padding in ((32, 3, 1, 0), (32, 3, 1, 1), (32, 3, 2, 1), (32, 2, 2, 0)):
    layer = nn.Conv2d(3, 8, kernel, stride, padding)
    shape = tuple(layer(torch.zeros(1, 3, size, size)).shape)
    print(f"{layer}: 32 → {output_size(size, kernel, stride, padding)}, PyTorch gives {shape}")
    assert shape[2] == output_size(size, kernel, stride, padding)

# %% [markdown]
# Read the second and third line again; all our networks use them: 3 × 3 with padding 1 keeps the size,
# and with stride 2 it halves it.
#
# ### A network that uses up its image
#
# Here is a network as it could stand in an article: four stages of convolution, ReLU and pooling, each
# with more filters than the one before, then a dense layer.


# %%
def network_from_an_article(num_classes=10):
    layers, channels = [], 3
    for width in (16, 32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 2 * 2, num_classes))


try:
    network_from_an_article()(torch.zeros(1, 3, 32, 32))
    message = ""
except RuntimeError as error:
    message = str(error)
print(message)

# %% [markdown]
# **Predict, then run.** It cannot even look at one image. Which stage is the one that fails? Work it
# out with your formula before you run the cell.

# %%
size = 32
for stage in range(1, 5):
    after_convolution = output_size(size, kernel=3)
    after_pooling = output_size(after_convolution, kernel=2, stride=2)
    print(f"stage {stage}: {size} → convolution {after_convolution} → pooling {after_pooling}")
    size = after_pooling

# %% [markdown]
# <details><summary>Why?</summary>
#
# Each convolution without padding takes a pixel from every side, and each pooling halves. After three
# stages the image is 2 × 2, and a filter of 3 × 3 has no place on it: 0 pixels would be left. PyTorch
# says it in its way: *Kernel size can't be greater than actual input size*.
# </details>

# %%
# The course checks here what the text above says.
assert "Kernel size can't be greater than actual input size" in message and after_convolution == 0

# %% [markdown]
# **Bug hunt.** Mend the network so that the convolutions keep the size and only the pooling halves it.


# %%
@exercise("resnet.small_network")
def small_network(num_classes=10):
    """Four stages of convolution, ReLU and pooling, then a dense layer: [B, 3, 32, 32] → [B, K].

    Height and width after each stage: 16, 8, 4, 2.
    """
    layers, channels = [], 3
    for width in (16, 32, 64, 128):
        layers += [nn.Conv2d(channels, width, 3), nn.ReLU(), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 2 * 2, num_classes))


# %%
x = torch.zeros(1, 3, 32, 32)
for part in small_network():
    x = part(x)
    if isinstance(part, nn.MaxPool2d | nn.Linear):  # one of the two
        print(f"after {type(part).__name__}: {tuple(x.shape)}")
assert x.shape == (1, 10)

# %% [markdown]
# ## 3 · Batch norm: every layer gets numbers of a sensible size
#
# In a deep network each layer multiplies what the one before gave it. **Predict, then run.** Twenty
# convolutions with ReLU. The weights start as lesson 01 taught, but 30% too small. How large are the
# numbers at the end, compared with those at the start? (The input has a standard deviation of 1.)


# %%
def spread_after(num_layers, scale, make_norm=None):
    """The standard deviation after so many convolutions with ReLU; `scale` multiplies the weights."""
    torch.manual_seed(seed)
    x = torch.randn(8, 32, 8, 8)
    for _ in range(num_layers):
        weights = torch.randn(32, 32, 3, 3) * (2 / (32 * 3 * 3)) ** 0.5 * scale
        x = functional.conv2d(x, weights, padding=1)
        x = functional.relu(x if make_norm is None else make_norm(32)(x))
    return x.std().item()


without_norm = spread_after(20, scale=0.7)
print(f"standard deviation after 20 layers: {without_norm:.1e}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# Each layer makes the numbers smaller by the factor 0.7, and $0.7^{20}$ is less than a thousandth. (The
# zeros at the border make the numbers several times smaller still, on images as small as these.) With
# weights 30% too *large* they would explode. While a network learns, its weights move, so no choice at
# the start is safe for long.
# </details>

# %%
# The course checks here what the text above says.
assert 0.7**20 < 1e-3 and 3 < 0.7**20 / without_norm < 15 and spread_after(20, scale=1.3) > 1

# %% [markdown]
# **Batch norm** puts it right after every convolution. For each channel it takes mean $\mu$ and variance
# $\sigma^2$ over the batch and all pixels, and brings the numbers to mean 0 and variance 1. Then it
# multiplies by a weight $\gamma$ and adds a bias $\beta$, which are learned:
#
# $$y = \gamma \, \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$$
#
# The small number $\varepsilon$ keeps a channel that never changes from being divided by 0.
#
# There is a catch. When one single image is to be judged, there is no batch. So during training the
# module keeps **running averages** of mean and variance; in evaluation, after `model.eval()`, it uses
# these.

# %% [markdown]
# Write `forward`. What you need from PyTorch:
#
# - `self.training` is True in training and False after `eval()`;
# - `x.mean(dim=(0, 2, 3))` leaves one number for each channel, [C]; with `.view(1, -1, 1, 1)` they meet
#   [B, C, H, W];
# - a running average moves by the share `momentum` towards the new value:
#   `old + momentum * (new - old)`. Do that under `with torch.no_grad():`;
# - a variance divides by N or by N − 1: `x.var(dim=…, correction=0)` or `correction=1`. PyTorch takes
#   N for normalising the batch, and N − 1 for `running_var`.
#
# A **buffer** is a tensor that belongs to a module and is saved with it, but does not learn.


# %%
@exercise("resnet.BatchNorm")
class BatchNorm(nn.Module):
    """Normalises each channel: [B, C, H, W] → same shape. Works as `nn.BatchNorm2d` does."""

    def __init__(self, num_channels, momentum=0.1, eps=1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))
        self.register_buffer("running_mean", torch.zeros(num_channels))
        self.register_buffer("running_var", torch.ones(num_channels))

    def forward(self, x):
        raise NotImplementedError


# %%
mine, theirs = BatchNorm(5), nn.BatchNorm2d(5)
for _ in range(3):
    x = torch.randn(4, 5, 6, 6) * 3 + 7
    assert torch.allclose(mine(x), theirs(x), atol=1e-5)
mine.eval(), theirs.eval()
assert torch.allclose(mine(x), theirs(x), atol=1e-5)
print("three steps of training and one of evaluation: equal to nn.BatchNorm2d")
for scale in (0.1, 0.7, 10):
    with_norm = spread_after(20, scale, make_norm=BatchNorm)
    print(f"weights times {scale}: after 20 layers with batch norm {with_norm:.2f}")
    assert 0.4 < with_norm < 0.7

# %% [markdown]
# The twenty layers now keep their numbers at a sensible size, whether the weights are ten times too small
# or ten times too large.
#
# **Predict, then run.** Does the answer for an image depend on the *other* images of its batch?

# %%
norm = BatchNorm(3)
one_image = torch.randn(1, 3, 4, 4)
for mode in (True, False):
    norm.train(mode)
    results = []
    for _ in range(2):
        others = torch.randn(7, 3, 4, 4) * 2
        results.append(norm(torch.cat([one_image, others]))[0].detach())
    change = (results[0] - results[1]).abs().max()
    print("training:  " if mode else "evaluation:", f"largest change {change:.3f}")
    assert (change > 0.01) == mode

# %% [markdown]
# <details><summary>Why?</summary>
#
# In training, mean and variance are those of the whole batch, so its images influence each other. That
# is a little noise, and usually does little harm. In evaluation nothing of the batch is used. Whoever
# forgets `model.eval()` gets answers that depend on who else is asked about. And since an update needs
# the mean of many numbers, very small batches make batch norm unreliable.
# </details>

# %% [markdown]
# ## 4 · Augmentation: a new image in every epoch
#
# A coat moved by two pixels is still a coat, and a horse that looks left would also be a horse if it
# looked right. So we move and mirror the training images at random, differently in every epoch. Lesson
# 02 showed what that does against overfitting. (Digits must *not* be mirrored. Always ask whether the
# label stays true.)
#
# A loop over images would take longer than the network itself. So do it for the whole batch at once,
# by computing *which pixel goes where*. One array of row numbers and one of column numbers for each
# image is enough. Indexing with arrays picks them all:

# %%
small = torch.arange(24).reshape(2, 3, 4)  # two images, 3 rows, 4 columns
which = torch.tensor([0, 1])[:, None, None]  # [B, 1, 1]
rows = torch.tensor([[0, 1], [1, 2]])[:, :, None]  # [B, 2, 1]: two rows of each image
columns = torch.tensor([[3, 2, 1], [0, 1, 2]])[:, None, :]  # [B, 1, 3]: three columns of each
print(small)
print(small[which, rows, columns])  # [B, 2, 3]

# %% [markdown]
# Compare: from the first image, rows 0 and 1, columns from right to left, so it is mirrored. From the
# second image a window that begins one row lower.
#
# Where do such numbers come from? The rows of a window are its first row plus 0, 1, 2 … And columns
# read backwards mirror the image. `torch.where(a, b, c)` takes from b where a is True, else from c:

# %%
first_row = torch.tensor([[0], [1]])  # [B, 1]: one for each image
print("rows:", (first_row + torch.arange(2)).tolist())  # [B, 1] + [2] → [B, 2]
columns = torch.tensor([[0], [0]]) + torch.arange(3)
mirror = torch.tensor([[True], [False]])
print("columns:", torch.where(mirror, columns.flip(1), columns).tolist())  # .flip(1): backwards

# %% [markdown]
# In the exercise, draw these numbers. First add a border of `largest_shift` zeros with
# `functional.pad(images, (left, right, top, bottom))`. With the channel axis kept by `:` the index is
# `padded[which, :, rows, columns]`. Its result has the shape [B, H, W, C]: bring the channels back with
# `.permute(0, 3, 1, 2)`. `torch.randint(n, (B, 1))` draws whole numbers from 0 to n − 1.


# %%
@exercise("resnet.shift_and_mirror")
def shift_and_mirror(images, largest_shift):
    """Move every image at random and mirror half of them: [B, C, H, W] → same shape and dtype.

    Each image is moved up or down and left or right by up to `largest_shift` pixels, each move as
    likely as any other and drawn for itself; what comes in is 0. Half are then mirrored, left and
    right. Random numbers are drawn on `images.device`.
    """
    raise NotImplementedError


# %%
largest_shift = hardware.by_profile(smoke=1, cpu=2, gpu=4)
place = (y_train == 7).int().argmax()  # the first of a class that looks to one side
ten_times = x_train[place][None].expand(10, -1, -1, -1)
versions = shift_and_mirror(ten_times, largest_shift).permute(0, 2, 3, 1).cpu().numpy()
plots.images(versions, f"One training image ({class_names[y_train[place]]}) in ten epochs")
assert (
    versions.dtype == np.uint8 and versions.shape[1:] == images.x_train[:, ::step, ::step].shape[1:]
)

# %% [markdown]
# A good place for a break. All parts are ready: convolution, batch norm, augmentation.

# %% [markdown]
# ## 5 · Deeper must be better. Is it?
#
# A network with 32 layers can do whatever one with 8 layers can: let 8 layers do the work, and the
# other 24 hand their input on unchanged. So a deeper network should reach a training loss that is at
# least as low. In 2015 Kaiming He and colleagues built networks of this kind, called **ResNets**, in
# which that is easy to learn.
#
# A colleague has written one from the paper's description. Its **block** has two convolutions with batch
# norm, and a **shortcut**, a way around them.


# %%
class BlockOfAColleague(nn.Module):
    """[B, in_channels, H, W] → [B, out_channels, H / stride, W / stride]."""

    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = shortcut

    def forward(self, x):
        change = self.body(x)
        return functional.relu(change)


# %% [markdown]
# The convolutions have no bias: batch norm would subtract it at once. The network is made of three
# stages of such blocks. Each stage works on half the rows and columns of the one before, with twice the
# channels: 16, 32, 64.
#
# Where a block changes the shape, its shortcut has to do the same. The paper's simplest way, here
# `resnet.PaddedShortcut`, takes every second row and column, and adds channels of zeros. It has no
# parameters. Where the shape stays, the shortcut is `nn.Identity()`, which returns what it is given.


# %%
def network(block, blocks_per_stage, new_shape=resnet.PaddedShortcut, widths=(16, 32, 64)):
    """uint8 images [B, 3, H, W] → logits [B, K]."""
    layers = [resnet.Standardise(mean.cpu(), std.cpu())]  # (pixel − mean) / std, in each channel
    layers += [nn.Conv2d(3, widths[0], 3, padding=1, bias=False), nn.BatchNorm2d(widths[0])]
    layers += [nn.ReLU()]
    channels = widths[0]
    for width in widths:
        for place in range(blocks_per_stage):
            stride = 2 if place == 0 and width > widths[0] else 1
            same = stride == 1 and channels == width
            shortcut = nn.Identity() if same else new_shape(channels, width, stride)
            layers.append(block(channels, width, stride, shortcut))
            channels = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, len(class_names))]
    model = nn.Sequential(*layers)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):  # the scale of lesson 01, seen from the results
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


# %% [markdown]
# `AdaptiveAvgPool2d(1)` takes the mean over all pixels: one number for each channel, whatever the size
# of the image.
#
# **Predict, then run.** With three blocks in each stage, how many layers have weights? (Count
# convolutions and dense layers.) The paper gives 0.27 million parameters for this network.

# %%
model = network(BlockOfAColleague, blocks_per_stage=3)
with_weights = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
count = sum(parameter.numel() for parameter in model.parameters())
print(f"{len(with_weights)} layers with weights, {count:,} parameters")

# %% [markdown]
# <details><summary>Why?</summary>
#
# One convolution at the start, 3 stages · 3 blocks · 2 convolutions = 18, and the dense layer: 20. So
# with n blocks in each stage the network has 6n + 2 layers. The number of parameters is the paper's.
# That looks right. But a count of parameters can only show that a network is *wrong*, never that it is
# right: remember this.
# </details>

# %%
# The course checks here what the text above says.
assert len(with_weights) == 6 * 3 + 2 and count == 269_722 and round(count / 1e6, 2) == 0.27

# %% [markdown]
# ### How we train
#
# `training.fit` is the loop of lesson 01, with a line on the page that says how far it is and how long
# it will still take. You may interrupt it and run the cell again.
#
# - **SGD with momentum** is plain gradient descent that keeps nine tenths of its last step. For
#   convolutional networks it often ends a little better than Adam.
# - **One cycle**: the learning rate rises, then falls almost to 0, as in lesson 01.
# - **Weight decay** pulls all weights (not the biases and norms) a little towards 0, as in lesson 02.
# - **bfloat16**, a number format with half the bytes of `float32`, where your processor computes with it
#   directly. Without it, training took about 1.6 times as long on our machine. Lesson 10 explains why.

# %%
precision = training.fast_precision()
one_cycle = torch.optim.lr_scheduler.OneCycleLR


def train(model, train_set, val_set, num_epochs, peak, batch_size, decay=5e-4, **options):
    """Train the model, on the device, with augmented images; return the history of the run."""
    model.to(device, memory_format=torch.channels_last)  # an order of the numbers that is faster
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0}]
    return training.fit(
        model,
        train_set,
        val_set,
        num_epochs=num_epochs,
        optimizer=torch.optim.SGD(groups, lr=peak, momentum=0.9, nesterov=True),
        schedule=lambda optimizer, num_steps: one_cycle(optimizer, peak, num_steps),
        batch_size=batch_size,
        augment=lambda batch: shift_and_mirror(batch, largest_shift),
        precision=precision,
        **options,
    )


print("computing with", precision or torch.float32)

# %% [markdown]
# ### A trial of depths
#
# To compare many networks quickly, we take few images, of 16 × 16 pixels, and two epochs. **Predict, then
# run.** Which network ends with the lowest *training* loss: the one with 8, with 20 or with 32 layers?
# (The profile `smoke` leaves out the last.)

# %%
depths = hardware.by_profile(smoke=(8, 20), cpu=(8, 20, 32), gpu=(8, 20, 32))
few = hardware.by_profile(smoke=500, cpu=3000, gpu=3000)
every = 2 // step  # every second pixel, where that has not been done yet
trial_train = x_train[:few, :, ::every, ::every], y_train[:few]
trial_val = x_val[:500, :, ::every, ::every], y_val[:500]


def depth_trial(block):
    """The training losses in the last of two epochs, one for each depth."""
    losses = []
    for depth in depths:
        torch.manual_seed(seed)
        model = network(block, blocks_per_stage=(depth - 2) // 6)
        history = train(model, trial_train, trial_val, 2, peak=0.1, batch_size=50, show=False)
        losses.append(history.train_loss[-1])
        accuracy = f"validation accuracy {history.val_accuracy[-1]:.1%}"
        print(f"{depth} layers: training loss {losses[-1]:.2f}, {accuracy}")
    return losses


of_colleague = depth_trial(BlockOfAColleague)
lowest = depths[int(np.argmin(of_colleague))]
print(f"lowest training loss: {lowest} layers (guessing: {np.log(len(class_names)):.2f})")

# %% [markdown]
# <details><summary>Was that to be expected?</summary>
#
# The deeper, the worse. It is not overfitting: these are *training* losses. A deep network could do what
# the shallow one does, but training does not find the way. He and colleagues called this
# **degradation**. Their network was built to be free of it. So why does our colleague's have it?
# </details>

# %%
# The course checks here what the text above says.
if len(trial_train[0]) == 3000:
    assert of_colleague[-1] > of_colleague[0] + 0.1

# %% [markdown]
# ## 6 · Is that a ResNet?
#
# The parameters are as many as in the paper, the shortcuts are there, it runs, and it even learns a bit.
# All the same we suspect it. We need a test that looks at what a block *does*.
#
# A residual block computes ReLU(body(x) + shortcut(x)). If its body says nothing, x must come through
# unchanged. (x comes out of a ReLU, so no number in it is negative, and another ReLU does nothing to
# it.) In a plain block nothing comes through.
#
# Write this test. To silence a body, set all its parameters to 0, *those of batch norm too*. Do it to a
# copy, `copy.deepcopy(block)`, under `with torch.no_grad():`. `parameter.zero_()` sets one parameter to
# 0, and `torch.equal(a, b)` compares.


# %%
@exercise("resnet.is_residual")
def is_residual(block, x):
    """True where the block hands x on, unchanged, past its own layers; the block is left as it was.

    x: [B, C, H, W], not negative; block: a module that gives a result of the same shape.
    """
    raise NotImplementedError


# %%
x = torch.rand(2, 16, 8, 8)
block = BlockOfAColleague(16, 16, shortcut=nn.Identity())
untouched = copy.deepcopy(block)
verdict = is_residual(block, x)
print("the colleague's block is residual:", verdict)
assert not verdict
assert all(map(torch.equal, block.parameters(), untouched.parameters()))

# %% [markdown]
# It is called a ResNet, and it is none. A count of parameters could not tell: these shortcuts have
# none, so leaving them out changes nothing in the count.
#
# **Bug hunt.** Make it one. (`shortcut=None` asks for a plain block, without a way around.)


# %%
@exercise("resnet.Block")
class Block(nn.Module):
    """relu(body(x) + shortcut(x)); where shortcut is None, relu(body(x)).

    [B, in_channels, H, W] → [B, out_channels, H / stride, W / stride]. shortcut: a module that takes
    x to the same shape as the body does.
    """

    def __init__(self, in_channels, out_channels, stride=1, shortcut=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = shortcut

    def forward(self, x):
        change = self.body(x)
        return functional.relu(change)


# %% [markdown]
# The mended block passes the test. And the whole network computes exactly what the course's own `resnet20`
# does, which is tested against the paper's table, once both have the same weights.

# %%
print("residual:", is_residual(Block(16, 16, shortcut=nn.Identity()), x))
mine, library = network(Block, blocks_per_stage=3), resnet.resnet20(len(class_names))
with torch.no_grad():
    for my_parameter, parameter in zip(mine.parameters(), library.parameters(), strict=True):
        parameter.copy_(my_parameter)
batch = x_train[:8].cpu()
standardised = mine[0](batch)
difference = (mine(batch) - library(standardised)).abs().max().item()
print(f"largest difference from the course's ResNet-20: {difference:.1g}")
assert is_residual(Block(16, 16, shortcut=nn.Identity()), x) and difference < 1e-3

# %% [markdown]
# ### Shortcuts that learn
#
# There is a second way to bring x to a new shape: a **projection**, a convolution of 1 × 1 with the
# block's stride, and batch norm. A filter of 1 × 1 sees one pixel and mixes its channels.
#
# **Predict, then run.** ResNet-20 has two blocks that change the shape, 16 → 32 and 32 → 64 channels.
# How many parameters do projections add?

# %%
padded = network(Block, 3, new_shape=resnet.PaddedShortcut)
projected = network(Block, 3, new_shape=resnet.projection)
counts = [sum(p.numel() for p in model.parameters()) for model in (padded, projected)]
print(f"padded {counts[0]:,}, projected {counts[1]:,}: {counts[1] - counts[0]:,} more")

# %% [markdown]
# <details><summary>Why?</summary>
#
# A convolution of 1 × 1 has one weight from each old to each new channel: 16 · 32 and 32 · 64. Batch norm
# adds a weight and a bias for each new channel: 2 · 32 and 2 · 64. For the small ResNets the paper
# chose the padded kind, so that the plain network has just as many parameters, and the comparison is
# fair.
# </details>

# %%
# The course checks here what the text above says.
assert counts[0] == 269_722 and counts[1] - counts[0] == 16 * 32 + 32 * 64 + 2 * 32 + 2 * 64

# %% [markdown]
# ### The trial again, with shortcuts
#
# Same depths, same images, and from the same seed the same first weights. Only the plus sign is new.

# %%
twins = []
for block in (BlockOfAColleague, Block):
    torch.manual_seed(seed)
    twins.append(network(block, blocks_per_stage=3))
first, second = (list(twin.parameters()) for twin in twins)
equal = sum(map(torch.equal, first, second))
print(f"{equal} of {len(first)} tensors of weights are equal in the two networks")
assert equal == len(first)

# %%
residual = depth_trial(Block)

figure, drawing = plots.axes("Two epochs on few images", "layers", "training loss")
drawing.plot(depths, of_colleague, "o--", label="without shortcuts")
drawing.plot(depths, residual, "o-", label="with shortcuts")
drawing.axhline(np.log(len(class_names)), linestyle=":", color="grey", label="guessing")
drawing.set_xticks(depths)
drawing.set_ylim(0)
drawing.legend()
in_words = [", ".join(f"{loss:.2f}" for loss in losses) for losses in (of_colleague, residual)]
plots.show(
    figure,
    f"Training loss for {depths} layers: without shortcuts {in_words[0]}, with them {in_words[1]}",
)
rises = [losses[-1] - losses[0] for losses in (of_colleague, residual)]
in_words = f"{rises[0]:+.2f} without shortcuts, {rises[1]:+.2f} with them"
print(f"from {depths[0]} to {depths[-1]} layers the loss changes by {in_words}")
if len(trial_train[0]) == 3000:
    assert residual[-1] < of_colleague[-1] - 0.1 and rises[1] < rises[0] - 0.1

# %% [markdown]
# In the profiles `cpu` and `gpu`: without shortcuts the loss rises steeply with the depth, with them far
# less, or not at all. The deeper the network, the more they matter. (`smoke` trains too little to show
# that. At each depth both networks have the same number of parameters.)

# %% [markdown]
# ### What do shortcuts do to the slopes?
#
# Lesson 01 multiplied slopes layer by layer. We measure how large the slopes of each convolution are,
# before any training, in networks with 56 layers. That is the depth of the deepest plain network whose
# curves the paper shows.
#
# **Predict, then run.** Without shortcuts: are the slopes of the *first* layers very small, very large,
# or about as large as those of the last?


# %%
def slope_sizes(model):
    """The norm of the slopes of each convolution's weights on 32 images, first layer first."""
    x, y = trial_train
    model.zero_grad()
    functional.cross_entropy(model(x[:32]), y[:32]).backward()
    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    return [layer.weight.grad.norm().item() for layer in layers]


deep = []
for block in (BlockOfAColleague, Block):
    torch.manual_seed(seed)
    deep.append(network(block, blocks_per_stage=9).to(device))
plain_slopes, residual_slopes = map(slope_sizes, deep)
figure, drawing = plots.axes("56 layers before training", "layer", "size of its slopes")
drawing.semilogy(range(1, 56), plain_slopes, "--", label="without shortcuts")
drawing.semilogy(range(1, 56), residual_slopes, label="with shortcuts")
drawing.legend()
ratios = [slopes[0] / slopes[-1] for slopes in (plain_slopes, residual_slopes)]
in_words = f"{ratios[0]:.0f} times without shortcuts, {ratios[1]:.1f} times with them"
plots.show(figure, f"Size of the slopes in each layer; first against last layer: {in_words}")
print("slopes of the first layer, compared with the last:", in_words)

# %% [markdown]
# <details><summary>Why?</summary>
#
# Many expect them to vanish, as with sigmoids. Batch norm prevents that, and overdoes it: each layer
# makes the slopes a bit larger on their way back, and over fifty layers this multiplies (Yang and
# others, 2019). With a shortcut each block multiplies by *1 + the slope of its body*, so a share can
# pass, and the growth is far smaller.
#
# At the start no learning rate suits both ends. But after a few small steps the sizes draw together, so
# this is one part of the story. He and colleagues left the cause open.
# </details>

# %%
# The course checks here what the text above says.
assert ratios[0] > 30 and ratios[0] > 5 * ratios[1]
descent = torch.optim.SGD(deep[0].parameters(), lr=0.004)
for _ in range(5):
    descent.step()  # the slopes are still there from the last call of slope_sizes
    later = slope_sizes(deep[0])
print(f"without shortcuts, after five small steps: {later[0] / later[-1]:.0f} times")
assert later[0] / later[-1] < ratios[0] / 4

# %% [markdown]
# ## 7 · Training for real
#
# Now with all images, in full size: the network without shortcuts, called plain-20 in the paper, beside
# ResNet-20. Same first weights, same images in the same order, same number of steps.
#
# The loss has **label smoothing** of 0.1, as in lesson 01: we ask for 91% on the right class and 1% on
# each other one. So the training loss cannot fall below 0.50.
#
# **Predict, then run.** How far apart will they be on images they have not seen?

# %%
most = hardware.by_profile(smoke=3, cpu=8, gpu=48)
num_epochs = min(most, max(2, 72_000 // len(x_train))) if device == "cpu" else most
settings = {
    "num_epochs": num_epochs,
    "peak": hardware.by_profile(smoke=0.1, cpu=0.2, gpu=3.0),  # larger batch, larger steps
    "batch_size": hardware.by_profile(smoke=50, cpu=64, gpu=1000),
    "decay": hardware.by_profile(smoke=5e-4, cpu=5e-4, gpu=3e-4),
    "loss_function": nn.CrossEntropyLoss(label_smoothing=0.1),
}
sets = (x_train, y_train), (x_val, y_val)
torch.manual_seed(seed)
plain20 = network(BlockOfAColleague, blocks_per_stage=3)
kept = checkpoint_file("plain20")
plain_history = train(plain20, *sets, **settings, title="plain-20", checkpoint=kept)

# %% [markdown]
# And with shortcuts:

# %%
torch.manual_seed(seed)
resnet20 = network(Block, blocks_per_stage=3)
kept = checkpoint_file("resnet20")
history = train(resnet20, *sets, **settings, title="ResNet-20", checkpoint=kept)

# %% [markdown]
# Both runs in one picture:

# %%
figure, (left, right) = plots.pair("Training loss", "Validation accuracy", "epoch")
epochs = range(1, num_epochs + 1)
for run, name, style in ((plain_history, "plain-20", "o--"), (history, "ResNet-20", "o-")):
    left.plot(epochs, run.train_loss, style, label=name, markersize=3)
    right.plot(epochs, run.val_accuracy, style, label=name, markersize=3)
    left.locator_params("x", integer=True)
    right.locator_params("x", integer=True)
left.legend()
ends = [f"{run.train_loss[-1]:.3f}" for run in (plain_history, history)]
plots.show(figure, f"Both curves for both networks; training loss at the end {' and '.join(ends)}")
gap = history.val_accuracy[-1] - plain_history.val_accuracy[-1]
share = history.val_accuracy[-1]
noise = 2 * np.sqrt(2 * share * (1 - share) / len(y_val))
print(
    f"ResNet-20 leads by {gap:+.1%} on {len(y_val):,} validation images; choice of images: ± {noise:.1%}"
)
larger = "more than the choice of images explains; another seed would move it too"
print("That is", larger if gap > noise else "no more than the choice of images may explain.")

# The course checks here what the text above says.
lowest_loss = -(0.91 * np.log(0.91) + 9 * 0.01 * np.log(0.01))
assert round(lowest_loss, 2) == 0.5 and min(history.train_loss) > lowest_loss

# %% [markdown]
# The last line compares the lead with twice its standard error, for two accuracies on this many images.
# Twenty layers are not very deep: after long training the paper found only a small difference there, and
# a large one at 56. The curves say more than their ends. Which of them falls faster?

# %% [markdown]
# You may see an epoch in which the validation accuracy drops although the training loss goes on
# falling. A likely reason: while the learning rate is high the weights move fast, and the running
# averages of batch norm, which only evaluation uses, lag behind.
#
# ## 8 · The test, once
#
# All choices are made. Both networks now answer for the test images.

# %%
x_test, y_test = to_device(images.x_test, images.y_test)
plain_accuracy = training.accuracy(plain20, x_test, y_test, precision)
test_accuracy = training.accuracy(resnet20, x_test, y_test, precision)
report("resnet.plain_accuracy", plain_accuracy, data=images)
report("resnet.test_accuracy", test_accuracy, data=images)

# %% [markdown]
# ### What does it get wrong?
#
# **Predict, then run.** Which two classes will ResNet-20 confuse most often? In the picture each row is a
# class. The right answers, on the diagonal, are grey.

# %%
logits = training.predict(resnet20, x_test, precision=precision)
probabilities = torch.softmax(logits, dim=1).cpu().numpy()
answers, truth = probabilities.argmax(axis=1), images.y_test
confusion = np.zeros((len(class_names), len(class_names)), dtype=int)
np.add.at(confusion, (truth, answers), 1)

mistakes = confusion - np.diag(np.diag(confusion))
worst_truth, worst_answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
often = f"most often “{class_names[worst_truth]}” is called “{class_names[worst_answer]}”"
plots.matrix(confusion, "Test images", class_names, f"Confusion matrix of ten classes; {often}")
print(f"{mistakes.sum()} mistakes among {len(truth):,}; {often} ({mistakes.max()} times)")
recalls = np.diag(confusion) / confusion.sum(axis=1)
best, worst = recalls.argmax(), recalls.argmin()
print(f"best: {class_names[best]} ({recalls[best]:.0%} found), ", end="")
print(f"worst: {class_names[worst]} ({recalls[worst]:.0%})")

# %% [markdown]
# The mistakes are not spread evenly: a few pairs of classes that look alike make many of them. Here are
# those of which the network was most sure. Above each picture: the label, the answer, and the
# probability that it gave to the answer.

# %%
sureness = probabilities.max(axis=1)
wrong = np.flatnonzero(answers != truth)
wrong = wrong[np.argsort(-sureness[wrong])][:16]
captions = [
    f"{class_names[truth[i]]}\n→ {class_names[answers[i]]}\n{sureness[i]:.0%}" for i in wrong
]
plots.images(images.x_test[wrong], "The most confident mistakes", captions, columns=8)

# %% [markdown]
# Which of them would you have got right? Is there a label that you doubt?
#
# ### What do the first filters see?
#
# A filter of the first layer has three sheets of 3 × 3 weights, one for each colour. The first picture
# shows their sum, which is what the filter does to grey; the second a test image, and what each filter
# finds in it. Bright means much there.

# %%
filters = resnet20[1].weight.detach().sum(dim=1).float().cpu().numpy()
plots.images(
    filters,
    "The 16 filters of the first layer: red counts for, blue against",
    columns=8,
    signed=True,
)
resnet20.eval()
with torch.no_grad():
    found = resnet20[:4](x_test[:1])[0].float().cpu().numpy()  # standardise, convolve, norm, ReLU
found = found / found.max(axis=(1, 2), keepdims=True).clip(1e-6)  # [16, H, W], from 0 to 1
in_grey = found[..., None].repeat(3, axis=3)  # drawn like the image: bright means much
test_image = images.x_test[:1, ::step, ::step] / 255  # [1, H, W, 3]
captions = [class_names[truth[0]]] + [f"filter {number}" for number in range(1, 17)]
title = "A test image, and what the 16 filters find in it"
plots.images(np.concatenate([test_image, in_grey]), title, captions, columns=9)

# %% [markdown]
# After more training than `smoke` gives, some filters look for edges in one direction, some for dark or
# bright areas, some for little that we could name. Nobody told them to. Compare with the two that we
# made by hand in section 2.
#
# ## 9 · A larger one: ResNet-18
#
# In the same way, with more channels and projections, you get **ResNet-18**. How much does it cost? A
# filter's weights are used at every place of the result, so parameters tell little about the work. We
# count multiplications.


# %%
def multiplications(model, image):
    """How many multiplications the convolutions and dense layers need for one image."""
    counts = []

    def count(layer, inputs, result):
        places = result[0, 0].numel()  # 1 in a dense layer
        counts.append(layer.weight.numel() * places)

    layers = [part for part in model.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training.predict(model, image)
    for handle in handles:
        handle.remove()
    return sum(counts)


resnet18 = network(Block, 2, resnet.projection, widths=(64, 128, 256, 512))
work = []
for name, model in (("ResNet-20", network(Block, 3)), ("ResNet-18", resnet18)):
    parameters = sum(parameter.numel() for parameter in model.parameters())
    work.append(multiplications(model, torch.zeros(1, 3, 32, 32)))
    print(f"{name}: {parameters:,} parameters, {work[-1] / 1e6:,.0f} million multiplications")

# %% [markdown]
# Both have about the same number of layers. The wider one has 41 times the parameters, but only 14
# times the work: most of its weights sit in the last stage, where few pixels are left.

# %%
count = sum(parameter.numel() for parameter in resnet18.parameters())
assert round(count / 269_722) == 41 and round(work[1] / work[0]) == 14
assert count == sum(parameter.numel() for parameter in resnet.resnet18().parameters())

# %% [markdown]
# On a graphics card we train it. Elsewhere the cell only says how long that would take.

# %%
if profile == "gpu":
    kept = checkpoint_file("resnet18")
    larger = settings | {"num_epochs": 24, "peak": 0.6, "batch_size": 500, "decay": 5e-4}
    torch.manual_seed(seed)
    resnet18 = network(Block, 2, resnet.projection, widths=(64, 128, 256, 512))
    train(resnet18, *sets, **larger, title="ResNet-18", checkpoint=kept)
    large_accuracy = training.accuracy(resnet18, x_test, y_test, precision)
    report("resnet.resnet18_accuracy", large_accuracy, data=images)
else:
    per_epoch = np.median(history.seconds) * work[1] / work[0]
    print(
        f"An epoch of ResNet-20 took {np.median(history.seconds):.1f} s here; one of ResNet-18, with"
    )
    print(f"{work[1] / work[0]:.0f} times the work, would take about {per_epoch / 60:.1f} minutes.")

# %% [markdown]
# ## Recap
#
# 1. A convolution lays one small filter on every place. Its result has
#    (size + 2 · padding − kernel) // stride + 1 places along an axis; say it before you build a stack.
# 2. Batch norm uses the statistics of the batch in training, and running averages after `eval()`.
# 3. Augmentation of a whole batch: compute which pixel goes where, and index once.
# 4. Whether a network is residual is shown by what it does, not by its name or its parameters. The
#    plus sign is all that it takes.
# 5. Without shortcuts deep networks train worse the deeper they are, and at the start slopes grow from
#    layer to layer on their way back. With shortcuts both happen far less.

# %% [markdown]
# ## What to try next
#
# Change one thing, guess the direction first, and judge on the *validation* accuracy.
#
# - **No augmentation** in section 7: `augment=None` in `train`. Expect a lower training loss. In
#   validation expect little difference after few epochs, and a lower accuracy after many.
# - **Add after the ReLU**: in a copy of `Block`, `functional.relu(change) + self.shortcut(x)`, and run
#   `depth_trial` with it. Numbers can then only grow from block to block. Expect a higher training loss
#   at 32 layers.
# - **No batch norm**: in a copy of `Block`, `nn.Identity()` in place of both norms. Each block then adds
#   to the numbers. Expect that `depth_trial` ends with an error in the profile `cpu`: the training loss
#   became nan.

# %% [markdown]
# ## References
#
# - K. He, X. Zhang, S. Ren, J. Sun (2015), *Deep residual learning for image recognition*: the block, the
#   padded shortcut, ResNet-20 and plain-20 (section 4.2).
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - S. Ioffe, C. Szegedy (2015), *Batch normalization: accelerating deep network training by reducing
#   internal covariate shift*. [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - G. Yang, J. Pennington, V. Rao, J. Sohl-Dickstein, S. Schoenholz (2019), *A mean field theory of
#   batch normalization*: why slopes grow without shortcuts.
#   [arXiv:1902.08129](https://arxiv.org/abs/1902.08129)
# - A. Krizhevsky (2009), *Learning multiple layers of features from tiny images*, the report that
#   introduced CIFAR-10. [PDF](https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf)
# - H. Xiao, K. Rasul, R. Vollgraf (2017), *Fashion-MNIST: a novel image dataset for benchmarking machine
#   learning algorithms*. [arXiv:1708.07747](https://arxiv.org/abs/1708.07747)
# - L. Smith, N. Topin (2017), *Super-convergence*, the one-cycle schedule.
#   [arXiv:1708.07120](https://arxiv.org/abs/1708.07120)
