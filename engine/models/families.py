"""What a family of networks is: its names, its taps, and how one of it is built. Free of torch.

A family's file stands beside ours or comes with an installed package; it offers a `Family`, and imports torch only
when a network of it is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from engine.models.scale import Size
from engine.models.taps import Tap

if TYPE_CHECKING:
    from torch import Tensor, nn


class TappedModel(Protocol):
    """A network that tells its taps, besides its being an ``nn.Module``.

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
    """The form of its names, for a person: what stands where, and what of it is possible."""
    pattern: str
    """A regular expression for a whole name, with one group for each parameter in it."""
    reads: tuple[Callable[[str | None], Any], ...] = ()
    """What makes a parameter of each group's text, None where the group took no part; () = all are whole numbers."""
    fits: Callable[..., bool]
    """Whether there is a network of these parameters, as far as that is known before it is built."""
    build: Callable[..., nn.Module]
    """Called with the parameters, and with `classes` by keyword: a `TappedModel`, or any module from images to logits,
    whose taps are then found (`engine.models.finding.find_taps`). RequestError: there is no such network after all."""
    sized: bool = False
    """Whether `build` wants `size` by keyword as well: height and width of the images in pixels."""
    taps: Callable[..., tuple[Tap, ...]] | None = None
    """The taps of the network of these parameters, from input to output; None = known once it is built."""
    candidates: Callable[[Sequence[tuple[int, ...]]], Iterable[str]] | None = None
    """Names of its networks that weights of these shapes (of two dimensions and more, in their order) may belong to: by
    them a stranger's checkpoint is recognized; None = `smallest` alone is compared."""
    smallest: str = ""
    """The name of a network that is quick to train: what `nadtui check` tries the family on; "" = none is said."""

    def parameters(self, name: str) -> tuple[Any, ...] | None:
        """Return the parameters in ``name``, or None if it is no name of this family or not a valid one."""
        match = re.fullmatch(self.pattern, name)
        if match is None:
            return None
        reads = self.reads or (int,) * len(match.groups())
        found = tuple(read(group) for read, group in zip(reads, match.groups(), strict=True))
        return found if self.fits(*found) else None

    def construct(self, parameters: tuple[Any, ...], classes: int, size: Size) -> nn.Module:
        """Build the network of these parameters; raises as `build` does."""
        more = {"size": size} if self.sized else {}
        return self.build(*parameters, classes=classes, **more)
