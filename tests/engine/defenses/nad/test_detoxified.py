"""NAD with a teacher made as D3 makes a model, and a student that begins as that teacher."""

from __future__ import annotations

import pytest
import torch

from engine.defenses.nad.defense import Nad
from engine.defenses.nad.objective import NadObjective
from engine.defenses.nad.settings import DistillSettings, TeacherSettings
from engine.errors import RequestError
from engine.models.inference import as_input, copy_of, freeze
from engine.settings import AnchorSettings, DistanceSettings, ObjectiveSettings, TrainingSettings
from engine.training.objectives import mixup
from engine.training.steps import descend
from tests.numpy_losses import kl
from tests.ports import Driver, Tapped, batch, port

TRAINING = TrainingSettings(epochs=1, batch_size=8, lr=0.05)
PUSHED = DistanceSettings(weight=0.5, start="random")
BETA = (50.0, 50.0)


def nad(teacher: DistanceSettings = PUSHED, **distill) -> Nad:
    return Nad(
        teacher=TeacherSettings(training=TRAINING, distance=teacher),
        distill=DistillSettings(training=TRAINING, beta=BETA, **distill),
    )


def norm(model) -> float:
    return float(model.fc.weight.detach().double().norm())


def test_the_teacher_is_pushed_away_from_the_suspect():
    driver = Driver(nad())
    student, teacher, suspect = driver.run(), driver.models["teacher"], driver.port.suspect
    assert norm(teacher) == pytest.approx(norm(suspect), rel=1e-6)
    assert float((teacher.fc.weight - suspect.fc.weight).norm()) > norm(suspect)
    assert float((student.fc.weight - suspect.fc.weight).norm()) < norm(suspect) / 2, "it begins as the suspect"
    assert {name for step in driver.steps("teacher") for name in step.parts} == {"ce", "distance"}
    assert {name for step in driver.steps("nad") for name in step.parts} == {"ce", "one", "two"}


def test_the_student_can_begin_as_the_teacher_and_keep_its_distance():
    driver = Driver(nad(start="teacher", distance=DistanceSettings(weight=0.5)))
    student, teacher, suspect = driver.run(), driver.models["teacher"], driver.port.suspect
    assert norm(student) == pytest.approx(norm(suspect), rel=1e-6)
    assert float((student.fc.weight - teacher.fc.weight).norm()) < norm(suspect) / 2
    assert not torch.equal(student.fc.weight, teacher.fc.weight)
    assert {name for step in driver.steps("nad") for name in step.parts} == {"ce", "one", "two", "distance"}
    begun, ended = driver.health["nad"]
    assert begun == ()
    assert [tap.tap for tap in ended] == ["one", "two"]


def test_the_student_can_begin_with_a_head_of_its_own():
    driver = Driver(nad(distance=DistanceSettings(start="far")))
    student = driver.run()
    assert float((student.fc.weight * driver.port.suspect.fc.weight).sum()) < 0
    assert "distance" not in {name for step in driver.steps("nad") for name in step.parts}


def test_an_anchor_to_the_teachers_logits():
    suspect, teacher, given = freeze(Tapped(0)), freeze(Tapped(1)), batch()
    settings = DistillSettings(beta=BETA, teacher_anchor=AnchorSettings(weight=0.3, temperature=3.0))
    objective = NadObjective(settings, suspect, teacher, suspect.tap_names)
    student = copy_of(suspect)
    parts = objective(student, given)
    images = mixup(given, 0).images
    expected = 0.3 * kl(teacher(images), student(images), 3.0)
    assert float(parts["teacher_anchor"].detach()) == pytest.approx(expected, rel=1e-5)
    assert list(parts) == ["ce", "teacher_anchor", "one", "two"]


def test_without_any_of_it_nothing_is_another_than_it_was():
    """Neutral settings ask for the same as before there were any."""
    driver = Driver(nad(DistanceSettings()))
    driver.run()
    assert [(ask.stage, ask.step) for ask in driver.asked] == [("teacher", descend), ("nad", descend)]
    assert isinstance(driver.asked[1].objective, NadObjective)


def test_weights_of_zero_are_no_fine_tuning_where_the_teacher_leads_otherwise():
    for leads in ({"start": "teacher"}, {"teacher_anchor": AnchorSettings(weight=1)}):
        assert DistillSettings(beta=0, **leads).weights(("one",), (64,)) == (0.0,)
    with pytest.raises(RequestError, match="plain fine-tuning"):
        DistillSettings(beta=0, objective=ObjectiveSettings(mixup=1)).weights(("one",), (64,))


@pytest.mark.parametrize("teacher", [{"model": "wrn-10-1"}, {"file": "teacher.safetensors"}])
def test_a_teacher_that_is_not_made_own_has_no_old_weights(teacher):
    settings = {"teacher": {"distance": {"weight": 1, "layers": ["nowhere"]}, **teacher}}
    defense = Nad.model_validate({**settings, "distill": {"start": "teacher"}})
    assert not defense.teacher.own
    assert defense._distance("teacher", Tapped(0), as_input(port().clean.images)) is None


@pytest.mark.parametrize("where", ["teacher", "distill"])
def test_layers_that_are_not_there_are_refused(where):
    defense = Nad.model_validate({where: {"distance": {"start": "random", "layers": ["last"]}}})
    with pytest.raises(RequestError) as refused:
        defense.check(Tapped(0), as_input(port().clean.images))
    assert str(refused.value).startswith(f"defenses.nad.{where}.distance.layers: there is no tap and no module 'last'")
