"""A job as the front end knows it: by what is used of `engine.running.job.Job`, whose import brings torch along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from engine.events import Event


class Job(Protocol):
    """A run that this process carries out, in the background."""

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
        """What happens, to the end; None whenever `timeout` seconds brought nothing."""
