"""Blend: a full-size image mixed faintly into the input (Chen et al. 2017, arXiv 1712.05526)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from engine.attacks.base import Attack, AttackContext, generator, to_uint8
from engine.errors import RequestError
from engine.events import Event
from engine.settings import PathText

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BlendTrigger:
    """(1 - alpha) x image + alpha x pattern, rounded to the nearest pixel value."""

    pattern: Tensor
    """uint8 [3, H, W]."""
    alpha: float

    def __call__(self, images: Tensor) -> Tensor:
        """The images with the pattern blended in, uint8 [N, 3, H, W]."""
        return to_uint8((1 - self.alpha) * images.float() + self.alpha * self.pattern.to(images.device).float())

    def tensors(self) -> dict[str, Tensor]:
        """The pattern."""
        return {"pattern": self.pattern}


class Blend(Attack):
    """Settings of Blend; the paper's: random noise at alpha 0.2, one pattern for the whole run."""

    summary: ClassVar[str] = "a full-size noise pattern, or any image, blended in"

    name: Literal["blend"] = "blend"
    alpha: float = Field(0.2, gt=0, le=1)
    """The pattern's share of the blend."""
    image: PathText | None = None
    """An image file to blend in; null = uniform random noise drawn once from the attack's seed."""

    def files(self) -> list[Path]:
        """The image to blend in."""
        return [] if self.image is None else [Path(self.image)]

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse a target that is no class, and an image that cannot be read."""
        super().check(classes, height, width)
        if self.image is not None:
            read_pattern(self.image, height, width)

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> BlendTrigger:
        """The pattern, blended in as the settings say."""
        return BlendTrigger(tensors["pattern"], self.alpha)

    def build(self, context: AttackContext) -> Generator[Event, None, BlendTrigger]:
        """Draw the noise, or read the image and resize it to the data set's size."""
        import torch

        yield from ()
        height, width = context.images.shape[-2:]
        if self.image is not None:
            return BlendTrigger(read_pattern(self.image, height, width), self.alpha)
        noise = torch.randint(0, 256, (3, height, width), generator=generator(context.seed, 2))
        return BlendTrigger(noise.to(torch.uint8), self.alpha)


def read_pattern(file: str, height: int, width: int) -> Tensor:
    """An image file as a pattern, uint8 [3, height, width].

    Raises:
        RequestError: the file is missing or no image.
    """
    import numpy as np
    import torch
    from PIL import Image

    try:
        with Image.open(Path(file)) as picture:
            # As data sets' image files are resized (engine.data.decode), without torchvision's slow import.
            pixels = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError(f"attack.image = {file!r}: no readable image ({error})") from None
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()
