# %% [markdown]
# # 00 · Start here
#
# {{badges}}
#
# You see a handwritten 7 and know that it is a 7. To a computer the same picture is a table of
# numbers. How can a program tell from the numbers which digit they show? In this lesson you build
# a first program that reads digits. It is not deep learning yet: it has a single idea, the average.
# On the way you meet what every later lesson is made of, and how such a lesson works.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. work through a lesson: run cells, answer an exercise, read what the check says;
# 2. say what the *shape*, the *dtype* and the *axes* of an array are, for one image and for many;
# 3. compute with whole arrays at once, and find an error that raises no error;
# 4. build a *classifier* (a program that says what an image shows), measure how often it is right,
#    and show where it fails;
# 5. follow how arrays go to PyTorch and back, on the CPU or on a graphics card.
#
# **Before this**: you can read a Python function, a loop and a list. NumPy is explained here. Plan
# about 75 minutes.

# %% [markdown]
# ## 1 · How a lesson works
#
# A lesson is a row of **cells**, some with text, some with code. Click on a code cell and press
# **Shift + Enter**: it runs, its result appears below it, and the next cell is selected. Run the
# cells from top to bottom, since later ones use what earlier ones made.
#
# - **Predict, then run** asks a question first. Decide on an answer, then run the cell. You learn
#   most where you guessed wrong. The reason is folded away below.
# - **Exercises** begin with `@exercise`. Your answer gets a **verdict** at once: right or not yet,
#   and why. You may skip any of them: the course's own answer is used instead.
#
# The next cell loads what we need. Its last line says which machine you are on.

# %%
from collections import Counter

import numpy as np
import torch

from course import data, hardware, plots
from course.exercises import exercise

print(hardware.describe())

# %% [markdown]
# `numpy` (short name `np`) computes with tables of numbers. `torch` is PyTorch, the library for deep
# learning that this course uses; we meet it at the end. `course` is the course's own helper. The
# **profile** at the end of the line is the size of the runs: `smoke` is a quick trial, `cpu` suits a
# laptop, `gpu` a machine with a graphics card.
#
# Lines with `assert` check what the text says; they print nothing when it is true.

# %% [markdown]
# ## 2 · An image is a table of numbers
#
# Our images are **MNIST**: digits that were written by hand on paper forms around 1990 and scanned.
# There are *training* images, from which a program may learn, and *test* images, kept for the end.
# We load them and look at the first twenty.

# %%
digits = data.mnist()
plots.images(digits.x_train[:20], "Twenty handwritten digits", captions=digits.y_train[:20])

# %% [markdown]
# Above each image stands its **label**: the digit that the writer meant. `digits.x_train` holds the
# training images, `digits.y_train` their labels. (Should the line above offer more images: you do not
# need them.)
#
# Now we look at the first image as the computer does. The lines that draw do not matter here.

# %%
image, first_label = digits.x_train[0], digits.y_train[0]
figure, drawing = plots.axes(f"A {first_label} as numbers", "column", "row", 8.4, 7.6)
drawing.imshow(image, cmap="gray_r")
drawing.grid(False)
for row, column in np.ndindex(image.shape):
    ink = image[row, column]
    style = {"color": "white" if ink > 127 else "black", "fontsize": 6.5}
    drawing.text(column, row, ink, ha="center", va="center", **style)
plots.show(figure, f"A {first_label} of 28 rows and 28 columns: 0 on paper, up to 255 on ink")

# %% [markdown]
# The image *is* this table. A single element is called a **pixel**: 0 is paper, 255 is full ink. In
# NumPy such a table is an **array**. Ask it three things: its shape, the kind of its numbers, and
# one of its pixels.

# %%
print("shape", image.shape)
print("dtype", image.dtype)
print("row 14, columns 10 to 17:", image[14, 10:18])
assert image.shape == (28, 28) and image.dtype == np.uint8

# %% [markdown]
# - The **shape** is the size along each **axis**: first 28 rows, then 28 columns.
# - The **dtype** is the kind of number that every element is. `uint8` means a whole number without
#   sign in 8 bits: 0 to 255. It takes one byte.
# - `image[row, column]` picks an element. Counting starts at 0, and `10:18` stops *before* 18.
#
# **Predict, then run.** Two arrays of dtype `uint8`: one holds 200, the other 100. What is their sum?

# %%
dark = np.array([200], dtype=np.uint8)
grey = np.array([100], dtype=np.uint8)
print(dark + grey)

# %% [markdown]
# <details><summary>Why?</summary>
#
# 300 does not fit into 8 bits. Like the kilometre counter of an old car, the number starts again at
# 0 after 255, so 300 becomes 300 − 256 = 44. No error, no warning: two dark pixels made a light one.
# </details>

# %%
# The course checks here what the text above says.
assert (dark + grey)[0] == 300 - 256

# %% [markdown]
# Whole numbers of one byte are good for *storing* images. For *computing* we want numbers with a
# fraction: `float32` takes four bytes and keeps about seven digits. You make them in the first
# exercise.

# %% [markdown]
# ## 3 · Your first exercise
#
# Arithmetic with an array works on every element at once: `pixels / 2` halves all pixels.
# `pixels.astype(np.float32)` is a copy with another dtype. Do three things:
#
# 1. **Run the cell as it is.** The verdict says *not started*. Open a hint to see how they look.
# 2. **Answer wrong, on purpose.** Write `return pixels` in place of `raise NotImplementedError`, a
#    placeholder that stops the function. Run the cell again. Now the verdict shows the smallest case
#    that fails: what went in, what came out. (The `seed` in its last line gives the same random
#    numbers again.)
# 3. **Answer right.** Change the line until the verdict is a green ✔.


# %%
@exercise("start.to_unit_range")
def to_unit_range(pixels):
    """Bring pixels from 0…255 to 0…1.

    pixels: array of uint8, of any shape → array of float32, of the same shape.
    """
    raise NotImplementedError


# %% [markdown]
# Each run checks your function with new random numbers, so an answer that fits only one example is
# found out. Whatever the verdict says, the function works from here on, yours or the course's:

# %%
small = to_unit_range(image)
print("before:", image.min(), "to", image.max(), image.dtype, image.nbytes, "bytes")
print("after: ", small.min(), "to", small.max(), small.dtype, small.nbytes, "bytes")
assert small.max() <= 1 and small.nbytes == 4 * image.nbytes
assert (image / 255).dtype == np.float64 and (image / 255).nbytes == 8 * image.nbytes

# %% [markdown]
# Computing in fractions costs four times the memory. `pixels / 255` alone would give `float64`, and
# that costs eight times as much.

# %% [markdown]
# ## 4 · Many images: one more axis
#
# A group of images that is handled at once is a **batch**. It is one array with one more axis in
# front. We name axes by letters, and will do so in the whole course:
#
# | letter | axis | |
# |---|---|---|
# | **B** | batch | which image |
# | **H** | height | which row |
# | **W** | width | which column |
#
# So a batch has shape [B, H, W]. Many functions ask for the number of an axis, counted from 0.
#
# **Predict, then run.** This little table has 2 rows and 3 columns. What does `sum(axis=0)` give: one
# sum for each row, or one for each column?

# %%
table = np.array([[1, 2, 3], [10, 20, 30]])
print("axis=0:", table.sum(axis=0))
print("axis=1:", table.sum(axis=1))

# %% [markdown]
# <details><summary>Why?</summary>
#
# The axis that you name is the one that *disappears*. Shape (2, 3) without axis 0 is (3): the two
# rows are added up, and one sum for each column is left. "Sum along the rows" can mean both, so
# think in shapes, not in words.
# </details>

# %%
# The course checks here what the text above says.
assert table.sum(axis=0).shape == (3,) and table.sum(axis=1).shape == (2,)

# %% [markdown]
# Our classifier will not care about rows and columns, only about the list of all pixels of an image.
# We call the length of that list **D** = H · W. `array.reshape(2, 6)` arranges 12 numbers in 2 rows
# of 6 and keeps their order. In place of one of the sizes you may write -1: NumPy works it out.


# %%
@exercise("start.flatten")
def flatten(images):
    """Write each image as one row of numbers, its first row of pixels first.

    images: [B, H, W] → [B, D] with D = H · W, for any number of images of any size (so do not
    write 784).
    """
    raise NotImplementedError


# %% [markdown]
# All training images go through your two functions. We call the result `x_train`, and the labels
# `y_train`.

# %%
x_train, y_train = flatten(to_unit_range(digits.x_train)), digits.y_train
print("images", digits.x_train.shape, "→ rows", x_train.shape)  # [B, H, W] → [B, D]
print("labels", y_train.shape)
assert x_train.shape == (len(y_train), 28 * 28)

# %% [markdown]
# ## 5 · The average of each digit
#
# To pick all threes we compare. `y_train == 3` is an array of True and False, one for each image.
# Such an array is a **mask**: put in square brackets, it keeps the rows where it is True. We print
# it with 1 for True and 0 for False.

# %%
is_three = y_train == 3
threes = x_train[is_three]
print("labels:  ", y_train[:12])
print("is three:", is_three[:12].astype(int))
print("threes:  ", threes.shape)
plots.images(threes[:10].reshape(-1, 28, 28), "Ten of the threes")
assert len(threes) == is_three.sum()

# %% [markdown]
# `is_three.sum()` counts them: True counts as 1, False as 0. `reshape` turned rows into images again.
#
# If we average all threes, pixel by pixel, we get the typical three. Do that for each digit.
# `.mean(axis=0)` averages over axis 0, as `.sum(axis=0)` adds. `np.stack(a_list)` makes one array of a
# list of rows.
#
# In place of "digit" we say **class**, since the same code could sort anything; **K** is the number of
# classes.


# %%
@exercise("start.class_means")
def class_means(x, y, num_classes):
    """Average the images of each class, pixel by pixel.

    x: images [B, D], y: labels [B] from 0 to num_classes - 1; every class occurs in y.
    Returns [num_classes, D]: row k is the average of the images with label k.
    """
    raise NotImplementedError


# %% [markdown]
# This is everything that our program will ever know about digits:

# %%
means = class_means(x_train, y_train, 10)
plots.images(means.reshape(-1, 28, 28), "The average of each digit", captions=range(10))
print("means", means.shape)  # [K, D]
assert np.allclose(means[3], threes.mean(axis=0), atol=0.01)

# %% [markdown]
# Dark where nearly all writers agree, a grey blur where they do not. Which two of the ten would you
# expect to be confused? Remember your guess.

# %% [markdown]
# ## 6 · How far is an image from an average?
#
# Subtract one from the other, pixel by pixel; square the differences, so that plus and minus cannot
# cancel; add them up. The result is the **squared distance**: small where two images are alike.
#
# $$(x_1 - m_1)^2 + (x_2 - m_2)^2 + \dots + (x_D - m_D)^2$$
#
# We compare the first image with all ten averages.

# %%
difference = x_train[0] - means  # [D] - [K, D] → [K, D]
by_hand = (difference**2).sum(axis=1)  # [K, D] → [K]
captions = [f"{k}: {distance:.0f}" for k, distance in enumerate(by_hand)]
title = f"A {y_train[0]} minus each average, with the squared distance"
plots.images(difference.reshape(-1, 28, 28), title, captions, signed=True)
print("nearest average:", by_hand.argmin(), "  true label:", y_train[0])

# %% [markdown]
# Red is ink that the average does not have, blue is ink that is missing. `argmin` gives the
# *position* of the smallest number, and here the position is the digit.
#
# One image [D] minus ten averages [K, D] worked without a loop: NumPy used the image ten times. This
# is **broadcasting**. NumPy lines up two shapes from the right; an axis that is missing or has size 1
# is repeated until it fits. `x[:, None]` adds an axis of size 1.
#
# **Predict, then run.** What are the three shapes?

# %%
five, ten = x_train[:5], x_train[:10]
print("five[:, None]         ", five[:, None].shape)
print("five[:, None] - means ", (five[:, None] - means).shape)
print("ten - means           ", (ten - means).shape)

# %% [markdown]
# <details><summary>Why?</summary>
#
# (5, 1, 784) and (10, 784), lined up from the right: 784 fits 784, 1 is repeated 10 times, and the
# missing axis 5 times. So every image meets every average: [B, K, D].
#
# Without `None`, ten images and ten averages fit as well, but image 0 only meets average 0, image 1
# average 1, and so on. No error, another meaning. With five images there would have been an error:
# 5 does not fit 10.
# </details>

# %%
# The course checks here what the text above says.
assert (five[:, None] - means).shape == (5, 10, 28 * 28)
assert (ten - means).shape == (10, 28 * 28)

# %% [markdown]
# Now the distances of many images from all averages, in two lines. A colleague has written them.
# We let each image choose its nearest average and look at some answers.


# %%
def distances_of_a_colleague(x, means):
    difference = x[:, None] - means  # [B, K, D]
    return (difference**2).sum(axis=1)


answers = np.array([row.argmin() for row in distances_of_a_colleague(x_train[:200], means)])
print("true labels:", y_train[:20])
print("answers:    ", answers[:20])
assert set(answers) == {0}

# %% [markdown]
# It ran. There is no error, no warning, and every image is called a 0, whatever it shows. Before you
# read the code again: **which shape should the result have for 200 images and ten averages?** Then
# look at the one it has.

# %%
print("shape:", distances_of_a_colleague(x_train[:200], means).shape)

# %% [markdown]
# Compare it with your shape. Which axis disappeared, and which one should have? This is the most
# useful habit of the whole course: say which shape you expect, then print it.
#
# **Bug hunt.** Repair the function.


# %%
@exercise("start.distances")
def distances(x, means):
    """The squared distance of every image from every average.

    x: images [B, D], means: averages [K, D] → [B, K].
    """
    difference = x[:, None] - means  # [B, K, D]
    return (difference**2).sum(axis=1)


# %% [markdown]
# The repaired function agrees with what we computed for the first image alone, and its shape is [B, K].

# %%
print("shape", distances(x_train[:200], means).shape)
print("image 0:", distances(x_train[:200], means)[0].round(1))
print("by hand:", by_hand.round(1))
assert np.allclose(distances(x_train[:200], means)[0], by_hand, rtol=1e-3)

# %% [markdown]
# <details><summary>Why did it always answer 0?</summary>
#
# It added up over the averages and kept the pixels: one number for each *pixel*, not for each average.
# So `argmin` looked for the pixel with the smallest sum and gave its position. Pixel 0 is the upper
# left corner: paper in every image, a difference of 0. Nothing is smaller, and 0 happens to be a digit
# as well.
# </details>
#
# One line is missing: the nearest average wins. `argmin` takes an axis, just as `sum` does.


# %%
@exercise("start.nearest_mean")
def nearest_mean(x, means):
    """The label of the nearest average for each image; you can use `distances`.

    x: images [B, D], means: averages [K, D] → labels [B], whole numbers from 0 to K - 1.
    """
    raise NotImplementedError


# %% [markdown]
# ## 7 · How good is it?
#
# You have built a **classifier**: images in, labels out. We judge it on images that it has never
# seen, the **test set**, by its **accuracy**: the share of right answers.
#
# For 1,000 images, `distances` makes an array of 1,000 · 10 · 784 numbers: 31 MB in `float32`. So
# `predict` cuts the images into ten batches (`np.array_split`), takes one after the other, and joins
# the answers (`np.concatenate`).
#
# **Predict, then run.** How often is a program right that says "1" to every image? And yours?


# %%
def predict(x, means):
    """Labels [B] for images x [B, D] and averages [K, D]."""
    return np.concatenate([nearest_mean(batch, means) for batch in np.array_split(x, 10)])


x_test, y_test = flatten(to_unit_range(digits.x_test)), digits.y_test
predicted = predict(x_test, means)
accuracy = (predicted == y_test).mean()
print(f"always '1': {(y_test == 1).mean():.1%}   nearest average: {accuracy:.1%}")

# %% [markdown]
# <details><summary>Why?</summary>
#
# About one digit in ten is a 1, so always saying "1" is right about one time in ten. Any classifier
# has to be compared with such a lazy one. Yours knows nothing but ten averages, and is right about
# eight times in ten. The mean of a mask is the share of True, which is why one short line computes
# the accuracy.
# </details>

# %%
# The course checks here what the text above says.
assert 0.08 < (y_test == 1).mean() < 0.15
assert 0.75 < accuracy < 0.88

# %% [markdown]
# A number hides a lot, so look at mistakes as well. Above each image: true label → answer.

# %%
wrong = np.flatnonzero(predicted != y_test)  # the positions where the mask is True
captions = [f"{y_test[i]} → {predicted[i]}" for i in wrong[:20]]
plots.images(digits.x_test[wrong[:20]], "The first twenty mistakes", captions)
pairs = [tuple(sorted((y_test[i], predicted[i]))) for i in wrong]
print(f"{len(wrong)} mistakes among {len(y_test):,}. Confused most often:")
for (one, other), count in Counter(pairs).most_common(3):  # how often each pair occurs
    print(f"{one} and {other}, {count} times")

# %% [markdown]
# Did you guess one of these pairs? Which of these images would you have read wrongly yourself?
# Compare the others with the averages in section 5: an average has one tilt and one thickness,
# writers have many.
#
# **Predict, then run.** We move every test image to the right, by 1, 2 and 3 pixels. You can still
# read the digits. Can the program? (Again, the lines that draw do not matter.)

# %%
shifts, scores = range(4), []
for shift in shifts:
    moved = np.zeros_like(digits.x_test)  # zeros, of the same shape [B, H, W] and dtype
    moved[:, :, shift:] = digits.x_test[:, :, : 28 - shift]  # all images, all rows, some columns
    scores.append((predict(flatten(to_unit_range(moved)), means) == y_test).mean())

figure, drawing = plots.axes("Digits moved to the right", "shift (pixels)", "accuracy")
drawing.plot(shifts, scores, "o-", label="nearest average")
drawing.set_xticks(shifts)
drawing.axhline(0.1, linestyle=":", color="grey", label="guessing")
drawing.set_ylim(0, 1)
drawing.legend()
in_words = ", ".join(f"{score:.2f}" for score in scores)
plots.show(figure, f"Accuracy of digits moved by 0, 1, 2 and 3 pixels: {in_words}")
plots.images(moved[:10], "Test digits, moved by 3 pixels", captions=y_test[:10])

# %% [markdown]
# <details><summary>Why?</summary>
#
# Each pixel is only compared with the pixel in the *same place*. A 7 that moves by three pixels
# covers other places, and the average of another digit may fit it better. The program has not
# understood what a 7 is, and its accuracy on well centred digits did not tell us so. Lesson 03 builds
# a network that minds far less where a stroke is.
# </details>

# %%
# The course checks here what the text above says.
assert scores[3] < 0.5 < scores[0]
assert moved.sum() > 0.99 * digits.x_test.sum()  # hardly any ink is cut off

# %% [markdown]
# ## 8 · The same arrays in PyTorch
#
# A **tensor** is PyTorch's array. It has a shape and a dtype too, and two more abilities: it can live
# on a graphics card, and PyTorch can find slopes of whatever you compute with it (lesson 01).
#
# **Predict, then run.** We make a tensor from an array, then change the *tensor*. What does the
# *array* hold afterwards?

# %%
array = np.zeros(3, dtype=np.float32)
tensor = torch.from_numpy(array)
copied = torch.tensor(array)
tensor[0] = 7
print("array ", array)
print("copied", copied)

# %% [markdown]
# <details><summary>Why?</summary>
#
# `torch.from_numpy` copies nothing: array and tensor are two names for the same memory. That is fast,
# and a trap when you forget it. `torch.tensor` copies.
# </details>

# %%
# The course checks here what the text above says.
assert array[0] == 7 and copied[0] == 0

# %% [markdown]
# NumPy mixes dtypes without a word. **Predict, then run.** Does PyTorch multiply `float64` with
# `float32`? (`@` multiplies two rows element by element and adds up. `.item()` makes the result a
# Python number. Should an error come, the cell prints it and goes on.)

# %%
fractions = torch.from_numpy(digits.x_test[0].reshape(-1) / 255)  # NumPy makes float64
weights = torch.ones(28 * 28)
print(fractions.dtype, "and", weights.dtype)
try:
    result = (fractions @ weights).item()
except Exception as error:
    result = f"{type(error).__name__}: {error}"
print(result)

# %% [markdown]
# <details><summary>Why?</summary>
#
# PyTorch calls `float64` *double* and `float32` *float*, and refuses to multiply one with the other.
# You will see messages like this again. The repair is to make both `float32`: `.astype(np.float32)` in
# NumPy, `.float()` in PyTorch.
# </details>

# %%
# The course checks here what the text above says.
assert str(result).startswith("RuntimeError")
print(f"both float32: {(fractions.float() @ weights).item():.2f}")

# %% [markdown]
# Last, the library's version of what you built. `torch.cdist` gives all distances between two sets
# of rows. It runs on the **device** where its tensors are: `cuda`, a graphics card (GPU), where there
# is one, else `cpu`. `.to(device)` takes a tensor there, `.cpu().numpy()` brings it back. Tensors that
# meet in a computation must be on the same device.

# %%
device = hardware.device()
x_there = torch.tensor(x_test, dtype=torch.float32).to(device)
means_there = torch.tensor(means, dtype=torch.float32).to(device)
by_torch = torch.cdist(x_there, means_there).argmin(dim=1).cpu().numpy()  # dim is torch's axis
agreement = (by_torch == predicted).mean()
print(f"on {device}: {agreement:.2%} of the answers are the same as yours")
assert agreement > 0.999

# %% [markdown]
# Your classifier and the library's agree. Lesson 01 keeps the arrays and the question and replaces
# the averages by a network that *learns* what to look at. With the same data it reads about 96 digits
# in 100.

# %% [markdown]
# ## Recap
#
# 1. **A lesson**: predict, run, answer; the verdict shows the smallest case that fails.
# 2. **An array** has a shape, a dtype and axes. An image is [H, W], a batch [B, H, W], flattened
#    [B, D]. `uint8` stores, `float32` computes.
# 3. **Whole arrays**: masks choose, `axis=` names what disappears, broadcasting repeats what is
#    missing. Where it goes wrong nothing is raised: say the shape, then print it.
# 4. **A classifier** is judged on test images, against a lazy one, and by looking at its mistakes.
#    Ours fails when digits move.
# 5. **PyTorch**: `from_numpy` shares memory, dtypes must match, tensors that meet must be on one
#    device.

# %% [markdown]
# ## Where things are
#
# - **Your answers** are in this notebook. Save with **Ctrl + S** (Cmd + S on a Mac). On Colab and
#   Binder, download the notebook (*File → Download*) before you close it.
# - **Your progress**: run `!course progress` in a new cell, or `python -m course progress` in a
#   terminal, in the folder of the course; with `--html` it is a map of the course. To take it
#   along, run `from course import progress` and `progress.export()`, which writes the file
#   `course-progress.json`. Beside a notebook elsewhere, `progress.import_()` adds it to what is
#   there; nothing is lost.

# %% [markdown]
# ### When you are stuck
#
# - **Something is odd?** *Kernel → Restart Kernel and Run All Cells* starts afresh and keeps your
#   answers.
# - **A fresh copy** of a lesson: rename yours in `my_course/`, then run `make lab` again.
# - **No idea?** Open the hints one by one. The folder `solutions/` has every lesson answered, with
#   all results.

# %% [markdown]
# ## What to try next
#
# Guess the direction first, change one thing in a new cell, and compute the accuracy as in section 7.
#
# - **Fewer examples**: `few = class_means(x_train[:200], y_train[:200], 10)`, then
#   `predict(x_test, few)`. Expect a lower accuracy, but still well over half of the digits right.
# - **White on black**: `predict(1 - x_test, means)`. Expect far *less* than guessing would give.
#
# <details><summary>Why less?</summary>
#
# An image with ink and paper swapped is nearly all ink. So most answers are 0: that average has the
# most ink. But a real 0 now has paper just where the average 0 has ink, and is called something else.
# So even the zeros are wrong.
# </details>

# %% [markdown]
# - **Another distance**: copy `distances` without its `@exercise` line, call the copy
#   `other_distances`, and write `np.abs(difference)` in place of `difference**2`. Then compare
#   `other_distances(x_test[:1000], means).argmin(axis=1)` with `y_test[:1000]`. Expect a clearly lower
#   accuracy. Squaring makes small differences tiny; now every bit of the grey blur counts.

# %% [markdown]
# ## References
#
# - Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), *Gradient-based learning applied to document
#   recognition*, Proceedings of the IEEE 86(11), which introduced MNIST.
#   [doi:10.1109/5.726791](https://doi.org/10.1109/5.726791)
# - C. R. Harris and others (2020), *Array programming with NumPy*, Nature 585.
#   [doi:10.1038/s41586-020-2649-2](https://doi.org/10.1038/s41586-020-2649-2)
# - NumPy user guide: [the absolute basics for
#   beginners](https://numpy.org/doc/stable/user/absolute_beginners.html) and
#   [broadcasting](https://numpy.org/doc/stable/user/basics.broadcasting.html)
# - PyTorch documentation:
#   [torch.from_numpy](https://docs.pytorch.org/docs/stable/generated/torch.from_numpy.html)
