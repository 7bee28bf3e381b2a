"""Charts in the terminal: drawn by plotext inside a frame of our own. Free of textual and torch.

`draw` is a pure function of a `Chart`. plotext draws each series alone and without color; the layers are laid over
each other here, which gives us the theme's colors, gaps, stage boundaries and a cursor that costs no new plot.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from nadtui import formatting
from nadtui.draw.chart import Chart, Series, between_gaps, limits, log_ticks, scaled, ticks

GUTTER = 5
"""Least columns of the y axis's labels, so that charts above each other line up."""
Drawn = dict[tuple[int, int], dict[int, str]]
"""By column and line of the canvas: what each series, by its place, has drawn there."""
_PLOTEXT = threading.Lock()
"""plotext has one figure for the whole process."""


@dataclass(frozen=True)
class Drawing:
    """A drawn chart without its legend: rows of (character, color) and where the canvas lies in them."""

    rows: tuple[tuple[tuple[str, str | None], ...], ...]
    left: int
    top: int
    columns: int
    lines: int
    low: float
    high: float
    """The x of the canvas's first and last column."""

    def column(self, x: float) -> int | None:
        """The column of `x` in the drawing; None where it lies outside of it."""
        place = place_on(x, self.low, self.high, self.columns)
        return None if place is None else self.left + place

    def x(self, column: int) -> float:
        """The x that a column of the drawing stands for."""
        if self.columns < 2:
            return self.low
        share = (column - self.left) / (self.columns - 1)
        return self.low + max(0.0, min(1.0, share)) * (self.high - self.low)


def place_on(value: float, low: float, high: float, places: int) -> int | None:
    """Where on a line of `places` the value lies, between the middles of its ends."""
    if not low <= value <= high:
        return None
    return round((value - low) / (high - low) * (places - 1)) if high > low else 0


def thin(points: Sequence[tuple[float, float]], low: float, high: float, columns: int) -> list[tuple[float, float]]:
    """As many points as `columns` can show: of each column its first, lowest, highest and last one, in their order.

    Points outside of [low, high] are left out, save the nearest on either side: the line to them is visible.
    """
    first = max(0, bisect_left(points, low, key=lambda point: point[0]) - 1)
    last = bisect_left(points, high, key=lambda point: point[0])
    while last < len(points) - 1 and points[last][0] <= high:
        last += 1
    seen = points[first : last + 1]
    if len(seen) <= 4 * columns or high <= low:
        return list(seen)
    kept: list[tuple[float, float]] = []
    column: list[tuple[float, float]] = []
    place = -1
    for point in seen:
        at = int((point[0] - low) / (high - low) * columns)
        if at != place and column:
            kept += _corners(column)
            column = []
        place = at
        column.append(point)
    return kept + _corners(column)


def _corners(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    places = {0, len(points) - 1}
    places.add(min(range(len(points)), key=lambda place: points[place][1]))
    places.add(max(range(len(points)), key=lambda place: points[place][1]))
    return [points[place] for place in sorted(places)]


# --- drawing ---


def draw(chart: Chart, width: int, height: int, *, color: bool = True) -> Drawing:
    """The chart as rows of `width` characters: stage names, canvas between its axes, x labels."""
    low, high, bottom, top = limits(chart)
    named = chart.named and bool(chart.boundaries) and height >= 6
    labeled = chart.labeled and height >= 4
    lines = max(1, height - 2 * labeled - named)
    marks = y_marks(bottom, top, lines, chart.log_y)
    left = max([GUTTER, *map(len, marks.values())]) + 1
    columns = max(1, width - left)
    canvas = _canvas(chart, columns, lines, (low, high, bottom, top), color=color)
    gutter = max(0, left - 1)
    rows: list[list[tuple[str, str | None]]] = []
    if named:
        rows.append([(" ", None)] * left + _names(chart, columns, low, high))
    for line in range(lines):
        label = marks.get(line, "")
        edge = "┤" if label else "│"
        rows.append([(letter, "axis") for letter in f"{label:>{gutter}}{edge}"] + canvas[line])
    if labeled:
        rows += x_axis(low, high, left, columns)
    return Drawing(tuple(tuple(row[:width]) for row in rows[:height]), left, int(named), columns, lines, low, high)


def y_marks(bottom: float, top: float, lines: int, log: bool) -> dict[int, str]:
    """The labels of the y axis by line."""
    marks: dict[int, str] = {}
    most = max(2, min(6, lines // 2))
    for value in log_ticks(bottom, top, most) if log else ticks(bottom, top, most):
        place = place_on(value, bottom, top, lines)
        if place is not None:
            shown = 10.0 ** min(value, 308) if log else value
            marks.setdefault(lines - 1 - place, f"{shown:.3g}")
    return marks


def _canvas(
    chart: Chart, columns: int, lines: int, ranges: tuple[float, float, float, float], *, color: bool
) -> list[list[tuple[str, str | None]]]:
    low, high = ranges[:2]
    cells: list[list[tuple[str, str | None]]] = [[(" ", None)] * columns for _ in range(lines)]
    for x, _ in chart.boundaries:
        place = place_on(x, low, high, columns)
        if place:
            for line in range(lines):
                cells[line][place] = ("┊", "axis")
    for each in chart.series:
        _shade(cells, each, ranges, log=chart.log_y)
    drawn: Drawn = {}
    dotted: Drawn = {}
    for series, each in enumerate(chart.series):
        stretches = list(between_gaps(each.x, scaled(each.y, chart.log_y)))
        thinned = [points for points in (thin(each, low, high, columns) for each in stretches) if points]
        layer = _layer(thinned, columns, lines, ranges, "braille" if color else each.mark)
        for line, letters in enumerate(layer):
            for column, letter in enumerate(letters[:columns]):
                if letter != " ":
                    drawn.setdefault((column, line), {})[series] = letter
        for place in _dots(thinned, layer, columns, lines, ranges) if color else ():
            dotted.setdefault(place, {})[series] = "•"
    for layered in (drawn, dotted):
        for (column, line), series, letter in _by_turns(layered):
            cells[line][column] = (letter, chart.series[series].color)
    return cells


def _by_turns(drawn: Drawn) -> Iterator[tuple[tuple[int, int], int, str]]:
    """Of each cell who is seen in it, and what: series that share cells have them by turns, so that none is covered.

    A series that has no cell for itself comes first. Braille dots of all who share a cell add up.
    """
    alone = {next(iter(own)) for own in drawn.values() if len(own) == 1}
    taken: dict[tuple[int, ...], Counter[int]] = {}
    for column, line in sorted(drawn):
        own = drawn[column, line]
        sharing = tuple(sorted(own, key=lambda series: (series in alone, series)))
        columns = taken.setdefault(sharing, Counter())
        columns[column] += 1
        turn = len(columns) + columns[column] - 2  # flat lines, steep ones and slanting ones all change
        series = sharing[turn % len(sharing)]
        yield (column, line), series, _joined(own[series], own.values())


def _joined(letter: str, others: Iterable[str]) -> str:
    """The letter; of braille with the dots of the others."""
    if not _is_braille(letter):
        return letter
    return chr(reduce(or_, (ord(each) for each in others if _is_braille(each))))


def _is_braille(letter: str) -> bool:
    return "\u2800" <= letter <= "\u28ff"


def _shade(
    cells: list[list[tuple[str, str | None]]], each: Series, ranges: tuple[float, float, float, float], *, log: bool
) -> None:
    """Lay a series' band over the empty cells."""
    if each.band is None:
        return
    low, high, bottom, top = ranges
    lines, columns = len(cells), len(cells[0])
    lower, upper = (list(between_gaps(each.x, scaled(edge, log))) for edge in each.band)
    for below, above in zip(lower, upper, strict=False):
        for column in range(columns):
            x = low + (high - low) * column / max(1, columns - 1)
            edges = [_at(below, x), _at(above, x)]
            if None in edges:
                continue
            first, last = (place_on(max(bottom, min(top, edge)), bottom, top, lines) or 0 for edge in edges)
            for place in range(first, last + 1):
                line = lines - 1 - place
                if cells[line][column][0] in (" ", "┊"):
                    cells[line][column] = ("░", each.color)


def _at(points: Sequence[tuple[float, float]], x: float) -> float | None:
    """A line of points at `x`, between two of them on the straight line; None beside its ends."""
    after = bisect_left(points, x, key=lambda point: point[0])
    if after == len(points) or (after == 0 and points[0][0] > x):
        return None
    (x1, y1), (x0, y0) = points[after], points[max(0, after - 1)]
    return y1 if x1 <= x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _layer(
    stretches: Sequence[Sequence[tuple[float, float]]],
    columns: int,
    lines: int,
    ranges: tuple[float, float, float, float],
    mark: str,
) -> list[str]:
    """One series as plotext draws it, without color and frame."""
    if not stretches:
        return []
    import plotext  # a tenth of a second that the first paint of the workbench can do without

    with _PLOTEXT:
        figure = plotext.figure
        plotext.terminal.limit(False, False)
        figure.clear.data()
        figure.plot_size(columns, lines)
        figure.axes(False)
        figure.legend(False)
        figure.canvas("default")
        figure.ruler("both", "both").ticks([])
        figure.ruler("x").lim(*ranges[:2])
        figure.ruler("y").lim(*ranges[2:])
        points = [point for stretch in stretches for point in stretch]
        signal = figure.signal(
            [x for x, _ in points], [y for _, y in points], marker=plotext.marker(mark, plotext.pixel())
        ).lines(True)
        start = 0
        for stretch in stretches:
            signal.line(start, False)
            start += len(stretch)
        figure.draw(signal)
        return figure.build().string(colorless=True).split("\n")[:lines]


def _dots(
    stretches: Sequence[Sequence[tuple[float, float]]],
    layer: Sequence[str],
    columns: int,
    lines: int,
    ranges: tuple[float, float, float, float],
) -> Iterator[tuple[int, int]]:
    """Column and line of each measured point where they are few, and of one that stands alone always."""
    few = sum(map(len, stretches)) <= columns // 3
    for stretch in stretches:
        if few or len(stretch) == 1:
            for x, y in stretch:
                column, place = place_on(x, *ranges[:2], columns), place_on(y, *ranges[2:], lines)
                if column is None or place is None:
                    continue
                line = lines - 1 - place
                # A value on the edge of two cells: the dot belongs where the curve is drawn.
                drawn = (each for each in (line, line - 1, line + 1) if _is_drawn(layer, each, column))
                yield column, next(drawn, line)


def _is_drawn(layer: Sequence[str], line: int, column: int) -> bool:
    return 0 <= line < len(layer) and layer[line][column : column + 1].strip() != ""


def _names(chart: Chart, columns: int, low: float, high: float) -> list[tuple[str, str | None]]:
    """The stages' names, each from where it begins to where the next does."""
    row: list[tuple[str, str | None]] = [(" ", None)] * columns
    starts = [(max(x, low), name) for x, name in chart.boundaries]
    for number, (x, name) in enumerate(starts):
        begin = place_on(x, low, high, columns)
        after = starts[number + 1][0] if number + 1 < len(starts) else high
        end = place_on(min(after, high), low, high, columns)
        if begin is None or end is None or after <= x:
            continue
        room = end - begin - 1 if number + 1 < len(starts) else columns - begin
        for place, letter in enumerate(formatting.clean(name)[: max(0, room)]):
            row[begin + place] = (letter, "axis")
    return row


def x_axis(low: float, high: float, left: int, columns: int) -> list[list[tuple[str, str | None]]]:
    """The line under the canvas, and its labels."""
    line = [" "] * (left - 1) + ["└"] + ["─"] * columns
    labels = [" "] * (left + columns)
    taken = -1
    for value in ticks(low, high, max(3, columns // 12)):
        place = place_on(value, low, high, columns)
        if place is None:
            continue
        label = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:g}"
        start = min(left + place - len(label) // 2, left + columns - len(label))
        line[left + place] = "┴"
        if start > taken:
            labels[start : start + len(label)] = label
            taken = start + len(label)
    return [[(letter, "axis") for letter in line], [(letter, "axis") for letter in labels]]
