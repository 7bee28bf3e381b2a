"""Runs as screens see them: one that this process carries out, or one that is followed in its record.

A thread reads the events; it touches no view. The interface takes them over with `Host.drain`, a few times a second
for however many events there were, so that a view changes in the interface's thread alone. A record is folded into a
view of its own in the thread, and handed over whole.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine import events
from engine.record import store
from engine.running import mailbox
from engine.control import Wish
from engine.errors import RequestError
from engine.events import Event
from engine.record.view import MAX_ATTENTION_EPOCHS, LogLine, RunView
from nadtui.runs import narrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.running.job import RunRequest

LOG_LINES = 1_000
POLL_S = 0.5
"""Seconds between two looks at a record that is being written."""
REST_S = 2.0
"""The same for one that is not."""
ENDED = ("finished", "failed", "stopped", "crashed", "damaged", "newer", "deleted")


class Job(Protocol):
    """What is used of `engine.running.job.Job`."""

    error: BaseException | None

    @property
    def paused(self) -> bool:
        """Whether it was asked to hold still, by whomever."""

    def start(self) -> None:
        """Begin in the background."""

    def pause(self) -> None:
        """Hold still at the next step."""

    def resume(self) -> None:
        """Go on."""

    def stop(self) -> None:
        """End at the next step."""

    def events(self, timeout: float | None = None) -> Iterator[Event | None]:
        """What happens, to the end."""


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
            loud = isinstance(event, events.RunFailed) or "DEAD" in said
            self.log.append(LogLine(event.time, "warning" if loud else level, said))
            self.logged += 1


class Host:
    """One run: its newest view, and what can be done to it. Used in the interface's thread alone."""

    owned = False
    """Whether this process carries the run out."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        """The run folder, as soon as it is known."""
        self._fold = Fold()
        self._loaded: deque[Fold] = deque()
        self._waiting: deque[Event] = deque()
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
    def state(self) -> str:
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
        if lines and self.folder is not None and self.state != "deleted":
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
        while self._loaded:
            self._fold = self._loaded.popleft()
            changed = True
        while self._waiting:
            self._fold.take(self._waiting.popleft())
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
    def live(self) -> bool:
        """Whether the job is at work."""
        return not self._ended

    @property
    def error(self) -> BaseException | None:
        """Why the job ended without a last word in its record."""
        return self._job.error if self._ended else None

    @property
    def state(self) -> str:
        """What is asked of the run comes before what it was doing when that was asked."""
        status = self.view.status
        if self._ended:
            if status in ENDED:
                return status
            return "failed" if self._job.error is not None else "stopped"
        if self.stopping:
            return "stopping"
        if self.paused and status in ("running", "preparing"):
            return "pausing"
        return status if status not in ENDED else "new"

    @property
    def remark(self) -> str:
        """Why the run cannot go on, before what is wrong with its record."""
        error = self.error
        if error is not None:
            return f"{type(error).__name__}: {error}" if not isinstance(error, RequestError) else str(error)
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
        return changed or over

    def _read(self) -> None:
        if self.request.resume is not None:
            fold = Fold()
            log = store.read_events(self.request.resume)
            fold.damaged = log.damaged
            for event in log.events:
                fold.take(event)
            self._loaded.append(fold)
        self._job.start()
        for event in self._job.events():
            if event is not None:
                self._waiting.append(event)


class Watcher(Host):
    """A run of another process, or one that has ended, followed in its record."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder: Path = folder
        self._status = "loading"
        self._asked: Wish | None = None
        self._heard = 0
        self._memory = 0
        self._new_status: deque[str] = deque(maxlen=1)
        self._tail = store.Tail(folder, maps_of=MAX_ATTENTION_EPOCHS)
        self._reader = threading.Thread(target=self._follow, name="nadtui-watch", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._reader.start()

    @property
    def live(self) -> bool:
        """Whether its process is at work."""
        return self._recorded in ("running", "paused", "queued", "preparing")

    @property
    def state(self) -> str:
        """What was asked of a run under way comes before what it was doing when that was asked."""
        if self.live and self._asked == "stop":
            return "stopping"
        if self._asked == "pause" and self._recorded in ("running", "preparing"):
            return "pausing"
        return self._recorded

    @property
    def _recorded(self) -> str:
        """What the folder says, and of a run under way what its events say."""
        if self._status == "running" and self.view.status in ("paused", "queued", "preparing"):
            return self.view.status
        return self._status

    @property
    def remark(self) -> str:
        """Why there is nothing, or no more, to see."""
        said = {
            "deleted": f"the run folder is gone: {self.folder}; what is shown is what was read of it",
            "newer": "written by a newer nadtui: update nadtui to read all of it",
            "crashed": "ended without a last word; R goes on from the last saved epoch",
            "damaged": "its configuration or summary cannot be read; what is shown is what the events tell",
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
        damaged = self._tail.damaged
        changed = super().drain() or changed
        if damaged != self._heard:
            self._fold.damaged += max(0, damaged - self._heard)
            self._heard, changed = damaged, True
        if not self.live or (self._asked == "pause" and self._recorded == "paused"):
            self._asked = None  # it was done: what others ask from now on must show as well
        return changed

    def ask(self, wish: Wish) -> str:
        """Ask the process that carries the run out for something; returns what was done, or why not."""
        writer = store.read_heartbeat(self.folder) if self.live else None
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
        whole = self._tail.poll()
        fold = Fold()
        for event in whole:
            fold.take(event)
        self._loaded.append(fold)
        while True:
            status = store.status(self.folder)
            self._new_status.append(status)
            self._memory = self._writers_memory() if status == "running" else 0
            if self._closed.wait(POLL_S if status in ("running", "queued") else REST_S):
                return
            self._hand_over(self._tail.poll())

    def _writers_memory(self) -> int:
        writer = store.read_heartbeat(self.folder)
        return process_memory(writer.pid) if writer is not None and writer.host == socket.gethostname() else 0

    def _hand_over(self, new: list[Event]) -> None:
        anew = next((place for place, event in enumerate(new) if isinstance(event, events.RunStarted)), None)
        if anew is None:
            self._waiting.extend(new)
            return
        fold = Fold()
        for event in new[anew:]:
            fold.take(event)
        self._waiting.clear()
        self._loaded.append(fold)


# --- processes ---


def own_memory() -> int:
    """Bytes that this process holds."""
    return process_memory(os.getpid())


def process_memory(pid: int) -> int:
    """Resident bytes of a process of this machine; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Detached:
    """A run that was handed over to a process of its own."""

    name: str
    folder: Path | None
    process: subprocess.Popen[bytes]
    log: Path
    """What the process says."""


def detach(request: RunRequest, folder: Path | None) -> Detached:
    """Go on with a run in a process of its own, which outlives this one and its terminal.

    `folder` is the run's, once it was stopped; None for one that had recorded nothing, which begins anew.
    """
    command = [sys.executable, "-m", "nadtui", "run", "--headless", "--out", str(request.out.absolute())]
    if folder is not None:
        command += ["--resume", str(folder.absolute())]
        log = folder / "headless.log"
    else:
        number, name = tempfile.mkstemp(prefix="nadtui-", suffix=".yaml")
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(request.config.to_yaml())
        command += ["--config", name]
        log = Path(name).with_suffix(".log")
    if not request.cache:
        command.append("--no-cache")
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return Detached(folder.name if folder else request.config.preset or "the run", folder, process, log)


def see_off(run: Detached, seconds: float) -> str:
    """Wait until the process has taken its run over, at most that long; says in a line what has become of it."""
    number, end = run.process.pid, time.monotonic() + seconds
    while run.process.poll() is None:
        if run.folder is not None and store.is_running(run.folder):
            return f"{run.name} goes on without the workbench, process {number}"
        if time.monotonic() > end:
            return f"{run.name} is being started without the workbench, process {number}; it writes to {run.log}"
        time.sleep(0.1)
    if run.process.returncode == 0:
        return f"{run.name} has gone on to its end"
    return f"{run.name} could not go on: {_last_line(run.log)}; all of it is in {run.log}"


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def with_more_epochs(request: RunRequest, stage: str, epochs: int) -> RunRequest:
    """The request with another number of epochs for one stage.

    Raises:
        RequestError: the stage has no such number, or it is not allowed.
    """
    from engine.config.run import merge, parse_override, validate

    values = request.config.to_dict()
    own = values["defenses"].get(stage)
    if own is not None and own.get("training") is None:
        own["training"] = values["distill"]["training"]  # what it meant by having none of its own
    values = merge(values, parse_override(f"{_epochs_field(stage)}={epochs}"))
    return replace(request, config=validate(values))


def epochs_of(request: RunRequest, stage: str) -> int:
    """The epochs that the request gives a stage.

    Raises:
        RequestError: the stage has no such number.
    """
    value: Any = request.config.to_dict()
    for name in _epochs_field(stage).split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, int):
        raise RequestError(f"{stage} has no number of epochs")
    return value


def _epochs_field(stage: str) -> str:
    from nadtui.runs.request import EPOCHS

    return EPOCHS.get(stage, f"defenses.{stage}.training.epochs")


def drain_all(hosts: Iterable[Host]) -> list[Host]:
    """Those of the hosts that have changed."""
    return [host for host in hosts if host.drain()]
