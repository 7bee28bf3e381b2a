"""All maps at once: models below each other, taps beside each other, clean and triggered on one scale.

`compose` is a pure function of a `Maps`. Where not all taps have room, those around the chosen cell are shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from engine.events import AttentionCaptured
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import colors, footprint, half_blocks, single_map
from nadtui.draw.attention_maps import Maps, ModelMaps, ViewMode, models_of
from nadtui.draw.map_lines import GAP, LARGEST, SMALLEST, Line, Look, cut, map_lines, picture_lines, window

LEGIBLE = 8
"""Columns below which many models or many taps are rather shown in parts."""


@dataclass(frozen=True)
class Fit:
    """What of the maps has room, and how large."""

    side: int
    """Columns of one map."""
    taps: range
    """Places of the taps that are shown."""
    heads: int = 1
    """Lines above the first model: the taps and, where there is room, which map is clean and which triggered."""
    shares: bool = False
    """Whether below each map stands what of its attention lies in the trigger's footprint."""

    @property
    def pitch(self) -> int:
        """Lines from one model to the next: its name, its maps, their shares."""
        return 1 + self.side // 2 + self.shares


def compose(maps: Maps, width: int, height: int, look: Look) -> list[Line]:
    """The grid as `height` lines of at most `width` columns."""
    if not any(any(row.maps) for row in maps.rows):
        why = maps.rows[0].when if maps.operator and maps.rows else "no attention maps recorded yet"
        return _centered(formatting.clean(why), width, height, look)
    if maps.maximized and maps.selected is not None:
        return single_map.compose(maps, width, height, look)
    fit = fitted(maps, width, height)
    if fit.side < SMALLEST:
        return _centered("too small for the maps: enlarge the window", width, height, look)
    lines: list[Line] = [_heading(maps, fit, look)]
    if fit.heads > 1:
        lines.append(_which(fit, look))
    picture = _sample_column(maps, fit.side, look)
    for number, row in enumerate(maps.rows):
        lines += _row(maps, number, row, fit, picture[number], width, look)
        if fit.shares:
            lines.append(_share_line(maps, row, fit, look))
    if fit.shares:
        lines.append([Segment(footprint.heading(width), look.base + Style(dim=True))])
    return lines[:height]


def fitted(maps: Maps, width: int, height: int) -> Fit:
    """All taps where their maps are legible, else as many as are, the chosen one among them.

    What stands beside the maps may make them smaller, but not illegible.
    """
    best = _fit(maps, width, height, heads=1, shares=False)
    least = min(best.side, LEGIBLE)
    if maps.view == "both":
        labelled = _fit(maps, width, height, heads=2, shares=False)
        best = labelled if labelled.side >= least else best
    if maps.sample is not None and maps.sample.triggered:
        counted = _fit(maps, width, height, heads=best.heads, shares=True)
        if counted.side >= LEGIBLE and _wide(maps.view, counted.side) >= footprint.WIDEST:
            best = counted
    return best


def _fit(maps: Maps, width: int, height: int, *, heads: int, shares: bool) -> Fit:
    tall = 2 * rows_of_one(len(maps.rows), height, heads + shares, 1 + shares)
    wanted = min(LEGIBLE, tall)
    every = len(maps.taps)
    count = next((count for count in range(every, 1, -1) if _side(maps.view, count, width) >= wanted), min(every, 1))
    side = min(LARGEST, _side(maps.view, count, width), tall)
    taps = window(every, count, maps.selected[1] if maps.selected else 0)
    return Fit(side - side % 2, taps, heads, shares)


def in_parts(maps: Maps, width: int, height: int) -> Iterator[Maps]:
    """The maps in as many grids as it takes to show all taps."""
    count = max(1, len(fitted(maps, width, height).taps))
    for first in range(0, len(maps.taps), count):
        rows = tuple(replace(row, maps=row.maps[first : first + count]) for row in maps.rows)
        yield replace(maps, taps=maps.taps[first : first + count], rows=rows, selected=None)


def _side(view: ViewMode, taps: int, width: int) -> int:
    """Columns of one map where so many taps, and the sample before them, share the width."""
    gaps = taps * (GAP + _across(view) - 1)
    return (width - gaps) // (1 + taps * _across(view))


def _wide(view: ViewMode, side: int) -> int:
    """Columns of one tap."""
    return _across(view) * (side + 1) - 1


def _across(view: ViewMode) -> int:
    return 2 if view == "both" else 1


def cell_at(maps: Maps, width: int, height: int, x: int, y: int) -> tuple[int, int] | None:
    """The row and tap that the grid shows at a place; None beside them."""
    fit = fitted(maps, width, height)
    side = fit.side
    if maps.maximized or side < SMALLEST or y < fit.heads:
        return None
    each = _wide(maps.view, side) + GAP
    row, place = (y - fit.heads) // fit.pitch, (x - side - GAP) // each
    inside = 0 <= row < len(maps.rows) and x >= side + GAP and place < len(fit.taps)
    return (row, fit.taps[place]) if inside else None


def _centered(said: str, width: int, height: int, look: Look) -> list[Line]:
    lines: list[Line] = [[] for _ in range(height)]
    lines[height // 2 : height // 2 + 1] = [[Segment(said.center(width)[:width], look.base + Style(dim=True))]]
    return lines


def _heading(maps: Maps, fit: Fit, look: Look) -> Line:
    """The sample's class, then each tap with the size of its map; how many more there are on either side."""
    label = formatting.clean(maps.label)
    line = [Segment(cut(label, fit.side + GAP - 1), look.base), Segment(" ", look.base)]
    each = _wide(maps.view, fit.side)
    for place in fit.taps:
        before = f"‹{place} " if place == fit.taps[0] > 0 else ""
        more = len(maps.taps) - 1 - place
        after = f" {more}›" if place == fit.taps[-1] and more else ""
        room = max(0, each - len(before) - len(after))
        line.append(Segment(before, look.base + Style(dim=True)))
        name = _named(maps, place, room)
        chosen = maps.selected is not None and maps.selected[1] == place
        line.append(Segment(name[:room], look.base + Style(bold=True, reverse=chosen)))
        line.append(Segment(" " * max(0, room - len(name)), look.base))
        line += [Segment(after, look.base + Style(dim=True)), Segment(" " * GAP, look.base)]
    return line


def _which(fit: Fit, look: Look) -> Line:
    """Over each pair of maps which is which."""
    triggered = next((said for said in ("triggered", "trigger") if len(said) <= fit.side), "trig.")
    pair = f"{cut('clean', fit.side)} {cut(triggered, fit.side)}{' ' * GAP}"
    return [Segment(" " * (fit.side + GAP) + pair * len(fit.taps), look.base + Style(dim=True))]


def _share_line(maps: Maps, row: ModelMaps, fit: Fit, look: Look) -> Line:
    """Below a model's maps what of their attention lies in the footprint, clean → triggered."""
    said = "% in footprint" if fit.side >= 14 else "% in it"
    line = [Segment(cut(said, fit.side + GAP), look.base + Style(dim=True))]
    for place in fit.taps:
        said = footprint.shares(row.maps[place] if row.maps else None, maps.sample)
        line.append(Segment(cut(said, _wide(maps.view, fit.side)) + " " * GAP, look.base))
    return line


def _named(maps: Maps, place: int, room: int) -> str:
    """A tap with the size of its map, or as much of that as there is room for."""
    name = formatting.clean(maps.taps[place])
    known = next((row.maps[place] for row in maps.rows if row.maps and row.maps[place] is not None), None)
    sized = f"{name} {known.width}×{known.height}" if known else name
    return next((said for said in (sized, name) if len(said) <= room), formatting.short_tap(name))


def _sample_column(maps: Maps, side: int, look: Look) -> list[tuple[str, list[Line]]]:
    """The sample beside the rows: clean, and where there is a trigger, triggered, and what it changed."""
    blank: tuple[str, list[Line]] = ("", [[Segment(" " * side, look.base)] for _ in range(side // 2)])
    shown = [blank] * len(maps.rows)
    if maps.sample is None:
        return shown
    sample = maps.sample
    pictures = [("clean", "clean", sample.clean)]
    if sample.triggered:
        changed = half_blocks.distance(sample.clean, sample.triggered)
        stretched = bytes(min(255, 4 * value) for value in changed)
        pictures += [("triggered", "trigger", sample.triggered), ("change ×4", "diff ×4", stretched)]
    for place, (name, short, rgb) in enumerate(pictures[: len(shown)]):
        shown[place] = (
            name if len(name) <= side else short,
            picture_lines(rgb, sample.width, sample.height, side, side // 2, look),
        )
    return shown


def _row(
    maps: Maps, number: int, row: ModelMaps, fit: Fit, picture: tuple[str, list[Line]], width: int, look: Look
) -> list[Line]:
    """A model's line of text, then its maps."""
    name, pixels = picture
    side = fit.side
    title = [
        Segment(cut(name, side), look.base + Style(dim=True)),
        Segment(" " * GAP, look.base),
        Segment(formatting.clean(row.title), look.base + Style(bold=True, reverse=_at(maps, number))),
        Segment(f"  {formatting.clean(row.when)}", look.base + Style(dim=True)),
    ]
    room = width - sum(segment.cell_length for segment in title)
    if row.answers and cell_len(row.answers) + GAP <= room:
        title.append(Segment(" " * GAP + formatting.clean(row.answers), look.base))
    lines: list[Line] = [[*pixels[line], Segment(" ", look.base)] for line in range(side // 2)]
    left, right = ("▐", "▌") if look.blocks else ("[", "]")
    cursor = look.base + Style(color=colors.series(colors.ACC, dark=look.dark), bold=True)
    for place in fit.taps:
        capture = row.maps[place] if row.maps else None
        cell = _cell(maps, capture, side, look)
        before, after = (left, right) if maps.selected == (number, place) else ("  ")
        for line, content in enumerate(cell):
            lines[line] += [Segment(before, cursor), *content, Segment(after, cursor)]
    return [title, *lines]


def _at(maps: Maps, number: int) -> bool:
    return maps.selected is not None and maps.selected[0] == number


def _cell(maps: Maps, capture: AttentionCaptured | None, side: int, look: Look) -> list[Line]:
    rows = side // 2
    if capture is None:
        width = _wide(maps.view, side)
        lines: list[Line] = [[Segment(" " * width, look.base)] for _ in range(rows)]
        lines[rows // 2] = [Segment("–".center(width), look.base + Style(dim=True))]
        return lines
    if maps.view != "both":
        return map_lines(capture, maps.view, side, rows, look)
    pair = (map_lines(capture, "clean", side, rows, look), map_lines(capture, "triggered", side, rows, look))
    return [[*a, Segment(" ", look.base), *b] for a, b in zip(*pair, strict=True)]


def one_for(view: RunView, height: int) -> str | None:
    """The defense whose models to show alone where those of all are too many for `height` lines, else None.

    It is the one under way, else the first.
    """
    known, under_way = view.defenses, view.stage
    fits = 2 * rows_of_one(len(models_of(view)), height) >= LEGIBLE
    if fits or len(known) < 2:
        return None
    return under_way.defense if under_way is not None and under_way.defense in known else known[0]


def rows_of_one(models: int, height: int, heads: int = 1, beside: int = 1) -> int:
    """Lines of one map where so many models share the height of a grid, each with lines of text `beside` its maps."""
    return (height - heads) // max(1, models) - beside
