"""Choosing how far to go without a trigger: as far as the accuracy on held clean images allows. Needs torch.

Published code often goes where the test ASR is lowest, which no defender can know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from engine.defenses.base import Port, Work
from engine.models.inference import predict


def held_accuracy(port: Port, model: nn.Module) -> float:
    """ACC on the held images, in percent."""
    right = predict(model, port.held.images, port.device) == port.held.labels
    return 100 * float(right.float().mean())


def furthest(
    port: Port, stage: str, what: str, strengths: Mapping[str, float], make: Callable[[float], nn.Module], budget: float
) -> Work[float]:
    """The greatest strength whose model loses at most `budget` points of the suspect's ACC on the held images.

    What is recorded as a candidate's score is its strength where it keeps to the budget, else the points by which it
    exceeds it, below 0; where none keeps to it, the one that exceeds it least is chosen.

    Args:
        what: is chosen, in a word or two.
        strengths: by the name under which they are recorded, each at least 0.
        make: the model of that strength.
    """
    floor = held_accuracy(port, port.suspect) - budget

    def score(strength: float) -> float:
        over = held_accuracy(port, make(strength)) - floor
        return strength if over >= 0 else over

    return (yield from port.choose(stage, what, strengths, score))
