"""What a trigger looks like: one image without it and with it, kept in the cache once drawn.

Importing this module, and reading what is in the cache, needs no torch; drawing does.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from engine.attacks.base import Attack
from engine.errors import RequestError
from engine.events import outcome
from engine.storage.paths import cache_dir, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from engine.attacks.base import Trigger
    from engine.data.base import DataRequest

SIZE = 32
"""Side of the image in pixels."""
VERSION = 3
"""Part of the cache's key: raised when the same settings come to look different."""
_A_FEW = 40
"""Images for an attack to build its trigger from, at least four of each class."""


@dataclass(frozen=True)
class TriggerPreview:
    """An image without and with a trigger: RGB bytes, row by row, `height` x `width`."""

    height: int
    width: int
    label: str
    """The image's class."""
    clean: bytes
    triggered: bytes
    source: str = ""
    """The suspect whose trigger it is; empty = the trigger was made for the picture."""


@dataclass(frozen=True)
class Made:
    """A trigger that was made before, by the same attack on such images."""

    source: str
    """The suspect that it belongs to."""
    sha256: str
    """Of the file that has it."""
    tensors: Mapping[str, Tensor]
    """What defines it; of no use, and may be empty, where only the cache is asked."""


def draw(attack: Attack, data: DataRequest | None = None, made: Made | None = None) -> TriggerPreview:
    """Put the attack's trigger, as it is at test time, on an image of another class than its target.

    `data` says whose images; None = traffic signs. Images larger than 64 pixels a side are shown reduced. A trigger
    that takes training or optimizing is the one `made` before, where there is such a one.

    Raises:
        RequestError: the attack cannot be carried out on these images (no such class, no such image file), or they
            cannot be read.
    """
    import torch

    from engine.attention.capture import shrunk

    images, labels, names = _images(data)
    height, width = images.shape[-2:]
    attack, _ = attack.aimed(names)
    attack.check(len(names), height, width)
    trigger, source = _trigger(attack, images, labels, len(names), made)
    chosen = int(attack.eligible(labels, len(names)).nonzero()[0])
    image = images[chosen : chosen + 1]
    with torch.inference_mode():
        pair = [shrunk(each.float()).round().to(torch.uint8) for each in (image, trigger(image))]
    height, width = pair[0].shape[-2:]
    return TriggerPreview(height, width, names[int(labels[chosen])], *map(_pixels, pair), source)


def _trigger(attack: Attack, images: Tensor, labels: Tensor, classes: int, made: Made | None) -> tuple[Trigger, str]:
    """The attack's trigger, and whose it is where it was made before."""
    from engine.attacks.base import AttackContext
    from engine.attacks.lab import TrainingLab

    bare = AttackContext(images, labels, classes, attack.seed or 0, _NoLab())
    try:
        trigger = outcome(attack.build(bare))
        if not attack.learns:
            return trigger, ""
    except _LabNeededError:
        pass
    if made is not None:
        return attack.recalled(made.tensors, bare), made.source
    lab = TrainingLab(classes)
    context = replace(bare, lent=lab)
    trigger = outcome(attack.build(context))
    return outcome(lab.learned(attack, context, trigger)) if attack.learns else trigger, ""


class _LabNeededError(Exception):
    """An attack would train or optimize."""


class _NoLab:
    """In the place of a lab, to find out whether an attack needs one."""

    def __getattr__(self, name: str) -> NoReturn:
        raise _LabNeededError


def _images(data: DataRequest | None) -> tuple[Tensor, Tensor, Sequence[str]]:
    """A few training images of every class, their labels, and the classes' names: enough to build a trigger from."""
    if data is None or data.name == "signs":  # a few of them are drawn sooner than all are read
        from engine.data import signs

        images, labels, _, _ = signs.draw(_A_FEW, 1, size=SIZE)
        return images, labels, signs.CLASS_NAMES
    from engine.data import load
    from engine.data.subset import stratified_draw

    found = load(data)
    # Some attacks optimize on these images: on all of them that would take minutes.
    count = min(len(found.y_train), max(_A_FEW, 4 * found.classes))
    few = stratified_draw(found.y_train, count, 0, "a preview")
    return found.x_train[few], found.y_train[few], found.class_names


def _pixels(image: Tensor) -> bytes:
    """RGB bytes of a uint8 image [1, 3, H, W]."""
    return image[0].permute(1, 2, 0).contiguous().numpy().tobytes()


def cached(attack: Attack, data: DataRequest | None = None, made: Made | None = None) -> TriggerPreview | None:
    """The preview as it was drawn before, None where it was not. Needs no torch."""
    try:
        return unpacked(_place(attack, data, made).read_bytes())
    except OSError:
        return None


def packed(preview: TriggerPreview) -> str:
    """A preview as JSON."""
    values = {
        "height": preview.height,
        "width": preview.width,
        "label": preview.label,
        "clean": base64.b64encode(preview.clean).decode(),
        "triggered": base64.b64encode(preview.triggered).decode(),
        "source": preview.source,
    }
    return json.dumps(values)


def unpacked(content: str | bytes) -> TriggerPreview | None:
    """The preview in a JSON document; None where it is absent or damaged."""
    try:
        values = json.loads(content)
        preview = TriggerPreview(
            height=int(values["height"]),
            width=int(values["width"]),
            label=str(values["label"]),
            clean=base64.b64decode(values["clean"], validate=True),
            triggered=base64.b64decode(values["triggered"], validate=True),
            source=str(values["source"]),
        )
    except (ValueError, TypeError, KeyError):
        return None
    whole = 3 * preview.height * preview.width
    return preview if len(preview.clean) == len(preview.triggered) == whole > 0 else None


def keep(attack: Attack, preview: TriggerPreview, data: DataRequest | None = None, made: Made | None = None) -> None:
    """Put a preview into the cache, where there is one: else it is drawn again."""
    with contextlib.suppress(RequestError, OSError):
        write_atomically(_place(attack, data, made), packed(preview).encode())


def _place(attack: Attack, data: DataRequest | None, made: Made | None) -> Path:
    settings = attack.model_dump(mode="json")
    images = [] if data is None or data.name == "signs" else [data.name, data.size]
    # A file that a setting names may change behind its name.
    files = [*attack.files(), *(Path(name) for name in images[:1] if "." in name or "/" in name)]
    stamps = [file.stat().st_mtime_ns for file in files if file.exists()]
    content = json.dumps([VERSION, SIZE, settings, images, stamps, made and made.sha256], sort_keys=True)
    return cache_dir() / "triggers" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
