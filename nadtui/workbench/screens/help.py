"""Help for the current screen, made from its bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from nadtui.workbench.reading import ReadingScreen
from nadtui.workbench.widgets.pairs import pairs

KEY_WIDTH = 16


def sections(app: App, screen: Screen) -> list[tuple[str, list[tuple[str, str]]]]:
    """The keys that work on this screen, by group: (key, what it does). The innermost owner of a key comes first."""
    grouped: dict[str, dict[tuple[str, str], list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        said = active.tooltip or binding.tooltip or binding.description
        if not said or (binding.system and not binding.tooltip and binding.key != "ctrl+q"):
            continue
        group = getattr(active.node, "HELP_GROUPS", {}).get(binding.action) or _owner(active.node, app)
        key = app.get_key_display(binding)
        grouped.setdefault(group, {}).setdefault((binding.action, said), []).append(key)
    told = [name for node in (screen.focused, screen, app) for name in getattr(node, "HELP_GROUPS", {}).values()]
    order = list(dict.fromkeys([*told, *grouped]))  # groups as their owner lists them, then the others
    return [
        (group, [(" ".join(dict.fromkeys(keys)), said) for (_, said), keys in grouped[group].items()])
        for group in order
        if group in grouped
    ]


def _owner(node: object, app: App) -> str:
    if node is app:
        return "Everywhere"
    return getattr(node, "HELP_GROUP", None) or ("This screen" if isinstance(node, Screen) else type(node).__name__)


class HelpScreen(ReadingScreen):
    """All keys of the screen below."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 78; max-width: 98%; height: auto; max-height: 96%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    HelpScreen Static { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark", "dismiss", "Close", show=False)]

    def __init__(self, title: str, groups: Iterable[tuple[str, list[tuple[str, str]]]], about: str = "") -> None:
        super().__init__()
        self._title, self._groups, self._about = title, list(groups), about

    def compose(self) -> ComposeResult:
        """The keys, group by group."""
        with VerticalScroll(can_focus=False) as box:
            box.border_title = f"help: {self._title}"
            box.border_subtitle = "Esc closes"
            if self._about:
                yield Static(Content.styled(f"{self._about}\n", "dim"))
            for number, (group, rows) in enumerate(self._groups):
                yield Static(Content("\n" * (number > 0)) + Content.styled(group, "bold underline"))
                yield Static(pairs(((f"  {keys}", said) for keys, said in rows), style="bold", width=KEY_WIDTH))
