"""BadNets: a small patch in a fixed place (Gu et al. 2017, arXiv 1708.06733)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext
from engine.errors import RequestError
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor

Place = Literal["top-left", "top-right", "bottom-left", "bottom-right", "center"]


@dataclass(frozen=True)
class PatchTrigger:
    """Replaces a rectangle of every image by a pattern."""

    pattern: Tensor
    """uint8 [3, h, w]."""
    top: int
    left: int

    def __call__(self, images: Tensor) -> Tensor:
        """The images with the patch on, uint8 [N, 3, H, W]."""
        _, height, width = self.pattern.shape
        triggered = images.clone()
        rows, columns = slice(self.top, self.top + height), slice(self.left, self.left + width)
        triggered[..., rows, columns] = self.pattern.to(images.device)
        return triggered

    def tensors(self) -> dict[str, Tensor]:
        """The pattern and its corner."""
        import torch

        return {"pattern": self.pattern, "corner": torch.tensor([self.top, self.left])}


def corner_of(place: Place, size: int, margin: int, height: int, width: int) -> tuple[int, int]:
    """Top and left of a square of `size` pixels at `place`, `margin` pixels off the border (the center has none)."""
    if place == "center":
        return (height - size) // 2, (width - size) // 2
    vertical, _, horizontal = place.partition("-")
    top = margin if vertical == "top" else height - margin - size
    left = margin if horizontal == "left" else width - margin - size
    return top, left


class Patch(Attack):
    """Settings of every attack that replaces a square of the image."""

    size: int = Field(3, ge=1, le=512)
    """Side of the patch in pixels."""
    place: Place = "bottom-right"
    """Which corner, or the center."""
    margin: int = Field(0, ge=0, le=512)
    """Pixels between the patch and the border."""

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse a target that is no class, and a patch that does not lie inside the image."""
        super().check(classes, height, width)
        margin = 0 if self.place == "center" else self.margin
        if self.size + margin > min(height, width):
            raise RequestError(
                f"attack.size = {self.size}, attack.margin = {self.margin}: the patch does not fit into images of "
                f"{width}x{height} pixels"
            )


class BadNets(Patch):
    """Settings of BadNets; the paper's: a 3x3 black-and-white grid in the bottom right corner."""

    summary: ClassVar[str] = "a small black-and-white grid in a fixed place"

    name: Literal["badnets"] = "badnets"

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> PatchTrigger:
        """The patch in its place."""
        return PatchTrigger(tensors["pattern"], *tensors["corner"].tolist())

    def build(self, context: AttackContext) -> Generator[Event, None, PatchTrigger]:
        """The checkerboard whose corners are white."""
        import torch

        yield from ()
        height, width = context.images.shape[-2:]
        row = torch.arange(self.size)
        white = (row[:, None] + row[None, :]) % 2 == 0
        pattern = (white * 255).to(torch.uint8).expand(3, -1, -1).contiguous()
        return PatchTrigger(pattern, *corner_of(self.place, self.size, self.margin, height, width))
