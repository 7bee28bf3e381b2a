"""How a running job is steered from another thread or process: pause, go on, stop. Free of torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Literal

from engine.events import Event, RunPaused

Wish = Literal["pause", "resume", "stop"]

LISTEN_S = 0.25
"""Seconds between two looks at what other processes ask."""


class Stopped(Exception):  # noqa: N818  (a request fulfilled, not an error)
    """A stop was asked for; raised between two steps inside the job's thread."""


class Control:
    """Flags set by a front end and honored by the job between two steps."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._go = threading.Event()
        self._go.set()
        self._ear: Callable[[], Wish | None] | None = None
        self._heard = 0.0

    def listen(self, ear: Callable[[], Wish | None] | None) -> None:
        """From now on also follow what `ear` brings, asked a few times a second in the job's thread; None = no more."""
        self._ear = ear

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
        self._hear()
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than until a stop is asked for; then raise Stopped."""
        if self._stop.wait(seconds):
            raise Stopped
        self.check()

    def _hear(self) -> None:
        now = time.monotonic()
        if self._ear is None or now - self._heard < LISTEN_S:
            return
        self._heard = now
        match self._ear():
            case "pause":
                self.pause()
            case "resume":
                self.resume()
            case "stop":
                self.stop()

    def checkpoint(self, keep: Callable[[], None] | None = None) -> Generator[Event, None, None]:
        """Between two steps: raise Stopped if asked to, or hold still while paused, with an event at each end.

        `keep` saves the state that the steps have come to, before either: what is done is not done again.
        """
        self._hear()
        if self._go.is_set() and not self._stop.is_set():
            return
        if keep is not None:
            keep()
        self.check()
        yield RunPaused(paused=True)
        while not self._go.wait(LISTEN_S):
            self._hear()
        self.check()
        yield RunPaused(paused=False)
