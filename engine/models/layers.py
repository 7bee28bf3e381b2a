"""The layers of any network by what they are to it: its head, those before a tap, those of a module.

A layer is a convolution or a linear map. Which is the head, and which stand before a tap, a pass tells: networks name
them as they like.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import RequestError
from engine.models import known_taps
from engine.models.hooked import Hooked, watched
from engine.models.inference import in_eval_mode
from engine.models.normalized import bare

HEAD = "head"
"""The name of the layer that gives the logits."""
_LAYERS = (nn.Conv2d, nn.Linear)


def layer_paths(model: nn.Module, images: Tensor, names: Sequence[str], where: str) -> tuple[str, ...]:
    """The dotted paths, in the model, of the layers that go by those names, each once, in the order of a pass.

    Args:
        images: a few, float [N, 3, H, W] in [0, 1], where the model is.
        names: `head`; a tap's name, for all layers since the tap before; a module's dotted name, for all layers in it.
        where: the field that the names stand in, for messages.

    Raises:
        RequestError: there is nothing of that name, or there are no layers there.
    """
    taps = _tap_modules(model)
    passed = _pass(model, images, taps)
    layers = [path for kind, path in passed if kind == "layer"]
    chosen: set[str] = set()
    for name in names:
        found = _named(model, passed, layers, name)
        if found is None:
            raise RequestError(f"{where}: there is no tap and no module {name!r}{_hint(model, taps, name)}")
        if not found:
            raise RequestError(f"{where}: {name!r} has no convolution and no linear layer")
        chosen.update(found)
    return tuple(path for path in layers if path in chosen)


def _named(model: nn.Module, passed: list[tuple[str, str]], layers: list[str], name: str) -> list[str] | None:
    if name == HEAD:
        return layers[-1:]
    since: list[str] = []
    for kind, path in passed:
        if kind == "layer":
            since.append(path)
        elif path == name:
            return since
        else:
            since = []
    prefix = "".join(f"{step}." for step in _way_in(model))
    for whole in (name, f"{prefix}{name}") if name else ():
        if any(path == whole for path, _ in model.named_modules()):
            return [path for path in layers if f"{path}.".startswith(f"{whole}.")]
    return None


def _way_in(model: nn.Module) -> list[str]:
    """The steps from the model to the network that its layers are named by: through what stands around it."""
    steps = []
    while bare(model) is not model or isinstance(model, Hooked):
        steps.append("network")
        model = model.network
    return steps


def _tap_modules(model: nn.Module) -> dict[str, str]:
    """The paths of the modules that give the taps, by the taps' names, as far as they are known."""
    inner = bare(model)
    if isinstance(inner, Hooked):
        inside = inner.modules_of_taps
    else:
        try:
            known = known_taps(getattr(inner, "name", "")) or ()
        except RequestError:  # a network that goes by no name of ours
            known = ()
        inside = {tap.name: tap.module for tap in known if tap.module}
    prefix = "".join(f"{step}." for step in _way_in(model))
    there = dict(model.named_modules(remove_duplicate=False))
    return {tap: f"{prefix}{path}" for tap, path in inside.items() if f"{prefix}{path}" in there}


@torch.no_grad()
def _pass(model: nn.Module, images: Tensor, taps: dict[str, str]) -> list[tuple[str, str]]:
    """What happens in a pass: ("layer", path) when a layer is called first, ("tap", name) when a tap's map is there."""
    modules = dict(model.named_modules())
    seen: dict[tuple[str, str], None] = {}

    def see(path: str, module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(module, _LAYERS):
            seen.setdefault(("layer", path))
        for tap in (tap for tap, at in taps.items() if at == path):
            seen.pop(("tap", tap), None)  # of a module that is used again and again the last time counts
            seen[("tap", tap)] = None

    watch = {path: module for path, module in modules.items() if isinstance(module, _LAYERS) or path in taps.values()}
    with in_eval_mode(model), watched(watch, see):
        model(images)
    return list(seen)


def _hint(model: nn.Module, taps: dict[str, str], name: str) -> str:
    known = [HEAD, *taps, *(path for path, _ in model.named_modules() if path)]
    near = difflib.get_close_matches(name, known, n=1)
    return f", did you mean {near[0]!r}" if near else f"; allowed: {', '.join([HEAD, *taps])}, a module's dotted name"
