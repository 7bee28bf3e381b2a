"""The widget that shows a chart: a legend with the values at the cursor, and the plot."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nadtui import formatting
from nadtui.draw.chart import Chart, nearest
from nadtui.draw.terminal_plot import Drawing, draw
from nadtui.workbench import terminal

_VALUES = ((False, 3, "  "), (True, 3, "  "), (True, 3, " "), (True, 2, " "))
"""Whether names are short, digits of a value, what follows it: from roomy to narrow."""
_NARROW = (_VALUES[-1], (True, 0, " "))
"""The same where the axis has no room behind: at last without any value."""
_SHORT = {"cross-entropy": "CE"}


def legend(chart: Chart, at: float, *, short: bool = False, digits: int = 3) -> Iterator[tuple[str, str]]:
    """Each series' name and its value nearest to `at`, if it has digits; in `short` as `g1` and `CE`."""
    for each in chart.series:
        place = nearest(each, at)
        value = "–" if place is None else f"{_number(each.y[place], digits, chart.unit)}{chart.unit}"
        yield (_shortened(each.name) if short else formatting.clean(each.name)), value if digits else ""


def _number(value: float, digits: int, unit: str) -> str:
    """Percentages with one decimal, as everywhere, or with none where there is little room."""
    return f"{value:.{max(0, digits - 2)}f}" if "%" in unit else f"{value:.{digits}g}"


def _shortened(name: str) -> str:
    """A tap's name, which has a number, as `g1`; of the parts of a loss what they are called in short."""
    numbered = any(letter.isdigit() for letter in name)
    return formatting.short_tap(name) if numbered else _SHORT.get(name, formatting.clean(name))


def _behind(value: str, gap: str) -> str:
    """What follows a name in the legend."""
    return f" {value}{gap}" if value else gap


class Curves(Widget):
    """A chart with a legend that reads the values at the cursor, else the newest ones."""

    DEFAULT_CSS = """
    Curves { height: 1fr; width: 1fr; }
    """

    class CursorMoved(Message):
        """A click or drag put the cursor at `x` of the chart's axis."""

        def __init__(self, x: float) -> None:
            self.x = x
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.chart = Chart()
        self.cursor: float | None = None
        self.empty = "nothing measured yet"
        """What stands there while the chart has no point."""
        self.cost = 0.0
        """Seconds of processor time that the last drawing took."""
        self._drawing: Drawing | None = None
        self._drawn: tuple[Chart, Size, bool] | None = None

    def show(self, chart: Chart, cursor: float | None) -> None:
        """Draw this chart; nothing is repainted where nothing has changed."""
        if cursor == self.cursor and (chart is self.chart or chart == self.chart):
            return
        self.chart, self.cursor = chart, cursor
        self.refresh()

    @property
    def drawing(self) -> Drawing:
        """The chart as drawn for the widget's size."""
        color = terminal.depth(self.app) != "none"
        wanted = (self.chart, self.size, color)
        if self._drawing is None or self._drawn != wanted:
            import plotext  # noqa: F401  (its import is no part of what a drawing costs)

            began = time.thread_time()
            self._drawing = draw(self.chart, self.size.width, max(2, self.size.height - 1), color=color)
            self._drawn = wanted
            self.cost = time.thread_time() - began
        return self._drawing

    def move(self, columns: int) -> float:
        """The x that lies `columns` beside the cursor (or, without one, beside the newest point)."""
        drawing = self.drawing
        newest = max((x for each in self.chart.series for x in each.x), default=drawing.high)
        at = drawing.column(newest if self.cursor is None else self.cursor)
        if at is None:
            at = drawing.left + drawing.columns - 1
        return drawing.x(min(max(at + columns, drawing.left), drawing.left + drawing.columns - 1))

    def render_line(self, y: int) -> Strip:
        """One line of the widget: the legend, then the drawing."""
        width, style = self.size.width, self.rich_style
        if y == 0:
            return Strip(list(self._legend(style, width))).crop_extend(0, width, style)
        if self.chart.empty:
            said = self.empty if y == max(1, self.size.height // 2) else ""
            return Strip([Segment(said.center(width), style + Style(dim=True))]).crop_extend(0, width, style)
        rows = self.drawing.rows
        if y > len(rows):
            return Strip.blank(width, style)
        return Strip(list(self._segments(rows[y - 1], y - 1, style))).crop_extend(0, width, style)

    def _segments(self, row: Sequence[tuple[str, str | None]], line: int, style: Style) -> Iterator[Segment]:
        """A row, equal colors in one segment, with the cursor laid over the canvas."""
        drawing = self.drawing
        cursor = None if self.cursor is None else drawing.column(self.cursor)
        inside = drawing.top <= line < drawing.top + drawing.lines
        styles = {None: style, "axis": style + Style(dim=True)}
        start = 0
        for place in range(len(row) + 1):
            at_cursor = inside and cursor is not None and place in (cursor, cursor + 1)
            if place == len(row) or row[place][1] != row[start][1] or at_cursor:
                if place > start:
                    yield self._segment(row[start:place], styles, inside and start == cursor, style)
                start = place

    def _segment(
        self, cells: Sequence[tuple[str, str | None]], styles: dict[str | None, Style], marked: bool, style: Style
    ) -> Segment:
        color = cells[0][1]
        if color not in styles:
            styles[color] = style + Style(color=color)
        letters = "".join(letter for letter, _ in cells)
        if marked:
            empty = letters in (" ", "┊")
            return Segment("│" if empty else letters, styles[color] + Style(bold=True, reverse=not empty))
        return Segment(letters, styles[color])

    def _legend(self, style: Style, width: int) -> Iterator[Segment]:
        """Each series with its value at the cursor; names and figures in short where they would be cut off."""
        where = self._where()
        at = math.inf if self.cursor is None else self.cursor
        parts, gap = self._parts(at, width - len(where), _VALUES) or self._parts(at, width, _NARROW)
        color_known = terminal.depth(self.app) != "none"
        for each, (name, value) in zip(self.chart.series, parts, strict=True):
            yield Segment(f"{each.key(color=color_known)} ", style + Style(color=each.color))
            yield Segment(name, style)
            yield Segment(_behind(value, gap), style + Style(bold=True))
        yield Segment(where, style + Style(dim=True))

    def _parts(
        self, at: float, width: int, legends: Sequence[tuple[bool, int, str]]
    ) -> tuple[list[tuple[str, str]], str] | None:
        """Names and values, as roomy as the width allows, and what follows each; None where no value fits."""
        for short, digits, gap in legends:
            parts = list(legend(self.chart, at, short=short, digits=digits))
            if not digits or sum(len(f"━ {name}{_behind(value, gap)}") for name, value in parts) <= width:
                return parts, gap
        return None

    def _where(self) -> str:
        """The cursor's place, in words."""
        if self.cursor is None:
            return f"by {self.chart.axis}" + (", log" if self.chart.log_y else "")
        names = [name for x, name in self.chart.boundaries if x <= self.cursor]
        at = f"{self.cursor:,.1f}".removesuffix(".0")
        return f"at {self.chart.axis} {at}" + (f" ({formatting.clean(names[-1])})" if names else "")

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Put the cursor there, and let it follow the mouse."""
        self.capture_mouse()
        self._point_at(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the cursor."""
        if self.app.mouse_captured is self:
            self._point_at(event.x)

    def on_mouse_up(self) -> None:
        """Let go of the cursor."""
        self.release_mouse()

    def _point_at(self, column: int) -> None:
        self.post_message(self.CursorMoved(self.drawing.x(column)))
