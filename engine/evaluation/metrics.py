"""The one place where a model is measured: ACC, ASR, RA and base, each with its count and interval.

ACC is over all test images. ASR, RA and base are over those the attacker wants moved (not of the target class, for a
single target): triggered and classified as the attacker wants; triggered and still given their true class; and sent
where the attacker wants without any trigger, the floor under ASR. Without a trigger there are ACC and base alone; where
nobody knows what an attacker wants, ACC alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.attention.capture import spread
from engine.data.subset import stratified_draw
from engine.device import Device
from engine.figures import Metrics
from engine.models.inference import BATCH, predict

_LIVE_DRAW = 20210
"""Seed of the fixed draw of test images behind the live curves, the same for every run."""


Z = 1.959963984540054
"""Of a 95 % interval."""


@dataclass(frozen=True)
class TestImages:
    """Test images, their triggered twins made once, and what the attacker wants of them."""

    clean: Tensor
    """uint8 [N, 3, H, W]."""
    labels: Tensor
    eligible: Tensor
    """Places of the images that ASR is counted over, int64 [M]."""
    triggered: Tensor | None
    """uint8 [M, 3, H, W], the eligible ones with the trigger on; None = nobody knows of a trigger."""
    wanted: Tensor
    """int64 [M]."""
    classes: int
    attacked: bool = True
    """Whether there is a trigger that changes anything: without one, ASR and RA do not exist."""

    def samples(self, count: int) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """A few images as unlike in class as can be, as `engine.attention.capture.Capture` takes them.

        Eligible ones, of which there is a triggered twin; where nobody knows of a trigger, any.
        """
        if self.triggered is None:
            places = spread(self.labels, count)
            return self.clean[places], None, places, self.labels[places]
        chosen = spread(self.labels[self.eligible], count)
        places = self.eligible[chosen]
        return self.clean[places], self.triggered[chosen], places, self.labels[places]


def prepare(
    images: Tensor,
    labels: Tensor,
    classes: int,
    eligible: Tensor | None = None,
    wanted: Tensor | None = None,
    trigger: Callable[[Tensor], Tensor] | None = None,
    *,
    marks: bool = True,
) -> TestImages:
    """Trigger the eligible test images.

    Args:
        images: uint8 [N, 3, H, W].
        labels: int64 [N].
        classes: how many there are.
        eligible: which images the attacker wants moved, bool [N].
        wanted: the class he wants for each, int64 [N].
        trigger: what puts the trigger on images; None, as `eligible` and `wanted` are then, where none is known.
        marks: whether the trigger changes anything.
    """
    if trigger is None:
        nowhere = torch.empty(0, dtype=torch.int64, device=labels.device)
        return TestImages(images, labels, nowhere, None, nowhere, classes, attacked=False)
    places = eligible.nonzero().flatten()
    # In parts: a trigger may need many times an image's memory.
    triggered = torch.cat([trigger(images[part]) for part in places.split(BATCH)] or [images[:0]])
    return TestImages(images, labels, places, triggered, wanted[places], classes, marks)


def live_draw(labels: Tensor, images: int) -> Tensor:
    """The places of the fixed, stratified draw of test images behind the live curves; 0 = all of them."""
    # At least one image of each class, however small the draw.
    images = max(images, len(labels.unique())) if images else len(labels)
    if images >= len(labels):
        return torch.arange(len(labels), device=labels.device)
    return stratified_draw(labels, images, _LIVE_DRAW, "the live curves' draw")


@dataclass(frozen=True)
class Answers:
    """The classes that a model answers with."""

    clean: Tensor
    """int64 [N], of all test images."""
    triggered: Tensor | None
    """int64 [M], of the triggered eligible ones; None where no trigger changes anything."""


def ask(model: nn.Module, test: TestImages, device: Device) -> Answers:
    """Ask a model about all test images."""
    triggered = predict(model, test.triggered, device) if test.attacked else None
    return Answers(predict(model, test.clean, device), triggered)


def measure(model: nn.Module, test: TestImages, device: Device) -> Metrics:
    """Measure a model on test images."""
    return metrics_of(ask(model, test, device), test)


def metrics_of(answers: Answers, test: TestImages) -> Metrics:
    """The figures of what a model answers."""
    clean, triggered = answers.clean, answers.triggered
    right = clean == test.labels
    hits = {"acc": right, "base": clean[test.eligible] == test.wanted}
    if triggered is not None:
        hits |= {"asr": triggered == test.wanted, "ra": triggered == test.labels[test.eligible]}
    values: dict[str, float | tuple[float, float]] = {}
    for name in ("acc", "asr", "ra", "base"):
        hit = hits.get(name, right[:0])
        successes, count = int(hit.sum()), len(hit)
        values[name] = 100 * successes / count if count else math.nan
        values[f"{name}_ci"] = wilson(successes, count)
    totals = torch.bincount(test.labels, minlength=test.classes)
    per_class = torch.bincount(test.labels[right], minlength=test.classes)
    class_acc = tuple(
        100 * hit / total if total else math.nan for hit, total in zip(per_class.tolist(), totals.tolist(), strict=True)
    )
    return Metrics(images=len(test.labels), eligible=len(test.eligible), class_acc=class_acc, **values)


def wilson(successes: int, count: int, z: float = Z) -> tuple[float, float]:
    """The Wilson score interval of a share, in percent (Wilson 1927); (NaN, NaN) for no images. z: 95 %."""
    if count == 0:
        return math.nan, math.nan
    share = successes / count
    center = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # Of none, or of all, the interval begins, or ends, at the share itself: not a rounding error beside it.
    low = center - half if successes else 0.0
    high = center + half if successes < count else 1.0
    return 100 * max(0.0, low), 100 * min(1.0, high)


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
        triggered=None if test.triggered is None else test.triggered[kept],
        wanted=test.wanted[kept],
        classes=test.classes,
        attacked=test.attacked,
    )
