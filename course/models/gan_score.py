"""How good drawn images are: numbers for nearness to real ones, variety, and copying.

Real and drawn images are compared by what a classifier that stays as it is makes of them
(`course.models.digit_classifier`): features and logits. All arrays are NumPy's. Axes: N images,
M other images, F features, K classes.
"""

import numpy as np


def square_root(matrix):
    """The symmetric square root of a symmetric matrix without negative eigenvalues: [F, F] → same.

    Eigenvalues that rounding has pushed below 0 count as 0.
    """
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def frechet_distance(a, b):
    """Squared Fréchet distance of the normal distributions with the means and covariances of a, b.

    a [N, F], b [M, F]: features → one number, 0 where mean and covariance are equal. As in Heusel
    and others (2017), but on the features of our own classifier.
    """
    a, b = np.asarray(a, dtype="float64"), np.asarray(b, dtype="float64")
    gap = a.mean(axis=0) - b.mean(axis=0)
    spread_a, spread_b = (np.atleast_2d(np.cov(one, rowvar=False)) for one in (a, b))
    root = square_root(spread_a)
    mixed = square_root(root @ spread_b @ root)
    return float(gap @ gap + np.trace(spread_a + spread_b - 2 * mixed))


def real_floor(features, count, rng, repeats=20):
    """The distance that is left between real and real: mean of `repeats` draws of two sets.

    features [N, F] of real images, none of which taught the classifier; rng: a NumPy generator.
    Each draw takes two sets of `count` images that have none in common. The fewer they are, the
    larger the distance, so drawn images are to be compared in the same number.

    Raises:
        ValueError: there are fewer than 2 · count images.
    """
    if len(features) < 2 * count:
        raise ValueError(
            f"Two sets of {count} images without a common one need {2 * count} images, and there "
            f"are {len(features)}; take a smaller count."
        )
    distances = []
    for _ in range(repeats):
        order = rng.permutation(len(features))
        one, other = features[order[:count]], features[order[count : 2 * count]]
        distances.append(frechet_distance(one, other))
    return float(np.mean(distances))


def class_shares(logits, sure=0.9):
    """Of all images, the share read as each class with a probability of `sure` or more.

    logits [N, K] → [K], with a sum of at most 1: images that can be read in two ways do not count.
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    is_sure = probabilities.max(axis=1) >= sure
    counts = np.bincount(logits.argmax(axis=1)[is_sure], minlength=logits.shape[1])
    return counts / len(logits)


def classes_covered(logits, least=0.2):
    """Number of classes with at least `least` times the share that each has when all are equal.

    logits [N, K] → 0 to K. With ten classes and the values as they are: 2% of the images, surely
    read. What the classifier misreads does not come near that.
    """
    shares = class_shares(logits)
    return int(np.sum(shares >= least / len(shares)))


def balance(logits):
    """How evenly the classes are drawn, among images that are surely read: logits [N, K] → number.

    The share that is left when no class may have more than its equal part: 1 where all classes
    are as frequent, 1 / K where there is only one. 0 where no image is surely read.
    """
    shares = class_shares(logits)
    shares = shares / max(shares.sum(), 1e-12)
    return float(np.minimum(shares, 1 / len(shares)).sum())


def nearest_two(images, others):
    """For each image the two nearest of the others, by the root of the sum of squared differences.

    images [N, …], others [M, …] with M ≥ 2 and pixels on the same scale → places in `others`
    [N, 2] and distances [N, 2], the nearest first.
    """
    rows = np.asarray(others, dtype="float64").reshape(len(others), -1)
    places, distances = [], []
    for image in np.array_split(np.asarray(images, dtype="float64"), -(-len(images) // 500)):
        image = image.reshape(len(image), -1)
        squares = (image**2).sum(1)[:, None] - 2 * image @ rows.T + (rows**2).sum(1)
        two = np.argpartition(squares, 1, axis=1)[:, :2]
        found = np.take_along_axis(squares, two, axis=1)
        order = np.argsort(found, axis=1)
        places.append(np.take_along_axis(two, order, axis=1))
        found = np.take_along_axis(found, order, axis=1)
        distances.append(np.sqrt(np.maximum(found, 0)))
    return np.concatenate(places), np.concatenate(distances)


def copied_share(images, others, nearer=0.5):
    """Share of images that are copies of one of the others: 0 to 1.

    A copy is less than `nearer` times as far from the nearest as from the second nearest. An image
    of its own has several neighbours at about the same distance.
    """
    _, distances = nearest_two(images, others)
    return float(np.mean(distances[:, 0] < nearer * distances[:, 1]))
