"""The words for a run's state, and what each of them means for those who meet it."""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """What a run does or how it ended. A record's events tell some of it, its folder more, its host the rest."""

    RUNNING = "running"
    PAUSED = "paused"
    PAUSING = "pausing"
    """Asked to hold still at its next step."""
    STOPPING = "stopping"
    """Asked to end at its next step."""
    QUEUED = "queued"
    """It waits for the machine."""
    PREPARING = "preparing"
    """Its data are being read; its record begins after that."""
    NEW = "new"
    """Nothing has happened since it was started."""
    LOADING = "loading"
    """Its record is being read."""
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    CRASHED = "crashed"
    """It ended without a last word."""
    DAMAGED = "damaged"
    """Its files cannot be read whole."""
    NEWER = "newer"
    """Written by a nadtui that knows more than this one."""
    DELETED = "deleted"

    @property
    def alive(self) -> bool:
        """Whether a process is at work on it, or waits to be."""
        return self in _ALIVE

    @property
    def busy(self) -> bool:
        """Whether it gets on right now, and neither waits nor holds still."""
        return self in (RunState.RUNNING, RunState.PREPARING)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes, unless it is resumed."""
        return self in _ENDED

    @property
    def resumable(self) -> bool:
        """Whether it can be gone on with."""
        return self in _RESUMABLE

    @property
    def readable(self) -> bool:
        """Whether there is a record that this version can open."""
        return self not in _UNREADABLE


_ALIVE = {
    RunState.RUNNING,
    RunState.PAUSED,
    RunState.PAUSING,
    RunState.STOPPING,
    RunState.QUEUED,
    RunState.PREPARING,
}
_RESUMABLE = {RunState.FAILED, RunState.STOPPED, RunState.CRASHED}
_ENDED = {RunState.FINISHED, *_RESUMABLE, RunState.DAMAGED, RunState.NEWER, RunState.DELETED}
_UNREADABLE = {RunState.DAMAGED, RunState.NEWER, RunState.DELETED, RunState.PREPARING}
