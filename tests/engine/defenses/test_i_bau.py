"""I-BAU: the hypergradient against a dense solve, the perturbation by hand, and what it does in a network."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engine.defenses.i_bau import IBau, Unlearning, implicit_part
from engine.settings import AugmentSettings, ScheduleSettings, TrainingSettings
from tests.ports import Driver, Tapped, batch, snapshot, unchanged
from tests.ports import port as made_port

SETTINGS = {"epochs": 2, "batch_size": 8, "lr": 1e-3}


def problem() -> tuple[torch.Tensor, ...]:
    """An inner problem 1/2 d'Ad - d'Bw, solved by d = A^-1 B w; an outer loss 1/2 |d - c|^2 + 1/2 |w|^2."""
    draw = torch.Generator().manual_seed(1)
    root = torch.randn(4, 4, generator=draw, dtype=torch.float64)
    a = root @ root.T / 4 + torch.eye(4, dtype=torch.float64)
    b = torch.randn(4, 3, generator=draw, dtype=torch.float64)
    c = torch.randn(4, generator=draw, dtype=torch.float64)
    w = torch.randn(3, generator=draw, dtype=torch.float64).requires_grad_()
    return a, b, c, w


def hypergradient(iterations: int, step: float) -> torch.Tensor:
    a, b, c, w = problem()
    d = torch.linalg.solve(a, b @ w.detach()).requires_grad_()
    outer = (d - c).square().sum() / 2 + w.square().sum() / 2
    inner = d @ a @ d / 2 - d @ (b @ w)
    part = implicit_part(outer, inner, d, iterations, step)
    assert part.item() == 0, "it adds nothing to the loss, only to its gradient"
    (outer + part).backward()
    return w.grad


def test_the_hypergradient_is_that_of_a_dense_solve():
    a, b, c, w = problem()
    solution = torch.linalg.solve(a, b @ w.detach())
    wanted = w.detach() + b.T @ torch.linalg.solve(a, solution - c)
    assert torch.allclose(hypergradient(2_000, 0.1), wanted, atol=1e-8)
    assert not torch.allclose(wanted, w.detach(), atol=1e-2), "without the implicit part it is another"


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_the_fixed_point_is_iterated_that_often(iterations):
    a, b, c, w = problem()
    step, solution = 0.1, torch.linalg.solve(a, b @ w.detach())
    pull, v = torch.eye(4, dtype=torch.float64) - step * a, torch.zeros(4, dtype=torch.float64)
    for _ in range(iterations):
        v = pull.T @ v + solution - c
    assert torch.allclose(hypergradient(iterations, step), w.detach() + step * b.T @ v, atol=1e-10)


@pytest.mark.parametrize("radius", [None, 0.001])
def test_the_perturbation_is_a_pass_of_ascent_from_zero_in_its_ball(radius):
    model = Tapped(0).eval()
    port = made_port(model)
    settings = IBau(training={**SETTINGS, "batch_size": 10}, perturbation_lr=3.0, radius=radius)
    found = Unlearning(settings, port).universal(model)
    wanted = torch.zeros(1, 3, 8, 8)
    for images in (port.clean.images.float() / 255).split(10):
        leaf = wanted.clone().requires_grad_()
        loss = F.cross_entropy(model(images + leaf), model(images).argmax(dim=1)) - 0.001 * leaf.square().sum()
        loss.backward()
        wanted = wanted + 3.0 * leaf.grad
        if radius is not None:
            wanted = wanted * min(1, radius / wanted.norm())
    assert torch.allclose(found, wanted, atol=1e-5)
    assert radius == pytest.approx(found.norm().item()) if radius else found.norm() > 0.002


def test_few_images_carry_the_perturbation_in_the_outer_loss():
    model = Tapped(0).eval()
    unlearning = Unlearning(IBau(portion=0.34), made_port(model))
    given, far = batch(6), torch.full((1, 3, 8, 8), 5.0)
    model.seen[False].clear()
    parts = unlearning.parts(model, given, far)
    outer, inner = model.seen[False][:2]
    moved = (outer - given.images).abs().amax(dim=(1, 2, 3))
    assert int((moved > 0).sum()) == 2, "int(0.34 x 6)"
    assert torch.allclose(inner, given.images + far)
    assert parts["ce"].item() == pytest.approx(F.cross_entropy(model(outer), given.labels).item())


def test_it_ends_with_other_weights_and_the_suspects_statistics():
    suspect = Tapped(0)
    before = snapshot(suspect)
    driver = Driver(IBau(training={**SETTINGS, "lr": 0.01}), made_port(suspect))
    purified = driver.run()
    now = snapshot(purified)
    assert not torch.equal(now["convs.0.weight"], before["convs.0.weight"])
    assert torch.equal(now["norms.0.running_mean"], before["norms.0.running_mean"]), "batch norms stay in eval mode"
    assert {part for step in driver.steps("i-bau") for part in step.parts} == {"ce", "implicit"}
    assert all(step.parts["implicit"] == 0 for step in driver.steps("i-bau"))
    assert unchanged(suspect, before)


def test_a_round_has_a_perturbation_of_its_own(monkeypatch):
    made = []
    universal = Unlearning.universal
    monkeypatch.setattr(Unlearning, "universal", lambda self, model: made.append(1) or universal(self, model))
    training = TrainingSettings(
        epochs=3, batch_size=7, lr=1e-3, schedule=ScheduleSettings(name="constant"), augment=AugmentSettings(crop=0)
    )
    Driver(IBau(training=training)).run()
    assert len(made) == 3
