"""The fold of a run's events into what every reader shows: screens, tables, exports. Free of torch.

`RunView.apply` takes events in the order of the record, live or read back from it, and keeps no more of them
than a screen can use: long loss curves are thinned evenly; the full series is in the run's `events.jsonl`.
Times inside a stage are seconds of work: pauses, and the time between a kill and its resume, are left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from engine.events import (
    SCHEMA,
    AttentionCaptured,
    AttentionHealth,
    Chosen,
    CurvePoint,
    Evaluation,
    Event,
    Isolated,
    Message,
    PlannedStage,
    Preparing,
    ProxiesMade,
    Queued,
    Role,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    RunStopped,
    SampleAnswered,
    SampleShown,
    Shadowed,
    StageFinished,
    StageStarted,
    Step,
    Verified,
)
from engine.record.foremost import foremost
from engine.record.stage_view import StageView
from engine.record.state import RunState

MAX_MESSAGES = 1_000
"""Lines of the log that are kept, the newest ones."""


class LogLine(NamedTuple):
    """A line of the run's log."""

    time: float
    """Seconds since the epoch, UTC."""
    level: str
    """info or warning."""
    text: str


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
        """name, classes, class_names, train, test, clean, poisoned."""
        self.model: dict[str, Any] = {}
        """name, parameters, taps, mean, std."""
        self.config_sha256 = ""
        self.attention: dict[str, Any] = {}
        """operator, p: how the recorded maps were made."""
        self.origin: dict[str, Any] = {}
        """How the suspect's file is made up; empty where it came from none."""
        self.zoo: dict[str, Any] = {}
        """name, made, precision, sha256 of the zoo's suspect that the run takes; empty where it takes none."""
        self.unfit: dict[str, str] = {}
        """Of the defenses that were asked for, those that the network cannot bear, and why."""
        self.proxies: ProxiesMade | None = None
        """The triggers that were made up for the suspect; None where there are none (yet)."""
        self.attacked = True
        """Whether there is a trigger, and with it an ASR, an RA and a base rate."""
        self.schema = SCHEMA
        """That of the nadtui that wrote the record."""
        self.plan: tuple[PlannedStage, ...] = ()
        self.stages: dict[str, StageView] = {}
        """By name, in the order of the plan; what no plan names comes last."""
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
    def status(self) -> RunState:
        """What the newest events say of the run; whether its process still lives, they cannot tell."""
        known = (
            (self.failure is not None, RunState.FAILED),
            (self.stopped is not None, RunState.STOPPED),
            (self.finished is not None, RunState.FINISHED),
            (self.queued is not None, RunState.QUEUED),
            (self._paused, RunState.PAUSED),
            (bool(self.run), RunState.RUNNING),
            (self.events > 0, RunState.PREPARING),
        )
        return next((status for holds, status in known if holds), RunState.NEW)

    @property
    def ended(self) -> bool:
        """Whether nothing more comes, unless the run is resumed."""
        return self.status.ended

    @property
    def writable(self) -> bool:
        """Whether this version can go on with the record: it writes that schema, and no other."""
        return self.schema == SCHEMA

    @property
    def stage(self) -> StageView | None:
        """The stage under way; None between stages and where none is."""
        return next((stage for stage in self.stages.values() if stage.state == "running"), None)

    def by_role(self, role: Role) -> list[StageView]:
        """The stages of that role, in the order of the plan."""
        return [stage for stage in self.stages.values() if stage.role == role]

    @property
    def suspect(self) -> StageView | None:
        """The stage of the model under suspicion; None where there is no plan (yet)."""
        return next(iter(self.by_role("suspect")), None)

    @property
    def purified(self) -> list[StageView]:
        """The stages of the models that defenses make of the suspect, in the order of the plan."""
        return self.by_role("purified")

    @property
    def foremost(self) -> StageView | None:
        """That of the purified models which stands for the run where there is room for one."""
        name = foremost(self.plan)
        return None if name is None else self.stages.get(name)

    @property
    def defenses(self) -> tuple[str, ...]:
        """The names of those that purify, in the order of the plan."""
        return tuple(dict.fromkeys(stage.defense for stage in self.purified))

    @property
    def taps(self) -> tuple[str, ...]:
        """The names of the model's taps, in their order."""
        known = self.model.get("taps")
        return tuple(str(tap) for tap in known) if isinstance(known, list) else ()

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
        if name not in self.stages:
            self.stages[name] = self._blank(name)
        return self.stages[name]

    def _blank(self, name: str) -> StageView:
        """The stage of that name as the plan knows it, before anything happened in it."""
        planned = next((stage for stage in self.plan if stage.name == name), None)
        return StageView(name) if planned is None else StageView(name, planned.role, planned.defense, planned.needs)

    def _work(self, event: Event) -> float:
        return max(0.0, event.time - self._lag)

    def _on_run_started(self, event: RunStarted) -> None:
        self.run, self.schema = event.run, event.schema
        self.config, self.environment = _table(event.config), _table(event.environment)
        self.dataset, self.model = _table(event.dataset), _table(event.model)
        self.config_sha256, self.attacked, self.plan = event.config_sha256, event.attacked, event.plan
        self.attention, self.origin = _table(event.attention), _table(event.origin)
        self.zoo, self.unfit = _table(event.zoo), _table(event.unfit)
        self.stages = {stage.name: self._blank(stage.name) for stage in event.plan}
        self.started = self._lag = event.time
        self._held = None

    def _on_run_resumed(self, event: RunResumed) -> None:
        self.failure = self.stopped = self.finished = self._held = None
        self._paused = False
        self.environment = _table(event.environment) or self.environment
        stage = self._stage(event.stage)
        if stage.finished is None or event.epoch < stage.finished.epochs:
            stage.drop_after(event.epoch, event.step)
        names = list(self.stages)
        for name in names[names.index(event.stage) + 1 :]:
            self.stages[name] = self._blank(name)
        # The clock goes on where the work that is kept ended.
        self._lag = event.time - max(stage.began + stage.worked for stage in self.stages.values())

    def _on_stage_started(self, event: StageStarted) -> None:
        self._stage(event.stage).start(event, self._work(event))

    def _on_step(self, event: Step) -> None:
        self._stage(event.stage).add_step(event, self._work(event))

    def _on_evaluation(self, event: Evaluation) -> None:
        self._stage(event.stage).add_evaluation(event, self._work(event))

    def _on_curve_point(self, event: CurvePoint) -> None:
        self._stage(event.stage).curve.append(event)

    def _on_attention(self, event: AttentionCaptured) -> None:
        self._stage(event.stage).add_attention(event)

    def _on_answer(self, event: SampleAnswered) -> None:
        self._stage(event.stage).add_answer(event)

    def _on_health(self, event: AttentionHealth) -> None:
        self._stage(event.stage).add_health(event)

    def _on_chosen(self, event: Chosen) -> None:
        self._stage(event.stage).add_choice(event)

    def _on_isolated(self, event: Isolated) -> None:
        self._stage(event.stage).isolated = event

    def _on_verified(self, event: Verified) -> None:
        self._stage(event.stage).verified[event.test] = event

    def _on_proxies_made(self, event: ProxiesMade) -> None:
        self.proxies = event

    def _on_shadowed(self, event: Shadowed) -> None:
        self._stage(event.stage).add_shadow(event)

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
    SampleAnswered: RunView._on_answer,
    CurvePoint: RunView._on_curve_point,
    AttentionHealth: RunView._on_health,
    Chosen: RunView._on_chosen,
    Isolated: RunView._on_isolated,
    StageFinished: RunView._on_stage_finished,
    Verified: RunView._on_verified,
    ProxiesMade: RunView._on_proxies_made,
    Shadowed: RunView._on_shadowed,
    SampleShown: RunView._on_sample,
    Preparing: RunView._on_preparing,
    Queued: RunView._on_queued,
    Message: RunView._on_message,
    RunPaused: RunView._on_paused,
    RunFinished: RunView._on_finished,
    RunFailed: RunView._on_failed,
    RunStopped: RunView._on_stopped,
}
