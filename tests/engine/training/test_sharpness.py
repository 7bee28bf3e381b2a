"""The sharpness-aware step against its formula, written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.training.sharpness import sharpness_aware, statistics_kept
from tests.ports import Tapped, batch

CURVES = (np.array([[3.0, 0.5]]), np.array([1.5]))


class Bowl(nn.Module):
    """Two parameters and a loss whose gradient is known: sum c w^2 / 2 + sum w^3 / 3."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[1.0, -2.0]]))
        self.b = nn.Parameter(torch.tensor([0.5]))
        self.idle = nn.Parameter(torch.ones(2))

    def losses(self) -> dict[str, Tensor]:
        pairs = zip((self.a, self.b), CURVES, strict=True)
        return {"bowl": sum((torch.tensor(c) * w**2 / 2 + w**3 / 3).sum() for w, c in pairs)}


def expected(weights: list[np.ndarray], rho: float, lr: float, adaptive: bool) -> list[np.ndarray]:
    """BackdoorBench's adaptive SAM: e = rho w^2 g / ||w g||; without, e = rho g / ||g||."""

    def gradients(at: list[np.ndarray]) -> list[np.ndarray]:
        return [c * w + w**2 for w, c in zip(at, CURVES, strict=True)]

    sizes = [np.abs(w) if adaptive else np.ones_like(w) for w in weights]
    here = gradients(weights)
    norm = np.sqrt(sum(((t * g) ** 2).sum() for t, g in zip(sizes, here, strict=True)))
    there = [w + rho * t**2 * g / norm for w, t, g in zip(weights, sizes, here, strict=True)]
    return [w - lr * g for w, g in zip(weights, gradients(there), strict=True)]


@pytest.mark.parametrize("adaptive", [True, False])
def test_a_step_follows_the_formula(adaptive):
    model = Bowl()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = [model.a.detach().double().numpy(), model.b.detach().double().numpy()]
    wanted = expected(weights, 0.7, 0.1, adaptive)
    first = float(model.losses()["bowl"].detach())
    parts = sharpness_aware(0.7, adaptive=adaptive)(model, optimizer, model.losses)
    np.testing.assert_allclose(model.a.detach().numpy(), wanted[0], rtol=1e-5)
    np.testing.assert_allclose(model.b.detach().numpy(), wanted[1], rtol=1e-5)
    assert torch.equal(model.idle, torch.ones(2)), "what has no gradient stays"
    assert float(parts["bowl"]) == first and not parts["bowl"].requires_grad, (
        "told is the loss at the weights themselves"
    )


def test_batch_norms_note_each_batch_once():
    model, other, given = Tapped(1).train(), Tapped(1).train(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    sharpness_aware(0.5)(model, optimizer, lambda: {"size": model(given.images).square().mean()})
    other(given.images)
    assert len(model.seen[True]) == 2
    for mine, theirs in zip(model.norms, other.norms, strict=True):
        torch.testing.assert_close(mine.running_mean, theirs.running_mean)
        torch.testing.assert_close(mine.running_var, theirs.running_var)
        assert int(mine.num_batches_tracked) == 1
        assert mine.momentum == 0.1


def test_norms_are_as_before_though_a_pass_fails():
    model = Tapped(1).train()
    with pytest.raises(RuntimeError), statistics_kept(model):
        raise RuntimeError
    assert [norm.momentum for norm in model.norms] == [0.1, 0.1]
