"""What became of the cells of a sweep, a row each: what tables, statistics and screens are made from. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.record.listing import head
from engine.record.state import RunState
from engine.sweeps import results, tries
from engine.sweeps.index import NAMED, Cell, read
from engine.sweeps.layout import RUNS


@dataclass(frozen=True, slots=True)
class CellRow:
    """One point of a sweep's grid. Percentages are 0-100, of the last purified model; None where there is no figure."""

    preset: str
    dataset: str
    model: str
    defense: str
    recipe: str
    seed: int
    """Of the clean subset, and of all that the defense draws."""
    attack_seed: int | None
    """Of the suspect; None where it comes from a file whose attack is not known."""
    acc: float | None
    asr: float | None
    ra: float | None
    base: float | None
    seconds: float | None
    """Of all stages of the run."""
    image_steps: float | None
    """What the defense cost, with those on which it stands; None where its record is too old to say."""
    status: str
    """A word of `RunState` (new, running, stopped, crashed, failed, finished ...), or n/a: there is no such figure."""
    run: str | None
    """The run's id, once there is one: the name of its folder under `runs/`."""
    cell: str
    """The cell's id. Points that come to the same run share it."""
    suspect_acc: float | None = None
    suspect_asr: float | None = None
    suspect_ra: float | None = None
    suspect_base: float | None = None
    error: str = ""
    """Why nobody goes on with it, in a line."""
    shadow: Mapping[str, float | None] = field(default_factory=dict)
    """What made-up triggers do, by trigger; empty where that was not measured."""
    verified: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Erased, or only asleep: by test the figures of it; empty where that was not measured."""
    suspect: str = ""
    """The same for all cells of one suspect."""
    training_seconds: float | None = None
    """How many of its seconds were its suspect's; None where the run trained none."""
    axes: Mapping[str, Any] = field(default_factory=dict)
    """The values of all axes by name, those above included, further fields by their dotted path."""

    @property
    def finished(self) -> bool:
        """Whether its figures are final."""
        return self.status == RunState.FINISHED

    @property
    def unfit(self) -> bool:
        """Whether there is no such figure, and nothing to wait for."""
        return self.status == tries.NOT_THERE

    def to_dict(self) -> dict[str, Any]:
        """As `sweep --json` has it; of the axes those that have no place of their own."""
        further = {name: value for name, value in self.axes.items() if name not in NAMED}
        beyond = {name: dict(found) for name in ("shadow", "verified") if (found := getattr(self, name))}
        return {**{name: getattr(self, name) for name in JSON}, **beyond, "axes": further}


JSON = (*NAMED, "acc", "asr", "ra", "base", "seconds", "image_steps", "status", "run", "error")


def rows(folder: Path) -> list[CellRow]:
    """The rows of a sweep's cells, in the order of its grids.

    Only unfinished runs are looked into: a sweep of thousands of finished cells takes as long as reading two files.

    Raises:
        RequestError: it is no sweep's folder, or was written by a newer nadtui, or is damaged.
    """
    folder = Path(folder)
    index = read(folder)
    known = results.read(folder)
    known |= {line["cell"]: line for line in results.unwritten(folder, {cell.id for cell in index.cells}, known)}
    there, tried = results.run_folders(folder), tries.all_of(folder)
    return [
        _finished(cell, known[cell.id])
        if cell.id in known
        else _unfinished(cell, folder / RUNS / cell.id if cell.id in there else None, tried.get(cell.id))
        for cell in index.cells
    ]


def _finished(cell: Cell, line: Mapping[str, Any]) -> CellRow:
    before = line["suspect"]
    return CellRow(
        **{name: cell.axes[name] for name in NAMED},
        **{name: line[name] for name in results.FIGURES},
        seconds=line["seconds"],
        training_seconds=line["training_seconds"],
        image_steps=line["image_steps"],
        shadow=line.get("shadow", {}),
        verified=line.get("verified", {}),
        status=str(RunState.FINISHED),
        run=cell.id,
        cell=cell.id,
        **{f"suspect_{name}": before[name] for name in results.FIGURES},
        suspect=cell.suspect,
        axes=cell.axes,
    )


def _unfinished(cell: Cell, run: Path | None, tried: tries.Tried | None) -> CellRow:
    """A cell's row by what its folder and its tries say."""
    found = None if run is None else head(run)
    status = RunState.NEW if found is None else found.status
    given_up = tried is not None and bool(tried.said)
    word = str(status)
    if tried is not None and given_up and not status.alive:
        word = tries.NOT_THERE if tried.unfit else str(RunState.FAILED)
    return CellRow(
        **{name: cell.axes[name] for name in NAMED},
        **dict.fromkeys(results.FIGURES),
        seconds=None,
        image_steps=None,
        status=word,
        run=None if run is None else cell.id,
        cell=cell.id,
        suspect_acc=None if found is None else found.acc_before,
        suspect_asr=None if found is None else found.asr_before,
        error=tried.said if tried is not None and given_up else "",
        suspect=cell.suspect,
        axes=cell.axes,
    )
