"""A normalization of the images, as checkpoints hold it: among the tensors of a state dict, or plainly beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from engine.storage.pickles.arrays import number_of, tensor_of
from engine.storage.pickles.values import NotWholeError, Stored, Stub
from engine.storage.reading_tensors import TensorReader
from engine.storage.state_dicts.mappings import table_of

OURS = ("nadtui.preprocessing.mean", "nadtui.preprocessing.std")
"""What they are called in our own files: as no tensor of a network is."""
Channels = tuple[float, float, float]
"""Red, green, blue."""

_PAIRS = {
    **{
        f"{before}mean": f"{before}std"
        for before in ("", "_", "new_", "image_", "img_", "pixel_", "input_", "norm_", "rgb_")
    },
    **{"means": "stds", "mu": "sigma", "_means": "_stds", "norm_mean": "norm_std"},
}
"""What a mean is called, and the standard deviation that goes with it."""
_OTHER_DEVIATIONS = {"means": ("sds", "std"), "mean": ("std_dev", "stddev", "sd")}
_SECTIONS = ("normalize", "normalization", "normalizer", "preprocessing", "preprocess", "transform", "transforms")
_SECTIONS += ("data_config", "default_cfg", "pretrained_cfg", "config", "cfg", "args", "hparams", "hyper_parameters")
"""Keys under which people note a normalization down, beside a state dict."""


@dataclass(frozen=True)
class FoundNormalization:
    """(image - mean) / std for images in [0, 1], as a file holds it."""

    mean: Channels
    std: Channels
    mean_name: str
    std_name: str
    """What they are called in the file."""
    of_bytes: bool = False
    """The file has it for images of 0 to 255."""
    tensors: bool = True
    """They are tensors of the state dict; else they stand beside it."""

    @property
    def identity(self) -> bool:
        """Whether it changes nothing."""
        return self.mean == (0, 0, 0) and self.std == (1, 1, 1)


@dataclass(frozen=True)
class Among:
    """What is called as a normalization is, among the tensors of a state dict."""

    made: list[FoundNormalization]
    broken: list[tuple[str, str]]
    """Mean and deviation that make none: a value is not finite, or a deviation not above 0."""


def among(names: Iterable[str], numbers: Callable[[str], list[float] | None]) -> Among:
    """The normalizations among tensors that a network has no place for; `numbers` gives a tensor's one or three."""
    names = set(names)
    found = Among([], [])
    for name in sorted(names):
        other = next((each for each in _partners(name) if each in names), None)
        if other is None:
            continue
        mean, std = numbers(name), numbers(other)
        made = _made(mean, std, name, other, tensors=True)
        if made is not None:
            found.made.append(made)
        elif mean is not None and std is not None:
            found.broken.append((name, other))
    return found


def no_normalization(mean: str, std: str) -> str:
    """What a broken one is told as."""
    return f"{mean} and {std} are no normalization (finite, deviations above 0): the images go in without them"


def beside(root: Any, path: tuple[str, ...]) -> list[FoundNormalization]:
    """Those that stand as plain numbers in the mappings on the path to a state dict, or in a section of one."""
    found = []
    value = root
    for key in (*path, None):
        table = table_of(value)
        sections = [("", table), *((f"{name}.", table_of(table[name])) for name in _SECTIONS if name in table)]
        for before, section in sections:
            for name in _PAIRS:
                other = next((each for each in _partners(name) if each in section), None)
                if name in section and other is not None:
                    numbers = _plain(section[name]), _plain(section[other])
                    made = _made(*numbers, before + name, before + other, tensors=False)
                    found += [made] if made is not None else []
        value = table.get(key) if key is not None else None
    return found


def _partners(name: str) -> tuple[str, ...]:
    """What the deviation beside such a mean may be called."""
    module, dot, last = name.rpartition(".")
    if last not in _PAIRS:
        return ()
    return tuple(f"{module}{dot}{each}" for each in (_PAIRS[last], *_OTHER_DEVIATIONS.get(last, ())))


def numbers_of(tensor: Stored, reader: TensorReader) -> list[float] | None:
    """Three numbers, or one, in any shape; None for any other tensor."""
    if tensor.numel not in (1, 3) or len(tensor.shape) > 4:
        return None
    try:
        return [float(each) for each in reader.read(tensor).flatten().tolist()]
    except (NotWholeError, TypeError, ValueError):
        return None


def _plain(value: Any) -> list[float] | None:
    tensor = tensor_of(value)
    if tensor is not None:
        return numbers_of(tensor, TensorReader(2**16))
    elements = value.elements if isinstance(value, Stub) and value.elements else value
    if not isinstance(elements, list | tuple) or len(elements) not in (1, 3):
        return None
    numbers = [number_of(each) for each in elements]
    return [float(each) for each in numbers] if all(isinstance(each, int | float) for each in numbers) else None


def _made(
    mean: list[float] | None, std: list[float] | None, mean_name: str, std_name: str, *, tensors: bool
) -> FoundNormalization | None:
    if mean is None or std is None or not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        return None
    mean, std = ([*each] * (3 // len(each)) for each in (mean, std))
    of_bytes = max(map(abs, mean)) > 2  # no mean of images in [0, 1] is
    scale = 255 if of_bytes else 1
    red, green, blue = (each / scale for each in mean)
    first, second, third = (each / scale for each in std)
    return FoundNormalization(
        (red, green, blue), (first, second, third), mean_name, std_name, of_bytes=of_bytes, tensors=tensors
    )
