"""The maps of two of a run's models side by side, tap by tap, of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container

from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import attention_maps
from nadtui.workbench.widgets.attention import AttentionGrid


class ModelPair(Container):
    """Two grids of one row each; which models they are of, and of which sample, is a person's choice."""

    DEFAULT_CSS = """
    ModelPair { layout: horizontal; height: 1fr; }
    ModelPair AttentionGrid { border: round $foreground 30%; border-title-color: $foreground; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.chosen = ["", ""]
        """The stages whose models stand left and right; empty = the suspect, and the last model."""
        self.sample = 0

    def compose(self) -> ComposeResult:
        """Left and right."""
        yield AttentionGrid(id="left")
        yield AttentionGrid(id="right")

    def turn(self, view: RunView, side: int, step: int) -> None:
        """Another of the run's models on that side, 0 or 1."""
        models = attention_maps.models_of(view)
        names = [stage.name for _, stage in models]
        if names:
            at = names.index(self._shown(models)[side][1].name)
            self.chosen[side] = names[(at + step) % len(names)]

    def next_sample(self, view: RunView, step: int) -> None:
        """Another sample image."""
        known = sorted(view.samples)
        if known:
            at = known.index(self.sample) if self.sample in known else 0
            self.sample = known[(at + step) % len(known)]

    def show(self, view: RunView) -> None:
        """The newest maps of both, on the same taps."""
        models = attention_maps.models_of(view)
        if not models:
            return
        settings, pair = self.app.settings, self._shown(models)
        maps = attention_maps.newest(view, self.sample, pair, settings.maps_view)
        for side, grid in enumerate(self.query(AttentionGrid)):
            grid.show(replace(maps, rows=maps.rows[side : side + 1]), settings.maps)
            grid.border_title = formatting.clean(f"{pair[side][0]} · {maps.view} · sample {self.sample + 1}")

    def _shown(self, models: Sequence[tuple[str, StageView]]) -> list[tuple[str, StageView]]:
        by_name = {stage.name: (title, stage) for title, stage in models}
        return [by_name.get(name, models[place]) for name, place in zip(self.chosen, (0, -1), strict=True)]
