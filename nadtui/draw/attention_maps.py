"""Attention maps: a row for each model, a column for each group, clean and triggered side by side on one scale.

`compose` is a pure function of a `Maps`. Free of textual and torch. Shares of attention inside the trigger's
footprint are computed here, from the record's own bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.segment import Segment
from rich.style import Style

from engine.events import AttentionCaptured, SampleShown
from engine.record.view import RunView, StageView
from nadtui import formatting
from nadtui.draw import colors, half_blocks

ViewMode = Literal["both", "clean", "triggered", "difference"]
VIEWS: tuple[ViewMode, ...] = ("both", "clean", "triggered", "difference")
Drawn = Literal["auto", "blocks", "ascii"]
DRAWN: tuple[Drawn, ...] = ("auto", "blocks", "ascii")

GAP = 2
"""Columns between two groups."""
LARGEST = 64
"""Columns beyond which one map does not grow."""
SMALLEST = 4
"""Columns below which a map says nothing."""


@dataclass(frozen=True)
class ModelMaps:
    """A row: one model's maps of one sample at one moment."""

    title: str
    """backdoored, teacher, student (nad)."""
    when: str
    """Of which epoch they are, or why there are none."""
    maps: tuple[AttentionCaptured | None, ...] = ()
    """One for each group."""


@dataclass(frozen=True)
class Maps:
    """Everything the grid shows."""

    taps: tuple[str, ...] = ()
    rows: tuple[ModelMaps, ...] = ()
    sample: SampleShown | None = None
    label: str = ""
    """The sample's class."""
    view: ViewMode = "both"
    selected: tuple[int, int] | None = None
    """Row and group of the chosen cell."""
    maximized: bool = False
    operator: str = ""
    """Whose maps they are, where it is not the run's own."""


@dataclass(frozen=True)
class Look:
    """How maps are drawn."""

    blocks: bool = True
    """Half-blocks, else letters."""
    dark: bool = True
    base: Style = field(default_factory=Style)


Line = list[Segment]


# --- numbers ---


def footprint(sample: SampleShown) -> list[float]:
    """Which pixels the trigger changes, 1 or 0, row by row: by at least a quarter of its largest change."""
    changed = [
        max(abs(a - b) for a, b in zip(sample.clean[at : at + 3], sample.triggered[at : at + 3], strict=True))
        for at in range(0, 3 * sample.height * sample.width, 3)
    ]
    least = max(1.0, max(changed, default=0) / 4)
    return [1.0 if value >= least else 0.0 for value in changed]


def coverage(sample: SampleShown) -> float:
    """The share of the image that the trigger's footprint covers, 0-1."""
    inside = footprint(sample)
    return sum(inside) / len(inside) if inside else 0.0


def share_inside(cells: bytes, width: int, height: int, sample: SampleShown) -> float | None:
    """The share of a map's attention that lies inside the trigger's footprint, 0-1; None for a map of zeros."""
    weights = half_blocks.resample(footprint(sample), sample.width, sample.height, width, height)
    total = sum(cells)
    inside = sum(cell * weight for cell, weight in zip(cells, (w for line in weights for w in line), strict=True))
    return inside / total if total else None


# --- drawing ---


def compose(maps: Maps, width: int, height: int, look: Look) -> list[Line]:
    """The grid as `height` lines of at most `width` columns."""
    if not any(any(row.maps) for row in maps.rows):
        why = maps.rows[0].when if maps.operator and maps.rows else "no attention maps recorded yet"
        return _centered(formatting.clean(why), width, height, look)
    if maps.maximized and maps.selected is not None:
        return _maximized(maps, width, height, look)
    side = cell_side(maps, width, height)
    if side < SMALLEST:
        return _centered("too small for the maps: enlarge the window", width, height, look)
    lines: list[Line] = [_heading(maps, side, look)]
    picture = _sample_column(maps, side, look)
    for number, row in enumerate(maps.rows):
        lines += _row(maps, number, row, side, picture[number], look)
    return lines[:height]


def cell_side(maps: Maps, width: int, height: int) -> int:
    """Columns of one map, so that all rows and groups fit."""
    pictures = 1 + len(maps.taps) * _across(maps.view)
    gaps = GAP * len(maps.taps) + len(maps.taps) * (_across(maps.view) - 1)
    rows = max(1, len(maps.rows))
    tall = (height - 1) // rows - 1
    side = min(LARGEST, (width - gaps) // pictures, 2 * tall)
    return side - side % 2


def _across(view: ViewMode) -> int:
    return 2 if view == "both" else 1


def cell_at(maps: Maps, width: int, height: int, x: int, y: int) -> tuple[int, int] | None:
    """The row and group that the grid shows at a place; None beside them."""
    side = cell_side(maps, width, height)
    if maps.maximized or side < SMALLEST or y < 1:
        return None
    each = _across(maps.view) * side + _across(maps.view) - 1 + GAP
    row, group = (y - 1) // (side // 2 + 1), (x - side - GAP) // each
    return (row, group) if 0 <= row < len(maps.rows) and x >= side + GAP and group < len(maps.taps) else None


def _centered(said: str, width: int, height: int, look: Look) -> list[Line]:
    lines: list[Line] = [[] for _ in range(height)]
    lines[height // 2 : height // 2 + 1] = [[Segment(said.center(width)[:width], look.base + Style(dim=True))]]
    return lines


def _heading(maps: Maps, side: int, look: Look) -> Line:
    """The sample's class, then each group with the size of its map."""
    label = formatting.clean(maps.label)
    line = [Segment(_cut(label, side + GAP - 1), look.base), Segment(" ", look.base)]
    each = _across(maps.view) * (side + 1) - 1
    for place, tap in enumerate(maps.taps):
        known = next((row.maps[place] for row in maps.rows if row.maps and row.maps[place] is not None), None)
        sized = f"{formatting.clean(tap)} {known.width}×{known.height}" if known else tap
        name = _cut(sized if len(sized) <= each else formatting.clean(tap), each)
        line += [Segment(name, look.base + Style(bold=True)), Segment(" " * GAP, look.base)]
    return line


def _cut(said: str, width: int) -> str:
    return said[:width].ljust(max(0, width))


def _sample_column(maps: Maps, side: int, look: Look) -> list[tuple[str, list[Line]]]:
    """The sample beside the rows: clean, triggered, what the trigger changed."""
    blank: tuple[str, list[Line]] = ("", [[Segment(" " * side, look.base)] for _ in range(side // 2)])
    shown = [blank] * len(maps.rows)
    if maps.sample is None:
        return shown
    sample = maps.sample
    changed = half_blocks.distance(sample.clean, sample.triggered)
    stretched = bytes(min(255, 4 * value) for value in changed)
    pictures = (
        ("clean", "clean", sample.clean),
        ("triggered", "trigger", sample.triggered),
        ("change ×4", "change", stretched),
    )
    for place, (name, short, rgb) in enumerate(pictures[: len(shown)]):
        shown[place] = (
            name if len(name) <= side else short,
            picture_lines(rgb, sample.width, sample.height, side, side // 2, look),
        )
    return shown


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


def map_lines(
    capture: AttentionCaptured, which: Literal["clean", "triggered", "difference"], columns: int, rows: int, look: Look
) -> list[Line]:
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


def _row(maps: Maps, number: int, row: ModelMaps, side: int, picture: tuple[str, list[Line]], look: Look) -> list[Line]:
    """A model's line of text, then its maps."""
    name, pixels = picture
    title = [
        Segment(_cut(name, side), look.base + Style(dim=True)),
        Segment(" " * GAP, look.base),
        Segment(formatting.clean(row.title), look.base + Style(bold=True)),
        Segment(f"  {formatting.clean(row.when)}", look.base + Style(dim=True)),
    ]
    lines: list[Line] = [[*pixels[line], Segment(" " * GAP, look.base)] for line in range(side // 2)]
    for place in range(len(maps.taps)):
        capture = row.maps[place] if row.maps else None
        cell = _cell(maps, capture, side, look)
        chosen = maps.selected == (number, place)
        for line, content in enumerate(cell):
            lines[line] += [*content, Segment("▐ " if chosen else "  ", look.base + Style(bold=chosen))]
    return [title, *lines]


def _cell(maps: Maps, capture: AttentionCaptured | None, side: int, look: Look) -> list[Line]:
    rows = side // 2
    if capture is None:
        width = _across(maps.view) * (side + 1) - 1
        lines: list[Line] = [[Segment(" " * width, look.base)] for _ in range(rows)]
        lines[rows // 2] = [Segment("–".center(width), look.base + Style(dim=True))]
        return lines
    if maps.view != "both":
        return map_lines(capture, maps.view, side, rows, look)
    pair = (map_lines(capture, "clean", side, rows, look), map_lines(capture, "triggered", side, rows, look))
    return [[*a, Segment(" ", look.base), *b] for a, b in zip(*pair, strict=True)]


# --- one cell, with its numbers ---


def _maximized(maps: Maps, width: int, height: int, look: Look) -> list[Line]:
    assert maps.selected is not None
    number, place = maps.selected
    row = maps.rows[min(number, len(maps.rows) - 1)]
    capture = row.maps[place] if row.maps and place < len(row.maps) else None
    title = f"{row.title} · {maps.taps[place]}  {row.when}"
    lines: list[Line] = [[Segment(formatting.clean(title), look.base + Style(bold=True))]]
    table = _shares(maps, width, look)
    if capture is None:
        return [*lines, [], [Segment("no map of this model yet", look.base)], [], *table][:height]
    side = min((width - 2 * GAP) // 3, 2 * (height - 4 - len(table)), LARGEST)
    if side >= SMALLEST:
        lines += _three(capture, side, look)
    lines.append([Segment(_facts(capture, maps.sample), look.base)])
    return [*lines, [], *table][:height]


def _three(capture: AttentionCaptured, side: int, look: Look) -> list[Line]:
    names = ("clean", "triggered", "difference")
    heads = [
        "clean",
        "triggered",
        "triggered − clean" if look.blocks else "|triggered − clean|",
    ]
    gap = Segment(" " * GAP, look.base)
    line: Line = []
    for head in heads:
        line += [Segment(_cut(head, side), look.base + Style(dim=True)), gap]
    parts = [map_lines(capture, name, side, side // 2, look) for name in names]
    return [line, *([*a, gap, *b, gap, *c] for a, b, c in zip(*parts, strict=True))]


def _facts(capture: AttentionCaptured, sample: SampleShown | None) -> str:
    parts = [f"{capture.width}×{capture.height}", f"peak {formatting.number(capture.peak)}"]
    if sample is not None:
        parts.append(f"the trigger's footprint covers {100 * coverage(sample):.0f} % of the image")
    return " · ".join(parts)


def _shares(maps: Maps, width: int, look: Look) -> list[Line]:
    """Share of attention inside the trigger's footprint, by model and group, clean → triggered."""
    if maps.sample is None:
        return []
    wide = max((len(row.title) for row in maps.rows), default=0) + 2
    room = max(1, min(20, (width - wide) // max(1, len(maps.taps))))
    head = "".join(f"{formatting.clean(tap):>{room}}" for tap in maps.taps)
    lines: list[Line] = [
        [Segment("% of attention in the trigger's footprint: clean → triggered", look.base + Style(dim=True))],
        [Segment(" " * wide + head, look.base + Style(dim=True))],
    ]
    for number, row in enumerate(maps.rows):
        line = [Segment(formatting.clean(row.title).ljust(wide), look.base)]
        for place in range(len(maps.taps)):
            capture = row.maps[place] if row.maps else None
            style = look.base + Style(bold=maps.selected == (number, place))
            line.append(Segment(f"{_share_text(capture, maps.sample):>{room}}", style))
        lines.append(line)
    return lines


def _share_text(capture: AttentionCaptured | None, sample: SampleShown) -> str:
    if capture is None:
        return "–"
    size = capture.width, capture.height
    shares = [share_inside(cells, *size, sample) for cells in (capture.clean, capture.triggered)]
    return " → ".join("–" if share is None else f"{100 * share:.1f}" for share in shares)


def in_order(taps: Iterable[str]) -> tuple[str, ...]:
    """Groups in the order in which images pass them: as their names are numbered."""
    return tuple(sorted(taps, key=lambda tap: (len(tap), tap)))


# --- from a run ---


def students_of(view: RunView) -> list[str]:
    """The stages that made a student."""
    return [name for name in view.stages if name not in ("attack", "teacher")]


def models_of(view: RunView, student: str | None = None) -> list[tuple[str, StageView | None]]:
    """The rows' titles and stages: backdoored, teacher and one student (None = the one under way, else NAD's)."""
    rows: list[tuple[str, StageView | None]] = [
        ("backdoored", view.stages.get("attack")),
        ("teacher", view.stages.get("teacher")),
    ]
    students = students_of(view)
    if students:
        running = view.stage.name if view.stage is not None else ""
        usual = running if running in students else "nad" if "nad" in students else students[0]
        name = student if student in students else usual
        rows.append(("student" if name == "nad" else f"student by {name}", view.stages[name]))
    return rows


def taps_of(models: Sequence[tuple[str, StageView | None]]) -> tuple[str, ...]:
    """The groups that the models' newest maps show."""
    return in_order({tap for _, stage in models if stage is not None for _, tap in stage.maps()})


def class_name(view: RunView, sample: SampleShown | None) -> str:
    """The class of a sample, by name where the record gives one."""
    if sample is None:
        return ""
    names = view.dataset.get("class_names")
    known = isinstance(names, list) and 0 <= sample.label < len(names)
    return str(names[sample.label]) if known else f"class {sample.label}"


def newest(view: RunView, sample: int = 0) -> Maps:
    """The newest maps of one sample in all three models."""
    models = models_of(view)
    taps = taps_of(models)
    rows = []
    for title, stage in models:
        maps = tuple(stage.maps().get((sample, tap)) if stage is not None else None for tap in taps)
        epoch = next((each.epoch for each in maps if each is not None), None)
        rows.append(ModelMaps(title, "no maps" if epoch is None else f"epoch {epoch}", maps))
    shown = view.samples.get(sample)
    return Maps(taps, tuple(rows), shown, class_name(view, shown))
