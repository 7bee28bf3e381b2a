"""The run's log: follows the newest line, or holds still while a person reads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.record.view import LogLine
from nadtui import formatting

MOST = 1_000
"""Lines that are kept on screen; the whole log is in the run's record."""


class LogPane(ScrollView, can_focus=False):
    """Lines with their times; `following` scrolls to each new one."""

    DEFAULT_CSS = """
    LogPane { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: deque[LogLine] = deque(maxlen=MOST)
        self.following = True

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append new lines."""
        before = len(self.lines)
        new = list(lines)
        if not new:
            return
        self.lines.extend(new)
        dropped = before + len(new) - len(self.lines)
        self.virtual_size = Size(self.size.width, len(self.lines))
        if self.following:
            self.scroll_end(animate=False)
        elif dropped:
            self.scroll_relative(y=-dropped, animate=False)  # what a person reads stays where it is
        self.refresh()

    def clear(self) -> None:
        """Forget all lines."""
        self.lines.clear()
        self.virtual_size = Size(self.size.width, 0)
        self.refresh()

    def follow(self, following: bool) -> None:
        """Follow the newest line, or hold still."""
        self.following = following
        if following:
            self.scroll_end(animate=False)

    def on_resize(self) -> None:
        """Keep the newest line in sight."""
        self.virtual_size = Size(self.size.width, len(self.lines))
        if self.following:
            self.scroll_end(animate=False)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Scrolling to the end came to nothing while there was no scrollbar: that takes a layout, which may be late."""
        if shown and self.following:
            self.scroll_end(animate=False)

    def on_mouse_scroll_up(self) -> None:
        """Reading back holds the log still."""
        self.following = False

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        style, width = self.rich_style, self.size.width
        # Scrolling to the end is put off and may come before the pane has its size: where it follows, the end is shown.
        first = max(0, len(self.lines) - self.size.height) if self.following else int(self.scroll_offset.y)
        place = y + first
        if not 0 <= place < len(self.lines):
            return Strip.blank(width, style)
        line = self.lines[place]
        clock = time.strftime("%H:%M:%S ", time.localtime(line.time)) if line.time else " " * 9
        said = style + (Style(bold=True) if line.level != "info" else Style())
        return Strip([Segment(clock, style + Style(dim=True)), Segment(formatting.clean(line.text), said)]).crop_extend(
            0, width, style
        )
