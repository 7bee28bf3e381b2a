"""The lab of a run: a clean model, a training loop, and a memory of what is finished, lent to attacks that optimize.

A product (a surrogate's weights, a patch, perturbed images) is made once: it is kept in the run folder, where a resumed
run finds it, and in the artifact cache under the hash of everything that shaped it, where other runs find it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine import models
from engine.attacks.base import Attack, AttackContext, Making, Trigger
from engine.attacks.joint import objective
from engine.control import Control
from engine.data.base import fingerprint
from engine.device import Device
from engine.errors import RequestError, StageError
from engine.events import Event, Message, Preparing, RunPaused, Step
from engine.models.inference import freeze
from engine.settings import AttackTrainingSettings, TrainingSettings
from engine.storage.artifacts import ArtifactCache
from engine.storage.checkpoints import load_weights, save_weights
from engine.training.loop import Loop, Objective, augmentation, cross_entropy
from engine.training.progress import ToldSteps

VERSION = 1
"""Part of every product's key: raised when the same shapers come to make another product."""


@dataclass
class TrainingLab:
    """Trains and optimizes for one attack; without a folder nothing is kept."""

    classes: int
    model: str = "wrn-16-1"
    training: TrainingSettings = field(default_factory=AttackTrainingSettings)
    """How the backdoored model is trained; surrogates are trained likewise."""
    mirror: bool = False
    device: Device = field(default_factory=lambda: Device(torch.device("cpu"), "fp32"))
    control: Control = field(default_factory=Control)
    folder: Path | None = None
    """Where products are kept in the run folder."""
    cache: ArtifactCache | None = None
    recall: bool = True
    """Whether the cache may be read; it is written in any case."""
    data: str | None = None
    """The data set's fingerprint; None = taken from the images when it is needed."""
    build: Callable[[int], nn.Module] | None = None
    """Makes a network of that name on the device, its weights drawn by a seed; None = as `models.build`."""
    seconds: float = 0.0
    """Time spent on the run's products, by a run that was resumed too; pauses, and what others made, left out."""
    _carried: float = field(default=0.0, init=False)
    """Seconds that the product under way took before the run was resumed."""
    _clock: _Clock = field(default_factory=lambda: _Clock(), init=False)
    """That of the product under way."""

    def fresh_model(self, seed: int) -> nn.Module:
        """A network as the backdoored one's, on the device."""
        if self.build is not None:
            return self.build(seed)
        return models.build(self.model, self.classes, seed).to(self.device.torch, memory_format=torch.channels_last)

    def surrogate(self, context: AttackContext, epochs: int | None = None) -> Generator[Event, None, nn.Module]:
        """A model trained on the clean images, frozen and in eval mode; `epochs` None = as the backdoored one."""
        settings = self.surrogate_training(epochs)
        seed = context.seed
        model = self.fresh_model(seed)

        def make() -> Making:
            yield from self.train(
                "surrogate", "training a clean model", model, context.images, context.labels, settings, seed=seed
            )
            return model.state_dict()

        weights = yield from self.product("surrogate", self.shapers_of_surrogate(seed, epochs), context, make)
        # Read back in any case: a surrogate just trained and one recalled are the same to the bit.
        model.load_state_dict(weights)
        return freeze(model)

    def shapers_of_surrogate(self, seed: int, epochs: int | None = None) -> dict[str, Any]:
        """What shapes a surrogate, and with it whatever is optimized on it."""
        return {"model": self.model, "training": self.surrogate_training(epochs).model_dump(mode="json"), "seed": seed}

    def surrogate_training(self, epochs: int | None) -> TrainingSettings:
        """How a model is trained that only the attack needs: as the backdoored one, in `epochs` (None = in as many)."""
        return self.training if epochs is None else self.training.model_copy(update={"epochs": epochs})

    def product(
        self, kind: str, shapers: Mapping[str, Any], context: AttackContext, make: Callable[[], Making]
    ) -> Making:
        """Tensors that take long to make, on the CPU: recalled where they are known, else made and kept.

        `kind` is a short name, `shapers` everything beside data, device and precision that shapes them (JSON values).
        """
        self.data = self.data or fingerprint(context.images, context.labels)
        shaped_by = {"version": VERSION, "data": self.data, "mirror": self.mirror, **shapers}
        shaped_by |= {"device": self.device.torch.type, "precision": self.device.precision}
        key = ArtifactCache.key(shaped_by)
        known = self._recalled(kind, key)
        if known is not None:
            return known
        self._clock, self._carried = _Clock(), 0.0
        tensors = yield from self._clock.time(make())
        broken = _not_finite(tensors)
        if broken is not None:
            raise StageError(
                f"stage attack: {broken} of the {kind} is no longer finite; a lower training.lr (now "
                f"{self.training.lr:g}) usually helps"
            )
        spent = self._spent()
        self.seconds += spent
        if self.folder is not None:
            self._save(self._file(kind), tensors, {"key": key, "seconds": repr(spent)})
            for state in (self._state(kind), self._steps(kind)):
                state.unlink(missing_ok=True)
            yield from self._offer(kind, key)
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}

    def _recalled(self, kind: str, key: str) -> dict[str, Tensor] | None:
        """The product from the run folder, else from the cache, or None."""
        if self.folder is not None and self._file(kind).is_file():
            held = _usable(self._file(kind))
            if held is not None and held[1].get("key") == key:
                self.seconds += float(held[1]["seconds"])
                return held[0]
        cached = self.cache.get(kind, key) if self.cache is not None and self.recall else None
        if cached is None:
            return None
        held = _usable(cached.path)
        if held is None:
            self.cache.drop(kind, key)
            return None
        tensors, _ = held
        if self.folder is not None:
            self._save(self._file(kind), tensors, {"key": key, "seconds": "0.0"})
        return tensors

    def _offer(self, kind: str, key: str) -> Generator[Event, None, None]:
        if self.cache is None:
            return
        problem = self.cache.offer(kind, key, self._file(kind))
        if problem:
            yield Message(level="warning", text=problem)

    def train(
        self,
        kind: str,
        what: str,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        settings: TrainingSettings,
        *,
        seed: int,
        objective: Objective = cross_entropy,
    ) -> Generator[Event, None, nn.Module]:
        """Train `model` for the product `kind`, from its last saved step on; a killed run loses at most an epoch."""
        state = self._state(kind) if self.folder is not None else None

        def keep(loop: Loop) -> None:
            if state is not None:
                tensors, numbers = loop.state()
                self._save(state, tensors, numbers | {"seconds": repr(self._spent())})

        loop = Loop(
            "attack",
            model,
            objective,
            images,
            labels,
            settings,
            augment=augmentation(settings.augment, self.mirror),
            seed=seed,
            device=self.device,
            control=self.control,
            advice=f"a lower training.lr (now {settings.lr:g}) usually helps",
            keep=keep,
        )
        if state is not None and state.is_file():
            tensors, numbers = load_weights(state)
            loop.restore(tensors, numbers)
            self._carried = float(numbers.get("seconds", loop.progress.train_seconds))
        total = settings.epochs * loop.steps_per_epoch
        while loop.progress.epoch < settings.epochs:
            for event in loop.run_epoch():
                yield Preparing(what=what, done=event.step, total=total) if isinstance(event, Step) else event
            keep(loop)  # the last one too: what is optimized on the model may be interrupted
        return model

    def learned(self, attack: Attack, context: AttackContext, trigger: Trigger) -> Generator[Event, None, Trigger]:
        """A trigger that learns with its model, once it has learned: for whoever wants it without a run."""
        joint = attack.joint(self.fresh_model(context.seed), trigger, context)

        def make() -> Making:
            yield from self.train(
                "learned",
                "training the model with its trigger",
                joint,
                context.images,
                context.labels,
                self.training,
                seed=context.seed,
                objective=objective,
            )
            return joint.learner.state_dict()

        settings = attack.model_dump(mode="json", exclude={"seed"})
        shapers = {"attack": settings, **self.shapers_of_surrogate(context.seed)}
        weights = yield from self.product("learned", shapers, context, make)
        joint.learner.load_state_dict(weights)
        return joint.trigger()

    def steps(self, kind: str, what: str, total: int, state: Callable[[], dict[str, Tensor]]) -> ToldSteps:
        """The steps of an optimization of the product `kind`, to be told of and to be paused between.

        `state` gives all that it needs to go on after its last step: saved before the run holds still or ends.
        """
        file = self._steps(kind) if self.folder is not None else None
        if file is None:
            return ToldSteps(self.control, what, total)

        def keep(done: int) -> None:
            self._save(file, state(), {"done": str(done), "seconds": repr(self._spent())})

        before = load_weights(file)[1] if file.is_file() else {"done": "0", "seconds": repr(self._carried)}
        self._carried = float(before["seconds"])
        return ToldSteps(self.control, what, total, int(before["done"]), keep)

    def kept(self, kind: str) -> dict[str, Tensor]:
        """What the optimization of a product had come to when it was interrupted; empty where it begins."""
        file = self._steps(kind) if self.folder is not None else None
        return load_weights(file)[0] if file is not None and file.is_file() else {}

    def _save(self, file: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        assert self.folder is not None
        save_weights(file, tensors, about, within=self.folder.parent)

    def _file(self, kind: str) -> Path:
        return self.folder / f"{kind}.safetensors"

    def _state(self, kind: str) -> Path:
        return self.folder / f"{kind}.state.safetensors"

    def _steps(self, kind: str) -> Path:
        return self.folder / f"{kind}.steps.safetensors"

    def _spent(self) -> float:
        """Seconds that the product under way has taken."""
        return self._clock.now() + self._carried


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of a tensor with a value that is not finite, or None."""
    return next((name for name, each in tensors.items() if not bool(each.isfinite().all())), None)


def _usable(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """A product and what is said of it; None where it cannot be read or holds values that are not finite."""
    try:
        tensors, about = load_weights(path)
    except RequestError:
        return None
    return (tensors, about) if _not_finite(tensors) is None else None


class _Clock:
    """Adds up the seconds that a generator of events works; the pauses among its events do not count."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    def now(self) -> float:
        """Seconds of work so far."""
        return self._seconds + (time.perf_counter() - self._since if self._since is not None else 0.0)

    def time(self, work: Making) -> Making:
        """The work's events and its result."""
        self._since = time.perf_counter()
        while True:
            try:
                event = next(work)
            except StopIteration as end:
                self._seconds, self._since = self.now(), None
                return end.value
            if not (isinstance(event, RunPaused) and event.paused):
                yield event
                continue
            self._seconds, self._since = self.now(), None
            yield event
            # Held inside the generator until it is told to go on.
            yield next(work)
            self._since = time.perf_counter()
