"""Drawing in batches: distances to outlines, poses, backgrounds, light and the camera.

Every function works on a whole batch at once. A plane has the coordinates x (right) and y (down) in [-1, 1];
images are float [n, 3, size, size] in [0, 1] until `develop` turns them into bytes.
"""

import hashlib
import math
from collections.abc import Iterable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

Point = tuple[float, float]
Path = tuple[Point, ...]


class Dice:
    """Random numbers for a batch of n images, all from one generator that only `key` seeds."""

    def __init__(self, n: int, *key: object) -> None:
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
        self.n = n
        self._generator = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        """Return numbers in [low, high), one per image and channel: [n, channels, 1, 1]."""
        return torch.rand(self.n, channels, 1, 1, generator=self._generator) * (high - low) + low

    def chance(self, probability: float) -> Tensor:
        """Return 1.0 with this probability, else 0.0, one per image: [n, 1, 1, 1]."""
        return (self.uniform(0, 1) < probability).float()

    def normal(self, channels: int, size: int) -> Tensor:
        """Return standard normal noise [n, channels, size, size]."""
        return torch.randn(self.n, channels, size, size, generator=self._generator)

    def clouds(self, channels: int, cells: int, size: int) -> Tensor:
        """Return smooth noise [n, channels, size, size] whose blobs are about size / cells wide."""
        return F.interpolate(self.normal(channels, cells), size=(size, size), mode="bilinear")

    def permutation(self, n: int) -> Tensor:
        """Return a random order of range(n): int64 [n]."""
        return torch.randperm(n, generator=self._generator)


def axes(size: int, reach: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the pixel centers of a square plane that spans [-reach, reach]: x [1, size], y [size, 1]."""
    line = (torch.arange(size) * 2 + 1 - size) * (reach / size)
    return line[None, :], line[:, None]


def stroke_distance(x: Tensor, y: Tensor, paths: Iterable[Path]) -> Tensor:
    """Return the distance of each point to the nearest of these polylines (a path of one point is a dot)."""
    nearest = torch.full(_shared(x, y), math.inf)
    for path in paths:
        for (ax, ay), (bx, by) in zip(path, path[1:] or path, strict=False):
            dx, dy = bx - ax, by - ay
            along = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-12)
            along = along.clamp(0, 1)
            nearest = torch.minimum(nearest, torch.hypot(x - ax - along * dx, y - ay - along * dy))
    return nearest


def _shared(x: Tensor, y: Tensor) -> torch.Size:
    """The shape of both together; `torch.broadcast_shapes` loads sympy for it, a third of a second."""
    return torch.broadcast_tensors(x, y)[0].shape


def outline_distance(x: Tensor, y: Tensor, corners: Path, rounding: float) -> Tensor:
    """Return the signed distance, negative inside, to a convex outline grown by `rounding`.

    The corners go clockwise as seen (y points down). One corner alone makes a disc.
    """
    ring = (*corners, corners[0])
    inside = torch.ones(_shared(x, y), dtype=torch.bool)
    for (ax, ay), (bx, by) in pairwise(ring):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
    distance = stroke_distance(x, y, (ring,))
    return torch.where(inside, -distance, distance) - rounding


def polar(radius: float, angle: float, center: Point = (0.0, 0.0)) -> Point:
    """Return the point this far from the center; the angle in degrees, clockwise as seen, 0 to the right."""
    turn = math.radians(angle)
    return center[0] + radius * math.cos(turn), center[1] + radius * math.sin(turn)


def arc(radius: float, start: float, stop: float, steps: int = 8, center: Point = (0.0, 0.0)) -> Path:
    """Return a polyline along a circle between two angles, see `polar`."""
    return tuple(polar(radius, start + (stop - start) * i / steps, center) for i in range(steps + 1))


def regular(sides: int, radius: float, first: float, center: Point = (0.0, 0.0)) -> Path:
    """Return the corners of a regular polygon, the first one at this angle (degrees)."""
    return arc(radius, first, first + 360, sides, center)[:-1]


def mix(below: Tensor, above: Tensor, cover: Tensor) -> Tensor:
    """Return `above` painted over `below` where `cover` (0 to 1) says so."""
    return (above - below) * cover + below


def pose(dice: Dice, size: int, fill: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Look at a sign from a random side.

    The sign is the disc of radius 1; `fill` is the range of the share of the frame's width that it takes.
    Returns where each pixel lies on the sign, [n, size, size, 2], and how wide a sign unit is in pixels,
    [n, 1, 1, 1].
    """
    scale = dice.uniform(*fill)
    squeeze = dice.uniform(0.65, 1.0)
    tilt = dice.uniform(-0.5, 0.5)
    room = 1.08 - scale
    left, top = (dice.uniform(-1, 1) * room * 0.75 for _ in range(2))
    lean_x, lean_y = (dice.uniform(-0.3, 0.3) for _ in range(2))
    shear = dice.uniform(-0.15, 0.15)
    x, y = axes(size)
    x, y = x - left, y - top
    cos, sin = torch.cos(tilt) / scale, torch.sin(tilt) / scale
    depth = x * lean_x + y * lean_y + 1
    across = (x * (cos / squeeze) + y * (sin / squeeze + shear)) / depth
    down = (x * -sin + y * cos) / depth
    return torch.stack((across, down), dim=-1).squeeze(1), scale * (size / 2)


def edge(dice: Dice, size: int, softness: tuple[float, float], slant: float) -> Tensor:
    """Return a cover [n, 1, size, size] that rises from 0 to 1 across a random line.

    `softness` is the range of the width of the rise (the plane is 2 wide); the line departs from the level by
    at most `slant` (radians), and 0 lies above it.
    """
    x, y = axes(size)
    turn = dice.uniform(-slant, slant)
    across = y * torch.cos(turn) + x * torch.sin(turn)
    return ((across - dice.uniform(-0.7, 0.7)) / dice.uniform(*softness) + 0.5).clamp(0, 1)


def box(dice: Dice, size: int, width: tuple[float, float], height: tuple[float, float]) -> Tensor:
    """Return the cover [n, 1, size, size] of an upright box at a random place; ranges of half sizes."""
    x, y = axes(size)
    wide = dice.uniform(*width) - (x - dice.uniform(-1, 1)).abs()
    tall = dice.uniform(*height) - (y - dice.uniform(-1, 1)).abs()
    return (wide * (size / 2) + 0.5).clamp(0, 1) * (tall * (size / 2) + 0.5).clamp(0, 1)


def blur(images: Tensor, sigma_x: Tensor, sigma_y: Tensor) -> Tensor:
    """Blur each image with its own Gaussian, [n, 1, 1, 1] pixels wide along x and along y (motion: unequal).

    The window reaches 2 pixels at size 32 and in proportion at others.
    """
    reach = max(1, images.shape[-1] // 16)
    for axis, sigma in ((3, sigma_x), (2, sigma_y)):
        weights = [torch.exp((sigma * sigma).reciprocal() * (-0.5 * k * k)) for k in range(reach + 1)]
        total = weights[0] + 2 * sum(weights[1:])
        pad = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
        padded, length = F.pad(images, pad, mode="replicate"), images.shape[axis]
        images = images * (weights[0] / total)
        for k in range(1, reach + 1):
            pair = padded.narrow(axis, reach - k, length) + padded.narrow(axis, reach + k, length)
            images += pair.mul_(weights[k] / total)
    return images


def illuminate(images: Tensor, dice: Dice) -> Tensor:
    """Put the scene in a random light: slanting sun, a shadow's edge, a color cast, glare, haze."""
    size = images.shape[-1]
    x, y = axes(size)
    slope = x * dice.uniform(-0.3, 0.3) + y * dice.uniform(-0.3, 0.3) + 1
    shadow = edge(dice, size, (0.05, 0.4), math.pi) * (dice.chance(0.5) * dice.uniform(0.2, 0.65))
    power = dice.uniform(0.4, 1.1) * dice.uniform(0.7, 1.3, channels=3)
    glare_x, glare_y = x - dice.uniform(-1, 1), y - dice.uniform(-1, 1)
    glare = (
        dice.chance(0.25) * dice.uniform(0.2, 0.6) / ((glare_x * glare_x + glare_y * glare_y) * dice.uniform(3, 12) + 1)
    )
    haze = dice.uniform(0.0, 0.3) * dice.chance(0.5)
    gray = images.mean(dim=1, keepdim=True)
    images = mix(images, gray, dice.uniform(0.4, 1.0) * dice.chance(0.5))
    return mix(images * (slope * (1 - shadow)) * power + glare, dice.uniform(0.5, 0.9), haze)


def develop(images: Tensor, dice: Dice) -> Tensor:
    """Take the photograph: contrast and tone, focus and motion blur, sensor noise; uint8 [n, 3, size, size]."""
    pixel = images.shape[-1] / 32
    images = ((images - 0.5) * dice.uniform(0.65, 1.15) + 0.5).clamp_(0, 1)
    images = images + images * (1 - images) * dice.uniform(-0.5, 0.5)
    focus = dice.uniform(0.25, 1.0)
    shake = [dice.chance(0.25) * dice.uniform(0.3, 1.4) for _ in range(2)]
    images = blur(images, (focus + shake[0]) * pixel, (focus + shake[1]) * pixel)
    noise = dice.normal(3, images.shape[-1]) * dice.uniform(0.005, 0.065)
    return ((images + noise).clamp_(0, 1) * 255).round_().to(torch.uint8)
