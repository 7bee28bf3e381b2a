"""One stage, whatever it trains: begun, resumed, measured at epoch ends, saved, and finished once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from engine.attacks.joint import Joint
from engine.control import Stopped
from engine.data.base import fingerprint
from engine.defenses.base import LabeledImages, Watch
from engine.evaluation.metrics import Answers
from engine.evaluation.paired import change
from engine.events import AttentionHealth, CurvePoint, Event, ProxiesMade, StageFinished, StageStarted, Verified
from engine.figures import Change, Metrics
from engine.record.layout import LEARNED
from engine.running.doubts import check_finite, doubt_of, no_better_than_chance
from engine.running.kept_answers import keep_answers, recalled_answers
from engine.running.observer import Observer, Seen, Stopwatch
from engine.running.passes import Passes
from engine.running.plan import SUSPECT, epochs_fields, seed_of
from engine.running.session import Session
from engine.settings import TrainingSettings
from engine.storage.checkpoints import fit, load_weights, save_weights
from engine.training.loop import Loop, Objective, augmentation
from engine.training.steps import OptimizerFactory, TrainStep, as_set, descend

LIVE = 10
"""Live evaluations of a stage at most, where the configuration leaves it open."""


class StageRunner:
    """Runs the stages of a session. A stage already finished in its folder is loaded, not run."""

    def __init__(self, session: Session, observer: Observer) -> None:
        self.session = session
        self.observer = observer
        self.folder = session.folder
        self.finished: dict[str, StageFinished] = dict(session.finished)
        self.stage = "preparation"
        """The stage under way, for whoever records how a run ended."""
        self.epoch = 0
        """Epochs of it that are finished and saved."""
        self.step = 0
        """Steps of the next that are done and saved."""
        self.measured = sum(event.seconds for event in session.recorded if isinstance(event, Verified | ProxiesMade))
        """Seconds spent on measurements beside the stages, those before a resume included."""
        self.passes = Passes(tuple(session.data.x_train.shape[-2:]))
        """What the stage under way has cost so far, those before a resume included."""
        self.spent: defaultdict[str, float] = defaultdict(float)
        """By stage, seconds of work beside its training and evaluation: of optimizations, of an attack's products."""

    def enter(self, stage: str) -> None:
        """From now on what happens belongs to that stage."""
        self.stage, self.epoch, self.step = stage, 0, 0

    def train(
        self,
        stage: str,
        model: nn.Module,
        objective: Objective,
        data: LabeledImages,
        settings: TrainingSettings,
        *,
        optimizer: OptimizerFactory | None = None,
        step: TrainStep | None = None,
        watch: Watch | None = None,
        beside: nn.Module | None = None,
        end: Callable[[nn.Module], object] | None = None,
    ) -> Generator[Event, None, nn.Module]:
        """Train `model` from the stage's last saved step on; its weights end up in the run folder.

        `beside` learns with it; its weights are kept only as long as the stage lasts. `end` is done to the model after
        its last step.
        """
        self.enter(stage)
        if stage in self.finished:
            return self._as_it_ended(stage, model)
        config = self.session.config
        watched = Stopwatch()
        loop = Loop(
            stage,
            model,
            objective,
            data.images,
            data.labels,
            settings,
            augment=augmentation(settings.augment, config.data.mirror),
            seed=seed_of(self.session.stage(stage), config),
            device=self.session.device,
            control=self.session.control,
            optimizer=optimizer or as_set,
            step=self.passes.counted(step or descend),
            advice=self._advice(stage, settings),
            beside=beside,
            keep=partial(self._keep, watched=watched),
            end=end,
        )
        if self.folder.state(stage).is_file():
            tensors, numbers = load_weights(self.folder.state(stage))
            loop.restore(tensors, numbers)
            watched.seconds = float(numbers["evaluation_seconds"])
            watched.epoch = int(numbers.get("evaluated", numbers["epoch"]))
            self.passes.total = float(numbers.get("image_steps", 0))
        self.epoch, self.step = loop.progress.epoch, loop.progress.step
        steps = loop.steps_per_epoch
        yield StageStarted(stage=stage, epochs=settings.epochs, steps=steps, epoch=self.epoch, step=self.step)
        try:
            yield from self._epochs(loop, watched, watch)
            yield from self._finish(loop, watched)
        except Stopped:
            if (self.epoch, self.step) != (loop.progress.epoch, loop.progress.step):
                self._keep(loop, watched)  # a measurement that was under way is made anew, not the steps before it
            raise
        return model

    def adopt(
        self,
        stage: str,
        model: nn.Module,
        *,
        given: bool = True,
        curve: Mapping[float, Callable[[], nn.Module]] | None = None,
        doubted: bool = False,
    ) -> Generator[Event, None, nn.Module]:
        """Take a ready model for a stage: measured, not trained, and the models on the way to it with it.

        `given`: it came from the cache or a file; else it was edited in this run. `doubted`: whoever adopts it looks
        itself whether it is better than chance.

        Raises:
            StageError: it holds values that are not finite.
        """
        self.enter(stage)
        if stage in self.finished:
            return self._as_it_ended(stage, model)
        yield StageStarted(stage=stage, epochs=0, steps=0)
        watched = Stopwatch()
        for at, make in sorted((curve or {}).items()):
            yield from self._curve_point(stage, at, self.passes.made(make), watched)
        check_finite(stage, model, "it cannot be used")
        seen = yield from self.observer.observe(stage, model, 0, 0, watched, final=True)
        yield self._completed(stage, model, seen, evaluation_seconds=watched.seconds, cached=given)
        if not doubted:
            yield from self._doubt(
                stage, seen.metrics, "it was taken as it was" if given else "its defense left nothing of it"
            )
        return model

    def _doubt(self, stage: str, metrics: Metrics, advice: str) -> Iterator[Event]:
        """A line where the figures are no better than chance; of what stands on a suspect like that, nothing new."""
        labels, before = self.observer.test.labels, self.finished.get(SUSPECT)
        if stage == SUSPECT or before is None or not no_better_than_chance(before.metrics, labels):
            yield from doubt_of(stage, metrics, labels, advice)

    def _advice(self, stage: str, settings: TrainingSettings) -> str:
        """What usually helps against a stage that diverges, by the field to change."""
        field = epochs_fields(self.session.config).get(stage, "").removesuffix("epochs")
        return (
            f"a lower {field}lr (now {settings.lr:g}) usually helps" if field else "a lower learning rate usually helps"
        )

    def _as_it_ended(self, stage: str, model: nn.Module) -> nn.Module:
        self.passes.take()  # what led up to it was counted when it ended
        return self.load(stage, model)

    def load(self, stage: str, model: nn.Module) -> nn.Module:
        """Fill `model` with the weights of a finished stage."""
        weights, _ = load_weights(self.folder.checkpoint(stage))
        fit(model, weights, self.folder.checkpoint(stage))
        return model

    def _curve_point(self, stage: str, at: float, model: nn.Module, watched: Stopwatch) -> Generator[Event, None, None]:
        yield from self.session.control.checkpoint()
        with watched:
            metrics = self.observer.measure(model)
        yield CurvePoint(stage=stage, at=at, metrics=metrics)

    def _epochs(self, loop: Loop, watched: Stopwatch, watch: Watch | None) -> Generator[Event, None, None]:
        """The epochs still to do; each but the last is saved, so that a killed run loses at most one."""
        progress, last = loop.progress, loop.settings.epochs
        every = self.session.config.evaluation.every or math.ceil(last / LIVE)
        if watch is not None and progress.epoch == progress.step == 0 and (taps := watch(loop.model)):
            yield AttentionHealth(stage=loop.stage, epoch=0, taps=taps)
        while progress.epoch < last:
            if progress.step or watched.epoch == progress.epoch:
                yield from loop.run_epoch()
                check_finite(loop.stage, loop.model, loop.advice)  # before it is saved: nobody goes on from a wreck
            done = progress.epoch
            if done == last:
                break
            if done % every == 0:
                step = done * loop.steps_per_epoch
                yield from self.observer.observe(loop.stage, loop.model, done, step, watched, final=False)
            watched.epoch = done
            self._keep(loop, watched)
        if watch is not None:
            yield AttentionHealth(stage=loop.stage, epoch=loop.progress.epoch, taps=watch(loop.model))

    def _keep(self, loop: Loop, watched: Stopwatch) -> None:
        """Save where the training is, to go on from there."""
        check_finite(loop.stage, loop.model, loop.advice)
        tensors, numbers = loop.state()
        numbers |= {"evaluation_seconds": repr(watched.seconds), "evaluated": str(watched.epoch)}
        numbers["image_steps"] = repr(self.passes.total)
        save_weights(self.folder.state(loop.stage), tensors, numbers, within=self.folder.path)
        self.epoch, self.step = loop.progress.epoch, loop.progress.step

    def _finish(self, loop: Loop, watched: Stopwatch) -> Generator[Event, None, None]:
        """The last epoch's figures on all test images: nothing is picked by looking at them."""
        progress = loop.progress
        step = progress.epoch * loop.steps_per_epoch
        seen = yield from self.observer.observe(loop.stage, loop.model, progress.epoch, step, watched, final=True)
        yield self._completed(
            loop.stage,
            loop.model,
            seen,
            epochs=progress.epoch,
            train_seconds=progress.train_seconds,
            evaluation_seconds=watched.seconds,
            images_per_second=progress.train_images / max(progress.train_seconds, 1e-9),
        )
        yield from self._doubt(loop.stage, seen.metrics, f"{loop.advice}, or more epochs (now {progress.epoch})")
        # Only now: a kill before the event is recorded finds the last saved epoch still there.
        self.folder.state(loop.stage).unlink(missing_ok=True)

    def _completed(
        self,
        stage: str,
        model: nn.Module,
        seen: Seen,
        *,
        epochs: int = 0,
        train_seconds: float = 0.0,
        evaluation_seconds: float,
        images_per_second: float = 0.0,
        cached: bool = False,
    ) -> StageFinished:
        """Save the weights and say so."""
        file = self.folder.checkpoint(stage)
        learned = {}
        if isinstance(model, Joint):
            learned = model.learner.state_dict()
            save_weights(self.folder.path / LEARNED, learned, {"stage": stage}, within=self.folder.path)
            model = model.classifier
        weights = model.state_dict()
        name = getattr(model, "name", self.session.config.model.name)  # a reference may be another network
        save_weights(file, weights, {"stage": stage, "model": name}, within=self.folder.path)
        event = StageFinished(
            stage=stage,
            metrics=seen.metrics,
            changes=self._changes(stage, seen.answers),
            checkpoint=str(file.relative_to(self.folder.path)),
            sha256=digest(weights),
            learned=digest(learned) if learned else "",
            epochs=epochs,
            seconds=self.spent[stage] + train_seconds + evaluation_seconds,
            evaluation_seconds=evaluation_seconds,
            images_per_second=images_per_second,
            image_steps=round(self.passes.take()),
            cached=cached,
        )
        self.finished[stage] = event
        return event

    def _changes(self, stage: str, answers: Answers) -> tuple[Change, ...]:
        """Keep a model's answers, and set them beside those of the models that it stands on."""
        test, run = self.observer.test, self.folder.path
        keep_answers(run, stage, answers, test)
        before = {name: recalled_answers(run, name, test) for name in self.session.stage(stage).needs}
        return tuple(change(test, known, answers, name) for name, known in before.items() if known is not None)


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors' shapes and bytes, in the order of their names, in hex."""
    return fingerprint(*(weights[name] for name in sorted(weights)))


def saved_place(state: Path) -> tuple[int, int]:
    """How many epochs of a stage, and steps of the next, are in its saved training state; none where there is none."""
    if not state.is_file():
        return 0, 0
    numbers = load_weights(state)[1]
    return int(numbers["epoch"]), int(numbers.get("step", 0))
