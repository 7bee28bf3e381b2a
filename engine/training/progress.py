"""The steps of an optimization, told of as they are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

from engine.control import Control
from engine.events import Event, Preparing
from engine.training.loop import REPORT_SECONDS


class ToldSteps:
    """Counts an optimization's steps: an event by the clock, a stop or a pause honored between two of them."""

    def __init__(
        self, control: Control, what: str, total: int, done: int = 0, keep: Callable[[int], None] | None = None
    ) -> None:
        """`done`: steps of the `total` that were done before; `keep` saves what so many steps have come to, before the
        run holds still or ends."""
        self._control = control
        self._what = what
        self._total = total
        self.count = done
        """Steps that are done."""
        self._keep = keep
        self._told = -REPORT_SECONDS

    def done(self, count: int = 1) -> Generator[Event, None, None]:
        """`count` steps more are done."""
        self.count += count
        yield from self._control.checkpoint(self._kept)
        if time.perf_counter() - self._told >= REPORT_SECONDS or self.count >= self._total:
            self._told = time.perf_counter()
            yield Preparing(what=self._what, done=self.count, total=self._total)

    def _kept(self) -> None:
        if self._keep is not None:
            self._keep(self.count)
