"""Up to six runs side by side: their curves over each other, their figures with differences, what sets them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, ScrollableContainer
from textual.content import Content
from textual.widgets import Footer, Static

from engine.errors import RequestError
from nadtui.draw import attention_maps, colors, overlaid_runs
from nadtui.draw.axis import AXES, Axis
from nadtui.draw.overlaid_runs import CURVES
from nadtui.formatting import clean
from nadtui.runs import comparison
from nadtui.runs.comparison import Table
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from nadtui.workbench import terminal
from nadtui.workbench.footer import FootedScreen
from nadtui.workbench.threads import hand_over
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.curves import Curves
from nadtui.workbench.widgets.remeasured import Paragraph

if TYPE_CHECKING:
    from nadtui.workbench.base import WorkbenchBase

NO_ROW = -1
"""In the place of a row, where a tap alone is chosen."""
STAGE_COLUMNS = 2
"""Columns of the figures that stand before the runs'."""
GAP = 4
"""Columns between two tables beside each other."""
_OF_CURVES, _OF_MAPS = {"axis", "zoom", "means", "full"}, {"sample", "other"}
"""Actions on what is hidden while the other is shown."""


class Tables(ScrollableContainer, inherit_bindings=False):
    """The tables; left and right belong to the curves' cursor."""

    HELP_GROUP = "Tables"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Scroll up", show=False),
        Binding("down,j", "scroll_down", "Scroll down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home", "scroll_home", "Top", show=False),
        Binding("end", "scroll_end", "Bottom", show=False),
        Binding("less_than_sign", "page_left", "Further left", key_display="<", show=False),
        Binding("greater_than_sign", "page_right", "Further right", key_display=">", show=False),
    ]


class CompareScreen(FootedScreen):
    """Runs by letter: curves on top, tables below."""

    app: WorkbenchBase
    TITLE = "compare"
    HELP_GROUP = "Compare"
    ABOUT = "Differences are to the first run, A. The spread is the sample standard deviation over runs of other seeds."
    AUTO_FOCUS = "#tables"
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (110, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "axis", "x axis", tooltip="x axis: step, epoch, seconds"),
        Binding("z", "zoom", "Zoom", tooltip="Zoom to one stage after another, then to all"),
        Binding("b", "means", "Mean", tooltip="Runs of one configuration as mean and band over seeds, or each run"),
        Binding("left", "cursor(-1)", "Cursor left", show=False),
        Binding("right", "cursor(1)", "Cursor right", show=False),
        Binding("shift+left", "cursor(-10)", "Cursor far left", show=False),
        Binding("shift+right", "cursor(10)", "Cursor far right", show=False),
        Binding("f", "full", "Full curves", tooltip="Give the curves the whole screen, or take it back", show=False),
        Binding("m", "maps", "Maps", tooltip="The newest maps of A and another run side by side, or the curves again"),
        Binding("n", "sample", "Sample", tooltip="Maps: the next image that both runs have recorded"),
        Binding("o", "other", "Other run", tooltip="Maps: the next run beside A"),
        Binding("e", "export", "Export", tooltip="Write the comparison to a file, as one table"),
        Binding("S", "screenshot", "Screenshot", tooltip="Save a screenshot (SVG)", show=False),
        Binding("escape", "back", "Back", tooltip="Maps off, cursor off, then back to the runs"),
    ]
    DEFAULT_CSS = """
    CompareScreen {
        #names { height: auto; padding: 0 1; }
        #curves { height: 1fr; min-height: 7; }
        #curves Curves { border: round $foreground 30%; border-title-color: $foreground; height: 1fr; }
        #tables { height: 1fr; padding: 0 1; scrollbar-size: 1 1; overflow: auto auto; }
        #tables Static { width: auto; }
        #differences { margin-top: 1; }
        #tables.-beside { layout: horizontal; }
        #tables.-beside #differences { margin: 0 0 0 4; }
    }
    CompareScreen.full #tables { display: none; }
    CompareScreen #maps { display: none; height: 1fr; }
    CompareScreen #maps AttentionGrid { border: round $foreground 30%; border-title-color: $foreground; }
    CompareScreen.maps #maps { display: block; }
    CompareScreen.maps #curves, CompareScreen.maps #tables { display: none; }
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self.folders = list(folders)
        self.reports: list[Report] = []
        self.axis: Axis = "epoch"
        self.zoom: str | None = None
        self.cursor: float | None = None
        self.means = False
        """Whether runs that differ by their seeds alone are one curve."""
        self.beside, self.sample, self.tap = 1, 0, 0
        """Of the maps, the run that stands beside A, by its place, which of their shared samples is shown, and the tap
        that must be in sight."""
        self._across = 0
        """Columns that both tables need beside each other."""

    def compose(self) -> ComposeResult:
        """Names, curves, tables."""
        yield Paragraph("reading …", id="names")
        with Horizontal(id="curves"):
            for figure, title in CURVES:
                curves = Curves(id=figure)
                curves.border_title = title
                yield curves
        with Horizontal(id="maps"):
            yield AttentionGrid(id="first")
            yield AttentionGrid(id="other")
        with Tables(id="tables"):
            yield Paragraph(id="figures")
            yield Paragraph(id="differences")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the records in the background."""
        self.axis = self.app.settings.axis
        self._read()
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._show())

    @work(thread=True, group="compare", exit_on_error=False)
    def _read(self) -> None:
        reports, problems = [], []
        for folder in self.folders:
            try:
                reports.append(load(str(folder.absolute()), None))
            except RequestError as error:
                problems.append(str(error))
        hand_over(self, partial(self._take, reports, problems))

    def _take(self, reports: list[Report], problems: Sequence[str]) -> None:
        for problem in problems:
            self.notify(clean(problem), title="left out", severity="warning")
        self.reports = reports
        self._show()

    def _show(self) -> None:
        if not self.reports:
            self.query_one("#names", Static).update("None of the runs can be read.")
            return
        self.query_one("#names", Static).update(self._names())
        self._draw()
        self._draw_maps()
        figures = self._grid(comparison.table(self.reports), STAGE_COLUMNS)
        differences = self._differences()
        self.query_one("#figures", Static).update(figures)
        self.query_one("#differences", Static).update(differences)
        self._across = _columns(figures) + GAP + _columns(differences)
        self.on_resize()
        self.refresh_bindings()

    def on_resize(self) -> None:
        """The tables beside each other where both have room, one below the other where not."""
        tables = self.query_one(Tables)
        tables.set_class(0 < self._across <= tables.scrollable_content_region.width, "-beside")

    # --- drawing ---

    def _color(self, place: int) -> str:
        return colors.series(place, dark=self.app.current_theme.dark)

    def _names(self) -> Content:
        parts: list[Any] = []
        color = terminal.depth(self.app) != "none"
        for place, (letter, run) in enumerate(comparison.named(self.reports)):
            key = overlaid_runs.key(place, color=color)
            parts += [(f"{key} {letter} ", f"bold {self._color(place)}"), f"{clean(run)}\n"]
        return Content.assemble(*parts).rstrip()

    def _draw(self) -> None:
        dark = self.app.current_theme.dark
        for figure, title in CURVES:
            chart = overlaid_runs.chart(self.reports, figure, self.axis, zoom=self.zoom, means=self.means, dark=dark)
            curves = self.query_one(f"#{figure}", Curves)
            curves.empty = f"no {title} measured yet"
            curves.show(chart, self.cursor)

    def _draw_maps(self) -> None:
        """A's newest maps, and those of the run beside it, of one image where both have recorded it."""
        places = [0, self.beside] if len(self.reports) > 1 else [0]
        shown = [(place, self.reports[place].view) for place in places]
        if not self.has_class("maps") or not all(attention_maps.samples(view) for _, view in shown):
            return
        shared = attention_maps.shared_samples([view for _, view in shown])
        numbers = shared[self.sample % len(shared)]
        letters = comparison.letters(len(self.reports))
        for grid, (place, view), number in zip(self.query(AttentionGrid), shown, numbers, strict=False):
            maps = attention_maps.newest(view, number)
            maps = replace(maps, selected=(NO_ROW, min(self.tap, len(maps.taps) - 1)))
            grid.border_title = f"{letters[place]} · sample {number + 1}: {clean(maps.label)}"
            grid.show(maps, self.app.settings.maps)

    def _grid(self, table: Table, leading: int) -> Content:
        """A table in aligned columns, those of the runs under letters of their curves' colors."""
        widths = [max(len(row[place]) for row in (table.columns, *table.rows)) for place in range(len(table.columns))]
        parts: list[Any] = []
        for place, title in enumerate(table.columns):
            run = place - leading
            style = f"bold {self._color(run)}" if 0 <= run < len(self.reports) else "bold"
            parts += [(_aligned(title, widths[place], place >= leading), style), "  "]
        for row in table.sparse():
            parts.append("\n")
            for place, cell in enumerate(row):
                tone = "dim" if cell in ("–", "") else _TONES.get(row[1], "") if leading > 1 and place == 1 else ""
                parts += [(_aligned(clean(cell), widths[place], place >= leading), tone), "  "]
        return Content.assemble(*parts)

    def _differences(self) -> Content:
        table = comparison.fields(self.reports)
        if not table.rows:
            return Content("The configurations are the same.")
        short = Table(table.columns, tuple(tuple(_cut(cell) for cell in row) for row in table.rows))
        heading = Content.assemble(("The configurations differ in", "bold"), "\n")
        return Content("").join([heading, self._grid(short, 1)])

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of what is hidden are idle; so is the one for another run where there is none."""
        idle = _OF_CURVES if self.has_class("maps") else _OF_MAPS
        return None if action in idle or (action == "other" and len(self.reports) < 3) else True

    def in_footer(self, binding: Binding) -> Binding:
        """Left and right are there for the maps' taps, and what brings the curves back says so."""
        if self.has_class("maps") and binding.action == "maps":
            return replace(binding, description="Curves", tooltip="The curves and tables in place of the maps")
        if self.has_class("maps") and binding.action == "cursor(1)":
            return replace(binding, show=True, key_display="← →", description="Tap", tooltip="Maps: the tap beside")
        return binding

    def action_axis(self) -> None:
        """The next x axis."""
        self.axis = AXES[(AXES.index(self.axis) + 1) % len(AXES)]
        self.app.change_settings(axis=self.axis)
        self.cursor = None
        self._draw()

    def action_zoom(self) -> None:
        """The next stage, or all."""
        stages: list[str | None] = [None, *overlaid_runs.zooms(self.reports)]
        self.zoom = stages[(stages.index(self.zoom) + 1) % len(stages)]
        self.cursor = None
        self._draw()

    def action_maps(self) -> None:
        """The maps in the place of curves and tables, or these again."""
        if not all(attention_maps.samples(report.view) for report in self.reports):
            self.notify("not all of these runs have recorded maps")
            return
        self.toggle_class("maps")
        self.refresh_bindings()
        self._draw_maps()
        if not self.has_class("maps"):
            self.query_one(Tables).focus()

    def action_sample(self) -> None:
        """The next image that both runs have recorded."""
        self.sample += 1
        self._draw_maps()

    def action_other(self) -> None:
        """The next run beside A."""
        if len(self.reports) > 1:
            self.beside, self.sample = self.beside % (len(self.reports) - 1) + 1, 0
            self._draw_maps()

    def action_means(self) -> None:
        """Mean and band over seeds, or every run."""
        if not comparison.groups(self.reports):
            self.notify("no two finished runs differ by their seeds alone")
            return
        self.means = not self.means
        self._draw()

    def action_cursor(self, columns: int) -> None:
        """Move the value cursor; of the maps, to the tap beside."""
        if self.has_class("maps"):
            taps = max(len(grid.maps.taps) for grid in self.query(AttentionGrid))
            self.tap = min(max(self.tap + columns, 0), taps - 1)
            self._draw_maps()
        elif self.reports:
            self._put_cursor(self.query_one("#acc", Curves).move(columns))

    @on(Curves.CursorMoved)
    def _pointed(self, event: Curves.CursorMoved) -> None:
        self._put_cursor(event.x)

    def _put_cursor(self, x: float | None) -> None:
        self.cursor = x
        for curves in self.query(Curves):
            curves.show(curves.chart, x)

    def action_full(self) -> None:
        """The curves alone, or with the tables."""
        self.toggle_class("full")
        if not self.has_class("full"):
            self.query_one(Tables).focus()

    def action_back(self) -> None:
        """Maps off, cursor off, then back."""
        if self.has_class("maps"):
            self.action_maps()
        elif self.cursor is not None:
            self._put_cursor(None)
        else:
            self.app.pop_screen()

    def action_screenshot(self) -> None:
        """Save what is on screen."""
        self.app.take_screenshot("compare")

    def action_export(self) -> None:
        """Ask for a format and a file, then write the comparison there."""
        if self.reports:
            self.app.exporting.comparison(self.reports)


_TONES = {"ACC": "$text-primary", "ASR": "$text-accent"}


def _aligned(cell: str, width: int, right: bool) -> str:
    return f"{cell:>{width}}" if right else f"{cell:<{width}}"


def _columns(content: Content) -> int:
    return max(line.cell_length for line in content.split())


def _cut(cell: str) -> str:
    return cell if len(cell) <= 40 else f"{cell[:39]}…"
