"""A run's whole configuration: its fields, what each may be, and what each shapes.

It is put together from layers, later ones win: the defaults below, the data set's profile (`presets/datasets/`), the
recipe (how the defender works), the preset (what the attacker did), the profile of the network's family
(`presets/models/`; before a preset that names its network), a configuration file, overrides. A recipe, a preset and a
family's profile may each carry a `datasets:` table whose entry for the run's data set follows the layer itself (see
`engine.config.presets`). Free of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engine import attacks, data, defenses, models, zoo
from engine.attacks.base import Attack
from engine.config.complaints import explained, fields_of
from engine.config.shapes import ALL, shaping
from engine.defenses.base import Defense
from engine.errors import RequestError
from engine.events import TRAINED, ZOO
from engine.models.preprocessing import Preprocessing, preprocessing
from engine.places import in_full
from engine.settings import AttackTrainingSettings, Fraction, Section, Seed, Shapes, Text

Shift = Literal["none", "gray", "noise", "blur", "contrast", "brightness"]


class DataSettings(Section):
    """Which images, and which of them the defender holds."""

    name: Annotated[Text, Shapes("suspect", through="the images' fingerprint")] = "signs"
    """signs, cifar10, gtsrb, the path of a .npz file, or of a folder of class folders."""
    size: Annotated[int, Shapes("suspect", through="the images' fingerprint")] = Field(32, ge=8, le=512)
    """Side in pixels to which images of varying size are brought (folders, gtsrb)."""
    train_images: Annotated[int | None, Shapes("suspect", through="the images' fingerprint")] = Field(None, ge=1)
    """How many training images to draw (signs) or keep (other sets, stratified); null = all."""
    test_images: Annotated[int | None, Shapes("suspect", through="the images' fingerprint")] = Field(None, ge=1)
    """How many test images to draw or keep; null = all."""
    mirror: Annotated[bool, Shapes("suspect")] = False
    """A mirrored image keeps its label: true of natural objects, not of traffic signs or digits."""
    clean_fraction: Annotated[Fraction, Shapes("defense")] = 0.05
    """Share of the training images that the defender holds, clean (the paper: 0.05)."""
    stratified: Annotated[bool, Shapes("defense")] = False
    """Draw the clean subset with every class in its share, instead of at random."""
    clean_from: Annotated[Text, Shapes("defense")] = "train"
    """Of which images: train, the suspect's own; test, a half of the test images, which it never saw and on which
    nothing is measured then; or another data set, by its name or path, of which classes of the same names are used."""
    clean_shift: Annotated[Shift, Shapes("defense")] = "none"
    """How the defender's images differ from all others: in nothing, without colors, noisy, blurred, pale or bright."""

    @field_validator("name")
    @classmethod
    def _source_exists(cls, value: str) -> str:
        data.check_name(value)
        return value if value in data.SOURCES else in_full(value)

    @field_validator("clean_from")
    @classmethod
    def _part_or_source(cls, value: str) -> str:
        if value in data.PARTS:
            return value
        try:
            return cls._source_exists(value)
        except RequestError as error:
            raise ValueError(f"{error}; or {' or '.join(data.PARTS)}") from None

    @property
    def clean_source(self) -> DataSettings | None:
        """The data set that the clean images come from, where it is another one."""
        if self.clean_from in data.PARTS:
            return None
        return self.model_copy(update={"name": self.clean_from, "train_images": None, "test_images": None})


def _row(value: Any) -> Any:
    """A number alone as a row of one, numbers with commas between as a row."""
    if isinstance(value, str) and "," in value:
        return tuple(part.strip() for part in value.strip("[]() ").split(","))
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else value


class ModelSettings(Section):
    """The network of the suspect and of what defenses make of it."""

    name: Annotated[Text, Shapes("suspect", through="its identity")] = "wrn-16-1"
    """A network of one of the families (`nadtui models` lists their names), or FILE.py:NAME for one of one's own."""
    taps: Annotated[tuple[str, ...] | None, Shapes("defense")] = None
    """Where its maps are taken: dotted names of its modules, from input to output; null = the network's own."""
    mean: Annotated[str | tuple[float, ...] | None, BeforeValidator(_row), Shapes("suspect")] = None
    """Taken from the images (0 to 1) before its first layer: one number or three, or whose: cifar10, imagenet, gtsrb,
    half ...; a name alone brings model.std with it; null = as a suspect's file says, else nothing."""
    std: Annotated[str | tuple[float, ...] | None, BeforeValidator(_row), Shapes("suspect")] = None
    """What the images are then divided by, likewise."""

    @field_validator("name")
    @classmethod
    def _family_exists(cls, value: str) -> str:
        models.check_name(value)
        file, colon, maker = value.rpartition(":")
        return f"{in_full(file)}:{maker}" if colon and models.from_file(value) else value

    @model_validator(mode="after")
    def _mean_and_std_go_together(self) -> ModelSettings:
        preprocessing(self.mean, self.std)
        return self

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What is done to the images before the first layer, as far as it was asked for."""
        return preprocessing(self.mean, self.std)


class EvaluationSettings(Section):
    """What is measured, and how often."""

    every: Annotated[int | None, Shapes("measurement")] = Field(None, ge=1)
    """Epochs between two points of the live curves; null = so many that a stage has ten at most: on a few hundred clean
    images an epoch is no dearer than a point. The last epoch is always measured on all test images."""
    images: Annotated[int, Shapes("measurement")] = Field(300, ge=0)
    """Test images behind a point of the live curves, a fixed stratified draw; 0 = all of them."""
    samples: Annotated[int, Shapes("measurement")] = Field(4, ge=0, le=32)
    """Test images whose attention maps are recorded at every point."""
    shadow: Annotated[bool, Shapes("measurement")] = False
    """Make up triggers for the suspect's class that stands out, and try every model with them: an ASR without anybody's
    trigger."""
    verify: Annotated[bool, Shapes("measurement")] = False
    """Measure of each purified model whether its backdoor is erased or only asleep, beside a clean model of the zoo."""


def _check_zoo(config: RunConfig, name: str) -> None:
    """Refuse a suspect of the zoo that is not there, or another than the configuration describes (ValueError)."""
    try:
        card = zoo.card(name)
    except RequestError as error:
        raise ValueError(str(error)) from None
    if config.attack is None:
        raise ValueError(f"{name} of the zoo comes with its attack, which is not named: --preset {card.preset}")
    wanted = {"data.name": card.dataset, "model.name": card.model}
    given = {"data.name": config.data.name, "model.name": config.model.name}
    attack = config.attack.model_dump(mode="json")
    made = attacks.settings_class(card.config["attack"]["name"]).model_validate(card.config["attack"])
    made = {**made.model_dump(mode="json"), "seed": card.attack_seed}
    wanted |= {f"attack.{field}": value for field, value in made.items()}
    given |= {f"attack.{field}": value for field, value in attack.items() if (field, value) != ("seed", None)}
    for field, value in given.items():
        if field not in wanted or value != wanted[field]:
            was = f"was made with {wanted[field]!r}" if field in wanted else "knows no such field"
            raise ValueError(f"{field} = {value!r}: {name} of the zoo {was}; --suspect trained trains one")


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

    preset: Annotated[str, Shapes("nothing")] = Field("custom", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    """The preset it began from."""
    recipe: Annotated[str, Shapes("nothing")] = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """The recipe by which the defender works."""
    seed: Annotated[Seed, Shapes("defense")] = 0
    """Decides everything that is drawn: subset, initial weights, order, augmentation."""
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], Shapes("suspect", through="what it comes to")] = "auto"
    precision: Annotated[Literal["auto", "bf16", "fp32"], Shapes("suspect", through="what it comes to")] = "auto"
    """bf16 autocast where the device has it (auto), always, or never."""
    threads: Annotated[int | None, Shapes("nothing")] = Field(None, ge=1, le=1024)
    """Processor threads, and the share of the machine the run claims; null = all: runs then queue."""
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    suspect: Annotated[Text, Shapes("suspect")] = TRAINED
    """Where the model under suspicion comes from: trained (by the attack), zoo, zoo:NAME, or a checkpoint's path."""
    attack: Annotated[SerializeAsAny[Attack] | None, BeforeValidator(_attack), Shapes("suspect")]
    """null = nothing is known of one: a suspect from a file, without trigger, hence without ASR."""
    training: Annotated[AttackTrainingSettings, Shapes("suspect")] = AttackTrainingSettings()
    """How the suspect is trained."""
    defenses: Annotated[dict[str, SerializeAsAny[Defense]], BeforeValidator(_defenses), Shapes("defense")] = Field(
        default_factory=dict
    )
    """The defenses of this run by name, in the order in which they run, each with its settings."""
    evaluation: EvaluationSettings = EvaluationSettings()

    @field_validator("training")
    @classmethod
    def _mixup_is_heeded(cls, value: AttackTrainingSettings, info: ValidationInfo) -> AttackTrainingSettings:
        attack = info.data.get("attack")
        if value.mixup and attack is not None and attack.learns:
            raise ValueError(f"mixup must be 0 for {attack.name}, whose trigger learns with the model")
        return value

    @field_validator("suspect")
    @classmethod
    def _a_path_is_kept_in_full(cls, value: str) -> str:
        return value if value == TRAINED or value.partition(":")[0] == ZOO else in_full(value)

    @model_validator(mode="after")
    def _someone_makes_the_suspect(self) -> RunConfig:
        if self.attack is None and self.suspect == TRAINED:
            raise ValueError("without an attack nothing makes the suspect: give its checkpoint (--suspect FILE)")
        return self

    @model_validator(mode="after")
    def _what_a_defense_stands_on_comes_before_it(self) -> RunConfig:
        before: list[str] = []
        for name, defense in self.defenses.items():
            if missing := [other for other in defense.stands_on if other not in before]:
                raise ValueError(f"defense {name} stands on {missing[0]}, which has to come before it among defenses")
            before.append(name)
        return self

    @model_validator(mode="after")
    def _the_zoo_has_it(self) -> RunConfig:
        if self.zoo_name is not None:
            _check_zoo(self, self.zoo_name)
        return self

    @model_validator(mode="after")
    def _what_is_verified_has_a_trigger(self) -> RunConfig:
        if self.evaluation.verify and (self.attack is None or not self.attack.marks):
            raise ValueError("evaluation.verify needs a suspect whose trigger is known: without one nothing can sleep")
        return self

    @property
    def suspect_file(self) -> str | None:
        """The checkpoint the suspect comes from; None where it is trained, or of the zoo."""
        return None if self.suspect == TRAINED or self.zoo_name is not None else self.suspect

    @property
    def zoo_name(self) -> str | None:
        """The name of the zoo's suspect that this run takes; None = it takes none."""
        if self.suspect == ZOO:
            return self.name_in_zoo
        return self.suspect.removeprefix(f"{ZOO}:") if self.suspect.startswith(f"{ZOO}:") else None

    @property
    def name_in_zoo(self) -> str:
        """What the zoo calls the suspect of this preset, data set, network and attack seed, be it there or not."""
        seed = 0 if self.attack is None or self.attack.seed is None else self.attack.seed
        return zoo.name_of(self.preset, self.data.name, seed, self.model.name)

    @property
    def attack_seed(self) -> int:
        """The seed of the attack: its own where it is set, that of the zoo's suspect, else the run's."""
        if self.zoo_name is not None:
            return zoo.card(self.zoo_name).attack_seed
        return self.seed if self.attack is None or self.attack.seed is None else self.attack.seed

    def to_dict(self) -> dict[str, Any]:
        """The complete configuration in plain types, fit for YAML and JSON."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """The complete configuration as YAML; `resolve` reads it back to an equal one."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def suspect_shapers(self) -> dict[str, Any]:
        """The values of the fields that shape the suspect, beside what stands for the images, files and device."""
        values = shaping(self, ("suspect",), given=False)
        if self.attack is not None:
            values["attack"]["seed"] = self.attack_seed
        return values

    def sha256(self) -> str:
        """Hex digest of all fields that shape a figure, whatever order they came in: not of names, nor of threads."""
        return hashlib.sha256(json.dumps(shaping(self, ALL), sort_keys=True).encode()).hexdigest()


def known_fields(values: Mapping[str, Any]) -> list[str]:
    """Every field's dotted path for a configuration with the attack that `values` name, and with every defense."""
    return fields_of(RunConfig, values)


def validate(values: Mapping[str, Any], where: str = "configuration") -> RunConfig:
    """Build the configuration from plain values.

    Raises:
        RequestError: one line with the first offending field, its value and what is allowed.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise RequestError(f"{where}: {explained(error, values, RunConfig)}") from None
