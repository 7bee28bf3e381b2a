"""`nadtui check`: whether one's own attack, defense, network or data source does what all of its kind promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nadtui import diagnostics
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.cli.options import Json
from nadtui.formatting import plural

if TYPE_CHECKING:
    from engine.testing.checks import Verdict
    from engine.testing.subject import Kind


def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="An attack, defense, network (FILE.py:NAME too) or data set; else attack:NAME and so on.",
        ),
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the attack's or defense's own; repeatable."),
    ] = None,
    json: Json = False,
) -> ExitCode:
    """Whether something of one's own keeps the contract of its kind: a line for each check."""
    from engine.config.layers import merged, parse_override
    from engine.errors import RequestError
    from engine.testing.subject import find, titled

    kind, found = find(name)
    given = merged(parse_override(text) for text in settings or ())
    if given and kind not in ("attack", "defense"):
        raise RequestError(f"--set {settings[0]!r}: a {'network' if kind == 'model' else 'data set'} has no settings")
    verdicts = []
    for verdict in _verdicts(kind, found, given):
        verdicts.append(verdict)
        if not json:
            output.line(f"{verdict.state:<9}  {verdict.check}{verdict.said and f': {verdict.said}'}")
    broken = sum(verdict.state == "broken" for verdict in verdicts)
    if json:
        checks = [{"check": each.check, "state": each.state, "said": each.said} for each in verdicts]
        output.json_document({"kind": kind, "name": found, "settings": given, "broken": broken, "checks": checks})
    diagnostics.note(f"{kind} {titled(found, given)}: {plural(len(verdicts), 'check')}, {broken or 'none'} broken")
    return ExitCode.FAILED if broken else ExitCode.DONE


def _verdicts(kind: Kind, name: str, given: dict[str, Any]) -> Iterator[Verdict]:
    """What each check says, as it comes."""
    import tempfile
    from pathlib import Path

    from engine.testing.checks import checks_for, judged
    from engine.testing.settings_checks import loads_late
    from engine.testing.subject import Subject
    from engine.testing.world import World

    with tempfile.TemporaryDirectory(prefix="nadtui-check-") as folder:
        subject = Subject(kind, name, World(Path(folder)), given)
        for each in (loads_late, *checks_for(kind, name)):
            yield judged(each, subject)
