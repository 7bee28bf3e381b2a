"""`nadtui presets`: what there is to run, and one preset in full."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import RequestError
from engine.places import expanded
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.options import DATA, Json
from nadtui.formatting import clean

if TYPE_CHECKING:
    from engine.attacks.preview import TriggerPreview
    from engine.config.presets import Preset
    from engine.config.run import RunConfig

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def presets(context: typer.Context, json: Json = False) -> None:
    """The attacks that are ready to run."""
    if context.invoked_subcommand is not None:
        return
    from engine.config.presets import list_presets
    from nadtui.cli import tables

    listed = list_presets()
    if json:
        output.json_document([_about(preset) for preset in listed])
        return
    rows = [[preset.name, preset.title, preset.kind, _source(preset)] for preset in listed]
    output.show(lambda width: tables.make(["name", "title", "kind", "source"], rows))


def _about(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "title": preset.title,
        "kind": preset.kind,
        "source": preset.source,
        "description": preset.description,
        "origin": preset.origin,
    }


def _source(preset: Preset) -> str:
    return preset.source if preset.origin == "built in" else f"{preset.source} ({preset.origin})".lstrip()


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    dataset: Annotated[str | None, typer.Option(metavar=DATA, help="The data set it meets.")] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME|FILE", help="The recipe of its defender.")] = None,
    png: Annotated[
        Path | None, typer.Option("--png", parser=expanded, metavar="FILE", help="Write the trigger's picture.")
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", metavar="", help="Compute its strength and its trigger's visibility.")
    ] = False,
    json: Json = False,
) -> None:
    """A preset's trigger, drawn, and its whole configuration, as 'run --config' takes it."""
    from engine.config.presets import load_preset, resolve
    from nadtui.runs.request import RunOptions, data_set

    preset = load_preset(name)
    config = resolve(name, dataset=None if dataset is None else data_set(dataset), recipe=recipe)
    if json:
        if png is not None or metrics:
            raise RequestError("--json goes with neither --png nor --metrics: it is the preset and its configuration")
        output.json_document({**_about(preset), "config": config.model_dump(mode="json")})
        return
    if png is not None:
        _write_png(config, png)
    if metrics:
        from nadtui.cli.visibility import show_metrics

        show_metrics(RunOptions(preset=name, dataset=dataset, recipe=recipe))
    if png is not None or metrics:
        return
    try:
        _draw(config)
    except RequestError as error:
        diagnostics.note(f"no picture: {error}")
    else:
        output.line()
    about = [f"{preset.title} ({preset.kind}; {preset.origin})", preset.source, *preset.description.splitlines()]
    comments = "".join(f"# {clean(said)}".rstrip() + "\n" for said in about if said)
    output.document(f"{comments}\n{config.to_yaml()}")


def _preview(config: RunConfig) -> TriggerPreview:
    """The trigger on an image of its own data set; on a traffic sign where that would have to be downloaded.

    Raises:
        RequestError: it cannot be drawn.
    """
    from engine.data import present
    from nadtui.draw import trigger_process

    if present(config.data.name):
        return trigger_process.preview(config.attack, config.data)
    try:
        return trigger_process.preview(config.attack)
    except RequestError as error:
        raise RequestError(f"{error} (tried on signs: {config.data.name} is not on this machine)") from error


def _draw(config: RunConfig) -> None:
    """Draw the trigger: in color where the terminal has it, else as text in YAML comments.

    Raises:
        RequestError: it cannot be drawn.
    """
    from nadtui.draw import colors, trigger_pictures

    preview = _preview(config)
    color = output.on_terminal() and colors.depth(output.color_system()) != "none"
    output.show(lambda width: trigger_pictures.as_text(preview, width, color=color))


def _write_png(config: RunConfig, file: Path) -> None:
    """Write the trigger's pictures.

    Raises:
        RequestError: the trigger cannot be drawn, or the file not be written.
    """
    from engine.storage.paths import write_atomically
    from nadtui.draw import trigger_pictures

    if file.is_dir():
        raise RequestError(f"--png {file}: a folder, not a file")
    preview = _preview(config)
    write_atomically(file, trigger_pictures.as_png(preview))
    output.line(f"{file}: {', '.join(caption for caption, _ in trigger_pictures.triptych(preview))}")
