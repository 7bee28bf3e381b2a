"""The one training loop: over uint8 images that lie on the device, augmented batch by batch.

Everything drawn in an epoch comes from generators seeded by (seed, epoch), so that a loop which begins again after
epoch k draws what the uninterrupted one would have drawn; nothing random has to be saved.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.control import Control
from engine.data.augment import Augment
from engine.device import Device
from engine.errors import StageError
from engine.events import Event, Step
from engine.models.inference import as_input, reestimating
from engine.settings import AugmentSettings, ScheduleSettings, TrainingSettings
from engine.training.averaging import Average
from engine.training.steps import OptimizerFactory, TrainStep, as_set, descend, restore_state, shorten, state_of

REPORT_SECONDS = 0.25
"""Least time between two `Step` events."""


@dataclass(frozen=True)
class Batch:
    """What an objective is given for one step."""

    images: Tensor
    """float [B, 3, H, W] in [0, 1], augmented, channels_last."""
    labels: Tensor
    """int64 [B]."""
    generator: torch.Generator
    """For whatever the objective draws (CPU)."""
    done: float = 0.0
    """Share of the training that lies before it, below 1."""


@contextmanager
def own_draws(seed: int, epoch: int, number: int, device: Device) -> Iterator[None]:
    """Whatever a network itself draws in a step (dropout) comes from a seed of that step's; torch's global generators
    are as they were afterwards."""
    cuda = [torch.cuda.current_device()] if device.torch.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(epoch_generator(seed, epoch, 4).initial_seed() + number)
        if cuda:
            torch.cuda.manual_seed(seed + 1_009 * epoch + number)
        yield


def batch_of(images: Tensor, labels: Tensor) -> Batch:
    """A batch outside any epoch, whose objective draws nothing that matters."""
    return Batch(images, labels, torch.Generator())


class Objective(Protocol):
    """What a stage minimizes."""

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss's summands by name, scalars; the loop minimizes their sum."""
        ...


@dataclass
class Progress:
    """How far a loop has come, for whoever saves it between two steps."""

    epoch: int = 0
    """Epochs finished."""
    step: int = 0
    """Steps done of the epoch under way."""
    train_seconds: float = 0.0
    train_images: int = 0


def learning_rate(schedule: ScheduleSettings, lr: float, step: int, steps_per_epoch: int, epochs: float) -> float:
    """The rate of step number `step` (from 0) in a loop of `epochs` x `steps_per_epoch` steps; `lr` is the peak."""
    total = steps_per_epoch * epochs
    if schedule.name == "constant":
        return lr
    if schedule.name == "step":
        return lr * schedule.gamma ** sum(step >= m * steps_per_epoch for m in schedule.milestones)
    rise = schedule.warmup * total
    if step < rise:
        return lr * (step + 1) / (rise + 1)
    share = (step - rise) / max(1.0, total - rise)
    return lr * (1 - share) if schedule.name == "one-cycle" else lr * (1 + math.cos(math.pi * share)) / 2


def augmentation(settings: AugmentSettings, mirror: bool) -> Augment:
    """The settings as a function on batches; a data set whose labels mirroring would change is never flipped."""
    return Augment(crop=settings.crop, flip=settings.flip and mirror, cutout=settings.cutout)


def epoch_generator(seed: int, epoch: int, stream: int) -> torch.Generator:
    """The CPU generator of one epoch's draws, one for each stream."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch * 9_176 + stream * 77 + 5) % 2**63)


@dataclass(frozen=True)
class Draws:
    """The generators of one epoch."""

    order: torch.Generator
    """For the order of the images, then for their augmentation."""
    objective: torch.Generator
    """A stream of its own: two objectives, one of which draws, still see the same batches."""

    @classmethod
    def of(cls, seed: int, epoch: int) -> Draws:
        """As they are when the epoch begins."""
        return cls(epoch_generator(seed, epoch, 0), epoch_generator(seed, epoch, 1))

    def state(self) -> dict[str, Tensor]:
        """How far they have come."""
        return {"order": self.order.get_state(), "objective": self.objective.get_state()}

    def restore(self, state: Mapping[str, Tensor]) -> Draws:
        """Themselves, as far as `state` had come."""
        self.order.set_state(state["order"])
        self.objective.set_state(state["objective"])
        return self


class Loop:
    """A stage's training, epoch by epoch, on images [N, 3, H, W] uint8 and labels [N] that lie on the device."""

    def __init__(
        self,
        stage: str,
        model: nn.Module,
        objective: Objective,
        images: Tensor,
        labels: Tensor,
        settings: TrainingSettings,
        *,
        augment: Augment,
        seed: int,
        device: Device,
        control: Control,
        optimizer: OptimizerFactory = as_set,
        step: TrainStep = descend,
        advice: str = "a lower learning rate usually helps",
        beside: nn.Module | None = None,
        keep: Callable[[Loop], None] | None = None,
        end: Callable[[nn.Module], object] | None = None,
    ) -> None:
        """`advice`: what usually helps where the loss diverges; `beside`: what learns together with the model; `keep`
        saves the loop's state, called between two steps before it holds still or ends; `end` is done to the model
        after its last step."""
        self.stage = stage
        self.model = model
        self.objective = objective
        self.images = images
        self.labels = labels
        self.settings = settings
        self.augment = augment
        self.seed = seed
        self.device = device
        self.control = control
        self.advice = advice
        self.progress = Progress()
        self._keep = keep
        self._end = end
        self._draws: Draws | None = None
        """Those of the epoch under way."""
        self.steps_per_epoch = steps_a_pass(len(images), settings.batch_size)
        self._beside = beside
        self._all = model if beside is None else nn.ModuleDict({"model": model, "beside": beside})
        self.optimizer = optimizer(self._all, settings)
        if settings.clip is not None:
            shorten(self.optimizer, settings.clip)
        self._step = step
        self._average = Average(settings.average)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """One pass over the images in a drawn order, the last batch as large as what is left; a single image that is
        left joins the batch before."""
        draws = Draws.of(self.seed, epoch)
        for chosen in self._chosen(draws):
            yield self._batch(chosen, draws)

    def _chosen(self, draws: Draws) -> list[Tensor]:
        """The places of an epoch's batches, from draws that have not been used yet."""
        order = torch.randperm(len(self.images), generator=draws.order).to(self.images.device)
        return parted(order, self.settings.batch_size)

    def _batch(self, chosen: Tensor, draws: Draws) -> Batch:
        return Batch(as_input(self.augment(self.images[chosen], draws.order)), self.labels[chosen], draws.objective)

    def run_epoch(self) -> Generator[Event, None, None]:
        """Train one epoch, or what is left of it, yielding `Step` events by the clock.

        Raises:
            StageError: the loss is no longer finite.
            engine.control.Stopped: a stop was asked for; `state` tells how far it has come.
        """
        self._all.train()
        epoch = self.progress.epoch
        draws = Draws.of(self.seed, epoch)
        chosen = self._chosen(draws)
        if self._draws is not None:
            draws = self._draws  # those of an epoch that was begun before
        self._draws = draws
        reporter = _Reporter(self, epoch)
        while self.progress.step < len(chosen):
            # Before anything is drawn for the step: a state that is saved here is one between two steps.
            yield from reporter.pauses()
            number = self.progress.step
            before = epoch * self.steps_per_epoch + number
            total = self.steps_per_epoch * self.settings.epochs
            batch = replace(self._batch(chosen[number], draws), done=before / total)
            lr = learning_rate(
                self.settings.schedule,
                self.settings.lr,
                before,
                self.steps_per_epoch,
                self.settings.epochs,
            )
            with own_draws(self.seed, epoch, number, self.device):
                parts = self.step(batch, lr)
            self._average.note(self.model, (before + 1) / total)
            self.progress.step += 1
            self.progress.train_images += len(batch.labels)
            yield from reporter.count(parts, len(batch.labels), lr, last=number + 1 == self.steps_per_epoch)
        self.progress.epoch += 1
        self.progress.step, self._draws = 0, None
        if self.progress.epoch == self.settings.epochs:
            if self._average.laid_over(self.model):
                self._reestimate()
            if self._end is not None:
                self._end(self.model)

    @torch.no_grad()
    def _reestimate(self) -> None:
        """Have the batch norms see what training shows them: by the bare images' statistics a model that learned on
        decoys, say, is brought back near its trigger."""
        with reestimating(self.model) as any_norms:
            for batch in self.batches(self.settings.epochs) if any_norms else ():
                with self.device.autocast():
                    self.objective(self.model, batch)

    def step(self, batch: Batch, lr: float) -> dict[str, Tensor]:
        """One step of the optimizer; the loss's summands, detached."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

        drawn = batch.generator.get_state()

        def losses() -> dict[str, Tensor]:
            # Asked twice in a step, the objective draws the same twice: one batch, looked at from two places.
            batch.generator.set_state(drawn)
            with self.device.autocast():
                return self.objective(self.model, batch)

        return self._step(self.model, self.optimizer, losses)

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """All that the loop needs to go on after the last step: tensors, and numbers as text."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self._beside is not None:
            tensors |= {f"beside.{name}": value for name, value in self._beside.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self._average.state().items()}
        if self._draws is not None:
            tensors |= {f"draws.{name}": value for name, value in self._draws.state().items()}
        kept = state_of(self.optimizer, dict(self._all.named_parameters()))
        tensors |= {f"optimizer.{name}": value for name, value in kept.items()}
        progress = self.progress
        return tensors, {
            "epoch": str(progress.epoch),
            "step": str(progress.step),
            "train_seconds": repr(progress.train_seconds),
            "train_images": str(progress.train_images),
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, str]) -> None:
        """Take up what `state` gave."""
        self.model.load_state_dict(_below("model", tensors))
        if self._beside is not None:
            self._beside.load_state_dict(_below("beside", tensors))
        restore_state(self.optimizer, dict(self._all.named_parameters()), _below("optimizer", tensors))
        self._average.restore(_below("average", tensors), self.model)
        drawn = _below("draws", tensors)
        self.progress = Progress(
            int(numbers["epoch"]),
            int(numbers.get("step", 0)),  # states of before, which were saved at epoch ends alone, have none
            float(numbers["train_seconds"]),
            int(numbers["train_images"]),
        )
        self._draws = Draws.of(self.seed, self.progress.epoch).restore(drawn) if drawn else None

    def keep(self) -> None:
        """Have the state saved, where it is kept anywhere."""
        if self._keep is not None:
            self._keep(self)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix.`, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def steps_a_pass(images: int, size: int) -> int:
    """Steps in which so many images are gone through, in batches of that size."""
    return len(parted(torch.arange(images), size))


def parted(order: Tensor, size: int) -> list[Tensor]:
    """In batches of that size; a batch norm of maps of 1x1 cannot learn from a batch of one."""
    parts = list(order.split(size))
    if size > 1 and len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


class _Reporter:
    """Adds up losses on the device and turns them into a `Step` event a few times a second."""

    def __init__(self, loop: Loop, epoch: int) -> None:
        self._loop = loop
        self._epoch = epoch
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._images = 0
        self._since = self._lap = time.perf_counter()

    def pauses(self) -> Generator[Event, None, None]:
        """Honor a stop or a pause between two steps; a pause does not count as time spent."""
        self._add_up()
        yield from self._loop.control.checkpoint(self._loop.keep)
        now = time.perf_counter()
        self._since += now - self._lap
        self._lap = now

    def _add_up(self) -> None:
        """What has gone by is time spent in training."""
        now = time.perf_counter()
        self._loop.progress.train_seconds += now - self._lap
        self._lap = now

    def count(self, parts: dict[str, Tensor], images: int, lr: float, last: bool) -> Generator[Event, None, None]:
        """Take a step's losses in; yield an event if it is time for one."""
        for name, value in parts.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._steps += 1
        self._images += images
        elapsed = time.perf_counter() - self._since
        if not last and elapsed < REPORT_SECONDS:
            return
        # The one wait for the device: nowhere else does the loop read a value back.
        means = {name: float(value) / self._steps for name, value in self._sums.items()}
        elapsed = time.perf_counter() - self._since
        self._check(means)
        yield Step(
            stage=self._loop.stage,
            epoch=self._epoch + 1,
            step=self._epoch * self._loop.steps_per_epoch + self._loop.progress.step,
            loss=sum(means.values()),
            parts=means,
            lr=lr,
            images_per_second=self._images / max(elapsed, 1e-9),
        )
        self._add_up()
        self._sums, self._steps, self._images = {}, 0, 0
        self._since = self._lap

    def _check(self, means: dict[str, float]) -> None:
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise StageError(
                f"stage {self._loop.stage}: the loss ({', '.join(broken)}) is no longer finite in epoch "
                f"{self._epoch + 1}; {self._loop.advice}"
            )


def cross_entropy(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The attacker's objective, and the plainest of a defender's."""
    return {"ce": nn.functional.cross_entropy(model(batch.images).float(), batch.labels)}
