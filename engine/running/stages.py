"""One stage, whatever it trains: begun, resumed, measured at epoch ends, saved, and finished once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from torch import Tensor, nn

from engine.attacks.base import Trigger
from engine.attacks.joint import Joint
from engine.attention.capture import Capture
from engine.control import Control
from engine.data.base import fingerprint
from engine.defenses.base import Watch
from engine.device import Device
from engine.evaluation.metrics import TestImages, measure
from engine.events import AttentionHealth, Evaluation, Event, Metrics, StageFinished, StageStarted
from engine.record.store import RunFolder
from engine.settings import TrainingSettings
from engine.storage.checkpoints import fit, load_weights, save_weights
from engine.training.loop import Loop, Objective, augmentation

PRODUCTS = "attack"
"""The folder, inside the run's, of what the attack trained and optimized beside its model."""
LEARNED = f"{PRODUCTS}/learned.safetensors"
"""What made the trigger that learned together with the model."""


class StageRunner:
    """Runs stages into a run folder. A stage already finished there is loaded, not run."""

    test: TestImages
    live: TestImages
    """The draw of `test` behind the live curves."""
    capture: Capture
    trigger: Trigger
    """The one on the test images."""
    every: int
    """Epochs between two points of the live curves."""
    show: Callable[[Trigger], None]
    """Makes `test`, `live` and `capture` anew for a trigger that has changed."""

    def __init__(self, folder: RunFolder, device: Device, control: Control) -> None:
        self.folder = folder
        self.device = device
        self.control = control
        self.finished: dict[str, StageFinished] = {}
        self.stage = "preparation"
        """The stage under way, for whoever records how a run ended."""
        self.epoch = 0
        """Epochs of it that are finished and saved."""
        self.prepared: Callable[[], float] = lambda: 0.0
        """Seconds that the attack's own preparation took; they count in the attack stage."""

    def train(
        self,
        stage: str,
        model: nn.Module,
        objective: Objective,
        images: Tensor,
        labels: Tensor,
        settings: TrainingSettings,
        *,
        mirror: bool,
        seed: int,
        watch: Watch | None = None,
    ) -> Generator[Event, None, nn.Module]:
        """Train `model` from the stage's last saved epoch on; its weights end up in the run folder."""
        self.stage, self.epoch = stage, 0
        if stage in self.finished:
            return self.load(stage, model)
        loop = Loop(
            stage,
            model,
            objective,
            images,
            labels,
            settings,
            augment=augmentation(settings.augment, mirror),
            seed=seed,
            device=self.device,
            control=self.control,
        )
        watched = _Stopwatch()
        if self.folder.state(stage).is_file():
            tensors, numbers = load_weights(self.folder.state(stage))
            loop.restore(tensors, numbers)
            watched.seconds = float(numbers["evaluation_seconds"])
            self.epoch = loop.progress.epoch
        yield StageStarted(stage=stage, epochs=settings.epochs, steps=loop.steps_per_epoch, epoch=loop.progress.epoch)
        yield from self._epochs(loop, watched, watch)
        yield from self._finish(loop, watched)
        return model

    def adopt(self, stage: str, model: nn.Module, weights: Mapping[str, Tensor]) -> Generator[Event, None, nn.Module]:
        """Take a ready model for a stage, from the cache or a file: measured, not trained.

        Raises:
            RequestError: the weights do not fit the model.
        """
        self.stage, self.epoch = stage, 0
        if stage in self.finished:
            return self.load(stage, model)
        fit(model.classifier if isinstance(model, Joint) else model, weights, stage)
        yield StageStarted(stage=stage, epochs=0, steps=0)
        watched = _Stopwatch()
        metrics = yield from self._observe(stage, model, 0, 0, watched, final=True)
        yield self._completed(stage, model, metrics, evaluation_seconds=watched.seconds, cached=True)
        return model

    def load(self, stage: str, model: nn.Module) -> nn.Module:
        """Fill `model` with the weights of a finished stage."""
        weights, _ = load_weights(self.folder.checkpoint(stage))
        fit(model, weights, self.folder.checkpoint(stage))
        return model

    def _epochs(self, loop: Loop, watched: _Stopwatch, watch: Watch | None) -> Generator[Event, None, None]:
        """The epochs still to do; each but the last is saved, so that a killed run loses at most one."""
        if watch is not None and loop.progress.epoch == 0:
            yield AttentionHealth(stage=loop.stage, epoch=0, taps=watch(loop.model))
        while loop.progress.epoch < loop.settings.epochs:
            yield from loop.run_epoch()
            done = loop.progress.epoch
            if done == loop.settings.epochs:
                break
            if done % self.every == 0:
                step = done * loop.steps_per_epoch
                yield from self._observe(loop.stage, loop.model, done, step, watched, final=False)
            tensors, numbers = loop.state()
            numbers["evaluation_seconds"] = repr(watched.seconds)
            save_weights(self.folder.state(loop.stage), tensors, numbers)
            self.epoch = done
        if watch is not None:
            yield AttentionHealth(stage=loop.stage, epoch=loop.progress.epoch, taps=watch(loop.model))

    def _observe(
        self, stage: str, model: nn.Module, epoch: int, step: int, watched: _Stopwatch, *, final: bool
    ) -> Generator[Event, None, Metrics]:
        """A point of the curves, and the attention maps that go with it."""
        with watched:
            if isinstance(model, Joint):
                self.show(model.trigger())
            metrics = measure(model, self.test if final else self.live, self.device)
            maps = list(self.capture.maps(stage, epoch, model))
        yield Evaluation(stage=stage, epoch=epoch, step=step, metrics=metrics, final=final)
        yield from maps
        return metrics

    def _finish(self, loop: Loop, watched: _Stopwatch) -> Generator[Event, None, None]:
        """The last epoch's figures on all test images: nothing is picked by looking at them."""
        progress = loop.progress
        step = progress.epoch * loop.steps_per_epoch
        metrics = yield from self._observe(loop.stage, loop.model, progress.epoch, step, watched, final=True)
        yield self._completed(
            loop.stage,
            loop.model,
            metrics,
            epochs=progress.epoch,
            train_seconds=progress.train_seconds,
            evaluation_seconds=watched.seconds,
            images_per_second=progress.train_images / max(progress.train_seconds, 1e-9),
        )
        # Only now: a kill before the event is recorded finds the last saved epoch still there.
        self.folder.state(loop.stage).unlink(missing_ok=True)

    def _completed(
        self,
        stage: str,
        model: nn.Module,
        metrics: Metrics,
        *,
        epochs: int = 0,
        train_seconds: float = 0.0,
        evaluation_seconds: float,
        images_per_second: float = 0.0,
        cached: bool = False,
    ) -> StageFinished:
        """Save the weights and say so."""
        file = self.folder.checkpoint(stage)
        if isinstance(model, Joint):
            save_weights(self.folder.path / LEARNED, model.learner.state_dict(), {"stage": stage})
            model = model.classifier
        weights = model.state_dict()
        preparation = self.prepared() if stage == "attack" else 0.0
        save_weights(file, weights, {"stage": stage, "model": model.name})
        event = StageFinished(
            stage=stage,
            metrics=metrics,
            checkpoint=str(file.relative_to(self.folder.path)),
            sha256=fingerprint(*(weights[name] for name in sorted(weights))),
            epochs=epochs,
            seconds=preparation + train_seconds + evaluation_seconds,
            evaluation_seconds=evaluation_seconds,
            images_per_second=images_per_second,
            cached=cached,
        )
        self.finished[stage] = event
        return event


def saved_epoch(state: Path) -> int:
    """How many epochs of a stage are in its saved training state; 0 where there is none."""
    return int(load_weights(state)[1]["epoch"]) if state.is_file() else 0


class _Stopwatch:
    """Adds up the seconds spent inside it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._since
