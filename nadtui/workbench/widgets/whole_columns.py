"""A table that shows no column by half: half a number is a wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import DataTable

from nadtui.formatting import plural

NOTHING = ("–", "")
"""Cells that say nothing."""


@dataclass(frozen=True)
class Shown:
    """Which of a table's columns are shown, by their places, and what of the others is to be said."""

    columns: tuple[int, ...]
    before: int = 0
    after: int = 0
    empty: tuple[int, ...] = ()
    """Those left out because they say nothing."""


def shown(widths: Sequence[int], empty: Sequence[int], kept: int, first: int, room: int) -> Shown:
    """The columns that have room: the `kept` ones in front, then whole ones from the `first` of the others on.

    Where not all have room, the `empty` ones are left out before any other.
    """
    if sum(widths) <= room:
        return Shown(tuple(range(len(widths))))
    others = [place for place in range(kept, len(widths)) if place not in empty]
    left = room - sum(widths[:kept])

    def fitting(start: int) -> int:
        used = count = 0
        for place in others[start:]:
            used += widths[place]
            if used > left:
                break
            count += 1
        return max(1, count)

    last = next((start for start in range(len(others)) if start + fitting(start) >= len(others)), 0)
    start = min(first, last)
    seen = others[start : start + fitting(start)]
    return Shown((*range(kept), *seen), start, len(others) - start - len(seen), tuple(empty))


class WholeColumns(DataTable[Text]):
    """Columns that have no room are left out until left and right turn to them; those in front stay."""

    HELP_GROUP = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Columns before", show=False),
        Binding("right", "turn(1)", "Further columns", show=False),
    ]

    @dataclass
    class Turned(Message):
        """Other columns are shown; what is to be said of those that are not."""

        said: str

    def __init__(self, *, kept: int, id: str | None = None) -> None:
        """`kept` columns in front always stay."""
        super().__init__(id=id, cursor_type="row", zebra_stripes=True, fixed_columns=kept)
        self._kept, self._first = kept, 0
        self._rows: list[list[Text]] = []
        self._shown = Shown(())

    def show(self, rows: Sequence[Sequence[Text]], cursor: int) -> None:
        """Show these rows, their head in front, with the cursor on that one of them."""
        self._rows = [list(row) for row in rows]
        self._fill(cursor)

    def on_resize(self) -> None:
        """As many columns as there is room for now."""
        if self._rows:
            self._fill(self.cursor_row)

    def action_turn(self, step: int) -> None:
        """The columns one further, or one back."""
        self._first = max(0, self._shown.before + step)
        if self._fitting() != self._shown:
            self._fill(self.cursor_row)

    @property
    def _room(self) -> int:
        scrolled = len(self._rows) > self.size.height
        return self.size.width - scrolled * self.styles.scrollbar_size_vertical

    def _fitting(self) -> Shown:
        columns = list(zip(*self._rows, strict=True))
        widths = [max(cell.cell_len for cell in column) + 2 * self.cell_padding for column in columns]
        empty = [
            place
            for place, (_, *cells) in enumerate(columns)
            if place >= self._kept and all(str(cell).strip() in NOTHING for cell in cells)
        ]
        return shown(widths, empty, self._kept, self._first, self._room)

    def _fill(self, cursor: int) -> None:
        self._shown = self._fitting()
        room = self._room - sum(
            max(row[place].cell_len for row in self._rows) + 2 * self.cell_padding for place in range(self._kept)
        )
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            for at, row in enumerate(self._rows):
                cells = [row[place].copy() for place in self._shown.columns]
                if len(cells) == self._kept + 1 and room > 2 * self.cell_padding:  # it may be wider than all the room
                    cells[-1].truncate(room - 2 * self.cell_padding, overflow="ellipsis")
                if at:
                    self.add_row(*cells)
                else:
                    self.add_columns(*cells)
            self.move_cursor(row=cursor)
        self.post_message(self.Turned(self._said()))

    def _said(self) -> str:
        before, after = self._shown.before, self._shown.after
        parts = [f"← {plural(before, 'column')}"] * bool(before) + [f"{plural(after, 'column')} →"] * bool(after)
        if self._shown.empty:
            parts.append(f"empty: {', '.join(str(self._rows[0][place]).strip() for place in self._shown.empty)}")
        return " · ".join(parts)
