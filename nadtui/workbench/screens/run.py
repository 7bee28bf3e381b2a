"""The run screen: one run's curves, attention maps, health and log, and the keys that steer it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Footer

from nadtui import formatting
from nadtui.draw import run_charts
from nadtui.draw.axis import AXES, Axis, moments, scrubbed, translated
from nadtui.runs.hosting import Host, JobHost
from nadtui.runs.watching import Watcher
from nadtui.workbench.screens import run_keys
from nadtui.workbench.screens.run_maps import MapsOfRun
from nadtui.workbench.settings import PANES
from nadtui.workbench.steering import why_not
from nadtui.workbench.widgets.curves import Curves
from nadtui.workbench.widgets.curves_pane import CurvesPane
from nadtui.workbench.widgets.pane_tabs import PaneTabs
from nadtui.workbench.widgets.remeasured import Paragraph
from nadtui.workbench.widgets.run_header import RunHeader
from nadtui.workbench.widgets.stage_strip import StageStrip

if TYPE_CHECKING:
    from textual.screen import ActiveBinding
    from textual.timer import Timer

WIDE, TALL = 118, 34
"""From this size on all panes have room beside each other."""


class RunScreen(MapsOfRun):
    """Shows a `Host`; holds no result of its own."""

    TITLE = "run"
    ABOUT = (
        "ACC: clean test images classified right. ASR: triggered images sent to the attacker's class. "
        "Shadow (--shadow): clean images sent by a made-up patch to the class that the suspect is led to most easily."
    )
    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = list(run_keys.BINDINGS)
    HELP_GROUPS: ClassVar[dict[str, str]] = run_keys.GROUPS

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._noticed = ""
        self._steered: tuple[str, bool] | None = None
        self._ticks: Timer | None = None

    def compose(self) -> ComposeResult:
        """Header and stages on top; curves, maps, health and log as there is room."""
        yield RunHeader()
        yield StageStrip()
        yield Paragraph(id="notice")
        yield self.panes
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show what there is, and let the clock run."""
        self._arrange()
        self.refresh_run(everything=True)
        self._ticks = self.set_interval(1.0, self._tick)
        self.app.theme_changed_signal.subscribe(self, lambda theme: self.refresh_run(everything=True))

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

    @property
    def curves(self) -> CurvesPane:
        """The curves."""
        return self.panes.curves

    # --- what is shown ---

    def refresh_run(self, *, everything: bool = False) -> None:
        """Show the host's newest state; the costly parts only where they changed, and not too often."""
        now = self.app.now()
        host = self.host
        self.query_one(RunHeader).show(host, now)
        self.query_one(StageStrip).show(host.view)
        self.panes.health.show(host.view)
        self.panes.show_log(host)
        if everything or self.curves.due(host.view):
            self._show_curves()
        self._show_maps()
        self._title_panes()
        self._show_notice()
        steered = (host.state, host.live)
        if steered != self._steered:  # only then: the footer is built anew by this, which is dear
            self._steered = steered
            self.refresh_bindings()

    def _show_notice(self) -> None:
        notice = self.query_one("#notice", Paragraph)
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
        self.curves.show(self.host.view, self.cursor, stacked=self.has_class("-alone"))

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
        self.panes.lay_out(settings.pane, alone=alone)
        self._title_panes()
        self.refresh_bindings()  # the footer lists the keys of the pane

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
        old: Axis = self.app.settings.axis
        new = AXES[(AXES.index(old) + 1) % len(AXES)]
        if self.cursor is not None:
            self.cursor = translated(self.host.view, self.cursor, old, new)
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
        self.cursor = self.curves.next_zoom(self.host.view, self.cursor)
        self._show_curves()
        self._show_maps()

    def action_scrub(self, step: int) -> None:
        """To the next or previous moment at which maps were recorded."""
        self.cursor = scrubbed(moments(self.host.view, self.app.settings.axis), self.cursor, step)
        self._cursor_moved()

    @on(Curves.CursorMoved)
    def _cursor_clicked(self, event: Curves.CursorMoved) -> None:
        self.cursor = event.x
        self._cursor_moved()

    def _cursor_moved(self) -> None:
        self.curves.put_cursor(self.cursor)
        self._show_maps()

    # --- keys that mean what the pane makes of them ---

    def action_move(self, columns: int, lines: int) -> None:
        """Move the cursor, the chosen cell, or the log."""
        pane = self.app.settings.pane
        if pane == "curves" and columns:
            self.cursor = self.curves.figures.move(columns)
            self._cursor_moved()
        elif pane == "maps":
            self.maps.move_cell(self.grid(), columns, lines)
            self._show_maps()
        elif pane == "log" and lines:
            log = self.panes.log_lines
            log.follow(False)
            log.scroll_relative(y=lines, animate=False)
        elif pane == "health" and lines:
            self.panes.health.scroll_relative(y=lines, animate=False)

    def action_edge(self, way: Literal[-1, 1]) -> None:
        """To the first point or line, or to the newest and on with it."""
        if self.app.settings.pane == "log":
            log = self.panes.log_lines
            log.follow(way > 0)
            if way < 0:
                log.scroll_home(animate=False)
            return
        self.cursor = None if way > 0 else self.curves.first()
        self._cursor_moved()

    def action_back(self) -> None:
        """One step back: the cell, the cursor, the full screen, then the run's."""
        maps = self.maps
        if maps.maximized_cell:
            maps.maximized_cell = False
            self._show_maps()
        elif self.cursor is not None or maps.cell is not None:
            self.cursor = maps.cell = None
            self._cursor_moved()
        elif self.wide and self.app.settings.maximized:
            self.action_maximize()
        else:
            self.app.leave_run()

    # --- steering ---

    def on_key(self, event: events.Key) -> None:
        """A key that can do nothing now says why."""
        if reason := why_not(self.host, run_keys.STEERED.get(event.key, "")):
            self.notify(reason, timeout=4)

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """As every screen's; of the keys that are a pane's own the footer shows those of the one worked in."""
        active = super().active_bindings
        enabled = [each.binding for each in active.values() if each.enabled]
        keys = [(self.app.get_key_display(binding), binding) for binding in enabled]
        shown = run_keys.in_footer(keys, self.app.settings.pane, self.size.width)
        return {key: each._replace(binding=replace(each.binding, show=key in shown)) for key, each in active.items()}

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that can do nothing now are shown as such."""
        return None if why_not(self.host, action) else True

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
        self.app.steering.ask_to_extend(self.host)

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
