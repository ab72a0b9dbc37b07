"""language_model.KeyValueCache: what has been computed once is kept."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from course.checking.engine import Case, Exercise, Mistake
from course.exercises.attention.shared import Sentence, sentence_or_difference, tensor
from course.models import language_model


def _key_value_cache_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Shapes B, H, D, and how many tokens come at each call."""
    for (batch, heads, width), lengths in (
        ((1, 1, 1), (1,)),
        ((1, 1, 2), (2, 1)),
        ((2, 3, 4), (3, 1, 1, 1)),
        ((3, 2, 2), (1, 4, 2)),
    ):
        parts = [
            (tensor(rng, batch, heads, length, width), tensor(rng, batch, heads, length, width))
            for length in lengths
        ]
        given, truth = {}, {}
        for number, (keys, values) in enumerate(parts, start=1):
            given |= {f"call {number}, keys": keys, f"call {number}, values": values}
            for what, which in (("keys", 0), ("values", 1)):
                joined = np.concatenate([part[which].numpy() for part in parts[:number]], axis=2)
                truth[f"call {number}, {what}"] = torch.tensor(joined)
            truth[f"call {number}, length"] = joined.shape[2]
        judge = partial(sentence_or_difference, truth=truth)
        yield Case((given,), truth, judge=judge, call=_use, names=("given to `add`",))


def _use(make: Callable, given: dict[str, Tensor]) -> Any:
    """What it gives at each call, and how long it then is; a second cache must not matter."""
    tensors = list(given.values())
    parts = list(zip(tensors[::2], tensors[1::2], strict=True))
    cache, other = make(), make()
    other.add(*(part + 1 for part in parts[0]))
    if cache is other:
        return Sentence("two caches are one and the same.")
    if len(cache) != 0:
        return Sentence(f"a new cache has the length {len(cache)}; it should be 0.")
    found = {}
    for number, (keys, values) in enumerate(parts, start=1):
        both = cache.add(keys.clone(), values.clone())
        if both is None:
            return Sentence("`add` returned None; it should return all keys and all values.")
        if not isinstance(both, tuple | list) or len(both) != 2:
            return Sentence("`add` should return two tensors: all keys, and all values.")
        found[f"call {number}, keys"], found[f"call {number}, values"] = both
        found[f"call {number}, length"] = len(cache)
    return found


def _with(add: Callable, length: int = 2) -> type:
    """A cache with this way of adding; its length is read off this axis."""

    class Cache(language_model.KeyValueCache):
        def __len__(self) -> int:
            return 0 if self.keys is None else self.keys.shape[length]

    Cache.add = add
    return Cache


def _joined(
    axis: int = 2,
    order: Callable[[list], list] = lambda parts: parts,
    keep: Callable[[Any, Tensor, Tensor, Tensor, Tensor], None] | None = None,
    give_new: bool = False,
) -> Callable:
    def add(self: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        new_keys, new_values = keys, values
        if self.keys is not None:
            keys = torch.cat(order([self.keys, keys]), axis)
            values = torch.cat(order([self.values, values]), axis)
        if keep is None:
            self.keys, self.values = keys, values
        else:
            keep(self, keys, values, new_keys, new_values)
        return (new_keys, new_values) if give_new else (keys, values)

    return add


def _keep_new(
    self: Any, keys: Tensor, values: Tensor, new_keys: Tensor, new_values: Tensor
) -> None:
    self.keys, self.values = new_keys, new_values


def _keep_first(self: Any, keys: Tensor, values: Tensor, *_: Tensor) -> None:
    if self.keys is None:
        self.keys, self.values = keys, values


def _keep_nothing(self: Any, *_: Tensor) -> None:
    pass


def _values_forgotten(self: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if self.keys is not None:
        keys = torch.cat([self.keys, keys], 2)
    self.keys, self.values = keys, values
    return keys, values


def _only_new(self: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    self.keys, self.values = keys, values
    return keys, values


def _numbers_added(self: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if self.keys is not None:
        keys, values = self.keys + keys, self.values + values
    self.keys, self.values = keys, values
    return keys, values


def _twice_at_first(self: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if self.keys is None:
        self.keys, self.values = keys, values
    return _joined()(self, keys, values)


def _swapped(self: Any, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    keys, values = _joined()(self, keys, values)
    return values, keys


KEY_VALUE_CACHE = Exercise(
    name="language_model.KeyValueCache",
    title="Keep keys and values",
    minutes=6,
    difficulty=2,
    reference=language_model.KeyValueCache,
    cases=_key_value_cache_cases,
    mistakes=(
        Mistake(
            _with(_joined(axis=1)),
            "You joined them along the heads; tokens are axis 2 of [B, H, T, D].",
        ),
        Mistake(
            _with(_joined(axis=0)),
            "You joined them along the batch; tokens are axis 2 of [B, H, T, D].",
        ),
        Mistake(
            _with(_joined(axis=-1)),
            "You joined them along the channels; tokens are axis 2 of [B, H, T, D].",
        ),
        Mistake(
            _with(_joined(order=lambda parts: parts[::-1])),
            "The new tokens stand in front; they belong behind the kept ones.",
        ),
        Mistake(
            _with(_joined(keep=_keep_new)),
            "You keep the newest tokens alone; keep all of them, so that the next call finds them.",
        ),
        Mistake(
            _with(_joined(keep=_keep_first)),
            "What `add` was given the first time is kept, and later tokens are not: keep all of "
            "them, each time.",
        ),
        Mistake(
            _with(_joined(keep=_keep_nothing)),
            "Nothing is kept: put the joined tensors into `self.keys` and `self.values`.",
        ),
        Mistake(
            _with(_joined(give_new=True)),
            "You return the new keys and values; the attention needs all of them.",
        ),
        Mistake(
            _with(_only_new),
            "What was kept before is thrown away: join it with the new one, `torch.cat`.",
        ),
        Mistake(
            _with(_numbers_added),
            "`+` adds up the numbers; the new tokens stand *behind* the kept ones: `torch.cat`.",
        ),
        Mistake(
            _with(_twice_at_first),
            "At the first call the tokens are taken twice: keep them, *or* join them with what is "
            "kept.",
        ),
        Mistake(
            _with(_values_forgotten),
            "The keys are joined, the values are not: both are kept.",
        ),
        Mistake(
            _with(_swapped),
            "Keys and values have changed places: return the keys first.",
        ),
    ),
    advice=(
        (
            r"Sizes of tensors must match except in dimension (-1|0|1|3)",
            "You joined along another axis than that of the tokens: they are axis 2 of "
            "[B, H, T, D], the only one that may differ.",
        ),
        (
            r"Boolean value of Tensor",
            "Whether something is kept already, `self.keys is not None` tells.",
        ),
        (
            r"expected Tensor as element 0.*NoneType|NoneType",
            "At the first call nothing is kept yet: join only where `self.keys is not None`.",
        ),
    ),
    hints=(
        "At the first call there is nothing to join. Later: `torch.cat([kept, new], dim=…)`.",
        "Which axis of [B, H, T, D] grows with the text?",
        "`keys = torch.cat([self.keys, keys], dim=2)`, the values likewise; put both into `self`, "
        "and return both.",
    ),
)
