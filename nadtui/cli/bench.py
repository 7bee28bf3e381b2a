"""`nadtui bench`: how fast this machine is at each hot path."""

from __future__ import annotations

from typing import Annotated

import typer

from nadtui import diagnostics, formatting
from nadtui.cli import output


def bench(
    seconds: Annotated[float, typer.Option(metavar="S", min=1, help="How long to measure in all.")] = 60.0,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")] = "auto",
    job: Annotated[
        bool, typer.Option("--job", metavar="", help="Run the whole default job too, and say what it costs.")
    ] = False,
) -> None:
    """Images a second of each hot path on this machine; costs in image steps (one image through the bare step)."""
    diagnostics.note(f"measuring for about {seconds:g} s; nothing else should run meanwhile")
    from engine.bench import run, whole_job
    from nadtui.cli import tables

    measured = [*run(seconds, device), *([whole_job(device)] if job else [])]
    rows = [
        [
            row.name,
            formatting.count(row.images_per_second),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.image_steps is None else formatting.count(row.image_steps),
            row.note,
        ]
        for row in measured
    ]
    columns = ["path", "images/s", "ratio", "image steps", "what"]
    output.show(lambda width: tables.make(columns, rows, figures=3))
