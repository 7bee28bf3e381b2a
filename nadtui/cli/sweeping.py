"""A sweep seen through from the command line: workers hired, cells told of on standard error, the end on output."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engine.errors import RequestError
from nadtui import diagnostics, formatting
from nadtui.cli import output
from nadtui.cli.exits import ExitCode
from nadtui.cli.headless import stoppable

if TYPE_CHECKING:
    from engine.sweeps.conducting import Conductor, Step
    from engine.sweeps.crews import Crew
    from engine.sweeps.index import Index, Keep
    from engine.sweeps.rows import CellRow
    from nadtui.runs.sweep_groups import Group
    from nadtui.runs.sweep_request import GridOptions

LISTED = 60
"""Cells that a table has a line of each; of more, those that differ in their seeds alone are put together."""
WATCH_S = 2.0
"""Seconds between two looks of --watch."""


@dataclass(frozen=True)
class Hiring:
    """The options that say who works."""

    workers: int | None
    per_gpu: int
    scheduler: str | None
    cluster: Path | None
    threads: int | None
    typed: Sequence[str] = ()
    """Networks as they were typed on this very command line."""

    @property
    def processes(self) -> int:
        """Cells at a time on this machine: as many as asked for, else what its GPUs take, else one.

        Raises:
            RequestError: a number of workers that makes no sense.
        """
        from engine.sweeps.crews import check_workers, visible_gpus

        count = self.workers if self.workers is not None else len(visible_gpus()) * self.per_gpu or 1
        check_workers(count)
        return count

    def check(self) -> None:
        """Refuse what nobody can be hired by.

        Raises:
            RequestError: two kinds of workers were asked for, or what makes no sense for them.
        """
        from engine.running.processor_queue import SHARES, check_threads

        ways = {"--workers": self.workers, "--scheduler": self.scheduler, "--cluster": self.cluster}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            raise RequestError(f"{' and '.join(given)}: one of them is wanted")
        if self.per_gpu > 1 and "--workers" not in given and given:
            raise RequestError(f"--per-gpu {self.per_gpu}: of this machine's GPUs; workers elsewhere have {SHARES}")
        if self.scheduler is None and self.cluster is None:  # theirs are other machines, with other processors
            check_threads(self.threads)

    def crew(self) -> Crew:
        """The workers.

        Raises:
            RequestError: two kinds were asked for, or they cannot be had.
        """
        from engine.sweeps import crews

        self.check()
        if self.scheduler is not None or self.cluster is not None:
            from engine.sweeps import cluster

            return cluster.of_file(self.cluster) if self.cluster else cluster.of_scheduler(str(self.scheduler))
        gpus = crews.visible_gpus()
        if self.workers is None and not gpus:
            return crews.Here(self.threads)
        return crews.Processes(self.processes, gpus=gpus, per_gpu=self.per_gpu)


def sweep(
    folder: Path, options: GridOptions | None, hiring: Hiring, keep: str | None, *, retry: bool, json: bool
) -> ExitCode:
    """See a sweep through, and show what became of its cells.

    Raises:
        RequestError: the request is wrong; nothing was run.
    """
    from engine.sweeps.rows import rows

    conductor = see_through(folder, options, hiring, keep, retry=retry)
    if json:
        output.json_document({"cells": [row.to_dict() for row in rows(folder)]})
    else:
        _show_all(folder)
    return conclude(folder, conductor)


def _show_all(folder: Path) -> None:
    """What came of a sweep: of a study its tables, of any other its cells."""
    from nadtui.cli import sweep_tables
    from nadtui.runs.sweep_report import report

    found = report(folder)
    if found.study is None:
        _show(list(found.rows))
    else:
        sweep_tables.show(found)


def see_through(
    folder: Path,
    options: GridOptions | None,
    hiring: Hiring,
    keep: str | None,
    *,
    retry: bool = False,
    others: bool = True,
) -> Conductor:
    """Put a grid into a sweep's folder, or take up what is there, and see it through; what has become of it.

    `others`: also the cells that the folder has beside the grid's.

    Raises:
        RequestError: the request is wrong; nothing was run.
    """
    from engine.sweeps import index, tries
    from engine.sweeps.conducting import Conductor
    from engine.sweeps.keeping import settle_all
    from nadtui.runs.request import network

    if options is None:
        cells = index.read(folder)
    else:
        grid, cells = _expanded(options)
    crew = hiring.crew()
    try:
        if options is not None:
            asked = {cell.id for cell in cells.cells}
            cells = index.extend(folder, cells, grid)
            cells = cells if others else cells.only(asked)
        if keep is not None:  # also where that was the word before: somebody may have been cut off in the midst of it
            index.keep_from_now(folder, cast("Keep", keep))
            settle_all(folder, cast("Keep", keep))
        if retry:
            tries.forget(folder, [name for name, tried in tries.all_of(folder).items() if tried.said])
        typed = [network(name) for name in hiring.typed]
        conductor = Conductor(folder, cells, crew, threads=hiring.threads, typed=typed)
        with stoppable(conductor.stop) as request:
            for step in conductor.run():
                request.announce()
                _tell(step)
    finally:
        crew.close()
    return conductor


def _expanded(options: GridOptions) -> tuple[dict[str, Any], Index]:
    from engine.sweeps.grid import expand
    from nadtui.runs.sweep_request import build_grid

    grid = build_grid(options)
    found = expand(grid)
    for why, count in found.left_out.items():
        diagnostics.note(f"left out{f' {count} times' if count > 1 else ''}: {why}")
    for said in found.said:
        diagnostics.note(said)
    return grid.to_dict(), found.index


def _tell(step: Step) -> None:
    """A line of what happened; that a cell begins is nothing to tell."""
    if step.what == "began":
        return
    if step.cell is None:
        diagnostics.error(step.said)
        return
    said = f": {step.said}" if step.said else ""
    if step.seconds_left is not None:
        said += f", about {formatting.duration(step.seconds_left)} left"
    diagnostics.note(f"{step.done}/{step.of} {step.cell.id} {step.what}{said}")


def conclude(folder: Path, conductor: Conductor) -> ExitCode:
    """Say what is left to do, and how; the command's exit code."""
    name = " --model ".join(map(formatting.quoted, [folder, *conductor.typed]))  # else their files are not executed
    if not conductor.complete:
        diagnostics.note(f"to go on: nadtui sweep --resume {name}")
        return ExitCode.INTERRUPTED
    if conductor.failed:
        diagnostics.error(f"{conductor.failed} cells failed")
        diagnostics.note(f"to try them again: nadtui sweep --resume {name} --retry-failed")
        return ExitCode.FAILED
    return ExitCode.DONE


def show(folder: Path, *, watch: bool) -> ExitCode:
    """The table of a sweep's cells; while it goes on, how many are how far, and the table again at the end."""
    from engine.sweeps.members import at_work
    from engine.sweeps.rows import rows

    _show(rows(folder))
    watched = watch and bool(at_work(folder))
    while watched and at_work(folder):
        time.sleep(WATCH_S)
        output.line(_counts(rows(folder)))
    if watched:
        _show(rows(folder))
    return ExitCode.DONE


def _counts(found: Sequence[CellRow]) -> str:
    """How many cells are how far; points of the grid that come to the same cell count once."""
    counts = Counter({row.cell: row.status for row in found}.values())
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


def _show(found: list[CellRow]) -> None:
    """The cells, many of them by what they have alike but their seeds; and how many there are of each state."""
    from nadtui.cli import tables
    from nadtui.runs.sweep_groups import Group

    apart = ("seed", "attack_seed") if len(found) > LISTED else ()
    names = [name for name in dict.fromkeys(name for row in found for name in row.axes) if name not in apart]
    alike = [name for name in names if len({str(row.axes.get(name)) for row in found}) == 1]
    columns = [name for name in names if name not in alike]
    groups: dict[tuple[str, ...], list[CellRow]] = {}
    for place, row in enumerate(found):
        own = () if apart else (str(place),)
        groups.setdefault((*(str(row.axes.get(name, "")) for name in columns), *own), []).append(row)
    lines = [[*key[: len(columns)], *_figures(Group({}, tuple(of))), _state(of)] for key, of in groups.items()]
    if alike:
        output.line(", ".join(f"{name} {found[0].axes[name]}" for name in alike))
    head = [*columns, "ACC", "ASR", "ACC before", "ASR before", "RA", "seconds", "image steps", "status"]
    output.show(lambda width: tables.make(head, lines))
    output.line(_counts(found))


def _figures(of: Group) -> Iterator[str]:
    """Means over suspects, each the mean over its clean subsets."""
    for name in ("acc", "asr", "suspect_acc", "suspect_asr", "ra", "seconds"):
        mean = of.mean(name)
        yield "" if mean is None else f"{mean:.1f}"
    steps = of.mean("image_steps")
    yield "" if steps is None else formatting.count(steps)


def _state(of: list[CellRow]) -> str:
    return of[0].error or of[0].status if len(of) == 1 else _counts(of)


def dry_run(
    folder: Path,
    options: GridOptions | None,
    hiring: Hiring,
    *,
    retry: bool = False,
    others: bool = True,
    json: bool,
) -> ExitCode:
    """What `see_through` would do with the same, cell by cell and why, how many, and for how long; nothing is written.

    Raises:
        RequestError: the request is wrong.
    """
    from engine.storage.paths import runs_dir
    from engine.sweeps import index
    from engine.sweeps.estimating import estimated, measured, runs_of
    from engine.sweeps.reasons import reasons

    hiring.check()
    workers = hiring.processes
    if options is None:
        planned = index.read(folder)
    else:
        asked = _expanded(options)[1]
        planned = index.merged(folder, asked)
        planned = planned if others else planned.only({cell.id for cell in asked.cells})
    found = reasons(folder, planned, retry=retry)
    todo = list({each.cell.id: each.cell for each in found if each.runs}.values())
    known = estimated(todo, planned, measured([runs_of(folder), runs_dir()]))
    workers = max(1, min(workers, len(todo)))
    if json:
        cells = [{"cell": each.cell.id, **each.cell.axes, "reason": each.said} for each in found]
        seconds = None if known is None else known.seconds / workers
        output.json_document({"cells": cells, "to_run": len(todo), "seconds": seconds})
        return ExitCode.DONE
    for each in found:
        output.line(f"{each.cell.id}  {each.said}")
    counts = Counter({each.cell.id: each.word for each in found}.values())
    output.line(", ".join(f"{count} {word}" for word, count in counts.most_common()))
    if todo:
        output.line(_how_long(len(todo), known, workers))
    return ExitCode.DONE


def _how_long(count: int, known: Any, workers: int) -> str:
    if known is None:
        return f"{count} cells to run; this machine has measured nothing like them"
    unknown = f", {known.unknown} of them of a kind not measured yet" if known.unknown else ""
    said = formatting.duration(known.seconds / workers)
    return f"{count} cells to run: about {said} with {workers} at a time, by what this machine has measured{unknown}"
