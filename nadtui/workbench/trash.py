"""Runs deleted from the workspace, after a question that names them, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from nadtui.formatting import clean, plural
from nadtui.runs.catalog import RunRow
from nadtui.runs.deleting import KEPT_DAYS, Deletion, delete_runs, empty_trash, take_back
from nadtui.workbench.dialogs import Choose, Confirm
from nadtui.workbench.threads import hand_over

if TYPE_CHECKING:
    from textual.screen import Screen

TRASHED = f"What is deleted stays in the trash for {KEPT_DAYS} days; u takes it back."
MOST_NAMED = 6
"""Runs that a question names; of more it says how many."""


class Trash:
    """Asks, deletes and takes back, for a screen that shows runs; what touches the disk is done in a thread."""

    def __init__(self, screen: Screen, look: Callable[[], None]) -> None:
        """`look` has the screen look at the folder of runs again."""
        self._screen = screen
        self._look = look
        self._deletions: list[Deletion] = []
        """What can be taken back, the newest last."""

    def ask(self, chosen: Sequence[RunRow], hidden: Sequence[RunRow]) -> None:
        """Delete `chosen` after asking; `hidden`, which the screen does not show, only where that is asked for."""
        alive = [row.id for row in (*chosen, *hidden) if row.alive]
        if alive or not (chosen or hidden):
            said = f"{alive[0]} is at work: stop it first" if alive else "no run is selected"
            self._screen.notify(said, severity="warning" if alive else "information")
        elif hidden:
            self._ask_for_hidden(chosen, hidden)
        else:
            names = _lines(chosen) if len(chosen) > 1 else ""
            question = Confirm(f"Delete {_named(chosen)}?", names + TRASHED, yes="Delete")
            self._screen.app.push_screen(question, lambda sure: self._delete(chosen) if sure else None)

    def _ask_for_hidden(self, chosen: Sequence[RunRow], hidden: Sequence[RunRow]) -> None:
        choices = [("shown", f"delete {_named(chosen)}")] if chosen else []
        choices += [("all", f"delete {_named(hidden)} that the filter hides, too"), ("", "delete nothing")]
        note = f"{_lines(chosen)}Marked, but hidden by the filter:\n{_lines(hidden)}{TRASHED}"

        def answered(choice: str | None) -> None:
            if choice:
                self._delete([*chosen, *(hidden if choice == "all" else ())])

        self._screen.app.push_screen(Choose("Delete which of the marked runs?", choices, note), answered)

    def _delete(self, chosen: Sequence[RunRow]) -> None:
        self._in_thread(partial(self._deleted, chosen))

    def _deleted(self, chosen: Sequence[RunRow]) -> list[str]:
        deletion = delete_runs([row.path for row in chosen])
        if deletion.runs:
            self._deletions.append(deletion)
            said = f"{plural(len(deletion.runs), 'run')} in the trash; u takes back"
            hand_over(self._screen, partial(self._screen.notify, said))
        return list(deletion.problems)

    def undo(self) -> None:
        """Take back what was deleted last."""
        if self._deletions:
            self._in_thread(partial(take_back, self._deletions.pop()))
        else:
            self._screen.notify("nothing was deleted here")

    def expire(self) -> None:
        """What was deleted long ago goes for good."""

        def emptied() -> list[str]:
            with suppress(OSError):  # whoever may not delete it is told by `nadtui runs --empty-trash`
                empty_trash(self._screen.app.runs_root, older_than_days=KEPT_DAYS)
            return []

        self._in_thread(emptied)

    def _in_thread(self, does: Callable[[], list[str]]) -> None:
        def work() -> None:
            for problem in does():
                hand_over(self._screen, partial(self._screen.notify, clean(problem), severity="error"))
            hand_over(self._screen, self._look)

        self._screen.run_worker(work, thread=True, group="trash", exit_on_error=False)


def _named(rows: Sequence[RunRow]) -> str:
    return rows[0].id if len(rows) == 1 else plural(len(rows), "run")


def _lines(rows: Sequence[RunRow]) -> str:
    """The ids of these runs, a line each."""
    more = len(rows) - MOST_NAMED
    lines = [row.id for row in rows[:MOST_NAMED]] + [f"and {more} more"] * (more > 0)
    return "".join(f"{line}\n" for line in lines)
