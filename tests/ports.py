"""A port made by hand, and who carries out what a defense asks for at it: a run's verbs without a run around them."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.control import Control
from engine.defenses.base import Adopt, Ask, Choose, Defense, Isolate, LabeledImages, Optimize, Port, Train, Work
from engine.device import Device
from engine.events import Event, Step
from engine.figures import TapHealth
from engine.models.inference import freeze
from engine.running.optimizing import Optimization
from engine.running.passes import Passes
from engine.training.loop import Batch, Loop, augmentation
from engine.training.steps import descend, sgd

CPU = Device(torch.device("cpu"), "fp32")
NAMES = ("one", "two", "three", "four", "five")


class Tapped(nn.Module):
    """A network of one to five taps with batch norms, which keeps the images it is trained on and those it is asked
    about: 8x8 at the first tap, 4x4 from the second on."""

    def __init__(self, seed: int = 0, taps: int = 2, pooled: bool = False) -> None:
        """`pooled`: its last tap is taken after pooling, 1x1."""
        super().__init__()
        self.tap_names = NAMES[:taps]
        self.pooled = pooled
        self.seen: dict[bool, list[Tensor]] = {True: [], False: []}
        widths = [3, *range(4, 4 + 2 * taps, 2)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.convs = nn.ModuleList(
                nn.Conv2d(before, after, 3, padding=1, stride=2 if number == 1 else 1)
                for number, (before, after) in enumerate(itertools.pairwise(widths))
            )
            self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
            self.fc = nn.Linear(widths[-1], 3)

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        self.seen[self.training].append(images.detach().clone())
        features, taps = images, []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            tap = conv(features)
            if self.pooled and len(taps) + 1 == len(self.tap_names):
                tap = tap.mean(dim=(2, 3), keepdim=True)
            taps.append(tap)
            features = F.relu(norm(tap))
        return self.fc(features.mean(dim=(2, 3))), tuple(taps)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_with_taps(images)[0]


class Untouchable(nn.Module):
    """A model that must not be asked."""

    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError("asked for logits that no part of the loss needs")


def batch(count: int = 6, seed: int = 0) -> Batch:
    """Images of three classes, as an objective is given them."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand((count, 3, 8, 8), generator=draw)
    labels = torch.randint(0, 3, (count,), generator=draw)
    return Batch(images, labels, torch.Generator().manual_seed(seed + 1))


def clean_images(count: int = 20, seed: int = 3) -> LabeledImages:
    """Images of three classes, as a defense is given them."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 8, 8), generator=draw).to(torch.uint8)
    return LabeledImages(images, torch.randint(0, 3, (count,), generator=draw))


def port(suspect: nn.Module | None = None, *, held: int = 0, poisoned: LabeledImages | None = None) -> Port:
    """All that a defense is handed; `held`: how many of its 20 clean images it has to choose on."""
    suspect = freeze(suspect or Tapped(0))
    clean = clean_images()
    return Port(
        suspect=suspect,
        clean=LabeledImages(clean.images[held:].clone(), clean.labels[held:].clone()),
        held=LabeledImages(clean.images[:held].clone(), clean.labels[:held].clone()),
        classes=3,
        taps=suspect.tap_names,
        device=CPU,
        seed=0,
        _build=Tapped,
        _poisoned=poisoned,
    )


class Driver:
    """Runs a defense at a port, its training in the real loop, and keeps what it asked for and what came of it."""

    def __init__(self, defense: Defense, at: Port | None = None, *, seed: int = 5) -> None:
        """`seed`: of all training, as it is of all purified models in a run."""
        self.defense = defense
        self.port = at or port()
        self.asked: list[Ask] = []
        self.events: list[Event] = []
        self.models: dict[str, nn.Module] = {}
        """What each stage has come to."""
        self.health: dict[str, list[tuple[TapHealth, ...]]] = {}
        """By stage, what its watch saw: at the first step, and after the last epoch."""
        self.curves: dict[str, dict[float, nn.Module]] = {}
        self.scores: dict[str, dict[str, float]] = {}
        """By what was to be chosen."""
        self.isolated: dict[str, Tensor] = {}
        """By stage, the places that were isolated."""
        self._seed = seed

    def run(self) -> nn.Module:
        """What the defense comes to, each of its stages done."""
        work, answer = self.defense.defend(self.port), None
        names = {stage.name for stage in self.defense.stages()}
        while True:
            try:
                said = work.send(answer)
            except StopIteration as end:
                assert set(self.models) == names, "it has to go through the stages that it declares, and no others"
                return end.value
            answer = self._answer(said, names) if isinstance(said, Ask) else self.events.append(said)

    def steps(self, stage: str) -> list[Step]:
        """What its loop told of a stage's training."""
        return [event for event in self.events if isinstance(event, Step) and event.stage == stage]

    def _answer(self, ask: Ask, names: set[str]) -> Any:
        assert ask.stage in names, f"stage {ask.stage!r} is none that it declares"
        self.asked.append(ask)
        match ask:
            case Train():
                return self._train(ask)
            case Adopt():
                self.curves[ask.stage] = {at: make() for at, make in sorted(ask.curve.items())}
                self.models[ask.stage] = ask.model
                return ask.model
            case Optimize():
                return self._optimize(ask)
            case Choose():
                scores = self.scores[ask.what] = {name: ask.score(name) for name in ask.candidates}
                return max(scores, key=lambda name: scores[name])
            case Isolate():
                self.isolated[ask.stage] = ask.places.sort().values
                return self.isolated[ask.stage]
        raise TypeError(f"nobody carries out {type(ask).__name__}")

    def _train(self, ask: Train) -> nn.Module:
        clean, training = ask.data or self.port.clean, ask.settings
        loop = Loop(
            ask.stage,
            ask.model,
            ask.objective,
            clean.images,
            clean.labels,
            training,
            augment=augmentation(training.augment, mirror=True),
            seed=self._seed,
            device=CPU,
            control=Control(),
            optimizer=ask.optimizer or sgd,
            step=ask.step or descend,
            beside=ask.beside,
            end=ask.end,
        )
        watched = self.health.setdefault(ask.stage, [])
        if ask.watch is not None:
            watched.append(ask.watch(ask.model))
        for _ in range(training.epochs):
            self.events += loop.run_epoch()
        if ask.watch is not None:
            watched.append(ask.watch(ask.model))
        self.models[ask.stage] = ask.model
        return ask.model

    def optimized(self, work: Work[Any]) -> Any:
        """What a part of the defense comes to that only optimizes."""
        answer = None
        while True:
            try:
                ask = work.send(answer)
            except StopIteration as end:
                return end.value
            assert isinstance(ask, Optimize)
            answer = self._optimize(ask)

    def _optimize(self, ask: Optimize) -> dict[str, Tensor]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "optimized.safetensors"
            seed, device = self.port.seed, self.port.device
            given = {"seed": seed, "device": device, "control": Control(), "passes": Passes((8, 8)), "mirror": True}
            self.events += Optimization(ask, self.port.clean, file, **given).run()
        return ask.parameters


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A model's weights and buffers as they are now."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def unchanged(model: nn.Module, before: dict[str, Tensor]) -> bool:
    """Whether weights and buffers are what they were, bit by bit."""
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
