"""Attention maps of a group's output, and the distance between two models' maps (the NAD paper, section 3.2).

F^l in R^(C x H x W) is the output of group l. An operator A maps it to H x W; a = vec(A(F)) / ||vec(A(F))||_2 per
image; the loss of a group is ||a_S - a_T||^2, over all cells as in the paper's equation, or their mean as in the
authors' code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6
"""Added to the norm before dividing (the authors' code): a map of zeros stays one."""

OPERATORS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sum": lambda features, p: features.abs().sum(dim=1),
    "sum_p": lambda features, p: _power(features, p).sum(dim=1),
    "mean": lambda features, p: features.abs().mean(dim=1),
    "mean_p": lambda features, p: _power(features, p).mean(dim=1),
    "max_p": lambda features, p: _power(features, p).amax(dim=1),
}
"""Name -> A; `sum` and `mean` are those of p = 1 (Zagoruyko & Komodakis 2017, section 3.1)."""


def _power(features: Tensor, p: float) -> Tensor:
    """|F|^p; the usual p = 2 without the absolute value, which costs a pass over the features in each direction."""
    return features.square() if p == 2 else features.abs().pow(p)


def attention_map(features: Tensor, operator: str = "sum_p", p: float = 2.0) -> Tensor:
    """A(F) for a batch: [N, C, H, W] -> [N, H, W], values of 0 or more, in float32 (float64 stays as it is)."""
    # bf16 has three significant digits: squared and summed over channels it would blur the differences we align.
    half = features.dtype in (torch.bfloat16, torch.float16)
    return OPERATORS[operator](features.float() if half else features, p)


def normalized(maps: Tensor) -> Tensor:
    """Each image's map divided by its L2 norm: [N, H, W] -> [N, H, W]."""
    return maps / (maps.flatten(1).norm(dim=1).view(-1, 1, 1) + EPSILON)


def attention_loss(
    student: Tensor,
    teacher: Tensor,
    *,
    operator: str = "sum_p",
    p: float = 2.0,
    normalize: bool = True,
    reduction: str = "mean",
) -> Tensor:
    """The distance of two groups' attention maps, a scalar: the mean over the images.

    Args:
        student, teacher: [N, C, H, W]; C may differ, and where H x W does, the larger map is pooled adaptively to
            the smaller one.
        reduction: over a map's cells: "mean" (the authors' code) or "sum" (the paper's equation).
    """
    a_student = attention_map(student, operator, p)
    a_teacher = attention_map(teacher, operator, p)
    a_student, a_teacher = _same_size(a_student, a_teacher)
    if normalize:
        a_student, a_teacher = normalized(a_student), normalized(a_teacher)
    squared = (a_student - a_teacher).square().flatten(1)
    cells = squared.mean(dim=1) if reduction == "mean" else squared.sum(dim=1)
    return cells.mean()


def _same_size(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    size = [min(a, b) for a, b in zip(one.shape[1:], other.shape[1:], strict=True)]
    return _pooled(one, size), _pooled(other, size)


def _pooled(maps: Tensor, size: list[int]) -> Tensor:
    if list(maps.shape[1:]) == size:
        return maps
    return F.adaptive_avg_pool2d(maps.unsqueeze(1), size).squeeze(1)


def dead_taps(names: Sequence[str], taps: Sequence[Tensor], operator: str, p: float) -> dict[str, str]:
    """The taps whose normalized map can carry no information, with the reason.

    A 1x1 map is 1 after normalization whatever the image, and a map that is constant over its cells says nothing
    about places: distilling either is plain fine-tuning (what BackdoorBench's NAD does on most networks at 32 pixels).

    Args:
        taps: one [N, C, H, W] for each name, from real images.
    """
    dead = {}
    for name, features in zip(names, taps, strict=True):
        height, width = features.shape[-2:]
        maps = attention_map(features.detach(), operator, p)
        spread = maps.flatten(1).std(dim=1) if height * width > 1 else torch.zeros(len(maps))
        level = maps.flatten(1).mean(dim=1)
        if height * width == 1:
            dead[name] = "its map is 1x1"
        elif not bool(maps.isfinite().all()):
            dead[name] = f"its {height}x{width} map is not finite"
        elif not bool((spread > 1e-6 * level + 1e-12).any()):
            dead[name] = f"its {height}x{width} map is constant"
    return dead
