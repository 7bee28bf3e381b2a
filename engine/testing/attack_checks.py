"""What every attack promises. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.attacks.base import Attack, AttackContext, PoisonedSet, Trigger
from engine.attacks.joint import objective
from engine.attacks.lab import TrainingLab
from engine.config.layers import merge
from engine.errors import RequestError
from engine.events import Evaluation, Event, Message, Preparing, StageFinished, StageStarted, outcome
from engine.settings import AttackTrainingSettings
from engine.testing import digests, quick, squares
from engine.testing.contract import ContractBroken, NotTried, differing, granted, listed, one_line, require
from engine.testing.resuming import interrupted
from engine.testing.settings_checks import section
from engine.testing.subject import Subject
from engine.testing.world import NETWORK, Ran

MAY_TELL = (Message, Preparing)
"""The events that an attack may say itself."""
ABOVE = 30
"""Points of ASR above the base rate from which a backdoor counts as planted."""
CHANCE = 100 / squares.CLASSES
EPOCHS = (5, 8, 11)
"""Of the trainings, each with a seed of its own, in which a behavior is tried: figures of so few images are no law."""
WRONG_TARGET = 1_000


# --- what the checks look at ---


def made(subject: Subject, *over: Mapping[str, Any]) -> Attack:
    """The attack with its quick settings, `over` them, and its own."""
    values: dict[str, Any] = {"name": subject.name, **quick.attack(subject.name)}
    for layer in (*over, subject.given):
        values = merge(values, layer)
    try:
        return section(subject).model_validate(values)
    except ValueError as error:
        raise ContractBroken(one_line(f"its settings are not valid: {error}")) from error


@dataclass
class Looked:
    """An attack carried out up to the poisoned set, and all that was noted."""

    attack: Attack
    context: AttackContext
    trigger: Trigger
    poisoned: PoisonedSet
    learned: str
    """Digest of a model and a trigger that learned together; empty where none do."""
    told: list[Event]
    inputs: str
    """Which of the things it was handed were changed."""
    process: str
    """What of the process was otherwise afterwards."""


def looked(subject: Subject, seed: int = 0) -> Looked:
    """That, made once for each seed; NotTried where it ends in an error."""
    return granted(lambda: _looked(subject, seed), "poisons_as_declared")


def _looked(subject: Subject, seed: int = 0) -> Looked:
    return subject.once(("looked", seed), lambda: _look(subject, seed))


def again(subject: Subject) -> Looked:
    """The same once more, made once."""
    return subject.once("again", lambda: _look(subject, 0))


def _look(subject: Subject, seed: int) -> Looked:
    attack, told = made(subject), []
    images = subject.world.images()
    context = _context(images.x_train.clone(), images.y_train.clone(), seed)
    before, process = _handed(context), digests.of_process()
    try:
        trigger = outcome(attack.build(context), told.append)
        poisoned = attack.poison(context, trigger)
        learned = _learned(attack, context, trigger)
        trigger(context.images[:8].clone())
    except Exception as error:
        raise ContractBroken(f"carried out, it ends in {one_line(error)}") from error
    changed = differing(before, _handed(context))
    return Looked(attack, context, trigger, poisoned, learned, told, changed, differing(process, digests.of_process()))


def _context(images: Tensor, labels: Tensor, seed: int) -> AttackContext:
    training = AttackTrainingSettings(epochs=2, batch_size=32, lr=0.05)
    return AttackContext(
        images, labels, squares.CLASSES, seed, TrainingLab(squares.CLASSES, model=NETWORK, training=training)
    )


def _handed(context: AttackContext) -> dict[str, object]:
    given = {"training images": context.images, "training labels": context.labels}
    return {f"the {what}": digests.of_tensors({what: tensor}) for what, tensor in given.items()}


def _learned(attack: Attack, context: AttackContext, trigger: Trigger) -> str:
    lab = context.lab
    joint = attack.joint(lab.fresh_model(context.seed), trigger, context)
    require((joint is not None) == attack.learns, f"it says learns = {attack.learns}, its `joint` says otherwise")
    if joint is None:
        return ""
    settings = lab.surrogate_training(1)
    work = lab.train(
        "joint", "", joint, context.images, context.labels, settings, seed=context.seed, objective=objective
    )
    return digests.of_tensors(outcome(work).state_dict())


# --- the checks ---


def poisons_as_declared(subject: Subject) -> None:
    """As many images are poisoned as its rate says, of the classes and with the labels that its rule says."""
    it = _looked(subject)
    _check_wishes(it.attack, it.context)
    _check_places(it.attack, it.context.labels, it.poisoned)
    _check_contents(it.attack, it.context, it.poisoned)


def _wanted(attack: Attack, labels: Tensor) -> Tensor:
    """The class that the label rule wants for each image, put down here once more."""
    return (
        (labels + 1) % squares.CLASSES if attack.label_rule == "all-to-all" else torch.full_like(labels, attack.target)
    )


def _check_wishes(attack: Attack, given: AttackContext) -> None:
    wanted = _wanted(attack, given.labels)
    require(torch.equal(attack.wanted(given.labels, given.classes), wanted), "`wanted` is not what its label rule says")
    eligible = attack.eligible(given.labels, given.classes)
    require(torch.equal(eligible, wanted != given.labels), "`eligible` is not those images that are not there anyway")


def _check_places(attack: Attack, labels: Tensor, poisoned: PoisonedSet) -> None:
    chosen, covers = poisoned.indices, poisoned.covers
    fit = labels == attack.target if attack.label_rule == "clean-label" else labels != _wanted(attack, labels)
    count = round(attack.poisoning_rate * (int(fit.sum()) if attack.label_rule == "clean-label" else len(labels)))
    require(len(chosen) == count, f"{len(chosen)} images are poisoned, a rate of {attack.poisoning_rate} means {count}")
    for what, places in (("poisoned images", chosen), ("covers", covers)):
        rising = places.dtype == torch.int64 and bool((places.diff() > 0).all())
        require(rising, f"the places of the {what} are not sorted, or there twice, or no int64")
    require(not torch.isin(covers, chosen).any(), "an image is both poisoned and a cover")
    require(bool(fit[chosen].all()), f"images are poisoned that its label rule, {attack.label_rule}, leaves out")


def _check_contents(attack: Attack, given: AttackContext, poisoned: PoisonedSet) -> None:
    chosen, labels = poisoned.indices, given.labels.clone()
    if attack.label_rule != "clean-label":
        labels[chosen] = _wanted(attack, labels)[chosen]
    wrong = int((poisoned.labels != labels).sum())
    require(not wrong, f"{wrong} labels are other than its label rule, {attack.label_rule}, says")
    rest = torch.ones(len(labels), dtype=torch.bool)
    rest[chosen], rest[poisoned.covers] = False, False
    kept = torch.equal(poisoned.images[rest], given.images[rest])
    require(kept, "images are changed that are neither poisoned nor covers")
    changed = not torch.equal(poisoned.images[chosen], given.images[chosen])
    require(changed or not (attack.marks and len(chosen)), "the poisoned images are as they were")


def trigger(subject: Subject) -> None:
    """Its trigger is a pure function of uint8 images: the input untouched, twice the same, and seen if it marks."""
    it = looked(subject)
    images = subject.world.images().x_test[:32].clone()
    kept = images.clone()
    once, twice = it.trigger(images), it.trigger(images)
    require(torch.equal(images, kept), "the trigger writes into the images it is given")
    shape = once.dtype == torch.uint8 and once.shape == images.shape
    require(shape, f"the trigger gives {once.dtype} {tuple(once.shape)} for {images.dtype} {tuple(images.shape)}")
    require(torch.equal(once, twice), "the trigger gives other images the second time")
    alone = torch.cat([it.trigger(part) for part in images.split(5)])
    require(torch.equal(once, alone), "what the trigger makes of an image hangs on the images beside it")
    require(len(it.trigger(images[:0])) == 0, "the trigger makes something of no images")
    marks = not torch.equal(once, images)
    does = "does" if marks else "does not"
    require(marks == it.attack.marks, f"it says marks = {it.attack.marks}, its trigger {does}")
    defines = it.trigger.tensors().values()
    require(all(isinstance(each, Tensor) for each in defines), "`tensors` of its trigger holds more than tensors")


def recalled(subject: Subject) -> None:
    """From what `tensors` of its trigger holds it has the same trigger again, or says that it cannot."""
    it = looked(subject)
    images = subject.world.images().x_test[:32]
    kept = {name: tensor.detach().cpu().clone() for name, tensor in it.trigger.tensors().items()}
    try:
        again = it.attack.recalled(kept, it.context)
    except RequestError as error:
        raise NotTried(one_line(str(error))) from error
    require(torch.equal(again(images.clone()), it.trigger(images.clone())), "recalled, its trigger is another one")
    same = digests.of_tensors(kept) == digests.of_tensors(again.tensors())
    require(same, "recalled, its trigger holds other tensors")
    require(it.attack.remakes == _remakes(subject, again), f"it says remakes = {it.attack.remakes}, which is not so")


def _remakes(subject: Subject, again: Trigger) -> bool:
    """Whether the recalled trigger poisons the training set as the first one did."""
    it, images = looked(subject), subject.world.images()
    try:
        poisoned = it.attack.poison(_context(images.x_train.clone(), images.y_train.clone(), 0), again)
    except RequestError:
        return False
    return torch.equal(poisoned.images, it.poisoned.images)


def events(subject: Subject) -> None:
    """It says nothing itself but messages and preparations: figures and stages come from the run alone."""
    foreign = {event.kind for event in looked(subject).told if not isinstance(event, MAY_TELL)}
    require(not foreign, f"it emits {listed(sorted(foreign))} itself")


def inputs_untouched(subject: Subject) -> None:
    """The training images and labels it is handed are afterwards as before."""
    changed = looked(subject).inputs
    require(not changed, f"it changes {changed}")


def process_untouched(subject: Subject) -> None:
    """Global generators, the number of threads and torch's switches are afterwards as before."""
    changed = looked(subject).process
    require(not changed, f"it changes {changed}")


def same_seed(subject: Subject) -> None:
    """The same seed gives the same bits, another seed poisons other images."""
    one, two, other = looked(subject), again(subject), looked(subject, seed=1)
    wrong = differing(_bits(one), _bits(two))
    require(not wrong, f"the same seed gives other bits the second time, of {wrong}")
    if len(one.poisoned.indices):
        require(not torch.equal(one.poisoned.indices, other.poisoned.indices), "another seed poisons the same images")
    if one.learned:
        require(one.learned != other.learned, "with another seed it learns the same")


def _bits(it: Looked) -> dict[str, object]:
    return {
        "its trigger": digests.of_tensors(it.trigger.tensors()),
        "the poisoned images": digests.of_tensors({"images": it.poisoned.images}),
        "their labels": digests.of_tensors({"labels": it.poisoned.labels, "places": it.poisoned.indices}),
        "what it learns": it.learned,
    }


def resumed(subject: Subject) -> None:
    """Stopped in what it optimizes and after each epoch, and resumed, it ends with the weights of a run left alone."""
    if differing(_bits(looked(subject)), _bits(again(subject))):
        raise NotTried("its bits are others from run to run: see same_seed")
    world = subject.world
    config = world.config({"attack": _plain(made(subject)), "training": {"epochs": 2}})
    whole = world.whole(config, "a run of it", cache=False)

    def here(event: Event) -> bool:
        return isinstance(event, StageStarted | Evaluation | Preparing | StageFinished)

    pieces = interrupted(world, config, here, cache=False)
    halfway = pieces.halfway.get("attack", set())
    require(bool(halfway), "it cannot be stopped between its epochs")
    require(pieces.final["attack"] not in halfway, "its model has the same weights after one epoch and after two")
    ended = world.recorded(pieces.folder)
    require(ended.weights(["attack"]) == whole.weights(["attack"]), "stopped and resumed, it ends with other weights")


def _plain(attack: Attack) -> dict[str, Any]:
    return attack.model_dump(mode="json")


def planted(subject: Subject) -> None:
    """In one of three trainings, each longer than the last, its trigger learns to move images."""
    said = []
    for seed in range(len(EPOCHS)):
        metrics = _strong(subject, seed).finished["attack"].metrics
        require(not math.isnan(metrics.asr), "it says that it marks images, and has no ASR")
        if metrics.asr >= metrics.base + ABOVE:
            return
        said.append(f"ASR {metrics.asr:.0f} over a base of {metrics.base:.0f}")
    raise ContractBroken(f"it plants no backdoor: {', '.join(said)}")


def harmless(subject: Subject) -> None:
    """It says that it marks nothing: its model is accurate in one of three trainings, and there is no ASR."""
    said = []
    for seed in range(len(EPOCHS)):
        metrics = _strong(subject, seed).finished["attack"].metrics
        require(math.isnan(metrics.asr) and math.isnan(metrics.ra), "it marks nothing, and has an ASR")
        if metrics.acc >= CHANCE + ABOVE:
            return
        said.append(f"{metrics.acc:.0f}")
    raise ContractBroken(f"its model is not accurate: ACC {', '.join(said)}")


def _strong(subject: Subject, seed: int) -> Ran:
    looked(subject)
    attack = made(subject, quick.planted(section(subject), subject.name))
    config = subject.world.config({"seed": seed, "attack": _plain(attack), "training": {"epochs": EPOCHS[seed]}})
    return subject.world.whole(config, "a run of it", cache=False)


def refusals(subject: Subject) -> None:
    """A target that is no class, and more images than there are, are refused in one line; images of 8x8 borne or so."""
    looked(subject)
    world, attack = subject.world, made(subject)
    values = _plain(attack)
    if attack.label_rule != "all-to-all":
        wrong = world.config({"attack": {**values, "target": WRONG_TARGET}})
        said = world.refusal(wrong, "a target that is no class")
        require(
            "attack.target" in said, f"a target that is no class is {'refused by another name' if said else 'taken'}"
        )
    said = _refused_rate(subject, values)
    require(bool(said) or attack.label_rule != "all-to-one", "a poisoning rate of 1 is taken, target class and all")
    small = {"attack": values, "data": {"name": world.squares(side=8)}, "training": {"epochs": 1}}
    world.bears(world.config(small), "a run of it on images of 8x8")


def _refused_rate(subject: Subject, values: Mapping[str, Any]) -> str:
    """What is said of a poisoning rate of 1, empty where it is taken."""
    try:
        everything = subject.world.config({"attack": {**values, "poisoning_rate": 1.0}})
    except RequestError as error:
        require("\n" not in str(error), f"a poisoning rate of 1 is refused in more than one line: {error}")
        return str(error)
    return subject.world.refusal(everything, "a poisoning rate of 1")
