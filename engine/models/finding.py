"""The taps of a network that names none: its last map of each resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import RequestError
from engine.models.hooked import Hooked, name_of, watched
from engine.models.inference import settled
from engine.models.layouts import alike, as_map
from engine.models.scale import Size

PROBE = 2
"""Images with which a network is asked for its maps: the maps' sizes are all that matters."""
POINT: Size = (1, 1)


def with_taps(network: nn.Module, images: Tensor) -> nn.Module:
    """The network, where it names taps, else with those that are found; arguments and errors as of `find_taps`."""
    if network.tap_names:
        return network
    taps = find_taps(network, images)
    return Hooked(_inner(network), dict(zip(taps, taps, strict=True)), network.name)


@torch.no_grad()
def find_taps(network: nn.Module, images: Tensor) -> tuple[str, ...]:
    """The modules that give the last map of each resolution above 1x1, in the order of a pass.

    Where several give the same tensor it is the outermost of them. What is computed before the first layer with
    parameters (a normalization of the images) says nothing about the network and does not count, nor does what a block
    that makes maps smaller does to them before. Where all maps are of one resolution, as a transformer's, they are
    those after a third, two thirds and all of its blocks.

    Args:
        images: float [N, 3, H, W] in [0, 1], on the network's device.

    Raises:
        RequestError: there is no such map.
    """
    images = images[:PROBE]
    network = settled(_inner(network), images)
    calls = _calls(network, images)
    last = {call.size: call for call in calls.values() if call.size != POINT}
    if not last:
        size = "x".join(map(str, images.shape[-2:]))
        why = f"all its maps are 1x1 for images of {size}" if calls else "no module of it gives a map [N, C, H, W]"
        raise RequestError(f"{name_of(network)} has nothing to tap: {why}")
    if len(last) == 1 and (blocks := _row(network, [path for path, call in calls.items() if call.size in last])):
        return tuple(blocks[-(-len(blocks) * third // 3) - 1] for third in (1, 2, 3))
    for path in _begun_too_early(calls):
        del calls[path]
    last = {call.size: call for call in calls.values() if call.size != POINT}
    found = [min((path for path, call in calls.items() if call.same(each)), key=_depth) for each in last.values()]
    return tuple(sorted(found, key=list(calls).index))


@dataclass(frozen=True)
class _Call:
    """What a module was given and gave."""

    output: Tensor
    version: int
    size: Size
    before: Size | None
    """The size of what it was given; None = it was no map."""
    block: bool
    """Whether it is more than a row of blocks."""

    def same(self, other: _Call) -> bool:
        return self.output is other.output and self.version == other.version


def _calls(network: nn.Module, images: Tensor) -> dict[str, _Call]:
    """The last call of each module that gives a map, by its path, in the order of a pass.

    What a layer norm gives is left out, as it is or turned about: its places are all alike.
    """
    calls: dict[str, _Call] = {}
    level: list[Tensor] = []
    learned = False

    def look(path: str, module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        nonlocal learned
        learned = learned or any(True for _ in module.parameters(recurse=False))
        calls.pop(path, None)  # of a module that is used again and again the last time counts
        found = as_map(output, images) if learned else None
        if found is None:
            return
        if isinstance(module, nn.LayerNorm):
            level.append(output)
        if any(found.untyped_storage().data_ptr() == each.untyped_storage().data_ptr() for each in level):
            return
        before = _size(as_map(given[0], images)) if given else None
        row = type(module) is nn.Sequential and any(True for child in module for _ in child.children())
        # The version is another after a change in place: the same tensor is then another map.
        calls[path] = _Call(output, output._version, _size(found), before, not row)

    with watched({path: module for path, module in network.named_modules() if path}, look):
        network(images)
    return _of_images(calls, images)


def _of_images(calls: dict[str, _Call], images: Tensor) -> dict[str, _Call]:
    """Those of the images' proportions, if any are, that grow no more: others may be tables of tokens by tokens."""
    shaped = {path: call for path, call in calls.items() if alike(call.size, images)} or calls
    kept: dict[str, _Call] = {}
    least = math.inf
    for path, call in shaped.items():
        cells = call.size[0] * call.size[1]
        if cells <= least:
            kept[path] = call
            least = cells if call.size != POINT else least
    return kept


def _size(found: Tensor | None) -> Size | None:
    return None if found is None else (found.shape[-2], found.shape[-1])


def _begun_too_early(calls: dict[str, _Call]) -> set[str]:
    """Inside blocks that make maps smaller, the maps as large as what the block was given: that counts, not these."""
    inside: set[str] = set()
    for block, call in calls.items():
        if not call.block or call.before in (None, call.size):
            continue
        inner = {path for path in calls if path.startswith(f"{block}.")}
        sizes = {calls[path].size for path in inner} - {POINT, call.size}
        others = any(each.size == call.before for path, each in calls.items() if path not in inner | inside)
        if sizes == {call.before} and others:
            inside |= {path for path in inner if calls[path].size == call.before}
    return inside


def _row(network: nn.Module, paths: list[str]) -> list[str]:
    """Among modules that give maps, the longest row of blocks of one kind in one container; none where it is short."""
    rows: dict[tuple[str, type], list[str]] = {}
    for path in paths:
        module = network.get_submodule(path)
        if any(True for _ in module.children()):
            rows.setdefault((path.rpartition(".")[0], type(module)), []).append(path)
    longest = max(rows.values(), key=len, default=[])
    return longest if len(longest) >= 3 else []


def _inner(network: nn.Module) -> nn.Module:
    return network.network if isinstance(network, Hooked) else network


def _depth(path: str) -> int:
    return path.count(".")
