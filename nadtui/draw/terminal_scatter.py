"""A scatter in the terminal: marks by their letters in the frame that charts have. Free of textual and torch."""

from __future__ import annotations

from nadtui import formatting
from nadtui.draw.sweep_pictures import Mark, Scatter
from nadtui.draw.terminal_plot import GUTTER, place_on, x_axis, y_marks

Cell = tuple[str, str | None]
"""A character, and the series that it belongs to: empty = the axes', None = nobody's."""


def draw(scatter: Scatter, width: int, height: int) -> list[list[Cell]]:
    """The marks in `height` rows of `width` cells, each with its name where there is room beside it.

    A mark whose cell is taken stands in the nearest free one.
    """
    low, high, bottom, top = scatter.ranges
    lines = max(1, height - 2)
    labels = y_marks(bottom, top, lines, False)
    left = max([GUTTER, *map(len, labels.values())]) + 1
    columns = max(1, width - left)
    canvas: list[list[Cell]] = [[(" ", None)] * columns for _ in range(lines)]
    placed = []
    for mark in scatter.marks:
        column = place_on(mark.x, low, high, columns) or 0
        line = lines - 1 - (place_on(mark.y, bottom, top, lines) or 0)
        found = _free(canvas, line, column)
        if found is not None:
            canvas[found[0]][found[1]] = (mark.label, mark.series)
            placed.append((mark, *found))
    for mark, line, column in placed:
        _name(canvas[line], mark, column)
    rows: list[list[Cell]] = []
    for line in range(lines):
        label = labels.get(line, "")
        edge = f"{label:>{left - 1}}{'┤' if label else '│'}"
        rows.append([(letter, "") for letter in edge] + canvas[line])
    rows += [[(letter, "") for letter, _ in row] for row in x_axis(low, high, left, columns)]
    return [row[:width] for row in rows[:height]]


def _free(canvas: list[list[Cell]], line: int, column: int) -> tuple[int, int] | None:
    """The free cell that is nearest to a place, to the right of it before others; None where there is none."""
    cells = ((y, x) for y, row in enumerate(canvas) for x, cell in enumerate(row) if cell[0] == " ")
    # A line is about as high as two columns are wide.
    return min(cells, key=lambda cell: (abs(cell[1] - column) + 2 * abs(cell[0] - line), -cell[1]), default=None)


def _name(row: list[Cell], mark: Mark, column: int) -> None:
    """Write a mark's name beside it, to the right or else to the left, where nothing else stands there."""
    name = formatting.clean(mark.series)
    for start in (column + 2, column - 1 - len(name)):
        around = range(start - 1, start + len(name) + 1)
        if all(place == column or _blank(row, place) for place in around) and _inside(row, start, len(name)):
            row[start : start + len(name)] = [(letter, mark.series) for letter in name]
            return


def _blank(row: list[Cell], place: int) -> bool:
    """Whether nothing stands there; beside the canvas nothing does."""
    return not 0 <= place < len(row) or row[place][0] == " "


def _inside(row: list[Cell], start: int, length: int) -> bool:
    return start >= 0 and start + length <= len(row)
