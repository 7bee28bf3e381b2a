"""Settings shared by every stage: the typed, validated sections a run's configuration is made of.

Free of torch: the command line and the forms of the workbench validate with it before torch loads.
Every section refuses unknown keys by name and is frozen once it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from engine.errors import RequestError
from engine.places import in_full

Fraction = Annotated[float, Field(gt=0, le=1)]
"""A share above 0, at most 1."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string is wanted")
    return value


Text = Annotated[str, PlainValidator(_text)]
"""Text as Python has it: the bytes of a path need be no letters, and pydantic's own strings refuse those."""


def _in_full(written: str) -> str:
    try:
        return in_full(written)
    except RequestError as error:
        raise ValueError(str(error)) from None


PathText = Annotated[Text, AfterValidator(_in_full)]
"""The path of a file or folder, kept in full: what a record holds is of use from any folder. Whether there is such a
file is another question."""
Shaped = Literal["suspect", "defense", "measurement", "nothing"]
"""What a field may shape. Whatever shapes the suspect shapes all that follows from it."""


@dataclass(frozen=True)
class Shapes:
    """Beside a field's type: what the field shapes; the fields of a section below it shape the same, unless they say
    otherwise. Caches and comparisons are keyed by these declarations (`engine.config.shapes`)."""

    what: Shaped
    through: str = ""
    """What stands for the field in a key, where it is not its own value: a name may change, the content not."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys, non-finite numbers and booleans as numbers."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # what reads no configuration, help and the first paint, does not wait for the validators
    )

    @model_validator(mode="before")
    @classmethod
    def _a_table_gives_what_it_names(cls, values: Any) -> Any:
        # Fields of a section that a table leaves out stay as that very field has them, a defense's own learning rate
        # say: not as the section's class has them.
        if not isinstance(values, Mapping):
            return values
        own = {name: field.default for name, field in cls.model_fields.items() if isinstance(field.default, Section)}
        return {name: _laid_over(own[name], given) if name in own else given for name, given in values.items()}

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_booleans_as_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML reads `yes` as true and pydantic would take it for 1: `epochs: yes` must not train an epoch.
        annotation = cls.model_fields[info.field_name].annotation
        items = value if isinstance(value, list | tuple) else [value]
        if "bool" not in str(annotation) and any(isinstance(item, bool) for item in items):
            raise ValueError("a number or text is wanted, not yes/no")
        return value


def _laid_over(section: Section, given: Any) -> Any:
    """What is given of a section, over what was set of it."""
    if not isinstance(given, Mapping):
        return given
    values = {name: getattr(section, name) for name in section.model_fields_set}
    for name, value in given.items():
        own = getattr(section, name, None) if name in type(section).model_fields else None
        values[name] = _laid_over(own, value) if isinstance(own, Section) else value
    return values


class AugmentSettings(Section):
    """Augmentation of the training images, drawn anew for every batch."""

    crop: int = Field(4, ge=0, le=64)
    """Pixels of zero padding from which a crop of the original size is cut; 0 = none."""
    flip: bool = True
    """Mirror every second image, where the data set allows it (`data.mirror`)."""
    cutout: int = Field(0, ge=0, le=512)
    """Side of the square hole in pixels (DeVries & Taylor 2017); 0 = none."""


BARE = AugmentSettings(crop=0, flip=False)
"""None at all."""


class ScheduleSettings(Section):
    """The learning rate as a function of the step."""

    name: Literal["constant", "step", "one-cycle", "cosine"] = "one-cycle"
    """constant, step (divided at milestones), one-cycle (linear up, linear down), or cosine."""
    warmup: float = Field(0.25, ge=0, lt=1)
    """one-cycle, cosine: share of the steps in which the rate rises linearly to its peak."""
    milestones: tuple[int, ...] = (2,)
    """step: epochs after which the rate is multiplied by `gamma`."""
    gamma: float = Field(0.1, gt=0, le=1)
    """step: the factor at each milestone."""

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(m < 1 for m in value) or list(value) != sorted(set(value)):
            raise ValueError("rising epoch numbers from 1 on are wanted")
        return value


class AverageSettings(Section):
    """The mean of the weights of many steps in place of the last step's; batch norms are then estimated anew."""

    start: float = Field(1.0, ge=0, le=1)
    """Share of the training after which each step's weights count; 1 = none does: no averaging."""
    decay: float = Field(1.0, gt=0, le=1)
    """What a step's weight is multiplied by in each further step (0.99, say); 1 = all steps weigh alike (SWA)."""


class TrainingSettings(Section):
    """One training loop's schedule."""

    epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the training images."""
    batch_size: int = Field(256, ge=1, le=65_536)
    """Images a step."""
    lr: float = Field(0.4, gt=0, le=100)
    """Peak learning rate."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """sgd, adam (Kingma & Ba 2015), or adamw, whose weight decay is apart from its gradient (Loshchilov & Hutter 2019):
    transformers learn little by the first. Of the two, the rate is a hundredth of what it is of sgd."""
    schedule: ScheduleSettings = ScheduleSettings()
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of sgd; of the others the first beta."""
    nesterov: bool = True
    """Nesterov's momentum, which needs one above 0; of adam and adamw it makes NAdam (Dozat 2016)."""
    weight_decay: float = Field(5e-4, ge=0, le=1)
    """L2 penalty on all parameters; of adamw the share of them, times the rate, that a step takes away."""
    clip: float | None = Field(None, gt=0)
    """Largest L2 norm of a step's gradient over all parameters; a longer one is shortened to it. null = any."""
    augment: AugmentSettings = AugmentSettings()
    average: AverageSettings = AverageSettings()

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> TrainingSettings:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class AttackTrainingSettings(TrainingSettings):
    """How the attacker, or the victim who trains on a poisoned set, trains the backdoored model."""

    mixup: float = Field(0.0, ge=0, le=100)
    """Parameter alpha of mixup's Beta distribution (Zhang et al. 2018) on the step's images; 0 = none."""
    first_layer: Literal["random", "whitened"] = "random"
    """How the first convolution begins: as the network draws it, or with the principal directions of the
    images' patches (Jordan 2024, section 3.2), which takes half the epochs."""


class AnchorSettings(Section):
    """The anchor: the backdoored model's own logits on clean images, distilled into the student."""

    weight: float = Field(0.0, ge=0, le=1e6)
    """Factor of the anchor's loss; 0 = none."""
    temperature: float = Field(2.0, gt=0, le=100)
    """Softmax temperature of both sides (Hinton et al. 2015); the loss is scaled by its square."""
    fade: float = Field(0.0, ge=0, le=1)
    """Share of the weight that is gone at the end of the training; it goes evenly."""


class DecoySettings(Section):
    """Decoys: made-up triggers laid over clean images whose labels stay (engine.training.decoys). Anchors and teachers
    look at the images without them. A kind of strength 0 is left out."""

    share: float = Field(0.0, ge=0, le=1)
    """Of the images of a step that bear one, of a kind drawn at random; 0 = none."""
    wave: float = Field(0.25, ge=0, le=1)
    """Largest amplitude of a planar sine that is added, of the range of pixels."""
    overlay: float = Field(0.3, ge=0, le=1)
    """Largest share of another image, or of coarse noise, that is blended in."""
    patch: float = Field(0.25, ge=0, le=1)
    """Longest side of a square that is put on, of the image's; 2 pixels at least."""
    warp: float = Field(0.08, ge=0, le=0.5)
    """Largest mean shift of the pixels by a smooth warp, of the image's side."""


class ObjectiveSettings(Section):
    """What a defender's training loop minimizes beside the cross-entropy on the clean subset."""

    mixup: float = Field(0.0, ge=0, le=100)
    """Parameter alpha of mixup's Beta distribution (Zhang et al. 2018) on the step's images; 0 = none."""
    hinge: float = Field(0.0, ge=0, le=100)
    """What is good enough: only what an image's cross-entropy has above it counts (D3's epsilon)."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each label that is spread evenly over all classes."""
    decoys: DecoySettings = DecoySettings()
    anchor: AnchorSettings = AnchorSettings()


class SharpnessSettings(Section):
    """Steps down the gradient that the loss has where it is worst nearby (SAM, ICLR 2021; ASAM, ICML 2021)."""

    rho: float = Field(0.0, ge=0, le=1e3)
    """How far nearby reaches; 0 = plain steps, above 0 each step takes two passes."""
    adaptive: bool = True
    """Measured against each weight's own size; else all weights alike."""


class DistanceSettings(Section):
    """Chosen layers begin elsewhere than the suspect's and are pushed away from them, at their norm (D3, ICCV 2025)."""

    weight: float = Field(0.0, ge=0, le=1e6)
    """Factor of the distance ||W - W0||, added up over the layers, in what is maximized (D3's 1 / lambda); 0 = none."""
    layers: tuple[str, ...] = Field(("head",), min_length=1)
    """head (what gives the logits), a tap's name (all since the tap before), or a module's dotted name."""
    start: Literal["near", "random", "middle", "far", "noise"] = "near"
    """Where their weights begin: as they are, drawn anew, at 0, at their negative, or with normal noise as strong as
    they are; at their norm."""

    @property
    def active(self) -> bool:
        """Whether it does anything at all; where it does, the layers keep the suspect's norm in every step."""
        return self.weight > 0 or self.start != "near"
