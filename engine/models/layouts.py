"""What a module gives, read as a map [N, C, h, w]: maps themselves, channels last, and rows of tokens."""

from __future__ import annotations

from typing import Any

from torch import Tensor

MARKS = 5
"""Tokens beside those of places (class, distillation, registers) that a row may begin with, at most."""


def as_map(output: Any, images: Tensor) -> Tensor | None:
    """A module's output for images [N, 3, H, W] as a map [N, C, h, w], a view of it; None = it is none.

    [N, h, w, C] is told from [N, C, h, w] by the images' proportions. Tokens [N, L, C] are places row by row behind the
    fewest marks that leave a map of the images' proportions; the marks are dropped.
    """
    if not isinstance(output, Tensor) or len(output) != len(images) or not output.is_floating_point():
        return None
    if output.ndim == 4:
        last = not alike(output.shape[2:], images) and alike(output.shape[1:3], images)
        return output.permute(0, 3, 1, 2) if last else output
    if output.ndim == 3:
        return _from_tokens(output, images)
    return None


def _from_tokens(tokens: Tensor, images: Tensor) -> Tensor | None:
    height, width = images.shape[-2:]
    for marks in range(MARKS + 1):
        places = tokens.shape[1] - marks
        rows = round((max(places, 0) * height / width) ** 0.5)
        if rows and places % rows == 0 and alike((rows, places // rows), images):
            return tokens[:, marks:].transpose(1, 2).unflatten(2, (rows, places // rows))
    return None


def alike(size: tuple[int, ...], images: Tensor) -> bool:
    """Whether a map of that height and width has the images' proportions, but for less than a cell."""
    (rows, columns), (height, width) = size, images.shape[-2:]
    return abs(rows * width - columns * height) < max(height, width)
