"""Tables in columns: their cells as wide as each other, since a `DataTable`'s own columns know no sides."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len

from nadtui.formatting import clean


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[list[str]]:
    """The rows, their head among them, as the terminal shows them: the columns `left` to the left, all others right."""
    told = [list(map(clean, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*told, strict=True)]
    return [
        [
            cell if place in left else " " * (width - cell_len(cell)) + cell
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in told
    ]
