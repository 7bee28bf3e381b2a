"""What each opcode of a pickle does, none of which calls anything that a file names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.storage.pickles.frame import Frame
from engine.storage.pickles.values import NotWholeError, Stub

Step = Callable[[Frame, Any], None]


def _pushing(make: Callable[[Frame, Any], Any]) -> Step:
    return lambda frame, argument: frame.push(make(frame, argument))


def _pair(text: str) -> tuple[str, str]:
    module, _, name = text.partition(" ")
    return module, name


def _nothing(frame: Frame, argument: Any) -> None:
    """Frames and the protocol's number say nothing that matters here."""


def _pop(frame: Frame, argument: Any) -> None:
    if frame.marks and len(frame.stack) == frame.marks[-1]:
        frame.marks.pop()
    else:
        frame.pop()


def _stack_global(frame: Frame, argument: Any) -> None:
    name, module = frame.pop(), frame.pop()
    frame.push(frame.host.named(module, name))


def _set_item(frame: Frame, argument: Any) -> None:
    value, key = frame.pop(), frame.pop()
    frame.put(frame.top(), [key, value])


def _append(frame: Frame, argument: Any) -> None:
    value = frame.pop()
    frame.add(frame.top(), [value])


def _several(put: Callable[[Frame, Any, list[Any]], None]) -> Step:
    def step(frame: Frame, argument: Any) -> None:
        values = frame.marked()
        put(frame, frame.top(), values)

    return step


def _dict(frame: Frame, argument: Any) -> None:
    values = frame.marked()
    table: dict[Any, Any] = {}
    frame.push(table)
    frame.put(table, values)


def _some(count: int) -> Step:
    def step(frame: Frame, argument: Any) -> None:
        values = [frame.pop() for _ in range(count)]
        frame.push(tuple(reversed(values)))

    return step


def _reduce(frame: Frame, argument: Any) -> None:
    arguments, what = frame.pop(), frame.pop()
    frame.call(what, arguments)


def _new_with_keywords(frame: Frame, argument: Any) -> None:
    keywords, arguments, what = frame.pop(), frame.pop(), frame.pop()
    frame.call(what, arguments, keywords)


def _instance(frame: Frame, argument: Any) -> None:
    frame.call(frame.host.named(*_pair(argument)), tuple(frame.marked()))


def _object(frame: Frame, argument: Any) -> None:
    what, *arguments = frame.marked()
    frame.call(what, tuple(arguments))


def _refuse(why: str) -> Step:
    def step(frame: Frame, argument: Any) -> None:
        raise NotWholeError(why)

    return step


_value = _pushing(lambda frame, argument: argument)

STEPS: dict[str, Step] = {
    **dict.fromkeys(("PROTO", "FRAME", "READONLY_BUFFER"), _nothing),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"), _value),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _value),
    **dict.fromkeys(("BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _value),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda frame, argument: frame.stack.append(frame.memo[argument])),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda frame, argument: frame.remember(argument)),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _refuse("it uses extension codes, which only its own program knows")),
    "NEXT_BUFFER": _refuse("parts of it lie outside the file"),
    "MEMOIZE": lambda frame, argument: frame.remember(len(frame.memo)),
    "NONE": _pushing(lambda frame, argument: None),
    "NEWTRUE": _pushing(lambda frame, argument: True),
    "NEWFALSE": _pushing(lambda frame, argument: False),
    "EMPTY_LIST": _pushing(lambda frame, argument: []),
    "EMPTY_TUPLE": _pushing(lambda frame, argument: ()),
    "EMPTY_DICT": _pushing(lambda frame, argument: {}),
    "EMPTY_SET": _pushing(lambda frame, argument: Stub("builtins.set")),
    "LIST": _pushing(lambda frame, argument: frame.marked()),
    "TUPLE": _pushing(lambda frame, argument: tuple(frame.marked())),
    "TUPLE1": _some(1),
    "TUPLE2": _some(2),
    "TUPLE3": _some(3),
    "DICT": _dict,
    "FROZENSET": _pushing(lambda frame, argument: Stub("builtins.frozenset", tuple(frame.marked()))),
    "APPEND": _append,
    "APPENDS": _several(Frame.add),
    "ADDITEMS": _several(Frame.add),
    "SETITEM": _set_item,
    "SETITEMS": _several(Frame.put),
    "POP": _pop,
    "POP_MARK": lambda frame, argument: frame.marked() and None,
    "DUP": lambda frame, argument: frame.stack.append(frame.top()),
    "MARK": lambda frame, argument: frame.marks.append(len(frame.stack)),
    "GLOBAL": _pushing(lambda frame, argument: frame.host.named(*_pair(argument))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "BUILD": lambda frame, argument: frame.build(frame.pop()),
    "INST": _instance,
    "OBJ": _object,
    "PERSID": _pushing(lambda frame, argument: frame.host.storage(argument)),
    "BINPERSID": _pushing(lambda frame, argument: frame.host.storage(frame.pop())),
}
"""What each opcode does. STOP is not among them."""
