"""Lesson 07: every exercise turns away plausible mistakes and takes different right answers."""

import math

import torch
from exercise_answers import AnswersOfALesson
from torch.nn import functional

from course.exercises.bert import EXERCISES
from course.models.attention import causal_mask, padding_mask
from course.models.bert import (
    MASK,
    NOT_ASKED,
    SPECIAL_TOKENS,
    logits_where_asked,
    masked,
    masked_loss,
    mean_surprise,
    read_both_ways,
)
from course.models.word_pieces import batches_by_length, split_word

FIRST = len(SPECIAL_TOKENS)

# Each wrong answer stands beside a word that its message must contain.


def split_again(word, pieces, start=0):
    if start == len(word):
        return []
    for end in reversed(range(start + 1, len(word) + 1)):
        piece = word[start:end] if start == 0 else "##" + word[start:end]
        if piece in pieces:
            rest = split_again(word, pieces, end)
            return ["[UNK]"] if rest == ["[UNK]"] else [piece, *rest]
    return ["[UNK]"]


def split_by_shortening(word, pieces, keep_found=False):
    """Right, but where it keeps what it found before the place where nothing fits."""
    result, rest, mark = [], word, ""
    while rest:
        part = rest
        while part and mark + part not in pieces:
            part = part[:-1]
        if not part:
            return [*result, "[UNK]"] if keep_found else ["[UNK]"]
        result.append(mark + part)
        rest, mark = rest[len(part) :], "##"
    return result


def split_shortest(word, pieces):
    result, start = [], 0
    for end in range(1, len(word) + 1):
        piece = ("##" if start else "") + word[start:end]
        if piece in pieces:
            result.append(piece)
            start = end
    return result if start == len(word) else ["[UNK]"]


def split_without_marks(word, pieces):
    return [piece.removeprefix("##") for piece in split_word(word, pieces)]


def split_with_the_rest_unknown(word, pieces):
    return split_by_shortening(word, pieces, keep_found=True)


def split_never_marked(word, pieces):
    result, rest = [], word
    while rest:
        part = rest
        while part and part not in pieces:
            part = part[:-1]
        if not part:
            return ["[UNK]"]
        result.append(part)
        rest = rest[len(part) :]
    return result


def split_with_marks_counted(word, pieces):
    result, start = [], 0
    while start < len(word):
        mark, end = "##" if start else "", len(word)
        while end > start and mark + word[start:end] not in pieces:
            end -= 1
        if end == start:
            return ["[UNK]"]
        result.append(mark + word[start:end])
        start += len(mark + word[start:end])
    return result


def split_in_any_way(word, pieces):
    """Also where the longest piece leads nowhere."""
    ways = {0: []}
    for end in range(1, len(word) + 1):
        for start in range(end):
            piece = ("##" if start else "") + word[start:end]
            if start in ways and piece in pieces:
                ways[end] = max(ways.get(end, []), [*ways[start], piece], key=reading_order)
    return ways.get(len(word), ["[UNK]"])


def reading_order(pieces):
    return [len(piece) for piece in pieces]


SPLIT_WORD = {
    "wrong": [
        (split_shortest, "shortest"),
        (split_without_marks, "lost their ##"),
        (split_with_the_rest_unknown, "whole"),
        (split_never_marked, "begin with ##"),
        (lambda word, pieces: [word] if word in pieces else ["[UNK]"], "is right"),
        (lambda word, pieces: " ".join(split_word(word, pieces)), "a list is asked for"),
        (lambda word, pieces: [word[0], *("##" + letter for letter in word[1:])], "is right"),
        (lambda word, pieces: split_word(word, pieces)[:1], "go on behind it"),
        (split_with_marks_counted, "Letters are skipped"),
        (split_in_any_way, "never goes back"),
    ],
    "right": [split_again, split_by_shortening, lambda word, pieces: split_word(word, pieces)],
}


def masked_by_loop(tokens, num_symbols, rate=0.15):
    inputs, targets = tokens.clone(), torch.full_like(tokens, NOT_ASKED)
    for row in range(tokens.shape[0]):
        for place in range(tokens.shape[1]):
            if tokens[row, place] < FIRST or torch.rand(1) >= rate:
                continue
            targets[row, place] = tokens[row, place]
            kind = torch.rand(1)
            if kind < 0.8:
                inputs[row, place] = MASK
            elif kind < 0.9:
                inputs[row, place] = torch.randint(FIRST, num_symbols, (1,))
    return inputs, targets


def masked_in_place(tokens, num_symbols, rate=0.15):
    inputs, targets = tokens.clone(), tokens.clone()
    chosen = torch.bernoulli(torch.full(tokens.shape, rate)).bool() & (tokens > 4)
    targets[~chosen] = -100
    mask_them = torch.bernoulli(torch.full(tokens.shape, 0.8)).bool() & chosen
    inputs[mask_them] = 4
    swap = torch.bernoulli(torch.full(tokens.shape, 0.5)).bool() & chosen & ~mask_them
    inputs[swap] = torch.randint(5, num_symbols, tokens.shape)[swap]
    return inputs, targets


def masked_with(
    choose=lambda tokens, rate: (torch.rand(tokens.shape) < rate) & (tokens >= FIRST),
    shares=(0.8, 0.1),
    lowest=FIRST,
    elsewhere=NOT_ASKED,
    draw=lambda tokens: torch.rand(tokens.shape),
):
    def answer(tokens, num_symbols, rate=0.15):
        chosen, kind = choose(tokens, rate), draw(tokens)
        inputs, targets = tokens.clone(), torch.full_like(tokens, elsewhere)
        targets[chosen] = tokens[chosen]
        inputs[chosen & (kind < shares[0])] = MASK
        swap = chosen & (kind >= shares[0]) & (kind < sum(shares))
        inputs[swap] = torch.randint(lowest, num_symbols, tokens.shape)[swap]
        return inputs, targets

    return answer


def masked_targets_of_the_inputs(tokens, num_symbols, rate=0.15):
    inputs, targets = masked(tokens, num_symbols, rate)
    return inputs, torch.where(targets == NOT_ASKED, targets, inputs)


def masked_with_one_random_token(tokens, num_symbols, rate=0.15):
    inputs, targets = masked(tokens, num_symbols, rate)
    swapped = (targets != NOT_ASKED) & (inputs != targets) & (inputs != MASK)
    return torch.where(swapped, torch.randint(FIRST, num_symbols, (1,)), inputs), targets


def masked_a_second_time(tokens, num_symbols, rate=0.15):
    chosen = (torch.rand(tokens.shape) < rate) & (tokens >= FIRST)
    inputs = torch.where(chosen & (torch.rand(tokens.shape) < 0.8), MASK, tokens)
    swap = chosen & (torch.rand(tokens.shape) < 0.1)
    inputs = torch.where(swap, torch.randint_like(tokens, FIRST, num_symbols), inputs)
    return inputs, torch.where(chosen, tokens, NOT_ASKED)


MASKED = {
    "wrong": [
        (masked_with(choose=lambda t, rate: torch.rand(t.shape) < rate), "special tokens never"),
        (masked_with(shares=(1.0, 0.0)), "there is no [MASK] later"),
        (masked_with(shares=(0.8, 0.2)), "stayed as it was"),
        (masked_with(shares=(0.8, 0.0)), "stayed as it was"),
        (masked_with(shares=(0.1, 0.8)), "became [MASK]"),
        (masked_with(lowest=0), "not special"),
        (masked_with(elsewhere=0), "NOT_ASKED"),
        (masked_with(choose=lambda t, rate: t >= FIRST), "was chosen"),
        (masked_targets_of_the_inputs, "stood there"),
        (masked_a_second_time, ("became [MASK]", "stayed")),
        (lambda tokens, num_symbols, rate=0.15: masked(tokens, num_symbols, rate)[0], "results"),
        (lambda tokens, num_symbols, rate=0.15: masked(tokens, num_symbols, 0.3), "was chosen"),
        (lambda tokens, num_symbols, rate=0.15: masked(tokens, num_symbols // 2, rate), "reach"),
        (lambda tokens, num_symbols, rate=0.15: masked(tokens, num_symbols), "rate=0.4"),
        (
            masked_with(choose=lambda t, rate: (torch.rand(t.shape) < rate) & (t > FIRST)),
            "never chosen, and it is not special",
        ),
        (
            masked_with(choose=lambda t, rate: (torch.rand(t.shape[1]) < rate) & (t >= FIRST)),
            "same places",
        ),
        (masked_with(draw=lambda t: torch.rand(len(t), 1).expand(t.shape)), "not for each row"),
        (masked_with_one_random_token, "draw one for each place"),
        (lambda tokens, num_symbols, rate=0.15: (tokens, tokens.clone()), "Every place"),
        (lambda tokens, num_symbols, rate=0.15: masked(tokens.float(), num_symbols), "torch.int64"),
    ],
    "right": [
        lambda tokens, num_symbols, rate=0.15: masked(tokens, num_symbols, rate),
        masked_by_loop,
        masked_in_place,
        masked_with(),
    ],
}


def read_with_the_own_mask(encoder, tokens, lengths):
    places = torch.arange(tokens.shape[1])
    return encoder(tokens, mask=(places[None] < lengths[:, None])[:, None, None])


def read_one_by_one(encoder, tokens, lengths):
    rows = []
    for row, length in zip(tokens, lengths, strict=True):
        mask = padding_mask(length[None], len(row))
        rows.append(encoder(row[None], None, mask)[0])
    return torch.stack(rows)


def read_with(make_mask):
    return lambda encoder, tokens, lengths: encoder(
        tokens, mask=make_mask(tokens.shape[1], lengths)
    )


READ_BOTH_WAYS = {
    "wrong": [
        (
            lambda encoder, tokens, lengths: encoder(
                tokens, mask=causal_mask(tokens.shape[1]) & padding_mask(lengths, tokens.shape[1])
            ),
            "causal mask is still there",
        ),
        (read_with(lambda size, lengths: causal_mask(size)), "causal"),
        (read_with(lambda size, lengths: None), "[PAD]"),
        (read_with(lambda size, lengths: ~padding_mask(lengths, size)), "may be looked at"),
        (
            read_with(lambda size, lengths: causal_mask(size).T & padding_mask(lengths, size)),
            "behind",
        ),
        (lambda encoder, tokens, lengths: encoder(tokens)[:, 0], "shape"),
        (lambda encoder, tokens, lengths: read_both_ways(encoder, tokens, lengths)[:, 0], "*each*"),
        (lambda encoder, tokens, lengths: read_both_ways(encoder, tokens, lengths - 1), "[SEP]"),
    ],
    "right": [
        lambda encoder, tokens, lengths: read_both_ways(encoder, tokens, lengths),
        read_with_the_own_mask,
        read_one_by_one,
        lambda encoder, tokens, lengths: encoder.forward(
            tokens, mask=(tokens != 0)[:, None, None, :]
        ),
    ],
}

LOGITS_WHERE_ASKED = {
    "wrong": [
        (lambda hidden, targets, head: head(hidden), "All places"),
        (lambda hidden, targets, head: head(hidden)[targets != NOT_ASKED], "did the work for all"),
        (lambda hidden, targets, head: head(hidden[targets == NOT_ASKED]), "*not* asked"),
        (lambda hidden, targets, head: hidden[targets != NOT_ASKED], "the head makes logits"),
        (lambda hidden, targets, head: head(hidden.flatten(0, 1)), "in one row"),
        (
            lambda hidden, targets, head: head(hidden * (targets != NOT_ASKED)[..., None]),
            "Vectors that are 0",
        ),
        (
            lambda hidden, targets, head: head(hidden[targets != NOT_ASKED]).softmax(-1),
            "without a softmax",
        ),
        (
            lambda hidden, targets, head: head(hidden.transpose(0, 1)[targets.T != NOT_ASKED]),
            "another order",
        ),
        (lambda hidden, targets, head: head(hidden[targets > 0]), ("shape", "it should be")),
        (lambda hidden, targets, head: head(hidden[targets]), "holds tokens"),
        (
            lambda hidden, targets, head: head(
                torch.masked_select(hidden, (targets != NOT_ASKED)[..., None])
            ),
            "leaves them whole",
        ),
    ],
    "right": [
        lambda hidden, targets, head: logits_where_asked(hidden, targets, head),
        lambda hidden, targets, head: head(
            hidden.flatten(0, 1)[(targets.flatten() != NOT_ASKED).nonzero().squeeze(1)]
        ),
        lambda hidden, targets, head: torch.stack(
            [head(hidden[row, place]) for row, place in (targets != NOT_ASKED).nonzero().tolist()]
        ),
    ],
}


def right_ones(logits, targets):
    return logits[torch.arange(len(targets)), targets]


def surprise_by_loop(logits, targets):
    total = 0
    for row, target in zip(logits, targets, strict=True):
        total = total + torch.logsumexp(row, 0) - row[target]
    return total / len(targets)


MEAN_SURPRISE = {
    "wrong": [
        (lambda z, y: -right_ones(z.softmax(1), y).mean(), "still missing"),
        (lambda z, y: 1 - right_ones(z.softmax(1), y).mean(), "wrong tokens"),
        (lambda z, y: -right_ones(z.softmax(1), y).mean().log(), "other way round"),
        (lambda z, y: right_ones(z.log_softmax(1), y).mean(), "minus sign"),
        (lambda z, y: -right_ones(z.log_softmax(1), y).sum(), "sum"),
        (lambda z, y: -right_ones(z.log_softmax(1), y).mean() / math.log(2), "bits"),
        (lambda z, y: -right_ones(z, y).mean(), "logits themselves"),
        (lambda z, y: functional.cross_entropy(z.softmax(1), y), "itself"),
        (lambda z, y: -right_ones(z.log_softmax(0), y).mean(), "over the places"),
        (lambda z, y: -right_ones(z.softmax(1), y).log().mean(), "became 0"),
        (lambda z, y: -(right_ones(z.softmax(1), y) + 1e-9).log().mean(), "hides how wrong"),
        (lambda z, y: -right_ones(z.softmax(1), y).clamp(1e-30).log().mean(), "hides how wrong"),
        (lambda z, y: -z.log_softmax(1)[:, y].mean(), "one target"),
        (lambda z, y: -(z.softmax(1) * z.log_softmax(1)).sum(1).mean(), "entropy"),
        (lambda z, y: -z.log_softmax(1).gather(1, y).mean(), "[M, 1]"),
        (lambda z, y: functional.cross_entropy(z, y).item(), ("learned", "float", "tensor")),
        (lambda z, y: functional.cross_entropy(z, y).detach(), "learned"),
    ],
    "right": [
        lambda logits, targets: mean_surprise(logits, targets),
        functional.cross_entropy,
        surprise_by_loop,
        lambda logits, targets: functional.nll_loss(logits.log_softmax(1), targets),
    ],
}


def each(logits, tokens):
    return functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")


MASKED_LOSS = {
    "wrong": [
        (lambda z, t, asked: each(z, t).mean(), "nobody asked for"),
        (lambda z, t, asked: (each(z, t) * asked).mean(), "*all* places"),
        (lambda z, t, asked: (each(z, t) * asked).sum(), "sum"),
        (lambda z, t, asked: each(z, t)[~asked].mean(), "*not* asked"),
        (
            lambda z, t, asked: ((each(z, t) * asked).sum(1) / asked.sum(1).clamp(min=1)).mean(),
            "each row first",
        ),
        (lambda z, t, asked: each(z * asked[..., None], t).mean(), "still count"),
        (lambda z, t, asked: each(z, t * asked).mean(), "0 is a token"),
        (lambda z, t, asked: (each(z, t) * asked).sum() / len(t), "number of rows"),
        (
            lambda z, t, asked: functional.cross_entropy(z[asked], t),
            "equal length",
        ),
        (
            lambda z, t, asked: functional.cross_entropy(z, t.masked_fill(~asked, -100)),
            "equal length",
        ),
        (lambda z, t, asked: each(z.masked_fill(~asked[..., None], -math.inf), t).mean(), "-inf"),
        (lambda z, t, asked: functional.cross_entropy(z[asked.long()], t), "0 and 1"),
    ],
    "right": [
        lambda logits, tokens, asked: masked_loss(logits, tokens, asked),
        lambda logits, tokens, asked: (each(logits, tokens) * asked).sum() / asked.sum(),
        lambda logits, tokens, asked: functional.cross_entropy(
            logits.transpose(1, 2), tokens.masked_fill(~asked, -100)
        ),
        lambda logits, tokens, asked: each(logits, tokens)[asked].mean(),
    ],
}


def batches_with(order=None, fits=lambda batch, length, most: (len(batch) + 1) * length <= most):
    def answer(lengths, most_tokens):
        places = sorted(range(len(lengths)), key=order or lengths.__getitem__)
        batches = []
        for place in places:
            held = [lengths[other] for other in batches[-1]] if batches else []
            if held and fits(held, lengths[place], most_tokens):
                batches[-1].append(place)
            else:
                batches.append([place])
        return batches

    return answer


def batches_without_the_last(lengths, most_tokens):
    return batches_by_length(lengths, most_tokens)[:-1]


def batches_of_lengths(lengths, most_tokens):
    found = batches_by_length(lengths, most_tokens)
    return [[lengths[place] for place in batch] for batch in found]


def batches_from_the_end(lengths, most_tokens):
    places = sorted(range(len(lengths)), key=lambda place: (lengths[place], -place))
    batches = []
    while places:
        size = 1
        while size < len(places) and (size + 1) * lengths[places[size]] <= most_tokens:
            size += 1
        batches.append(places[:size][::-1])
        del places[:size]
    return batches


def batches_by_index(lengths, most_tokens):
    return [[lengths.index(n) for n in batch] for batch in batches_of_lengths(lengths, most_tokens)]


def batches_of_those_that_fit(lengths, most_tokens):
    found = batches_by_length(lengths, most_tokens)
    return [batch for batch in found if max(lengths[place] for place in batch) <= most_tokens]


BATCHES_BY_LENGTH = {
    "wrong": [
        (batches_with(order=lambda place: place), "old order"),
        (batches_with(fits=lambda held, length, most: sum(held) + length <= most), "real tokens"),
        (batches_with(fits=lambda held, length, most: len(held) * length <= most), "itself"),
        (
            batches_with(fits=lambda held, length, most: (len(held) + 1) * length < most),
            "Exactly",
        ),
        (
            batches_with(fits=lambda held, length, most: (len(held) + 1) * held[-1] <= most),
            "longest one so far",
        ),
        (batches_with(fits=lambda held, length, most: len(held) < most), "count tokens"),
        (batches_without_the_last, "last batch"),
        (batches_of_lengths, "places"),
        (lambda lengths, most_tokens: [[place] for place in range(len(lengths))], "is right"),
        (lambda lengths, most_tokens: list(range(len(lengths))), "list of lists"),
        (batches_by_index, "finds only the first"),
        (batches_of_those_that_fit, "a batch alone"),
    ],
    "right": [
        lambda lengths, most_tokens: batches_by_length(lengths, most_tokens),
        batches_with(),
        batches_from_the_end,
    ],
}


ANSWERS = {
    "bert.split_word": SPLIT_WORD,
    "bert.masked": MASKED,
    "bert.read_both_ways": READ_BOTH_WAYS,
    "bert.logits_where_asked": LOGITS_WHERE_ASKED,
    "bert.mean_surprise": MEAN_SURPRISE,
    "bert.masked_loss": MASKED_LOSS,
    "bert.batches_by_length": BATCHES_BY_LENGTH,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 40
