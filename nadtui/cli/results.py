"""`nadtui results`: what was measured, found, added to, and written into the README."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from engine.errors import RequestError
from engine.places import expanded
from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.cli.options import Out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nadtui.runs.result_rows import Row


class _ListsFirst(TyperGroup):
    """`nadtui results cifar10 refool` is `nadtui results list cifar10 refool`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ListsFirst,
    add_completion=False,
    help="What was measured, a row a run; 'nadtui results cifar10 refool' finds some.",
)


@app.command("list")
def list_results(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILTER",
            help="Words and terms that must all hold: cifar10 refool 'asr<10' status=default teacher.training.lr=0.2",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", metavar="", help="Every column, as one JSON document.")] = False,
) -> ExitCode:
    """The rows that a filter leaves; without one, all."""
    from nadtui.runs import book

    rows = book.found(book.read(), " ".join(words or ()))
    if json:
        output.json_document([row.to_dict() for row in rows])
    elif rows:
        _show(rows)
    else:
        diagnostics.note("no row matches")
    return ExitCode.DONE


def _show(rows: list[Row]) -> None:
    from nadtui.cli import tables

    head = [
        *("data", "preset", "attack seed", "subsets", "defense"),
        *("before", "teacher", "after", "differs", "status", "note"),
    ]
    lines = [dict(zip(head, _cells(row), strict=True)) for row in rows]

    def drawn(*without: str) -> Any:
        columns = [name for name in head if name not in without]
        return tables.make(columns, [[line[name] for name in columns] for line in lines])

    some, few = drawn("status", "note"), drawn("attack seed", "subsets", "teacher", "status", "note")
    output.show(lambda width: tables.fitting(width, drawn(), some, few))


def _cells(row: Row) -> Iterator[str]:
    yield from (row.shown(name) for name in ("data", "preset", "attack.seed", "seeds"))
    yield row.defender
    yield from (row.figures(stage) for stage in ("before", "teacher", "after"))
    yield row.changes() + (" (prototype)" if row["status"] == "prototype" else "")
    yield from (row.shown(name) for name in ("status", "note"))


@app.command()
def add(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Finished runs: ids, beginnings, or folders.")],
    status: Annotated[
        str, typer.Option(metavar="default|tried|prototype", help="What the figures stand for.")
    ] = "tried",
    note: Annotated[str, typer.Option(metavar="TEXT", help="What else there is to say.")] = "",
    folder: Annotated[
        Path | None,
        typer.Option("--to", parser=expanded, metavar="DIR", help="A folder of presets (default: your own)."),
    ] = None,
    out: Out = None,
) -> ExitCode:
    """Note finished runs down, a row for each purified model."""
    from engine.storage.paths import presets_dir
    from nadtui.runs import book
    from nadtui.runs.columns import STATUSES

    if status not in STATUSES:
        raise RequestError(f"--status {status}: allowed are {', '.join(STATUSES)}")
    known = {row["run"] for row in book.read()}
    rows = []
    for run in dict.fromkeys(runs):
        found = _rows_of(run, out)
        if found[0]["run"] in known:
            diagnostics.note(f"{run}: is in the book already")
            continue
        rows += [{**cells, "status": status, **({"note": note} if note else {})} for cells in found]
    for file in book.append(rows, folder or presets_dir()):
        diagnostics.note(f"written: {file}")
    return ExitCode.DONE


def _rows_of(run: str, out: Path | None) -> list[dict[str, Any]]:
    from nadtui.runs import columns
    from nadtui.runs.loading import load

    report = load(run, out)
    if not report.complete:
        raise RequestError(f"{run}: only finished runs are noted down (state: {report.state})")
    config = report.view.config
    recipe = _measured_against(config["recipe"])
    summary = {**report.summary, "recipe": recipe}
    try:
        shipped = _shipped(config, recipe)
    except RequestError as error:
        raise RequestError(f"{run}: what it differs in cannot be told: {error}") from None
    rows = [columns.cells(source) for source in columns.sources(summary, config, shipped)]
    if not any(f"acc.{stage}" in cells for cells in rows for stage in columns.STAGES):
        raise RequestError(f"{run}: its record holds no figures of a suspect or of a purified model")
    return rows


def _measured_against(recipe: str) -> str:
    """The recipe from which a run is told to differ: its own, or the default where that was a file of somebody's."""
    from engine.config import shelf

    return recipe if recipe in shelf.files("recipes") else "default"


def _shipped(config: dict[str, Any], recipe: str) -> dict[str, Any]:
    """The configuration that a run's preset and a recipe give as they are now, with the defenses that it had."""
    from engine.config.presets import resolve
    from engine.events import TRAINED

    custom = config["preset"] == "custom"
    values = resolve(
        None if custom else config["preset"],
        dataset=config["data"]["name"],
        recipe=recipe,
        overrides=[{key: config[key] for key in ("attack", "suspect")}] if custom else [],
        defenses=list(config.get("defenses") or ()),
    ).to_dict()
    return {**values, "attack": {}, "suspect": TRAINED} if custom else values


@app.command()
def readme(
    file: Annotated[Path, typer.Argument(parser=expanded, metavar="FILE", help="Where the table stands.")] = Path(
        "README.md"
    ),
    check: Annotated[bool, typer.Option("--check", metavar="", help="Write nothing; exit 1 if it is stale.")] = False,
) -> ExitCode:
    """Write the README's table of results from the rows that ship with the program."""
    from engine.storage.paths import write_atomically
    from nadtui.export.readme import renewed
    from nadtui.runs import book

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: cannot be read ({error})") from None
    try:
        new = renewed(text, book.shipped())
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from None
    if new == text:
        return ExitCode.DONE
    if check:
        diagnostics.error(f"{file}: its table of results is stale; nadtui results readme writes it anew")
        return ExitCode.FAILED
    write_atomically(file, new.encode())
    diagnostics.note(f"written: {file}")
    return ExitCode.DONE
