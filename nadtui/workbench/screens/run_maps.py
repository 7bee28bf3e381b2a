"""The run screen's attention maps: what its keys choose of them, and maps under other operators."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import on, work
from textual.screen import Screen

from nadtui import formatting
from nadtui.draw import attention_maps
from nadtui.draw.attention_maps import Maps
from nadtui.runs.hosting import Host
from nadtui.workbench.dialogs import Choose
from nadtui.workbench.palette import Place
from nadtui.workbench.shown_maps import ShownMaps
from nadtui.workbench.threads import hand_over, there
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.run_panes import RunPanes

if TYPE_CHECKING:
    from nadtui.workbench.base import WorkbenchBase
    from nadtui.workbench.recomputed_maps import Recomputed, Task


class MapsOfRun(Screen[None]):
    """The part of the run screen that shows maps."""

    app: WorkbenchBase

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self.cursor: float | None = None
        """Where the value cursor is on the x axis; None = at the newest point."""
        self.maps = ShownMaps()
        self.panes = RunPanes()

    def action_pane(self, name: str) -> None:
        """Work in another pane."""
        raise NotImplementedError

    def _show_maps(self) -> None:
        self.panes.grid.show(self.grid(), self.app.settings.maps)

    def grid(self) -> Maps:
        """The maps as they are shown now."""
        settings, lines = self.app.settings, self.query_one(AttentionGrid).size.height
        view, live = self.host.view, self.host.live
        return self.maps.grid(view, settings.axis, self.cursor, settings.maps_view, lines, live=live)

    def _title_panes(self) -> None:
        self.panes.show_titles(self.host.view, self.maps, self.app.settings.maps_view)

    def action_sample(self, step: int) -> None:
        """The next sample image."""
        self.maps.next_sample(self.host.view, step)
        self._show_maps()
        self._title_panes()

    def action_class(self) -> None:
        """Ask for a sample, by class."""
        view = self.host.view
        named = [(number, attention_maps.class_name(view, sample)) for number, sample in view.samples.items()]
        choices = [
            (str(number), f"{name} · test image {view.samples[number].index}")
            for number, name in sorted(named, key=lambda each: (each[1], each[0]))
        ]
        if choices:
            self.app.push_screen(Choose("A sample of the class", choices), self._choose_sample)
        else:
            self.notify("no samples recorded yet", timeout=4)

    def _choose_sample(self, number: str | None) -> None:
        if number is not None:
            self.show_sample(int(number))

    def show_sample(self, number: int) -> None:
        """Show the maps of this sample."""
        self.maps.sample = number
        self._show_maps()
        self._title_panes()

    def places(self) -> list[Place]:
        """The run's samples, for the palette."""
        view = self.host.view
        return [
            Place(
                f"sample {number + 1}: {formatting.clean(attention_maps.class_name(view, sample))}",
                f"Its attention maps: test image {sample.index}",
                partial(self._go_to_sample, number),
            )
            for number, sample in sorted(view.samples.items())
        ]

    def _go_to_sample(self, number: int) -> None:
        self.action_pane("maps")
        self.show_sample(number)

    def action_disputed(self) -> None:
        """The next sample on which the models' answers differ."""
        found, why = self.maps.next_disputed(self.host.view, self.app.settings.axis, self.cursor)
        if found is None:
            self.notify(why, timeout=4)
        else:
            self.show_sample(found)

    def action_view(self) -> None:
        """The next way of looking at a pair of maps."""
        views, now = attention_maps.views_of(self.host.view), self.app.settings.maps_view
        if now in views and len(views) > 1:
            self.app.change_settings(maps_view=views[(views.index(now) + 1) % len(views)])
        self._show_maps()
        self._title_panes()

    def action_draw(self) -> None:
        """Half-blocks or letters."""
        self.app.change_settings(maps="ascii" if self.panes.grid.look.blocks else "blocks")
        self._show_maps()

    def action_defense(self) -> None:
        """The models of the next defense alone, or of all."""
        if self.maps.next_defense(self.host.view):
            self._show_maps()
            self._title_panes()
        else:
            self.notify("this run has one defense", timeout=2)

    def action_cell(self) -> None:
        """Maximize the chosen cell, or go back to the grid."""
        if self.app.settings.pane != "maps":
            return
        self.maps.maximize(self.grid())
        self._show_maps()

    @on(AttentionGrid.Resized)
    def _maps_resized(self) -> None:
        self._show_maps()
        self._title_panes()

    @on(AttentionGrid.Chosen)
    def _cell_clicked(self, event: AttentionGrid.Chosen) -> None:
        if self.app.settings.pane != "maps":
            self.action_pane("maps")
        self.maps.point_at((event.row, event.tap))
        self._show_maps()

    def action_operator(self) -> None:
        """The next attention operator; the run's own comes from the record, the others from the checkpoints."""
        from nadtui.workbench import recomputed_maps

        now = self.maps.recomputed
        name = recomputed_maps.next_operator(self.host.view, now.operator if now else None)
        begun = None if name is None else recomputed_maps.begun(self.host.view, self.host.folder, name)
        self.maps.recomputed, task = begun or (None, None)
        if task is not None:
            self._compute_maps(task)
        self._show_maps()
        self._title_panes()

    @work(thread=True, group="maps", exit_on_error=False)
    def _compute_maps(self, task: Task) -> None:
        from nadtui.workbench import recomputed_maps

        done = recomputed_maps.compute_if(task, wanted=lambda: self._wants(task.operator))
        if done is not None:
            hand_over(self, partial(self._maps_recomputed, done))

    def _wants(self, operator: str) -> bool:
        """Whether maps under that operator are still waited for; asked by the thread that is to compute them."""
        wanted = self.maps.recomputed
        return there(self) and wanted is not None and wanted.operator == operator

    def _maps_recomputed(self, recomputed: Recomputed) -> None:
        if self._wants(recomputed.operator):
            self.maps.recomputed = recomputed
            self._show_maps()
