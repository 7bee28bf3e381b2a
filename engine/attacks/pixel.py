"""Pixel: one or a few single pixels in fixed places (Gu et al. 2017, arXiv 1708.06733, section 4.1)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from engine.attacks.base import Attack, AttackContext
from engine.errors import RequestError
from engine.events import Event

if TYPE_CHECKING:
    from torch import Tensor

Level = Annotated[int, Field(ge=0, le=255)]


@dataclass(frozen=True)
class PixelTrigger:
    """Sets single pixels to one color."""

    places: Tensor
    """int64 [K, 2]: rows and columns from 0."""
    color: Tensor
    """uint8 [3]."""

    def __call__(self, images: Tensor) -> Tensor:
        """The images with the pixels set, uint8 [N, 3, H, W]."""
        triggered = images.clone()
        rows, columns = self.places.to(images.device).unbind(dim=1)
        triggered[..., rows, columns] = self.color.to(images.device)[:, None]
        return triggered

    def tensors(self) -> dict[str, Tensor]:
        """The places and the color."""
        return {"places": self.places, "color": self.color}


class Pixel(Attack):
    """Settings of the pixel attack; the paper's: a bright pixel near the bottom right corner."""

    summary: ClassVar[str] = "one or a few single pixels of one color"

    name: Literal["pixel"] = "pixel"
    pixels: tuple[tuple[int, int], ...] = ((-2, -2),)
    """Row and column of each pixel, from 0 at the top left, or from -1 at the bottom right."""
    color: tuple[Level, Level, Level] = (255, 255, 255)
    """Red, green and blue, 0 to 255."""

    @field_validator("pixels")
    @classmethod
    def _at_least_one_pixel(cls, value: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
        if not value:
            raise ValueError("at least one pixel is wanted")
        return value

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse a target that is no class, and a pixel outside the image."""
        super().check(classes, height, width)
        for row, column in self.pixels:
            if not (-height <= row < height and -width <= column < width):
                raise RequestError(
                    f"attack.pixels = [{row}, {column}]: outside images of {width}x{height} pixels; rows "
                    f"{-height} to {height - 1} and columns {-width} to {width - 1} are there"
                )

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> PixelTrigger:
        """The pixels."""
        return PixelTrigger(tensors["places"], tensors["color"])

    def build(self, context: AttackContext) -> Generator[Event, None, PixelTrigger]:
        """The places counted from the top left."""
        import torch

        yield from ()
        height, width = context.images.shape[-2:]
        places = [[row % height, column % width] for row, column in self.pixels]
        return PixelTrigger(torch.tensor(places), torch.tensor(self.color, dtype=torch.uint8))
