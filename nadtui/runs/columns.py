"""The columns of the laboratory's book: what a row of measured results says, and where a finished run has it.

A row is one run of one defense, or a group of runs that differ in their clean subset alone, of which mean and standard
deviation are known. Percentages are 0-100. What is not known is left out. Free of torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.selection import with_teachers
from engine.events import ZOO
from engine.zoo import seed_in
from nadtui import formatting
from nadtui.runs import asleep, shadowed
from nadtui.runs.digest import flatten
from nadtui.runs.side_by_side import choices

STATUSES = ("default", "tried", "prototype")
"""default = the README's figure of a preset and recipe as they ship; prototype = by code that is not in the program."""

FIGURES = {"acc": "clean accuracy", "asr": "attack success rate", "ra": "robust accuracy", "base": "base rate"}
STAGES = {
    "before": "the suspect",
    "teacher": "the defense's reference model",
    "after": "the purified model",
}


def listed(values: Sequence[Any]) -> str:
    """A list's values, apart by commas."""
    return ", ".join(map(str, values))


@dataclass(frozen=True)
class Column:
    """One cell of every row."""

    name: str
    kind: type
    about: str
    source: tuple[str, ...] = ()
    """Dotted paths into what `sources` yields; the first that is there counts. None: no run knows it."""
    show: Callable[[Any], str] = str

    def of(self, source: Mapping[str, Any]) -> Any:
        """The cell of a run; None where the run does not say."""
        found = (_at(source, path) for path in self.source)
        value = next((value for value in found if value is not None), None)
        if self.kind is list:
            return value if value is None or isinstance(value, list) else [value]
        return round(value, 3) if isinstance(value, float) else value

    def takes(self, value: Any) -> bool:
        """Whether a value is of the cell's kind."""
        kinds = (int, float) if self.kind is float else self.kind
        return isinstance(value, kinds) and not isinstance(value, bool)

    @property
    def wanted(self) -> str:
        """The cell's kind in words."""
        return {str: "text", int: "a whole number", float: "a number", list: "a list"}[self.kind]


def _at(values: Any, path: str) -> Any:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _figures() -> Iterator[Column]:
    for figure, what in FIGURES.items():
        for stage, whose in STAGES.items():
            name, about = f"{figure}.{stage}", f"{what} of {whose}, percent"
            yield Column(name, float, about, (f"{stage}.{figure}",), formatting.percentage)
            spread = f"standard deviation of {name} over the clean subsets"
            yield Column(f"{name}.std", float, spread, show=formatting.percentage)


def _verified() -> Iterator[Column]:
    """The figures of a verification, and a clean model's beside those that have one."""
    for each in asleep.MEASURES:
        name, path = each.name, f"after.verified.{each.test}.{{}}.{each.figure}"
        yield Column(name, float, f"{each.title} of the purified model", (path.format("figures"),), each.shown)
        if each.controlled:
            about = f"{each.title} of a clean model, likewise"
            yield Column(f"{name}.clean", float, about, (path.format("control"),), each.shown)


COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("config", str, "hash of the configuration", ("summary.config_sha256",)),
        Column("run", str, "the run's id", ("summary.run",)),
        Column("data", str, "data set", ("summary.dataset.name",)),
        Column("preset", str, "what the attacker did", ("summary.preset",)),
        Column("network", str, "network of the suspect", ("summary.model.name",)),
        Column("defense", str, "whose purified model it is; none where the suspect alone was measured", ("defense",)),
        Column("recipe", str, "how the defender works", ("summary.recipe",)),
        Column("differs", list, "FIELD=VALUE wherever it is not the preset's and the recipe's", ("differs",), listed),
        Column("suspect", str, "its name in the zoo, where it was taken from there and not trained", ("in_zoo",)),
        Column("attack.seed", int, "seed of the suspect", ("seed_in_zoo", "config.attack.seed", "config.seed")),
        Column("seeds", list, "seeds of the clean subsets, one each run", ("config.seed",), listed),
        *_figures(),
        Column("shadow", float, "shadow ASR of the purified model, percent", ("shadow",), formatting.percentage),
        *_verified(),
        Column("chosen", str, "what it chose on held clean images", ("chosen",)),
        Column("image_steps", int, "cost of the defense, with what it stands on", ("image_steps",), formatting.count),
        Column("seconds", float, "all stages, in seconds", ("seconds.all",), formatting.count),
        Column("seconds.attack", float, "the suspect's training alone", ("seconds.attack",), formatting.count),
        Column("seconds.defense", float, "the defense's stages alone", ("seconds.defense",), formatting.count),
        Column("machine", str, "processor", ("summary.environment.gpu", "summary.environment.cpu")),
        Column("precision", str, "bf16 or fp32", ("summary.environment.precision",)),
        Column("threads", int, "processor threads", ("summary.environment.threads",)),
        Column("version", str, "version, or the commit that wrote the figure down", ("summary.environment.nadtui",)),
        Column("status", str, "default, tried or prototype"),
        Column("note", str, "what else there is to say"),
    )
}
"""By name, in the order of a row's cells."""


def cells(source: Mapping[str, Any]) -> dict[str, Any]:
    """A run's row, as far as the run says it."""
    row = {name: column.of(source) for name, column in COLUMNS.items()}
    return {name: value for name, value in row.items() if value not in (None, "", [])}


def sources(
    summary: Mapping[str, Any], config: Mapping[str, Any], shipped: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What the columns look into, once for each purified model of a run, else once for its suspect.

    `shipped` is the configuration that its preset and recipe give without a word of the person's.
    """
    stages = [stage for stage in summary.get("stages", ()) if isinstance(stage, Mapping)]
    suspect, name = next((stage for stage in stages if stage.get("role") == "suspect"), {}), _name_in_zoo(summary)
    purified = [stage for stage in stages if stage.get("role") == "purified"]
    for after in purified or [{}]:
        defense = after.get("defense", "")
        own = [stage for stage in stages if defense and stage.get("defense") == defense]
        defenses = standing_on(defense, config)
        whole = [stage for stage in stages if defense and stage.get("defense") in defenses]
        yield {
            "summary": summary,
            "config": config,
            "defense": defense,
            "in_zoo": name,
            "seed_in_zoo": None if name is None else seed_in(name),
            "before": suspect,
            # the last: those before it are a trial's
            "teacher": next((stage for stage in reversed(own) if stage.get("role") == "reference"), {}),
            "after": after,
            "differs": differing(config, shipped, defense),
            "shadow": shadowed.of_summary(after),
            "chosen": choices({"chosen": [each for stage in own for each in stage.get("chosen") or ()]}) or None,
            "image_steps": sum(stage.get("image_steps") or 0 for stage in whole) or None,
            "seconds": {
                "all": _seconds([suspect, *whole]),
                "attack": _seconds([suspect]),
                "defense": _seconds(whole),
            },
        }


def standing_on(defense: str, config: Mapping[str, Any]) -> list[str]:
    """A defense and, before it, those that make its teacher: what shapes its figures, and what they cost."""
    tables = config.get("defenses")
    return with_teachers([defense], tables if isinstance(tables, Mapping) else {})


def _name_in_zoo(summary: Mapping[str, Any]) -> str | None:
    """The zoo's suspect that the run took, if it did: the run's own seed says nothing of it."""
    origin = summary.get("suspect")
    if not isinstance(origin, Mapping) or origin.get("source") != "zoo":
        return None
    return str(origin["name"])


def _seconds(stages: Sequence[Mapping[str, Any]]) -> float | None:
    """How long the stages took; None where one of them was not trained in this run."""
    if not stages or any(stage.get("cached") or "seconds" not in stage for stage in stages):
        return None
    return round(sum(stage["seconds"] for stage in stages), 1)


def differing(config: Mapping[str, Any], shipped: Mapping[str, Any], defense: str) -> list[str]:
    """FIELD=VALUE, as --set takes it, for all that shaped the figures and is not as shipped."""
    base, defenses = dict(flatten(shipped)), standing_on(defense, config)
    return [
        f"{path}={json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for path, value in flatten(config)
        if (path not in base or base[path] != value) and _shapes(path, value, defenses)
    ]


_ELSEWHERE = {"preset", "recipe", "seed", "attack.seed", "data.name", "model.name", "device", "precision", "threads"}
"""Fields with a column of their own."""


def _shapes(path: str, value: Any, defenses: Sequence[str]) -> bool:
    if path == "suspect" and str(value).partition(":")[0] == ZOO:
        return False  # a column of its own
    section, _, rest = path.partition(".")
    if section == "defenses":
        return rest.partition(".")[0] in defenses
    return path not in _ELSEWHERE and section != "evaluation"
