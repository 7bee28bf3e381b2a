"""Neural attention distillation (Li et al., ICLR 2021): a teacher fine-tuned on the clean subset, and a student whose
attention maps follow the teacher's, tap by tap."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.defenses.nad.settings import DistillSettings
from engine.defenses.nad.taught import Taught
from engine.defenses.nad.weights import EQUAL

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.defenses.nad.objective import NadObjective
    from engine.training.loop import Batch


class Nad(Taught):
    """Settings of NAD: those of its two stages."""

    name: ClassVar[str] = "nad"
    taught_by: ClassVar[str] = "teacher"
    summary: ClassVar[str] = "attention maps follow those of a teacher that was fine-tuned on the clean subset"
    source: ClassVar[str] = (
        "Li, Lyu, Koren, Lyu, Li, Ma: Neural Attention Distillation: Erasing Backdoor Triggers from Deep Neural "
        "Networks, ICLR 2021 (arXiv 2101.05930)"
    )

    distill: DistillSettings = DistillSettings()

    @property
    def attention(self) -> tuple[str, float]:
        """As it aligns the maps, so they are recorded."""
        return self.distill.operator, self.distill.p

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a beta that does not fit the taps, taps whose maps can say nothing, a teacher that does not fit, and
        layers that the network does not have."""
        from engine.defenses.nad.objective import refuse_dead_taps
        from engine.defenses.nad.teacher import made
        from engine.models.inference import settled

        super().check(model, clean)
        teacher = None
        if self.teacher.path is not None:
            teacher = made(self.teacher, model, clean, 0, self.name)
        elif self.teacher.model is not None:
            teacher = settled(made(self.teacher, model, clean, 0, self.name), clean)
        refuse_dead_taps(settled(model, clean), clean, self.distill, teacher)

    def objective(self, suspect: nn.Module, student: nn.Module, teacher: nn.Module, probe: Batch) -> NadObjective:
        """Cross-entropy and the attention losses.

        Raises:
            RequestError: a tap that is to be distilled has a map that can say nothing.
        """
        from engine.defenses.nad.objective import NadObjective, refuse_dead_taps

        refuse_dead_taps(student, probe.images, self.distill, teacher)
        objective = NadObjective(self.distill, suspect, teacher, suspect.tap_names)
        if self.distill.beta == EQUAL:
            objective.level(student, probe)
        return objective
