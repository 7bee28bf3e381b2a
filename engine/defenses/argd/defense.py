"""Attention relation graph distillation (Xia et al., IJCAI 2022): as in NAD the student's attention maps follow those
of a teacher that was fine-tuned on the clean subset, and so do the relations between the maps of its taps.

What is in the authors' code and not here: their optimizer holds the student's parameters alone, so that the projections
of the embedding stay as they were drawn. Here they are trained, together with the student.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.defenses.argd.settings import ArgdDistillSettings, ArgdTeacherSettings
from engine.defenses.base import Defense, Port, Stage, Work
from engine.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn

TEACHER = "argd-teacher"


class Argd(Defense):
    """Settings of ARGD: those of its two stages."""

    name: ClassVar[str] = "argd"
    summary: ClassVar[str] = "attention maps, and the relations between them, follow those of NAD's teacher"
    source: ClassVar[str] = (
        "Xia, Wang, Ding, Wei, Chen: Eliminating Backdoor Triggers for Deep Neural Networks Using Attention Relation "
        "Graph Distillation, IJCAI 2022 (arXiv 2204.09975), section 3, and the authors' riman_distance.py"
    )

    teacher: ArgdTeacherSettings = ArgdTeacherSettings()
    distill: ArgdDistillSettings = ArgdDistillSettings()

    @property
    def attention(self) -> tuple[str, float]:
        """As it aligns the maps: sums of squares over channels."""
        return "sum_p", 2.0

    def stages(self) -> tuple[Stage, ...]:
        """The teacher, a reference; the student, which is the purified model."""
        return Stage(TEACHER, "reference"), Stage(self.name, "purified", needs=(TEACHER,))

    def epochs_field(self, stage: str) -> str | None:
        """The teacher's and the student's."""
        return f"{'teacher' if stage == TEACHER else 'distill'}.training.epochs"

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse weights that do not fit the taps, and taps whose maps can say nothing."""
        from engine.attention.maps import dead_taps
        from engine.models.inference import settled

        maps = settled(model, clean).forward_with_taps(clean)[1]
        self.distill.node_weights([_cells(each) for each in maps])
        for name, why in dead_taps(model.tap_names, maps, *self.attention).items():
            raise RequestError(f"argd: {name}: {why}, so that it relates to no other tap; larger images are needed")

    def defend(self, port: Port) -> Work[nn.Module]:
        """Make the teacher, then train a copy of the suspect so that its graph follows the teacher's."""
        from engine.defenses.argd.graph import ArgdObjective, Projections
        from engine.models.inference import as_input, freeze
        from engine.training.objectives import CleanObjective

        goal = CleanObjective(self.teacher.objective, port.suspect)
        teacher = freeze((yield from port.train(TEACHER, port.copy(), goal, self.teacher.training)))
        maps = port.suspect.forward_with_taps(as_input(port.clean.images[:1]))[1]
        projections = Projections(len(maps), self.distill.dimensions, port.seed).to(port.device.torch)
        weights = self.distill.node_weights([_cells(each) for each in maps])
        objective = ArgdObjective(self.distill, port.suspect, teacher, weights, projections)
        trained = yield from port.train(self.name, port.copy(), objective, self.distill.training, beside=projections)
        return freeze(trained)


def _cells(features: Tensor) -> int:
    return features.shape[-2] * features.shape[-1]
