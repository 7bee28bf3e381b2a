"""`nadtui studies`: the questions that have a grid, and one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nadtui.cli import output
from nadtui.cli.options import Json

if TYPE_CHECKING:
    from engine.sweeps.studies import Study

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def studies(context: typer.Context, json: Json = False) -> None:
    """The questions that 'nadtui sweep --study NAME' answers."""
    if context.invoked_subcommand is not None:
        return
    from engine.sweeps.studies import list_studies
    from nadtui.cli import tables

    found = list_studies()
    if json:
        output.json_document([_values(study) for study in found])
        return
    rows = [[study.name, study.question, str(study.grid().count()), study.origin] for study in found]
    output.show(lambda width: tables.make(["name", "question", "cells", "origin"], rows))


@app.command("show")
def show(name: Annotated[str, typer.Argument(metavar="NAME")], json: Json = False) -> None:
    """A study's question, its grid and what was published, as its file has them."""
    import yaml

    from engine.sweeps.studies import load_study

    study = load_study(name)
    if json:
        output.json_document(_values(study))
        return
    values = study.model_dump(mode="json", exclude_defaults=True, exclude={"name", "origin"})
    output.line(f"# {study.name}: {study.origin}")
    output.document(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100))


def _values(study: Study) -> dict[str, Any]:
    return study.model_dump(mode="json")
