"""The data set `signs`: 32x32 color photographs of ten traffic signs, drawn by the program itself.

Each class is one row of `_SIGNS`. Its outline and symbol are measured once, as signed distances on a fine
grid; every image then looks that grid up from its own side, paints it over a random scene, lights the scene
and photographs it (`engine.data.drawing`). The sign takes 55 to 90 % of the frame, so that the corners, where
most triggers go, show the scene.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.drawing import (
    Dice,
    Path,
    arc,
    axes,
    box,
    develop,
    edge,
    illuminate,
    mix,
    outline_distance,
    polar,
    pose,
    regular,
    stroke_distance,
)
from engine.errors import RequestError

SEED = 20210503
SMALLEST = 16

_CHUNK = 64  # images drawn at a time: their planes stay in the cache; the images depend on it
_MOST_WORKERS = 8
_FINE = 2  # the sign is drawn this many times finer than the image
_GRID, _REACH = 112, 1.4  # the grid of distances and how far it extends from the sign's center

_WHITE, _BLACK = (0.93, 0.93, 0.91), (0.07, 0.07, 0.08)
_RED, _BLUE, _YELLOW = (0.76, 0.07, 0.10), (0.05, 0.27, 0.66), (0.97, 0.74, 0.06)
_GRASS, _FOLIAGE, _BRICK, _PLASTER = (0.36, 0.48, 0.22), (0.20, 0.34, 0.12), (0.55, 0.34, 0.26), (0.74, 0.69, 0.60)
_SKY, _OVERCAST, _ASPHALT, _NIGHT = (0.52, 0.70, 0.92), (0.80, 0.83, 0.87), (0.33, 0.33, 0.35), (0.13, 0.13, 0.16)
_PLANTS = torch.tensor([_GRASS, _FOLIAGE, _BRICK])
_GROUNDS = torch.tensor([_SKY, _OVERCAST, _GRASS, _FOLIAGE, _BRICK, _PLASTER, _ASPHALT, _NIGHT])
_ANY = torch.cat((_GROUNDS, torch.tensor([_RED, _BLUE, _YELLOW])))

_DISC: tuple[Path, float] = (((0.0, 0.0),), 1.0)
_OCTAGON = (regular(8, 1.0, 22.5), 0.04)
_TIP_UP = (regular(3, 1.06, -90, center=(0.0, 0.24)), 0.12)
_TIP_DOWN = (regular(3, 1.06, 90, center=(0.0, -0.24)), 0.12)

# Letters and digits in a cell one wide (x from -0.5) and two high (y from -1).
_GLYPHS: dict[str, tuple[Path, ...]] = {
    "0": ((*arc(0.5, 180, 360, 6, (0, -0.5)), *arc(0.5, 0, 180, 6, (0, 0.5)), (-0.5, -0.5)),),
    "3": ((*arc(0.5, 200, 450, 8, (0, -0.5)), *arc(0.5, -90, 160, 8, (0, 0.5))),),
    "5": (((0.45, -1), (-0.4, -1), (-0.45, -0.1), *arc(0.52, -130, 155, 8, (0, 0.45))),),
    "8": (arc(0.48, 0, 360, 12, (0, -0.5)), arc(0.5, 0, 360, 12, (0, 0.5))),
    "S": ((*arc(0.5, -20, -270, 8, (0, -0.5)), *arc(0.5, -90, 160, 8, (0, 0.5))),),
    "T": (((-0.5, -1), (0.5, -1)), ((0, -1), (0, 1))),
    "P": (((-0.5, 1), (-0.5, -1), *arc(0.5, -90, 90, 6, (0, -0.5)), (-0.5, 0)),),
}
_GLYPHS["O"] = _GLYPHS["0"]


def _text(letters: str, width: float, pitch: float) -> tuple[Path, ...]:
    """Write letters side by side, centered; `width` of a letter (it is twice as high), `pitch` between them."""
    first = -pitch * (len(letters) - 1) / 2
    return tuple(
        tuple((first + i * pitch + x * width, y * width) for x, y in path)
        for i, letter in enumerate(letters)
        for path in _GLYPHS[letter]
    )


_AHEAD = (((0.0, 0.62), (0.0, -0.5)), ((-0.36, -0.18), (0.0, -0.58), (0.36, -0.18)))
_LEFT = (((0.3, 0.6), (0.3, -0.12), (-0.4, -0.12)), ((-0.16, -0.46), (-0.52, -0.12), (-0.16, 0.22)))
_RIGHT = tuple(tuple((-x, y) for x, y in path) for path in _LEFT)
_RING = tuple(
    path
    for turn in (0, 120, 240)
    for path in (
        arc(0.5, turn, turn + 80),
        (polar(0.76, turn + 22), polar(0.5, turn), polar(0.26, turn + 32)),
    )
)


@dataclass(frozen=True)
class _Sign:
    """One class: an outline, its rim's color and width, the field within, and the symbol's strokes."""

    name: str
    outline: tuple[Path, float]
    rim: tuple[float, float, float]
    rim_width: float
    field: tuple[float, float, float]
    ink: tuple[float, float, float] = _WHITE
    symbol: tuple[Path, ...] = ()
    stroke: float = 0.1  # half the width of the symbol's lines


_SIGNS = (
    _Sign("stop", _OCTAGON, _WHITE, 0.08, _RED, _WHITE, _text("STOP", 0.3, 0.41), 0.07),
    _Sign("yield", _TIP_DOWN, _RED, 0.24, _WHITE),
    _Sign("danger", _TIP_UP, _RED, 0.2, _WHITE, _BLACK, (((0.0, -0.3), (0.0, 0.2)), ((0.0, 0.46),)), 0.1),
    _Sign("speed-30", _DISC, _RED, 0.2, _WHITE, _BLACK, _text("30", 0.44, 0.63), 0.09),
    _Sign("speed-50", _DISC, _RED, 0.2, _WHITE, _BLACK, _text("50", 0.44, 0.63), 0.09),
    _Sign("speed-80", _DISC, _RED, 0.2, _WHITE, _BLACK, _text("80", 0.44, 0.63), 0.09),
    _Sign("ahead-only", _DISC, _WHITE, 0.06, _BLUE, _WHITE, _AHEAD, 0.11),
    _Sign("turn-left", _DISC, _WHITE, 0.06, _BLUE, _WHITE, _LEFT, 0.11),
    _Sign("turn-right", _DISC, _WHITE, 0.06, _BLUE, _WHITE, _RIGHT, 0.11),
    _Sign("roundabout", _DISC, _WHITE, 0.06, _BLUE, _WHITE, _RING, 0.09),
)

CLASS_NAMES: tuple[str, ...] = tuple(sign.name for sign in _SIGNS)


def draw(
    train: int = 10_000, test: int = 2_000, seed: int = SEED, size: int = 32
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw the data set: (x_train, y_train, x_test, y_test).

    Images are uint8 [train, 3, size, size] and [test, 3, size, size], labels int64 indices into `CLASS_NAMES`,
    in random order, each class as often as the counts allow. The two parts are drawn independently. The same
    arguments give the same bytes whatever the number of threads; the global random state is not touched.
    Raises RequestError for a count below 1 or a size below 16.
    """
    for name, value, least in (("train", train, 1), ("test", test, 1), ("size", size, SMALLEST)):
        if value < least:
            raise RequestError(f"signs: {name} is {value}; it must be at least {least}")
    templates = _templates()
    with _workers() as pool:
        train_part = _part(train, size, (seed, "train"), templates, pool)
        return (*train_part, *_part(test, size, (seed, "test"), templates, pool))


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """Spread whole chunks over the threads that torch may use, each chunk on one of them.

    Splitting every small operation instead would wait for the slowest thread thousands of times, which takes
    minutes where other programs keep the cores busy.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(threads, _MOST_WORKERS)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def _part(
    n: int, size: int, key: tuple[object, ...], templates: Tensor, pool: ThreadPoolExecutor
) -> tuple[Tensor, Tensor]:
    labels = (torch.arange(n) % len(_SIGNS))[Dice(1, *key).permutation(n)]
    chunks = labels.split(_CHUNK)
    dice = (Dice(len(chunk), *key, i) for i, chunk in enumerate(chunks))
    images = pool.map(lambda chunk, own: _photograph(chunk, size, own, templates), chunks, dice)
    return torch.cat(tuple(images)), labels


def _templates() -> Tensor:
    """Measure each class: signed distances to its plate and to its symbol, [10, 2, grid, grid]."""
    x, y = axes(_GRID, _REACH)
    plates = [outline_distance(x, y, *sign.outline) for sign in _SIGNS]
    symbols = [(stroke_distance(x, y, sign.symbol) - sign.stroke).clamp(max=_REACH) for sign in _SIGNS]
    return torch.stack((torch.stack(plates), torch.stack(symbols)), dim=1)


def _photograph(labels: Tensor, size: int, dice: Dice, templates: Tensor) -> Tensor:
    where, unit = pose(dice, size * _FINE, fill=(0.55, 0.9))
    plate, field, symbol = _covers(labels, where, unit, dice, templates)
    rim_paint, field_paint, ink = _paints(labels, dice)
    sign = mix(mix(rim_paint, field_paint, field), ink, symbol)
    sign = sign * (1 + dice.clouds(1, 5, size) * dice.uniform(0, 0.12))
    scene = mix(_scene(size, dice), dice.uniform(0.2, 0.6), _post(where, unit) * dice.chance(0.7))
    scene = mix(scene, sign, plate)
    return develop(illuminate(_in_front(scene, dice), dice), dice)


def _covers(labels: Tensor, where: Tensor, unit: Tensor, dice: Dice, templates: Tensor) -> tuple[Tensor, ...]:
    """Return where the plate, its field and its symbol are: three covers [n, 1, size, size]."""
    printed = where * dice.uniform(0.88, 1.2) + dice.uniform(-0.08, 0.08, channels=2).view(-1, 1, 1, 2)
    plate, symbol = (
        F.grid_sample(grid, at / _REACH, mode="bilinear", padding_mode="border", align_corners=False)
        for grid, at in zip(templates[labels].split(1, dim=1), (where, printed), strict=True)
    )
    rim_width = torch.tensor([sign.rim_width for sign in _SIGNS])[labels].view(-1, 1, 1, 1)
    edges = torch.cat((plate, plate + rim_width, symbol + dice.uniform(-0.03, 0.03)), dim=1)
    return F.avg_pool2d((0.5 - edges * unit).clamp_(0, 1), _FINE).split(1, dim=1)


def _post(where: Tensor, unit: Tensor) -> Tensor:
    """Return the cover [n, 1, size, size] of the post that the sign stands on."""
    across, down = where[:, None, ::_FINE, ::_FINE].unbind(-1)
    return (0.5 - (across.abs() - 0.07).maximum(-down) * (unit / _FINE)).clamp(0, 1)


def _paints(labels: Tensor, dice: Dice) -> Tensor:
    """Return the colors of rim, field and symbol, each off by a batch of paint and years of sun: [3, n, 3, 1, 1]."""
    table = torch.tensor([(sign.rim, sign.field, sign.ink) for sign in _SIGNS])
    paints = table[labels].transpose(0, 1)[..., None, None]
    shift = torch.stack([dice.uniform(-0.12, 0.12, channels=3) for _ in range(3)])
    gray = paints.mean(dim=2, keepdim=True)
    return mix(paints, gray, dice.uniform(0.0, 0.45)) + shift


def _pick(dice: Dice, palette: Tensor) -> Tensor:
    """Return one of the colors for each image, varied a little: [n, 3, 1, 1]."""
    index = dice.uniform(0, len(palette)).long().flatten()
    return palette[index][..., None, None] + dice.uniform(-0.1, 0.1, channels=3)


def _scene(size: int, dice: Dice) -> Tensor:
    """Return backgrounds [n, 3, size, size]: two grounds with a border, texture, and things that stand about."""
    scene = mix(_pick(dice, _GROUNDS), _pick(dice, _GROUNDS), edge(dice, size, (0.1, 2.0), 0.5))
    scene = scene + dice.clouds(3, 4, size) * dice.uniform(0, 0.06)
    scene = scene * (1 + dice.clouds(1, size // 2, size) * dice.uniform(0, 0.3))
    for width, height in (((0.05, 0.6), (0.05, 0.6)), ((0.02, 0.15), (0.5, 1.5)), ((0.1, 0.4), (0.1, 0.4))):
        scene = mix(scene, _pick(dice, _ANY), box(dice, size, width, height) * dice.chance(0.5))
    return scene


def _in_front(scene: Tensor, dice: Dice) -> Tensor:
    """Hide parts of the scene behind leaves, a sticker and whatever else stands in the way."""
    size = scene.shape[-1]
    leaves = ((dice.clouds(1, 6, size) - dice.uniform(0.9, 1.8)) * 4).clamp(0, 1)
    scene = mix(scene, _pick(dice, _PLANTS) * 0.7, leaves * dice.chance(0.35))
    for reach, probability in (((0.04, 0.14), 0.4), ((0.1, 0.3), 0.3)):
        scene = mix(scene, _pick(dice, _ANY), box(dice, size, reach, reach) * dice.chance(probability))
    return scene
