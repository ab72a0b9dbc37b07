"""Lesson 04: every exercise turns away plausible mistakes and takes different right answers."""

import numpy as np
import torch
from exercise_answers import AnswersOfALesson
from torch import nn
from torch.nn import functional

from course.exercises.gan import EXERCISES
from course.models.gan import discriminator_loss, generator_loss
from course.models.gan_score import class_shares, frechet_distance, square_root

# Each wrong answer stands beside a word that its message must contain.


def best_by_odds(p, q):
    with np.errstate(divide="ignore"):
        return 1 / (1 + q / p)


def best_by_bayes(p, q):
    joint_real, joint_fake = 0.5 * p, 0.5 * q
    return joint_real / (joint_real + joint_fake)


BEST_DISCRIMINATOR = {
    "wrong": [
        (lambda p, q: q / (p + q), "fake"),
        (lambda p, q: np.where(q > 0, p / np.maximum(q, 1e-9), np.inf), ("one", "infinite", "inf")),
        (lambda p, q: p / (1 + q), "not 1 and q"),
        (lambda p, q: np.where(p > q, 1.0, 0.0), "probability itself"),
        (lambda p, q: p - q, "negative"),
        (lambda p, q: p / np.sum(p + q), "place"),
        (lambda p, q: p.copy(), "leaves the fake points out"),
        (lambda p, q: float(np.mean(p / (p + q))), "NumPy array"),
        (lambda p, q: None, "return"),
        (lambda p, q: 1.0 if p > q else 0.0, ("array", "number")),
    ],
    "right": [best_by_bayes, best_by_odds, lambda p, q: 1 - q / (p + q)],
}


def bce(logits, label):
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def twice_sigmoid(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return bce(real, 1.0) + bce(fake, 0.0)


def all_in_one_mean(real_logits, fake_logits):
    return functional.binary_cross_entropy_with_logits(
        torch.cat([real_logits, fake_logits]),
        torch.cat([torch.ones_like(real_logits), torch.zeros_like(fake_logits)]),
    )


def loss_of_probabilities(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    real_part = functional.binary_cross_entropy(real, torch.ones_like(real))
    return real_part + functional.binary_cross_entropy(fake, torch.zeros_like(fake))


def logs_of_probabilities(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return -torch.log(real).mean() - torch.log(1 - fake).mean()


def labels_of_the_real_batch(real_logits, fake_logits):
    ones, zeros = torch.ones_like(real_logits), torch.zeros_like(real_logits)
    loss = functional.binary_cross_entropy_with_logits
    return loss(real_logits, ones) + loss(fake_logits, zeros)


def by_a_loss_object(real_logits, fake_logits):
    loss = nn.BCEWithLogitsLoss()
    real_part = loss(real_logits, torch.ones(len(real_logits)))
    return real_part + loss(fake_logits, torch.zeros(len(fake_logits)))


DISCRIMINATOR_LOSS = {
    "wrong": [
        (twice_sigmoid, "applied twice"),
        (lambda real, fake: bce(real, 0.0) + bce(fake, 1.0), "changed places"),
        (lambda real, fake: bce(real, 1.0) + bce(fake, 1.0), "label of the fakes is 0"),
        (lambda real, fake: bce(real, 1.0) - bce(fake, 0.0), "subtracted"),
        (lambda real, fake: (bce(real, 1.0) + bce(fake, 0.0)) / 2, "half of it"),
        (all_in_one_mean, "larger batch"),
        (loss_of_probabilities, "cut off at 100"),
        (logs_of_probabilities, "infinite"),
        (labels_of_the_real_batch, "same size"),
        (lambda real, fake: bce(real, 1.0), "fakes have no part"),
        (lambda real, fake: bce(real.sigmoid(), 1.0) + bce(fake, 0.0), "real images still go"),
        (lambda real, fake: bce(real, 1.0) + bce(fake.sigmoid(), 0.0), "fakes still go"),
        (lambda real, fake: (bce(real, 1.0) + bce(fake, 0.0)).item(), "tensor itself"),
        (
            lambda real, fake: bce(real, 1.0) * len(real) + bce(fake, 0.0) * len(fake),
            "take the mean",
        ),
    ],
    "right": [
        by_a_loss_object,
        lambda real, fake: functional.softplus(-real).mean() + functional.softplus(fake).mean(),
        lambda real, fake: (
            -(functional.logsigmoid(real).mean() + functional.logsigmoid(-fake).mean())
        ),
    ],
}

GENERATOR_LOSS = {
    "wrong": [
        (lambda fake_logits: bce(fake_logits, 0.0), "towards label 0"),
        (lambda fake_logits: -bce(fake_logits, 0.0), "minimax"),
        (lambda fake_logits: -bce(fake_logits, 1.0), "sign is wrong"),
        (lambda fake_logits: bce(torch.sigmoid(fake_logits), 1.0), "its own sigmoid"),
        (lambda fake_logits: -fake_logits.mean(), "without an end"),
        (lambda fake_logits: -torch.sigmoid(fake_logits).log().mean(), "rounds to 0"),
        (lambda fake_logits: functional.softplus(-fake_logits).sum(), "take the mean"),
        (lambda fake_logits: bce(fake_logits, 0.5), "half-way"),
        (lambda fake_logits: functional.softplus(-fake_logits), "shape"),
    ],
    "right": [
        lambda fake_logits: nn.BCEWithLogitsLoss()(fake_logits, torch.ones(len(fake_logits))),
        lambda fake_logits: functional.softplus(-fake_logits).mean(),
        lambda fake_logits: -functional.logsigmoid(fake_logits).mean(),
    ],
}


def of_the_discriminator(order, detach=True, result=lambda loss: loss.item(), both=False):
    """A step of the discriminator that does these things, in this order."""

    def step(discriminator, optimizers, real, fake):
        fake = fake.detach() if detach else fake
        loss = discriminator_loss(discriminator(real), discriminator(fake))
        for action in order.split():
            if action == "back":
                loss.backward()
            elif action == "zero":
                optimizers.discriminator.zero_grad()
            else:
                optimizers.discriminator.step()
                if both:
                    optimizers.generator.step()
        return result(loss)

    return step


def discriminator_in_two_parts(discriminator, optimizers, real, fake):
    optimizers.discriminator.zero_grad()
    real_part = functional.softplus(-discriminator(real)).mean()
    real_part.backward()
    fake_part = functional.softplus(discriminator(fake.detach())).mean()
    fake_part.backward()
    optimizers.discriminator.step()
    return real_part.item() + fake_part.item()


def discriminator_on_a_copy(discriminator, optimizers, real, fake):
    copy = fake.detach().clone()
    loss = discriminator_loss(discriminator(real), discriminator(copy))
    optimizers.discriminator.zero_grad()
    loss.backward()
    optimizers.discriminator.step()
    return float(loss)


def discriminator_without_watching(discriminator, optimizers, real, fake):
    with torch.no_grad():
        loss = discriminator_loss(discriminator(real), discriminator(fake))
    optimizers.discriminator.zero_grad()
    loss.backward()
    optimizers.discriminator.step()
    return loss.item()


def discriminator_zeroed_by_its_module(discriminator, optimizers, real, fake):
    discriminator.zero_grad()
    loss = discriminator_loss(discriminator(real), discriminator(fake.detach()))
    loss.backward()
    optimizers.discriminator.step()
    return loss.item()


def discriminator_by_one_optimizer(discriminator, optimizers, real, fake):
    loss = discriminator_loss(discriminator(real), discriminator(fake.detach()))
    optimizers.zero_grad()
    loss.backward()
    optimizers.step()
    return loss.item()


def only(part):
    def step(discriminator, optimizers, real, fake):
        fake = fake.detach()
        loss = bce(discriminator(real), 1.0) if part == "real" else bce(discriminator(fake), 0.0)
        optimizers.discriminator.zero_grad()
        loss.backward()
        optimizers.discriminator.step()
        return loss.item()

    return step


def swapped(discriminator, optimizers, real, fake):
    loss = discriminator_loss(discriminator(fake.detach()), discriminator(real))
    optimizers.discriminator.zero_grad()
    loss.backward()
    optimizers.discriminator.step()
    return loss.item()


def with_the_other_loss(discriminator, optimizers, real, fake):
    loss = generator_loss(discriminator(fake.detach()))
    optimizers.discriminator.zero_grad()
    loss.backward()
    optimizers.discriminator.step()
    return loss.item()


DISCRIMINATOR_STEP = {
    "wrong": [
        (of_the_discriminator("zero back move", detach=False), "fake.detach()"),
        (of_the_discriminator("back move"), "earlier step"),
        (of_the_discriminator("zero back"), "did not move"),
        (of_the_discriminator("zero move back"), "did not move"),
        (of_the_discriminator("zero back move", both=True), "also moved the generator"),
        (of_the_discriminator("zero back move", result=lambda loss: loss), "plain number"),
        (of_the_discriminator("zero back move", result=lambda loss: None), "returns nothing"),
        (only("real"), "Only the real"),
        (only("fake"), "Only the fakes"),
        (swapped, "real images first"),
        (with_the_other_loss, "generator's loss"),
        (discriminator_without_watching, "no_grad"),
        (discriminator_zeroed_by_its_module, "optimizers.discriminator"),
        (discriminator_by_one_optimizer, "There are two"),
    ],
    "right": [
        of_the_discriminator("zero back move"),
        discriminator_in_two_parts,
        discriminator_on_a_copy,
    ],
}


def of_the_generator(zero, move, loss_of=generator_loss, detach=False, both_lost=False):
    """A step of the generator that clears the slopes of these players, and moves those."""

    def step(discriminator, optimizers, fake):
        loss = loss_of(discriminator(fake.detach() if detach else fake))
        for name in zero:
            getattr(optimizers, name).zero_grad()
        loss.backward()
        for name in move:
            getattr(optimizers, name).step()
        return None if both_lost else loss.item()

    return step


def generator_by_slopes(discriminator, optimizers, fake):
    """Without slopes in the discriminator, and the generator's from the slopes of its images."""
    loss = functional.softplus(-discriminator(fake)).mean()
    (slopes,) = torch.autograd.grad(loss, fake)
    optimizers.generator.zero_grad()
    fake.backward(slopes)
    optimizers.generator.step()
    return loss.item()


D, G = "discriminator", "generator"

GENERATOR_STEP = {
    "wrong": [
        (of_the_generator((D, G), (D, G)), "also moved the discriminator"),
        (of_the_generator((D,), (D,)), "also moved the discriminator"),
        (of_the_generator((), (G,)), "earlier step"),
        (of_the_generator((D,), (G,)), "earlier step"),
        (of_the_generator((G,), ()), "did not move"),
        (of_the_generator((G,), (G,), loss_of=lambda logits: bce(logits, 0.0)), "label 0"),
        (of_the_generator((D, G), (G,), detach=True), "must not be detached"),
        (of_the_generator((G,), (G,), both_lost=True), "returns nothing"),
        (
            lambda discriminator, optimizers, fake: generator_loss(discriminator(fake)),
            ("number", "not move"),
        ),
    ],
    "right": [
        of_the_generator((G,), (G,)),
        of_the_generator((D, G), (G,)),
        generator_by_slopes,
    ],
}


def in_one_batch(discriminator, real, fake):
    logits = discriminator(torch.cat([real, fake]))
    return logits[: len(real)], logits[len(real) :]


def in_one_batch_turned(discriminator, real, fake):
    logits = discriminator(torch.cat([fake, real]))
    return logits[len(fake) :], logits[: len(fake)]


def in_evaluation(discriminator, real, fake):
    discriminator.eval()
    return discriminator(real), discriminator(fake)


def one_by_one(discriminator, real, fake):
    return tuple(torch.cat([discriminator(x[None]) for x in images]) for images in (real, fake))


def without_slopes(discriminator, real, fake):
    with torch.no_grad():
        return discriminator(real), discriminator(fake)


def by_a_loop(discriminator, real, fake):
    logits = []
    for images in (real, fake):
        logits.append(discriminator(images))
    return logits


def with_names(discriminator, real, fake):
    fake_logits = discriminator(fake)
    real_logits = discriminator(real)
    return real_logits, fake_logits


JUDGE_BOTH = {
    "wrong": [
        (in_one_batch, "still in one batch"),
        (in_one_batch_turned, "still in one batch"),
        (lambda d, real, fake: (d(fake), d(real)), "changed places"),
        (in_evaluation, "eval()"),
        (one_by_one, "One image at a time"),
        (without_slopes, "slopes can pass"),
        (lambda d, real, fake: torch.cat([d(real), d(fake)]), "pair"),
        (lambda d, real, fake: (d(real), in_one_batch(d, real, fake)[1]), "fakes still share"),
        (lambda d, real, fake: (in_one_batch(d, real, fake)[0], d(fake)), "real images still"),
        (lambda d, real, fake: d(real), "2"),
    ],
    "right": [with_names, by_a_loop, lambda d, real, fake: tuple(map(d, (real, fake)))],
}


def distance(mixed=None, gap=lambda gap: gap @ gap, factor=-2, correction=1, **options):
    """The Fréchet distance with one part replaced."""

    def answer(a, b):
        one = np.cov(a, rowvar=False, ddof=correction)
        other = np.cov(b, rowvar=False, ddof=correction)
        root = square_root(one)
        middle = mixed(one, other) if mixed else square_root(root @ other @ root)
        between = gap(a.mean(axis=0) - b.mean(axis=0))
        return between + np.trace(one) + np.trace(other) + factor * np.trace(middle)

    return answer


def distance_with_rows(a, b):
    root, gap = square_root(np.cov(a)), a.mean(axis=0) - b.mean(axis=0)
    return gap @ gap + np.trace(np.cov(a) + np.cov(b) - 2 * square_root(root @ np.cov(b) @ root))


def distance_of_all_numbers(a, b):
    gap = a.mean() - b.mean()
    one, other = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = square_root(one)
    return gap**2 + np.trace(one + other - 2 * square_root(root @ other @ root))


def distance_by_singular_values(a, b):
    """tr √(√A B √A) is the sum of the singular values of √A √B."""
    one, other = np.cov(a.T), np.cov(b.T)
    mixed = np.linalg.svd(square_root(one) @ square_root(other), compute_uv=False).sum()
    gap = np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))
    return gap**2 + one.trace() + other.trace() - 2 * mixed


def distance_the_other_way_round(a, b):
    return float(distance()(b, a))


FRECHET_DISTANCE = {
    "wrong": [
        (distance(gap=lambda gap: np.sqrt(gap @ gap)), "not squared"),
        (distance(gap=lambda gap: 0.0), "means is missing"),
        (distance(gap=lambda gap: np.mean(gap**2)), "*sum*"),
        (distance(factor=-1), "factor 2"),
        (distance(factor=0), "mixed root is missing"),
        (distance(factor=2), "subtracted"),
        (
            distance(mixed=lambda one, other: square_root(one) @ square_root(other)),
            "turn each other",
        ),
        (distance(mixed=lambda one, other: np.sqrt(np.abs(one @ other))), "each element"),
        (distance(mixed=lambda one, other: square_root(one @ other)), "not symmetric"),
        (
            distance(mixed=lambda one, other: square_root(one) @ other @ square_root(one)),
            "last root is missing",
        ),
        (distance(correction=0), "N − 1"),
        (lambda a, b: ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum(), "Only the means"),
        (lambda a, b: np.sqrt(max(frechet_distance(a, b), 0)), "root of the whole"),
        (distance_with_rows, "rowvar=False"),
        (distance_of_all_numbers, "should be"),
    ],
    "right": [distance(), distance_by_singular_values, distance_the_other_way_round],
}


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def shares_by_a_loop(logits, sure=0.9):
    shares = np.zeros(logits.shape[1])
    for row in logits:
        each = np.exp(row - row.max())
        each = each / each.sum()
        if each.max() >= sure:
            shares[each.argmax()] += 1
    return shares / len(logits)


def shares_by_comparison(logits, sure=0.9):
    return (probabilities(logits) >= sure).mean(axis=0)  # right only where sure is above one half


def shares_by_one_hot(logits, sure=0.9):
    each = probabilities(logits)
    chosen = np.eye(logits.shape[1])[each.argmax(axis=1)]
    return (chosen * (each.max(axis=1, keepdims=True) >= sure)).mean(axis=0)


def shares_that_overflow(logits, sure=0.9):
    each = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    counted = logits.argmax(axis=1)[each.max(axis=1) >= sure]
    return np.bincount(counted, minlength=logits.shape[1]) / len(logits)


def shares_without_empty_classes(logits, sure=0.9):
    counted = logits.argmax(axis=1)[probabilities(logits).max(axis=1) >= sure]
    return np.unique(counted, return_counts=True)[1] / len(logits)


def counted(logits, is_sure):
    return np.bincount(logits.argmax(axis=1)[is_sure], minlength=logits.shape[1])


CLASS_SHARES = {
    "wrong": [
        (lambda logits, sure=0.9: counted(logits, slice(None)) / len(logits), "Every image counts"),
        (
            lambda logits, sure=0.9: (
                class_shares(logits, sure) / max(class_shares(logits, sure).sum(), 1e-9)
            ),
            "*all*",
        ),
        (
            lambda logits, sure=0.9: counted(logits, probabilities(logits).max(axis=1) >= sure),
            "counts",
        ),
        (
            lambda logits, sure=0.9: counted(logits, logits.max(axis=1) >= sure) / len(logits),
            "softmax first",
        ),
        (lambda logits, sure=0.9: probabilities(logits).mean(axis=0), "averaged"),
        (lambda logits, sure=0.9: class_shares(logits, 0.9), "argument `sure`"),
        (
            lambda logits, sure=0.9: (
                counted(logits, probabilities(logits).max(axis=1) < sure) / len(logits)
            ),
            "*not* sure",
        ),
        (shares_that_overflow, ("subtract the largest", "NaN", "should be")),
        (shares_without_empty_classes, "shape"),
        (lambda logits, sure=0.9: class_shares(logits, sure).tolist(), "list"),
    ],
    "right": [shares_by_a_loop, shares_by_one_hot, shares_by_comparison],
}


ANSWERS = {
    "gan.best_discriminator": BEST_DISCRIMINATOR,
    "gan.discriminator_loss": DISCRIMINATOR_LOSS,
    "gan.generator_loss": GENERATOR_LOSS,
    "gan.discriminator_step": DISCRIMINATOR_STEP,
    "gan.generator_step": GENERATOR_STEP,
    "gan.judge_both": JUDGE_BOTH,
    "gan.frechet_distance": FRECHET_DISTANCE,
    "gan.class_shares": CLASS_SHARES,
}


class TestAnswers(AnswersOfALesson):
    exercises = EXERCISES
    answers = ANSWERS
    num_draws = 60
