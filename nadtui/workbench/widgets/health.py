"""Attention health: every tap's part in the distillation, with a loud mark on a dead one."""

from __future__ import annotations

import math

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.events import AttentionHealth
from engine.figures import TapHealth
from engine.record.view import RunView
from nadtui import formatting
from nadtui.draw import colors

LONGEST = 16
"""Cells of a tap's name beyond which it is cut in front, where names are alike."""
SHARE = ("share of loss", "share")
"""The title of the last column, and the one for where there is no room for that."""


def all_measured(view: RunView) -> list[AttentionHealth]:
    """Every measurement of a run, in the order of its stages."""
    return [measured for stage in view.stages.values() for measured in stage.health]


def all_dead(view: RunView) -> tuple[str, ...]:
    """The taps that were found dead in any measurement of the run, as `nad group3`."""
    found = (f"{measured.stage} {tap.tap}" for measured in all_measured(view) for tap in measured.taps if tap.dead)
    return tuple(dict.fromkeys(found))


def compose(measured: list[AttentionHealth], width: int, *, dark: bool, base: Style) -> list[list[Segment]]:
    """A table for each measurement, the newest of each stage first."""
    if not measured:
        return [[Segment("measured when a distillation begins and when it is done", base + Style(dim=True))]]
    lines: list[list[Segment]] = []
    for health in reversed(measured):
        when = "at its first step" if health.epoch == 0 else f"after epoch {health.epoch}"
        lines.append([Segment(f"{formatting.clean(health.stage)}, {when}", base + Style(bold=True))])
        wide = min(LONGEST, max((len(formatting.clean(tap.tap)) for tap in health.taps), default=0))
        head = f"{'tap':<{wide}} {'map':>5} {'beta':>5} {'loss':>8} {'gradient':>8}  "
        share = next((title for title in SHARE if len(head) + len(title) <= width), SHARE[-1])
        lines.append([Segment(head + share, base + Style(dim=True))])
        lines += [_tap(tap, wide, width, dark=dark, base=base) for tap in health.taps]
        lines.append([])
    return lines[:-1]


def _tap(tap: TapHealth, wide: int, width: int, *, dark: bool, base: Style) -> list[Segment]:
    size = f"{tap.width}×{tap.height}"
    said = (
        f"{formatting.cut_in_front(tap.tap, wide):<{wide}} {size:>5} {formatting.number(tap.beta):>5} "
        # Of three digits even 1.23e-05 fits; what is wider moves the rest on, and never runs into it.
        f"{tap.loss:>8.3g} {tap.gradient:>8.3g}  "
    )
    if tap.dead:
        loud = base + Style(color=colors.series(colors.LOUD, dark=dark), bold=True, reverse=True)
        mark = " DEAD: no effect "
        return [Segment(said, base), Segment(mark if len(said) + len(mark) <= width else " DEAD ", loud)]
    if tap.beta <= 0:
        return [Segment(f"{said}left out (beta 0)", base + Style(dim=True))]
    room = max(0, min(30, width - len(said) - 8))
    share = tap.share if math.isfinite(tap.share) else 0.0
    full = min(room, max(round(share * room), 1 if share > 0 else 0))
    return [
        Segment(said, base),
        Segment("█" * full, base + Style(color=colors.series(0, dark=dark))),
        Segment("░" * (room - full), base + Style(dim=True)),
        Segment(f"{100 * share:5.1f} %", base),
    ]


class Health(ScrollView, can_focus=False):
    """The table; repainted when there is a new measurement, scrolled where it is longer than the pane."""

    DEFAULT_CSS = """
    Health { height: 1fr; width: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._measured: list[AttentionHealth] = []

    def show(self, view: RunView) -> None:
        """Show what is measured of this run."""
        measured = all_measured(view)
        if measured != self._measured:
            self._measured = measured
            self._measure()
            self.refresh()

    def on_resize(self) -> None:
        """Other lines may be in sight."""
        self._measure()

    def _measure(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines(self.size.width)))

    def _lines(self, width: int) -> list[list[Segment]]:
        return compose(self._measured, width, dark=self.app.current_theme.dark, base=self.rich_style)

    def render_line(self, y: int) -> Strip:
        """One line of the table."""
        style, width = self.rich_style, self.scrollable_content_region.width
        lines = self._lines(width)
        y += self.scroll_offset.y
        if y >= len(lines):
            return Strip.blank(width, style)
        return Strip(lines[y]).crop_extend(0, width, style)
