"""Fine-tuning: a copy of the suspect, trained on the clean subset, and nothing else.

With a student's schedule and objective it sees the student's batches, so that the two differ by the attention loss
alone where that begins as the suspect (`presets/studies/paired.yaml`). By the recipe of signs it is NAD's teacher
without the distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.defenses.base import Defense, Port, Work
from engine.settings import ObjectiveSettings, TrainingSettings

if TYPE_CHECKING:
    from torch import nn


class FineTuning(Defense):
    """Settings of fine-tuning."""

    name: ClassVar[str] = "fine-tuning"
    summary: ClassVar[str] = "trained on the clean subset: what NAD is without its attention loss"
    source: ClassVar[str] = "Liu, Dolan-Gavitt, Garg: Fine-Pruning, RAID 2018 (arXiv 1805.12185), section 4"

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()

    def defend(self, port: Port) -> Work[nn.Module]:
        """Fine-tune a copy of the suspect on the clean subset."""
        from engine.models.inference import freeze
        from engine.training.objectives import CleanObjective

        objective = CleanObjective(self.objective, port.suspect)
        return freeze((yield from port.train(self.name, port.copy(), objective, self.training)))
