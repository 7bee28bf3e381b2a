"""A sweep: a grid that fills, who works on what, how long it will take; to pause, stop, and say what comes first."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Footer

from engine.errors import RequestError
from nadtui.formatting import clean, plural
from nadtui.runs.detached import Detached, failure, go_on
from nadtui.runs.sweep_groups import Group, worst
from nadtui.runs.sweep_table import ends, figure, shown
from nadtui.runs.sweep_watch import SweepLook, look, repeat_of
from nadtui.workbench import terminal
from nadtui.workbench.dialogs import Ask, Choose, Confirm, whole_number
from nadtui.workbench.footer import FootedScreen
from nadtui.workbench.threads import hand_over
from nadtui.workbench.widgets.remeasured import Paragraph
from nadtui.workbench.widgets.sweep_grid import VIEWS, SweepGrid

if TYPE_CHECKING:
    from engine.sweeps.rows import CellRow
    from nadtui.workbench.base import WorkbenchBase

LOOK_S = 2.0
"""Seconds between two looks at the sweep's folder."""
SHARE = 9
"""How much longer than a look takes is waited until the next."""
MOST = 5
"""Lines of what is at work."""


class SweepScreen(FootedScreen):
    """One sweep, whoever carries it out."""

    app: WorkbenchBase
    TITLE = "sweep"
    HELP_GROUP = "Sweep"
    ABOUT = (
        "A cell is the mean over suspects and their clean subsets. Its color is the ASR left; the sign before its "
        "figures tells how much is done where not all of it is, from ░ to ▓; ▲ marks what comes first."
    )
    AUTO_FOCUS = "#grid"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "view", "View", tooltip="ACC lost and ASR left, one, or the other"),
        Binding("p", "pause", "Pause", tooltip="Have all who work on it pause, or go on"),
        Binding("x", "stop", "Stop", tooltip="Have all who work on it stop, resumable; asks first"),
        Binding("R", "resume", "Go on", tooltip="Go on with it in the background"),
        Binding("plus", "first", "First", key_display="+", tooltip="Do this cell's runs next, or as they come"),
        Binding("e", "export", "Export", tooltip="Write its tables and figures to a file"),
        Binding("S", "screenshot", "Screenshot", tooltip="Save a screenshot (SVG)", show=False),
        Binding("escape", "back", "Back", tooltip="Back to where you came from"),
    ]
    DEFAULT_CSS = """
    SweepScreen {
        #about { height: auto; padding: 0 1; }
        #at-work { height: auto; padding: 0 1; color: $text-muted; }
        #grid-pane { height: 1fr; border: round $foreground 30%; }
        #grid-pane { border-title-color: $foreground; border-subtitle-color: $text-muted; }
        #grid-pane:focus-within { border: round $border; border-title-color: $text-primary; }
        #detail { height: auto; min-height: 3; padding: 0 1; }
    }
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.look: SweepLook | None = None
        self._looks: Timer | None = None
        self._looking = False
        self._not_before = 0.0
        self._footed: tuple[bool, ...] = ()
        """What the footer was made for."""
        self._gone_on: Detached | None = None
        """The process that this screen has made go on with the sweep, until it has ended."""

    def compose(self) -> ComposeResult:
        """How far it is, who is at work, the grid, what the cursor is on."""
        yield Paragraph("reading …", id="about")
        yield Paragraph(id="at-work")
        with Vertical(id="grid-pane"):
            yield SweepGrid(id="grid")
        yield Paragraph(id="detail")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def grid(self) -> SweepGrid:
        """The grid."""
        return self.query_one(SweepGrid)

    def on_mount(self) -> None:
        """Read it in the background, again and again."""
        self._read()
        self._looks = self.set_interval(LOOK_S, self._read)
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._dressed())

    def on_resize(self) -> None:
        """As much of the legend as there is room for."""
        self._explain()

    def _dressed(self) -> None:
        self.grid.refresh()
        self._explain()

    def on_screen_resume(self) -> None:
        """Something may have happened while another screen was up."""
        if self._looks is not None:
            self._looks.resume()

    def on_screen_suspend(self) -> None:
        """Behind another screen nothing must stir."""
        if self._looks is not None:
            self._looks.pause()

    # --- what is shown ---

    def _read(self) -> None:
        if not self._looking and time.monotonic() >= self._not_before:
            self._looking = True
            self._look()

    @work(thread=True, group="sweep", exit_on_error=False)
    def _look(self) -> None:
        began = time.monotonic()
        try:
            found = look(self.folder, self.app.now())
            _ = found.report.table  # put together here: the interface has better things to do
        except Exception as error:  # whatever it is: nobody is to wait for a look that has failed
            said = str(error) if isinstance(error, RequestError) else f"cannot be read: {type(error).__name__}: {error}"
            hand_over(self, partial(self._refused, said))
        else:
            hand_over(self, partial(self._take, found))
        finally:
            # A sweep of thousands of cells is looked at less often: whoever trains has the processor.
            self._not_before = time.monotonic() + SHARE * (time.monotonic() - began)
            self._looking = False

    def _refused(self, said: str) -> None:
        self.query_one("#about", Paragraph).update(Content.styled(clean(said), "$text-error"))
        self.grid.fail()

    def _take(self, found: SweepLook) -> None:
        self.look = found
        self._check_gone_on()
        self.query_one("#about", Paragraph).update(self._about(found))
        lines = list(found.at_work())
        more = [f"and {len(lines) - MOST + 1} more"] if len(lines) > MOST else []
        said = "\n".join(map(clean, [*lines[: MOST - len(more)], *more]))
        self.query_one("#at-work", Paragraph).update(Content(said))
        self.query_one("#at-work").display = bool(lines)
        self.grid.show(found)
        self._title()
        self._detail(self.grid.group)
        footed = bool(found.workers), found.paused, found.done < len(found.cells)
        if footed != self._footed:  # only then: the footer is built anew by this, which is dear
            self._footed = footed
            self.refresh_bindings()

    def _about(self, found: SweepLook) -> Content:
        """Its name, what it asks, a bar, and how far it is."""
        share = found.done / max(1, len(found.cells))
        full = round(20 * share)
        bar = ("━" * full, "$text-primary"), ("━" * (20 - full), "$foreground 20%")
        study = found.report.study
        asked = () if study is None else ("\n", (clean(study.question), "$text-muted"))
        return Content.assemble((clean(found.report.name), "bold"), "  ", *bar, f" {share:.0%}  ", found.said(), *asked)

    def _title(self) -> None:
        fixed = self.look.report.table.fixed.items() if self.look is not None else ()
        same = ", ".join(shown(value) for value in (value for _, value in fixed) if value is not None)
        self.query_one("#grid-pane").border_title = f"{VIEWS[self.grid.view]}{f' · {same}' if same else ''}"

    def _explain(self) -> None:
        """What the signs mean, as far as there is room for it."""
        room = self.size.width - 6  # the border and its corners
        said = ""
        for part in self._legend():
            if len(f"{said} · {part}") <= room:
                said = f"{said} · {part}" if said else part
        self.query_one("#grid-pane").border_subtitle = Content(said)

    def _legend(self) -> Iterator[str]:
        yield "░▒▓ not all done"
        if terminal.depth(self.app) in ("256", "full"):
            yield f"{'bright' if self.app.current_theme.dark else 'dark'}: high ASR"
        yield from ("± over suspects", "[ ] 95 % interval", "a to b: least, most", "worst: one run")

    def _detail(self, group: Group | None) -> None:
        self.query_one("#detail", Paragraph).update("" if group is None else Content(_said(group)))

    @on(SweepGrid.Moved)
    def _moved(self, event: SweepGrid.Moved) -> None:
        self._detail(event.group)

    # --- keys ---

    def in_footer(self, binding: Binding) -> Binding:
        """Pause and stop where somebody is at work, going on where nobody is and something is left."""
        busy, paused, left = self._footed or (False, False, False)
        if binding.action in ("pause", "stop"):
            label = "Go on" if paused and binding.action == "pause" else binding.description
            return replace(binding, show=busy, description=label)
        if binding.action == "resume":
            return replace(binding, show=left and not busy)
        return binding

    @on(SweepGrid.Opened)
    def _opened(self, event: SweepGrid.Opened) -> None:
        """The run of a cell, or a choice of them."""
        begun = {row.run: row for row in event.group.rows if row.run is not None}
        if not begun:
            self.notify("none of its runs has begun")
        elif len(begun) == 1:
            self._open(next(iter(begun)))
        else:
            several = len({row.preset for row in begun.values()}) > 1
            lines = [
                (run, f"{f'{row.preset}, ' * several}{repeat_of(row)}  {_outcome(row)}") for run, row in begun.items()
            ]
            about = ", ".join(shown(value) for value in event.group.at.values())
            self.app.push_screen(Choose(f"{about}: {plural(len(begun), 'run')}", lines), self._open)

    def _open(self, run: str | None) -> None:
        from engine.sweeps.layout import RUNS

        if run is not None:
            self.app.open_run(self.folder / RUNS / run)

    def action_view(self) -> None:
        """Other figures."""
        views = list(VIEWS)
        self.grid.turn(views[(views.index(self.grid.view) + 1) % len(views)])
        self._title()

    def action_pause(self) -> None:
        """Pause, or go on."""
        if self.look is not None:
            self._ask("resume" if self.look.paused else "pause")

    def action_stop(self) -> None:
        """Stop, after a question."""
        if self._anybody():
            question = Confirm("Stop the sweep?", "What is done stays; nadtui sweep --resume goes on.", yes="Stop")
            self.app.push_screen(question, lambda yes: self._ask("stop") if yes else None)

    def _anybody(self) -> bool:
        if self.look is not None and self.look.workers:
            return True
        self.notify(f"nobody is at work on it: R goes on, as nadtui sweep --resume {clean(self.folder)} does")
        return False

    def _ask(self, wish: str) -> None:
        from engine.sweeps import members

        if self._anybody():
            try:
                asked = members.ask(self.folder, wish)
            except RequestError as error:
                self.notify(clean(error), severity="error")
            else:
                self.notify(f"{plural(asked, 'process').replace('processs', 'processes')} asked to {wish}")
                self._again()

    def action_resume(self) -> None:
        """Ask for the number of workers, and go on."""
        if self.look is None:
            return
        if self.look.workers:
            self.notify("it is at work already")
        elif self.look.done == len(self.look.cells):
            self.notify("nothing is left to do; what failed is tried again by nadtui sweep --resume --retry-failed")
        else:
            cores = os.cpu_count() or 1
            note = "Processes of one thread each; they outlive the workbench."
            question = Ask("Workers", str(cores), note=note, check=whole_number(1, 8 * cores))
            self.app.push_screen(question, self._go_on)

    def _go_on(self, workers: str | None) -> None:
        if workers is None:
            return
        try:
            self._gone_on = go_on(self.folder, int(workers))
        except OSError as error:
            self.notify(clean(error), severity="error")
        else:
            self.notify(f"it goes on in process {self._gone_on.process.pid}; x stops it")

    def _check_gone_on(self) -> None:
        """Say why a process that was to go on has not."""
        if self._gone_on is not None and self._gone_on.process.poll() is not None:
            if self._gone_on.process.returncode not in (0, 130):  # done, or stopped
                self.notify(clean(failure(self._gone_on)), severity="error", timeout=15)
            self._gone_on = None

    def action_first(self) -> None:
        """This cell's runs next, or all as they come again."""
        from engine.sweeps import members

        group = self.grid.group
        if group is None or self.look is None:
            return
        own = list(dict.fromkeys(row.cell for row in group.rows if not row.finished and not row.unfit))
        before = [cell for cell in self.look.first if cell not in own]
        wanted = before if set(own) & set(self.look.first) else [*own, *before]
        try:
            members.put_first(self.folder, wanted)
        except RequestError as error:
            self.notify(clean(error), severity="error")
        self._again()

    def _again(self) -> None:
        """Look at once: a person has just changed something."""
        self._not_before = 0.0
        self._read()

    def action_export(self) -> None:
        """Ask for a format and a file, then write its tables or figures there."""
        if self.look is not None:
            self.app.exporting.sweep(self.look.report)

    def action_screenshot(self) -> None:
        """Save what is on screen."""
        self.app.take_screenshot("sweep")

    def action_back(self) -> None:
        """Back to where one came from."""
        self.app.leave_run()


def _said(group: Group) -> str:
    """A group in full: where it is, its figures with their ends, what failed."""
    at = ", ".join(shown(value) for value in group.at.values())
    acc, asr = group.figure("acc"), group.figure("asr")
    done = "all" if group.done == len(group.rows) else f"{group.done} of {len(group.rows)}"
    counted = f"{acc.count} suspects × subsets, ".replace(" x ", " × ") if acc else ""
    never = f", {group.unplanted} of suspects that never had a backdoor" * bool(group.unplanted)
    lines = [f"{at} · {counted}{done} done{never}"]
    if acc is not None:
        before = group.figure("suspect_acc"), group.figure("suspect_asr")
        lines.append(f"ACC {figure(before[0])} → {figure(acc)} {ends(acc)}  lost {figure(group.figure('lost'))}")
        if asr is not None:
            lines.append(f"ASR {figure(before[1])} → {figure(asr)} {ends(asr)}  worst {worst(asr, 'asr'):.1f}")
    errors = dict.fromkeys(row.error for row in group.rows if row.error)
    lines += [f"failed: {clean(error)}" for error in list(errors)[:1]]
    return "\n".join(lines)


def _outcome(row: CellRow) -> str:
    """`92.3 / 4.0`, or why there are no figures."""
    figures = " / ".join(f"{value:.1f}" for value in (row.acc, row.asr) if value is not None)
    return row.error or figures or row.status
