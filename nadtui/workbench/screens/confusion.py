"""What each model of a run takes each class for: a matrix at a time, over the run's screen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from nadtui.formatting import clean
from nadtui.runs.confusion import Confusion, confusions
from nadtui.workbench.aligned import aligned
from nadtui.workbench.threads import hand_over

if TYPE_CHECKING:
    from nadtui.runs.hosting import Host

NONE = "This run has kept no answers:\nit was recorded before answers were kept, or has finished no stage."


class ConfusionScreen(ModalScreen[None]):
    """The matrices of a run's stages, clean and triggered, one after the other."""

    DEFAULT_CSS = """
    ConfusionScreen { align: center middle; }
    ConfusionScreen > Vertical {
        width: auto; min-width: 60; max-width: 98%; height: auto; max-height: 96%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    ConfusionScreen Static { width: auto; }
    ConfusionScreen DataTable { width: auto; max-width: 100%; height: auto; max-height: 100%; background: $surface;
        scrollbar-size: 1 1; }
    ConfusionScreen DataTable > .datatable--fixed { background: $surface; color: $text; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,c", "dismiss", "Close"),
        Binding("n,tab", "turn(1)", "Next", tooltip="The next model or kind of images"),
        Binding("N,shift+tab", "turn(-1)", "Previous", show=False, tooltip="The previous model or kind of images"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host
        self._found: list[Confusion] = []
        self._place = 0

    def compose(self) -> ComposeResult:
        """A line on what is shown, and the table."""
        with Vertical() as box:
            box.border_title = "what each class is taken for"
            box.border_subtitle = "n next · N previous · Esc closes"
            yield Static("reading …", id="of")
            yield DataTable(cursor_type="row", zebra_stripes=True, fixed_columns=1)

    def on_mount(self) -> None:
        """Read what the run has kept."""
        self._read()

    @work(thread=True, exit_on_error=False)
    def _read(self) -> None:
        view, folder = self._host.view, self._host.folder
        names = [str(name) for name in view.dataset.get("class_names") or ()]
        found = [] if folder is None else list(confusions(folder, list(view.stages), names))
        hand_over(self, partial(self._take, found))

    def _take(self, found: list[Confusion]) -> None:
        # The purified model's answers to triggered images are what one opens this for.
        self._found, self._place = found, max(0, len(found) - 1)
        self._show()

    def _show(self) -> None:
        said, table = self.query_one("#of", Static), self.query_one(DataTable)
        table.clear(columns=True)
        if not self._found:
            said.update(Content(NONE))
            table.display = False
            return
        shown = self._found[self._place]
        said.update(Content(f"{clean(shown.title)}  ({self._place + 1}/{len(self._found)})"))
        head, *rows = aligned([shown.columns, *shown.rows()])
        table.add_columns(*head)
        table.add_rows([_marked(shown, row) for row in rows])
        table.focus()

    def action_turn(self, step: int) -> None:
        """Another model, or the other images of the same."""
        if self._found:
            self._place = (self._place + step) % len(self._found)
            self._show()


def _marked(shown: Confusion, row: Sequence[str]) -> list[Text]:
    """A row's cells; what was right stands out."""
    right = (row[0], "right")
    return [
        Text(cell, style="bold" if clean(name) in right else "") for name, cell in zip(shown.columns, row, strict=True)
    ]
