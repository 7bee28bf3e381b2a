"""Sharpness-aware steps: down the gradient that the loss has where it is worst nearby.

Foret et al.: Sharpness-Aware Minimization, ICLR 2021 (arXiv 2010.01412); adaptive, where nearby is measured against
each weight's own size: Kwon et al.: ASAM, ICML 2021 (arXiv 2102.11600).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.settings import SharpnessSettings
from engine.training.steps import Losses, TrainStep, descend, total

EPSILON = 1e-12
"""Added to the norm before dividing."""


def sharpness_aware(rho: float, *, adaptive: bool = True) -> TrainStep:
    """A step of the optimizer with the gradient at w + e, where e = rho T^2 g / ||T g||, g the gradient at w and T the
    weights' sizes |w| (adaptive) or 1. It takes two passes; batch norms note the first one's images alone.
    """

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
        parts = losses()
        optimizer.zero_grad(set_to_none=True)
        total(parts).backward()
        weights = [weight for weight in model.parameters() if weight.grad is not None]
        before = [weight.detach().clone() for weight in weights]
        with torch.no_grad():
            for weight, moved in zip(weights, ascent(weights, rho, adaptive), strict=True):
                weight.add_(moved)
        optimizer.zero_grad(set_to_none=True)
        with statistics_kept(model):
            total(losses()).backward()
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.copy_(value)
        optimizer.step()
        return {name: value.detach() for name, value in parts.items()}

    return step


def step_of(settings: SharpnessSettings) -> TrainStep:
    """The step that the settings want: a sharpness-aware one, or the usual one where their rho is 0."""
    return sharpness_aware(settings.rho, adaptive=settings.adaptive) if settings.rho else descend


@torch.no_grad()
def ascent(weights: list[Tensor], rho: float, adaptive: bool) -> list[Tensor]:
    """By how much each weight is moved up its gradient."""
    scaled = [weight.grad * weight.abs() if adaptive else weight.grad for weight in weights]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(each) for each in scaled]))
    factor = rho / (norm + EPSILON)
    return [
        each * weight.abs() * factor if adaptive else each * factor
        for each, weight in zip(scaled, weights, strict=True)
    ]


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """Within it batch norms use a batch's own statistics as ever, and do not note them."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, tracked) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, tracked
