"""The trigger with one small perturbation for all images on top: does that wake it?

Zhu, Liang and Wu, NeurIPS 2024 (arXiv 2405.16134), the white-box re-activation attack: a universal perturbation
within L-inf 0.05, made on triggered training images to send them where the attacker wants. Such a perturbation moves
images of a clean model as well: only what it does beyond that speaks of the backdoor. The authors take plain gradient
steps over 50 passes of five steps; signed ones reach the same bound in fewer.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.control import Control
from engine.data.subset import stratified_draw
from engine.device import Device
from engine.evaluation.verification.material import Found, Material, Unfit, Work
from engine.events import Event
from engine.models.inference import as_input, freeze, in_eval_mode

BOUND = 0.05
"""Of pixel values of 0-1."""
IMAGES = 500
BATCH = 100
STEPS = 100
STEP = 0.01


def perturbation(model: nn.Module, material: Material) -> Work:
    """In percent, of test images that the attacker wants moved: `asr` with trigger and perturbation, `alone` with the
    perturbation and no trigger.

    Raises:
        Unfit: the attacker would move none of the training images.
    """
    images, wanted = triggered_training(material)
    delta = yield from universal(freeze(model), images, wanted, material.device, material.control, material.seed)
    test = material.test
    assert test.triggered is not None
    return Found(
        {
            "asr": _sent(model, test.triggered, test.wanted, delta, material),
            "alone": _sent(model, test.clean[test.eligible], test.wanted, delta, material),
        }
    )


def universal(
    model: nn.Module, images: Tensor, wanted: Tensor, device: Device, control: Control, seed: int
) -> Generator[Event, None, Tensor]:
    """One perturbation within the bound, float [1, 3, H, W], that sends images where they are wanted.

    Args:
        model: frozen.
        images: uint8 [N, 3, H, W].
        wanted: int64 [N].
    """
    delta = bounded_start(images, seed)
    order = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        yield from control.checkpoint()
        some = torch.randperm(len(images), generator=order)[:BATCH].to(images.device)
        with in_eval_mode(model), device.autocast():
            step(model, delta, as_input(images[some]), wanted[some])
    return delta.detach()


def triggered_training(material: Material) -> tuple[Tensor, Tensor]:
    """Training images with the trigger on, uint8, and where the attacker wants them."""
    labels = material.train.labels[material.eligible]
    if not len(labels):
        raise Unfit("the attacker would move none of the training images")
    places = torch.arange(len(labels), device=labels.device)
    if len(labels) > max(IMAGES, len(labels.unique())):
        places = stratified_draw(labels, max(IMAGES, len(labels.unique())), material.seed, "the images to perturb")
    chosen = material.eligible[places]
    return material.trigger(material.train.images[chosen]), material.wanted[chosen]


def bounded_start(images: Tensor, seed: int) -> Tensor:
    """A perturbation drawn evenly within the bound, float [1, 3, H, W], that wants a gradient."""
    drawn = torch.rand(1, *images.shape[1:], generator=torch.Generator().manual_seed(seed))
    return ((2 * drawn - 1) * BOUND).to(images.device).requires_grad_(True)


def step(model: nn.Module, delta: Tensor, images: Tensor, wanted: Tensor) -> None:
    """One signed step towards the wanted classes, away from the strongest of the others; within the bound."""
    logits = model((images + delta).clamp(0, 1)).float()
    others = logits.softmax(dim=1).scatter(1, wanted[:, None], 0).amax(dim=1)
    loss = functional.cross_entropy(logits, wanted) - torch.log(1.0001 - others).mean()
    (gradient,) = torch.autograd.grad(loss, delta)
    with torch.no_grad():
        delta.sub_(STEP * gradient.sign()).clamp_(-BOUND, BOUND)


@torch.inference_mode()
def _sent(model: nn.Module, images: Tensor, wanted: Tensor, delta: Tensor, material: Material) -> float:
    """The share of the images that end where they are wanted, in percent; NaN of none."""
    hits = 0
    with in_eval_mode(model), material.device.autocast():
        for some, labels in zip(images.split(BATCH), wanted.split(BATCH), strict=True):
            hits += int((model((as_input(some) + delta).clamp(0, 1)).argmax(dim=1) == labels).sum())
    return 100 * hits / len(images) if len(images) else float("nan")
