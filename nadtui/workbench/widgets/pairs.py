"""Names with what they stand for, in two columns: what is longer goes on in its own column, never under the names."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from nadtui.formatting import clean


def pairs(rows: Iterable[tuple[str, str]], *, style: str = "dim", width: int | None = None) -> Table:
    """The rows, names in `style` and as wide as the longest or, if that is given, at least `width` cells."""
    table = Table.grid(padding=(0, 1))
    table.add_column(style=style, no_wrap=True, min_width=width)
    table.add_column(overflow="fold")
    for name, said in rows:
        table.add_row(clean(name), clean(said))
    return table
