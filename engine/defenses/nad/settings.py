"""NAD's settings: how the teacher is made, and how the student follows it. Free of torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, TypeAdapter, field_validator

from engine import models
from engine.errors import RequestError
from engine.events import ZOO
from engine.places import in_full
from engine.settings import ObjectiveSettings, Section, Text, TrainingSettings
from engine.storage.paths import zoo_dir

AUTHORS = ((1024, 500.0), (256, 1000.0), (64, 1000.0))
"""The cells of a WRN's maps at 32 pixels, and the authors' weights of the means over them."""
TOGETHER = 20.0
"""What the authors' weights add up to as weights of sums over cells: 500 / 1024 + 1000 / 256 + 1000 / 64, rounded."""
EQUAL = "equal"
"""Instead of weights: equal shares of the loss for all taps."""
_OF_THE_ZOO = f"{ZOO}:"
OTHERS = "others"
"""In a table of weights: every tap that it does not name."""


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not yes/no")
    return value


_ONE, _LISTED = TypeAdapter(FiniteFloat), TypeAdapter(tuple[FiniteFloat, ...])
_BY_NAME = TypeAdapter(dict[str, Annotated[FiniteFloat, BeforeValidator(_no_boolean)]])


def _as_meant(value: Any) -> Any:
    """In the form in which it was given: what is wrong is then said of its numbers, not of every form it might have."""
    if isinstance(value, Mapping):
        return _BY_NAME.validate_python(value)
    if isinstance(value, list | tuple):
        return _LISTED.validate_python(value)
    return value if value in (None, EQUAL) else _ONE.validate_python(value)


def _in_full_or_of_the_zoo(value: str) -> str:
    if not value.startswith(_OF_THE_ZOO):
        try:
            return in_full(value)
        except RequestError as error:
            raise ValueError(str(error)) from None
    if not re.fullmatch(r"[\w.@-]+", value.removeprefix(_OF_THE_ZOO)) or not _file_of(value).is_file():
        raise ValueError("the zoo has no such model (nadtui zoo lists them)")
    return value


def _file_of(value: str) -> Path:
    if value.startswith(_OF_THE_ZOO):
        return zoo_dir() / f"{value.removeprefix(_OF_THE_ZOO)}.safetensors"
    return Path(value)


class TeacherSettings(Section):
    """The teacher: the suspect, fine-tuned on the clean subset."""

    file: Annotated[Text, AfterValidator(_in_full_or_of_the_zoo)] | None = None
    """A ready teacher's checkpoint, used instead of fine-tuning one; or zoo:NAME, a model of the zoo."""
    model: str | None = None
    """Its network, where it is another than the suspect's; without a file, it is then trained on the clean subset from
    its beginning, as the paper tries, too. null = the suspect's."""
    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()

    @property
    def path(self) -> Path | None:
        """Where the ready teacher's checkpoint lies; None where there is none."""
        return None if self.file is None else _file_of(self.file)

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


class DistillSettings(Section):
    """The distillation: the student's attention maps follow the teacher's."""

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()
    beta: Annotated[
        float | tuple[float, ...] | dict[str, float] | Literal["equal"] | None, BeforeValidator(_as_meant)
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
        numbers = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else [value]
        if value not in (None, EQUAL) and (not numbers or min(numbers) < 0):
            raise ValueError("one weight of 0 or more for each tap is wanted")
        return value

    def weights(self, tap_names: Sequence[str], cells: Sequence[int]) -> tuple[float, ...]:
        """The weight of each tap, in the taps' order.

        Args:
            cells: of each tap, how many cells the maps have that are compared.

        Raises:
            RequestError: not one for each tap, a tap that the model does not have, or no tap with a weight at all.
        """
        weights = self._weights(tap_names, cells)
        if not any(weights):
            raise RequestError(
                "defenses.nad.distill.beta: all weights are 0, which is plain fine-tuning: --defense fine-tuning"
            )
        return weights

    def _weights(self, tap_names: Sequence[str], cells: Sequence[int]) -> tuple[float, ...]:
        named = ", ".join(tap_names)
        match self.beta:
            case None | "equal":
                return self._by_size(cells)
            case tuple() as listed:
                if len(listed) != len(tap_names):
                    raise RequestError(
                        f"defenses.nad.distill.beta = {list(listed)}: {len(tap_names)} weights are wanted, one for "
                        f"each of {named}"
                    )
                return listed
            case dict() as table:
                unknown = next((name for name in table if name not in (*tap_names, OTHERS)), None)
                missing = next((name for name in tap_names if name not in table and OTHERS not in table), None)
                if unknown or missing:
                    wrong = f"there is no tap {unknown!r}" if unknown else f"nothing is said of {missing!r}"
                    raise RequestError(f"defenses.nad.distill.beta: {wrong}; allowed: {named}, {OTHERS}")
                return tuple(table[name] if name in table else table[OTHERS] for name in tap_names)
            case number:
                return (float(number),) * len(tap_names)

    def _by_size(self, cells: Sequence[int]) -> tuple[float, ...]:
        """The default weights, for the reduction that there is."""
        if tuple(cells) == tuple(size for size, _ in AUTHORS):
            means = tuple(weight for _, weight in AUTHORS)
        else:
            means = tuple(TOGETHER / len(cells) * size for size in cells)
        if self.reduction == "mean":
            return means
        return tuple(mean / size for mean, size in zip(means, cells, strict=True))
