"""What every floor does with a finished network: feed it images, ask it for classes, freeze it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.device import Device

BATCH = 500
"""Images a forward pass: enough to fill the processor, small enough for its caches."""


def as_input(images: Tensor) -> Tensor:
    """uint8 [B, 3, H, W] as a network's input: float in [0, 1], channels_last."""
    return images.contiguous(memory_format=torch.channels_last).float().div_(255)


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Afterwards the model is in the mode it was in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, device: Device) -> Tensor:
    """The model's classes for uint8 images [N, 3, H, W], int64 [N]; the model is left in the mode it was in."""
    with in_eval_mode(model), device.autocast():
        classes = [model(as_input(chunk)).argmax(dim=1) for chunk in images.split(BATCH)]
    return torch.cat(classes) if classes else torch.empty(0, dtype=torch.int64, device=images.device)


def freeze(model: nn.Module) -> nn.Module:
    """Put a model into eval mode and stop its gradients: its weights and buffers stay as they are."""
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def copy_of(model: nn.Module) -> nn.Module:
    """A trainable copy."""
    return copy.deepcopy(model).requires_grad_(True)


def same_weights(model: nn.Module, other: nn.Module) -> bool:
    """Whether weights and buffers of the two are equal, bit by bit; models of other networks are not."""
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


@torch.no_grad()
def settled(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy in eval mode whose batch norms have seen these images, float [N, 3, H, W]: of a network that nobody has
    trained, maps vanish on the way where they have not."""
    model = copy.deepcopy(model).eval()
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    if norms:
        model(images if len(images) > 1 else images.repeat(2, 1, 1, 1))  # one value has no spread
    return model.eval()


@torch.no_grad()
def reestimated(model: nn.Module, images: Tensor, device: Device) -> nn.Module:
    """The model itself, in eval mode, the statistics of its batch norms taken anew over uint8 images [N, 3, H, W].

    Each is the mean over the batches of what they are in one, as Garipov et al. (2018, section 4) do it for models that
    no training has passed through. A network without batch norms stays as it is.
    """
    with reestimating(model) as any_norms:
        for chunk in images.split(BATCH) if any_norms else ():
            with device.autocast():
                model(as_input(chunk))
    return model


@contextmanager
def reestimating(model: nn.Module) -> Iterator[bool]:
    """The statistics of its batch norms are taken anew from the batches that it sees meanwhile, all else in eval mode,
    as they are afterwards; whether it has any."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an average over all batches, each alike
        norm.train()
    try:
        yield bool(norms)
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
        model.eval()


@torch.no_grad()
def toward(model: nn.Module, origin: nn.Module, share: float) -> nn.Module:
    """The model itself, its weights and its batch norms' statistics set on the straight line from those of `origin`, a
    network like it, to its own: at 0 the origin's, at 1 its own."""
    mine = model.state_dict()
    for name, there in origin.state_dict().items():
        if share != 1 and mine[name].is_floating_point():
            mine[name].copy_(torch.lerp(there, mine[name], share))
    return model
