"""One instruction of a pickle at a time: its opcode by the standard library's table, and its argument.

A length that a file declares is compared with what is left of the file before anything is read; long strings are not
decoded at all, but kept as a place in the file.
"""

from __future__ import annotations

import io
import mmap
import pickletools
from collections.abc import Iterator
from typing import Any

from engine.storage.pickles.values import Blob, NotWholeError, Region

LONG = 65_536
"""Bytes from which on a string is kept as a place in the file."""
LINE, TEXT_LINE = 4_096, 16 * 2**20
"""Bytes of the longest line: of names and numbers, and of text, as the oldest protocol has it."""

_TABLE = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_WIDTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
"""Bytes of the length that stands before a string."""

Bytes = bytes | mmap.mmap


def instructions(data: Bytes, start: int = 0) -> Iterator[tuple[str, Any, int]]:
    """Each opcode's name, its argument (None where it has none), and where the next one begins; STOP is the last.

    Raises:
        NotWholeError: something is no opcode, or the bytes end before STOP.
    """
    at = start
    while True:
        if at >= len(data):
            raise NotWholeError("it ends in the middle")
        opcode = _TABLE.get(data[at])
        if opcode is None:
            raise NotWholeError(f"there is no opcode {data[at]:#04x}, as at byte {at}")
        at += 1
        argument, at = (None, at) if opcode.arg is None else _argument(opcode, data, at)
        yield opcode.name, argument, at
        if opcode.name == "STOP":
            return


def _argument(opcode: Any, data: Bytes, at: int) -> tuple[Any, int]:
    kind = opcode.arg
    if kind.n == pickletools.UP_TO_NEWLINE:
        longest = TEXT_LINE if opcode.name in ("UNICODE", "STRING") else LINE
        end = _line_end(data, at, longest)
        if "pair" in kind.name:
            end = _line_end(data, end, longest)
    elif kind.n >= 0:
        end = at + kind.n
    else:
        width = _WIDTHS[kind.n]
        length = int.from_bytes(_piece(data, at, at + width), "little")
        end = at + width + length
        if length >= LONG and end <= len(data):
            if opcode.name.startswith("LONG"):
                raise NotWholeError("it holds a number of more digits than anybody needs")
            return Blob(_region(data, at + width, length), text="UNICODE" in opcode.name), end
    try:
        return kind.reader(io.BytesIO(_piece(data, at, end))), end
    except (ValueError, UnicodeError, OverflowError) as error:
        raise NotWholeError(f"the argument of {opcode.name} at byte {at} cannot be read") from error


def _line_end(data: Bytes, at: int, longest: int) -> int:
    end = data.find(b"\n", at, at + longest)
    if end < 0:
        raise NotWholeError(
            "it ends in the middle of a line" if at + longest > len(data) else "a line of it has no end"
        )
    return end + 1


def _piece(data: Bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise NotWholeError("it ends in the middle")
    return data[start:end]


def _region(data: Bytes, start: int, length: int) -> Region:
    return Region(length, lambda: data[start : start + length])
