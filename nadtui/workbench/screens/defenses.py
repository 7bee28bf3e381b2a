"""A run's defenses side by side: what each lost and left as marks, beside the table; the maps of any two models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import DataTable, Footer

from engine.record.summary import summarize
from nadtui.draw import attention_maps, defense_scatter
from nadtui.formatting import clean, plural
from nadtui.runs.side_by_side import AS_RUN, Row, Table, orders_in, whole
from nadtui.workbench.aligned import aligned
from nadtui.workbench.footer import FootedScreen
from nadtui.workbench.messages import HostChanged
from nadtui.workbench.widgets.model_pair import ModelPair
from nadtui.workbench.widgets.remeasured import Paragraph
from nadtui.workbench.widgets.scatter_plot import ScatterPlot
from nadtui.workbench.widgets.whole_columns import WholeColumns

if TYPE_CHECKING:
    from engine.record.view import RunView
    from nadtui.runs.hosting import Host
    from nadtui.workbench.base import WorkbenchBase

WIDE, TALL = 118, 34
"""From this size on marks, table and maps have room beside each other."""
_OF_MAPS = {"beside", "turn", "sample", "view"}
"""Actions on the maps."""


class DefensesScreen(FootedScreen):
    """Over the run's screen, live as that is."""

    app: WorkbenchBase
    TITLE = "defenses"
    HELP_GROUP = "Defenses"
    ABOUT = (
        "A mark, its letter, appears when a defense is done: the further left, the less ACC it lost, the lower, the "
        "less ASR it left. The maps are of the model that the cursor is on, and of one that space puts beside it."
    )
    AUTO_FOCUS = "#table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", tooltip="Sort by ACC, ASR, RA, image steps, name, or as they ran"),
        Binding("space", "beside", "Left maps", tooltip="Put this model's maps on the left; the cursor's are right"),
        Binding("a", "turn(0, 1)", "Next left", tooltip="Left: the maps of the next of all models", show=False),
        Binding("A", "turn(0, -1)", "Previous left", tooltip="Left: of the model before", show=False),
        Binding("b", "turn(1, 1)", "Next right", tooltip="Right: the maps of the next of all models", show=False),
        Binding("B", "turn(1, -1)", "Previous right", tooltip="Right: of the model before", show=False),
        Binding("n", "sample(1)", "Sample", tooltip="The next sample image"),
        Binding("N", "sample(-1)", "Previous sample", tooltip="The previous sample image", show=False),
        Binding("v", "view", "View", tooltip="Clean beside triggered, clean, triggered, difference"),
        Binding("m", "maps", "Maps", tooltip="Maps in place of the marks, where there is no room for both"),
        Binding("S", "screenshot", "Screenshot", tooltip="Save a screenshot (SVG)", show=False),
        Binding("escape,D", "app.pop_screen", "Back", tooltip="Back to the run"),
    ]
    DEFAULT_CSS = """
    DefensesScreen {
        #about { height: auto; padding: 0 1; }
        #upper { layout: horizontal; height: 1fr; }
        #marks { width: 1fr; border: round $foreground 30%; border-title-color: $foreground; }
        #side { width: 2fr; border: round $foreground 30%; border-title-color: $foreground; }
        #side { border-subtitle-color: $text-muted; }
        #table { height: 1fr; background: $background; scrollbar-size: 1 1; }
        #pair { max-height: 16; }
        #table > .datatable--fixed { background: $background; color: $text; }
    }
    DefensesScreen.-small {
        #upper { layout: vertical; height: 2fr; }
        #marks { width: 1fr; height: 1fr; }
        #side { width: 1fr; height: 1fr; }
        #pair { layout: vertical; display: none; max-height: 100%; }
    }
    DefensesScreen.-small.-maps {
        #pair { display: block; }
        #marks { display: none; }
        #upper { height: 8; }
        AttentionGrid { border: none; }
    }
    """

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._order = AS_RUN
        self._table: Table | None = None
        self._known: tuple[object, ...] | None = None
        """What the table was made of."""

    def compose(self) -> ComposeResult:
        """The run in a line, marks and table, two models' maps."""
        yield Paragraph(id="about")
        with Container(id="upper"):
            with Vertical(id="marks") as marks:
                marks.border_title = "ACC lost against ASR left"
                yield ScatterPlot()
            with Vertical(id="side"):
                yield WholeColumns(id="table", kept=2)
        yield ModelPair(id="pair")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def _pair(self) -> ModelPair:
        return self.query_one(ModelPair)

    def on_mount(self) -> None:
        """Show what there is."""
        self._show()
        self.app.theme_changed_signal.subscribe(self, lambda theme: self._show_table())

    def on_resize(self, event: events.Resize) -> None:
        """All three, or two of them."""
        self.set_class(event.size.width < WIDE or event.size.height < TALL, "-small")
        self.refresh_bindings()

    # --- what is shown ---

    @on(HostChanged)
    def _changed(self, event: HostChanged) -> None:
        if event.host is self._host:
            self._show()

    def _show(self) -> None:
        """The newest state; the table is made anew only where it would be another."""
        view = self._host.view
        known = (view, *((s.name, s.state, s.metrics, len(s.verified)) for s in view.stages.values()))
        if known != self._known:
            self._known = known
            self._show_table()
        self._pair.show(view)

    def _show_table(self) -> None:
        view, at = self._host.view, self._at
        self._table = whole(summarize(view), self._order)
        head, *cells = aligned([self._table.columns, *self._table.cells], (0, self._table.figures))
        rows = [
            [Text(row.letter, style=self._style(row)), *map(Text, each)]
            for row, each in zip(self._table.rows, cells, strict=True)
        ]
        names = [row.defense for row in self._table.rows]
        place = names.index(at.defense) if at is not None and at.defense in names else 1
        self.query_one(WholeColumns).show([[Text(), *map(Text, head)], *rows], place)
        if at is None and self._at is not None:
            self._pair.chosen[1] = self._at.stage
        order = "as they ran" if self._order == AS_RUN else f"by {self._order}"
        self.query_one("#side").border_title = f"side by side, {order}"
        self.query_one("#about", Paragraph).update(Content(clean(self._about())))
        self._show_marks()

    @on(WholeColumns.Turned)
    def _turned(self, event: WholeColumns.Turned) -> None:
        self.query_one("#side").border_subtitle = clean(event.said)

    def _about(self) -> str:
        view = self._host.view
        done = sum(stage.state == "finished" for stage in view.purified)
        under_way = "" if view.stage is None or view.ended else f" · {view.stage.name} under way"
        return f"{self._host.title}: {done} of {plural(len(view.purified), 'purified model')} made{under_way}"

    def _style(self, row: Row) -> str:
        return f"bold {defense_scatter.color(row, dark=self.app.current_theme.dark)}" if row.letter else ""

    def _show_marks(self) -> None:
        marks = defense_scatter.scatter(self._table.rows if self._table else (), dark=self.app.current_theme.dark)
        chosen = self._at.defense if self._at is not None else ""
        self.query_one(ScatterPlot).show(marks, chosen, empty=_without_marks(self._host.view))

    @property
    def _at(self) -> Row | None:
        """The row that the cursor is on."""
        rows, place = self._table.rows if self._table else (), self.query_one(DataTable).cursor_row
        return rows[place] if 0 <= place < len(rows) else None

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the maps are idle while these are hidden, the one that shows them while they are there anyway."""
        small = self.has_class("-small")
        idle = {"maps"} if not small else _OF_MAPS if not self.has_class("-maps") else set()
        return None if action in idle else True

    def in_footer(self, binding: Binding) -> Binding:
        """Enter says what it opens, and the key for the maps what it brings back."""
        if binding.action == "select_cursor":
            return replace(binding, show=True, description="Model", tooltip="What is known of this model")
        if binding.action == "maps" and self.has_class("-maps"):
            return replace(binding, description="Marks", tooltip="The marks in place of the maps")
        return binding

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        if self._at is not None and self._at.stage:
            self._pair.chosen[1] = self._at.stage
        self._show_marks()
        self._pair.show(self._host.view)

    @on(DataTable.RowSelected)
    def _opened(self) -> None:
        """What is known of that model."""
        from nadtui.workbench.screens.one_model import OneModelScreen

        stage = self._host.view.stages.get(self._at.stage) if self._at is not None else None
        if stage is None:
            self.notify("there is no model of it", timeout=2)
        else:
            self.app.push_screen(OneModelScreen(self._host, stage))

    def action_sort(self) -> None:
        """The next order, of those that tell this run's defenses apart."""
        orders = orders_in(summarize(self._host.view))
        place = orders.index(self._order) + 1 if self._order in orders else 0
        self._order = orders[place % len(orders)]
        self._show_table()

    def action_beside(self) -> None:
        """The cursor's model on the left from now on."""
        if self._at is not None and self._at.stage:
            self._pair.chosen[0] = self._at.stage
            self._pair.show(self._host.view)

    def action_turn(self, side: int, step: int) -> None:
        """Another model on that side, references too."""
        self._pair.turn(self._host.view, side, step)
        self._pair.show(self._host.view)

    def action_sample(self, step: int) -> None:
        """Another sample image."""
        self._pair.next_sample(self._host.view, step)
        self._pair.show(self._host.view)

    def action_view(self) -> None:
        """The next way of looking at a pair of maps."""
        views = attention_maps.views_of(self._host.view)
        now = attention_maps.seen(self._host.view, self.app.settings.maps_view)
        self.app.change_settings(maps_view=views[(views.index(now) + 1) % len(views)])
        self._pair.show(self._host.view)

    def action_maps(self) -> None:
        """The maps, or the marks."""
        self.toggle_class("-maps")
        self.refresh_bindings()

    def action_screenshot(self) -> None:
        """Save what is on screen."""
        self.app.take_screenshot("defenses")


def _without_marks(view: RunView) -> str:
    """What stands in place of marks while there are none: why, or when they come."""
    if not view.attacked:
        return "no trigger is known: there is no ASR to set against ACC"
    return "no defense was done" if view.ended else "a mark stands here when a defense is done"
