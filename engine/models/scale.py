"""What networks of one kind differ in: a factor on their width, and how large the images are. Free of torch.

A factor stands behind a network's name, `resnet-18@0.25`. Networks made for ImageNet begin by making their maps four
times smaller; for images of up to `SMALL` pixels a side that first step is left out, as it is on CIFAR everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

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


def proposed(names: Mapping[str, int], place: int = -1) -> Callable[[Sequence[Sequence[int]]], Iterator[str]]:
    """What proposes networks for a checkpoint's weights (`Family.candidates`): each at the width that they have.

    Args:
        names: of networks, each with what is 1 times as wide in the weight that is looked at: the last one's inputs, or
            the first one's outputs.
        place: -1 for the last weight, 0 for the first.
    """

    def propose(weights: Sequence[Sequence[int]]) -> Iterator[str]:
        if not weights:
            return
        wide = weights[-1][1] if place else weights[0][0]
        factors = {name: round(wide / plain, 4) for name, plain in names.items()}
        # As they are published first: a vit-tiny@2 has the shapes of a vit-small.
        for name, factor in sorted(factors.items(), key=lambda each: each[1] != 1):
            if possible(factor):
                yield name if factor == 1 else f"{name}@{factor:g}"

    return propose
