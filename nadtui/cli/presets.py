"""`nadtui presets`: what there is to run."""

from __future__ import annotations

from pathlib import Path

from engine.config.presets import list_presets, load_preset, resolve
from nadtui.cli import output
from nadtui.formatting import clean
from nadtui.runs.request import data_set


def list_all() -> None:
    """Print every preset with its attack's kind and source."""
    from nadtui.cli import tables

    rows = [
        [preset.name, preset.title, preset.kind, preset.source]
        if preset.origin == "built in"
        else [preset.name, preset.title, preset.kind, f"{preset.source} ({preset.origin})".lstrip()]
        for preset in list_presets()
    ]
    output.show(lambda width: tables.make(["name", "title", "kind", "source"], rows))


def show_one(name: str, dataset: str | None, recipe: str | None, *, png: Path | None, metrics: bool) -> None:
    """Draw a preset's trigger and print its whole configuration as YAML, with what it is in comments above.

    With `png`, its picture is written there instead; with `metrics`, its strength and visibility are computed instead.

    Raises:
        RequestError: there is no such preset, data set or recipe, or its trigger cannot be made.
    """
    preset = load_preset(name)
    config = resolve(name, dataset=None if dataset is None else data_set(dataset), recipe=recipe)
    if png is not None:
        from nadtui.cli.trigger_show import write_png

        write_png(config.attack, png)
    if metrics:
        from nadtui.cli.attack import show_metrics
        from nadtui.runs.request import RunOptions

        show_metrics(RunOptions(preset=name, dataset=dataset, recipe=recipe))
    if png is not None or metrics:
        return
    from nadtui.cli.trigger_show import draw

    draw(config.attack)
    output.line()
    about = [f"{preset.title} ({preset.kind}; {preset.origin})", preset.source, *preset.description.splitlines()]
    comments = "".join(f"# {clean(said)}".rstrip() + "\n" for said in about if said)
    output.document(f"{comments}\n{config.to_yaml()}")
