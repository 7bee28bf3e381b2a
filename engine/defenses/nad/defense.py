"""Neural attention distillation (Li et al., ICLR 2021): a teacher fine-tuned on the clean subset, and a student whose
attention maps follow the teacher's, tap by tap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator

from engine.defenses.base import Defense, Port, Stage, Work
from engine.defenses.nad.settings import EQUAL, DistillSettings, TeacherSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

TEACHER = "teacher"
PROBE = 64
"""Clean images on which the taps' health is measured."""


def _file_alone(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


class Nad(Defense):
    """Settings of NAD: those of its two stages."""

    name: ClassVar[str] = "nad"
    summary: ClassVar[str] = "attention maps follow those of a teacher that was fine-tuned on the clean subset"
    source: ClassVar[str] = (
        "Li, Lyu, Koren, Lyu, Li, Ma: Neural Attention Distillation: Erasing Backdoor Triggers from Deep Neural "
        "Networks, ICLR 2021 (arXiv 2101.05930)"
    )

    teacher: Annotated[TeacherSettings, BeforeValidator(_file_alone)] = TeacherSettings()
    distill: DistillSettings = DistillSettings()

    @property
    def attention(self) -> tuple[str, float]:
        """As it aligns the maps, so they are recorded."""
        return self.distill.operator, self.distill.p

    def stages(self) -> tuple[Stage, ...]:
        """The teacher, a reference; the student, which is the purified model."""
        return Stage(TEACHER, "reference"), Stage(self.name, "purified", needs=(TEACHER,))

    def epochs_field(self, stage: str) -> str | None:
        """The teacher's and the student's."""
        return f"{'teacher' if stage == TEACHER else 'distill'}.training.epochs"

    def files(self) -> list[Path]:
        """The teacher's, where it is given."""
        return [] if self.teacher.path is None else [self.teacher.path]

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a beta that does not fit the taps, taps whose maps can say nothing, a teacher that does not fit."""
        from engine.defenses.nad.objective import refuse_dead_taps
        from engine.defenses.nad.teacher import made
        from engine.models.inference import settled

        teacher = (
            None if self.teacher.file is None and self.teacher.model is None else made(self.teacher, model, clean, 0)
        )
        fresh = self.teacher.file is None and teacher is not None
        refuse_dead_taps(settled(model, clean), clean, self.distill, settled(teacher, clean) if fresh else teacher)

    def defend(self, port: Port) -> Work[nn.Module]:
        """Make the teacher, then train a copy of the suspect so that its attention maps follow the teacher's.

        Raises:
            RequestError: a tap that is to be distilled has a map that can say nothing.
        """
        from engine.defenses.nad.objective import NadObjective, refuse_dead_taps
        from engine.models.inference import as_input, freeze
        from engine.training.loop import batch_of

        probe = batch_of(as_input(port.clean.images[:PROBE]), port.clean.labels[:PROBE])
        teacher = freeze((yield from self._teacher(port, probe.images)))
        student = port.copy()
        refuse_dead_taps(student, probe.images, self.distill, teacher)
        objective = NadObjective(self.distill, port.suspect, teacher, port.taps)
        if self.distill.beta == EQUAL:
            objective.level(student, probe)
        trained = yield from port.train(
            self.name,
            student,
            objective,
            self.distill.training,
            watch=lambda model: objective.health(model, probe),
        )
        return freeze(trained)

    def _teacher(self, port: Port, images: Tensor) -> Work[nn.Module]:
        """The one in the file, or one that the clean subset trains: a copy of the suspect, or another network."""
        from engine.defenses.nad.teacher import made
        from engine.training.objectives import CleanObjective

        model = made(self.teacher, port.suspect, images, port.seed)
        if self.teacher.file is not None:
            return (yield from port.adopt(TEACHER, model, given=True))
        objective = CleanObjective(self.teacher.objective, port.suspect)
        return (yield from port.train(TEACHER, model, objective, self.teacher.training))
