"""A sweep as one table: a line for each preset (data set, network, value of an axis), a column for each defense."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.evaluation.spread import Spread
from nadtui import formatting
from nadtui.runs.sweep_groups import OF_THE_SUSPECT, Group, dimensions, grouped, suspect_of

if TYPE_CHECKING:
    from engine.sweeps.rows import CellRow

ACROSS = ("defense", "recipe")
"""The axes that make columns, where they have more than one value."""
AS_BEFORE = 0.5
"""Points by which one suspect's figures may differ between cells that judged it on the same images."""
ALL = "all"
"""In place of a preset: the line of all of them together."""


@dataclass(frozen=True)
class SweepTable:
    """Groups of cells by line and column."""

    down: tuple[str, ...]
    """The axes of the lines."""
    across: tuple[str, ...]
    """The axes of the columns."""
    lines: tuple[tuple[str, ...], ...]
    """Of each line the values of its axes, as text."""
    columns: tuple[str, ...]
    groups: Mapping[tuple[int, int], Group]
    """By line and column; a point that the sweep does not have is left out."""
    fixed: Mapping[str, Any]
    """The axes that have one value."""

    def line(self, place: int) -> list[Group]:
        """The groups of one line, in the order of the columns."""
        return [self.groups[place, column] for column in range(len(self.columns)) if (place, column) in self.groups]

    @cached_property
    def alike(self) -> bool:
        """Whether the cells of a line are of the same suspects, judged on the same images."""
        if any(name.startswith((*OF_THE_SUSPECT, "dataset", "preset")) for name in self.across):
            return False
        return not any(_is_judged_anew(self.before(at)) for at in range(len(self.lines)))

    def before(self, place: int) -> Group:
        """All cells of a line as one group, for what is known of their suspects."""
        return Group({}, tuple(row for group in self.line(place) for row in group.rows))


def _is_judged_anew(line: Group) -> bool:
    """Whether a suspect has other figures in one column than in another: that column's test images are others."""
    known: dict[Hashable, float] = {}
    for row in line.rows:
        for name in ("suspect_acc", "suspect_asr"):
            found = getattr(row, name)
            key = suspect_of(row), row.seed, name
            if found is not None and abs(known.setdefault(key, found) - found) > AS_BEFORE:
                return True
    return False


def table(rows: Sequence[CellRow]) -> SweepTable:
    """The rows as a table; several presets have a line for all of them at the end."""
    known = dimensions(rows)
    varying = [name for name, values in known.items() if len(values) > 1]
    others = [name for name in varying if name != "preset"]  # presets are lines
    across = [name for name in ACROSS if name in varying] or others[-1:] or ["defense"]
    down = [name for name in varying if name not in across] or ["preset"]
    pooled = [name for name in down if name != "preset"] if "preset" in down and "preset" in varying else None
    groups = grouped(rows, [*down, *across])
    if pooled is not None:
        groups += [
            Group({name: group.at.get(name, ALL) for name in (*down, *across)}, group.rows)
            for group in grouped(rows, [*pooled, *across])
        ]
    lines: dict[tuple[str, ...], int] = {}
    columns: dict[str, int] = {}
    cells = {}
    for group in groups:
        line = tuple(shown(group.at[name]) for name in down)
        column = ", ".join(shown(group.at[name]) for name in across)
        cells[lines.setdefault(line, len(lines)), columns.setdefault(column, len(columns))] = group
    fixed = {name: values[0] for name, values in known.items() if len(values) == 1 and name not in (*down, *across)}
    return SweepTable(tuple(down), tuple(across), tuple(lines), tuple(columns), cells, fixed)


def shown(value: Any) -> str:
    """An axis' value as a table shows it; a dash where a cell has none."""
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else formatting.clean(value)


def title(axis: str) -> str:
    """An axis' name as a table shows it: a field by the last parts of its path."""
    parts = axis.split(".")
    return axis if len(parts) < 3 else ".".join(parts[-2:])


def figure(found: Spread | None, *, places: int = 1) -> str:
    """`82.2 ± 0.3`; a dash where there is none."""
    if found is None:
        return formatting.percentage(None)
    return f"{found.mean:.{places}f}" + ("" if found.deviation is None else f" ± {found.deviation:.{places}f}")


def ends(found: Spread | None) -> str:
    """`[81.9, 82.5]`, the 95 % interval; where suspects are too few, `81.7 to 82.6`, the least and the most."""
    if found is None:
        return ""
    low, high = found.ends
    if found.interval is None:
        return "" if found.least == found.most else f"{low:.1f} to {high:.1f}"
    return f"[{low:.1f}, {high:.1f}]"


def both(group: Group | None) -> str:
    """ACC and ASR of a group, `82.2 ± 0.3 / 2.8 ± 0.2`; without a trigger ACC alone; how far it is while it is not."""
    if group is None:
        return ""
    acc, asr = figure(group.figure("acc")), group.figure("asr")
    if not group.done:
        return "n/a" if group.unfit else f"{group.failed} failed" if group.failed else "–"
    return " ".join(filter(None, (acc if asr is None else f"{acc} / {figure(asr)}", marks(group))))


def marks(group: Group) -> str:
    """What a reader of a group's figures must know: `(4 of 6, 2 unplanted)`; empty where there is nothing."""
    said = [f"{group.done} of {len(group.rows)}"] * (group.done < len(group.rows))
    said += [f"{group.unplanted} unplanted"] * bool(group.unplanted)
    return f"({', '.join(said)})" if said else ""
