"""How fast this machine is at each hot path, in images a second, measured in turns so that its moods cancel out.

Costs are stated in image steps: one image through the bare model step (WRN-16-1, forward, backward, SGD, batch 128,
default precision, all cores), so that they hold on any machine. `whole_job` states that of a whole run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from engine import models
from engine.attacks.base import AttackContext
from engine.attacks.sig import Sig
from engine.attention.maps import attention_loss
from engine.config.presets import resolve
from engine.control import Control
from engine.data.augment import Augment
from engine.defenses.nad.objective import NadObjective
from engine.defenses.nad.settings import DistillSettings
from engine.device import Device, choose
from engine.errors import RequestError
from engine.events import RunFinished, outcome
from engine.models.inference import as_input, freeze, predict
from engine.record.codec import encode
from engine.running.pipeline import run as run_job
from engine.running.processor_queue import processors
from engine.running.request import RunRequest
from engine.settings import TrainingSettings
from engine.training.loop import Batch, Loop, augmentation, cross_entropy

IMAGES, CLASSES, SIDE = 2_048, 10, 32
"""A stand-in for CIFAR-10: its content does not matter to the speed."""
MODEL = "wrn-16-1"
BATCH = 128
"""Images of the bare step."""
JOB = "badnets"
"""The preset of the whole job: the README's first command."""
UNIT_S = 5.0
"""Seconds for which the bare step is measured, before the whole job and after it."""


@dataclass(frozen=True)
class BenchRow:
    """One hot path."""

    name: str
    images_per_second: float
    ratio: float | None
    """Against the path it is compared with, the median over the turns; None for none."""
    note: str
    image_steps: float | None = None
    """What it costs in all, where that is the question."""


@dataclass(frozen=True)
class _Path:
    name: str
    note: str
    work: Callable[[], int]
    """Does a short piece of work; returns how many images it was."""
    against: str | None = None


def run(seconds: float = 60.0, device: str = "auto", precision: str = "auto") -> Iterator[BenchRow]:
    """Measure every hot path for its share of about `seconds`, all of them in turns; rows come at the end.

    Raises:
        engine.errors.RequestError: the device or the precision is not to be had.
    """
    paths = _paths(choose(device, precision))
    for path in paths:
        path.work()
    speeds: dict[str, list[float]] = {path.name: [] for path in paths}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(speeds[paths[0].name]) < 3:
        for path in paths:
            since = time.perf_counter()
            images = path.work()
            speeds[path.name].append(images / (time.perf_counter() - since))
    for path in paths:
        ratio = None
        if path.against:
            pairs = zip(speeds[path.name], speeds[path.against], strict=True)
            ratio = statistics.median(mine / other for mine, other in pairs)
        yield BenchRow(path.name, statistics.median(speeds[path.name]), ratio, path.note)


def whole_job(device: str = "auto", precision: str = "auto", *, preset: str = JOB) -> BenchRow:
    """What a whole default run costs, from its data to its summary, nothing taken from the cache.

    Its wall clock, less what the interpreter and torch take to start, times the bare step's rate before and after it.

    Raises:
        engine.errors.RequestError: the device or the precision is not to be had.
    """
    where = choose(device, precision)
    torch.set_num_threads(len(processors()))
    path = _bare_step(*_images(where), where)
    before = _rate(path)
    config = resolve(preset, overrides=[{"device": device, "precision": precision}])
    with tempfile.TemporaryDirectory(prefix="nadtui-bench-") as folder:
        since = time.perf_counter()
        *_, end = run_job(RunRequest(config, Path(folder), cache=False))
        seconds = time.perf_counter() - since
    if not isinstance(end, RunFinished):
        raise RequestError(f"the whole job came to no end: {getattr(end, 'message', end.kind)}")
    rate = (before + _rate(path)) / 2
    note = f"nadtui run --preset {preset}, {seconds:.0f} s, {where.precision}"
    return BenchRow("whole job", rate, None, note, image_steps=seconds * rate)


def _rate(path: _Path) -> float:
    """Images a second of one path alone, for a few seconds."""
    path.work()
    images, since = 0, time.perf_counter()
    while time.perf_counter() - since < UNIT_S:
        images += path.work()
    return images / (time.perf_counter() - since)


def _paths(device: Device) -> list[_Path]:
    """The hot paths over one resident set of images."""
    images, labels = _images(device)
    return [
        _bare_step(images, labels, device),
        _attack_stage(images, labels, device),
        _distillation(images, labels, device),
        _evaluation(images, device),
        _augmentation(images, device),
        _trigger(images, labels),
        _attention(device),
    ]


def _images(device: Device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, (IMAGES,), generator=generator)
    return images.to(device.torch), labels.to(device.torch)


def _model(device: Device) -> nn.Module:
    return models.build(MODEL, CLASSES, seed=0).to(device.torch, memory_format=torch.channels_last)


def _loop(images, labels, device: Device, settings: TrainingSettings, model: nn.Module, objective) -> Loop:
    augment = augmentation(settings.augment, mirror=True)
    return Loop(
        "bench", model, objective, images, labels, settings, augment=augment, seed=0, device=device, control=Control()
    )


def _bare_step(images, labels, device: Device) -> _Path:
    settings = TrainingSettings(batch_size=BATCH)
    loop = _loop(images, labels, device, settings, _model(device), cross_entropy)
    batch = Batch(as_input(images[: settings.batch_size]), labels[: settings.batch_size], torch.Generator())
    loop.model.train()

    def work() -> int:
        steps = IMAGES // settings.batch_size
        for _ in range(steps):
            loop.step(batch, 0.01)
        _settle(device)
        return steps * settings.batch_size

    return _Path("bare model step", f"{MODEL}, one resident batch of {settings.batch_size}, {device.precision}", work)


def _attack_stage(images, labels, device: Device) -> _Path:
    loop = _loop(images, labels, device, TrainingSettings(epochs=10_000), _model(device), cross_entropy)

    def work() -> int:
        for event in loop.run_epoch():
            encode(event)
        return IMAGES

    return _Path("attack stage", "the same with order, augmentation, loss report, events", work, "bare model step")


def _distillation(images, labels, device: Device) -> _Path:
    settings = DistillSettings(training=TrainingSettings(epochs=10_000, batch_size=64))
    teacher = freeze(_model(device))
    student = _model(device)
    objective = NadObjective(settings, teacher, teacher, student.tap_names)
    loop = _loop(images[: IMAGES // 2], labels[: IMAGES // 2], device, settings.training, student, objective)

    def work() -> int:
        for event in loop.run_epoch():
            encode(event)
        return IMAGES // 2

    return _Path("distillation stage", "student and teacher, attention loss on three groups, batch 64", work)


def _evaluation(images, device: Device) -> _Path:
    model = _model(device)

    def work() -> int:
        predict(model, images, device)
        return IMAGES

    return _Path("evaluation", "forward passes without gradients", work)


def _augmentation(images, device: Device) -> _Path:
    augment, generator = Augment(crop=4, flip=True, cutout=9), torch.Generator().manual_seed(0)

    def work() -> int:
        for chunk in images.split(256):
            augment(chunk, generator)
        _settle(device)
        return IMAGES

    return _Path("augmentation", "crop, flip and cutout of batches of 256", work)


def _trigger(images, labels) -> _Path:
    trigger = outcome(Sig().build(AttackContext(images, labels, CLASSES, 0)))

    def work() -> int:
        trigger(images)
        return IMAGES

    return _Path("trigger", "SIG over a whole set", work)


def _attention(device: Device) -> _Path:
    shapes = ((16, 32), (32, 16), (64, 8))
    taps = [torch.rand(256, channels, side, side, device=device.torch) for channels, side in shapes]

    def work() -> int:
        for tap in taps:
            attention_loss(tap, tap)
        _settle(device)
        return 256

    return _Path("attention loss", "three groups of WRN-16-1, forward", work)


def _settle(device: Device) -> None:
    """Wait for work that was only queued."""
    if device.torch.type == "cuda":
        torch.cuda.synchronize()
    elif device.torch.type == "mps":
        torch.mps.synchronize()
