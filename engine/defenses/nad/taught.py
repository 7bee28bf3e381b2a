"""A student who is led by a teacher: what NAD and its kin have in common, whatever of the teacher is followed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from engine.defenses.base import Defense, LabeledImages, Port, Stage, Watch, Work
from engine.defenses.nad.settings import StudentSettings, TeacherSettings
from engine.events import Message

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.defenses.nad.objective import LedObjective, TapObjective
    from engine.figures import TapHealth
    from engine.training.distance import Distance
    from engine.training.loop import Batch
    from engine.training.steps import TrainStep

LADDER = (1.0, 0.975, 0.95, 0.925, 0.9, 0.875, 0.85, 0.825, 0.8, 0.775, 0.75, 0.725, 0.7)
"""Shares of the student's reach that are tried where there is a budget, the strongest first. Nearer to the suspect,
triggers come back faster than accuracy (`python -m tests.measure_recipe --reach`)."""
TRIAL = "trial-"
"""What the names of the trial's stages begin with."""
PROBE = 64
"""Clean images on which the taps' health is measured."""


def _file_alone(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


class Taught(Defense):
    """Settings of the two stages: a teacher, made of the suspect by the clean subset, and a student who follows it.

    Teachers of equal settings are equal, whichever defense of a run they lead.
    """

    taught_by: ClassVar[str]
    """The name of the teacher's stage."""

    teacher: Annotated[TeacherSettings, BeforeValidator(_file_alone)] = TeacherSettings()
    distill: StudentSettings = StudentSettings()
    budget: float | None = Field(None, ge=0, le=100)
    """Points of ACC that it may cost: a trial student, which never saw a share of the clean images, says by them how
    far the student may go from the suspect (`distill.reach`), which then learns on all; null = no trial, as far as
    `distill.reach` says."""
    held_share: float = Field(0.2, gt=0, lt=1)
    """Of the clean images, those held for the trial."""

    @model_validator(mode="after")
    def _a_trial_has_held_images(self) -> Taught:
        if self.budget is not None and self.teacher.defense is not None:
            raise ValueError(f"no budget with {self.teacher.defense} as teacher, which knows the images of the trial")
        return self

    @property
    def stands_on(self) -> tuple[str, ...]:
        """The defense that makes its teacher, where one does."""
        return () if self.teacher.defense is None else (self.teacher.defense,)

    @property
    def held(self) -> float:
        """How much it holds: nothing without a budget."""
        return 0.0 if self.budget is None else self.held_share

    def stages(self) -> tuple[Stage, ...]:
        """The teacher, a reference; the student, which is the purified model; before them those of the trial."""
        final = Stage(self.taught_by, "reference"), Stage(self.name, "purified", needs=(self.taught_by,))
        if self.budget is None:
            return final
        taught_by, student = (f"{TRIAL}{stage.name}" for stage in final)
        return Stage(taught_by, "reference"), Stage(student, "reference", needs=(taught_by,)), *final

    def epochs_field(self, stage: str) -> str | None:
        """The student's, and the teacher's where it is trained; those of the trial are as many."""
        if stage.startswith(TRIAL) or (stage == self.taught_by and self.teacher.file is not None):
            return None
        return f"{'teacher' if stage == self.taught_by else 'distill'}.training.epochs"

    def files(self) -> list[Path]:
        """The teacher's, where it is given."""
        return [] if self.teacher.path is None else [self.teacher.path]

    def objective(self, suspect: nn.Module, student: nn.Module, teacher: nn.Module, probe: Batch) -> LedObjective:
        """What the student is trained with.

        Raises:
            RequestError: what it is to follow can say nothing.
        """
        raise TypeError(f"{type(self).__name__} does not say what the student follows")

    def watch(self, objective: TapObjective, teacher: nn.Module, probe: Batch) -> Watch | None:
        """What is recorded of the taps' part in the student's training; None = nothing."""
        from engine.models.inference import same_weights

        def looked(model: nn.Module) -> tuple[TapHealth, ...]:
            # Of a student that still is its teacher, no tap has a loss: that says nothing of the taps.
            return () if same_weights(model, teacher) else objective.health(model, probe)

        return looked

    def check(self, model: nn.Module, clean: Tensor) -> None:
        """Refuse a teacher that does not fit, and layers that the network does not have."""
        from engine.defenses.nad.teacher import made

        for where in ("teacher", "distill"):
            self._distance(where, model, clean)
        if self.teacher.path is not None or self.teacher.model is not None:
            made(self.teacher, model, clean, 0, self.name)

    def defend(self, port: Port) -> Work[nn.Module]:
        """Make the teacher, then train a copy of the suspect, or of the teacher, that follows it.

        Raises:
            RequestError: what it is to follow can say nothing.
        """
        from engine.models.inference import freeze

        if self.budget is None:
            return freeze((yield from self._student(port, "", None, self.distill.reach)))
        trial = yield from self._student(port, TRIAL, None, 1.0)
        reach = yield from self._affordable(port, trial)
        return freeze((yield from self._student(port, "", joined(port.clean, port.held), reach)))

    def _affordable(self, port: Port, trial: nn.Module) -> Work[float]:
        """How far a student may go, by what the trial's is on the held images at each reach."""
        from engine.defenses.budget import strongest
        from engine.models.inference import copy_of, toward

        ladder = {f"{share * self.distill.reach:.3g}": share * self.distill.reach for share in LADDER}
        return (
            yield from strongest(
                port,
                f"{TRIAL}{self.name}",
                "reach",
                ladder,
                lambda reach: toward(copy_of(trial), port.suspect, reach),
                self.budget,
            )
        )

    def _student(self, port: Port, prefix: str, data: LabeledImages | None, reach: float) -> Work[nn.Module]:
        """A teacher and its student; `prefix`: of their stages' names; `data`: None = the images that are not held."""
        from engine.models.inference import as_input, copy_of, freeze, toward
        from engine.training.loop import batch_of

        probe = batch_of(as_input(port.clean.images[:PROBE]), port.clean.labels[:PROBE])
        teacher = freeze((yield from self._teacher(port, f"{prefix}{self.taught_by}", data, probe.images)))
        wanted = self.distill.start == "teacher"
        student = copy_of(teacher) if wanted and self.teacher.own else port.copy()
        if wanted and not self.teacher.own:
            yield Message(
                text=f"{self.name}: it does not make its teacher of the suspect itself, so the student begins as the "
                "suspect: settings for one that begins as its teacher may be too gentle for it (recipe classic has "
                "others)",
                level="warning",
            )
        distance = self._distance("distill", port.suspect, probe.images)
        if distance is not None:
            distance.begin(student, port.seed)
        objective = self.objective(port.suspect, student, teacher, probe)
        return (
            yield from port.train(
                f"{prefix}{self.name}",
                student,
                objective if distance is None else distance.pushing(objective),
                self.distill.training,
                step=self._step("distill", distance),
                watch=self.watch(objective, teacher, probe),
                data=data,
                end=lambda model: toward(model, port.suspect, reach),
            )
        )

    def _teacher(self, port: Port, stage: str, data: LabeledImages | None, images: Tensor) -> Work[nn.Module]:
        """One that is there (of a file, of another defense), or one that the clean subset trains: a copy of the
        suspect, or another network."""
        from engine.defenses.nad.teacher import made
        from engine.training.objectives import CleanObjective

        if self.teacher.defense is not None:
            return (yield from port.adopt(stage, port.purified[self.teacher.defense]))
        model = made(self.teacher, port.suspect, images, port.seed, self.name)
        if self.teacher.file is not None:
            return (yield from port.adopt(stage, model, given=True))
        objective, training = CleanObjective(self.teacher.objective, port.suspect), self.teacher.training
        distance = self._distance("teacher", port.suspect, images)
        if distance is not None:
            model, objective = distance.begin(model, port.seed), distance.pushing(objective)
        step = self._step("teacher", distance)
        return (yield from port.train(stage, model, objective, training, step=step, data=data))

    def _step(self, where: str, distance: Distance | None) -> TrainStep:
        """How a stage steps, as its settings say; `where`: teacher or distill."""
        from engine.training.sharpness import step_of

        step = step_of(getattr(self, where).sharpness)
        return step if distance is None else distance.step(step)

    def _distance(self, where: str, suspect: nn.Module, images: Tensor) -> Distance | None:
        """From the suspect's weights, where a stage's settings want one; `where`: teacher or distill."""
        from engine.training.distance import Distance

        settings = getattr(self, where).distance
        if not settings.active or (where == "teacher" and not self.teacher.own):
            return None
        return Distance.of_layers(settings, suspect, images, f"defenses.{self.name}.{where}.distance")


def joined(some: LabeledImages, others: LabeledImages) -> LabeledImages:
    """Both together, the first in front."""
    import torch

    return LabeledImages(torch.cat([some.images, others.images]), torch.cat([some.labels, others.labels]))
