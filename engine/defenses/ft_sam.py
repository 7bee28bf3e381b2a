"""FT-SAM: fine-tuning by adaptive sharpness-aware steps, which lead neurons that a backdoor uses away from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from engine.defenses.base import Defense, Port, Work
from engine.settings import AugmentSettings, ObjectiveSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from torch import nn


class FtSam(Defense):
    """Settings of FT-SAM. An epoch takes two passes over the clean images, so that BackdoorBench's 100 at 0.01
    (`recipe: paper`) are 20 at five times the rate here."""

    name: ClassVar[str] = "ft-sam"
    summary: ClassVar[str] = "fine-tuning by adaptive sharpness-aware steps"
    source: ClassVar[str] = (
        "Zhu, Wei, Shen, Fan, Wu: Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization, "
        "ICCV 2023 (arXiv 2304.11823); settings of BackdoorBench's config/defense/ft-sam"
    )

    training: TrainingSettings = TrainingSettings(
        epochs=20,
        batch_size=64,
        lr=0.05,
        schedule=ScheduleSettings(name="cosine", warmup=0),
        nesterov=False,
        weight_decay=5e-4,
        augment=AugmentSettings(crop=4, flip=True, cutout=0),
    )
    objective: ObjectiveSettings = ObjectiveSettings(label_smoothing=0.1)
    rho: float = Field(2.0, gt=0, le=1e3)
    """How far nearby reaches."""
    adaptive: bool = True
    """Measured against each weight's own size; else all weights alike."""

    def defend(self, port: Port) -> Work[nn.Module]:
        """Fine-tune a copy of the suspect."""
        from engine.models.inference import freeze
        from engine.training.objectives import CleanObjective
        from engine.training.sharpness import sharpness_aware

        objective = CleanObjective(self.objective, port.suspect)
        step = sharpness_aware(self.rho, adaptive=self.adaptive)
        return freeze((yield from port.train(self.name, port.copy(), objective, self.training, step=step)))
