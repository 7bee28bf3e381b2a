"""Pictures for the terminal, free of torch: how they differ, how they are laid out, and triggers drawn elsewhere.

Drawing a trigger needs torch, whose import would hold the interface up for a second: a child process does that and
leaves the result in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.attacks.preview import TriggerPreview, cached
from engine.errors import RequestError

if TYPE_CHECKING:
    from engine.attacks.base import Attack
    from engine.config.run import DataSettings

PATIENCE_S = 300
"""Seconds after which a drawing process is given up."""


@dataclass(frozen=True)
class Picture:
    """An RGB image: `width` x `height` pixels, three bytes each, row by row."""

    width: int
    height: int
    rgb: bytes

    def __post_init__(self) -> None:
        if len(self.rgb) != 3 * self.width * self.height or not self.rgb:
            raise ValueError(f"{len(self.rgb)} bytes are no {self.width}x{self.height} picture")


def difference(clean: Picture, triggered: Picture) -> tuple[Picture, float]:
    """What the trigger changes, around mid-gray and as bright as can be, and the factor by which it was raised.

    A channel without change is 128; the largest change becomes 0 or 255. The factor is 1 where nothing changes.
    """
    changes = [after - before for before, after in zip(clean.rgb, triggered.rgb, strict=True)]
    largest = max(map(abs, changes))
    factor = 127 / largest if largest else 1.0
    return Picture(clean.width, clean.height, bytes(round(128 + factor * change) for change in changes)), factor


def triptych(preview: TriggerPreview) -> list[tuple[str, Picture]]:
    """The three pictures of a trigger with their captions: clean, triggered, difference."""
    clean = Picture(preview.width, preview.height, preview.clean)
    triggered = Picture(preview.width, preview.height, preview.triggered)
    changed, factor = difference(clean, triggered)
    times = f" ×{factor:.0f}" if factor >= 1.5 else ""
    return [(preview.label, clean), ("triggered", triggered), (f"difference{times}", changed)]


def arrange(count: int, width: int, height: int, *, caption: int = 1, gap: int = 1) -> tuple[int, int, int]:
    """How to lay out `count` square pictures in `width` x `height` cells: (a row, pixel side, rows).

    A cell is one pixel wide and two high; each row of pictures has `caption` lines above it. The side is the largest
    that fits, at least 4 pixels and even.
    """
    best = (1, 4, count)
    for across in range(1, count + 1):
        down = -(-count // across)
        side = min((width - gap * (across - 1)) // across, 2 * (height // down - caption))
        side -= side % 2
        if side > best[1]:
            best = (across, side, down)
    return best


def preview(attack: Attack, data: DataSettings | None = None) -> TriggerPreview:
    """The trigger's preview on one of these images (None = signs), from the cache or drawn in a process of its own:
    call it from a thread.

    Raises:
        RequestError: it cannot be drawn; the message says why.
    """
    known = cached(attack, data)
    if known is not None:
        return known
    _draw(attack, data)
    drawn = cached(attack, data)
    if drawn is None:
        raise RequestError("the trigger cannot be drawn: the cache keeps nothing")
    return drawn


def _draw(attack: Attack, data: DataSettings | None) -> None:
    """Have a process draw the trigger into the cache.

    Raises:
        RequestError: it cannot be drawn.
    """
    wanted = {"attack": attack.model_dump(mode="json"), "data": data.model_dump(mode="json") if data else None}
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from nadtui.draw.trigger_pictures import _child; _child()"],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestError(f"the trigger cannot be drawn: {error}") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RequestError(f"the trigger cannot be drawn: {last[0]}")


def _child() -> None:
    """The drawing process: settings of attack and data on standard input, the preview into the cache."""
    from engine.attacks import settings_class
    from engine.attacks.preview import draw, keep
    from engine.config.run import DataSettings

    if hasattr(os, "nice"):
        os.nice(10)  # a training may be running on the same processor
    try:
        wanted = json.load(sys.stdin)
        attack = settings_class(wanted["attack"]["name"]).model_validate(wanted["attack"])
        data = DataSettings.model_validate(wanted["data"]) if wanted["data"] else None
        keep(attack, draw(attack, data), data)
    except RequestError as error:
        sys.exit(str(error))
