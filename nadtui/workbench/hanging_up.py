"""What becomes of the workbench when its terminal goes away, or the system asks for its end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Protocol

from nadtui.runs.wishes import Wish

LOOK_S = 0.5
"""Seconds between two looks whether the terminal is still there: a signal need not tell."""
GRACE_S = 5.0
"""Seconds in which the workbench takes its screens down; without a terminal it may never be done with that."""
INTERRUPTED = 130


class Stoppable(Protocol):
    """A run that this process carries out."""

    def stop(self) -> None:
        """End at the next step, resumable."""

    def join(self, timeout: float) -> None:
        """Wait for the run's end."""

    @property
    def working(self) -> bool:
        """Whether its thread is at work."""


class HangingUp:
    """While it lasts, runs are stopped, resumable, before the process ends, whoever ends it.

    That is done in a thread of its own: the interface may hang on a terminal that takes nothing any more.
    """

    def __init__(
        self,
        runs: Callable[[], Sequence[Stoppable]],
        leave: Callable[[], Any],
        *,
        there: Callable[[], bool] | None = None,
        end: Callable[[int], Any] = os._exit,
    ) -> None:
        """`runs` are those under way; `leave` has the workbench close; `there` says whether the terminal is."""
        self.asked = False
        self._wish = Wish()
        self._runs, self._leave, self._end = runs, leave, end
        self._there = there or (lambda: os.isatty(sys.__stdin__.fileno()))
        self._wanted, self._over = threading.Event(), threading.Event()
        self._before: dict[int, Any] = {}
        self._watch = threading.Thread(target=self._look, name="nadtui-terminal", daemon=True)

    def __enter__(self) -> HangingUp:
        for name in ("SIGHUP", "SIGTERM"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._signaled)
        self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._wanted.set()
        self._watch.join()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _signaled(self, number: int, frame: FrameType | None) -> None:
        """First: stop, then leave. SIGTERM again, and later: leave at once; records are sound at any moment."""
        if self._wish.renewed() and number == signal.SIGTERM:
            self._end(INTERRUPTED)
        self.asked = True
        self._wanted.set()

    def _look(self) -> None:
        while not self._wanted.wait(LOOK_S) and self._there():
            pass
        if self._over.is_set():
            return
        self.asked = True
        runs = list(self._runs())
        for run in runs:
            run.stop()
        for run in runs:
            while run.working and not self._over.is_set():
                run.join(LOOK_S)
        self._leave()
        if not self._over.wait(GRACE_S):
            self._end(INTERRUPTED)
