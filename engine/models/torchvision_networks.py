"""`torchvision:NAME`: any classifier of torchvision, as it stands there, whatever the images' size. No weights come."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from engine.errors import RequestError
from engine.models.families import Family
from engine.models.scale import Size

if TYPE_CHECKING:
    from torch import nn


def _build(name: str, *, classes: int, size: Size) -> nn.Module:
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", did you mean 'torchvision:{near[0]}'" if near else f"; allowed: {', '.join(known)}"
        raise RequestError(f"model.name = 'torchvision:{name}': torchvision has no such classifier{hint}")
    try:
        return models.get_model(name, weights=None, num_classes=classes, **_wanted(name, size))
    except (ValueError, AssertionError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RequestError(
            f"model.name = 'torchvision:{name}': none can be built for images of {size[0]}x{size[1]} ({why})"
        ) from error


def _wanted(name: str, size: Size) -> dict[str, Any]:
    """What some want to be told beside the number of classes."""
    if name.startswith("vit_"):
        return {"image_size": max(size)}  # of other images than square ones it says itself that it takes none
    if name.startswith("maxvit_"):
        return {"input_size": size}
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}  # further heads would make a tuple of the logits
    return {}


FAMILY = Family(
    form="torchvision:NAME, a classifier of torchvision",
    pattern="torchvision:([a-z0-9_]+)",
    reads=(str,),
    fits=lambda name: True,
    build=_build,
    sized=True,
    smallest="torchvision:shufflenet_v2_x0_5",
)
