"""NAD's settings: how the teacher is made, and how the student follows it. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from engine import models
from engine.defenses.nad.teacher_file import defense_of, kept, path_of
from engine.defenses.nad.weights import EQUAL, as_meant, check_range, spread
from engine.errors import RequestError
from engine.settings import (
    AnchorSettings,
    DistanceSettings,
    ObjectiveSettings,
    Section,
    SharpnessSettings,
    Text,
    TrainingSettings,
)

AUTHORS = ((1024, 500.0), (256, 1000.0), (64, 1000.0))
"""The cells of a WRN's maps at 32 pixels, and the authors' weights of the means over them."""
TOGETHER = 20.0
"""What the authors' weights add up to as weights of sums over cells: 500 / 1024 + 1000 / 256 + 1000 / 64, rounded."""
WHERE = "defenses.nad.distill"
"""Where the distillation's settings stand in a configuration."""


class TeacherSettings(Section):
    """The teacher: the suspect, fine-tuned on the clean subset."""

    file: Annotated[Text, AfterValidator(kept)] | None = None
    """A ready teacher's checkpoint, used instead of fine-tuning one; or zoo:NAME, a model of the zoo; or defense:NAME,
    what that defense makes of the suspect: it runs before."""
    model: str | None = None
    """Its network, where it is another than the suspect's; without a file, it is then trained on the clean subset from
    its beginning, as the paper tries, too. null = the suspect's."""
    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()
    distance: DistanceSettings = DistanceSettings()
    """With a weight, or another start than the suspect's, the teacher is made as D3 makes a model; one from a file or
    of another network has no old weights of which it could."""
    sharpness: SharpnessSettings = SharpnessSettings()
    """With a rho, its steps are FT-SAM's."""

    @property
    def own(self) -> bool:
        """Whether these settings make the teacher of the suspect: no file, other network or other defense does."""
        return self.file is None and self.model is None

    @property
    def path(self) -> Path | None:
        """Where the ready teacher's checkpoint lies; None where there is none."""
        return None if self.file is None or self.defense is not None else path_of(self.file)

    @property
    def defense(self) -> str | None:
        """The defense of the same run whose purified model is the teacher; None where it is no defense's."""
        return None if self.file is None else defense_of(self.file)

    @field_validator("model")
    @classmethod
    def _family_exists(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            models.check_name(value)
        except RequestError as error:
            raise ValueError(str(error)) from error
        if models.from_file(value):
            raise ValueError("a teacher's network cannot come from a file; allowed: a network by its name")
        return value

    @model_validator(mode="after")
    def _a_defense_keeps_the_network(self) -> TeacherSettings:
        if self.defense is not None and self.model is not None:
            raise ValueError(f"what {self.defense} makes has the suspect's network: leave teacher.model out")
        return self


class StudentSettings(Section):
    """How a student is trained whom a teacher leads, whatever it follows of it."""

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()
    start: Literal["suspect", "teacher"] = "suspect"
    """Whose copy the student is at first; a teacher that the defense does not make of the suspect itself is never
    copied: what it knows would have come from elsewhere."""
    distance: DistanceSettings = DistanceSettings()
    """Kept from the suspect's weights while the student learns; its start is laid over the student's."""
    sharpness: SharpnessSettings = SharpnessSettings()
    """With a rho, its steps are FT-SAM's."""
    reach: float = Field(1.0, gt=0, le=2)
    """How far it goes in the end along the straight line from the suspect's weights to its own (Wortsman et al., Robust
    Fine-Tuning of Zero-Shot Models, CVPR 2022): 1 = all the way; a little less is more accurate, and erases less.
    Where the defense keeps to a budget, the furthest it may go."""
    teacher_anchor: AnchorSettings = AnchorSettings()
    """The same as the anchor, to the teacher's logits."""


class DistillSettings(StudentSettings):
    """The distillation: the student's attention maps follow the teacher's."""

    beta: Annotated[
        float | tuple[float, ...] | dict[str, float] | Literal["equal"] | None, BeforeValidator(as_meant)
    ] = None
    """Weight of the attention loss: one for every tap, a list in the order of the taps, or a table by tap name, where
    `others` are those not named; 0 leaves a tap out. null = the authors' 500, 1000, 1000 on maps of 32x32, 16x16 and
    8x8; on others the same weight for all taps, which means the same on maps of any size. equal = as null together, in
    equal shares of the loss at the first step."""
    operator: Literal["sum", "sum_p", "mean", "mean_p", "max_p"] = "sum_p"
    """How a tap's channels become one map (method.md; the paper's choice: sum_p)."""
    p: float = Field(2.0, ge=1, le=16)
    """Exponent of sum_p, mean_p and max_p (the paper's choice: 2); below 1 a feature of 0 has no gradient."""
    normalize: bool = True
    """Divide each image's map by its L2 norm; the paper finds it important."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over a map's cells: mean as in the authors' code, or sum as in the paper's equation."""

    @field_validator("beta")
    @classmethod
    def _beta_in_range(cls, value: float | tuple[float, ...] | dict[str, float] | str | None) -> object:
        if value not in (None, EQUAL):
            check_range(value)
        return value

    def weights(self, tap_names: Sequence[str], cells: Sequence[int]) -> tuple[float, ...]:
        """The weight of each tap, in the taps' order.

        Args:
            cells: of each tap, how many cells the maps have that are compared.

        Raises:
            RequestError: not one for each tap, a tap that the model does not have, or no tap with a weight at all where
                nothing else leads the student to its teacher.
        """
        weights = self._by_size(cells) if self.beta in (None, EQUAL) else spread(self.beta, tap_names, f"{WHERE}.beta")
        if not any(weights) and self.start == "suspect" and not self.teacher_anchor.weight:
            raise RequestError(f"{WHERE}.beta: all weights are 0, which is plain fine-tuning: --defense fine-tuning")
        return weights

    def _by_size(self, cells: Sequence[int]) -> tuple[float, ...]:
        """The default weights, for the reduction that there is."""
        if tuple(cells) == tuple(size for size, _ in AUTHORS):
            means = tuple(weight for _, weight in AUTHORS)
        else:
            means = tuple(TOGETHER / len(cells) * size for size in cells)
        if self.reduction == "mean":
            return means
        return tuple(mean / size for mean, size in zip(means, cells, strict=True))
