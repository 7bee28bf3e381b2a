"""A suspect's card: where it comes from and what it does, beside its weights. Free of torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from engine.errors import RequestError
from engine.settings import Section
from engine.storage.paths import write_atomically


class Figure(Section):
    """A share of images in percent, with its 95 % interval (Wilson)."""

    value: float = Field(ge=0, le=100)
    low: float = Field(ge=0, le=100)
    high: float = Field(ge=0, le=100)

    def holds(self, value: float) -> bool:
        """Whether another measurement of the same model lies in the interval."""
        return self.low <= value <= self.high


class Card(Section):
    """What is known of a suspect of the zoo."""

    name: str
    preset: str
    dataset: str
    model: str
    attack_seed: int
    made: str
    """The day, ISO 8601."""
    precision: str
    """In which it was trained: bf16 or fp32."""
    environment: Mapping[str, Any]
    """The machine and the versions it was made with."""
    config: Mapping[str, Any]
    """The sections of the configuration that shaped it: data, model, attack, training."""
    data: Mapping[str, Any]
    """The images: fingerprint, classes, class_names, train and test counts, height and width."""
    images: int
    """Test images that ACC was measured on."""
    eligible: int
    """Test images that ASR was measured on."""
    figures: Mapping[str, Figure]
    """acc, and where there is a trigger asr, ra and base: of the weights as they are stored."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file of weights and trigger."""

    @classmethod
    def read(cls, file: Path) -> Card:
        """Read a card.

        Raises:
            RequestError: the file cannot be read, or is no card.
        """
        try:
            card = cls.model_validate(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise RequestError(f"{file} is no card of the zoo: {said}") from error
        if card.name != file.stem:
            raise RequestError(f"{file} is the card of {card.name}")
        return card

    def write(self, where: Path) -> None:
        """Write the card into a folder, under its name.

        Raises:
            RequestError: the folder cannot be written.
        """
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)
        write_atomically(where / f"{self.name}.json", f"{text}\n".encode())

    def is_of(self, file: Path) -> bool:
        """Whether that file holds the weights the card speaks of; False where there is none."""
        try:
            return hashlib.sha256(file.read_bytes()).hexdigest() == self.sha256
        except OSError:
            return False
