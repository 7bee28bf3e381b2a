"""Finished runs as the cells of one table for a paper: a line a preset, data set or network, two columns a defense.

A sweep's table, of runs that no sweep made: the same statistics, the same formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.config.run import RunConfig
from engine.config.shapes import shaping_nothing
from engine.errors import RequestError
from engine.events import TRAINED, ZOO
from engine.record.state import RunState
from engine.sweeps.grid import NAMED
from engine.sweeps.results import beyond
from engine.sweeps.rows import CellRow
from engine.zoo import seed_in
from nadtui.runs.columns import standing_on
from nadtui.runs.digest import Report, flatten
from nadtui.runs.sweep_report import SweepReport, of_rows

NAME = "paper"
_SAID = {"preset", "recipe", "seed", "attack.seed", "data.name", "model.name", "suspect", "device"}
"""Fields that the named axes say, or that make no other experiment."""
_TOLD_APART = ("preset", "data.name", "model.name", "recipe")
"""Fields that make lines or columns of their own: what else differs with them, they stand for."""
_OF_A_DEFENSE = "defenses."


def report_of(reports: Sequence[Report]) -> SweepReport:
    """The runs as one report; a teacher has a column of its own, before its defense's.

    Raises:
        RequestError: a run has not finished, or has no model but the suspect.
    """
    for report in reports:
        if not report.complete:
            raise RequestError(f"{report.view.run}: {report.state}; a table for a paper is of finished runs")
        if len(report.summary["stages"]) < 2:
            raise RequestError(f"{report.view.run}: it has no defense, so there is nothing to set beside its suspect")
    varying = _varying(reports)
    rows = [row for report in reports for row in _rows(report, varying)]
    return of_rows(NAME, sorted(rows, key=lambda row: _order(rows, row)))


def _order(rows: Sequence[CellRow], row: CellRow) -> tuple[int, int]:
    """By where its defense and its preset come first."""
    defenses = list(dict.fromkeys(each.defense for each in rows))
    presets = list(dict.fromkeys(each.preset for each in rows))
    return presets.index(row.preset), defenses.index(row.defense)


def _varying(reports: Sequence[Report]) -> list[str]:
    """The fields in which runs of one preset, data set and network are different experiments."""
    ignored = {*_SAID, *shaping_nothing(RunConfig)}
    values: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for report in reports:
        table = dict(flatten(report.view.config))
        found = values.setdefault(tuple(str(table.get(name)) for name in _TOLD_APART), {})
        for name in table.keys() - ignored:
            found.setdefault(name, set()).add(repr(table[name]))
    return sorted({name for found in values.values() for name, seen in found.items() if len(seen) > 1})


def _rows(report: Report, varying: Sequence[str]) -> Iterator[CellRow]:
    """A row for every model that a run made of its suspect, or leaned on."""
    summary, config = report.summary, dict(flatten(report.view.config))
    suspect, *others = summary["stages"]
    for stage in others:
        defense = str(stage.get("defense") or stage["stage"])
        titled = defense if stage.get("role") != "reference" else f"{defense}'s {stage['stage']}"
        named = {
            "preset": str(summary["preset"]),
            "dataset": str(summary["dataset"]["name"]),
            "model": str(summary["model"].get("name")),
            "defense": titled,
            "recipe": str(summary["recipe"]),
            "seed": int(summary["seed"]),
            "attack_seed": _attack_seed(report),
        }
        defenses = standing_on(defense, report.view.config)
        further = {name: config[name] for name in varying if name in config and _concerns(name, defenses)}
        yield CellRow(
            **named,
            **{key: stage[key] for key in ("acc", "asr", "ra", "base")},
            seconds=stage["seconds"],
            image_steps=_cost(stage, others, defenses),
            **beyond(stage),
            suspect=_file(report),
            status=str(RunState.FINISHED),
            run=report.view.run,
            cell=f"{report.view.run}/{stage['stage']}",
            **{f"suspect_{key}": suspect[key] for key in ("acc", "asr", "ra", "base")},
            axes={**{name: named[name] for name in NAMED}, **further},
        )


def _cost(stage: Mapping[str, Any], others: Sequence[Mapping[str, Any]], defenses: Sequence[str]) -> float | None:
    """Of a purified model what all stages of its defense cost, with those on which it stands; of any other its own; in
    image steps."""
    whole = stage.get("role") == "purified"
    own = [each for each in others if each is stage or (whole and each.get("defense") in defenses)]
    return sum(each.get("image_steps") or 0.0 for each in own) or None


def _concerns(field: str, defenses: Sequence[str]) -> bool:
    return not field.startswith(_OF_A_DEFENSE) or field.split(".")[1] in defenses


def _file(report: Report) -> str:
    """The file that the suspect comes from; empty where it was trained, or is the zoo's."""
    given = str(report.view.config.get("suspect", TRAINED))
    return "" if given == TRAINED or given.partition(":")[0] == ZOO else given


def _attack_seed(report: Report) -> int | None:
    """The suspect's seed: the zoo's own where it is the zoo's; None where it comes from a file, which has none."""
    config = report.view.config
    attack = config.get("attack")
    if _file(report) or not isinstance(attack, Mapping):
        return None
    name: Any = report.view.zoo.get("name")
    if isinstance(name, str):
        return seed_in(name)
    return int(config["seed"] if attack.get("seed") is None else attack["seed"])
