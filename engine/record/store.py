"""Run folders: the record of a run on disk, written by one process and read by any number of others.

    <root>/<id>/config.yaml          the complete configuration; whole as soon as the folder is visible
                events.jsonl         one event a line, append-only
                checkpoints/         <stage>.safetensors, <stage>.state.safetensors
                summary.json         written last; its presence means finished
                run.lock             locked by the writing process; the kernel frees it however that process ends
                heartbeat.json       the writer's pid and host; its modification time is refreshed every 2 s
                wish                 what another process asks of the writer, until it is taken (engine.running.mailbox)

Readers take no lock, survive whatever they find, and report damage instead of raising it. Free of torch.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
import itertools
import json
import math
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from engine.errors import RequestError, StageError
from engine.events import (
    SCHEMA,
    Event,
    Queued,
    RunFailed,
    RunResumed,
    RunStarted,
    RunStopped,
    StageFinished,
    StageStarted,
    from_json,
    plain,
)
from engine.storage.paths import write_atomically

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.yaml"
RECORD = "events.jsonl"
SUMMARY = "summary.json"
LOCK = "run.lock"
HEARTBEAT = "heartbeat.json"
CHECKPOINTS = "checkpoints"

STATUSES = ("queued", "running", "finished", "failed", "stopped", "crashed", "damaged", "newer", "deleted")
"""What `status` answers. crashed = ended without a last word; newer = by a nadtui that knows more than this one."""

BEFORE, AFTER = "attack", "nad"
"""The stages whose ACC and ASR a run is known by: the backdoored model's, and the student's."""

BEAT_S = 2.0
STALE_S = 10.0
"""A heartbeat older than this, in seconds, is nobody's."""
LOCK_WAIT_S = 1.0
"""How long a writer waits for its lock: readers hold it for microseconds when they look whether a run is alive."""
LEFTOVER_S = 3600.0

_UNSYNCED = {"step", "attention", "sample", "preparing"}
"""Kinds that come often; losing the last few to a power cut loses no decision."""
_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9][a-z0-9_.-]*")
_STAGE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MAP = re.compile(rb'\{"kind":"attention","seq":\d+,"time":[\d.e+-]+,"stage":"([^"]*)","epoch":(\d+),')
_TURNING_POINTS = re.compile(rb'\n\{"kind":"(?:stage-started|stage-finished|run-resumed|run-failed|run-stopped)"[^\n]*')


@dataclass(frozen=True)
class Heartbeat:
    """Who writes a run, and when it was last known to live (seconds since the epoch)."""

    pid: int
    host: str
    beat: float


@dataclass(frozen=True)
class EventLog:
    """A record as far as it can be read: its events in order, and how many lines were damaged."""

    events: list[Event]
    damaged: int


@dataclass(frozen=True)
class RunHead:
    """What a list of runs shows of one; None where the record does not say (yet).

    `acc_*` and `asr_*` are percentages, of the backdoored model and of the NAD student; `started` is in seconds since
    the epoch; `stage` is the one under way or the last; `status` one of STATUSES. Heads are kept between listings, so
    `summary` is for reading only.
    """

    id: str
    path: Path
    status: str
    preset: str | None = None
    dataset: str | None = None
    seed: int | None = None
    started: float | None = None
    stage: str | None = None
    acc_before: float | None = None
    asr_before: float | None = None
    acc_after: float | None = None
    asr_after: float | None = None
    summary: dict[str, Any] | None = None


class RunFolder:
    """One run's folder. Made by `create` or `open_for_resume` it is the only writer, until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock: FileLock | None = None
        self._record: int | None = None
        self._beat: _Beat | None = None
        self._seq = 0
        self._size = 0
        self._torn = False
        self._guard = threading.Lock()

    @property
    def id(self) -> str:
        """The run's name: that of its folder."""
        return self.path.name

    @classmethod
    def create(
        cls, root: Path, *, preset: str, dataset: str, seed: int, config_yaml: str, now: datetime | None = None
    ) -> RunFolder:
        """Make a new run folder under `root` and become its writer; no folder is ever overwritten.

        The folder is filled under a hidden name and then renamed, so that whoever sees it sees it whole. `dataset` may
        be a path.

        Raises:
            RequestError: the folder cannot be made (`--out` is a file or not writable, the disk is full); nothing
                of it stays.
        """
        root = Path(root)
        stem = run_id(preset, dataset, seed, now or datetime.now())
        made = [folder for folder in (root, *root.parents) if not os.path.lexists(folder)]
        run = cls(root / f".new-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            _sweep(root)
            run._fill(config_yaml)
            run.path = _publish(run.path, root, stem)
        except BaseException as error:
            run.close()
            shutil.rmtree(run.path, ignore_errors=True)
            _remove_empty(made)
            if isinstance(error, OSError | RequestError):
                raise RequestError(f"--out {root}: cannot make a run folder there: {_reason(error)}") from error
            raise
        run._start_beating()
        return run

    @classmethod
    def open_for_resume(cls, path: Path) -> RunFolder:
        """Become the writer of a run that was stopped, failed or killed; a torn last line is cut off.

        Raises:
            RequestError: not a run folder, finished, running, of a newer schema, or not writable.
        """
        path = Path(path)
        _refuse_unless_resumable(path)
        run = cls(path)
        try:
            run._acquire()
            _refuse_unless_resumable(path)  # its writer may have finished it just before it let go
            run._open_record()
            write_atomically(path / HEARTBEAT, _own_heartbeat())
        except Timeout:
            raise RequestError(f"{path} is running{_by(path)}: stop it before resuming it") from None
        except BaseException as error:
            run.close()
            if isinstance(error, OSError):
                raise RequestError(f"{path}: cannot resume the run: {_reason(error)}") from error
            raise
        run._start_beating()
        return run

    def append(self, event: Event) -> Event:
        """Record an event: number it, time it, write its line, and return it as recorded.

        The line reaches the disk before this returns, save for the frequent kinds (step, attention, sample,
        preparing), which a killed process keeps but a power cut may lose.

        Raises:
            StageError: the line cannot be written (disk full, folder deleted); the record stays as it was.
        """
        with self._guard:
            if self._record is None:
                raise ValueError(f"{self.path} is not open for writing")
            recorded = dataclasses.replace(event, seq=self._seq + 1, time=time.time())
            line = recorded.to_json().encode() + b"\n"
            try:
                self._write(line, sync=event.kind not in _UNSYNCED)
            except OSError as error:
                raise StageError(f"cannot write the record: {self.path / RECORD}: {_reason(error)}") from error
            self._seq = recorded.seq
            return recorded

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write `summary.json`, whole or not at all; numbers that are not finite become null.

        Raises:
            StageError: it cannot be written.
        """
        content = json.dumps(plain(summary), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            write_atomically(self.path / SUMMARY, content.encode())
        except RequestError as error:
            raise StageError(str(error)) from error

    def checkpoint(self, stage: str) -> Path:
        """Where a stage's weights are, or will be; RequestError for a name that is no stage's."""
        return self.path / CHECKPOINTS / f"{_checked_stage(stage)}.safetensors"

    def state(self, stage: str) -> Path:
        """Where a stage's training state is, for resuming it; RequestError for a name that is no stage's."""
        return self.path / CHECKPOINTS / f"{_checked_stage(stage)}.state.safetensors"

    def close(self) -> None:
        """Stop being the writer: others may open the run from now on. Calling it again does nothing."""
        if self._beat is not None:
            self._beat.stop()
            self._beat = None
        with self._guard:
            if self._record is not None:
                os.close(self._record)
                self._record = None
        if self._lock is not None and self._lock.is_locked:
            with suppress(OSError):
                (self.path / HEARTBEAT).unlink()
            self._lock.release()
        self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, config_yaml: str) -> None:
        (self.path / CHECKPOINTS).mkdir(parents=True)
        self._acquire()
        write_atomically(self.path / CONFIG, config_yaml.encode())
        write_atomically(self.path / HEARTBEAT, _own_heartbeat())
        self._open_record()

    def _acquire(self) -> None:
        self._lock = FileLock(self.path / LOCK, thread_local=False)
        self._lock.acquire(timeout=LOCK_WAIT_S, poll_interval=0.01)

    def _start_beating(self) -> None:
        self._beat = _Beat(self.path / HEARTBEAT)
        self._beat.start()

    def _open_record(self) -> None:
        self._record = os.open(self.path / RECORD, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        content = (self.path / RECORD).read_bytes()
        self._size = content.rfind(b"\n") + 1
        if self._size < len(content):
            os.ftruncate(self._record, self._size)
        self._seq = _last_seq(content[: self._size])

    def _write(self, line: bytes, sync: bool) -> None:
        """Write one line whole, or leave the file as it was."""
        assert self._record is not None
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._record, line)
            while written < len(line):  # the disk filled up within the line: the next write says so
                written += os.write(self._record, line[written:])
            if sync:
                os.fsync(self._record)
                if os.fstat(self._record).st_nlink == 0:
                    raise OSError(errno.ENOENT, "the run folder was deleted")
        except OSError:
            self._cut_back()
            raise
        self._size += len(line)
        self._torn = False

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._record, self._size)
        except OSError:
            self._torn = True  # the next line starts on a line of its own; readers skip the torn one


class _Beat(threading.Thread):
    """Refreshes the heartbeat's modification time: no bytes are written, so a full disk cannot stop it."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="nadtui-heartbeat", daemon=True)
        self._path = path
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(BEAT_S):
            try:
                now = time.time()  # this host's clock, also where a file server has its own
                os.utime(self._path, (now, now))
            except OSError:
                continue  # the lock is what counts; the heartbeat only tells people who holds it

    def stop(self) -> None:
        self._stopped.set()
        self.join()


# --- making a folder ---


def run_id(preset: str, dataset: str, seed: int, now: datetime) -> str:
    """`YYYYMMDD-HHMMSS-<preset>-<dataset>-s<seed>`; of a path the file's or folder's name, in plain characters."""
    return f"{now:%Y%m%d-%H%M%S}-{_slug(preset)}-{_slug(Path(dataset).stem)}-s{int(seed)}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())[:40].strip("-_") or "data"


def _publish(hidden: Path, root: Path, stem: str) -> Path:
    """Give the filled folder its name, the first free one of `stem`, `stem-2`, ...; several processes may try."""
    for attempt in itertools.count(1):
        path = root / (stem if attempt == 1 else f"{stem}-{attempt}")
        if os.path.lexists(path):
            continue
        try:
            return hidden.rename(path)
        except OSError:
            if not os.path.lexists(path):
                raise
    raise AssertionError("unreachable")


def _sweep(root: Path) -> None:
    """Remove what creations that were killed half-way left behind."""
    for hidden in root.glob(".new-*"):
        try:
            old = time.time() - hidden.stat().st_mtime > LEFTOVER_S
        except OSError:
            continue
        if old and not is_running(hidden):
            shutil.rmtree(hidden, ignore_errors=True)


def _remove_empty(folders: list[Path]) -> None:
    """Take back the folders made on the way to `--out`, innermost first."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _checked_stage(stage: str) -> str:
    if not _STAGE.fullmatch(stage):
        raise RequestError(f"{stage!r} is no stage's name: lower-case letters, digits, - and _ are allowed")
    return stage


def _refuse_unless_resumable(path: Path) -> None:
    if not path.is_dir():
        raise RequestError(f"{path}: no such run folder")
    if not (path / CONFIG).is_file():
        raise RequestError(f"{path} is not a run folder: it has no {CONFIG}")
    state = _at_rest(path).status
    if state == "finished":
        raise RequestError(f"{path} is finished already: there is nothing to resume")
    if state == "newer":
        raise RequestError(f"{path} was written by a newer nadtui: update nadtui to resume it")
    if state == "damaged":
        raise RequestError(f"{path} is damaged: its {CONFIG} or {SUMMARY} cannot be read")


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, RequestError) and error.__cause__ else error
    if isinstance(cause, FileExistsError | NotADirectoryError):
        return "it, or a folder above it, is a file"
    if isinstance(cause, Timeout):
        return "its lock is held by another process"
    return (isinstance(cause, OSError) and cause.strerror) or str(cause)


# --- who writes ---


def _own_heartbeat() -> bytes:
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
    the lock cannot decide (a network disk whose locks do not reach other hosts, a system without flock), a fresh
    heartbeat does.
    """
    path = Path(path)
    heartbeat = read_heartbeat(path)
    fresh = heartbeat is not None and abs(time.time() - heartbeat.beat) < STALE_S
    if fcntl is None:
        return fresh
    try:
        with (path / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return fresh
    return fresh and heartbeat.host != socket.gethostname()


def _by(path: Path) -> str:
    heartbeat = read_heartbeat(path)
    return f" (process {heartbeat.pid} on {heartbeat.host})" if heartbeat else ""


# --- reading a record ---


def read_events(path: Path) -> EventLog:
    """Read a run's whole record; a torn last line is dropped, damaged lines are counted, unknown kinds skipped.

    A record that is missing or unreadable is empty.
    """
    try:
        content = (Path(path) / RECORD).read_bytes()
    except OSError:
        return EventLog([], 0)
    return _decode(content[: content.rfind(b"\n") + 1].split(b"\n"))


class Tail:
    """Follows a run's record while it is written.

    `damaged` counts the lines that could not be read; `missing` says that the record is not there (any more).
    """

    def __init__(self, path: Path, maps_of: int | None = None) -> None:
        """`maps_of`: of a stage with attention maps of more epochs than this, those of some epochs are left out unread.

        They are most of a long record's bytes, and a view keeps few of them; the newest epoch's are never left out.
        """
        self.path = Path(path)
        self._maps_of = maps_of
        self.damaged = 0
        self.missing = False
        self._offset = 0
        self._file: tuple[int, int] | None = None

    def poll(self) -> list[Event]:
        """The events recorded since the last call; a line under way waits for the next.

        A record that was replaced or cut shorter than what was read comes again from its start, that is from a
        RunStarted. (Resuming a run does not do that: it cuts a torn last line only, which was never given out.)
        """
        try:
            with (self.path / RECORD).open("rb") as file:
                stat = os.fstat(file.fileno())
                if (stat.st_dev, stat.st_ino) != self._file or stat.st_size < self._offset:
                    self._file, self._offset, self.damaged = (stat.st_dev, stat.st_ino), 0, 0
                file.seek(self._offset)
                content = file.read()
        except OSError:
            self.missing = True
            return []
        self.missing = False
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.split(b"\n")
        log = _decode(lines if self._maps_of is None else _with_maps_of(lines, self._maps_of))
        self.damaged += log.damaged
        return log.events


def _with_maps_of(lines: list[bytes], most: int) -> list[bytes]:
    """The lines without the attention maps of as many epochs, evenly spread, as a stage has more than `most` of."""
    heads = [_MAP.match(line) for line in lines]
    epochs: dict[bytes, dict[bytes, None]] = {}
    for head in heads:
        if head is not None:
            epochs.setdefault(head[1], {})[head[2]] = None
    kept = set()
    for stage, all_of_it in epochs.items():
        newest_first = list(all_of_it)[::-1]
        kept |= {(stage, epoch) for epoch in newest_first[:: max(1, -(-len(newest_first) // most))]}
    return [line for line, head in zip(lines, heads, strict=True) if head is None or head.groups() in kept]


def _decode(lines: list[bytes]) -> EventLog:
    events: list[Event] = []
    damaged = 0
    for line in lines:
        if line:
            try:
                event = from_json(line.decode())
            except ValueError:
                damaged += 1
            else:
                if event is not None:
                    events.append(event)
    return EventLog(events, damaged)


def _last_seq(whole_lines: bytes) -> int:
    """The number of the last event, of whatever kind; 0 for an empty record."""
    for line in reversed(whole_lines.split(b"\n")):
        try:
            return int(json.loads(line)["seq"])
        except (ValueError, TypeError, KeyError):
            continue
    return 0


def read_summary(path: Path) -> dict[str, Any] | None:
    """A run's `summary.json`, None where there is none yet.

    Raises:
        RequestError: it is damaged.
    """
    file = Path(path) / SUMMARY
    try:
        summary = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{file} cannot be read: {error}") from error
    if not isinstance(summary, dict):
        raise RequestError(f"{file} cannot be read: a JSON object is wanted")
    return summary


def read_config_yaml(path: Path) -> str:
    """The text of a run's `config.yaml`.

    Raises:
        RequestError: it is missing or no text.
    """
    file = Path(path) / CONFIG
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} cannot be read: it is not UTF-8 text") from error


# --- lists of runs ---


def status(path: Path) -> str:
    """One of STATUSES."""
    return head(path).status


def head(path: Path) -> RunHead:
    """What a list shows of the run in this folder; damage shows in its status and is never raised."""
    path = Path(path)
    found = _at_rest(path)
    if found.status in ("failed", "stopped", "crashed", "queued"):
        if is_running(path):
            return found if found.status == "queued" else dataclasses.replace(found, status="running")
        if found.status == "queued":
            return dataclasses.replace(found, status="crashed")
    return found


def list_runs(root: Path) -> list[RunHead]:
    """The runs under `root`, newest first, damaged ones included; none where there is no such folder."""
    try:
        folders = [Path(entry) for entry in os.scandir(root) if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
    heads = [head(folder) for folder in folders if _looks_like_run(folder)]
    return sorted(heads, key=_age_order, reverse=True)


def find_run(root: Path, ref: str) -> Path:
    """The run folder that `ref` means: a path, an id under `root`, the unique beginning of one, or `latest`.

    Raises:
        RequestError: there is none, or several begin like that; the nearest ids are named.
    """
    direct = Path(ref)
    if (direct.is_absolute() or os.sep in ref) and direct.is_dir():
        if _looks_like_run(direct):
            return direct
        raise RequestError(f"{direct} is not a run folder: it has no {CONFIG}")
    heads = list_runs(root)
    ids = [each.id for each in heads]
    if not heads:
        raise RequestError(f"no run {ref!r}: there are no runs in {root}")
    if ref == "latest":
        return heads[0].path
    matches = [ref] if ref in ids else [name for name in ids if ref and name.startswith(ref)]
    if len(matches) == 1:
        return Path(root) / matches[0]
    if matches:
        raise RequestError(f"{len(matches)} runs in {root} begin with {ref!r}: {', '.join(matches[:3])}")
    near = difflib.get_close_matches(ref, ids, n=2, cutoff=0.3) or ids[:2]
    raise RequestError(f"no run {ref!r} in {root}: the nearest are {', '.join(near)}")


def _looks_like_run(folder: Path) -> bool:
    if any((folder / name).is_file() for name in (CONFIG, RECORD, SUMMARY)):
        return True
    return folder.is_dir() and _ID.fullmatch(folder.name) is not None


def _age_order(each: RunHead) -> tuple[float, int, str]:
    started = each.started
    if started is None:
        try:
            started = each.path.stat().st_mtime
        except OSError:
            started = 0.0
    return started, len(each.id), each.id


def _at_rest(path: Path) -> RunHead:
    """The run's head as its files alone tell it, whether somebody writes it or not."""
    if not path.is_dir():
        return RunHead(path.name, path, "deleted")
    return _read_head(path, *(_fingerprint(path / name) for name in (CONFIG, SUMMARY, RECORD)))


def _fingerprint(file: Path) -> tuple[int, int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@lru_cache(maxsize=2048)
def _read_head(path: Path, config: object, summary: object, record: object) -> RunHead:
    """Read a head; the fingerprints make it read anew only what has changed since the last listing."""
    unreadable = RunHead(path.name, path, "damaged")
    try:
        if summary is not None:
            return _from_summary(unreadable, read_summary(path) or {}, config is not None)
        return _from_record(unreadable, record is not None)
    except (RequestError, ValueError, TypeError, KeyError, AttributeError, OSError, yaml.YAMLError, RecursionError):
        return unreadable


def _from_summary(blank: RunHead, summary: dict[str, Any], has_config: bool) -> RunHead:
    if int(summary["schema"]) > SCHEMA:
        return dataclasses.replace(blank, status="newer", summary=summary)
    stages = {str(stage["stage"]): stage for stage in summary["stages"]}
    found = dataclasses.replace(
        blank,
        status=str(summary["status"]) if has_config else "damaged",
        preset=str(summary["preset"]),
        dataset=str(summary["dataset"]["name"]),
        seed=int(summary["seed"]),
        started=datetime.fromisoformat(summary["started"]).timestamp(),
        stage=list(stages)[-1] if stages else None,
        summary=summary,
    )
    if found.status not in STATUSES:
        raise ValueError(f"unknown status {found.status!r}")
    return _with_figures(found, stages)


def _from_record(blank: RunHead, has_record: bool) -> RunHead:
    settings = yaml.load(read_config_yaml(blank.path), Loader=_YAML)
    found = dataclasses.replace(
        blank,
        status="crashed",
        preset=str(settings["preset"]),
        dataset=str(settings["data"]["name"]),
        seed=int(settings["seed"]),
    )
    content = (blank.path / RECORD).read_bytes() if has_record else b""
    content = content[: content.rfind(b"\n") + 1]
    first = next(iter(_decode([content[: content.find(b"\n")]]).events), None)
    if isinstance(first, RunStarted):
        if first.schema > SCHEMA:
            return dataclasses.replace(found, status="newer", started=first.time)
        found = dataclasses.replace(found, started=first.time, dataset=str(first.dataset.get("name", found.dataset)))
    last = _decode([content[content.rfind(b"\n", 0, -1) + 1 : -1]]).events
    found = _with_turning_points(found, content)
    return dataclasses.replace(found, status="queued") if last and isinstance(last[0], Queued) else found


def _with_turning_points(found: RunHead, content: bytes) -> RunHead:
    """Fill in stage, figures and ending from the few lines that tell them; the many others are not decoded."""
    stages: dict[str, Any] = {}
    state, stage = found.status, found.stage
    for event in _turning_points(content):
        match event:
            case StageStarted():
                state, stage = "crashed", event.stage
            case StageFinished():
                state, stage = "crashed", event.stage
                stages[event.stage] = {"acc": event.metrics.acc, "asr": event.metrics.asr}
            case RunResumed():
                state = "crashed"
            case RunFailed():
                state = "failed"
            case RunStopped():
                state = "stopped"
    return _with_figures(dataclasses.replace(found, status=state, stage=stage), stages)


def _turning_points(content: bytes) -> Iterator[Event]:
    for match in _TURNING_POINTS.finditer(content):
        yield from _decode([match.group().strip()]).events


def _with_figures(found: RunHead, stages: dict[str, Any]) -> RunHead:
    def figure(stage: str, name: str) -> float | None:
        value = stages.get(stage, {}).get(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    return dataclasses.replace(
        found,
        acc_before=figure(BEFORE, "acc"),
        asr_before=figure(BEFORE, "asr"),
        acc_after=figure(AFTER, "acc"),
        asr_after=figure(AFTER, "asr"),
    )


_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same safe loader, in C where the library has it: ten times as fast."""
