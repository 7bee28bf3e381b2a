"""Options that several commands have in common, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.places import expanded
from nadtui.runs.side_by_side import ORDERS

DATA = "NAME|FILE.npz|FOLDER"

Out = Annotated[
    Path | None,
    typer.Option("--out", parser=expanded, metavar="DIR", help="The folder of runs (default: NADTUI_RUNS, else runs)."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, its folder, or 'latest'.")]
Dataset = Annotated[str | None, typer.Option(metavar=DATA, help="signs, cifar10, gtsrb, or your own.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Decides everything that is drawn.")]
Device = Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the configuration; repeatable."),
]
File = Annotated[
    Path | None, typer.Option("-o", "--output", parser=expanded, metavar="FILE", help="Instead of stdout.")
]
Json = Annotated[bool, typer.Option("--json", metavar="", help="As one JSON document.")]
Sort = Annotated[
    str,
    typer.Option("--sort", metavar="FIGURE", help=f"The order of defenses side by side: {', '.join(ORDERS)}."),
]

# Who works on a sweep's cells.
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Processes of this machine, of one thread each (default: none but this one)."),
]
PerGpu = Annotated[int, typer.Option("--per-gpu", metavar="N", min=1, help="Cells at a time on one GPU.")]
Scheduler = Annotated[str | None, typer.Option(metavar="tcp://HOST:PORT", help="The workers of a Dask scheduler.")]
Cluster = Annotated[
    Path | None, typer.Option(parser=expanded, metavar="FILE", help="Jobs of Slurm, PBS, LSF ..., as a file says.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", metavar="", help="Say what would run, why, and for how long.")]
CellThreads = Annotated[int | None, typer.Option("--threads", metavar="N", min=1, help="Processor threads of a cell.")]
