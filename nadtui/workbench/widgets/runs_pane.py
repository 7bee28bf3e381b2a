"""The workspace's list of runs: its filter, columns, groups and order, and how many of them are at work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input
from textual.worker import get_current_worker

from engine.record.state import RunState
from nadtui.formatting import clean
from nadtui.runs.catalog import RunRow
from nadtui.runs.grouping import grouped
from nadtui.runs.query import Query, parse
from nadtui.workbench.threads import hand_over
from nadtui.workbench.widgets.run_columns import SORTS, sort_key
from nadtui.workbench.widgets.run_table import RunTable

NO_RUNS = "No runs yet.\n\nChoose a preset and press Enter, or n, to start one."
NO_MATCH = "No run matches.\n\nEscape clears the filter."


class Filter(Input):
    """The filter of the runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.clear_filter", "Clear", priority=True),
        Binding("enter,down", "screen.focus_runs", "Runs", key_display="⏎ ↓", tooltip="Go to the runs that are left"),
    ]


COLUMNS_NOTE = (
    "Titles, or any field that a filter knows, a space between; empty: as the width allows. For example:\n"
    "preset seed ACC ASR nad.asr distill.p"
)
GROUP_NOTE = "Any field that a filter knows (preset, dataset, attack.poisoning_rate); empty: every run for itself."


class RunsPane(Vertical):
    """All runs there are, or those that the filter leaves."""

    DEFAULT_CSS = """
    RunsPane > #filter { height: 1; border: none; padding: 0; background: $surface; display: none; }
    RunsPane > #filter.shown { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "runs"
        self.rows: list[RunRow] = []
        self._query = Query()
        self._count = "runs"
        self._kept: list[RunRow] = []
        """Those that the filter leaves, newest first."""
        self.grouped_by = ""
        """The field by whose values the runs are grouped; empty = they are not."""
        self._unsaid: set[str] = set()
        """Fields chosen just now: where no run has them, that is to be said once."""

    def compose(self) -> ComposeResult:
        """The filter, which is hidden at first, above the runs."""
        yield Filter(id="filter", placeholder="sig asr<5 dataset:cifar10", compact=True)
        yield RunTable(id="runs")

    def on_mount(self) -> None:
        """As it was left at the last start."""
        kept, table = self.app.settings.workspace, self.table
        chosen, group, order = (kept.get(name) for name in ("columns", "group", "sort"))
        if isinstance(chosen, list) and all(isinstance(name, str) for name in chosen):
            table.choose(chosen)
        if isinstance(group, str):
            self.grouped_by = group
        match order:
            case [str(name), bool(backwards)]:
                table.sorted_by, table.backwards = name, backwards

    def _keep(self, **values: Any) -> None:
        self.app.change_settings(workspace={**self.app.settings.workspace, **values})

    @property
    def table(self) -> RunTable:
        """The runs that are shown."""
        return self.query_one(RunTable)

    def take(self, rows: list[RunRow]) -> None:
        """Show these runs from now on, those that the filter leaves; a mark on a run that is gone is gone too."""
        changed = rows != self.rows
        self.rows = rows
        gone = [run for run in self.table.marked if run not in {row.id for row in rows}]
        if gone:
            self.table.unmark(gone)
        if changed or not self.table.nothing:
            self._sift()

    def chosen(self) -> list[RunRow]:
        """The marked runs among those shown; where no run is marked, the one at the cursor."""
        if self.table.marked:
            return [row for row in self.table.rows if row.id in self.table.marked]
        return [] if self.table.row is None else [self.table.row]

    def hidden_marked(self) -> list[RunRow]:
        """The marked runs that the filter hides."""
        shown = {row.id for row in self.table.rows}
        return [row for row in self.rows if row.id in self.table.marked and row.id not in shown]

    def to_compare(self) -> list[RunRow]:
        """The marked runs, in the order of their marks; with one marked, the run at the cursor too."""
        chosen = list(self.table.marked)
        row = self.table.row
        if len(chosen) == 1 and row is not None and row.id not in chosen:
            chosen.append(row.id)
        known = {each.id: each for each in self.rows}
        return [known[run] for run in chosen]

    # --- the filter ---

    def open_filter(self) -> None:
        """Filter as you type."""
        field = self.query_one(Filter)
        field.add_class("shown")
        field.focus()

    def clear_filter(self) -> None:
        """Show all runs again."""
        field = self.query_one(Filter)
        field.value = ""
        field.remove_class("shown")
        self.table.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._query = parse(event.value)
        self._sift()

    def _sift(self) -> None:
        """Show the runs that the filter leaves."""
        if self._query.terms or self._fields:
            self._sift_in_thread(self._query, self.rows, self._fields)
        else:
            self._show(self._query, self.rows)

    @property
    def _fields(self) -> list[str]:
        """What is shown, grouped or sorted by beside the list's own columns."""
        names = [*self.table.chosen, self.grouped_by, self.table.sorted_by]
        return [name for name in dict.fromkeys(names) if name and name not in SORTS]

    @work(thread=True, group="filter", exclusive=True, exit_on_error=False)
    def _sift_in_thread(self, query: Query, rows: list[RunRow], fields: Sequence[str]) -> None:
        """Fields of the configuration may have to be read from disk; once read they are at hand."""
        worker = get_current_worker()
        kept, known = [], set()
        for row in rows:
            if worker.is_cancelled:
                return
            if query.matches(row):
                kept.append(row)
            known |= {name for name in fields if row.values(name)}
        hand_over(self, partial(self._show, query, kept))
        if unknown := self._unsaid & (set(fields) - known):
            hand_over(self, partial(self._say_unknown, sorted(unknown)))

    def _say_unknown(self, names: Sequence[str]) -> None:
        self._unsaid.difference_update(names)
        self.notify(clean(f"no run says anything of {', '.join(names)}"), severity="warning")

    # --- columns, groups, order ---

    @property
    def columns(self) -> str:
        """The columns that are shown, in one line, as `choose_columns` takes it."""
        return " ".join(self.table.chosen or self.table.names)

    def choose_columns(self, said: str | None) -> None:
        """Show these columns, a space between; none of them = as the width allows; None = leave it."""
        if said is None:
            return
        names = said.replace(",", " ").split()
        self._unsaid |= set(names) - set(self.table.chosen)
        self.table.choose(names)
        self._keep(columns=names)
        self._sift()

    def group_by(self, said: str | None) -> None:
        """Group by this field; empty = every run for itself; None = leave it."""
        if said is None:
            return
        self.grouped_by = said.strip()
        self._unsaid.add(self.grouped_by)
        self._keep(group=self.grouped_by)
        self._sift()

    @on(RunTable.Sorted)
    def _sort(self, event: RunTable.Sorted) -> None:
        self._keep(sort=[event.name, event.backwards])
        self._show(self._query, self._kept)
        self.table.refresh()

    @on(RunTable.Marked)
    def _entitle(self) -> None:
        """How many runs there are, and how many of them are marked."""
        parts = [self._count]
        if self.table.marked:
            hidden = len(self.hidden_marked())
            parts.append(f"{len(self.table.marked)} marked" + f", {hidden} of them hidden" * bool(hidden))
        self.border_title = " · ".join(parts)

    def _show(self, query: Query, kept: Sequence[RunRow]) -> None:
        if query != self._query:
            return
        self._kept = list(kept)
        table = self.table
        if (table.sorted_by, table.backwards) != ("age", False):  # as they come, they are newest first
            kept = sorted(kept, key=sort_key(table.sorted_by), reverse=table.backwards)
        groups = grouped(kept, self.grouped_by) if self.grouped_by else ()
        table.show(kept, NO_MATCH if self.rows else NO_RUNS, groups)
        count = f"{len(kept)} of {len(self.rows)}" if query.terms else str(len(self.rows))
        by = f" by {clean(self.grouped_by)}" if self.grouped_by else ""
        self._count = f"runs {count}{by}" if self.rows else "runs"
        self._entitle()
        live = [f"{sum(row.state == state for row in self.rows)} {state}" for state in RunState if state.alive]
        said = query.problem or " · ".join(part for part in live if not part.startswith("0"))
        self.border_subtitle = clean(said)
