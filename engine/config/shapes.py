"""What each field of a configuration shapes: the suspect, a defense, a measurement, or nothing.

The key of a cached suspect and the identity of a run are read off the fields' own declarations (`Shapes` beside a
field's type), so that a forgotten field cannot serve a stale model: one that declares nothing counts as shaping the
suspect, and a test names it. Free of torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.settings import Shaped, Shapes

ALL: tuple[Shaped, ...] = ("suspect", "defense", "measurement")
"""Everything that shapes a figure."""


def declared(field: FieldInfo) -> Shapes | None:
    """What a field says of itself, or None."""
    return next((each for each in field.metadata if isinstance(each, Shapes)), None)


def shaping(
    section: BaseModel, what: Collection[Shaped], *, given: bool = True, above: Shapes | None = None
) -> dict[str, Any]:
    """The values, in plain types, of the fields that shape something of `what`; sections without any are left out.

    `given`: also those for which something else stands in a key (`Shapes.through`).
    """
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        own = declared(field) or above or Shapes("suspect")
        found = _plain(getattr(section, name), what, given, own)
        if found is not _NOTHING:
            values[name] = found
    return values


_NOTHING: Any = object()


def _plain(value: Any, what: Collection[Shaped], given: bool, own: Shapes) -> Any:
    if isinstance(value, BaseModel):
        return shaping(value, what, given=given, above=own) or _NOTHING
    if isinstance(value, Mapping) and any(isinstance(each, BaseModel) for each in value.values()):
        found = {key: shaping(each, what, given=given, above=own) for key, each in value.items()}
        return found if own.what in what else _NOTHING
    if own.what not in what or (own.through and not given):
        return _NOTHING
    return list(value) if isinstance(value, tuple) else value


def shaping_nothing(section: type[BaseModel], prefix: str = "", above: Shapes | None = None) -> Iterator[str]:
    """The dotted names of the fields that shape no figure: for configurations in plain types, those of records.

    Whatever is not among them counts as shaping something, fields that are not known any more included.
    """
    for name, field in section.model_fields.items():
        own, kind = declared(field) or above, field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from shaping_nothing(kind, f"{prefix}{name}.", own)
        elif own is not None and own.what == "nothing":
            yield prefix + name


def undeclared(section: type[BaseModel], prefix: str = "", above: Shapes | None = None) -> Iterator[str]:
    """The dotted names of the fields of which nobody has said what they shape."""
    for name, field in section.model_fields.items():
        own = declared(field) or above
        kind = field.annotation
        if own is None and isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from undeclared(kind, f"{prefix}{name}.")
        elif own is None:
            yield prefix + name
