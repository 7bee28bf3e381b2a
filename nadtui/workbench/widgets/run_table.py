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
from nadtui.runs.grouping import Group
from nadtui.workbench.widgets.run_columns import SORTS, Column, columns, fitted


class RunTable(ScrollView, can_focus=True):
    """Runs by line, with a cursor and marks; where they are grouped, each group with a line above its runs."""

    HELP_GROUP = "Runs"
    BINDINGS: tuple[BindingType, ...] = (
        Binding("enter", "open", "Open", tooltip="Open the run; fold or unfold a group"),
        Binding("space", "mark", "Mark", tooltip="Mark the run, or all of a group, for comparing"),
        Binding("s", "sort", "Sort", tooltip="Sort by the next column; a click on a title does it too", show=False),
        Binding("R", "turn", "Reverse", tooltip="Sort the other way round", show=False),
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
        "run-table--group",
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
        &>.run-table--group { background: $foreground 10%; text-style: bold; }
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

        name: str
        """That of the column that decides."""
        backwards: bool

    @dataclass
    class Marked(Message):
        """The marks changed."""

        ids: tuple[str, ...]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[RunRow | Group] = []
        """What stands below each other: the runs, and the groups that they are in."""
        self.groups: tuple[Group, ...] = ()
        self.chosen: tuple[str, ...] = ()
        """A person's own columns; none = as the width allows."""
        self._folded: set[str] = set()
        self.marked: dict[str, None] = {}
        """Ids of marked runs, in the order in which they were marked."""
        self.cursor = 0
        self.nothing = ""
        """What is said where there are no rows."""
        self.sorted_by, self.backwards = "age", False
        self._columns: list[Column] = []

    @property
    def rows(self) -> list[RunRow]:
        """The runs in sight, those of folded groups left out."""
        return [line for line in self.lines if isinstance(line, RunRow)]

    @property
    def line(self) -> RunRow | Group | None:
        """What the cursor is on."""
        return self.lines[self.cursor] if self.lines else None

    @property
    def row(self) -> RunRow | None:
        """The run at the cursor."""
        return self.line if isinstance(self.line, RunRow) else None

    def show(self, rows: Sequence[RunRow], nothing: str = "", groups: Sequence[Group] = ()) -> None:
        """Show these rows, or `groups` of them; the cursor stays where it is, wherever that is now."""
        self.groups = tuple(groups)
        lines: list[RunRow | Group] = [] if groups else list(rows)
        for group in groups:
            lines += [group, *(() if group.id in self._folded else group.runs)]
        if lines == self.lines and nothing == self.nothing:
            return
        before = self.line
        self.lines, self.nothing = lines, nothing
        places = {line.id: place for place, line in enumerate(lines)}
        last = max(0, len(lines) - 1)
        self.cursor = places.get(before.id, min(self.cursor, last)) if before else 0
        self._measure()
        self._follow()
        self.refresh()
        if self.line != before:
            self.post_message(self.Highlighted(self.row))

    def choose(self, names: Sequence[str]) -> None:
        """Show these columns from now on; none = as the width allows."""
        self.chosen = tuple(names)
        self._measure()
        self.refresh()

    @property
    def names(self) -> list[str]:
        """The columns that are shown, by name."""
        return [column.name for column in self._columns if column.name]

    def select(self, run: str) -> bool:
        """Put the cursor on the run with this id; False where it is not in the list."""
        place = next((place for place, line in enumerate(self.lines) if line.id == run), None)
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
        """Open the run at the cursor; fold or unfold a group."""
        line = self.line
        if isinstance(line, Group):
            self._folded ^= {line.id}
            self.show((), self.nothing, self.groups)
            self._marks_changed()  # what is folded is hidden, and said to be
        elif line is not None:
            self.post_message(self.Opened(line))

    def action_mark(self) -> None:
        """Mark the run, or take the mark off, and go on to the next; of a group all its runs."""
        line = self.line
        if line is None:
            return
        own = [run.id for run in line.runs] if isinstance(line, Group) else [line.id]
        if line.id in self._folded:
            self.action_open()  # nothing is marked that is not seen
        if all(run in self.marked for run in own):
            for run in own:
                del self.marked[run]
        else:
            self.marked |= dict.fromkeys(own)
        self._marks_changed()
        self.action_move(len(own) + 1 if isinstance(line, Group) else 1)

    def action_move(self, by: int) -> None:
        """Move the cursor by so many lines."""
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by so many pages."""
        self._go(self.cursor + by * max(1, self.size.height - 2))

    def action_end(self, side: int) -> None:
        """Move the cursor to the first or the last run."""
        self._go(0 if side < 0 else len(self.lines) - 1)

    def action_sort(self) -> None:
        """Sort by the next column that is shown."""
        names = [column.name for column in self._columns if _sorts(column)]
        if names:
            at = names.index(self.sorted_by) if self.sorted_by in names else -1
            self._sort(names[(at + 1) % len(names)])

    def action_turn(self) -> None:
        """The other way round."""
        self._sort(self.sorted_by)

    def _sort(self, name: str) -> None:
        """By that column; again by the same one: the other way round."""
        self.backwards = name == self.sorted_by and not self.backwards
        self.sorted_by = name
        self.post_message(self.Sorted(name, self.backwards))

    def _name_at(self, x: int) -> str:
        """The column under a cell of the header, if one can sort by it."""
        end = 0
        for column in self._columns:
            end += column.width + 1
            if x < end:
                return column.name if _sorts(column) else ""
        return ""

    def on_click(self, event: events.Click) -> None:
        """A click selects, a double click opens; on a title it sorts."""
        if event.y == 0:
            name = self._name_at(event.x)
            if name:
                self._sort(name)
            return
        place = int(self.scroll_offset.y) + event.y - 1
        if not 0 <= place < len(self.lines):
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
        place = max(0, min(place, len(self.lines) - 1))
        if place == self.cursor or not self.lines:
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
            several, alike = (any(getattr(row, name) for row in self.rows) for name in ("more", "apart"))
            self._columns = columns(width, several=several, alike=alike, chosen=self.chosen)
        self.virtual_size = Size(width, len(self.lines) + 1)

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
        if not self.lines:
            lines = self.nothing.splitlines()
            said = lines[y - 2] if 0 <= y - 2 < len(lines) else ""
            style = self.get_component_rich_style("run-table--empty")
            return Strip([Segment(fitted(said, width), style)])
        if place >= len(self.lines):
            return Strip.blank(width, self.rich_style)
        line = self.lines[place]
        strip = self._group(place, line) if isinstance(line, Group) else self._line(place, line)
        return strip.adjust_cell_length(width, self.rich_style)

    def _header(self) -> Strip:
        style = self.get_component_rich_style("run-table--header")
        cells = [fitted(self._titled(column), column.width, column.align) for column in self._columns]
        return Strip([Segment(" ".join(cells), style)])

    def _titled(self, column: Column) -> str:
        """With a sign where the rows are sorted by it; by age, newest first, they are anyway."""
        if column.name != self.sorted_by or (column.name == "age" and not self.backwards):
            return column.title
        return f"{column.title}{'▴' if self.backwards else '▾'}"

    def _group(self, place: int, group: Group) -> Strip:
        """A group's line: its value in the room up to the first figure, then what its runs come to."""
        style = self.get_component_rich_style("run-table--group")
        if place == self.cursor:
            style = self._row_style(place, None)
        cells = [column.of_group(group) for column in self._columns]
        at = next((number for number, cell in enumerate(cells) if number > 1 and cell), len(cells))
        room = sum(column.width + 1 for column in self._columns[:at]) - 1
        sign = "▸" if group.id in self._folded else "▾"
        said = [fitted(f"{sign} {group.title}", room)]
        said += [fitted(cell, c.width, c.align) for c, cell in zip(self._columns[at:], cells[at:], strict=True)]
        return Strip([Segment(" ".join(said), style)]).extend_cell_length(self.size.width, style)

    def _line(self, place: int, row: RunRow) -> Strip:
        base = self._row_style(place, row)
        segments: list[Segment] = []
        for number, column in enumerate(self._columns):
            cell = fitted(column.text(row, column.width), column.width, column.align)
            if number == 0 and row.id in self.marked:
                cell = "●"
            segments.append(Segment(cell, self._tone(column, row, place) or base))
            segments.append(Segment(" ", base))
        return Strip(segments[:-1]).extend_cell_length(self.size.width, base)

    def _row_style(self, place: int, row: RunRow | None) -> Style:
        if place == self.cursor:
            return self.get_component_rich_style("run-table--cursor" if self.has_focus else "run-table--cursor-dim")
        if row is not None and row.id in self.marked:
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


def _sorts(column: Column) -> bool:
    """Whether one can sort by it."""
    return bool(column.field) or column.title in SORTS
