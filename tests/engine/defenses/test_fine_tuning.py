"""Fine-tuning at a port: on NAD's batches, without its attention loss, by settings of its own."""

from __future__ import annotations

import pytest
import torch

from engine.defenses.base import Stage, Train
from engine.defenses.fine_tuning import FineTuning
from engine.defenses.nad.defense import Nad
from engine.defenses.nad.settings import DistillSettings, TeacherSettings
from engine.settings import AnchorSettings, AugmentSettings, ObjectiveSettings, TrainingSettings
from tests.ports import Driver, port, snapshot, unchanged

TRAINING = TrainingSettings(epochs=2, batch_size=8, lr=0.05, augment=AugmentSettings(crop=1, flip=True, cutout=2))
MIXED = ObjectiveSettings(mixup=0.4, anchor=AnchorSettings(weight=0.5, temperature=3.0))


@pytest.mark.parametrize("objective", [ObjectiveSettings(), MIXED], ids=["plain", "mixup and anchor"])
def test_fine_tuning_and_nad_see_the_same_batches(objective: ObjectiveSettings):
    """What NAD does beyond fine-tuning can only be told if nothing else differs."""
    distill = DistillSettings(training=TRAINING, objective=objective, beta=(50.0, 50.0))
    tuning = Driver(FineTuning(training=TRAINING, objective=objective))
    distilling = Driver(Nad(teacher=TeacherSettings(training=TRAINING), distill=distill))
    tuned, distilled = tuning.run().seen[True], distilling.run().seen[True]
    assert [len(images) for images in tuned] == [8, 8, 4] * 2
    assert len(tuned) == len(distilled)
    assert all(torch.equal(one, other) for one, other in zip(tuned, distilled, strict=True))
    assert not torch.equal(tuned[0], tuned[3]), "drawn anew in every epoch"


def test_fine_tuning_has_a_schedule_of_its_own():
    """It takes none from NAD any more: what it is not told is at defaults of its own."""
    driver = Driver(FineTuning(training=TRAINING.model_copy(update={"epochs": 1}), objective=ObjectiveSettings()))
    model = driver.run()
    assert len(model.seen[True]) == 3
    assert {name for step in driver.steps("fine-tuning") for name in step.parts} == {"ce"}
    assert FineTuning().training == TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    assert FineTuning().objective == ObjectiveSettings()


def test_it_trains_a_copy_of_the_suspect_in_its_one_stage():
    at = port()
    before = snapshot(at.suspect)
    driver = Driver(FineTuning(training=TRAINING, objective=MIXED), at)
    model = driver.run()
    (asked,) = driver.asked
    assert isinstance(asked, Train)
    assert (asked.stage, asked.settings, asked.watch) == ("fine-tuning", TRAINING, None)
    assert driver.defense.stages() == (Stage("fine-tuning"),)
    assert unchanged(at.suspect, before)
    assert not unchanged(model, before)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {name for step in driver.steps("fine-tuning") for name in step.parts} == {"ce", "anchor"}
    assert at.suspect.seen[False], "the anchor asks the suspect"
