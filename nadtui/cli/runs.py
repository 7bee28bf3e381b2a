"""`nadtui runs`: the runs there are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nadtui import diagnostics, formatting
from nadtui.cli import output
from nadtui.cli.options import Json, Out

if TYPE_CHECKING:
    from engine.record.listing import RunHead


EmptyTrash = Annotated[bool, typer.Option("--empty-trash", help="Delete for good what was deleted in the workbench.")]


def runs(out: Out = None, empty_trash: EmptyTrash = False, json: Json = False) -> None:
    """All runs, newest first."""
    from engine.record.listing import list_runs
    from engine.storage.paths import runs_dir
    from nadtui.cli import tables

    root = out or runs_dir()
    if empty_trash:
        _empty_trash(root)
        return
    heads = list_runs(root)
    if json:
        output.json_document([_about(head) for head in heads])
        return
    if not heads:
        diagnostics.note(f"no runs in {root}")
        return
    now = time.time()
    narrow = [_row(head, now) for head in heads]
    wide = [
        [*row[:2], str(head.preset or "–"), str(head.dataset or "–"), _seed(head), *row[2:]]
        for head, row in zip(heads, narrow, strict=True)
    ]
    output.show(
        lambda width: tables.fitting(
            width,
            tables.make(["run", "state", "preset", "dataset", "seed", "ACC", "ASR", "verdict", "age"], wide),
            tables.make(["run", "state", "ACC", "ASR", "verdict", "age"], narrow),
            # An id that is folded cannot be copied.
            tables.make(["run", "ACC", "ASR", "verdict"], [[row[0], *row[2:5]] for row in narrow]),
            tables.make(["run", "ACC", "ASR"], [[row[0], *row[2:4]] for row in narrow]),
            tables.make(["run"], [row[:1] for row in narrow]),
        )
    )


def _about(head: RunHead) -> dict[str, Any]:
    """A run in plain types; null where the record does not say (yet)."""
    return {
        "name": head.id,
        "path": str(head.path),
        "state": str(head.status),
        **{key: getattr(head, key) for key in ("preset", "dataset", "seed", "started", "stage")},
        **{key: getattr(head, key) for key in ("acc_before", "asr_before", "acc_after", "asr_after")},
        "verdict": head.verdict or None,
        "more": head.more,
    }


def _empty_trash(root: Path) -> None:
    from engine.errors import RequestError
    from nadtui.runs.deleting import empty_trash

    try:
        count = empty_trash(root)
    except OSError as error:
        raise RequestError(f"the trash of {root} cannot be emptied: {error.strerror or error}") from error
    diagnostics.note(f"{formatting.plural(count, 'run')} deleted for good")


def _change(before: float | None, after: float | None) -> str:
    """A figure of the suspect and of what was made of it; a dash where there is neither."""
    if before is None and after is None:
        return formatting.percentage(None)
    return f"{formatting.percentage(before)} → {formatting.percentage(after)}"


def _known(after: float | None, newest: float | None) -> float | None:
    """A purified model's figure; until there is one, that of the newest model."""
    return newest if after is None else after


def _seed(head: RunHead) -> str:
    return "–" if head.seed is None else str(head.seed)


def _row(head: RunHead, now: float) -> list[str]:
    at = f" in {head.stage}" if head.stage and (head.status.alive or head.status.resumable) else ""
    return [
        head.id,
        head.status + at,
        _change(head.acc_before, _known(head.acc_after, head.acc_newest)) + f"  +{head.more}" * bool(head.more),
        _change(head.asr_before, _known(head.asr_after, head.asr_newest)),
        head.verdict or "–",
        "–" if head.started is None else formatting.age(now - head.started),
    ]
