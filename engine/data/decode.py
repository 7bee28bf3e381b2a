"""Image files of any size, brought to one size."""

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from engine import overheard
from engine.data.base import DataRequest, Progress, cut_indices, few
from engine.errors import RequestError

_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats that Pillow names and cannot decode, or has another program decode."""
_NAMED = 10
"""Files that cannot be read which a message names."""


@cache
def formats() -> tuple[str, ...]:
    """The formats that can be decoded here, as Pillow calls them."""
    Image.init()
    _hush_libtiff()
    return tuple(name for name in Image.OPEN if name not in _NO_PICTURES)


def _hush_libtiff() -> None:
    """Keep libtiff from writing to the terminal by itself what Pillow raises as an error anyway."""
    with suppress(OSError, AttributeError):  # Pillow was built without it, or has it hidden
        handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
        handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        handler(None)


@cache
def endings() -> frozenset[str]:
    """The endings of files in these formats, in small letters, with the dot."""
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in formats())


def is_image(file: Path) -> bool:
    """Whether a file is an image that can be decoded, by its content."""
    try:
        with overheard.Ear().about(file), Image.open(file, formats=formats()) as image:
            image.load()
    except Exception:  # on rubbish the decoders fail in a dozen ways
        return False
    return True


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
        RequestError: files that cannot be read; it names the first ten and says how many they are.
    """
    images = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    ear = overheard.ear()

    def read(index: int) -> str | None:
        """Read one image into its place; return what is wrong with it."""
        try:
            with ear.about(files[index]):
                images[index] = _decode(files[index], size)
        except Exception as error:  # on rubbish the decoders fail in a dozen ways, SyntaxError among them
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            return f"{files[index]} ({reason})"
        return None

    broken = []
    # As many threads as torch may use: that is this run's share of the machine.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for done, problem in enumerate(pool.map(read, range(len(files))), start=1):
            if problem is not None:
                broken.append(problem)
            progress(what, done, len(files))
    if broken:
        raise RequestError(f"cannot read {len(broken)} of {len(files)} images: {few(broken, _NAMED)}")
    return images


def _decode(file: Path, size: int) -> Tensor:
    with Image.open(file, formats=formats()) as image:
        if image.mode in ("F", "I") or image.mode.startswith("I;"):
            raise ValueError("more than 8 bits a channel")
        upright = ImageOps.exif_transpose(image).convert("RGB")
    resized = upright.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
