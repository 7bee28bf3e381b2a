"""Which of a file's mappings are a network's weights, and under which names: asked before any tensor is read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.errors import RequestError
from engine.storage.contents import Contents
from engine.storage.pickles.values import NotWholeError, Stored
from engine.storage.reading_tensors import TensorReader, read_all
from engine.storage.state_dicts import normalization
from engine.storage.state_dicts.mappings import TensorMapping, kind_of, mappings
from engine.storage.state_dicts.naming import Naming, match, needed
from engine.storage.state_dicts.normalization import OURS, Among, FoundNormalization
from engine.storage.state_dicts.origin import describe

LONGEST_NAME = 120
"""Letters of a name that a line shows."""
LISTED = 3
"""Mismatches, names and mappings that one line lists."""


class MisfitError(RequestError):
    """Weights of another network: tensors are missing, superfluous or of another shape."""


@dataclass(frozen=True)
class Fitted:
    """A file's weights under a network's names."""

    tensors: dict[str, Tensor]
    """As the file has them, on the CPU; what was sparse or quantized is dense and float."""
    origin: dict[str, Any]
    """The shape of the file, in JSON's types (`origin.describe`)."""
    normalization: FoundNormalization | None
    """The one that the file holds, unless it changes nothing."""
    notes: tuple[str, ...]
    """What was taken, left out and converted: a line each."""


def fit_contents(contents: Contents, wanted: Mapping[str, Tensor], name: str) -> Fitted:
    """The weights in a file that fit a network of that state dict and name.

    Raises:
        MisfitError: no mapping in it fits; the mismatches of the closest are listed, and the others named.
        RequestError: there is no mapping, or its tensors cannot be read.
    """
    wanted = {key: tensor for key, tensor in wanted.items() if key not in OURS}
    shapes = {key: tuple(tensor.shape) for key, tensor in wanted.items()}
    found = found_in(contents)
    tried = [(mapping, match(shapes, {key: each.shape for key, each in mapping.tensors.items()})) for mapping in found]
    problems = [list(_problems(contents, mapping, wanted, naming, name)) for mapping, naming in tried]
    fitting = [place for place, mismatches in enumerate(problems) if not mismatches]
    if not fitting:
        closest = min(range(len(tried)), key=lambda place: len(problems[place]))
        said = listed(problems[closest])
        raise MisfitError(f"{contents.path} does not fit {name}: {said}{_others(found, closest)}")
    mapping, naming = tried[fitting[0]]
    more = [tried[place][0].where for place in fitting[1:]]
    return _fitted(contents, mapping, naming, wanted, more)


def found_in(contents: Contents) -> list[TensorMapping]:
    """The mappings in a file, the likeliest first.

    Raises:
        RequestError: there is none.
    """
    try:
        found = mappings(contents.root)
    except NotWholeError as error:
        raise RequestError(f"{contents.path}: {error}") from error
    if not found:
        held = _held(contents.root)
        raise RequestError(f"{contents.path} holds {held if held == 'nothing' else f'no state dict but {held}'}")
    return found


def _held(root: Any) -> str:
    if isinstance(root, dict) and root:
        # What is no text or number is not shown: to write it out may take for ever.
        names = {key: repr(key)[:60] if isinstance(key, str | int) else kind_of(key) for key in list(root)[:LISTED]}
        entries = [f"{name} ({kind_of(root[key])})" for key, name in names.items()]
        return f"{', '.join(entries)}{' ...' if len(root) > LISTED else ''}"
    return kind_of(root) if root in ({}, [], ()) else f"a {kind_of(root)}"


def listed(texts: list[str]) -> str:
    """The first few, and how many more there are."""
    more = len(texts) - LISTED
    return "; ".join(texts[:LISTED]) + (f"; and {more} more" if more > 0 else "")


def shown(name: str) -> str:
    """A name out of a file as part of a line: what steers a terminal or breaks the line as escapes, the end cut off."""
    cut = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in cut)


def _others(found: list[TensorMapping], closest: int) -> str:
    if len(found) == 1:
        return ""
    names = [f"{shown(each.where)} ({len(each.tensors)} tensors)" for each in found[: 2 * LISTED]]
    return f"; the closest of its mappings is {shown(found[closest].where)}, there are {', '.join(names)}"


def misfits(
    wanted: Mapping[str, Tensor], held: Mapping[str, Tensor | Stored], naming: Naming, name: str
) -> Iterator[str]:
    """What is missing, superfluous, or of another shape or type, a few words each."""
    necessary = set(needed(wanted))
    for key, tensor in wanted.items():
        theirs = naming.names.get(key)
        if theirs is None:
            if key in necessary:
                yield f"{shown(key)}: missing in the file, {name} wants {shape(tensor)}"
        elif tuple(held[theirs].shape) != tuple(tensor.shape):
            if key in necessary or tensor.numel() != math.prod(held[theirs].shape):
                yield f"{shown(theirs)}: file {shape(held[theirs])}, {name} wants {shape(tensor)}"
        elif not _convertible(held[theirs], tensor):
            yield f"{shown(theirs)}: file {dtype(held[theirs])}, {name} wants {dtype(tensor)}"
    for theirs in naming.inside:
        yield f"{shown(theirs)}: file {shape(held[theirs])}, {name} has no such tensor"


def _convertible(held: Tensor | Stored, wanted: Tensor) -> bool:
    """Whether a tensor of the file can stand for the network's: any float for a float; for a counter any number."""
    if isinstance(held, Stored) and held.layout.startswith("quantized"):
        return wanted.is_floating_point()
    has = dtype(held)
    if wanted.is_floating_point():
        return has.startswith(("float", "bfloat", "half", "double"))
    return wanted.numel() == 1 and not has.startswith(("complex", "q"))


def _problems(
    contents: Contents, mapping: TensorMapping, wanted: Mapping[str, Tensor], naming: Naming, name: str
) -> Iterator[str]:
    held = _normalizations(contents, mapping, naming)
    normal = {each for pair in held.made for each in (pair.mean_name, pair.std_name)}
    plain = Naming(
        naming.names,
        naming.prefix,
        naming.outside,
        tuple(each for each in naming.inside if each not in normal),
    )
    yield from misfits(wanted, mapping.tensors, plain, name)
    for theirs in naming.names.values():
        if mapping.tensors[theirs].layout == "meta":
            yield f"{shown(theirs)}: stored without values (on the device meta)"
            return


def _normalizations(contents: Contents, mapping: TensorMapping, naming: Naming) -> Among:
    """Those among the tensors that the network has no place for, then those beside the mapping."""
    reader = TensorReader(contents.size)
    found = normalization.among(
        (*naming.outside, *naming.inside), lambda name: normalization.numbers_of(mapping.tensors[name], reader)
    )
    return Among(found.made + normalization.beside(contents.root, mapping.path), found.broken)


def _fitted(
    contents: Contents, mapping: TensorMapping, naming: Naming, wanted: Mapping[str, Tensor], more: list[str]
) -> Fitted:
    held = _normalizations(contents, mapping, naming)
    normal = next(iter(held.made), None)
    counters = {name: mapping.tensors[name] for name in naming.bookkeeping}
    taken = {theirs: mapping.tensors[theirs] for theirs in naming.names.values()}
    try:
        read = read_all({**taken, **counters}, contents.size)
    except NotWholeError as error:
        raise RequestError(f"{contents.path} is not a whole checkpoint: {error}") from error
    tensors = {ours: read[theirs].reshape(wanted[ours].shape) for ours, theirs in naming.names.items()}
    kept = {name: read[name] for name in counters}
    origin = describe(mapping, naming, normal, kept, contents, wanted)
    notes = tuple(_notes(contents, mapping, naming, held, more))
    return Fitted(tensors, origin, None if normal is None or normal.identity else normal, notes)


def _notes(contents: Contents, mapping: TensorMapping, naming: Naming, held: Among, more: list[str]) -> Iterator[str]:
    normal = next(iter(held.made), None)
    if mapping.path:
        also = f" (also there: {', '.join(map(shown, more[:LISTED]))})" if more else ""
        yield f"took {shown(mapping.where)}{also}"
    if mapping.module:
        yield "a whole model was saved: its weights were taken, its code was not run"
    if naming.prefix or naming.also:
        also = f" (also there: {', '.join(map(shown, naming.also[:LISTED]))})" if naming.also else ""
        yield f"names begin with '{shown(naming.prefix or '')}'{also}"
    elif naming.prefix is None:
        yield "wrappers' words were taken out of the names"
    if normal is not None:
        from_bytes = ", for images of 0 to 255" if normal.of_bytes else ""
        idle = ", which changes nothing" if normal.identity else ""
        yield f"normalization {shown(normal.mean_name)}, {shown(normal.std_name)}{from_bytes}{idle}"
    for mean, std in held.broken:
        yield normalization.no_normalization(shown(mean), shown(std))
    beside = {normal.mean_name, normal.std_name} if normal is not None else set()
    left = [*naming.bookkeeping, *(name for name in naming.outside if name not in beside), *mapping.others]
    if left:
        yield f"left out: {_names(left)}"
    converted = sorted({mapping.tensors[each].layout for each in naming.names.values()} - {"dense"})
    if converted:
        yield f"made dense: {', '.join(converted)} tensors"
    if contents.stubs:
        yield f"not run, only named: {_names(list(contents.stubs))}"


def _names(names: list[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(map(shown, names[:LISTED])) + (f" and {more} more" if more > 0 else "")


def shape(tensor: Tensor | Stored) -> str:
    """A shape as 16x3x3x3."""
    return "x".join(str(size) for size in tensor.shape) or "a single number"


def dtype(tensor: Tensor | Stored) -> str:
    """A type as float32."""
    return str(tensor.dtype).removeprefix("torch.")
