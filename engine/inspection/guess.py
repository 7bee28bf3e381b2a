"""Which network a state dict belongs to, by its shapes: every family is asked which of its networks might have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from engine import models
from engine.errors import RequestError
from engine.models import FAMILIES
from engine.storage.state_dicts.naming import Shape, match, needed

ALIKE = 0.5
"""Least share of the weights' shapes that a network must have for it to be named."""


@dataclass(frozen=True)
class Guess:
    """A network that a state dict may belong to."""

    name: str
    classes: int
    fits: bool
    """Every tensor is there, by name and shape."""
    share: float
    """Share of the shapes of its weights that are those of the file, 0-1."""
    named: float
    """Share of its tensors that the file has by name and shape, 0-1."""

    def said(self) -> str:
        """In words."""
        network = f"{self.name} for {self.classes} classes"
        if self.fits:
            return f"its tensors are those of {network}"
        return f"its shapes are those of {network}, under other names" if self.share == 1 else f"nearest is {network}"


def guess(shapes: Mapping[str, Shape]) -> Guess | None:
    """The network of our families that those tensors are likest to; None where none is like them.

    Args:
        shapes: of a state dict, in its order.
    """
    classes = classes_of(shapes)
    if classes is None:
        return None
    found = [each for name in _candidates(shapes) if (each := _compared(name, classes, shapes)) is not None]
    best = max(found, key=lambda each: (each.fits, each.share + each.named), default=None)
    return best if best is not None and (best.fits or best.share >= ALIKE) else None


def classes_of(shapes: Mapping[str, Shape]) -> int | None:
    """The logits of the last linear layer: rows of the last matrix, whose bias, where it has one, is as long."""
    matrices = [(name, shape) for name, shape in shapes.items() if len(shape) == 2]
    with_bias = [
        shape for name, shape in matrices if shapes.get(f"{name.removesuffix('weight')}bias", ()) == (shape[0],)
    ]
    rows = with_bias or [shape for _, shape in matrices]
    if rows:
        return rows[-1][0] or None
    last = next((shape for shape in reversed(shapes.values()) if len(shape) == 4 and shape[2:] == (1, 1)), None)
    return last[0] if last is not None and last[0] else None


def _candidates(shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Names of networks worth comparing: each family's own proposals, else its smallest."""
    weights = [shape for shape in shapes.values() if len(shape) > 1]
    for family in FAMILIES.loaded().values():
        if family.candidates is not None:
            yield from family.candidates(weights)
        elif family.smallest:
            yield family.smallest


def _compared(name: str, classes: int, shapes: Mapping[str, Shape]) -> Guess | None:
    try:
        with torch.device("meta"):  # shapes without memory
            network = models.build(name, classes)
    except (RequestError, RuntimeError, NotImplementedError, ValueError):
        return None
    wanted = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    naming = match(wanted, shapes)
    necessary = needed(wanted)
    there = sum(key in naming.names and shapes[naming.names[key]] == wanted[key] for key in necessary)
    fits = there == len(necessary)
    mine, theirs = (Counter(each for each in held.values() if len(each) > 1) for held in (wanted, shapes))
    share = (mine & theirs).total() / max(mine.total(), theirs.total(), 1)
    return Guess(name, classes, fits and not naming.inside, share, there / max(len(necessary), 1))
