"""Compare what an answer returned with what it should have returned, in words.

Works for numbers, strings, NumPy arrays, torch and TensorFlow tensors, and tuples, lists and
dictionaries of these, without importing a framework.
"""

import numbers
from typing import Any

import numpy as np

from course.checking.values import (
    dtype_name,
    framework,
    is_array,
    shape_advice,
    to_numpy,
    type_advice,
    type_name,
)

# Relative and absolute tolerance by the coarser floating type of the two values compared; looser
# than torch.testing.assert_close, because a right answer may sum in another order.
TOLERANCES = {
    "float64": (1e-6, 1e-8),
    "float32": (1e-4, 1e-5),
    "float16": (5e-3, 1e-3),
    "bfloat16": (4e-2, 1e-2),
}


def difference(got: Any, expected: Any) -> str | None:
    """One sentence on how `got` differs from `expected`, or None where they agree."""
    if got is None and expected is not None:
        return "it returned None: is a `return` missing, or a return without a value?"
    if isinstance(expected, dict):
        return _dict_difference(got, expected)
    if isinstance(expected, tuple | list):
        return _sequence_difference(got, expected)
    if expected is None or isinstance(expected, str | bool | np.bool_):
        return _plain_difference(got, expected)
    if is_array(expected):
        return _array_difference(got, expected)
    if isinstance(expected, numbers.Number):
        return _number_difference(got, expected)
    raise TypeError(f"a check cannot compare values of type {type(expected).__name__}")


def is_comparable(value: Any) -> bool:
    """Whether `difference` can tell a change of `value` in place."""
    if isinstance(value, dict):
        return all(map(is_comparable, value.values()))
    if isinstance(value, tuple | list):
        return all(map(is_comparable, value))
    return is_array(value) or value is None or isinstance(value, str | np.bool_ | numbers.Number)


def _dict_difference(got: Any, expected: dict) -> str | None:
    if not isinstance(got, dict):
        return _wrong_type(got, expected, f"a dictionary with {_listed(expected)} is")
    if set(got) != set(expected):
        return f"the dictionary has the keys {_listed(got)}; they should be {_listed(expected)}."
    for key, value in expected.items():
        if problem := difference(got[key], value):
            return f"{key}: {problem}"
    return None


def _sequence_difference(got: Any, expected: tuple | list) -> str | None:
    if not isinstance(got, tuple | list):
        return _wrong_type(got, expected, f"{_values(len(expected))} are")
    if len(got) != len(expected):
        return f"it returned {_values(len(got))}; {len(expected)} are asked for."
    for position, (one, other) in enumerate(zip(got, expected, strict=True), 1):
        if problem := difference(one, other):
            return f"value {position} of {len(expected)}: {problem}"
    return None


def _plain_difference(got: Any, expected: Any) -> str | None:
    if expected is None:
        return None if got is None else _wrong_type(got, expected, "nothing is")
    kinds = (bool, np.bool_) if isinstance(expected, bool | np.bool_) else (str,)
    if not isinstance(got, kinds):
        return _wrong_type(got, expected, f"{kinds[0].__name__} is")
    return None if got == expected else f"it returned {got!r}; {expected!r} is right."


def _number_difference(got: Any, expected: Any) -> str | None:
    scalar_array = is_array(got) and to_numpy(got).shape == ()
    if is_array(got) and not scalar_array:
        shape = f"of shape {tuple(got.shape)}; a single number is asked for."
        return f"it returned {type_name(got)} {shape} {type_advice(got, expected)}".strip()
    if isinstance(got, bool | np.bool_) or not (scalar_array or isinstance(got, numbers.Number)):
        return _wrong_type(got, expected, "a number is")
    values, truth = np.asarray(to_numpy(got)), np.asarray(expected)
    return _value_difference(values, truth, dtype_name(got), dtype_name(expected))


def _array_difference(got: Any, expected: Any) -> str | None:
    one_number = isinstance(got, numbers.Number) and to_numpy(expected).shape == ()
    if not one_number and not (is_array(got) and framework(got) == framework(expected)):
        return _wrong_type(got, expected, f"{type_name(expected)} is")
    values, truth = to_numpy(got), to_numpy(expected)
    if values.shape != truth.shape:
        shapes = f"the result has shape {values.shape}; it should have shape {truth.shape}."
        return f"{shapes} {shape_advice(values.shape, truth.shape)}".strip()
    if problem := _dtype_problem(got, expected, values, truth):
        return problem
    return _value_difference(values, truth, dtype_name(got), dtype_name(expected))


def _dtype_problem(got: Any, expected: Any, values: np.ndarray, truth: np.ndarray) -> str | None:
    same_kind = values.dtype.kind == truth.dtype.kind or {values.dtype.kind, truth.dtype.kind} <= {
        "i",
        "u",
    }
    # NumPy raises the precision on its own wherever types meet; the others refuse to mix them.
    exact = framework(expected) in ("torch", "tensorflow") and truth.dtype.kind == "f"
    coarser = truth.dtype.kind == "f" and values.dtype.itemsize < truth.dtype.itemsize
    if same_kind and not coarser and (not exact or dtype_name(got) == dtype_name(expected)):
        return None
    return f"the result has dtype {dtype_name(got)}; it should have dtype {dtype_name(expected)}."


def _value_difference(values: np.ndarray, truth: np.ndarray, *dtypes: str) -> str | None:
    if truth.dtype.kind not in "fc" and values.dtype.kind not in "fc":
        wrong = values != truth
    else:
        known = [TOLERANCES[name] for name in dtypes if name in TOLERANCES]
        relative, absolute = max(known, default=TOLERANCES["float64"])
        with np.errstate(all="ignore"):
            wrong = ~np.isclose(values, truth, rtol=relative, atol=absolute, equal_nan=True)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    bad, good = values[place], truth[place]
    where = f"the element at {list(place)}" if place else "the result"
    if values.dtype.kind == "f" and np.isnan(bad):
        return f"{where} is NaN (not a number); it should be {_short(good)}."
    count = f" ({int(wrong.sum())} of {wrong.size} elements differ)" if wrong.size > 1 else ""
    infinite = values.dtype.kind == "f" and np.isinf(bad) and np.isfinite(good)
    advice = " Look for a division by zero, or for a number too large." if infinite else ""
    return f"{where} is {_short(bad)}; it should be {_short(good)}{count}.{advice}"


def _wrong_type(got: Any, expected: Any, asked: str) -> str:
    advice = type_advice(got, expected)
    return f"it returned {type_name(got)}; {asked} asked for. {advice}".strip()


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, numbers.Real | np.floating) else str(value)


def _listed(keys: Any) -> str:
    return ", ".join(repr(key) for key in keys)
