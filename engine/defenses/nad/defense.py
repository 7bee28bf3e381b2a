"""Neural attention distillation (Li et al., ICLR 2021): a teacher fine-tuned on the clean subset, and a student whose
attention maps follow the teacher's, tap by tap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator

from engine.defenses.base import Defense, Port, Stage, Work
from engine.defenses.nad.settings import EQUAL, DistillSettings, TeacherSettings
from engine.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.events import TapHealth
    from engine.training.distance import Distance

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
        return [] if self.teacher.file is None else [Path(self.teacher.file)]

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a beta that does not fit the taps, taps whose maps can say nothing, a teacher that does not fit, and
        layers that the network does not have."""
        from engine.defenses.nad.objective import refuse_dead_taps
        from engine.defenses.nad.teacher import made
        from engine.models.inference import settled

        self._check_starts()
        for stage in (self.teacher, self.distill):
            self._distance(stage, model, clean)
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
        from engine.models.inference import as_input, copy_of, freeze, same_weights
        from engine.training.loop import batch_of

        probe = batch_of(as_input(port.clean.images[:PROBE]), port.clean.labels[:PROBE])
        teacher = freeze((yield from self._teacher(port, probe.images)))
        student = copy_of(teacher) if self.distill.start == "teacher" else port.copy()
        distance = self._distance(self.distill, port.suspect, probe.images)
        if distance is not None:
            distance.begin(student, port.seed)
        refuse_dead_taps(student, probe.images, self.distill, teacher)
        objective = NadObjective(self.distill, port.suspect, teacher, port.taps)
        if self.distill.beta == EQUAL:
            objective.level(student, probe)

        def watch(model: nn.Module) -> tuple[TapHealth, ...]:
            # Of a student that still is its teacher, no tap has a loss: that says nothing of the taps.
            return () if same_weights(model, teacher) else objective.health(model, probe)

        trained = yield from port.train(
            self.name,
            student,
            objective if distance is None else distance.pushing(objective),
            self.distill.training,
            step=None if distance is None else distance.step(),
            watch=watch,
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
        distance = self._distance(self.teacher, port.suspect, images)
        if distance is None:
            return (yield from port.train(TEACHER, model, objective, self.teacher.training))
        model, objective = distance.begin(model, port.seed), distance.pushing(objective)
        return (yield from port.train(TEACHER, model, objective, self.teacher.training, step=distance.step()))

    def _distance(
        self, stage: TeacherSettings | DistillSettings, suspect: nn.Module, images: Tensor
    ) -> Distance | None:
        """From the suspect's weights, where a stage's settings want one."""
        from engine.training.distance import Distance

        if not stage.distance.active:
            return None
        where = "teacher" if stage is self.teacher else "distill"
        return Distance.of_layers(stage.distance, suspect, images, f"defenses.nad.{where}.distance")

    def _check_starts(self) -> None:
        """Refuse another network where the suspect's weights count."""
        if self.teacher.model is None:
            return
        if self.distill.start == "teacher":
            raise RequestError(
                "defenses.nad.distill.start = 'teacher': the teacher is another network; allowed: suspect"
            )
        if self.teacher.distance.active:
            raise RequestError(
                "defenses.nad.teacher.distance: the teacher is another network, whose layers have no old weights; "
                "allowed: weight 0 and start near"
            )
