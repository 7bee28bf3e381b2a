"""Runs as screens see them: one that this process carries out, or one that is followed in its record.

A thread reads the events; it touches no view. The interface takes them over with `Host.drain`, a few times a second
for however many events there were, so that a view changes in the interface's thread alone. A record is folded into a
view of its own in the thread, and handed over whole.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RecordError, RequestError
from engine.events import Event
from engine.record.reading import read_events
from engine.record.state import RunState
from engine.record.view import LogLine, RunView
from nadtui.runs.fold import Fold
from nadtui.runs.job import Job
from nadtui.runs.memory import own_memory

if TYPE_CHECKING:
    from engine.running.request import RunRequest


class Host:
    """One run: its newest view, and what can be done to it. Used in the interface's thread alone."""

    owned = False
    """Whether this process carries the run out."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        """The run folder, as soon as it is known."""
        self._fold = Fold()
        self._waiting: deque[Event | Fold | int] = deque()
        """What the thread has read, in its order; a `Fold` takes the place of all that came before it, a number is of
        lines that could not be read."""
        self._closed = threading.Event()

    @property
    def view(self) -> RunView:
        """The run as the events taken over so far tell it."""
        return self._fold.view

    @property
    def log(self) -> deque[LogLine]:
        """The newest lines of the run's log."""
        return self._fold.log

    @property
    def logged(self) -> int:
        """Log lines there have been so far."""
        return self._fold.logged

    @property
    def title(self) -> str:
        """The run's id, or what it will be a run of."""
        return self.view.run or (self.folder.name if self.folder else "new run")

    @property
    def state(self) -> RunState:
        """The run's state in one word."""
        return self.view.status

    @property
    def remark(self) -> str:
        """What a person must know of the record, in one line; mostly nothing."""
        damaged = self._fold.damaged
        return f"{damaged} damaged lines of the record are left out" if damaged else ""

    @property
    def notice(self) -> str:
        """What has gone wrong, in a few lines, with the place of the record; empty where nothing has."""
        failure = self.view.failure
        said = f"failed in {failure.stage}: {failure.message}" if failure is not None else ""
        lines = [line for line in (said, self.remark) if line]
        if lines and self.folder is not None and self.state is not RunState.DELETED:
            lines.append(f"record: {self.folder}")
        return "\n".join(lines)

    @property
    def live(self) -> bool:
        """Whether more is to come."""
        return False

    @property
    def memory(self) -> int:
        """Bytes that the run's process holds; 0 = not known."""
        return self.view.finished.peak_memory if self.view.finished else 0

    def drain(self) -> bool:
        """Take over what the thread has read; True where there was something."""
        changed = False
        while self._waiting:
            read = self._waiting.popleft()
            if isinstance(read, Fold):
                self._fold = read
            elif isinstance(read, int):
                self._fold.damaged += read
            else:
                self._fold.take(read)
            changed = True
        return changed

    def close(self) -> None:
        """Stop following; a run that this process carries out is not stopped by that."""
        self._closed.set()


class JobHost(Host):
    """A run that this process carries out, in a background thread of its own."""

    owned = True

    def __init__(self, request: RunRequest, make_job: Callable[[RunRequest], Job] | None = None) -> None:
        super().__init__(request.resume)
        self.request = request
        self.stopping = False
        """Whether a person asked it to end."""
        self._ended = False
        self._gone = False
        """Whether its folder was deleted while it went on."""
        if make_job is None:
            from engine.running import job

            make_job = job.Job
        self._job = make_job(request)
        self._reader = threading.Thread(target=self._read, name="nadtui-events", daemon=True)

    def start(self) -> None:
        """Begin: what a resumed run had recorded is folded first."""
        self._reader.start()

    def pause(self) -> None:
        """Hold still at the next step."""
        self._job.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self._job.resume()

    def stop(self) -> None:
        """End at the next step, resumable."""
        self.stopping = True
        self._job.stop()

    @property
    def paused(self) -> bool:
        """Whether it was asked to hold still, here or by another process."""
        return self._job.paused

    def join(self, timeout: float) -> None:
        """Wait for the run's end."""
        self._reader.join(timeout)

    @property
    def working(self) -> bool:
        """Whether its thread is at work; from any thread."""
        return self._reader.is_alive()

    @property
    def live(self) -> bool:
        """Whether the job is at work."""
        return not self._ended

    @property
    def error(self) -> BaseException | None:
        """Why the job ended without a last word in its record."""
        return self._job.error if self._ended else None

    @property
    def state(self) -> RunState:
        """What is asked of the run comes before what it was doing when that was asked."""
        status = self.view.status
        if self._gone:
            return RunState.DELETED
        if self._ended:
            if status.ended:
                return status
            return RunState.FAILED if self._job.error is not None else RunState.STOPPED
        if self.stopping:
            return RunState.STOPPING
        if self.paused and status.busy:
            return RunState.PAUSING
        return RunState.NEW if status.ended else status

    @property
    def remark(self) -> str:
        """Why the run cannot go on, before what is wrong with its record."""
        error = self.error
        if error is not None:
            plain = isinstance(error, RequestError | RecordError)
            return str(error) if plain else f"{type(error).__name__}: {error}"
        return super().remark

    @property
    def memory(self) -> int:
        """What this process holds while the run goes on."""
        return own_memory() if self.live else super().memory

    def drain(self) -> bool:
        """As `Host.drain`; the job's end is a change too."""
        over = not self._reader.is_alive() and not self._ended and self._reader.ident is not None
        changed = super().drain()
        if self.folder is None and self.view.run:
            self.folder = self.request.out / self.view.run
        if over:
            self._ended = True
            self._gone = isinstance(self.error, RecordError) and not (self.folder and self.folder.is_dir())
        return changed or over

    def _read(self) -> None:
        if self.request.resume is not None:
            fold = Fold()
            log = read_events(self.request.resume)
            fold.damaged = log.damaged
            for event in log.events:
                fold.take(event)
            self._waiting.append(fold)
        self._job.start()
        for event in self._job.events():
            if event is not None:
                self._waiting.append(event)


def drain_all(hosts: Iterable[Host]) -> list[Host]:
    """Those of the hosts that have changed."""
    return [host for host in hosts if host.drain()]
