"""How a running job is steered from another thread: pause, go on, stop. Free of torch."""

from __future__ import annotations

import threading
from collections.abc import Generator

from engine.events import Event, RunPaused


class Stopped(Exception):  # noqa: N818  (a request fulfilled, not an error)
    """A stop was asked for; raised between two steps inside the job's thread."""


class Control:
    """Flags set by a front end and honored by the job between two steps."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()

    def pause(self) -> None:
        """Hold the job still at its next step."""
        self._go.clear()

    def resume(self) -> None:
        """Let a paused job go on."""
        self._go.set()

    def stop(self) -> None:
        """End the job at its next step, paused or not, in a state that can be resumed."""
        self._stop.set()
        self._go.set()

    @property
    def paused(self) -> bool:
        """Whether the job was asked to hold still."""
        return not self._go.is_set()

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until a stop is asked for; then raise Stopped."""
        if self._stop.wait(seconds):
            raise Stopped

    def checkpoint(self) -> Generator[Event, None, None]:
        """Between two steps: raise Stopped if asked to, or hold still while paused, with an event at each end."""
        self.check()
        if self._go.is_set():
            return
        yield RunPaused(paused=True)
        self._go.wait()
        self.check()
        yield RunPaused(paused=False)
