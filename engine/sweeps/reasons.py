"""Why each cell of a grid will run or not, as `--dry-run` tells it. Free of torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.record.listing import head
from engine.record.reading import read_events
from engine.record.view import fold
from engine.sweeps import index, results, tries
from engine.sweeps.index import Cell, Index
from engine.sweeps.layout import GRID, RUNS

Word = Literal["new", "resume", "running", "done", "failed", "n/a", "differs"]


@dataclass(frozen=True)
class Reason:
    """What stands in the way of leaving a cell alone, or does not."""

    cell: Cell
    word: Word
    said: str

    @property
    def runs(self) -> bool:
        """Whether the sweep would begin or go on with it."""
        return self.word in ("new", "resume", "differs")


def reasons(folder: Path, new: Index, *, retry: bool = False) -> list[Reason]:
    """The reasons of a grid's cells, given what a sweep's folder holds, which may not be there yet.

    `retry`: those that were set aside are to be tried again.

    Raises:
        RequestError: the folder was written by a newer nadtui, or is damaged.
    """
    folder = Path(folder)
    old = index.read(folder) if (folder / GRID).is_file() else Index([], [])
    before = {json.dumps(cell.axes, sort_keys=True): cell for cell in old.cells}
    known = results.read(folder)
    known |= {line["cell"]: line for line in results.unwritten(folder, {cell.id for cell in new.cells}, known)}
    there, tried = results.run_folders(folder), tries.all_of(folder)

    def of(cell: Cell) -> Reason:
        if cell.id in known:
            return Reason(cell, "done", "done")
        if not retry and cell.id in tried and tried[cell.id].said:
            word: Word = "n/a" if tried[cell.id].unfit else "failed"
            return Reason(cell, word, f"{word}: {tried[cell.id].said}")
        if cell.id in there:
            return _begun(cell, folder / RUNS / cell.id)
        other = before.get(json.dumps(cell.axes, sort_keys=True))
        if other is not None and other.id != cell.id and other.id in there:
            fields = ", ".join(_differing(old.settings(other), new.settings(cell)))
            return Reason(cell, "differs", f"differs in {fields}")
        return Reason(cell, "new", "new")

    return [of(cell) for cell in new.cells]


def _begun(cell: Cell, run: Path) -> Reason:
    if head(run).status.alive:
        return Reason(cell, "running", "running")
    stage = fold(read_events(run).events).stage
    where = f" at {stage.name}, epoch {int(stage.epoch)}" if stage is not None else ""
    return Reason(cell, "resume", f"resume{where}")


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    first, second = dict(_flat(one)), dict(_flat(other))
    return (name for name in {**first, **second} if first.get(name) != second.get(name))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
