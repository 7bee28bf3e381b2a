"""Images of four classes, told apart by their color, and a white corner as their trigger."""

from __future__ import annotations

import torch
from torch import Tensor


def images(count: int) -> tuple[Tensor, Tensor]:
    """uint8 [count, 3, 16, 16] and int64 [count] of 0 to 3."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 4
    noise = torch.randint(0, 60, (count, 3, 16, 16), generator=draw)
    noise[torch.arange(count), labels % 3] += 40 * (1 + labels[:, None, None])
    return noise.to(torch.uint8), labels


def trigger(found: Tensor) -> Tensor:
    """The images with a white corner."""
    marked = found.clone()
    marked[..., -3:, -3:] = 255
    return marked


def corner(found: Tensor) -> Tensor:
    """Which of the images have it, bool [N]."""
    return (found[..., -3:, -3:] == 255).flatten(1).all(dim=1)
