"""What a network's last layer is fed: its features of an image, by which defenses look at whole training sets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.device import Device
from engine.models.hooked import watched
from engine.models.inference import BATCH, as_input, in_eval_mode


@torch.no_grad()
def features(model: nn.Module, images: Tensor, device: Device) -> Tensor:
    """The features of uint8 images [N, 3, H, W], float32 [N, D]; the model is left in the mode it was in.

    They are the input of the layer that is called last, linear or convolution; maps are averaged over their cells.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    given: list[Tensor] = []

    def see(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        given[:] = [inputs[0]]

    found = []
    with in_eval_mode(model), device.autocast(), watched(layers, see):
        for chunk in images.split(BATCH):
            model(as_input(chunk))
            (last,) = given
            found.append((last.mean(dim=(2, 3)) if last.ndim == 4 else last.flatten(1)).float())
    return torch.cat(found)
