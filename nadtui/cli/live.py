"""A run as a live view at the foot of a terminal: every stage with its progress, and what goes on right now.

The view is painted from the latest state a few times a second, never once an event; between paints it costs nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine import events
from engine.record.stage_view import StageView
from engine.record.state import RunState
from engine.record.view import RunView
from nadtui import diagnostics, formatting
from nadtui.draw.run_states import STAGE_MARKS
from nadtui.runs import narrate

PAINTS_A_SECOND = 4
WIDEST = 120
"""Columns beyond which the picture does not grow."""


class LiveDisplay:
    """Paints a `RunView` on standard error; the log scrolls above it."""

    def __init__(self, view: RunView, *, keep: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """`keep`: whether the last picture stays when the display closes."""
        self._view = view
        self._clock = clock
        self._painted = -1.0
        self._console = diagnostics.console()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=not keep,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._paint()
        self._live.stop()

    def tell(self, event: events.Event) -> None:
        """Log what scrolls by; the rest is in the picture."""
        if isinstance(event, events.Message | events.AttentionHealth):
            said = narrate.line(event, self._view)
            if said:
                self._console.print(Text(formatting.clean(said), style="yellow" if narrate.loud(event) else ""))
        self.refresh()

    def refresh(self) -> None:
        """Paint, unless that was done a moment ago."""
        if self._clock() - self._painted >= 1 / PAINTS_A_SECOND:
            self._paint()

    def _paint(self) -> None:
        self._live.update(picture(self._view, time.time()), refresh=True)
        self._painted = self._clock()


def picture(view: RunView, now: float) -> RenderableType:
    """The view at `now` (seconds since the epoch)."""
    parts: list[RenderableType] = [_header(view, now)]
    if view.stages:
        parts.append(_stages(view, now))
    parts.append(_line(_activity(view, now)))
    return Constrain(Group(*parts), WIDEST)


def _header(view: RunView, now: float) -> RenderableType:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    title = Text(formatting.clean(narrate.about(view)) if view.run else "nadtui", style="bold")
    grid.add_row(title, formatting.duration(view.elapsed(now)))
    return grid


def _stages(view: RunView, now: float) -> Table:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, max_width=16, overflow="ellipsis")
    grid.add_column(ratio=1)
    for _ in range(4):
        grid.add_column(justify="right", no_wrap=True)
    for stage in view.stages.values():
        grid.add_row(*_row(view, stage, now))
    return grid


def _row(view: RunView, stage: StageView, now: float) -> list[RenderableType]:
    style = {"pending": "dim", "running": "bold", "finished": ""}[stage.state]
    bar = ProgressBar(total=1.0, completed=stage.progress, complete_style="cyan", finished_style="green")
    metrics = stage.metrics
    return [
        Text(STAGE_MARKS[stage.state], style="green" if stage.state == "finished" else style),
        Text(formatting.clean(stage.name), style=style),
        bar,
        Text(narrate.epochs(stage, view), style="dim" if stage.cached else ""),
        Text(f"ACC {formatting.percentage(metrics.acc):>5}" if metrics else " " * 9),
        Text(f"ASR {formatting.percentage(metrics.asr):>5}" if metrics and not math.isnan(metrics.asr) else " " * 9),
        Text(f"{formatting.duration(_seconds(view, stage, now)):>5}", style="dim"),
    ]


def _seconds(view: RunView, stage: StageView, now: float) -> float | None:
    if stage.state == "pending":
        return None
    return stage.finished.seconds if stage.finished else view.elapsed(now) - stage.began


def _activity(view: RunView, now: float) -> str:
    """What goes on right now, in one line."""
    stage = view.stage
    if view.ended:
        return ""
    if view.queued is not None:
        return narrate.waiting(view.queued)
    if view.status is RunState.PAUSED:
        return "paused"
    if view.preparing is not None:
        return narrate.preparing(view.preparing)
    if stage is None or stage.last is None:
        return ""
    last = stage.last
    parts = [
        f"ETA {formatting.duration(view.eta(now))}",
        f"{formatting.count(last.images_per_second)} images/s",
        f"lr {formatting.number(last.lr)}",
        narrate.loss(stage),
    ]
    return " · ".join(parts)


def _line(content: str) -> Text:
    return Text(formatting.clean(content), style="dim", no_wrap=True, overflow="ellipsis")
