"""Pictures in rows, all of one size, as large as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip

from nadtui.draw import colors, half_blocks, trigger_pictures
from nadtui.draw.half_blocks import Row
from nadtui.formatting import clean, cut_in_front
from nadtui.workbench import terminal
from nadtui.workbench.widgets.remeasured import Remeasured

LARGEST = 40
"""Side of a picture in cells beyond which it does not grow."""


@dataclass(frozen=True)
class Tile:
    """A picture with its caption: RGB bytes, or a map of bytes with its own top."""

    caption: str
    width: int
    height: int
    cells: bytes
    top: float = 0.0
    """Of a map the value of its brightest color; 0 = the cells are RGB."""
    short: str = ""
    """The caption where there is little room; empty = the same."""
    letters: tuple[bytes, int] | None = None
    """What letters show of it, a byte a pixel, and the byte of the darkest; None = its lightness."""


class Tiles(Remeasured):
    """Pictures in rows, all of one size, as large as there is room for."""

    DEFAULT_CSS = """
    Tiles { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[tuple[Tile, ...], ...] = ()
        self.most_lines = 40
        """Lines that the pictures should not exceed."""
        self._strips: list[Strip] = []
        self._drawn: object = None

    def show(self, rows: Sequence[Sequence[Tile]]) -> None:
        """Show these rows of pictures; a single row is broken where that makes its pictures larger."""
        wanted = tuple(map(tuple, rows))
        if wanted != self.rows:
            self.rows = wanted
            self.refresh(layout=True)

    def bound(self, lines: int) -> None:
        """Keep the pictures within so many lines."""
        if lines != self.most_lines:
            self.most_lines = lines
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the pictures need at that width."""
        return len(self._draw(width))

    def render_line(self, y: int) -> Strip:
        """A line of captions or pixels."""
        strips, style = self._draw(self.size.width), self.rich_style
        strip = strips[y].apply_style(style) if y < len(strips) else Strip.blank(self.size.width, style)
        return strip.crop_extend(0, self.size.width, style)

    @property
    def blocks(self) -> bool:
        """Whether this terminal and this person want half-blocks, else letters."""
        return terminal.in_blocks(self.app, self.app.settings.maps)

    def _draw(self, width: int) -> list[Strip]:
        wanted = (self.rows, width, self.most_lines, self.blocks)
        if wanted != self._drawn:
            self._strips = lay_out(self.rows, width, self.most_lines, blocks=self.blocks) if width > 0 else []
            self._drawn = wanted
        return self._strips


def lay_out(rows: Sequence[Sequence[Tile]], width: int, lines: int, *, blocks: bool = True) -> list[Strip]:
    """Rows of pictures as strips, of the largest size that `width` cells and, as far as possible, `lines` hold.

    A single row is broken into several where the pictures come out larger by that.
    """
    if not rows:
        return []
    across = max(map(len, rows))
    if len(rows) == 1:
        across, side, _ = trigger_pictures.arrange(across, width, lines)
        rows = [rows[0][start : start + across] for start in range(0, len(rows[0]), across)]
    else:
        side = min((width - across + 1) // across, 2 * max(2, lines // len(rows) - 1))
    side = max(4, min(side - side % 2, LARGEST))
    native = max(tile.width for row in rows for tile in row)
    side = native if native <= side < 2 * native and native % 2 == 0 else side  # pixels as they are, not blurred
    # Pictures stand as far apart as their captions want, where there is the room for it.
    longest = max(cell_len(clean(tile.caption)) for row in rows for tile in row)
    pitch = max(side, min(longest, (width - across + 1) // across))
    strips: list[Strip] = []
    for row in rows:
        captions = " ".join(_captioned(tile, pitch) for tile in row)
        strips.append(Strip([Segment(captions)]))
        for line in zip(*(_pixels(tile, side, blocks) for tile in row), strict=True):
            joined: list[Segment] = []
            for part in line:
                joined += [*part, Segment(" " * (pitch - side + 1))]
            strips.append(Strip(joined[:-1]))
    return strips


def _captioned(tile: Tile, width: int) -> str:
    """A picture's caption in so many cells: whole, in short, or with its end, which tells most, behind an ellipsis."""
    said = clean(tile.caption)
    if cell_len(said) > width and tile.short:
        said = clean(tile.short)
    return set_cell_size(said if cell_len(said) <= width else cut_in_front(said, width), width)


def _pixels(tile: Tile, side: int, blocks: bool) -> list[Row]:
    """A picture as `side // 2` rows of `side` cells: half-blocks, or letters where there is too little color."""
    size = tile.width, tile.height, side, side // 2
    if blocks and tile.top:
        return half_blocks.heat_rows(tile.cells, *size, colors.heat(), tile.top)
    if blocks:
        return half_blocks.image_rows(tile.cells, *size)
    cells, top = tile.letters or (tile.cells if tile.top else half_blocks.gray(tile.cells), tile.top or 255.0)
    return [[Segment(row)] for row in half_blocks.ascii_rows(cells, *size, top)]
