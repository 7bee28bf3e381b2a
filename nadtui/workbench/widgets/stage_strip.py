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
    for place, stage in enumerate(stages):
        if place:
            names.append(Segment(ARROW, base + Style(dim=True)))
            bars.append(Segment(" " * len(ARROW), base))
        names += _name(stage, narrate.epochs(stage, view), room, base)
        bars += _bar(stage, room, dark=dark, base=base)
    return names, bars


def _name(stage: StageView, epochs: str, room: int, base: Style) -> list[Segment]:
    """As much as fits: mark and name, epochs, ACC and ASR."""
    style = base + {"pending": Style(dim=True), "running": Style(bold=True), "finished": Style()}[stage.state]
    said = f"{STAGE_MARKS[stage.state]} {formatting.clean(stage.name)}"
    metrics = stage.metrics
    known = narrate.figures(metrics) if metrics else []
    figures = [" ".join(known), "/".join(each.split()[-1] for each in known)]
    for parts in ((said, epochs, *figures[:1]), (said, epochs, *figures[1:]), (said, epochs), (said,)):
        shown = " ".join(part for part in parts if part)
        if len(shown) <= room:
            break
    return [Segment(shown[:room].ljust(room), style)]


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
