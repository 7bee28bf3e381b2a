"""What a run uses beyond its own folder, and does without where it cannot be had: the cache, the machine's queue."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from engine.control import Control
from engine.errors import RequestError
from engine.events import Event, Message, Queued
from engine.running.processor_queue import Claim, machine_dir
from engine.storage.artifacts import ArtifactCache
from engine.storage.paths import cache_dir, unusable


@dataclass(frozen=True)
class Conveniences:
    """What there is of them."""

    cache: ArtifactCache
    queues: bool
    """Whether runs of this machine can wait for each other."""
    warning: str
    """What a person must know of that, in one line; empty where there is everything."""

    def claim(self, threads: int | None, label: str, device: str) -> AbstractContextManager[Claim | None]:
        """A claim on processors, for `wait_for`; None where runs do not know of each other."""
        return Claim(threads, label, device=device) if self.queues else nullcontext()


def found(store: Path | None = None) -> Conveniences:
    """What there is of them now; nothing is told.

    `store` is a folder of artifacts that comes before the user's own.
    """
    cache, machine = cache_dir(), machine_dir()
    uncached, alone = unusable(cache), unusable(machine)
    said = [f"nothing is kept in the cache {cache} ({uncached})"] * bool(uncached)
    said += [f"runs do not wait for each other through {machine} ({alone})"] * bool(alone)
    names = " and ".join(["NADTUI_CACHE"] * bool(uncached) + ["NADTUI_MACHINE"] * bool(alone))
    warning = f"{'; '.join(said)}; {names} can name other folders" if said else ""
    artifacts = ArtifactCache(keeps=not uncached)
    return Conveniences(artifacts if store is None else ArtifactCache(store, behind=artifacts), not alone, warning)


def wait_for(claim: Claim | None, control: Control) -> Generator[Event, None, None]:
    """Queue for the processors; an event whenever the run's place changes. Without a queue it goes on at once."""
    last = None
    while claim is not None:
        try:
            waiting = claim.poll()
        except RequestError as error:
            yield Message(level="warning", text=f"{error}; this run waits for no other")
            return
        if waiting is None:
            return
        if waiting != last:
            yield Queued(position=waiting.position, holders=waiting.holders)
            last = waiting
        control.wait(0.5)
