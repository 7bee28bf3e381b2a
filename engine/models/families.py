"""What a family of networks is: its names, its taps, and how one of it is built. Free of torch.

A family's file stands beside ours or comes with an installed package; it offers a `Family`, and imports torch only
when a network of it is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from engine.models.taps import Tap

if TYPE_CHECKING:
    from torch import Tensor, nn


class TappedModel(Protocol):
    """What a family must build, besides its being an ``nn.Module``.

    The input is float [N, 3, H, W] in [0, 1] for any H and W the network can take; there is no mean/std
    normalisation around it (a network that wants one does it inside). Construction draws from torch's global
    CPU generator only, on the CPU.
    """

    name: str
    """The name it was built by, as ``engine.models.build`` takes it."""
    tap_names: tuple[str, ...]
    """The names of the intermediate maps a defense may look at, from input to output."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [N, classes]."""

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the same logits, and one map [N, C, h, w] per tap name, in one pass."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of networks, registered under the word that its networks' names begin with."""

    form: str
    """The form of its names, for a person: which numbers stand where, and which of them are possible."""
    pattern: str
    """A regular expression for a whole name, with one group for each number in it."""
    fits: Callable[..., bool]
    """Whether there is a network of these numbers."""
    build: Callable[..., nn.Module]
    """Called with the numbers, and with `classes` by keyword; a `TappedModel`."""
    taps: Callable[..., tuple[Tap, ...]] | None = None
    """The taps of the network of these numbers, from input to output; None = known once it is built."""
    candidates: Callable[[Sequence[tuple[int, ...]]], Iterable[str]] | None = None
    """Names of its networks that weights of these shapes (of two dimensions and more, in their order) may belong to: by
    them a stranger's checkpoint is recognized; None = `smallest` alone is compared."""
    smallest: str = ""
    """The name of a network that is quick to train: what `nadtui check` tries the family on; "" = none is said."""

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """Return the numbers in ``name``, or None if it is no name of this family or not a valid one."""
        match = re.fullmatch(self.pattern, name)
        if match is None:
            return None
        numbers = tuple(int(group) for group in match.groups())
        return numbers if self.fits(*numbers) else None
