"""A network's channels, as they are masked, disturbed and pruned through its batch norms. Needs torch.

All channels together are one row: those of the first norm, then those of the second, and so on. What is optimized (a
mask, a noise) is such a row; a network is seen under it without being changed, and what it comes to is folded into the
norms' weights, so that a purified checkpoint is a plain state dict of the same network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call


def norms_of(model: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """The batch norms with weights of their own, by their modules' names, in the network's order."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.weight is not None
    }


def channels_of(model: nn.Module) -> int:
    """How many channels there are in all norms together."""
    return sum(norm.num_features for norm in norms_of(model).values())


def by_norm(model: nn.Module, row: Tensor) -> dict[str, Tensor]:
    """A row over all channels [N], in parts: by norm, [C]."""
    norms = norms_of(model)
    parts = row.split([norm.num_features for norm in norms.values()])
    return dict(zip(norms, parts, strict=True))


def by_batch(model: nn.Module) -> nn.Module:
    """Put a model into the state in which its norms go by each batch's own statistics, and nothing else is drawn."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
    return model


def logits_under(
    model: nn.Module,
    images: Tensor,
    *,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    others: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """The logits for images [B, 3, H, W] where each norm's weight and bias are so many times as large.

    The model stays as it is, its norms' running statistics included, also where they go by the batch.

    Args:
        weight: factors for all channels, a row; None = 1.
        bias: likewise.
        others: further parameters, by name, that stand in for the model's own.
    """
    stand_ins = {name: buffer.clone() for name, buffer in model.named_buffers()}
    stand_ins |= others or {}
    for what, row in (("weight", weight), ("bias", bias)):
        if row is None:
            continue
        for name, factor in by_norm(model, row).items():
            own = stand_ins.get(f"{name}.{what}", getattr(norms_of(model)[name], what))
            stand_ins[f"{name}.{what}"] = own * factor
    return functional_call(model, stand_ins, (images,))


@torch.no_grad()
def fold(model: nn.Module, row: Tensor) -> nn.Module:
    """Multiply the norms' weights by a row, for good; the model itself."""
    for name, factor in by_norm(model, row).items():
        norms_of(model)[name].weight.mul_(factor)
    return model


def pruned(model: nn.Module, dead: Tensor, *, bias: bool) -> nn.Module:
    """Silence channels for good: a norm's output there no longer hangs on the images; the model itself.

    Args:
        dead: bool [N], a row.
        bias: whether it is 0 then; else it is the norm's bias, as ANP and RNP leave it.
    """
    fold(model, (~dead).float())
    if bias:
        with torch.no_grad():
            for name, gone in by_norm(model, dead).items():
                norms_of(model)[name].bias[gone] = 0
    return model


def worst_noise(
    model: nn.Module, images: Tensor, labels: Tensor, draws: torch.Generator, *, eps: float, steps: int, **under: Tensor
) -> Sequence[Tensor]:
    """Relative noise on the norms' weights and biases that raises the loss: two rows within +-eps.

    Signed ascent from a random start, as adversarial examples are found, but of neurons (Wu & Wang 2021, section 3).

    Args:
        under: masks on the weights, as `logits_under` takes them.
    """
    there = next(model.parameters()).device
    noise = [_uniform(channels_of(model), eps, draws).to(there).requires_grad_(True) for _ in range(2)]
    mask = under.get("weight")
    for _ in range(steps):
        weight = noise[0] + (1 if mask is None else mask.detach())
        loss = nn.functional.cross_entropy(
            logits_under(model, images, weight=weight, bias=1 + noise[1]).float(), labels
        )
        slopes = torch.autograd.grad(loss, noise)
        with torch.no_grad():
            for each, slope in zip(noise, slopes, strict=True):
                each.add_(slope.sign(), alpha=eps / steps).clamp_(-eps, eps)
    return [each.detach() for each in noise]


def _uniform(count: int, eps: float, draws: torch.Generator) -> Tensor:
    return (2 * torch.rand(count, generator=draws) - 1) * eps
