"""The run screen's keys, group by group; help, footer and palette are made from this table."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding

STEER, PANES, CURVES, MAPS, OTHER = "Steer the run", "Panes", "Curves", "Attention maps", "This screen"

_SHOWN = {"pause", "stop", "resume", "export", "app.defenses", "back", "app.help", "next_pane(1)"}
"""Actions that the footer shows, whichever pane is worked in."""
_OF_PANE = {
    "curves": ("axis", "smooth", "zoom", "log_y"),
    "maps": ("sample(1)", "view", "cell", "disputed", "class"),
    "log": ("edge(1)", "edge(-1)"),
}
"""By pane, the actions that the footer shows while it is worked in; those in front where there is little room."""
_SPARE = ("app.defenses", "export")
"""Actions that the footer shows whichever pane is worked in, where there is still room."""


def in_footer(bindings: Sequence[tuple[str, Binding]], pane: str, width: int) -> set[str]:
    """Which of these keys, each with how it is shown, a footer of so many columns has room for in this pane.

    First those that it always has, then the pane's own, then what can wait.
    """
    order = [*_OF_PANE.get(pane, ()), *_SPARE]
    always = [each for each in bindings if each[1].show and each[1].action not in _SPARE]
    further = [each for action in order for each in bindings if each[1].action == action]
    room = width - sum(map(_cells, always))
    shown = {binding.key for _, binding in always}
    for each in further:
        room -= _cells(each)
        if room < 0:
            break
        shown.add(each[1].key)
    return shown


def _cells(each: tuple[str, Binding]) -> int:
    """A key, what it does, and a space behind each."""
    key, binding = each
    return len(key) + len(binding.description) + 2


_TABLE: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        STEER,
        (
            ("p", "pause", "Pause", "Pause, or go on after a pause"),
            ("x", "stop", "Stop", "Stop the run (asks); it stays resumable"),
            ("R", "resume", "Resume", "Go on with a stopped, failed or crashed run"),
            ("plus", "extend", "Extend", "Extend a stage by n epochs (done: in a new run)"),
            ("c", "app.confusion", "Confusion", "What each model takes each class for"),
            ("D", "app.defenses", "Defenses", "The defenses side by side: ACC lost, ASR left, maps"),
            ("e", "export", "Export", "Export the run to a file"),
            ("S", "screenshot", "Screenshot", "Save a screenshot (SVG)"),
        ),
    ),
    (
        PANES,
        (
            ("1", "pane('curves')", "Curves", "Work in the curves"),
            ("2", "pane('maps')", "Maps", "Work in the attention maps"),
            ("3", "pane('health')", "Health", "Look at the attention's health"),
            ("4", "pane('log')", "Log", "Work in the log"),
            ("tab", "next_pane(1)", "Pane", "The next pane"),
            ("shift+tab", "next_pane(-1)", "Previous pane", "The previous pane"),
            ("f", "maximize", "Full screen", "Give the pane the whole screen, or take it back"),
            ("left", "move(-1, 0)", "Left", "Curves: cursor left; maps: the cell to the left"),
            ("right", "move(1, 0)", "Right", "Curves: cursor right; maps: the cell to the right"),
            ("shift+left", "move(-10, 0)", "Far left", "Curves: cursor ten columns left"),
            ("shift+right", "move(10, 0)", "Far right", "Curves: cursor ten columns right"),
            ("up,k", "move(0, -1)", "Up", "Maps: the cell above; health, log: a line back"),
            ("down,j", "move(0, 1)", "Down", "Maps: the cell below; health, log: a line on"),
            ("pageup", "move(0, -10)", "Page up", "Health, log: a page back"),
            ("pagedown", "move(0, 10)", "Page down", "Health, log: a page on"),
            ("home,g", "edge(-1)", "First", "Curves: the first point; log: its first line"),
            ("end,G", "edge(1)", "Newest", "Curves: cursor off; log: follow the newest line"),
        ),
    ),
    (
        CURVES,
        (
            ("a", "axis", "x axis", "x axis: step, epoch, seconds"),
            ("s", "smooth", "Smooth", "Smooth the loss: off, 0.6, 0.9, 0.97"),
            ("l", "log_y", "Log y", "Logarithmic loss axis on or off"),
            ("z", "zoom", "Zoom", "Zoom to one stage after another, then to all"),
        ),
    ),
    (
        MAPS,
        (
            ("comma", "scrub(-1)", "Earlier maps", "Back to the recorded epoch before; the curves' cursor goes along"),
            ("full_stop", "scrub(1)", "Later maps", "On to the next recorded epoch, and then to the newest"),
            ("n", "sample(1)", "Sample", "The next sample image"),
            ("N", "sample(-1)", "Previous sample", "The previous sample image"),
            ("i", "class", "By class", "Choose a sample by its class"),
            ("d", "disputed", "Disputed", "The next sample on which the models' answers differ"),
            ("v", "view", "View", "Clean beside triggered, clean, triggered, difference"),
            ("m", "draw", "Draw", "Draw maps in half-blocks or in letters"),
            ("o", "operator", "Operator", "The next attention operator, computed from the checkpoints"),
            ("w", "defense", "Defense", "The models of the next defense alone, or of all"),
            ("enter", "cell", "Cell", "The chosen cell alone, with its numbers; again: back"),
        ),
    ),
    (
        OTHER,
        (
            ("escape", "back", "Back", "Cell back, cursor off, all panes, then the runs"),
            ("question_mark", "app.help", "Help", "All keys"),
        ),
    ),
)

BINDINGS = [
    Binding(key, action, label, tooltip=tooltip, show=action in _SHOWN)
    for _, rows in _TABLE
    for key, action, label, tooltip in rows
]

STEERED = {
    binding.key: binding.action for binding in BINDINGS if binding.action in {"pause", "stop", "resume", "extend"}
}
"""By key, what is done to a run and cannot be done to every run."""

GROUPS = {action: group for group, rows in _TABLE for _, action, _, _ in rows}
"""The group of each action in the help."""
