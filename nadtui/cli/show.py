"""`nadtui show`: one run in the terminal, or in a log."""

from __future__ import annotations

import sys
from pathlib import Path

from nadtui import diagnostics, formatting
from nadtui.cli import output, tables
from nadtui.cli.runs import load
from nadtui.runs.digest import Report

WARNINGS = 10
"""The newest warnings that are shown."""


def show_run(reference: str, out: Path | None) -> None:
    """Print what the run was, its figures, its warnings and how it ended.

    Raises:
        RequestError: there is no such run, or it holds no readable record.
    """
    report = load(reference, out)
    for name, value in report.facts():
        output.line(f"{name:<9}{value}")
    output.line()
    if report.summary["stages"]:
        output.show(lambda width: tables.stages(report.summary, width))
    else:
        output.line("no figures yet")
    _show_picture(report)
    for said in _remarks(report):
        output.line()
        output.line(said)
    diagnostics.note(f"record: {report.folder}")


def _show_picture(report: Report) -> None:
    """The curves and the attention maps that the workbench shows; in a pipe in letters."""
    from nadtui.draw import colors, run_picture

    view = report.view
    if any(stage.evaluations or stage.attention for stage in view.stages.values()):
        output.line()
        color = sys.stdout.isatty() and colors.depth(output.color_system()) in ("256", "full")
        output.show(lambda width: run_picture.draw(view, width, color=color))


def _remarks(report: Report) -> list[str]:
    view = report.view
    warnings = [f"warning: {said.text}" for said in view.messages if said.level == "warning"][-WARNINGS:]
    if report.damaged:
        warnings.append(f"warning: {formatting.plural(report.damaged, 'line')} of the record cannot be read")
    if view.failure is not None:
        return [*warnings, f"failed in {view.failure.stage}: {view.failure.message}"]
    if report.state in ("stopped", "crashed"):
        return [*warnings, f"to go on: nadtui run --resume {view.run} --headless"]
    return warnings
