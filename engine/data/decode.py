"""Image files of any size, brought to one size."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from engine.data.base import DataRequest, Progress, cut_indices
from engine.errors import RequestError


@dataclass(frozen=True)
class ImageFiles:
    """Image files and their labels, int64 [N]."""

    files: list[Path]
    labels: Tensor

    def __getitem__(self, indices: Tensor) -> "ImageFiles":
        return ImageFiles([self.files[index] for index in indices.tolist()], self.labels[indices])


def decode_part(found: ImageFiles, part: str, settings: DataRequest, progress: Progress) -> tuple[Tensor, Tensor]:
    """Read ``part`` ("train" or "test") as uint8 [N, 3, size, size] with its labels, cut as the settings say.

    Only the images that the cut keeps are read.

    Raises:
        RequestError: images that cannot be read, or a cut that is too large or too small.
    """
    count = settings.train_images if part == "train" else settings.test_images
    kept = cut_indices(found.labels, count, f"data.{part}_images")
    chosen = found if kept is None else found[kept]
    return decode(chosen.files, settings.size, f"reading {part} images", progress), chosen.labels


def decode(files: Sequence[Path], size: int, what: str, progress: Progress) -> Tensor:
    """Read image files as uint8 [N, 3, size, size], in their order.

    Each is turned upright as its camera says, made RGB, and resized bilinearly with antialiasing, without
    regard to its proportions.

    Raises:
        RequestError: files that cannot be read; it names the first and says how many they are.
    """
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)

    def read(index: int) -> str | None:
        """Read one image into its place; return what is wrong with it."""
        try:
            images[index] = _decode(files[index], size)
        except Exception as error:  # on rubbish the decoders fail in a dozen ways, SyntaxError among them
            return f"{files[index]} ({str(error) or type(error).__name__})"
        return None

    broken = []
    # As many threads as torch may use: that is this run's share of the machine.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for done, problem in enumerate(pool.map(read, range(len(files))), start=1):
            if problem is not None:
                broken.append(problem)
            progress(what, done, len(files))
    if broken:
        first = broken[0].splitlines()[0]
        raise RequestError(f"cannot read {len(broken)} of {len(files)} images, the first is {first}")
    return images


def _decode(file: Path, size: int) -> Tensor:
    with Image.open(file) as image:
        if image.mode in ("F", "I") or image.mode.startswith("I;"):
            raise ValueError("more than 8 bits a channel")
        upright = ImageOps.exif_transpose(image).convert("RGB")
    resized = upright.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
