"""A run's folder as its only writer has it: made whole, written a line at a time, resumed where it ended."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import RecordError, RequestError, StageError
from engine.events import SCHEMA, Event
from engine.plain import plain, utf8
from engine.record.codec import encode
from engine.record.layout import (
    CHECKPOINTS,
    CONFIG,
    HEARTBEAT,
    LOCK,
    RECORD,
    SUMMARY,
    checkpoint_file,
    run_id,
    state_file,
)
from engine.record.listing import at_rest
from engine.record.liveness import Beat, is_running, is_running_elsewhere, own_heartbeat, writer_named
from engine.record.reading import last_seq
from engine.record.state import RunState
from engine.storage.paths import write_atomically

LOCK_WAIT_S = 1.0
"""How long a writer waits for its lock: readers hold it for microseconds when they look whether a run is alive."""
LEFTOVER_S = 3600.0
"""Seconds after which a folder under its hidden name is what a killed creation left behind."""

_UNSYNCED = {"step", "attention", "sample", "preparing"}
"""Kinds that come often; losing the last few to a power cut loses no decision."""


class RunFolder:
    """One run's folder. Made by `create` or `open_for_resume` it is the only writer, until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock: FileLock | None = None
        self._record: int | None = None
        self._beat: Beat | None = None
        self._seq = 0
        self._size = 0
        self._torn = False
        self._guard = threading.Lock()
        self._new = False
        self._made: list[Path] = []
        """Folders that were made on the way to a new one."""

    @property
    def id(self) -> str:
        """The run's name: that of its folder."""
        return self.path.name

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        preset: str,
        dataset: str,
        seed: int,
        config_yaml: str,
        name: str | None = None,
        now: datetime | None = None,
    ) -> RunFolder:
        """Make a new run folder under `root` and become its writer; no folder is ever overwritten.

        The folder is filled under a hidden name and then renamed, so that whoever sees it sees it whole. `dataset` may
        be a path. `name` is the folder's; None = one by the time, with a number where that is taken.

        Raises:
            RequestError: the folder cannot be made (`--out` is a file or not writable, the disk is full), or `name`
                is taken; nothing of it stays.
        """
        root = Path(root)
        names = _free_names(run_id(preset, dataset, seed, now or datetime.now())) if name is None else iter([name])
        run = cls(root / f".new-{os.getpid()}-{secrets.token_hex(4)}")
        run._new = True
        run._made = [folder for folder in (root, *root.parents) if not os.path.lexists(folder)]
        try:
            root.mkdir(parents=True, exist_ok=True)
            _sweep(root)
            run._fill(config_yaml)
            run.path = _publish(run.path, root, names)
        except BaseException as error:
            run.discard()
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
        check_resumable(path)
        if is_running_elsewhere(path):  # before the lock is taken: on a network disk it may be had all the same
            raise RequestError(_running(path))
        run = cls(path)
        try:
            run._acquire()
            check_resumable(path)  # its writer may have finished it just before it let go
            run._open_record()
            write_atomically(path / HEARTBEAT, own_heartbeat())
        except Timeout:
            raise RequestError(_running(path)) from None
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
            RecordError: the line cannot be written (disk full, folder deleted or moved); the record stays as it was.
        """
        with self._guard:
            if self._record is None:
                raise ValueError(f"{self.path} is not open for writing")
            self._check_there()
            recorded = dataclasses.replace(event, seq=self._seq + 1, time=time.time())
            line = encode(recorded).encode() + b"\n"
            try:
                self._write(line, sync=event.kind not in _UNSYNCED)
            except OSError as error:
                raise RecordError(f"cannot write the record: {self.path / RECORD}: {_reason(error)}") from error
            self._seq = recorded.seq
            return recorded

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write `summary.json`, whole or not at all; numbers that are not finite become null.

        Raises:
            StageError: it cannot be written.
        """
        content = json.dumps(plain(summary), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            write_atomically(self.path / SUMMARY, utf8(content), within=self.path)
        except RequestError as error:
            raise StageError(str(error)) from error

    def checkpoint(self, stage: str) -> Path:
        """Where a stage's weights are, or will be; RequestError for a name that is no stage's."""
        return checkpoint_file(self.path, stage)

    def state(self, stage: str) -> Path:
        """Where a stage's training state is, for resuming it; RequestError for a name that is no stage's."""
        return state_file(self.path, stage)

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

    def discard(self) -> None:
        """Close it; a new one in which nothing was recorded goes, and with it the folders made for it."""
        self.close()
        if self._new and self._seq == 0:
            shutil.rmtree(self.path, ignore_errors=True)
            _remove_empty(self._made)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, config_yaml: str) -> None:
        (self.path / CHECKPOINTS).mkdir(parents=True)
        self._acquire()
        write_atomically(self.path / CONFIG, config_yaml.encode())
        write_atomically(self.path / HEARTBEAT, own_heartbeat())
        self._open_record()

    def _acquire(self) -> None:
        self._lock = FileLock(self.path / LOCK, thread_local=False)
        self._lock.acquire(timeout=LOCK_WAIT_S, poll_interval=0.01)

    def _start_beating(self) -> None:
        self._beat = Beat(self.path / HEARTBEAT)
        self._beat.start()

    def _open_record(self) -> None:
        self._record = os.open(self.path / RECORD, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        content = (self.path / RECORD).read_bytes()
        self._size = content.rfind(b"\n") + 1
        if self._size < len(content):
            os.ftruncate(self._record, self._size)
        self._seq = last_seq(content[: self._size])

    def _check_there(self) -> None:
        """Whatever is written to a file that was deleted meets with success, and is lost.

        Raises:
            RecordError: the record is not where it was.
        """
        assert self._record is not None
        record = self.path / RECORD
        try:
            record.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            return  # it cannot be looked at: to write it is another matter
        else:
            if os.fstat(self._record).st_nlink:
                return
        if self.path.is_dir():
            raise RecordError(f"the record of the run was deleted or moved: {record}")
        raise RecordError(f"the run folder was deleted or moved: {self.path}")

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


def _free_names(stem: str) -> Iterator[str]:
    """`stem`, `stem-2`, ..."""
    yield stem
    yield from (f"{stem}-{attempt}" for attempt in itertools.count(2))


def _publish(hidden: Path, root: Path, names: Iterator[str]) -> Path:
    """Give the filled folder its name, the first of these that is free; several processes may try.

    Raises:
        RequestError: all of them are taken.
    """
    for name in names:
        path = root / name
        if os.path.lexists(path):
            continue
        try:
            return hidden.rename(path)
        except OSError:
            if not os.path.lexists(path):
                raise
    raise RequestError(f"{path.name} is there already")


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


def _running(path: Path) -> str:
    return f"{path} is running{writer_named(path)}: stop it before resuming it"


def check_resumable(path: Path) -> None:
    """Refuse what cannot be gone on with.

    Raises:
        RequestError: not a run folder, finished, damaged, or of another schema.
    """
    if not path.is_dir():
        raise RequestError(f"{path}: no such run folder")
    if not (path / CONFIG).is_file():
        raise RequestError(f"{path} is not a run folder: it has no {CONFIG}")
    found = at_rest(path)
    if found.status is RunState.FINISHED:
        raise RequestError(f"{path} is finished already: there is nothing to resume")
    if found.status is RunState.NEWER:
        raise RequestError(f"{path} was written by a newer nadtui: update nadtui to resume it")
    if found.status is RunState.DAMAGED:
        raise RequestError(f"{path} is damaged: its {CONFIG} or {SUMMARY} cannot be read")
    if found.schema < SCHEMA:
        raise RequestError(
            f"{path} was written by an older nadtui (schema {found.schema}): it opens, compares and exports, but "
            "cannot be resumed; `nadtui run --preset ...` starts it anew"
        )


def _reason(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, RequestError) and error.__cause__ else error
    if isinstance(cause, FileExistsError | NotADirectoryError):
        return "it, or a folder above it, is a file"
    if isinstance(cause, Timeout):
        return "its lock is held by another process"
    return (isinstance(cause, OSError) and cause.strerror) or str(cause)
