"""What a study's sweep says to its question: beside what was published, and at equal accuracy lost."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.evaluation.spread import Spread, differences, spread
from engine.evaluation.tradeoff import Point, asr_within
from nadtui.runs.sweep_groups import FIGURES, Group, dimensions, grouped
from nadtui.runs.sweep_table import ALL, shown, title

if TYPE_CHECKING:
    from engine.sweeps.rows import CellRow
    from engine.sweeps.studies import Study

BUDGETS = (0.5, 1.0, 2.0, 3.0, 4.0)
"""Points of ACC that defenses may cost where they are compared at equal cost."""


class Published(NamedTuple):
    """A figure of the paper's, and ours."""

    what: str
    figure: str
    theirs: float
    ours: Spread | None
    """None where the sweep has nothing like it (yet)."""
    note: str


def published(study: Study, rows: Sequence[CellRow]) -> Iterator[Published]:
    """Every published figure with ours; a sweep that has several of its kind (two recipes) has several lines of it.

    They are of the study's own presets and data sets: what a sweep has beside those is not held against them.
    """
    asked = {name: study.axes[name] for name in ("preset", "dataset") if name in study.axes}
    rows = [row for row in rows if all(getattr(row, name) in values for name, values in asked.items())]
    varying = [name for name, values in dimensions(rows).items() if len(values) > 1]
    wanted = set(asked.get("preset", ()))
    for known in study.known if rows else ():
        of_all = known.at.get("preset") == ALL
        if of_all and not wanted <= {row.preset for row in rows}:
            continue  # a mean over all of them is nothing to hold fewer against
        own = [row for row in rows if _is_at(row, known.at)]
        apart = [name for name in varying if name not in known.at]
        for group in grouped(own, apart) or [Group({}, ())]:
            if of_all and not wanted <= {row.preset for row in group.rows if row.acc is not None}:
                group = Group(group.at, ())  # some of them have no figure yet
            what = ", ".join(_said(name, value) for name, value in {**known.at, **group.at}.items())
            for figure in ("suspect_acc", "suspect_asr", "acc", "asr"):
                theirs = getattr(known, figure)
                if theirs is not None:
                    yield Published(what, FIGURES[figure], theirs, group.figure(figure), known.note)


def _is_at(row: CellRow, at: dict[str, Any]) -> bool:
    return all(value == ALL or row.axes.get(name) == value for name, value in at.items())


def _said(name: str, value: Any) -> str:
    if name == "preset":
        return "all presets" if value == ALL else shown(value)
    return shown(value) if name == "defense" else f"{title(name)} {shown(value)}"


class EqualCost(NamedTuple):
    """What two defenses leave, neither of which costs more than so many points of ACC."""

    line: tuple[str, ...]
    budget: float
    one: Spread
    other: Spread
    difference: Spread
    """Of pairs of one suspect and clean subset: `one` minus `other`."""


def equal_cost_axes(rows: Sequence[CellRow], study: Study) -> list[str]:
    """The axes that make the lines of `at_equal_cost`."""
    known = dimensions(rows)
    return [name for name, values in known.items() if len(values) > 1 and name not in ("defense", study.ladder)]


def at_equal_cost(rows: Sequence[CellRow], study: Study, one: str, other: str) -> Iterator[EqualCost]:
    """ASR of two defenses at equal ACC lost, along the rungs of the study's ladder; by preset, then of all together."""
    down, rungs = equal_cost_axes(rows, study), _rungs(rows, study)
    groups = grouped(rows, down)
    if "preset" in down:
        pooled = grouped(rows, [name for name in down if name != "preset"])
        groups += [Group({**group.at, "preset": ALL}, group.rows) for group in pooled]
    for group in groups:
        paths = {name: _paths(group, name, study.ladder, rungs) for name in (one, other)}
        for budget in BUDGETS:
            left = {name: _left(path, budget) for name, path in paths.items()}
            found = [spread(each) for each in (left[one], left[other], differences(left[one], left[other]))]
            if all(found):
                yield EqualCost(tuple(shown(group.at[name]) for name in down), budget, *found)


def _rungs(rows: Sequence[CellRow], study: Study) -> list[Any]:
    """The values of the ladder in rising strength: as the study has them; of others that are numbers, by size."""
    found, own = dimensions(rows)[study.ladder], study.axes[study.ladder]
    if all(each in own for each in found):
        return sorted(found, key=own.index)
    numbers = all(isinstance(each, int | float) for each in (*found, *own))
    return sorted(found, reverse=own[0] > own[-1]) if numbers else found


def _paths(
    group: Group, defense: str, ladder: str, rungs: Sequence[Any]
) -> dict[Hashable, dict[Hashable, list[Point]]]:
    """By suspect and subset the way from the suspect up the ladder, where every rung is there."""
    of = {rung.at[ladder]: rung for rung in grouped((row for row in group.rows if row.defense == defense), [ladder])}
    if set(of) != set(rungs):
        return {}
    start = of[rungs[0]].measured("suspect_asr")
    lost, asr = ([of[rung].measured(figure) for rung in rungs] for figure in ("lost", "asr"))
    found: dict[Hashable, dict[Hashable, list[Point]]] = {}
    for suspect, subsets in start.items():
        for subset, before in subsets.items():
            each = [
                (one.get(suspect, {}).get(subset), two.get(suspect, {}).get(subset))
                for one, two in zip(lost, asr, strict=True)
            ]
            if all(value is not None for point in each for value in point):
                found.setdefault(suspect, {})[subset] = [Point(0.0, before), *(Point(*point) for point in each)]
    return found


def _left(paths: dict[Hashable, dict[Hashable, list[Point]]], budget: float) -> dict[Hashable, dict[Hashable, float]]:
    return {
        suspect: {subset: asr_within(path, budget) for subset, path in subsets.items()}
        for suspect, subsets in paths.items()
    }
