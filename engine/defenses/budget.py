"""Choosing how far to go without a trigger: as far as the accuracy on held clean images allows. Needs torch.

Published code often goes where the test ASR is lowest, which no defender can know.

The clean subset is a part of the suspect's own training set, of which the suspect remembers some images as they were:
held against it, every model seems to lose more than it does. A pixel to the side and mirrored, where that keeps the
label, an image is hardly remembered: four students on CIFAR-10, three of suspects trained without augmentation, lose
3.9 points of test images on average, seem to lose 10.8 of the held ones, and 4.4 of such copies (two pixels: 1.8, as
the suspects bear them worse than their students do). So a student is held against the suspect on copies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor, nn

from engine.data.augment import Augment
from engine.defenses.base import Port, T, Work
from engine.evaluation.paired import paired
from engine.events import Message
from engine.figures import ROUNDING, Cost
from engine.models.inference import predict

TRIED = 64
"""Counts that are tried at most, beside none."""
COPIES = 4
"""Of each held image, on which a student is held against the suspect."""
SHIFT = 1
"""Pixels to any side, at most, by which a copy is moved."""


def held_accuracy(port: Port, model: nn.Module) -> float:
    """ACC on the held images as they are, in percent: of what is cut out of the suspect, and remembers as it does."""
    return 100 * float(_as_they_are(port, model).float().mean())


def _as_they_are(port: Port, model: nn.Module) -> Tensor:
    """Which of the held images it knows, bool [N]."""
    return predict(model, port.held.images, port.device) == port.held.labels


def copies(port: Port) -> list[Tensor]:
    """Copies of the held images that a suspect hardly remembers, uint8 [N, 3, H, W] each; equal at every call."""
    augment, draw = Augment(SHIFT, port.mirror, 0), torch.Generator().manual_seed(port.seed)
    return [augment(port.held.images, draw) for _ in range(COPIES)]


def _right(port: Port, model: nn.Module) -> Tensor:
    """The share of each held image's copies that it knows, float [N]."""
    known = [predict(model, each, port.device) == port.held.labels for each in copies(port)]
    return torch.stack(known).float().mean(dim=0)


def keeps_to(port: Port, model: nn.Module, budget: float) -> bool:
    """Whether a model loses no more than `budget` points of ACC on copies of the held images."""
    return budget + paired(_right(port, port.suspect), _right(port, model))[0] >= -ROUNDING


def strongest(
    port: Port, stage: str, what: str, ladder: Mapping[str, T], make: Callable[[T], nn.Module], budget: float
) -> Work[T]:
    """The first of a ladder's rungs whose model loses no more than `budget` points of ACC on copies of the held images;
    where none keeps to it, the one that loses least.

    What is recorded as a candidate's score is how far below the budget it stays, those beyond the budget below 0;
    nothing for rungs after the first that keeps to it, which are not tried. What the chosen one loses is recorded too,
    and how certain that is.

    Args:
        what: is chosen, in a word or two.
        ladder: rungs by the name under which they are recorded, from the strongest erasing to the gentlest.
        make: the model of a rung.
    """
    before = cache(lambda: _right(port, port.suspect))  # not before it is asked for: a resumed run knows its choice
    kept = False

    def score(rung: T) -> float:
        nonlocal kept
        if kept:
            return math.nan
        spare = budget + paired(before(), _right(port, make(rung)))[0]
        kept = spare >= -ROUNDING
        return max(spare, 0.0) if kept else spare

    def cost(rung: T) -> Cost:
        return cost_of(before(), _right(port, make(rung)), budget)

    return (yield from port.choose(stage, what, ladder, score, cost))


def cost_of(before: Tensor, after: Tensor, budget: float) -> Cost:
    """What is lost by the share of times that each held image is known, bool or float [N]."""
    gain, gained = paired(before, after)
    lost, low, high = -gain + 0.0, -gained[1] + 0.0, -gained[0] + 0.0  # no minus before a nought
    return Cost(lost=lost, lost_ci=(low, high), images=len(before), budget=budget)


def rungs(most: int, of: int) -> dict[str, float]:
    """How many of a network's units may go, 0 to `most`, by the name under which it is recorded.

    Every count where that is no more than `TRIED`; else so many, close together at first, where a unit more or less
    matters most: a large network has thousands of channels, and every count is a model to be judged.
    """
    counts = range(most + 1)
    if most > TRIED:
        counts = dict.fromkeys(round(most * (part / TRIED) ** 2) for part in range(TRIED + 1))
    return {f"{count}/{of}": count for count in counts}


def furthest(
    port: Port,
    stage: str,
    what: str,
    strengths: Mapping[str, float],
    make: Callable[[float], nn.Module],
    budget: float,
    *,
    beyond: int = 0,
) -> Work[float]:
    """The last strength whose model loses no more than `budget` points of ACC on the held images, as far as is looked:
    until more than `beyond` in a row lose more.

    ACC need not fall with every step: norms settle, and what one neuron's end disturbs that of others may put right. Of
    so few images a single one that is back inside may be luck: a strength counts by the worse of it and the one before.

    What is recorded as a candidate's score is its strength where it keeps to the budget, below 0 the points by which it
    exceeds it, and nothing for those that are not tried. What the chosen one loses is recorded too, and how certain
    that is.

    Args:
        what: is chosen, in a word or two.
        strengths: by the name under which they are recorded, rising; the first is 0, the suspect as it is.
        make: the model of that strength.
    """
    suspect = cache(lambda: _as_they_are(port, port.suspect))
    known: dict[float, Tensor] = {}
    over, before = 0, math.inf

    def score(strength: float) -> float:
        nonlocal over, before
        if over > beyond:
            return math.nan
        known[strength] = _as_they_are(port, make(strength))
        now = 100 * float(known[strength].float().mean()) - 100 * float(suspect().float().mean()) + budget + ROUNDING
        points, before = min(now, before), now
        over = over + 1 if points < 0 else 0
        return points if over else strength

    return (yield from port.choose(stage, what, strengths, score, lambda it: cost_of(suspect(), known[it], budget)))


def given(port: Port, stage: str, what: str, count: int, of: int, by: str) -> Work[int]:
    """Have it recorded how many of a network's units go where that is not chosen, but follows from a fixed bound.

    Args:
        what: goes, in a word or two.
        by: the bound, in a few words.
    """
    yield Message(text=f"{stage}: {what} {count}/{of}, by {by}", level="info" if count else "warning")
    return (yield from port.choose(stage, what, {f"{count}/{of}": count}, float))
