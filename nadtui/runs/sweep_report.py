"""A sweep as its readers see it: one table, its groups in full, differences in pairs, and what to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import RequestError
from engine.evaluation.spread import LEAST, Spread
from nadtui import formatting
from nadtui.runs.sweep_groups import Group
from nadtui.runs.sweep_table import SweepTable, shown, table, title

if TYPE_CHECKING:
    from engine.sweeps.rows import CellRow

AGAINST = ("fine-tuning", "nad")
"""What defenses are compared with in pairs: the first of these that a sweep has."""


class Pair(NamedTuple):
    """What a defense comes to minus what another does, on the same suspects and subsets, in points of percent."""

    line: tuple[str, ...]
    defense: str
    against: str
    acc: Spread
    asr: Spread | None
    """None without a trigger."""


class Detail(NamedTuple):
    """One group and where it stands."""

    line: tuple[str, ...]
    column: str
    group: Group


@dataclass(frozen=True)
class SweepReport:
    """A sweep, as far as it has come."""

    name: str
    rows: tuple[CellRow, ...]

    @cached_property
    def table(self) -> SweepTable:
        """Lines of presets (or whatever varies) by columns of defenses."""
        return table(self.rows)

    @cached_property
    def details(self) -> list[Detail]:
        """The groups that have figures, line by line."""
        return [
            Detail(line, column, group)
            for at, line in enumerate(self.table.lines)
            for place, column in enumerate(self.table.columns)
            if (group := self.table.groups.get((at, place))) is not None and group.done
        ]

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every defense against fine-tuning (or NAD), line by line."""
        found = self.table
        against = next((name for name in AGAINST if name in found.columns), None)
        if found.across != ("defense",) or against is None:
            return []
        base = found.columns.index(against)
        return [
            Pair(line, column, against, acc, group.over(other, "asr"))
            for at, line in enumerate(found.lines)
            for place, column in enumerate(found.columns)
            if place != base
            and (group := found.groups.get((at, place))) is not None
            and (other := found.groups.get((at, base))) is not None
            and (acc := group.over(other, "acc")) is not None
        ]

    def facts(self) -> Iterator[str]:
        """What holds of all cells, how many there are, and what is missing, a line each."""
        fixed = (f"{title(name)} {shown(value)}" for name, value in self.table.fixed.items() if value is not None)
        yield ", ".join(fixed)
        cells = {row.cell: row for row in self.rows}.values()
        done = sum(row.finished for row in cells)
        failed = sum(bool(row.error) for row in cells)
        said = formatting.plural(len(cells), "cell")
        if done < len(cells):
            said += f", {done:,} of them finished" + (f", {failed:,} failed" if failed else "")
        yield said

    @property
    def caution(self) -> str:
        """What a reader must know before he trusts the figures; empty of a sweep that is complete."""
        missing = len({row.cell for row in self.rows if not row.finished})
        return f"{formatting.plural(missing, 'cell')} of it {'is' if missing == 1 else 'are'} not finished" * bool(
            missing
        )


EXPLAINED = (
    "Percentages. A figure is the mean over suspects, each the mean over its clean subsets, ± the standard deviation "
    "of the suspects (of one suspect: of its subsets); n = suspects x subsets. In brackets the 95 % interval of the "
    f"mean, by a bootstrap over suspects and then their subsets; below {LEAST} suspects the least and the most "
    "measured. Lost: points of ACC less than the suspect's. ASR, RA and base are over images that are not of the "
    "attacker's class."
)
PAIRED = "Differences on the same suspects, clean subsets and batches, in points: its figure minus that of {}."


def report(folder: Path) -> SweepReport:
    """Read a sweep's folder.

    Raises:
        RequestError: it is no sweep's.
    """
    from engine.sweeps.rows import rows

    return of_rows(Path(folder).resolve().name, rows(folder))


def of_rows(name: str, rows: Sequence[CellRow]) -> SweepReport:
    """Of rows at hand.

    Raises:
        RequestError: there is none.
    """
    if not rows:
        raise RequestError(f"{name}: the sweep has no cells")
    return SweepReport(name, tuple(rows))
