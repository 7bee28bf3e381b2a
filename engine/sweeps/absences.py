"""Cells that a process leaves to others, as what they need is not where it is. Free of torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from engine.sweeps.index import Cell

UNSEEN = 10
"""How often a cell may be said to be done while its summary is not to be seen."""


class Absences:
    """What this process does not begin, and why; nothing of it is kept: another process, or this one anew, may."""

    def __init__(self) -> None:
        self._why: dict[int | str, tuple[Cell, str]] = {}
        """By template, or by cell of a run that has begun: the cell that was tried, and what was said."""
        self._told: set[str] = set()
        self._unseen: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._why)

    def note(self, cell: Cell, why: str, *, alone: bool) -> None:
        """Leave a cell, and those of its template but for their seeds, unless it is `alone` in it."""
        self._why[cell.id if alone else cell.template] = cell, why

    def note_unseen(self, cell: Cell) -> None:
        """A cell is done, and its summary is not to be seen: as on a file system that shows other hosts' files late."""
        self._unseen[cell.id] += 1
        if self._unseen[cell.id] == UNSEEN:
            self.note(cell, "it is done, but its summary cannot be read here", alone=True)

    def bar(self, cell: Cell) -> bool:
        """Whether a cell is left to others."""
        return cell.id in self._why or cell.template in self._why

    @property
    def first(self) -> str:
        """The first reason."""
        return next(why for _, why in self._why.values())

    def untold(self) -> Iterator[tuple[Cell, str]]:
        """Each reason once, with a cell of it."""
        for cell, why in self._why.values():
            if why not in self._told:
                self._told.add(why)
                yield cell, why
