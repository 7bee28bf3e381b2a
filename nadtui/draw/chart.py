"""Charts as what they show: series of numbers, where stages begin, the ranges and round numbers of the axes.

What draws them stands elsewhere: `terminal_plot` for the terminal, `nadtui.export.svg` for documents.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One curve. `x` rises (it may repeat); a NaN in `y` is a gap."""

    name: str
    color: str
    """`#rrggbb`."""
    x: Sequence[float]
    y: Sequence[float]
    mark: str = "braille"
    band: tuple[Sequence[float], Sequence[float]] | None = None
    """From where to where the values spread, place by place; a NaN is a gap."""

    def key(self, *, color: bool) -> str:
        """What stands for the curve in a legend: a line of its color or, without color, the letter it is drawn with."""
        return "━" if color or self.mark == "braille" else self.mark


@dataclass(frozen=True)
class Chart:
    """Everything a plot shows."""

    series: tuple[Series, ...] = ()
    boundaries: tuple[tuple[float, str], ...] = ()
    """Where a stage begins, and its name."""
    axis: str = "step"
    y_range: tuple[float, float] | None = None
    """None = as the values are."""
    x_range: tuple[float, float] | None = None
    log_y: bool = False
    unit: str = ""
    """Behind each value in the legend."""
    named: bool = True
    """Whether the stages' names stand above."""
    labeled: bool = True
    """Whether the x axis is drawn below."""

    @property
    def empty(self) -> bool:
        """Whether there is no point to draw."""
        return not any(math.isfinite(value) for each in self.series for value in each.y)


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """An exponential moving average without the pull to zero at its start; gaps stay gaps and are not averaged in."""
    if weight <= 0:
        return list(values)
    smoothed, total, share = [], 0.0, 0.0
    for value in values:
        if math.isfinite(value):
            total = weight * total + (1 - weight) * value
            share = weight * share + (1 - weight)
            smoothed.append(total / share)
        else:
            smoothed.append(math.nan)
    return smoothed


def between_gaps(x: Sequence[float], y: Sequence[float]) -> Iterator[list[tuple[float, float]]]:
    """The points between the gaps, each stretch as a list of its own."""
    stretch: list[tuple[float, float]] = []
    for at, value in zip(x, y, strict=True):
        if math.isfinite(value) and math.isfinite(at):
            stretch.append((at, value))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round numbers from `low` to `high`, evenly spaced by 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or most < 2:
        return [low] if math.isfinite(low) and most else []
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power, 50 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [place * step for place in range(first, last + 1)]
    return [low]


def log_ticks(bottom: float, top: float, most: int) -> list[float]:
    """The same for a logarithmic axis, in log10: decades, or 1, 2 and 5 in each where there is room."""
    decades = range(math.floor(bottom), math.ceil(top) + 1)
    for parts in ((1, 2, 5), (1, 3), (1,)):
        values = [decade + math.log10(part) for decade in decades for part in parts]
        seen = [value for value in values if bottom <= value <= top]
        if len(seen) <= most:
            return seen
    return [value for value in ticks(bottom, top, most) if value == int(value)]


def limits(chart: Chart) -> tuple[float, float, float, float]:
    """The ranges a chart is drawn over: x from, x to, y from, y to; y in log10 where the chart says so."""
    xs = [x for each in chart.series for x in each.x if math.isfinite(x)]
    low, high = chart.x_range or (min(xs, default=0.0), max(xs, default=1.0))
    if high <= low:
        high = low + 1.0
    if chart.y_range is not None and not chart.log_y:
        return low, high, *chart.y_range
    seen = [
        value
        for each in chart.series
        for x, value in zip(each.x, scaled(each.y, chart.log_y), strict=True)
        if low <= x <= high and math.isfinite(value)
    ]
    bottom, top = min(seen, default=0.0), max(seen, default=1.0)
    margin = (top - bottom) * 0.03 or max(0.05 * abs(top), 0.05)
    return low, high, bottom - margin, top + margin


def scaled(values: Sequence[float], log: bool) -> list[float]:
    """The values as they are drawn: for a logarithmic axis in log10, a gap where they have none."""
    if not log:
        return list(values)
    return [math.log10(value) if math.isfinite(value) and value > 0 else math.nan for value in values]


def nearest(each: Series, x: float) -> int | None:
    """The place of the measured point of a series that is nearest to `x`; None where it has none."""
    known = [place for place, value in enumerate(each.y) if math.isfinite(value)]
    if not known:
        return None
    at = bisect_right(known, x, key=lambda place: each.x[place])
    around = known[max(0, at - 1) : at + 1]
    # Of two stages' points at one x the later one is meant: there the new stage has begun.
    return min(reversed(around), key=lambda place: abs(each.x[place] - x))
