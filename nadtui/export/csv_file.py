"""CSV: a row for each stage, in columns that stay."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from engine.record.origin import origin
from nadtui.formatting import clean
from nadtui.runs import comparison, shadowed
from nadtui.runs.digest import Report

VERIFIED = {
    "retuned_asr": ("retuning", "figures", "asr_after"),
    "retuned_asr_clean": ("retuning", "control", "asr_after"),
    "t50": ("linear-path", "figures", "t50"),
    "existence": ("existence", "figures", "coefficient"),
    "woken_asr": ("perturbation", "figures", "asr"),
    "woken_asr_clean": ("perturbation", "control", "asr"),
    "t50_clean": ("linear-path", "control", "t50"),
}
"""Columns of what a verification found, and where a summary has it; those of a clean model end so."""
COLUMNS = (
    "run",
    "status",
    "preset",
    "recipe",
    "dataset",
    "model",
    "seed",
    "stage",
    "state",
    "cached",
    "epochs",
    "images",
    "eligible",
    "acc",
    "acc_low",
    "acc_high",
    "asr",
    "asr_low",
    "asr_high",
    "ra",
    "ra_low",
    "ra_high",
    "base",
    "base_low",
    "base_high",
    "balanced_acc",
    "seconds",
    "images_per_second",
    "role",
    "defense",
    "absent",
    "suspect",
    "isolated",
    "precision",
    "recall",
    "image_steps",
    "chosen",
    "verdict",
    *VERIFIED,
    "shadow",
    "budget",
    "held_images",
    "held_lost",
    "held_lost_low",
    "held_lost_high",
)
"""In this order for good: a new column goes to the end."""


def render(report: Report) -> str:
    """The run's stages as CSV with a header; percentages 0-100, what does not exist empty, line ends as in RFC 4180."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    summary = report.summary
    of_the_run = {
        **{key: summary[key] for key in ("run", "status", "preset", "recipe", "seed")},
        "dataset": summary["dataset"]["name"],
        "model": summary["model"].get("name"),
        "suspect": str(origin(report.view) or ""),
    }
    for stage in summary["stages"]:
        bounds = {
            f"{figure}_{end}": stage[f"{figure}_ci"][place]
            for figure in ("acc", "asr", "ra", "base")
            for place, end in enumerate(("low", "high"))
        }
        absent = "; ".join(f"{figure}: {why}" for figure, why in stage["absent"].items())
        found = {**_isolation(stage), **_verified(stage), **_cost(stage)}
        row = {**of_the_run, **stage, **bounds, "absent": absent, **found}
        row["chosen"] = "; ".join(f"{each['what']} {each['choice']}" for each in stage["chosen"])
        row["verdict"] = (stage.get("verdict") or {}).get("word")
        row["shadow"] = shadowed.of_summary(stage)
        writer.writerow({column: as_data(row.get(column)) for column in COLUMNS})
    return buffer.getvalue()


def _isolation(stage: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage isolated of the poisoned set; empty for one that isolated nothing."""
    found = stage.get("isolated") or {}
    return {column: found.get(column) for column in ("isolated", "precision", "recall")}


def _cost(stage: Mapping[str, Any]) -> dict[str, Any]:
    """What a stage's choice costs on held images, in points of ACC, and its budget; empty where it had none."""
    cost = next((each["cost"] for each in stage["chosen"] if each.get("cost")), None)
    if cost is None:
        return {}
    low, high = cost["lost_ci"]
    names = ("budget", "held_images", "held_lost", "held_lost_low", "held_lost_high")
    return dict(zip(names, (cost["budget"], cost["images"], cost["lost"], low, high), strict=True))


def _verified(stage: Mapping[str, Any]) -> dict[str, float | None]:
    """What a verification found of a stage's model; empty for one that was not verified."""
    found = stage.get("verified") or {}
    values = {
        column: ((found.get(test) or {}).get(whose) or {}).get(figure)
        for column, (test, whose, figure) in VERIFIED.items()
    }
    return {column: value for column, value in values.items() if value is not None}


def render_comparison(reports: Sequence[Report]) -> str:
    """A row for each run, stage and group in the long form that tools read: numbers as they are, no differences."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["letter", "run", "stage", "figure", "value", "deviation", "runs", "role", "defense"])
    named = dict(zip(comparison.letters(len(reports)), reports, strict=True))
    for stage in comparison.stages(reports):
        name, *whose = map(as_data, (stage.name, stage.role, stage.defense))
        of = {letter: comparison.stage_of(report, stage) for letter, report in named.items()}
        known = {letter: {**each, **_verified(each)} for letter, each in of.items()}
        beyond = [
            key for key in ("image_steps", *VERIFIED) if any(each.get(key) is not None for each in known.values())
        ]
        for key in (*(key for key, _ in comparison.FIGURES), *beyond):
            for letter, report in named.items():
                run, value = as_data(report.view.run), known[letter].get(key)
                writer.writerow([letter, run, name, key, value, "", 1, *whose])
            for group in comparison.groups(reports):
                figure = group.figure(stage, key)
                if figure is not None:
                    writer.writerow([group.letters, group.title, name, key, *figure, *whose])
    return buffer.getvalue()


def as_data(value: Any) -> Any:
    """A value that a spreadsheet takes as data: text that it would calculate gets an apostrophe in front."""
    if not isinstance(value, str):
        return value
    shown = clean(value)
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@") else shown
