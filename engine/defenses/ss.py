"""Spectral signatures (Tran et al., NeurIPS 2018): poisoned images shift the features of their class in one direction,
which the top singular vector finds; those that lie far out along it are isolated.

In the paper the features are centered at the class's mean, and the 1.5 epsilon farthest are removed, where epsilon is
the most that may be poisoned. Its guarantee needs epsilon to be small. In our presets half of the target class is
poisoned, or most of it: then the mean lies between the two, both are equally far from it, and nothing is found (so does
BackdoorBench report it). The defender holds clean images: by default the features are centered at their mean, and
isolated is what lies farther out than all but a few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.defenses.retraining import Retraining
from engine.settings import Fraction

if TYPE_CHECKING:
    from torch import Tensor


class Ss(Retraining):
    """Settings of spectral signatures and of the retraining after them."""

    name: ClassVar[str] = "ss"
    summary: ClassVar[str] = "isolates what lies far out along each class's top singular vector, then trains anew"
    source: ClassVar[str] = (
        "Tran, Li, Madry: Spectral Signatures in Backdoor Attacks, NeurIPS 2018 (arXiv 1811.00636), algorithm 1"
    )

    center: Literal["clean", "class"] = "clean"
    """At whose mean the features of a class are centered: its clean images', or all its images' (the paper's)."""
    share: Fraction | None = None
    """Of each class, the farthest that are isolated (the paper's 1.5 epsilon; BackdoorBench: 0.15); null = those
    farther out than `quantile` of the class's clean images."""
    quantile: float = Field(0.95, ge=0, le=1)

    def suspected(self, features: Tensor, clean: Tensor, seed: int) -> Tensor:
        """What lies far out along the class's top singular vector."""
        import torch

        center = (clean if self.center == "clean" else features).mean(dim=0)
        direction = top_direction(features - center)
        scores = outlyingness(features - center, direction)
        if self.share is None:
            return scores > outlyingness(clean - center, direction).quantile(self.quantile)
        chosen = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
        chosen[scores.argsort(descending=True)[: round(self.share * len(scores))]] = True
        return chosen


def top_direction(centered: Tensor) -> Tensor:
    """The first right singular vector of [N, D], [D], of length 1; its sign means nothing."""
    import torch

    return torch.linalg.svd(centered, full_matrices=False).Vh[0]


def outlyingness(centered: Tensor, direction: Tensor) -> Tensor:
    """The squared projection of each row of [N, D], [N]."""
    return (centered @ direction).square()
