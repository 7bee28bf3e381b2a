"""D3 at a port: from where it begins, how it ends, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from engine.defenses.base import Stage
from engine.defenses.d3 import D3
from engine.errors import RequestError
from engine.settings import TrainingSettings
from tests.ports import Driver, Tapped, port, snapshot, unchanged

TRAINING = TrainingSettings(epochs=2, batch_size=8, lr=0.05)


def d3(**distance) -> D3:
    return D3.model_validate({"training": TRAINING, "distance": distance})


def test_the_head_ends_elsewhere_at_its_old_norm():
    at = port()
    before = snapshot(at.suspect)
    driver = Driver(d3(), at)
    model = driver.run()
    assert driver.defense.stages() == (Stage("d3"),)
    assert unchanged(at.suspect, before)
    new, old = model.fc.weight.double(), at.suspect.fc.weight.double()
    assert float(new.norm()) == pytest.approx(float(old.norm()), rel=1e-6)
    assert float((new - old).norm() / old.norm()) > 1, "as far as two unlike directions are apart"
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())
    assert {name for step in driver.steps("d3") for name in step.parts} == {"ce", "distance"}


def test_other_layers_than_the_head_can_be_pushed_away():
    model = Driver(d3(layers=["convs.0"], start="far")).run()
    first, second = port().suspect.convs[0].weight.double(), model.convs[0].weight.double()
    assert float(second.norm()) == pytest.approx(float(first.norm()), rel=1e-6)
    assert float((second * first).sum()) < 0


def test_layers_that_are_not_there_are_refused():
    with pytest.raises(RequestError, match=r"defenses\.d3\.distance\.layers: there is no tap and no module 'last'"):
        d3(layers=["last"]).check(Tapped(0), torch.rand(2, 3, 8, 8))
