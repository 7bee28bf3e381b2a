"""One step of training: what turns a batch's loss into changed weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.settings import TrainingSettings

Losses = Callable[[], dict[str, Tensor]]
"""The batch's summands at the weights as they are now; called more than once in a step, its objective draws the same
(mixup's partners, say) each time."""
OptimizerFactory = Callable[[nn.Module, TrainingSettings], torch.optim.Optimizer]


class TrainStep(Protocol):
    """How a step is made; `descend` is the usual one."""

    def __call__(self, model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
        """Change the weights once; return the summands to report, detached."""
        ...


def total(parts: dict[str, Tensor]) -> Tensor:
    """The summands' sum, added in their order: that of an objective's taps is the model's own."""
    return torch.stack(list(parts.values())).sum()


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
    """Down the gradient of the sum, once."""
    parts = losses()
    optimizer.zero_grad(set_to_none=True)
    total(parts).backward()
    optimizer.step()
    return {name: value.detach() for name, value in parts.items()}


def sgd(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """SGD over all parameters, as the settings say."""
    return torch.optim.SGD(
        model.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )


def adam(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam over all parameters; the settings' momentum is its first beta, Nesterov's makes it NAdam (Dozat 2016)."""
    kind = torch.optim.NAdam if settings.nesterov else torch.optim.Adam
    betas = settings.momentum, 0.999
    return kind(model.parameters(), lr=settings.lr, betas=betas, weight_decay=settings.weight_decay)


def state_of(optimizer: torch.optim.Optimizer, named: dict[str, Tensor]) -> dict[str, Tensor]:
    """What an optimizer remembers of each parameter, by the parameter's name: `<what>.<name>`."""
    return {
        f"{what}.{name}": value
        for name, parameter in named.items()
        for what, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_state(optimizer: torch.optim.Optimizer, named: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """Take up what `state_of` gave; the parameters are where and as they were."""
    for name, parameter in named.items():
        ending = f".{name}"
        for key, value in tensors.items():
            what = key.removesuffix(ending)
            if what == key or "." in what:
                continue
            # In the parameter's own memory layout: kernels may add up in another order on another layout.
            same = value.shape == parameter.shape
            optimizer.state[parameter][what] = torch.empty_like(parameter).copy_(value) if same else value.clone()
