"""The stream of events a run emits: what every reader, on screen or of the record, is built from.

Frozen dataclasses, one JSON object a line in `events.jsonl`, numbered and timed when they are recorded. Numbers that
are not finite are written as null and read back as NaN. Unknown kinds are skipped by `from_json`, and unknown fields
dropped, so that readers survive writers newer than they are. Free of torch.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")

SCHEMA = 1

_KINDS: dict[str, type[Event]] = {}
_read = json.JSONDecoder().raw_decode
"""`json.loads` without its wrappers, which cost a third of its time on lines as short as these."""


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
        _KINDS[kind] = cls

    def to_json(self) -> str:
        """One line of strict JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return json.dumps({"kind": self.kind, **plain(values)}, separators=(",", ":"), ensure_ascii=False)


def from_json(line: str) -> Event | None:
    """Read one line of the record.

    Returns None for a kind this version does not know. Raises ValueError for a line that is no event at all: torn,
    not JSON, or without fields that its kind cannot do without.
    """
    try:
        values, end = _read(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if line[end:].strip() or not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise ValueError("not an event")
    cls = _KINDS.get(values.pop("kind"))
    if cls is None:
        return None
    return _build(cls, values)


def outcome(work: Generator[Event, None, T], tell: Callable[[Event], object] | None = None) -> T:
    """What work that yields events comes to at its end; each event is told to `tell`, if there is one."""
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            return end.value
        if tell is not None:
            tell(event)


def plain(value: Any) -> Any:
    """`value` in JSON's own types: dataclasses as tables, bytes as base64, NaN and infinities as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _build(cls: type, values: dict[str, Any]) -> Any:
    """The dataclass with these values, unknown ones dropped; ValueError where they do not fit its fields."""
    revivers, wanted, made_anew = _shape(cls)
    try:
        given = {name: make() for name, make in made_anew.items()}
        for name, value in values.items():
            if name in revivers:
                revive = revivers[name]
                given[name] = value if revive is None else revive(value)
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{cls.__name__}: {error}") from None
    if not given.keys() >= wanted:
        raise ValueError(f"{cls.__name__} without {', '.join(sorted(wanted - given.keys()))}")
    # A frozen dataclass's constructor sets field by field, a seventh of the time of reading a long record.
    event = object.__new__(cls)
    event.__dict__.update(given)
    return event


@cache
def _shape(cls: type) -> tuple[dict[str, Callable[[Any], Any] | None], set[str], dict[str, Callable[[], Any]]]:
    """By field what turns its JSON value into its own type (None: it is); which must be given; what makes defaults.

    A plain default is an attribute of the class: it is found there where the field is not given.
    """
    fields = dataclasses.fields(cls)
    made_anew = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    wanted = {f.name for f in fields if f.default is dataclasses.MISSING}
    return {f.name: _reviver(f.type) for f in fields}, wanted, made_anew


def _reviver(annotation: Any) -> Callable[[Any], Any] | None:
    """What reads a field with that annotation (a string: annotations are postponed here)."""
    special = {
        "float": _number,
        "int": _whole,
        "str": lambda value: _checked(str, value),
        "bool": lambda value: _checked(bool, value),
        "bytes": lambda value: binascii.a2b_base64(value, strict_mode=True),
        "Metrics": Metrics.from_dict,
        "dict[str, float]": lambda value: {key: _number(item) for key, item in value.items()},
        "tuple[TapHealth, ...]": lambda value: tuple(TapHealth.from_dict(item) for item in value),
    }
    if annotation in special:
        return special[annotation]
    if annotation.startswith("tuple["):
        return tuple
    return (lambda value: _checked(dict, value)) if annotation.startswith("dict[") else None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _whole(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"{value!r} is no whole number")


def _checked(wanted: type, value: Any) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"{value!r} is no {wanted.__name__}")
    return value


def _table(cls: type, values: Any) -> Any:
    """Build a nested dataclass from its JSON table, null numbers as NaN, unknown keys dropped."""
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__}: a table is wanted")
    return _build(cls, values)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What a model does on test images. Percentages are 0-100, intervals 95 % Wilson, counts are images.

    `acc` is over all test images; `asr`, `ra` and `base` over the `eligible` ones, those that the attacker wants
    moved: `asr` sends them, triggered, where the attacker wants; `ra` gives them, triggered, their true class; `base`
    sends them there without any trigger. NaN where there are no such images (an attack that is none).
    """

    images: int
    eligible: int
    acc: float
    asr: float
    ra: float
    base: float
    acc_ci: tuple[float, float]
    asr_ci: tuple[float, float]
    ra_ci: tuple[float, float]
    base_ci: tuple[float, float]
    class_acc: tuple[float, ...] = ()
    """ACC of each class, by class id; NaN for a class without test images."""

    @property
    def balanced_acc(self) -> float:
        """Mean of the classes' ACC: beside `acc` where classes are unbalanced."""
        present = [value for value in self.class_acc if not math.isnan(value)]
        return sum(present) / len(present) if present else math.nan

    @classmethod
    def from_dict(cls, values: Any) -> Metrics:
        """Read what `dataclasses.asdict` wrote."""
        if isinstance(values, dict):
            values = {k: _nan(v) if isinstance(v, list) else v for k, v in values.items()}
        return _table(cls, values)

    def to_dict(self) -> dict[str, Any]:
        """JSON's own types."""
        return plain(self)


def _nan(values: list[Any]) -> list[float]:
    return [math.nan if value is None else value for value in values]


@dataclass(frozen=True, kw_only=True)
class TapHealth:
    """How one tap (group) takes part in the distillation."""

    tap: str
    height: int
    width: int
    beta: float
    loss: float
    """beta x attention loss at the first step measured."""
    share: float
    """Its share of the whole loss, 0-1."""
    gradient: float
    """L2 norm of its gradient over the student's parameters."""

    @classmethod
    def from_dict(cls, values: Any) -> TapHealth:
        """Read what `to_json` wrote."""
        return _table(cls, values)


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
    """name, classes, class_names, train, test, clean."""
    model: dict[str, Any]
    """name, parameters."""
    stages: tuple[str, ...]
    schema: int = SCHEMA


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event, kind="run-resumed"):
    """A stopped or killed run goes on: what was recorded of `stage` after `epoch` will come again."""

    stage: str
    epoch: int
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StageStarted(Event, kind="stage-started"):
    """A stage begins, or goes on after `epoch` finished epochs."""

    stage: str
    epochs: int
    steps: int
    """Steps an epoch."""
    epoch: int = 0


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


@dataclass(frozen=True, kw_only=True)
class AttentionCaptured(Event, kind="attention"):
    """The attention map of one sample at one tap, without and with the trigger: a byte a cell, row by row.

    A byte is 255 x cell / `peak`, `peak` the larger of both maps' maxima, so that the two compare on one scale.
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
class AttentionHealth(Event, kind="attention-health"):
    """Every tap's part in the distillation, measured at a stage's first step and after its last epoch."""

    stage: str
    epoch: int
    taps: tuple[TapHealth, ...]


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
    cached: bool = False
    """Taken from the artifact cache or a given file, not trained in this run."""


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
    """The run was stopped on request after `epoch` finished epochs of `stage`; it can be resumed."""

    stage: str
    epoch: int


@dataclass(frozen=True, kw_only=True)
class RunPaused(Event, kind="run-paused"):
    """The run holds still between two steps (paused), or goes on."""

    paused: bool
