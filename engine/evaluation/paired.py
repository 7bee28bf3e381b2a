"""Two models' answers beside each other, image by image. Needs torch."""

from __future__ import annotations

import math

from torch import Tensor

from engine.evaluation.metrics import Answers, TestImages, Z
from engine.figures import Change


def change(test: TestImages, before: Answers, after: Answers, than: str) -> Change:
    """What became of a model: the differences of ACC and ASR, image by image.

    Args:
        than: the stage of the model before.
    """
    acc, acc_ci = paired(before.clean == test.labels, after.clean == test.labels)
    if before.triggered is None or after.triggered is None:
        return Change(than=than, acc=acc, acc_ci=acc_ci)
    asr, asr_ci = paired(before.triggered == test.wanted, after.triggered == test.wanted)
    return Change(than=than, acc=acc, acc_ci=acc_ci, asr=asr, asr_ci=asr_ci)


def paired(before: Tensor, after: Tensor) -> tuple[float, tuple[float, float]]:
    """The difference of two shares of the same images, in points, with its 95 % interval; NaN without images.

    Where an image was asked about several times, it counts as often as it was right, and is still one image.

    The interval is Agresti and Min's (Statistics in Medicine 2005): Wald's for matched pairs, half an image added to
    each of the four outcomes. It is narrower than that of two separate samples as far as the models agree.

    Args:
        before, after: bool [N], whether the image counts for each model, or the share of times that it does, 0-1.
    """
    count = len(before)
    if count == 0:
        return math.nan, (math.nan, math.nan)
    gained = after.float() - before.float()  # exact: counts are far from where float32 loses units
    n, differ, gain = count + 2, float(gained.square().sum()) + 1, float(gained.sum())
    center = gain / n
    half = Z * math.sqrt(differ - gain * gain / n) / n
    low, high = max(center - half, -1.0), min(center + half, 1.0)  # of a few images the formula's are wider than all
    return 100 * gain / count, (100 * low, 100 * high)
