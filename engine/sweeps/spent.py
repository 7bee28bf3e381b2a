"""What the finished cells of a sweep took, and by that how long the others will. Free of torch."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.sweeps.index import Cell

_SEEDS = ("seed", "attack_seed")
_OF_SUSPECTS = ("preset", "dataset", "model")
"""Axes that say which training a suspect takes; all others, seeds apart, say what is done to it."""


class Spent:
    """Seconds of the finished cells, by what they did."""

    def __init__(self) -> None:
        self._defended: dict[str, list[float]] = defaultdict(list)
        self._trained: dict[str, list[float]] = defaultdict(list)
        self._ready: set[str] = set()

    def note(self, cell: Cell, seconds: float | None, training: float | None) -> None:
        """A cell is finished.

        Args:
            cell: which one.
            seconds: what it took; None where that was not noted.
            training: how many of them were its suspect's; None where it trained none.
        """
        self._ready.add(cell.suspect)
        if seconds is not None:
            self._defended[_of_defense(cell.axes)].append(seconds - (training or 0.0))
        if training is not None:
            self._trained[_of_suspect(cell.axes)].append(training)

    def dearest_first(self, cells: Iterable[Cell]) -> list[Cell]:
        """Those first of whose kind none is finished, which may take any time; as they stood where they are alike."""
        usual = _Usual(self._defended, otherwise=math.inf)
        return sorted(cells, key=lambda cell: usual.of(_of_defense(cell.axes)), reverse=True)

    def expected(self, cells: Iterable[Cell], under_way: Mapping[str, float]) -> float | None:
        """Seconds that these cells take one after the other, those of an unknown kind as long as the known kinds on
        average; None where none is known. Suspects that are yet to be trained are, once each, where others were.

        Args:
            cells: those that are not finished.
            under_way: how long cells have been at work, in seconds, by id.
        """
        if not self._defended:
            return None
        defended, trained = _Usual(self._defended), _Usual(self._trained)
        there, seconds = set(self._ready), 0.0
        for cell in sorted(cells, key=lambda cell: cell.id not in under_way):  # those have their suspects in hand
            takes = defended.of(_of_defense(cell.axes))
            if cell.suspect not in there:
                there.add(cell.suspect)
                takes += trained.of(_of_suspect(cell.axes))
            seconds += max(0.0, takes - under_way.get(cell.id, 0.0))
        return seconds


class _Usual:
    """What things of a kind take: the median of its kind; where that is unknown the mean of the kinds, 0 of none."""

    def __init__(self, taken: Mapping[str, Sequence[float]], otherwise: float | None = None) -> None:
        self._known = {kind: statistics.median(values) for kind, values in taken.items()}
        mean = statistics.fmean(self._known.values()) if self._known else 0.0
        self._otherwise = mean if otherwise is None else otherwise

    def of(self, kind: str) -> float:
        return self._known.get(kind, self._otherwise)


def _of_defense(axes: Mapping[str, Any]) -> str:
    """The same on every suspect of a data set and a network."""
    return repr([(name, value) for name, value in axes.items() if name not in ("preset", *_SEEDS)])


def _of_suspect(axes: Mapping[str, Any]) -> str:
    return repr([axes[name] for name in _OF_SUSPECTS])
