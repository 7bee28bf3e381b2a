"""One map or one picture as lines of a terminal, undistorted in the box it is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rich.segment import Segment
from rich.style import Style

from engine.events import AttentionCaptured
from nadtui.draw import colors, half_blocks

Which = Literal["clean", "triggered", "difference"]
Line = list[Segment]

GAP = 2
"""Columns between two taps, or two maps that stand apart."""
LARGEST = 64
"""Columns beyond which one map does not grow."""
SMALLEST = 4
"""Columns below which a map says nothing."""


@dataclass(frozen=True)
class Look:
    """How maps are drawn."""

    blocks: bool = True
    """Half-blocks, else letters."""
    dark: bool = True
    base: Style = field(default_factory=Style)


def picture_lines(rgb: bytes, width: int, height: int, columns: int, rows: int, look: Look) -> list[Line]:
    """An image in a box of that size, undistorted, filled up with blanks."""
    across, down = half_blocks.fit(width, height, columns, rows)
    if look.blocks:
        drawn = half_blocks.image_rows(rgb, width, height, across, down)
        lines = [[Segment(each.text, each.style) for each in row] for row in drawn]
    else:
        letters = half_blocks.ascii_rows(half_blocks.gray(rgb), width, height, across, down)
        lines = [[Segment(row, look.base)] for row in letters]
    return _boxed(lines, across, columns, rows, look)


def map_lines(capture: AttentionCaptured, which: Which, columns: int, rows: int, look: Look) -> list[Line]:
    """One map in a box of that size, undistorted, on the scale that clean and triggered share."""
    size = capture.width, capture.height
    across, down = half_blocks.fit(*size, columns, rows)
    cells = {"clean": capture.clean, "triggered": capture.triggered}.get(which)
    if not look.blocks:
        shown = cells if cells is not None else half_blocks.distance(capture.clean, capture.triggered)
        letters = half_blocks.ascii_rows(shown, *size, across, down)
        return _boxed([[Segment(row, look.base)] for row in letters], across, columns, rows, look)
    if cells is None:
        cells, ramp = half_blocks.difference(capture.clean, capture.triggered), colors.diverging(dark=look.dark)
    else:
        ramp = colors.heat()
    return _boxed(half_blocks.heat_rows(cells, *size, across, down, ramp), across, columns, rows, look)


def _boxed(lines: list[Line], across: int, columns: int, rows: int, look: Look) -> list[Line]:
    pad = [Segment(" " * (columns - across), look.base)] if columns > across else []
    boxed = [[*line, *pad] for line in lines]
    return boxed + [[Segment(" " * columns, look.base)] for _ in range(rows - len(boxed))]


def cut(said: str, width: int) -> str:
    """A text in exactly so many columns."""
    return said[:width].ljust(max(0, width))


def window(every: int, count: int, chosen: int) -> range:
    """`count` places in a row of all, the chosen one among them: the first ones, as far as it lies within."""
    first = min(max(0, chosen - count + 1), every - count)
    return range(first, first + count)
