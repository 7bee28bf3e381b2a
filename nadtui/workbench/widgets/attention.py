"""The widget that shows attention maps, and tells which cell was clicked."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from nadtui.draw.attention_maps import Maps
from nadtui.draw.colors import Drawn
from nadtui.draw.map_grid import cell_at, compose
from nadtui.draw.map_lines import Line, Look
from nadtui.workbench import terminal


class AttentionGrid(Widget):
    """The grid, and its one maximized cell."""

    DEFAULT_CSS = """
    AttentionGrid { height: 1fr; width: 1fr; }
    """

    class Chosen(Message):
        """A cell was clicked."""

        def __init__(self, row: int, tap: int) -> None:
            self.row = row
            self.tap = tap
            super().__init__()

    class Resized(Message):
        """There is other room now."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.maps = Maps()
        self.drawn: Drawn = "auto"
        self._lines: Sequence[Line] = ()
        self._composed: tuple | None = None

    def show(self, maps: Maps, drawn: Drawn) -> None:
        """Show these maps; nothing is repainted where nothing has changed."""
        if maps == self.maps and drawn == self.drawn:
            return
        self.maps, self.drawn = maps, drawn
        self.refresh()

    @property
    def look(self) -> Look:
        """How this terminal and this person want maps drawn."""
        return Look(terminal.in_blocks(self.app, self.drawn), self.app.current_theme.dark, self.rich_style)

    def render_line(self, y: int) -> Strip:
        """One line of the grid."""
        wanted = (self.maps, self.size, self.look)
        if self._composed != wanted:
            self._lines = compose(self.maps, self.size.width, self.size.height, self.look)
            self._composed = wanted
        style, width = self.rich_style, self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, style)
        return Strip(self._lines[y]).crop_extend(0, width, style)

    def on_resize(self) -> None:
        """As many models as there is room for are chosen by whoever knows the run."""
        self.post_message(self.Resized())

    def on_click(self, event: events.Click) -> None:
        """Choose the cell under the mouse."""
        cell = cell_at(self.maps, self.size.width, self.size.height, event.x, event.y)
        if cell is not None:
            self.post_message(self.Chosen(*cell))
