"""What all of a run's stages share, built once: a request that proved sound, its data, its network, its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from engine.config.run import RunConfig
from engine.control import Control
from engine.data.base import ImageData, Note
from engine.data.clean import CleanImages
from engine.defenses.base import LabeledImages
from engine.device import Device
from engine.events import Chosen, Event, Message, PlannedStage, RunStarted, StageFinished
from engine.record.folder import RunFolder
from engine.running.conveniences import Conveniences
from engine.running.given import Given
from engine.running.network import Network
from engine.running.request import RunRequest


@dataclass
class Session:
    """A run under way."""

    request: RunRequest
    plan: tuple[PlannedStage, ...]
    control: Control
    device: Device
    data: ImageData
    clean: CleanImages
    """The defender's clean subset."""
    network: Network
    model: nn.Module
    """The network with weights drawn anew, on the CPU: what was checked before anything was written."""
    conveniences: Conveniences
    inputs: dict[str, dict[str, Any]]
    """The fingerprints of the files that the configuration names (`engine.running.inputs`)."""
    folder: RunFolder
    recorded: list[Event]
    """What the record held when the run was taken up: nothing of a new run."""
    given: Given | None = None
    """The suspect's file, where it comes from one."""
    poisoned: int | None = None
    """How many training images the attacker poisons; None where that is not counted once and for all."""
    unfit: Mapping[str, str] = field(default_factory=dict)
    """Of the defenses that were asked for, those that the network cannot bear, and why."""
    remarks: Sequence[Note] = ()
    """How the data and the request were understood, and what of them comes to nothing."""

    @property
    def config(self) -> RunConfig:
        """The complete configuration."""
        return self.request.config

    @cached_property
    def resumed(self) -> bool:
        """Whether the record has begun: a run killed between its folder and its first event begins like a new one."""
        return any(isinstance(event, RunStarted) for event in self.recorded)

    @cached_property
    def finished(self) -> dict[str, StageFinished]:
        """The stages that need not be done again: recorded as finished, with their weights in place."""
        return {
            event.stage: event
            for event in self.recorded
            if isinstance(event, StageFinished) and self.folder.checkpoint(event.stage).is_file()
        }

    @cached_property
    def choices(self) -> dict[tuple[str, str], Chosen]:
        """What was chosen before, by stage and what was to be chosen."""
        return {(event.stage, event.what): event for event in self.recorded if isinstance(event, Chosen)}

    def told(self, event: Event) -> bool:
        """Whether it is a line of the log that stood there before the run was resumed."""
        return isinstance(event, Message) and event.text in self._lines

    @cached_property
    def _lines(self) -> set[str]:
        return {event.text for event in self.recorded if isinstance(event, Message)}

    @cached_property
    def train(self) -> LabeledImages:
        """The training images, on the device."""
        return LabeledImages(self.data.x_train.to(self.device.torch), self.data.y_train.to(self.device.torch))

    def stage(self, name: str) -> PlannedStage:
        """The planned stage of that name; KeyError where there is none."""
        return next(stage for stage in self.plan if stage.name == name)

    def build(self, seed: int) -> nn.Module:
        """A network of the run's kind, its weights drawn by `seed`, on the device."""
        return self.network.fresh(seed, self.device)

    def build_suspect(self) -> nn.Module:
        """The network as the attack begins to train it, on the device."""
        return self.network.to_train(self.config.attack_seed, self.device, self.data.x_train, self.config.training)

    @property
    def attention(self) -> tuple[str, float]:
        """Operator and exponent of the recorded maps: of the first defense that reads attention, else the paper's."""
        asked = (defense.attention for defense in self.config.defenses.values())
        return next((each for each in asked if each is not None), ("sum_p", 2.0))
