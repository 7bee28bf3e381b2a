"""The start: presets, runs, and a preview of what is selected."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Vertical
from textual.timer import Timer
from textual.widgets import Footer

from engine.errors import RequestError
from engine.record.state import RunState
from engine.running import processor_queue
from nadtui.draw.run_states import LOOKS
from nadtui.formatting import clean
from nadtui.runs import notes
from nadtui.runs.catalog import Catalog, RunRow
from nadtui.runs.comparison import MOST
from nadtui.workbench import run_sketch
from nadtui.workbench.dialogs import Ask
from nadtui.workbench.footer import FootedScreen
from nadtui.workbench.messages import HostChanged
from nadtui.workbench.screens import workspace_keys
from nadtui.workbench.threads import hand_over
from nadtui.workbench.trash import Trash
from nadtui.workbench.widgets.preset_list import PresetList
from nadtui.workbench.widgets.run_table import RunTable
from nadtui.workbench.widgets.runs_pane import COLUMNS_NOTE, GROUP_NOTE, Filter, RunsPane
from nadtui.workbench.widgets.selection_preview import SelectionPreview
from nadtui.workbench.widgets.tiles import Tiles

if TYPE_CHECKING:
    from nadtui.workbench.base import WorkbenchBase

LOOK_S = 2.0
"""Seconds between two looks at the folder of runs."""
PANES = {"presets": "presets-pane", "runs": "runs-pane", "preview": "preview"}
"""Panes by name, with their ids."""


class WorkspaceScreen(FootedScreen):
    """Presets on the left, runs in the middle, a preview on the right, or below where that is too narrow."""

    app: WorkbenchBase
    TITLE = "workspace"
    HELP_GROUP = "Workspace"
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [
        (0, "-narrow"),
        (100, "-medium"),
        (150, "-wide"),
        (190, "-vast"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = workspace_keys.BINDINGS
    DEFAULT_CSS = """
    WorkspaceScreen {
        #panes { grid-size: 2 2; grid-columns: 18 1fr; grid-rows: 50% 1fr; grid-gutter: 0; }
        #panes > * { border: round $foreground 30%; border-title-color: $foreground; padding: 0; }
        #panes > *:focus-within { border: round $border; border-title-color: $text-primary; }
        #presets-pane { row-span: 2; }
    }
    WorkspaceScreen.-medium #panes { grid-columns: 30 1fr; }
    WorkspaceScreen.-wide #panes { grid-size: 3 1; grid-columns: 32 1fr 58; grid-rows: 1fr; }
    WorkspaceScreen.-vast #panes { grid-size: 3 1; grid-columns: 32 1fr 72; grid-rows: 1fr; }
    WorkspaceScreen.-wide #presets-pane, WorkspaceScreen.-vast #presets-pane { row-span: 1; }
    WorkspaceScreen.full #panes { grid-size: 1 1; grid-columns: 1fr; grid-rows: 1fr; }
    WorkspaceScreen.full #presets-pane { row-span: 1; }
    """

    def __init__(self, catalog: Catalog | None = None) -> None:
        super().__init__()
        self.runs = RunsPane(id="runs-pane")
        self.preview = SelectionPreview(self._followed, self._look, id="preview")
        self._catalog = catalog
        self._looks: Timer | None = None
        self._looking = False
        self._empty = False
        """Whether it is known that there are no runs."""
        self._pressed = 0
        """Keys that had been pressed when it was opened."""
        self.trash = Trash(self, self._look)

    # --- what it is made of ---

    def compose(self) -> ComposeResult:
        """Three panes and the keys."""
        with Grid(id="panes"):
            with Vertical(id="presets-pane") as presets:
                presets.border_title = "presets"
                yield PresetList(id="presets")
            yield self.runs
            yield self.preview
        yield Footer(compact=True, show_command_palette=False)

    @property
    def catalog(self) -> Catalog:
        """The runs under the app's folder."""
        if self._catalog is None:
            self._catalog = Catalog(self.app.runs_root, self.app.now)
        return self._catalog

    @property
    def table(self) -> RunTable:
        """The list of runs."""
        return self.runs.table

    def on_mount(self) -> None:
        """Read presets and runs in the background: the first paint waits for neither."""
        self._arrange()
        self._pressed = self.app.pressed
        self.set_focus(self.query_one(PresetList) if self._kept("pane") == "presets" else self.table)
        self.trash.expire()
        self._look()
        self._looks = self.set_interval(LOOK_S, self._look)
        self.app.theme_changed_signal.subscribe(self, lambda theme: self.preview.redraw())

    def on_screen_resume(self) -> None:
        """Something may have happened while another screen was up."""
        if self._looks is not None:
            self._looks.resume()
        self._look()
        for tiles in self.query(Tiles):
            tiles.refresh(layout=True)  # drawn another way, perhaps

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing must stir: it would be painted anew for it."""
        if self._looks is not None:
            self._looks.pause()

    # --- the list of runs ---

    def _look(self) -> None:
        if self.is_current and not self._looking:
            self._looking = True
            self._read_runs()

    @work(thread=True, group="runs", exit_on_error=False)
    def _read_runs(self) -> None:
        """List the runs, and sketch the one selected if it is at work."""
        try:
            rows = self.catalog.rows()
            selected = self.preview.subject
            row = next((row for row in rows if isinstance(selected, RunRow) and row.path == selected.path), None)
            view = self.catalog.view(row.path) if row is not None else None
            # A run at work is sketched here: only this thread may read what the catalog is folding.
            drawn = None if view is None else run_sketch.of(view, row.path, row.state, dark=self.preview.dark)
        finally:
            self._looking = False
        hand_over(self, partial(self._take_rows, rows))
        if drawn is not None:
            hand_over(self, partial(self.preview.take_run, row, drawn))

    def _preparing(self) -> list[RunRow]:
        """Runs of this process that have no folder yet."""
        rows = []
        for key, host in self.app.hosts.items():
            if host.live and host.folder is None:
                config = host.request.config
                dataset = Path(config.data.name).name
                rows.append(RunRow(key, Path(), RunState.PREPARING, config.preset, dataset, config.seed, age="now"))
        return rows[::-1]

    @on(HostChanged)
    def _host_changed(self, event: HostChanged) -> None:
        """A run of this process that ended before it had a record has nobody else to say why."""
        host = event.host
        if self.is_current and host.owned and not host.live and host.folder is None and host.remark:
            self.notify(clean(host.remark), title="not started", severity="error", timeout=15)
            self._look()

    def _take_rows(self, rows: list[RunRow]) -> None:
        self.runs.take([*self._preparing(), *rows])
        if self._empty != (not self.runs.rows):
            self._empty = not self.runs.rows
            self.refresh_bindings()
            untouched = self.focused is self.table and self.app.pressed == self._pressed
            if self._empty and untouched and not self._kept("full"):
                self.set_focus(self.query_one(PresetList))

    def _followed(self, path: Path) -> bool:
        return self.catalog.view(path) is not None

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that do nothing now are idle."""
        filtering = isinstance(self.focused, Filter)
        return None if workspace_keys.idle(action, empty=self._empty, filtering=filtering) else True

    def in_footer(self, binding: Binding) -> Binding:
        """Without runs, what leads to the first one."""
        return workspace_keys.in_footer(binding, empty=self._empty)

    # --- panes ---

    def action_sweeps(self) -> None:
        """Ask which sweep to open."""
        self.app.choose_sweep()

    def action_filter(self) -> None:
        """Filter as you type."""
        self.runs.open_filter()

    def action_columns(self) -> None:
        """Ask for the columns of the runs."""
        self.app.push_screen(Ask("Columns", self.runs.columns, note=COLUMNS_NOTE), self.runs.choose_columns)

    def action_group(self) -> None:
        """Ask for a field to group the runs by."""
        self.app.push_screen(Ask("Group by", self.runs.grouped_by, note=GROUP_NOTE), self.runs.group_by)

    def action_clear_filter(self) -> None:
        """Show all runs again."""
        self.runs.clear_filter()

    def action_focus_runs(self) -> None:
        """Go from the filter to the runs."""
        self.table.focus()

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        if self._kept("full"):
            self._keep(full=name)
            self._arrange()
        page = "run" if isinstance(self.preview.subject, RunRow) else "preset"
        # At once, not by `focus`, which waits its turn: keys typed right behind this one belong to the pane.
        self.set_focus(self.query_one(f"#{page if name == 'preview' else name}"))

    def action_full(self) -> None:
        """The pane alone, or all panes."""
        self._keep(full="" if self._kept("full") else self._pane())
        self._arrange()

    def action_draw(self) -> None:
        """Half-blocks or letters."""
        tiles = self.query(Tiles)
        self.app.change_settings(maps="ascii" if tiles.first().blocks else "blocks")
        for each in tiles:
            each.refresh(layout=True)

    def _pane(self) -> str:
        """The pane that has the keys."""
        within = self.focused.ancestors_with_self if self.focused is not None else ()
        return next((name for name, pane in PANES.items() if any(node.id == pane for node in within)), "runs")

    def _arrange(self) -> None:
        """Show all panes, or the one that has the whole screen."""
        full = self._kept("full")
        self.set_class(bool(full), "full")
        for name, pane in PANES.items():
            self.query_one(f"#{pane}").display = not full or name == full

    def _kept(self, name: str) -> str:
        """What was kept of the panes, here or at an earlier start; empty where that names none."""
        value = self.app.settings.workspace.get(name)
        return value if isinstance(value, str) and value in PANES else ""

    def _keep(self, **values: Any) -> None:
        self.app.change_settings(workspace={**self.app.settings.workspace, **values})

    # --- what is selected ---

    @on(RunTable.Highlighted)
    def _run_highlighted(self, event: RunTable.Highlighted) -> None:
        presets = self.query_one(PresetList)
        if presets.has_focus and presets.preset is not None:
            return  # a run that goes on behind a person's back is not what they look at
        if event.row is not None:
            self.preview.select(event.row)
        elif isinstance(self.preview.subject, RunRow):
            self.preview.select(None)

    @on(PresetList.Highlighted)
    def _preset_highlighted(self, event: PresetList.Highlighted) -> None:
        if self.query_one(PresetList).has_focus or self.preview.subject is None:
            self.preview.select(event.preset)

    def on_descendant_focus(self) -> None:
        """The preview follows the pane that has the keys, which is the one to begin with next time."""
        if self._pane() != (self._kept("pane") or "runs") and not self._empty:
            self._keep(pane=self._pane())
        presets, row = self.query_one(PresetList), self.table.row
        if presets.has_focus and presets.preset is not None:
            self.preview.select(presets.preset)
        elif self.table.has_focus and row is not None:
            self.preview.select(row)

    # --- what can be done ---

    @on(RunTable.Opened)
    def _run_opened(self, event: RunTable.Opened) -> None:
        row = event.row
        if row.readable:
            self.app.open_run(row.path)
        elif row.id in self.app.hosts:
            self.app.open_run(self.app.hosts[row.id])
        else:
            self.notify(f"{row.id} cannot be opened: {LOOKS[row.state].meaning}", severity="warning")

    @on(PresetList.Chosen)
    def _preset_chosen(self, event: PresetList.Chosen) -> None:
        self.app.open_form(preset=event.preset.name)

    def action_new_run(self) -> None:
        """Open the form for a new run, from the preset selected."""
        preset = self.query_one(PresetList).preset
        self.app.open_form(preset=preset.name if preset else None)

    def action_rerun(self) -> None:
        """Open the form with a run's own configuration."""
        row = self.table.row
        if row is None:
            self.notify("no run is selected")
        elif row.state in (RunState.NEWER, RunState.DELETED, RunState.PREPARING):
            self.notify(f"{row.id} cannot be run again: {LOOKS[row.state].meaning}", severity="warning")
        else:
            self.app.open_form(run=row.path)

    def action_screenshot(self) -> None:
        """Save what is on screen."""
        self.app.take_screenshot("workspace")

    def action_unmark(self) -> None:
        """Take off all marks."""
        self.table.unmark()

    def action_compare(self) -> None:
        """Compare the marked runs; with one marked, it and the run at the cursor."""
        chosen = self.runs.to_compare()
        if 2 <= len(chosen) <= MOST:
            self.app.open_comparison([row.path for row in chosen])
        else:
            self.notify(f"mark 2 to {MOST} runs with the space bar to compare them; marked: {len(chosen)}")

    def action_export(self) -> None:
        """Write the run to a file."""
        row = self.table.row
        if row is None:
            self.notify("no run is selected")
        elif row.readable:
            self.app.export_run(row.path)
        else:
            self.notify(f"{row.id} cannot be exported: {LOOKS[row.state].meaning}", severity="warning")

    def action_delete(self) -> None:
        """Delete the marked runs, or the one at the cursor, after asking."""
        self.trash.ask(self.runs.chosen(), self.runs.hidden_marked())

    def action_note(self) -> None:
        """Say something of the run, in one line."""
        row = self.table.row
        if row is None or not row.path.is_dir():
            self.notify("no run is selected")
            return

        def written(line: str | None) -> None:
            if line is None:
                return
            try:
                notes.keep(row.path, notes.parsed(line))
            except RequestError as error:
                self.notify(clean(error), severity="error")
            self._look()

        said = "A name, #tags and, behind --, a note: first try #paper -- lr too high\nA filter finds them."
        self.app.push_screen(Ask(f"Name, tags and note of {row.id}", row.notes.line, note=said), written)

    def action_undelete(self) -> None:
        """Take back what was deleted last."""
        self.trash.undo()

    def action_queue(self, by: int) -> None:
        """Move a waiting run in the machine's queue."""
        row = self.table.row
        if row is None or row.queue is None:
            self.notify("only a run that waits in the queue can be moved")
            return
        self._move(row.ticket, row.queue + by)

    @work(thread=True, group="queue", exit_on_error=False)
    def _move(self, ticket: str, place: int) -> None:
        try:
            processor_queue.move(ticket, max(1, place))
        except RequestError as error:
            hand_over(self, partial(self.notify, clean(error), severity="warning"))
        hand_over(self, self._look)
