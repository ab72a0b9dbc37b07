"""Compare what an answer returned with what it should have returned, in words.

Works for numbers, strings, NumPy arrays, torch and TensorFlow tensors, and tuples, lists and
dictionaries of these, without importing a framework.
"""

import numbers
from typing import Any

import numpy as np

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


def is_array(value: Any) -> bool:
    """Whether `value` is a NumPy array or a tensor."""
    return isinstance(value, np.ndarray) or framework(value) in ("torch", "tensorflow")


def is_comparable(value: Any) -> bool:
    """Whether `difference` can tell a change of `value` in place."""
    if isinstance(value, dict):
        return all(map(is_comparable, value.values()))
    if isinstance(value, tuple | list):
        return all(map(is_comparable, value))
    return is_array(value) or value is None or isinstance(value, str | np.bool_ | numbers.Number)


def framework(value: Any) -> str:
    """The top package of the value's type: "numpy", "torch", "tensorflow", "builtins"…"""
    for parent in type(value).__mro__:
        top = parent.__module__.partition(".")[0]
        if top in ("numpy", "torch", "tensorflow"):
            return top
    return type(value).__module__.partition(".")[0]


def to_numpy(value: Any) -> np.ndarray:
    """The array behind a tensor; bfloat16, which NumPy lacks, becomes float32."""
    if framework(value) == "torch":
        value = value.detach().cpu()
        return value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy()
    return np.asarray(value)


def type_name(value: Any) -> str:
    """What to call the type of `value` in a message to a beginner."""
    names = {
        "numpy": "a NumPy array",
        "torch": "a torch tensor",
        "tensorflow": "a TensorFlow tensor",
    }
    if is_array(value):
        return names.get(framework(value), "a TensorFlow tensor")
    return f"a value of type {type(value).__name__}"


def dtype_name(value: Any) -> str:
    """ "float32", "int64"… for arrays and tensors of any framework."""
    return str(getattr(value, "dtype", type(value).__name__)).replace("torch.", "").strip("<>' ")


def _dict_difference(got: Any, expected: dict) -> str | None:
    if not isinstance(got, dict):
        return f"it returned {type_name(got)}; a dictionary with {_listed(expected)} is asked for."
    if set(got) != set(expected):
        return f"the dictionary has the keys {_listed(got)}; they should be {_listed(expected)}."
    for key, value in expected.items():
        if problem := difference(got[key], value):
            return f"{key}: {problem}"
    return None


def _sequence_difference(got: Any, expected: tuple | list) -> str | None:
    if not isinstance(got, tuple | list):
        return f"it returned {type_name(got)}; {len(expected)} values are asked for."
    if len(got) != len(expected):
        return f"it returned {len(got)} values; {len(expected)} are asked for."
    for position, (one, other) in enumerate(zip(got, expected, strict=True), 1):
        if problem := difference(one, other):
            return f"value {position} of {len(expected)}: {problem}"
    return None


def _plain_difference(got: Any, expected: Any) -> str | None:
    if expected is None:
        return None if got is None else f"it returned {type_name(got)}; nothing is asked for."
    kinds = (bool, np.bool_) if isinstance(expected, bool | np.bool_) else (str,)
    if not isinstance(got, kinds):
        return f"it returned {type_name(got)}; {kinds[0].__name__} is asked for."
    return None if got == expected else f"it returned {got!r}; {expected!r} is right."


def _number_difference(got: Any, expected: Any) -> str | None:
    scalar_array = is_array(got) and to_numpy(got).shape == ()
    if is_array(got) and not scalar_array:
        shape = tuple(to_numpy(got).shape)
        return f"it returned {type_name(got)} of shape {shape}; a single number is asked for."
    if isinstance(got, bool | np.bool_) or not (scalar_array or isinstance(got, numbers.Number)):
        return f"it returned {type_name(got)}; a number is asked for."
    return _value_difference(np.asarray(to_numpy(got)), np.asarray(expected), dtype_name(got))


def _array_difference(got: Any, expected: Any) -> str | None:
    if isinstance(got, list | tuple):
        return f"it returned a {type(got).__name__}; {type_name(expected)} is asked for."
    one_number = isinstance(got, numbers.Number) and to_numpy(expected).shape == ()
    if framework(got) != framework(expected) and not one_number:
        return f"it returned {type_name(got)}; {type_name(expected)} is asked for."
    values, truth = to_numpy(got), to_numpy(expected)
    if values.shape != truth.shape:
        return f"the result has shape {values.shape}; it should have shape {truth.shape}."
    if problem := _dtype_problem(got, expected, values, truth):
        return problem
    return _value_difference(values, truth, dtype_name(got), dtype_name(expected))


def _dtype_problem(got: Any, expected: Any, values: np.ndarray, truth: np.ndarray) -> str | None:
    same_kind = values.dtype.kind == truth.dtype.kind or {values.dtype.kind, truth.dtype.kind} <= {
        "i",
        "u",
    }
    # NumPy raises the precision on its own wherever types meet; torch refuses to mix them.
    exact = framework(expected) == "torch" and truth.dtype.kind == "f"
    if same_kind and (not exact or dtype_name(got) == dtype_name(expected)):
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
    return f"{where} is {_short(bad)}; it should be {_short(good)}{count}."


def _holds_arrays(value: Any) -> bool:
    nested = isinstance(value, tuple | list) and any(_holds_arrays(item) for item in value)
    return nested or is_array(value)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, numbers.Real | np.floating) else str(value)


def _listed(keys: Any) -> str:
    return ", ".join(repr(key) for key in keys)


def shown(value: Any, limit: int = 600) -> str:
    """`value` as a beginner would want to see it: rounded, and cut where it is long."""
    if is_array(value):
        array = to_numpy(value)
        text = np.array2string(array, precision=4, suppress_small=True, threshold=24, edgeitems=2)
        text += f"  (shape {tuple(array.shape)}, {dtype_name(value)})"
    elif isinstance(value, dict):
        text = "\n".join(f"{key!r}: {shown(item, limit)}" for key, item in value.items())
    elif isinstance(value, tuple | list) and _holds_arrays(value):
        text = "\n".join(shown(item, limit) for item in value)
    elif isinstance(value, float | np.floating):
        text = f"{value:.6g}"
    else:
        text = repr(value)
    return text if len(text) <= limit else text[:limit] + " …"
