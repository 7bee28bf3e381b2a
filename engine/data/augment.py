"""Augmentation of training images: whole batches of uint8, on the device the images are on."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Draw:
    """What chance decided for a batch of B images: tensors [B], or None for a step left out."""

    top: Tensor | None
    """Row of the padded image at which the crop begins, 0 to 2 * crop; int64."""
    left: Tensor | None
    """Column of the padded image at which the crop begins, 0 to 2 * crop; int64."""
    mirrored: Tensor | None
    """Whether the crop is mirrored; bool."""
    hole_row: Tensor | None
    """Row of the hole's center, 0 to H - 1; int64."""
    hole_column: Tensor | None
    """Column of the hole's center, 0 to W - 1; int64."""


@dataclass(frozen=True)
class Augment:
    """Pad and crop, mirror, and cut out a square, in that order; a call draws and applies."""

    crop: int
    """Pixels of zero padding on every side, from which a crop of the original size is taken; 0 = none."""
    flip: bool
    """Mirror each image left to right with probability 1/2."""
    cutout: int
    """Side in pixels of the square that is set to 0 (DeVries & Taylor, 2017); 0 = none.

    Its center is anywhere in the image, so it may stick out over the border. The side is exact: the authors'
    own code cuts 8x8 pixels when asked for 9.
    """

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented copy of uint8 images [B, 3, H, W], of the same shape, dtype and device."""
        batch, _, height, width = images.shape
        return self.apply(images, self.draw(batch, height, width, generator))

    def draw(self, batch: int, height: int, width: int, generator: torch.Generator) -> Draw:
        """Draw for a batch of images of that size, on the generator's device."""

        def below(limit: int) -> Tensor:
            return torch.randint(limit, (batch,), generator=generator, device=generator.device)

        return Draw(
            top=below(2 * self.crop + 1) if self.crop else None,
            left=below(2 * self.crop + 1) if self.crop else None,
            mirrored=below(2).bool() if self.flip else None,
            hole_row=below(height) if self.cutout else None,
            hole_column=below(width) if self.cutout else None,
        )

    def apply(self, images: Tensor, draw: Draw) -> Tensor:
        """Do to uint8 images [B, 3, H, W] what was drawn; a pure function."""
        moved = self._crop_and_flip(images, draw)
        return self._cut_out(moved, draw)

    def _crop_and_flip(self, images: Tensor, draw: Draw) -> Tensor:
        """One gather does both: it is the pixels' addresses that are shifted and mirrored."""
        if not self.crop and not self.flip:
            return images.clone()
        device, (batch, channels, height, width) = images.device, images.shape
        padded = F.pad(images, (self.crop,) * 4)
        rows = torch.arange(height, device=device).expand(batch, height)
        columns = torch.arange(width, device=device).expand(batch, width)
        if draw.mirrored is not None:
            columns = torch.where(draw.mirrored.to(device)[:, None], columns.flip(1), columns)
        if draw.top is not None and draw.left is not None:
            rows = rows + draw.top.to(device)[:, None]
            columns = columns + draw.left.to(device)[:, None]
        addresses = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).flatten(1)[:, None]
        pixels = padded.flatten(2).gather(2, addresses.expand(-1, channels, -1))
        return pixels.view(images.shape)

    def _cut_out(self, images: Tensor, draw: Draw) -> Tensor:
        if draw.hole_row is None or draw.hole_column is None:
            return images
        height, width = images.shape[2:]
        rows = self._inside(height, draw.hole_row.to(images.device))
        columns = self._inside(width, draw.hole_column.to(images.device))
        hole = rows[:, None, :, None] & columns[:, None, None, :]
        return images * ~hole  # three times as fast as masked_fill

    def _inside(self, length: int, center: Tensor) -> Tensor:
        """Whether each of ``length`` positions lies in the hole around each center: bool [B, length]."""
        offset = torch.arange(length, device=center.device) - (center - self.cutout // 2)[:, None]
        return (offset >= 0) & (offset < self.cutout)
