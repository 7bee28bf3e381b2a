"""Runs side by side: their figures in one table, mean and spread over seeds, the fields in which they differ."""

from __future__ import annotations

import math
import statistics
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

from engine.config.layers import as_yaml
from engine.config.run import RunConfig
from engine.config.shapes import shaping_nothing
from engine.record.origin import origin
from engine.record.verdict import of_summary
from nadtui import formatting
from nadtui.runs import asleep
from nadtui.runs.digest import Report, flatten, named_class, role_titled
from nadtui.runs.side_by_side import choices

MOST = 6
"""Runs that one comparison holds."""
FIGURES = (("acc", "ACC"), ("asr", "ASR"), ("ra", "RA"), ("base", "base"), ("seconds", "seconds"))


class StageKey(NamedTuple):
    """What one stage is to its run: stages that agree in it stand in one row."""

    role: str
    """Empty where the run's plan does not name the stage."""
    defense: str
    name: str


def key_of(stage: Mapping[str, Any]) -> StageKey:
    """The key of a summary's stage."""
    return StageKey(str(stage.get("role") or ""), str(stage.get("defense") or ""), str(stage["stage"]))


@dataclass(frozen=True)
class Group:
    """Finished runs that differ by their seeds alone."""

    letters: str
    """Their letters in the comparison, as in `AC`."""
    reports: tuple[Report, ...]

    @property
    def title(self) -> str:
        """`mean A C`."""
        return "mean " + " ".join(self.letters)

    def figure(self, stage: StageKey, key: str) -> tuple[float, float, int] | None:
        """Mean, sample standard deviation and number of the runs' figures; None for fewer than two."""
        values = [_figure(report, stage, key) for report in self.reports]
        known = [value for value in values if value is not None]
        return (statistics.fmean(known), statistics.stdev(known), len(known)) if len(known) > 1 else None


@dataclass(frozen=True)
class Table:
    """A comparison as text: a row for each stage and figure, a column for each run and group of seeds."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def sparse(self) -> list[tuple[str, ...]]:
        """The rows, the first column naming only what is new."""
        before = [None, *(row[0] for row in self.rows)]
        return [("" if row[0] == above else row[0], *row[1:]) for row, above in zip(self.rows, before, strict=False)]


def letters(count: int) -> str:
    """A, B, C, ..."""
    return string.ascii_uppercase[:count]


def named(reports: Sequence[Report]) -> list[tuple[str, str]]:
    """Each run's letter, and its id with what else must be known of it.

    Its state where it is not finished, why it has no ASR if it has none, and whence its suspect if it trained none.
    """
    return [
        (letter, report.view.run + _remark(report))
        for letter, report in zip(letters(len(reports)), reports, strict=True)
    ]


def _remark(report: Report) -> str:
    why = [said.rstrip(".") for said in report.missing()] if report.view.attacked else ["no trigger is known"]
    said = [*([] if report.complete else [report.state]), *why]
    came_from = origin(report.view)
    given = came_from is not None and came_from.source != "trained"
    return (f" ({', '.join(said)})" if said else "") + (f" · suspect: {came_from}" if given else "")


def groups(reports: Sequence[Report]) -> list[Group]:
    """The groups of at least two finished runs that differ by their seeds alone."""
    found: dict[str, list[int]] = {}
    for place, report in enumerate(reports):
        if report.complete:
            found.setdefault(_experiment(report), []).append(place)
    named = letters(len(reports))
    return [
        Group("".join(named[place] for place in places), tuple(reports[place] for place in places))
        for places in found.values()
        if len({_seeds(reports[place]) for place in places}) == len(places) > 1
    ]


def _experiment(report: Report) -> str:
    """What shaped the run's figures, but for seeds and device: of repeats of one experiment the same."""
    ignored = {*_OF_A_REPEAT, *shaping_nothing(RunConfig)}
    fields = (field for field in flatten(report.view.config) if field[0] not in ignored)
    return repr(sorted((name, repr(value)) for name, value in fields))


_OF_A_REPEAT = ("seed", "attack.seed", "device")
"""Fields that shape figures, and in which repeats of one experiment may differ."""


def _seeds(report: Report) -> tuple[Any, Any]:
    """A run that was only repeated under the same seed says nothing of the spread."""
    attack = report.view.config.get("attack")
    return report.view.config.get("seed"), attack.get("seed") if isinstance(attack, Mapping) else None


def stage_of(report: Report, stage: StageKey) -> Mapping[str, Any]:
    """The run's stage with that key, as its summary has it; empty where there is none."""
    return next((each for each in report.summary["stages"] if key_of(each) == stage), {})


def _figure(report: Report, stage: StageKey, key: str) -> float | None:
    value = stage_of(report, stage).get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def stages(reports: Sequence[Report]) -> dict[StageKey, str]:
    """All stages that have figures, in the order of the runs, each with its title; no two titles are the same."""
    keys = dict.fromkeys(key_of(stage) for report in reports for stage in report.summary["stages"])
    several = any(len(report.view.defenses) > 1 for report in reports)
    named = {key: role_titled(key.name, key.role, key.defense, several=several) for key in keys}
    taken = Counter(named.values())
    return {
        key: title if taken[title] == 1 else f"{title}, {' of '.join(part for part in key[:2] if part) or 'no role'}"
        for key, title in named.items()
    }


def table(reports: Sequence[Report]) -> Table:
    """Each run's figures, those from the second on with the difference to the first; then mean ± deviation by group.

    A dash stands where there is no figure. ACC, ASR, RA and base in percent.
    """
    found = groups(reports)
    columns = ("stage", "figure", *letters(len(reports)), *(group.title for group in found))
    rows = []
    for stage, named_so in stages(reports).items():
        for key, title in FIGURES:
            values = [_figure(report, stage, key) for report in reports]
            cells = [formatting.percentage(values[0]), *(_changed(value, values[0]) for value in values[1:])]
            rows.append((named_so, title, *cells, *(_spread(group.figure(stage, key)) for group in found)))
        for title, words in _in_words([stage_of(report, stage) for report in reports]):
            rows.append((named_so, title, *words, *("" for _ in found)))
        if stage.role == "purified":
            words = [_word(report, stage) for report in reports]
            rows.append((named_so, "verdict", *words, *("" for _ in found)))
    return Table(columns, tuple(rows))


def _in_words(of: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """What one stage cost, chose and was found to be in each run, where any of them says so."""
    if any(stage.get("image_steps") for stage in of):
        yield "image steps", [formatting.count(stage.get("image_steps") or None) for stage in of]
    if any(stage.get("chosen") for stage in of):
        yield "chosen", [choices(stage) or formatting.percentage(None) for stage in of]
    for measure in asleep.measured_in(of):
        yield measure.beside, [measure.of_stage(stage) for stage in of]


def _word(report: Report, stage: StageKey) -> str:
    verdict = of_summary(report.summary).get(stage.name)
    return "–" if verdict is None else verdict.word


def _changed(value: float | None, first: float | None) -> str:
    shown = formatting.percentage(value)
    return shown if value is None or first is None else f"{shown} ({value - first:+.1f})"


def _spread(figure: tuple[float, float, int] | None) -> str:
    return formatting.percentage(None) if figure is None else f"{figure[0]:.1f} ± {figure[1]:.1f}"


def fields(reports: Sequence[Report]) -> Table:
    """The fields of the configuration in which not all runs are the same; a dash where a run has none."""
    configs = [dict(flatten(report.view.config)) for report in reports]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [
        (name, *map(_value, reports, configs, repeat(name)))
        for name in names
        if any(config.get(name, _ABSENT) != configs[0].get(name, _ABSENT) for config in configs)
    ]
    return Table(("field", *letters(len(reports))), tuple(rows))


def to_dict(reports: Sequence[Report]) -> dict[str, Any]:
    """The comparison for programs: of each stage and field what each run has, in the runs' order; percentages 0-100,
    null where a run has none; `groups` are those that differ by their seeds alone, each with its sample deviation.
    """
    keys, configs = stages(reports), [dict(flatten(report.view.config)) for report in reports]
    ids = {letter: report.view.run for letter, report in zip(letters(len(reports)), reports, strict=True)}
    return {
        "runs": [
            {"run": report.view.run, "folder": str(report.folder), "finished": report.complete} for report in reports
        ],
        "stages": [{**_named(key), **_each(reports, key)} for key in keys],
        "groups": [
            {"runs": [ids[letter] for letter in group.letters], "stages": [_spread_of(group, key) for key in keys]}
            for group in groups(reports)
        ],
        "fields": [
            {"field": name, "values": [config.get(name) for config in configs]} for name, *_ in fields(reports).rows
        ],
    }


def _named(key: StageKey) -> dict[str, str]:
    return {"stage": key.name, "role": key.role, "defense": key.defense}


def _each(reports: Sequence[Report], key: StageKey) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [_figure(report, key, name) for report in reports] for name in dict(FIGURES)}
    found["image_steps"] = [stage_of(report, key).get("image_steps") for report in reports]
    if key.role == "purified":
        verdicts = [of_summary(report.summary).get(key.name) for report in reports]
        return {**found, "verdict": [None if verdict is None else verdict.word for verdict in verdicts]}
    return found


def _spread_of(group: Group, key: StageKey) -> dict[str, Any]:
    found = {name: group.figure(key, name) for name in dict(FIGURES)}
    spread = {name: dict(zip(("mean", "std", "n"), each, strict=True)) for name, each in found.items() if each}
    return {**_named(key), **spread}


def _value(report: Report, config: Mapping[str, Any], name: str) -> str:
    if name not in config:
        return formatting.percentage(None)
    return named_class(report.view, config[name]) if name == "attack.target" else as_yaml(config[name])


_ABSENT = object()
