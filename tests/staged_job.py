"""A job that plays a script as a test allows it, and what goes with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.config.presets import resolve
from engine.events import Event
from engine.running.request import RunRequest
from nadtui.runs.hosting import Host


class StagedJob:
    """Plays a script up to each `let` of the test, and notes what was asked of it."""

    def __init__(self, script: Sequence[Event], *, error: BaseException | None = None) -> None:
        self.error: BaseException | None = None
        self.asked: list[str] = []
        self.paused = False
        self.on_stop: list[Event] = []
        self._script = list(script)
        self._error = error
        self._allowed = threading.Semaphore(0)
        self._stopped = threading.Event()

    def let(self, count: int = 1_000_000) -> None:
        for _ in range(min(count, len(self._script) + 1)):
            self._allowed.release()

    def start(self) -> None:
        self.asked.append("start")

    def pause(self) -> None:
        self.asked.append("pause")
        self.paused = True

    def resume(self) -> None:
        self.asked.append("resume")
        self.paused = False

    def stop(self) -> None:
        self.asked.append("stop")
        self._stopped.set()
        self._allowed.release()

    def events(self, timeout: float | None = None) -> Iterator[Event | None]:
        for event in self._script:
            self._allowed.acquire()
            if self._stopped.is_set():
                yield from self.on_stop
                return
            yield event
        self._allowed.acquire()
        self.error = self._error


def request(out: Path, **values: object) -> RunRequest:
    return RunRequest(config=resolve("badnets", dataset="signs"), out=out, **values)


def until(holds: Callable[[], bool], host: Host | None = None, seconds: float = 120.0) -> None:
    """Wait until it holds, taking over what the host has meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if host is not None:
            host.drain()
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to hold")
