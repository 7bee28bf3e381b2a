"""A suspect's weights and trigger in one file. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine import zoo
from engine.errors import RequestError
from engine.storage.checkpoints import load_weights, save_weights
from engine.zoo.card import Card

_MODEL, _TRIGGER = "model.", "trigger."


@dataclass(frozen=True)
class Contents:
    """What a suspect's file holds."""

    weights: Mapping[str, Tensor]
    """The network's state dict; parameters in half precision, BatchNorm's statistics as they were."""
    trigger: Mapping[str, Tensor]
    """What defines the trigger, as its `tensors` gave it."""

    def save(self, file: Path, name: str) -> None:
        """Write the file whole.

        Raises:
            RequestError: it cannot be written.
        """
        tensors = {f"{_MODEL}{key}": value for key, value in self.weights.items()}
        tensors |= {f"{_TRIGGER}{key}": value for key, value in self.trigger.items()}
        save_weights(file, tensors, {"suspect": name})


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters in half precision; running statistics, whose range is wider, and counters stay as they are."""
    return {
        key: value.to(torch.float16) if value.is_floating_point() and "running_" not in key else value
        for key, value in weights.items()
    }


def load(card: Card, where: Path | None = None) -> Contents:
    """Read the file that a card speaks of, from the package or another folder.

    Raises:
        RequestError: the file is missing or damaged.
    """
    file = (where or zoo.folder()) / f"{card.name}.safetensors"
    if not card.is_of(file):
        what = "is not what its card speaks of" if file.is_file() else "is missing"
        raise RequestError(f"{file} {what}: install nadtui anew, or make it: nadtui zoo build {card.name}")
    tensors, _ = load_weights(file)

    def part(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}

    return Contents(part(_MODEL), part(_TRIGGER))
