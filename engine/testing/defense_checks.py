"""What every defense promises. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from engine.config.layers import merge
from engine.data.base import fingerprint
from engine.defenses.base import Defense, Optimize, Train
from engine.errors import RequestError
from engine.events import Event, Message, PlannedStage, Preparing, RunStarted, StageFinished, StageStarted
from engine.models.inference import as_input
from engine.testing import digests, quick, squares
from engine.testing.bystander import Bystander
from engine.testing.contract import ContractBroken, NotTried, differing, granted, listed, one_line, require
from engine.testing.networks import DeadEnd
from engine.testing.resuming import interrupted
from engine.testing.settings_checks import section
from engine.testing.subject import Subject
from engine.testing.watching import Notes, digests_of_images, watched
from engine.testing.world import CLEAN, Ran

MAY_TELL = (Message, Preparing)
"""The events that a defense may say itself; all others come of what it asks for."""
TRIES = 3
"""Seeds with which a behavior is tried: figures of so few images are no law."""
BATCH = 32
LONGER = 4
"""Epochs where a backdoor is to be erased."""


# --- what the checks look at ---


def made(subject: Subject, epochs: int = quick.EPOCHS) -> Defense:
    """The defense with its quick settings and its own."""
    kind = section(subject)
    try:
        values = merge(quick.defense(kind, subject.name, epochs), subject.given)
        return kind.model_validate(values)
    except ValueError as error:
        raise ContractBroken(one_line(f"its settings are not valid: {error}")) from error


def ran(
    subject: Subject,
    what: str,
    *layers: Mapping[str, Any],
    defense: Defense | None = None,
    before: bool = False,
    after: bool = False,
    cache: bool = True,
) -> Ran:
    """A run with the defense alone, or beside the bystander; the suspect is in the cache."""
    subject.world.suspect()
    others = {"bystander": Bystander()}
    row = {**(others if before else {}), subject.name: defense or made(subject), **(others if after else {})}
    return subject.world.whole(subject.world.config(*layers, defenses=row), what, cache=cache)


@dataclass
class Looked:
    """The first run of a defense, alone, and all that was noted."""

    ran: Ran
    notes: Notes
    process: str
    """What of the process was otherwise afterwards."""


def first(subject: Subject) -> Looked:
    """That run, made once; NotTried where it does not come to its end."""
    return granted(lambda: _first(subject), "plan")


def _first(subject: Subject) -> Looked:
    def look() -> Looked:
        notes = Notes(frozenset(digests_of_images(subject.world.images().x_test)))
        subject.world.suspect()
        before = digests.of_process()
        run = ran(subject, "a run of it", defense=watched(made(subject), notes))
        return Looked(run, notes, differing(before, digests.of_process()))

    return subject.once("first", look)


def names(subject: Subject) -> list[str]:
    """The names of its stages."""
    return [stage.name for stage in made(subject).stages()]


def repeated(subject: Subject) -> Ran:
    """The same run once more, made once; NotTried where its bits are others, so that nothing can be compared."""
    alone = first(subject)
    run = subject.once("again", lambda: ran(subject, "a second run of it"))
    if _weights(subject, run) != _weights(subject, alone.ran):
        raise NotTried("its bits are others from run to run: see same_seed")
    return run


def _weights(subject: Subject, run: Ran) -> dict[str, str]:
    return run.weights(names(subject))


# --- the checks ---


def plan(subject: Subject) -> None:
    """It runs to its end: the stages it declares, in their roles, order and length, and a frozen model."""
    looked, defense = _first(subject), made(subject)
    declared = names(subject)
    (began,) = (event for event in looked.ran.events if isinstance(event, RunStarted))
    planned = tuple(
        PlannedStage(name=stage.name, role=stage.role, defense=subject.name, needs=("attack", *stage.needs))
        for stage in defense.stages()
    )
    require(began.plan[1:] == planned, "the plan of its run holds other stages than it declares")
    for kind in (StageStarted, StageFinished):
        said = [event.stage for event in looked.ran.events if isinstance(event, kind) and event.stage in declared]
        require(said == declared, f"its stages come as {listed(said)}, declared are {listed(declared)}")
    lasted = {event.stage: event.epochs for event in looked.ran.events if isinstance(event, StageStarted)}
    for stage in declared:
        field = defense.epochs_field(stage)
        if field is not None:
            wanted = _value(defense, field)
            require(lasted[stage] == wanted, f"stage {stage} takes {lasted[stage]} epochs, {field} says {wanted}")
    _purified(looked, declared[-1])


def _value(defense: Defense, field: str) -> Any:
    value: Any = defense
    for part in field.split("."):
        require(hasattr(value, part), f"the field {field}, which is to say how long a stage takes, does not exist")
        value = getattr(value, part)
    return value


def _purified(looked: Looked, stage: str) -> None:
    """The model that it hands back is the one of its last stage, at rest."""
    model = looked.notes.result
    require(isinstance(model, nn.Module), f"it hands back a {type(model).__name__}, no model")
    weights = model.state_dict()
    same = fingerprint(*(weights[name] for name in sorted(weights))) == looked.ran.finished[stage].sha256
    require(same, f"the model that it hands back is not the one of its stage {stage}")
    still = not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    require(still, "the model that it hands back is not frozen (engine.models.inference.freeze)")


def events(subject: Subject) -> None:
    """It says nothing itself but messages and preparations: figures and stages come from the port alone."""
    foreign = {event.kind for event in first(subject).notes.told if not isinstance(event, MAY_TELL)}
    require(not foreign, f"it emits {listed(sorted(foreign))} itself")


def inputs_untouched(subject: Subject) -> None:
    """The suspect (weights, buffers, mode) and the images and labels it is handed are afterwards as before."""
    changed = first(subject).notes.changed
    require(not changed, f"it changes {listed(changed)}")


def process_untouched(subject: Subject) -> None:
    """Global generators, the number of threads and torch's switches are afterwards as before."""
    changed = first(subject).process
    require(not changed, f"it changes {changed}")


def same_seed(subject: Subject) -> None:
    """The same seed gives the same bits, another seed others, where anything is trained or optimized."""
    alone = first(subject)
    again = subject.once("again", lambda: ran(subject, "a second run of it"))
    wrong = differing(_weights(subject, alone.ran), _weights(subject, again))
    require(not wrong, f"the same seed gives other weights the second time, of {wrong}")
    drawn = {ask.stage for ask in alone.notes.asked if isinstance(ask, Train | Optimize)}
    if drawn:
        other = _weights(subject, ran(subject, "a run of it with another seed", {"seed": 1, "attack": _held(subject)}))
        same = [name for name, sha in _weights(subject, alone.ran).items() if name in drawn and other[name] == sha]
        require(not same, f"another seed gives the same weights, of {listed(same)}")


def _held(subject: Subject) -> dict[str, Any]:
    """The attack of the world, held to its seed while the defense's is another."""
    return {**subject.world.config().to_dict()["attack"], "seed": 0}


def resumed(subject: Subject) -> None:
    """Stopped after each epoch, choice and stage and resumed, it ends with the weights of the run left alone."""
    wanted = repeated(subject)
    declared = names(subject)
    began = False

    def here(event: Event) -> bool:
        nonlocal began
        began = began or getattr(event, "stage", "") in declared
        return began and (isinstance(event, Preparing) or getattr(event, "stage", "") in declared)

    config = subject.world.config(defenses={subject.name: made(subject)})
    pieces = interrupted(subject.world, config, here, cache=True)
    trained = {event.stage for event in wanted.events if isinstance(event, StageStarted) and event.epochs > 1}
    for stage in trained.intersection(declared):
        require(stage in pieces.halfway, f"stage {stage} cannot be stopped between its epochs")
        moved = pieces.final[stage] not in pieces.halfway[stage]
        require(moved, f"stage {stage} has the same weights after one epoch and after its last: it trains nothing")
    ended = subject.world.recorded(pieces.folder)
    wrong = differing(_weights(subject, wanted), _weights(subject, ended))
    require(not wrong, f"stopped and resumed, it ends with other weights, of {wrong}")


def company(subject: Subject) -> None:
    """Alone, after or before another defense, of a suspect trained or recalled: the same bits, the other's too."""
    wanted = _weights(subject, repeated(subject))
    other = subject.world.once("bystander", lambda: _bystander(subject))
    trained = ran(subject, "a run of it after another defense", before=True, cache=False)
    wrong = differing(wanted, _weights(subject, trained))
    require(not wrong, f"after another defense, of a suspect that was just trained, it makes other weights, of {wrong}")
    before = ran(subject, "a run of it before another defense", after=True)
    wrong = differing(wanted, _weights(subject, before))
    require(not wrong, f"before another defense it makes other weights, of {wrong}")
    require(before.weights(["bystander"]) == other, "a defense that comes after it makes other weights than alone")


def _bystander(subject: Subject) -> dict[str, str]:
    subject.world.suspect()
    config = subject.world.config(defenses={"bystander": Bystander()})
    return subject.world.whole(config, "the bystander").weights(["bystander"])


def closed_doors(subject: Subject) -> None:
    """It is handed nothing but its port, and what it makes does not hang on test images, trigger or target."""
    doors = first(subject).notes.doors
    require(not doors, f"its port leads to {doors}")
    wanted = _weights(subject, repeated(subject))
    other = {"data": {"name": subject.world.squares(test=squares.TEST // 2, drawn_for_test=3)}}
    if "poisoned set" not in made(subject).needs:
        other |= {"suspect": str(subject.world.suspect()), "attack": None}
    blind = ran(subject, "a run of it of a suspect of which nothing is known", other)
    wrong = differing(wanted, _weights(subject, blind))
    require(not wrong, f"with other test images, and no attack known, it makes other weights, of {wrong}")


def erases(subject: Subject) -> None:
    """A planted backdoor loses half of its ASR above the floor at least, with one of three seeds."""
    said = []
    for seed in range(TRIES):
        run = _behaved(subject, seed, _held(subject))
        before, after = (run.finished[name].metrics for name in ("attack", names(subject)[-1]))
        if after.asr - after.base <= (before.asr - before.base) / 2:
            return
        said.append(f"{before.asr:.0f} to {after.asr:.0f}")
    raise ContractBroken(f"it does not erase a planted backdoor: ASR goes from {', from '.join(said)}")


def keeps_accuracy(subject: Subject) -> None:
    """A model without a backdoor keeps all but 20 points of its ACC, with one of three seeds."""
    said = []
    for seed in range(TRIES):
        run = _behaved(subject, seed, {**CLEAN, "seed": 0})
        before, after = (run.finished[name].metrics for name in ("attack", names(subject)[-1]))
        if after.acc >= before.acc - 20:
            return
        said.append(f"{before.acc:.0f} to {after.acc:.0f}")
    raise ContractBroken(f"it spoils a model that has no backdoor: ACC goes from {', from '.join(said)}")


def _behaved(subject: Subject, seed: int, attack: Mapping[str, Any]) -> Ran:
    first(subject)
    longer = made(subject, LONGER)
    return ran(subject, "a run of it", {"seed": seed, "attack": attack}, defense=longer)


def refusals(subject: Subject) -> None:
    """Images of 8x8, one clean image, or a tap of 1x1 where taps count, are borne or refused at once in one line."""
    first(subject)
    world, defense = subject.world, made(subject)
    mine = {subject.name: defense}
    world.bears(world.config({"data": {"name": world.squares(side=8)}}, defenses=mine), "a run of it on images of 8x8")
    one = {"data": {"clean_fraction": 1 / squares.TRAIN}}
    world.bears(world.config(one, defenses=mine), "a run of it with a single clean image")
    if defense.attention is not None:
        require(_refuses_dead(subject), "it reads attention, and takes a tap whose map is 1x1 without a word")


def _refuses_dead(subject: Subject) -> bool:
    images = as_input(subject.world.images().x_train[:BATCH])
    try:
        made(subject).check(DeadEnd(squares.CLASSES), images)
    except RequestError as error:
        require("\n" not in str(error), f"a tap of 1x1 is refused in more than one line: {error}")
        return True
    return False
