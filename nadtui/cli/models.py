"""`nadtui models`: the families of networks, and one network's taps."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nadtui.cli import output
from nadtui.cli.options import Json

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, json: Json = False) -> None:
    """The families of networks: ours, and what installed packages bring; and how to name one of your own."""
    if context.invoked_subcommand is not None:
        return
    from engine.models import FAMILIES
    from engine.models.foreign import FORM
    from nadtui.cli import tables

    rows = [
        {"name": name, "form": family.form, "smallest": family.smallest, "origin": FAMILIES.origin(name)}
        for name, family in FAMILIES.loaded().items()
    ]
    if json:
        output.json_document(rows)
        return
    form, _, what = FORM.partition(", ")
    cells = [[row["name"], row["form"], row["origin"]] for row in rows] + [[form, what, "your own"]]
    output.show(lambda width: tables.make(["name", "networks", "origin"], cells))


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network's name, such as wrn-16-1.")],
    size: Annotated[int, typer.Option("--size", metavar="PIXELS", min=8, max=512, help="The side of the images.")] = 32,
    json: Json = False,
) -> None:
    """A network's taps: the maps that a defense may look at, from input to output."""
    about = _about(name, size)
    if json:
        output.json_document(about)
        return
    from nadtui.cli import tables

    output.line(f"{name} ({about['origin']})")
    taps = about["taps"]
    if taps is None:
        output.line(
            "its taps are known once it is built: the last map of each resolution, unless model.taps names others"
        )
        return
    if about["size"] is not None:
        output.line(f"for images of {size}x{size} pixels (--size for others)")
    rows = [[tap["name"], str(tap["channels"]), str(tap["stride"]), tap["module"]] for tap in taps]
    output.show(lambda width: tables.make(["tap", "channels", "stride", "module"], rows, figures=3))


def _about(name: str, size: int) -> dict[str, Any]:
    """A network by what is known before it is built; one of ours is built to see its taps where it takes that.

    Raises:
        RequestError: there is no such network, it takes no such images, or its file cannot be read.
    """
    import dataclasses

    from engine import models

    models.check_name(name)
    taps, word = models.known_taps(name), models.family_of(name)
    own = models.from_file(name)
    seen = taps is None and not own
    if seen:
        taps = models.seen_taps(name, (size, size))
    return {
        "name": name,
        "family": None if own else word,
        "origin": f"your own, sha256 {models.digest(name)}" if own else models.FAMILIES.origin(str(word)),
        "taps": None if taps is None else [dataclasses.asdict(tap) for tap in taps],
        "size": [size, size] if seen else None,
    }
