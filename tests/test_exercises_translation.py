"""Lesson 09: every exercise turns away plausible mistakes and takes different right answers."""

from collections import Counter

import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional

from course.exercises.translation import EXERCISES
from course.models.attention import causal_mask, padding_mask
from course.models.translation import BEGIN, END, PAD, grow_beam, n_gram_matches
from course.models.translation import DecoderLayer as Reference
from course.models.translation import greedy as greedy_reference
from course.models.translation import translation_loss as loss_reference

# Each wrong answer stands beside a word that its message must contain.


def pad_in_place(sequences):
    longest = max(map(len, sequences))
    for row in sequences:
        row += [PAD] * (longest - len(row))
    return torch.tensor(sequences)


def pad_into_zeros(sequences):
    filled = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    for number, row in enumerate(sequences):
        filled[number, : len(row)] = torch.tensor(row)
    return filled


def library_pad(sequences):
    rows = [torch.tensor(row) for row in sequences]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def pad_with(sign, in_front=False):
    def answer(sequences):
        longest = max(map(len, sequences))
        filling = [[sign] * (longest - len(row)) for row in sequences]
        both = zip(filling, sequences, strict=True)
        return torch.tensor([[*a, *b] if in_front else [*b, *a] for a, b in both])

    return answer


PADDED = {
    "wrong": [
        (pad_with(PAD, in_front=True), "in front"),
        (pad_with(END), "filled up with END"),
        (pad_with(-1), "filled up with -1"),
        (lambda rows: torch.tensor([row[: min(map(len, rows))] for row in rows]), "are cut"),
        (lambda rows: torch.tensor(rows), "equal length"),
        (lambda rows: pad_into_zeros(rows).tolist(), "make a tensor"),
        (lambda rows: pad_into_zeros(rows).float(), "whole numbers"),
        (lambda rows: functional.pad(pad_into_zeros(rows), (0, 1)), "one PAD too many"),
        (lambda rows: pad_into_zeros(sorted(rows, key=len)[::-1]), ("their order", "element")),
        (lambda rows: library_pad(rows).T, "each sequence is a row"),
        (pad_in_place, "in place"),
        (
            lambda rows: torch.tensor([row + [PAD] * (len(max(rows)) - len(row)) for row in rows]),
            "max(len(row)",
        ),
    ],
    "right": [pad_into_zeros, library_pad, pad_with(PAD)],
}


def real(tokens):
    return tokens.ne(PAD)[:, None, None]


def masks_with(at_source=lambda s, t: real(s), at_target=lambda s, t: causal_mask(t.shape[1])):
    return lambda source, target: (at_source(source, target), at_target(source, target))


def masks_padding_hidden_too(source, target):
    """Of the target too: rows of real tokens are the same."""
    return real(source), causal_mask(target.size(1)) & real(target)


def masks_by_places(source, target):
    places = torch.arange(target.shape[1])
    lengths = source.bool().sum(1)
    return padding_mask(lengths, source.shape[1]), places[None] <= places[:, None]


MASKS = {
    "wrong": [
        (
            masks_with(lambda s, t: padding_mask(t.ne(PAD).sum(1), s.shape[1])),
            "still those of the *targets*",
        ),
        (masks_with(lambda s, t: real(t)), ("of the target", "shape")),
        (masks_with(lambda s, t: ~real(s)), "*no* PAD"),
        (masks_with(lambda s, t: torch.ones_like(real(s))), "the padding too"),
        (masks_with(lambda s, t: padding_mask(s.eq(PAD).sum(1), s.shape[1])), "*not* PAD"),
        (masks_with(lambda s, t: padding_mask(s.ne(PAD).sum(), s.shape[1])), "`.sum(dim=1)`"),
        (masks_with(lambda s, t: s != PAD), ("shape", "source token")),
        (masks_with(lambda s, t: real(s).float()), "bool"),
        (masks_with(lambda s, t: causal_mask(s.shape[1])), ("no future", "shape")),
        (masks_with(at_target=lambda s, t: real(t)), "*behind*"),
        (masks_with(at_target=lambda s, t: ~causal_mask(t.shape[1])), "turned round"),
        (masks_with(at_target=lambda s, t: causal_mask(s.shape[1])), ("the target's", "shape")),
        (lambda s, t: (causal_mask(t.shape[1]), real(s)), ("changed places", "shape")),
        (lambda s, t: real(s), "two tensors"),
    ],
    "right": [masks_with(), masks_padding_hidden_too, masks_by_places],
}


class LayerByNames(nn.Module):
    def __init__(self, num_channels, num_heads, num_hidden, dropout=0.0, attend=None):
        super().__init__()
        made = Reference(num_channels, num_heads, num_hidden, dropout)
        for name, part in made.named_children():
            self.add_module(name, part)

    def forward(self, x, memory, at_target=None, at_source=None):
        normed = self.norm_1(x)
        x = self.dropout(self.self_attention(normed, mask=at_target, context=normed)) + x
        found = self.cross_attention(self.norm_2(x), context=memory, mask=at_source)
        x = x + self.dropout(found)
        return self.dropout(self.feed_forward(self.norm_3(x))) + x


def layer_with(forward):
    return type("DecoderLayer", (Reference,), {"forward": forward})


def steps(look_back, look_across, think):
    """A layer from three functions of (layer, x, memory, at_target, at_source)."""

    def forward(self, x, memory, at_target=None, at_source=None):
        for part in (look_back, look_across, think):
            x = part(self, x, memory, at_target, at_source)
        return x

    return layer_with(forward)


def back(layer, x, memory, t, s):
    return x + layer.dropout(layer.self_attention(layer.norm_1(x), t))


def across(layer, x, memory, t, s):
    return x + layer.dropout(layer.cross_attention(layer.norm_2(x), s, memory))


def think(layer, x, memory, t, s):
    return x + layer.dropout(layer.feed_forward(layer.norm_3(x)))


def across_itself(layer, x, memory, t, s):
    return x + layer.dropout(layer.cross_attention(layer.norm_2(x)))


def across_unmasked(layer, x, memory, t, s):
    return x + layer.dropout(layer.cross_attention(layer.norm_2(x), None, memory))


def across_with_the_other_mask(layer, x, memory, t, s):
    return x + layer.dropout(layer.cross_attention(layer.norm_2(x), t, memory))


def across_twice_normed(layer, x, memory, t, s):
    normed = layer.norm_2(memory)
    return x + layer.dropout(layer.cross_attention(layer.norm_2(x), s, normed))


def across_in_place(layer, x, memory, t, s):
    return layer.dropout(layer.cross_attention(layer.norm_2(x), s, memory))


def back_unmasked(layer, x, memory, t, s):
    return x + layer.dropout(layer.self_attention(layer.norm_1(x)))


def think_with_norm_2(layer, x, memory, t, s):
    return x + layer.dropout(layer.feed_forward(layer.norm_2(x)))


def think_always(layer, x, memory, t, s):
    return x + layer.feed_forward(layer.norm_3(x))


def memory_asks(layer, x, memory, t, s):
    return x + layer.dropout(layer.cross_attention(memory, s, layer.norm_2(x)))


def across_normed_again(layer, x, memory, t, s):
    return x + layer.dropout(layer.cross_attention(layer.norm_2(x), s, layer.norm_1(memory)))


def back_at_the_raw_stream(layer, x, memory, t, s):
    return x + layer.dropout(layer.self_attention(layer.norm_1(x), mask=t, context=x))


def back_at_the_memory(layer, x, memory, t, s):
    return x + layer.dropout(layer.self_attention(layer.norm_1(x), mask=t, context=memory))


def normed_behind(self, x, memory, at_target=None, at_source=None):
    x = self.norm_1(self.dropout(self.self_attention(x, at_target)) + x)
    x = self.norm_2(self.dropout(self.cross_attention(x, at_source, memory)) + x)
    return self.norm_3(self.dropout(self.feed_forward(x)) + x)


def normed_stream(self, x, memory, at_target=None, at_source=None):
    x = self.norm_1(x)
    x = self.norm_2(x + self.dropout(self.self_attention(x, at_target)))
    x = self.norm_3(x + self.dropout(self.cross_attention(x, at_source, memory)))
    return x + self.dropout(self.feed_forward(x))


def normed_results(self, x, memory, at_target=None, at_source=None):
    x = x + self.norm_1(self.dropout(self.self_attention(x, at_target)))
    x = x + self.norm_2(self.dropout(self.cross_attention(x, at_source, memory)))
    return x + self.norm_3(self.dropout(self.feed_forward(x)))


def dropped_stream(self, x, memory, at_target=None, at_source=None):
    x = self.dropout(x + self.self_attention(self.norm_1(x), at_target))
    x = self.dropout(x + self.cross_attention(self.norm_2(x), at_source, memory))
    return self.dropout(x + self.feed_forward(self.norm_3(x)))


class LayerWithMore(Reference):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.norm_4 = nn.LayerNorm(arguments[0])


LAYER = {
    "wrong": [
        (steps(back, across_itself, think), "never sees the source"),
        (steps(back, across_unmasked, think), "mask of the source is lost"),
        (steps(back, across_with_the_other_mask, think), "mask does not fit"),
        (steps(back_unmasked, across, think), "mask of the target is lost"),
        (steps(back, across_twice_normed, think), "last norm in the encoder"),
        (steps(back, across_normed_again, think), "last norm in the encoder"),
        (steps(back_at_the_raw_stream, across, think), "`context` out"),
        (steps(back_at_the_memory, across, think), "target itself"),
        (layer_with(normed_behind), "norm first"),
        (layer_with(normed_stream), "into the stream itself"),
        (layer_with(normed_results), "norm what they read"),
        (layer_with(dropped_stream), "whole stream"),
        (steps(across, back, think), "first the target looks at itself"),
        (steps(back, think, across), "feed-forward comes last"),
        (steps(back, across_in_place, think), "*added*"),
        (steps(back, across, think_with_norm_2), "norm of its own"),
        (steps(back, across, think_always), "`self.dropout`"),
        (steps(back, memory_asks, think), ("size", "shape", "element")),
        (LayerWithMore, "and nothing else: look at norm_4"),
        (layer_with(lambda self, x, memory, at_target=None, at_source=None: None), "None"),
    ],
    "right": [steps(back, across, think), LayerByNames],
}


def loss_of(shift=lambda t: (t[:, :-1], t[:, 1:]), finish=None):
    def answer(model, source, target):
        read, asked = shift(target)
        logits = model(source, read)
        if finish:
            return finish(logits, asked)
        return functional.cross_entropy(logits.transpose(1, 2), asked, ignore_index=PAD)

    return answer


def loss_by_gather(model, source, target):
    surprises = -model(source, target)[:, :-1].log_softmax(-1)
    asked = target[:, 1:]
    return surprises.gather(-1, asked[..., None])[..., 0][asked != PAD].mean()


def loss_flat(model, source, target):
    logits, asked = model(source, target[:, :-1]), target[:, 1:]
    return nn.CrossEntropyLoss(ignore_index=PAD)(logits.flatten(0, 1), asked.flatten())


def loss_of_each_phrase(model, source, target):
    rows = zip(source.split(1), target.split(1), strict=True)
    return sum(loss_reference(model, *row) for row in rows) / len(source)


LOSS = {
    "wrong": [
        (loss_of(lambda t: (t[:, :-1], t[:, :-1])), "need only copy"),
        (loss_of(lambda t: (t[:, 1:], t[:, 1:])), "need only copy"),
        (loss_of(lambda t: (t[:, 1:], t[:, :-1])), "backwards"),
        (loss_of(lambda t: (t, t.roll(-1, 1))), "ring"),
        (loss_of(lambda t: (t, t[:, 1:])), "equal length"),
        (
            loss_of(finish=lambda x, y: functional.cross_entropy(x.transpose(1, 2), y)),
            "`ignore_index=PAD`",
        ),
        (
            loss_of(
                finish=lambda x, y: functional.cross_entropy(
                    x.transpose(1, 2), y, ignore_index=PAD, reduction="sum"
                )
            ),
            "sum over all",
        ),
        (
            loss_of(
                finish=lambda x, y: functional.cross_entropy(
                    x.transpose(1, 2), y.masked_fill(y == END, PAD), ignore_index=PAD
                )
            ),
            "where to stop",
        ),
        (
            loss_of(
                finish=lambda x, y: functional.cross_entropy(
                    x.softmax(-1).transpose(1, 2), y, ignore_index=PAD
                )
            ),
            "softmax itself",
        ),
        (loss_of(lambda t: (t[:-1], t[1:])), "cuts a phrase off"),
        (loss_of_each_phrase, "one mean over all"),
        (lambda model, source, target: None, "None"),
    ],
    "right": [
        lambda model, source, target: loss_reference(model, source, target),
        loss_by_gather,
        loss_flat,
    ],
}


def greedy_with(
    over=lambda target: target.eq(END).any(1).all(),
    given=lambda target: target,
    choose=lambda logits: logits[:, -1].argmax(-1),
    finish=lambda target: target[:, 1:],
    more=0,
):
    def answer(model, source, longest):
        target = torch.full((len(source), 1), BEGIN)
        for _ in range(longest + more):
            if over(target):
                break
            tokens = choose(model(source, given(target)))
            target = torch.cat([target, tokens[:, None]], 1)
        return finish(target)

    return answer


def greedy_row_by_row(model, source, longest):
    """Each phrase alone, then joined."""
    rows = []
    for row in source:
        said = [BEGIN]
        while len(said) <= longest and said[-1] != END:
            said.append(int(model(row[None], torch.tensor([said]))[0, -1].argmax()))
        rows.append(said[1:])
    width = max(map(len, rows))
    return torch.tensor([[*said, *[PAD] * (width - len(said))] for said in rows])


def greedy_without_the_last_end(model, source, longest):
    target, ended = torch.full((len(source), 1), BEGIN), torch.zeros(len(source), dtype=torch.bool)
    for _ in range(longest):
        tokens = model(source, target)[:, -1].argmax(1)
        ended |= tokens == END
        if ended.all():
            break
        target = torch.cat([target, tokens[:, None]], 1)
    return target[:, 1:]


def greedy_with_all_places(model, source, longest):
    target = torch.full((len(source), 1), BEGIN)
    while target.shape[1] <= longest and not target.eq(END).any(1).all():
        target = torch.cat([target, model(source, target).argmax(-1)], 1)
    return target[:, 1:]


def greedy_from_one_row(model, source, longest):
    return model(source, torch.full((1, 1), BEGIN)).argmax(-1)[:, :longest].expand(len(source), -1)


def greedy_joins_wrongly(model, source, longest):
    target = torch.full((len(source), 1), BEGIN)
    for _ in range(longest):
        target = torch.cat([target, model(source, target)[:, -1].argmax(1)], 1)
    return target[:, 1:]


GREEDY = {
    "wrong": [
        (greedy_with(finish=lambda target: target), "BEGIN is still there"),
        (greedy_with(over=lambda target: target.eq(END).any()), "*one* row"),
        (greedy_with(over=lambda target: target[:, -1].eq(END).all()), ("*same* step", "END")),
        (greedy_with(over=lambda target: False), "always writes `longest`"),
        (greedy_with(more=-1), "One token is missing"),
        (greedy_with(more=1), ("`longest`", "after")),
        (greedy_with(given=lambda target: target[:, -1:]), "newest token alone"),
        (greedy_with(choose=lambda logits: logits[:, 0].argmax(-1)), "behind the first token"),
        (greedy_with(choose=lambda logits: logits[:, -1].argmin(-1)), "*un*likeliest"),
        (greedy_with(finish=lambda target: target[:, 1:].tolist()), "one tensor"),
        (greedy_joins_wrongly, "`tokens[:, None]`"),
        (greedy_without_the_last_end, "last END is missing"),
        (greedy_with_all_places, "*each* place"),
        (greedy_with(choose=lambda logits: logits.argmax(1)), "those of the last place"),
        (greedy_with(choose=lambda logits: logits[:, -1].argmax()), "`argmax(dim=1)`"),
        (greedy_with(over=lambda target: target.eq(END).any(0).all()), "of each row"),
        (greedy_with(finish=lambda target: target[:, 1:-1]), "last token is missing"),
        (greedy_from_one_row, ("a row in both", "should begin", "first row")),
    ],
    "right": [
        lambda model, source, longest: greedy_reference(model, source, longest),
        greedy_with(),
        greedy_row_by_row,
    ],
}


def count_with(
    grams=lambda tokens, n: [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)],
    match=lambda found, right: (Counter(found) & Counter(right)).total(),
    finish=lambda matches, found, right: (matches, len(found)),
):
    def answer(hypothesis, reference, n):
        found, right = grams(hypothesis, n), grams(reference, n)
        return finish(match(found, right), found, right)

    return answer


def count_by_minimum(hypothesis, reference, n):
    found = list(zip(*(hypothesis[start:] for start in range(n)), strict=False))
    right = list(zip(*(reference[start:] for start in range(n)), strict=False))
    return sum(min(found.count(gram), right.count(gram)) for gram in set(found)), len(found)


def count_of_lists(hypothesis, reference, n):
    found = [hypothesis[i : i + n] for i in range(len(hypothesis) - n + 1)]
    return Counter(found).total(), len(found)


MATCHES = {
    "wrong": [
        (count_with(match=lambda found, right: sum(g in right for g in found)), "at most as often"),
        (count_with(match=lambda found, right: len({*found} & {*right})), "twice"),
        (count_with(finish=lambda matches, found, right: (matches, len(right))), "*hypothesis's*"),
        (count_with(finish=lambda matches, found, right: (len(found), matches)), "changed places"),
        (count_with(finish=lambda m, found, right: m / max(len(found), 1)), "quotient"),
        (count_with(finish=lambda matches, found, right: matches), "Two numbers"),
        (
            count_with(lambda tokens, n: [tuple(tokens[i : i + n]) for i in range(len(tokens))]),
            "pieces shorter than n",
        ),
        (
            count_with(
                lambda tokens, n: [tuple(tokens[i : i + n]) for i in range(len(tokens) - n)]
            ),
            "last n-gram is missing",
        ),
        (count_of_lists, "a tuple"),
        (
            count_with(match=lambda f, r: sum(min(f.count(g), r.count(g)) for g in f)),
            "k times over",
        ),
        (count_with(finish=lambda m, found, right: (m, len(Counter(found)))), "different n-grams"),
        (lambda h, r, n: (n_gram_matches(h, r, n)[0], len(h) - n + 1), "0, not below"),
        (
            count_with(lambda row, n: ["".join(row[i : i + n]) for i in range(len(row) + 1 - n)]),
            "Joined to one text",
        ),
        (
            lambda h, r, n: (
                torch.tensor([n_gram_matches(h, r, k + 1) for k in range(n)]).sum(0).tolist()
            ),
            "shorter ones too",
        ),
    ],
    "right": [
        lambda hypothesis, reference, n: n_gram_matches(hypothesis, reference, n),
        count_with(),
        count_by_minimum,
    ],
}


def grow_with(
    together=lambda scores, logs: scores[:, None] + logs,
    finish=lambda values, rows, columns: (values, rows, columns),
    rows=None,
):
    def answer(scores, log_probabilities, width):
        sums = together(scores, log_probabilities)
        values, places = sums.flatten().sort(descending=True)
        values, places = values[:width], places[:width]
        size = rows or log_probabilities.shape[1]
        return finish(values, places.div(size, rounding_mode="floor"), places % size)

    return answer


def grow_in_two_steps(scores, log_probabilities, width):
    """First the best of each hypothesis, then the best of these."""
    size = min(width, log_probabilities.shape[1])
    values, tokens = (log_probabilities + scores.unsqueeze(1)).topk(size, dim=1)
    best, places = values.reshape(-1).topk(min(width, values.numel()))
    return best, places // size, tokens.reshape(-1)[places]


def grow_one_each(scores, log_probabilities, width):
    values, tokens = (scores[:, None] + log_probabilities).max(dim=1)
    order = values.argsort(descending=True)[:width]
    return values[order], order, tokens[order]


def grow_places(scores, log_probabilities, width):
    """Where in the flattened table the best stand."""
    flat = (scores[:, None] + log_probabilities).flatten()
    return flat.topk(min(width, len(flat))).indices


def grow_row_by_row(scores, log_probabilities, width):
    every = [
        (value, row, token)
        for row, values in enumerate((scores[:, None] + log_probabilities).tolist())
        for token, value in sorted(enumerate(values), key=lambda pair: -pair[1])[:width]
    ]
    return tuple(map(torch.tensor, zip(*every[:width], strict=True)))


def grow_without_minimum(scores, log_probabilities, width):
    best = (scores[:, None] + log_probabilities).flatten().topk(width)
    size = log_probabilities.shape[1]
    return best.values, best.indices // size, best.indices % size


GROW = {
    "wrong": [
        (grow_with(lambda scores, logs: logs), "scores so far are lost"),
        (grow_with(lambda scores, logs: scores[:, None] * logs), "are added"),
        (grow_with(lambda scores, logs: (scores[:, None] + logs).exp()), "leave out `exp`"),
        (grow_with(lambda scores, logs: scores[:, None] + logs.exp()), "both as logarithms"),
        (grow_with(lambda scores, logs: (scores[:, None] + logs) / 2), "not the mean"),
        (grow_with(finish=lambda values, rows, columns: (values, columns, rows)), "changed places"),
        (grow_with(finish=lambda values, rows, columns: (values, rows)), "three tensors"),
        (grow_one_each, "best token alone"),
        (
            lambda scores, logs, width: (
                grow_beam(scores, logs, width)[0],
                grow_places(scores, logs, width) // width,
                grow_places(scores, logs, width) % width,
            ),
            "divided by `width`",
        ),
        (
            lambda scores, logs, width: (
                grow_beam(scores, logs, width)[0],
                grow_places(scores, logs, width) / logs.shape[1],
                grow_beam(scores, logs, width)[2],
            ),
            "`//`",
        ),
        (
            lambda scores, logs, width: (
                logs.flatten()[grow_places(scores, logs, width)],
                *grow_beam(scores, logs, width)[1:],
            ),
            "the *whole* so far",
        ),
        (grow_row_by_row, "one row after the other"),
        (grow_without_minimum, "fewer than `width`"),
        (lambda scores, logs, width: (scores + logs).topk(width), ("`scores[:, None]`", "three")),
    ],
    "right": [
        lambda scores, logs, width: grow_beam(scores, logs, width),
        grow_with(),
        grow_in_two_steps,
    ],
}

ANSWERS = {
    "translation.pad": PADDED,
    "translation.masks": MASKS,
    "translation.DecoderLayer": LAYER,
    "translation.translation_loss": LOSS,
    "translation.greedy": GREEDY,
    "translation.n_gram_matches": MATCHES,
    "translation.grow_beam": GROW,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 60
