"""A run as plain lines on standard error: for logs, pipes and terminals that can do no more."""

from __future__ import annotations

from functools import singledispatch

from engine import events
from engine.record.view import RunView, StageView
from nadtui import diagnostics, formatting

QUARTERS = 4
"""Lines that the progress of one preparation may take, beside its first."""


class PlainDisplay:
    """One line for what matters: a stage's ends, an evaluation, a message; nothing is ever overwritten."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._preparation = ("", -1)

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def tell(self, event: events.Event) -> None:
        """Show an event that the view has taken in."""
        if isinstance(event, events.Preparing) and not self._worth_a_line(event):
            return
        said = line(event, self._view)
        if said:
            diagnostics.note(said)

    def refresh(self) -> None:
        """Nothing moves between two lines."""

    def _worth_a_line(self, event: events.Preparing) -> bool:
        reached = event.done * QUARTERS // event.total if event.total else 0
        before, self._preparation = self._preparation, (event.what, reached)
        return self._preparation != before


@singledispatch
def line(event: events.Event, view: RunView) -> str | None:
    """The event as one line; None where it is not worth one."""
    return None


@line.register
def _(event: events.Preparing, view: RunView) -> str:
    if not event.total:
        return event.what
    return f"{event.what}: {100 * event.done // event.total} %"


@line.register
def _(event: events.Queued, view: RunView) -> str:
    return waiting(event)


@line.register
def _(event: events.RunStarted, view: RunView) -> str:
    return f"run {event.run}: {about(view)}"


@line.register
def _(event: events.RunResumed, view: RunView) -> str:
    return f"run {view.run}: goes on with {event.stage} after epoch {event.epoch}"


@line.register
def _(event: events.StageStarted, view: RunView) -> str | None:
    if not event.epochs:
        return None  # a model that is taken over: what comes of it is told at its end
    more = f", {event.epoch} of them done" if event.epoch else ""
    return f"{event.stage}: {formatting.plural(event.epochs, 'epoch')} of {formatting.plural(event.steps, 'step')}{more}"


@line.register
def _(event: events.Evaluation, view: RunView) -> str | None:
    stage = view.stages[event.stage]
    if event.final or not stage.epochs:
        return None  # the stage's end says it
    parts = [f"{event.stage}: epoch {event.epoch}/{stage.epochs}", *figures(event.metrics)]
    if stage.last is not None:
        parts += [f"loss {formatting.number(stage.last.loss)}", f"{formatting.count(stage.last.images_per_second)} images/s"]
    remaining = view.eta()
    if remaining is not None:
        parts.append(f"ETA {formatting.duration(remaining)}")
    return "  ".join(parts)


@line.register
def _(event: events.AttentionHealth, view: RunView) -> str | None:
    return None if event.epoch else f"{event.stage}: {health(event)}"


@line.register
def _(event: events.StageFinished, view: RunView) -> str:
    how = "taken over, not trained" if event.cached else f"done in {formatting.duration(event.seconds)}"
    return "  ".join([f"{event.stage}: {how}", *figures(event.metrics)])


@line.register
def _(event: events.Message, view: RunView) -> str:
    return f"warning: {event.text}" if event.level == "warning" else event.text


@line.register
def _(event: events.RunPaused, view: RunView) -> str:
    return "paused" if event.paused else "goes on"


def about(view: RunView) -> str:
    """What the run is made of, in one line."""
    data, machine = view.dataset, view.environment
    parts = [
        f"{view.preset} on {data.get('name', '?')}",
        f"seed {view.config.get('seed', '?')}",
        str(view.model.get("name", "?")),
        str(machine.get("device", "?")),
    ]
    return ", ".join(parts)


def figures(metrics: events.Metrics) -> list[str]:
    """ACC and ASR, named."""
    return [f"ACC {formatting.percentage(metrics.acc)}", f"ASR {formatting.percentage(metrics.asr)}"]


def waiting(event: events.Queued) -> str:
    """Whom the run waits for, and its place in the line."""
    held = f"; held by {', '.join(event.holders)}" if event.holders else ""
    return f"waits for the machine, {formatting.ordinal(event.position)} in line{held}"


def health(event: events.AttentionHealth) -> str:
    """Every tap's map size and share of the loss; one that ought to have a share and has none is marked."""
    taps = []
    for tap in event.taps:
        dead = " DEAD" if tap.beta > 0 and not tap.share > 0 else ""
        taps.append(f"{tap.tap} {tap.width}x{tap.height} {100 * tap.share:.1f} %{dead}")
    return f"attention's share of the loss: {', '.join(taps)}"


def loss(stage: StageView) -> str:
    """The loss with its parts."""
    if stage.last is None:
        return ""
    parts = [f"{name} {formatting.number(value)}" for name, value in stage.last.parts.items()]
    return f"loss {formatting.number(stage.last.loss)}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")
