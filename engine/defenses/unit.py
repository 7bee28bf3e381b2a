"""UNIT: a bound on each activation, tightened until the accuracy on held clean images gives way; no weight changes.

A trigger drives a few activations beyond anything that clean images come to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Layer, Port, Work
from engine.settings import BARE, AugmentSettings

if TYPE_CHECKING:
    from torch import nn


class Unit(Defense):
    """Settings of UNIT.

    The source bounds what each ReLU gives; here it is what each batch norm gives, which is the same wherever a ReLU
    follows it, and differs where a sum lies between them (at the end of the blocks of a plain residual network).
    """

    name: ClassVar[str] = "unit"
    summary: ClassVar[str] = "bounds on activations, tightened within a budget of held accuracy"
    source: ClassVar[str] = (
        "Cheng, Shen, Tao, Guo, Zhang, An, Ma, Zhang: UNIT: Backdoor Mitigation via Automated Neural Distribution "
        "Tightening, ECCV 2024 (arXiv 2407.11372), section 4; code: Megum1/UNIT, unit.py"
    )
    layers: ClassVar[frozenset[Layer]] = frozenset({"batch norm"})

    steps: int = Field(300, ge=1, le=100_000)
    """Steps of the bounds; after each the held images are looked at."""
    batch_size: int = Field(128, ge=1, le=65_536)
    """Images a step (the source: all)."""
    lr: float = Field(0.01, gt=0, le=100)
    """Adam's (the source: 0.001)."""
    start: float = Field(4.0, ge=0, le=100)
    """Standard deviations above its mean on clean images at which an activation's bound begins."""
    cost: float = Field(1e-3, gt=0, le=100)
    """Weight of the bounds' means at first; it doubles after `patience` steps inside the budget, and falls to a third
    after as many outside."""
    patience: int = Field(5, ge=1, le=1_000)
    budget: float = Field(3.0, ge=0, le=100)
    """Points of ACC on the held images that the bounds may cost."""
    augment: AugmentSettings = BARE
    """Of the images on which bounds are tightened (the source: cropped and flipped)."""
    held_share: float = Field(0.2, gt=0, lt=1)
    """Of the clean images, those on which that is measured."""

    @property
    def held(self) -> float:
        """How much it holds."""
        return self.held_share

    def defend(self, port: Port) -> Work[nn.Module]:
        """Tighten the bounds, and have a copy of the suspect keep to the tightest inside the budget; to none where even
        the first cost more."""
        import torch

        from engine.defenses.budget import furthest
        from engine.defenses.tightening import Tightening, first_bounds
        from engine.models.bounded import bind
        from engine.models.inference import freeze

        model = freeze(port.copy())
        first = first_bounds(model, port.clean.images, self.start)
        work = Tightening(port, bind(model, first), first, cost=self.cost, patience=self.patience, budget=self.budget)
        yield from port.optimize(
            self.name,
            "bounds",
            work.tensors,
            work.losses,
            self.steps,
            batch_size=self.batch_size,
            optimizer=lambda tensors: torch.optim.Adam(tensors[: len(first)], lr=self.lr, betas=(0.5, 0.9)),
            project=work.judge,
            augment=self.augment,
        )

        def bound(tightened: float) -> nn.Module:
            return freeze(bind(port.copy(), work.tightest()) if tightened else port.copy())

        share = work.share()
        strengths = {"none": 0.0, f"{share:.2f} of the first": 1.0}
        tightened = yield from furthest(port, self.name, "bounds", strengths, bound, self.budget)
        return (yield from port.adopt(self.name, bound(tightened)))
