"""What is selected, in little: a preset's trigger and settings, or a run's summary, curves and attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.segment import Segment
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from engine.attacks.preview import TriggerPreview
from engine.config.presets import Preset
from engine.events import AttentionCaptured, SampleShown
from nadtui import formatting
from nadtui.draw import colors, half_blocks, trigger_pictures
from nadtui.draw.half_blocks import Row
from nadtui.formatting import clean
from nadtui.workbench.miniature import Sketch
from nadtui.workbench.widgets.curves import Curves
from nadtui.workbench.widgets.run_table import EXPLAINED, MARKS

LARGEST = 40
"""Side of a picture in cells beyond which it does not grow."""
SMALLEST_MAP = 12
"""Cells below which a run's map says nothing."""
SETTINGS = 20
"""Lines that a preset's description and settings want."""


@dataclass(frozen=True)
class Tile:
    """A picture with its caption: RGB bytes, or a map of bytes with its own top."""

    caption: str
    width: int
    height: int
    cells: bytes
    top: float = 0.0
    """Of a map the value of its brightest color; 0 = the cells are RGB."""


class Tiles(Widget):
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
        depth = colors.depth(self.app.console.color_system, no_color=self.app.no_color)
        drawn = self.app.settings.maps
        return drawn == "blocks" or (drawn == "auto" and depth in ("256", "full"))

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
    strips: list[Strip] = []
    for row in rows:
        captions = " ".join(f"{clean(tile.caption)[:side]:<{side}}" for tile in row)
        strips.append(Strip([Segment(captions)]))
        for line in zip(*(_pixels(tile, side, blocks) for tile in row), strict=True):
            joined: list[Segment] = []
            for part in line:
                joined += [*part, Segment(" ")]
            strips.append(Strip(joined[:-1]))
    return strips


def _pixels(tile: Tile, side: int, blocks: bool) -> list[Row]:
    """A picture as `side // 2` rows of `side` cells: half-blocks, or letters where there is too little color."""
    size = tile.width, tile.height, side, side // 2
    if blocks and tile.top:
        return half_blocks.heat_rows(tile.cells, *size, colors.heat(), tile.top)
    if blocks:
        return half_blocks.image_rows(tile.cells, *size)
    cells = tile.cells if tile.top else half_blocks.gray(tile.cells)
    return [[Segment(row)] for row in half_blocks.ascii_rows(cells, *size, tile.top or 255.0)]


def trigger_tiles(preview: TriggerPreview) -> list[Tile]:
    """A preset's trigger: clean, triggered, difference."""
    return [
        Tile(caption, picture.width, picture.height, picture.rgb)
        for caption, picture in trigger_pictures.triptych(preview)
    ]


def attention_tiles(sketch: Sketch, taps: int, *, apart: bool) -> list[list[Tile]]:
    """A run's attention on one triggered image at its last `taps` groups: a row before, a row after.

    The image itself, triggered and clean, leads the rows, or has one of its own where they stand `apart`.
    """
    rows = [
        [_map_tile(f"{stage} {_short(each.tap)}", each) for each in maps[-taps:]]
        for stage, maps in zip(sketch.names, (sketch.before, sketch.after), strict=True)
        if maps
    ]
    if sketch.sample is None or not rows:
        return rows
    shown = [_sample_tile(sketch.sample, "triggered"), _sample_tile(sketch.sample, "clean")]
    if apart:
        return [shown, *rows]
    return [[tile, *row] for tile, row in zip(shown, rows, strict=False)]


def _short(tap: str) -> str:
    """`group1` as `g1`: captions are as narrow as their pictures."""
    return tap.replace("group", "g")


def _sample_tile(sample: SampleShown, which: str) -> Tile:
    cells = sample.triggered if which == "triggered" else sample.clean
    return Tile(which, sample.width, sample.height, cells)


def _map_tile(caption: str, captured: AttentionCaptured) -> Tile:
    return Tile(caption, captured.width, captured.height, captured.triggered, 255.0)


class PresetPreview(VerticalScroll):
    """A preset: its trigger drawn, what it is, its settings."""

    DEFAULT_CSS = """
    PresetPreview { padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    PresetPreview > #trigger { margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        """Heading, pictures, settings."""
        yield Static(id="heading")
        yield Tiles(id="trigger")
        yield Static(id="settings")

    def show(self, preset: Preset, settings: Sequence[tuple[str, Any]], trigger: TriggerPreview | str) -> None:
        """Show the preset; `trigger` is its picture, or why there is none."""
        heading = [(clean(preset.title), "bold")]
        if isinstance(trigger, str):
            heading.append((f"\n{clean(trigger)}", "dim"))
        self.query_one("#heading", Static).update(Content.assemble(*heading))
        self.query_one(Tiles).show([] if isinstance(trigger, str) else [trigger_tiles(trigger)])
        self.query_one("#settings", Static).update(_settings(preset, settings))

    def on_resize(self) -> None:
        """The pictures are as large as the pane has room for; a high one has room for the settings as well."""
        height = self.size.height
        self.query_one(Tiles).bound(height - SETTINGS if height >= 2 * SETTINGS else max(7, height - 2))


def _settings(preset: Preset, settings: Sequence[tuple[str, Any]]) -> Content:
    wide = max((len(name) for name, _ in settings), default=0)
    parts: list[Any] = [clean(preset.description), "\n\n"]
    for name, value in settings:
        parts += [(f"{clean(name):<{wide}} ", "dim"), f"{clean(value)}\n"]
    origin = "" if preset.origin == "built in" else f"\nfrom {preset.origin}"
    parts += ["\n", (clean(preset.source), "dim"), (clean(origin), "dim")]
    return Content.assemble(*parts)


class RunPreview(VerticalScroll):
    """A run: its figures, its curves, its attention before and after, what it was."""

    DEFAULT_CSS = """
    RunPreview { padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    RunPreview > #curves { height: 12; margin: 1 0; }
    RunPreview > #maps { margin-bottom: 1; }
    RunPreview.low > #curves { height: 7; margin: 0; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.sketch: Sketch | None = None

    def compose(self) -> ComposeResult:
        """Figures, curves, maps, facts."""
        yield Static(id="summary")
        yield Curves(id="curves")
        yield Tiles(id="maps")
        yield Static(id="facts")

    def show(self, sketch: Sketch) -> None:
        """Show the run."""
        if self.sketch is None or sketch.run != self.sketch.run:
            self.scroll_home(animate=False)
        self.sketch = sketch
        self._fill()

    def on_resize(self) -> None:
        """Choose what there is room for."""
        self._fill()

    def _fill(self) -> None:
        sketch = self.sketch
        if sketch is None:
            return
        self.set_class(self.size.height < 20, "low")
        self.query_one("#summary", Static).update(_summary(sketch))
        curves = self.query_one(Curves)
        curves.display = bool(sketch.chart.boundaries)
        curves.show(sketch.chart, None)
        maps = self.query_one("#maps", Tiles)
        apart = self.size.height >= 40
        room = max(1, (self.size.width - 2) // SMALLEST_MAP - (not apart))
        maps.bound(self.size.height - 10 if apart else max(10, self.size.height - 2))
        maps.show(attention_tiles(sketch, min(3, room), apart=apart))
        self.query_one("#facts", Static).update(_facts(sketch))


def _summary(sketch: Sketch) -> Content:
    parts: list[Any] = [(f"{MARKS.get(sketch.state, ' ')} {clean(sketch.run)}", "bold")]
    explained = EXPLAINED.get(sketch.state)
    if explained:
        parts.append((f"\n{sketch.state}: {explained}", "dim"))
    if sketch.remark:
        parts.append((f"\n{clean_lines(sketch.remark)}", "$text-error"))
    if sketch.stages:
        wide = max(len(str(stage["stage"])) for stage in sketch.stages)
        parts.append((f"\n{'':<{wide}} {'ACC':>6} {'ASR':>6} {'RA':>6} {'base':>6}", "dim"))
        for stage in sketch.stages:
            parts.append(f"\n{clean(stage['stage']):<{wide}}")
            for figure, tone in (("acc", "$text-primary"), ("asr", "$text-accent"), ("ra", ""), ("base", "")):
                parts.append((f" {formatting.percentage(stage[figure]):>6}", tone))
    return Content.assemble(*parts)


def _facts(sketch: Sketch) -> Content:
    wide = max((len(name) for name, _ in sketch.facts), default=0)
    parts: list[Any] = []
    for name, value in sketch.facts[2:]:
        parts += [(f"{clean(name):<{wide}} ", "dim"), f"{clean(value)}\n"]
    return Content.assemble(*parts)


def clean_lines(said: str) -> str:
    """Foreign text of several lines, each of them harmless."""
    return "\n".join(map(clean, said.splitlines()))


class Preview(Vertical):
    """The preview of a preset or a run, whichever was selected last."""

    DEFAULT_CSS = """
    Preview > ContentSwitcher { height: 1fr; }
    Preview #nothing { padding: 1 2; color: $text-muted; }
    """

    def compose(self) -> ComposeResult:
        """One page for each kind."""
        with ContentSwitcher(initial="nothing"):
            yield Static("Select a preset or a run.", id="nothing")
            yield PresetPreview(id="preset")
            yield RunPreview(id="run")

    def show_preset(self, preset: Preset, settings: Sequence[tuple[str, Any]], trigger: TriggerPreview | str) -> None:
        """Show a preset."""
        self._turn_to("preset", preset.name)
        self.query_one(PresetPreview).show(preset, settings, trigger)

    def show_run(self, sketch: Sketch) -> None:
        """Show a run."""
        self._turn_to("run", sketch.run)
        self.query_one(RunPreview).show(sketch)

    def show_nothing(self) -> None:
        """Show that nothing is selected."""
        self._turn_to("nothing", "")

    def _turn_to(self, page: str, title: str) -> None:
        self.query_one(ContentSwitcher).current = page
        self.border_title = clean(title) or "preview"
