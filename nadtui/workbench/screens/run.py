"""The run screen: one run's curves, attention maps, health and log, and the keys that steer it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from engine.record.view import StageView
from nadtui import formatting
from nadtui.draw import attention_maps, run_charts
from nadtui.draw.attention_maps import Maps, ModelMaps
from nadtui.runs.hosting import Host, JobHost, Watcher
from nadtui.workbench.screens import run_keys
from nadtui.workbench.settings import PANES
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.curves import Curves
from nadtui.workbench.widgets.health import Health, all_dead
from nadtui.workbench.widgets.log import LogPane
from nadtui.workbench.widgets.pane_tabs import PaneTabs
from nadtui.workbench.widgets.run_header import RunHeader
from nadtui.workbench.widgets.stage_strip import StageStrip

if TYPE_CHECKING:
    from textual.timer import Timer

    from nadtui.workbench.app import Workbench
    from nadtui.workbench.recomputed_maps import Recomputed

WIDE, TALL = 118, 34
"""From this size on all panes have room beside each other."""
CURVES_EVERY_S = 2.0
"""Curves are drawn anew at most this often, and less often where they are long:"""
CURVES_SHARE = 0.01
"""the share of the time that drawing them may take, from a training that could use it."""
CURVES_AT_LEAST_S = 5.0


class RunScreen(Screen[None]):
    """Shows a `Host`; holds no result of its own."""

    app: Workbench
    TITLE = "run"
    ABOUT = "ACC: clean test images classified right. ASR: triggered images sent to the attacker's class."
    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(run_keys.BINDINGS)
    HELP_GROUPS: ClassVar[dict[str, str]] = run_keys.GROUPS

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self.cursor: float | None = None
        """Where the value cursor is on the x axis; None = at the newest point."""
        self.zoom: str | None = None
        """The stage that the curves show alone."""
        self.sample = 0
        self.cell: tuple[int, int] | None = None
        self.maximized_cell = False
        self.student: str | None = None
        """The defense in the third row; None = the one under way, else NAD."""
        self.recomputed: Recomputed | None = None
        """Maps under another operator than the run's."""
        self._logged = 0
        self._log_of: object = None
        self._curves_next = 0.0
        self._drawn: tuple[object, int] | None = None
        self._noticed = ""
        self._steered: tuple[str, bool] | None = None
        self._ticks: Timer | None = None

    def compose(self) -> ComposeResult:
        """Header and stages on top; curves, maps, health and log as there is room."""
        yield RunHeader()
        yield StageStrip()
        yield Static(id="notice")
        yield PaneTabs(PANES)
        with Vertical(id="body"):
            with Container(id="curves", classes="pane"):
                yield Curves(id="figures")
                yield Curves(id="loss")
            with Horizontal(id="lower"):
                with Container(id="maps", classes="pane"):
                    yield AttentionGrid()
                with Vertical(id="side"):
                    with Container(id="health", classes="pane"):
                        yield Health()
                    with Container(id="log", classes="pane"):
                        yield LogPane()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show what there is, and let the clock run."""
        self.query_one("#loss", Curves).empty = "no loss yet"
        self._arrange()
        self.refresh_run(everything=True)
        self._ticks = self.set_interval(1.0, self._tick)

    def on_screen_resume(self) -> None:
        """Back from another screen: much may have happened."""
        if self.is_mounted:
            if self._ticks is not None:
                self._ticks.resume()
            self.refresh_run(everything=True)

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing must stir: it would be painted anew for it."""
        if self._ticks is not None:
            self._ticks.pause()

    def on_resize(self, event: events.Resize) -> None:
        """Panes side by side, or one at a time."""
        self._arrange()
        self._show_curves()

    def on_unmount(self) -> None:
        """What is merely watched need not be watched any more."""
        self.app.release(self.host)

    # --- what is shown ---

    def refresh_run(self, *, everything: bool = False) -> None:
        """Show the host's newest state; the costly parts only where they changed, and not too often."""
        now = self.app.now()
        host = self.host
        self.query_one(RunHeader).show(host, now)
        self.query_one(StageStrip).show(host.view)
        self.query_one(Health).show(host.view)
        self._show_log()
        if everything or self._curves_due():
            self._show_curves()
        self._show_maps()
        self._title_panes()
        self._show_notice()
        steered = (host.state, host.live)
        if steered != self._steered:  # only then: the footer is built anew by this, which is dear
            self._steered = steered
            self.refresh_bindings()

    def _curves_due(self) -> bool:
        """Whether something new is known, and the last drawing has been paid for."""
        view = self.host.view
        if (view, view.events) == self._drawn:
            return False
        return view.ended or time.monotonic() >= self._curves_next

    def _show_notice(self) -> None:
        notice = self.query_one("#notice", Static)
        said = "\n".join(map(formatting.clean, self.host.notice.splitlines()))
        if said != self._noticed:
            self._noticed = said
            notice.update(Content(said))
            notice.display = bool(said)

    def _tick(self) -> None:
        """Time goes by, also where no event comes."""
        if self.is_current:
            self.refresh_run()

    def _show_curves(self) -> None:
        began = time.thread_time()
        self._drawn = (self.host.view, self.host.view.events)
        settings, dark = self.app.settings, self.app.current_theme.dark
        view, axis = self.host.view, settings.axis
        stacked = self.has_class("-alone")  # above each other they share one x axis
        figures = run_charts.figures_chart(view, axis, zoom=self.zoom, dark=dark)
        self.query_one("#figures", Curves).show(replace(figures, labeled=not stacked), self.cursor)
        loss = run_charts.loss_chart(
            view, axis, zoom=self.zoom, smoothing=settings.smoothing, log_y=settings.log_y, dark=dark
        )
        self.query_one("#loss", Curves).show(replace(loss, named=not stacked), self.cursor)
        cost = time.thread_time() - began + sum(plot.cost for plot in self.query(Curves))
        self._curves_next = time.monotonic() + min(max(CURVES_EVERY_S, cost / CURVES_SHARE), CURVES_AT_LEAST_S)

    def _show_maps(self) -> None:
        self.query_one(AttentionGrid).show(self._maps(), self.app.settings.maps)

    def _show_log(self) -> None:
        pane = self.query_one(LogPane)
        if self._log_of is not self.host.log:  # the record was read anew
            pane.clear()
            self._log_of, self._logged = self.host.log, 0
        new = min(self.host.logged - self._logged, len(self.host.log))
        if new:
            self._logged = self.host.logged
            pane.add(list(self.host.log)[-new:])

    def _maps(self) -> Maps:
        view = self.host.view
        models = attention_maps.models_of(view, self.student)
        taps = attention_maps.taps_of(models)
        sample = view.samples.get(self.sample)
        return Maps(
            taps,
            tuple(self._row(title, stage, taps) for title, stage in models),
            sample,
            attention_maps.class_name(view, sample),
            self.app.settings.maps_view,
            self.cell,
            self.maximized_cell,
            self.recomputed.operator if self.recomputed else "",
        )

    def _row(self, title: str, stage: StageView | None, taps: tuple[str, ...]) -> ModelMaps:
        if stage is None:
            return ModelMaps(title, "not part of this run", (None,) * len(taps))
        if self.recomputed is not None:
            return self._recomputed_row(title, stage, taps)
        captured, when = self._captured(stage)
        maps = tuple(captured.get((self.sample, tap)) for tap in taps)
        newest = next((each for each in maps if each is not None), None)
        if newest is not None:
            when = "taken over" if stage.cached and not stage.epochs else f"epoch {newest.epoch}"
            when += "  ● live" if stage.state == "running" and self.cursor is None and self.host.live else ""
        return ModelMaps(title, when, maps)

    def _captured(self, stage: StageView) -> tuple[dict, str]:
        """A stage's captures at the cursor, and why there are none."""
        if not stage.attention:
            return {}, "not begun" if stage.state == "pending" else "nothing recorded yet"
        if self.cursor is None:
            return stage.maps(), ""
        axis = self.app.settings.axis
        span = next((each for each in run_charts.spans(self.host.view, axis) if each.stage is stage), None)
        if span is None or self.cursor < span.begin - 1e-9:
            return {}, "not begun at the cursor"
        length = span.end - span.begin
        share = (self.cursor - span.begin) / length if length > 0 else 1.0
        epoch = int(min(1.0, share) * max(stage.epochs, stage.epoch) + 1e-6)
        found = stage.maps(epoch)
        return found, "" if found else "nothing recorded at the cursor"

    def _recomputed_row(self, title: str, stage: StageView, taps: tuple[str, ...]) -> ModelMaps:
        assert self.recomputed is not None
        maps = tuple(self.recomputed.maps.get((stage.name, self.sample, tap)) for tap in taps)
        when = f"{self.recomputed.operator}, from its checkpoint" if any(maps) else self.recomputed.note
        return ModelMaps(title, when, maps)

    # --- panes ---

    @property
    def wide(self) -> bool:
        """Whether all panes fit beside each other."""
        return self.size.width >= WIDE and self.size.height >= TALL

    def _arrange(self) -> None:
        """Show all panes, or the one that is worked in."""
        settings = self.app.settings
        alone = not self.wide or settings.maximized
        self.set_class(alone, "-alone")
        tabs = self.query_one(PaneTabs)
        tabs.display = alone
        tabs.active = settings.pane
        for name in PANES:
            pane = self.query_one(f"#{name}")
            pane.display = not alone or name == settings.pane
            pane.set_class(name == settings.pane and not alone, "-active")
        self.query_one("#lower").display = not alone or settings.pane != "curves"
        self.query_one("#side").display = not alone or settings.pane in ("health", "log")

    def _title_panes(self) -> None:
        alarmed = bool(all_dead(self.host.view))
        self.query_one(PaneTabs).alarms = frozenset({"health"} if alarmed else ())
        self.query_one("#health").set_class(alarmed, "-alarm")
        for number, name in enumerate(PANES, start=1):
            pane = self.query_one(f"#{name}")
            title = f"{number} {self._pane_title(name)}"
            if str(pane.border_title) != title:
                pane.border_title = title

    def _pane_title(self, name: str) -> str:
        settings = self.app.settings
        if name == "health":
            dead = all_dead(self.host.view)
            return f"attention health · ✗ DEAD: {formatting.clean(', '.join(dead))}" if dead else "attention health"
        if name == "maps":
            count = len(self.host.view.samples)
            parts = [f"attention maps · sample {self.sample + 1}/{max(1, count)}", settings.maps_view]
            return " · ".join([*parts, *([self.recomputed.operator] if self.recomputed else [])])
        return name

    def action_pane(self, name: str) -> None:
        """Work in another pane."""
        self.app.change_settings(pane=name)
        self._arrange()

    def action_next_pane(self, step: int) -> None:
        """Work in the next pane."""
        place = PANES.index(self.app.settings.pane) + step
        self.action_pane(PANES[place % len(PANES)])

    def action_maximize(self) -> None:
        """The pane alone, or all panes."""
        self.app.change_settings(maximized=not self.app.settings.maximized)
        self._arrange()
        self._show_curves()

    def on_click(self, event: events.Click) -> None:
        """A click into a pane makes it the one that the keys belong to."""
        for node in event.widget.ancestors_with_self if event.widget is not None else ():
            if node.id in PANES and node.id != self.app.settings.pane:
                self.action_pane(str(node.id))

    @on(PaneTabs.Chosen)
    def _tab_chosen(self, event: PaneTabs.Chosen) -> None:
        self.action_pane(event.name)

    # --- curves ---

    def action_axis(self) -> None:
        """The next x axis; the cursor stays at its moment."""
        old: run_charts.Axis = self.app.settings.axis
        new = run_charts.AXES[(run_charts.AXES.index(old) + 1) % len(run_charts.AXES)]
        if self.cursor is not None:
            self.cursor = _translated(self.host, self.cursor, old, new)
        self.app.change_settings(axis=new)
        self._show_curves()
        self._show_maps()

    def action_smooth(self) -> None:
        """The next smoothing of the loss."""
        place = run_charts.SMOOTHING.index(self.app.settings.smoothing) + 1
        weight = run_charts.SMOOTHING[place % len(run_charts.SMOOTHING)]
        self.app.change_settings(smoothing=weight)
        self.notify(f"loss smoothed by {weight:g}" if weight else "loss as measured", timeout=2)
        self._show_curves()

    def action_log_y(self) -> None:
        """Logarithmic loss axis on or off."""
        self.app.change_settings(log_y=not self.app.settings.log_y)
        self._show_curves()

    def action_zoom(self) -> None:
        """The next stage alone, then all."""
        names = [
            span.stage.name
            for span in run_charts.spans(self.host.view, self.app.settings.axis)
            if span.end > span.begin
        ]
        places: list[str | None] = [None, *names]
        at = places.index(self.zoom) if self.zoom in places else 0
        self.zoom = places[(at + 1) % len(places)]
        self._show_curves()

    def action_scrub(self, step: int) -> None:
        """To the next or previous moment at which maps were recorded."""
        moments = self._moments()
        if not moments:
            return
        if self.cursor is None:
            place = len(moments) - 1 if step < 0 else None
            place = place - 1 if place else place
        elif step > 0:
            place = next((n for n, x in enumerate(moments) if x > self.cursor + 1e-9), None)
        else:
            place = next((n for n in reversed(range(len(moments))) if moments[n] < self.cursor - 1e-9), 0)
        self.cursor = None if place is None else moments[place]
        self._cursor_moved()

    def _moments(self) -> list[float]:
        axis = self.app.settings.axis
        found = []
        for span in run_charts.spans(self.host.view, axis):
            epochs = max(span.stage.epochs, span.stage.epoch)
            for epoch in span.stage.attention:
                share = epoch / epochs if epochs else 1.0
                found.append(span.begin + share * (span.end - span.begin))
        return sorted(found)

    @on(Curves.CursorMoved)
    def _cursor_clicked(self, event: Curves.CursorMoved) -> None:
        self.cursor = event.x
        self._cursor_moved()

    def _cursor_moved(self) -> None:
        """The same curves with the cursor elsewhere: nothing is plotted anew."""
        for plot in self.query(Curves):
            plot.show(plot.chart, self.cursor)
        self._show_maps()

    # --- keys that mean what the pane makes of them ---

    def action_move(self, columns: int, lines: int) -> None:
        """Move the cursor, the chosen cell, or the log."""
        pane = self.app.settings.pane
        if pane == "curves" and columns:
            self.cursor = self.query_one("#figures", Curves).move(columns)
            self._cursor_moved()
        elif pane == "maps":
            self._move_cell(columns, lines)
        elif pane == "log" and lines:
            log = self.query_one(LogPane)
            log.follow(False)
            log.scroll_relative(y=lines, animate=False)

    def _move_cell(self, columns: int, lines: int) -> None:
        maps = self._maps()
        if not maps.taps or abs(columns) > 1 or abs(lines) > 1:
            return
        row, group = self.cell or (0, 0)
        if self.cell is not None:
            row, group = row + lines, group + columns
        self.cell = min(max(row, 0), len(maps.rows) - 1), min(max(group, 0), len(maps.taps) - 1)
        self._show_maps()

    def action_edge(self, way: Literal[-1, 1]) -> None:
        """To the first point or line, or to the newest and on with it."""
        if self.app.settings.pane == "log":
            log = self.query_one(LogPane)
            log.follow(way > 0)
            if way < 0:
                log.scroll_home(animate=False)
            return
        moments = [x for each in self.query_one("#figures", Curves).chart.series for x in each.x]
        self.cursor = None if way > 0 else min(moments, default=None)
        self._cursor_moved()

    def action_back(self) -> None:
        """One step back: the cell, the cursor, then the screen."""
        if self.maximized_cell:
            self.maximized_cell = False
            self._show_maps()
        elif self.cursor is not None or self.cell is not None:
            self.cursor = self.cell = None
            self._cursor_moved()
        else:
            self.app.leave_run()

    # --- maps ---

    def action_sample(self, step: int) -> None:
        """The next sample image."""
        known = sorted(self.host.view.samples)
        if known:
            place = known.index(self.sample) + step if self.sample in known else 0
            self.sample = known[place % len(known)]
            self._show_maps()
            self._title_panes()

    def action_view(self) -> None:
        """The next way of looking at a pair of maps."""
        at = attention_maps.VIEWS.index(self.app.settings.maps_view) + 1
        self.app.change_settings(maps_view=attention_maps.VIEWS[at % len(attention_maps.VIEWS)])
        self._show_maps()
        self._title_panes()

    def action_draw(self) -> None:
        """Half-blocks or letters."""
        grid = self.query_one(AttentionGrid)
        self.app.change_settings(maps="ascii" if grid.look.blocks else "blocks")
        self._show_maps()

    def action_student(self) -> None:
        """The next defense's student in the third row."""
        students = attention_maps.students_of(self.host.view)
        if len(students) < 2:
            self.notify("this run has one student", timeout=2)
            return
        _, shown = attention_maps.models_of(self.host.view, self.student)[-1]
        assert shown is not None
        self.student = students[(students.index(shown.name) + 1) % len(students)]
        self._show_maps()

    def action_cell(self) -> None:
        """Maximize the chosen cell, or go back to the grid."""
        if self.app.settings.pane != "maps":
            return
        maps = self._maps()
        self.cell = self.cell or (len(maps.rows) - 1, max(0, len(maps.taps) - 1))
        self.maximized_cell = not self.maximized_cell
        self._show_maps()

    @on(AttentionGrid.Chosen)
    def _cell_clicked(self, event: AttentionGrid.Chosen) -> None:
        if self.app.settings.pane != "maps":
            self.action_pane("maps")
        self.maximized_cell = self.cell == (event.row, event.group)
        self.cell = (event.row, event.group)
        self._show_maps()

    def action_operator(self) -> None:
        """The next attention operator; the run's own comes from the record, the others from the checkpoints."""
        from nadtui.workbench.recomputed_maps import next_operator

        name = next_operator(self.host.view, self.recomputed.operator if self.recomputed else None)
        self.recomputed = None if name is None else self.app.recompute(self, name)
        self._show_maps()
        self._title_panes()

    def wants_maps(self, operator: str) -> bool:
        """Whether maps under that operator are still waited for; asked by the thread that is to compute them."""
        wanted = self.recomputed
        return self.is_mounted and wanted is not None and wanted.operator == operator

    def maps_recomputed(self, recomputed: Recomputed) -> None:
        """Maps under another operator are there."""
        if self.wants_maps(recomputed.operator):
            self.recomputed = recomputed
            self._show_maps()

    # --- steering ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that can do nothing now are shown as such."""
        host = self.host
        if action in ("pause", "stop"):
            return True if host.live else None
        if action == "resume":
            return True if self._resumable() else None
        if action == "extend":
            return True if self._extendable() else None
        return True

    def _resumable(self) -> bool:
        return (
            not self.host.live and self.host.state in ("stopped", "failed", "crashed") and self.host.folder is not None
        )

    def _extendable(self) -> list[StageView]:
        """Stages that are done, and others where the run is, or can be, carried out here; none taken from a file."""
        view, host = self.host.view, self.host
        if not view.run or host.folder is None or host.state in ("deleted", "newer", "damaged"):
            return []
        here = isinstance(host, JobHost) or self._resumable()
        given = {"attack"} if view.config.get("student") else set()
        if (view.config.get("teacher") or {}).get("file"):
            given.add("teacher")
        return [s for s in view.stages.values() if s.name not in given and (here or s.state == "finished")]

    def action_pause(self) -> None:
        """Pause, or go on."""
        self.app.steering.pause(self.host)
        self.refresh_run()

    def action_stop(self) -> None:
        """Ask, then stop."""
        self.app.steering.ask_to_stop(self.host)

    def action_resume(self) -> None:
        """Go on with the run in this workbench."""
        if isinstance(self.host, Watcher | JobHost):
            self.app.steering.go_on(self.host)

    def action_extend(self) -> None:
        """Ask for a stage and its epochs, then go on with more of them."""
        self.app.steering.ask_to_extend(self.host, [stage.name for stage in self._extendable()])

    def action_export(self) -> None:
        """Ask for a format, then write the file."""
        self.app.export_run(self.host)

    def action_screenshot(self) -> None:
        """Save what is on screen."""
        self.app.take_screenshot(self.host.title)

    def replace_host(self, host: Host) -> None:
        """Show this host from now on: the run goes on in it."""
        self.host = host
        self.refresh_run(everything=True)
        self.refresh_bindings()


def _translated(host: Host, x: float, old: run_charts.Axis, new: run_charts.Axis) -> float | None:
    """The same moment on another axis."""
    before = {span.stage.name: span for span in run_charts.spans(host.view, old)}
    after = {span.stage.name: span for span in run_charts.spans(host.view, new)}
    for name, span in reversed(before.items()):
        if x >= span.begin and name in after:
            length = span.end - span.begin
            share = min(1.0, (x - span.begin) / length) if length else 0.0
            return after[name].begin + share * (after[name].end - after[name].begin)
    return None
