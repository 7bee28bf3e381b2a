"""NAD at a port: its teacher, its student, what must not move meanwhile, and what is refused beforehand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.attention.maps import attention_loss
from engine.control import Control
from engine.defenses.base import Adopt, Stage, Train
from engine.defenses.nad.defense import Nad
from engine.defenses.nad.objective import NadObjective
from engine.defenses.nad.settings import DistillSettings, TeacherSettings
from engine.errors import RequestError
from engine.models.inference import as_input, freeze
from engine.settings import AnchorSettings, AugmentSettings, ObjectiveSettings, ScheduleSettings, TrainingSettings
from engine.storage.checkpoints import save_weights
from engine.training.loop import Loop, augmentation
from engine.training.objectives import CleanObjective
from tests.ports import CPU, Driver, Tapped, Untouchable, batch, clean_images, port, snapshot, unchanged

TRAINING = TrainingSettings(epochs=2, batch_size=8, lr=0.05, augment=AugmentSettings(crop=1, flip=True, cutout=2))
MIXED = ObjectiveSettings(mixup=0.4, anchor=AnchorSettings(weight=0.5, temperature=3.0))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A ready teacher's checkpoint: that of `Tapped(2)`."""
    path = tmp_path / "teacher.safetensors"
    save_weights(path, Tapped(2).state_dict(), {})
    return str(path)


def nad(file: str | None = None, **distill: Any) -> Nad:
    given = {"training": TRAINING, "beta": (50.0, 50.0)} | distill
    return Nad(teacher=TeacherSettings(file=file, training=TRAINING), distill=DistillSettings(**given))


# --- What it asks for ----------------------------------------------------------------------------------------------


def test_it_trains_a_teacher_and_then_a_student_each_from_the_suspect():
    driver = Driver(nad())
    before = snapshot(driver.port.suspect)
    settings = TRAINING.model_copy(update={"epochs": 3})
    driver.defense = nad(training=settings)
    purified = driver.run()
    teacher, student = driver.asked
    assert isinstance(teacher, Train)
    assert isinstance(student, Train)
    assert (teacher.stage, teacher.settings) == ("teacher", TRAINING)
    assert (student.stage, student.settings) == ("nad", settings)
    assert type(teacher.objective) is CleanObjective
    assert isinstance(student.objective, NadObjective)
    assert student.objective.teacher is driver.models["teacher"]
    assert purified is driver.models["nad"] is student.model
    assert len({id(model) for model in (driver.port.suspect, teacher.model, purified)}) == 3
    assert unchanged(driver.port.suspect, before)
    assert not purified.training
    assert not any(parameter.requires_grad for parameter in purified.parameters())


def test_a_teacher_from_a_file_is_adopted_as_given(file: str):
    driver = Driver(nad(file))
    driver.run()
    adopted, student = driver.asked
    assert isinstance(adopted, Adopt)
    assert (adopted.stage, adopted.given) == ("teacher", True)
    assert unchanged(adopted.model, Tapped(2).state_dict())
    assert student.stage == "nad"
    assert {step.stage for step in driver.events} == {"nad"}


def test_its_stages_and_how_it_reads_attention():
    defense = nad(operator="max_p", p=3)
    assert defense.stages() == (Stage("teacher", "reference"), Stage("nad", "purified", needs=("teacher",)))
    assert defense.attention == ("max_p", 3)
    assert defense.epochs_field("teacher") == "teacher.training.epochs"
    assert defense.epochs_field("nad") == "distill.training.epochs"
    assert Nad(teacher="x.pt").teacher == TeacherSettings(file="x.pt")
    assert (defense.needs, defense.held, defense.slow) == (frozenset(), 0, False)


# --- A whole distillation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [ObjectiveSettings(), MIXED], ids=["plain", "mixup and anchor"])
def test_the_teacher_stays_frozen_while_it_teaches(objective: ObjectiveSettings, file: str):
    """BackdoorBox leaves its teacher in train mode, and every batch moves its batch norms."""
    driver = Driver(nad(file, objective=objective))
    before, suspect_before = Tapped(2).state_dict(), snapshot(driver.port.suspect)
    student = driver.run()
    teacher = driver.models["teacher"]
    assert not teacher.seen[True], "it never ran in train mode"
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert unchanged(teacher, before), "weights and buffers bit by bit"
    assert unchanged(driver.port.suspect, suspect_before)
    assert not unchanged(student, suspect_before)
    assert int(student.norms[0].num_batches_tracked) == 6, (
        "the student's own batch norms do move: 2 epochs of 3 batches"
    )


def test_making_a_teacher_leaves_the_suspect_alone():
    at = port()
    before, images = snapshot(at.suspect), at.clean.images.clone()
    defense = Nad(
        teacher=TeacherSettings(training=TRAINING, objective=MIXED),
        distill=DistillSettings(training=TRAINING, beta=(50.0, 50.0)),
    )
    driver = Driver(defense, at)
    driver.run()
    teacher = driver.models["teacher"]
    assert unchanged(at.suspect, before)
    assert torch.equal(at.clean.images, images)
    assert teacher is not at.suspect
    assert not unchanged(teacher, before)
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert {name for step in driver.steps("teacher") for name in step.parts} == {"ce", "anchor"}


def test_distillation_brings_the_students_attention_to_the_teachers(file: str):
    plain = TrainingSettings(
        epochs=16,
        batch_size=20,
        lr=0.005,
        schedule=ScheduleSettings(name="constant"),
        augment=AugmentSettings(crop=0, flip=False),
    )
    driver = Driver(nad(file, training=plain, beta=(300.0, 300.0)))
    student = driver.run()
    images = as_input(driver.port.clean.images)
    with torch.no_grad():
        models = (driver.port.suspect, student, Tapped(2).eval())
        taps = [model.forward_with_taps(images)[1] for model in models]
    for before, after, goal in zip(*taps, strict=True):
        assert float(attention_loss(after, goal)) < 0.75 * float(attention_loss(before, goal))


def test_the_loop_minimizes_the_sum_of_the_parts(file: str):
    driver = Driver(nad(file))
    driver.run()
    assert driver.steps("nad")
    for step in driver.steps("nad"):
        assert set(step.parts) == {"ce", "one", "two"}
        assert step.loss == pytest.approx(sum(step.parts.values()))

    model, given, clean = Tapped(1), batch(), clean_images()
    loop = Loop(
        "nad",
        model,
        NadObjective(DistillSettings(beta=(50.0, 70.0)), Untouchable(), freeze(Tapped(2)), model.tap_names),
        clean.images,
        clean.labels,
        TrainingSettings(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0),
        augment=augmentation(AugmentSettings(), mirror=False),
        seed=0,
        device=CPU,
        control=Control(),
    )
    twin = copy.deepcopy(model)
    sum(loop.objective(twin, given).values()).backward()
    loop.step(given, lr=0.1)
    for mine, expected in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(
            mine.detach().numpy(), (expected - 0.1 * expected.grad).detach().numpy(), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("taps", [1, 2, 5])
def test_a_network_of_as_many_taps_as_it_likes(taps: int):
    driver = Driver(nad(beta=None), port(Tapped(0, taps)))
    driver.run()
    names = driver.port.taps
    assert len(names) == taps
    assert {tuple(step.parts) for step in driver.steps("nad")} == {("ce", *names)}
    assert [tuple(tap.tap for tap in report) for report in driver.health["nad"]] == [names, names]


def test_a_table_written_in_another_order_trains_the_same_weights(file: str):
    tables = [{"one": 30.0, "two": 60.0}, {"two": 60.0, "one": 30.0}, {"others": 30.0, "two": 60.0}]
    purified = [Driver(nad(file, beta=table)).run() for table in [(30.0, 60.0), *tables]]
    assert all(unchanged(model, purified[0].state_dict()) for model in purified)


# --- Taps: refused where they are dead, reported where they are used -----------------------------------------------


def pooled(file: str) -> Driver:
    return Driver(nad(file), port(Tapped(0, pooled=True)))


def test_refuses_to_distill_a_tap_after_pooling(file: str):
    """BackdoorBench's taps are 1x1 at 32 pixels on most networks: its NAD is fine-tuning without saying so.

    A dead tap is refused as a wrong request: a run says so before it begins, by `check`.
    """
    driver = pooled(file)
    with pytest.raises(RequestError, match=r"nad: two: its map is 1x1.*distill\.beta"):
        driver.run()
    assert set(driver.models) == {"teacher"}, "refused before any step"
    assert not driver.events
    with pytest.raises(RequestError, match=r"nad: two: its map is 1x1.*distill\.beta"):
        driver.defense.check(Tapped(1, pooled=True), batch().images)


def test_a_run_reports_each_taps_health(file: str):
    driver = Driver(nad(file))
    driver.run()
    report, last = driver.health["nad"]
    for each in (report, last):
        assert [tap.tap for tap in each] == ["one", "two"]
        assert all(0 < tap.share < 1 for tap in each)
        assert sum(tap.share for tap in each) < 1, "the cross-entropy has its share"
    assert report != last


# --- What is refused before anything is trained --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        ((1.0,), r"distill\.beta = \[1\.0\]: 2 weights are wanted, one for each of one, two"),
        ((0.0, 0.0), "all weights are 0, which is plain fine-tuning"),
        ({"three": 1.0, "others": 1.0}, "there is no tap 'three'"),
    ],
)
def test_check_refuses_weights_that_do_not_fit_the_network(beta: Any, message: str):
    with pytest.raises(RequestError, match=message):
        nad(beta=beta).check(Tapped(1), batch().images)


@pytest.mark.parametrize("training", [True, False])
def test_check_leaves_a_network_that_fits_as_it_was(training: bool, file: str):
    model = Tapped(1).train(training)
    before = snapshot(model)
    nad(file, beta=None).check(model, batch().images)
    assert model.training is training
    assert unchanged(model, before)


def test_check_refuses_a_teacher_that_does_not_fit(file: str, tmp_path: Path):
    nad(file).check(Tapped(1), batch().images)
    with pytest.raises(RequestError, match=r"teacher\.safetensors does not fit Tapped"):
        nad(file, beta=1.0).check(Tapped(1, 5), batch().images)
    with pytest.raises(RequestError, match="absent"):
        nad(str(tmp_path / "absent.safetensors")).check(Tapped(1), batch().images)
