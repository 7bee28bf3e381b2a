"""Taps of any network, by its modules' dotted names: through hooks that are there during a pass alone."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from engine.errors import RequestError
from engine.models.layouts import as_map


class Hooked(nn.Module):
    """A network and the maps that some of its modules give; a `TappedModel` whose weights keep their names.

    A tap is its module's last output in a pass, read as a map. It is kept as a copy: what follows may write over it in
    place.
    """

    def __init__(self, network: nn.Module, taps: Mapping[str, str], name: str = "") -> None:
        """Look into `network`; `taps` are the names that the maps go by, each with its module's dotted name.

        Raises:
            RequestError: the network has no such module.
        """
        super().__init__()
        self.name = name or name_of(network)
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

    @property
    def modules_of_taps(self) -> dict[str, str]:
        """The taps' names, each with its module's dotted name in the network."""
        return dict(self._paths)

    def forward(self, images: Tensor) -> Tensor:
        """The network's logits [N, classes]."""
        return self.network(images)

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same logits, and one map [N, C, h, w] for each tap.

        Raises:
            RequestError: a tap's module gives no such map, or the pass does not reach it.
        """
        given: dict[str, Any] = {}

        def keep(tap: str, module: nn.Module, inputs: Any, output: Any) -> None:
            given[tap] = output.clone() if isinstance(output, Tensor) else output

        with watched({tap: self.network.get_submodule(path) for tap, path in self._paths.items()}, keep):
            logits = self.network(images)
        for tap in self.tap_names:
            if tap not in given:
                raise RequestError(f"tap '{tap}': a pass through {self.name} does not reach it")
        maps = {tap: as_map(given[tap], images) for tap in self.tap_names}
        for tap, found in maps.items():
            if found is None:
                raise RequestError(f"tap '{tap}': {self.name} gives {_shown(given[tap])} there, no map [N, C, H, W]")
        return logits, tuple(maps.values())

    def state_dict(self, *args: Any, **keywords: Any) -> dict[str, Any]:
        """The network's own, under its own names."""
        return self.network.state_dict(*args, **keywords)


def _with_prefix(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Turn the names that `state_dict` gave into those that torch looks for here when it loads."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[f"{prefix}network.{key.removeprefix(prefix)}"] = state.pop(key)


@contextmanager
def watched(modules: Mapping[str, nn.Module], see: Callable[[str, nn.Module, Any, Any], None]) -> Iterator[None]:
    """Tell `see` what each of the modules is given and gives, by the name it has here."""
    handles = []
    try:
        for name, module in modules.items():
            handles.append(
                module.register_forward_hook(lambda module, given, output, name=name: see(name, module, given, output))
            )
        yield
    finally:
        for handle in handles:
            handle.remove()


def _shown(output: Any) -> str:
    return "x".join(map(str, output.shape)) if isinstance(output, Tensor) else f"a {type(output).__name__}"


def name_of(network: nn.Module) -> str:
    """What a network is called in messages."""
    return str(getattr(network, "name", type(network).__name__))
