"""The pipeline: attack, teacher, NAD, further defenses; one stream of events, recorded as it is emitted.

`run` is a generator: whoever iterates it does the work. Nothing is written before the request has proved sound
(`_Preparation`), and each recorded event is on disk before it is yielded.
"""

from __future__ import annotations

import contextlib
import copy
import queue
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from engine import data, defenses, models
from engine.attacks.base import AttackContext, Trigger
from engine.attacks.joint import Joint, objective
from engine.attacks.lab import Workshop
from engine.attention.capture import Capture
from engine.config.run import RunConfig
from engine.control import Control, Stopped
from engine.data.base import ImageData
from engine.data.subset import clean_subset
from engine.defenses.base import Defender, freeze
from engine.defenses.nad import defense
from engine.device import Device, choose, environment, peak_memory
from engine.errors import RequestError, StageError
from engine.evaluation.metrics import live_draw, predict, take
from engine.evaluation.metrics import prepare as prepare_test
from engine.events import (
    Event,
    Message,
    Preparing,
    Queued,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    RunStopped,
    StageFinished,
)
from engine.record.store import RunFolder, read_events
from engine.record.view import fold
from engine.running.mailbox import heard
from engine.running.processor_queue import Claim, check_threads
from engine.running.stages import LEARNED, PRODUCTS, StageRunner, saved_epoch
from engine.settings import ObjectiveSettings
from engine.storage.artifacts import ArtifactCache
from engine.storage.checkpoints import fit, load_foreign, load_weights, save_weights
from engine.training.loop import as_input
from engine.training.objectives import CleanObjective

if TYPE_CHECKING:
    from engine.running.job import RunRequest

TRIGGER = "trigger.safetensors"
ATTACK_VERSION = 1
"""Part of the key of a cached backdoored model: raised when the same settings come to train another model."""


def run(request: RunRequest, control: Control | None = None) -> Generator[Event, None, None]:
    """Run, or resume, one configuration; yields every event, those of the record once they are recorded.

    Raises:
        RequestError: the request is wrong; nothing was written.
    """
    control = control or Control()
    with contextlib.closing(_Preparation(request)) as preparation:
        session = yield from preparation.session(control)
    with session.folder, heard(session.folder.path, control):
        yield from _recorded(session)


@dataclass
class Session:
    """A request that proved sound: its data, its folder, and what of it was done before."""

    request: RunRequest
    config: RunConfig
    control: Control
    device: Device
    data: ImageData
    folder: RunFolder
    finished: dict[str, StageFinished]
    resumed: bool
    """Whether the record has begun: the run was stopped, failed or killed."""

    @property
    def stages(self) -> tuple[str, ...]:
        """The run's stages in their order."""
        return ("attack", "teacher", "nad", *self.config.defenses)


class _Preparation:
    """Everything that can turn out wrong about a request, tried before anything is written."""

    def __init__(self, request: RunRequest) -> None:
        self.request = request
        self._folder: RunFolder | None = None

    def close(self) -> None:
        """Let go of a folder that was opened for a request that then proved wrong."""
        if self._folder is not None:
            self._folder.close()

    def session(self, control: Control) -> Generator[Event, None, Session]:
        """Load the data, check every part of the configuration against it, and open the run folder."""
        config = self.request.config
        if self.request.resume is not None:
            self._folder = RunFolder.open_for_resume(self.request.resume)
        device = choose(config.device, config.precision)
        loaded = yield from load_data(config, control)
        _check(config, loaded)
        folder = self._folder or RunFolder.create(
            self.request.out,
            preset=config.preset,
            dataset=config.data.name,
            seed=config.seed,
            config_yaml=config.to_yaml(),
        )
        self._folder = None
        recorded = read_events(folder.path).events
        return Session(
            request=self.request,
            config=config,
            control=control,
            device=device,
            data=loaded,
            folder=folder,
            finished=_finished_stages(folder, recorded),
            # A run killed between its folder and its first event begins like a new one.
            resumed=any(isinstance(event, RunStarted) for event in recorded),
        )


def load_data(config: RunConfig, control: Control) -> Generator[Event, None, ImageData]:
    """Load the data set in a thread of its own, so that its progress can be told while it loads."""
    reports: queue.SimpleQueue[Preparing] = queue.SimpleQueue()

    def progress(what: str, done: int, total: int) -> None:
        control.check()
        reports.put(Preparing(what=what, done=done, total=total))

    with ThreadPoolExecutor(1, thread_name_prefix="nadtui-data") as loader:
        loading = loader.submit(data.load, config.data, progress)
        while not (loading.done() and reports.empty()):
            with contextlib.suppress(queue.Empty):
                yield reports.get(timeout=0.05)
        return loading.result()


def _check(config: RunConfig, loaded: ImageData) -> None:
    """Refuse what the data set, the model or the given files cannot bear."""
    height, width = loaded.x_train.shape[-2:]
    check_threads(config.threads)
    config.attack.check(loaded.classes, height, width)
    config.attack.choose(loaded.y_train, loaded.classes, config.attack_seed)
    clean_subset(loaded.y_train, config.data.clean_fraction, config.seed, config.data.stratified)
    model = models.build(config.model.name, loaded.classes, seed=0)
    defense.check_taps(model.tap_names, config.distill)
    try:
        defense.refuse_dead_taps(model, as_input(loaded.x_train[: defense.PROBE]), config.distill)
    except StageError as error:
        raise RequestError(str(error)) from None
    if config.student is not None and config.attack.learns:
        raise RequestError(
            f"student = {config.student!r}: the trigger of {config.attack.name} is learned with its model, which a "
            "given one was not"
        )
    for file in (config.student, config.teacher.file):
        if file is not None:
            fit(model, load_foreign(Path(file)), file)


def _finished_stages(folder: RunFolder, recorded: list[Event]) -> dict[str, StageFinished]:
    """The stages that need not be done again: recorded as finished, with their weights in place."""
    return {
        event.stage: event
        for event in recorded
        if isinstance(event, StageFinished) and folder.checkpoint(event.stage).is_file()
    }


def _recorded(session: Session) -> Generator[Event, None, None]:
    """Record and yield the run's events; an error inside a stage becomes the record's last event."""
    runner = StageRunner(session.folder, session.device, session.control)
    try:
        for event in _run(session, runner):
            yield session.folder.append(event)
    except Stopped:
        yield session.folder.append(RunStopped(stage=runner.stage, epoch=runner.epoch))
    except (StageError, RequestError) as error:
        yield session.folder.append(RunFailed(stage=runner.stage, message=str(error)))
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        failed = RunFailed(stage=runner.stage, message=message, traceback=traceback.format_exc())
        yield session.folder.append(failed)


def _run(session: Session, runner: StageRunner) -> Generator[Event, None, None]:
    torch.set_num_threads(check_threads(session.config.threads))
    yield _opening(session)
    with Claim(session.config.threads, session.folder.id, device=str(session.device)) as claim:
        yield from wait_for(claim, session.control)
        yield from _stages(session, runner)
    seconds = sum(event.seconds for event in runner.finished.values())
    yield RunFinished(seconds=seconds, peak_memory=peak_memory(session.device))
    session.folder.write_summary(fold(read_events(session.folder.path).events).summary())


def _opening(session: Session) -> Event:
    if session.resumed:
        stage = next((name for name in session.stages if name not in session.finished), session.stages[-1])
        done = session.finished.get(stage)
        epoch = done.epochs if done else saved_epoch(session.folder.state(stage))
        return RunResumed(stage=stage, epoch=epoch, environment=environment(session.device))
    config, loaded = session.config, session.data
    model = models.build(config.model.name, loaded.classes, seed=0)
    clean = clean_subset(loaded.y_train, config.data.clean_fraction, config.seed, config.data.stratified)
    return RunStarted(
        run=session.folder.id,
        config=config.to_dict(),
        environment=environment(session.device),
        dataset={
            "name": loaded.name,
            "classes": loaded.classes,
            "class_names": list(loaded.class_names),
            "train": len(loaded.x_train),
            "test": len(loaded.x_test),
            "clean": len(clean),
            "fingerprint": loaded.fingerprint,
        },
        model={"name": config.model.name, "parameters": sum(p.numel() for p in model.parameters())},
        stages=session.stages,
    )


def wait_for(claim: Claim, control: Control) -> Generator[Event, None, None]:
    """Queue for the processors; an event whenever the run's place changes."""
    last = None
    while (waiting := claim.poll()) is not None:
        if waiting != last:
            yield Queued(position=waiting.position, holders=waiting.holders)
            last = waiting
        control.wait(0.5)


def _stages(session: Session, runner: StageRunner) -> Generator[Event, None, None]:
    config, loaded, device = session.config, session.data, session.device
    runner.finished = dict(session.finished)
    runner.stage = "attack"
    x_train, y_train = loaded.x_train.to(device.torch), loaded.y_train.to(device.torch)
    lent = workshop(
        config, loaded, device, session.control, session.folder.path / PRODUCTS, recall=session.request.cache
    )
    runner.prepared = lambda: lent.seconds
    context = AttackContext(x_train, y_train, loaded.classes, config.attack_seed, lent)
    trigger = yield from config.attack.build(context)
    runner.every = config.evaluation.every
    runner.show = _shower(session, runner)
    runner.show(trigger)
    yield from runner.capture.samples()
    done_before = "attack" in runner.finished
    backdoored = yield from _attack(session, runner, context, trigger)
    if config.attack.learns:
        yield from runner.capture.samples()
    if not done_before:
        yield from _remarks(session, runner, backdoored)
    freeze(backdoored)
    clean = clean_subset(y_train, config.data.clean_fraction, config.seed, config.data.stratified)
    defender = _defender(session, runner, backdoored, x_train[clean], y_train[clean])
    yield from _defend(session, runner, defender)


def workshop(
    config: RunConfig, loaded: ImageData, device: Device, control: Control, folder: Path, *, recall: bool
) -> Workshop:
    """Where the run's attack trains and optimizes, products kept in `folder`; `recall`: the cache may be read."""
    return Workshop(
        classes=loaded.classes,
        model=config.model.name,
        training=config.training,
        mirror=config.data.mirror,
        device=device,
        control=control,
        folder=folder,
        cache=ArtifactCache(),
        recall=recall,
        data=loaded.fingerprint,
    )


def _shower(session: Session, runner: StageRunner) -> Callable[[Trigger], None]:
    """What puts a trigger on the test images, for all that follows, and keeps it in the run folder."""
    config, loaded, device = session.config, session.data, session.device
    x_test, y_test = loaded.x_test.to(device.torch), loaded.y_test.to(device.torch)
    live = live_draw(y_test, config.evaluation.images)

    def show(trigger: Trigger) -> None:
        runner.trigger = trigger
        runner.test = prepare_test(x_test, y_test, loaded.classes, config.attack, trigger)
        runner.live = take(runner.test, live)
        distill = config.distill
        runner.capture = Capture(runner.test, config.evaluation.samples, distill.operator, distill.p, device)
        # Again on a resume: the run may have been killed before they were recorded.
        save_weights(session.folder.path / TRIGGER, trigger.tensors(), {"attack": config.attack.name})

    return show


def _attack(
    session: Session, runner: StageRunner, context: AttackContext, trigger: Trigger
) -> Generator[Event, None, nn.Module]:
    """The backdoored model: from a file, from the cache, or trained, on the poisoned set or with its trigger."""
    config = session.config
    model = _to(models.build(config.model.name, context.classes, config.attack_seed), session.device)
    joint = config.attack.joint(model, trigger, context)
    if "attack" in runner.finished:
        _recall(runner, joint, session.folder.path / LEARNED)
        return runner.load("attack", model)
    if config.student is not None:
        return (yield from runner.adopt("attack", model, load_foreign(Path(config.student))))
    cache = ArtifactCache()
    key = cache.key(_shapers(session))
    cached = _cached(cache, key, joint) if session.request.cache else None
    if cached is not None:
        _recall(runner, joint, cached.get("learned"))
        weights, _ = load_weights(cached["attack"])
        yield from runner.adopt("attack", joint or model, weights)
        return model
    if joint is None:
        loss = CleanObjective(ObjectiveSettings(mixup=config.training.mixup))
        poisoned = config.attack.poison(context, trigger)
        images, labels = poisoned.images, poisoned.labels
    else:
        loss, images, labels = objective, context.images, context.labels
    yield from runner.train(
        "attack",
        joint or model,
        loss,
        images,
        labels,
        config.training,
        mirror=config.data.mirror,
        seed=config.attack_seed,
    )
    try:
        cache.put("attack", key, session.folder.checkpoint("attack"))
        if joint is not None:
            cache.put("learned", key, session.folder.path / LEARNED)
    except RequestError as error:
        # The run has its model; only the next run will miss it.
        yield Message(level="warning", text=str(error))
    return model


def _remarks(session: Session, runner: StageRunner, backdoored: nn.Module) -> Generator[Event, None, None]:
    """What the attack has to say of the model beside its figures."""
    test = runner.test

    def predicted(images: Tensor) -> Tensor:
        return predict(backdoored, images, session.device)

    for line in session.config.attack.remarks(runner.trigger, predicted, test.clean, test.labels):
        yield Message(text=line)


def _cached(cache: ArtifactCache, key: str, joint: Joint | None) -> dict[str, Path] | None:
    """The cached model's file, and that of its trigger where it learned one, by kind; None unless all are there."""
    found = {kind: cache.get(kind, key) for kind in ("attack", *["learned"] * (joint is not None))}
    return {kind: entry.path for kind, entry in found.items()} if all(found.values()) else None


def _recall(runner: StageRunner, joint: Joint | None, file: Path | None) -> None:
    """Show the trigger that was learned before, where one was."""
    if joint is not None:
        weights, _ = load_weights(file)
        fit(joint.learner, weights, file)
        runner.show(joint.trigger())


def _shapers(session: Session) -> dict[str, object]:
    """Everything that shaped the backdoored model: the key of its artifact."""
    config = session.config
    return {
        "version": ATTACK_VERSION,
        "data": session.data.fingerprint,
        "mirror": config.data.mirror,
        "model": config.model.name,
        "attack": config.attack.model_dump(mode="json", exclude={"seed"}),
        "files": config.attack.digest(),
        "training": config.training.model_dump(mode="json"),
        "seed": config.attack_seed,
        "device": session.device.torch.type,
        "precision": session.device.precision,
    }


def _to(model: nn.Module, device: Device) -> nn.Module:
    return model.to(device.torch, memory_format=torch.channels_last)


def _defender(session: Session, runner: StageRunner, backdoored: nn.Module, images: Tensor, labels: Tensor) -> Defender:
    config = session.config

    def fresh() -> nn.Module:
        model = copy.deepcopy(backdoored)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return model

    def train(stage, model, objective, settings, watch=None):  # the types are engine.defenses.base.Train's
        return runner.train(
            stage,
            model,
            objective,
            images,
            labels,
            settings,
            mirror=config.data.mirror,
            # All defenses share one seed: NAD and fine-tuning are paired on the same batches.
            seed=2 * config.seed + (1 if stage == "teacher" else 2),
            watch=watch,
        )

    return Defender(
        backdoored=backdoored,
        fresh=fresh,
        images=images,
        labels=labels,
        classes=session.data.classes,
        device=session.device,
        train=train,
    )


def _defend(session: Session, runner: StageRunner, defender: Defender) -> Generator[Event, None, None]:
    config = session.config
    if config.teacher.file is None:
        teacher = yield from defense.make_teacher(defender, config.teacher)
    else:
        weights = load_foreign(Path(config.teacher.file))
        teacher = yield from runner.adopt("teacher", defender.fresh(), weights)
    yield from defense.distill(defender, teacher, config.distill)
    for name, settings in config.defenses.items():
        yield from defenses.module(name).defend(defender, settings, config.distill)
