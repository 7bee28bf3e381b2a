"""A record as it is read, event by event: the view it makes, and the log that goes with it."""

from __future__ import annotations

from collections import deque

from engine import events
from engine.events import Event
from engine.record.view import LogLine, RunView
from nadtui.runs import narrate

LOG_LINES = 1_000


class Fold:
    """A view, the log that goes with it, and how much of the record was unusable."""

    def __init__(self) -> None:
        self.view = RunView()
        self.log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.logged = 0
        """Lines there have been so far, those that `log` has dropped included."""
        self.damaged = 0

    def take(self, event: Event) -> None:
        """Take in one event; one that makes no sense is counted: a record may be damaged, or a stranger's."""
        try:
            preparing = self.view.preparing
            self.view.apply(event)
            said = narrate.line(event, self.view)
        except Exception:  # whatever a record holds, the workbench stays up
            self.damaged += 1
            return
        if isinstance(event, events.Preparing) and preparing is not None and preparing.what == event.what:
            return
        if said:
            level = event.level if isinstance(event, events.Message) else "info"
            self.log.append(LogLine(event.time, "warning" if narrate.loud(event) else level, said))
            self.logged += 1
