"""Stack and memory of one program of a pickle, and what its instructions do to them; every value is charged first."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from engine.storage.pickles.builders import built
from engine.storage.pickles.values import Blob, Global, NotWholeError, Storage, Stored, Stub

STEP, SLOT = 16, 112
"""What an instruction costs, for its time; what a place in a table costs."""
_WIDEST_KEY = 2**60
"""Integers from here on are no keys of tables: many of one hash could be made of them."""
_INLINE = "torch.storage._load_from_bytes"


class Host(Protocol):
    """What programs of one file share."""

    def charge(self, cost: int) -> None:
        """Take so many bytes from the allowance."""

    def named(self, module: Any, name: Any) -> Global:
        """A class or function by its name."""

    def storage(self, told: Any) -> Any:
        """What a persistent identifier stands for."""

    def inline(self, arguments: tuple[Any, ...]) -> Storage:
        """The memory that a file within the file holds."""


class Frame:
    """Stack and memory of one program."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        """Put something new onto the stack."""
        if isinstance(value, list | tuple | dict):
            self.host.charge(sys.getsizeof(value) + 2 * STEP)
        elif isinstance(value, Stub | Stored | Blob):
            self.host.charge(4 * SLOT)
        elif value is not None and not isinstance(value, bool):
            self.host.charge(sys.getsizeof(value))
        self.stack.append(value)

    def pop(self) -> Any:
        """Take what is on top, above the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise NotWholeError("its stack is empty where it takes something")
        return self.stack.pop()

    def top(self) -> Any:
        """What is on top, which stays there."""
        value = self.pop()
        self.stack.append(value)
        return value

    def marked(self) -> list[Any]:
        """Everything above the last mark, which goes with it."""
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def remember(self, key: int) -> None:
        """Keep what is on top under a number."""
        self.host.charge(SLOT)
        self.memo[key] = self.top()

    def put(self, table: Any, pairs: list[Any]) -> None:
        """Put keys and values into a table, or into a stub that stands for one."""
        items = table.items if isinstance(table, Stub) else table
        if not isinstance(items, dict) or len(pairs) % 2:
            raise NotWholeError("it puts a key into something that has none")
        self.host.charge(SLOT * len(pairs))
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            items[_key(key)] = value

    def add(self, row: Any, values: list[Any]) -> None:
        """Lengthen a list, or a stub that stands for a row of things."""
        elements = row.elements if isinstance(row, Stub) else row
        if not isinstance(elements, list):
            raise NotWholeError("it adds something to what is no list")
        self.host.charge(10 * len(values))
        elements.extend(values)

    def call(self, what: Any, arguments: Any, keywords: Any = None) -> None:
        """What takes the place of a call: a value of ours, or a stub."""
        given = arguments if isinstance(arguments, tuple) else (arguments,)
        if isinstance(what, Global) and what.name == _INLINE:
            self.push(self.host.inline(given))
        else:
            self.push(Stub(_name(what), given, keywords) if keywords else built(what, given, self.host.charge))

    def build(self, state: Any) -> None:
        """Note down the attributes of a stub; of what is plain they say nothing."""
        owner = self.top()
        if isinstance(owner, Stub):
            owner.state = state


def _key(value: Any) -> Any:
    """The value as a table's key. What could be made to take long to hash stands for itself alone."""
    if isinstance(value, tuple) and all(_plain_key(each) for each in value) and len(value) <= 16:
        return value
    return value if _plain_key(value) else Stub("key", (value,))


def _plain_key(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < _WIDEST_KEY
    return value is None or isinstance(value, str | float | bytes | Blob | Global | Stub)


def _name(what: Any) -> str:
    return what.name if isinstance(what, Global | Stub) else type(what).__name__
