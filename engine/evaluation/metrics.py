"""The one place where a model is measured: ACC, ASR, RA and base, each with its count and interval.

ACC is over all test images. ASR, RA and base are over those the attacker wants moved (not of the target class, for a
single target): triggered and classified as the attacker wants; triggered and still given their true class; and sent
where the attacker wants without any trigger, the floor under ASR. Without an attack there are ACC and base alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.attacks.base import Attack, Trigger
from engine.data.subset import stratified_draw
from engine.device import Device
from engine.events import Metrics
from engine.training.loop import as_input

BATCH = 500
"""Images a forward pass: enough to fill the processor, small enough for its caches."""
_LIVE_DRAW = 20210
"""Seed of the fixed draw of test images behind the live curves, the same for every run."""


@dataclass(frozen=True)
class TestImages:
    """Test images, their triggered twins made once, and what the attacker wants of them."""

    clean: Tensor
    """uint8 [N, 3, H, W]."""
    labels: Tensor
    eligible: Tensor
    """Places of the images that ASR is counted over, int64 [M]."""
    triggered: Tensor
    """uint8 [M, 3, H, W], the eligible ones with the trigger on."""
    wanted: Tensor
    """int64 [M]."""
    classes: int
    attacked: bool = True
    """Whether there is a trigger: without one, `triggered` is `clean`, and ASR and RA do not exist."""


def prepare(images: Tensor, labels: Tensor, classes: int, attack: Attack, trigger: Trigger) -> TestImages:
    """Trigger the eligible test images; the label rule is the attack's."""
    eligible = attack.eligible(labels, classes).nonzero().flatten()
    wanted = attack.wanted(labels[eligible], classes)
    # In parts: a trigger may need many times an image's memory.
    triggered = torch.cat([trigger(images[places]) for places in eligible.split(BATCH)] or [images[:0]])
    return TestImages(images, labels, eligible, triggered, wanted, classes, attack.marks)


def live_draw(labels: Tensor, images: int) -> Tensor:
    """The places of the fixed, stratified draw of test images behind the live curves; 0 = all of them."""
    # At least one image of each class, however small the draw.
    images = max(images, len(labels.unique())) if images else len(labels)
    if images >= len(labels):
        return torch.arange(len(labels), device=labels.device)
    return stratified_draw(labels, images, _LIVE_DRAW, "the live curves' draw")


@torch.inference_mode()
def predict(model: nn.Module, images: Tensor, device: Device) -> Tensor:
    """The model's classes for uint8 images [N, 3, H, W], int64 [N]; the model is left in the mode it was in."""
    was_training = model.training
    model.eval()
    with device.autocast():
        classes = [model(as_input(chunk)).argmax(dim=1) for chunk in images.split(BATCH)]
    model.train(was_training)
    return torch.cat(classes) if classes else torch.empty(0, dtype=torch.int64, device=images.device)


def measure(model: nn.Module, test: TestImages, device: Device) -> Metrics:
    """Measure a model on test images."""
    return _metrics(predict(model, test.clean, device), predict(model, test.triggered, device), test)


def _metrics(clean: Tensor, triggered: Tensor, test: TestImages) -> Metrics:
    """The figures from the predicted classes of all clean and of the triggered eligible images."""
    right = clean == test.labels
    hits = {
        "acc": (right, len(test.labels)),
        "asr": (triggered == test.wanted, len(test.eligible)),
        "ra": (triggered == test.labels[test.eligible], len(test.eligible)),
        "base": (clean[test.eligible] == test.wanted, len(test.eligible)),
    }
    values: dict[str, float | tuple[float, float]] = {}
    for name, (hit, count) in hits.items():
        count = count if test.attacked or name in ("acc", "base") else 0
        successes = int(hit.sum())
        values[name] = 100 * successes / count if count else math.nan
        values[f"{name}_ci"] = wilson(successes, count)
    totals = torch.bincount(test.labels, minlength=test.classes)
    per_class = torch.bincount(test.labels[right], minlength=test.classes)
    class_acc = tuple(
        100 * hit / total if total else math.nan for hit, total in zip(per_class.tolist(), totals.tolist(), strict=True)
    )
    return Metrics(images=len(test.labels), eligible=len(test.eligible), class_acc=class_acc, **values)


def wilson(successes: int, count: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The Wilson score interval of a share, in percent (Wilson 1927); (NaN, NaN) for no images. z: 95 %."""
    if count == 0:
        return math.nan, math.nan
    share = successes / count
    center = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return 100 * max(0.0, center - half), 100 * min(1.0, center + half)


def take(test: TestImages, places: Tensor) -> TestImages:
    """The part of the test images at `places` (sorted)."""
    chosen = torch.zeros(len(test.labels), dtype=torch.bool, device=test.labels.device)
    chosen[places] = True
    kept = chosen[test.eligible]
    new_place = chosen.cumsum(0) - 1
    return TestImages(
        clean=test.clean[places],
        labels=test.labels[places],
        eligible=new_place[test.eligible[kept]],
        triggered=test.triggered[kept],
        wanted=test.wanted[kept],
        classes=test.classes,
        attacked=test.attacked,
    )
