"""`nadtui presets`: what there is to run."""

from __future__ import annotations

from engine.presets import list_presets, load_preset, resolve
from nadtui import output
from nadtui.request import data_set
from nadtui.text import clean


def list_all() -> None:
    """Print every preset with its attack's kind and source."""
    from nadtui import tables

    rows = [
        [preset.name, preset.title, preset.kind, preset.source]
        if preset.origin == "built in"
        else [preset.name, preset.title, preset.kind, f"{preset.source} ({preset.origin})".lstrip()]
        for preset in list_presets()
    ]
    output.show(lambda width: tables.make(["name", "title", "kind", "source"], rows))


def show_one(name: str, dataset: str | None, recipe: str | None) -> None:
    """Print a preset's whole configuration as YAML, with what it is in comments above.

    Raises:
        RequestError: there is no such preset, data set or recipe.
    """
    preset = load_preset(name)
    config = resolve(name, dataset=None if dataset is None else data_set(dataset), recipe=recipe)
    about = [f"{preset.title} ({preset.kind}; {preset.origin})", preset.source, *preset.description.splitlines()]
    comments = "".join(f"# {clean(said)}".rstrip() + "\n" for said in about if said)
    output.document(f"{comments}\n{config.to_yaml()}")
