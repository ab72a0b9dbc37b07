"""The score of lessons 04: it agrees with formulas, ranks what eyes rank, and finds copies."""

import numpy as np
import pytest
from scipy import linalg, ndimage

from course.datasets.recipes import MNIST
from course.datasets.sources import from_sample
from course.models import digit_classifier, gan_score

COUNT = 1000


def by_sqrtm(a, b):
    """The Fréchet distance in the words of its formula, with SciPy's square root."""
    gap = a.mean(axis=0) - b.mean(axis=0)
    spread_a, spread_b = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(spread_a @ spread_b)
    return gap @ gap + np.trace(spread_a) + np.trace(spread_b) - 2 * np.trace(root).real


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("size", [1, 3, 20])
def test_the_square_root_times_itself_is_the_matrix(rng, size):
    factor = rng.normal(size=(size, max(1, size - 1)))  # one eigenvalue is 0 where size > 1
    matrix = factor @ factor.T
    root = gan_score.square_root(matrix)
    np.testing.assert_allclose(root, root.T, atol=1e-12)
    np.testing.assert_allclose(root @ root, matrix, atol=1e-9)
    assert np.linalg.eigvalsh(root).min() > -1e-9


@pytest.mark.parametrize(("size", "counts"), [(2, (5, 9)), (7, (40, 30)), (30, (200, 200))])
def test_the_distance_is_that_of_the_formula(rng, size, counts):
    a = rng.normal(size=(counts[0], size)) @ rng.normal(size=(size, size))
    b = rng.normal(size=(counts[1], size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)
    assert gan_score.frechet_distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-6)
    assert gan_score.frechet_distance(b, a) == pytest.approx(gan_score.frechet_distance(a, b))


def test_in_special_cases_the_distance_is_known_by_hand(rng):
    one = np.array([[-1.0], [1.0]])  # spread √2
    assert gan_score.frechet_distance(one, 3 * one + 5) == pytest.approx(25 + 8)
    a = rng.normal(size=(50, 4))
    assert gan_score.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert gan_score.frechet_distance(a, a + 3) == pytest.approx(4 * 9)
    # One feature, or features that do not depend on each other: squares of differences of spreads.
    corners = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)])
    unit = corners.std(axis=0, ddof=1)
    expected = ((unit * [1, 2] - unit * [4, 3]) ** 2).sum()
    assert gan_score.frechet_distance(corners * [1, 2], corners * [4, 3]) == pytest.approx(expected)


def test_it_computes_with_double_precision_whatever_it_is_given(rng):
    a, b = rng.normal(1000, 1, size=(2, 500, 8)).astype("float32")
    expected = by_sqrtm(a.astype("float64"), b.astype("float64"))
    assert gan_score.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_the_floor_is_the_mean_distance_of_random_halves(rng):
    features = rng.normal(size=(200, 3))
    floor = gan_score.real_floor(features, 100, np.random.default_rng(1), repeats=400)
    distances = []
    for seed in range(400):
        order = np.random.default_rng(seed).permutation(200)
        distances.append(by_sqrtm(features[order[:100]], features[order[100:]]))
    assert floor == pytest.approx(np.mean(distances), rel=0.1)
    fewer = gan_score.real_floor(features, 20, np.random.default_rng(1), repeats=400)
    assert fewer > 3 * floor  # five times in theory: it falls as 1 / count


def test_the_two_sets_of_a_floor_have_no_image_in_common(rng, monkeypatch):
    drawn = []
    monkeypatch.setattr(gan_score, "frechet_distance", lambda a, b: drawn.append((a, b)) or 0.0)
    features = np.arange(7)[:, None]  # one number, by which an image is known again
    gan_score.real_floor(features, 3, rng, repeats=30)
    assert len(drawn) == 30 and all(len(set(np.ravel(pair))) == 6 for pair in drawn)
    assert {int(number) for number in np.ravel(drawn)} == set(range(7))
    with pytest.raises(ValueError, match="need 8 images, and there are 7"):
        gan_score.real_floor(features, 4, rng)


def certain(*classes):
    """Logits that name these classes with hardly a doubt."""
    return 20.0 * np.eye(10)[list(classes)]


def test_only_sure_readings_count():
    unsure = np.array([[np.log(0.89), np.log(0.11), *[-50] * 8]])
    sure = np.array([[np.log(0.91), np.log(0.09), *[-50] * 8]])
    np.testing.assert_allclose(gan_score.class_shares(unsure + 700), 0)
    shares = gan_score.class_shares(np.concatenate([unsure, sure + 700, certain(3, 3)]))
    np.testing.assert_allclose(shares, [0.25, 0, 0, 0.5, 0, 0, 0, 0, 0, 0])


def test_a_class_is_covered_from_a_fifth_of_its_equal_share_on():
    assert gan_score.classes_covered(certain(*range(10))) == 10
    assert gan_score.classes_covered(certain(*[0] * 98, 1, 1)) == 2
    assert gan_score.classes_covered(certain(*[0] * 99, 1)) == 1
    assert gan_score.classes_covered(np.zeros((5, 10))) == 0


def test_balance_is_what_is_left_when_no_class_may_have_more_than_its_part():
    assert gan_score.balance(certain(*range(10), *range(10))) == pytest.approx(1)
    assert gan_score.balance(certain(4, 4, 4)) == pytest.approx(0.1)
    assert gan_score.balance(certain(*range(5))) == pytest.approx(0.5)
    assert gan_score.balance(np.zeros((5, 10))) == 0
    assert gan_score.balance(np.concatenate([certain(*range(10)), np.zeros((9, 10))])) == 1


def test_the_two_nearest_are_those_of_a_search_one_by_one(rng):
    images = rng.integers(0, 256, (501, 4, 3)).astype("uint8")  # more than one part of the search
    others = rng.integers(0, 256, (40, 4, 3)).astype("uint8")
    places, distances = gan_score.nearest_two(images, others)
    gaps = (images[:, None].astype(float) - others).reshape(501, 40, -1)
    every = np.linalg.norm(gaps, axis=2)
    np.testing.assert_array_equal(places, np.argsort(every, axis=1)[:, :2])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :2])


# On real images


@pytest.fixture(scope="module")
def digits():
    """Of the sample: images to learn from, and two sets that the classifier has not seen."""
    arrays = from_sample(MNIST)
    return {
        "train": arrays["x_train"][:-2000],
        "other": arrays["x_train"][-COUNT:],
        "real": arrays["x_test"][:COUNT],
        "labels": arrays["y_test"][:COUNT],
    }


@pytest.fixture(scope="module")
def look():
    model = digit_classifier.load()
    return lambda images: digit_classifier.features_and_logits(model, images)


def test_the_score_ranks_as_eyes_do(digits, look, rng):
    real, other = digits["real"], digits["other"]
    real_features = look(real)[0]
    floor = gan_score.real_floor(
        np.concatenate([real_features, look(other)[0]]), COUNT, np.random.default_rng(1)
    )
    noise = rng.normal(0, 40, other.shape)
    sets = {
        "slightly blurred": ndimage.gaussian_filter(other.astype(float), (0, 0.5, 0.5)),
        "blurred": ndimage.gaussian_filter(other.astype(float), (0, 1, 1)),
        "noisy": np.clip(other + noise, 0, 255),
        "of one class": np.resize(real[digits["labels"] == 3], real.shape),
        "the same image": np.repeat(other[:1], COUNT, axis=0),
        "noise alone": rng.uniform(0, 255, other.shape),
    }
    score = {
        name: gan_score.frechet_distance(look(images)[0], real_features) / floor
        for name, images in sets.items()
    }
    assert 0.3 < gan_score.frechet_distance(look(other)[0], real_features) / floor < 2
    worse_and_worse = ["slightly blurred", "blurred", "of one class", "the same image"]
    found = [score[name] for name in worse_and_worse]
    assert found == sorted(found) and found[0] > 1.5, score
    assert 1.5 < score["noisy"] < score["of one class"], score
    assert score["noise alone"] > score["blurred"], score


def test_coverage_counts_the_classes_that_are_there(digits, look):
    _, logits = look(digits["real"])
    assert gan_score.classes_covered(logits) == 10 and gan_score.balance(logits) > 0.95
    for count in range(1, 10):
        some = logits[digits["labels"] < count]
        assert gan_score.classes_covered(some) == count
        assert gan_score.balance(some) == pytest.approx(count / 10, abs=0.06)


def test_chance_stays_far_below_the_share_that_counts_as_covered(digits, look):
    _, logits = look(np.concatenate([digits["real"], digits["other"]]))
    labels = np.concatenate([digits["labels"], from_sample(MNIST)["y_train"][-COUNT:]])
    for label in range(10):
        shares = gan_score.class_shares(logits[labels == label])
        assert np.delete(shares, label).max() < 0.01  # half of what would be needed


def test_copies_are_found_and_nothing_else(digits, rng):
    train, real = digits["train"], digits["real"][:200]
    blurred = ndimage.gaussian_filter(real.astype(float), (0, 1, 1))
    copies = train[rng.permutation(len(train))[:200]] + rng.normal(0, 8, (200, 28, 28))
    assert gan_score.copied_share(real, train) < 0.01
    assert gan_score.copied_share(blurred, train) < 0.01
    assert gan_score.copied_share(copies, train) > 0.95
    half = np.concatenate([real[:100], copies[:100]])
    assert gan_score.copied_share(half, train) == pytest.approx(0.5, abs=0.03)
