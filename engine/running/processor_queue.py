"""Runs on one machine know of each other: they claim processors, and queue for them.

Two trainings with two threads each on two cores slow each other down 2 to 20 times. So each processor is a token: a
lock file in a folder shared by all runs of this user on this machine. A run claims as many tokens as it has threads
(an accelerator is one token), waits in a first-come-first-served queue while they are taken, and holds them until it
ends. All locks are the kernel's: a run that is killed, however it is, holds nothing and waits for nothing any more.

    <folder>/queue.lock           held for milliseconds around every look at, or change of, what follows
             cpu-0.lock           locked by the run that has processor 0; cpu-0.json says which run that is
             tickets/<id>.lock    locked by a run that waits; <id>.json says which, for what, and its place

The folder is one host's alone, but may lie on a file server, whose clock is another: so when a run last asked is no
time that the server gave a file, but one that this host gives it. A clock that is set meanwhile costs a waiting run at
most its turn, for as long as it takes it to ask again; tokens are had by locks, which know no clock.

Free of torch.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from engine.errors import AbsentError, RequestError
from engine.places import expanded
from engine.storage.paths import of_user, write_atomically

QUIET_S = 30.0
"""A waiting run that has not asked for so many seconds (it is suspended) is passed over, and keeps its place."""
QUEUE_WAIT_S = 2.0
"""How long to wait for the queue itself, which is held for milliseconds at a time."""

SHARES = "NADTUI_GPU_SHARES"
"""How many runs may be on one accelerator at a time: set for workers of which so many share one."""

_UNNAMED = "another run"
_numbers = itertools.count()


@dataclass(frozen=True)
class Waiting:
    """A claim that has to wait: it is served as number `position` (1 = next); `holders` have what it waits for."""

    position: int
    holders: tuple[str, ...]


@dataclass(frozen=True)
class Ticket:
    """A place in the queue: `count` of the tokens `candidates` are wanted by the run `label`."""

    id: str
    label: str
    pid: int
    count: int
    candidates: tuple[str, ...]
    since: float
    """Seconds since the epoch."""
    order: int
    """Smaller goes first."""
    asked: float = 0.0
    """When the run last asked whether it is its turn, in seconds since the epoch."""

    @property
    def quiet(self) -> bool:
        """It has stopped asking: its process is suspended, or paused."""
        return abs(time.time() - self.asked) > QUIET_S


def machine_dir() -> Path:
    """The folder that all runs of this user on this machine share: NADTUI_MACHINE, or one in the user's state folder.

    Not moved by NADTUI_CACHE or NADTUI_RUNS: runs with folders of their own still share the processors. The host's
    name is in it, since a home folder may be shared by several machines.
    """
    given = os.environ.get("NADTUI_MACHINE")
    if given:
        return expanded(given)
    host = re.sub(r"[^A-Za-z0-9_.-]+", "-", socket.gethostname()) or "localhost"
    return of_user(platformdirs.user_state_dir) / "machine" / host


def processors() -> tuple[int, ...]:
    """The processors this process may run on, by number."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def check_threads(threads: int | None, available: int | None = None) -> int:
    """How many processors a run with this setting claims; None = all.

    Raises:
        RequestError: more than there are.
    """
    count = len(processors()) if available is None else available
    if threads is not None and not 1 <= threads <= count:
        raise AbsentError(f"threads = {threads}: this machine has {count} processors; allowed: 1 to {count}")
    return threads or count


class Claim:
    """A run's claim on `threads` processors (None = all), or on an accelerator.

        with Claim(config.threads, run_id) as claim:
            while (state := claim.poll()) is not None:
                ...  # show the Waiting state; wait a moment, 0.5 s say; giving up is leaving the block
            ...  # train, with claim.threads threads

    `device` is torch's name of it, `cpu`, `cuda:0`, `mps`; an accelerator is one token, whatever `threads` says.
    `available` are the processors to share, by default those this process may run on.

    Raises:
        RequestError: more threads than processors; from `poll`: the shared folder cannot be used.
    """

    def __init__(
        self,
        threads: int | None,
        label: str,
        *,
        device: str = "cpu",
        available: Sequence[int] | None = None,
    ) -> None:
        numbers = processors() if available is None else tuple(available)
        self.threads = check_threads(threads, len(numbers))
        self.label = label
        cpu = device == "cpu"
        self._count = self.threads if cpu else 1
        self._candidates = tuple(f"cpu-{number}" for number in numbers) if cpu else _device_tokens(device)
        self._folder = machine_dir()
        self._held: dict[str, FileLock] = {}
        self._ticket: Ticket | None = None
        self._ticket_lock: FileLock | None = None
        self._last = Waiting(1, ())

    @property
    def held(self) -> tuple[str, ...]:
        """The tokens this claim has: none, or all it wants."""
        return tuple(self._held)

    def poll(self) -> Waiting | None:
        """Ask for the tokens: None once they are held, else the place in the queue. Takes milliseconds."""
        if self._held:
            return None
        try:
            with _queue_held(self._folder):
                self._last = self._advance()
        except Timeout:
            return self._last  # somebody was stopped within the milliseconds above: ask again
        except OSError as error:
            raise _unusable(self._folder, error) from error
        return None if self._held else self._last

    def release(self) -> None:
        """Give everything back: the tokens, or the place in the queue. Calling it again does nothing."""
        self._drop_ticket()
        while self._held:
            token, lock = self._held.popitem()
            # The name goes while the lock is still held, so that it is never taken for the next holder's.
            with suppress(OSError):
                (self._folder / f"{token}.json").unlink()
            lock.release()

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _advance(self) -> Waiting:
        """One look at the queue, which is ours meanwhile: take the tokens if it is our turn, else wait in it."""
        tickets = _live_tickets(self._folder, own=self._ticket)
        if self._ticket is not None:
            # Others may have moved it; one that was deleted by hand is drawn anew, at the end.
            mine = [each for each in tickets if each.id == self._ticket.id]
            if mine:
                self._ticket = mine[0]
            else:
                self._drop_ticket()
        order = self._ticket.order if self._ticket else math.inf
        ahead = [each for each in tickets if each.order < order and not each.quiet and self._rivals(each)]
        free, busy = _try_tokens(self._folder, self._candidates)
        try:
            if not ahead and len(free) >= self._count:
                self._take(free)
            else:
                self._ask(tickets)
        finally:
            for lock in free.values():
                lock.release()
        return Waiting(len(ahead) + 1, tuple(dict.fromkeys(_holder(self._folder, token) for token in busy)))

    def _take(self, free: dict[str, FileLock]) -> None:
        """Move as many tokens as we want from `free` to what we hold."""
        taken = list(free)[: self._count]
        for token in taken:  # first what may fail: half a claim is none
            write_atomically(self._folder / f"{token}.json", json.dumps({"label": self.label}).encode())
        self._held = {token: free.pop(token) for token in taken}
        self._drop_ticket()

    def _rivals(self, other: Ticket) -> bool:
        """Whether both want some of the same tokens; others may pass each other."""
        return not set(self._candidates).isdisjoint(other.candidates)

    def _ask(self, tickets: list[Ticket]) -> None:
        """Draw a ticket, or show that the one we have is still wanted."""
        if self._ticket is None:
            identity = f"{time.time_ns()}-{os.getpid()}-{next(_numbers)}"
            order = max((each.order for each in tickets), default=0) + 1
            self._ticket_lock = _try_lock(_ticket_file(self._folder, identity, "lock"))
            now = time.time()
            self._ticket = Ticket(identity, self.label, os.getpid(), self._count, self._candidates, now, order, now)
            _write_ticket(self._folder, self._ticket)
        else:
            _set_asked(self._folder, self._ticket.id, time.time())

    def _drop_ticket(self) -> None:
        if self._ticket is not None and self._ticket_lock is not None:
            with suppress(OSError):
                _ticket_file(self._folder, self._ticket.id, "json").unlink()
            self._ticket_lock.release()
            with suppress(OSError):
                _ticket_file(self._folder, self._ticket.id, "lock").unlink()
        self._ticket = self._ticket_lock = None


def queue() -> list[Ticket]:
    """The runs that wait on this machine, next first.

    Raises:
        RequestError: the shared folder cannot be used.
    """
    folder = machine_dir()
    if not os.path.lexists(folder):
        return []
    try:
        with _queue_held(folder):
            return _live_tickets(folder)
    except OSError as error:  # filelock's Timeout among them
        raise _unusable(folder, error) from error


def holders() -> dict[str, str]:
    """The tokens that are taken on this machine (`cpu-0`, `cuda-0`, ...), each with the label of the run that has it.

    Raises:
        RequestError: the shared folder cannot be used.
    """
    folder = machine_dir()
    if not os.path.lexists(folder):
        return {}
    try:
        with _queue_held(folder):
            tokens = sorted(file.stem for file in folder.glob("*.lock") if file.stem != "queue")
            free, busy = _try_tokens(folder, tokens)
            for lock in free.values():
                lock.release()
            return {token: _holder(folder, token) for token in busy}
    except OSError as error:
        raise _unusable(folder, error) from error


def move(ticket_id: str, position: int) -> list[Ticket]:
    """Put a waiting run, of any process, at another place of the queue (1 = next), and return the new queue.

    Raises:
        RequestError: it waits no more, or the shared folder cannot be used.
    """
    folder = machine_dir()
    try:
        with _queue_held(folder):
            tickets = _live_tickets(folder)
            moved = [each for each in tickets if each.id == ticket_id]
            if not moved:
                raise RequestError(f"no run waits with the ticket {ticket_id!r} any more")
            rest = [each for each in tickets if each.id != ticket_id]
            place = max(position, 1) - 1
            wanted = [*rest[:place], *moved, *rest[place:]]
            ordered = [dataclasses.replace(each, order=order) for order, each in enumerate(wanted, start=1)]
            for old, new in zip(wanted, ordered, strict=True):
                if old.order != new.order:
                    _write_ticket(folder, new)
            return ordered
    except OSError as error:
        raise _unusable(folder, error) from error


@contextmanager
def _queue_held(folder: Path) -> Iterator[None]:
    """Have the queue to oneself, among all threads and processes, for the few milliseconds of the block."""
    (folder / "tickets").mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "queue.lock", thread_local=False).acquire(timeout=QUEUE_WAIT_S, poll_interval=0.005):
        yield


def _try_lock(path: Path) -> FileLock | None:
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def _try_tokens(folder: Path, tokens: Sequence[str]) -> tuple[dict[str, FileLock], list[str]]:
    """Lock every token that is free; the others are held by runs, since nobody else looks meanwhile."""
    tried = {token: _try_lock(folder / f"{token}.lock") for token in tokens}
    free = {token: lock for token, lock in tried.items() if lock is not None}
    return free, [token for token in tokens if token not in free]


def _holder(folder: Path, token: str) -> str:
    try:
        return str(json.loads((folder / f"{token}.json").read_bytes())["label"])
    except (OSError, ValueError, TypeError, KeyError):
        return _UNNAMED


def _live_tickets(folder: Path, own: Ticket | None = None) -> list[Ticket]:
    """The tickets whose runs are alive, in the queue's order; those of dead ones are removed."""
    tickets = []
    for identity in sorted({file.stem for file in (folder / "tickets").iterdir() if file.name[0] != "."}):
        dead = None if own and identity == own.id else _try_lock(_ticket_file(folder, identity, "lock"))
        if dead is not None:
            _ticket_file(folder, identity, "json").unlink(missing_ok=True)
            dead.release()
            _ticket_file(folder, identity, "lock").unlink(missing_ok=True)
        elif (ticket := _read_ticket(folder, identity)) is not None:
            tickets.append(ticket)
    return sorted(tickets, key=lambda each: (each.order, each.since))


def _ticket_file(folder: Path, identity: str, kind: str) -> Path:
    return folder / "tickets" / f"{identity}.{kind}"


def _write_ticket(folder: Path, ticket: Ticket) -> None:
    values = dataclasses.asdict(ticket)
    del values["id"], values["asked"]  # the file's name and its modification time
    write_atomically(_ticket_file(folder, ticket.id, "json"), json.dumps(values).encode())
    _set_asked(folder, ticket.id, ticket.asked)


def _set_asked(folder: Path, identity: str, asked: float) -> None:
    os.utime(_ticket_file(folder, identity, "json"), (asked, asked))


def _read_ticket(folder: Path, identity: str) -> Ticket | None:
    file = _ticket_file(folder, identity, "json")
    try:
        values = json.loads(file.read_bytes())
        return Ticket(
            id=identity,
            label=str(values["label"]),
            pid=int(values["pid"]),
            count=int(values["count"]),
            candidates=tuple(map(str, values["candidates"])),
            since=float(values["since"]),
            order=int(values["order"]),
            asked=file.stat().st_mtime,
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _device_tokens(device: str) -> tuple[str, ...]:
    """The tokens of an accelerator of which a run wants one: a single one, unless it is to be shared."""
    token, shares = _device_token(device), os.environ.get(SHARES, "")
    more = range(2, int(shares) + 1) if shares.isdigit() else ()
    return (token, *(f"{token}-{number}" for number in more))


def _device_token(device: str) -> str:
    """The token of an accelerator: `cuda` is `cuda:0`, and CUDA_VISIBLE_DEVICES tells which one that really is."""
    kind, _, index = device.partition(":")
    index = index or "0"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if kind == "cuda" and index.isdigit() and int(index) < len(visible) and visible[int(index)].strip():
        index = visible[int(index)].strip()
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{kind}-{index}")


def _unusable(folder: Path, error: OSError) -> RequestError:
    reason = "its queue is held by a stopped process" if isinstance(error, Timeout) else error.strerror or error
    return RequestError(f"cannot share this machine through {folder}: {reason}; NADTUI_MACHINE names another folder")
