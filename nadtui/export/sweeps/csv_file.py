"""CSV: a row for each group and figure, in the long form that tools read: numbers as they are."""

from __future__ import annotations

import csv
import io

from nadtui.export.csv_file import as_data
from nadtui.runs.sweep_groups import FIGURES, worst
from nadtui.runs.sweep_report import SweepReport

STATISTICS = (
    *("figure", "mean", "deviation", "low", "high", "interval", "least", "most", "worst", "decile"),
    *("suspects", "subsets_least", "subsets_most", "cells", "finished"),
)
"""`low` and `high` are the 95 % interval where `interval` is 1, else the least and the most."""


def render(report: SweepReport) -> str:
    """The groups as CSV with a header; percentages 0-100, what does not exist empty, line ends as in RFC 4180."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    axes = (*report.table.down, *report.table.across)
    writer.writerow([*axes, *STATISTICS])
    for detail in report.details:
        group = detail.group
        for figure in FIGURES:
            found = group.figure(figure)
            if found is None:
                continue
            numbers = (found.mean, found.deviation, *found.ends, int(found.interval is not None))
            numbers += (found.least, found.most, worst(found, figure), found.decile, found.suspects, *found.subsets)
            at = (as_data(group.at[name]) for name in axes)
            writer.writerow([*at, figure, *numbers, len(group.rows), group.done])
    return buffer.getvalue()
