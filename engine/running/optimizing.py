"""Optimization of tensors that are no network (masks, noises, triggers): paused, stopped and resumed like training.

Everything drawn for a step comes from generators seeded by (seed, step), so nothing random has to be saved.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from engine.control import Control
from engine.defenses.base import LabeledImages, Optimize
from engine.device import Device
from engine.errors import RequestError, StageError
from engine.events import Event
from engine.models.inference import as_input
from engine.running.passes import Passes
from engine.storage.checkpoints import load_weights, save_weights
from engine.training.loop import Batch, augmentation, epoch_generator, learning_rate, parted, steps_a_pass
from engine.training.progress import ToldSteps
from engine.training.steps import restore_state, state_of, total

SAVE_S = 10.0
"""Seconds between two savings: a run that is killed loses no more."""
_ORDER, _DRAWS, _AUGMENT = 2, 3, 5
"""Streams of the draws, apart from those of training."""


class Optimization:
    """One optimization, its state in a file: one folder below that of the run."""

    def __init__(
        self,
        ask: Optimize,
        data: LabeledImages,
        file: Path,
        *,
        seed: int,
        device: Device,
        control: Control,
        passes: Passes,
        mirror: bool,
    ) -> None:
        """`mirror`: whether a mirrored image keeps its label."""
        self._ask = ask
        self._data = data
        self._file = file
        self._seed = seed
        self._augment = augmentation(ask.augment, mirror) if ask.augment is not None else None
        self._device = device
        self._control = control
        self._passes = passes
        self._before = passes.total
        self._optimizer = ask.optimizer(list(ask.parameters.values()))
        self._rates = [group["lr"] for group in self._optimizer.param_groups]
        self._done = 0
        self.seconds = 0.0
        """Time spent, by a run that was resumed too."""
        self._saved = time.monotonic()

    def run(self) -> Generator[Event, None, None]:
        """Do the steps that are left; the parameters then hold the result, and so does the file.

        Raises:
            StageError: a loss is no longer finite.
            engine.control.Stopped: a stop was asked for; what is done is saved.
        """
        self._restore()
        name, steps = self._ask.name.replace("-", " "), self._ask.steps
        told = ToldSteps(self._control, name, steps, self._done, lambda _: self._save())
        try:
            while self._done < self._ask.steps:
                since = time.perf_counter()
                with self._passes.counting():
                    self._step()
                self.seconds += time.perf_counter() - since
                if time.monotonic() - self._saved > SAVE_S:
                    self._save()
                yield from told.done()
        except BaseException:
            with suppress(RequestError):  # what ended it comes first
                self._save()  # also where it was stopped: what is done need not be done again
            raise
        self._save()

    def _step(self) -> None:
        with self._device.autocast(), torch.enable_grad():
            parts = self._ask.loss(self._batch(self._done))
        loss = total(parts)
        if not math.isfinite(float(loss.detach())):
            raise StageError(
                f"stage {self._ask.stage}: the loss of {self._ask.name} is no longer finite at step {self._done + 1}"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._set_rates()
        self._optimizer.step()
        if self._ask.project is not None:
            with torch.no_grad():
                self._ask.project()
        self._done += 1

    def _set_rates(self) -> None:
        if self._ask.schedule is not None:
            a_pass = steps_a_pass(len(self._data), self._ask.batch_size)
            factor = learning_rate(self._ask.schedule, 1.0, self._done, a_pass, self._ask.steps / a_pass)
            for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
                group["lr"] = factor * rate

    def _batch(self, step: int) -> Batch:
        """The batch of one step: passes over the clean images, each in an order of its own."""
        a_pass = steps_a_pass(len(self._data), self._ask.batch_size)
        turn, number = divmod(step, a_pass)
        order = torch.randperm(len(self._data), generator=epoch_generator(self._seed, turn, _ORDER))
        chosen = parted(order, self._ask.batch_size)[number].to(self._data.labels.device)
        images = self._data.images[chosen]
        if self._augment is not None:
            images = self._augment(images, epoch_generator(self._seed, step, _AUGMENT))
        return Batch(as_input(images), self._data.labels[chosen], epoch_generator(self._seed, step, _DRAWS))

    def _check(self) -> None:
        """Refuse what has values that are not finite: nobody goes on from it, nor takes it for done."""
        for name, parameter in self._ask.parameters.items():
            if not bool(parameter.isfinite().all()):
                raise StageError(f"stage {self._ask.stage}: {name} of {self._ask.name} is no longer finite")

    def _save(self) -> None:
        self._check()
        tensors = {f"parameter.{name}": value.detach() for name, value in self._ask.parameters.items()}
        kept = state_of(self._optimizer, self._ask.parameters)
        tensors |= {f"optimizer.{name}": value for name, value in kept.items()}
        save_weights(
            self._file,
            tensors,
            {
                "step": str(self._done),
                "seconds": repr(self.seconds),
                "image_steps": repr(self._passes.total - self._before),
            },
            within=self._file.parent.parent,
        )
        self._saved = time.monotonic()

    def _restore(self) -> None:
        if not self._file.is_file():
            return
        tensors, numbers = load_weights(self._file)
        with torch.no_grad():
            for name, parameter in self._ask.parameters.items():
                parameter.copy_(tensors[f"parameter.{name}"])
        kept: dict[str, Tensor] = {
            name.removeprefix("optimizer."): value for name, value in tensors.items() if name.startswith("optimizer.")
        }
        restore_state(self._optimizer, self._ask.parameters, kept)
        self._done, self.seconds = int(numbers["step"]), float(numbers["seconds"])
        self._passes.total += float(numbers.get("image_steps", 0))
