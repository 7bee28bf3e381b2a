"""What is measured of a model, and of a tap: the figures that events carry. Free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What a model does on test images. Percentages are 0-100, intervals 95 % Wilson, counts are images.

    `acc` is over all test images; `asr`, `ra` and `base` over the `eligible` ones, those that the attacker wants
    moved: `asr` sends them, triggered, where the attacker wants; `ra` gives them, triggered, their true class; `base`
    sends them there without any trigger. NaN where there are no such images (an attack that is none).
    """

    images: int
    eligible: int
    acc: float
    asr: float
    ra: float
    base: float
    acc_ci: tuple[float, float]
    asr_ci: tuple[float, float]
    ra_ci: tuple[float, float]
    base_ci: tuple[float, float]
    class_acc: tuple[float, ...] = ()
    """ACC of each class, by class id; NaN for a class without test images."""

    @property
    def balanced_acc(self) -> float:
        """Mean of the classes' ACC: beside `acc` where classes are unbalanced."""
        present = [value for value in self.class_acc if not math.isnan(value)]
        return sum(present) / len(present) if present else math.nan


@dataclass(frozen=True, kw_only=True)
class Change:
    """A model's figures less another's, in points, on the same test images; 95 % intervals of matched pairs."""

    than: str
    """The other's stage."""
    acc: float
    acc_ci: tuple[float, float]
    asr: float = math.nan
    """NaN where no trigger is known."""
    asr_ci: tuple[float, float] = (math.nan, math.nan)


ROUNDING = 1e-4
"""Points of ACC that are none: shares of held images do not add up exactly."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a choice costs the suspect in ACC on held clean images, and what it may cost: in points."""

    lost: float
    lost_ci: tuple[float, float]
    """95 %, of matched pairs."""
    images: int
    """Those held."""
    budget: float

    @property
    def within(self) -> bool:
        """Whether it keeps to the budget on these images."""
        return self.lost <= self.budget + ROUNDING

    @property
    def sure(self) -> bool:
        """Whether the images are enough to tell: the whole interval keeps to it."""
        return self.within and self.lost_ci[1] <= self.budget + ROUNDING


@dataclass(frozen=True, kw_only=True)
class TapHealth:
    """How one tap takes part in the distillation."""

    tap: str
    height: int
    width: int
    beta: float
    loss: float
    """beta x attention loss at the first step measured."""
    share: float
    """Its share of the whole loss, 0-1."""
    gradient: float
    """L2 norm of its gradient over the student's parameters."""

    @property
    def dead(self) -> bool:
        """Whether it ought to take part and does not: a map of one cell, no share of the loss, or no gradient."""
        return self.beta > 0 and (self.height * self.width <= 1 or not self.share > 0 or not self.gradient > 0)
