"""A whole run as a scripted list of events, at a fixed clock: what readers of the stream are tested on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.config.run import RunConfig
from engine.events import (
    AttentionCaptured,
    AttentionHealth,
    Evaluation,
    Event,
    Message,
    PlannedStage,
    Preparing,
    RunFinished,
    RunStarted,
    SampleShown,
    StageFinished,
    StageStarted,
    Step,
)
from engine.figures import Metrics, TapHealth
from engine.record.folder import RunFolder
from engine.record.summary import summarize
from engine.record.view import RunView

START = 1_700_000_000.0
"""Seconds since the epoch at which the scripted run starts."""
RUN = "20231114-221320-badnets-signs-s0"
CONFIG = {
    "preset": "badnets",
    "recipe": "default",
    "seed": 0,
    "device": "auto",
    "data": {"name": "signs"},
    "attack": {"name": "badnets", "target": 0, "label_rule": "all-to-one", "poisoning_rate": 0.1},
    "training": {"epochs": 3},
}
PLAN = (
    PlannedStage(name="attack", role="suspect"),
    PlannedStage(name="teacher", role="reference", defense="nad", needs=("attack",)),
    PlannedStage(name="nad", role="purified", defense="nad", needs=("attack", "teacher")),
)


def metrics(acc: float, asr: float, *, images: int = 2_000, eligible: int = 1_800) -> Metrics:
    return Metrics(
        images=images,
        eligible=eligible,
        acc=acc,
        asr=asr,
        ra=100.0 - asr,
        base=0.5,
        acc_ci=(acc - 1, acc + 1),
        asr_ci=(asr - 1, asr + 1),
        ra_ci=(99.0 - asr, 100.0),
        base_ci=(0.2, 1.0),
        class_acc=(acc, acc),
    )


def run_started(**changes: object) -> RunStarted:
    values = {
        "run": RUN,
        "config": CONFIG,
        "environment": {"device": "cpu", "cpu": "A processor", "threads": 2},
        "dataset": {
            "name": "signs",
            "classes": 2,
            "class_names": ["stop", "yield"],
            "train": 10_000,
            "test": 2_000,
            "clean": 500,
        },
        "model": {"name": "wrn-16-1", "parameters": 175_066, "taps": ["group1", "group2", "group3"]},
        "plan": PLAN,
        "config_sha256": "5" * 64,
    }
    return RunStarted(**{**values, **changes})


def stage(name: str, figures: Sequence[tuple[float, float]], *, steps: int = 10, cached: bool = False) -> list[Event]:
    """A stage with one (ACC, ASR) for each epoch; a cached one has a single pair and no epochs."""
    epochs = 0 if cached else len(figures)
    script: list[Event] = [StageStarted(stage=name, epochs=epochs, steps=0 if cached else steps)]
    for epoch in range(1, epochs + 1):
        for step in (steps // 2, steps):
            script.append(
                Step(
                    stage=name,
                    epoch=epoch,
                    step=(epoch - 1) * steps + step,
                    loss=2.0 / epoch,
                    parts={"cross-entropy": 1.5 / epoch, "attention": 0.5 / epoch},
                    lr=0.1,
                    images_per_second=1_650.0,
                )
            )
        if epoch < epochs:
            script += _observed(name, epoch, epoch * steps, figures[epoch - 1], final=False)
    script += _observed(name, epochs, epochs * steps, figures[-1], final=True)
    script.append(
        StageFinished(
            stage=name,
            metrics=metrics(*figures[-1]),
            checkpoint=f"checkpoints/{name}.safetensors",
            sha256="0" * 64,
            epochs=epochs,
            seconds=20.0,
            evaluation_seconds=2.0,
            images_per_second=0.0 if cached else 1_650.0,
            cached=cached,
        )
    )
    return script


def _observed(name: str, epoch: int, step: int, figures: tuple[float, float], *, final: bool) -> list[Event]:
    evaluation = Evaluation(stage=name, epoch=epoch, step=step, metrics=metrics(*figures), final=final)
    return [evaluation, attention(name, epoch)]


def attention(stage: str, epoch: int, *, sample: int = 0, tap: str = "group1") -> AttentionCaptured:
    cells = bytes([0, 85, 170, 255])
    return AttentionCaptured(
        stage=stage, epoch=epoch, sample=sample, tap=tap, height=2, width=2, peak=1.0, clean=cells, triggered=cells
    )


def health(stage: str, share: float = 0.2) -> AttentionHealth:
    tap = TapHealth(tap="group1", height=32, width=32, beta=500.0, loss=0.5, share=share, gradient=1.0)
    return AttentionHealth(stage=stage, epoch=0, taps=(tap,))


def sample() -> SampleShown:
    return SampleShown(sample=0, index=17, label=1, height=1, width=1, clean=bytes(3), triggered=bytes([255, 255, 255]))


def whole_run() -> list[Event]:
    """A finished run of three stages, a second between two events."""
    script: list[Event] = [
        Preparing(what="data set signs"),
        Preparing(what="drawing signs", done=50, total=100),
        run_started(),
        sample(),
        *stage("attack", [(60.0, 90.0), (90.0, 99.0), (97.0, 100.0)]),
        *stage("teacher", [(95.0, 40.0), (96.0, 10.0)]),
        health("nad"),
        *stage("nad", [(94.0, 5.0), (96.5, 1.0)]),
        Message(text="a line of the log"),
        RunFinished(seconds=60.0),
    ]
    return timed(script)


def timed(script: Sequence[Event], *, start: float = START, every: float = 1.0, first: int = 1) -> list[Event]:
    """The events with times and numbers, as recorded ones have; what precedes the record stays without a number."""
    recorded = first
    numbered = []
    for place, event in enumerate(script):
        if isinstance(event, Preparing) and recorded == first:
            numbered.append(dataclasses.replace(event, time=start + place * every))
        else:
            numbered.append(dataclasses.replace(event, time=start + place * every, seq=recorded))
            recorded += 1
    return numbered


def record(
    root: Path, script: Sequence[Event], *, config: RunConfig | None = None, summary: bool = False, seed: int = 0
) -> Path:
    """Record the script's numbered events in a run folder of its own under `root`, as the pipeline would."""
    config = config or RunConfig(preset="badnets", seed=seed, attack={"name": "badnets"})
    view = RunView()
    with RunFolder.create(
        root, preset=config.preset, dataset="signs", seed=config.seed, config_yaml=config.to_yaml()
    ) as folder:
        for event in script:
            if isinstance(event, RunStarted):
                event = dataclasses.replace(event, run=folder.id, config=config.to_dict())
            if event.seq:
                view.apply(folder.append(event))
        if summary:
            folder.write_summary(summarize(view))
    return folder.path


class FakeJob:
    """Plays a script in place of a job; `stop` ends it early with the events given for that."""

    def __init__(
        self,
        script: Sequence[Event | None],
        *,
        error: BaseException | None = None,
        on_stop: Sequence[Event] = (),
        pace: float = 0.0,
    ) -> None:
        self.error: BaseException | None = None
        self.started = False
        self.paused = False
        self.stops = 0
        self._script = script
        self._ends_with = error
        self._on_stop = on_stop
        self._pace = pace

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stops += 1

    def events(self, timeout: float | None = None) -> Iterator[Event | None]:
        for event in self._script:
            if self.stops:
                yield from self._on_stop
                break
            time.sleep(self._pace)
            yield event
        self.error = self._ends_with
