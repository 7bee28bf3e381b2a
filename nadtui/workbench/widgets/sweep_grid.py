"""The grid of a sweep: a line for each preset, a column for each defense, each cell shaded by what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nadtui.draw import colors
from nadtui.draw.sweep_pictures import hexadecimal, ink, shade
from nadtui.workbench import terminal
from nadtui.workbench.widgets.run_columns import fitted

if TYPE_CHECKING:
    from nadtui.runs.sweep_groups import Group
    from nadtui.runs.sweep_table import SweepTable
    from nadtui.runs.sweep_watch import SweepLook

Shown = Literal["both", "lost", "asr"]
VIEWS: dict[Shown, str] = {"both": "ACC lost and ASR left", "lost": "ACC lost", "asr": "ASR left"}
_WIDE: dict[Shown, int] = {"both": 13, "lost": 8, "asr": 8}
_SHADES = "░▒▓"
"""How much of a cell is done, where not all of it is."""
_HEAD = 1


class SweepGrid(ScrollView, can_focus=True):
    """Groups of cells by line and column, with a cursor."""

    HELP_GROUP = "Grid"
    BINDINGS: tuple[BindingType, ...] = (
        Binding("enter", "open", "Open", tooltip="The runs of this cell"),
        Binding("up,k", "move(-1, 0)", "Up", show=False),
        Binding("down,j", "move(1, 0)", "Down", show=False),
        Binding("left,h", "move(0, -1)", "Left", show=False),
        Binding("right,l", "move(0, 1)", "Right", show=False),
        Binding("home", "end(-1)", "First line", show=False),
        Binding("end", "end(1)", "Last line", show=False),
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sweep-grid--header",
        "sweep-grid--cursor",
        "sweep-grid--empty",
        "sweep-grid--failed",
    }
    DEFAULT_CSS = """
    SweepGrid {
        height: 1fr; background: transparent; scrollbar-size: 1 1;
        &>.sweep-grid--header { color: $text-muted; text-style: bold; }
        &>.sweep-grid--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
        &>.sweep-grid--empty { color: $text-muted; }
        &>.sweep-grid--failed { color: $text-error; }
    }
    """

    @dataclass
    class Moved(Message):
        """The cursor came to a group, or to a point that the sweep does not have."""

        group: Group | None

    @dataclass
    class Opened(Message):
        """A group was chosen."""

        group: Group

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look: SweepLook | None = None
        self._empty = "reading …"
        """What is said while there is no look."""
        self.view: Shown = "both"
        self.line = 0
        self.column = 0
        self._texts: dict[tuple[int, int], tuple[str, float | None]] = {}
        """What cells say and their ASR, as share, by line and column; those that were painted."""

    @property
    def group(self) -> Group | None:
        """What the cursor is on."""
        return None if self.look is None else self.look.report.table.groups.get((self.line, self.column))

    def show(self, look: SweepLook) -> None:
        """Show a newer look at the same sweep; the cursor stays where it is."""
        self.look = look
        table = look.report.table
        self.line, self.column = min(self.line, len(table.lines) - 1), min(self.column, len(table.columns) - 1)
        self._changed()

    def fail(self) -> None:
        """The sweep could not be looked at: nothing is to be waited for; cells that were shown stay."""
        self._empty = ""
        self.refresh()

    def turn(self, view: Shown) -> None:
        """Show other figures."""
        self.view = view
        self._changed()

    def _changed(self) -> None:
        self._texts.clear()
        if self.look is not None:
            table = self.look.report.table
            self.virtual_size = Size(self._first + self._wide * len(table.columns), _HEAD + len(table.lines))
        self.refresh()

    @property
    def _room(self) -> int:
        """Cells across, less what a scrollbar takes."""
        return self.scrollable_content_region.width or self.size.width

    @property
    def _first(self) -> int:
        """Cells of the first column, which names the lines."""
        assert self.look is not None
        table = self.look.report.table
        longest = max(map(len, [_named(table), *(" ".join(line) for line in table.lines)]))
        return min(longest + 1, max(12, self.size.width // 3))

    @property
    def _wide(self) -> int:
        """Cells of a column: its name is cut where it is longer, unless there is room."""
        assert self.look is not None
        columns = self.look.report.table.columns
        room = (self._room - self._first) // max(1, len(columns))
        return max(_WIDE[self.view], min(room, max(map(len, columns)) + 2))

    # --- the cursor ---

    def action_move(self, lines: int, columns: int) -> None:
        """Move the cursor."""
        if self.look is None:
            return
        table = self.look.report.table
        self._go(
            max(0, min(self.line + lines, len(table.lines) - 1)),
            max(0, min(self.column + columns, len(table.columns) - 1)),
        )

    def action_end(self, side: int) -> None:
        """To the first line, or the last."""
        if self.look is not None:
            self._go(0 if side < 0 else len(self.look.report.table.lines) - 1, self.column)

    def action_open(self) -> None:
        """Open what the cursor is on."""
        if self.group is not None:
            self.post_message(self.Opened(self.group))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click opens."""
        if self.look is None:
            return
        table = self.look.report.table
        line = int(self.scroll_offset.y) + event.y - _HEAD
        column = (int(self.scroll_offset.x) + event.x - self._first) // self._wide
        if event.y >= _HEAD and 0 <= line < len(table.lines) and 0 <= column < len(table.columns):
            self._go(line, column)
            if event.chain == 2:
                self.action_open()

    def _go(self, line: int, column: int) -> None:
        self.line, self.column = line, column
        left, wide = self._first + column * self._wide, self._wide
        x, y = self.scroll_offset
        inside = self._room - self._first
        if left - self._first < x:
            x = left - self._first
        elif left + wide - self._first > x + inside:
            x = left + wide - self._first - inside
        y = min(max(y, line - (self.size.height - _HEAD) + 1), line)
        self.scroll_to(x, y, animate=False, force=True, immediate=True)
        self.refresh()
        self.post_message(self.Moved(self.group))

    # --- what is painted ---

    def on_resize(self) -> None:
        """Columns are as wide as there is room."""
        self._changed()

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:
        """A scrollbar comes with a layout, after its lines: it takes room from the columns."""
        self._changed()

    def on_focus(self) -> None:
        """The cursor's color tells who has the keys."""
        self.refresh()

    on_blur = on_focus

    def render_line(self, y: int) -> Strip:
        """The head, which stays, or one line of cells; the first column stays as well."""
        width = self.size.width
        if self.look is None:
            said = self._empty if y == 0 else ""
            return Strip([Segment(fitted(said, width), self.get_component_rich_style("sweep-grid--empty"))])
        table = self.look.report.table
        line = y - _HEAD + int(self.scroll_offset.y)
        if y >= _HEAD and line >= len(table.lines):
            return Strip.blank(width, self.rich_style)
        head = self.get_component_rich_style("sweep-grid--header")
        first, wide = self._first, self._wide
        if y < _HEAD:
            name = Segment(fitted(_named(table), first - 1) + " ", head)
            cells = [Segment(fitted(column, wide - 1, "right") + " ", head) for column in table.columns]
        else:
            name = Segment(fitted(" ".join(table.lines[line]), first - 1) + " ", self.rich_style)
            cells = [self._cell(line, column, wide) for column in range(len(table.columns))]
        x = int(self.scroll_offset.x)
        moved = Strip(cells).crop(x, x + width - first)
        return Strip([name, *moved]).adjust_cell_length(width, self.rich_style)

    def _cell(self, line: int, column: int, wide: int) -> Segment:
        said, share = self._text(line, column)
        shown = fitted(said, wide - 1, "right") + " "
        if (line, column) == (self.line, self.column) and self.has_focus:
            return Segment(shown, self.get_component_rich_style("sweep-grid--cursor"))
        return Segment(shown, self._tone(said, share))

    def _tone(self, said: str, share: float | None) -> Style:
        if share is None or terminal.depth(self.app) in ("none", "16"):
            name = "sweep-grid--failed" if said == "failed" else "sweep-grid--empty"
            return self.get_component_rich_style(name) if share is None else self.rich_style
        dark = self.app.current_theme.dark
        level = round(min(1.0, max(0.0, share)) ** 0.5 * (colors.LEVELS - 1))
        # On dark ground little is dark; the upper end is left out: it is nearly white.
        color = colors.heat()[round(level * 0.8)] if dark else shade(share)
        return Style.parse(f"{ink(color)} on {hexadecimal(color)}")

    def _text(self, line: int, column: int) -> tuple[str, float | None]:
        if (line, column) not in self._texts:
            assert self.look is not None
            group = self.look.report.table.groups.get((line, column))
            self._texts[line, column] = ("", None) if group is None else self._said(group)
        return self._texts[line, column]

    def _said(self, group: Group) -> tuple[str, float | None]:
        """How much of a group is done, and its figures."""
        assert self.look is not None
        waiting = {row.cell for row in group.rows if not row.finished and not row.unfit}
        mark = "▲" if waiting.intersection(self.look.first) else ""
        if not group.done:
            return mark or ("n/a" if group.unfit else "failed" if group.failed else "·"), None
        part = "" if group.done == len(group.rows) else _SHADES[3 * group.done // len(group.rows)]
        lost, asr = group.mean("lost"), group.mean("asr")
        figures = {"lost": _points(lost), "asr": _points(asr), "both": f"{_points(lost)} {_points(asr):>5}"}
        return f"{mark}{part} {figures[self.view]}", None if asr is None else asr / 100


def _named(table: SweepTable) -> str:
    """The axes of the lines, fields by the last part of their path."""
    return " ".join(axis.rpartition(".")[2] for axis in table.down)


def _points(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 1) + 0.0:.1f}"
