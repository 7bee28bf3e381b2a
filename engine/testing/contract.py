"""What checks say: that a promise is not kept, or that there was nothing to look at. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

T = TypeVar("T")


class ContractBroken(AssertionError):  # noqa: N818  (what was found, in a sentence)
    """A promise that is not kept; the message is one sentence, in one line."""


class NotTried(Exception):  # noqa: N818  (neither kept nor broken)
    """A check had nothing to look at; the message says why."""


def require(kept: bool, sentence: str) -> None:
    """Raise ContractBroken with the sentence unless the promise is kept."""
    if not kept:
        raise ContractBroken(one_line(sentence))


def one_line(text: object) -> str:
    """A text, an exception's too, in one line."""
    said = f"{type(text).__name__}: {text}" if isinstance(text, BaseException) else str(text)
    return " ".join(said.split())


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """The names under which two tables differ."""
    return [name for name in before if before[name] != after.get(name)]


def differing(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """The same as a sentence lists them; empty where the tables are equal."""
    return listed(differences(before, after))


def listed(names: Collection[str]) -> str:
    """`a, b and c`."""
    *most, last = [*names] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def granted(make: Callable[[], T], see: str) -> T:
    """What `make` makes; NotTried where that breaks a promise of its own, which the check `see` tells."""
    try:
        return make()
    except ContractBroken as broken:
        raise NotTried(f"see {see}") from broken
