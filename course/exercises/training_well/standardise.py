"""training_well.standardise: two sets, scaled with what one of them shows."""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.preprocessing import StandardScaler

from course.checking.engine import Case, Exercise, Mistake
from course.models import training_well as reference


def _standardise_cases(rng: np.random.Generator) -> Iterator[Case]:
    train, test = np.array([[1.0, 0.0], [5.0, 0.0]]), np.array([[9.0, 2.0]])
    yield Case((train, test), (np.array([[-1.0, 0.0], [1.0, 0.0]]), np.array([[3.0, 2.0]])))
    for examples, others, columns in ((6, 3, 4), (3, 9, 2), (8, 1, 5)):
        train = rng.normal(2, 3, (examples, columns))
        test = rng.normal(-1, 1, (others, columns))
        train[:, 0] = 0
        scaler = StandardScaler().fit(train)
        yield Case((train, test), (scaler.transform(train), scaler.transform(test)))


def _scaled(
    train: np.ndarray,
    test: np.ndarray,
    like: np.ndarray,
    axis: int = 0,
    keepdims: bool = False,
    ddof: int = 0,
) -> tuple:
    """Both sets, standardised with the columns of `like`; with axis=1 wrongly with its rows."""
    mean = like.mean(axis=axis, keepdims=keepdims)
    deviation = like.std(axis=axis, keepdims=keepdims, ddof=ddof)
    deviation = np.where(deviation > 0, deviation, 1)
    return (train - mean) / deviation, (test - mean) / deviation


def _mixed(train: np.ndarray, test: np.ndarray, mean: str, deviation: str) -> tuple:
    """Mean and deviation from different sets, each named "train", "test" or "both"."""
    sets = {"train": train, "test": test, "both": np.concatenate([train, test])}
    middle, spread = sets[mean].mean(axis=0), sets[deviation].std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    return (train - middle) / spread, (test - middle) / spread


def _plus(small: float) -> Callable[..., tuple]:
    def answer(train: np.ndarray, test: np.ndarray) -> tuple:
        mean, deviation = train.mean(axis=0), train.std(axis=0) + small
        return (train - mean) / deviation, (test - mean) / deviation

    return answer


STANDARDISE = Exercise(
    name="training_well.standardise",
    title="Bug hunt: a report that is too good",
    minutes=8,
    difficulty=1,
    reference=reference.standardise,
    cases=_standardise_cases,
    mistakes=(
        Mistake(
            lambda train, test: _scaled(train, test, np.concatenate([train, test])),
            "Mean and deviation still come from both sets together, so the test images help to "
            "prepare their own exam: compute them from `train` alone.",
        ),
        Mistake(
            lambda train, test: (_scaled(train, test, train)[0], _scaled(train, test, test)[1]),
            "Each set was prepared with its own mean and deviation. A single new image has none: "
            "use those of `train` for both.",
        ),
        Mistake(
            lambda train, test: _scaled(train, test, test),
            "You took the test set's mean and deviation; take those of `train` for both sets.",
        ),
        Mistake(
            lambda train, test: (_scaled(train, test, train)[0], test),
            "The test set was left as it is; it needs the same step, with the numbers of `train`.",
        ),
        Mistake(
            lambda train, test: (train - train.mean(axis=0), test - train.mean(axis=0)),
            "The mean is right; also divide by the standard deviation of each column.",
        ),
        Mistake(
            lambda train, test: (
                (train - train.mean()) / train.std(),
                (test - train.mean()) / train.std(),
            ),
            "Those are one mean and one deviation of all numbers; each column (`axis=0`) has its "
            "own.",
        ),
        Mistake(
            lambda train, test: tuple(
                (part - train.mean(axis=0)) / np.where(train.std(axis=0) > 0, train.var(axis=0), 1)
                for part in (train, test)
            ),
            "You divided by the variance; the standard deviation is its square root.",
        ),
        Mistake(
            lambda train, test: _scaled(train, test, train, ddof=1),
            "You divided by N − 1 inside the deviation; here it is NumPy's own, `std` without "
            "`ddof`.",
        ),
        Mistake(
            lambda train, test: _plus(0.0)(train, test),
            "A column that never changes in `train` has the deviation 0, and you divide by it; "
            "keep the line that puts 1 there.",
        ),
        *(
            Mistake(
                lambda train, test, mean=mean, deviation=deviation: _mixed(
                    train, test, mean, deviation
                ),
                "Mean and deviation come from different sets; both come from `train` alone.",
            )
            for mean, deviation in (("train", "both"), ("both", "train"), ("train", "test"))
        ),
        Mistake(
            lambda train, test: _scaled(train, test, train)[::-1],
            "The two sets have changed places: return the training set first.",
        ),
        *(
            Mistake(
                lambda train, test, keep=keep: _scaled(train, test, train, axis=1, keepdims=keep),
                "`axis=1` gives one mean for each *image*; each column (pixel) has its own: "
                "`axis=0`.",
            )
            for keep in (False, True)
        ),
        Mistake(
            lambda train, test: (
                _scaled(train, train, train, axis=1, keepdims=True)[0],
                _scaled(test, test, test, axis=1, keepdims=True)[0],
            ),
            "`axis=1` gives one mean for each *image*; each column (pixel) has its own: `axis=0`.",
        ),
        Mistake(
            lambda train, test: tuple(
                part - train.mean(axis=0) / np.where(train.std(axis=0) > 0, train.std(axis=0), 1)
                for part in (train, test)
            ),
            "Brackets are missing: `/` comes before `-`, so only the mean was divided. Write "
            "`(train - mean) / deviation`.",
        ),
        Mistake(
            lambda train, test: tuple(
                np.where(train.std(axis=0) > 0, part, 0) for part in _scaled(train, test, train)
            ),
            "You set a column that never changes in `train` to 0 in both sets. A test image may "
            "differ there: such a column is only moved, which is what dividing by 1 does.",
        ),
        Mistake(
            lambda train, test: tuple(map(np.nan_to_num, _plus(0.0)(train, test))),
            "`nan_to_num` hides a division by 0: a test image that differs in a column that never "
            "changes in `train` gets a huge number. Keep the line that puts 1 there.",
        ),
        *(
            Mistake(
                _plus(10.0**-power),
                "A tiny number in place of a deviation of 0 makes huge values where a test image "
                "differs in that column; keep the line that puts 1 there.",
            )
            for power in (3, 4, 5, 6, 7, 8, 9, 10, 12)
        ),
    ),
    hints=(
        "Which numbers may be known before the first test image has been seen?",
        "`mean` and `deviation` may be computed from one of the two sets only. Which one will "
        "still be there when a single new image comes?",
        "`mean, deviation = train.mean(axis=0), train.std(axis=0)`; the other lines stay.",
    ),
)
