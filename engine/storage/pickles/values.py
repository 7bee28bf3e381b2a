"""What a pickle's program leaves behind: plain values, and stand-ins for all that is not plain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class NotWholeError(Exception):
    """Bytes that are no pickle, or only part of one; the text is one line for a person."""


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Bytes that a file really holds: how many, and how to read them."""

    nbytes: int
    read: Callable[[], bytes | bytearray]


@dataclass(frozen=True, slots=True, eq=False)
class Blob:
    """A string too long to be worth decoding unless it turns out to be wanted."""

    region: Region
    text: bool
    """UTF-8 text, else bytes."""

    def content(self) -> bytes:
        """The bytes that it is, or that its letters stand for, as old protocols write bytes.

        Raises:
            ValueError: it is other text.
        """
        held = bytes(self.region.read())
        return held.decode("utf-8").encode("latin-1") if self.text else held


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A class or function by its name; it is never looked up."""

    name: str
    """Module and name, with a dot between."""


@dataclass(slots=True, eq=False, repr=False)
class Stub:
    """What a call of a name would have given: the name, and all that was handed to it. It does nothing."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)
    """What was put in by key."""
    elements: list[Any] = field(default_factory=list)
    """What was put in without one."""


@dataclass(slots=True, eq=False)
class Storage:
    """The memory behind tensors as a file declares it, and where its bytes are once they have been found."""

    key: str
    dtype: str
    """torch's name of it; `uint8` where the file gives none."""
    declared: int
    """Elements, as the file says: not to be believed."""
    region: Region | None = None
    """None = there are no such bytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A tensor as a file describes it, its values not read yet."""

    dtype: str
    """torch's name: float32, int64, qint8 ..."""
    shape: tuple[int, ...]
    stride: tuple[int, ...] = ()
    offset: int = 0
    storage: Storage | None = None
    layout: str = "dense"
    """dense, sparse (coo, csr, csc, bsr, bsc), quantized, or meta (without values)."""
    parts: tuple[Any, ...] = ()
    """sparse: the tensors it is made of; quantized: scale, zero point and axis."""

    @property
    def numel(self) -> int:
        """How many values it has."""
        count = 1
        for size in self.shape:
            count *= size
        return count
