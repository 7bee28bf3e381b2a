"""What feeds what in a network, seen in one pass: the convolutions behind a batch norm, who reads the last map.

Modules are watched by hooks, what happens between them by a `TorchFunctionMode`: sums, concatenations and poolings of
convolutions' outputs are followed, whatever else is done to them ends the trail. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from engine.defenses.neurons import logits_under, norms_of
from engine.models.inference import in_eval_mode

Channel = tuple[str, int] | None
"""The output channel of a convolution, by the convolution's name and its number; None = of something else."""
_SUMS = {"add", "iadd", "radd"}
_SAME = {"avg_pool2d", "max_pool2d", "contiguous", "clone", "dropout", "dropout2d", "feature_dropout"}


class _Trail(TorchFunctionMode):
    """Follows convolutions' outputs through what happens between modules."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, tuple[Tensor, tuple[Channel, ...]]] = {}
        self._ran: dict[str, int] = {}

    def begin(self, name: str, output: Tensor) -> None:
        """A convolution has run and given this."""
        self._ran[name] = len(self._ran)
        self.note(output, tuple((name, row) for row in range(output.shape[1])))

    def note(self, tensor: Tensor, channels: tuple[Channel, ...]) -> None:
        """From here on these channels go with the tensor, which is kept: its id stays its own."""
        self._known[id(tensor)] = tensor, channels

    def of(self, tensor: Any) -> tuple[Channel, ...] | None:
        """The channels of a map [N, C, h, w]; none is known of what comes from elsewhere."""
        if not isinstance(tensor, Tensor) or tensor.ndim != 4:
            return None
        known = self._known.get(id(tensor))
        return (None,) * tensor.shape[1] if known is None else known[1]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "").strip("_")
        before = self._before(name, args, kwargs or {})  # in place, it is gone afterwards
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.ndim == 4:
            if before is not None and len(before) == made.shape[1]:
                self.note(made, before)
            elif name != "dim":
                self._known.pop(id(made), None)
        return made

    def _before(self, name: str, args: Any, kwargs: Any) -> tuple[Channel, ...] | None:
        if name in _SUMS and len(args) > 1:
            one, other = self.of(args[0]), self.of(args[1])
            if one is None or other is None or len(one) != len(other):
                return None
            return tuple(max(pair, key=self._age) for pair in zip(one, other, strict=True))
        if name in ("cat", "concat") and (kwargs.get("dim", args[1] if len(args) > 1 else 0)) == 1:
            parts = [self.of(each) for each in args[0]]
            return None if None in parts else tuple(channel for part in parts for channel in part)
        return self.of(args[0]) if name in _SAME and args else None

    def _age(self, channel: Channel) -> int:
        return -1 if channel is None else self._ran[channel[0]]


def convolutions_before_norms(model: nn.Module, images: Tensor) -> dict[str, tuple[Channel, ...]]:
    """By norm, and channel of it, the convolution's channel that it is given.

    Of a sum it is the convolution that ran last: before a pre-activation block, the last that wrote into the trunk, and
    not the one that its module was defined after, a shortcut's. Norms that no convolution feeds are left out.

    Args:
        images: a few, float [N, 3, H, W] in [0, 1].
    """
    trail, found = _Trail(), {}
    convolutions = {name: each for name, each in model.named_modules() if isinstance(each, nn.Conv2d)}

    def made(name: str) -> Callable[..., None]:
        return lambda _, __, output: trail.begin(name, output)

    def given(name: str) -> Callable[..., None]:
        def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            channels = trail.of(inputs[0])
            if channels is not None and any(channels):
                found[name] = channels

        return note

    handles = [each.register_forward_hook(made(name)) for name, each in convolutions.items()]
    handles += [each.register_forward_pre_hook(given(name)) for name, each in norms_of(model).items()]
    _pass(model, images, handles, trail)
    return found


@dataclass(frozen=True)
class Reader:
    """The linear layer that reads a network's last map."""

    name: str
    channels: int
    """Of that map."""
    last: bool
    """Whether the map's channels are its input's last dimension, and not blocks of equal length in it."""


def reader_of(model: nn.Module, images: Tensor) -> Reader | None:
    """The first linear layer behind the last convolution; None where there is none."""
    seen: list[tuple[str, nn.Module, Tensor, Tensor]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen.append((name, module, inputs[0], output))

    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    handles = [
        each.register_forward_hook(note(name)) for name, each in model.named_modules() if isinstance(each, kinds)
    ]
    _pass(model, images, handles, _Trail())
    last = max((place for place, each in enumerate(seen) if isinstance(each[1], nn.Conv2d)), default=None)
    if last is None:
        return None
    reading = next((place for place in range(last, len(seen)) if isinstance(seen[place][1], nn.Linear)), None)
    if reading is None:
        return None
    channels = seen[reading - 1][3].shape[1]  # a norm behind the last convolution may gather more than it gave
    name, linear, given, _ = seen[reading]
    return Reader(name, channels, given.ndim > 2) if linear.in_features % channels == 0 else None


@torch.no_grad()
def norm_of_head(model: nn.Module, images: Tensor) -> str | None:
    """The last norm, where there is no way around it to the head, as in pre-activation and plain networks: its channels
    are the features by which classes are told. None where a sum stands between them, or there is none.

    Args:
        images: a few, float [N, 3, H, W] in [0, 1].
    """
    ran: list[str] = []
    handles = [
        each.register_forward_hook(lambda _, __, ___, name=name: ran.append(name))
        for name, each in norms_of(model).items()
    ]
    _pass(model, images, handles, _Trail())
    if not ran:
        return None
    silent = torch.cat(
        [torch.full((norm.num_features,), float(name != ran[-1])) for name, norm in norms_of(model).items()]
    )
    with in_eval_mode(model):
        logits = logits_under(model, images, weight=silent.to(images.device))
    return ran[-1] if torch.allclose(logits, logits[:1].expand_as(logits)) else None


@torch.no_grad()
def _pass(model: nn.Module, images: Tensor, handles: list[Any], trail: _Trail) -> None:
    try:
        with in_eval_mode(model), trail:
            model(images)
    finally:
        for handle in handles:
            handle.remove()
