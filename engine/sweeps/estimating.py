"""How long cells will take, by what this machine has measured: finished runs of the same defense, data and network.

Free of torch.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.record.listing import list_runs
from engine.sweeps.index import Cell, Index
from engine.sweeps.layout import RUNS

Key = tuple[str, str, str]
"""A defense, or an attack whose suspect is trained; a data set; a network."""
NEWEST = 300
"""Runs that are looked at."""


@dataclass(frozen=True)
class Estimate:
    """What a number of cells will take."""

    seconds: float
    """Of all of them one after the other, the unknown ones as long as the others on average."""
    unknown: int
    """Cells of a kind that this machine has not measured yet."""


def estimated(cells: Sequence[Cell], of: Index, measured: Mapping[Key, float]) -> Estimate | None:
    """How long these cells take; None where nothing like them was ever measured here."""
    known, suspects = [], set()
    for cell in cells:
        config = of.templates[cell.template]
        attack = str((config["attack"] or {}).get("name"))
        place = str(config["data"]["name"]), str(config["model"]["name"])
        defense = measured.get((str(cell.axes["defense"]), *place))
        trained = 0.0 if config["suspect"] != "trained" or cell.suspect in suspects else measured.get((attack, *place))
        if defense is not None and trained is not None:
            known.append(defense + trained)
            suspects.add(cell.suspect)
    if not known:
        return None
    return Estimate(statistics.fmean(known) * len(cells), len(cells) - len(known))


def measured(folders: Iterable[Path]) -> dict[Key, float]:
    """Mean seconds of defenses and of suspects' trainings, by the finished runs in these folders of runs."""
    found: dict[Key, list[float]] = defaultdict(list)
    for folder in folders:
        for head in list_runs(folder)[:NEWEST]:
            for key, seconds in _of(head.summary or {}):
                found[key].append(seconds)
    return {key: statistics.fmean(values) for key, values in found.items()}


def runs_of(sweep: Path) -> Path:
    """The folder of a sweep's runs."""
    return Path(sweep) / RUNS


def _of(summary: Mapping[str, Any]) -> Iterator[tuple[Key, float]]:
    try:
        place = str(summary["dataset"]["name"]), str(summary["model"]["name"])
        spent: dict[str, float] = defaultdict(float)
        for stage in summary["stages"]:
            if stage["role"] == "suspect" and not stage["cached"]:
                yield (str(summary["attack"].get("name")), *place), float(stage["seconds"])
            elif stage["defense"]:
                spent[str(stage["defense"])] += float(stage["seconds"])
        yield from (((defense, *place), seconds) for defense, seconds in spent.items())
    except (KeyError, TypeError, AttributeError, ValueError):
        return  # an older record, or a stranger's
