"""Bounds on what a network's batch norms give, one for each element of their maps: what is above is not passed on.

A bound is a buffer of its norm, `<norm>.bound`, beside the norm's own: a state dict with bounds is one of the same
network with a few names more, and a network takes them on before it loads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

BOUND = "bound"
_ENDING = f".{BOUND}"
WRAPPED = "network."
"""What `Hooked` and `Normalized` put before their network's names."""
OPEN = torch.finfo(torch.float32).max
"""A bound that bounds nothing."""


def is_bound(name: str) -> bool:
    """Whether a tensor of that name in a state dict is the bound of a norm."""
    return name.endswith(_ENDING)


def bind(model: nn.Module, bounds: Mapping[str, Tensor]) -> nn.Module:
    """Have the named modules give at most their bounds [C, h, w], each at least 0, and no others; the model itself.

    Where an activation follows that leaves what is above 0 as it is, it gives at most as much, too.
    """
    for name, module in model.named_modules():
        bound = bounds.get(name)
        if BOUND in module._buffers:
            del module._buffers[BOUND]
        elif bound is not None:
            module.register_forward_hook(_bounded)
        if bound is not None:
            module.register_buffer(BOUND, bound.detach().clone())
    return model


def _bounded(module: nn.Module, _: Any, output: Tensor) -> Tensor:
    bound = module._buffers.get(BOUND)
    if bound is None:
        return output
    if bound.requires_grad:
        return _Least.apply(output, bound[None].contiguous(memory_format=torch.channels_last))
    return output.minimum(bound)


class _Least(torch.autograd.Function):
    """The lesser of activations [B, C, h, w] and a bound [1, C, h, w]: with torch's own gradient of `minimum`, a step
    takes half as long again. Where both are equal the gradient is the activation's."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, bound: Tensor) -> Tensor:
        ctx.save_for_backward(output, bound)
        return output.minimum(bound)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor]:
        output, bound = ctx.saved_tensors
        of_bound = slope * (output > bound)
        return (slope - of_bound).to(output.dtype), of_bound.sum(0, keepdim=True)


def taking(model: nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """Have a model take on the bounds that a state dict holds, open ones until it loads them; the model itself.

    Args:
        shapes: of the state dict's tensors, by name; what stands before the network's own names does not matter.
    """
    modules = {_bare(name): name for name, _ in model.named_modules() if name}
    bounds = {}
    for name, shape in shapes.items():
        theirs = f".{name.removesuffix(_ENDING)}"
        known = [ours for ours in modules if theirs.endswith(f".{ours}")]
        if is_bound(name) and known:
            bounds[modules[max(known, key=len)]] = torch.full(shape, OPEN)
    return bind(model, bounds)


def _bare(name: str) -> str:
    """A module's name as state dicts have it: without what wrappers put before it."""
    while name.startswith(WRAPPED):
        name = name.removeprefix(WRAPPED)
    return name
