"""Images and maps in a terminal: two pixels a cell as colored half-blocks, or letters of rising darkness.

Pure functions from bytes to rows of rich segments. A cell of a terminal is about twice as high as wide, so that a
half-block is a square pixel, and a letter stands for two.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from nadtui.draw.colors import LEVELS, RGB

RAMP = " .:-=+*#%@"
"""From none to most, where there is no color."""

Row = list[Segment]


def fit(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """The largest picture of `width` x `height` pixels that a box of cells holds undistorted, as (columns, rows)."""
    if min(width, height, columns, rows) < 1:
        return 0, 0
    scale = min(columns / width, 2 * rows / height)
    return max(1, min(columns, round(width * scale))), max(1, min(rows, round(height * scale / 2)))


def resample(cells: Sequence[float] | bytes, width: int, height: int, columns: int, rows: int) -> list[list[float]]:
    """`height` x `width` numbers as `rows` x `columns` ones, each the mean of the area it covers."""
    across, down = _spans(width, columns), _spans(height, rows)
    squeezed = []
    for y in range(height):
        line = cells[y * width : (y + 1) * width]
        squeezed.append([sum(line[x] * share for x, share in span) for span in across])
    return [[sum(squeezed[y][column] * share for y, share in span) for column in range(columns)] for span in down]


@lru_cache(maxsize=512)
def _spans(source: int, target: int) -> tuple[tuple[tuple[int, float], ...], ...]:
    """For each target place the source places that it covers, with the share of each; the shares sum to 1."""
    size = source / target
    spans = []
    for place in range(target):
        low, high = place * size, (place + 1) * size
        parts = []
        for at in range(int(low), min(source, int(high) + 1)):
            share = (min(high, at + 1) - max(low, at)) / size
            if share > 1e-9:
                parts.append((at, share))
        spans.append(tuple(parts))
    return tuple(spans)


def heat_rows(
    cells: bytes, width: int, height: int, columns: int, rows: int, colors: Sequence[RGB], top: float = 255.0
) -> list[Row]:
    """A map of bytes as half-blocks; `top` is the value that gets the last of the `LEVELS` colors."""
    levels = [
        [max(0, min(LEVELS - 1, round(value / top * (LEVELS - 1)))) for value in line]
        for line in resample(cells, width, height, columns, 2 * rows)
    ]
    styles = _styles(tuple(colors))
    return [_joined([styles(a, b) for a, b in zip(levels[2 * y], levels[2 * y + 1], strict=True)]) for y in range(rows)]


def _joined(styles: list[Style]) -> Row:
    """Half-blocks with these styles, equal neighbors in one segment."""
    row: Row = []
    start = 0
    for place in range(1, len(styles) + 1):
        if place == len(styles) or styles[place] is not styles[start]:
            row.append(Segment("▀" * (place - start), styles[start]))
            start = place
    return row


@lru_cache(maxsize=8)
def _styles(colors: tuple[RGB, ...]):  # -> Callable[[int, int], Style]
    @cache
    def style(upper: int, lower: int) -> Style:
        return Style(color=Color.from_rgb(*colors[upper]), bgcolor=Color.from_rgb(*colors[lower]))

    return style


def ascii_rows(cells: bytes, width: int, height: int, columns: int, rows: int, top: float = 255.0) -> list[str]:
    """A map of bytes as letters of `RAMP`; `top` is the value that gets the last of them."""
    last = len(RAMP) - 1
    return [
        "".join(RAMP[max(0, min(last, round(value / top * last)))] for value in line)
        for line in resample(cells, width, height, columns, rows)
    ]


def image_rows(rgb: bytes, width: int, height: int, columns: int, rows: int) -> list[Row]:
    """An image, RGB bytes row by row, as half-blocks."""
    red, green, blue = (resample(rgb[part::3], width, height, columns, 2 * rows) for part in range(3))
    return [
        _joined(
            [
                _pair(
                    _pixel(red, green, blue, x, 2 * y),
                    _pixel(red, green, blue, x, 2 * y + 1),
                )
                for x in range(columns)
            ]
        )
        for y in range(rows)
    ]


def _pixel(red: list[list[float]], green: list[list[float]], blue: list[list[float]], x: int, y: int) -> RGB:
    return round(red[y][x]), round(green[y][x]), round(blue[y][x])


@lru_cache(maxsize=16_384)
def _pair(upper: RGB, lower: RGB) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def gray(rgb: bytes) -> bytes:
    """The lightness of an image's pixels (Rec. 601), for where there is no color."""
    return bytes(
        round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in zip(rgb[0::3], rgb[1::3], rgb[2::3], strict=True)
    )


def difference(one: bytes, other: bytes) -> bytes:
    """`other` - `one`, byte by byte, halved and shifted: 128 = the same, 255 = 254 more, 0 = 256 less."""
    return bytes(max(0, min(255, 128 + round((b - a) / 2))) for a, b in zip(one, other, strict=True))


def distance(one: bytes, other: bytes) -> bytes:
    """|`other` - `one`|, byte by byte."""
    return bytes(abs(b - a) for a, b in zip(one, other, strict=True))
