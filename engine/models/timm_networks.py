"""`timm:NAME`: any classifier of timm, where that is installed. No weights come."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from engine.errors import AbsentError, RequestError
from engine.models.families import Family
from engine.models.scale import Size

if TYPE_CHECKING:
    from torch import nn


def _build(name: str, *, classes: int, size: Size) -> nn.Module:
    where = f"model.name = 'timm:{name}'"
    try:
        import timm
    except ImportError as error:
        raise AbsentError(f"{where}: timm is not installed: pip install 'nadtui[timm]'") from error
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f", did you mean 'timm:{near[0]}'" if near else ""
        raise RequestError(f"{where}: timm has no such classifier{hint}")
    # Whose weights hang on the images' size wants to be told it; others do not know the word.
    known = timm.get_pretrained_cfg(name)
    more = {"img_size": size} if known is not None and known.fixed_input_size else {}
    try:
        return timm.create_model(name, pretrained=False, num_classes=classes, **more)
    except (ValueError, AssertionError, RuntimeError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise RequestError(f"{where}: none can be built for images of {size[0]}x{size[1]} ({why})") from error


FAMILY = Family(
    form="timm:NAME, a classifier of timm, where it is installed",
    pattern=r"timm:([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)?)",
    reads=(str,),
    fits=lambda name: True,
    build=_build,
    sized=True,
)
