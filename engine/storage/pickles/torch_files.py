"""The files that `torch.save` writes, the zip archives of today and the rows of pickles from before PyTorch 1.6, and
plain pickles: what is in them, and where in them the bytes of tensors lie.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from engine.storage.pickles.machine import Machine
from engine.storage.pickles.opcodes import Bytes
from engine.storage.pickles.values import NotWholeError, Region, Storage

MAGIC = 0x1950A86A20F9469CFC6C
"""What the files from before PyTorch 1.6 begin with, as a pickle."""
LARGEST_DIRECTORY = 4 * 2**20
"""Bytes of a zip archive's list of contents: some 50,000 tensors."""
_CHUNK = 2**20

ITEMSIZE = {
    **dict.fromkeys(("uint8", "int8", "bool", "qint8", "quint8", "quint4x2", "quint2x4"), 1),
    **dict.fromkeys(("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"), 1),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16", "half"), 2),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32", "float"), 4),
    **dict.fromkeys(("float64", "int64", "uint64", "complex64", "double", "long"), 8),
    "complex128": 16,
}
"""Bytes of a value, by torch's name of its type."""


@dataclass
class Read:
    """What a file holds, its tensors as descriptions."""

    form: str
    """What kind of file it is, for a person."""
    root: Any
    stubs: Counter[str] = field(default_factory=Counter)
    """Names that became inert stubs, and how often each is named."""


def read_pickles(path: Path) -> Read:
    """Read a file that begins with a pickle.

    Raises:
        NotWholeError, RunsThingsError: see `Machine.run`.
    """
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    machine = Machine(len(data), inline=_inline)
    first, end = machine.run(data)
    if first != MAGIC or isinstance(first, bool):
        _place_nothing(machine)
        return Read("a plain pickle", first, machine.stubs)
    return Read("torch.save before PyTorch 1.6", _row(machine, data, end), machine.stubs)


def _row(machine: Machine, data: Bytes, at: int) -> Any:
    """What follows the magic number: protocol, system, the object, the list of its storages, and their bytes."""
    protocol, at = machine.run(data, at)
    if protocol != 1001:
        raise NotWholeError("its protocol is another than 1001")
    _, at = machine.run(data, at)
    root, at = machine.run(data, at)
    keys, at = machine.run(data, at)
    if not isinstance(keys, list):
        raise NotWholeError("it does not say whose bytes follow")
    for key in keys:
        storage = machine.storages.get(str(key)) if isinstance(key, str | int) else None
        if storage is None:
            raise NotWholeError("it holds the bytes of a tensor that it does not name")
        count = int.from_bytes(data[at : at + 8], "little", signed=True)
        nbytes = count * ITEMSIZE.get(storage.dtype, 1)
        at += 8
        if count < 0 or at + nbytes > len(data):
            raise NotWholeError("it ends in the middle of a tensor")
        storage.region = Region(nbytes, partial(_slice, data, at, at + nbytes))
        at += nbytes
    _place_nothing(machine)
    return root


def _slice(data: Bytes, start: int, end: int) -> bytes:
    return data[start:end]


def _inline(content: bytes) -> Storage:
    """The one storage that a file within a plain pickle holds."""
    machine = Machine(len(content))
    magic, at = machine.run(content)
    storage = _row(machine, content, at) if magic == MAGIC else None
    if not isinstance(storage, Storage):
        raise NotWholeError("a file within it holds no tensor's memory")
    return storage


def _place_nothing(machine: Machine) -> None:
    """Refuse tensors whose bytes the file does not hold."""
    lost = next((each for each in machine.storages.values() if each.region is None), None)
    if lost is not None:
        raise NotWholeError("it ends before the bytes of its tensors")


def read_zip(path: Path) -> Read:
    """Read a zip archive by `torch.save`.

    Raises:
        NotWholeError: the archive is damaged, or another kind of one; the text says which.
        RunsThingsError: see `Machine.run`.
    """
    size = path.stat().st_size
    _check_directory(path, size)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, EOFError, UnicodeError) as error:
        raise NotWholeError("its list of contents is damaged") from error
    entries = {entry.filename: entry for entry in archive.infolist()}
    program = _program(entries)
    root_folder = program.removesuffix("data.pkl")
    allowed = 2 * size + 64 * 2**20
    machine = Machine(size, inline=_inline)
    root, _ = machine.run(bytes(_unpacked(archive, entries[program], size, allowed)))
    if f"{root_folder}byteorder" in entries:
        order = bytes(_unpacked(archive, entries[f"{root_folder}byteorder"], size, 16))
        if order != b"little":
            raise NotWholeError("its numbers are of a big-endian machine")
    for storage in machine.storages.values():
        entry = entries.get(f"{root_folder}data/{storage.key}")
        if entry is None:
            raise NotWholeError("the bytes of a tensor are missing in it")
        storage.region = Region(entry.file_size, partial(_unpacked, archive, entry, size, allowed))
    return Read("torch.save", root, machine.stubs)


def _program(entries: dict[str, zipfile.ZipInfo]) -> str:
    """The entry with the pickle; NotWholeError says what other kind of archive it is."""
    names = list(entries)
    if any(name.endswith("constants.pkl") or "/code/" in name for name in names):
        raise NotWholeError(
            "it is a TorchScript archive (torch.jit.save), code: save the state_dict() of what torch.jit.load gives"
        )
    found = sorted((name for name in names if name == "data.pkl" or name.endswith("/data.pkl")), key=len)
    if found:
        return found[0]
    inside = next((name for name in names if name.lower().endswith((".pth", ".pt", ".ckpt", ".safetensors"))), None)
    kinds = (
        (all(name.endswith(".npy") for name in names) and bool(names), "it is an .npz file, of arrays or a data set"),
        (
            any(name.endswith(("archive_format", ".pt2")) for name in names),
            "it is an archive of torch.export, a program",
        ),
        (any("extern_modules" in name for name in names), "it is an archive of torch.package, a program"),
        (any(name.endswith("weights.h5") for name in names), "it is a Keras model"),
        (inside is not None, f"it is a zip archive with {(inside or '')[:80]} in it: unpack it first"),
    )
    why = next((said for holds, said in kinds if holds), "it is a zip archive of something else")
    raise NotWholeError(why)


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int, allowed: int) -> bytearray:
    """An entry's bytes, of which there must be as many as the archive says, and no more than are allowed."""
    if entry.flag_bits & 1:
        raise NotWholeError("its contents are encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotWholeError("its contents are packed in a way that torch.save does not use")
    stored = entry.compress_type == zipfile.ZIP_STORED
    if entry.compress_size > size or (stored and entry.file_size != entry.compress_size) or entry.file_size > allowed:
        raise NotWholeError("a size that it gives cannot be true")
    content = bytearray(entry.file_size)
    view, got = memoryview(content), 0
    try:
        with archive.open(entry) as stream:
            while got < len(content):
                count = stream.readinto(view[got : got + _CHUNK])
                if not count:
                    break
                got += count
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        raise NotWholeError("its contents are damaged (a checksum or a header is wrong)") from error
    except zlib.error as error:
        raise NotWholeError("its contents are damaged") from error
    if got < len(content):
        raise NotWholeError("it ends in the middle of a tensor")
    return content


def _check_directory(path: Path, size: int) -> None:
    """Refuse an archive whose list of contents is missing, or larger than any checkpoint's."""
    with path.open("rb") as file:
        file.seek(max(0, size - 66_000))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(tail):
        raise NotWholeError("it is cut short: a zip archive, as torch.save writes, without its end")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if length == 0xFFFFFFFF:
        wide = tail.rfind(b"PK\x06\x06", 0, end)
        length = int.from_bytes(tail[wide + 40 : wide + 48], "little") if wide >= 0 else 0
    if length > LARGEST_DIRECTORY:
        raise NotWholeError("its list of contents is larger than any checkpoint's")
