"""A network whose first layer normalizes its images: outside of it they stay in [0, 1]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.models.preprocessing import Channels, Preprocessing
from engine.storage.state_dicts.normalization import OURS


class Normalize(nn.Module):
    """(images - mean) / std, channel by channel; nothing in it is learned."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Channels, std: Channels) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W]."""
        return (images - self.mean) / self.std


class Normalized(nn.Module):
    """A `TappedModel` behind a normalization. Its weights keep their names, and `OURS` stand beside them."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.name = str(getattr(network, "name", type(network).__name__))
        self.tap_names = network.tap_names
        self.normalize = Normalize(preprocessing.mean, preprocessing.std)
        self.network = network
        self.register_load_state_dict_pre_hook(_inside)

    def forward(self, images: Tensor) -> Tensor:
        """The network's logits [N, classes] for images [N, 3, H, W] in [0, 1]."""
        return self.network(self.normalize(images))

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same logits, and the network's maps."""
        return self.network.forward_with_taps(self.normalize(images))

    def state_dict(self, *args: Any, **keywords: Any) -> dict[str, Any]:
        """The network's own, under its own names, with the normalization."""
        prefix = keywords.get("prefix", "")
        state = self.network.state_dict(*args, **keywords)
        values = self.normalize.mean, self.normalize.std
        state.update({f"{prefix}{name}": value.detach() for name, value in zip(OURS, values, strict=True)})
        return state

    @property
    def preprocessing(self) -> Preprocessing:
        """The numbers as they are now."""
        mean, std = (tuple(each.flatten().tolist()) for each in (self.normalize.mean, self.normalize.std))
        return Preprocessing(mean, std)


def _inside(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Turn the names that `state_dict` gave into those that torch looks for here when it loads."""
    buffers = dict(zip(OURS, ("normalize.mean", "normalize.std"), strict=True))
    for key in [key for key in state if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        state[prefix + buffers.get(name, f"network.{name}")] = state.pop(key)


def bare(model: nn.Module) -> nn.Module:
    """The network behind the normalization, where there is one."""
    return model.network if isinstance(model, Normalized) else model
