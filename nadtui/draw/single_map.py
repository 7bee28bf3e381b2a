"""One model's maps at one tap alone, with their numbers, among those of all models and taps."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style

from engine.events import AttentionCaptured, SampleShown
from nadtui import formatting
from nadtui.draw.attention_maps import Maps
from nadtui.draw.footprint import coverage, heading, shares, stride
from nadtui.draw.map_lines import GAP, LARGEST, SMALLEST, Line, Look, Which, cut, map_lines, window

SHARES = 15
"""Columns that two shares and a gap want."""


def compose(maps: Maps, width: int, height: int, look: Look) -> list[Line]:
    """The chosen cell, and the shares of attention in the footprint, as at most `height` lines."""
    assert maps.selected is not None
    number, place = maps.selected
    row, place = maps.rows[min(number, len(maps.rows) - 1)], min(place, len(maps.taps) - 1)
    capture = row.maps[place] if row.maps else None
    said = f"{row.title} · {maps.taps[place]}"
    title = "  ".join(part for part in (said, row.when, row.answers, _of_sample(maps)) if part)
    lines: list[Line] = [[Segment(formatting.clean(title), look.base + Style(bold=True))]]
    table = _shares(maps, width, look)
    if capture is None:
        return [*lines, [], [Segment("no map of this model yet", look.base)], [], *table][:height]
    facts = _facts(capture, maps.sample)
    side = min((width - 2 * GAP) // 3, 2 * (height - 3 - len(facts) - len(table)), LARGEST)
    if side >= SMALLEST:
        lines += _apart(capture, side, look)
    return [*lines, *([Segment(said, look.base)] for said in facts), [], *table][:height]


def _of_sample(maps: Maps) -> str:
    return "" if maps.sample is None else f"sample {maps.sample.sample + 1}: {maps.label}"


def _apart(capture: AttentionCaptured, side: int, look: Look) -> list[Line]:
    """Clean, triggered and their difference side by side, as far as there are such."""
    heads: dict[Which, str] = {"clean": "clean"}
    if capture.triggered:
        heads["triggered"] = "triggered"
        difference = "triggered − clean" if look.blocks else "|triggered − clean|"
        heads["difference"] = difference if len(difference) <= side else "difference"
    gap = Segment(" " * GAP, look.base)
    parts = [
        [[Segment(cut(head, side), look.base + Style(dim=True))], *map_lines(capture, name, side, side // 2, look)]
        for name, head in heads.items()
    ]
    return [[piece for part in line for piece in (*part, gap)] for line in zip(*parts, strict=True)]


def _facts(capture: AttentionCaptured, sample: SampleShown | None) -> list[str]:
    said = f"{capture.width}×{capture.height} · peak {formatting.number(capture.peak)}"
    if sample is None or not sample.triggered:
        return [said]
    by = stride(sample, capture.width, capture.height)
    return [
        f"{said} · the trigger's footprint covers {100 * coverage(sample):.0f} % of the image",
        f"{100 * coverage(sample, by):.0f} % with {formatting.plural(by, 'pixel')} around it, the stride of this tap",
    ]


def _shares(maps: Maps, width: int, look: Look) -> list[Line]:
    """Share of attention inside the trigger's footprint, by model and tap, clean → triggered."""
    if maps.sample is None or not maps.sample.triggered:
        return []
    wide = max((len(row.title) for row in maps.rows), default=0) + 2
    every = len(maps.taps)
    count = max(1, min(every, (width - wide) // SHARES))
    shown = window(every, count, maps.selected[1] if maps.selected else 0)
    room = max(1, min(20, (width - wide) // count))
    head = "".join(f"{formatting.cut_in_front(maps.taps[place], room - 1):>{room}}" for place in shown)
    lines: list[Line] = [
        [Segment(heading(width), look.base + Style(dim=True))],
        [Segment(" " * wide + head, look.base + Style(dim=True))],
    ]
    for number, row in enumerate(maps.rows):
        line = [Segment(formatting.clean(row.title).ljust(wide), look.base)]
        for place in shown:
            capture = row.maps[place] if row.maps else None
            style = look.base + Style(bold=maps.selected == (number, place))
            line.append(Segment(f"{shares(capture, maps.sample):>{room}}", style))
        lines.append(line)
    return lines
