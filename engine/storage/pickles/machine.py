"""The machine that carries a pickle's program out without calling anything but what `builders` knows.

It takes no recursion, whatever is nested in what, and no more memory than its allowance: each value is charged before
it is kept, so that a short program cannot make a large object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from engine.storage.pickles.builders import BUILDERS, PLAIN
from engine.storage.pickles.dangerous import runs_things
from engine.storage.pickles.frame import SLOT, STEP, Frame
from engine.storage.pickles.opcodes import Bytes, instructions
from engine.storage.pickles.steps import STEPS
from engine.storage.pickles.values import Blob, Global, NotWholeError, Storage

ALLOWANCE = 96 * 2**20
"""Bytes of plain objects that a file may make beside as many as it has itself."""
_NAME = 400
"""Letters of the longest name of a class or function."""


class RunsThingsError(Exception):
    """A name is known to run things; nothing was run. The text is that name."""


class Machine:
    """Carries out one file's programs; what they share is the allowance, and what is found of them."""

    def __init__(self, size: int, inline: Callable[[bytes], Storage] | None = None) -> None:
        """`size`: bytes of the whole file; `inline` reads a file within it, which plain pickles of tensors hold."""
        self._inline = inline
        self.stubs: Counter[str] = Counter()
        """Names that became stubs, and how often each is named."""
        self.storages: dict[str, Storage] = {}
        """Memory of tensors, by the key it has in the file."""
        self._left = ALLOWANCE + size

    def run(self, data: Bytes, start: int = 0) -> tuple[Any, int]:
        """Carry out the program that begins at byte `start`: what it leaves, and where the next one would begin.

        Raises:
            NotWholeError: it is no pickle, or not a whole one, or asks for more than its allowance.
            RunsThingsError: it names what is known to run things.
        """
        frame = Frame(self)
        end = start
        for name, argument, end in instructions(data, start):
            self.charge(STEP)
            if name == "STOP":
                return frame.pop(), end
            try:
                STEPS[name](frame, argument)
            except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                raise NotWholeError(f"its {name} at byte {end} makes no sense") from error
        raise AssertionError("a program ends with STOP or an error")

    def charge(self, cost: int) -> None:
        """Take so many bytes from the allowance."""
        self._left -= cost
        if self._left < 0:
            raise NotWholeError("it holds more plain objects than a checkpoint has use for")

    def named(self, module: Any, name: Any) -> Global:
        """A class or function by its name."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > _NAME:
            raise NotWholeError("a name in it is no name")
        if runs_things(module, name):
            raise RunsThingsError(f"{module}.{name}")
        found = Global(f"{module}.{name}")
        if found.name not in BUILDERS and not found.name.startswith(PLAIN):
            self.charge(len(found.name) if found.name in self.stubs else 4 * SLOT + len(found.name))
            self.stubs[found.name] += 1
        return found

    def inline(self, arguments: tuple[Any, ...]) -> Storage:
        """The memory that a file within the file holds."""
        (held,) = arguments
        content = held.content() if isinstance(held, Blob) else held
        if self._inline is None or not isinstance(content, bytes):
            raise NotWholeError("a file within it holds no tensor's memory")
        self.charge(len(content))
        return self._inline(content)

    def storage(self, told: Any) -> Any:
        """What a persistent identifier stands for: the memory of tensors; of a module's source, the module."""
        if isinstance(told, tuple) and told[:1] == ("module",) and len(told) > 1:
            return told[1]
        if not isinstance(told, tuple) or len(told) < 5 or told[0] != "storage" or not isinstance(told[1], Global):
            raise NotWholeError("it refers to something outside that is no tensor")
        _, kind, key, _, count = told[:5]
        if len(told) > 5 and told[5] is not None:
            raise NotWholeError("its tensors are views of each other's memory, as PyTorch 0.1 wrote them")
        if not isinstance(key, str | int) or not isinstance(count, int):
            raise NotWholeError("it refers to a tensor's memory that has no name")
        known = self.storages.get(str(key))
        if known is None:
            self.charge(4 * SLOT)
            known = self.storages[str(key)] = Storage(str(key), dtype_of_storage(kind.name), count)
        return known


def dtype_of_storage(name: str) -> str:
    """The dtype of a class of storages: `torch.FloatStorage`, `torch.cuda.HalfStorage`; untyped ones are bytes."""
    return _STORAGES.get(name.rpartition(".")[2].removesuffix("Storage"), "uint8")


_STORAGES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
    "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4",
}
