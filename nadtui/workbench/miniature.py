"""One run in little: what the workspace's preview shows of it, made in a thread from its record. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.events import AttentionCaptured, SampleShown
from engine.record import store
from engine.record.view import RunView, fold
from nadtui.draw.run_charts import figures_chart
from nadtui.draw.terminal_plot import Chart
from nadtui.runs.digest import Report


@dataclass(frozen=True)
class Sketch:
    """A run's summary, curves and attention before and after, immutable, so that threads may hand it over."""

    run: str
    state: str
    facts: tuple[tuple[str, str], ...] = ()
    stages: tuple[dict[str, Any], ...] = ()
    """As in `summary.json`."""
    chart: Chart = field(default_factory=Chart)
    sample: SampleShown | None = None
    names: tuple[str, str] = ("", "")
    """The stages whose maps are `before` and `after`."""
    before: tuple[AttentionCaptured, ...] = ()
    """By tap, those of the backdoored model; `after` of the newest other one."""
    after: tuple[AttentionCaptured, ...] = ()
    remark: str = ""
    """What a person must know of it: its failure, damage."""


def read(path: Path, state: str, *, dark: bool) -> Sketch:
    """The sketch of a recorded run; whatever is wrong with its folder is a remark, never an error."""
    if state in ("damaged", "newer", "deleted"):
        said = {
            "damaged": f"Its files are damaged: {path}",
            "newer": "It was written by a newer nadtui: update nadtui to read it.",
            "deleted": f"Its folder is gone: {path}",
        }
        return Sketch(path.name, state, remark=said[state])
    log = store.read_events(path)
    try:
        view = fold(log.events)
    except Exception:  # whatever a record holds, the workbench stays up
        return _unreadable(path)
    return of(view, path, state, damaged=log.damaged, dark=dark)


def _unreadable(path: Path) -> Sketch:
    return Sketch(path.name, "damaged", remark=f"Its record is damaged: {path}")


def of(view: RunView, path: Path, state: str, *, damaged: int = 0, dark: bool = True) -> Sketch:
    """The sketch of a folded record; of one that makes no sense that it is damaged."""
    try:
        return _drawn(view, path, state, damaged=damaged, dark=dark)
    except Exception:  # whatever a record holds, the workbench stays up
        return _unreadable(path)


def _drawn(view: RunView, path: Path, state: str, *, damaged: int, dark: bool) -> Sketch:
    if not view.run:
        return Sketch(path.name, state, remark="Nothing is recorded yet.")
    report = Report(path, view, state)
    names, before, after = _maps(view)
    sample = view.samples.get(before[0].sample if before else 0)
    return Sketch(
        run=view.run,
        state=state,
        facts=tuple(report.facts()),
        stages=tuple(report.summary["stages"]),
        chart=figures_chart(view, "epoch", dark=dark),
        sample=sample,
        names=names,
        before=before,
        after=after,
        remark=_remark(view, damaged),
    )


def _remark(view: RunView, damaged: int) -> str:
    said = []
    if view.failure is not None:
        said.append(f"Failed in {view.failure.stage}: {view.failure.message}")
    if damaged:
        said.append(f"{damaged} damaged lines of the record are left out.")
    return "\n".join(said)


def _maps(view: RunView) -> tuple[tuple[str, str], tuple[AttentionCaptured, ...], tuple[AttentionCaptured, ...]]:
    """Of the first sample, by tap: the newest maps of the first stage and of the student (else the last stage)."""
    shown = [stage for stage in view.stages.values() if stage.attention]
    if not shown:
        return ("", ""), (), ()
    first = shown[0]
    last = next((stage for stage in shown if stage.name == store.AFTER), shown[-1])
    number = min(sample for sample, _ in first.maps())
    before, after = (
        [each for (sample, _), each in stage.maps().items() if sample == number] for stage in (first, last)
    )
    return (first.name, last.name), tuple(before), tuple(after) if last is not first else ()
