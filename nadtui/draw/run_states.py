"""How a run's state, and that of a stage, looks: its signs, its color, and what it means in a line."""

from __future__ import annotations

from dataclasses import dataclass

from engine.record.state import RunState
from engine.record.verdict import Word


@dataclass(frozen=True)
class Look:
    """One state's look; the signs tell it without color."""

    mark: str
    """One cell, in lists."""
    title: str
    """A sign and a word, at the head of a screen."""
    tone: str
    """What it has in common with others: finished, running, waiting, stopped, failed."""
    color: int
    """Its place among the series' colors."""
    meaning: str = ""
    """In a line; empty where the word says all."""


LOOKS = {
    RunState.RUNNING: Look("▶", "▶ running", "running", 0),
    RunState.PAUSED: Look("‖", "⏸ paused", "stopped", 3),
    RunState.PAUSING: Look("‖", "⏸ pausing", "stopped", 6),
    RunState.STOPPING: Look("■", "■ stopping", "stopped", 6),
    RunState.QUEUED: Look("…", "⧗ queued", "waiting", 3, "it waits for the machine"),
    RunState.PREPARING: Look("…", "… preparing", "waiting", 0, "its data are being read; its record begins after that"),
    RunState.NEW: Look("…", "… starting", "waiting", 5),
    RunState.LOADING: Look("…", "… loading", "waiting", 6),
    RunState.FINISHED: Look("✓", "✓ finished", "finished", 2),
    RunState.FAILED: Look("✗", "✗ FAILED", "failed", 6, "it ended by an error; it can be resumed"),
    RunState.STOPPED: Look("■", "■ stopped", "stopped", 5, "it was stopped on request; it can be resumed"),
    RunState.CRASHED: Look("✗", "✗ CRASHED", "failed", 6, "its process ended without a last word; it can be resumed"),
    RunState.DAMAGED: Look("?", "✗ DAMAGED", "failed", 6, "its files cannot be read whole"),
    RunState.NEWER: Look("?", "? newer schema", "waiting", 6, "written by a newer nadtui: update nadtui to read it"),
    RunState.DELETED: Look("-", "✗ DELETED", "waiting", 6, "its folder is gone"),
}
"""By state."""

STAGE_MARKS = {"pending": "·", "running": "▸", "finished": "✓"}
"""The same for a stage's state, in one cell."""

VERDICTS = {
    Word.ERASED: "finished",
    Word.PARTLY: "stopped",
    Word.NOT_ERASED: "failed",
    Word.NEVER_PLANTED: "waiting",
    Word.NO_TRIGGER: "waiting",
}
"""The tone of a verdict."""
VERDICT_COLORS = {Word.ERASED: 2, Word.PARTLY: 3, Word.NOT_ERASED: 6, Word.NEVER_PLANTED: 5, Word.NO_TRIGGER: 5}
"""Its place among the series' colors."""
