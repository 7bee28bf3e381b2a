"""The workspace's keys, and which of them do something now."""

from __future__ import annotations

from dataclasses import replace

from textual.binding import Binding, BindingType

BINDINGS: list[BindingType] = [
    Binding("n", "new_run", "New", tooltip="New run: a form over the configuration"),
    Binding("r", "rerun", "Rerun", tooltip="A new run with this run's configuration"),
    Binding("slash", "filter", "Filter", key_display="/", tooltip="Filter runs, as in: sig asr<5 dataset:cifar10"),
    Binding("c", "compare", "Compare", tooltip="Compare the marked runs"),
    Binding("e", "export", "Export", tooltip="Write the run to a file"),
    Binding("w", "sweeps", "Sweeps", tooltip="Open a sweep: a grid of runs", show=False),
    Binding("d", "delete", "Del", tooltip="Move the marked runs, or this one, to the trash; asks first"),
    Binding("S", "screenshot", "Screenshot", tooltip="Save a screenshot (SVG)", show=False),
    Binding("u", "undelete", "Undo", tooltip="Take back the runs that were deleted last", show=False),
    Binding("N", "note", "Note", tooltip="Give the run a name, tags and a note", show=False),
    Binding("C", "columns", "Columns", tooltip="Choose the columns, fields of the configuration too", show=False),
    Binding("b", "group", "Group", tooltip="Group the runs by a field, with mean ± deviation", show=False),
    Binding("U", "unmark", "Unmark all", show=False),
    Binding("shift+up,K", "queue(-1)", "Earlier in the queue", show=False),
    Binding("shift+down,J", "queue(1)", "Later in the queue", show=False),
    Binding("1", "pane('presets')", "Presets", show=False),
    Binding("2", "pane('runs')", "Runs", show=False),
    Binding("3", "pane('preview')", "Preview", show=False),
    Binding("f", "full", "Full screen", tooltip="Give the pane the whole screen, or take it back", show=False),
    Binding("m", "draw", "Draw", tooltip="Draw pictures and maps in half-blocks or in letters", show=False),
    Binding("escape", "clear_filter", "Clear the filter", show=False),
]
_ON_RUNS = {"rerun", "filter", "compare", "export", "delete", "note", "columns", "group", "unmark", "queue"}
"""Actions that want runs."""
_OF_LIST = {"open", "mark"}
"""Actions of the list of runs that the footer shows."""


def idle(action: str, *, empty: bool, filtering: bool) -> bool:
    """Whether an action does nothing: where there is no run, and where `/` is a letter like others."""
    return (empty and action in _ON_RUNS) or (filtering and action == "filter")


def in_footer(binding: Binding, *, empty: bool) -> Binding:
    """A key as the footer shows it: without runs, none of theirs, and the one that goes to another pane."""
    if not empty:
        return binding
    if binding.action == "app.focus_next":
        return replace(binding, show=True, description="Pane", tooltip="The next pane")
    return replace(binding, show=binding.show and binding.action not in _OF_LIST)
