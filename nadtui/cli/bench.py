"""`nadtui bench`: how fast this machine is at each hot path."""

from __future__ import annotations

from nadtui import diagnostics, formatting
from nadtui.cli import output


def show_bench(seconds: float, device: str) -> None:
    """Measure for about `seconds` and print a row for each hot path."""
    diagnostics.note(f"measuring for about {seconds:g} s; nothing else should run meanwhile")
    from engine.bench import run
    from nadtui.cli import tables

    rows = [
        [row.name, formatting.count(row.images_per_second), "" if row.ratio is None else f"{row.ratio:.2f}", row.note]
        for row in run(seconds, device)
    ]
    columns = ["path", "images/s", "ratio", "what"]
    output.show(lambda width: tables.make(columns, rows, figures=3))
