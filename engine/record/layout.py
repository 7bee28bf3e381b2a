"""Run folders: the names of what lies in one, and of the folders themselves.

    <root>/<id>/config.yaml          the complete configuration; whole as soon as the folder is visible
                events.jsonl         one event a line, append-only
                checkpoints/         <stage>.safetensors, <stage>.state.safetensors
                attack/              what the attack made on the way (perturbed images, a surrogate); made again if gone
                answers/             <stage>.safetensors: what each model answers to each test image
                summary.json         written last; its presence means finished
                run.lock             locked by the writing process; the kernel frees it however that process ends
                heartbeat.json       the writer's pid and host; its modification time is refreshed every 2 s
                wish                 what another process asks of the writer, until it is taken (engine.running.mailbox)

One process writes a run, any number of others read it.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from engine.errors import RequestError

CONFIG = "config.yaml"
RECORD = "events.jsonl"
SUMMARY = "summary.json"
LOCK = "run.lock"
HEARTBEAT = "heartbeat.json"
CHECKPOINTS = "checkpoints"
ANSWERS = "answers"
PRODUCTS = "attack"
LEARNED = f"{PRODUCTS}/learned.safetensors"
"""What made the trigger that learned together with the model."""

_ID = re.compile(r"\d{8}-\d{6}-[a-z0-9][a-z0-9_.-]*")
_STAGE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def run_id(preset: str, dataset: str, seed: int, now: datetime) -> str:
    """`YYYYMMDD-HHMMSS-<preset>-<dataset>-s<seed>`; of a path the file's or folder's name, in plain characters."""
    return f"{now:%Y%m%d-%H%M%S}-{slug(preset)}-{slug(Path(dataset).stem)}-s{int(seed)}"


def slug(text: str) -> str:
    """Plain characters for a part of a folder's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())[:40].strip("-_") or "data"


def looks_like_run(folder: Path) -> bool:
    """Whether a folder is a run's, if only what is left of one."""
    try:
        if any((folder / name).is_file() for name in (CONFIG, RECORD, SUMMARY)):
            return True
    except OSError:  # it may not be looked into: its name is all that is known
        pass
    return folder.is_dir() and _ID.fullmatch(folder.name) is not None


def checkpoint_file(folder: Path, stage: str) -> Path:
    """Where a stage's weights are, or will be; RequestError for a name that is no stage's."""
    return folder / CHECKPOINTS / f"{checked_stage(stage)}.safetensors"


def answers_file(folder: Path, stage: str) -> Path:
    """Where a finished stage's answers are, or will be; RequestError for a name that is no stage's."""
    return folder / ANSWERS / f"{checked_stage(stage)}.safetensors"


def state_file(folder: Path, stage: str) -> Path:
    """Where a stage's training state is, for resuming it; RequestError for a name that is no stage's."""
    return folder / CHECKPOINTS / f"{checked_stage(stage)}.state.safetensors"


def checked_stage(stage: str) -> str:
    """A stage's name, fit for a file's; RequestError for one that is not."""
    if not _STAGE.fullmatch(stage):
        raise RequestError(f"{stage!r} is no stage's name: lower-case letters, digits, - and _ are allowed")
    return stage
