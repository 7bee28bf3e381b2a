"""`nadtui show`: one run in the terminal, or in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import RequestError
from nadtui import diagnostics, formatting
from nadtui.cli import output
from nadtui.cli.options import Json, Out, Run, Sort
from nadtui.runs import asleep, side_by_side
from nadtui.runs.naming import typed

if TYPE_CHECKING:
    from nadtui.runs.digest import Report

WARNINGS = 10
"""The newest warnings that are shown."""


def show(
    run: Run,
    out: Out = None,
    sort: Sort = side_by_side.AS_RUN,
    confusion: Annotated[
        list[str] | None, typer.Option(metavar="STAGE|all", help="What a model takes each class for; repeatable.")
    ] = None,
    json: Json = False,
) -> None:
    """One run: what it was, its figures, how it ended; as JSON its summary, with its folder."""
    from nadtui.cli import tables
    from nadtui.runs.loading import load

    side_by_side.check_order(sort)
    report = load(run, out)
    if confusion:
        _show_confusion(report, confusion, json=json)
        return
    if json:
        output.json_document({**report.summary, "folder": str(report.folder)})
        return
    for name, value in report.facts():
        output.line(f"{name:<9}{value}")
    output.line()
    if report.summary["stages"]:
        output.show(lambda width: tables.stages(report.summary, width))
        for said in report.missing():
            output.line(said)
    else:
        output.line("no figures yet")
    side = tables.defenses(report.summary, sort)
    if side is not None:
        output.line()
        output.show(lambda width: side)
    for said in report.choices():
        output.line(said)
    for way in report.ways():
        output.line()
        output.line(f"{way.title}:")
        output.show(lambda width, way=way: tables.make(way.columns, way.rows, figures=len(way.columns)))
    _show_verified(report)
    _show_picture(report)
    for said in _remarks(report):
        output.line()
        output.line(said)
    diagnostics.note(f"record: {report.folder}")


def _show_confusion(report: Report, stages: list[str], *, json: bool) -> None:
    """What models take the images of each class for, and nothing else.

    Raises:
        RequestError: the run has no such stage, or has kept no answers of it.
    """
    from nadtui.cli import tables

    known = list(report.view.stages)
    strange = next((name for name in stages if name not in ("all", *known)), None)
    if strange is not None:
        raise RequestError(f"--confusion {strange}: this run has {', '.join(known) or 'no stages'}; or all")
    wanted = known if "all" in stages else stages
    found = report.confusions(wanted)
    if not found:
        raise RequestError(
            f"--confusion: {report.view.run} has kept no answers of {', '.join(wanted)}: it was recorded before "
            "answers were kept, or has not finished that stage"
        )
    if json:
        output.json_document([each.to_dict() for each in found])
        return
    for each in found:
        output.line(f"{each.title}:")
        output.show(lambda width, each=each: tables.make(each.columns, each.rows(), figures=len(each.columns) - 1))
        output.line()


def _show_verified(report: Report) -> None:
    """What became of the purified models under attack once more, where that was asked for."""
    from nadtui.cli import tables

    rows = asleep.rows(report.view)
    if not rows:
        return
    output.line()
    output.line(f"{asleep.TITLE}")
    output.show(lambda width: tables.make(asleep.COLUMNS, rows, figures=len(asleep.COLUMNS)))
    for said in (*asleep.remarks(report.view), asleep.LEGEND):
        output.line(said)


def _show_picture(report: Report) -> None:
    """The curves and the attention maps that the workbench shows; in a pipe in letters."""
    from nadtui.draw import colors, run_picture

    view = report.view
    if any(stage.evaluations or stage.attention for stage in view.stages.values()):
        output.line()
        color = output.on_terminal() and colors.in_blocks("auto", colors.depth(output.color_system()))
        output.show(lambda width: run_picture.draw(view, width, color=color))


def _remarks(report: Report) -> list[str]:
    view = report.view
    warnings = [f"warning: {said.text}" for said in view.messages if said.level == "warning"][-WARNINGS:]
    if report.damaged:
        warnings.append(f"warning: {formatting.plural(report.damaged, 'line')} of the record cannot be read")
    if view.failure is not None:
        return [*warnings, f"failed in {view.failure.stage}: {view.failure.message}"]
    if report.state.resumable and view.writable:
        return [*warnings, f"to go on: nadtui run --resume {typed(report.folder)} --headless"]
    return warnings
