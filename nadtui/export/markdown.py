"""Markdown: the figures as a table, what the run was, its whole configuration."""

from __future__ import annotations

import html
import re

import yaml

from nadtui import formatting
from nadtui.runs.digest import Report

_PUNCTUATION = re.compile(r"([\\`*_\[\]|~])")
_HEAD = ("stage", "ACC", "95 % interval", "ASR", "95 % interval", "RA", "base", "epochs", "seconds")


def render(report: Report) -> str:
    """The run as a Markdown document; text from the record is escaped, so that it is only ever text."""
    parts = [f"# {escape(report.view.run)}"]
    if report.caution:
        parts.append(f"**{escape(report.caution)}**")
    if report.view.failure is not None:
        parts.append(f"**Failed in {escape(report.view.failure.stage)}: {escape(report.view.failure.message)}**")
    parts.append("\n".join(f"- {name}: {escape(value)}" for name, value in report.facts()[1:]))
    parts += [_figures(report), _LEGEND, "## Configuration", _fenced(_configuration(report))]
    return "\n\n".join(parts) + "\n"


_LEGEND = (
    "Percentages. ACC is over all test images; ASR (triggered images sent to the attacker's class), RA (triggered "
    "images given their true class) and base (sent there without a trigger) over those of other classes. "
    "Intervals are Wilson's, figures those of the last epoch."
)


def _figures(report: Report) -> str:
    rows = [_HEAD, tuple("---" if place == 0 else "---:" for place in range(len(_HEAD)))]
    for stage in report.summary["stages"]:
        name = escape(stage["stage"]) + (" (not trained here)" if stage["cached"] else "")
        if stage["state"] != "finished":
            name += " (unfinished)"
        rows.append(
            (
                name,
                formatting.percentage(stage["acc"]),
                formatting.interval(stage["acc_ci"]),
                formatting.percentage(stage["asr"]),
                formatting.interval(stage["asr_ci"]),
                formatting.percentage(stage["ra"]),
                formatting.percentage(stage["base"]),
                str(stage["epochs"]),
                f"{stage['seconds']:.1f}",
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _configuration(report: Report) -> str:
    lines = yaml.safe_dump(report.view.config, sort_keys=False, allow_unicode=True).splitlines()
    return "\n".join(map(formatting.clean, lines))


def _fenced(content: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", content)), default=0))
    return f"{fence}yaml\n{content}\n{fence}"


def escape(value: object) -> str:
    """Text that Markdown and the HTML made of it show as it is."""
    return _PUNCTUATION.sub(r"\\\1", html.escape(formatting.clean(value), quote=False))
