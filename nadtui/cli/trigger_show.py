"""A preset's trigger on the command line: clean image, triggered image and their difference, drawn or as a PNG file."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.storage.paths import write_atomically
from nadtui.cli import output
from nadtui.draw import colors, half_blocks, trigger_pictures

if TYPE_CHECKING:
    from rich.console import RenderableType

    from engine.attacks.base import Attack
    from engine.attacks.preview import TriggerPreview

GAP = 2
"""Columns between two pictures."""
LARGEST = 32
"""Columns of a picture at most."""
SCALE = 6
"""Pixels of the PNG file for each pixel of a picture."""


def draw(attack: Attack) -> None:
    """Draw the trigger on standard output: in color where a terminal has it, else as text in YAML comments.

    Raises:
        RequestError: the trigger cannot be drawn.
    """
    from rich.console import Console

    preview = trigger_pictures.preview(attack)
    depth = colors.depth(Console(file=sys.stdout).color_system) if sys.stdout.isatty() else "none"
    output.show(lambda width: picture(preview, width, color=depth != "none"))


def picture(preview: TriggerPreview, width: int, *, color: bool) -> RenderableType:
    """The three pictures with their captions, side by side or, where `width` columns do not hold them, stacked."""
    from rich.console import Group
    from rich.text import Text

    tiles = trigger_pictures.triptych(preview)
    prefix = "" if color else "# "
    across, side, _ = trigger_pictures.arrange(
        len(tiles), min(width - len(prefix), 3 * LARGEST + 2 * GAP), LARGEST, gap=GAP
    )
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


def _blocks(tile: trigger_pictures.Picture, side: int):  # -> list[Text]
    from rich.text import Text

    rows = half_blocks.image_rows(tile.rgb, tile.width, tile.height, side, side // 2)
    return [Text.assemble(*((segment.text, segment.style or "") for segment in row)) for row in rows]


def _letters(preview: TriggerPreview, number: int, side: int):  # -> list[Text]
    """Lightness as letters; of the difference its size, amplified until the largest is the darkest letter."""
    from rich.text import Text

    clean, triggered = half_blocks.gray(preview.clean), half_blocks.gray(preview.triggered)
    cells = (clean, triggered, half_blocks.distance(clean, triggered))[number]
    top = max(1, *cells) if number == 2 else 255
    rows = half_blocks.ascii_rows(cells, preview.width, preview.height, side, side // 2, top)
    return [Text(row) for row in rows]


def write_png(attack: Attack, file: Path) -> None:
    """The three pictures as a PNG file.

    Raises:
        RequestError: the trigger cannot be drawn, or the file not be written.
    """
    from PIL import Image, ImageDraw

    if file.is_dir():
        raise RequestError(f"--png {file}: a folder, not a file")
    tiles = trigger_pictures.triptych(trigger_pictures.preview(attack))
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
    write_atomically(file, buffer.getvalue())
    output.line(f"{file}: {', '.join(caption for caption, _ in tiles)}")
