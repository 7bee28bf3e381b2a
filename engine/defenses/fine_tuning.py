"""Fine-tuning: what NAD is without the attention loss, for an honest comparison.

By default it takes NAD's schedule and sees NAD's batches, so that the two differ by the attention loss alone.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from pydantic import Field

from engine.settings import ObjectiveSettings, Section, TrainingSettings

if TYPE_CHECKING:
    from torch import nn

    from engine.config.run import DistillSettings
    from engine.defenses.base import Defender
    from engine.events import Event


class Settings(Section):
    """Fine-tuning's own schedule and objective; null = those of `distill`."""

    training: TrainingSettings | None = Field(None)
    """Schedule; null = that of `distill.training`."""
    objective: ObjectiveSettings | None = Field(None)
    """Mixup and anchor; null = those of `distill.objective`."""


def defend(defender: Defender, settings: Settings, nad: DistillSettings) -> Generator[Event, None, nn.Module]:
    """Fine-tune a copy of the backdoored model on the clean subset; `nad` is what NAD does in this run."""
    # Not above: a configuration is validated by `Settings` before torch loads.
    from engine.defenses.base import freeze
    from engine.training.objectives import CleanObjective

    objective = CleanObjective(settings.objective or nad.objective, defender.backdoored)
    training = settings.training or nad.training
    return freeze((yield from defender.train("fine-tuning", defender.fresh(), objective, training)))
