"""One run in little: what the workspace's preview shows of it, made in a thread from its record. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.events import AttentionCaptured, SampleShown
from engine.record.reading import read_events
from engine.record.state import RunState
from engine.record.view import RunView, fold
from nadtui.draw.chart import Chart
from nadtui.draw.run_charts import figures_chart
from nadtui.runs.digest import Report, titles


@dataclass(frozen=True)
class Sketch:
    """A run's summary, curves and attention maps, immutable, so that threads may hand it over."""

    run: str
    state: RunState
    facts: tuple[tuple[str, str], ...] = ()
    stages: tuple[dict[str, Any], ...] = ()
    """As in `summary.json`."""
    titles: tuple[str, ...] = ()
    """What the stages are called."""
    chart: Chart = field(default_factory=Chart)
    sample: SampleShown | None = None
    maps: tuple[tuple[str, tuple[AttentionCaptured, ...]], ...] = ()
    """By stage, then by tap: the suspect's, and those of every purified model, else of the newest other one."""
    attacked: bool = True
    """Whether there is a trigger."""
    missing: tuple[str, ...] = ()
    """Why there are dashes in the place of figures."""
    remark: str = ""
    """What a person must know of it: its failure, damage."""


def read(path: Path, state: RunState, *, dark: bool) -> Sketch:
    """The sketch of a recorded run; whatever is wrong with its folder is a remark, never an error."""
    if not state.readable:
        said = {
            RunState.DAMAGED: f"Its files are damaged: {path}",
            RunState.NEWER: "It was written by a newer nadtui: update nadtui to read it.",
            RunState.DELETED: f"Its folder is gone: {path}",
        }
        return Sketch(path.name, state, remark=said[state])
    log = read_events(path)
    try:
        view = fold(log.events)
    except Exception:  # whatever a record holds, the workbench stays up
        return _unreadable(path)
    return of(view, path, state, damaged=log.damaged, dark=dark)


def _unreadable(path: Path) -> Sketch:
    return Sketch(path.name, RunState.DAMAGED, remark=f"Its record is damaged: {path}")


def of(view: RunView, path: Path, state: RunState, *, damaged: int = 0, dark: bool = True) -> Sketch:
    """The sketch of a folded record; of one that makes no sense that it is damaged."""
    try:
        return _drawn(view, path, state, damaged=damaged, dark=dark)
    except Exception:  # whatever a record holds, the workbench stays up
        return _unreadable(path)


def _drawn(view: RunView, path: Path, state: RunState, *, damaged: int, dark: bool) -> Sketch:
    if not view.run:
        return Sketch(path.name, state, remark="Nothing is recorded yet.")
    report = Report(path, view, state)
    maps = _maps(view)
    sample = view.samples.get(maps[0][1][0].sample if maps else 0)
    return Sketch(
        run=view.run,
        state=state,
        facts=tuple(report.facts()),
        stages=tuple(report.summary["stages"]),
        titles=tuple(titles(report.summary)),
        chart=figures_chart(view, "epoch", dark=dark),
        sample=sample,
        maps=maps,
        attacked=view.attacked,
        missing=tuple(report.missing()) if view.attacked else (),
        remark=_remark(view, damaged),
    )


def _remark(view: RunView, damaged: int) -> str:
    said = []
    if view.failure is not None:
        said.append(f"Failed in {view.failure.stage}: {view.failure.message}")
    if damaged:
        said.append(f"{damaged} damaged lines of the record are left out.")
    return "\n".join(said)


def _maps(view: RunView) -> tuple[tuple[str, tuple[AttentionCaptured, ...]], ...]:
    """Of the first sample, by stage and tap: the newest maps of the first stage and of all that defenses came to."""
    shown = [stage for stage in view.stages.values() if stage.attention]
    if not shown:
        return ()
    first = shown[0]
    others = [stage for stage in shown[1:] if stage.role == "purified"] or shown[1:][-1:]
    number = min(sample for sample, _ in first.maps())
    return tuple(
        (stage.name, tuple(each for (sample, _), each in stage.maps().items() if sample == number))
        for stage in (first, *others)
    )
