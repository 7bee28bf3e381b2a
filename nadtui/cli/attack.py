"""`nadtui attack`: an attack without a defense, its trigger and poisoned images as files for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.places import expanded
from nadtui import formatting
from nadtui.cli import output
from nadtui.cli.options import Dataset, Device, Seed, Settings


def attack(
    preset: Annotated[str, typer.Option(metavar="NAME", help="What the attacker did; see 'nadtui presets'.")],
    folder: Annotated[Path, typer.Option("--out", parser=expanded, metavar="FOLDER", help="A new or empty folder.")],
    dataset: Dataset = None,
    images: Annotated[
        int, typer.Option("--export-images", metavar="N", min=0, help="Images of each kind to write.")
    ] = 16,
    seed: Seed = None,
    device: Device = None,
    settings: Settings = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Processor threads.")] = None,
) -> None:
    """An attack alone: its trigger, the poisoned places, and poisoned images beside clean ones, as files."""
    from engine.running import attack_files
    from nadtui.cli.plain_display import tell_of
    from nadtui.runs.request import RunOptions, build_config

    attack_files.check_out(folder)
    options = RunOptions(
        preset=preset, dataset=dataset, seed=seed, device=device, settings=tuple(settings or ()), threads=threads
    )
    made = tell_of(attack_files.make(build_config(options)))
    rows = attack_files.export(made, folder, images)
    output.line(f"{folder}: {formatting.plural(len(rows), 'image')}, their index, the poisoned places and the trigger")
