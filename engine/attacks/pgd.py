"""Projected gradient descent inside an L-infinity ball (Madry et al., ICLR 2018, arXiv 1706.06083). Needs torch."""

from __future__ import annotations

import math
from collections.abc import Generator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.attacks.base import Lab
from engine.device import Device
from engine.events import Event

BATCH = 250
"""Images perturbed at a time."""


def perturbed(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    step: float,
    steps: int,
    draw: torch.Generator,
    device: Device,
    lab: Lab,
) -> Generator[Event, None, Tensor]:
    """Images that the model finds as unlike their labels as it can be made to, uint8 [N, 3, H, W].

    `epsilon` and `step` are pixel values (of 255); no pixel leaves its ball of `epsilon`, nor 0 to 255. Begins at a
    random point of the ball. The model is to be frozen and in eval mode.
    """
    changed = torch.empty_like(images, dtype=torch.float32)
    total = -(-len(images) // BATCH) * steps
    known = lab.kept("perturbed")
    if known:
        changed.copy_(known["changed"])
        draw.set_state(known["draw"])
    told = lab.steps(
        "perturbed",
        "perturbing the target class",
        total,
        lambda: {"changed": changed, "draw": draw.get_state()},
    )
    while told.count < total:
        part, number = divmod(told.count, steps)
        some = slice(part * BATCH, (part + 1) * BATCH)
        clean = images[some].float()
        if number == 0:
            noise = (2 * torch.rand(clean.shape, generator=draw) - 1).to(clean.device)
            changed[some] = _projected(clean + epsilon * noise, clean, epsilon)
        gradient = _gradient(model, changed[some], labels[some], device)
        changed[some] = _projected(changed[some] + step * gradient.sign(), clean, epsilon)
        yield from told.done()
    # Whole pixel values: rounding must not leave the ball either.
    return _projected(changed.round(), images.float(), math.floor(epsilon)).to(torch.uint8)


def _projected(changed: Tensor, clean: Tensor, epsilon: float) -> Tensor:
    return torch.minimum(torch.maximum(changed, clean - epsilon), clean + epsilon).clamp(0, 255)


def _gradient(model: nn.Module, pixels: Tensor, labels: Tensor, device: Device) -> Tensor:
    """Of the cross-entropy with respect to the pixel values."""
    pixels = pixels.detach().requires_grad_(True)
    with torch.enable_grad(), device.autocast():
        inputs = (pixels / 255).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(model(inputs).float(), labels, reduction="sum")
    return torch.autograd.grad(loss, pixels)[0]
