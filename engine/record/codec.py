"""One event a line of strict JSON, and back.

Numbers that are not finite are written as null and read back as NaN. Unknown kinds are skipped, and unknown fields
dropped, so that readers survive writers newer than they are; what an older schema wrote is brought up. The types are
those that the vocabulary annotates.
"""

from __future__ import annotations

import binascii
import dataclasses
import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

from engine.events import KINDS, Event, PlannedStage, RunStarted
from engine.figures import Change, Cost, Metrics, TapHealth
from engine.plain import plain, utf8
from engine.record import old_schema

_read = json.JSONDecoder().raw_decode
"""`json.loads` without its wrappers, which cost a third of its time on lines as short as these."""


def encode(event: Event) -> str:
    """The event as one line of strict JSON, without its end; names that are no letters are escaped."""
    line = json.dumps({"kind": event.kind, **plain(event)}, separators=(",", ":"), ensure_ascii=False)
    return line if line.isascii() else utf8(line).decode()


def decode(line: str) -> Event | None:
    """Read one line of the record.

    Returns None for a kind this version does not know. Raises ValueError for a line that is no event at all: torn,
    not JSON, or without fields that its kind cannot do without.
    """
    try:
        values, end = _read(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if line[end:].strip() or not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise ValueError("not an event")
    cls = KINDS.get(values.pop("kind"))
    if cls is None:
        return None
    return _build(cls, old_schema.run_started(values) if cls is RunStarted else values)


def _build(cls: type, values: dict[str, Any]) -> Any:
    """The dataclass with these values, unknown ones dropped; ValueError where they do not fit its fields."""
    revivers, wanted, made_anew = _shape(cls)
    try:
        given = {name: make() for name, make in made_anew.items()}
        for name, value in values.items():
            if name in revivers:
                revive = revivers[name]
                given[name] = value if revive is None else revive(value)
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{cls.__name__}: {error}") from None
    if not given.keys() >= wanted:
        raise ValueError(f"{cls.__name__} without {', '.join(sorted(wanted - given.keys()))}")
    # A frozen dataclass's constructor sets field by field, a seventh of the time of reading a long record.
    event = object.__new__(cls)
    event.__dict__.update(given)
    return event


@cache
def _shape(cls: type) -> tuple[dict[str, Callable[[Any], Any] | None], set[str], dict[str, Callable[[], Any]]]:
    """By field what turns its JSON value into its own type (None: it is); which must be given; what makes defaults.

    A plain default is an attribute of the class: it is found there where the field is not given.
    """
    fields = dataclasses.fields(cls)
    made_anew = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    wanted = {f.name for f in fields if f.default is dataclasses.MISSING}
    return {f.name: _reviver(f.type) for f in fields}, wanted, made_anew


def _reviver(annotation: Any) -> Callable[[Any], Any] | None:
    """What reads a field with that annotation (a string: annotations are postponed there)."""
    if annotation in _REVIVERS:
        return _REVIVERS[annotation]
    if annotation.startswith("tuple["):
        return tuple
    return (lambda value: _checked(dict, value)) if annotation.startswith("dict[") else None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _whole(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"{value!r} is no whole number")


def _checked(wanted: type, value: Any) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"{value!r} is no {wanted.__name__}")
    return value


def _text(value: Any) -> str:
    return _checked(str, value)


def _figures(cls: type) -> Callable[[Any], Any]:
    """What reads a table of figures, the numbers in its intervals and lists included."""

    def read(values: Any) -> Any:
        gaps = {
            key: [math.nan if item is None else item for item in value] if isinstance(value, list) else value
            for key, value in _checked(dict, values).items()
        }
        return _build(cls, gaps)

    return read


def _tables(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    """What reads a list of tables as such dataclasses."""
    return lambda values: tuple(_build(cls, _checked(dict, item)) for item in _checked(list, values))


_REVIVERS: dict[str, Callable[[Any], Any]] = {
    "float": _number,
    "int": _whole,
    "str": _text,
    "Role": _text,  # a role that only a newer writer knows is kept as it is: no reader asks for it
    "bool": lambda value: _checked(bool, value),
    "bytes": lambda value: binascii.a2b_base64(value, strict_mode=True),
    "Metrics": _figures(Metrics),
    "Cost | None": lambda value: None if value is None else _figures(Cost)(value),
    "dict[str, float]": lambda value: {key: _number(item) for key, item in value.items()},
    "tuple[float, ...]": lambda value: tuple(_number(item) for item in _checked(list, value)),
    "tuple[str, ...]": lambda value: tuple(_text(item) for item in _checked(list, value)),
    "tuple[PlannedStage, ...]": _tables(PlannedStage),
    "tuple[TapHealth, ...]": _tables(TapHealth),
    "tuple[Change, ...]": lambda values: tuple(map(_figures(Change), _checked(list, values))),
}
"""By annotation what reads it."""
