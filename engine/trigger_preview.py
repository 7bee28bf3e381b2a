"""What a trigger looks like: one traffic sign without it and with it, kept in the cache once drawn.

Importing this module, and reading what is in the cache, needs no torch; drawing does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.attacks.base import Attack, Trigger
from engine.events import Event
from engine.paths import cache_dir, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 32
"""Side of the image in pixels."""
VERSION = 2
"""Part of the cache's key: raised when the same settings come to look different."""
_SIGNS = 40
"""Signs drawn for an attack to build its trigger from."""


@dataclass(frozen=True)
class TriggerPreview:
    """An image without and with a trigger: RGB bytes, row by row, `height` x `width`."""

    height: int
    width: int
    label: str
    """The image's class."""
    clean: bytes
    triggered: bytes


def draw(attack: Attack) -> TriggerPreview:
    """Put the attack's trigger, as it is at test time, on a traffic sign of another class than its target.

    Raises:
        RequestError: the attack cannot be carried out on traffic signs (no such class, no such image file).
    """
    import torch

    from engine.attacks.base import AttackContext
    from engine.data.signs import CLASS_NAMES, draw

    attack.check(len(CLASS_NAMES), SIZE, SIZE)
    images, labels, _, _ = draw(_SIGNS, 1, size=SIZE)
    context = AttackContext(images, labels, len(CLASS_NAMES), attack.seed or 0)
    trigger = _done(attack.build(context))
    if attack.learns:
        trigger = _done(context.workshop.learned(attack, context, trigger))
    chosen = int(attack.eligible(labels, len(CLASS_NAMES)).nonzero()[0])
    image = images[chosen : chosen + 1]
    with torch.inference_mode():
        triggered = trigger(image)
    return TriggerPreview(SIZE, SIZE, CLASS_NAMES[int(labels[chosen])], _pixels(image), _pixels(triggered))


def _done(making: Generator[Event, None, Trigger]) -> Trigger:
    """What a preparation comes to; what it reports on the way is for runs."""
    while True:
        try:
            next(making)
        except StopIteration as end:
            return end.value


def _pixels(image: Tensor) -> bytes:
    """RGB bytes of a uint8 image [1, 3, H, W]."""
    return image[0].permute(1, 2, 0).contiguous().numpy().tobytes()


def cached(attack: Attack) -> TriggerPreview | None:
    """The preview as it was drawn before, None where it was not. Needs no torch."""
    try:
        values = json.loads(_place(attack).read_bytes())
        preview = TriggerPreview(
            height=int(values["height"]),
            width=int(values["width"]),
            label=str(values["label"]),
            clean=base64.b64decode(values["clean"], validate=True),
            triggered=base64.b64decode(values["triggered"], validate=True),
        )
    except (OSError, ValueError, TypeError, KeyError):  # absent, or damaged: it is drawn again
        return None
    whole = 3 * preview.height * preview.width
    return preview if len(preview.clean) == len(preview.triggered) == whole > 0 else None


def keep(attack: Attack, preview: TriggerPreview) -> None:
    """Put a preview into the cache.

    Raises:
        RequestError: it cannot be written.
    """
    values = {
        "height": preview.height,
        "width": preview.width,
        "label": preview.label,
        "clean": base64.b64encode(preview.clean).decode(),
        "triggered": base64.b64encode(preview.triggered).decode(),
    }
    write_atomically(_place(attack), json.dumps(values).encode())


def _place(attack: Attack) -> Path:
    settings = attack.model_dump(mode="json")
    # A file that a setting names may change behind its name.
    stamps = [file.stat().st_mtime_ns for file in attack.files() if file.is_file()]
    content = json.dumps([VERSION, SIZE, settings, stamps], sort_keys=True)
    return cache_dir() / "triggers" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
