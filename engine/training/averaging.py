"""The mean of the weights that training passes through, instead of those it ends at.

Equal weights: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018
(arXiv 1803.05407); exponential ones: Polyak and Juditsky 1992, as Tarvainen and Valpola 2017 (arXiv 1703.01780) use it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.settings import AverageSettings


class Average:
    """Of a model's parameters, step by step; buffers have no mean, and batch norms have to be estimated anew."""

    def __init__(self, settings: AverageSettings) -> None:
        self._settings = settings
        self._count = 0
        self._mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def note(self, model: nn.Module, share: float) -> None:
        """Take a step's weights in, once the training has come as far as the settings say.

        Args:
            share: of the training that is done, this step included, in (0, 1].
        """
        if self._settings.start >= 1 or share <= self._settings.start:
            return
        self._count += 1
        # The first so many weigh alike in both: an exponential mean that began at one step would stay near it.
        new = max(1 / self._count, 1 - self._settings.decay)
        for name, weight in model.named_parameters():
            if name in self._mean:
                self._mean[name].lerp_(weight.detach().float(), new)
            else:
                self._mean[name] = weight.detach().float().clone()

    @torch.no_grad()
    def laid_over(self, model: nn.Module) -> bool:
        """Give the model the mean weights; whether there are any."""
        for name, weight in model.named_parameters():
            if name in self._mean:
                weight.copy_(self._mean[name])
        return bool(self._mean)

    def state(self) -> dict[str, Tensor]:
        """All that it needs to go on."""
        return {**self._mean, "count": torch.tensor(self._count)} if self._mean else {}

    def restore(self, state: dict[str, Tensor], model: nn.Module) -> None:
        """Take up what `state` gave, where the model's weights lie."""
        self._count = int(state.get("count", 0))
        places = {name: weight.device for name, weight in model.named_parameters()}
        self._mean = {name: state[name].to(place) for name, place in places.items() if name in state}
