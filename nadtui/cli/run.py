"""`nadtui run`: a run in the workbench, or without it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import RequestError
from engine.places import expanded
from nadtui.cli.exits import ExitCode, of_workbench
from nadtui.cli.options import Dataset, Device, Out, Seed, Settings, Sort
from nadtui.runs import side_by_side


def run(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the attacker did; see 'nadtui presets'.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", metavar="", help="Without the workbench.")] = False,
    dataset: Dataset = None,
    seed: Seed = None,
    device: Device = None,
    epochs: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE=N", help="Epochs of a stage (attack, teacher, nad ...); repeatable."),
    ] = None,
    settings: Settings = None,
    recipe: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="How the defender works: default, paper, thorough, classic."),
    ] = None,
    suspect: Annotated[
        str | None,
        typer.Option(
            metavar="trained|zoo|FILE",
            help="The model under suspicion: trained by the attack, ready made, or a checkpoint.",
        ),
    ] = None,
    student: Annotated[str | None, typer.Option(hidden=True)] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="NAD's teacher: a checkpoint, zoo:NAME, or defense:NAME, what that one makes."
        ),
    ] = None,
    defense: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|all", help="What is set against the suspect (default: nad); repeatable, or commas."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME|FILE.py:NAME", help="The network, ours or one of your own.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(parser=expanded, metavar="FILE", help="A configuration, such as a run's config.yaml."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="POINTS|none", help="Points of ACC that the defenses may cost.")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", metavar="", help="Measure whether the backdoor is erased or only asleep."),
    ] = False,
    shadow: Annotated[
        bool,
        typer.Option("--shadow", metavar="", help="Try every model with made-up triggers too."),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="Processor threads; runs share the machine by them.")
    ] = None,
    out: Out = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Go on with a run that was stopped or killed.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", metavar="", help="Train the attack even where its model is cached.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", metavar="", help="The summary as one JSON document.")] = False,
    sort: Sort = side_by_side.AS_RUN,
) -> ExitCode:
    """Take or train a suspect, and set defenses against it."""
    from nadtui.runs.request import RunOptions, build_request, check_given

    if student is not None:
        raise RequestError(f"--student {student}: is now --suspect {student}")
    options = RunOptions(
        preset=preset,
        dataset=dataset,
        seed=seed,
        device=device,
        epochs=tuple(epochs or ()),
        settings=tuple(settings or ()),
        recipe=recipe,
        suspect=suspect,
        teacher=teacher,
        defenses=tuple(defense or ()),
        model=model,
        config=config,
        budget=budget,
        verify=verify,
        shadow=shadow,
        threads=threads,
        out=out,
        resume=resume,
        cache=not no_cache,
    )
    check_given(options)
    side_by_side.check_order(sort)
    request = build_request(options)
    if not headless:
        if json:
            raise RequestError("--json needs --headless: the workbench has the terminal")
        from nadtui.workbench.app import run_app

        return of_workbench(left=run_app(request, out=request.out))
    from nadtui.cli.headless import run_request

    return run_request(request, json=json, sort=sort)
