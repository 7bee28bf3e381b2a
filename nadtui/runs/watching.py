"""A run that another process carries out, or that has ended: followed in its record, steered through its folder."""

from __future__ import annotations

import socket
import threading
from collections import deque
from pathlib import Path

from engine import events
from engine.control import Wish
from engine.errors import RequestError
from engine.events import Event
from engine.record.listing import status
from engine.record.liveness import read_heartbeat
from engine.record.reading import Tail
from engine.record.stage_view import MAX_ATTENTION_EPOCHS
from engine.record.state import RunState
from engine.running import mailbox
from nadtui.runs.fold import Fold
from nadtui.runs.hosting import Host
from nadtui.runs.memory import process_memory

POLL_S = 0.5
"""Seconds between two looks at a record that is being written."""
REST_S = 2.0
"""The same for one that is not."""


class Watcher(Host):
    """A run of another process, or one that has ended, followed in its record."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder: Path = folder
        self._status = RunState.LOADING
        self._asked: Wish | None = None
        self._counted = 0
        """Damaged lines that were handed over; the thread's own."""
        self._memory = 0
        self._new_status: deque[RunState] = deque(maxlen=1)
        self._tail = Tail(folder, maps_of=MAX_ATTENTION_EPOCHS)
        self._reader = threading.Thread(target=self._follow, name="nadtui-watch", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._reader.start()

    @property
    def live(self) -> bool:
        """Whether its process is at work."""
        return self._recorded.alive

    @property
    def state(self) -> RunState:
        """What was asked of a run under way comes before what it was doing when that was asked."""
        if self.live and self._asked == "stop":
            return RunState.STOPPING
        if self._asked == "pause" and self._recorded.busy:
            return RunState.PAUSING
        return self._recorded

    @property
    def _recorded(self) -> RunState:
        """What the folder says, and of a run under way what its events say."""
        if self._status is RunState.RUNNING and self.view.status.alive:
            return self.view.status
        return self._status

    @property
    def remark(self) -> str:
        """Why there is nothing, or no more, to see."""
        said = {
            RunState.DELETED: f"the run folder is gone: {self.folder}; what is shown is what was read of it",
            RunState.NEWER: "written by a newer nadtui: update nadtui to read all of it",
            RunState.CRASHED: "ended without a last word; R goes on from what it saved last",
            RunState.DAMAGED: "its configuration or summary cannot be read; what is shown is what the events tell",
        }.get(self._status, "")
        return said or super().remark

    @property
    def memory(self) -> int:
        """What its process holds, where that runs on this machine."""
        return self._memory if self.live else super().memory

    def drain(self) -> bool:
        """As `Host.drain`; a record that begins anew replaces the view."""
        changed = False
        if self._new_status:
            status = self._new_status.popleft()
            changed, self._status = status != self._status, status
        changed = super().drain() or changed
        if not self.live or (self._asked == "pause" and self._recorded is RunState.PAUSED):
            self._asked = None  # it was done: what others ask from now on must show as well
        return changed

    def ask(self, wish: Wish) -> str:
        """Ask the process that carries the run out for something; returns what was done, or why not."""
        writer = read_heartbeat(self.folder) if self.live else None
        if writer is None:
            return "the run is not under way"
        try:
            mailbox.ask(self.folder, wish)
        except RequestError as error:
            return str(error)
        self._asked = wish
        doing = {"pause": "pause", "resume": "go on", "stop": "stop, resumable,"}[wish]
        return f"process {writer.pid} on {writer.host} was asked to {doing} after its step"

    def _follow(self) -> None:
        self._begin_anew(self._tail.poll())
        while True:
            found = status(self.folder)
            self._hand_over(self._tail.poll())  # what led to that state is shown no later than the state
            self._new_status.append(found)
            self._memory = self._writers_memory() if found is RunState.RUNNING else 0
            if self._closed.wait(POLL_S if found.alive else REST_S):
                return

    def _writers_memory(self) -> int:
        writer = read_heartbeat(self.folder)
        return process_memory(writer.pid) if writer is not None and writer.host == socket.gethostname() else 0

    def _hand_over(self, new: list[Event]) -> None:
        anew = next((place for place, event in enumerate(new) if isinstance(event, events.RunStarted)), None)
        if anew is not None:
            self._begin_anew(new[anew:])
            return
        self._waiting.extend(new)
        if self._tail.damaged > self._counted:
            self._waiting.append(self._tail.damaged - self._counted)
            self._counted = self._tail.damaged

    def _begin_anew(self, whole: list[Event]) -> None:
        """Hand over a record from its beginning, with what of it could not be read."""
        fold = Fold()
        for event in whole:
            fold.take(event)
        fold.damaged += self._tail.damaged
        self._counted = self._tail.damaged
        self._waiting.append(fold)
