"""A run's whole configuration, and how it is put together from layers.

Layers, later ones win: the defaults below, the data set's profile (`presets/datasets/`), the recipe (how the
defender makes teacher and student), the preset (what the attacker did), a configuration file, overrides. A recipe and
a preset may each carry a `datasets:` table whose entry for the run's data set follows the layer itself.
Free of torch.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, Field, SerializeAsAny, ValidationError, ValidationInfo, field_validator

from engine import attacks, data, defenses, models
from engine.attacks.base import Attack
from engine.errors import RequestError
from engine.settings import (
    AttackTrainingSettings,
    Fraction,
    ObjectiveSettings,
    ScheduleSettings,
    Section,
    Seed,
    TrainingSettings,
)


class DataSettings(Section):
    """Which images, and which of them the defender holds."""

    name: str = "signs"
    """signs, cifar10, gtsrb, the path of a .npz file, or of a folder of class folders."""
    size: int = Field(32, ge=8, le=512)
    """Side in pixels to which images of varying size are brought (folders, gtsrb)."""
    train_images: int | None = Field(None, ge=1)
    """How many training images to draw (signs) or keep (other sets, stratified); null = all."""
    test_images: int | None = Field(None, ge=1)
    """How many test images to draw or keep; null = all."""
    mirror: bool = False
    """A mirrored image keeps its label: true of natural objects, not of traffic signs or digits."""
    clean_fraction: Fraction = 0.05
    """Share of the training images that the defender holds, clean (the paper: 0.05)."""
    stratified: bool = False
    """Draw the clean subset with every class in its share, instead of at random."""

    @field_validator("name")
    @classmethod
    def _source_exists(cls, value: str) -> str:
        data.check_name(value)
        return value


class ModelSettings(Section):
    """The network of the backdoored model, its teacher and its student."""

    name: str = "wrn-16-1"
    """wrn-<depth>-<width> (Zagoruyko & Komodakis 2016)."""

    @field_validator("name")
    @classmethod
    def _family_exists(cls, value: str) -> str:
        models.check_name(value)
        return value


class TeacherSettings(Section):
    """The teacher: the backdoored model, fine-tuned on the clean subset."""

    file: str | None = None
    """A ready teacher's checkpoint, used instead of fine-tuning one."""
    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()


class DistillSettings(Section):
    """Neural attention distillation: the student's attention maps follow the teacher's."""

    training: TrainingSettings = TrainingSettings(epochs=10, batch_size=64, lr=0.02)
    objective: ObjectiveSettings = ObjectiveSettings()
    beta: tuple[float, ...] = (500.0, 1000.0, 1000.0)
    """Weight of the attention loss, one for each tap (group) of the model; 0 leaves a tap out."""
    operator: Literal["sum", "sum_p", "mean", "mean_p", "max_p"] = "sum_p"
    """How a group's channels become one map (method.md; the paper's choice: sum_p)."""
    p: float = Field(2.0, ge=1, le=16)
    """Exponent of sum_p, mean_p and max_p (the paper's choice: 2); below 1 a feature of 0 has no gradient."""
    normalize: bool = True
    """Divide each image's map by its L2 norm; the paper finds it important."""
    reduction: Literal["mean", "sum"] = "mean"
    """Over a map's cells: mean as in the authors' code, or sum as in the paper's equation."""

    @field_validator("beta")
    @classmethod
    def _beta_in_range(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or min(value) < 0:
            raise ValueError("one weight of 0 or more for each tap is wanted")
        return value


class EvaluationSettings(Section):
    """What is measured, and how often."""

    every: int = Field(1, ge=1)
    """Epochs between two points of the live curves; the last epoch is always measured on all test images."""
    images: int = Field(1_000, ge=0)
    """Test images behind a point of the live curves, a fixed stratified draw; 0 = all of them."""
    samples: int = Field(4, ge=0, le=32)
    """Test images whose attention maps are recorded at every point."""


def _file_alone(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


def _attack(value: Any) -> Any:
    """Validate an attack's settings with the class that its name registers."""
    if not isinstance(value, Mapping):
        return value
    return attacks.settings_class(str(value.get("name"))).model_validate(dict(value))


def _defenses(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError("a table of defenses by name is wanted")
    return {
        name: given if isinstance(given, BaseModel) else _defense(str(name), given) for name, given in value.items()
    }


def _defense(name: str, given: Any) -> Any:
    """One defense's settings (null = its defaults); the errors in them carry its name."""
    try:
        return defenses.settings_class(name).model_validate({} if given is None else given)
    except ValidationError as error:
        details = [
            {"type": each["type"], "loc": (name, *each["loc"]), "input": each["input"], "ctx": each.get("ctx", {})}
            for each in error.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data(error.title, details) from None


class RunConfig(Section):
    """Everything that decides a run."""

    preset: str = Field("custom", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """The preset it began from."""
    recipe: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """The recipe by which the defender makes teacher and student."""
    seed: Seed = 0
    """Decides everything that is drawn: subset, initial weights, order, augmentation."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 autocast where the device has it (auto), always, or never."""
    threads: int | None = Field(None, ge=1, le=1024)
    """Processor threads, and the share of the machine the run claims; null = all: runs then queue."""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    attack: Annotated[SerializeAsAny[Attack], BeforeValidator(_attack)]
    training: AttackTrainingSettings = AttackTrainingSettings()
    """How the backdoored model is trained."""
    student: str | None = None
    """Checkpoint of a backdoored model, used instead of training the attack."""
    teacher: Annotated[TeacherSettings, BeforeValidator(_file_alone)] = TeacherSettings()
    distill: DistillSettings = DistillSettings()
    defenses: Annotated[dict[str, SerializeAsAny[Section]], BeforeValidator(_defenses)] = Field(default_factory=dict)
    """Further defenses from the same backdoored model, by name, each with its settings."""
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("training")
    @classmethod
    def _mixup_is_heeded(cls, value: AttackTrainingSettings, info: ValidationInfo) -> AttackTrainingSettings:
        attack = info.data.get("attack")
        if value.mixup and attack is not None and attack.learns:
            raise ValueError(f"mixup must be 0 for {attack.name}, whose trigger learns with the model")
        return value

    @property
    def attack_seed(self) -> int:
        """The seed of the attack: its own where it is set, else the run's."""
        return self.seed if self.attack.seed is None else self.attack.seed

    def to_dict(self) -> dict[str, Any]:
        """The complete configuration in plain types, fit for YAML and JSON."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """The complete configuration as YAML; `resolve` reads it back to an equal one."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def sha256(self) -> str:
        """Hex digest of the complete configuration, whatever order its keys came in."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` overlaid by `over`: tables merge key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value
    return merged


def validate(values: Mapping[str, Any], where: str = "configuration") -> RunConfig:
    """Build the configuration from plain values.

    Raises:
        RequestError: one line with the first offending field, its value and what is allowed.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise RequestError(f"{where}: {' '.join(_explain(error, values).splitlines())}") from None


def _explain(error: ValidationError, values: Mapping[str, Any]) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"] if "[" not in str(part)]
    name = ".".join(path) or "the whole"
    if first["type"] == "extra_forbidden":
        return f"unknown field '{name}'{_hint(name, known_fields(values))}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"'{name}' is missing"
    return f"{name} = {shown(first['input'])}: {message}"


def shown(value: Any) -> str:
    """A value as a message shows it: at most 80 characters, however large it is."""
    short = reprlib.Repr()  # never writes out the whole: a few YAML aliases can stand for billions of items
    short.maxlevel, short.maxstring, short.maxother = 2, 80, 80
    try:
        text = short.repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number too long to show"
    return text if len(text) <= 80 else text[:77] + "..."


def known_fields(values: Mapping[str, Any]) -> list[str]:
    """Every field's dotted path for a configuration with the attack and the defenses that `values` name."""
    fields = list(_paths(RunConfig))
    attack = values.get("attack")
    if isinstance(attack, Mapping) and str(attack.get("name")) in attacks.ATTACKS:
        fields += _paths(attacks.settings_class(str(attack["name"])), "attack.")
    for name in defenses.DEFENSES:
        fields += _paths(defenses.settings_class(name), f"defenses.{name}.")
    return list(dict.fromkeys(fields))


def _paths(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{prefix}{name}.")


def _hint(name: str, known: Sequence[str]) -> str:
    """A suggestion: the nearest known name, by its last part first, or nothing."""
    leaf = name.rsplit(".", 1)[-1]
    same_leaf = [field for field in known if field.rsplit(".", 1)[-1] == leaf]
    near = same_leaf[:2] or difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else ""


def read_yaml(text: str) -> Any:
    """The plain values that YAML text stands for; tags that would build anything else are refused.

    Raises:
        yaml.YAMLError: it is not valid YAML.
    """
    try:
        return yaml.safe_load(text)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        # What PyYAML lets through from the types it builds: 2001-99-99, !!int x, !!bool x, [[[[[...
        raise yaml.YAMLError(str(error)) from None


def parse_override(text: str) -> dict[str, Any]:
    """`a.b=VALUE`, VALUE in YAML, as nested tables.

    Raises:
        RequestError: no `=`, an empty name, or VALUE is not YAML.
    """
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*", name.strip()):
        raise RequestError(f"--set {text!r}: FIELD=VALUE is wanted, as in distill.beta=[500,1000,1000]")
    try:
        nested: Any = read_yaml(value)
    except yaml.YAMLError:
        raise RequestError(f"--set {text!r}: the value is not valid YAML") from None
    for part in reversed(name.strip().split(".")):
        nested = {part: nested}
    return nested


__all__ = [
    "DataSettings",
    "DistillSettings",
    "EvaluationSettings",
    "ModelSettings",
    "RunConfig",
    "ScheduleSettings",
    "TeacherSettings",
    "known_fields",
    "merge",
    "parse_override",
    "read_yaml",
    "shown",
    "validate",
]
