"""Refool: a natural reflection on the image (Liu, Ma, Bailey, Lu, ECCV 2020, arXiv 2007.02343)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from engine.attacks.base import Attack, AttackContext, LabelRule, generator, to_uint8
from engine.attacks.reflections import (
    composed,
    defocused,
    doubled,
    draws,
    image_files,
    read_images,
    spread,
    to_light,
)
from engine.errors import RequestError
from engine.events import Event
from engine.settings import PathText, Section

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["in-focus", "out-of-focus", "ghost"]
Range = tuple[float, float]


@dataclass(frozen=True)
class ReflectionTrigger:
    """Composes onto each image a reflection; which one, and how, the image's own pixels decide."""

    reflections: Tensor
    """uint8 [K, 3, H, W]."""
    kinds: tuple[str, ...]
    share: Range
    sigma: Range
    offset: tuple[int, int]
    seed: int

    def __call__(self, images: Tensor) -> Tensor:
        """The images with a reflection each, uint8 [N, 3, H, W]."""
        import torch

        if len(images) == 0:
            return images.clone()
        which, kind, share, first, second, third = draws(images, 6, self.seed).unbind(dim=1)
        chosen = (which * len(self.reflections)).long()
        light = to_light(self.reflections.to(images.device)[chosen])
        kind = (kind * len(self.kinds)).long()
        for number, name in enumerate(self.kinds):
            here = (kind == number).nonzero().flatten()
            if name == "out-of-focus":
                light[here] = defocused(light[here], _within(first[here], self.sigma))
            elif name == "ghost":
                low, high = self.offset
                down, right = (low + (drawn[here] * (high - low + 1)).long() for drawn in (first, second))
                # The authors' code draws the first copy's share from 0.5 to 0.85 or its complement.
                light[here] = doubled(light[here], _within(third[here], (0.5, 0.85)), down, right)
        return to_uint8(composed(images, light, _within(share, self.share)).to(torch.float32))

    def tensors(self) -> dict[str, Tensor]:
        """The reflections."""
        return {"reflections": self.reflections}


def _within(drawn: Tensor, bounds: Range) -> Tensor:
    low, high = bounds
    return (low + drawn * (high - low)).float()


class SelectionSettings(Section):
    """The paper's choice of reflections that work (algorithm 1): models are poisoned and asked what each one does."""

    rounds: int = Field(0, ge=0, le=1000)
    """Models that are trained to choose; 0 = no choice, the first reflections drawn are used."""
    candidates: int = Field(50, ge=1, le=10_000)
    """How many images there are to choose from."""
    tried: int = Field(20, ge=1, le=10_000)
    """How many of them, those of the largest weight, each round tries."""
    epochs: int = Field(5, ge=1, le=10_000)
    """Epochs of a round's model."""

    @model_validator(mode="after")
    def _no_more_tried_than_there_are(self) -> SelectionSettings:
        if self.tried > self.candidates:
            raise ValueError(f"tried = {self.tried}: more than the {self.candidates} candidates")
        return self


class Refool(Attack):
    """Settings of Refool; clean label as in the paper, or dirty label by `label_rule`."""

    summary: ClassVar[str] = "a natural reflection: in focus, out of focus, or a ghost"

    name: Literal["refool"] = "refool"
    label_rule: LabelRule = "clean-label"
    poisoning_rate: float = Field(0.8, ge=0, le=1)
    """Share of the target class's images that is poisoned (of all images under a dirty-label rule)."""
    kinds: tuple[Kind, ...] = ("in-focus", "out-of-focus", "ghost")
    """The kinds of reflection, chosen at random for each image."""
    reflection_folder: PathText | None = None
    """A folder of images to reflect; null = training images of other classes (test images are never among them)."""
    reflections: int = Field(50, ge=1, le=10_000)
    """How many images are reflected."""
    selection: SelectionSettings = SelectionSettings()
    share: Range = (0.2, 0.45)
    """From and to: the reflection's share of the light."""
    sigma: Range = (0.5, 1.5)
    """From and to: the blur of a reflection out of focus, in pixels."""
    offset: tuple[int, int] = (1, 4)
    """From and to: how far a ghost's copies lie apart, in pixels, down and to the right."""

    @field_validator("kinds")
    @classmethod
    def _kinds_differ(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("one or more different kinds are wanted")
        return value

    @model_validator(mode="after")
    def _ranges_rise(self) -> Refool:
        for name, (low, high), least, most in (
            ("share", self.share, 0, 1),
            ("sigma", self.sigma, 0.05, 100),
            ("offset", self.offset, 0, 512),
        ):
            if not least <= low <= high <= most:
                raise ValueError(
                    f"{name} [{low:g}, {high:g}]: two rising numbers from {least:g} to {most:g} are wanted"
                )
        return self

    @model_validator(mode="after")
    def _enough_to_choose_from(self) -> Refool:
        if self.selection.rounds and self.reflections > self.selection.tried:
            raise ValueError(
                f"reflections = {self.reflections}: more than the {self.selection.tried} that selection.tried allows "
                "to be tried"
            )
        return self

    @property
    def drawn(self) -> int:
        """How many images are read or drawn, to be reflected or to choose from."""
        return self.selection.candidates if self.selection.rounds else self.reflections

    def files(self) -> list[Path]:
        """The images to reflect or to choose from, where they are the user's."""
        if self.reflection_folder is None:
            return []
        return spread(image_files(self.reflection_folder), self.drawn)

    def check(self, classes: int, height: int, width: int) -> None:
        """Refuse a target that is no class, ghosts larger than the image, and reflections that cannot be read."""
        super().check(classes, height, width)
        if self.offset[1] >= min(height, width):
            raise RequestError(f"attack.offset = {list(self.offset)}: beyond images of {width}x{height} pixels")
        if self.reflection_folder is not None:
            read_images(self.files(), height, width)

    def recalled(self, tensors: Mapping[str, Tensor], context: AttackContext) -> ReflectionTrigger:
        """The reflections, composed as the settings say."""
        return self._reflecting(tensors["reflections"], context.seed)

    def _reflecting(self, images: Tensor, seed: int) -> ReflectionTrigger:
        return ReflectionTrigger(images, self.kinds, self.share, self.sigma, self.offset, seed)

    def build(self, context: AttackContext) -> Generator[Event, None, ReflectionTrigger]:
        """Read the reflections, or draw them from the training images of other classes, and choose among them."""
        pool = self._pool(context)
        reflecting = partial(self._reflecting, seed=context.seed)
        if self.selection.rounds:
            from engine.attacks.selection import Selection

            chosen = self.selection
            selection = Selection(self, chosen.rounds, chosen.tried, chosen.epochs, context, pool, reflecting)
            pool = yield from selection.best(self.reflections)
        return reflecting(pool)

    def _pool(self, context: AttackContext) -> Tensor:
        """The images to reflect or to choose from, uint8 [K, 3, H, W] on the CPU."""
        import torch

        height, width = context.images.shape[-2:]
        if self.reflection_folder is not None:
            return read_images(self.files(), height, width)
        others = self.eligible(context.labels, context.classes).nonzero().flatten()
        if len(others) == 0:
            raise RequestError("refool: there is no image of another class to reflect")
        order = torch.randperm(len(others), generator=generator(context.seed, 2))[: self.drawn]
        return context.images[others[order.to(others.device)]].cpu()
