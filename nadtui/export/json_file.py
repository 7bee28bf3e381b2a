"""JSON: the summary, the configuration and the curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.plain import plain
from engine.record.stage_view import StageView
from nadtui.runs import comparison
from nadtui.runs.digest import Report


def render(report: Report) -> str:
    """The run as one JSON document in ASCII: `summary.json` and, beside it, `config`, `curves`, `confusions` and
    `complete`."""
    values: dict[str, Any] = {
        **report.summary,
        "complete": report.complete,
        "config": report.view.config,
        "curves": {stage.name: _curve(stage) for stage in report.view.stages.values() if stage.evaluations},
        "confusions": [each.to_dict() for each in report.confusions()],
    }
    return json.dumps(_strict(values), indent=2, allow_nan=False) + "\n"


def render_comparison(reports: Sequence[Report]) -> str:
    """The comparison as one JSON document: the runs' summaries, groups of seeds, the fields in which they differ."""
    found = comparison.groups(reports)
    values: dict[str, Any] = {
        "runs": {
            letter: report.summary for (letter, _), report in zip(comparison.named(reports), reports, strict=True)
        },
        "groups": [
            {"runs": list(group.letters), "stages": _spread(group, comparison.stages(reports))} for group in found
        ],
        "differences": {
            row[0]: dict(zip(comparison.letters(len(reports)), row[1:], strict=True))
            for row in comparison.fields(reports).rows
        },
    }
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def _spread(group: comparison.Group, stages: Mapping[comparison.StageKey, str]) -> dict[str, Any]:
    return {
        title: {
            key: dict(zip(("mean", "deviation", "runs"), figure, strict=True))
            for key, _ in comparison.FIGURES
            if (figure := group.figure(stage, key)) is not None
        }
        for stage, title in stages.items()
    }


def _strict(value: Any) -> Any:
    """`value` without numbers that JSON does not know: a record that was tampered with may hold some."""
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _curve(stage: StageView) -> list[dict[str, Any]]:
    """A stage's evaluations in their order; `seconds` are those of work since the stage began.

    `shadow` is what the made-up triggers did then, in percent by trigger, where there are any.
    """
    shadows = {each.epoch: plain(each.figures) for each in stage.shadows}
    return [
        {
            "epoch": point.epoch,
            "step": point.step,
            "seconds": round(point.seconds, 3),
            "final": point.final,
            **plain(point.metrics),
            **({"shadow": shadows[point.epoch]} if point.epoch in shadows else {}),
        }
        for point in stage.evaluations
    ]
