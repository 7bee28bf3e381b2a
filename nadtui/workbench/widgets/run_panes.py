"""The run screen's panes: curves, attention maps, health and log, beside each other or one at a time."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical

from engine.record.view import RunView
from nadtui import formatting
from nadtui.runs.hosting import Host
from nadtui.workbench.settings import PANES
from nadtui.workbench.shown_maps import ShownMaps
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.curves_pane import CurvesPane
from nadtui.workbench.widgets.health import Health, all_dead
from nadtui.workbench.widgets.log import LogPane
from nadtui.workbench.widgets.pane_tabs import PaneTabs


class RunPanes(Vertical):
    """All panes, and the tabs that stand above where only one of them fits."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.curves = CurvesPane(id="curves", classes="pane")
        self.grid = AttentionGrid()
        self.health = Health()
        self.log_lines = LogPane()
        self._logged = 0
        self._log_of: object = None

    def compose(self) -> ComposeResult:
        """Tabs; curves on top, maps, health and log below."""
        yield PaneTabs(PANES)
        with Vertical(id="body"):
            yield self.curves
            with Horizontal(id="lower"):
                with Container(id="maps", classes="pane"):
                    yield self.grid
                with Vertical(id="side"):
                    with Container(id="health", classes="pane"):
                        yield self.health
                    with Container(id="log", classes="pane"):
                        yield self.log_lines

    def lay_out(self, active: str, *, alone: bool) -> None:
        """Show all panes, or `alone` the one that is worked in."""
        tabs = self.query_one(PaneTabs)
        tabs.display = alone
        tabs.active = active
        for name in PANES:
            pane = self.query_one(f"#{name}")
            pane.display = not alone or name == active
            pane.set_class(name == active and not alone, "-active")
        self.query_one("#lower").display = not alone or active != "curves"
        self.query_one("#side").display = not alone or active in ("health", "log")

    def show_log(self, host: Host) -> None:
        """Append what is new in the run's log."""
        if self._log_of is not host.log:  # the record was read anew
            self.log_lines.clear()
            self._log_of, self._logged = host.log, 0
        new = min(host.logged - self._logged, len(host.log))
        if new:
            self._logged = host.logged
            self.log_lines.add(list(host.log)[-new:])

    def show_titles(self, view: RunView, maps: ShownMaps, maps_view: str) -> None:
        """Say above each pane what it shows, and mark one with something in it that must not be missed."""
        dead = formatting.clean(", ".join(all_dead(view)))
        tabs = self.query_one(PaneTabs)
        tabs.alarms = frozenset({"health"} if dead else ())
        self.query_one("#health").set_class(bool(dead), "-alarm")
        titles = dict.fromkeys(PANES, "") | {
            "maps": maps.title(view, maps_view),
            "health": f"attention health · ✗ DEAD: {dead}" if dead else "attention health",
        }
        tabs.said = maps.title(view, maps_view, brief=True) if tabs.active == "maps" else ""
        for number, (name, said) in enumerate(titles.items(), start=1):
            pane = self.query_one(f"#{name}")
            title = f"{number} {said or name}"
            if str(pane.border_title) != title:
                pane.border_title = title
