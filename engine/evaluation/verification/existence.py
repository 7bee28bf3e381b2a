"""The backdoor existence coefficient: do the channels that carried the trigger still answer it as they did?

Zhu, Liang and Wu, "Breaking the False Sense of Security in Backdoor Defense through Re-Activation Attack" (NeurIPS
2024, arXiv 2405.16134): in each convolution the channels that the trigger moves most in the suspect (trigger-activated
change), and the linear CKA, on triggered images, of their maps in the suspect with those in the other model. The mean
over layers, with a clean model at 0 and the suspect at 1. As one layer alone may be alike in any two models, the means
are brought to that scale, not each layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.device import Device
from engine.evaluation.verification.material import Found, Material, Unfit, Work
from engine.models.hooked import watched
from engine.models.inference import as_input, in_eval_mode

PAIRS = 500
"""Images, at most."""
SHARE = 0.1
"""Of a layer's channels, those that the trigger moves most; at least one."""
CHUNK = 100


def existence(model: nn.Module, material: Material) -> Work:
    """`similarity`: the mean CKA with the suspect, 0-1, before it is brought to the scale between clean and suspect.

    Raises:
        Unfit: the suspect has no convolution, or the model none at the same places.
    """
    yield from material.control.checkpoint()
    clean, triggered = pairs(material)
    layers = [name for name, module in material.suspect.named_modules() if isinstance(module, nn.Conv2d)]
    there = dict(model.named_modules())
    if not layers or any(not isinstance(there.get(name), nn.Conv2d) for name in layers):
        raise Unfit("it has no convolutions at the places of the suspect's")
    channels = most_moved(material.suspect, layers, clean, triggered, material.device)
    yield from material.control.checkpoint()
    first = answers(material.suspect, channels, triggered, material.device)
    second = answers(model, channels, triggered, material.device)
    alike = [linear_cka(first[name], second[name]) for name in layers]
    return Found({"similarity": sum(alike) / len(alike)})


def coefficient(similarity: float, clean: float) -> float:
    """The similarity on the scale on which a clean model's is 0 and the suspect's own 1."""
    return (similarity - clean) / (1 - clean) if clean < 1 else float("nan")


def pairs(material: Material) -> tuple[Tensor, Tensor]:
    """Test images that the attacker wants moved, without and with the trigger, uint8 [n, 3, H, W] each."""
    test = material.test
    assert test.triggered is not None
    return test.clean[test.eligible][:PAIRS], test.triggered[:PAIRS]


def most_moved(
    suspect: nn.Module, layers: list[str], clean: Tensor, triggered: Tensor, device: Device
) -> dict[str, Tensor]:
    """By layer the channels that the trigger moves most: mean |F(triggered) - F(clean)| over images and cells."""
    moved: dict[str, Tensor] = {}

    def see(name: str, module: nn.Module, given: Any, output: Tensor) -> None:
        without, with_it = output.float().chunk(2)
        change = (with_it - without).abs().mean(dim=(2, 3)).sum(dim=0)
        moved[name] = moved.get(name, 0) + change

    for some, same in zip(clean.split(CHUNK), triggered.split(CHUNK), strict=True):
        _pass(suspect, layers, torch.cat([some, same]), device, see)
    return {name: change.topk(max(1, round(SHARE * len(change)))).indices for name, change in moved.items()}


def answers(model: nn.Module, channels: Mapping[str, Tensor], images: Tensor, device: Device) -> dict[str, Tensor]:
    """By layer the maps of its channels as rows, float [n, k x h x w]."""
    rows: dict[str, list[Tensor]] = {name: [] for name in channels}

    def see(name: str, module: nn.Module, given: Any, output: Tensor) -> None:
        rows[name].append(output[:, channels[name]].float().flatten(1))

    for some in images.split(CHUNK):
        _pass(model, list(channels), some, device, see)
    return {name: torch.cat(found) for name, found in rows.items()}


@torch.no_grad()
def _pass(model: nn.Module, layers: list[str], images: Tensor, device: Device, see: Any) -> None:
    modules = {name: model.get_submodule(name) for name in layers}
    with in_eval_mode(model), watched(modules, see), device.autocast():
        model(as_input(images))


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Linear CKA of two sets of rows, float [n, p] and [n, q], 0-1 (Kornblith et al. 2019, equation 3).

    By the n x n products of the centered rows, as n is small. Rows that are all alike, of channels that are dead, are
    like nothing: 0.
    """
    products = []
    for rows in (first, second):
        centered = (rows - rows.mean(dim=0)).double()
        products.append(centered @ centered.T)
    a, b = products
    scale = a.norm() * b.norm()
    return float((a * b).sum() / scale) if scale > 0 else 0.0
