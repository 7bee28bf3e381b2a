"""One stage of a run as its events tell it. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from engine.events import (
    AttentionCaptured,
    AttentionHealth,
    Chosen,
    CurvePoint,
    Evaluation,
    Isolated,
    Role,
    SampleAnswered,
    Shadowed,
    StageFinished,
    StageStarted,
    Step,
    Verified,
)
from engine.figures import Metrics

MAX_POINTS = 4_000
"""Points of one loss curve that are kept; on one more, every second one is dropped."""
MAX_ATTENTION_EPOCHS = 64
"""Epochs of one stage whose attention maps are kept; on one more, every second one is dropped."""

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


@dataclass
class StageView:
    """One stage as far as it is known."""

    name: str
    role: Role | None = None
    """What its model is to the run; None for a stage that the plan does not name."""
    defense: str = ""
    """Whose stage it is; empty = the suspect's, or nobody's."""
    needs: tuple[str, ...] = ()
    """Names of the stages whose models it stands on."""
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
    curve: list[CurvePoint] = field(default_factory=list)
    """Figures of models on the way to this one."""
    attention: dict[int, dict[tuple[int, str], AttentionCaptured]] = field(default_factory=dict)
    """Captures by epoch (rising), then by sample and tap."""
    answers: dict[tuple[int, int], SampleAnswered] = field(default_factory=dict)
    """What the model answers, by epoch and sample."""
    health: list[AttentionHealth] = field(default_factory=list)
    chosen: list[Chosen] = field(default_factory=list)
    """What its defense chose, each thing once."""
    verified: dict[str, Verified] = field(default_factory=dict)
    """By measurement, what became of its model under attack once more."""
    shadows: list[Shadowed] = field(default_factory=list)
    """What made-up triggers do to its model, by rising epoch."""
    isolated: Isolated | None = None
    """What its defense set apart of the poisoned set."""
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
    def whole_epochs(self) -> int:
        """Epochs that are done."""
        if self.state == "finished":
            return min(self.epoch, self.epochs)
        return min(self.step // self.steps, self.epochs) if self.steps else max(0, self.epoch - 1)

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
    def untrained(self) -> bool:
        """Whether it is done without an epoch of training: taken over, or edited."""
        return self.finished is not None and self.finished.epochs == 0

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
        """Begin, or go on after `event.epoch` finished epochs and `event.step` steps of the next."""
        self.steps = event.steps
        self.drop_after(event.epoch, event.step)
        self.state, self.epochs = "running", event.epochs
        self.epoch, self.step = event.epoch, event.epoch * event.steps + event.step
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

    def add_answer(self, event: SampleAnswered) -> None:
        """Keep an answer as long as the maps of its epoch."""
        self.answers[event.epoch, event.sample] = event
        if len(self.answers) > 2 * sum(map(len, self.attention.values())) + 1:
            self.answers = {key: each for key, each in self.answers.items() if key[0] in self.attention}

    def add_shadow(self, event: Shadowed) -> None:
        """Lengthen the curve of the made-up triggers; of two points of one epoch the later stays."""
        self.shadows = [*(known for known in self.shadows if known.epoch != event.epoch), event]

    def add_health(self, event: AttentionHealth) -> None:
        """Keep what was seen of the taps; what is seen again, after a resume, replaces the first."""
        self.health = [*(known for known in self.health if known.epoch != event.epoch), event]

    def add_choice(self, event: Chosen) -> None:
        """Keep a choice; one that is made again, after a resume, replaces the first."""
        self.chosen = [*(known for known in self.chosen if known.what != event.what), event]

    def finish(self, event: StageFinished, work: float) -> None:
        """The stage is done."""
        self.state, self.finished = "finished", event
        self.epoch = event.epochs
        self.step = max(self.step, self.total_steps)
        self.ended = work

    def drop_after(self, epoch: int, step: int = 0) -> None:
        """Forget what was recorded after `epoch` finished epochs and `step` steps of the next: it will come again."""
        done = epoch * self.steps + step
        self.state, self.finished, self.ended, self._pace = "pending", None, None, None
        self.losses = [point for point in self.losses if point.epoch <= epoch or point.step <= done]
        self.last = self.losses[-1] if self.losses else None
        self._seen = len(self.losses) * self._stride
        self.evaluations = [point for point in self.evaluations if point.epoch <= epoch]
        self.attention = {at: maps for at, maps in self.attention.items() if at <= epoch}
        self.answers = {key: each for key, each in self.answers.items() if key[0] <= epoch}
        self.health = [health for health in self.health if health.epoch <= epoch]
        self.shadows = [shadow for shadow in self.shadows if shadow.epoch <= epoch]
        self.curve = []
        self.epoch, self.step = min(self.epoch, epoch + (step > 0)), min(self.step, done)
