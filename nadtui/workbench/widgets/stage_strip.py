"""The stages one after another, each with its progress and its figures."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import colors
from nadtui.draw.run_states import STAGE_MARKS
from nadtui.runs import narrate

ARROW = " ▸ "


def compose(view: RunView, width: int, *, dark: bool, base: Style) -> tuple[list[Segment], list[Segment]]:
    """Two lines of at most `width` columns: names with figures, and bars."""
    stages = list(view.stages.values())
    if not stages:
        return [Segment(" ", base)], [Segment(" ", base)]
    room = max(3, (width - len(ARROW) * (len(stages) - 1)) // len(stages))
    names: list[Segment] = []
    bars: list[Segment] = []
    ways = [_ways(stage, narrate.epochs(stage, view)) for stage in stages]
    # One way for all of them: figures in two notations do not read as a row.
    way = next((way for way in range(len(ways[0])) if all(len(each[way]) <= room for each in ways)), -1)
    for place, (stage, said) in enumerate(zip(stages, ways, strict=True)):
        if place:
            names.append(Segment(ARROW, base + Style(dim=True)))
            bars.append(Segment(" " * len(ARROW), base))
        names.append(Segment(said[way][:room].ljust(room), base + _STYLES[stage.state]))
        bars += _bar(stage, room, dark=dark, base=base)
    return names, bars


_STYLES = {"pending": Style(dim=True), "running": Style(bold=True), "finished": Style()}


def _ways(stage: StageView, epochs: str) -> list[str]:
    """What is said of a stage, from most to least: mark and name, epochs, ACC and ASR."""
    said = f"{STAGE_MARKS[stage.state]} {formatting.clean(stage.name)}"
    known = narrate.figures(stage.metrics) if stage.metrics else []
    figures = (" ".join(known), "/".join(each.split()[-1] for each in known))
    parts = ((said, epochs, figures[0]), (said, epochs, figures[1]), (said, epochs), (said,))
    return [" ".join(filter(None, each)) for each in parts]


def _bar(stage: StageView, room: int, *, dark: bool, base: Style) -> list[Segment]:
    done = round(stage.progress * room)
    place = 2 if stage.state == "finished" else 0
    return [
        Segment("━" * done, base + Style(color=colors.series(place, dark=dark))),
        Segment("─" * (room - done), base + Style(dim=True)),
    ]


class StageStrip(Widget):
    """Two lines; repainted where something in them changed."""

    DEFAULT_CSS = """
    StageStrip { height: 2; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view: RunView | None = None
        self._shown: tuple | None = None

    def show(self, view: RunView) -> None:
        """Show the stages of this view."""
        self._view = view
        shown = tuple(
            (s.name, s.state, s.epoch, s.epochs, round(200 * s.progress), s.metrics) for s in view.stages.values()
        )
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the two lines."""
        style, width = self.rich_style, self.size.width
        if self._view is None or y > 1:
            return Strip.blank(width, style)
        lines = compose(self._view, width, dark=self.app.current_theme.dark, base=style)
        return Strip(lines[y]).crop_extend(0, width, style)
