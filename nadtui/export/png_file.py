"""PNG: a run's attention maps, a row for each model, clean and triggered side by side, for every recorded sample."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import RequestError
from engine.events import AttentionCaptured, SampleShown
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import colors
from nadtui.draw.attention_maps import in_order
from nadtui.runs.digest import Report

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 96
"""Pixels of a map's side."""
GAP, LINE = 8, 16
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


def samples(view: RunView) -> list[int]:
    """The samples of which there are maps."""
    return sorted({sample for stage in view.stages.values() for sample, _ in stage.maps()})


def _bytes(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _picture(view: RunView, number: int) -> Image:
    from PIL import Image, ImageDraw

    rows = [(name, stage.maps(), stage.last_epoch) for name, stage in view.stages.items() if stage.maps()]
    taps = in_order({tap for _, maps, _ in rows for sample, tap in maps if sample == number})
    sample = view.samples.get(number)
    pair = 2 * SIDE + 2
    size = ((1 + len(taps)) * GAP + SIDE + len(taps) * (pair + GAP), LINE + len(rows) * (SIDE + LINE) + GAP)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, tap in enumerate(taps):
        pen.text((_left(place), 2), _ascii(f"{tap}: clean, triggered"), fill=_INK)
    for line, (name, maps, epoch) in enumerate(rows):
        top = LINE + line * (SIDE + LINE)
        pen.text((_left(0), top), _ascii(f"{name}, after epoch {epoch}"), fill=_INK)
        for place, tap in enumerate(taps):
            captured = maps.get((number, tap))
            if captured is not None:
                _paste_pair(sheet, captured, (_left(place), top + LINE))
    if sample is not None:
        pen.text((GAP, 2), _ascii(_title(view, sample)), fill=_INK)
        for line, (name, cells) in enumerate((("clean", sample.clean), ("triggered", sample.triggered))):
            if line < len(rows):
                top = LINE + line * (SIDE + LINE)
                pen.text((GAP, top), name, fill=_INK)
                picture = Image.frombytes("RGB", (sample.width, sample.height), cells)
                sheet.paste(_scaled(picture), (GAP, top + LINE))
    return sheet


def _left(place: int) -> int:
    return GAP + SIDE + GAP + place * (2 * SIDE + 2 + GAP)


def _title(view: RunView, sample: SampleShown) -> str:
    names = view.dataset.get("class_names")
    known = isinstance(names, Sequence) and 0 <= sample.label < len(names)
    return str(names[sample.label]) if known else f"class {sample.label}"


def _paste_pair(sheet: Image, captured: AttentionCaptured, corner: tuple[int, int]) -> None:
    """Clean and triggered on the one scale that they share."""
    from PIL import Image

    ramp = colors.heat()
    for place, cells in enumerate((captured.clean, captured.triggered)):
        rgb = b"".join(bytes(ramp[cell * (len(ramp) - 1) // 255]) for cell in cells)
        picture = Image.frombytes("RGB", (captured.width, captured.height), rgb)
        sheet.paste(_scaled(picture), (corner[0] + place * (SIDE + 2), corner[1]))


def _scaled(picture: Image) -> Image:
    """Undistorted, its pixels as they are, in a square of `SIDE`."""
    from PIL import Image

    factor = SIDE / max(picture.size)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.NEAREST)


def _ascii(said: str) -> str:
    """What the built-in font has letters for."""
    return formatting.clean(said)[:48].encode("ascii", "replace").decode()
