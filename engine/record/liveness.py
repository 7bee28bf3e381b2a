"""Whether somebody writes a run, and who."""

from __future__ import annotations

import json
import math
import os
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from engine.record.layout import HEARTBEAT, LOCK

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BEAT_S = 2.0
STALE_S = 10.0
"""A heartbeat older than this, in seconds, is nobody's."""
CLOCK_S = 60.0
"""Seconds after which a file system is asked again what time it is."""
LOOK_S = 1.0
"""The same, before a heart is said to be still."""


@dataclass(frozen=True)
class Heartbeat:
    """Who writes a run, and when it was last known to live (seconds since the epoch, by the file system's clock)."""

    pid: int
    host: str
    beat: float


class Beat(threading.Thread):
    """Refreshes the heartbeat's modification time: no bytes are written, so a full disk cannot stop it."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="nadtui-heartbeat", daemon=True)
        self._path = path
        self._stopped = threading.Event()

    def run(self) -> None:
        """Beat, in a thread of its own."""
        while not self._stopped.wait(BEAT_S):
            try:
                os.utime(self._path)  # the file system's own clock: the one that all its readers share
            except OSError:
                continue  # the lock is what counts; the heartbeat only tells people who holds it

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()
        self.join()


def own_heartbeat() -> bytes:
    """What the heartbeat of a run holds that this process writes."""
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "time": time.time()}).encode()


def read_heartbeat(path: Path) -> Heartbeat | None:
    """Who writes the run now, or wrote it when it was killed; None where no heartbeat can be read."""
    file = Path(path) / HEARTBEAT
    try:
        values = json.loads(file.read_bytes())
        return Heartbeat(int(values["pid"]), str(values["host"]), file.stat().st_mtime)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_running(path: Path) -> bool:
    """Whether some process writes this run now.

    The lock decides. It is looked at with a shared lock on a file opened for reading, given back at once: so any number
    of readers look at a time, also at folders they may not write, and a writer waits long enough not to notice. Where
    the lock cannot decide (a network disk whose locks do not reach other hosts, a system without flock), the heartbeat
    does.
    """
    path = Path(path)
    if fcntl is None:
        return _beats(path)
    try:
        with (path / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return _beats(path)
    return is_running_elsewhere(path)


def is_running_elsewhere(path: Path) -> bool:
    """Whether a process of another host writes this run: its lock may not reach here, its heartbeat does."""
    heartbeat = read_heartbeat(path)
    return heartbeat is not None and heartbeat.host != socket.gethostname() and _is_fresh(path, heartbeat)


def _beats(path: Path) -> bool:
    heartbeat = read_heartbeat(path)
    return heartbeat is not None and _is_fresh(path, heartbeat)


def _is_fresh(path: Path, heartbeat: Heartbeat) -> bool:
    """Whether the last beat is a recent one, by the clock that stamped it: that of the file system.

    This host's own clock may be hours off. Who may not write there, and so cannot ask that clock, takes his own for
    the first look; from the second on it counts whether the heart was seen to beat.
    """
    for asked_anew_s in (CLOCK_S, LOOK_S):  # this host's clock may have been set since that one was asked
        offset = _clock_offset(path, asked_anew_s)
        if offset is None:
            break
        if abs(time.time() + offset - heartbeat.beat) < STALE_S:
            return True
    if offset is not None:
        return False
    now, known = time.monotonic(), _watched.get(path)
    if known is not None and known.beat == heartbeat.beat:
        return known.alive and now - known.since < STALE_S
    seen_to_beat = known is not None and known.beat < heartbeat.beat and now - known.since < STALE_S
    alive = seen_to_beat or abs(time.time() - heartbeat.beat) < STALE_S
    _watched[path] = _Watched(heartbeat.beat, now, alive)
    return alive


@dataclass(frozen=True)
class _Watched:
    """A heartbeat in a folder that this process may not write, as it was when it was first seen."""

    beat: float
    since: float
    alive: bool


_watched: dict[Path, _Watched] = {}
_offsets: dict[int, tuple[float, float | None]] = {}
"""By file system: when its clock was asked, and how far it is ahead of this host's."""


def _clock_offset(folder: Path, anew_s: float) -> float | None:
    """Seconds that the file system's clock is ahead of this host's, by an answer no older than that many seconds; None
    = not to be had."""
    try:
        system, now = folder.stat().st_dev, time.monotonic()
    except OSError:
        return None
    asked, offset = _offsets.get(system, (-math.inf, None))
    if offset is None or now - asked > anew_s:
        stamp = _stamp(folder)
        offset = None if stamp is None else stamp - time.time()
        _offsets[system] = now, offset
    return offset


def _stamp(folder: Path) -> float | None:
    """The time that a file made there now gets; None where none can be made."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return None


def writer_named(path: Path) -> str:
    """Who writes the run, for a message; empty where nobody is known to."""
    heartbeat = read_heartbeat(path)
    return f" (process {heartbeat.pid} on {heartbeat.host})" if heartbeat else ""
