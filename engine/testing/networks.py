"""A network that is of no use to whoever reads attention: its second map is 1x1. Needs torch."""

from __future__ import annotations

from torch import Tensor, nn


class DeadEnd(nn.Module):
    """One convolution, and its mean over the image as a tap of its own."""

    name = "dead-end"
    tap_names = ("map", "pooled")

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        """The logits [N, classes]."""
        return self.forward_with_taps(images)[0]

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The logits, and both maps: [N, 8, H, W] and [N, 8, 1, 1]."""
        features = self.conv(images).relu()
        pooled = features.mean(dim=(2, 3), keepdim=True)
        return self.fc(pooled.flatten(1)), (features, pooled)
