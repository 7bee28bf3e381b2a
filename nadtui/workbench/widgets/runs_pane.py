"""The workspace's list of runs, with its filter, and how many of them are at work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input
from textual.worker import get_current_worker

from engine.record.state import RunState
from nadtui.formatting import clean
from nadtui.runs.catalog import RunRow
from nadtui.runs.query import Query, parse
from nadtui.workbench.threads import hand_over
from nadtui.workbench.widgets.run_columns import SORTS
from nadtui.workbench.widgets.run_table import RunTable

NO_RUNS = "No runs yet.\n\nChoose a preset and press Enter, or n, to start one."
NO_MATCH = "No run matches.\n\nEscape clears the filter."


class Filter(Input):
    """The filter of the runs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.clear_filter", "Clear", priority=True),
        Binding("down", "screen.focus_runs", "Runs", show=False),
    ]


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

    def compose(self) -> ComposeResult:
        """The filter, which is hidden at first, above the runs."""
        yield Filter(id="filter", placeholder="sig asr<5 dataset:cifar10", compact=True)
        yield RunTable(id="runs")

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

    @on(Input.Submitted, "#filter")
    def _filter_entered(self) -> None:
        self.table.focus()

    def _sift(self) -> None:
        """Show the runs that the filter leaves."""
        if self._query.terms:
            self._sift_in_thread(self._query, self.rows)
        else:
            self._show(self._query, self.rows)

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
        hand_over(self, partial(self._show, query, kept))

    @on(RunTable.Sorted)
    def _sort(self) -> None:
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
            kept = sorted(kept, key=SORTS[table.sorted_by], reverse=table.backwards)
        self.table.show(kept, NO_MATCH if self.rows else NO_RUNS)
        count = f"{len(kept)} of {len(self.rows)}" if query.terms else str(len(self.rows))
        self._count = f"runs {count}" if self.rows else "runs"
        self._entitle()
        live = [f"{sum(row.state == state for row in self.rows)} {state}" for state in RunState if state.alive]
        said = query.problem or " · ".join(part for part in live if not part.startswith("0"))
        self.border_subtitle = clean(said)
