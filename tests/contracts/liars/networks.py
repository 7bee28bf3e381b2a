"""Networks that lie: one convolution and one linear layer, but for what they lie about."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.models.families import Family
from engine.models.taps import Tap


class Small(nn.Module):
    """A network that does what it says."""

    tap_names = ("features",)

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.name = "small-1"
        self.conv = nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, classes)

    def features(self, images: Tensor) -> Tensor:
        return self.conv(images)

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.bn(features).relu().mean(dim=(2, 3)))

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        features = self.features(images)
        return self.head(features), (features,)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_with_taps(images)[0]


FEATURES = Tap("features", 16, 2, "conv")


def family(network: Callable[..., nn.Module], *taps: Tap) -> Family:
    """The family of a network, `small-1` by name."""
    return Family(
        form="small-1",
        pattern="small-([1])",
        fits=lambda number: True,
        build=lambda number, classes: network(classes),
        taps=lambda number: taps or (FEATURES,),
        smallest="small-1",
    )


class Lazy(Small):
    """Has weights that nothing uses."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.spare = nn.Linear(16, classes)  # lie


class Headstrong(Small):
    """Draws its weights as it likes."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        torch.nn.init.normal_(self.fc.weight, generator=torch.Generator().manual_seed(time.time_ns() % 2**40))  # lie


class Hurried(Small):
    """Takes more threads than it was given."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        torch.set_num_threads(2)  # lie


class Restless(Small):
    """Changes with every pass, in eval mode too."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.register_buffer("passes", torch.zeros(1))

    def features(self, images: Tensor) -> Tensor:
        self.passes += 1  # lie
        return super().features(images)


class Gregarious(Small):
    """Looks at all images of a batch for each of them."""

    def head(self, features: Tensor) -> Tensor:
        return super().head(features - features.mean(dim=0, keepdim=True))  # lie


class Secretive(Small):
    """Keeps weights where no state dict has them."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.scale = torch.rand(16)  # lie

    def head(self, features: Tensor) -> Tensor:
        return super().head(features * self.scale[:, None, None])


class TwoFaced(Small):
    """Says something else when it is asked for its taps."""

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        logits, maps = super().forward_with_taps(images)
        return 2 * logits, maps  # lie

    def forward(self, images: Tensor) -> Tensor:
        return super().forward_with_taps(images)[0]


class Looker(Small):
    """Has a tap on the images, where every teacher sees what the student sees."""

    tap_names = ("images", "features")

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        logits, (features,) = super().forward_with_taps(images)
        return logits, (images * 1, features)  # lie


class Inker(Small):
    """Works on the images in place."""

    def features(self, images: Tensor) -> Tensor:
        return super().features(images.mul_(0.5))  # lie


class Crooked(Small):
    """Cannot be built."""

    def __init__(self, classes: int) -> None:
        raise ValueError("no\nway")  # lie


class Choosy(Small):
    """Takes small batches only, of images of that very size."""

    def features(self, images: Tensor) -> Tensor:
        if tuple(images.shape[2:]) == (16, 16) and len(images) > 20:
            raise ValueError("too many")  # lie
        return super().features(images)


class Fixed(Small):
    """Has four classes at least, whatever it is told."""

    def __init__(self, classes: int) -> None:
        super().__init__(max(classes, 4))  # lie


class Picky(Small):
    """Falls over images that are small, once it is trained."""

    def features(self, images: Tensor) -> Tensor:
        if self.training and images.shape[-1] < 12:
            raise ValueError("images of 12x12 at least\nare wanted")  # lie
        return super().features(images)


strider = family(Small, Tap("features", 16, 4, "conv"))  # lie
looker = family(Looker, Tap("images", 3, 1), FEATURES)
honest, lazy, headstrong, hurried, restless = map(family, (Small, Lazy, Headstrong, Hurried, Restless))
gregarious, secretive, two_faced, inker = map(family, (Gregarious, Secretive, TwoFaced, Inker))
fixed, picky, crooked, choosy = map(family, (Fixed, Picky, Crooked, Choosy))
