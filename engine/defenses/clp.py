"""CLP: channels whose Lipschitz constant stands out in their layer are pruned.

A backdoored channel has to answer to a small trigger strongly, and that is to be read off the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.defenses.tracing import Channel

PRUNED = "channels pruned"
LEAST = 1.0
"""Standard deviations above its layer's mean that a channel has to stand, to be among those that may go."""


class Clp(Defense):
    """Settings of channel Lipschitz pruning.

    Published code pairs each norm with the convolution that its module was defined after, which in pre-activation
    networks is another than feeds it; here they are paired by what feeds what. The source looks at no image: as here
    with a spread, and without settling.
    """

    name: ClassVar[str] = "clp"
    summary: ClassVar[str] = "prunes the channels whose Lipschitz constant stands out in their layer"
    source: ClassVar[str] = (
        "Zheng, Tang, Li, Liu: Data-free Backdoor Removal based on Channel Lipschitzness, ECCV 2022 "
        "(arXiv 2208.03111), equations 11-12; code: rkteddy/channel-Lipschitz-based-pruning"
    )
    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm", "convolution"})

    spread: float | None = Field(None, gt=0, le=100)
    """Standard deviations above its layer's mean from which a channel is pruned (the source's u: 3); null = those that
    stand out the most, as many as the budget allows: of 16 channels none can stand more than 3.75 above the mean."""
    budget: float = Field(5.0, ge=0, le=100)
    """Points of ACC on the held images that pruning may cost; without effect where the spread is given."""
    settle: bool = True
    """Whether norms settle on clean images after pruning (the source, which has none: no): those behind a pruned
    channel fit no more."""
    held_share: float = Field(0.2, gt=0, lt=1)
    """Of the clean images, those on which it is decided how many go."""

    @property
    def held(self) -> float:
        """Nothing where the spread is given."""
        return self.held_share if self.spread is None else 0.0

    def unfit(self, model: nn.Module, clean: Tensor) -> str | None:
        """Neither without norms and convolutions, nor where no norm stands behind any convolution."""
        from engine.defenses.tracing import convolutions_before_norms

        missing = super().unfit(model, clean)
        if missing is None and not convolutions_before_norms(model, clean):
            return "none of its batch norms stands behind a convolution"
        return missing

    def defend(self, port: Port) -> Work[nn.Module]:
        """Prune a copy of the suspect."""
        from engine.defenses.budget import furthest, given, rungs
        from engine.defenses.pruning import BEYOND, Settling, without
        from engine.defenses.tracing import convolutions_before_norms
        from engine.models.inference import as_input

        before = convolutions_before_norms(port.suspect, as_input(port.clean.images[:2]))
        above = deviations(port.suspect, before)
        order = above.argsort(descending=True, stable=True)

        settling = Settling(port) if self.settle else None

        def most(count: float) -> nn.Module:
            return without(port, order, count, bias=True, settle=settling)

        if self.spread is not None:
            beyond = int((above > self.spread).sum())
            bound = f"more than {self.spread:g} standard deviations above the mean of its layer"
            beyond = yield from given(port, self.name, PRUNED, beyond, len(above), bound)
            return (yield from port.adopt(self.name, most(beyond)))
        counts = rungs(int((above > LEAST).sum()), len(above))
        count = yield from furthest(port, self.name, PRUNED, counts, most, self.budget, beyond=BEYOND)
        return (yield from port.adopt(self.name, most(count)))


def lipschitz(model: nn.Module, norm: str, before: tuple[Channel, ...]) -> Tensor:
    """The upper bound of each channel's Lipschitz constant [C]: the spectral norm of the kernel that feeds it, reshaped
    to input planes x cells, times what the norm makes of it (equation 11); 0 where no kernel does.

    Args:
        before: as `engine.defenses.tracing.convolutions_before_norms` finds it.
    """
    import torch

    module = model.get_submodule(norm)
    scale = (module.weight / (module.running_var + module.eps).sqrt()).abs()
    constants = torch.zeros_like(scale)
    for place, channel in enumerate(before):
        if channel is not None:
            name, row = channel
            kernel = model.get_submodule(name).weight[row].float().flatten(1)
            constants[place] = torch.linalg.matrix_norm(kernel, ord=2)
    return constants * scale


def deviations(model: nn.Module, before: dict[str, tuple[Channel, ...]]) -> Tensor:
    """By how many standard deviations of its layer each channel stands above its layer's mean, a row over all norms.

    Less than any in layers that no convolution feeds, or whose channels are all alike."""
    import torch

    from engine.defenses.neurons import norms_of

    def rows() -> Iterator[Tensor]:
        for name, norm in norms_of(model).items():
            constants = lipschitz(model, name, before[name]) if name in before else torch.zeros_like(norm.weight)
            above = (constants - constants.mean()) / constants.std()
            yield above.nan_to_num(nan=-float(len(above)))

    return torch.cat(list(rows())).detach()
