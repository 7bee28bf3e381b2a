"""Cells handed out to workers until all are done: who goes next, what becomes of those that end, however they do.

Nothing is remembered: what is left to do is read off the sweep's folder, so that another process can take over, or
join. Free of torch.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.control import Wish
from engine.errors import RequestError
from engine.record.listing import head
from engine.running.plan import SUSPECT
from engine.storage.paths import unusable
from engine.sweeps import members, results, tries
from engine.sweeps.absences import Absences
from engine.sweeps.crews import LOST, Crew
from engine.sweeps.index import Cell, Index, read_head
from engine.sweeps.keeping import settle
from engine.sweeps.layout import RUNS
from engine.sweeps.members import Member
from engine.sweeps.spent import Spent
from engine.sweeps.working import ABSENT, BUSY, DONE, FOREIGN, FULL, STOPPED, is_unwritable

POLL_S = 0.25
"""Seconds within which a wish is answered."""
AGAIN_S = 2.0
"""Seconds until a cell is looked at again that another process has."""
LOOK_S = 10.0
"""Seconds between two looks at what others have done of a sweep that has no workers."""
UNBORN = 3
"""Workers in a row, for each that there can be at a time, that may end before they begin with their cell."""
LAST = 4
"""Cells a worker that are the last ones of a sweep: of them the dearest go first, so that no worker is long without
work at the end while another has a long cell in hand."""


@dataclass(frozen=True)
class Step:
    """Something that happened to a cell, or must be known of the sweep."""

    what: Literal["began", "finished", "failed", "n/a", "died", "stopped", "note"]
    cell: Cell | None = None
    said: str = ""
    done: int = 0
    """Cells of the sweep that are finished by now."""
    of: int = 0
    seconds_left: float | None = None
    """Of a cell that finished: until the last of them has, by what those of this sweep took and how many are under way
    at a time, in other processes too; None where that is not known, or none is left."""


class Conductor:
    """Sees a sweep through, or as far as it is let."""

    def __init__(
        self,
        folder: Path,
        index: Index,
        crew: Crew,
        *,
        threads: int | None = None,
        typed: Collection[str] = (),
    ) -> None:
        """`threads`: of each cell, where they are not to be as many as the crew thinks fit; `typed`: the networks whose
        files a person typed for this very sweep, and which may be executed."""
        self._folder = Path(folder)
        self._index = index
        self._crew = crew
        self._threads = threads if threads is not None else crew.threads
        self._typed = typed
        self._cells = {cell.id: cell for cell in index.cells}
        self._spent = Spent()
        self._wish: Wish | None = None
        self._paused = False
        self._running: dict[Future[dict[str, Any]], Cell] = {}
        self._since: dict[str, float] = {}
        """By cell: when it began last."""
        self._slots = 1
        """How many the crew took at a time when it was looked at last."""
        self._looked = time.monotonic()
        self._elsewhere: frozenset[str] = frozenset()
        """Cells that other processes had in hand when they were looked at last."""
        self._later: dict[str, float] = {}
        """Cells that another process has, and when to look at them again."""
        self._ready: set[str] = set()
        """Suspects that are there, for all cells that need them."""
        self._done: set[str] = set()
        self._set_aside: dict[str, bool] = {}
        """Cells that came to no figure; whether that is a failure."""
        self._absences = Absences()
        self._unborn = 0
        """Workers in a row that ended before they began with their cell."""
        self._any = False
        """Whether any cell came to its end here."""

    @property
    def typed(self) -> Sequence[str]:
        """Those of the sweep's networks whose files a person typed: nobody else may go on with their cells."""
        there = {template["model"]["name"] for template in self._index.templates}
        return [name for name in self._typed if name in there]

    @property
    def failed(self) -> int:
        """Cells that failed, or of which too many workers died."""
        return sum(self._set_aside.values())

    @property
    def complete(self) -> bool:
        """Whether every cell has come to its end."""
        return len(self._done) + len(self._set_aside) == len(self._cells)

    def stop(self) -> None:
        """Begin nothing more, and have what is under way end at its next step; all of it can be resumed."""
        self._wish = "stop"

    def run(self) -> Iterator[Step]:
        """Hand out cells until none is left, or a stop was asked for.

        Raises:
            RequestError: a worker would come to other results, or the folder cannot be written; nothing was run.
        """
        yield from self._look()
        left = [cell for cell in self._cells.values() if self._is_left(cell.id)]
        if left:
            self._crew.check([self._text(self._index.config(cell)) for cell in _one_a_template(left)], self._folder)
            try:
                with Member(self._folder) as member:
                    try:
                        yield from self._handed_out(member)
                    finally:
                        self._call_off()
                yield from self._look()  # at what others finished meanwhile, or were cut off from noting down
            except RequestError as problem:
                if not self._any or not is_unwritable(str(problem)):
                    raise
                yield self._step("note", said=str(problem))  # what is done stays, and all else can be gone on with
            if self._absences and not (self._any or self._done or self._wish == "stop"):
                raise RequestError(self._absences.first)
            yield from self._tell_what_is_not_here()

    def _look(self) -> Iterator[Step]:
        """What is done and what has failed, as the folder says; that some of it cannot be tidied up."""
        known = results.read(self._folder)
        unwritten = results.unwritten(self._folder, self._cells, known)
        for line in unwritten:
            yield from self._settled(self._cells[line["cell"]])
        results.write(self._folder, unwritten)
        self._spent = Spent()
        for line in (*known.values(), *unwritten):
            self._note(line)
        self._done = (set(known) | {line["cell"] for line in unwritten}) & set(self._cells)
        self._ready = {self._cells[cell].suspect for cell in self._done}
        self._set_aside = {
            cell: not tried.unfit
            for cell, tried in tries.all_of(self._folder).items()
            if tried.said and cell in self._cells and cell not in self._done
        }

    def _is_left(self, cell: str) -> bool:
        return cell not in self._done and cell not in self._set_aside

    def _is_ours(self, cell: str) -> bool:
        """Whether it is left, and can be done here."""
        return self._is_left(cell) and not self._absences.bar(self._cells[cell])

    def _handed_out(self, member: Member) -> Iterator[Step]:
        while True:
            self._heed(member)
            while self._wish is None and len(self._running) < self._looked_for_slots():
                cell = self._next(member)
                if cell is None:
                    break
                self._since[cell.id] = time.monotonic()
                self._running[self._submitted(cell)] = cell
                yield self._step("began", cell)
            if not self._running and (self._wish == "stop" or not any(map(self._is_ours, self._cells))):
                return
            if not self._running:
                time.sleep(POLL_S)
                yield from self._looked_anew()
                continue
            ended, _ = wait(self._running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in ended:
                yield from self._concluded(self._running.pop(future), future, member)

    def _looked_anew(self) -> Iterator[Step]:
        """While nobody is there to be given a cell: whether other processes have done them."""
        if not self._slots and time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            yield from self._look()

    def _looked_for_slots(self) -> int:
        """Once for each cell, before it is taken: workers may come and go with each look."""
        self._slots = self._crew.slots
        return self._slots

    def _call_off(self) -> None:
        """Whatever ended this: what is still under way is stopped before anybody else takes it."""
        while self._running:
            self._crew.ask(self._folder, {cell.id for cell in self._running.values()}, "stop")
            ended, _ = wait(self._running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in ended:
                self._running.pop(future)

    def _heed(self, member: Member) -> None:
        """Follow what a person or another process wants."""
        asked = member.wish()
        if asked == "stop" or self._wish == "stop":
            self._wish = "stop"
        elif asked is not None:
            self._wish = "pause" if asked == "pause" else None
        hands = {cell.id for cell in self._running.values()}
        if self._wish is not None or asked == "resume":  # again and again: a run may not have had its folder yet
            self._crew.ask(self._folder, hands, self._wish or "resume")

    def _submitted(self, cell: Cell) -> Future[dict[str, Any]]:
        config = self._index.config(cell)
        return self._crew.submit(self._text(config), self._folder, cell.id, typed=config.model.name in self._typed)

    def _text(self, config: Any) -> str:
        return config.model_copy(update={"threads": self._threads}).to_yaml()

    def _next(self, member: Member) -> Cell | None:
        """The next cell that nobody has, and whose suspect nobody is just about to make."""
        chosen = member.take(self._chosen)
        return None if chosen is None else self._cells[chosen]

    def _chosen(self, busy: frozenset[str]) -> str | None:
        self._elsewhere = busy - {cell.id for cell in self._running.values()}
        now = time.monotonic()
        making = {self._cells[cell].suspect for cell in busy if cell in self._cells} if self._crew.shares else set()
        making = {suspect for suspect in making if not self._is_ready(suspect, busy)}
        for name in dict.fromkeys([*members.first(self._folder), *self._in_turn(busy)]):
            cell = self._cells.get(name)
            if cell is None or not self._is_ours(name) or name in busy or self._later.get(name, 0) > now:
                continue
            if cell.suspect in making or not self._crew.can_take(name):
                continue
            if results.line_of(self._folder, name) is not None:
                self._done.add(name)  # another process was faster, and notes it down
                self._ready.add(cell.suspect)
            elif not self._gave_up(name):
                return name
        return None

    def _in_turn(self, busy: frozenset[str]) -> list[str]:
        """What nobody has in hand yet, in the grid's order but for the last ones."""
        left = [cell for name, cell in self._cells.items() if self._is_left(name) and name not in busy]
        if self._slots > 1 and len(left) <= LAST * self._slots:
            left = self._spent.dearest_first(left)
        return [cell.id for cell in left]

    def _note(self, line: Mapping[str, Any]) -> None:
        if line["cell"] in self._cells:
            self._spent.note(self._cells[line["cell"]], line["seconds"], line["training_seconds"])

    def _gave_up(self, name: str) -> bool:
        """Whether another process has set a cell aside since this one looked."""
        tried = tries.of(self._folder, name)
        if tried.said:
            self._set_aside[name] = not tried.unfit
        return name in self._set_aside

    def _is_ready(self, suspect: str, busy: frozenset[str]) -> bool:
        """Whether the cells that need a suspect find it: one of those under way is past making it."""
        if suspect in self._ready or self._index.templates[self._template(suspect)]["suspect"] != "trained":
            return True
        for name in busy:
            if self._cells.get(name) is not None and self._cells[name].suspect == suspect:
                run = self._folder / RUNS / name
                if run.is_dir() and head(run).stage not in (None, SUSPECT):
                    self._ready.add(suspect)
                    return True
        return False

    def _template(self, suspect: str) -> int:
        return next(cell.template for cell in self._cells.values() if cell.suspect == suspect)

    def _concluded(self, cell: Cell, future: Future[dict[str, Any]], member: Member) -> Iterator[Step]:
        """What becomes of a cell whose call has ended."""
        try:
            told = future.result()
        except LOST:
            self._later[cell.id] = time.monotonic() + AGAIN_S
            died = tries.of(self._folder, cell.id).silent and self._crew.is_gone(cell.id)
            yield self._died(cell) if died else self._step("stopped", cell, "its worker cannot be reached")
        except self._crew.deaths:
            yield self._died(cell) if tries.of(self._folder, cell.id).silent else self._never_began(cell)
        except RequestError as problem:  # what a worker sent back cannot be put here
            yield from self._full(cell, str(problem))
        except OSError as problem:  # a worker cannot keep what was sent to it
            yield from self._ended(cell, {"code": FULL, "error": str(problem)})
        else:
            self._unborn = 0
            yield from self._ended(cell, told)
        finally:
            member.give_back(cell.id)

    def _ended(self, cell: Cell, told: dict[str, Any]) -> Iterator[Step]:
        code, error = told["code"], told["error"]
        self._any |= code not in (ABSENT, BUSY, FOREIGN)
        if code == DONE:
            yield from self._finished(cell)
        elif code == STOPPED:
            yield self._step("stopped", cell, "it goes on where it was")
        elif code == BUSY:
            self._later[cell.id] = time.monotonic() + AGAIN_S
        elif code == FOREIGN:
            raise RequestError(f"{self._folder}: cell {cell.id}: {error}")
        elif code in (ABSENT, FULL):
            yield from self._unable(cell, code, error)
        else:
            self._set_aside[cell.id] = code != tries.UNFIT
            yield self._step("failed" if self._set_aside[cell.id] else "n/a", cell, error)

    def _unable(self, cell: Cell, code: int, error: str) -> Iterator[Step]:
        """It is no fault of the cell's: another worker may be able to do it, or another process."""
        if code == ABSENT:
            begun = (self._folder / RUNS / cell.id).is_dir()  # then it may be this run alone that is not as it began
            alike = [each.id for each in self._cells.values() if each.template == cell.template]
            if not self._crew.spare(cell.id, [cell.id] if begun else alike):
                self._absences.note(cell, error, alone=begun)
                yield from self._tell_what_is_not_here()
        elif not unusable(self._folder) and self._crew.dismiss(cell.id, error):
            yield self._step("stopped", cell, "its worker is left out")
        else:
            yield from self._full(cell, error)

    def _tell_what_is_not_here(self) -> Iterator[Step]:
        """None before anything was run: it may be all that there is to say."""
        if self._any or self._done:
            for cell, why in self._absences.untold():
                yield self._step("stopped", cell, f"not here: {why}")

    def _full(self, cell: Cell, error: str) -> Iterator[Step]:
        """Nothing can be written: every further cell would come to the same."""
        self._wish = "stop"
        yield self._step("stopped", cell, error)

    def _never_began(self, cell: Cell) -> Step:
        """A worker that ended as it was being made, by a signal to all processes for one: the cell is not to blame."""
        self._unborn += 1
        if self._unborn > UNBORN * max(self._slots, 1):
            raise RequestError(f"{self._folder}: workers end before they begin, {self._unborn} in a row")
        self._later[cell.id] = time.monotonic() + AGAIN_S
        return self._step("stopped", cell, "its worker ended before it began")

    def _finished(self, cell: Cell) -> Iterator[Step]:
        line = results.line_of(self._folder, cell.id)
        if line is None:
            self._later[cell.id] = time.monotonic() + AGAIN_S
            self._absences.note_unseen(cell)
            yield from self._tell_what_is_not_here()
            return
        yield from self._settled(cell)
        results.write(self._folder, [line])
        self._note(line)
        self._done.add(cell.id)
        self._ready.add(cell.suspect)
        yield replace(self._step("finished", cell), seconds_left=self._seconds_left())

    def _settled(self, cell: Cell) -> Iterator[Step]:
        """Have only the checkpoints stay that are to, by what the folder says now: a person may change it meanwhile."""
        try:
            settle(self._folder, cell.id, read_head(self._folder)["keep"])
        except RequestError as error:
            yield self._step("note", cell, str(error))

    def _seconds_left(self) -> float | None:
        left = [cell for name, cell in self._cells.items() if self._is_left(name)]
        hands = min(self._slots + len(self._elsewhere), len(left))
        now = time.monotonic()
        under_way = {cell.id: now - self._since[cell.id] for cell in self._running.values()}
        expected = self._spent.expected(left, under_way)
        return None if expected is None or not hands else expected / hands

    def _died(self, cell: Cell) -> Step:
        tried = tries.died(self._folder, cell.id)
        if tried.given_up:
            self._set_aside[cell.id] = True
            return self._step("failed", cell, tried.said)
        return self._step("died", cell, f"its worker died ({tried.deaths} of {tries.DEATHS} tries)")

    def _step(self, what: Any, cell: Cell | None = None, said: str = "") -> Step:
        return Step(what, cell, said, len(self._done), len(self._cells))


def _one_a_template(cells: list[Cell]) -> list[Cell]:
    return list({cell.template: cell for cell in cells}.values())
