"""What networks of one kind differ in: a factor on their width, and how large the images are. Free of torch.

A factor stands behind a network's name, `resnet-18@0.25`. Networks made for ImageNet begin by making their maps four
times smaller; for images of up to `SMALL` pixels a side that first step is left out, as it is on CIFAR everywhere.
"""

from __future__ import annotations

Size = tuple[int, int]
"""Height and width of images, in pixels."""
USUAL: Size = (32, 32)
"""Of images of which nothing else is known."""
STRIDED = 16
"""What channels are a multiple of where they go into strided 1x1 convolutions: of 8 channels on maps of 48x48 and more,
oneDNN 3.12 ends the process in their gradient."""
SMALL = 64
"""The largest side, in pixels, of images for which a network begins as on CIFAR."""

AT_WIDTH = r"(?:@(0\.[0-9]{0,3}[1-9]|[1-9](?:\.[0-9]{0,3}[1-9])?))?"
"""The end of a name's pattern, with one group: the factor, where there is one."""
WIDTH_FORM = "[@WIDTH from 0.05 to 4]"


def width(text: str | None) -> float:
    """The factor that a name gives; 1 where it gives none."""
    return 1.0 if text is None else float(text)


def possible(factor: float) -> bool:
    """Whether there are networks of that width."""
    return 0.05 <= factor <= 4


def scaled(channels: int, factor: float, multiple: int = 8) -> int:
    """So many channels times the factor, to the nearest multiple of `multiple` above 0: processors like eights."""
    return multiple * max(1, round(channels * factor / multiple))


def is_small(size: Size) -> bool:
    """Whether images of that size want a network that begins as on CIFAR."""
    return max(size) <= SMALL
