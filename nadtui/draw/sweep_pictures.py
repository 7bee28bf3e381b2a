"""A sweep as pictures: ACC lost against ASR left, and its table as a heat map; what draws them stands elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nadtui.draw import colors
from nadtui.draw.colors import RGB
from nadtui.runs.sweep_table import both, title

if TYPE_CHECKING:
    from nadtui.runs.sweep_report import SweepReport

_HEAT = ((255, 255, 255), (254, 232, 200), (253, 187, 132), (239, 101, 72), (179, 0, 0), (103, 0, 13))
"""Corners of a ramp of falling lightness, from none to most, for paper."""
NAMED_MARKS = 24
"""Marks that a scatter still names one by one."""


@dataclass(frozen=True)
class Mark:
    """A defense on something: its place, and how far its figures spread to either side."""

    series: str
    label: str
    x: float
    y: float
    x_reach: float
    y_reach: float


@dataclass(frozen=True)
class Scatter:
    """Marks by series, each of its color; both axes in points of percent."""

    marks: Sequence[Mark]
    colors: dict[str, str]
    """By series, `#rrggbb`."""
    x_title: str = "ACC lost, points"
    y_title: str = "ASR left, %"

    @property
    def named(self) -> bool:
        """Whether each mark carries its label."""
        return len(self.marks) <= NAMED_MARKS

    @property
    def ranges(self) -> tuple[float, float, float, float]:
        """x from, x to, y from, y to: all marks with their spread, and the place where nothing is lost or left."""
        xs = [mark.x + side * mark.x_reach for mark in self.marks for side in (-1, 1)]
        top = max(mark.y + mark.y_reach for mark in self.marks)
        low, high = min(0.0, *xs), max(1.0, *xs)
        margin = 0.04 * (high - low)
        return low - margin, high + margin, 0.0, min(100.0, max(5.0, 1.05 * top))


@dataclass(frozen=True)
class HeatMap:
    """A table whose cells are shaded."""

    corner: str
    lines: Sequence[str]
    columns: Sequence[str]
    shares: Sequence[Sequence[float | None]]
    """By line and column, 0 to 1; None = nothing is known."""
    texts: Sequence[Sequence[str]]
    title: str = "ACC / ASR in percent; the darker, the more ASR is left"


def scatter(report: SweepReport) -> Scatter | None:
    """Each group's ACC lost against its ASR; None where there is none with both."""
    marks = []
    for line, column, group in report.details:
        lost, asr = group.figure("lost"), group.figure("asr")
        if lost is not None and asr is not None:
            reach = (lost.deviation or 0.0, asr.deviation or 0.0)
            marks.append(Mark(column, ", ".join(line), lost.mean, asr.mean, *reach))
    shown = {column: colors.series(place, dark=False) for place, column in enumerate(report.table.columns)}
    return Scatter(marks, shown) if marks else None


def heat_map(report: SweepReport) -> HeatMap:
    """The table of ACC / ASR, shaded by ASR."""
    table = report.table
    found = [[table.groups.get((at, place)) for place in range(len(table.columns))] for at in range(len(table.lines))]
    asr = [[None if group is None else group.figure("asr") for group in line] for line in found]
    return HeatMap(
        corner=", ".join(map(title, table.down)),
        lines=[", ".join(line) for line in table.lines],
        columns=table.columns,
        shares=[[None if each is None else each.mean / 100 for each in line] for line in asr],
        texts=[[both(group) for group in line] for line in found],
    )


@cache
def _ramp() -> tuple[RGB, ...]:
    return colors.ramp(_HEAT)


def shade(share: float | None) -> RGB:
    """The color of a heat map's cell."""
    if share is None:
        return 240, 240, 240
    # By its root: the difference between 1 % and 10 % matters, that between 80 % and 89 % hardly.
    return _ramp()[round(min(1.0, max(0.0, share)) ** 0.5 * (colors.LEVELS - 1))]


def ink(background: RGB) -> str:
    """Black or white, whichever is read on it, as `#rrggbb`."""
    red, green, blue = background
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"


def hexadecimal(color: RGB) -> str:
    """As `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*color)
