"""The mappings from names to tensors in a file, two levels deep: state dicts, whole models, averaged ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.storage.pickles.arrays import number_of, tensor_of
from engine.storage.pickles.values import NotWholeError, Stored, Stub

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params", "module", "ema")
"""Keys under which people keep a state dict, the most telling first."""
LEVELS = 2
"""How deep mappings are looked for below the outermost value."""
MOST = 500_000
"""Entries that are looked at in one file."""
_WIDEST_ROW = 64
_LONGEST_TEXT, _MOST_PLAIN = 1_000, 64


@dataclass(frozen=True)
class TensorMapping:
    """One mapping from names to tensors."""

    path: tuple[str, ...]
    """The keys that lead to it; empty = the file is nothing else."""
    tensors: dict[str, Stored]
    others: dict[str, str] = field(default_factory=dict)
    """What stands among them and is no tensor: its name, and its kind."""
    module: bool = False
    """A whole model was saved, of which these are the weights."""
    beside: tuple[dict[str, bool | int | float | str], ...] = ()
    """For each mapping on the path, the outermost first, the numbers and short texts in it."""

    @property
    def where(self) -> str:
        """The path in words."""
        return ".".join(self.path) if self.path else "the file itself"


def mappings(root: Any) -> list[TensorMapping]:
    """All mappings with a tensor in them, the likeliest first: by what they are called, then the shallower, the larger.

    Raises:
        NotWholeError: there is more in the file than anybody can look at.
    """
    found = [mapping for path, value, beside in _within(root) if (mapping := _mapping(path, value, beside)) is not None]
    largest = max((len(each.tensors) for each in found), default=0)

    def rank(each: TensorMapping) -> tuple[bool, int, int, int]:
        name = each.path[-1] if each.path else WRAPPERS[0]
        known = WRAPPERS.index(name) if name in WRAPPERS else len(WRAPPERS)
        return 4 * len(each.tensors) < largest, known, len(each.path), -len(each.tensors)

    return sorted(found, key=rank)


Place = tuple[tuple[str, ...], Any, tuple[dict[str, Any], ...]]
"""A path, what is there, and the plain values of each mapping on the way."""


def _within(root: Any) -> Iterator[Place]:
    """Every container of the first levels, each once, the outer ones first."""
    level: list[Place] = [((), root, ())]
    seen: set[int] = set()
    looked = 0
    for depth in range(LEVELS + 1):
        below: list[Place] = []
        for path, value, beside in level:
            if id(value) in seen:
                continue
            seen.add(id(value))
            yield path, value, beside
            inner = _children(value) if depth < LEVELS else {}
            looked += len(inner)
            if looked > MOST:
                raise NotWholeError("it holds more than anybody can look at")
            plain = _plain(value) if inner else {}
            below += [((*path, name), each, (*beside, plain)) for name, each in inner.items()]
        level = below


def table_of(value: Any) -> Mapping[Any, Any]:
    """What a value holds by name: a dictionary's items, a stub's or its attributes, a row's names and tensors."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(value) if value and all(_is_pair(each) for each in value) else {}
    if not isinstance(value, Stub):
        return {}
    state = value.state[0] if isinstance(value.state, tuple) and value.state else value.state
    return value.items or (state if isinstance(state, dict) else {})


def _is_pair(value: Any) -> bool:
    """Whether that is a name with its tensor, as `named_parameters` gives them."""
    return (
        isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and tensor_of(value[1]) is not None
    )


def _children(value: Any) -> dict[str, Any]:
    if is_module(value):
        return {}
    if isinstance(value, list | tuple):
        return {f"[{place}]": each for place, each in enumerate(value[:_WIDEST_ROW]) if _holds(each)}
    return {str(key)[:80]: each for key, each in table_of(value).items() if _holds(each) and isinstance(key, str | int)}


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list | tuple | Stub) and tensor_of(value) is None


def _plain(value: Any) -> dict[str, Any]:
    plain = {}
    for key, each in table_of(value).items():
        number = number_of(each)
        short = not isinstance(number, str) or len(number) < _LONGEST_TEXT
        if isinstance(key, str) and len(key) < 80 and number is not None and short:
            plain[key] = number
        if len(plain) >= _MOST_PLAIN:
            break
    return plain


def _mapping(path: tuple[str, ...], value: Any, beside: tuple[dict[str, Any], ...]) -> TensorMapping | None:
    if is_module(value):
        return TensorMapping(path, _weights(value), module=True, beside=beside)
    tensors: dict[str, Stored] = {}
    others: dict[str, str] = {}
    for key, each in table_of(value).items():
        tensor = tensor_of(each)
        if tensor is not None and isinstance(key, str):
            tensors[key] = tensor
        elif isinstance(key, str):
            others[key] = kind_of(each)
    return TensorMapping(path, tensors, others, beside=beside) if tensors else None


def kind_of(value: Any) -> str:
    """What a value is, in a word or two."""
    if isinstance(value, Stub):
        return ascii(value.name[:80])[1:-1]
    return "Tensor" if isinstance(value, Stored) else "nothing" if value in ({}, [], ()) else type(value).__name__


def is_module(value: Any) -> bool:
    """Whether that is a whole model, saved as an object: its modules and parameters are attributes of it."""
    table = table_of(value) if isinstance(value, Stub) else {}
    return isinstance(table.get("_modules"), dict) and isinstance(table.get("_parameters"), dict)


def _weights(module: Stub) -> dict[str, Stored]:
    """The state dict of a model that was saved as an object, in torch's order."""
    weights: dict[str, Stored] = {}
    waiting: list[tuple[str, Any, int]] = [("", module, 0)]
    looked = 0
    while waiting:
        prefix, each, depth = waiting.pop()
        table = table_of(each)
        passing = table.get("_non_persistent_buffers_set")
        left_out = set(passing.elements) if isinstance(passing, Stub) else set()
        for name, value in (*_entries(table, "_parameters"), *_entries(table, "_buffers")):
            tensor = tensor_of(value)
            if tensor is not None and name not in left_out:
                weights[f"{prefix}{name}"] = tensor
        inner = [(f"{prefix}{name}.", value, depth + 1) for name, value in _entries(table, "_modules")]
        looked += len(inner) + 1
        if looked > MOST // 10 or depth > 100:
            raise NotWholeError("the model in it is nested without end")
        waiting += reversed([entry for entry in inner if is_module(entry[1])])
    return weights


def _entries(table: Mapping[Any, Any], name: str) -> list[tuple[str, Any]]:
    held = table.get(name)
    return [(key, value) for key, value in held.items() if isinstance(key, str)] if isinstance(held, dict) else []
