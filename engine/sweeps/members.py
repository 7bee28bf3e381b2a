"""The processes at work on a sweep, on this host or others that share its folder: who has which cells in hand.

Each has a folder of its own, alive as a run is (`engine.record.liveness`): a lock that the kernel frees, and a
heartbeat by which other hosts know it. A cell is leased by the member that lists it; whoever takes one has the sweep's
lock meanwhile, so that no two have the same. Free of torch.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from engine.control import Wish
from engine.errors import RequestError
from engine.record.layout import HEARTBEAT
from engine.record.layout import LOCK as ALIVE
from engine.record.liveness import Beat, is_running, own_heartbeat, read_heartbeat
from engine.running import mailbox
from engine.storage.paths import write_atomically
from engine.sweeps.layout import MEMBERS, held
from engine.sweeps.sameness import program

HAND = "cells.json"
FIRST = "first.json"
PROGRAM = "program"
"""Which version a member is of."""
FORGOTTEN_S = 86_400.0
"""Seconds after which nobody waits any more for another host's member that does not seem to live."""


class Member:
    """This process, as long as it is at work on a sweep."""

    def __init__(self, folder: Path) -> None:
        self._sweep = Path(folder)
        host = re.sub(r"[^A-Za-z0-9_.-]+", "-", socket.gethostname())
        self.path = self._sweep / MEMBERS / f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = FileLock(self.path / ALIVE, thread_local=False)
        self._beat = Beat(self.path / HEARTBEAT)
        self._hand: dict[str, float] = {}

    def __enter__(self) -> Member:
        """Join those at work.

        Raises:
            RequestError: one of them is of another version, or the folder cannot be written.
        """
        with held(self._sweep):
            self._check_alike()
            try:
                self.path.mkdir(parents=True)
                self._lock.acquire(timeout=0)
            except OSError as error:
                raise RequestError(f"{self._sweep}: cannot be written: {error.strerror or error}") from error
            write_atomically(self.path / HEARTBEAT, own_heartbeat())
            write_atomically(self.path / PROGRAM, program().encode())
        self._beat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._beat.stop()
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def take(self, choose: Callable[[frozenset[str]], str | None]) -> str | None:
        """Have a cell in hand that no other member has.

        `choose` is told all the cells that are in somebody's hand and names one more, or None; it may look at the
        folder, where nothing changes meanwhile.
        """
        with held(self._sweep):
            busy = set(self._hand)
            for other in _others(self._sweep, self.path):
                busy |= set(_in_hand(other))
            chosen = choose(frozenset(busy))
            if chosen is not None:
                self._hand[chosen] = time.time()
                self._write()
            return chosen

    def give_back(self, cell: str) -> None:
        """Have it in hand no more: it is done, or others may go on with it."""
        self._hand.pop(cell, None)
        self._write()

    def wish(self) -> Wish | None:
        """What another process asks of this one, once."""
        return mailbox.take(self.path)

    def _check_alike(self) -> None:
        """Refuse to join others who would come to other results with the same cells."""
        for other in _others(self._sweep, self.path):
            with suppress(OSError):
                if (other / PROGRAM).read_text() != program():
                    raise RequestError(f"{self._sweep}: {other.name} is at work on it with another version of nadtui")

    def _write(self) -> None:
        write_atomically(self.path / HAND, json.dumps(self._hand).encode(), within=self.path)


@dataclass(frozen=True)
class AtWork:
    """A member as others see it."""

    name: str
    """Host, process and a random part."""
    cells: Mapping[str, float]
    """What it has in hand, and since when, in seconds since the epoch."""


def at_work(folder: Path) -> list[AtWork]:
    """The living members of a sweep."""
    return [AtWork(path.name, _in_hand(path)) for path in _folders(folder) if is_running(path)]


def ask(folder: Path, wish: Wish) -> int:
    """Ask all who are at work on a sweep to pause, to resume after a pause, or to stop; how many they are.

    Raises:
        RequestError: the folder cannot be written.
    """
    living = at_work(folder)
    for each in living:
        mailbox.ask(Path(folder) / MEMBERS / each.name, wish)
    return len(living)


def put_first(folder: Path, cells: list[str]) -> None:
    """Have these cells be the next ones, in this order, whoever takes them; an empty list = by the grid again.

    Raises:
        RequestError: the folder cannot be written.
    """
    write_atomically(Path(folder) / FIRST, json.dumps(cells).encode(), within=Path(folder))


def first(folder: Path) -> list[str]:
    """The cells that are to be the next ones."""
    try:
        return [str(cell) for cell in json.loads((Path(folder) / FIRST).read_bytes())]
    except (OSError, ValueError, TypeError):
        return []


def _others(sweep: Path, own: Path) -> Iterator[Path]:
    """The living members but one; the dead ones' folders go. The sweep is held."""
    for path in _folders(sweep):
        if path == own:
            continue
        if is_running(path):
            yield path
        elif _is_dead(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_dead(path: Path) -> bool:
    """Whether a member that does not seem to live will not be seen again. One of another host may be asleep, or its
    clock be another: it is known by its lock there alone."""
    heartbeat = read_heartbeat(path)
    if heartbeat is not None and heartbeat.host == socket.gethostname():
        return True
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > FORGOTTEN_S
    return False


def _folders(sweep: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(Path(sweep) / MEMBERS) if entry.is_dir()]
    except OSError:
        return []


def _in_hand(member: Path) -> dict[str, float]:
    try:
        return {str(cell): float(since) for cell, since in json.loads((member / HAND).read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
