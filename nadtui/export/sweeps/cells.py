"""The cells of a sweep's tables as text, the same in every format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nadtui import formatting
from nadtui.runs.study_report import equal_cost_axes
from nadtui.runs.sweep_groups import BEYOND, worst
from nadtui.runs.sweep_report import AGAINST
from nadtui.runs.sweep_table import both, ends, figure, title

if TYPE_CHECKING:
    from engine.evaluation.spread import Spread
    from nadtui.runs.sweep_groups import Group
    from nadtui.runs.sweep_report import Detail, Pair, SweepReport

DETAIL = ("n", "before", "ACC", "", "lost", "ASR", "", "worst ASR", "RA", "base", "image steps")
PAIR = ("n", "ACC", "", "ASR", "")


def overview(report: SweepReport) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of ACC / ASR."""
    table = report.table
    head = [*map(title, table.down), *["before"] * table.alike, *table.columns]
    rows = [
        [
            *line,
            *[both_before(table.before(at))] * table.alike,
            *(both(table.groups.get((at, place))) for place in range(len(table.columns))),
        ]
        for at, line in enumerate(table.lines)
    ]
    return head, rows


def both_before(suspects: Group) -> str:
    """ACC / ASR of a group's suspects."""
    acc, asr = suspects.figure("suspect_acc"), suspects.figure("suspect_asr")
    return figure(acc) if asr is None else f"{figure(acc)} / {figure(asr)}"


def details(report: SweepReport) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table in full."""
    table = report.table
    head = [*map(title, table.down), ", ".join(map(title, table.across)), *DETAIL]
    rows = [[*detail.line, detail.column, *_detail(detail)] for detail in report.details]
    for name, beyond in BEYOND.items():
        found = [_beyond(detail.group, name) for detail in report.details]
        if any(found):
            head.append(beyond.title)
            rows = [[*row, said] for row, said in zip(rows, found, strict=True)]
    return head, rows


def _beyond(group: Group, name: str) -> str:
    """`41.2 ± 3.0`; behind it of how many cells it is not reached."""
    found = group.figure(name)
    said = "" if found is None else figure(found, places=BEYOND[name].places)
    return ", ".join(filter(None, (said, group.unreached(name))))


def _detail(detail: Detail) -> Sequence[str]:
    group = detail.group
    acc, asr = group.figure("acc"), group.figure("asr")
    return (
        acc.count if acc else "",
        both_before(group),
        *with_ends(acc),
        figure(group.figure("lost")),
        *with_ends(asr),
        formatting.percentage(worst(asr, "asr") if asr else None),
        figure(group.figure("ra")),
        figure(group.figure("base")),
        "" if (steps := group.mean("image_steps")) is None else formatting.count(steps),
    )


def pairs(report: SweepReport) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the differences in pairs."""
    head = [*map(title, report.table.down), "defense", *PAIR]
    return head, [[*pair.line, pair.defense, *_pair(pair)] for pair in report.pairs]


def _pair(pair: Pair) -> Sequence[str]:
    return pair.acc.count, *difference(pair.acc), *difference(pair.asr)


PUBLISHED = ("published", "figure", "theirs", "ours", "", "difference", "note")


def published(report: SweepReport) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the paper's figures beside ours."""
    rows = []
    for each in report.published:
        difference = "" if each.ours is None else signed(each.ours.mean - each.theirs)
        theirs = f"{each.theirs:g}"
        rows.append([each.what, each.figure, theirs, *with_ends(each.ours), difference, each.note])
    return list(PUBLISHED), rows


def equal_cost(report: SweepReport) -> tuple[list[str], list[list[str]]]:
    """Head and rows of ASR at equal ACC lost."""
    other, one = AGAINST
    axes = () if report.study is None else equal_cost_axes(report.rows, report.study)
    head = [*map(title, axes), "ACC lost, at most", "n"]
    rows = [
        [
            *each.line,
            f"{each.budget:g}",
            each.difference.count,
            figure(each.one),
            figure(each.other),
            *difference(each.difference),
        ]
        for each in report.equal_cost
    ]
    return [*head, f"ASR, {one}", f"ASR, {other}", "difference", ""], rows


def with_ends(found: Spread | None) -> tuple[str, str]:
    """A figure, and its interval or range."""
    return figure(found), ends(found)


def difference(found: Spread | None) -> tuple[str, str]:
    """A difference with its sign, and its interval or range."""
    if found is None:
        return figure(None), ""
    deviation = "" if found.deviation is None else f" ± {found.deviation:.1f}"
    return signed(found.mean) + deviation, ends(found)


def signed(points: float) -> str:
    """`+0.3`, `-4.1`; no minus before a nought."""
    return f"{round(points, 1) + 0.0:+.1f}"
