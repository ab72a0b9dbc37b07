"""Lesson 08: every exercise turns away plausible mistakes and takes different right answers."""

import math
import random

import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from course.exercises.bert_fine_tuning import EXERCISES
from course.models.text_classifier import LoraLinear as Reference
from course.models.text_classifier import (
    calibration_error,
    fill_up,
    labelled_batches,
    loss_of,
    sentence_vectors,
    share_of_rate,
)

# Each wrong answer stands beside a word that its message must contain.


def fill_up_by_torch(texts, pad):
    tokens = pad_sequence([torch.tensor(text) for text in texts], True, pad)
    return {"input_ids": tokens, "attention_mask": tokens != pad}


def fill_up_into_zeros(texts, pad):
    sizes = torch.tensor([len(text) for text in texts])
    mask = torch.arange(sizes.max())[None] < sizes[:, None]
    tokens = torch.full(mask.shape, pad)
    tokens[mask] = torch.tensor([token for text in texts for token in text])
    return {"attention_mask": mask.float(), "input_ids": tokens}


def fill_up_in_place(texts, pad):
    sizes = [len(text) for text in texts]
    for text in texts:
        text += [pad] * (max(sizes) - len(text))
    mask = [[1] * size + [0] * (max(sizes) - size) for size in sizes]
    return {"input_ids": torch.tensor(texts), "attention_mask": torch.tensor(mask)}


def fill_up_in_front(texts, pad):
    longest = max(map(len, texts))
    tokens = [[pad] * (longest - len(text)) + text for text in texts]
    mask = [[0] * (longest - len(text)) + [1] * len(text) for text in texts]
    return {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}


def fill_up_cut(texts, pad):
    tokens = torch.tensor([text[: min(map(len, texts))] for text in texts])
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def with_mask(change):
    def answer(texts, pad):
        batch = fill_up(texts, pad)
        return {**batch, "attention_mask": change(batch["attention_mask"], batch["input_ids"])}

    return answer


FILL_UP = {
    "wrong": [
        (lambda texts, pad: {"input_ids": torch.tensor(texts)}, "different lengths"),
        (fill_up_cut, "shortest"),
        (fill_up_in_front, "in front"),
        (fill_up_in_place, "in place"),
        (lambda texts, pad: fill_up(texts, 0), "use `pad`"),
        (with_mask(lambda mask, ids: torch.ones_like(mask)), "1 everywhere"),
        (with_mask(lambda mask, ids: 1 - mask), "wrong way round"),
        (with_mask(lambda mask, ids: ids), "tokens themselves"),
        (with_mask(lambda mask, ids: (ids != 0).long()), "where the token is not 0"),
        (lambda texts, pad: [len(text) - max(texts, key=len) for text in texts], "longest text"),
        (lambda texts, pad: [text + pad for text in texts], "list of three"),
        (with_mask(lambda mask, ids: mask.sum(1)), "each token"),
        (with_mask(lambda mask, ids: mask.tolist()), "is a list"),
        (lambda texts, pad: fill_up(texts, pad)["input_ids"], "dictionary"),
        (lambda texts, pad: {"input_ids": fill_up(texts, pad)["input_ids"]}, "keys"),
    ],
    "right": [lambda texts, pad: fill_up(texts, pad), fill_up_by_torch, fill_up_into_zeros],
}


def vectors_by_loop(encoder, input_ids, attention_mask):
    hidden = encoder(input_ids, attention_mask)[0]
    return torch.stack(
        [row[real.bool()].mean(0) for row, real in zip(hidden, attention_mask, strict=True)]
    )


def vectors_by_product(encoder, input_ids, attention_mask):
    hidden = encoder(attention_mask=attention_mask, input_ids=input_ids).last_hidden_state
    shares = functional.normalize(attention_mask.float(), p=1, dim=1)
    return torch.einsum("bt,btc->bc", shares, hidden)


def vectors(pool, looks=lambda mask: mask):
    def answer(encoder, input_ids, attention_mask):
        hidden = encoder(input_ids=input_ids, attention_mask=looks(attention_mask))
        return pool(hidden.last_hidden_state, attention_mask[:, :, None])

    return answer


def masked_mean(hidden, mask):
    return (hidden * mask).sum(1) / mask.sum(1)


SENTENCE_VECTORS = {
    "wrong": [
        (lambda encoder, ids, mask: encoder(input_ids=ids).last_hidden_state.mean(1), "not used"),
        (vectors(lambda hidden, mask: hidden.mean(1)), "still counts the padding"),
        (vectors(masked_mean, torch.ones_like), "inside the encoder"),
        (vectors(lambda hidden, mask: (hidden * mask).mean(1)), "still divide by all"),
        (vectors(lambda hidden, mask: (hidden * mask).sum(1)), "the sum"),
        (vectors(lambda hidden, mask: (hidden * mask).sum(1) / mask.sum()), "whole batch"),
        (vectors(lambda hidden, mask: hidden[:, 0]), "first token"),
        (vectors(masked_mean, lambda mask: 1 - mask), "as it is"),
        (vectors(lambda hidden, mask: (hidden * mask).sum(1) / mask[:, :, 0].sum(1)), "[B, 1]"),
        (
            lambda encoder, ids, mask: encoder(ids, mask)[0][mask.bool()].mean(0),
            "the whole batch; one",
        ),
        (vectors(lambda hidden, mask: (hidden * mask).sum(2) / mask.sum(1)), "channels"),
        (vectors(lambda hidden, mask: (hidden * mask).sum(1) / len(mask)), "number of texts"),
        (lambda encoder, ids, mask: encoder(ids, mask).mean(1), "last_hidden_state"),
        (vectors(lambda hidden, mask: hidden), ("shape", "*text*")),
        (vectors(lambda hidden, mask: hidden * mask), "*text*"),
        (
            lambda encoder, ids, mask: (encoder(ids, mask).last_hidden_state * mask).sum(1),
            ("[B, T, 1]", "shape"),
        ),
    ],
    "right": [
        lambda encoder, ids, mask: sentence_vectors(encoder, ids, mask),
        vectors_by_loop,
        vectors_by_product,
    ],
}


def batches_by_pairs(texts, labels, batch_size, rng):
    pairs = sorted(zip(texts, labels, strict=True), key=lambda pair: len(pair[0]))
    batches = []
    while pairs:
        batch, pairs = pairs[:batch_size], pairs[batch_size:]
        batches.append([list(part) for part in zip(*batch, strict=True)])
    return rng.sample(batches, len(batches))


def batches_shuffled_first(texts, labels, batch_size, rng):
    places = list(range(len(texts)))
    rng.shuffle(places)
    places.sort(key=lambda place: len(texts[place]))
    starts = list(range(0, len(places), batch_size))
    rng.shuffle(starts)
    return [
        (
            [texts[place] for place in places[start : start + batch_size]],
            [labels[place] for place in places[start : start + batch_size]],
        )
        for start in starts
    ]


def batches_from_the_longest(texts, labels, batch_size, rng):
    places = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    groups = [places[at : at + batch_size] for at in range(0, len(places), batch_size)]
    rng.shuffle(groups)
    return [([texts[at] for at in group], [labels[at] for at in group]) for group in groups]


def batches_of_pairs(texts, labels, batch_size, rng):
    batches = labelled_batches(texts, labels, batch_size, rng)
    return [list(zip(*batch, strict=True)) for batch in batches]


def batches_with(
    order=lambda texts, rng: sorted(range(len(texts)), key=lambda place: len(texts[place])),
    labels_of=lambda labels, group, order: [labels[place] for place in group],
    stop=lambda count, size: count,
    shuffle=True,
):
    def answer(texts, labels, batch_size, rng):
        places = order(texts, rng)
        end = stop(len(places), batch_size)
        groups = [places[at : at + batch_size] for at in range(0, end, batch_size)]
        if shuffle:
            rng.shuffle(groups)
        return [
            ([texts[place] for place in group], labels_of(labels, group, places))
            for group in groups
        ]

    return answer


def batches_as_printed(texts, labels, batch_size, rng):
    texts = sorted(texts, key=len)
    starts = list(range(0, len(texts), batch_size))
    rng.shuffle(starts)
    return [(texts[at : at + batch_size], labels[at : at + batch_size]) for at in starts]


def batches_shuffled_apart(texts, labels, batch_size, rng):
    batches = labelled_batches(texts, labels, batch_size, rng)
    mixed = [label for _, part in batches for label in part]
    rng.shuffle(mixed)
    return [(part, [mixed.pop() for _ in part]) for part, _ in batches]


def batches_by_own_generator(texts, labels, batch_size, rng):
    return labelled_batches(texts, labels, batch_size, random.Random())


def shuffled_places(texts, rng):
    return rng.sample(range(len(texts)), len(texts))


LABELLED_BATCHES = {
    "wrong": [
        (batches_as_printed, "old order"),
        (
            lambda texts, labels, size, rng: batches_as_printed(texts, sorted(labels), size, rng),
            "by their own size",
        ),
        (batches_shuffled_apart, "its own is"),
        (batches_with(order=shuffled_places), "like length"),
        (batches_with(shuffle=False), "same order"),
        (batches_with(stop=lambda count, size: count - count % size), "in no batch"),
        (batches_with(labels_of=lambda labels, group, order: group), "its own is"),
        (
            lambda texts, labels, size, rng: [
                part for part, _ in labelled_batches(texts, labels, size, rng)
            ],
            "a pair",
        ),
        (
            lambda texts, labels, size, rng: labelled_batches(texts, labels, size + 1, rng),
            ("at most", "like length"),
        ),
        (batches_of_pairs, "pair of two lists"),
        (lambda texts, labels, size, rng: sorted(labels, key=len), "looks at the text"),
        (batches_by_own_generator, ("another order", "let `rng`")),
        (
            lambda texts, labels, size, rng: labelled_batches(texts, labels, 1, rng),
            ("are enough", "like length"),
        ),
    ],
    "right": [
        lambda texts, labels, batch_size, rng: labelled_batches(texts, labels, batch_size, rng),
        batches_by_pairs,
        batches_shuffled_first,
        batches_from_the_longest,
    ],
}


def loss_by_hand(model, batch, labels):
    logs = model(batch["input_ids"], batch["attention_mask"])["logits"].log_softmax(dim=1)
    return -logs.gather(1, labels[:, None]).mean()


def loss_with(function):
    return lambda model, batch, labels: function(model(**batch).logits, labels)


LOSS_OF = {
    "wrong": [
        (
            lambda model, batch, labels: functional.cross_entropy(model(**batch), labels),
            "output.logits",
        ),
        (lambda model, batch, labels: model(**batch, labels=labels), "output object"),
        (loss_with(lambda z, y: functional.cross_entropy(z.softmax(1), y)), "itself"),
        (loss_with(lambda z, y: functional.nll_loss(z, y)), "logarithms"),
        (loss_with(lambda z, y: functional.cross_entropy(z, y, reduction="sum")), "the sum"),
        (loss_with(lambda z, y: functional.cross_entropy(z, y, reduction="none")), "One number"),
        (loss_with(lambda z, y: (z.argmax(1) != y).float().mean()), "no slopes"),
        (loss_with(lambda z, y: functional.cross_entropy(z, y).item()), "type"),
        (loss_with(lambda z, y: functional.cross_entropy(z.detach(), y)), "can be learned"),
        (lambda model, batch, labels: model(**batch).loss, "None"),
        (loss_with(lambda z, y: functional.cross_entropy(z.argmax(1), y)), "as they are"),
        (loss_with(lambda z, y: functional.cross_entropy(y, z)), "come first"),
        (lambda model, batch, labels: model(batch), "two stars"),
        (
            lambda model, batch, labels: functional.cross_entropy(model(**batch).loss, labels),
            "was not given the labels",
        ),
    ],
    "right": [
        lambda model, batch, labels: loss_of(model, batch, labels),
        lambda model, batch, labels: model(**batch, labels=labels).loss,
        lambda model, batch, labels: nn.CrossEntropyLoss()(model(**batch)[0], labels),
        loss_by_hand,
    ],
}


def share_as_the_smaller_line(step, num_steps, num_warm_up):
    down = (num_steps - step) / (num_steps - num_warm_up)
    return min(step / num_warm_up, down) if num_warm_up else down


def share_with(rise, fall):
    return lambda step, num, warm: rise(step, warm) if step < warm else fall(step, num, warm)


def straight(step, warm):
    return step / warm


SHARE_OF_RATE = {
    "wrong": [
        (lambda step, num, warm: min(1.0, step / max(warm, 1)), "stays at 1"),
        (share_with(straight, lambda step, num, warm: 1), "stays at 1"),
        (lambda step, num, warm: 1 - step / num, "missing"),
        (share_with(straight, lambda step, num, warm: 1 - step / num), "jump"),
        (
            share_with(lambda step, warm: (step + 1) / warm, lambda s, n, w: (n - s) / (n - w)),
            "one step early",
        ),
        (share_with(lambda step, warm: 0, lambda s, n, w: (n - s) / (n - w)), "evenly"),
        (share_with(straight, lambda s, n, w: (s - w) / (n - w)), "fall"),
        (
            share_with(straight, lambda s, n, w: (1 + math.cos(math.pi * (s - w) / (n - w))) / 2),
            "cosine",
        ),
        (
            lambda step, num, warm: step / warm if step <= warm else (num - step) / (num - warm),
            "can be 0",
        ),
        (
            lambda step, num, warm: min(step / max(warm, 1), (num - step) / (num - warm)),
            "already gets 1",
        ),
        (share_with(lambda s, w: s // w, lambda s, n, w: (n - s) // (n - w)), "drops the fraction"),
        (
            lambda s, n, w: s / n if s < w else (n - s) / (n - w),
            "divided by all",
        ),
        (lambda step, num, warm: 100 * share_of_rate(step, num, warm), "percent"),
        (lambda step, num, warm: None, "return"),
    ],
    "right": [
        lambda step, num_steps, num_warm_up: share_of_rate(step, num_steps, num_warm_up),
        share_as_the_smaller_line,
        lambda step, num, warm: torch.tensor(share_of_rate(step, num, warm), dtype=torch.double),
    ],
}


def lora_with(scale=lambda alpha, rank: alpha / rank, freeze=True, **start):
    class Lora(nn.Module):
        def __init__(self, layer, rank, alpha):
            super().__init__()
            self.layer = layer.requires_grad_(not freeze)
            self.scale = scale(alpha, rank)
            down = start.get("down", torch.randn)(rank, layer.in_features)
            up = start.get("up", torch.zeros)(layer.out_features, rank)
            self.down, self.up = nn.Parameter(down), nn.Parameter(up)

        def forward(self, x):
            small = functional.linear(x, self.down)
            return self.layer(x) + functional.linear(small, self.up) * self.scale

        def merged(self):
            one = nn.Linear(*self.down.shape[1:], len(self.up))
            one.weight.data = self.layer.weight.data + self.scale * (self.up @ self.down).data
            one.bias.data = self.layer.bias.data.clone()
            return one

    return Lora


class LoraOfTensors(Reference):
    def __init__(self, layer, rank, alpha):
        super().__init__(layer, rank, alpha)
        del self.down, self.up
        self.down = torch.randn(rank, layer.in_features, requires_grad=True)
        self.up = torch.zeros(layer.out_features, rank, requires_grad=True)


class LoraSwapped(Reference):
    def __init__(self, layer, rank, alpha):
        super().__init__(layer, rank, alpha)
        self.down = nn.Parameter(torch.randn(layer.in_features, rank))


class LoraWithoutTheLayer(Reference):
    def forward(self, x):
        return self.scale * (x @ self.down.T @ self.up.T)


class LoraMergesInPlace(Reference):
    def merged(self):
        with torch.no_grad():
            self.layer.weight += self.scale * self.up @ self.down
        return self.layer


class LoraMergesWithoutScale(Reference):
    def merged(self):
        one = super().merged()
        with torch.no_grad():
            one.weight.copy_(self.layer.weight + self.up @ self.down)
        return one


class LoraMergesNothing(Reference):
    def merged(self):
        return self


class LoraMergesTheBase(Reference):
    def merged(self):
        one = super().merged()
        with torch.no_grad():
            one.weight.copy_(self.layer.weight)
        return one


class LoraOfLayers(Reference):
    def __init__(self, layer, rank, alpha):
        super().__init__(layer, rank, alpha)
        del self.down, self.up
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)


class LoraMergesByAssignment(Reference):
    def merged(self):
        one = super().merged()
        one.weight = self.layer.weight + self.scale * self.up @ self.down
        return one


class LoraMergesTurned(Reference):
    def merged(self):
        one = nn.Linear(self.layer.out_features, self.layer.in_features)
        with torch.no_grad():
            one.weight.copy_(self.layer.weight + self.scale * self.up @ self.down)
        return one


class LoraWithoutInit(Reference):
    def __init__(self, layer, rank, alpha):
        self.layer = layer


class LoraCopies(Reference):
    """Another way to write it: the layer is put together anew in each call."""

    def forward(self, x):
        weight = self.layer.weight + self.scale * self.up @ self.down
        return functional.linear(x, weight, self.layer.bias)


LORA_LINEAR = {
    "wrong": [
        (lora_with(freeze=False), "would learn as well"),
        (lora_with(scale=lambda alpha, rank: 1), "is missing"),
        (lora_with(scale=lambda alpha, rank: alpha), "alpha alone"),
        (lora_with(up=torch.randn), "start at 0"),
        (lora_with(down=torch.zeros), "starts at 0 too"),
        (LoraOfTensors, "plain tensor"),
        (LoraSwapped, "[rank, C]"),
        (LoraWithoutTheLayer, "is missing"),
        (LoraMergesInPlace, "new `nn.Linear`"),
        (LoraMergesWithoutScale, "forgets the factor"),
        (LoraMergesNothing, "plain `nn.Linear`"),
        (LoraMergesTheBase, "without the change"),
        (LoraOfLayers, "matrix itself"),
        (LoraMergesByAssignment, "copy_"),
        (LoraMergesTurned, "in_features, out_features"),
        (LoraWithoutInit, "super().__init__()"),
    ],
    "right": [Reference, lora_with(), LoraCopies],
}


def calibration_by_lists(confidences, right, num_bins=10):
    total = 0
    for number in range(num_bins):
        low, high = number / num_bins, (number + 1) / num_bins
        chosen = [
            (confidence, is_right)
            for confidence, is_right in zip(confidences.tolist(), right.tolist(), strict=True)
            if low <= confidence < high or (number == num_bins - 1 and confidence >= high)
        ]
        if chosen:
            total += abs(sum(is_right - confidence for confidence, is_right in chosen))
    return total / len(confidences)


def calibration_by_counting(confidences, right, num_bins=10):
    bins = torch.bucketize(confidences, torch.arange(1, num_bins) / num_bins)
    gaps = torch.zeros(num_bins).index_add(0, bins, right.float() - confidences)
    return gaps.abs().sum() / len(confidences)


def calibration(weigh, gap=torch.abs):
    def answer(confidences, right, num_bins=10):
        bins = (confidences * num_bins).long().clamp(max=num_bins - 1)
        gaps, shares = [], []
        for number in bins.unique():
            inside = bins == number
            gaps.append(gap(right[inside].float().mean() - confidences[inside].mean()))
            shares.append(inside.float().mean())
        return weigh(torch.stack(gaps), torch.stack(shares))

    return answer


def calibration_without_the_last(confidences, right, num_bins=10):
    kept = confidences < 1
    return calibration_error(confidences[kept], right[kept], num_bins) * kept.float().mean()


def calibration_with_empty_bins(confidences, right, num_bins=10):
    bins, total = (confidences * num_bins).long().clamp(max=num_bins - 1), 0
    for number in range(num_bins):
        inside = bins == number
        gap = (right[inside].float().mean() - confidences[inside].mean()).abs()
        total += inside.float().mean() * gap
    return total


def calibration_against_the_middle(confidences, right, num_bins=10):
    bins, total = (confidences * num_bins).long().clamp(max=num_bins - 1), 0
    for number in bins.unique():
        inside = bins == number
        gap = right[inside].float().mean() - (number + 0.5) / num_bins
        total += inside.float().mean() * gap.abs()
    return total


CALIBRATION_ERROR = {
    "wrong": [
        (calibration(lambda gaps, shares: gaps.mean()), "count the same"),
        (calibration(lambda gaps, shares: gaps.max()), "largest gap"),
        (calibration(lambda gaps, shares: gaps.sum()), "add up the gaps"),
        (calibration(lambda gaps, shares: (gaps * shares).sum(), lambda gap: gap), "cancel"),
        (calibration(lambda gaps, shares: (gaps * shares).sum(), torch.square), "squared"),
        (lambda c, r, n=10: (r.float().mean() - c.mean()).abs(), "all answers at once"),
        (lambda c, r, n=10: (r.float() - c).abs().mean(), "answer by answer"),
        (lambda c, r, n=10: calibration_error(c, r), "need not be 10"),
        (lambda c, r, n=10: len(r) * calibration_error(c, r, n), "share of all"),
        (lambda c, r, n=10: calibration(lambda gaps, _: gaps.sum())(c, r, n) / n, "divide by the"),
        (calibration_against_the_middle, "middle"),
        (calibration_with_empty_bins, ("NaN", "empty bins")),
        (calibration_without_the_last, "belongs to the last"),
        (lambda c, r, n=10: c.mean() - r.mean(), "right.float()"),
    ],
    "right": [
        lambda confidences, right, num_bins=10: calibration_error(confidences, right, num_bins),
        calibration_by_lists,
        calibration_by_counting,
    ],
}

ANSWERS = {
    "bert_fine_tuning.fill_up": FILL_UP,
    "bert_fine_tuning.sentence_vectors": SENTENCE_VECTORS,
    "bert_fine_tuning.labelled_batches": LABELLED_BATCHES,
    "bert_fine_tuning.loss_of": LOSS_OF,
    "bert_fine_tuning.share_of_rate": SHARE_OF_RATE,
    "bert_fine_tuning.LoraLinear": LORA_LINEAR,
    "bert_fine_tuning.calibration_error": CALIBRATION_ERROR,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 50
