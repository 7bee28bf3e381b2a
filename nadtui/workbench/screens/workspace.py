"""The start: presets, runs, and a preview of what is selected."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Vertical
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.widgets import Footer, Input
from textual.worker import get_current_worker

from engine.config.presets import Preset, list_presets, resolve
from engine.data import present
from engine.errors import RequestError
from engine.record import store
from engine.running import processor_queue
from nadtui.draw import trigger_pictures
from nadtui.formatting import clean, plural
from nadtui.runs.catalog import LIVE, Catalog, RunRow
from nadtui.runs.comparison import MOST
from nadtui.runs.digest import flatten
from nadtui.runs.query import Query, parse
from nadtui.workbench import miniature
from nadtui.workbench.app import HostChanged
from nadtui.workbench.widgets.preset_list import PresetList
from nadtui.workbench.widgets.preview import Preview, Tiles
from nadtui.workbench.widgets.run_table import EXPLAINED, RunTable

if TYPE_CHECKING:
    from engine.config.run import DataSettings

LOOK_S = 2.0
"""Seconds between two looks at the folder of runs."""
SETTLE_S = 0.12
"""Seconds for which the cursor must rest before its run is read."""
KEPT = 32
"""Sketches of runs at rest that are kept."""
SHOWN = ("attack", "data.name", "training.epochs", "teacher.training.epochs", "distill.training.epochs", "distill.beta")
"""Fields of a preset's configuration that the preview shows, tables with all below them."""

PANES = {"presets": "presets-pane", "runs": "runs-pane", "preview": "preview"}
"""Panes by name, with their ids."""

NO_RUNS = "No runs yet.\n\nChoose a preset and press Enter, or n, to start one."
NO_MATCH = "No run matches.\n\nEscape clears the filter."


class Filter(Input):
    """The filter of the runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.clear_filter", "Clear", priority=True),
        Binding("down", "screen.focus_runs", "Runs", show=False),
    ]


class WorkspaceScreen(Screen[None]):
    """Presets on the left, runs in the middle, a preview on the right, or below where that is too narrow."""

    TITLE = "workspace"
    HELP_GROUP = "Workspace"
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [
        (0, "-narrow"),
        (100, "-medium"),
        (150, "-wide"),
        (190, "-vast"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new_run", "New", tooltip="New run: a form over the configuration"),
        Binding("r", "rerun", "Rerun", tooltip="A new run with this run's configuration"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Filter runs, as in: sig asr<5 dataset:cifar10"),
        Binding("c", "compare", "Compare", tooltip="Compare the marked runs"),
        Binding("e", "export", "Export", tooltip="Write the run to a file"),
        Binding("d", "delete", "Del", tooltip="Delete the marked runs, or this one; asks first"),
        Binding("S", "screenshot", "Screenshot", tooltip="Save a screenshot (SVG)", show=False),
        Binding("u", "unmark", "Unmark all", show=False),
        Binding("shift+up,K", "queue(-1)", "Earlier in the queue", show=False),
        Binding("shift+down,J", "queue(1)", "Later in the queue", show=False),
        Binding("1", "pane('presets')", "Presets", show=False),
        Binding("2", "pane('runs')", "Runs", show=False),
        Binding("3", "pane('preview')", "Preview", show=False),
        Binding("f", "full", "Full screen", tooltip="Give the pane the whole screen, or take it back", show=False),
        Binding("m", "draw", "Draw", tooltip="Draw pictures and maps in half-blocks or in letters", show=False),
        Binding("escape", "clear_filter", "Clear the filter", show=False),
    ]
    DEFAULT_CSS = """
    WorkspaceScreen {
        #panes { grid-size: 2 2; grid-columns: 18 1fr; grid-rows: 50% 1fr; grid-gutter: 0; }
        #panes > * { border: round $foreground 30%; border-title-color: $foreground; padding: 0; }
        #panes > *:focus-within { border: round $border; border-title-color: $text-primary; }
        #presets-pane { row-span: 2; }
        #filter { height: 1; border: none; padding: 0; background: $surface; display: none; }
        #filter.shown { display: block; }
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
        self._catalog = catalog
        self._rows: list[RunRow] = []
        self._query = Query()
        self._subject: RunRow | Preset | None = None
        self._settling: Timer | None = None
        self._looks: Timer | None = None
        self._looking = False
        self._sketches: dict[tuple[Any, ...], miniature.Sketch] = {}
        self._pencil = threading.Lock()

    # --- what it is made of ---

    def compose(self) -> ComposeResult:
        """Three panes and the keys."""
        with Grid(id="panes"):
            with Vertical(id="presets-pane") as presets:
                presets.border_title = "presets"
                yield PresetList(id="presets")
            with Vertical(id="runs-pane") as runs:
                runs.border_title = "runs"
                yield Filter(id="filter", placeholder="sig asr<5 dataset:cifar10", compact=True)
                yield RunTable(id="runs")
            preview = Preview(id="preview")
            preview.border_title = "preview"
            yield preview
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
        return self.query_one(RunTable)

    @property
    def dark(self) -> bool:
        """Whether the theme is a dark one."""
        return self.app.current_theme.dark

    def on_mount(self) -> None:
        """Read presets and runs in the background: the first paint waits for neither."""
        self._arrange()
        self.set_focus(self.query_one(PresetList) if self._kept("pane") == "presets" else self.table)
        self._read_presets()
        self._look()
        self._looks = self.set_interval(LOOK_S, self._look)
        self.app.theme_changed_signal.subscribe(self, self._theme_changed)

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
            selected = self._subject
            row = next((row for row in rows if isinstance(selected, RunRow) and row.path == selected.path), None)
            view = self.catalog.view(row.path) if row is not None else None
            # A run at work is sketched here: only this thread may read what the catalog is folding.
            drawn = None if view is None else miniature.of(view, row.path, row.state, dark=self.dark)
        finally:
            self._looking = False
        _hand_over(self, partial(self._take_rows, rows))
        if drawn is not None:
            _hand_over(self, partial(self._take_run, row, drawn))

    def _preparing(self) -> list[RunRow]:
        """Runs of this process that have no folder yet."""
        rows = []
        for key, host in self.app.hosts.items():
            if host.live and host.folder is None:
                config = host.request.config
                dataset = Path(config.data.name).name
                rows.append(RunRow(key, Path(), "preparing", config.preset, dataset, config.seed, age="now"))
        return rows[::-1]

    @on(HostChanged)
    def _host_changed(self, event: HostChanged) -> None:
        """A run of this process that ended before it had a record has nobody else to say why."""
        host = event.host
        if self.is_current and host.owned and not host.live and host.folder is None and host.remark:
            self.notify(clean(host.remark), title="not started", severity="error", timeout=15)
            self._look()

    def _take_rows(self, rows: list[RunRow]) -> None:
        rows = [*self._preparing(), *rows]
        changed = rows != self._rows
        self._rows = rows
        gone = [run for run in self.table.marked if run not in {row.id for row in rows}]
        if gone:
            self.table.unmark(gone)
        if changed or not self.table.nothing:
            self._sift()

    def _sift(self) -> None:
        """Show the runs that the filter leaves."""
        if self._query.terms:
            self._sift_in_thread(self._query, self._rows)
        else:
            self._show_rows(self._query, self._rows)

    @work(thread=True, group="filter", exclusive=True, exit_on_error=False)
    def _sift_in_thread(self, query: Query, rows: list[RunRow]) -> None:
        """Fields of the configuration may have to be read from disk."""
        worker = get_current_worker()
        kept = []
        for row in rows:
            if worker.is_cancelled:
                return
            if query.matches(row):
                kept.append(row)
        _hand_over(self, partial(self._show_rows, query, kept))

    def _show_rows(self, query: Query, kept: Sequence[RunRow]) -> None:
        if query != self._query:
            return
        self.table.show(kept, NO_MATCH if self._rows else NO_RUNS)
        pane = self.query_one("#runs-pane")
        count = f"{len(kept)} of {len(self._rows)}" if query.terms else str(len(self._rows))
        pane.border_title = f"runs {count}" if self._rows else "runs"
        live = [f"{sum(row.state == state for row in self._rows)} {state}" for state in LIVE]
        said = query.problem or " · ".join(part for part in live if not part.startswith("0"))
        pane.border_subtitle = clean(said)

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._query = parse(event.value)
        self._sift()

    @on(Input.Submitted, "#filter")
    def _filter_entered(self) -> None:
        self.table.focus()

    def action_filter(self) -> None:
        """Filter as you type."""
        field = self.query_one("#filter", Filter)
        field.add_class("shown")
        field.focus()

    def action_clear_filter(self) -> None:
        """Show all runs again."""
        field = self.query_one("#filter", Filter)
        field.value = ""
        field.remove_class("shown")
        self.table.focus()

    def action_focus_runs(self) -> None:
        """Go from the filter to the runs."""
        self.table.focus()

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        if self._kept("full"):
            self._keep(full=name)
            self._arrange()
        page = "run" if isinstance(self._subject, RunRow) else "preset"
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

    # --- the preview ---

    @on(RunTable.Highlighted)
    def _run_highlighted(self, event: RunTable.Highlighted) -> None:
        presets = self.query_one(PresetList)
        if presets.has_focus and presets.preset is not None:
            return  # a run that goes on behind a person's back is not what they look at
        if event.row is not None:
            self._select(event.row)
        elif isinstance(self._subject, RunRow):
            self._subject = None
            self.query_one(Preview).show_nothing()

    @on(PresetList.Highlighted)
    def _preset_highlighted(self, event: PresetList.Highlighted) -> None:
        if self.query_one(PresetList).has_focus or self._subject is None:
            self._select(event.preset)

    def on_descendant_focus(self) -> None:
        """The preview follows the pane that has the keys, which is the one to begin with next time."""
        if self._pane() != (self._kept("pane") or "runs"):
            self._keep(pane=self._pane())
        presets, row = self.query_one(PresetList), self.table.row
        if presets.has_focus and presets.preset is not None:
            self._select(presets.preset)
        elif self.table.has_focus and row is not None:
            self._select(row)

    def _select(self, subject: RunRow | Preset) -> None:
        if subject == self._subject:
            return
        before, self._subject = self._subject, subject
        if self._followed(subject) and isinstance(before, RunRow) and before.path == subject.path:
            return  # it only went on: the next look draws it from what is folded already
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLE_S, partial(self._preview, subject))

    def _followed(self, subject: RunRow | Preset) -> bool:
        return isinstance(subject, RunRow) and subject.alive and self.catalog.view(subject.path) is not None

    def _preview(self, subject: RunRow | Preset) -> None:
        if subject != self._subject:
            return
        if isinstance(subject, Preset):
            self._read_preset(subject)
        elif self._followed(subject):
            self._look()
        else:
            self._read_run(subject)

    def _theme_changed(self, theme: Theme) -> None:
        """Curves have colors of their own for light and dark."""
        if self._subject is not None:
            self._preview(self._subject)

    @work(thread=True, group="preview", exclusive=True, exit_on_error=False)
    def _read_run(self, row: RunRow) -> None:
        """Fold a run's record into its sketch."""
        key = (row.path, row.state, _stamp(row.path), self.dark)
        drawn = self._sketches.get(key)
        if row.state == "preparing":
            drawn = miniature.Sketch(row.id, row.state)
        elif drawn is None:
            drawn = miniature.read(row.path, row.state, dark=self.dark)
            self._sketches[key] = drawn
            while len(self._sketches) > KEPT:
                self._sketches.pop(next(iter(self._sketches)))
        _hand_over(self, partial(self._take_run, row, drawn))

    def _take_run(self, row: RunRow, drawn: miniature.Sketch) -> None:
        if isinstance(self._subject, RunRow) and self._subject.path == row.path:
            self.query_one(Preview).show_run(drawn)

    @work(thread=True, group="presets", exit_on_error=False)
    def _read_presets(self) -> None:
        try:
            presets = list_presets()
        except RequestError as error:
            _hand_over(self, partial(self.notify, clean(error), title="presets", severity="error"))
            return
        _hand_over(self, partial(self._take_presets, presets))

    def _take_presets(self, presets: list[Preset]) -> None:
        self.query_one(PresetList).show(presets)

    @work(thread=True, group="preview", exclusive=True, exit_on_error=False)
    def _read_preset(self, preset: Preset) -> None:
        """Resolve a preset and have its trigger drawn, the first time in a process of its own."""
        try:
            config = resolve(preset.name)
        except RequestError as error:
            _hand_over(self, partial(self._take_preset, preset, (), str(error)))
            return
        settings = [
            (name, value)
            for name, value in flatten(config.to_dict())
            if any(name == shown or name.startswith(f"{shown}.") for shown in SHOWN)
        ]
        data = self._data_for(config.data)
        if trigger_pictures.cached(config.attack, data) is None:
            _hand_over(self, partial(self._take_preset, preset, settings, "drawing the trigger …"))
        worker = get_current_worker()
        with self._pencil:  # one drawing process at a time, and none for a preset that was only passed by
            if worker.is_cancelled:
                return
            try:
                shown: Any = trigger_pictures.preview(config.attack, data)
            except RequestError as error:
                shown = str(error)
        _hand_over(self, partial(self._take_preset, preset, settings, shown))

    def _data_for(self, own: DataSettings) -> DataSettings | None:
        """Whose images a trigger is shown on: those of the last new run, else the preset's own; None = signs.

        Only data that is on this machine is looked at: a preview is no reason for a download.
        """
        chosen = self.app.settings.workspace.get("data")
        names = [chosen if isinstance(chosen, str) else "", own.name]
        name = next((name for name in names if name and present(name)), "signs")
        return None if name == "signs" else own.model_copy(update={"name": name})

    def _take_preset(self, preset: Preset, settings: Sequence[tuple[str, Any]], trigger: Any) -> None:
        if self._subject == preset:
            self.query_one(Preview).show_preset(preset, settings, trigger)

    # --- what can be done ---

    @on(RunTable.Opened)
    def _run_opened(self, event: RunTable.Opened) -> None:
        row = event.row
        if row.readable:
            self.app.open_run(row.path)
        elif row.id in self.app.hosts:
            from nadtui.workbench.screens.run import RunScreen

            self.app.push_screen(RunScreen(self.app.hosts[row.id]))
        else:
            self.notify(f"{row.id} cannot be opened: {EXPLAINED[row.state]}", severity="warning")

    @on(PresetList.Chosen)
    def _preset_chosen(self, event: PresetList.Chosen) -> None:
        self._open_form(preset=event.preset.name)

    def action_new_run(self) -> None:
        """Open the form for a new run, from the preset selected."""
        preset = self.query_one(PresetList).preset
        self._open_form(preset=preset.name if preset else None)

    def action_rerun(self) -> None:
        """Open the form with a run's own configuration."""
        row = self.table.row
        if row is None:
            self.notify("no run is selected")
        elif row.state in ("newer", "deleted", "preparing"):
            self.notify(f"{row.id} cannot be run again: {EXPLAINED[row.state]}", severity="warning")
        else:
            self._open_form(run=row.path)

    def _open_form(self, preset: str | None = None, run: Path | None = None) -> None:
        from nadtui.workbench.screens.new_run import NewRunScreen

        self.app.push_screen(NewRunScreen(preset=preset, run=run))

    def action_screenshot(self) -> None:
        """Save what is on screen."""
        self.app.take_screenshot("workspace")

    def action_unmark(self) -> None:
        """Take off all marks."""
        self.table.unmark()

    def action_compare(self) -> None:
        """Compare the marked runs; with one marked, it and the run at the cursor."""
        chosen = list(self.table.marked)
        row = self.table.row
        if len(chosen) == 1 and row is not None and row.id not in chosen:
            chosen.append(row.id)
        if not 2 <= len(chosen) <= MOST:
            self.notify(f"mark 2 to {MOST} runs with the space bar to compare them; marked: {len(chosen)}")
            return
        from nadtui.workbench.screens.compare import CompareScreen

        paths = {each.id: each.path for each in self._rows}
        self.app.push_screen(CompareScreen([paths[run] for run in chosen]))

    def action_export(self) -> None:
        """Write the run to a file."""
        row = self.table.row
        if row is None:
            self.notify("no run is selected")
        elif row.readable:
            self.app.export_run(row.path)
        else:
            self.notify(f"{row.id} cannot be exported: {EXPLAINED[row.state]}", severity="warning")

    def action_delete(self) -> None:
        """Delete the marked runs, or the one at the cursor, after asking."""
        chosen = [row for row in self._rows if row.id in self.table.marked]
        if not chosen and self.table.row is not None:
            chosen = [self.table.row]
        if not chosen:
            self.notify("no run is selected")
            return
        alive = [row.id for row in chosen if row.alive]
        if alive:
            self.notify(f"{alive[0]} is at work: stop it first", severity="warning")
            return
        from nadtui.workbench.screens.dialogs import Confirm

        what = chosen[0].id if len(chosen) == 1 else plural(len(chosen), "run")
        lost = "Its record and checkpoints" if len(chosen) == 1 else "Their records and checkpoints"
        question = Confirm(f"Delete {what}?", f"{lost} will be gone for good.", yes="Delete")
        self.app.push_screen(question, partial(self._delete_if, chosen))

    def _delete_if(self, chosen: Sequence[RunRow], sure: bool | None) -> None:
        if sure:
            self._delete(chosen)

    @work(thread=True, group="delete", exit_on_error=False)
    def _delete(self, chosen: Sequence[RunRow]) -> None:
        for row in chosen:
            problem = delete_run(row.path)
            if problem:
                _hand_over(self, partial(self.notify, clean(problem), severity="error"))
        _hand_over(self, self._look)

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
            _hand_over(self, partial(self.notify, clean(error), severity="warning"))
        _hand_over(self, self._look)


def delete_run(path: Path) -> str:
    """Delete a run folder for good; what is wrong, empty where all went well. A run at work is left alone."""
    if path.is_symlink():
        return f"{path} is a link: delete it by hand"
    if store.is_running(path):
        return f"{path.name} is at work: stop it first"
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path} cannot be deleted: {error.strerror or error}"
    return ""


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes with a run's record."""
    try:
        stat = (path / store.RECORD).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _hand_over(screen: Screen[Any], task: Callable[[], Any]) -> None:
    """Have the interface's own thread do something, unless it is on its way out."""
    if screen.app.is_running and screen.is_mounted:
        screen.app.call_later(task)
