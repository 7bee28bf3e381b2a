"""What is told of one run, by `show`, `compare` and the exports: its record, folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from engine.record.absent import known_class
from engine.record.origin import origin
from engine.record.stage_view import StageView
from engine.record.state import RunState
from engine.record.summary import summarize
from engine.record.verdict import of_summary
from engine.record.view import RunView
from nadtui import formatting
from nadtui.runs import narrate, shadowed
from nadtui.runs.confusion import Confusion, confusions

UNTRIGGERED = "No trigger is known: there is no ASR, RA or base."
"""What is said where dashes stand in the place of those figures."""


@dataclass(frozen=True)
class Way:
    """A stage's curve as a table."""

    stage: StageView
    title: str
    columns: tuple[str, ...]
    """t, where on the way a model lies, and the figures."""
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """One run, as far as it went."""

    folder: Path
    view: RunView
    state: RunState
    damaged: int = 0
    """Lines of the record that cannot be read."""

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The run in plain types, as in `summary.json`."""
        return {**summarize(self.view), "status": self.state}

    @property
    def complete(self) -> bool:
        """Whether the run went to its end."""
        return self.state is RunState.FINISHED

    @property
    def caution(self) -> str:
        """What a reader must know of an unfinished run's figures; empty for a finished one."""
        if self.complete:
            return ""
        return f"This run is not finished (state: {self.state}): figures are those it has so far."

    def facts(self) -> list[tuple[str, str]]:
        """What the run is, as pairs of a name and its value."""
        view, data = self.view, self.view.dataset
        machine, attack = view.environment, view.config.get("attack")
        images = ", ".join(f"{formatting.count(data.get(key))} {word}" for key, word in _IMAGES)
        pairs = [
            ("run", view.run),
            ("state", self.state),
            ("preset", f"{view.preset} (recipe {view.config.get('recipe', '?')})"),
            ("attack", _attack(view, attack) if isinstance(attack, Mapping) else "not known: no trigger, hence no ASR"),
            ("suspect", _suspect(view)),
            ("data", f"{data.get('name', '?')}: {data.get('classes', '?')} classes; images: {images}"),
            ("model", f"{view.model.get('name', '?')}, {formatting.count(view.model.get('parameters'))} parameters"),
            ("images", _preprocessing(view)),
            ("defenses", ", ".join(view.defenses)),
            *(("verdict", said) for said in self.verdicts()),
            *(("added", said) for said in self.added()),
            *((shadowed.TITLE, said) for said in shadowed.facts(view)),
            ("seed", str(view.config.get("seed", "?"))),
            ("machine", ", ".join(str(machine[key]) for key in ("device", "cpu", "gpu") if machine.get(key))),
            ("started", datetime.fromtimestamp(view.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
            ("took", formatting.duration(view.elapsed())),
        ]
        return [(name, value) for name, value in pairs if value]

    def verdicts(self) -> list[str]:
        """What has become of the backdoor, a line for each purified model; its name where there are several."""
        said = {name: each.line for name, each in of_summary(summarize(self.view)).items()}
        return [line if len(said) == 1 else f"{name}: {line}" for name, line in said.items()]

    def added(self) -> list[str]:
        """What each defense added to its references, its teacher, say, image by image: a line for each."""
        return [
            narrate.change(stage.name, each)
            for stage in self.view.purified
            if stage.finished is not None
            for each in stage.finished.changes
            if each.than in self.view.stages and self.view.stages[each.than].role == "reference"
        ]

    def missing(self) -> list[str]:
        """Why there are dashes in the place of figures, a line each."""
        return missing(self.summary)

    def choices(self) -> list[str]:
        """What its stages isolated and chose, a line each."""
        return [
            said
            for stage in self.view.stages.values()
            for said in (
                *([narrate.isolation(stage.isolated)] if stage.isolated else ()),
                *map(narrate.choice, stage.chosen),
            )
        ]

    def ways(self) -> list[Way]:
        """The figures of the models on the way to a stage's, of the stages that were measured so."""
        return [way_of(self.view, stage) for stage in self.view.stages.values() if stage.curve]

    def confusions(self, stages: Sequence[str] | None = None) -> list[Confusion]:
        """What models answer to the images of each class, clean and triggered, where the run has kept it.

        Args:
            stages: whose; None = the suspect's and the purified models'.
        """
        view = self.view
        chosen = [stage.name for stage in view.stages.values() if stage.role in ("suspect", "purified")]
        names = [str(name) for name in self.summary.get("class_names") or ()]
        return list(confusions(self.folder, chosen if stages is None else stages, names))

    def configuration(self) -> str:
        """The whole configuration as YAML, in lines that a terminal or a page shows as they are."""
        import yaml

        lines = yaml.safe_dump(self.view.config, sort_keys=False, allow_unicode=True).splitlines()
        return "\n".join(map(formatting.clean, lines))


def way_of(view: RunView, stage: StageView) -> Way:
    """The figures of the models on the way to a stage's."""
    figures = {"ACC": "acc", "ASR": "asr"} if view.attacked else {"ACC": "acc"}
    rows = tuple(
        (f"{at.at:g}", *(formatting.percentage(getattr(at.metrics, name)) for name in figures.values()))
        for at in stage.curve
    )
    return Way(stage, f"On the way to {stage.name}", ("t", *figures), rows)


def _suspect(view: RunView) -> str:
    """Where the suspect came from, and how its file is made up."""
    made = view.origin
    parts = [str(made.get("form", "")), ".".join(map(str, made.get("path") or ()))]
    if made.get("prefix"):
        parts.append(f"prefix {made['prefix']}")
    made_up = ", ".join(part for part in parts if part)
    return f"{origin(view) or ''}{f' ({made_up})' if made_up else ''}"


def _preprocessing(view: RunView) -> str:
    """What the model's first layer does to the images; empty where it does nothing."""
    mean, std = view.model.get("mean"), view.model.get("std")
    if not isinstance(mean, list) or not isinstance(std, list):
        return ""
    said = f"minus mean {_row(mean)}, over std {_row(std)}, as the model's first layer"
    held = view.origin.get("normalization")
    return f"{said} (from the file: {', '.join(map(str, held['names']))})" if isinstance(held, Mapping) else said


def _row(values: list[Any]) -> str:
    return " ".join(formatting.number(value) if isinstance(value, int | float) else str(value) for value in values)


_FIGURES = {"asr": "ASR", "ra": "RA", "base": "base", "class_acc": "ACC of a class"}
_IMAGES = (("train", "training"), ("test", "test"), ("clean", "clean"))


def _attack(view: RunView, attack: Mapping[str, Any]) -> str:
    parts = [str(attack.get("name", "?")), str(attack.get("label_rule", ""))]
    if attack.get("label_rule") != "all-to-all":
        parts.append(f"target class {named_class(view, attack.get('target'))}")
    poisoned = view.dataset.get("poisoned")
    count = f" ({formatting.count(poisoned)} images poisoned)" if isinstance(poisoned, int) else ""
    parts.append(f"poisoning rate {attack.get('poisoning_rate')}{count}")
    return ", ".join(part for part in parts if part)


def named_class(view: RunView, label: Any) -> str:
    """A class by its id and name: `0 (stop)`; by its id where it has no name."""
    name = known_class(view, label)
    return str(label) if name is None else f"{label} ({name})"


def missing(summary: Mapping[str, Any]) -> list[str]:
    """Why a summary's figures do not exist where they do not, a line each."""
    if not summary["attacked"]:
        return [UNTRIGGERED]
    why: dict[str, dict[str, None]] = {}
    for stage in summary["stages"]:
        for figure, reason in stage["absent"].items():
            why.setdefault(reason, {})[_FIGURES.get(figure, figure)] = None
    return [f"No {' or '.join(figures)}: {reason}." for reason, figures in why.items()]


def role_titled(name: str, role: str | None, defense: str, *, several: bool) -> str:
    """A stage by its name; where there are `several` defenses, a reference with the one that it is for."""
    return f"{name} (for {defense})" if several and role == "reference" and defense else name


def titles(summary: Mapping[str, Any], *, remarks: bool = False) -> list[str]:
    """A summary's stages by their titles; with `remarks` also what a reader of their figures must know."""
    stages = summary["stages"]
    several = len({stage.get("defense") for stage in stages if stage.get("role") in ("reference", "purified")}) > 1
    found = [
        role_titled(str(stage["stage"]), stage.get("role"), str(stage.get("defense") or ""), several=several)
        for stage in stages
    ]
    if not remarks:
        return found
    said = ["".join(f" ({each})" for each in _remarks(summary, stage)) for stage in stages]
    return [f"{title}{more}" for title, more in zip(found, said, strict=True)]


def _remarks(summary: Mapping[str, Any], stage: Mapping[str, Any]) -> Iterator[str]:
    if stage["cached"]:
        yield not_trained(summary, stage)
    if stage["state"] != "finished":
        yield "unfinished"


def not_trained(summary: Mapping[str, Any], stage: Mapping[str, Any]) -> str:
    """Where a stage's model came from that its run did not train."""
    source = (summary.get("suspect") or {}).get("source") if stage.get("role") == "suspect" else None
    return narrate.TAKEN[source] if source else "not trained here"


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a nested table by its dotted path, in order; an empty table is a value of its own."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{path}.")
        else:
            yield path, value
