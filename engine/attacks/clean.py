"""No attack at all: the reference model, whose ACC and base rate every other figure stands beside."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class NoTrigger:
    """Leaves every image as it is."""

    def __call__(self, images: Tensor) -> Tensor:
        """A copy of the images, uint8 [N, 3, H, W]."""
        return images.clone()

    def tensors(self) -> dict[str, Tensor]:
        """Nothing defines it."""
        return {}


class Clean(Attack):
    """Settings of no attack; `target` is the class whose base rate is measured."""

    summary: ClassVar[str] = "no attack: the reference model, its ACC and its base rate"
    marks: ClassVar[bool] = False

    name: Literal["clean"] = "clean"
    label_rule: Literal["none"] = "none"
    poisoning_rate: float = Field(0.0, ge=0, le=0)
    """Nothing is poisoned."""

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> NoTrigger:
        """Nothing."""
        return NoTrigger()

    def build(self, context: AttackContext) -> Generator[Event, None, NoTrigger]:
        """There is no trigger."""
        yield from ()
        return NoTrigger()
