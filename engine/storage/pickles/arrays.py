"""What numpy writes into pickles: arrays as tensors, scalars as numbers. numpy itself is not asked."""

from __future__ import annotations

import struct
from typing import Any

from engine.storage.pickles.values import Blob, NotWholeError, Region, Storage, Stored, Stub

_DTYPES = {
    **{"f2": "float16", "f4": "float32", "f8": "float64", "b1": "bool", "c8": "complex64", "c16": "complex128"},
    **{f"i{size}": f"int{8 * size}" for size in (1, 2, 4, 8)},
    **{f"u{size}": f"uint{8 * size}" for size in (1, 2, 4, 8)},
}
_FORMATS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}
_FORMATS |= {"u1": "B", "u2": "H", "u4": "I", "u8": "Q"}


def tensor_of(value: Any) -> Stored | None:
    """The tensor that a value is, or that an array is as one; None for anything else."""
    if isinstance(value, Stored):
        return value
    if not isinstance(value, Stub):
        return None
    try:
        if value.name.endswith(".multiarray._reconstruct"):
            _, shape, kind, in_columns, content = value.state
        elif value.name.endswith(".numeric._frombuffer"):
            content, kind, shape, order = value.arguments
            in_columns = order == "F"
        else:
            return None
        return _array(tuple(shape), _code(kind), bool(in_columns), content)
    except (TypeError, ValueError, IndexError, AttributeError, NotWholeError):
        return None


def number_of(value: Any) -> bool | int | float | str | None:
    """A plain number, text or truth value; that of numpy's scalars too. None for anything else.

    An integer that no other program could read is none.
    """
    if isinstance(value, Stub) and value.name.endswith(".multiarray.scalar"):
        try:
            kind, content = value.arguments
            (found,) = struct.unpack(f"<{_FORMATS[_code(kind)]}", content)
        except (KeyError, TypeError, ValueError, struct.error, NotWholeError):
            return None
        return found
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return value if isinstance(value, bool | int | float | str) else None


def _code(kind: Any) -> str:
    """numpy's two letters of a dtype, such as f4; those of the other order of bytes are refused."""
    if not isinstance(kind, Stub) or not kind.name.startswith("numpy"):
        raise NotWholeError("an array in it has no type")
    code = str(kind.arguments[0])
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "<"
    if order == ">" or code.startswith(">"):
        raise NotWholeError("an array in it is of a big-endian machine")
    return code.lstrip("<|=")


def _array(shape: tuple[Any, ...], code: str, in_columns: bool, content: Any) -> Stored | None:
    dtype = _DTYPES.get(code)
    if dtype is None or not all(isinstance(size, int) and 0 <= size < 2**48 for size in shape) or len(shape) > 64:
        return None
    numel = 1
    for size in shape:
        numel *= size
    nbytes = numel * int(code[1:])
    region = _bytes(content, nbytes)
    if region is None:
        return None
    storage = Storage("array", dtype, numel, region)
    order = shape if in_columns else shape[::-1]
    strides = [1]
    for size in order[:-1]:
        strides.append(strides[-1] * size)
    stride = tuple(strides[: len(shape)])
    return Stored(dtype, shape, stride if in_columns else stride[::-1], 0, storage)


def _bytes(content: Any, nbytes: int) -> Region | None:
    """The array's bytes, as many as it needs; None where there are not as many."""
    if isinstance(content, Stub) and content.name.endswith(".bytearray"):
        content = content.arguments[0] if content.arguments else b""
    if isinstance(content, bytes | bytearray):
        return Region(nbytes, lambda: content) if len(content) == nbytes else None
    if not isinstance(content, Blob):
        return None
    if not content.text:
        return content.region if content.region.nbytes == nbytes else None
    # Text in UTF-8 whose letters are the bytes: one or two bytes a letter.
    if not nbytes <= content.region.nbytes <= 2 * nbytes:
        return None
    return Region(nbytes, content.content)
