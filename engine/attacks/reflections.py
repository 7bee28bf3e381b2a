"""What a reflection does to an image: three kinds of double image, and where the reflected images come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import AbsentError, RequestError

if TYPE_CHECKING:
    from torch import Tensor

GAMMA = 2.2
"""Light adds up before the camera's curve is applied: compositing is done in linear light."""
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")


def to_light(images: Tensor) -> Tensor:
    """uint8 pixel values as linear light, float in [0, 1]."""
    return (images.float() / 255) ** GAMMA


def composed(images: Tensor, reflected: Tensor, share: Tensor) -> Tensor:
    """Images through a pane that reflects: (1 - share) x image + share x reflection, in light; pixel values 0-255.

    Images uint8 [N, 3, H, W], reflected light [N, 3, H, W], share [N].
    """
    part = share.view(-1, 1, 1, 1)
    light = (1 - part) * to_light(images) + part * reflected
    return 255 * light.clamp(0, 1) ** (1 / GAMMA)


def defocused(light: Tensor, sigma: Tensor) -> Tensor:
    """Out of focus: each image [3, H, W] blurred by a Gaussian of its own sigma [N] in pixels."""
    height, width = light.shape[-2:]
    return _filtered(light, _gaussian(height, sigma), _gaussian(width, sigma))


def doubled(light: Tensor, first: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Ghost: what both faces of a thick pane reflect, the second copy moved by `down`, `right` pixels (int64 [N]).

    `first` [N] is the first copy's share, the second has the rest; nothing is reflected from beyond the border.
    """
    height, width = light.shape[-2:]
    second = _filtered(light, _shift(height, down), _shift(width, right))
    part = first.view(-1, 1, 1, 1)
    return part * light + (1 - part) * second


def _filtered(light: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """A separable filter for each image, as two matrices: [N, H, H] over rows, [N, W, W] over columns."""
    return vertical[:, None] @ light @ horizontal[:, None].transpose(-1, -2)


def _gaussian(side: int, sigma: Tensor) -> Tensor:
    """Each row holds the weights of one pixel's neighbors and adds up to 1, at the border too."""
    import torch

    place = torch.arange(side, device=sigma.device, dtype=torch.float32)
    weights = torch.exp(-((place[:, None] - place) ** 2) / (2 * sigma.view(-1, 1, 1) ** 2))
    return weights / weights.sum(dim=-1, keepdim=True)


def _shift(side: int, by: Tensor) -> Tensor:
    import torch

    place = torch.arange(side, device=by.device)
    return (place[:, None] - by.view(-1, 1, 1) == place).float()


def image_files(folder: str) -> list[Path]:
    """The image files of a folder and of those in it, by name.

    Raises:
        RequestError: it is no folder, cannot be read, or holds no image.
    """
    root = Path(folder)
    where = f"attack.reflection_folder = {folder!r}"
    if not root.is_dir():
        raise AbsentError(f"{where}: no such folder")
    try:
        # Named one by one: rglob passes over folders that cannot be read without a word.
        next(iter(root.iterdir()), None)
        found = sorted(file for file in root.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file())
    except OSError as error:
        raise RequestError(f"{where}: cannot be read ({error.strerror or error})") from None
    if not found:
        raise RequestError(f"{where}: no image there ({' '.join(ENDINGS)})")
    return found


def spread(files: list[Path], count: int) -> list[Path]:
    """At most `count` of the files, evenly spread over the list."""
    count = min(count, len(files))
    return [files[place * len(files) // count] for place in range(count)]


def read_images(files: list[Path], height: int, width: int) -> Tensor:
    """Image files as uint8 [N, 3, height, width].

    Raises:
        RequestError: a file is no readable image.
    """
    import numpy as np
    import torch
    from PIL import Image

    images = []
    for file in files:
        try:
            with Image.open(file) as picture:
                pixels = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise RequestError(f"attack.reflection_folder: {file} is no readable image ({error})") from None
        images.append(torch.from_numpy(np.array(pixels)).permute(2, 0, 1))
    return torch.stack(images)


def draws(images: Tensor, count: int, salt: int) -> Tensor:
    """`count` numbers in [0, 1) for each uint8 image [N, 3, H, W], decided by its own pixels: float32 [N, count].

    A trigger must give the same image for the same image, in whatever batch; chance has to come from the image.
    """
    import torch

    from engine.attacks.base import generator

    pixels = images.flatten(1)
    factors = torch.randint(1, 2**62, (pixels.shape[1],), generator=generator(salt, 6)) | 1
    # int64 products wrap around, the same on every device.
    hashed = (pixels.long() * factors.to(images.device)).sum(dim=1)
    streams = _mixed(torch.arange(1, count + 1, device=images.device) * 0x1E3779B97F4A7C15)
    return (_mixed(hashed[:, None] ^ streams) & (2**24 - 1)).float() / 2**24


def _mixed(values: Tensor) -> Tensor:
    """Scatters int64 values so that neighbors have nothing in common (after splitmix64; Steele et al. 2014)."""
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15)):
        values = (values ^ ((values >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return values ^ ((values >> 31) & ((1 << 33) - 1))
