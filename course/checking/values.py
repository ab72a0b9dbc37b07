"""What a value is, in words for a beginner: its type, its shape, its numbers."""

import numbers
import reprlib
import types
from typing import Any

import numpy as np

CONTAINERS = {"list": "a list", "tuple": "a tuple"}
ARRAYS = {"numpy": "a NumPy array", "torch": "a torch tensor"}

_REPR = reprlib.Repr()  # does not write out a million elements only to have them cut
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 24
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 600


def is_array(value: Any) -> bool:
    """Whether `value` is a NumPy array or a tensor."""
    if framework(value) in ("torch", "tensorflow"):
        return hasattr(value, "shape")  # which a model, a layer or a dtype has not
    return isinstance(value, np.ndarray)


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
    array = np.asarray(value)
    return array.astype(np.float32) if str(array.dtype) == "bfloat16" else array


def kind(value: Any) -> str:
    """The bare name of the value's type, even where a metaclass hides it."""
    return type.__dict__["__name__"].__get__(type(value))


def type_name(value: Any) -> str:
    """What to call the type of `value` in a message to a beginner."""
    if is_array(value):
        return ARRAYS.get(framework(value), "a TensorFlow tensor")
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return CONTAINERS.get(kind(value), f"a value of type {kind(value)}")


def dtype_name(value: Any) -> str:
    """ "float32", "int64"… for arrays and tensors of any framework."""
    dtype = getattr(value, "dtype", kind(value))
    return str(getattr(dtype, "name", dtype)).replace("torch.", "")


def type_advice(got: Any, expected: Any) -> str:
    """What probably led to a result of this type instead of `expected`'s, or ""."""
    functions = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, np.ufunc)
    if isinstance(got, types.GeneratorType):
        return "`yield` makes a generator: collect the values and hand them back with `return`."
    if isinstance(got, types.CoroutineType):
        return "Write `def` in place of `async def`."
    if isinstance(got, functions):
        return f"It is the function itself: call it, `{got.__name__}(…)`."
    if got is ...:
        return "The three dots are still in place of the result."
    if isinstance(got, str) and isinstance(expected, numbers.Number):
        return "What stands in quotes is a text."
    if isinstance(got, tuple) and not isinstance(expected, tuple | list):
        one = "Is there a comma behind the value?" if len(got) == 1 else "Return one value only."
        return one
    if is_array(got) and isinstance(expected, numbers.Number) and got.shape == (1,):
        return "Take the number out of it with `[0]`."
    if isinstance(got, list) and framework(expected) == "numpy":
        return "`np.array(a_list)` makes one of a list."
    return ""


def shape_advice(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What probably led to this shape, and why it matters, or ""."""
    if len(got) > len(wanted) and [n for n in got if n != 1] == [n for n in wanted if n != 1]:
        advice = "It has an axis of length 1 too many, as `keepdims=True` and `[:, None]` leave it."
        if len(got) == 2 and got[1] == 1:
            advice += f" Beside an array of shape {wanted}, it would spread out to {wanted * 2}."
        return advice
    if len(got) == 2 and got == wanted[::-1]:
        return "Rows and columns have changed places."
    if got == () and wanted:
        return "That is a single number: along which axis should it be computed?"
    return ""


def shown(value: Any, limit: int = 600) -> str:
    """`value` as a beginner would want to see it: rounded, and cut where it is long."""
    if is_array(value):
        array = to_numpy(value)
        text = np.array2string(array, precision=4, suppress_small=True, threshold=24, edgeitems=2)
        text += f"  (shape {tuple(array.shape)}, {dtype_name(value)})"
    elif isinstance(value, dict) and len(value) <= _REPR.maxdict:
        text = "\n".join(f"{key!r}: {_item(item, limit)}" for key, item in value.items())
    elif isinstance(value, tuple | list) and len(value) <= limit and _holds_arrays(value):
        text = "\n".join(shown(item, limit) for item in value)
    elif isinstance(value, float | np.floating):
        text = f"{value:.6g}"
    else:
        text = _REPR.repr(value)
    return text if len(text) <= limit else text[:limit] + " …"


def _item(value: Any, limit: int) -> str:
    """A value of a dictionary; where it is one itself, such as a Counter, on one line."""
    flat = isinstance(value, dict) and not any(map(_holds_arrays, value.values()))
    return _REPR.repr(dict(value)) if flat else shown(value, limit)


def _holds_arrays(value: Any) -> bool:
    nested = isinstance(value, tuple | list) and any(_holds_arrays(item) for item in value)
    return nested or is_array(value)
