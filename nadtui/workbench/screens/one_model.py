"""One of a run's models by itself: what it chose, the models on the way to it, and whether its backdoor only sleeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static

from engine.record.stage_view import StageView
from nadtui.draw import run_charts
from nadtui.formatting import clean
from nadtui.runs import asleep, one_model
from nadtui.runs.digest import way_of
from nadtui.workbench.aligned import aligned
from nadtui.workbench.reading import ReadingScreen
from nadtui.workbench.widgets.curves import Curves

if TYPE_CHECKING:
    from nadtui.runs.hosting import Host
    from nadtui.workbench.base import WorkbenchBase

WAY, LINE = "0 the suspect, 1 the way's end", "0 the suspect, 1 this model"
"""What t is, of the curves over it."""


class OneModelScreen(ReadingScreen):
    """Over the run's defenses; as far as it was known when it was opened."""

    app: WorkbenchBase
    DEFAULT_CSS = """
    OneModelScreen { align: center middle; }
    OneModelScreen > VerticalScroll {
        width: 110; max-width: 98%; height: auto; max-height: 96%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    OneModelScreen Static { width: 1fr; }
    OneModelScreen .title { text-style: bold; margin-top: 1; }
    OneModelScreen .remark { color: $text-muted; }
    OneModelScreen Curves { height: 14; }
    OneModelScreen DataTable { width: auto; height: auto; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "dismiss", "Close", show=False)]

    def __init__(self, host: Host, stage: StageView) -> None:
        super().__init__()
        self._view, self._stage = host.view, stage

    def compose(self) -> ComposeResult:
        """Lines, then the curve over t, then the verification, as far as there are such."""
        stage, dark = self._stage, self.app.current_theme.dark
        with VerticalScroll(can_focus=False) as box:
            box.border_title = clean(stage.name)
            box.border_subtitle = "Esc closes"
            yield Static(Content("\n".join(map(clean, one_model.told(self._view, stage)))))
            if stage.curve:
                way = way_of(self._view, stage)
                yield Static(Content(clean(f"{way.title}; t: {WAY}")), classes="title")
                yield _curves(run_charts.way_chart(stage, attacked=self._view.attacked, dark=dark), "way")
                yield _table(way.columns, way.rows)
            if rows := one_model.verified(stage):
                yield Static(Content(asleep.TITLE), classes="title")
                yield _table(one_model.VERIFIED, rows)
                path = run_charts.path_chart(stage, dark=dark)
                if not path.empty:
                    yield Static(Content(f"On the straight line from the suspect; t: {LINE}"), classes="title")
                    yield _curves(path, "path")
                remarks = [*asleep.remarks_on(stage), asleep.LEGEND]
                yield Static(Content("\n".join(map(clean, remarks))), classes="remark")


def _curves(chart: run_charts.Chart, name: str) -> Curves:
    curves = Curves(id=name)
    curves.show(chart, None)
    return curves


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> DataTable[Text]:
    table: DataTable[Text] = DataTable(cursor_type="none", zebra_stripes=True)
    table.can_focus = False
    head, *cells = aligned([columns, *rows])
    table.add_columns(*head)
    table.add_rows([list(map(Text, row)) for row in cells])
    return table
