"""Mode connectivity repair: the curve by hand, its step against plain descent for the bend, and what is taken of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.defenses.mcr import Curve, CurveStep, Mcr
from engine.models.inference import as_input, reestimated
from engine.settings import AugmentSettings, TrainingSettings
from tests.ports import CPU, Driver, Tapped, clean_images, snapshot, unchanged
from tests.ports import port as made_port

QUICK = TrainingSettings(epochs=2, batch_size=8, lr=0.05, augment=AugmentSettings(crop=0))


def weights(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([value]) for name, value in values.items()}


def test_a_point_of_the_curve_by_hand():
    curve = Curve(weights(a=1.0, b=0.0), weights(a=3.0, b=10.0))
    point = curve.at(0.3, weights(a=-2.0, b=5.0))
    # 0.49 x start + 0.42 x bend + 0.09 x end
    assert point["a"].item() == pytest.approx(0.49 * 1 + 0.42 * -2 + 0.09 * 3)
    assert point["b"].item() == pytest.approx(0.42 * 5 + 0.09 * 10)
    assert curve.at(0, weights(a=7.0, b=7.0)) == curve.start
    assert curve.at(1, weights(a=7.0, b=7.0)) == curve.end


def test_the_bend_is_told_from_the_middle():
    curve = Curve(weights(a=1.0), weights(a=3.0))
    bend = weights(a=-5.0)
    assert curve.bend(curve.at(0.5, bend))["a"].item() == pytest.approx(-5.0)
    assert curve.bend(curve.straight)["a"].item() == pytest.approx(2.0), "a curve not bent has its bend halfway"


def test_a_step_is_plain_descent_for_the_bend():
    """The loss (w x - y)^2, one weight: the bend goes down lr x 2 t (1 - t) x the gradient at the point."""
    curve, lr, x, y = Curve(weights(weight=1.0), weights(weight=3.0)), 0.1, 2.0, 7.0
    curve.start["weight"], curve.end["weight"] = torch.tensor([[1.0]]), torch.tensor([[3.0]])
    model = nn.Linear(1, 1, bias=False)
    bend = -4.0
    model.weight.data.fill_(1 / 4 + bend / 2 + 3 / 4)
    torch.manual_seed(3)
    t = float(torch.rand(()))
    torch.manual_seed(3)

    def losses() -> dict[str, torch.Tensor]:
        return {"square": (model(torch.tensor([[x]])) - y).square().sum()}

    parts = CurveStep(curve)(model, torch.optim.SGD(model.parameters(), lr=lr), losses)
    point = (1 - t) ** 2 * 1 + 2 * t * (1 - t) * bend + t**2 * 3
    assert parts["square"].item() == pytest.approx((point * x - y) ** 2, rel=1e-5), "it is taken at the point"
    wanted = bend - lr * 2 * t * (1 - t) * 2 * (point * x - y) * x
    assert curve.bend({"weight": model.weight.detach()})["weight"].item() == pytest.approx(wanted, rel=1e-5)


def test_the_model_at_t_is_taken_and_the_whole_curve_with_it():
    suspect = Tapped(0)
    before = snapshot(suspect)
    defense = Mcr(end={"training": QUICK}, curve={"training": QUICK}, points=5)
    driver = Driver(defense, made_port(suspect))
    purified = driver.run()
    assert [*driver.models] == ["mcr-end", "mcr-middle", "mcr"]
    points = driver.curves["mcr"]
    assert list(points) == [0, 0.25, 0.5, 0.75, 1]
    named = {at: dict(model.named_parameters()) for at, model in points.items()}
    middle = dict(driver.models["mcr-middle"].named_parameters())
    for name, value in suspect.named_parameters():
        end = dict(driver.models["mcr-end"].named_parameters())[name]
        bend = 2 * middle[name] - (value + end) / 2
        assert torch.equal(named[0][name], value)
        assert torch.allclose(named[1][name], end)
        assert torch.allclose(named[0.5][name], middle[name], atol=1e-6)
        assert torch.allclose(
            dict(purified.named_parameters())[name], 0.49 * value + 0.42 * bend + 0.09 * end, atol=1e-6
        )
    assert unchanged(suspect, before)
    assert not purified.training


def test_the_statistics_of_batch_norms_are_taken_anew():
    model, images = Tapped(1), clean_images(20).images
    model.norms[0].running_mean.fill_(100.0)
    reestimated(model, images, CPU)
    first = model.convs[0](as_input(images))
    assert torch.allclose(model.norms[0].running_mean, first.mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(model.norms[0].running_var, first.var(dim=(0, 2, 3)), atol=1e-4)
    assert model.norms[0].momentum == 0.1
    assert not model.training and not model.norms[0].training
