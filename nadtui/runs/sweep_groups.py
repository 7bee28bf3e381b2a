"""The cells of a sweep as they are put together: what a group of them measured, over suspects and clean subsets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.evaluation.spread import Spread, differences, spread
from engine.record.verdict import PLANTED
from nadtui.runs import asleep, shadowed

if TYPE_CHECKING:
    from engine.sweeps.rows import CellRow


def _verified(measure: asleep.Measure, row: CellRow) -> float | None:
    return row.verified.get(measure.test, {}).get(measure.figure)


class Beyond(NamedTuple):
    """A figure that is measured of some cells only."""

    title: str
    places: int
    """Behind the point."""
    of: Callable[[CellRow], float | None]


BEYOND = {
    "shadow": Beyond("shadow ASR", 1, lambda row: row.shadow.get(shadowed.MAIN)),
    **{each.name: Beyond(each.title, 1 if each.percent else 2, partial(_verified, each)) for each in asleep.MEASURES},
}
FIGURES = {
    "acc": "ACC",
    "asr": "ASR",
    "ra": "RA",
    "base": "base",
    "lost": "ACC lost",
    "suspect_acc": "ACC before",
    "suspect_asr": "ASR before",
    "suspect_ra": "RA before",
    "suspect_base": "base before",
    "seconds": "seconds",
    "image_steps": "image steps",
    **{name: each.title for name, each in BEYOND.items()},
}
"""What is known of a cell, with its title; `lost` is what the defense cost: the suspect's ACC minus its own."""
REPEATS = ("seed", "attack_seed")
"""Axes along which one thing is measured again."""
OF_THE_SUSPECT = ("attack.", "training.", "model")
"""How the axes begin that make another suspect, beside preset and data set."""


def value(row: CellRow, figure: str) -> float | None:
    """One cell's figure; None where there is none."""
    if figure == "lost":
        return None if row.suspect_acc is None or row.acc is None else row.suspect_acc - row.acc
    return BEYOND[figure].of(row) if figure in BEYOND else getattr(row, figure)


def never_planted(row: CellRow) -> bool:
    """Whether the suspect's own ASR is hardly above what goes to the wanted class without a trigger."""
    asr, base = row.suspect_asr, row.suspect_base
    return asr is not None and base is not None and asr - base < PLANTED


def better(figure: str) -> int:
    """Which way is better: 1 up, -1 down."""
    return 1 if figure in ("acc", "ra", "suspect_acc", "suspect_ra") else -1


def suspect_of(row: CellRow) -> Hashable:
    """What makes one suspect: cells that agree in it differ in their clean subset, or in their defense. One that comes
    from a file has no seed of its own, but the file."""
    further = sorted((name, str(each)) for name, each in row.axes.items() if name.startswith(OF_THE_SUSPECT))
    which = row.suspect if row.attack_seed is None else row.attack_seed
    return row.preset, row.dataset, row.model, which, tuple(further)


@dataclass(frozen=True)
class Group:
    """Cells that differ by suspect and clean subset alone, finished or not."""

    at: Mapping[str, Any]
    """The values of the axes by which they were put together."""
    rows: tuple[CellRow, ...]

    @cached_property
    def done(self) -> int:
        """How many have figures."""
        return sum(row.acc is not None for row in self.rows)

    @cached_property
    def failed(self) -> int:
        """How many failed."""
        return sum(bool(row.error) and not row.unfit for row in self.rows)

    @cached_property
    def unplanted(self) -> int:
        """How many have figures, but of suspects that never had a backdoor: they say nothing of what erases one."""
        return sum(row.acc is not None and never_planted(row) for row in self.rows)

    @cached_property
    def unfit(self) -> bool:
        """Whether there is no such figure: the network cannot bear the defense."""
        return all(row.unfit for row in self.rows)

    def measured(self, figure: str) -> dict[Hashable, dict[Hashable, float]]:
        """The figure by suspect and subset, of the cells that have it."""
        found: dict[Hashable, dict[Hashable, float]] = {}
        for row in self.rows:
            known = value(row, figure)
            if known is not None:
                found.setdefault(suspect_of(row), {})[row.seed] = known
        return found

    def unreached(self, figure: str) -> str:
        """`2 never`: of how many cells it was measured and is not reached; empty where there is none such."""
        measure = next((each for each in asleep.MEASURES if each.name == figure and each.unreached), None)
        if measure is None:
            return ""
        count = sum(row.verified.get(measure.test, {}).get(measure.figure, 0.0) is None for row in self.rows)
        return f"{count} {measure.unreached}" if count else ""

    def figure(self, figure: str) -> Spread | None:
        """The figure over suspects and subsets; None where no cell has it."""
        if figure not in self._figures:
            self._figures[figure] = spread(self.measured(figure))
        return self._figures[figure]

    @cached_property
    def _figures(self) -> dict[str, Spread | None]:
        """What was asked for: a table and its pictures ask for the same."""
        return {}

    def mean(self, figure: str) -> float | None:
        """Its mean alone, which takes no draws; None where no cell has it."""
        means = [statistics.fmean(subsets.values()) for subsets in self.measured(figure).values()]
        return statistics.fmean(means) if means else None

    def over(self, other: Group, figure: str) -> Spread | None:
        """This group's figure minus the other's, cell by cell of one suspect and subset; None where they share none."""
        return spread(differences(self.measured(figure), other.measured(figure)))


def worst(found: Spread, figure: str) -> float:
    """The worst single measurement."""
    return found.least if better(figure) > 0 else found.most


def grouped(rows: Iterable[CellRow], by: Sequence[str]) -> list[Group]:
    """The rows put together by the values of these axes, in the order in which they first come."""
    found: dict[tuple[str, ...], tuple[dict[str, Any], list[CellRow]]] = {}
    for row in rows:
        at = {name: row.axes.get(name) for name in by}
        found.setdefault(tuple(map(repr, at.values())), (at, []))[1].append(row)
    return [Group(at, tuple(members)) for at, members in found.values()]


def dimensions(rows: Sequence[CellRow]) -> dict[str, list[Any]]:
    """The axes of a sweep without its repeats, each with its values in the order in which they first come.

    A cell that an axis does not concern (NAD's beta, of fine-tuning) has None there.
    """
    names = dict.fromkeys(name for row in rows for name in row.axes if name not in REPEATS)
    return {name: list({repr(row.axes.get(name)): row.axes.get(name) for row in rows}.values()) for name in names}
