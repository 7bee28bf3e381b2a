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

from nadtui.workbench import terminal


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
    alarms: reactive[frozenset[str]] = reactive(frozenset())
    """Panes with something in them that must not be missed."""
    said: reactive[str] = reactive("")
    """Of the active pane what it shows: its title has no line of its own where it stands alone."""

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names = tuple(names)

    def _labels(self) -> list[str]:
        marks = dict.fromkeys(self.alarms, "✗ ")
        return [f" {number} {marks.get(name, '')}{name} " for number, name in enumerate(self._names, start=1)]

    def render_line(self, y: int) -> Strip:
        """The names, the active one reversed, those with an alarm in its color, where there are colors, with a mark."""
        style = self.rich_style
        colored = terminal.depth(self.app) != "none"  # without, a color's lightness alone would make it the faintest
        loud = style + Style(color=self.app.theme_variables["text-error"] if colored else None, bold=True)
        active = Style(reverse=True, bold=True)
        segments = [
            Segment(label, (loud if name in self.alarms else style) + (active if name == self.active else Style()))
            for name, label in zip(self._names, self._labels(), strict=True)
        ]
        room = self.size.width - sum(segment.cell_length for segment in segments) - 2
        if self.said and room > 0:
            shown = self.said if len(self.said) <= room else f"{self.said[: room - 1]}…"
            segments.append(Segment(f" {shown:>{room}} ", style + Style(dim=True)))
        return Strip(segments).crop_extend(0, self.size.width, style)

    def on_click(self, event: events.Click) -> None:
        """Choose the pane under the mouse."""
        end = 0
        for name, label in zip(self._names, self._labels(), strict=True):
            end += len(label)
            if event.x < end:
                self.post_message(self.Chosen(name))
                return
