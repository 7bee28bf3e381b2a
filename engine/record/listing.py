"""Lists of runs: what one line can say of each, read anew only where something has changed."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.events import (
    SCHEMA,
    Evaluation,
    Event,
    PlannedStage,
    Queued,
    RunFailed,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopped,
    StageFinished,
    StageStarted,
)
from engine.places import expanded
from engine.plain import plain
from engine.record.foremost import foremost
from engine.record.layout import CONFIG, RECORD, SUMMARY, looks_like_run
from engine.record.liveness import is_running
from engine.record.reading import decode_lines, read_settings, read_summary
from engine.record.state import RunState
from engine.record.verdict import judged

_TURNING_POINTS = re.compile(
    rb'\n\{"kind":"(evaluation|stage-started|stage-finished|run-resumed|run-failed|run-stopped)"[^\n]*'
)

_FAILURES = re.compile(rb'\n\{"kind":"run-failed"[^\n]*')


@dataclass(frozen=True)
class RunHead:
    """What a list of runs shows of one; None where the record does not say (yet).

    `acc_*` and `asr_*` are percentages, of the suspect and of the purified model that stands for the run; `started` is
    in seconds since the epoch; `stage` is the one under way or the last; `schema` is that of the record. Heads are kept
    between listings, so `summary` is for reading only.
    """

    id: str
    path: Path
    status: RunState
    preset: str | None = None
    dataset: str | None = None
    seed: int | None = None
    started: float | None = None
    stage: str | None = None
    acc_before: float | None = None
    asr_before: float | None = None
    acc_after: float | None = None
    asr_after: float | None = None
    more: int = 0
    """Purified models beside the one whose figures these are."""
    acc_newest: float | None = None
    """Of the model made last beside the suspect, be it a teacher only: what there is where no purified one is yet."""
    asr_newest: float | None = None
    verdict: str = ""
    """On that one; empty where there is none yet."""
    schema: int = SCHEMA
    summary: dict[str, Any] | None = None

    @property
    def resumable(self) -> bool:
        """Whether this version can go on with it."""
        return self.status.resumable and self.schema == SCHEMA


def head(path: Path) -> RunHead:
    """What a list shows of the run in this folder; damage shows in its status and is never raised."""
    path = Path(path)
    found = at_rest(path)
    if found.status in (RunState.QUEUED, RunState.PAUSED):
        return found if is_running(path) else dataclasses.replace(found, status=RunState.CRASHED)
    if found.status.resumable and is_running(path):
        return dataclasses.replace(found, status=RunState.RUNNING)
    return found


def status(path: Path) -> RunState:
    """The run's state, as a list shows it."""
    return head(path).status


def list_runs(root: Path) -> list[RunHead]:
    """The runs under `root`, newest first, damaged ones included; none where there is no such folder."""
    try:
        folders = [Path(entry) for entry in os.scandir(root) if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
    heads = [head(folder) for folder in folders if looks_like_run(folder)]
    return sorted(heads, key=_age_order, reverse=True)


def find_run(root: Path, ref: str) -> Path:
    """The run folder that `ref` means: a path, an id under `root`, the unique beginning of one, or `latest`.

    Raises:
        RequestError: there is none, or several begin like that; the nearest ids are named.
    """
    direct = expanded(ref)
    if (direct.is_absolute() or os.sep in ref) and direct.is_dir():
        if looks_like_run(direct):
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


def _age_order(each: RunHead) -> tuple[float, int, str]:
    started = each.started
    if started is None:
        try:
            started = each.path.stat().st_mtime
        except OSError:
            started = 0.0
    return started, len(each.id), each.id


def at_rest(path: Path) -> RunHead:
    """The run's head as its files alone tell it, whether somebody writes it or not."""
    if not path.is_dir():
        return RunHead(path.name, path, RunState.DELETED)
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
    unreadable = RunHead(path.name, path, RunState.DAMAGED)
    try:
        if summary is not None:
            return _from_summary(unreadable, read_summary(path) or {}, config is not None)
        return _from_record(unreadable, record is not None)
    except (RequestError, ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError):
        return unreadable


def _from_summary(blank: RunHead, summary: dict[str, Any], has_config: bool) -> RunHead:
    if int(summary["schema"]) > SCHEMA:
        return dataclasses.replace(blank, status=RunState.NEWER, summary=summary)
    stages = summary["stages"]
    failed = summary["status"] == RunState.FAILED
    found = dataclasses.replace(
        blank,
        status=RunState(summary["status"]) if has_config else RunState.DAMAGED,
        preset=str(summary["preset"]),
        dataset=str(summary["dataset"]["name"]),
        seed=int(summary["seed"]),
        started=datetime.fromisoformat(summary["started"]).timestamp(),
        stage=_failed_in(blank.path) if failed else str(stages[-1]["stage"]) if stages else None,
        summary=summary,
    )
    if not found.status.ended:
        raise ValueError(f"a summary of a run that is {found.status}")
    return _with_figures(found, [_planned(stage) for stage in stages], {str(stage["stage"]): stage for stage in stages})


def _planned(stage: Mapping[str, Any]) -> PlannedStage:
    """A summary's stage as the plan had it; older summaries do not say what it needed."""
    needs = tuple(map(str, stage.get("needs") or ()))
    return PlannedStage(
        name=str(stage["stage"]), role=stage.get("role"), defense=stage.get("defense") or "", needs=needs
    )


def _failed_in(path: Path) -> str | None:
    """The stage that failed, of which a summary, listing the stages with figures, need not have a word."""
    try:
        ends = _FAILURES.findall((path / RECORD).read_bytes())
    except OSError:
        return None
    failure = next(iter(decode_lines([line.strip() for line in ends[-1:]]).events), None)
    return failure.stage if isinstance(failure, RunFailed) else None


def _from_record(blank: RunHead, has_record: bool) -> RunHead:
    settings = read_settings(blank.path)
    found = dataclasses.replace(
        blank,
        status=RunState.CRASHED,
        preset=str(settings["preset"]),
        dataset=str(settings["data"]["name"]),
        seed=int(settings["seed"]),
    )
    content = (blank.path / RECORD).read_bytes() if has_record else b""
    content = content[: content.rfind(b"\n") + 1]
    line = content[: content.find(b"\n")]
    first = next(iter(decode_lines([line]).events), None)
    if _is_newer(line):
        return dataclasses.replace(found, status=RunState.NEWER, started=first.time if first else None)
    if isinstance(first, RunStarted):
        dataset = str(first.dataset.get("name", found.dataset))
        found = dataclasses.replace(found, started=first.time, dataset=dataset, schema=first.schema)
    plan = first.plan if isinstance(first, RunStarted) else ()
    last = decode_lines([content[content.rfind(b"\n", 0, -1) + 1 : -1]]).events
    found = _with_turning_points(found, plan, content)
    match last:
        case [Queued()]:
            return dataclasses.replace(found, status=RunState.QUEUED)
        case [RunPaused(paused=True)]:
            return dataclasses.replace(found, status=RunState.PAUSED)
    return found


def _is_newer(first_line: bytes) -> bool:
    """Whether a newer version wrote the record; asked of the bare line, as this one may not know its fields."""
    try:
        return int(json.loads(first_line)["schema"]) > SCHEMA
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def _with_turning_points(found: RunHead, plan: Sequence[PlannedStage], content: bytes) -> RunHead:
    """Fill in stage, figures and ending from the few lines that tell them; the many others are not decoded.

    Of a stage that is not finished the figures are the newest of its curve; a verdict is only on one that is.
    """
    figures: dict[str, dict[str, Any]] = {}
    finished: set[str] = set()
    state, stage = found.status, found.stage
    for event in _turning_points(content):
        match event:
            case StageStarted():
                state, stage = RunState.CRASHED, event.stage
            case StageFinished():
                state, stage = RunState.CRASHED, event.stage
                figures[event.stage] = plain(event.metrics)
                finished.add(event.stage)
            case Evaluation():
                figures[event.stage] = plain(event.metrics)
                finished.discard(event.stage)
            case RunResumed():
                state = RunState.CRASHED
            case RunFailed():
                state, stage = RunState.FAILED, event.stage
            case RunStopped():
                state = RunState.STOPPED
    found = _with_figures(dataclasses.replace(found, status=state, stage=stage), plan, figures)
    return found if foremost(plan) in finished else dataclasses.replace(found, verdict="")


def _turning_points(content: bytes) -> Iterator[Event]:
    """Of the evaluations between two others only the last."""
    evaluation = b""
    for match in _TURNING_POINTS.finditer(content):
        if match.group(1) == b"evaluation":
            evaluation = match.group()
        else:
            yield from decode_lines([evaluation.strip(), match.group().strip()]).events
            evaluation = b""
    yield from decode_lines([evaluation.strip()]).events


def _with_figures(found: RunHead, plan: Sequence[PlannedStage], figures: Mapping[str, Mapping[str, Any]]) -> RunHead:
    """The head with what is known of these stages, by their names."""

    def figure(of: Mapping[str, Any], name: str) -> float | None:
        value = of.get(name)
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

    before = next((figures.get(stage.name, {}) for stage in plan if stage.role == "suspect"), {})
    after = figures.get(foremost(plan) or "", {})
    made = [figures[stage.name] for stage in plan if stage.role in ("reference", "purified") and stage.name in figures]
    return dataclasses.replace(
        found,
        acc_before=figure(before, "acc"),
        asr_before=figure(before, "asr"),
        acc_after=figure(after, "acc"),
        asr_after=figure(after, "asr"),
        acc_newest=figure(made[-1] if made else after, "acc"),
        asr_newest=figure(made[-1] if made else after, "asr"),
        verdict=str(judged(before, after).word) if after.get("acc") is not None else "",
        more=max(0, sum(stage.role == "purified" for stage in plan) - 1),
    )
