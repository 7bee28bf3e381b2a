"""The run's log: follows the newest line, or holds still while a person reads."""

from __future__ import annotations

import re
import textwrap
import time
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.record.view import LogLine
from nadtui import formatting

MOST = 1_000
"""Lines that are kept on screen; the whole log is in the run's record."""
CLOCK = len("22:13:20 ")
NARROWEST = 12
"""Cells of text below which a line is rather cut than broken."""

_ETA, _TIED = re.compile(r"  ETA [\d:]+$"), "\N{NO-BREAK SPACE}"


@lru_cache(maxsize=2 * MOST)
def broken(line: LogLine, width: int) -> tuple[tuple[str, str], ...]:
    """A line in rows of so many cells: clock and text, the clock in the first row alone.

    What stands between double spaces stays together; how long it would still take at the time is not worth a row.
    """
    clock = time.strftime("%H:%M:%S ", time.localtime(line.time)) if line.time else " " * CLOCK
    text, room = formatting.clean(line.text), max(NARROWEST, width - CLOCK)
    if len(text) <= room:
        return ((clock, text),)
    text = _ETA.sub("", text)
    parts = [part.replace(" ", _TIED) if len(part) <= room else part for part in text.split("  ")]
    rows = textwrap.wrap("  ".join(parts) if len(parts) > 1 else text, room) or [""]
    return tuple((" " * CLOCK if number else clock, row.replace(_TIED, " ")) for number, row in enumerate(rows))


class LogPane(ScrollView, can_focus=False):
    """Lines with their times; `following` scrolls to each new one."""

    DEFAULT_CSS = """
    LogPane { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: deque[LogLine] = deque(maxlen=MOST)
        self.following = True
        self._rows: list[tuple[LogLine, str, str]] = []
        """What stands below each other: the line that it is of, clock, text."""

    def _lay_out(self) -> None:
        """Break the lines to the width there is: none is cut."""
        width = self.scrollable_content_region.width or self.size.width
        lines = self.lines if width else ()  # before it has any width there is nothing to break them to
        self._rows = [(line, *row) for line in lines for row in broken(line, width)]
        self.virtual_size = Size(self.size.width, len(self._rows))

    def add(self, lines: Iterable[LogLine]) -> None:
        """Append new lines."""
        new = list(lines)
        if not new:
            return
        gone = max(0, len(self.lines) + len(new) - MOST)
        leaving = set(map(id, islice(self.lines, gone)))
        dropped = sum(id(line) in leaving for line, _, _ in self._rows)
        self.lines.extend(new)
        self._lay_out()
        if self.following:
            self.scroll_end(animate=False)
        elif dropped:
            self.scroll_relative(y=-dropped, animate=False)  # what a person reads stays where it is
        self.refresh()

    def clear(self) -> None:
        """Forget all lines."""
        self.lines.clear()
        self._lay_out()
        self.refresh()

    def follow(self, following: bool) -> None:
        """Follow the newest line, or hold still."""
        self.following = following
        if following:
            self.scroll_end(animate=False)

    def on_resize(self) -> None:
        """Keep the newest line in sight."""
        self._lay_out()
        if self.following:
            self.scroll_end(animate=False)

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """Scrolling to the end came to nothing while there was no scrollbar: that takes a layout, which may be late."""
        self._lay_out()  # it takes a column
        if shown and self.following:
            self.scroll_end(animate=False)

    def on_mouse_scroll_up(self) -> None:
        """Reading back holds the log still."""
        self.following = False

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        style, width = self.rich_style, self.size.width
        # Scrolling to the end is put off and may come before the pane has its size: where it follows, the end is shown.
        first = max(0, len(self._rows) - self.size.height) if self.following else int(self.scroll_offset.y)
        place = y + first
        if not 0 <= place < len(self._rows):
            return Strip.blank(width, style)
        line, clock, text = self._rows[place]
        said = style + (Style(bold=True) if line.level != "info" else Style())
        return Strip([Segment(clock, style + Style(dim=True)), Segment(text, said)]).crop_extend(0, width, style)
