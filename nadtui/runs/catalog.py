"""The list of runs as the workspace shows it: what the folder says, and how far those under way are. Free of torch.

A `Catalog` is asked again and again, from a thread, and reads anew only what has changed.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from engine.errors import RequestError
from engine.record.layout import CONFIG
from engine.record.listing import RunHead, list_runs
from engine.record.reading import Tail, read_settings
from engine.record.state import RunState
from engine.record.summary import summarize
from engine.record.verdict import of_summary
from engine.record.view import RunView
from engine.running import processor_queue
from nadtui import formatting
from nadtui.runs import notes
from nadtui.runs.apart import apart
from nadtui.runs.digest import flatten
from nadtui.runs.notes import NONE, Notes


@dataclass(frozen=True)
class RunRow:
    """One run in the list. Percentages are 0-100, None where there is no figure (yet)."""

    id: str
    path: Path
    state: RunState
    preset: str = ""
    dataset: str = ""
    seed: int | None = None
    started: float | None = None
    """Seconds since the epoch."""
    age: str = ""
    stage: str = ""
    """The one under way or the last."""
    progress: float | None = None
    """Share of that stage, 0-1, while the run lives."""
    queue: int | None = None
    """Its place in this machine's queue, from 1."""
    ticket: str = ""
    """What moves it there."""
    acc: tuple[float | None, float | None] = (None, None)
    """Of the suspect, and of the first purified model of the plan, else of the newest model there is."""
    asr: tuple[float | None, float | None] = (None, None)
    more: int = 0
    """Purified models beside that one."""
    verdict: str = ""
    """On that one; empty where there is none yet."""
    notes: Notes = NONE
    """What a person says of it."""
    apart: tuple[str, ...] = ()
    """Where another run would look like it: what sets its configuration off, as `lr 0.1`."""
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, compare=False, repr=False)
    """By stage: acc, asr, ra, base."""
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What else the summary says, flat: device, model, attack, ..."""

    @cached_property
    def words(self) -> str:
        """What a bare word of a filter is looked for in."""
        known = (self.id, self.state, self.preset, self.dataset, self.stage, self.facts.get("model.name", ""))
        return " ".join(str(word) for word in (*known, self.verdict, *self.apart, self.notes.words))

    def values(self, name: str) -> Sequence[Any]:
        """Every value that a filter knows by that name."""
        own = _FIELDS.get(name)
        if own is not None:
            value = own(self)
            return value if isinstance(value, tuple) else () if value is None else (value,)
        stage, _, figure = name.rpartition(".")
        if stage in self.figures and figure in self.figures[stage]:
            value = self.figures[stage][figure]
            return () if value is None else (value,)
        return _named(self.facts, name) or _named(_settings(self.path), name)

    @property
    def alive(self) -> bool:
        """Whether a process is at work on it, or waits to be."""
        return self.state.alive

    @property
    def readable(self) -> bool:
        """Whether there is a record that this version can open."""
        return self.state.readable


_FIELDS: dict[str, Callable[[RunRow], Any]] = {
    "id": lambda row: row.id,
    "run": lambda row: row.id,
    "name": lambda row: row.notes.name or row.id,
    "tag": lambda row: row.notes.tags,
    "note": lambda row: row.notes.note or None,
    "state": lambda row: row.state,
    "status": lambda row: row.state,
    "preset": lambda row: row.preset,
    "dataset": lambda row: row.dataset,
    "data": lambda row: row.dataset,
    "seed": lambda row: row.seed,
    "stage": lambda row: row.stage,
    "verdict": lambda row: row.verdict or None,
    "acc": lambda row: row.acc[1] if row.acc[1] is not None else row.acc[0],
    "asr": lambda row: row.asr[1] if row.asr[1] is not None else row.asr[0],
    "acc.before": lambda row: row.acc[0],
    "asr.before": lambda row: row.asr[0],
    "age": lambda row: None if row.started is None else time.time() - row.started,
}
"""The list's own fields, by the names a filter may use."""


def _named(flat: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """The values of the fields called `name`, or whose path ends in it."""
    if name in flat:
        return (flat[name],)
    ending = f".{name}"
    return tuple(value for path, value in flat.items() if path.casefold().endswith(ending))


def _settings(folder: Path) -> Mapping[str, Any]:
    try:
        return _settings_as_of(folder, (folder / CONFIG).stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=2048)
def _settings_as_of(folder: Path, _changed: int) -> Mapping[str, Any]:
    try:
        return dict(flatten(read_settings(folder)))
    except RequestError:
        return {}


def _said_apart(folders: Sequence[Path]) -> list[tuple[str, ...]]:
    """What sets the configuration of each off; files alike are read as one, for there may be hundreds of them."""
    texts = [_text(folder) for folder in folders]
    distinct = dict(zip(texts, folders, strict=True))
    if len(distinct) == 1:
        return [()] * len(texts)
    said = dict(zip(distinct, apart([_settings(folder) for folder in distinct.values()]), strict=True))
    return [said[text] for text in texts]


def _text(folder: Path) -> bytes:
    try:
        return (folder / CONFIG).read_bytes()
    except OSError:
        return b""


class Catalog:
    """The runs under `root`."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.root = root
        self._clock = clock
        self._followed: dict[Path, _Followed] = {}
        self._rest: dict[Path, tuple[RunHead, RunRow]] = {}
        """Rows of runs at rest: most runs are, and do not change from one look to the next."""
        self._apart: dict[tuple[Path, ...], list[tuple[str, ...]]] = {}
        """By the folders of runs that look alike, what sets each off: their configurations do not change."""

    def rows(self) -> list[RunRow]:
        """All runs, newest first."""
        heads = list_runs(self.root)
        live = {head.path for head in heads if head.status.alive}
        for path in [path for path in self._followed if path not in live]:
            del self._followed[path]
        waiting = _waiting() if live else {}
        if len(self._rest) > len(heads):
            self._rest = {head.path: self._rest[head.path] for head in heads if head.path in self._rest}
        now = self._clock()
        return self._told_apart([self._with_notes(self._row(head, waiting, now)) for head in heads])

    def _told_apart(self, rows: list[RunRow]) -> list[RunRow]:
        """Runs of one name, preset, data set and seed, each with what differs."""
        alike: dict[tuple[Any, ...], list[RunRow]] = {}
        for row in rows:
            if row.readable and not row.notes.name:
                alike.setdefault((row.preset, row.dataset, row.seed), []).append(row)
        said: dict[Path, tuple[str, ...]] = {}
        for group in (group for group in alike.values() if len(group) > 1):
            key = tuple(row.path for row in group)
            if key not in self._apart:
                self._apart[key] = _said_apart(key)
            said |= zip(key, self._apart[key], strict=True)
        return [replace(row, apart=said[row.path]) if said.get(row.path) else row for row in rows]

    def _with_notes(self, row: RunRow) -> RunRow:
        told = notes.of(row.path)
        if row.notes == told:
            return row
        return replace(row, notes=told)

    def view(self, path: Path) -> RunView | None:
        """The folded record of a run under way, as of the last `rows`."""
        followed = self._followed.get(path)
        return followed.view if followed else None

    def _row(self, head: RunHead, waiting: Mapping[str, tuple[int, str]], now: float) -> RunRow:
        if not head.status.alive:
            age = _age(head.started, now)
            known, row = self._rest.get(head.path, (None, None))
            if row is None or known is not head or row.age != age:
                row = _at_rest(head, age)
                self._rest[head.path] = head, row
            return row
        followed = self._followed.get(head.path)
        if followed is None:
            followed = self._followed[head.path] = _Followed(head.path)
        followed.update()
        age = _age(head.started, now)
        try:
            return _alive(head, followed.view, waiting.get(head.id), age)
        except Exception:  # whatever a record holds, the list stays up
            return RunRow(head.id, head.path, RunState.DAMAGED, started=head.started, age=age)


class _Followed:
    """The record of a run under way, folded as it grows."""

    def __init__(self, path: Path) -> None:
        self.view = RunView()
        self._tail = Tail(path)

    def update(self) -> None:
        for event in self._tail.poll():
            if event.kind == "run-started" and self.view.run:
                self.view = RunView()  # the record was replaced: it comes again from its start
            # An event that makes no sense is left out: the record may be damaged, or a stranger's.
            with contextlib.suppress(Exception):
                self.view.apply(event)


def _at_rest(head: RunHead, age: str) -> RunRow:
    summary = head.summary or {}
    figures = _figures(summary.get("stages"))
    after = next((value for value in reversed(figures.values())), {}) if len(figures) > 1 else {}
    facts = {key: summary[key] for key in ("device", "recipe", "model", "attack", "seconds") if key in summary}
    return RunRow(
        id=head.id,
        path=head.path,
        state=head.status,
        preset=head.preset or "",
        dataset=_short(head.dataset),
        seed=head.seed,
        started=head.started,
        age=age,
        stage=head.stage or "",
        acc=(head.acc_before, _first(head.acc_after, after.get("acc"), head.acc_newest)),
        asr=(head.asr_before, _first(head.asr_after, after.get("asr"), head.asr_newest)),
        more=head.more,
        verdict=head.verdict,
        figures=figures,
        facts=dict(flatten(facts)),
    )


def _alive(head: RunHead, view: RunView, place: tuple[int, str] | None, age: str) -> RunRow:
    stage = view.stage
    summary = summarize(view) if view.run else {}
    figures, verdicts = _figures(summary.get("stages")), of_summary(summary)
    purified = [stage.name for stage in view.purified]
    shown = [name for name in purified if name in figures] or list(figures)[1:][-1:]
    after = figures[shown[0]] if shown else {}
    before = figures.get(view.suspect.name, {}) if view.suspect else {}
    queued = RunState.QUEUED in (head.status, view.status)
    return RunRow(
        id=head.id,
        path=head.path,
        state=RunState.QUEUED if queued else RunState.PAUSED if view.status is RunState.PAUSED else RunState.RUNNING,
        preset=head.preset or "",
        dataset=_short(head.dataset),
        seed=head.seed,
        started=head.started,
        age=age,
        stage=stage.name if stage else head.stage or "",
        progress=round(stage.progress, 2) if stage else None,
        queue=place[0] if place and queued else None,
        ticket=place[1] if place else "",
        acc=(before.get("acc"), after.get("acc")),
        asr=(before.get("asr"), after.get("asr")),
        more=max(0, len(purified) - 1),
        verdict=verdicts[shown[0]].word if shown and shown[0] in verdicts else "",
        figures=figures,
        facts=dict(flatten({"device": view.environment.get("device"), "model": view.model})),
    )


def _figures(stages: Any) -> dict[str, dict[str, Any]]:
    """By stage the figures of a summary, which may come from a stranger."""
    found = {}
    for stage in stages if isinstance(stages, list) else ():
        if isinstance(stage, dict) and "stage" in stage:
            found[str(stage["stage"])] = {key: _finite(stage.get(key)) for key in ("acc", "asr", "ra", "base")}
    return found


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _short(dataset: str | None) -> str:
    """A data set's name, of a path its last part."""
    return Path(dataset).name if dataset else ""


def _age(started: float | None, now: float) -> str:
    if started is None:
        return ""
    return "now" if now - started < 60 else formatting.age(now - started)


def _waiting() -> dict[str, tuple[int, str]]:
    """Place and ticket of every waiting run of this machine, by its id."""
    try:
        return {ticket.label: (place, ticket.id) for place, ticket in enumerate(processor_queue.queue(), start=1)}
    except RequestError:
        return {}
