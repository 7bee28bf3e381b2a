"""How a checkpoint was made up, and other weights in that shape again. In JSON's types: it goes into records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.storage.contents import Contents
from engine.storage.state_dicts.mappings import TensorMapping
from engine.storage.state_dicts.naming import Naming
from engine.storage.state_dicts.normalization import OURS, FoundNormalization

_MOST_KEPT, _LONGEST_NAME = 64, 200
"""Counters, and names of what was left out, that are kept; letters of the longest such name."""


def describe(
    mapping: TensorMapping,
    naming: Naming,
    normal: FoundNormalization | None,
    counters: Mapping[str, Tensor],
    contents: Contents,
    wanted: Mapping[str, Tensor],
) -> dict[str, Any]:
    """The shape of a checkpoint whose weights a network takes.

    `form`; `path`, the keys around the state dict; `module`: a whole model was saved, as an object; `prefix` before all
    names, or else `names` (ours -> theirs); `absent`: ours that it does not have; `dtype` of its floats, and `dtypes`
    of those that have another, by their names; `normalization`; `counters`; `beside`: plain values of the mappings
    around it; `left_out`: names of other modules' tensors; `stubs`.
    """
    floats = {name for name, tensor in wanted.items() if tensor.is_floating_point()}
    types = {ours: mapping.tensors[theirs].dtype for ours, theirs in naming.names.items()}
    held = Counter(dtype for name, dtype in types.items() if name in floats and dtype.startswith(("float", "bfloat")))
    usual = held.most_common(1)[0][0] if held else "float32"
    others = {
        naming.names[name]: dtype for name, dtype in types.items() if dtype != (usual if name in floats else "int64")
    }
    return {
        "form": contents.form,
        "path": list(mapping.path),
        "module": mapping.module,
        **({"names": dict(naming.names)} if naming.prefix is None else {"prefix": naming.prefix}),
        "absent": [name for name in wanted if name not in naming.names],
        "dtype": usual,
        "dtypes": others,
        "normalization": None if normal is None else _normalization(normal, mapping),
        "counters": {
            name: {"dtype": str(value.dtype).removeprefix("torch."), "value": value.tolist()}
            for name, value in list(counters.items())[:_MOST_KEPT]
            if len(name) <= _LONGEST_NAME
        },
        "beside": [dict(level) for level in mapping.beside],
        "left_out": [name[:_LONGEST_NAME] for name in (*naming.outside, *mapping.others)][:_MOST_KEPT],
        "stubs": list(contents.stubs)[:_MOST_KEPT],
    }


def _normalization(normal: FoundNormalization, mapping: TensorMapping) -> dict[str, Any]:
    held = [mapping.tensors[name] for name in (normal.mean_name, normal.std_name)] if normal.tensors else []
    return {
        "mean": list(normal.mean),
        "std": list(normal.std),
        "names": [normal.mean_name, normal.std_name],
        "of_bytes": normal.of_bytes,
        "tensors": normal.tensors,
        "shapes": [list(each.shape) for each in held],
        "dtypes": [each.dtype for each in held],
    }


def in_shape(origin: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under our names as the state dict that a checkpoint of that origin held: its names, types, counters."""
    names = origin.get("names")
    prefix, absent = str(origin.get("prefix", "")), set(origin.get("absent", ()))
    shaped: dict[str, Tensor] = {}
    for ours, tensor in weights.items():
        if ours in absent or ours in OURS:
            continue
        theirs = _theirs(names, ours) if names is not None else f"{prefix}{ours}"
        usual = origin.get("dtype", "float32") if tensor.is_floating_point() else "int64"
        shaped[theirs] = _typed(tensor, origin.get("dtypes", {}).get(theirs, usual))
    for name, kept in origin.get("counters", {}).items():
        if kept["value"] is None:  # it was not finite, which records do not hold
            continue
        shaped[name] = torch.tensor(kept["value"], dtype=getattr(torch, kept["dtype"]))
    normal = origin.get("normalization")
    if normal and normal["tensors"]:
        shaped = {**_normal_tensors(normal), **shaped}
    return shaped


def _theirs(names: Mapping[str, str], ours: str) -> str:
    """The file's name for one of ours; what a defense added to a module is named as that module's others are."""
    if ours in names:
        return names[ours]
    module, _, last = ours.rpartition(".")
    beside = next(theirs for known, theirs in names.items() if known.rpartition(".")[0] == module)
    return f"{beside.rpartition('.')[0]}.{last}"


def _typed(tensor: Tensor, name: str) -> Tensor:
    """In the file's type; a value that this type cannot hold keeps the whole tensor as it is."""
    wanted = getattr(torch, name, None)
    if not isinstance(wanted, torch.dtype) or name.startswith("q"):  # what was quantized stays dense
        return tensor
    typed = tensor.to(wanted)
    return typed if not typed.is_floating_point() or bool(typed.isfinite().all()) else tensor


def _normal_tensors(normal: Mapping[str, Any]) -> dict[str, Tensor]:
    scale = 255 if normal["of_bytes"] else 1
    made = {}
    for name, values, shape, dtype in zip(
        normal["names"], (normal["mean"], normal["std"]), normal["shapes"], normal["dtypes"], strict=True
    ):
        row = torch.tensor([scale * each for each in values], dtype=getattr(torch, dtype))
        count = 1
        for size in shape:
            count *= size
        made[name] = row[:count].reshape(shape)
    return made


def wrapped(origin: Mapping[str, Any], shaped: dict[str, Tensor]) -> dict[str, Any]:
    """The state dict where it was in the file, beside the plain values that stood there; the rest is dropped."""
    content: Any = shaped
    levels = [*origin.get("beside", ()), *[{}] * len(origin.get("path", ()))]
    for key, beside in reversed(list(zip(origin.get("path", ()), levels, strict=False))):
        content = {**beside, key: content}
    return content
