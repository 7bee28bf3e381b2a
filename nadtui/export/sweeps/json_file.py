"""JSON: every cell, every group with its statistics, the differences in pairs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nadtui.runs.sweep_groups import FIGURES
from nadtui.runs.sweep_report import SweepReport

if TYPE_CHECKING:
    from engine.evaluation.spread import Spread
    from engine.sweeps.rows import CellRow

_BEFORE = ("suspect_acc", "suspect_asr", "suspect_ra", "suspect_base")


def render(report: SweepReport) -> str:
    """The sweep as one JSON document in ASCII."""
    table = report.table
    values: dict[str, Any] = {
        "sweep": report.name,
        "study": None if report.study is None else report.study.name,
        "fixed": dict(table.fixed),
        "cells": [_cell(row) for row in report.rows],
        "groups": [
            {
                "at": dict(detail.group.at),
                "cells": len(detail.group.rows),
                "finished": detail.group.done,
                "figures": {name: _spread(detail.group.figure(name)) for name in FIGURES},
            }
            for detail in report.details
        ],
        "pairs": [
            {
                "at": dict(zip(table.down, pair.line, strict=True)),
                "defense": pair.defense,
                "against": pair.against,
                "acc": _spread(pair.acc),
                "asr": _spread(pair.asr),
            }
            for pair in report.pairs
        ],
        "published": [
            {"what": each.what, "figure": each.figure, "theirs": each.theirs, "ours": _spread(each.ours)}
            for each in report.published
        ],
        "equal_cost": [
            {
                "line": list(each.line),
                "acc_lost": each.budget,
                "nad": _spread(each.one),
                "fine-tuning": _spread(each.other),
                "difference": _spread(each.difference),
            }
            for each in report.equal_cost
        ],
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def _cell(row: CellRow) -> dict[str, Any]:
    return {**row.to_dict(), **{name: getattr(row, name) for name in _BEFORE}}


def _spread(found: Spread | None) -> dict[str, Any] | None:
    return None if found is None else asdict(found)
