"""A trigger as three pictures, clean, triggered and their difference: how they are laid out, as text and as a file."""

from __future__ import annotations

import io
from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from engine.attacks.preview import TriggerPreview
from nadtui.draw import half_blocks

GAP = 2
"""Columns between two pictures in a text."""
LARGEST = 32
"""Columns of a picture in a text at most."""
SCALE = 6
"""Pixels of a file for each pixel of a picture."""


@dataclass(frozen=True)
class Picture:
    """An RGB image: `width` x `height` pixels, three bytes each, row by row."""

    width: int
    height: int
    rgb: bytes

    def __post_init__(self) -> None:
        if len(self.rgb) != 3 * self.width * self.height or not self.rgb:
            raise ValueError(f"{len(self.rgb)} bytes are no {self.width}x{self.height} picture")


def difference(clean: Picture, triggered: Picture) -> tuple[Picture, float]:
    """What the trigger changes, around mid-gray and as bright as can be, and the factor by which it was raised.

    A channel without change is 128; the largest change becomes 0 or 255. The factor is 1 where nothing changes.
    """
    changes = [after - before for before, after in zip(clean.rgb, triggered.rgb, strict=True)]
    largest = max(map(abs, changes))
    factor = 127 / largest if largest else 1.0
    return Picture(clean.width, clean.height, bytes(round(128 + factor * change) for change in changes)), factor


def triptych(preview: TriggerPreview) -> list[tuple[str, Picture]]:
    """The three pictures of a trigger with their captions: clean, triggered, difference."""
    clean = Picture(preview.width, preview.height, preview.clean)
    triggered = Picture(preview.width, preview.height, preview.triggered)
    changed, factor = difference(clean, triggered)
    times = f" ×{factor:.0f}" if factor >= 1.5 else ""
    whose = f", zoo {preview.source}" if preview.source else ""
    return [(preview.label, clean), (f"triggered{whose}", triggered), (f"difference{times}", changed)]


def arrange(count: int, width: int, height: int, *, caption: int = 1, gap: int = 1) -> tuple[int, int, int]:
    """How to lay out `count` square pictures in `width` x `height` cells: (a row, pixel side, rows).

    A cell is one pixel wide and two high; each row of pictures has `caption` lines above it. The side is the largest
    that fits, at least 4 pixels and even.
    """
    best = (1, 4, count)
    for across in range(1, count + 1):
        down = -(-count // across)
        side = min((width - gap * (across - 1)) // across, 2 * (height // down - caption))
        side -= side % 2
        if side > best[1]:
            best = (across, side, down)
    return best


def as_text(preview: TriggerPreview, width: int, *, color: bool) -> Group:
    """The three pictures with their captions, in half-blocks or as letters behind `#`.

    They stand side by side or, where `width` columns do not hold them, one above the other.
    """
    tiles = triptych(preview)
    prefix = "" if color else "# "
    across, side, _ = arrange(len(tiles), min(width - len(prefix), 3 * LARGEST + 2 * GAP), LARGEST, gap=GAP)
    side = min(side, LARGEST)
    lines: list[Text] = []
    for start in range(0, len(tiles), across):
        shown = tiles[start : start + across]
        columns = [
            [Text(caption[:side].ljust(side)), *(_blocks(tile, side) if color else _letters(preview, number, side))]
            for number, (caption, tile) in enumerate(shown, start)
        ]
        for row in zip(*columns, strict=True):
            lines.append(Text(prefix) + Text(" " * GAP).join(row))
    return Group(*lines)


def _blocks(tile: Picture, side: int) -> list[Text]:
    rows = half_blocks.image_rows(tile.rgb, tile.width, tile.height, side, side // 2)
    return [Text.assemble(*((segment.text, segment.style or "") for segment in row)) for row in rows]


def as_letters(preview: TriggerPreview) -> list[tuple[bytes, int]]:
    """What letters show of the three pictures, a byte a pixel, and the byte of the darkest letter: lightness; of the
    difference, which around mid-gray would be one letter all over, its size."""
    clean, triggered = half_blocks.gray(preview.clean), half_blocks.gray(preview.triggered)
    changed = half_blocks.distance(clean, triggered)
    return [(clean, 255), (triggered, 255), (changed, max(1, *changed))]


def _letters(preview: TriggerPreview, number: int, side: int) -> list[Text]:
    cells, top = as_letters(preview)[number]
    rows = half_blocks.ascii_rows(cells, preview.width, preview.height, side, side // 2, top)
    return [Text(row) for row in rows]


def as_png(preview: TriggerPreview) -> bytes:
    """The three pictures with their captions, as a PNG file."""
    from PIL import Image, ImageDraw

    tiles = triptych(preview)
    line, gap = 16, 8
    wide, high = tiles[0][1].width * SCALE, tiles[0][1].height * SCALE
    sheet = Image.new("RGB", (len(tiles) * (wide + gap) + gap, line + high + gap), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for place, (caption, tile) in enumerate(tiles):
        left = gap + place * (wide + gap)
        pen.text((left, 2), caption.replace("×", "x").encode("ascii", "replace").decode(), fill=(28, 33, 39))
        pixels = Image.frombytes("RGB", (tile.width, tile.height), tile.rgb)
        sheet.paste(pixels.resize((wide, high), Image.Resampling.NEAREST), (left, line))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
