"""Where a run's suspect came from, as its record tells it. Free of torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.events import TRAINED, ZOO
from engine.record.view import RunView

Source = Literal["trained", "cache", "zoo", "file"]


@dataclass(frozen=True)
class Origin:
    """Where a suspect came from; fields that say nothing are empty."""

    source: Source
    name: str = ""
    """The zoo's name of it, or its file's path."""
    made: str = ""
    """The day on which the zoo's was made, ISO 8601."""
    precision: str = ""
    """In which the zoo's was trained: bf16 or fp32."""
    sha256: str = ""
    """Of the zoo's file, as its card has it."""

    @property
    def word(self) -> str:
        """In a word: `trained`, `cached`, `zoo`, `file`."""
        return "cached" if self.source == "cache" else self.source

    @property
    def named(self) -> str:
        """With its name, where it has one: `zoo NAME`, `file PATH`."""
        return f"{self.word} {self.name}".rstrip()

    def __str__(self) -> str:
        """Whole: `trained`, `cached`, `zoo NAME (made on DAY in PRECISION)`, `file PATH`."""
        return f"{self.named} (made on {self.made} in {self.precision})" if self.made else self.named

    def to_dict(self) -> dict[str, Any]:
        """What `summary.json` has: `source`, and the other fields that say something."""
        return {name: value for name, value in asdict(self).items() if value}


def origin(view: RunView) -> Origin | None:
    """Where the run's suspect came from; None while that cannot be told: it is trained only where no cache has it."""
    given = str(view.config.get("suspect") or TRAINED)
    if given.partition(":")[0] == ZOO:
        known = {name: str(view.zoo.get(name, "")) for name in ("name", "made", "precision", "sha256")}
        return Origin("zoo", **(known if known["name"] else {"name": given.partition(":")[2]}))
    if given != TRAINED:
        return Origin("file", given)
    stage = view.suspect
    if stage is None or stage.state == "pending":
        return None
    return Origin("trained" if stage.epochs or (stage.finished and not stage.cached) else "cache")
