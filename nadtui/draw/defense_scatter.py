"""A run's defenses as marks: what each lost of ACC against what it left of ASR."""

from __future__ import annotations

from collections.abc import Sequence

from nadtui.draw import colors
from nadtui.draw.sweep_pictures import Mark, Scatter
from nadtui.runs.side_by_side import Row


def scatter(rows: Sequence[Row], *, dark: bool = True) -> Scatter | None:
    """A mark, its letter, for each defense that is done and has both figures; None where there is none.

    The colors go by the letters, so that a mark keeps its own however the rows are sorted.
    """
    placed = [row for row in rows if row.letter and row.lost is not None and row.left is not None]
    marks = [Mark(row.defense, row.letter, row.lost, row.left, 0.0, 0.0) for row in placed]
    return Scatter(marks, {row.defense: color(row, dark=dark) for row in placed}) if marks else None


def color(row: Row, *, dark: bool) -> str:
    """The color of a defense's mark, as `#rrggbb`."""
    return colors.series(ord(row.letter) - ord("a"), dark=dark)
