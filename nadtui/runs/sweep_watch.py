"""A sweep as it goes on: its table, who is at work on what, how far it is and how long it will take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.record.state import RunState
from engine.sweeps.index import Cell
from engine.sweeps.spent import Spent
from nadtui import formatting
from nadtui.runs.sweep_report import SweepReport, report
from nadtui.runs.sweep_table import shown

if TYPE_CHECKING:
    from engine.sweeps.members import AtWork
    from engine.sweeps.rows import CellRow


@dataclass(frozen=True)
class SweepLook:
    """What a look at a sweep's folder shows."""

    folder: Path
    report: SweepReport
    workers: tuple[AtWork, ...]
    first: tuple[str, ...]
    """Cells that are to be the next ones."""
    now: float
    """Seconds since the epoch."""

    @cached_property
    def cells(self) -> dict[str, CellRow]:
        """A row of each cell, by its id: points that come to the same run are one cell."""
        return {row.cell: row for row in self.report.rows}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Cells by their state; those given up count as failed."""
        return Counter(row.status for row in self.cells.values())

    @property
    def done(self) -> int:
        """Cells that need nothing any more."""
        return self.counts[RunState.FINISHED] + self.counts[RunState.FAILED] + self._unfit

    @property
    def _unfit(self) -> int:
        return sum(row.unfit for row in self.cells.values())

    @property
    def paused(self) -> bool:
        """Whether everything that somebody has in hand waits for a person."""
        states = [self.cells[cell].status for each in self.workers for cell in each.cells if cell in self.cells]
        return bool(states) and all(state == RunState.PAUSED for state in states)

    @cached_property
    def seconds_left(self) -> float | None:
        """By what the finished cells took and how many are at work; None where either is missing."""
        begun = {cell: self.now - since for each in self.workers for cell, since in each.cells.items()}
        if not begun or self.paused:
            return None
        spent, left = Spent(), []
        for row in self.cells.values():
            cell = Cell(row.cell, row.axes, 0, row.suspect)
            if row.finished:
                spent.note(cell, row.seconds, row.training_seconds)
            elif not (row.unfit or row.status == RunState.FAILED):
                left.append(cell)
        expected = spent.expected(left, begun)
        return None if expected is None else expected / len(begun)

    def said(self) -> str:
        """`412 of 5,000 cells, 3 failed, 2 at work, about 1:12:00 left`."""
        parts = [f"{self.counts[RunState.FINISHED]:,} of {len(self.cells):,} cells"]
        if self.counts[RunState.FAILED]:
            parts.append(f"{self.counts[RunState.FAILED]:,} failed")
        if self._unfit:
            parts.append(f"{self._unfit:,} n/a")
        hands = sum(len(each.cells) for each in self.workers)
        if self.workers:
            parts.append("paused" if self.paused else f"{hands} at work")
        elif self.done < len(self.cells):
            parts.append("nobody is at work")
        if self.seconds_left:
            parts.append(f"about {formatting.duration(self.seconds_left)} left")
        return ", ".join(parts)

    def at_work(self) -> Iterator[str]:
        """What each has in hand, a line each: `host-41: sig nad, subset 0, suspect 1, since 0:34`."""
        for each in self.workers:
            for cell, since in each.cells.items():
                row = self.cells.get(cell)
                what = cell if row is None else name_of(row)
                yield f"{each.name.rpartition('-')[0]}: {what}, since {formatting.duration(self.now - since)}"


def name_of(row: CellRow) -> str:
    """A cell among others of its sweep, in words: what it is of, then its further axes."""
    further = [shown(value) for name, value in row.axes.items() if not hasattr(row, name)]
    return ", ".join([f"{row.preset} {row.defense}", *further, repeat_of(row)])


def repeat_of(row: CellRow) -> str:
    """Which of several measurements of one thing it is: `subset 0, suspect 1`."""
    return f"subset {row.seed}" + ("" if row.attack_seed is None else f", suspect {row.attack_seed}")


def look(folder: Path, now: float | None = None) -> SweepLook:
    """Look at a sweep's folder.

    Raises:
        RequestError: it is none, or it has no cells.
    """
    from engine.sweeps import members

    found = report(folder)
    moment = time.time() if now is None else now
    return SweepLook(folder, found, tuple(members.at_work(folder)), tuple(members.first(folder)), moment)
