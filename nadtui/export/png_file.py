"""PNG: a run's attention maps, a row for each model, clean and triggered side by side, for every recorded sample.

Without a trigger the clean maps stand alone.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.events import AttentionCaptured
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import colors
from nadtui.draw.attention_maps import class_name, models_of, samples, taps_of
from nadtui.runs.digest import Report

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 96
"""Pixels of a map's side."""
GAP, LINE, LETTER = 8, 16, 6
_INK, _PAPER = (28, 33, 39), (255, 255, 255)


def render(report: Report) -> bytes:
    """The maps of all recorded samples, one below the other.

    Raises:
        RequestError: the run has recorded no maps.
    """
    pictures = [_picture(report.view, number) for number in samples(report.view)]
    if not pictures:
        raise RequestError(f"{report.view.run}: no attention maps are recorded, so there is nothing to draw")
    from PIL import Image

    sheet = Image.new("RGB", (max(each.width for each in pictures), sum(each.height for each in pictures)), _PAPER)
    top = 0
    for each in pictures:
        sheet.paste(each, (0, top))
        top += each.height
    return _bytes(sheet)


def render_sample(view: RunView, number: int) -> bytes:
    """The maps of one sample."""
    return _bytes(_picture(view, number))


def _bytes(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _picture(view: RunView, number: int) -> Image:
    from PIL import Image, ImageDraw

    models = [(title, stage) for title, stage in models_of(view) if stage.maps()]
    taps = taps_of(view, models)
    shown = ("clean", "triggered") if view.attacked else ("clean",)
    left = [_left(place, len(shown)) for place in range(len(taps) + 1)]
    sheet = Image.new("RGB", (left[-1], LINE + len(models) * (SIDE + LINE) + GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for corner, tap in zip(left, taps, strict=False):
        pen.text((corner, 2), _ascii(f"{tap}: {', '.join(shown)}", (left[1] - left[0] - GAP) // LETTER), fill=_INK)
    for line, (title, stage) in enumerate(models):
        top = LINE + line * (SIDE + LINE)
        pen.text((left[0], top), _ascii(f"{title}, after epoch {stage.last_epoch}"), fill=_INK)
        for corner, tap in zip(left, taps, strict=False):
            captured = stage.maps().get((number, tap))
            if captured is not None:
                _paste_maps(sheet, captured, (corner, top + LINE))
    sample = view.samples.get(number)
    if sample is not None:
        pen.text((GAP, 2), _ascii(class_name(view, sample)), fill=_INK)
        for line, name in enumerate(shown[: len(models)]):
            top = LINE + line * (SIDE + LINE)
            pen.text((GAP, top), name, fill=_INK)
            picture = Image.frombytes("RGB", (sample.width, sample.height), getattr(sample, name))
            sheet.paste(_scaled(picture), (GAP, top + LINE))
    return sheet


def _left(place: int, maps: int = 2) -> int:
    """Where a tap's column of so many maps begins."""
    return GAP + SIDE + GAP + place * (maps * (SIDE + 2) - 2 + GAP)


def _paste_maps(sheet: Image, captured: AttentionCaptured, corner: tuple[int, int]) -> None:
    """Clean and, if there is one, triggered, on the one scale that they share."""
    from PIL import Image

    ramp = colors.heat()
    for place, cells in enumerate(filter(None, (captured.clean, captured.triggered))):
        rgb = b"".join(bytes(ramp[cell * (len(ramp) - 1) // 255]) for cell in cells)
        picture = Image.frombytes("RGB", (captured.width, captured.height), rgb)
        sheet.paste(_scaled(picture), (corner[0] + place * (SIDE + 2), corner[1]))


def _scaled(picture: Image) -> Image:
    """Undistorted, its pixels as they are, in a square of `SIDE`."""
    from PIL import Image

    factor = SIDE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.NEAREST)


def _ascii(said: str, width: int = 48) -> str:
    """What the built-in font has letters for, in at most so many of them."""
    return formatting.clean(said)[:width].encode("ascii", "replace").decode()
