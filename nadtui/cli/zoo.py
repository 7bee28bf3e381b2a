"""`nadtui zoo`: suspects ready made: listed, shown, made, and measured again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.errors import RequestError
from engine.places import expanded
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.cli.options import Device, Json

if TYPE_CHECKING:
    from engine.zoo.card import Card, Figure
    from engine.zookeeping.measuring import Measured

app = typer.Typer(add_completion=False)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Which suspects (default: all).")]
Of = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Those of one data set alone.")]


@app.callback(invoke_without_command=True)
def zoo(context: typer.Context, json: Json = False) -> None:
    """Suspects ready made: 'nadtui run --preset sig --suspect zoo' takes one instead of training it."""
    if context.invoked_subcommand is not None:
        return
    from engine.zoo import cards
    from nadtui.cli import tables

    if json:
        output.json_document([_row(card) for card in cards().values()])
        return
    known = list(cards().values())
    short = ["name", "ACC", "ASR", "precision", "made"]
    rows = [[card.name, *_figures(card), card.precision, card.made] for card in known]
    more = [[card.preset, card.dataset, card.model, str(card.attack_seed)] for card in known]
    long = [*short, "preset", "data set", "model", "seed"]
    wide = tables.make(long, [[*row, *rest] for row, rest in zip(rows, more, strict=True)], figures=3)
    output.show(lambda width: tables.fitting(width, wide, tables.make(short, rows, figures=3)))


def _row(card: Card) -> dict[str, Any]:
    figures = {name: figure.value for name, figure in card.figures.items()}
    return {
        **card.model_dump(mode="json", include={"name", "preset", "dataset", "model", "attack_seed", "precision"}),
        **{name: figures.get(name) for name in ("acc", "asr", "ra", "base")},
        "made": card.made,
        "sha256": card.sha256,
    }


def _figures(card: Card) -> list[str]:
    return [f"{card.figures[name].value:.1f}" if name in card.figures else "-" for name in ("acc", "asr")]


@app.command("show")
def show(name: Annotated[str, typer.Argument(metavar="NAME")], json: Json = False) -> None:
    """A suspect's card: how it came about and what it does."""
    import yaml

    from engine import zoo as engine_zoo

    values = engine_zoo.card(name).model_dump(mode="json")
    if json:
        output.json_document(values)
        return
    values["figures"] = {
        key: f"{figure['value']:.1f} ({figure['low']:.1f}-{figure['high']:.1f})"
        for key, figure in values["figures"].items()
    }
    output.document(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))


@app.command("build")
def build(
    names: Names = None,
    dataset: Of = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", parser=expanded, metavar="DIR", help="Where to put them (default: the installed zoo)."),
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Processor threads.")] = None,
) -> None:
    """Train the suspects that are missing, one after the other; a training that was cut off goes on."""
    from engine.zoo import folder
    from engine.zookeeping.building import build, is_made
    from engine.zookeeping.wanted import named
    from nadtui.cli.plain_display import tell_of

    where = to or folder()
    for wanted in named(tuple(names or ()), dataset):
        if is_made(wanted, where):
            diagnostics.note(f"{wanted.name}: there already")
            continue
        diagnostics.note(f"{wanted.name}: training")
        card = tell_of(build(wanted, where, threads=threads))
        output.line(f"{card.name}: {_said(card.figures)}")


@app.command("measure")
def measure(names: Names = None, dataset: Of = None, device: Device = None, json: Json = False) -> ExitCode:
    """Measure the suspects again here, and compare with their cards; exit 1 where a figure strays."""
    from engine.zoo import cards
    from engine.zookeeping.measuring import measured

    chosen = [card for card in cards().values() if dataset in (None, card.dataset)]
    if names:
        chosen = [_known(name) for name in names]
    if not chosen:
        raise RequestError("the zoo holds no such suspect (nadtui zoo lists them)")
    from engine.device import choose

    where = choose(device or "auto")
    found: list[Measured] = []
    for card in chosen:
        found.append(measured(card, where))
        if not json:
            output.line(_compared(found[-1]))
    if json:
        output.json_document([_measured_row(each) for each in found])
    return ExitCode.FAILED if any(each.strayed() and each.same_images for each in found) else ExitCode.DONE


def _known(name: str) -> Card:
    from engine.zoo import card

    return card(name)


def _said(figures: dict[str, Figure]) -> str:
    return ", ".join(f"{name.upper()} {figure.value:.1f}" for name, figure in figures.items())


def _compared(each: Measured) -> str:
    parts = []
    for name, figure in each.card.figures.items():
        card = f"card {figure.value:.1f}, {figure.low:.1f}-{figure.high:.1f}"
        parts.append(f"{name.upper()} {getattr(each.metrics, name):.1f} ({card})")
    strayed = each.strayed()
    verdict = f"strays: {', '.join(name.upper() for name in strayed)}" if strayed else "as its card says"
    other = "" if each.same_images else "; measured on other images than it was made with"
    return f"{each.card.name}: {verdict}; {', '.join(parts)}{other}"


def _measured_row(each: Measured) -> dict[str, Any]:
    return {
        "name": each.card.name,
        "same_images": each.same_images,
        "strayed": each.strayed(),
        "card": {name: figure.value for name, figure in each.card.figures.items()},
        "measured": {name: getattr(each.metrics, name) for name in each.card.figures},
    }
