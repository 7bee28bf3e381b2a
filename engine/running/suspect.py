"""The suspect: trained by the run's attack, recalled from the cache, or taken from a file."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine import models, zoo
from engine.attacks.base import Attack, AttackContext, PoisonedSet, Trigger
from engine.attacks.joint import Joint, objective
from engine.defenses.base import LabeledImages
from engine.errors import RequestError
from engine.events import Event, Message
from engine.models.inference import freeze, predict
from engine.record.layout import LEARNED, PRODUCTS
from engine.running.doubts import preprocessing_doubts
from engine.running.lending import lend
from engine.running.plan import SUSPECT
from engine.running.session import Session
from engine.running.stages import StageRunner
from engine.settings import ObjectiveSettings
from engine.storage.artifacts import ArtifactCache
from engine.storage.checkpoints import fit, load_weights
from engine.training.objectives import CleanObjective
from engine.zoo.contents import load

VERSION = 2
"""Part of the key of a cached suspect: raised when the same settings come to train another model."""


def make_suspect(session: Session, runner: StageRunner) -> Generator[Event, None, Suspect]:
    """The suspect, frozen, with whatever is known of the attack on the test images from now on."""
    runner.enter(SUSPECT)
    attack = session.config.attack
    if attack is None:
        runner.observer.show(None)
        yield from runner.observer.samples()
        model = yield from _from_file(session, runner)
        return Suspect(freeze(model))
    lab = lend(
        session.config,
        session.data,
        session.network,
        session.device,
        session.control,
        session.folder.path / PRODUCTS,
        session.conveniences.cache,
        recall=session.request.cache,
    )
    train = session.train
    context = AttackContext(train.images, train.labels, session.data.classes, session.config.attack_seed, lab)
    if session.config.zoo_name is not None:
        return (yield from _from_zoo(session, runner, context))
    trigger = yield from attack.build(context)
    runner.spent[SUSPECT] = lab.seconds
    runner.observer.show(trigger)
    yield from runner.observer.samples()
    done_before = SUSPECT in runner.finished
    model = yield from _attacked(session, runner, context, trigger)
    if attack.learns:
        yield from runner.observer.samples()
    if not done_before:
        yield from _remarks(session, runner, attack, model)
    return Suspect(freeze(model), context, trigger)


@dataclass(frozen=True)
class Suspect:
    """A model under suspicion, and how its training set came about."""

    model: nn.Module
    """Frozen, in eval mode, on the device."""
    context: AttackContext | None = None
    trigger: Trigger | None = None

    def poisoned_set(self, attack: Attack | None) -> PoisonedSet:
        """What the suspect was trained on, and which images of it are poisoned."""
        assert attack is not None and self.context is not None and self.trigger is not None
        return attack.poison(self.context, self.trigger)


def _from_file(session: Session, runner: StageRunner) -> Generator[Event, None, nn.Module]:
    given = session.given
    assert given is not None
    model = session.build(session.config.attack_seed)
    if SUSPECT in runner.finished:
        return runner.load(SUSPECT, model)
    fit(model, given.tensors, SUSPECT)
    if given.notes:
        yield Message(text=f"suspect: {'; '.join(given.notes)}")
    yield from runner.adopt(SUSPECT, model, doubted=True)
    yield from preprocessing_doubts(session, model)
    return model


def _from_zoo(session: Session, runner: StageRunner, context: AttackContext) -> Generator[Event, None, Suspect]:
    """A suspect ready made, with its trigger."""
    attack, name = session.config.attack, session.config.zoo_name
    assert attack is not None and name is not None
    card = zoo.card(name)
    found = load(card)
    trigger = attack.recalled(found.trigger, context)
    runner.observer.show(trigger)
    yield from runner.observer.samples()
    model = session.build(card.attack_seed)
    if SUSPECT in runner.finished:
        return Suspect(freeze(runner.load(SUSPECT, model)), context, trigger)
    said = ", ".join(
        f"{key.upper()} {figure.value:.1f}" for key, figure in card.figures.items() if key in ("acc", "asr")
    )
    yield Message(text=f"suspect: {name} of the zoo, trained in {card.precision} on {card.made}, {said}")
    if card.data["fingerprint"] != session.data.fingerprint:
        yield Message(level="warning", text=f"{name} was trained on other images of {card.dataset} than these")
    fit(model, found.weights, Path(name))
    yield from runner.adopt(SUSPECT, model)
    return Suspect(freeze(model), context, trigger)


def _attacked(
    session: Session, runner: StageRunner, context: AttackContext, trigger: Trigger
) -> Generator[Event, None, nn.Module]:
    """The model of an attack: from a file, from the cache, or trained, on the poisoned set or with its trigger."""
    if session.config.suspect_file is not None:
        return (yield from _from_file(session, runner))
    attack = session.config.attack
    assert attack is not None
    model = session.build_suspect()
    joint = attack.joint(model, trigger, context)
    if SUSPECT in runner.finished:
        _recall(runner, joint, session.folder.path / LEARNED)
        return runner.load(SUSPECT, model)
    cache = session.conveniences.cache
    key = cache.key(_shapers(session, attack))
    cached = _cached(cache, key, joint) if session.request.cache else None
    if cached is not None:
        try:
            _recall(runner, joint, cached.get("learned"))
            weights, _ = load_weights(cached[SUSPECT])
            fit(model, weights, "the cached suspect")
        except RequestError as error:
            # Whole, but of no use: an older nadtui kept what it had not looked at.
            yield Message(level="warning", text=f"{error}: it is dropped from the cache and made anew")
            for kind in cached:
                cache.drop(kind, key)
            model = session.build_suspect()
            joint = attack.joint(model, trigger, context)
        else:
            yield from runner.adopt(SUSPECT, joint or model)
            yield from _keep(session, cache, key, joint)  # it may come from another cache than the one that keeps
            return model
    yield from _trained(session, runner, joint, model, context, trigger)
    yield from _keep(session, cache, key, joint)
    return model


def _trained(
    session: Session,
    runner: StageRunner,
    joint: Joint | None,
    model: nn.Module,
    context: AttackContext,
    trigger: Trigger,
) -> Generator[Event, None, None]:
    training, attack = session.config.training, session.config.attack
    assert attack is not None
    if joint is not None:
        yield from runner.train(SUSPECT, joint, objective, session.train, training)
        return
    poisoned = attack.poison(context, trigger)
    loss = CleanObjective(ObjectiveSettings(mixup=training.mixup))
    yield from runner.train(SUSPECT, model, loss, LabeledImages(poisoned.images, poisoned.labels), training)


def _keep(session: Session, cache: ArtifactCache, key: str, joint: Joint | None) -> Generator[Event, None, None]:
    files = {SUSPECT: session.folder.checkpoint(SUSPECT)}
    if joint is not None:
        files["learned"] = session.folder.path / LEARNED
    for kind, file in files.items():
        problem = cache.offer(kind, key, file)
        if problem:
            yield Message(level="warning", text=problem)


def _remarks(session: Session, runner: StageRunner, attack: Attack, model: nn.Module) -> Generator[Event, None, None]:
    """What the attack has to say of the model beside its figures."""
    observer = runner.observer
    assert observer.trigger is not None

    def predicted(images: Tensor) -> Tensor:
        return predict(model, images, session.device)

    for line in attack.remarks(observer.trigger, predicted, observer.test.clean, observer.test.labels):
        yield Message(text=line)


def _cached(cache: ArtifactCache, key: str, joint: Joint | None) -> dict[str, Path] | None:
    """The cached model's file, and that of its trigger where it learned one, by kind; None unless all are there."""
    found = {kind: cache.get(kind, key) for kind in (SUSPECT, *["learned"] * (joint is not None))}
    return {kind: entry.path for kind, entry in found.items() if entry} if all(found.values()) else None


def _recall(runner: StageRunner, joint: Joint | None, file: Path | None) -> None:
    """Show the trigger that was learned before, where one was."""
    if joint is not None:
        assert file is not None
        weights, _ = load_weights(file)
        fit(joint.learner, weights, file)
        runner.observer.show(joint.trigger())


def _shapers(session: Session, attack: Attack) -> dict[str, Any]:
    """Everything that shaped the suspect: the key of its artifact. Which fields do, they say themselves."""
    return {
        "version": VERSION,
        "fields": session.config.suspect_shapers(),
        "data": session.data.fingerprint,
        "files": attack.digest(),
        "network": models.identity(session.config.model.name),
        "device": session.device.torch.type,
        "precision": session.device.precision,
    }
