"""What is selected, in little: a preset's trigger and settings, or a run's summary, curves and attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from engine.attacks.preview import TriggerPreview
from engine.config.layers import as_yaml
from engine.config.presets import Preset
from engine.events import AttentionCaptured, SampleShown
from nadtui import formatting
from nadtui.draw import trigger_pictures
from nadtui.draw.run_states import LOOKS
from nadtui.formatting import clean
from nadtui.workbench.run_sketch import Sketch
from nadtui.workbench.widgets.curves import Curves
from nadtui.workbench.widgets.pairs import pairs
from nadtui.workbench.widgets.remeasured import Paragraph
from nadtui.workbench.widgets.tiles import Tile, Tiles

SMALLEST_MAP = 12
"""Cells below which a run's map says nothing."""
SETTINGS = 20
"""Lines that a preset's description and settings want."""


_IN_SHORT = ("", "trigger", "change")
"""What a trigger's pictures are called where there is little room; the first is named after its class."""


def trigger_tiles(preview: TriggerPreview) -> list[Tile]:
    """A preset's trigger: clean, triggered, difference."""
    drawn = zip(trigger_pictures.triptych(preview), _IN_SHORT, trigger_pictures.as_letters(preview), strict=True)
    return [
        Tile(caption, picture.width, picture.height, picture.rgb, short=short, letters=letters)
        for (caption, picture), short, letters in drawn
    ]


def attention_tiles(sketch: Sketch, taps: int, *, apart: bool) -> list[list[Tile]]:
    """A run's attention on one triggered image at its last `taps` taps: a row for each model, the suspect's first.

    The image itself, triggered and clean, leads the rows, or has one of its own where they stand `apart`. Without a
    trigger it is clean, in the first row alone.
    """
    rows = [[_map_tile(stage, each) for each in maps[-taps:]] for stage, maps in sketch.maps]
    if sketch.sample is None or not rows:
        return rows
    shown = [_sample_tile(sketch.sample, which) for which in ("triggered", "clean") if getattr(sketch.sample, which)]
    if apart:
        return [shown, *rows]
    side = sketch.sample.width, sketch.sample.height
    shown += [Tile("", *side, bytes(3 * side[0] * side[1]))] * (len(rows) - len(shown))
    return [[tile, *row] for tile, row in zip(shown, rows, strict=False)]


def _sample_tile(sample: SampleShown, which: str) -> Tile:
    cells = sample.triggered if which == "triggered" else sample.clean
    return Tile(which, sample.width, sample.height, cells, short={"triggered": "trigger"}.get(which, ""))


def _map_tile(stage: str, captured: AttentionCaptured) -> Tile:
    caption = f"{stage} {formatting.short_tap(captured.tap)}"
    short = f"{stage[:3]}. {formatting.short_tap(captured.tap)}"
    return Tile(caption, captured.width, captured.height, captured.triggered or captured.clean, 255.0, short)


class PresetPreview(VerticalScroll):
    """A preset: its trigger drawn, what it is, its settings."""

    DEFAULT_CSS = """
    PresetPreview { padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    PresetPreview > #trigger { margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        """Heading, pictures, settings."""
        yield Paragraph(id="heading")
        yield Tiles(id="trigger")
        yield Paragraph(id="settings")

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


def _settings(preset: Preset, settings: Sequence[tuple[str, Any]]) -> Group:
    origin = "" if preset.origin == "built in" else f"\nfrom {clean(preset.origin)}"
    return Group(
        Text(f"{clean(preset.description)}\n"),
        pairs((name, as_yaml(value)) for name, value in settings),
        Text(f"\n{clean(preset.source)}{origin}", "dim"),
    )


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
        yield Paragraph(id="summary")
        yield Curves(id="curves")
        yield Tiles(id="maps")
        yield Paragraph(id="facts")

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
        maps.show(attention_tiles(sketch, room, apart=apart))
        self.query_one("#facts", Static).update(pairs(sketch.facts[2:]))


def _summary(sketch: Sketch) -> Content:
    look = LOOKS[sketch.state]
    parts: list[Any] = [(f"{look.mark} {sketch.state}", "bold")]  # its name is the frame's title
    if look.meaning:
        parts.append((f": {look.meaning}", "dim"))
    if sketch.remark:
        parts.append((f"\n{clean_lines(sketch.remark)}", "$text-error"))
    if sketch.stages:
        figures = _FIGURES if sketch.attacked else _FIGURES[:1]
        wide = max(map(len, sketch.titles))
        parts.append((f"\n{'':<{wide}}{''.join(f' {title:>6}' for title, _, _ in figures)}", "dim"))
        for title, stage in zip(sketch.titles, sketch.stages, strict=True):
            parts.append(f"\n{clean(title):<{wide}}")
            parts += [(f" {formatting.percentage(stage[figure]):>6}", tone) for _, figure, tone in figures]
    parts += [(f"\n{clean(said)}", "dim") for said in sketch.missing]
    return Content.assemble(*parts)


_FIGURES = (
    ("ACC", "acc", "$text-primary"),
    ("ASR", "asr", "$text-accent"),
    ("RA", "ra", ""),
    ("base", "base", ""),
)


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
