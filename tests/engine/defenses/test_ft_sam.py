"""FT-SAM at a port: fine-tuning, by another step."""

from __future__ import annotations

import torch

from engine.defenses.fine_tuning import FineTuning
from engine.defenses.ft_sam import FtSam
from engine.settings import ObjectiveSettings, TrainingSettings
from tests.ports import Driver, port, snapshot, unchanged

TRAINING = TrainingSettings(epochs=1, batch_size=8, lr=0.05)


def test_it_fine_tunes_by_sharpness_aware_steps():
    at = port()
    before = snapshot(at.suspect)
    driver = Driver(FtSam(training=TRAINING), at)
    model = driver.run()
    assert unchanged(at.suspect, before)
    assert len(model.seen[True]) == 2 * 3, "two passes a batch"
    assert [torch.equal(model.seen[True][2 * n], model.seen[True][2 * n + 1]) for n in range(3)] == [True] * 3
    assert {name for step in driver.steps("ft-sam") for name in step.parts} == {"ce"}


def test_hardly_any_sharpness_is_fine_tuning():
    near = Driver(FtSam(training=TRAINING, objective=ObjectiveSettings(), rho=1e-7)).run()
    plain = Driver(FineTuning(training=TRAINING)).run()
    far = Driver(FtSam(training=TRAINING, objective=ObjectiveSettings(), rho=2)).run()
    torch.testing.assert_close(near.fc.weight, plain.fc.weight, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(far.fc.weight, plain.fc.weight, rtol=1e-3, atol=1e-5)
