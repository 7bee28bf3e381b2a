"""JSON: the summary, the configuration and the curves."""

from __future__ import annotations

import json
import math
from typing import Any

from engine.record.view import StageView
from nadtui.runs.digest import Report


def render(report: Report) -> str:
    """The run as one JSON document in ASCII: `summary.json` and, beside it, `config`, `curves` and `complete`."""
    values: dict[str, Any] = {
        **report.summary,
        "complete": report.complete,
        "config": report.view.config,
        "curves": {stage.name: _curve(stage) for stage in report.view.stages.values() if stage.evaluations},
    }
    return json.dumps(_strict(values), indent=2, allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    """`value` without numbers that JSON does not know: a record that was tampered with may hold some."""
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _curve(stage: StageView) -> list[dict[str, Any]]:
    """A stage's evaluations in their order; `seconds` are those of work since the stage began."""
    return [
        {
            "epoch": point.epoch,
            "step": point.step,
            "seconds": round(point.seconds, 3),
            "final": point.final,
            **point.metrics.to_dict(),
        }
        for point in stage.evaluations
    ]
