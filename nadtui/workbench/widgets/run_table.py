"""The list of runs: one line each, painted from rows that somebody else keeps up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.record.state import RunState
from engine.record.verdict import Word
from nadtui.draw.run_states import LOOKS, VERDICTS
from nadtui.runs.catalog import RunRow
from nadtui.workbench.widgets.run_columns import SORTS, Column, columns, fitted


class RunTable(ScrollView, can_focus=True):
    """Runs by line, with a cursor and marks."""

    HELP_GROUP = "Runs"
    BINDINGS: tuple[BindingType, ...] = (
        Binding("enter", "open", "Open"),
        Binding("space", "mark", "Mark", tooltip="Mark for comparing"),
        Binding("s", "sort", "Sort", tooltip="Sort by the next column; a click on a title does it too", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(-1)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-table--header",
        "run-table--cursor",
        "run-table--cursor-dim",
        "run-table--marked",
        "run-table--empty",
        "run-table--acc",
        "run-table--asr",
        "run-table--finished",
        "run-table--running",
        "run-table--waiting",
        "run-table--stopped",
        "run-table--failed",
    }
    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        background: transparent;
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        &>.run-table--header { color: $text-muted; text-style: bold; }
        &>.run-table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
        &>.run-table--cursor-dim {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        &>.run-table--marked { color: $text-secondary; text-style: bold; }
        &>.run-table--empty { color: $text-muted; }
        &>.run-table--acc { color: $text-primary; }
        &>.run-table--asr { color: $text-accent; }
        &>.run-table--finished { color: $text-success; }
        &>.run-table--running { color: $text-primary; text-style: bold; }
        &>.run-table--waiting { color: $text-muted; }
        &>.run-table--stopped { color: $text-warning; }
        &>.run-table--failed { color: $text-error; }
    }
    """

    @dataclass
    class Highlighted(Message):
        """The cursor came to a run; None: there is none."""

        row: RunRow | None

    @dataclass
    class Opened(Message):
        """A run was chosen."""

        row: RunRow

    @dataclass
    class Sorted(Message):
        """The rows are to come in another order."""

        title: str
        """That of the column that decides."""
        backwards: bool

    @dataclass
    class Marked(Message):
        """The marks changed."""

        ids: tuple[str, ...]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[RunRow] = []
        self.marked: dict[str, None] = {}
        """Ids of marked runs, in the order in which they were marked."""
        self.cursor = 0
        self.nothing = ""
        """What is said where there are no rows."""
        self.sorted_by, self.backwards = "age", False
        self._columns: list[Column] = []

    @property
    def row(self) -> RunRow | None:
        """The run at the cursor."""
        return self.rows[self.cursor] if self.rows else None

    def show(self, rows: Sequence[RunRow], nothing: str = "") -> None:
        """Show these rows; the cursor stays on its run, wherever that is now."""
        before = self.row
        if list(rows) == self.rows and nothing == self.nothing:
            return
        self.rows, self.nothing = list(rows), nothing
        places = {row.id: place for place, row in enumerate(self.rows)}
        last = max(0, len(self.rows) - 1)
        self.cursor = places.get(before.id, min(self.cursor, last)) if before else 0
        self._measure()
        self._follow()
        self.refresh()
        if self.row != before:
            self.post_message(self.Highlighted(self.row))

    def select(self, run: str) -> bool:
        """Put the cursor on the run with this id; False where it is not in the list."""
        place = next((place for place, row in enumerate(self.rows) if row.id == run), None)
        if place is None:
            return False
        self._go(place)
        return True

    def unmark(self, ids: Sequence[str] | None = None) -> None:
        """Take the marks off these runs, or off all."""
        for run in list(self.marked) if ids is None else ids:
            self.marked.pop(run, None)
        self._marks_changed()

    def action_open(self) -> None:
        """Open the run at the cursor."""
        if self.row is not None:
            self.post_message(self.Opened(self.row))

    def action_mark(self) -> None:
        """Mark the run, or take the mark off, and go on to the next."""
        if self.row is None:
            return
        if self.row.id in self.marked:
            del self.marked[self.row.id]
        else:
            self.marked[self.row.id] = None
        self._marks_changed()
        self.action_move(1)

    def action_move(self, by: int) -> None:
        """Move the cursor by so many lines."""
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self._go(self.cursor + by * max(1, self.size.height - 2))

    def action_end(self, side: int) -> None:
        """Move the cursor to the first or the last run."""
        self._go(0 if side < 0 else len(self.rows) - 1)

    def action_sort(self) -> None:
        """Sort by the next column that is shown."""
        titles = [column.title for column in self._columns if column.title in SORTS]
        if titles:
            at = titles.index(self.sorted_by) if self.sorted_by in titles else -1
            self._sort(titles[(at + 1) % len(titles)])

    def _sort(self, title: str) -> None:
        """By that column; again by the same one: the other way round."""
        self.backwards = title == self.sorted_by and not self.backwards
        self.sorted_by = title
        self.post_message(self.Sorted(title, self.backwards))

    def _title_at(self, x: int) -> str:
        """The column under a cell of the header, if one can sort by it."""
        end = 0
        for column in self._columns:
            end += column.width + 1
            if x < end:
                return column.title if column.title in SORTS else ""
        return ""

    def on_click(self, event: events.Click) -> None:
        """A click selects, a double click opens; on a title it sorts."""
        if event.y == 0:
            title = self._title_at(event.x)
            if title:
                self._sort(title)
            return
        place = int(self.scroll_offset.y) + event.y - 1
        if event.y == 0 or not 0 <= place < len(self.rows):
            return
        self._go(place)
        if event.chain == 2:
            self.action_open()

    def on_resize(self) -> None:
        """Choose the columns for the new width."""
        self._measure()
        self._follow()

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar comes with a layout, after its rows: it takes room from the columns, and knows no place yet."""
        self._measure()
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def on_focus(self) -> None:
        """The cursor's color tells who has the keys."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor's color tells who has the keys."""
        self.refresh()

    def _go(self, place: int) -> None:
        place = max(0, min(place, len(self.rows) - 1))
        if place == self.cursor or not self.rows:
            return
        before, self.cursor = self.cursor, place
        self._follow()
        top = int(self.scroll_offset.y)
        for line in (before, place):
            self.refresh(Region(0, 1 + line - top, self.size.width, 1))
        self.post_message(self.Highlighted(self.row))

    def _marks_changed(self) -> None:
        self.refresh()
        self.post_message(self.Marked(tuple(self.marked)))

    def _measure(self) -> None:
        width = self.scrollable_content_region.width or self.size.width
        if width:
            self._columns = columns(width, several=any(row.more for row in self.rows))
        self.virtual_size = Size(width, len(self.rows) + 1)

    def _follow(self) -> None:
        """Keep the cursor in sight."""
        visible = self.size.height - 1
        if visible < 1:
            return
        top = int(self.scroll_offset.y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        """The header, which stays, or one run."""
        width = self.size.width
        if y == 0:
            return self._header().adjust_cell_length(width, self.rich_style)
        place = int(self.scroll_offset.y) + y - 1
        if not self.rows:
            lines = self.nothing.splitlines()
            said = lines[y - 2] if 0 <= y - 2 < len(lines) else ""
            style = self.get_component_rich_style("run-table--empty")
            return Strip([Segment(fitted(said, width), style)])
        if place >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        return self._line(place).adjust_cell_length(width, self.rich_style)

    def _header(self) -> Strip:
        style = self.get_component_rich_style("run-table--header")
        cells = [fitted(self._titled(column.title), column.width, column.align) for column in self._columns]
        return Strip([Segment(" ".join(cells), style)])

    def _titled(self, title: str) -> str:
        """With a sign where the rows are sorted by it; by age, newest first, they are anyway."""
        if title != self.sorted_by or (title == "age" and not self.backwards):
            return title
        return f"{title}{'▴' if self.backwards else '▾'}"

    def _line(self, place: int) -> Strip:
        row = self.rows[place]
        base = self._row_style(place, row)
        segments: list[Segment] = []
        for number, column in enumerate(self._columns):
            cell = fitted(column.text(row, column.width), column.width, column.align)
            if number == 0 and row.id in self.marked:
                cell = "●"
            segments.append(Segment(cell, self._tone(column, row, place) or base))
            segments.append(Segment(" ", base))
        return Strip(segments[:-1]).extend_cell_length(self.size.width, base)

    def _row_style(self, place: int, row: RunRow) -> Style:
        if place == self.cursor:
            return self.get_component_rich_style("run-table--cursor" if self.has_focus else "run-table--cursor-dim")
        if row.id in self.marked:
            return self.get_component_rich_style("run-table--marked")
        return self.rich_style

    def _tone(self, column: Column, row: RunRow, place: int) -> Style | None:
        """A cell's own color; the cursor's and the mark's outrank it."""
        if not column.tone or place == self.cursor or row.id in self.marked:
            return None
        state = LOOKS[row.state].tone
        judged = row.state is RunState.FINISHED and bool(row.verdict)
        tones = {"state": state, "verdict": VERDICTS[Word(row.verdict)] if judged else state}
        tone = tones.get(column.tone, column.tone)
        return self.get_component_rich_style(f"run-table--{tone}")
