"""FST at a port: its loss, its fresh head, and the norm that is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from engine.defenses.fst import Fst, likeness, redraw
from engine.settings import TrainingSettings
from engine.training.distance import Held
from tests.ports import Driver, Tapped, port, snapshot, unchanged

TRAINING = TrainingSettings(epochs=2, batch_size=8, lr=0.05)


def test_the_head_is_drawn_anew_like_a_fresh_layers():
    suspect = Tapped(0)
    model, same, other = Tapped(0), Tapped(0), Tapped(0)
    held = Held(suspect, ["fc"])
    for each, seed in ((model, 1), (same, 1), (other, 2)):
        redraw(held, each, seed)
    bound = 1 / math.sqrt(6)
    drawn = torch.cat([model.fc.weight.flatten(), model.fc.bias]).detach()
    assert float(drawn.abs().max()) <= bound
    assert float(drawn.abs().max()) > bound / 2 and (drawn < 0).any() and (drawn > 0).any()
    assert torch.equal(model.fc.weight, same.fc.weight)
    assert not torch.equal(model.fc.weight, other.fc.weight)
    assert torch.equal(model.convs[0].weight, suspect.convs[0].weight)


def test_the_shift_is_the_inner_product_with_the_old_head():
    suspect, model = Tapped(0), Tapped(1)
    wanted = (suspect.fc.weight.detach().numpy() * model.fc.weight.detach().numpy()).sum()
    assert float(likeness(Held(suspect, ["fc"]), model).detach()) == pytest.approx(float(wanted), rel=1e-5)


def test_it_ends_with_another_head_of_the_old_norm():
    at = port()
    before = snapshot(at.suspect)
    driver = Driver(Fst(training=TRAINING, alpha=2.0), at)
    model = driver.run()
    assert unchanged(at.suspect, before)
    old, new = (m.fc.weight.detach().double().numpy() for m in (at.suspect, model))
    assert np.linalg.norm(new) == pytest.approx(np.linalg.norm(old), rel=1e-6)
    assert (old * new).sum() < 0, "kept from its old direction"
    assert {name for step in driver.steps("fst") for name in step.parts} == {"ce", "shift"}
    assert not any(parameter.requires_grad for parameter in model.parameters())
