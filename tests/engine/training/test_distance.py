"""The distance from what layers were: where it begins, what it adds to the loss, and the norm that is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.models.inference import copy_of, freeze
from engine.settings import DistanceSettings, ObjectiveSettings
from engine.training.distance import Distance
from engine.training.objectives import CleanObjective
from tests.numpy_losses import cross_entropies
from tests.ports import Tapped, batch

LAYERS = ("convs.1", "fc")


def distance(suspect, **settings) -> Distance:
    return Distance(DistanceSettings(**settings), suspect, LAYERS)


def norms(model) -> list[float]:
    return [float(np.linalg.norm(model.get_submodule(path).weight.detach().double().numpy())) for path in LAYERS]


@pytest.mark.parametrize("start", ["near", "random", "middle", "far", "noise"])
def test_where_the_layers_begin(start):
    suspect = freeze(Tapped(0))
    at = distance(suspect, weight=1.0, start=start)
    model = at.begin(copy_of(suspect), seed=3)
    old, new = suspect.fc.weight, model.fc.weight
    if start == "middle":
        assert not new.any()
    else:
        assert norms(model) == pytest.approx(norms(suspect), rel=1e-6)
    if start == "near":
        torch.testing.assert_close(new, old)
    if start == "far":
        torch.testing.assert_close(new, -old)
    if start in ("random", "noise"):
        assert not torch.equal(new, distance(suspect, start=start).begin(copy_of(suspect), seed=4).fc.weight)
        assert torch.equal(new, distance(suspect, start=start).begin(copy_of(suspect), seed=3).fc.weight)
    if start == "random":  # even between -.5 and .5, at another scale
        assert float((new.abs().max() / new.abs().mean()).detach()) < 3
    assert torch.equal(model.convs[0].weight, suspect.convs[0].weight), "other layers stay"
    assert torch.equal(model.fc.bias, suspect.fc.bias)


@pytest.mark.parametrize("factor", [10.0, 0.5])
def test_the_gradient_is_that_of_the_authors_loss_but_for_its_scale(factor):
    """They minimize (lambda * hinge - distance) / (lambda + 1), undivided where lambda is at most 1."""
    suspect, given = freeze(Tapped(0)), batch()
    at = distance(suspect, weight=1 / factor, start="random")
    model = at.begin(copy_of(suspect), seed=0)
    losses = cross_entropies(model(given.images), given.labels)
    middle = float(np.median(losses))
    parts = at.pushing(CleanObjective(ObjectiveSettings(hinge=middle), suspect))(model, given)
    apart = sum(
        np.linalg.norm((model.get_submodule(path).weight - suspect.get_submodule(path).weight).detach().numpy())
        for path in LAYERS
    )
    theirs = (factor * np.maximum(losses - middle, 0).mean() - apart) / (factor + 1 if factor > 1 else 1)
    scale = factor / (factor + 1) if factor > 1 else factor
    assert set(parts) == {"ce", "distance"}
    assert float(sum(parts.values()).detach()) * scale == pytest.approx(theirs, rel=1e-5)


def test_the_norm_is_kept_in_every_step():
    suspect, given = freeze(Tapped(0)), batch()
    at = distance(suspect, weight=0.5, start="random")
    model = at.begin(copy_of(suspect), seed=0)
    objective = at.pushing(CleanObjective(ObjectiveSettings(), suspect))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    step, before = at.step(), model.fc.weight.detach().clone()
    for _ in range(5):
        step(model, optimizer, lambda: objective(model, given))
        assert norms(model) == pytest.approx(norms(suspect), rel=1e-6)
    assert not torch.allclose(model.fc.weight, before)
    freely = np.linalg.norm(model.convs[0].weight.detach().numpy())
    assert freely != pytest.approx(np.linalg.norm(suspect.convs[0].weight.numpy()), rel=1e-6)


def test_without_a_weight_nothing_is_added():
    suspect = freeze(Tapped(0))
    objective = CleanObjective(ObjectiveSettings(), suspect)
    assert distance(suspect, start="random").pushing(objective) is objective
    assert [DistanceSettings(**each).active for each in ({}, {"weight": 0.1}, {"start": "far"})] == [False, True, True]
