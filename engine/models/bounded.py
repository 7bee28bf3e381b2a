"""Bounds on what a network's batch norms give, one for each element of their maps: what is above is not passed on.

A bound is a buffer of its norm, `<norm>.bound`, beside the norm's own: a state dict with bounds is one of the same
network with a few names more, and a network takes them on before it loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

BOUND = "bound"


def bind(model: nn.Module, bounds: Mapping[str, Tensor]) -> nn.Module:
    """Have the named modules give at most their bounds [C, h, w], each at least 0; the model itself.

    Where an activation follows that leaves what is above 0 as it is, it gives at most as much, too.
    """
    for name, bound in bounds.items():
        module = model.get_submodule(name)
        if BOUND not in dict(module.named_buffers(recurse=False)):
            module.register_forward_hook(_bounded)
        module.register_buffer(BOUND, bound.detach().clone())
    return model


def _bounded(module: nn.Module, _: Any, output: Tensor) -> Tensor:
    return output.minimum(module.bound)


def bounds_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The bounds in a state dict, by their modules' names."""
    ending = f".{BOUND}"
    return {name.removesuffix(ending): tensor for name, tensor in state.items() if name.endswith(ending)}
