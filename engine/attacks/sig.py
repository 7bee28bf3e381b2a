"""SIG: a sinusoidal strip pattern on images of the target class (Barni et al. 2019, arXiv 1902.11237)."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext, LabelRule, to_uint8
from engine.errors import RequestError
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SigTrigger:
    """Adds one signal, the same in every row and channel."""

    signal: Tensor
    """float32 [W], pixel values."""

    def __call__(self, images: Tensor) -> Tensor:
        """The images with the signal added, clipped and rounded, uint8 [N, 3, H, W]."""
        return to_uint8(images.float() + self.signal.to(images.device))

    def tensors(self) -> dict[str, Tensor]:
        """The signal."""
        return {"signal": self.signal}


class Sig(Attack):
    """Settings of SIG; the paper's: v(i, j) = 20 sin(2 pi j 6 / m) on 80 % of the target class, labels kept."""

    summary: ClassVar[str] = "sinusoidal strips on images of the target class"

    name: Literal["sig"] = "sig"
    label_rule: LabelRule = "clean-label"
    poisoning_rate: float = Field(0.8, ge=0, le=1)
    """Share of the target class's images that is poisoned (of all images under a dirty-label rule)."""
    delta: float = Field(20.0, gt=0, le=255)
    """Amplitude in pixel values (of 255)."""
    frequency: float = Field(6.0, gt=0, le=256)
    """Periods across the image's width."""

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse a target that is no class, and a signal beyond what the image's pixels can carry (Nyquist)."""
        super().check(classes, height, width)
        if self.frequency >= width / 2:
            raise RequestError(
                f"attack.frequency = {self.frequency:g}: below {width / 2:g} periods, half the image's width, is wanted"
            )

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> SigTrigger:
        """The signal."""
        return SigTrigger(tensors["signal"])

    def build(self, context: AttackContext) -> Generator[Event, None, SigTrigger]:
        """The sine over the columns j = 0 .. m - 1."""
        import torch

        yield from ()
        width = context.images.shape[-1]
        column = torch.arange(width, dtype=torch.float64)
        signal = self.delta * torch.sin(2 * math.pi * column * self.frequency / width)
        return SigTrigger(signal.float())
