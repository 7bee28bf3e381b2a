"""What libraries would print by themselves: caught, counted, and told once, with the file that it was about.

A warning of Pillow, numpy or torch belongs into the record and among the program's own lines, not raw into the
terminal. Free of torch.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

LONGEST = 300
"""Characters of a warning that are told."""
_KINDS = (UserWarning, RuntimeWarning, FutureWarning)
_lock = threading.RLock()
_open: list[Ear] = []
_held = ExitStack()
_here = threading.local()


@dataclass
class _Said:
    text: str
    about: str
    times: int = 0
    told: bool = False

    def __str__(self) -> str:
        if not self.about:
            return self.text + (f" ({self.times} times)" if self.times > 1 else "")
        more = f" (the first of {self.times} such warnings)" if self.times > 1 else ""
        return f"{self.about}: {self.text}{more}"


@dataclass
class Ear:
    """What was heard while it was open: every text once, however often it came and whatever numbers were in it."""

    _said: dict[str, _Said] = field(default_factory=dict)

    def hear(self, text: str, about: str = "") -> None:
        """Take in a warning; `about`: the file that it concerns."""
        line = " ".join(text.split())[:LONGEST]
        with _lock:
            said = self._said.setdefault(re.sub(r"\d+", "#", line), _Said(line, about))
            said.times += 1

    def untold(self) -> list[str]:
        """What has not been told yet, a line each, with how often it came so far."""
        with _lock:
            fresh = [said for said in self._said.values() if not said.told]
            for said in fresh:
                said.told = True
            return [str(said) for said in fresh]

    @contextmanager
    def about(self, what: object) -> Iterator[None]:
        """In this thread, what is heard belongs to this ear and concerns `what`."""
        before = getattr(_here, "ear", None)
        _here.ear = (self, str(what))
        try:
            yield
        finally:
            _here.ear = before


@contextmanager
def listening() -> Iterator[Ear]:
    """Hear the warnings and log lines of libraries, instead of having them printed.

    Those of this thread, and of threads that have no ear of their own. May be opened by several threads at once.
    """
    ear = Ear()
    with _lock:
        _open.append(ear)
        if len(_open) == 1:
            _held.enter_context(_hooks())
    try:
        with ear.about(""):
            yield ear
    finally:
        with _lock:
            _open.remove(ear)
            if not _open:
                _held.close()


def ear() -> Ear:
    """The ear of this thread, to be handed to threads that work for it; one that nobody reads where there is none."""
    known = getattr(_here, "ear", None)
    return known[0] if known else Ear()


@contextmanager
def _hooks() -> Iterator[None]:
    """Python's warnings and logging, led here."""
    handler = _Handler(logging.WARNING)
    root = logging.getLogger()
    with warnings.catch_warnings():
        for kind in _KINDS:  # each time it comes: Python by itself would tell of the first file alone
            warnings.filterwarnings("always", category=kind)
        warnings.showwarning = _warned
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)


def _warned(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any) -> None:
    _hear(str(message) or category.__name__)


def _hear(text: str) -> None:
    with _lock:
        known = getattr(_here, "ear", None)
        if known is None and _open:
            known = (_open[-1], "")
        if known is not None:
            known[0].hear(text, known[1])


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] == "nadtui":  # our own say what they have to say themselves
            if logging.lastResort is not None and logging.getLogger().handlers == [self]:
                logging.lastResort.handle(record)
            return
        _hear(f"{record.name.partition('.')[0]}: {record.getMessage()}")
