"""Distillation by logits alone (Hinton et al. 2015), from the teacher that NAD has: what is left without attention.

loss = CE(student(x), y) + weight x T^2 KL(teacher || student), both softened by the temperature T
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from engine.defenses.nad.settings import StudentSettings
from engine.defenses.nad.taught import Taught
from engine.settings import AnchorSettings

if TYPE_CHECKING:
    from torch import nn

    from engine.defenses.base import Watch
    from engine.defenses.nad.objective import LedObjective
    from engine.training.loop import Batch


class LogitSettings(StudentSettings):
    """The distillation: the student's logits follow the teacher's."""

    teacher_anchor: AnchorSettings = AnchorSettings(weight=1.0)
    """The distillation's weight and temperature."""

    @field_validator("teacher_anchor")
    @classmethod
    def _it_distills(cls, value: AnchorSettings) -> AnchorSettings:
        if not value.weight:
            raise ValueError("without a weight it is plain fine-tuning: --defense fine-tuning")
        return value


class Distillation(Taught):
    """Settings of distillation by logits."""

    name: ClassVar[str] = "distillation"
    taught_by: ClassVar[str] = "distillation-teacher"
    summary: ClassVar[str] = "logits follow those of NAD's teacher, and no attention: what attention adds"
    source: ClassVar[str] = (
        "Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015 (arXiv 1503.02531)"
    )

    distill: LogitSettings = LogitSettings()

    def objective(self, suspect: nn.Module, student: nn.Module, teacher: nn.Module, probe: Batch) -> LedObjective:
        """Cross-entropy and the anchor to the teacher."""
        from engine.defenses.nad.objective import LedObjective

        return LedObjective(self.distill, suspect, teacher)

    def watch(self, objective: Any, teacher: nn.Module, probe: Batch) -> Watch | None:
        """Nothing: no tap takes part."""
        return None
