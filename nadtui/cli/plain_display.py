"""A run as plain lines on standard error: for logs, pipes and terminals that can do no more."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from engine import events
from engine.record.view import RunView
from nadtui import diagnostics
from nadtui.runs import narrate

Made = TypeVar("Made")

QUARTERS = 4
"""Lines that the progress of one preparation may take, beside its first."""


class PlainDisplay:
    """One line for what matters: a stage's ends, an evaluation, a message; nothing is ever overwritten."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._preparation = ("", -1)

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def tell(self, event: events.Event) -> None:
        """Show an event that the view has taken in."""
        if isinstance(event, events.Preparing) and not self._worth_a_line(event):
            return
        said = narrate.line(event, self._view)
        if said:
            diagnostics.note(said)

    def refresh(self) -> None:
        """Nothing moves between two lines."""

    def _worth_a_line(self, event: events.Preparing) -> bool:
        reached = event.done * QUARTERS // event.total if event.total else 0
        before, self._preparation = self._preparation, (event.what, reached)
        return self._preparation != before


def tell_of(work: Generator[events.Event, None, Made]) -> Made:
    """What some work comes to; its events become lines on standard error."""
    view = RunView()
    display = PlainDisplay(view)

    def tell(event: events.Event) -> None:
        view.apply(event)
        display.tell(event)

    return events.outcome(work, tell)
