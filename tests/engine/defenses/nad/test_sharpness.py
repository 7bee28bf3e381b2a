"""NAD whose teacher, or student, goes by sharpness-aware steps."""

from __future__ import annotations

import pytest
import torch

from engine.defenses.ft_sam import FtSam
from engine.defenses.nad.defense import Nad
from engine.defenses.nad.settings import DistillSettings, TeacherSettings
from engine.settings import DistanceSettings, ObjectiveSettings, SharpnessSettings, TrainingSettings
from tests.ports import Driver

TRAINING = TrainingSettings(epochs=1, batch_size=8, lr=0.05)
SHARP = SharpnessSettings(rho=2.0)
STEPS = 3
"""20 clean images make three batches of 8."""


def nad(teacher: dict | None = None, student: dict | None = None) -> Nad:
    return Nad(
        teacher=TeacherSettings(training=TRAINING, **(teacher or {})),
        distill=DistillSettings(training=TRAINING, beta=(50.0, 50.0), **(student or {})),
    )


def trained_on(driver: Driver, stage: str) -> int:
    """How many batches a stage's model went over in training mode."""
    return len(driver.models[stage].seen[True])


def test_a_sharpness_aware_teacher_is_what_ft_sam_makes():
    driver = Driver(nad(teacher={"sharpness": SHARP}))
    driver.run()
    other = Driver(FtSam(training=TRAINING, objective=ObjectiveSettings(), rho=2.0)).run()
    assert torch.equal(driver.models["teacher"].fc.weight, other.fc.weight)
    assert trained_on(driver, "teacher") == 2 * STEPS, "two passes a batch"
    assert trained_on(driver, "nad") == STEPS


def test_the_student_too():
    driver = Driver(nad(student={"sharpness": SHARP}))
    driver.run()
    assert trained_on(driver, "teacher") == STEPS
    assert trained_on(driver, "nad") == 2 * STEPS


@pytest.mark.parametrize("sharpness", [SHARP, SharpnessSettings(rho=2.0, adaptive=False)])
def test_the_distance_keeps_its_norm_in_sharp_steps(sharpness):
    pushed = DistanceSettings(weight=0.5, start="random")
    driver = Driver(nad(teacher={"sharpness": sharpness, "distance": pushed}))
    driver.run()
    teacher, suspect = driver.models["teacher"], driver.port.suspect
    torch.testing.assert_close(teacher.fc.weight.norm(), suspect.fc.weight.norm())
    assert trained_on(driver, "teacher") == 2 * STEPS
