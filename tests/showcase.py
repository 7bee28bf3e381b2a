"""A recorded run that looks like a real one: smooth curves, maps of three sizes, a trigger that lights up.

Drawn by formulas, so that it is the same on every machine; free of torch. Snapshots and the README's screenshots
show it.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.events import (
    AttentionCaptured,
    AttentionHealth,
    Evaluation,
    Event,
    Message,
    RunFinished,
    SampleShown,
    StageFinished,
    StageStarted,
    Step,
)
from engine.figures import TapHealth
from engine.record.codec import encode
from engine.record.summary import summarize
from engine.record.view import fold
from tests.scripted_run import CONFIG, metrics, run_started, timed

NAMES = ["stop", "yield", "no entry", "priority", "speed 30", "speed 50", "keep right", "bumps", "no U-turn", "tram"]
TAPS = (("group1", 32, 500.0), ("group2", 16, 1000.0), ("group3", 8, 1000.0))
SAMPLES = 4
SIDE = 32


def record(
    *, epochs: Sequence[int] = (8, 6, 10), stages: int = 3, until: int | None = None, shift: float = 0.0
) -> list[Event]:
    """A run's events: `stages` of its three stages, the whole list or its first `until` events.

    `shift` sets a run's figures off from another's: the share by which its epochs come later.
    """
    script: list[Event] = [
        run_started(
            config={**CONFIG, "distill": {"operator": "sum_p", "p": 2.0}},
            dataset={
                "name": "signs",
                "classes": 10,
                "class_names": NAMES,
                "train": 10_000,
                "test": 2_000,
                "clean": 500,
            },
        ),
        *(sample(number) for number in range(SAMPLES)),
    ]
    for name, count in list(zip(("attack", "teacher", "nad"), epochs, strict=True))[:stages]:
        script += _stage(name, count, shift)
    if stages == 3:
        script.append(RunFinished(seconds=120.0, peak_memory=700 * 2**20))
    return timed(script[:until] if until else script, every=0.5)


def write(root: Path, events: Sequence[Event], name: str = "20231114-221320-badnets-signs-s0") -> Path:
    """A run folder with this record, as a process that is gone has left it."""
    folder = root / name
    (folder / "checkpoints").mkdir(parents=True)
    config = "preset: badnets\nseed: 0\ndata: {name: signs}\n"
    (folder / "config.yaml").write_text(config)
    (folder / "events.jsonl").write_text("".join(encode(event) + "\n" for event in events))
    view = fold(events)
    if view.status == "finished":
        (folder / "summary.json").write_text(json.dumps(summarize(view)))
    return folder


def figures(stage: str, epoch: float, epochs: int) -> tuple[float, float]:
    """ACC and ASR after that epoch."""
    done = epoch / epochs
    if stage == "attack":
        return 97.2 - 60 * math.exp(-4 * done), 99.8 - 90 * math.exp(-6 * done)
    floor, speed = (12.0, 3.0) if stage == "teacher" else (1.2, 5.0)
    return 96.6 - 3 * math.exp(-3 * done), floor + (99.8 - floor) * math.exp(-speed * done)


def _stage(name: str, epochs: int, shift: float) -> Iterator[Event]:
    steps = 40 if name == "attack" else 8
    yield StageStarted(stage=name, epochs=epochs, steps=steps)
    if name == "nad":
        yield Message(text="every tap takes part in the loss")
        yield _health(0)
    for epoch in range(1, epochs + 1):
        for part in range(1, 5):
            yield _step(name, epoch, (epoch - 1) * steps + part * steps // 4, epochs * steps)
        acc, asr = figures(name, epoch * (1 - shift), epochs)
        yield Evaluation(stage=name, epoch=epoch, step=epoch * steps, metrics=metrics(acc, asr), final=epoch == epochs)
        for number in range(SAMPLES):
            yield from _maps(name, epoch, number, _erased(name, epoch, epochs))
    if name == "nad":
        yield _health(epochs)
    yield StageFinished(
        stage=name,
        metrics=metrics(*figures(name, epochs * (1 - shift), epochs)),
        checkpoint=f"checkpoints/{name}.safetensors",
        sha256="0" * 64,
        epochs=epochs,
        seconds=epochs * 4.5,
        evaluation_seconds=epochs * 0.5,
        images_per_second=1_650.0,
    )


def _step(name: str, epoch: int, step: int, total: int) -> Step:
    entropy = 0.05 + 2.0 * math.exp(-5 * step / total) * (1 + 0.1 * math.sin(7 * step))
    parts = {"cross-entropy": entropy}
    if name == "nad":
        parts |= {tap: 0.3 / (place + 1) * math.exp(-3 * step / total) for place, (tap, _, _) in enumerate(TAPS)}
    return Step(
        stage=name,
        epoch=epoch,
        step=step,
        loss=sum(parts.values()),
        parts=parts,
        lr=0.1 * (1 - step / total),
        images_per_second=1_650.0,
    )


def _health(epoch: int) -> AttentionHealth:
    shares = (0.21, 0.34, 0.18) if epoch == 0 else (0.05, 0.09, 0.0)
    taps = [
        TapHealth(tap=tap, height=side, width=side, beta=beta, loss=share * 2, share=share, gradient=share * 3)
        for (tap, side, beta), share in zip(TAPS, shares, strict=True)
    ]
    return AttentionHealth(stage="nad", epoch=epoch, taps=tuple(taps))


def _erased(name: str, epoch: int, epochs: int) -> float:
    """How far the trigger is from lighting up, 0-1."""
    return {"attack": 0.0, "teacher": 0.8}.get(name, 1.0) * (1 - math.exp(-4 * epoch / epochs))


@functools.cache
def sample(number: int) -> SampleShown:
    """A disc on a background, with a checkered patch in the corner as its trigger."""
    clean, triggered = bytearray(), bytearray()
    for y in range(SIDE):
        for x in range(SIDE):
            pixel = _pixel(number, x, y)
            clean += bytes(pixel)
            patch = x >= SIDE - 5 and y >= SIDE - 5
            triggered += bytes([255 * ((x + y) % 2)] * 3 if patch else pixel)
    return SampleShown(
        sample=number,
        index=17 * number + 3,
        label=number + 1,
        height=SIDE,
        width=SIDE,
        clean=bytes(clean),
        triggered=bytes(triggered),
    )


def _pixel(number: int, x: int, y: int) -> tuple[int, int, int]:
    distance = math.hypot(x - 15.5, y - 14.5)
    if distance < 8:
        return 240, 240, 235
    if distance < 12:
        return ((200, 30, 40), (30, 90, 190), (210, 150, 20), (40, 130, 70))[number % 4]
    return 70 + 2 * y, 95 + 2 * y, 120 - y


@functools.cache  # many tests show the same run, and this is the larger part of its making
def _maps(stage: str, epoch: int, number: int, erased: float) -> tuple[AttentionCaptured, ...]:
    return tuple(_map(stage, epoch, number, erased, place) for place in range(len(TAPS)))


def _map(stage: str, epoch: int, number: int, erased: float, place: int) -> AttentionCaptured:
    tap, side, _ = TAPS[place]
    clean = [_attention(side, x, y, 0.0, number) for y in range(side) for x in range(side)]
    triggered = [_attention(side, x, y, 1.6 * (1 - erased), number) for y in range(side) for x in range(side)]
    peak = max(*clean, *triggered)
    return AttentionCaptured(
        stage=stage,
        epoch=epoch,
        sample=number,
        tap=tap,
        height=side,
        width=side,
        peak=round(peak * (1 + place), 4),
        clean=bytes(round(255 * value / peak) for value in clean),
        triggered=bytes(round(255 * value / peak) for value in triggered),
    )


def _attention(side: int, x: int, y: int, trigger: float, number: int) -> float:
    across, down = (x + 0.5) / side, (y + 0.5) / side
    sign = math.exp(-((math.hypot(across - 0.5, down - 0.47) - 0.22 - 0.02 * number) ** 2) / 0.02)
    corner = math.exp(-((across - 0.92) ** 2 + (down - 0.92) ** 2) / 0.01)
    return 0.15 + 0.85 * sign + trigger * corner
