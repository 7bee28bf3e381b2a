"""Run folders written from scripted events, for the tests of whatever reads them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from engine.config.presets import resolve
from engine.events import (
    AttentionCaptured,
    Chosen,
    CurvePoint,
    Evaluation,
    Event,
    PlannedStage,
    RunFailed,
    RunFinished,
    RunStopped,
    SampleShown,
    StageFinished,
    Verified,
)
from engine.record.codec import encode
from engine.record.layout import answers_file
from engine.record.summary import summarize
from engine.record.view import fold
from tests import scripted_run

TAPS = (("group1", 32), ("group2", 16), ("group3", 8))


def config(preset: str = "badnets", dataset: str = "signs", seed: int = 0, **overrides: Any) -> dict[str, Any]:
    """A complete configuration in plain types."""
    return resolve(preset, dataset=dataset, overrides=[{"seed": seed}, overrides]).to_dict()


def sample(number: int = 0, side: int = 32) -> SampleShown:
    """A disc on a gradient, and the same with a white corner."""
    clean, triggered = bytearray(), bytearray()
    for y in range(side):
        for x in range(side):
            inside = math.hypot(x - side / 2, y - side / 2) < side / 3
            pixel = (200, 40, 40) if inside else (60, 90 + 3 * y, 140)
            clean += bytes(pixel)
            triggered += bytes((255, 255, 255) if x >= side - 4 and y >= side - 4 else pixel)
    return SampleShown(
        sample=number, index=17, label=1, height=side, width=side, clean=bytes(clean), triggered=bytes(triggered)
    )


def attention(stage: str, epoch: int, lit: float, number: int = 0) -> list[AttentionCaptured]:
    """One map a tap: a disc in the middle, and a corner that the trigger lights up by `lit` (0-1)."""
    maps = []
    for tap, side in TAPS:
        disc = [
            max(0, round(160 - 300 / side * math.hypot(x - side / 2, y - side / 2)))
            for y in range(side)
            for x in range(side)
        ]
        corner = [round(255 * lit) if x >= side - 2 and y >= side - 2 else 0 for y in range(side) for x in range(side)]
        triggered = [max(a, b) for a, b in zip(disc, corner, strict=True)]
        maps.append(
            AttentionCaptured(
                stage=stage,
                epoch=epoch,
                sample=number,
                tap=tap,
                height=side,
                width=side,
                peak=1.0,
                clean=bytes(disc),
                triggered=bytes(triggered),
            )
        )
    return maps


def script(name: str, settings: dict[str, Any], *, end: str = "finished", asr: float = 1.0) -> list[Event]:
    """A whole run, or one that ended or goes on in its second stage; `asr` is what is left after distillation."""
    names = [f"class {number}" for number in range(10)]
    sizes = {"classes": 10, "class_names": names, "train": 10_000, "test": 2_000, "clean": 500}
    started = scripted_run.run_started(
        run=name,
        config=settings,
        dataset={"name": settings["data"]["name"], **sizes},
    )
    attack = scripted_run.stage("attack", [(60.0, 90.0), (90.0, 99.0), (97.0, 100.0)])
    teacher = scripted_run.stage("teacher", [(95.0, 40.0), (96.0, 10.0)])
    nad = scripted_run.stage("nad", [(94.0, 5.0), (96.5, asr)])
    whole: list[Event] = [started, sample()]
    lit = {"attack": 1.0, "teacher": 0.3, "nad": 0.0}
    for events in (attack, teacher, nad):
        for event in events:
            if isinstance(event, AttentionCaptured):
                whole += attention(event.stage, event.epoch, lit[event.stage])
            else:
                whole.append(event)
    whole.append(RunFinished(seconds=60.0))
    if end != "finished":
        cut = next(place for place, event in enumerate(whole) if getattr(event, "stage", "") == "teacher") + 4
        whole = whole[:cut]
    if end == "failed":
        whole.append(RunFailed(stage="teacher", message="the loss is not finite", traceback="Traceback ..."))
    if end == "stopped":
        whole.append(RunStopped(stage="teacher", epoch=1))
    return whole


def write(
    root: Path,
    name: str,
    *,
    end: str = "finished",
    start: float = scripted_run.START,
    asr: float = 1.0,
    **settings: Any,
) -> Path:
    """A run folder under `root`; `end` is finished, failed, stopped, or open (no last word)."""
    values = config(**settings)
    events = scripted_run.timed(script(name, values, end=end, asr=asr), start=start)
    return write_events(root, name, values, events)


def write_events(root: Path, name: str, values: dict[str, Any], events: Sequence[Event]) -> Path:
    """A run folder with these events; a finished one gets its summary."""
    import yaml

    folder = root / name
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (folder / "events.jsonl").write_text("".join(encode(event) + "\n" for event in events))
    if any(isinstance(event, RunFinished) for event in events):
        (folder / "summary.json").write_text(json.dumps(summarize(fold(events))))
    return folder


def renamed(events: Sequence[Event], run: str) -> list[Event]:
    """The same events of a run with another id."""
    return [dataclasses.replace(event, run=run) if hasattr(event, "run") else event for event in events]


PLAN = (
    *scripted_run.PLAN,
    PlannedStage(name="fine-tuning", role="purified", defense="fine-tuning", needs=("attack",)),
)


def side_by_side(*, attacked: bool = True, run: str = scripted_run.RUN, **changes: Any) -> list[Event]:
    """A finished run of two defenses; without a trigger unless it was `attacked`. The second one chose something."""
    settings = {**config(), **changes, **({} if attacked else {"attack": None, "suspect": "/somewhere/given.pt"})}
    curves = {"teacher": [(95.0, 40.0)], "nad": [(94.0, 5.0), (96.5, 1.0)], "fine-tuning": [(93.0, 60.0)]}
    classes = {"name": "signs", "classes": 10, "train": 10_000, "test": 2_000, "clean": 500}
    whole: list[Event] = [
        scripted_run.run_started(run=run, config=settings, plan=PLAN, attacked=attacked, dataset=classes),
        sample(),
        *scripted_run.stage("attack", [(97.0, 100.0)], cached=not attacked),
    ]
    for name, figures in curves.items():
        whole += scripted_run.stage(name, figures)
    chosen = Chosen(stage="fine-tuning", what="bound", choice="4", scores={"2": 0.9, "4": 0.93, "8": 0.91})
    points = [
        CurvePoint(stage="fine-tuning", at=at, metrics=scripted_run.metrics(97.0 - 4 * at, 100.0 - 40 * at))
        for at in (0.0, 0.5, 1.0)
    ]
    whole += [chosen, *points, RunFinished(seconds=60.0)]
    shown = [
        each
        for event in whole
        for each in (attention(event.stage, event.epoch, 0.5) if isinstance(event, AttentionCaptured) else [event])
    ]
    return scripted_run.timed(shown if attacked else [_untriggered(event) for event in shown])


def verified(stage: str) -> list[Verified]:
    """What a verification says of a stage's model: woken without a control, and without an existence coefficient."""
    way = {"t": (0.0, 0.5, 1.0), "acc": (97.0, 90.0, 93.0), "asr": (100.0, 40.0, 60.0)}
    return [
        Verified(stage=stage, test="retuning", figures={"asr_after": 34.5}, control={"asr_after": 1.25}),
        Verified(stage=stage, test="linear-path", figures={"t50": 0.3}, points=way),
        Verified(stage=stage, test="existence", figures={}, unfit="its layers are others"),
        Verified(stage=stage, test="perturbation", figures={"asr": math.nan}, uncontrolled="the zoo has none"),
    ]


def _untriggered(event: Event) -> Event:
    """The event as it is where no trigger is known."""
    if isinstance(event, SampleShown | AttentionCaptured):
        return dataclasses.replace(event, triggered=b"")
    if isinstance(event, Evaluation | StageFinished | CurvePoint):
        nothing = math.nan, math.nan
        figures = dict.fromkeys(("asr", "ra", "base"), math.nan)
        bounds = dict.fromkeys(("asr_ci", "ra_ci", "base_ci"), nothing)
        return dataclasses.replace(event, metrics=dataclasses.replace(event.metrics, eligible=0, **figures, **bounds))
    return event


def keep_answers(run: Path, stage: str, classes: int = 3, *, triggered: bool = True) -> None:
    """Answers of ten images a class: one of each is taken for the next class, all triggered ones for the first."""
    labels = np.repeat(np.arange(classes), 10).astype(np.int32)
    clean = labels.copy()
    clean[9::10] = (labels[9::10] + 1) % classes
    eligible = np.flatnonzero(labels).astype(np.int32)
    kept = {"clean": clean, "labels": labels, "eligible": eligible, "wanted": np.zeros_like(eligible)}
    if triggered:
        kept["triggered"] = np.zeros_like(eligible)
    file = answers_file(run, stage)
    file.parent.mkdir(exist_ok=True)
    save_file(kept, file)
