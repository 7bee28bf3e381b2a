"""The run screen's curves: ACC and ASR beside, or above, the loss, with one cursor; drawn no oftener than is cheap."""

from __future__ import annotations

import time
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container

from engine.record.view import RunView
from nadtui.draw import run_charts
from nadtui.draw.axis import spans
from nadtui.workbench.widgets.curves import Curves

EVERY_S = 2.0
"""Curves are drawn anew at most this often, and less often where they are long:"""
SHARE = 0.01
"""the share of the time that drawing them may take, from a training that could use it."""
AT_LEAST_S = 5.0


class CurvesPane(Container):
    """Both charts of a run."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.zoom: str | None = None
        """The stage that the curves show alone."""
        self._next = 0.0
        self._drawn: tuple[object, int] | None = None

    def compose(self) -> ComposeResult:
        """ACC and ASR, then the loss."""
        yield Curves(id="figures")
        loss = Curves(id="loss")
        loss.empty = "no loss yet"
        yield loss

    @property
    def figures(self) -> Curves:
        """The chart of ACC and ASR."""
        return self.query_one("#figures", Curves)

    def due(self, view: RunView) -> bool:
        """Whether something new is known, and the last drawing has been paid for."""
        if (view, view.events) == self._drawn:
            return False
        return view.ended or time.monotonic() >= self._next

    def show(self, view: RunView, cursor: float | None, *, stacked: bool) -> None:
        """Draw the curves anew; `stacked` above each other they share one x axis."""
        began = time.thread_time()
        self._drawn = (view, view.events)
        settings, dark = self.app.settings, self.app.current_theme.dark
        figures = run_charts.figures_chart(view, settings.axis, zoom=self.zoom, dark=dark)
        self.figures.show(replace(figures, labeled=not stacked), cursor)
        loss = run_charts.loss_chart(
            view, settings.axis, zoom=self.zoom, smoothing=settings.smoothing, log_y=settings.log_y, dark=dark
        )
        self.query_one("#loss", Curves).show(replace(loss, named=not stacked), cursor)
        cost = time.thread_time() - began + sum(plot.cost for plot in self.query(Curves))
        self._next = time.monotonic() + min(max(EVERY_S, cost / SHARE), AT_LEAST_S)

    def put_cursor(self, cursor: float | None) -> None:
        """The same curves with the cursor elsewhere: nothing is plotted anew."""
        for plot in self.query(Curves):
            plot.show(plot.chart, cursor)

    def first(self) -> float | None:
        """Where the first point lies on the axis."""
        return min((x for each in self.figures.chart.series for x in each.x), default=None)

    def next_zoom(self, view: RunView, cursor: float | None) -> float | None:
        """The next stage alone, then all; returns where the cursor is then: off, if it was outside of that stage."""
        found = spans(view, self.app.settings.axis)
        names = [span.stage.name for span in found if span.end > span.begin]
        places: list[str | None] = [None, *names]
        at = places.index(self.zoom) if self.zoom in places else 0
        self.zoom = places[(at + 1) % len(places)]
        shown = next((span for span in found if span.stage.name == self.zoom), None)
        outside = cursor is not None and shown is not None and not shown.begin <= cursor <= shown.end
        return None if outside else cursor
