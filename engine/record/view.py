"""The fold of a run's events into what every reader shows: screens, tables, exports. Free of torch.

`RunView.apply` takes events in the order of the record, live or read back from it, and keeps no more of them
than a screen can use: long loss curves are thinned evenly; the full series is in the run's `events.jsonl`.
Times inside a stage are seconds of work: pauses, and the time between a kill and its resume, are left out.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from engine.events import (
    SCHEMA,
    AttentionCaptured,
    AttentionHealth,
    Evaluation,
    Event,
    Message,
    Metrics,
    Preparing,
    Queued,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopped,
    SampleShown,
    StageFinished,
    StageStarted,
    Step,
)

MAX_POINTS = 4_000
"""Points of one loss curve that are kept; on one more, every second one is dropped."""
MAX_ATTENTION_EPOCHS = 64
"""Epochs of one stage whose attention maps are kept; on one more, every second one is dropped."""
MAX_MESSAGES = 1_000
"""Lines of the log that are kept, the newest ones."""

RunStatus = Literal["new", "preparing", "queued", "running", "paused", "finished", "failed", "stopped"]
StageState = Literal["pending", "running", "finished"]


class LossPoint(NamedTuple):
    """A point of a stage's loss curve."""

    step: int
    """Steps done in the stage."""
    epoch: int
    """The epoch under way, from 1."""
    seconds: float
    """Work since the stage began."""
    loss: float
    parts: dict[str, float]
    """The loss's summands by name."""
    lr: float
    images_per_second: float


class EvaluationPoint(NamedTuple):
    """A point of a stage's ACC and ASR curves, after `epoch` finished epochs."""

    step: int
    epoch: int
    seconds: float
    metrics: Metrics
    final: bool
    """Over all test images, else over a fixed draw of them."""


class LogLine(NamedTuple):
    """A line of the run's log."""

    time: float
    """Seconds since the epoch, UTC."""
    level: str
    """info or warning."""
    text: str


@dataclass
class StageView:
    """One stage as far as it is known."""

    name: str
    state: StageState = "pending"
    epochs: int = 0
    """Epochs to do; 0 = not known yet."""
    steps: int = 0
    """Steps an epoch; 0 = not known yet."""
    epoch: int = 0
    """The epoch under way, from 1; 0 = none has begun."""
    step: int = 0
    """Steps done in the whole stage."""
    began: float = 0.0
    """When it began, in seconds of the run's work."""
    ended: float | None = None
    """When it was done, likewise."""
    losses: list[LossPoint] = field(default_factory=list)
    last: LossPoint | None = None
    """The newest point, also where `losses` is thinned past it."""
    evaluations: list[EvaluationPoint] = field(default_factory=list)
    """At most one for each epoch: over all test images where there is such a one."""
    attention: dict[int, dict[tuple[int, str], AttentionCaptured]] = field(default_factory=dict)
    """Captures by epoch (rising), then by sample and tap."""
    health: list[AttentionHealth] = field(default_factory=list)
    finished: StageFinished | None = None
    """Its figures, checkpoint and time, once it is done."""
    _stride: int = 1
    _seen: int = 0
    _pace: tuple[int, float] | None = None
    """Step and time at the first steps since the stage began or went on. Its rate is measured from there:
    what precedes them (a trigger, compiling, a first evaluation) does not come again."""

    @property
    def total_steps(self) -> int:
        """Steps of the whole stage; 0 = not known yet."""
        return self.epochs * self.steps

    @property
    def progress(self) -> float:
        """Share of the stage that is done, 0-1."""
        if self.state == "finished":
            return 1.0
        return min(1.0, self.step / self.total_steps) if self.total_steps else 0.0

    @property
    def metrics(self) -> Metrics | None:
        """The stage's figures: its final ones, else the newest on its curve."""
        if self.finished:
            return self.finished.metrics
        return self.evaluations[-1].metrics if self.evaluations else None

    @property
    def cached(self) -> bool:
        """Whether its model was not trained in this run."""
        return self.finished is not None and self.finished.cached

    @property
    def last_epoch(self) -> int:
        """The newest epoch whose attention maps are kept, -1 where there are none."""
        return next(reversed(self.attention), -1)

    def maps(self, epoch: int | None = None) -> dict[tuple[int, str], AttentionCaptured]:
        """Captures by sample and tap at the newest kept epoch not past `epoch` (None = the newest)."""
        if epoch is None or epoch >= self.last_epoch:
            return self.attention.get(self.last_epoch, {})
        return self.attention.get(max((e for e in self.attention if e <= epoch), default=-1), {})

    @property
    def worked(self) -> float:
        """Seconds of work from its beginning to the newest thing known of it."""
        if self.ended is not None:
            return self.ended - self.began
        points = [p.seconds for p in (self.last, *self.evaluations[-1:]) if p is not None]
        return max([0.0, *points])

    def remaining(self, work: float) -> float | None:
        """Seconds to go once the run has worked for `work` seconds, by its own rate; None = not known."""
        if self.state != "running" or self._pace is None or self.last is None or not self.total_steps:
            return None
        step, since = self._pace
        at = self.began + self.last.seconds
        if self.last.step <= step or at <= since:
            return None
        rate = (self.last.step - step) / (at - since)
        return max(0.0, (self.total_steps - self.last.step) / rate - max(0.0, work - at))

    def start(self, event: StageStarted, work: float) -> None:
        """Begin, or go on after `event.epoch` finished epochs."""
        self.drop_after(event.epoch)
        self.state = "running"
        self.epochs, self.steps = event.epochs, event.steps
        self.epoch, self.step = event.epoch, event.epoch * event.steps
        self.began = work - self.worked

    def add_step(self, event: Step, work: float) -> None:
        """Move on, and lengthen the loss curve."""
        self.epoch, self.step = event.epoch, event.step
        self.last = LossPoint(
            event.step,
            event.epoch,
            work - self.began,
            event.loss,
            event.parts,
            event.lr,
            event.images_per_second,
        )
        self._pace = self._pace or (event.step, work)
        if self._seen % self._stride == 0:
            self.losses.append(self.last)
            if len(self.losses) > MAX_POINTS:
                del self.losses[1::2]
                self._stride *= 2
        self._seen += 1

    def add_evaluation(self, event: Evaluation, work: float) -> None:
        """Lengthen the ACC and ASR curves; of two points of one epoch the one over more images stays."""
        point = EvaluationPoint(event.step, event.epoch, work - self.began, event.metrics, event.final)
        known = self.evaluations
        if known and known[-1].epoch == event.epoch:
            if event.final or not known[-1].final:
                known[-1] = point
            return
        known.append(point)

    def add_attention(self, event: AttentionCaptured) -> None:
        """Keep a capture."""
        if event.epoch not in self.attention and len(self.attention) >= MAX_ATTENTION_EPOCHS:
            for epoch in list(self.attention)[1:-1:2]:
                del self.attention[epoch]
        self.attention.setdefault(event.epoch, {})[event.sample, event.tap] = event

    def finish(self, event: StageFinished, work: float) -> None:
        """The stage is done."""
        self.state, self.finished = "finished", event
        self.epoch = event.epochs
        self.step = max(self.step, self.total_steps)
        self.ended = work

    def drop_after(self, epoch: int) -> None:
        """Forget what was recorded after `epoch` finished epochs: it will come again."""
        self.state, self.finished, self.ended, self._pace = "pending", None, None, None
        self.losses = [point for point in self.losses if point.epoch <= epoch]
        self.last = self.losses[-1] if self.losses else None
        self._seen = len(self.losses) * self._stride
        self.evaluations = [point for point in self.evaluations if point.epoch <= epoch]
        self.attention = {at: maps for at, maps in self.attention.items() if at <= epoch}
        self.health = [health for health in self.health if health.epoch <= epoch]
        self.epoch, self.step = min(self.epoch, epoch), min(self.step, epoch * self.steps)


class RunView:
    """One run as its events tell it, from the first to the newest."""

    def __init__(self) -> None:
        self.run = ""
        """The run's id; empty before its record exists."""
        self.config: dict[str, Any] = {}
        """The complete configuration, in plain types."""
        self.environment: dict[str, Any] = {}
        """Versions, processor, threads, device."""
        self.dataset: dict[str, Any] = {}
        """name, classes, class_names, train, test, clean."""
        self.model: dict[str, Any] = {}
        """name, parameters."""
        self.schema = SCHEMA
        self.stages: dict[str, StageView] = {}
        """By name, in the order in which they run."""
        self.samples: dict[int, SampleShown] = {}
        """The images behind the attention maps."""
        self.messages: deque[LogLine] = deque(maxlen=MAX_MESSAGES)
        self.preparing: Preparing | None = None
        """What is being prepared now."""
        self.queued: Queued | None = None
        """What the run waits for now."""
        self.failure: RunFailed | None = None
        self.stopped: RunStopped | None = None
        self.finished: RunFinished | None = None
        self.started = 0.0
        """Seconds since the epoch at which the run, or the first thing known of it, began."""
        self.updated = 0.0
        """Time of the newest event."""
        self.events = 0
        """Events seen."""
        self._lag = 0.0
        """An event's time less this is the run's work: a clock that stops in pauses and between sessions."""
        self._held: float | None = None
        """Since when that clock stands still."""
        self._paused = False

    @property
    def status(self) -> RunStatus:
        """What the newest events say of the run; whether its process still lives, they cannot tell."""
        known: tuple[tuple[bool, RunStatus], ...] = (
            (self.failure is not None, "failed"),
            (self.stopped is not None, "stopped"),
            (self.finished is not None, "finished"),
            (self.queued is not None, "queued"),
            (self._paused, "paused"),
            (bool(self.run), "running"),
            (self.events > 0, "preparing"),
        )
        return next((status for holds, status in known if holds), "new")

    @property
    def ended(self) -> bool:
        """Whether nothing more comes, unless the run is resumed."""
        return self.status in ("finished", "failed", "stopped")

    @property
    def stage(self) -> StageView | None:
        """The stage under way; None between stages and where none is."""
        return next((stage for stage in self.stages.values() if stage.state == "running"), None)

    @property
    def preset(self) -> str:
        """The preset the run began from."""
        return str(self.config.get("preset", ""))

    def elapsed(self, now: float | None = None) -> float:
        """Seconds of work until `now` (seconds since the epoch) while the run lives, or its newest event."""
        if self.finished is not None:
            return self.finished.seconds
        at = self.updated
        if self._held is not None:
            at = self._held
        elif now is not None and not self.ended:
            at = max(now, at)
        return max(0.0, at - self._lag) if self.started else 0.0

    def eta(self, now: float | None = None) -> float | None:
        """Seconds until the stage under way is done, by its own rate; None = cannot be told."""
        return None if self.stage is None or self.ended else self.stage.remaining(self.elapsed(now))

    def apply(self, event: Event) -> None:
        """Take in the next event; kinds that are not known are counted and else ignored."""
        if not self.started:  # what precedes the record has no time
            self.started = self._lag = event.time
        self.events += 1
        self.updated = max(self.updated, event.time)
        if not isinstance(event, Message):
            if self.queued is not None and not isinstance(event, Queued):
                self._release(event.time)
            self.queued = self.preparing = None
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _stage(self, name: str) -> StageView:
        """The stage of that name; one that was not announced (a record with damage) is added last."""
        stage = self.stages.get(name)
        if stage is None:
            stage = self.stages[name] = StageView(name)
        return stage

    def _work(self, event: Event) -> float:
        return max(0.0, event.time - self._lag)

    def _on_run_started(self, event: RunStarted) -> None:
        self.run, self.schema = event.run, event.schema
        self.config, self.environment = _table(event.config), _table(event.environment)
        self.dataset, self.model = _table(event.dataset), _table(event.model)
        self.stages = {name: StageView(name) for name in event.stages}
        self.started = self._lag = event.time
        self._held = None

    def _on_run_resumed(self, event: RunResumed) -> None:
        self.failure = self.stopped = self.finished = self._held = None
        self._paused = False
        self.environment = _table(event.environment) or self.environment
        stage = self._stage(event.stage)
        if stage.finished is None or event.epoch < stage.finished.epochs:
            stage.drop_after(event.epoch)
        names = list(self.stages)
        for name in names[names.index(event.stage) + 1 :]:
            self.stages[name] = StageView(name)
        # The clock goes on where the work that is kept ended.
        self._lag = event.time - max(stage.began + stage.worked for stage in self.stages.values())

    def _on_stage_started(self, event: StageStarted) -> None:
        self._stage(event.stage).start(event, self._work(event))

    def _on_step(self, event: Step) -> None:
        self._stage(event.stage).add_step(event, self._work(event))

    def _on_evaluation(self, event: Evaluation) -> None:
        self._stage(event.stage).add_evaluation(event, self._work(event))

    def _on_attention(self, event: AttentionCaptured) -> None:
        self._stage(event.stage).add_attention(event)

    def _on_health(self, event: AttentionHealth) -> None:
        self._stage(event.stage).health.append(event)

    def _on_stage_finished(self, event: StageFinished) -> None:
        self._stage(event.stage).finish(event, self._work(event))

    def _on_sample(self, event: SampleShown) -> None:
        self.samples[event.sample] = event

    def _on_preparing(self, event: Preparing) -> None:
        self.preparing = event

    def _on_queued(self, event: Queued) -> None:
        self.queued = event
        self._hold(event.time)

    def _on_message(self, event: Message) -> None:
        self.messages.append(LogLine(event.time, event.level, event.text))

    def _on_paused(self, event: RunPaused) -> None:
        self._paused = event.paused
        if event.paused:
            self._hold(event.time)
        else:
            self._release(event.time)

    def _hold(self, time: float) -> None:
        if self._held is None:
            self._held = time

    def _release(self, time: float) -> None:
        if self._held is not None:
            self._lag += time - self._held
            self._held = None

    def _on_finished(self, event: RunFinished) -> None:
        self.finished = event

    def _on_failed(self, event: RunFailed) -> None:
        self.failure = event

    def _on_stopped(self, event: RunStopped) -> None:
        self.stopped = event

    def summary(self) -> dict[str, Any]:
        """The run in plain types, as in `summary.json`; of a run that is not finished, what there is.

        A stage is listed once it has figures: the final ones where it is finished, else the newest of its
        curve, over a draw of the test images. Percentages are 0-100, numbers that do not exist null.
        """
        content = json.dumps(self.config, sort_keys=True)
        return {
            "schema": self.schema,
            "run": self.run,
            "status": self.status,
            "preset": self.preset,
            "recipe": self.config.get("recipe"),
            "seed": self.config.get("seed"),
            "device": self.environment.get("device", self.config.get("device")),
            "dataset": {key: self.dataset.get(key) for key in ("name", "classes", "train", "test", "clean")},
            "model": self.model,
            "attack": self.config.get("attack", {}),
            "stages": [_stage_summary(stage) for stage in self.stages.values() if stage.metrics],
            "seconds": round(self.elapsed(), 3),
            "peak_memory": self.finished.peak_memory if self.finished else None,
            "started": datetime.fromtimestamp(self.started, UTC).isoformat(),
            "environment": self.environment,
            "config_sha256": hashlib.sha256(content.encode()).hexdigest(),
            **({"failure": self.failure.message} if self.failure else {}),
        }


def _stage_summary(stage: StageView) -> dict[str, Any]:
    metrics, done, last = stage.metrics, stage.finished, stage.last
    assert metrics is not None
    rate = done.images_per_second if done else last.images_per_second if last else math.nan
    balanced = metrics.balanced_acc
    return {
        "stage": stage.name,
        "state": stage.state,
        **metrics.to_dict(),
        "balanced_acc": balanced if math.isfinite(balanced) else None,
        "epochs": done.epochs if done else stage.evaluations[-1].epoch,
        "seconds": round(done.seconds if done else stage.worked, 3),
        "evaluation_seconds": round(done.evaluation_seconds, 3) if done else None,
        "images_per_second": round(rate, 1) if math.isfinite(rate) else None,
        "cached": stage.cached,
        "checkpoint": done.checkpoint if done else None,
        "sha256": done.sha256 if done else None,
    }


def _table(value: Any) -> dict[str, Any]:
    """A record may be damaged, or a stranger's: what ought to be a table becomes one."""
    return value if isinstance(value, dict) else {}


def fold(events: Iterable[Event]) -> RunView:
    """The view of a whole record."""
    view = RunView()
    for event in events:
        view.apply(event)
    return view


_HANDLERS: dict[type[Event], Callable[[RunView, Any], None]] = {
    RunStarted: RunView._on_run_started,
    RunResumed: RunView._on_run_resumed,
    StageStarted: RunView._on_stage_started,
    Step: RunView._on_step,
    Evaluation: RunView._on_evaluation,
    AttentionCaptured: RunView._on_attention,
    AttentionHealth: RunView._on_health,
    StageFinished: RunView._on_stage_finished,
    SampleShown: RunView._on_sample,
    Preparing: RunView._on_preparing,
    Queued: RunView._on_queued,
    Message: RunView._on_message,
    RunPaused: RunView._on_paused,
    RunFinished: RunView._on_finished,
    RunFailed: RunView._on_failed,
    RunStopped: RunView._on_stopped,
}
