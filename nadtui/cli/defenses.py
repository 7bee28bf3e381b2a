"""`nadtui defenses`: what can be set against a suspect, and one defense in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nadtui.cli import output
from nadtui.cli.options import Json

if TYPE_CHECKING:
    from engine.defenses.base import Defense

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def defenses(context: typer.Context, json: Json = False) -> None:
    """What can be set against a suspect: ours, and what installed packages bring."""
    if context.invoked_subcommand is not None:
        return
    from engine.defenses import DEFENSES
    from nadtui.cli import tables

    rows = [_about(name, kind) for name, kind in DEFENSES.loaded().items()]
    if json:
        output.json_document(rows)
        return
    columns = ["name", "stages", "needs", "what it does", "origin"]
    cells = [[row["name"], _stages(row), _needs(row), row["summary"], row["origin"]] for row in rows]
    output.show(lambda width: tables.make(columns, cells))


@app.command("show")
def show(name: Annotated[str, typer.Argument(metavar="NAME")], json: Json = False) -> None:
    """A defense's stages, and its settings as they are by default, as 'run --config' takes them."""
    from engine.defenses import DEFENSES
    from engine.errors import RequestError

    try:
        kind = DEFENSES.get(name)
    except ValueError as error:
        raise RequestError(str(error)) from error
    about, settings = _about(name, kind), kind().model_dump(mode="json")
    if json:
        output.json_document({**about, "settings": settings})
        return
    import yaml

    from nadtui.formatting import clean

    said = [
        f"{name} ({about['origin']}): {about['summary']}",
        about["source"],
        f"stages: {_stages(about)}",
        _needs(about),
    ]
    comments = "".join(f"# {clean(line)}\n" for line in said if line)
    table = {"defenses": {name: settings}}
    output.document(f"{comments}\n{yaml.safe_dump(table, sort_keys=False, allow_unicode=True)}")


def _about(name: str, kind: type[Defense]) -> dict[str, Any]:
    from engine.defenses import DEFENSES

    stages = [{"name": each.name, "role": each.role, "needs": list(each.needs)} for each in kind().stages()]
    return {
        "name": name,
        "summary": kind.summary,
        "source": kind.source,
        "stages": stages,
        "needs": sorted(kind.needs),
        "layers": sorted(kind.layers),
        "slow": kind.slow,
        "origin": DEFENSES.origin(name),
    }


def _stages(about: dict[str, Any]) -> str:
    """`teacher (reference), nad`: what is no purified model says what it is."""
    named = (
        f"{each['name']} ({each['role']})" if each["role"] != "purified" else each["name"] for each in about["stages"]
    )
    return ", ".join(named)


def _needs(about: dict[str, Any]) -> str:
    """What a person must know before choosing it."""
    needs = [*(f"the {need}" for need in about["needs"]), *(f"a {layer}" for layer in about["layers"])]
    return ", ".join([*(f"needs {need}" for need in needs), *["slow: by name only"] * about["slow"]])
