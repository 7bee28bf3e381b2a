"""The plan: which stages a configuration comes to, in which roles, by which seeds, and what is refused."""

from __future__ import annotations

from typing import ClassVar

import pytest

from engine.config.run import RunConfig, validate
from engine.defenses.base import Defense, Stage
from engine.errors import RequestError
from engine.events import PlannedStage
from engine.running.plan import epochs_fields, make_plan, seed_of
from engine.settings import TrainingSettings

ATTACK = PlannedStage(name="attack", role="suspect")
TEACHER = PlannedStage(name="teacher", role="reference", defense="nad", needs=("attack",))
NAD = PlannedStage(name="nad", role="purified", defense="nad", needs=("attack", "teacher"))
FINE_TUNING = PlannedStage(name="fine-tuning", role="purified", defense="fine-tuning", needs=("attack",))


def config(*defenses: str | Defense, **fields) -> RunConfig:
    chosen = {
        each if isinstance(each, str) else each.name: None if isinstance(each, str) else each for each in defenses
    }
    return validate({"attack": {"name": "badnets"}, "defenses": chosen, **fields})


class Declared(Defense):
    """A defense of the stages it is told."""

    name: ClassVar[str] = "declared"
    told: tuple[Stage, ...] = ()

    def stages(self) -> tuple[Stage, ...]:
        return self.told


class Pruning(Defense):
    """One that trains nothing, and says nothing of its stages."""

    name: ClassVar[str] = "pruning"
    share: float = 0.5


class Masks(Defense):
    """Its training is of its masks; what it makes is only measured in between."""

    name: ClassVar[str] = "masks"
    training: TrainingSettings = TrainingSettings(epochs=4)

    def stages(self) -> tuple[Stage, ...]:
        return Stage("masks-found", "measurement"), Stage("masks", needs=("masks-found",))


@pytest.mark.parametrize(
    ("defenses", "stages"),
    [
        ((), (ATTACK,)),
        (("nad",), (ATTACK, TEACHER, NAD)),
        (("fine-tuning",), (ATTACK, FINE_TUNING)),
        (("nad", "fine-tuning"), (ATTACK, TEACHER, NAD, FINE_TUNING)),
        (("fine-tuning", "nad"), (ATTACK, FINE_TUNING, TEACHER, NAD)),
    ],
    ids=["none", "nad", "fine-tuning", "both", "both, turned"],
)
def test_plan_is_the_suspect_and_the_defenses_in_their_order(defenses, stages):
    assert make_plan(config(*defenses)) == stages


def test_plan_of_a_suspect_from_a_file_is_the_same():
    assert make_plan(config("nad", suspect="some.safetensors", attack=None)) == (ATTACK, TEACHER, NAD)


def test_a_defense_of_ones_own_has_a_stage_of_its_name_unless_it_declares_more():
    assert make_plan(config(Pruning(), Masks()))[1:] == (
        PlannedStage(name="pruning", role="purified", defense="pruning", needs=("attack",)),
        PlannedStage(name="masks-found", role="measurement", defense="masks", needs=("attack",)),
        PlannedStage(name="masks", role="purified", defense="masks", needs=("attack", "masks-found")),
    )


# What is refused


def refused(*defenses: str | Defense) -> str:
    with pytest.raises(RequestError) as caught:
        make_plan(config(*defenses))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((), "its last stage has to be of role 'purified'"),
        ((Stage("declared"), Stage("more", "measurement")), "its last stage has to be of role 'purified'"),
        ((Stage("declared", "reference"),), "its last stage has to be of role 'purified'"),
        ((Stage("a", "reference"), Stage("a")), "two of its stages are named 'a'"),
        ((Stage("a", needs=("b",)),), "stage 'a' needs 'b', which is no stage before it"),
        ((Stage("a", needs=("a",)),), "stage 'a' needs 'a', which is no stage before it"),
        ((Stage("a", "reference", needs=("b",)), Stage("b")), "stage 'a' needs 'b', which is no stage before it"),
        ((Stage("a", needs=("attack",)),), "stage 'a' needs 'attack', which is no stage before it"),
        ((Stage("a", "suspect"), Stage("b")), "its stage 'a' has the suspect's role"),
        ((Stage("../a"),), "its stage '../a' has to be named in a-z, 0-9, - and _"),
        ((Stage(""),), "its stage '' has to be named"),
        ((Stage("a\nb"),), "its stage 'a\\nb' has to be named"),
    ],
)
def test_stages_that_make_no_sense_are_refused(stages: tuple[Stage, ...], said: str):
    text = refused(Declared(told=stages))
    assert text.startswith("defense declared: ")
    assert said in text


@pytest.mark.parametrize(
    ("defenses", "said"),
    [
        ((Declared(told=(Stage("attack"),)),), "defense declared: its stage 'attack' is called as one of the suspect"),
        (
            ("nad", Declared(told=(Stage("teacher", "reference"), Stage("declared")))),
            "defense declared: its stage 'teacher' is called as one of defense nad",
        ),
        (
            (Declared(told=(Stage("fine-tuning"),)), "fine-tuning"),
            "defense fine-tuning: its stage 'fine-tuning' is called as one of defense declared",
        ),
    ],
    ids=["suspect", "first stage", "last stage"],
)
def test_two_stages_of_one_name_are_refused(defenses, said: str):
    assert said in refused(*defenses)


# Seeds


@pytest.mark.parametrize(("seed", "own", "suspects"), [(0, None, 0), (4, None, 4), (4, 0, 0), (4, 9, 9)])
def test_seeds_come_from_the_role(seed: int, own: int | None, suspects: int):
    chosen = config("nad", "fine-tuning", Masks(), seed=seed, attack={"name": "badnets", "seed": own})
    seeds = {stage.name: seed_of(stage, chosen) for stage in make_plan(chosen)}
    assert seeds == {
        "attack": suspects,
        "teacher": 2 * seed + 1,
        "nad": 2 * seed + 2,
        "fine-tuning": 2 * seed + 2,
        "masks-found": 2 * seed + 2,
        "masks": 2 * seed + 2,
    }


# Epochs


def test_epochs_of_every_stage_that_says_how_many_it_takes():
    assert epochs_fields(config()) == {"attack": "training.epochs"}
    assert epochs_fields(config("nad", "fine-tuning", Pruning(), Masks())) == {
        "attack": "training.epochs",
        "teacher": "defenses.nad.teacher.training.epochs",
        "nad": "defenses.nad.distill.training.epochs",
        "fine-tuning": "defenses.fine-tuning.training.epochs",
        "masks": "defenses.masks.training.epochs",
    }


def test_fields_of_epochs_are_fields():
    chosen = config("nad", "fine-tuning")
    for field in epochs_fields(chosen).values():
        value = chosen.to_dict()
        for part in field.split("."):
            value = value[part]
        assert isinstance(value, int), field
