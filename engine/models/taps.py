"""What is known of the maps a defense may look at before any network is built. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tap:
    """One intermediate map of a network, [N, channels, H / stride, W / stride] for images of H x W."""

    name: str
    channels: int
    stride: int
    module: str = ""
    """The dotted name of the module that gives it; "" where none does."""
