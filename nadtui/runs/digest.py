"""What is told of one run, by `show`, `compare` and the exports: its record, folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.record.view import RunView
from nadtui import formatting


@dataclass(frozen=True)
class Report:
    """One run, as far as it went."""

    folder: Path
    view: RunView
    state: str
    """One of `engine.record.store.STATUSES`, or paused."""
    damaged: int = 0
    """Lines of the record that cannot be read."""

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The run in plain types, as in `summary.json`."""
        return {**self.view.summary(), "status": self.state}

    @property
    def complete(self) -> bool:
        """Whether the run went to its end."""
        return self.state == "finished"

    @property
    def caution(self) -> str:
        """What a reader must know of an unfinished run's figures; empty for a finished one."""
        if self.complete:
            return ""
        return f"This run is not finished (state: {self.state}): figures are those it has so far."

    def facts(self) -> list[tuple[str, str]]:
        """What the run is, as pairs of a name and its value."""
        view, data = self.view, self.view.dataset
        machine, attack = view.environment, view.config.get("attack", {})
        images = ", ".join(f"{formatting.count(data.get(key))} {word}" for key, word in _IMAGES)
        pairs = [
            ("run", view.run),
            ("state", self.state),
            ("preset", f"{view.preset} (recipe {view.config.get('recipe', '?')})"),
            ("attack", _attack(attack)),
            ("data", f"{data.get('name', '?')}: {data.get('classes', '?')} classes; images: {images}"),
            ("model", f"{view.model.get('name', '?')}, {formatting.count(view.model.get('parameters'))} parameters"),
            ("seed", str(view.config.get("seed", "?"))),
            ("machine", ", ".join(str(machine[key]) for key in ("device", "cpu", "gpu") if machine.get(key))),
            ("started", datetime.fromtimestamp(view.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
            ("took", formatting.duration(view.elapsed())),
        ]
        return [(name, value) for name, value in pairs if value]


_IMAGES = (("train", "training"), ("test", "test"), ("clean", "clean"))


def _attack(attack: Mapping[str, Any]) -> str:
    parts = [str(attack.get("name", "?")), str(attack.get("label_rule", ""))]
    if attack.get("label_rule") != "all-to-all":
        parts.append(f"target class {attack.get('target')}")
    parts.append(f"poisoning rate {attack.get('poisoning_rate')}")
    return ", ".join(part for part in parts if part)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a nested table by its dotted path, in order; an empty table is a value of its own."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{path}.")
        else:
            yield path, value
