"""A sweep as its readers see it: one table, its groups in full, differences in pairs, and what to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import RequestError
from engine.evaluation.spread import LEAST, Spread
from engine.record.verdict import PLANTED
from nadtui import formatting
from nadtui.runs import asleep
from nadtui.runs.study_report import EqualCost, Published, at_equal_cost, published
from nadtui.runs.sweep_groups import OF_THE_SUSPECT, Group, dimensions, never_planted, suspect_of
from nadtui.runs.sweep_table import SweepTable, shown, table, title

if TYPE_CHECKING:
    from engine.sweeps.rows import CellRow
    from engine.sweeps.studies import Study

NAMED = 4
"""Suspects that a remark names; of more it says how many."""
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
    study: Study | None = None
    """The question it answers, where it was asked as a study."""
    remark: str = ""
    """What else must be said of it."""

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
        """Every defense against fine-tuning (or NAD), line by line, by the same recipe."""
        found = self.table
        named = {group.at.get("defense") for group in found.groups.values()}
        against = next((name for name in AGAINST if name in named), None)
        if "defense" not in found.across or against is None:
            return []
        base = {_beside(at, group): group for (at, _), group in found.groups.items() if group.at["defense"] == against}
        return [
            Pair(line, column, against, acc, group.over(other, "asr"))
            for at, line in enumerate(found.lines)
            for place, column in enumerate(found.columns)
            if (group := found.groups.get((at, place))) is not None
            and group.at["defense"] != against
            and (other := base.get(_beside(at, group))) is not None
            and (acc := group.over(other, "acc")) is not None
        ]

    @cached_property
    def published(self) -> list[Published]:
        """What the study knows of the paper's figures, beside ours."""
        return [] if self.study is None else list(published(self.study, self.rows))

    @cached_property
    def equal_cost(self) -> list[EqualCost]:
        """NAD against fine-tuning at equal ACC lost, where the sweep is a ladder of both."""
        defenses = {row.defense for row in self.rows}
        if self.study is None or self.study.ladder not in dimensions(self.rows) or not {*AGAINST} <= defenses:
            return []
        other, one = AGAINST
        return list(at_equal_cost(self.rows, self.study, one, other))

    @property
    def explained(self) -> str:
        """What the tables' figures are."""
        return " ".join([EXPLAINED, *[asleep.LEGEND] * any(row.verified for row in self.rows)])

    def facts(self) -> list[str]:
        """What was asked, what holds of all cells, how many there are, and what is missing, a line each."""
        return [fact for fact in self._facts() if fact]

    def _facts(self) -> Iterator[str]:
        if self.study is not None:
            yield self.study.question
            yield self.study.source
        if self.remark:
            yield self.remark
        fixed = (f"{title(name)} {shown(value)}" for name, value in self.table.fixed.items() if value is not None)
        yield ", ".join(fixed)
        cells = {row.cell: row for row in self.rows}.values()
        done = sum(row.finished for row in cells)
        unfit = sum(row.unfit for row in cells)
        failed = sum(bool(row.error) for row in cells) - unfit
        said = formatting.plural(len(cells), "cell")
        if done < len(cells):
            said += f", {done:,} of them finished" + (f", {failed:,} failed" if failed else "")
        yield said + (f", {unfit:,} n/a" if unfit else "")
        yield self._unplanted()

    def _unplanted(self) -> str:
        """Which suspects say nothing of a defense; empty where all do."""
        of = {suspect_of(row): row for row in self.rows if row.acc is not None and never_planted(row)}
        if not of:
            return ""
        named = [self._suspect(row) for row in list(of.values())[:NAMED]]
        named += [f"{len(of) - NAMED} more"] * (len(of) > NAMED)
        return (
            f"unplanted: {formatting.plural(len(of), 'suspect')} ({'; '.join(named)}) never had a backdoor, of an ASR "
            f"less than {PLANTED:g} points over the base rate"
        )

    def _suspect(self, row: CellRow) -> str:
        """Which suspect a row is of, by what varies: `badnets, attack.target 9, attack seed 0`."""
        named = (*OF_THE_SUSPECT, "dataset")
        varying = (name for name in row.axes if name not in self.table.fixed and name.startswith(named))
        which = shown(row.suspect) if row.attack_seed is None else f"attack seed {row.attack_seed}"
        said = (row.preset, *(f"{title(name)} {shown(row.axes[name])}" for name in varying), which)
        return ", ".join(filter(None, said))

    @property
    def caution(self) -> str:
        """What a reader must know before he trusts the figures; empty of a sweep that is complete."""
        missing = len({row.cell for row in self.rows if not row.finished and not row.unfit})
        return f"{formatting.plural(missing, 'cell')} of it {'is' if missing == 1 else 'are'} not finished" * bool(
            missing
        )


def _beside(line: int, group: Group) -> tuple[int, str]:
    """What a group of another defense has in common with this one."""
    return line, str(group.at.get("recipe"))


EXPLAINED = (
    "Percentages. A figure is the mean over suspects, each the mean over its clean subsets, ± the standard deviation "
    "of the suspects (of one suspect: of its subsets); n = suspects x subsets. In brackets the 95 % interval of the "
    f"mean, by a bootstrap over suspects and then their subsets; below {LEAST} suspects the least and the most "
    "measured. Lost: points of ACC less than the suspect's. ASR, RA and base are over images that are not of the "
    "attacker's class. Image steps are what the defense cost: one is an image forward and backward through "
    "the network."
)
EQUAL_COST = (
    "ASR of {} and {} where neither costs more than so many points of ACC: of each suspect and clean subset the lowest "
    "along its ladder, between two rungs in a straight line, from the suspect on; and their difference in pairs."
)
PAIRED = "Differences on the same suspects, clean subsets and batches, in points: its figure minus that of {}."


def report(folder: Path) -> SweepReport:
    """Read a sweep's folder.

    Raises:
        RequestError: it is no sweep's.
    """
    from engine.sweeps.index import read_head
    from engine.sweeps.rows import rows
    from engine.sweeps.studies import load_study

    grids = read_head(folder)["grids"]
    asked = grids[-1].get("study") if grids else None
    study, remark = None, ""
    if asked:
        try:
            study = load_study(asked)
        except RequestError as error:  # somebody else's: the figures are what they are without it
            remark = f"of a study that is not here: {error}"
    return of_rows(Path(folder).resolve().name, rows(folder), study, remark)


def of_rows(name: str, rows: Sequence[CellRow], study: Study | None = None, remark: str = "") -> SweepReport:
    """Of rows at hand.

    Raises:
        RequestError: there is none.
    """
    if not rows:
        raise RequestError(f"{name}: the sweep has no cells")
    return SweepReport(name, tuple(rows), study, remark)
