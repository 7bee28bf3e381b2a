"""`nadtui reproduce`: a table or figure of the paper's, made here, beside the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import RequestError
from engine.places import expanded
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.cli.options import CellThreads, Cluster, DryRun, Json, PerGpu, Scheduler, Workers

Names = list[str] | None


def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help="table1, figure-data, figure-attention ...")],
    preset: Annotated[Names, typer.Option(metavar="NAME", help="Fewer of its attacks; repeatable, or commas.")] = None,
    defense: Annotated[Names, typer.Option(metavar="NAME", help="Fewer or other defenses.")] = None,
    recipe: Annotated[Names, typer.Option(metavar="NAME", help="Fewer or other recipes.")] = None,
    seeds: Annotated[Names, typer.Option(metavar="N|N-M", help="Other clean subsets.")] = None,
    attack_seeds: Annotated[Names, typer.Option("--attack-seeds", metavar="N|N-M", help="Other suspects.")] = None,
    dataset: Annotated[Names, typer.Option(metavar="NAME", help="Other images than the paper's.")] = None,
    settings: Annotated[
        Names, typer.Option("--set", metavar="FIELD=VALUE", help="Any field of the configuration; repeatable.")
    ] = None,
    workers: Workers = None,
    per_gpu: PerGpu = 1,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    threads: CellThreads = None,
    out: Annotated[
        Path | None, typer.Option("--out", parser=expanded, metavar="DIR", help="Its folder (default: sweeps/NAME).")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> ExitCode:
    """A table or figure of the paper's, ours beside theirs; what is missing is run first."""
    from nadtui.cli import sweep_tables, sweeping
    from nadtui.runs.sweep_report import report
    from nadtui.runs.sweep_request import GridOptions

    _check(name)
    options = GridOptions(
        preset=preset or (),
        dataset=dataset or (),
        defense=defense or (),
        recipe=recipe or (),
        seeds=seeds or (),
        attack_seeds=attack_seeds or (),
        settings=settings or (),
        study=name,
    )
    folder = out or Path("sweeps") / name
    hiring = sweeping.Hiring(workers, per_gpu, scheduler, cluster, threads)
    if dry_run:
        return sweeping.dry_run(folder, options, hiring, others=False, json=json)
    conductor = sweeping.see_through(folder, options, hiring, None, others=False)
    found = report(folder)
    if json:
        from nadtui.export.sweeps.formats import of_sweep

        output.document(str(of_sweep(found, "json")))
    else:
        sweep_tables.show(found)
    return sweeping.conclude(folder, conductor)


def _check(name: str) -> None:
    from engine.config import shelf
    from engine.sweeps.studies import FOLDER, list_studies, load_study

    if name not in shelf.files(FOLDER) or not load_study(name).reproduces:
        known = [study.name for study in list_studies() if study.reproduces]
        raise RequestError(f"reproduce {name}: no table or figure of the paper's is called so: {', '.join(known)}")
