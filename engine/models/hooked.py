"""Taps of any network, by its modules' dotted names: through hooks that are there during a pass alone."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import RequestError
from engine.models.inference import in_eval_mode

PROBE = 2
"""Images with which a network is asked for its maps: the maps' sizes are all that matters."""


class Hooked(nn.Module):
    """A network and the maps that some of its modules give; a `TappedModel` whose weights keep their names.

    A tap is its module's last output in a pass. It is kept as a copy: what follows may write over it in place.
    """

    def __init__(self, network: nn.Module, taps: Mapping[str, str], name: str = "") -> None:
        """Look into `network`; `taps` are the names that the maps go by, each with its module's dotted name.

        Raises:
            RequestError: the network has no such module.
        """
        super().__init__()
        self.name = name or _name(network)
        self.tap_names = tuple(taps)
        self.network = network
        self._paths = dict(taps)
        known = [path for path, _ in network.named_modules(remove_duplicate=False) if path]
        for path in taps.values():
            if path not in known:
                near = difflib.get_close_matches(path, known, n=1)
                hint = f", did you mean '{near[0]}'" if near else ""
                raise RequestError(f"tap '{path}': {self.name} has no such module{hint}")
        self.register_load_state_dict_pre_hook(_with_prefix)

    def forward(self, images: Tensor) -> Tensor:
        """The network's logits [N, classes]."""
        return self.network(images)

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same logits, and one map [N, C, h, w] for each tap.

        Raises:
            RequestError: a tap's module gives no such map, or the pass does not reach it.
        """
        given: dict[str, Any] = {}

        def keep(tap: str, module: nn.Module, output: Any) -> None:
            given[tap] = output.clone() if isinstance(output, Tensor) else output

        with _watched({tap: self.network.get_submodule(path) for tap, path in self._paths.items()}, keep):
            logits = self.network(images)
        for tap in self.tap_names:
            if tap not in given:
                raise RequestError(f"tap '{tap}': a pass through {self.name} does not reach it")
            if not _is_map(given[tap], len(images)):
                raise RequestError(f"tap '{tap}': {self.name} gives {_shown(given[tap])} there, no map [N, C, H, W]")
        return logits, tuple(given[tap] for tap in self.tap_names)

    def state_dict(self, *args: Any, **keywords: Any) -> dict[str, Any]:
        """The network's own, under its own names."""
        return self.network.state_dict(*args, **keywords)


def _with_prefix(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Turn the names that `state_dict` gave into those that torch looks for here when it loads."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[f"{prefix}network.{key.removeprefix(prefix)}"] = state.pop(key)


@torch.no_grad()
def find_taps(network: nn.Module, images: Tensor) -> tuple[str, ...]:
    """The modules that give the last map of each resolution above 1x1, in the order of a pass.

    Where several give the same tensor it is the outermost of them. What is computed before the first layer with
    parameters (a normalization of the images) says nothing about the network and does not count.

    Args:
        images: float [N, 3, H, W] in [0, 1], on the network's device.

    Raises:
        RequestError: there is no such map.
    """
    network = network.network if isinstance(network, Hooked) else network
    images = images[:PROBE]
    calls: dict[str, tuple[Tensor, int]] = {}
    learned, mapped = False, False

    def look(path: str, module: nn.Module, output: Any) -> None:
        nonlocal learned, mapped
        learned = learned or any(True for _ in module.parameters(recurse=False))
        calls.pop(path, None)  # of a module that is used again and again the last time counts
        if learned and _is_map(output, len(images)):
            mapped = True
            # The version is another after a change in place: the same tensor is then another map.
            calls[path] = output, output._version

    with in_eval_mode(network), _watched({path: module for path, module in network.named_modules() if path}, look):
        network(images)
    last = {tuple(map_.shape[-2:]): (map_, version) for map_, version in calls.values() if map_.shape[-2:].numel() > 1}
    if not last:
        size = "x".join(map(str, images.shape[-2:]))
        why = f"all its maps are 1x1 for images of {size}" if mapped else "no module of it gives a map [N, C, H, W]"
        raise RequestError(f"{_name(network)} has nothing to tap: {why}")
    found = [
        min((path for path, call in calls.items() if call[0] is map_ and call[1] == version), key=_depth)
        for map_, version in last.values()
    ]
    return tuple(sorted(found, key=list(calls).index))


def _depth(path: str) -> int:
    return path.count(".")


@contextmanager
def _watched(modules: Mapping[str, nn.Module], see: Callable[[str, nn.Module, Any], None]) -> Iterator[None]:
    """Tell `see` what each of the modules gives, by the name it has here."""
    handles = []
    try:
        for name, module in modules.items():
            handles.append(
                module.register_forward_hook(lambda module, given, output, name=name: see(name, module, output))
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_map(output: Any, images: int) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4 and len(output) == images and output.is_floating_point()


def _shown(output: Any) -> str:
    return "x".join(map(str, output.shape)) if isinstance(output, Tensor) else f"a {type(output).__name__}"


def _name(network: nn.Module) -> str:
    return str(getattr(network, "name", type(network).__name__))
