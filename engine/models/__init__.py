"""The model families and how a name such as ``wrn-16-1`` becomes a network.

A new family is one file beside this one that offers ``build(*numbers, classes) -> TappedModel``, and one
entry in ``FAMILIES``. Importing this package loads no torch: names are checked before any network is built.
"""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn


class TappedModel(Protocol):
    """What a family must provide, besides being an ``nn.Module``.

    The input is float [N, 3, H, W] in [0, 1] for any H and W the network can take; there is no mean/std
    normalisation around it (a network that wants one does it inside). Construction draws from torch's global
    CPU generator only, on the CPU.
    """

    name: str
    """The name it was built by, as ``build`` takes it."""
    tap_names: tuple[str, ...]
    """The names of the intermediate maps a defense may look at, from input to output."""

    def forward(self, images: "Tensor") -> "Tensor":
        """Return the logits [N, classes]."""

    def forward_with_taps(self, images: "Tensor") -> "tuple[Tensor, tuple[Tensor, ...]]":
        """Return the same logits, and one map [N, C, h, w] per tap name, in one pass and without hooks."""


@dataclass(frozen=True)
class Family:
    """A family of networks: ``pattern`` has one group per number in the name; ``fits`` judges the numbers."""

    form: str
    pattern: str
    module: str
    fits: Callable[..., bool]

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """Return the numbers in ``name``, or None if it is no name of this family or not a valid one."""
        match = re.fullmatch(self.pattern, name)
        if match is None:
            return None
        numbers = tuple(int(group) for group in match.groups())
        return numbers if self.fits(*numbers) else None


FAMILIES: tuple[Family, ...] = (
    Family(
        form="wrn-DEPTH-WIDTH with DEPTH 10, 16, 22, 28, 34, 40, ... (6n + 4) and WIDTH 1 or more",
        pattern=r"wrn-([1-9][0-9]{0,2})-([1-9][0-9]{0,2})",
        module="engine.models.wrn",
        fits=lambda depth, width: depth >= 10 and (depth - 4) % 6 == 0,
    ),
)


def check_name(name: str) -> None:
    """Raise RequestError, naming the allowed forms, unless ``name`` is the name of a network we can build."""
    _resolve(name)


def build(name: str, classes: int, seed: int | None = None) -> "nn.Module":
    """Build the network ``name`` on the CPU, in training mode; it is a ``TappedModel``.

    Args:
        name: a network's name, for instance ``wrn-16-1``.
        classes: the number of logits, 1 or more.
        seed: decides the initial weights; torch's global generators are left as they were found. None draws
            the weights from the global generator.

    Raises:
        RequestError: an unknown or impossible name.
    """
    import torch

    family, numbers = _resolve(name)
    construct = importlib.import_module(family.module).build
    if seed is None:
        return construct(*numbers, classes=classes)
    # The CPU's generator alone is set aside and seeded: torch.manual_seed would reseed every GPU as well.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return construct(*numbers, classes=classes)


def _resolve(name: str) -> tuple[Family, tuple[int, ...]]:
    for family in FAMILIES:
        numbers = family.numbers(name)
        if numbers is not None:
            return family, numbers
    forms = "; ".join(family.form for family in FAMILIES)
    raise RequestError(f"unknown model {name!r}; allowed: {forms}")
