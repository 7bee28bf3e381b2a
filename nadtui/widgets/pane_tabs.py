"""The names of the panes where only one of them fits, with their keys."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget


class PaneTabs(Widget):
    """One line; a click chooses a pane."""

    DEFAULT_CSS = """
    PaneTabs { height: 1; width: 1fr; background: $panel; }
    """

    class Chosen(Message):
        """A pane was clicked."""

        def __init__(self, name: str) -> None:
            self.name = name
            super().__init__()

    active: reactive[str] = reactive("")

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = tuple(names)

    def _labels(self) -> list[str]:
        return [f" {number} {name} " for number, name in enumerate(self._names, start=1)]

    def render_line(self, y: int) -> Strip:
        """The names, the active one reversed."""
        style = self.rich_style
        segments = [
            Segment(label, style + Style(reverse=name == self.active, bold=name == self.active))
            for name, label in zip(self._names, self._labels(), strict=True)
        ]
        return Strip(segments).crop_extend(0, self.size.width, style)

    def on_click(self, event: events.Click) -> None:
        """Choose the pane under the mouse."""
        end = 0
        for name, label in zip(self._names, self._labels(), strict=True):
            end += len(label)
            if event.x < end:
                self.post_message(self.Chosen(name))
                return
