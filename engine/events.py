"""The stream of events a run emits: what every reader, on screen or of the record, is built from.

Frozen dataclasses, numbered and timed when recorded; how a line has them is `engine.record.codec`'s. Free of torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from engine.figures import Change, Cost, Metrics, TapHealth

T = TypeVar("T")

SCHEMA = 2
"""What a record is written in; raised when an older reader would misread it."""

TRAINED = "trained"
"""In a configuration: the suspect is the one that the run's attack makes."""
ZOO = "zoo"
"""The zoo's suspect that belongs to the run's preset, data set, network and attack seed; zoo:NAME = that one."""

Role = Literal["suspect", "reference", "purified", "measurement"]
"""What a stage's model is to the run: the one under suspicion, one that a defense leans on, one that it made of the
suspect, or one that is only measured."""

KINDS: dict[str, type[Event]] = {}
"""The vocabulary, by the name of each kind."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened in a run."""

    kind: ClassVar[str] = ""

    seq: int = 0
    """Position in the run's stream, from 1; 0 before it is recorded."""
    time: float = 0.0
    """Seconds since the epoch, UTC."""

    def __init_subclass__(cls, kind: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = kind
        KINDS[kind] = cls


def outcome(work: Generator[Event, None, T], tell: Callable[[Event], object] | None = None) -> T:
    """What work that yields events comes to at its end; each event is told to `tell`, if there is one."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return end.value
        if tell is not None:
            tell(event)


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """A stage that a run is going to go through; the plan holds them in the order in which they run."""

    name: str
    """Unique in the plan."""
    role: Role
    defense: str = ""
    """Whose stage it is; empty = the suspect's."""
    needs: tuple[str, ...] = ()
    """Names of the stages whose models it stands on."""


@dataclass(frozen=True, kw_only=True)
class Preparing(Event, kind="preparing"):
    """Work before or within a stage that is no training: drawing, downloading, optimizing a trigger."""

    what: str
    done: int = 0
    total: int = 0
    """0 = not known."""


@dataclass(frozen=True, kw_only=True)
class Queued(Event, kind="queued"):
    """The run waits for the machine: other runs hold its processors."""

    position: int
    """Runs to go first: 1 = next."""
    holders: tuple[str, ...] = ()
    """Runs that hold the machine now."""


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event, kind="run-started"):
    """The first event of every record."""

    run: str
    config: dict[str, Any]
    environment: dict[str, Any]
    dataset: dict[str, Any]
    """name, classes, class_names, train, test, clean, fingerprint, size (the images' height and width); poisoned: how
    many training images are, null where that is not counted once and for all."""
    model: dict[str, Any]
    """name, parameters, taps (their names, in order), mean and std (null = the images go in as they are)."""
    plan: tuple[PlannedStage, ...]
    config_sha256: str
    """Hex digest of the settings that shape something."""
    attacked: bool = True
    """Whether there is a trigger. Without one (a suspect of unknown origin) there is no ASR, RA or base, and what is
    shown of a triggered image is empty."""
    attention: dict[str, Any] = field(default_factory=dict)
    """operator, p: how the recorded maps were made."""
    origin: dict[str, Any] = field(default_factory=dict)
    """How the suspect's file is made up (`engine.storage.state_dicts.origin`), and its path; empty = it has none."""
    zoo: dict[str, Any] = field(default_factory=dict)
    """Of the zoo's suspect that the run takes: name, made, precision, sha256; empty where it takes none."""
    unfit: dict[str, str] = field(default_factory=dict)
    """Of the defenses that were asked for, those that the network cannot bear, and why: they are not in the plan."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """The files it began with, by what they are: path, files, bytes, sha256."""
    schema: int = SCHEMA
    """Of the nadtui that wrote it, also where its record was brought up for reading."""


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event, kind="run-resumed"):
    """A stopped or killed run goes on: what was recorded of `stage` after `epoch` and `step` will come again."""

    stage: str
    epoch: int
    step: int = 0
    """Steps that are done of the epoch after it."""
    environment: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    """Settings, by dotted name, that are other than the record's from now on: threads, device, live evaluation."""


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event, kind="stage-started"):
    """A stage begins, or goes on after `epoch` finished epochs and `step` steps of the next."""

    stage: str
    epochs: int
    steps: int
    """Steps an epoch."""
    epoch: int = 0
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class Step(Event, kind="step"):
    """The state of a training loop, a few times a second at most; losses are means since the last such event."""

    stage: str
    epoch: int
    """The epoch under way, from 1."""
    step: int
    """Steps done in the whole stage."""
    loss: float
    parts: dict[str, float]
    """The loss's summands: cross-entropy, attention by tap, anchor."""
    lr: float
    images_per_second: float


@dataclass(frozen=True, kw_only=True)
class Evaluation(Event, kind="evaluation"):
    """A point of the ACC and ASR curves, after `epoch` epochs; epoch 0 = before any training of the stage."""

    stage: str
    epoch: int
    step: int
    metrics: Metrics
    final: bool = False
    """Over all test images (else a fixed draw of them)."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint(Event, kind="curve-point"):
    """The figures, on all test images, of a model on the way from one to another, where `at` of the way is done."""

    stage: str
    at: float
    """As a rule 0-1."""
    metrics: Metrics


@dataclass(frozen=True, kw_only=True)
class SampleShown(Event, kind="sample"):
    """A test image behind the attention maps, clean and triggered: RGB bytes, row by row."""

    sample: int
    index: int
    """Its place in the test set."""
    label: int
    height: int
    width: int
    clean: bytes
    triggered: bytes
    """Empty where there is no trigger."""


@dataclass(frozen=True, kw_only=True)
class AttentionCaptured(Event, kind="attention"):
    """The attention map of one sample at one tap, without and with the trigger: a byte a cell, row by row.

    A byte is 255 x cell / `peak`, `peak` the larger of both maps' maxima, so that the two compare on one scale.
    Without a trigger there is the clean map alone, and `triggered` is empty.
    """

    stage: str
    epoch: int
    sample: int
    tap: str
    height: int
    width: int
    peak: float
    clean: bytes
    triggered: bytes


@dataclass(frozen=True, kw_only=True)
class SampleAnswered(Event, kind="answer"):
    """What a model answers to one sample, without and with the trigger: a class and its softmax, 0-1."""

    stage: str
    epoch: int
    sample: int
    clean: int
    clean_confidence: float
    triggered: int = -1
    """-1 = there is no trigger."""
    triggered_confidence: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AttentionHealth(Event, kind="attention-health"):
    """Every tap's part in the distillation, measured at a stage's first step and after its last epoch."""

    stage: str
    epoch: int
    taps: tuple[TapHealth, ...]


@dataclass(frozen=True, kw_only=True)
class Chosen(Event, kind="chosen"):
    """A defense chose among candidates, by their scores on clean images that it had set apart for that."""

    stage: str
    what: str
    """What was to be chosen: once in a stage."""
    choice: str
    scores: dict[str, float]
    """By candidate; NaN for those that were not tried."""
    image_steps: float = 0.0
    """What the choosing cost."""
    cost: Cost | None = None
    """Of the one that was chosen; None where no budget is kept."""


@dataclass(frozen=True, kw_only=True)
class Isolated(Event, kind="isolated"):
    """What a defense took for poisoned of the poisoned set, counted by the run: the defense does not know."""

    stage: str
    images: int
    """Of the whole poisoned set."""
    isolated: int
    poisoned: int
    """Those that the attacker poisoned."""
    found: int
    """Those of them that are isolated."""

    @property
    def precision(self) -> float:
        """Share of the isolated images that are poisoned, 0-1; NaN where none is isolated."""
        return self.found / self.isolated if self.isolated else math.nan

    @property
    def recall(self) -> float:
        """Share of the poisoned images that are isolated, 0-1; NaN where none is poisoned."""
        return self.found / self.poisoned if self.poisoned else math.nan


@dataclass(frozen=True, kw_only=True)
class Verified(Event, kind="verified"):
    """One measurement of whether the backdoor of a stage's purified model is erased or only asleep."""

    stage: str
    test: str
    """retuning, linear-path, existence, perturbation: once each in a stage."""
    figures: dict[str, float]
    """By name; empty where the model cannot be measured so."""
    points: dict[str, Any] = field(default_factory=dict)
    """Along a way, columns of numbers by name: t, acc, asr."""
    control: dict[str, float] = field(default_factory=dict)
    """The same figures of a clean model; empty where there is none."""
    uncontrolled: str = ""
    """Why there is none."""
    unfit: str = ""
    """Why the model cannot be measured so."""
    seconds: float = 0.0
    image_steps: int = 0
    """What it took, the clean model's part included unless that was kept."""


@dataclass(frozen=True, kw_only=True)
class ProxiesMade(Event, kind="proxies-made"):
    """Triggers were made up for the suspect, from the clean subset alone, and are frozen from here on."""

    target: int
    """The class that they send images to: the one whose latent shift is the shortest."""
    outliers: tuple[float, ...]
    """By class, its latent shift's z-score: the lower, the more it stands out; all 0 where that cannot be told."""
    cells: float
    stands_out: bool
    """Whether its patch, of so many cells (pixels), is small enough to suspect it: else the triggers say little."""
    image_steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Shadowed(Event, kind="shadowed"):
    """By made-up trigger (mask, perturbation), percent of clean images that it sends to its class, after `epoch`."""

    stage: str
    epoch: int
    figures: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Message(Event, kind="message"):
    """A line of the log; level info or warning."""

    text: str
    level: str = "info"


@dataclass(frozen=True, kw_only=True)
class StageFinished(Event, kind="stage-finished"):
    """A stage is done: its last epoch's figures on all test images, and its weights."""

    stage: str
    metrics: Metrics
    checkpoint: str
    """Path inside the run folder."""
    sha256: str
    """Digest of the weights' names, shapes and bytes."""
    epochs: int
    seconds: float
    """Time spent in it, resumed parts included, pauses left out."""
    evaluation_seconds: float
    """The part of `seconds` that went into evaluation and attention maps."""
    images_per_second: float
    """Training images a second while training."""
    image_steps: int = 0
    """What the stage cost: images forward and backward through a network, forward alone a third of one, evaluation left
    out."""
    cached: bool = False
    """Taken from the artifact cache, the zoo or a given file, not trained in this run."""
    learned: str = ""
    """Digest of the trigger that learned with the model; empty where none did."""
    changes: tuple[Change, ...] = ()
    """What it has over each of the models that it stands on: the suspect, its defense's references."""


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event, kind="run-finished"):
    """The last event of a whole record; `summary.json` follows."""

    seconds: float
    peak_memory: int = 0
    """Most bytes held by the process that finished it: of the GPU on cuda, else resident; 0 = not known."""


@dataclass(frozen=True, kw_only=True)
class RunFailed(Event, kind="run-failed"):
    """The run ended by an error in `stage`; `message` is for people, `traceback` for us."""

    stage: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class RunStopped(Event, kind="run-stopped"):
    """The run was stopped on request after `epoch` finished epochs of `stage` and `step` steps of the next."""

    stage: str
    epoch: int
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class RunPaused(Event, kind="run-paused"):
    """The run holds still between two steps (paused), or goes on."""

    paused: bool
