"""What can be reached from an object by whoever is determined: attributes, items, closures, defaults, bound objects."""

from __future__ import annotations

import functools
import gc
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

_LEAVES = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.BuiltinFunctionType)


def reachable(root: Any) -> list[Any]:
    """Everything that can be reached from `root`, itself included, each once; not what a module holds."""
    found: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in found or isinstance(thing, _LEAVES):
            continue
        found[id(thing)] = thing
        waiting += _next(thing)
    return list(found.values())


def _next(thing: Any) -> Iterator[Any]:
    if isinstance(thing, types.FunctionType):
        yield from (cell.cell_contents for cell in thing.__closure__ or () if _filled(cell))
        yield from thing.__defaults__ or ()
        yield from (thing.__kwdefaults__ or {}).values()
    elif isinstance(thing, types.MethodType):
        yield thing.__self__
        yield thing.__func__
    elif isinstance(thing, functools.partial):
        yield thing.func
        yield from thing.args
        yield from thing.keywords.values()
    elif isinstance(thing, types.GeneratorType):
        if thing.gi_frame is not None:
            yield from thing.gi_frame.f_locals.values()
        yield thing.gi_yieldfrom
    elif isinstance(thing, weakref.ref):
        yield thing()
    elif isinstance(thing, Mapping):
        yield from thing.keys()
        yield from thing.values()
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from thing
    yield from _attributes(thing)


def _attributes(thing: Any) -> Iterator[Any]:
    yield from getattr(thing, "__dict__", {}).values()
    for cls in type(thing).__mro__:
        for name in getattr(cls, "__slots__", ()) if not isinstance(getattr(cls, "__slots__", ()), str) else ():
            if hasattr(thing, name):
                yield getattr(thing, name)
    # What only the garbage collector knows of: an extension's own fields.
    yield from (each for each in gc.get_referents(thing) if not isinstance(each, type | types.ModuleType | dict))


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # empty
        return False
