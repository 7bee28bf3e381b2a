"""How long cells will take: by what this machine has measured, or by those of the sweep that are finished.

A measure counts for cells that have as much of the same work to do.

Free of torch.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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


class Spent:
    """What the finished cells of one sweep took, by what they did."""

    def __init__(self, of: Index) -> None:
        self._of = of
        self._kinds: dict[int, Key] = {}
        self._seconds: dict[Key, list[float]] = defaultdict(list)
        self._training: dict[Key, list[float]] = defaultdict(list)

    def note(self, cell: Cell, seconds: float | None, training: float | None) -> None:
        """A cell took that long, in seconds, of which so many its suspect's training; None where that was not noted, or
        the cell trained none."""
        if seconds is not None:
            self._seconds[self._kind(cell)].append(seconds - (training or 0.0))
        if training is not None:
            self._training[_of_suspect(self._of.templates[cell.template])].append(training)

    def dearest_first(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those first of whose kind none is finished, which may take any time; as they stood where they are alike."""
        return sorted(cells, key=self._expected, reverse=True)

    def expected(
        self, cells: Iterable[Cell], ready: Collection[str] = (), under_way: Mapping[str, float] | None = None
    ) -> float | None:
        """Seconds that these cells take one after the other, those of an unknown kind as long as the known kinds on
        average; None where none is known.

        Args:
            cells: those that are not finished.
            ready: suspects that need no training any more; each of the others is trained once.
            under_way: how long cells have been at work, in seconds, by id.
        """
        if not self._seconds:
            return None
        begun, trained, seconds = under_way or {}, set(ready), 0.0
        defended, training = _Usual(self._seconds), _Usual(self._training)
        for cell in sorted(cells, key=lambda cell: cell.id not in begun):  # who is at work has its suspect in hand
            takes = defended.of(self._kind(cell))
            template = self._of.templates[cell.template]
            if template["suspect"] == TRAINED and cell.suspect not in trained:
                trained.add(cell.suspect)
                takes += training.of(_of_suspect(template))
            seconds += max(0.0, takes - begun.get(cell.id, 0.0))
        return seconds

    def _expected(self, cell: Cell) -> float:
        taken = self._seconds.get(self._kind(cell))
        return statistics.median(taken) if taken else math.inf

    def _kind(self, cell: Cell) -> Key:
        if cell.template not in self._kinds:
            self._kinds[cell.template] = _of_defense(self._of.templates[cell.template], str(cell.axes["defense"]))
        return self._kinds[cell.template]


class _Usual:
    """What things of a kind take: the median of its kind, or the mean of the kinds where that is unknown."""

    def __init__(self, taken: Mapping[Key, Sequence[float]]) -> None:
        self._known = {kind: statistics.median(values) for kind, values in taken.items()}
        self._mean = statistics.fmean(self._known.values()) if self._known else 0.0

    def of(self, kind: Key) -> float:
        return self._known.get(kind, self._mean)


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
