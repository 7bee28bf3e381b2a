"""`nadtui sweep`: grids of runs, begun, gone on with, joined, shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import RequestError
from engine.places import expanded
from nadtui.cli import output
from nadtui.cli.documents import deliver, form_of
from nadtui.cli.exits import ExitCode
from nadtui.cli.options import CellThreads, Cluster, DryRun, File, Json, PerGpu, Scheduler, Settings, Workers
from nadtui.export.formats import check
from nadtui.export.sweeps.formats import FORMATS, of_sweep

if TYPE_CHECKING:
    from nadtui.runs.sweep_request import GridOptions

app = typer.Typer(add_completion=False)

Names = list[str] | None
Folder = Annotated[Path, typer.Argument(metavar="DIR", parser=expanded, help="The sweep's folder.")]


def _axis(metavar: str, about: str, *names: str) -> typer.models.OptionInfo:
    return typer.Option(*names, metavar=metavar, help=about)


@app.callback(invoke_without_command=True)
def sweep(
    context: typer.Context,
    preset: Annotated[Names, _axis("NAME|all", "What the attackers did; repeatable, or commas.")] = None,
    dataset: Annotated[Names, _axis("NAME|FILE|all", "The images.")] = None,
    model: Annotated[Names, _axis("NAME", "The networks.")] = None,
    defense: Annotated[Names, _axis("NAME|all", "The defenses, one a cell (default: nad).")] = None,
    recipe: Annotated[Names, _axis("NAME|all", "How the defenders work.")] = None,
    seeds: Annotated[Names, _axis("N|N-M", "Clean subsets, and all that defenses draw (default: 0).")] = None,
    attack_seeds: Annotated[Names, _axis("N|N-M", "Suspects of one kind (default: 0).", "--attack-seeds")] = None,
    axis: Annotated[Names, _axis("FIELD=[V1,V2]", "Any field of the configuration; repeatable.")] = None,
    study: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A question's grid ('nadtui studies'); other axes replace its own."),
    ] = None,
    suspect: Annotated[
        str | None,
        typer.Option(metavar="trained|zoo|FILE", help="Where the suspects come from (default: trained, each once)."),
    ] = None,
    settings: Settings = None,
    workers: Workers = None,
    per_gpu: PerGpu = 1,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    threads: CellThreads = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", parser=expanded, metavar="DIR", help="The sweep's folder; one may add to it."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="DIR", help="Go on with a sweep, or join one.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="all|last|none", help="Checkpoints that stay of a cell (default: suspect and last)."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", metavar="", help="Try those again that failed by themselves.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> ExitCode:
    """Grids of runs: presets by defenses by seeds, on one machine or many; with their spread."""
    if context.invoked_subcommand is not None:
        return ExitCode.DONE
    from nadtui.cli import sweeping
    from nadtui.runs.sweep_request import GridOptions, sweep_folder

    options = GridOptions(
        preset=preset or (),
        dataset=dataset or (),
        model=model or (),
        defense=defense or (),
        recipe=recipe or (),
        seeds=seeds or (),
        attack_seeds=attack_seeds or (),
        axis=axis or (),
        suspect=suspect,
        settings=settings or (),
        study=study,
    )
    _check(options, out, resume, keep)
    folder = resume or sweep_folder(out)
    crew = sweeping.Hiring(workers, per_gpu, scheduler, cluster, threads, options.networks())
    if dry_run:
        return sweeping.dry_run(folder, None if resume else options, crew, retry=retry_failed, json=json)
    return sweeping.sweep(folder, None if resume else options, crew, keep, retry=retry_failed, json=json)


def _check(options: GridOptions, out: Path | None, resume: Path | None, keep: str | None) -> None:
    others = [name for name in options.given() if name != "--model"]  # which says that its file may be executed
    if resume is not None and (out is not None or others):
        given = ", ".join([*others, *["--out"] * (out is not None)])
        raise RequestError(f"--resume goes on with the sweep's own grids: leave out {given}; --out DIR adds to one")
    if keep not in (None, "all", "last", "none"):
        raise RequestError(f"--keep {keep}: all, last or none are wanted")


@app.command("show")
def show(
    folder: Folder,
    watch: Annotated[bool, typer.Option("--watch", metavar="", help="Again and again, while it goes on.")] = False,
    json: Json = False,
) -> ExitCode:
    """A sweep's cells: what is done and what came of it."""
    from engine.sweeps.rows import rows
    from nadtui.cli import sweeping

    if json and watch:
        raise RequestError("--json and --watch: one of them is wanted")
    if json:
        output.json_document({"cells": [row.to_dict() for row in rows(folder)]})
        return ExitCode.DONE
    return sweeping.show(folder, watch=watch)


@app.command("export")
def export(
    folder: Folder,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(FORMATS), help="Left out: by FILE's ending, else md."),
    ] = None,
    file: File = None,
) -> None:
    """A sweep's table with its spread, as a document for others; its figures as svg and pdf."""
    from nadtui.runs.sweep_report import report

    form = form_of(form, file, FORMATS)
    check(form, FORMATS, " for a sweep")
    found = report(folder)
    deliver(of_sweep(found, form), form, file, [found.caution] if found.caution else [])
