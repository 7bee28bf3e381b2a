"""The widget that shows a scatter: what the axes are, and the marks."""

from __future__ import annotations

import textwrap
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from nadtui.draw.sweep_pictures import Scatter
from nadtui.draw.terminal_scatter import Cell, draw


class ScatterPlot(Widget):
    """A scatter, drawn for the widget's size; one series of it stands out."""

    DEFAULT_CSS = """
    ScatterPlot { height: 1fr; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty = ""
        """What stands there while there is no mark."""
        self._scatter: Scatter | None = None
        self._chosen = ""
        self._drawn: tuple | None = None
        self._rows: list[list[Cell]] = []

    def show(self, scatter: Scatter | None, chosen: str = "", *, empty: str = "") -> None:
        """Show these marks, or without any what `empty` says; nothing is repainted where nothing has changed."""
        if (scatter, chosen, empty) != (self._scatter, self._chosen, self._empty):
            self._scatter, self._chosen, self._empty = scatter, chosen, empty
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the widget: the axes' names, then the marks."""
        width, style = self.size.width, self.rich_style
        return Strip(self._line(y, width, style)).crop_extend(0, width, style)

    def _line(self, y: int, width: int, style: Style) -> list[Segment]:
        if self._scatter is None:
            lines = textwrap.wrap(self._empty, max(1, width))
            place = y - (self.size.height - len(lines)) // 2
            said = lines[place] if 0 <= place < len(lines) else ""
            return [Segment(said.center(width), style + Style(dim=True))]
        if y == 0:
            said = f"{self._scatter.y_title} ↑   {self._scatter.x_title} →"
            return [Segment(said, style + Style(dim=True))]
        if self._drawn != (self._scatter, self.size):
            self._rows = draw(self._scatter, width, self.size.height - 1)
            self._drawn = (self._scatter, self.size)
        row = self._rows[y - 1] if y <= len(self._rows) else []
        return [
            Segment("".join(letter for letter, _ in cells), style + self._style(series))
            for series, cells in ((series, list(cells)) for series, cells in groupby(row, lambda cell: cell[1]))
        ]

    def _style(self, series: str | None) -> Style:
        if not series or self._scatter is None:
            return Style(dim=series == "")
        return Style(color=self._scatter.colors[series], bold=True, reverse=series == self._chosen)
