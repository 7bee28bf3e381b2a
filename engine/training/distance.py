"""Chosen layers pushed away from what they were, at the norm they had: what erases in D3.

Wei, Liu, Zha: Backdoor Mitigation by Distance-Driven Detoxification, ICCV 2025 (arXiv 2411.09585).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.models.layers import layer_paths
from engine.settings import DistanceSettings
from engine.training.loop import Batch, Objective
from engine.training.steps import Losses, TrainStep, descend

PROBE = 2
"""Images with which a network is asked for its layers."""


class Held:
    """Layers' weights that keep, in every step, the norm that those of an origin have."""

    def __init__(self, origin: nn.Module, paths: Sequence[str]) -> None:
        """`paths`: the layers' dotted paths in the origin, and in every copy of it."""
        self.origin = {path: origin.get_submodule(path).weight.detach().clone() for path in paths}
        self._norms = {path: torch.linalg.vector_norm(weight.double()) for path, weight in self.origin.items()}

    def weights(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The layers' weights in a model, by their paths."""
        return {path: model.get_submodule(path).weight for path in self.origin}

    @torch.no_grad()
    def project(self, model: nn.Module) -> None:
        """Bring the weights back to their norms, where they have any at all."""
        for path, weight in self.weights(model).items():
            norm = torch.linalg.vector_norm(weight.double())
            if norm > 0:
                weight.copy_(weight.double() * (self._norms[path] / norm))

    def step(self, inner: TrainStep = descend) -> TrainStep:
        """The step that `inner` makes, and the projection after it."""

        def stepped(model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
            parts = inner(model, optimizer, losses)
            self.project(model)
            return parts

        return stepped


class Distance(Held):
    """The settings' distance from an origin: its start, its summand of the loss, its step."""

    def __init__(self, settings: DistanceSettings, origin: nn.Module, paths: Sequence[str]) -> None:
        super().__init__(origin, paths)
        self.settings = settings

    @classmethod
    def of_layers(cls, settings: DistanceSettings, origin: nn.Module, images: Tensor, where: str) -> Distance:
        """The distance of the layers that the settings name.

        Args:
            images: a few, float [N, 3, H, W] in [0, 1], where the origin is.
            where: the settings' dotted path, for messages.

        Raises:
            RequestError: the origin has no such layers.
        """
        paths = layer_paths(origin, images[:PROBE], settings.layers, f"{where}.layers")
        return cls(settings, origin, paths)

    @torch.no_grad()
    def begin(self, model: nn.Module, seed: int) -> nn.Module:
        """Set the layers' weights in the model to where they start; what is drawn is drawn on the CPU."""
        generator = torch.Generator().manual_seed((seed * 1_000_003 + 7_717) % 2**63)
        for path, weight in self.weights(model).items():
            origin = self.origin[path]
            match self.settings.start:
                case "random":
                    weight.copy_(torch.rand(origin.shape, generator=generator) - 0.5)
                case "middle":
                    weight.zero_()
                case "far":
                    weight.copy_(-origin)
                case "noise":
                    drawn = torch.randn(origin.shape, generator=generator).to(origin.device)
                    weight.copy_(origin + origin.std() * drawn)
        self.project(model)
        return model

    def of(self, model: nn.Module) -> Tensor:
        """The distances of the layers' weights from their origins, added up: a scalar."""
        apart = (weight - self.origin[path] for path, weight in self.weights(model).items())
        return torch.stack([torch.linalg.vector_norm(each) for each in apart]).sum()

    def pushing(self, objective: Objective) -> Objective:
        """The objective with one summand more, `distance`: the further away, the less."""
        if not self.settings.weight:
            return objective

        def pushed(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            return {**objective(model, batch), "distance": -self.settings.weight * self.of(model)}

        return pushed
