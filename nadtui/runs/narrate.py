"""What happens in a run, in words: the lines of its log, wherever that is shown."""

from __future__ import annotations

import math
from functools import singledispatch

from engine import events
from engine.figures import Change, Cost, Metrics
from engine.record.origin import Origin, origin
from engine.record.stage_view import StageView
from engine.record.view import RunView
from nadtui import formatting
from nadtui.runs import asleep, shadowed


def loud(event: events.Event) -> bool:
    """Whether the event must not be missed."""
    if isinstance(event, events.AttentionHealth):
        return any(tap.dead for tap in event.taps)
    if isinstance(event, events.Chosen):
        return beyond(event)
    return isinstance(event, events.RunFailed) or (isinstance(event, events.Message) and event.level == "warning")


def beyond(event: events.Chosen) -> bool:
    """Whether what was chosen costs more than it may."""
    return event.cost is not None and not event.cost.within


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
    return f"run {view.run}: goes on with {place(event, view)}"


@line.register
def _(event: events.StageStarted, view: RunView) -> str | None:
    if not event.epochs:
        return None  # a model that is taken over: what comes of it is told at its end
    more = f", {event.epoch} of them done" if event.epoch else ""
    return (
        f"{event.stage}: {formatting.plural(event.epochs, 'epoch')} of {formatting.plural(event.steps, 'step')}{more}"
    )


@line.register
def _(event: events.Evaluation, view: RunView) -> str | None:
    stage = view.stages[event.stage]
    if event.final or not stage.epochs:
        return None  # the stage's end says it
    parts = [f"{event.stage}: epoch {event.epoch}/{stage.epochs}", *figures(event.metrics)]
    if stage.last is not None:
        parts += [
            f"loss {formatting.number(stage.last.loss)}",
            f"{formatting.count(stage.last.images_per_second)} images/s",
        ]
    remaining = view.eta()
    if remaining is not None:
        parts.append(f"ETA {formatting.duration(remaining)}")
    return "  ".join(parts)


@line.register
def _(event: events.AttentionHealth, view: RunView) -> str | None:
    return None if event.epoch else f"{event.stage}: {health(event)}"


@line.register
def _(event: events.Chosen, view: RunView) -> str:
    return f"warning: {choice(event)}" if beyond(event) else choice(event)


@line.register
def _(event: events.Isolated, view: RunView) -> str:
    return isolation(event)


@line.register
def _(event: events.Verified, view: RunView) -> str:
    return asleep.line(event)


@line.register
def _(event: events.ProxiesMade, view: RunView) -> str:
    return shadowed.made(event, view)


@line.register
def _(event: events.Shadowed, view: RunView) -> str:
    return shadowed.line(event)


@line.register
def _(event: events.StageFinished, view: RunView) -> str:
    how = f"done in {formatting.duration(event.seconds)}"
    if event.cached:
        how = f"{taken(event.stage, view)}, not trained"
    return "  ".join([f"{event.stage}: {how}", *figures(event.metrics)])


def change(stage: str, found: Change) -> str:
    """What a model has over another that it stands on, with the intervals; what a defender would not want is said."""
    parts = []
    for name, points, (low, high), sign in (
        ("ACC", found.acc, found.acc_ci, 1),
        ("ASR", found.asr, found.asr_ci, -1),
    ):
        if math.isfinite(points):
            least, most = sorted((sign * low, sign * high))
            how = "better" if least > 0 else "worse" if most < 0 else "no difference shown"
            parts.append(f"{name} {points:+.1f} ({low:+.1f} to {high:+.1f}: {how})")
    return f"{stage} over {found.than}: {', '.join(parts)}"


@line.register
def _(event: events.Message, view: RunView) -> str:
    return f"warning: {event.text}" if event.level == "warning" else event.text


@line.register
def _(event: events.RunPaused, view: RunView) -> str:
    return "paused" if event.paused else "goes on"


def place(event: events.RunStopped | events.RunResumed, view: RunView) -> str:
    """Where a run was stopped, or goes on: the stage, with what is done of it, or what comes after its model."""
    stage = view.stages.get(event.stage)
    if stage is not None and stage.finished is not None:
        verified = stage.role == "purified" and (view.config.get("evaluation") or {}).get("verify")
        return f"the verification of {event.stage}" if verified else f"{event.stage}, whose model is done"
    if not event.epoch and not event.step:
        return f"{event.stage} at its beginning" if stage is not None and stage.epochs else event.stage
    beyond = f" and {formatting.plural(event.step, 'step')} of the next" if event.step else ""
    return f"{event.stage} after epoch {event.epoch}{beyond}"


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


MOST_SCORES = 6
"""Candidates of a choice whose scores have room in a line."""


def choice(event: events.Chosen) -> str:
    """What a stage chose, what its candidates came to (the higher, the better), and what it costs under a budget."""
    tried = {name: score for name, score in event.scores.items() if not math.isnan(score)}
    each = [f"{name} {formatting.number(score)}" for name, score in tried.items()]
    more = ", …" * (len(each) > MOST_SCORES)
    untried = f"; {len(event.scores) - len(tried)} not tried" if len(tried) < len(event.scores) else ""
    score = formatting.number(event.scores.get(event.choice, math.nan))
    among = f"{formatting.plural(len(event.scores), 'candidate')}: {', '.join(each[:MOST_SCORES])}{more}{untried}"
    cost = "" if event.cost is None else f": {costs(event.cost)}"
    return f"{event.stage} chose {event.what} {event.choice} (score {score}; {among}){cost}"


def costs(cost: Cost) -> str:
    """What a choice costs on the held images, how certain that is, and whether it keeps to its budget."""
    low, high = map(formatting.percentage, cost.lost_ci)
    said = (
        f"it loses {formatting.percentage(cost.lost)} points of ACC on {formatting.plural(cost.images, 'held image')} "
        f"(95 % interval {low} to {high})"
    )
    if not cost.within:
        return f"{said}, more than the budget of {cost.budget:g}; nothing that was tried loses less"
    if not cost.sure:
        return f"{said}, within the budget of {cost.budget:g}, but so few images cannot tell it from {high}"
    return f"{said}, within the budget of {cost.budget:g}"


def isolation(event: events.Isolated) -> str:
    """What a stage isolated, and how much of it is poisoned."""
    shares = {"precision": event.precision, "recall": event.recall}
    told = ", ".join(f"{name} {formatting.percentage(100 * share)} %" for name, share in shares.items())
    return (
        f"{event.stage} isolated {formatting.count(event.isolated)} of {formatting.count(event.images)} images: "
        f"{formatting.count(event.found)} of the {formatting.count(event.poisoned)} poisoned ones ({told})"
    )


def figures(metrics: Metrics) -> list[str]:
    """ACC and ASR, named; ACC alone where there is no trigger."""
    named = {"ACC": metrics.acc, "ASR": metrics.asr}
    return [f"{name} {formatting.percentage(value)}" for name, value in named.items() if not math.isnan(value)]


def preparing(event: events.Preparing) -> str:
    """What is being got ready, and how far that is."""
    return f"{event.what} … {100 * event.done / event.total:.0f} %" if event.total else f"{event.what} …"


def taken(stage: str, view: RunView) -> str:
    """How a stage that was not trained got its model, in a few words."""
    came_from = _origin(stage, view)
    return TAKEN[came_from.source] if came_from else "taken over"


TAKEN = {"trained": "trained", "cache": "cached", "zoo": "from the zoo", "file": "from a file"}
"""By its source how a run got its suspect."""


def _origin(stage: str, view: RunView) -> Origin | None:
    """Where the stage's model came from, where it is the suspect's."""
    return origin(view) if view.suspect is not None and view.suspect.name == stage else None


def epochs(stage: StageView, view: RunView) -> str:
    """How many of a stage's epochs are done; nothing for one that has none."""
    if stage.cached:
        came_from = _origin(stage.name, view)
        return came_from.word if came_from else "taken over"
    return f"{stage.whole_epochs}/{stage.epochs}" if stage.epochs else ""


def waiting(event: events.Queued) -> str:
    """Whom the run waits for, and its place in the line."""
    held = f"; held by {', '.join(event.holders)}" if event.holders else ""
    return f"waits for the machine, {formatting.ordinal(event.position)} in line{held}"


def health(event: events.AttentionHealth) -> str:
    """Every tap's map size and share of the loss; one that ought to have a share and has none is marked."""
    taps = []
    for tap in event.taps:
        dead = " DEAD" if tap.dead else ""
        taps.append(f"{tap.tap} {tap.width}x{tap.height} {100 * tap.share:.1f} %{dead}")
    return f"attention's share of the loss: {', '.join(taps)}"


def loss(stage: StageView) -> str:
    """The loss with its parts."""
    if stage.last is None:
        return ""
    parts = [f"{name} {formatting.number(value)}" for name, value in stage.last.parts.items()]
    return f"loss {formatting.number(stage.last.loss)}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")
