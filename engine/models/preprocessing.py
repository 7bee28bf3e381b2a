"""What is done to images before a network's first layer: (image - mean) / std, by numbers or by whose they are.

Images are in [0, 1] everywhere outside a network: a preprocessing is part of the model. Free of torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Channels = tuple[float, float, float]
"""Red, green, blue."""

KNOWN: dict[str, tuple[Channels, Channels]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "gtsrb": ((0.3403, 0.3121, 0.3214), (0.2724, 0.2608, 0.2669)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tiny-imagenet": ((0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "bytes": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
"""Mean and standard deviation by name, as public code has them; half: [-1, 1], bytes: 0 to 255."""


@dataclass(frozen=True)
class Preprocessing:
    """A normalization of images in [0, 1]."""

    mean: Channels
    std: Channels
    """Above 0."""

    def said(self) -> str:
        """Its numbers, or whose they are."""
        for name, numbers in KNOWN.items():
            if (self.mean, self.std) == numbers:
                return name
        return f"mean {_row(self.mean)}, std {_row(self.std)}"

    def near(self, other: Preprocessing) -> bool:
        """Whether both are the same but for rounding: public code rounds to three digits and more."""
        pairs = zip((*self.mean, *self.std), (*other.mean, *other.std), strict=True)
        return all(math.isclose(one, two, abs_tol=6e-4) for one, two in pairs)


def _row(values: Channels) -> str:
    return " ".join(f"{value:.4g}" for value in values)


Given = str | tuple[float, ...] | None


def preprocessing(mean: Given, std: Given) -> Preprocessing | None:
    """What two settings come to; None where neither is set. A name alone brings both.

    Raises:
        ValueError: an unknown name, another count than one or three, numbers without their counterpart, a deviation
            that is not above 0.
    """
    if mean is None and std is None:
        return None
    if isinstance(mean, str) and std is None:
        std = mean
    elif isinstance(std, str) and mean is None:
        mean = std
    if mean is None or std is None:
        raise ValueError("model.mean and model.std go together: numbers of the one need numbers of the other")
    found = Preprocessing(_channels(mean, 0, "model.mean"), _channels(std, 1, "model.std"))
    if min(found.std) <= 0 or not all(map(math.isfinite, (*found.mean, *found.std))):
        raise ValueError("model.std must be above 0")
    return found


def _bare(name: str) -> str:
    """A name as anybody may write it: CIFAR-10, ImageNet."""
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _channels(value: str | tuple[float, ...], place: int, field: str) -> Channels:
    if isinstance(value, str):
        known = next((numbers for name, numbers in KNOWN.items() if _bare(name) == _bare(value)), None)
        if known is None:
            raise ValueError(f"{field} = {value!r}: one or three numbers are wanted, or one of {', '.join(KNOWN)}")
        return known[place]
    if len(value) not in (1, 3):
        raise ValueError(f"{field}: one number or three are wanted, or one of {', '.join(KNOWN)}")
    red, green, blue = (float(each) for each in (*value,) * (3 // len(value)))
    return red, green, blue
