"""What counts as the same, and in which words a difference is told."""

import numpy as np
import pytest

from course import hardware
from course.checking import compare
from course.checking.compare import difference
from course.checking.values import shown

ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (ONES, ONES),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (np.array([]), np.array([])),
        (np.float64(2), 2),
        (np.array(2.0), 2.0),
        (2, 2.0),
        (2.0, np.array(2.0)),
        (np.array([1, 2], np.int32), np.array([1, 2], np.int64)),
        (np.array([1, 2], np.uint8), np.array([1, 2], np.int64)),
        (np.array([1, 2], np.float64), np.array([1, 2], np.float32)),
        (np.array(["a", "b"]), np.array(["a", "b"])),
        ([ONES, 1], (ONES, 1)),
        ({"a": ONES, "b": None}, {"b": None, "a": ONES}),
        (np.True_, True),
        ("text", "text"),
        (None, None),
        (1 + 2j, 1 + 2j),
    ],
)
def test_these_are_the_same(got, expected):
    assert difference(got, expected) is None


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (None, ONES, "returned None: is a `return` missing"),
        (None, 1, "returned None"),
        (1, None, "nothing is asked for"),
        (ONES.T, ONES, "has shape (3, 2); it should have shape (2, 3)"),
        (ONES[..., None], ONES, "has shape (2, 3, 1)"),
        (ONES.tolist(), ONES, "returned a list; a NumPy array is asked for"),
        (ONES, 1, "a NumPy array of shape (2, 3); a single number is asked for"),
        (np.array([1.0]), 1.0, "of shape (1,); a single number is asked for"),
        (True, 1, "a value of type bool; a number is asked for"),
        ("1", 1, "a value of type str; a number is asked for"),
        (1, True, "a value of type int; bool is asked for"),
        (1, "1", "a value of type int; str is asked for"),
        ("a", "b", "it returned 'a'; 'b' is right"),
        (False, True, "it returned False; True is right"),
        (np.ones(2, int), np.ones(2), "dtype int64; it should have dtype float64"),
        (np.ones(2, bool), np.ones(2, int), "dtype bool; it should have dtype int64"),
        (np.array([1, 3]), np.array([1, 2]), "element at [1] is 3; it should be 2 (1 of 2"),
        (np.array([[1, np.nan]]), np.array([[1.0, 2.0]]), "element at [0, 1] is NaN"),
        (np.array([np.inf]), np.array([2.0]), "is inf; it should be 2"),
        (float("nan"), 2.0, "the result is NaN"),
        (2.5, 2, "the result is 2.5; it should be 2."),
        ((1, 2), (1, 2, 3), "returned 2 values; 3 are asked for"),
        (1, (1, 2), "a value of type int; 2 values are asked for"),
        ((1, ONES + 1), (1, ONES), "value 2 of 2: the element at [0, 0] is 2"),
        ((None, 1), (1, 1), "value 1 of 2: it returned None"),
        ([], {"a": 1}, "a dictionary with 'a' is asked for"),
        ({"b": 1}, {"a": 1}, "has the keys 'b'; they should be 'a'"),
        ({"a": (1, 3)}, {"a": (1, 2)}, "a: value 2 of 2: the result is 3; it should be 2"),
    ],
)
def test_a_difference_is_told_in_words(got, expected, words):
    assert words in difference(got, expected)


# For each dtype: an error that another order of summing may cause, and one that is a mistake.
ERRORS = [("float64", 1e-8, 1e-5), ("float32", 2e-5, 1e-3), ("float16", 2e-3, 5e-2)]


@pytest.mark.parametrize(("dtype", "rounding", "mistake"), ERRORS)
def test_the_tolerance_follows_the_dtype(dtype, rounding, mistake):
    truth = np.array([1.0, 100.0, 0.0], dtype)
    close = (truth.astype(float) * (1 + rounding)).astype(dtype)
    far = (truth.astype(float) * (1 + mistake)).astype(dtype)
    assert difference(close, truth) is None
    assert "it should be" in difference(far, truth)


def test_the_coarser_of_two_dtypes_sets_the_tolerance():
    assert difference(np.array([1 + 1e-5]), np.ones(1, np.float32)) is None
    assert difference(np.array([1 + 1e-5]), np.ones(1)) is not None


def test_whole_numbers_must_agree_exactly():
    assert difference(np.array([10**9]), np.array([10**9 + 1])) is not None


def test_sums_in_another_order_are_the_same_for_every_dtype():
    values = np.random.default_rng(0).normal(size=(50, 400))
    for dtype in (np.float64, np.float32):
        rows = values.astype(dtype)
        one_by_one = np.zeros(50, dtype)
        for column in rows.T:
            one_by_one += column
        assert difference(one_by_one, rows.sum(axis=1)) is None


def test_what_a_check_cannot_compare_is_refused():
    with pytest.raises(TypeError, match="set"):
        difference({1}, {1})


def test_torch_tensors_are_compared_with_their_dtype():
    torch = pytest.importorskip("torch")
    ones = torch.ones(2, 3)
    assert difference(torch.ones(2, 3, requires_grad=True), ones) is None
    assert "dtype float64; it should have dtype float32" in difference(ones.double(), ones)
    assert "a NumPy array; a torch tensor is asked for" in difference(np.ones((2, 3)), ones)
    assert "a torch tensor; a NumPy array is asked for" in difference(ones, np.ones((2, 3)))
    assert "shape (3, 2)" in difference(ones.T, ones)
    assert difference(torch.tensor(2.0), 2.0) is None
    assert difference(torch.nn.Parameter(ones), ones) is None


@pytest.fixture
def tf():
    """TensorFlow, loaded as the lessons load it."""
    pytest.importorskip("tensorflow")
    with hardware.quiet_tensorflow():
        import tensorflow
    return tensorflow


def test_tensorflow_s_tensors_are_compared_with_their_dtype(tf):
    ones = tf.ones((2, 3))
    for same in (tf.Variable(ones), tf.ones((2, 3)) + 1e-7):
        assert difference(same, ones) is None and difference(ones, same) is None
    import keras

    assert difference(keras.Variable(np.ones((2, 3), "float32")), ones) is None
    double = tf.cast(ones, tf.float64)
    assert "dtype float64; it should have dtype float32" in difference(double, ones)
    assert "dtype int32; it should have dtype float32" in difference(tf.ones((2, 3), "int32"), ones)
    assert "a NumPy array; a TensorFlow tensor is asked for" in difference(np.ones((2, 3)), ones)
    assert "a TensorFlow tensor; a NumPy array is asked for" in difference(ones, np.ones((2, 3)))
    assert "shape (3, 2)" in difference(tf.transpose(ones), ones)
    assert "it should be 1 (6 of 6 elements differ)" in difference(2 * ones, ones)
    assert difference(tf.constant(2.0), 2.0) is None
    half = tf.cast([1.0, 100.0], tf.bfloat16)
    assert difference(half * 1.01, half) is None and difference(half * 1.2, half) is not None
    assert shown(half) == "[  1. 100.]  (shape (2,), bfloat16)"
    assert shown(tf.Variable(1.0)) == "1.  (shape (), float32)"


def test_the_tolerance_of_bfloat16():
    torch = pytest.importorskip("torch")
    truth = torch.tensor([1.0, 100.0]).bfloat16()
    assert difference(truth * 1.01, truth) is None
    assert difference(truth * 1.2, truth) is not None
    assert "dtype bfloat16" in difference(truth, truth.float())


def test_only_what_can_be_compared_is_watched_for_changes():
    for value in (ONES, [ONES, (ONES, 1)], {"a": [1, "b", None]}, [True, np.True_]):
        assert compare.is_comparable(value)
        assert difference(value, value) is None
    for value in (print, [ONES, print], {"a": {1}}, object()):
        assert not compare.is_comparable(value)


def test_a_model_is_no_array():
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 3)
    assert not compare.is_comparable(layer) and not compare.is_comparable(torch.float32)
    assert shown(layer) == "Linear(in_features=2, out_features=3, bias=True)"
    assert compare.difference(layer, ONES) == (
        "it returned a value of type Linear; a NumPy array is asked for."
    )


def test_values_are_shown_rounded_and_cut():
    assert shown(1 / 3) == "0.333333"
    assert shown(np.array([1 / 3, 2.0])) == "[0.3333 2.    ]  (shape (2,), float64)"
    assert "..." in shown(np.arange(1000))
    assert shown({"a": 1.0, "b": "x"}) == "'a': 1\n'b': 'x'"
    assert shown((np.zeros(1), 2.5)) == "[0.]  (shape (1,), float64)\n2.5"
    for long in ("x" * 10_000, list(range(10_000)), {n: n for n in range(10_000)}):
        assert len(shown(long)) < 700
