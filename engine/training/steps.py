"""One step of training: what turns a batch's loss into changed weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

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
    return kind(model.parameters(), **_of_adam(settings))


def adamw(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adam whose weight decay is no part of the gradient (Loshchilov & Hutter 2019), else as `adam`."""
    if settings.nesterov:
        return torch.optim.NAdam(model.parameters(), **_of_adam(settings), decoupled_weight_decay=True)
    return torch.optim.AdamW(model.parameters(), **_of_adam(settings))


def _of_adam(settings: TrainingSettings) -> dict[str, Any]:
    return {"lr": settings.lr, "betas": (settings.momentum, 0.999), "weight_decay": settings.weight_decay}


def as_set(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer that the settings name."""
    makers: dict[str, OptimizerFactory] = {"sgd": sgd, "adam": adam, "adamw": adamw}
    return makers[settings.optimizer](model, settings)


def shorten(optimizer: torch.optim.Optimizer, largest: float) -> None:
    """Have every step's gradient over all parameters shortened to an L2 norm of at most `largest`, whoever makes the
    step (Pascanu et al. 2013)."""

    def shortened(optimizer: torch.optim.Optimizer, *_: object) -> None:
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        nn.utils.clip_grad_norm_(parameters, largest)

    optimizer.register_step_pre_hook(shortened)


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


class Interruptible:
    """An optimization between two of its steps: parameters, what the optimizer remembers of them, and the draws."""

    def __init__(
        self,
        parameters: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        draw: torch.Generator,
        buffers: dict[str, Tensor] | None = None,
    ) -> None:
        """`buffers` change with the steps and are not optimized (running means)."""
        self._parameters = parameters
        self._optimizer = optimizer
        self._draw = draw
        self._values = {**parameters, **(buffers or {})}

    def state(self) -> dict[str, Tensor]:
        """All that is needed to go on after the last step."""
        kept = state_of(self._optimizer, self._parameters)
        return {
            **{f"value.{name}": value for name, value in self._values.items()},
            **{f"optimizer.{name}": value for name, value in kept.items()},
            "draw": self._draw.get_state(),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` gave; nothing where it is empty."""
        if not state:
            return
        with torch.no_grad():
            for name, value in self._values.items():
                value.copy_(state[f"value.{name}"])
        kept = {
            name.removeprefix("optimizer."): value for name, value in state.items() if name.startswith("optimizer.")
        }
        restore_state(self._optimizer, self._parameters, kept)
        self._draw.set_state(state["draw"])
