"""How long cells will take, by what this machine has measured.

A measure counts for cells that have as much of the same work to do.

Free of torch.
"""

from __future__ import annotations

import contextlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.events import TRAINED
from engine.record.layout import RECORD
from engine.record.listing import list_runs
from engine.sweeps.index import Cell, Index
from engine.sweeps.layout import RUNS

Key = str
"""A defense, or an attack whose suspect is trained, on a data set and a network, and how much of it there is to do."""
NEWEST = 300
"""Runs that are looked at."""
_AMOUNTS = ("epochs", "steps", "rounds", "iterations", "batch_size", "budget", "file")
"""Last parts of the fields that say how much is to do."""


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
        spent = [measured.get(_of_defense(config, name)) for name in config["defenses"]]
        given = config["suspect"] != TRAINED or cell.suspect in suspects
        trained = 0.0 if given else measured.get(_of_suspect(config))
        if None not in spent and trained is not None:
            known.append(sum(filter(None, spent), trained))
            suspects.add(cell.suspect)
    if not known:
        return None
    return Estimate(statistics.fmean(known) * len(cells), len(cells) - len(known))


def measured(folders: Iterable[Path]) -> dict[Key, float]:
    """Mean seconds of defenses and of suspects' trainings, by the finished runs in these folders of runs."""
    found: dict[Key, list[float]] = defaultdict(list)
    for folder in folders:
        for head in list_runs(folder)[:NEWEST]:
            for key, seconds in _of(head.path, head.summary or {}):
                found[key].append(seconds)
    return {key: statistics.fmean(values) for key, values in found.items()}


def runs_of(sweep: Path) -> Path:
    """The folder of a sweep's runs."""
    return Path(sweep) / RUNS


def _of(run: Path, summary: Mapping[str, Any]) -> Iterator[tuple[Key, float]]:
    with contextlib.suppress(OSError, KeyError, TypeError, AttributeError, ValueError):  # an older record, a stranger's
        with (run / RECORD).open(encoding="utf-8") as record:
            config = json.loads(record.readline())["config"]
        spent: dict[str, float] = defaultdict(float)
        for stage in summary["stages"]:
            if stage["role"] == "suspect" and not stage["cached"]:
                yield _of_suspect(config), float(stage["seconds"])
            elif stage["defense"]:
                spent[str(stage["defense"])] += float(stage["seconds"])
        yield from ((_of_defense(config, defense), seconds) for defense, seconds in spent.items())


def _of_defense(config: Mapping[str, Any], name: str) -> Key:
    measures = {each: config["evaluation"].get(each) for each in ("verify", "shadow")}
    return _key(config, name, config["defenses"][name], clean=config["data"].get("clean_fraction"), **measures)


def _of_suspect(config: Mapping[str, Any]) -> Key:
    return _key(config, str((config["attack"] or {}).get("name")), config["training"])


def _key(config: Mapping[str, Any], what: str, settings: Mapping[str, Any], **more: Any) -> Key:
    place = config["data"]["name"], config["model"]["name"]
    return json.dumps([what, *place, sorted(_amounts(settings)), more], default=str)


def _amounts(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _amounts(value, f"{before}{name}.")
        elif name in _AMOUNTS:
            yield before + name, str(value)
