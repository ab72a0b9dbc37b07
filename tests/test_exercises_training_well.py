"""Lesson 02: every exercise turns away plausible mistakes and takes different right answers."""

import numpy as np
import torch
from exercise_answers import AnswersOfALesson
from scipy import stats
from sklearn import metrics
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from course.exercises.training_well import EXERCISES
from course.models.training_well import random_shift

# Each wrong answer stands beside a word that its message must contain.


def scaled_like(train, test, like, **how):
    deviation = like.std(axis=0, **how)
    deviation[deviation == 0] = 1
    return (train - like.mean(axis=0)) / deviation, (test - like.mean(axis=0)) / deviation


def standardise_together(train, test):
    return scaled_like(train, test, np.vstack([train, test]))


def standardise_apart(train, test):
    return scaled_like(train, test, train)[0], scaled_like(train, test, test)[1]


def standardise_in_place(train, test):
    mean = train.mean(axis=0)
    deviation = np.where(train.std(axis=0) > 0, train.std(axis=0), 1)
    train -= mean
    test -= mean
    return train / deviation, test / deviation


def standardise_by_column(train, test):
    results = [np.empty_like(train), np.empty_like(test)]
    for column in range(train.shape[1]):
        middle = sum(train[:, column]) / len(train)
        spread = (sum((train[:, column] - middle) ** 2) / len(train)) ** 0.5
        for source, target in zip((train, test), results, strict=True):
            target[:, column] = (source[:, column] - middle) / (spread or 1)
    return tuple(results)


def standardise_as_a_list(train, test):
    deviation = train.std(0)
    deviation[deviation == 0] = 1
    return [(part - train.mean(0)) / deviation for part in (train, test)]


def standardise_mixed(mean, deviation):
    def standardise(train, test):
        sets = {"train": train, "both": np.vstack([train, test])}
        spread = sets[deviation].std(0)
        spread[spread == 0] = 1
        return (train - sets[mean].mean(0)) / spread, (test - sets[mean].mean(0)) / spread

    return standardise


def standardise_rows(keepdims):
    def standardise(train, test):
        mean, deviation = (
            train.mean(axis=1, keepdims=keepdims),
            train.std(axis=1, keepdims=keepdims),
        )
        deviation = np.where(deviation > 0, deviation, 1)
        return (train - mean) / deviation, (test - mean) / deviation

    return standardise


def standardise_each_row(train, test):
    return tuple(
        (part - part.mean(axis=1, keepdims=True))
        / np.where(part.std(axis=1, keepdims=True) > 0, part.std(axis=1, keepdims=True), 1)
        for part in (train, test)
    )


def standardise_without_brackets(train, test):
    deviation = np.where(train.std(0) > 0, train.std(0), 1)
    return train - train.mean(0) / deviation, test - train.mean(0) / deviation


def standardise_constant_to_zero(train, test):
    results = scaled_like(train, test, train)
    for part in results:
        part[:, train.std(0) == 0] = 0
    return results


def standardise_without_nan(train, test):
    results = [(part - train.mean(0)) / train.std(0) for part in (train, test)]
    return tuple(np.nan_to_num(part) for part in results)


STANDARDISE = {
    "wrong": [
        (standardise_together, "both sets together"),
        (standardise_apart, "own mean and deviation"),
        (lambda train, test: scaled_like(train, test, test), "test set's mean"),
        (lambda train, test: (scaled_like(train, test, train)[0], test), "left as it is"),
        (lambda train, test: (train - train.mean(0), test - train.mean(0)), "also divide"),
        (
            lambda train, test: (
                (train - train.mean()) / train.std(),
                (test - train.mean()) / train.std(),
            ),
            "axis=0",
        ),
        (lambda train, test: scaled_like(train, test, train, ddof=1), "N − 1"),
        (
            lambda train, test: (
                (train - train.mean(0)) / train.std(0),
                (test - train.mean(0)) / train.std(0),
            ),
            "divide by it",
        ),
        (
            lambda train, test: (
                (train - train.mean(0)) / (train.std(0) + 1e-8),
                (test - train.mean(0)) / (train.std(0) + 1e-8),
            ),
            "tiny number",
        ),
        (standardise_mixed("train", "both"), "different sets"),
        (standardise_mixed("both", "train"), "different sets"),
        (lambda train, test: scaled_like(train, test, train)[::-1], "changed places"),
        (standardise_rows(keepdims=False), "axis=1"),
        (standardise_rows(keepdims=True), "axis=1"),
        (standardise_each_row, "axis=1"),
        (standardise_without_brackets, "Brackets"),
        (standardise_constant_to_zero, "to 0 in both"),
        (standardise_without_nan, "hides a division"),
        (lambda train, test: scaled_like(train, test, train)[0], "2 values"),
        (lambda train, test: scaled_like(test, train, train), "changed places"),
        (standardise_in_place, "in place"),
    ],
    "right": [standardise_by_column, standardise_as_a_list],
}


def counted(said, truth):
    return np.sum(said & truth), np.sum(said & ~truth), np.sum(~said & truth)


def three(said, truth):
    hits, alarms, missed = counted(said, truth)
    if hits == 0:
        return 0.0, 0.0, 0.0
    return hits / (hits + alarms), hits / (hits + missed), 2 * hits / (2 * hits + alarms + missed)


def three_without_care(said, truth):
    precision = (said & truth).sum() / said.sum()
    recall = (said & truth).sum() / truth.sum()
    return precision, recall, 2 * precision * recall / (precision + recall)


def three_with_try(said, truth):
    try:
        return three_without_care(said, truth)
    except ZeroDivisionError:
        return 0.0, 0.0, 0.0


def divided_with(care):
    """How a student may divide: not caring for 0, testing for it, or keeping away from it."""
    if care == "if":
        return lambda part, whole: part / whole if whole else 0.0
    if care == "max":
        return lambda part, whole: part / max(whole, 1)
    return lambda part, whole: np.float64(part) / np.float64(whole)


def three_with_equality(care):
    share = divided_with(care)

    def precision_recall_f1(said, truth):
        hits = (said == truth).sum()
        if care == "early" and hits == 0:
            return 0.0, 0.0, 0.0
        precision, recall = share(hits, said.sum()), share(hits, truth.sum())
        both = precision + recall
        if care == "max":
            return precision, recall, 2 * precision * recall / both if hits else 0.0
        return precision, recall, share(2 * precision * recall, both)

    return precision_recall_f1


def three_without_brackets(care):
    share = divided_with(care)

    def precision_recall_f1(said, truth):
        hits = (said & truth).sum()
        if care == "early" and hits == 0:
            return 0.0, 0.0, 0.0
        precision, recall = share(hits, said.sum()), share(hits, truth.sum())
        if care == "max":
            f1 = 2 * precision * recall / precision + recall if hits else 0.0
        else:
            f1 = share(2 * precision * recall, precision) + recall
        return precision, recall, f1

    return precision_recall_f1


def three_with_specificity(said, truth):
    precision = three(said, truth)[0]
    recall = (~said & ~truth).sum() / (~truth).sum() if (~truth).any() else 0.0
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0


def three_by_loop(said_yes, is_yes):
    hits = said = true = 0
    for answer, truth in zip(said_yes, is_yes, strict=True):
        hits += bool(answer and truth)
        said += bool(answer)
        true += bool(truth)
    if not hits:
        return 0, 0, 0
    return [hits / said, hits / true, 2 / (said / hits + true / hits)]


def three_by_scikit_learn(said_yes, is_yes):
    found = metrics.precision_recall_fscore_support(
        is_yes, said_yes, average="binary", zero_division=0
    )
    return tuple(map(float, found[:3]))


PRECISION_RECALL_F1 = {
    "wrong": [
        (lambda s, t: (three(s, t)[1], three(s, t)[0], three(s, t)[2]), "changed places"),
        (lambda s, t: (*three(s, t)[:2], sum(three(s, t)[:2]) / 2), "plain average"),
        (lambda s, t: (*three(s, t)[:2], three(s, t)[2] / 2), "2 is missing"),
        (lambda s, t: ((s == t).mean(), *three(s, t)[1:]), "accuracy"),
        (lambda s, t: (three(s, t)[0], (s == t).mean(), three(s, t)[2]), "accuracy"),
        (lambda s, t: ((s & t).mean(),) * 3, "number of all examples"),
        (lambda s, t: three(~s, ~t), "answer *no*"),
        (lambda s, t: three(s, t)[2], ("F1 alone", "3 values")),
        (three_without_care, "`try` does not help"),
        (three_with_try, "`try` does not help"),
        *((three_with_equality(care), "right *no*") for care in ("none", "if", "early", "max")),
        *((three_without_brackets(care), "whole sum") for care in ("none", "if", "early", "max")),
        (lambda s, t: (*three(s, t)[:2], (s == t).mean()), "third value is the accuracy"),
        (three_with_specificity, "the *no* that were called no"),
        (lambda s, t: tuple(100 * value for value in three(s, t)), "percent"),
        (lambda s, t: three(s, t) if (s & t).any() else 0, "values are asked for here too"),
        (lambda s, t: (three(s, t)[1], three(s, t)[0], 0), "changed places"),
        (lambda s, t: np.array(three(s, t)[:2]), "NumPy array"),
        (lambda s, t: (three(s, t)[0], three(s, t)[1]), "2 values"),
        (lambda s, t: str(three(s, t)), "3 values"),
        (lambda s, t: (three(s, t)[0] * 100, *three(s, t)[1:]), "should be"),
    ],
    "right": [
        three,
        three_by_loop,
        three_by_scikit_learn,
        lambda said, truth: np.array(three(said, truth)),
    ],
}


def all_gaps(scores, truth):
    return scores[truth][:, None] - scores[~truth]


def auc_by_loop(scores, is_yes):
    right = pairs = 0
    for one in scores[is_yes]:
        for other in scores[~is_yes]:
            pairs += 1
            right += 1 if one > other else 0.5 if one == other else 0
    return right / pairs


def auc_by_zip(scores, is_yes):
    pairs = list(zip(scores[is_yes], scores[~is_yes], strict=False))
    return sum(one > other for one, other in pairs) / len(pairs)


def auc_by_ranks(scores, is_yes):
    ranks, positives = stats.rankdata(scores), is_yes.sum()
    above = ranks[is_yes].sum() - positives * (positives + 1) / 2
    return above / (positives * (len(scores) - positives))


def auc_by_the_curve(scores, is_yes):
    thresholds = np.concatenate([[np.inf], np.unique(scores)[::-1]])
    recall = [(scores[is_yes] >= t).mean() for t in thresholds]
    false_alarms = [(scores[~is_yes] >= t).mean() for t in thresholds]
    return np.trapezoid(recall, false_alarms)


ROC_AUC = {
    "wrong": [
        (lambda s, t: (all_gaps(s, t) > 0).mean(), "count nothing"),
        (lambda s, t: (all_gaps(s, t) >= 0).mean(), "count as right"),
        (lambda s, t: 1 - auc_by_ranks(s, t), "turned round"),
        (lambda s, t: auc_by_ranks(s, t) * t.sum() * (~t).sum(), "number of pairs"),
        (lambda s, t: ((s >= 0.5) == t).mean(), "accuracy"),
        (lambda s, t: all_gaps(s, t).mean(), "only their order"),
        (lambda s, t: s[t].mean() - s[~t].mean(), "only their order"),
        (lambda s, t: (s[t] > s[~t]).mean(), "compare *every* yes"),
        (lambda s, t: (s[t] > s[~t]).mean() + (s[t] == s[~t]).mean() / 2, "compare *every* yes"),
        (auc_by_zip, "compare *every* yes"),
        (lambda s, t: (s[t][:, None] > s).mean(), "*all* examples"),
        (
            lambda s, t: (s[t][:, None] > s).mean() + (s[t][:, None] == s).mean() / 2,
            "*all* examples",
        ),
        (lambda s, t: s[t].mean() > s[~t].mean(), "two means"),
        (lambda s, t: 1.0 if s[t].mean() > s[~t].mean() else 0.0, "two means"),
        (lambda s, t: all_gaps(s, t) > 0, "single number"),
        (lambda s, t: (all_gaps(s, t) > 0).sum() / len(s) ** 2, "should be"),
        (lambda s, t: metrics.average_precision_score(t, s), "another curve"),
    ],
    "right": [auc_by_loop, auc_by_ranks, auc_by_the_curve],
}


def evaluate_by(join, begin="eval", end="restore"):
    """An evaluation; `join` makes one number of the batches' lists of right and wrong."""

    def evaluate(model, x, y, batch_size):
        before = model.training
        if begin == "eval":
            model.eval()
        rights = []
        for start in range(0, len(x), batch_size):
            answers = model(x[start : start + batch_size]).argmax(dim=1)
            rights.append((answers == y[start : start + batch_size]).float())
        if end == "restore":
            model.train(before)
        elif end == "train":
            model.train()
        return join(rights)

    return evaluate


def last(rights):
    return rights[-1].mean().item()


def whole(rights):
    return torch.cat(rights).float().mean().item()


def mean_of_means(rights):
    return np.mean([right.mean().item() for right in rights])


def evaluate_at_once(model, x, y, batch_size):
    before = model.training
    model.eval()
    share = (model(x).argmax(dim=1) == y).float().mean().item()
    model.train(before)
    return share


@torch.no_grad()
def evaluate_weighted(model, x, y, batch_size):
    was_training, total = model.training, 0.0
    try:
        model.eval()
        for part, targets in zip(x.split(batch_size), y.split(batch_size), strict=True):
            share = np.mean((model(part).argmax(1) == targets).numpy())
            total += share * len(part) / len(x)
    finally:
        if was_training:
            model.train()
    return total


def evaluate_with_a_loader(model, x, y, batch_size):
    was_training, right = model.training, 0
    model.eval()
    for part, targets in DataLoader(TensorDataset(x, y), batch_size):
        right += int((model(part).argmax(1) == targets).sum())
    model.train(was_training)
    return right / len(y)


def evaluate_module_by_module(model, x, y, batch_size):
    modes = {module: module.training for module in model.modules()}
    for module in modes:
        module.training = False
    rights = [model(part).argmax(1) for part in x.split(batch_size)]
    for module, mode in modes.items():
        module.training = mode
    return np.mean((torch.cat(rights) == y).tolist())


def evaluate_by_attribute(begin=False, end=False):
    def evaluate(model, x, y, batch_size):
        before = model.training
        if begin:
            model.training = False
        else:
            model.eval()
        share = whole([model(part).argmax(1) == t for part, t in batches(x, y, batch_size)])
        if end:
            model.training = before
        else:
            model.train(before)
        return share

    return evaluate


def batches(x, y, batch_size):
    return zip(x.split(batch_size), y.split(batch_size), strict=True)


def evaluate_restoring_inside(model, x, y, batch_size):
    before, right = model.training, 0
    model.eval()
    for part, targets in batches(x, y, batch_size):
        right += (model(part).argmax(1) == targets).sum().item()
        model.train(before)
    return right / len(x)


def evaluate_counting(reset=False, full_only=""):
    def evaluate(model, x, y, batch_size):
        before, right, seen = model.training, 0, 0
        model.eval()
        stop = len(x) - batch_size + 1 if full_only else len(x)
        for start in range(0, stop, batch_size):
            batch = slice(start, start + batch_size)
            right = 0 if reset else right
            right += (model(x[batch]).argmax(1) == y[batch]).sum().item()
            seen += len(x[batch])
        model.train(before)
        return right / (seen if full_only == "divide by seen" else len(x))

    return evaluate


def evaluate_with_whole_batches(model, x, y, batch_size):
    before, total = model.training, 0
    model.eval()
    for part, targets in batches(x, y, batch_size):
        total += (model(part).argmax(1) == targets).float().mean().item()
    model.train(before)
    return total / (len(x) // batch_size)


EVALUATE = {
    "wrong": [
        (evaluate_by(last, begin=""), "Two faults"),
        (evaluate_by(last), "only the last batch"),
        (evaluate_by(whole, begin="", end=""), "still in training mode"),
        (evaluate_by(mean_of_means), "may be smaller"),
        (evaluate_by(lambda rights: rights[0].mean().item()), "first round"),
        (evaluate_by(lambda rights: torch.cat(rights).sum().item()), "number of right"),
        (evaluate_by(whole, end=""), "left in evaluation mode"),
        (evaluate_by(whole, end="train"), "always left in training mode"),
        (evaluate_by(lambda rights: 100 * whole(rights)), "percent"),
        (evaluate_by(lambda rights: None), "None"),
        (evaluate_by(lambda rights: torch.cat(rights).mean()), "`.item()`"),
        (evaluate_by_attribute(begin=True), "reaches only the model itself"),
        (evaluate_by_attribute(end=True), "gives the mode back to the model itself"),
        (evaluate_restoring_inside, "inside the loop"),
        (evaluate_counting(reset=True), "starts at 0 again"),
        (evaluate_counting(full_only="divide by all"), "left out"),
        (evaluate_counting(full_only="divide by seen"), "left out"),
        (evaluate_with_whole_batches, "len(x) // batch_size"),
        (evaluate_at_once, "at once"),
    ],
    "right": [
        evaluate_by(whole),
        evaluate_by(lambda rights: torch.cat(rights).double().mean().numpy().item()),
        evaluate_weighted,
        evaluate_with_a_loader,
        evaluate_module_by_module,
    ],
}


def shift_by(draw, fill="constant"):
    """Random shifts; `draw(count, most)` gives the first row and column of each window."""

    def random_shift(images, most):
        padded = functional.pad(images[:, None], (most,) * 4, mode=fill)[:, 0]
        height, width = images.shape[1:]
        places = draw(len(images), most)
        cuts = [
            padded[n, top : top + height, left : left + width]
            for n, (top, left) in enumerate(places)
        ]
        return torch.stack(cuts)

    return random_shift


def draw_freely(count, most):
    return torch.randint(0, 2 * most + 1, (count, 2)).tolist()


def shift_by_rolling(images, most, clear=False):
    result = images.clone()
    for n in range(len(images)):
        down, right = np.random.randint(-most, most + 1, 2)
        moved = torch.roll(images[n], (down, right), (0, 1))
        if clear and down > 0:
            moved[:down] = 0
        if clear and down < 0:
            moved[down:] = 0
        if clear and right > 0:
            moved[:, :right] = 0
        if clear and right < 0:
            moved[:, right:] = 0
        result[n] = moved
    return result


def shift_by_indexing(images, most):
    padded = functional.pad(images, (most,) * 4)
    top, left = torch.randint(2 * most + 1, (2, len(images), 1))
    rows, columns = top + torch.arange(images.shape[1]), left + torch.arange(images.shape[2])
    which = torch.arange(len(images))[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None]]


def shift_in_place(images, most):
    images[:, 1:] = images[:, :-1].clone()
    return images


def shift_from_a_negative_corner(images, most):
    padded, result = functional.pad(images, (most,) * 4), torch.empty_like(images)
    height, width = images.shape[1:]
    for n in range(len(images)):
        top, left = torch.randint(-most, most + 1, (2,)).tolist()
        result[n] = padded[n, top : top + height, left : left + width]
    return result


def shift_seeded(set_seed):
    def random_shift(images, most):
        set_seed(0)
        return shift_by(draw_freely)(images, most)

    return random_shift


def draw_rounded(count, most):
    """From 0 to 2 · most, the first and the last half as often as the others."""
    return (torch.rand(count, 2) * 2 * most).round().long().tolist()


def draw_normally(count, most):
    return (torch.randn(count, 2).round().clamp(-most, most).long() + most).tolist()


RANDOM_SHIFT = {
    "wrong": [
        (lambda images, most: images.clone(), "No image was moved"),
        (shift_by_rolling, "comes back on the other"),
        (shift_by(lambda n, m: [draw_freely(1, m)[0]] * n), ("alike", "each image draws")),
        (
            shift_by(lambda n, m: torch.randint(0, 2 * m, (n, 2)).tolist()),
            "stops before `high`",
        ),
        (shift_by(lambda n, m: torch.randint(m, 2 * m + 1, (n, 2)).tolist()), "down by 1"),
        (shift_by(lambda n, m: torch.randint(0, m + 1, (n, 2)).tolist()), "up by 1"),
        (shift_by(lambda n, m: torch.randint(0, m + 1, (n, 2)).tolist()), "from 0 to 2 · most"),
        (shift_from_a_negative_corner, "a corner is counted from 0"),
        (shift_by(lambda n, m: torch.randint(-m, m + 1, (n, 2)).tolist()), "counted from 0"),
        (shift_seeded(torch.manual_seed), "set a seed"),
        (
            shift_by(lambda n, m: np.random.default_rng(0).integers(2 * m + 1, size=(n, 2))),
            "a seed",
        ),
        (shift_by(draw_rounded), "equally frequent"),
        (shift_by(draw_normally), "equally frequent"),
        (shift_by(lambda n, m: [(top, m) for top, _ in draw_freely(n, m)]), "only down or up"),
        (shift_by(lambda n, m: [(m, top) for top, _ in draw_freely(n, m)]), "only right or left"),
        (shift_by(lambda n, m: [(top, top) for top, _ in draw_freely(n, m)]), "diagonal"),
        (shift_by(draw_freely, fill="replicate"), "not 0 (paper)"),
        (lambda images, most: shift_by(draw_freely)(images, most + 1), "more than most"),
        (lambda images, most: functional.pad(images, (most,) * 4), "shape"),
        (lambda images, most: images + most * torch.randn_like(images), "is not the image"),
        (lambda images, most: shift_by(draw_freely)(images, most).numpy(), "torch tensor"),
        (lambda images, most: images.flip(2), "is not the image"),
        (shift_in_place, "in place"),
    ],
    "right": [
        shift_by(draw_freely),
        lambda images, most: shift_by_rolling(images, most, clear=True),
        shift_by_indexing,
    ],
}


def counts(y, num_classes):
    return torch.bincount(y, minlength=num_classes)


def weights_by_loop(y, num_classes):
    weights = torch.zeros(num_classes)
    for k in range(num_classes):
        weights[k] = len(y) / num_classes / (y == k).sum()
    return weights


CLASS_WEIGHTS = {
    "wrong": [
        (lambda y, k: 1 / counts(y, k), "average to 1"),
        (lambda y, k: len(y) / counts(y, k), "number of classes"),
        (lambda y, k: counts(y, k) / len(y), "shares of the classes"),
        (lambda y, k: k * counts(y, k) / len(y), "rare class must get"),
        (lambda y, k: functional.normalize(1 / counts(y, k), p=1, dim=0), "*classes* add up"),
        (lambda y, k: k * functional.normalize(1 / counts(y, k), p=1, dim=0), "*classes* average"),
        (lambda y, k: counts(y, k).max() / counts(y, k), "most common class got 1"),
        (lambda y, k: (len(y) / k / counts(y, k)).sqrt(), "root"),
        (lambda y, k: 1 - counts(y, k) / len(y), "One minus"),
        (lambda y, k: len(y) / k * counts(y, k), "brackets"),
        (lambda y, k: (len(y) / k / counts(y, k))[y], "each example"),
        (lambda y, k: (len(y) / k / counts(y, k)).double(), "float32"),
        (lambda y, k: (len(y) / k / counts(y, k)).numpy(), "torch tensor"),
    ],
    "right": [
        weights_by_loop,
        lambda y, k: 1 / (k * functional.one_hot(y, k).float().mean(dim=0)),
        lambda y, k: torch.tensor([len(y) / (k * y.tolist().count(c)) for c in range(k)]),
    ],
}


def f1_at(threshold, scores, truth):
    return three(scores >= threshold, truth)[2]


def threshold_for(quality):
    def best_threshold(scores, is_yes):
        return max(np.unique(scores), key=lambda t: quality(scores >= t, is_yes))

    return best_threshold


def threshold_in_steps(scores, is_yes, steps=11):
    return max(np.linspace(0, 1, steps), key=lambda t: f1_at(t, scores, is_yes))


def threshold_on_a_grid_of_the_scores(scores, is_yes):
    return best_of(np.linspace(scores.min(), scores.max(), 200), scores, is_yes)


def best_of(candidates, scores, truth):
    return max(candidates, key=lambda t: f1_at(t, scores, truth))


def threshold_between_scores(scores, is_yes):
    ordered = np.sort(np.append(scores, scores.min() - 1))
    middles = (ordered[1:] + ordered[:-1]) / 2
    return float(middles[np.argmax([f1_at(t, scores, is_yes) for t in middles])])


def threshold_by_scikit_learn(scores, is_yes):
    precision, recall, thresholds = metrics.precision_recall_curve(is_yes, scores)
    both = np.maximum(precision + recall, 1e-9)
    return thresholds[np.argmax((precision * recall / both)[:-1])]


BEST_THRESHOLD = {
    "wrong": [
        (lambda s, t: max(f1_at(x, s, t) for x in np.unique(s)), "best F1 itself"),
        (lambda s, t: np.argmax([f1_at(x, s, t) for x in np.unique(s)]), "*position*"),
        (lambda s, t: np.argmax([f1_at(x, s, t) for x in s]), "*position*"),
        (threshold_for(lambda said, truth: (said == truth).mean()), "highest accuracy"),
        (threshold_for(lambda said, truth: three(said, truth)[0]), "highest precision"),
        (threshold_for(lambda said, truth: three(said, truth)[1]), "highest recall"),
        (threshold_for(lambda said, truth: -three(said, truth)[2]), "*lowest*"),
        (lambda s, t: 0.5, "where we start"),
        (threshold_in_steps, "try the scores"),
        *(
            (lambda s, t, n=n: threshold_in_steps(s, t, n), "try the scores")
            for n in (21, 100, 101, 501, 1001, 2001)
        ),
        (threshold_on_a_grid_of_the_scores, "try the scores"),
        (lambda s, t: np.float32(best_of(np.unique(s), s, t)), ("rounded", "0.300000012")),
        (lambda s, t: s[np.argmax([f1_at(x, s, t) for x in np.unique(s)])], "index those"),
        (lambda s, t: np.sort(s)[np.argmax([f1_at(x, s, t) for x in s])], ("index", "would be")),
        (threshold_for(three), "`[2]`"),
        (lambda s, t: np.unique(s)[np.argmax([three(s >= x, t) for x in np.unique(s)])], "[2]"),
        (lambda s, t: max(np.unique(s), key=lambda x: three(s <= x, t)[2]), "score <= t"),
        (lambda s, t: max(np.unique(s), key=lambda x: three(s > x, t)[2]), "score >= t"),
        (lambda s, t: s, "single number"),
        (lambda s, t: float("nan"), "F1 is 0.000"),
        (lambda s, t: s.mean(), "it would be"),
    ],
    "right": [
        threshold_for(lambda said, truth: three(said, truth)[2]),
        threshold_between_scores,
        threshold_by_scikit_learn,
        lambda s, t: torch.tensor(best_of(s, s, t)),
        lambda s, t: best_of(s.tolist(), s, t),
    ],
}

ANSWERS = {
    "training_well.standardise": STANDARDISE,
    "training_well.precision_recall_f1": PRECISION_RECALL_F1,
    "training_well.roc_auc": ROC_AUC,
    "training_well.evaluate": EVALUATE,
    "training_well.random_shift": RANDOM_SHIFT,
    "training_well.class_weights": CLASS_WEIGHTS,
    "training_well.best_threshold": BEST_THRESHOLD,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 60


def test_the_course_s_shifts_are_equally_frequent():
    torch.manual_seed(0)
    images = torch.zeros(5000, 5, 5)
    images[:, 2, 2] = 1
    places = random_shift(images, 2).flatten(1).argmax(dim=1)
    assert stats.chisquare(torch.bincount(places, minlength=25).numpy()).pvalue > 0.001
