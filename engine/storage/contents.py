"""What a checkpoint holds, whoever wrote it, read by its content: nothing is executed, and no tensor is read yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from engine.errors import AbsentError, RequestError
from engine.storage.looks import cause
from engine.storage.paths import named_in_letters
from engine.storage.pickles.machine import RunsThingsError
from engine.storage.pickles.torch_files import ITEMSIZE, Read, read_pickles, read_zip
from engine.storage.pickles.values import NotWholeError, Region, Storage, Stored

HEAD = 512
"""Bytes by which a file is recognized."""
_LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header, which is all that library reads."""
_SAFETENSORS = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool"},
    **{f"{sign}{bits}": f"{name}{bits}" for sign, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64"},
}


@dataclass(frozen=True)
class Contents:
    """An opened checkpoint."""

    path: Path
    form: str
    """What kind of file it is, for a person: safetensors, torch.save, ..."""
    size: int
    """Bytes."""
    root: Any
    """Plain values and containers; tensors as `Stored`, everything else as `Stub` or `Global`."""
    stubs: Counter[str] = field(default_factory=Counter)
    """Names in it that became inert stubs, and how often each is named."""


def open_checkpoint(path: Path) -> Contents:
    """Open a file of any ending: safetensors, what `torch.save` wrote in any version, or a pickle.

    Raises:
        RequestError: one line with the cause: no such file, empty, a folder, cut short, a web page, a git-lfs pointer,
            a TorchScript archive, something else that is no checkpoint, or one that names what runs things.
    """
    path = Path(path)
    head, size = _head(path)
    try:
        if _is_safetensors(head):
            return Contents(path, "safetensors", size, _safetensors(path, head, size))
        read = _read(path, head)
    except RunsThingsError as error:
        name = ascii(str(error)[:100])[1:-1]
        raise RequestError(
            f"{path} refused: besides tensors it contains code ({name}), which was not executed; if you "
            "trust its author, load it where that is safe and convert its state_dict() with safetensors.torch.save_file"
        ) from error
    except NotWholeError as error:
        raise RequestError(f"{path} is not a whole checkpoint: {error}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from error
    return Contents(path, read.form, size, read.root, read.stubs)


def _head(path: Path) -> tuple[bytes, int]:
    try:
        if path.is_dir():
            raise RequestError(f"cannot read {path}: it is a folder; a checkpoint is one file")
        if path.exists() and not path.is_file():
            raise RequestError(f"cannot read {path}: it is no regular file")
        with path.open("rb") as file:
            head, size = file.read(HEAD), path.stat().st_size
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a null character makes a ValueError
        raise AbsentError(f"no such file: {path}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise RequestError(f"{path} is empty")
    return head, size


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_HEADER


def _read(path: Path, head: bytes) -> Read:
    if head.startswith(b"PK"):
        return read_zip(path)
    known = cause(head)
    if known is not None:
        raise RequestError(f"{path} {known}")
    try:
        return read_pickles(path)
    except NotWholeError as error:
        if head[:1] == b"\x80":
            raise
        raise RequestError(
            f"{path} is not a checkpoint: neither safetensors nor a file that torch.save wrote"
        ) from error


def _safetensors(path: Path, head: bytes, size: int) -> dict[str, Stored]:
    length = int.from_bytes(head[:8], "little")
    if 8 + length > size:
        raise NotWholeError("it is cut short: a safetensors file that ends within its header")
    try:
        with named_in_letters(path) as letters:
            # Kept open: its header is read once, and each tensor when it is wanted.
            file = safe_open(letters, framework="pt", device="cpu")
        return {name: _described(file, name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotWholeError(f"a safetensors file, damaged or cut short ({why[:120]})") from error


def _described(file: Any, name: str) -> Stored:
    told = file.get_slice(name)
    shape, code = tuple(told.get_shape()), str(told.get_dtype())
    dtype = _SAFETENSORS.get(code, code.lower())
    numel, stride = 1, []
    for each in reversed(shape):
        stride.append(numel)
        numel *= each
    region = Region(numel * ITEMSIZE.get(dtype, 1), partial(_bytes_of, file, name))
    return Stored(dtype, shape, tuple(reversed(stride)), 0, Storage(name, dtype, numel, region))


def _bytes_of(file: Any, name: str) -> bytearray:
    import torch

    # Copied, since the file is mapped into memory: to change it later must not change the tensors.
    return bytearray(file.get_tensor(name).contiguous().view(-1).view(torch.uint8).numpy().data)
